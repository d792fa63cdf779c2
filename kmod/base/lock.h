// SPDX-License-Identifier: GPL-2.0-only
// Locks and their guards. The guard's type is the policy: which context may take it and what it switches off.
#pragma once

#include "base/types.h"
#include "port/port.h"

namespace modbpf {

/// Raw spin lock. spin_guard: interrupts off, not from NMI, never on a program's path; try_spin_guard: any context.
class spinlock {
public:
    explicit spinlock(const char *name) { port_spin_init(&l_, name); }
    spinlock(const spinlock &) = delete;
    port_spinlock *raw() { return &l_; }

private:
    port_spinlock l_{};
};

class spin_guard {
public:
    explicit spin_guard(spinlock &l) : l_(l), flags_(port_spin_lock(l.raw())) {}
    ~spin_guard() { port_spin_unlock(l_.raw(), flags_); }
    spin_guard(const spin_guard &) = delete;

private:
    spinlock &l_;
    unsigned long flags_;
};

/// May fail: test with `if (!guard) return -EBUSY`.
class try_spin_guard {
public:
    explicit try_spin_guard(spinlock &l) : l_(l), held_(port_spin_trylock(l.raw(), &flags_)) {}
    ~try_spin_guard() {
        if (held_)
            port_spin_unlock(l_.raw(), flags_);
    }
    try_spin_guard(const try_spin_guard &) = delete;
    explicit operator bool() const { return held_; }

private:
    spinlock &l_;
    unsigned long flags_ = 0;
    bool held_;
};

/// Sleeping lock, task context.
class mutex {
public:
    explicit mutex(const char *name) { port_mutex_init(&m_, name); }
    ~mutex() { port_mutex_destroy(&m_); }
    mutex(const mutex &) = delete;
    port_mutex *raw() { return &m_; }

private:
    port_mutex m_{};
};

class mutex_guard {
public:
    explicit mutex_guard(mutex &m) : m_(m) { port_mutex_lock(m.raw()); }
    ~mutex_guard() { port_mutex_unlock(m_.raw()); }
    mutex_guard(const mutex_guard &) = delete;

private:
    mutex &m_;
};

/// RCU read-side section: any context, nests.
class rcu_read_guard {
public:
    rcu_read_guard() { port_rcu_read_lock(); }
    ~rcu_read_guard() { port_rcu_read_unlock(); }
    rcu_read_guard(const rcu_read_guard &) = delete;
};

/// RCU read-side section of who has preemption off already: that is one, in a kernel.
#ifdef MODBPF_KERNEL
class preempt_off_read_guard {
public:
    preempt_off_read_guard() {}
};
#else
using preempt_off_read_guard = rcu_read_guard;
#endif

/// Preemption off: any context, nests.
class preempt_guard {
public:
    preempt_guard() { port_preempt_disable(); }
    ~preempt_guard() { port_preempt_enable(); }
    preempt_guard(const preempt_guard &) = delete;
};

/// A pointer published to RCU readers. read() in a read section; store() by the one writer that owns the update lock.
template <class T> class rcu_ptr {
public:
    T *read() const { return __atomic_load_n(&p_, __ATOMIC_CONSUME); }
    T *owned() const { return p_; } ///< by the holder of the update lock
    void store(T *p) { __atomic_store_n(&p_, p, __ATOMIC_RELEASE); }
    /// Any writer; returns the old pointer.
    T *exchange(T *p) { return __atomic_exchange_n(&p_, p, __ATOMIC_ACQ_REL); }

private:
    T *p_ = nullptr;
};

}  // namespace modbpf
