// SPDX-License-Identifier: GPL-2.0-only
// vec<T>: a growable array, task context (allocations sleep). Growth can fail and says so; elements move by move
// construction. Index below size() is the caller's duty. scratch_vec<T>: the same for what goes within one call into the core, as what a load
// works with does: its memory comes from blocks that are kept for the next one.
#pragma once

#include "base/memory.h"
#include "base/result.h"
#include "base/span.h"

namespace modbpf {

struct heap_blocks {
    static void *alloc(size_t size) { return port_alloc(size, PORT_SLEEPING); }
    static void *alloc_zeroed(size_t size) { return alloc(size); }
    static void free(void *p, size_t) { port_free(p); }
};
struct scratch_blocks {
    static void *alloc(size_t size) { return port_scratch_alloc(size); }
    static void *alloc_zeroed(size_t size) {
        void *p = alloc(size);
        return p ? memset(p, 0, size) : nullptr;
    }
    static void free(void *p, size_t size) { port_scratch_free(p, size); }
};

template <class T, class B = heap_blocks> class vec {
public:
    vec() = default;
    vec(vec &&o) noexcept : p_(o.p_), n_(o.n_), cap_(o.cap_) { o.p_ = nullptr, o.n_ = o.cap_ = 0; }
    vec &operator=(vec &&o) noexcept {
        swap(p_, o.p_), swap(n_, o.n_), swap(cap_, o.cap_);
        return *this;
    }
    vec(const vec &) = delete;
    vec &operator=(const vec &) = delete;
    ~vec() {
        clear();
        release();
    }

    size_t size() const { return n_; }
    bool empty() const { return n_ == 0; }
    T *data() { return p_; }
    const T *data() const { return p_; }
    T &operator[](size_t i) { return p_[i]; }
    const T &operator[](size_t i) const { return p_[i]; }
    T &back() { return p_[n_ - 1]; }
    T *begin() { return p_; }
    T *end() { return p_ + n_; }
    const T *begin() const { return p_; }
    const T *end() const { return p_ + n_; }
    span<T> view() { return {p_, n_}; }
    span<const T> view() const { return {p_, n_}; }

    status reserve(size_t want) {
        if (want <= cap_)
            return {};
        size_t cap = max(want, max<size_t>(cap_ + cap_ / 2, first_bytes / sizeof(T)));
        u64 bytes;
        if (__builtin_mul_overflow(static_cast<u64>(cap), sizeof(T), &bytes))
            return error(ENOMEM);
        T *p = static_cast<T *>(B::alloc(bytes));
        if (!p)
            return error(ENOMEM);
        for (size_t i = 0; i < n_; i++) {
            new (place, p + i) T(move(p_[i]));
            p_[i].~T();
        }
        release();
        p_ = p, cap_ = cap;
        return {};
    }
    bool has_room(size_t more) const { return cap_ - n_ >= more; }
    status push(T v) {
        TRY(reserve(n_ + 1));
        new (place, p_ + n_++) T(move(v));
        return {};
    }
    /// As push(), where reserve() has made room for it.
    void append(T v) { new (place, p_ + n_++) T(move(v)); }
    /// The same of a default one, made in its place.
    T &append_new() { return *new (place, p_ + n_++) T(); }
    /// Grows with value-initialised elements, or drops the tail.
    status resize(size_t n) {
        TRY(reserve(n));
        while (n_ < n)
            new (place, p_ + n_++) T();
        while (n_ > n)
            p_[--n_].~T();
        return {};
    }
    /// Becomes `n` elements of zero bytes: for a T whose default value is that.
    status resize_zeroed(size_t n)
        requires(__is_trivially_copyable(T))
    {
        clear();
        release();
        p_ = nullptr, cap_ = 0;
        u64 bytes;
        if (__builtin_mul_overflow(static_cast<u64>(n), sizeof(T), &bytes))
            return error(ENOMEM);
        if (n && !(p_ = static_cast<T *>(B::alloc_zeroed(bytes))))
            return error(ENOMEM);
        n_ = cap_ = n;
        return {};
    }
    /// The same elements as `o`, in no more memory than they need. ENOMEM: unchanged.
    status copy_from(const vec &o)
        requires(__is_trivially_copyable(T))
    {
        if (o.n_ > cap_) {
            T *p = static_cast<T *>(B::alloc(o.n_ * sizeof(T)));
            if (!p)
                return error(ENOMEM);
            release();
            p_ = p, cap_ = o.n_;
        }
        n_ = o.n_;
        if (n_)
            memcpy(static_cast<void *>(p_), o.p_, n_ * sizeof(T));
        return {};
    }
    void pop() { p_[--n_].~T(); }
    void clear() {
        while (n_)
            pop();
    }

private:
    void release() {
        if (p_) // most have never grown, and a call costs a return
            B::free(p_, cap_ * sizeof(T));
    }

    static constexpr size_t first_bytes = 64; ///< a line of the cache: smaller blocks save nothing

    T *p_ = nullptr;
    size_t n_ = 0;
    size_t cap_ = 0;
};

template <class T> using scratch_vec = vec<T, scratch_blocks>;

}  // namespace modbpf
