// SPDX-License-Identifier: GPL-2.0-only
// cpu_lock: the lock of map operations that run in any context, also inside a program that interrupted its holder.
//
// One word: 0 when free, else the holder's CPU + 1. lock_section switches interrupts off and takes it. It gives up at
// once when this CPU already holds the lock (an NMI, or a probe on a function that the holder calls), and after a
// bounded number of turns when another CPU does (two interrupted holders may wait for each other); the operation then
// answers -EBUSY. Nothing sleeps or allocates; the word needs no initialisation but zero and no destruction.
#pragma once

#include "base/errno.h"
#include "base/types.h"
#include "port/port.h"

namespace modbpf {

struct cpu_lock {
    u32 holder;
};

/// In front of a section on a path that programs take often: the constructor writes all of it, the compiler need not clear it first.
#define MODBPF_CONSTRUCTED __attribute__((uninitialized))

class lock_section {
public:
    /// turns: how often to look whether another CPU has released it; 0: as the context allows.
    explicit lock_section(cpu_lock &l, u32 turns = 0) : lock_section(l, turns, port_irq_enter()) {}
    ~lock_section() { release(); }
    lock_section(const lock_section &) = delete;

    explicit operator bool() const { return held_; }
    /// The CPU of this section, which cannot change inside it.
    u32 cpu() const { return cpu_; }
    /// Ends the section before the scope does.
    void release() {
        if (!held_)
            return;
        held_ = false;
        __atomic_store_n(&l_.holder, 0, __ATOMIC_RELEASE);
        port_irq_restore(flags_);
    }

private:
    static constexpr u32 max_turns = 1u << 14, max_turns_nmi = 1u << 8;

    lock_section(cpu_lock &l, u32 turns, port_irq_section off)
        : l_(l), flags_(off.flags), cpu_(static_cast<u32>(off.cpu)), held_(try_acquire(l, cpu_) || acquire_contended(l, cpu_, turns)) {
        if (!held_)
            port_irq_restore(flags_);
    }
    static bool try_acquire(cpu_lock &l, u32 cpu) {
        u32 free = 0;
        return __atomic_compare_exchange_n(&l.holder, &free, cpu + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    }
    /// Apart, and without the section: that stays in registers.
    __attribute__((noinline)) static bool acquire_contended(cpu_lock &l, u32 cpu, u32 turns) {
        if (!turns)
            turns = port_in_nmi() ? max_turns_nmi : max_turns;
        for (; turns; turns--) {
            u32 h = __atomic_load_n(&l.holder, __ATOMIC_RELAXED);
            if (h == cpu + 1)
                return false;
            if (!h && try_acquire(l, cpu))
                return true;
            __builtin_ia32_pause();
        }
        return false;
    }

    cpu_lock &l_;
    unsigned long flags_;
    u32 cpu_;
    bool held_;
};

/// Runs a user-side attempt until it does not answer -EBUSY: the lock's holder is a program on another CPU, or (in a
/// process) a thread that lost its time slice. Task context. Bounded: after that the answer stands.
template <class F> long retry_busy(F attempt) {
    long r = attempt();
    for (u32 n = 0; r == -EBUSY && n < 10000; n++) {
        port_cond_resched();
        r = attempt();
    }
    return r;
}

}  // namespace modbpf
