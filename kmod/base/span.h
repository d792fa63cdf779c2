// SPDX-License-Identifier: GPL-2.0-only
// span<T>: a borrowed view of an array that knows its length; the caller keeps indices below size().
#pragma once

#include "base/types.h"

namespace modbpf {

template <class T> class span {
public:
    constexpr span() = default;
    constexpr span(T *p, size_t n) : p_(p), n_(n) {}
    template <size_t N> constexpr span(T (&a)[N]) : p_(a), n_(N) {}
    template <class U>
        requires same_type<const U, T>
    constexpr span(span<U> o) : p_(o.data()), n_(o.size()) {}

    constexpr T *data() const { return p_; }
    constexpr size_t size() const { return n_; }
    constexpr bool empty() const { return n_ == 0; }
    constexpr T &operator[](size_t i) const { return p_[i]; }
    constexpr T *begin() const { return p_; }
    constexpr T *end() const { return p_ + n_; }
    /// The `n` elements from `off`; the caller has checked that they are there.
    constexpr span sub(size_t off, size_t n) const { return {p_ + off, n}; }
    constexpr span from(size_t off) const { return {p_ + off, n_ - off}; }

private:
    T *p_ = nullptr;
    size_t n_ = 0;
};

}  // namespace modbpf
