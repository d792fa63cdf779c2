// SPDX-License-Identifier: GPL-2.0-only
// Integers of B bits for tests: the transfer functions of scalar_impl.h instantiate with them, so that the shipped code runs
// exhaustively at widths where all numbers can be tried.
#pragma once

#include <compare>
#include <type_traits>

#include "base/types.h"

namespace modbpf {

template <unsigned B, bool Signed> struct small_int {
    static constexpr unsigned bits = B;
    s64 v = 0; ///< always the canonical value of the B-bit number

    constexpr small_int() = default;
    template <class T>
        requires(std::is_integral_v<T>)
    explicit constexpr small_int(T x) : v(wrap(static_cast<s64>(x))) {}
    template <unsigned C, bool S> explicit constexpr small_int(small_int<C, S> x) : v(wrap(x.v)) {}
    template <class T>
        requires(std::is_integral_v<T>)
    explicit constexpr operator T() const {
        return static_cast<T>(v);
    }

    static constexpr s64 wrap(s64 x) {
        u64 low = static_cast<u64>(x) << (64 - B);
        return Signed ? static_cast<s64>(low) >> (64 - B) : static_cast<s64>(low >> (64 - B));
    }
    friend constexpr small_int operator+(small_int a, small_int b) { return small_int(a.v + b.v); }
    friend constexpr small_int operator-(small_int a, small_int b) { return small_int(a.v - b.v); }
    friend constexpr small_int operator*(small_int a, small_int b) { return small_int(a.v * b.v); }
    friend constexpr small_int operator&(small_int a, small_int b) { return small_int(a.v & b.v); }
    friend constexpr small_int operator|(small_int a, small_int b) { return small_int(a.v | b.v); }
    friend constexpr small_int operator^(small_int a, small_int b) { return small_int(a.v ^ b.v); }
    constexpr small_int operator~() const { return small_int(~v); }
    constexpr small_int operator<<(unsigned n) const { return small_int(n < B ? v << n : 0); }
    constexpr small_int operator>>(unsigned n) const { return small_int(n < B ? v >> n : (v < 0 ? -1 : 0)); }
    constexpr auto operator<=>(const small_int &) const = default;
    constexpr bool operator==(const small_int &) const = default;
};

template <unsigned B> using small_uint = small_int<B, false>;
template <unsigned B> using small_sint = small_int<B, true>;

}  // namespace modbpf
