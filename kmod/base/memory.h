// SPDX-License-Identifier: GPL-2.0-only
// Ownership: own<T> is the unique owner, ref<T> holds one intrusive reference. A raw pointer is a borrow.
//
// Allocation states its context and can fail; constructors cannot. make<T>() is the only way to create an object.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include "port/port.h"

namespace modbpf {

/// Allocates and constructs; -> null when out of memory. Free with destroy() or hold in own<T>.
template <class T, class... A> T *make(port_alloc_ctx ctx, A &&...a) {
    void *p = port_alloc(sizeof(T), ctx);
    return p ? new (place, p) T(forward<A>(a)...) : nullptr;
}
template <class T> void destroy(T *p) {
    if (p) {
        p->~T();
        port_free(p);
    }
}

/// The same in scratch memory, for what goes within one call into the core: a member without an initialiser holds anything.
template <class T, class... A> T *make_scratch(A &&...a) {
    void *p = port_scratch_alloc(sizeof(T));
    return p ? new (place, p) T(forward<A>(a)...) : nullptr;
}
template <class T> void destroy_scratch(T *p) {
    if (p) {
        p->~T();
        port_scratch_free(p, sizeof(T));
    }
}

template <class T> class own {
public:
    constexpr own() = default;
    explicit own(T *p) : p_(p) {}
    own(own &&o) noexcept : p_(o.release()) {}
    own &operator=(own &&o) noexcept {
        if (this != &o) {
            destroy(p_);
            p_ = o.release();
        }
        return *this;
    }
    own(const own &) = delete;
    own &operator=(const own &) = delete;
    ~own() { destroy(p_); }

    T *get() const { return p_; }
    T *operator->() const { return p_; }
    T &operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }
    [[nodiscard]] T *release() {
        T *p = p_;
        p_ = nullptr;
        return p;
    }

private:
    T *p_ = nullptr;
};

/// Base of reference-counted objects. Starts at one reference, the creator's. T defines `static void dispose(T *)`,
/// called with the last reference gone, in the context of that put (any context that may put: atomic, not NMI).
template <class T> class refcounted {
public:
    void get() { __atomic_fetch_add(&refs_, 1, __ATOMIC_RELAXED); }
    /// For look-ups under RCU: false when the object is already on its way out.
    bool try_get() {
        u64 r = __atomic_load_n(&refs_, __ATOMIC_RELAXED);
        while (r)
            if (__atomic_compare_exchange_n(&refs_, &r, r + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return true;
        return false;
    }
    void put() {
        if (drop_ref())
            T::dispose(static_cast<T *>(this));
    }
    /// For who cannot dispose where it puts: true when the caller must have it done.
    [[nodiscard]] bool drop_ref() { return __atomic_fetch_sub(&refs_, 1, __ATOMIC_ACQ_REL) == 1; }
    u64 refs() const { return __atomic_load_n(&refs_, __ATOMIC_RELAXED); }

private:
    u64 refs_ = 1; ///< 64 bits: slots of maps of maps hold references, and memory has room for more than 2^32 of them
};

struct adopt_t {};
inline constexpr adopt_t adopt{};

template <class T> class ref {
public:
    constexpr ref() = default;
    /// Takes over the caller's reference.
    ref(adopt_t, T *p) : p_(p) {}
    /// Takes one more reference.
    explicit ref(T *p) : p_(p) {
        if (p_)
            p_->get();
    }
    ref(const ref &o) : ref(o.p_) {}
    ref(ref &&o) noexcept : p_(o.release()) {}
    ref &operator=(ref o) noexcept {
        swap(p_, o.p_);
        return *this;
    }
    ~ref() {
        if (p_)
            p_->put();
    }
    T *get() const { return p_; }
    T *operator->() const { return p_; }
    T &operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }
    /// Gives the reference to the caller.
    [[nodiscard]] T *release() {
        T *p = p_;
        p_ = nullptr;
        return p;
    }

private:
    T *p_ = nullptr;
};

}  // namespace modbpf
