// SPDX-License-Identifier: GPL-2.0-only
// tnum (tristate number): what is known about each bit of a word. A pure value type without state, locks or allocation.
//
// Terms: bit i is known to be value[i] where mask[i] = 0, and unknown where mask[i] = 1 (value[i] is then 0). The
// concretisation of {value, mask} is { x : (x & ~mask) == value }. A pair with value & mask != 0 stands for no value at all;
// operations never make one out of two proper tnums, except intersect() of tnums that share no value, which the caller
// must exclude (overlap()).
//
// Soundness: for all x in A, y in B: x op y is in op(A, B). tnum_test.cpp checks it for all pairs at 6 bits and at random at
// 64. All functions are templates over the word type W (anything with unsigned wrap-around operators) and the width N, so
// that the shipped code itself is what tests and proofs run at other widths. Precision is that of Linux 6.12's tnum.c;
// reference: Vishwanathan et al., "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers", CGO 2022.
#pragma once

#include "base/types.h"

namespace modbpf {

/// `w` with every bit below its highest set as well.
template <class W> constexpr W fill_below_top(W w, unsigned bits) {
    for (unsigned s = 1; s < bits; s <<= 1)
        w = static_cast<W>(w | static_cast<W>(w >> s));
    return w;
}

template <class W, unsigned N> struct basic_tnum {
    W value;
    W mask;

    static constexpr W ones() { return static_cast<W>(~W(0)) >> (sizeof_bits() - N); }
    static constexpr basic_tnum unknown() { return {W(0), ones()}; }
    static constexpr basic_tnum constant(W v) { return {static_cast<W>(v & ones()), W(0)}; }
    /// The smallest tnum with all of [lo, hi], lo <= hi: the common high bits are known.
    static constexpr basic_tnum range(W lo, W hi) {
        W differ = fill_below_top(static_cast<W>(lo ^ hi), N);
        return {static_cast<W>(lo & ~differ), differ};
    }

    constexpr bool is_const() const { return mask == W(0); }
    constexpr bool is_unknown() const { return mask == ones(); }
    constexpr W umin() const { return value; }
    constexpr W umax() const { return value | mask; }
    constexpr bool contains(W x) const { return static_cast<W>(x & ~mask & ones()) == value; }
    /// Is it a proper, non-empty tnum?
    constexpr bool valid() const { return static_cast<W>(value & mask) == W(0); }
    constexpr bool operator==(const basic_tnum &o) const { return value == o.value && mask == o.mask; }

private:
    static constexpr unsigned sizeof_bits() {
        if constexpr (requires { W::bits; })
            return W::bits;
        else
            return sizeof(W) * 8;
    }
};

using tnum = basic_tnum<u64, 64>;

/// Is there a number of `t` in [lo, hi], unsigned? Every number of t is its value plus some of its unknown bits, so the least one from lo on
/// is found by the least choice of bits that makes up for lo - value: that difference itself where it is such a choice; else what lies
/// above its highest bit that cannot be chosen, counted up by one within the unknown bits.
template <class W, unsigned N> constexpr bool tnum_meets(basic_tnum<W, N> t, W lo, W hi) {
    W need = static_cast<W>((lo - t.value) & (basic_tnum<W, N>::ones()));
    W fixed = fill_below_top(static_cast<W>(need & ~t.mask), N);
    W next = static_cast<W>(static_cast<W>(static_cast<W>(need | ~t.mask | fixed) + W(1)) & t.mask);
    if (!(t.value < lo))
        return !(hi < t.value);
    if (t.umax() < lo)
        return false;
    return !(hi < static_cast<W>(t.value | (fixed == W(0) ? need : next)));
}

/// With both sums at their least (values) and at their most (values + masks), the bits that differ may have got a carry.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_add(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W least = a.value + b.value;
    W most = least + a.mask + b.mask;
    W unknown = ((most ^ least) | a.mask | b.mask) & basic_tnum<W, N>::ones();
    return {static_cast<W>(least & ~unknown & (basic_tnum<W, N>::ones())), unknown};
}

/// As for the sum: the largest difference has a's unknown bits set, the smallest has b's.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_sub(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W diff = a.value - b.value;
    W borrow = static_cast<W>(diff + a.mask) ^ static_cast<W>(diff - b.mask);
    W unknown = (borrow | a.mask | b.mask) & basic_tnum<W, N>::ones();
    return {static_cast<W>(diff & ~unknown & (basic_tnum<W, N>::ones())), unknown};
}

template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_neg(basic_tnum<W, N> a) {
    return tnum_sub(basic_tnum<W, N>::constant(W(0)), a);
}

/// A result bit is 1 where both are, 0 where either is known 0.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_and(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W both = a.value & b.value;
    return {both, static_cast<W>(a.umax() & b.umax() & ~both)};
}

template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_or(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W either = a.value | b.value;
    return {either, static_cast<W>((a.mask | b.mask) & ~either)};
}

template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_xor(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W unknown = a.mask | b.mask;
    return {static_cast<W>((a.value ^ b.value) & ~unknown), unknown};
}

/// Shift amounts are below N.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_lshift(basic_tnum<W, N> a, unsigned n) {
    return {static_cast<W>(static_cast<W>(a.value << n) & (basic_tnum<W, N>::ones())),
            static_cast<W>(static_cast<W>(a.mask << n) & (basic_tnum<W, N>::ones()))};
}

template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_rshift(basic_tnum<W, N> a, unsigned n) {
    return {static_cast<W>(a.value >> n), static_cast<W>(a.mask >> n)};
}

/// Arithmetic right shift of the low `width` bits (n < width <= N); the bits above come out as zero. An unknown sign
/// spreads as unknown.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_arshift(basic_tnum<W, N> a, unsigned n, unsigned width) {
    W all = (basic_tnum<W, N>::ones()) >> (N - width);
    W fill = all & ~static_cast<W>(all >> n);
    auto shift = [&](W w) {
        W sign = static_cast<W>(w >> (width - 1)) & W(1);
        return static_cast<W>(static_cast<W>(static_cast<W>(w & all) >> n) | (static_cast<W>(W(0) - sign) & fill));
    };
    return {shift(a.value), shift(a.mask)};
}

/// One row of tnum_mul: bit `i` of `a`, and `row` is b << i. `acc` has the bits that all rows up to here may add to the known product.
template <class W, unsigned N> constexpr W tnum_mul_row(W acc, basic_tnum<W, N> a, basic_tnum<W, N> row, unsigned i) {
    auto all_if = [&](W w) { return static_cast<W>(W(0) - static_cast<W>(static_cast<W>(w >> i) & W(1))); };
    W extra = static_cast<W>((row.mask & all_if(a.value)) | (row.umax() & all_if(a.mask)));
    return static_cast<W>(static_cast<W>(acc + extra) | acc | extra);
}

/// Long multiplication: the product of the known parts, plus for each bit i of `a` what b << i can add to it: b's unknown bits
/// when bit i is 1, any of b's possible bits when it is unknown. Only sums of {0, mask} tnums are accumulated.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_mul(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W acc = W(0);
    basic_tnum<W, N> row = b;
    for (unsigned i = 0; i < N; i++) {
        acc = tnum_mul_row(acc, a, row, i);
        row = tnum_lshift(row, 1);
    }
    W known = a.value * b.value;
    return tnum_add(basic_tnum<W, N>::constant(known), basic_tnum<W, N>{W(0), static_cast<W>(acc & (basic_tnum<W, N>::ones()))});
}

/// Do they share a value?
template <class W, unsigned N> constexpr bool tnum_overlap(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    return static_cast<W>((a.value ^ b.value) & ~a.mask & ~b.mask) == W(0);
}

/// The values of both, which must overlap; a bit on which they disagree comes out as 1.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_intersect(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W unknown = a.mask & b.mask;
    return {static_cast<W>((a.value | b.value) & ~unknown), unknown};
}

/// The smallest tnum with the values of either.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_union(basic_tnum<W, N> a, basic_tnum<W, N> b) {
    W unknown = a.mask | b.mask | static_cast<W>(a.value ^ b.value);
    return {static_cast<W>(a.value & ~unknown), unknown};
}

/// Is every value of `inner` one of `outer`?
template <class W, unsigned N> constexpr bool tnum_in(basic_tnum<W, N> outer, basic_tnum<W, N> inner) {
    return static_cast<W>(inner.mask & ~outer.mask) == W(0) && static_cast<W>(inner.value & ~outer.mask) == outer.value;
}

/// The low `width` bits, 0 < width <= N; the rest is known zero.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_truncate(basic_tnum<W, N> a, unsigned width) {
    W keep = (basic_tnum<W, N>::ones()) >> (N - width);
    return {static_cast<W>(a.value & keep), static_cast<W>(a.mask & keep)};
}
/// The low `bytes` bytes.
constexpr tnum tnum_cast(tnum a, u32 bytes) { return tnum_truncate(a, bytes * 8); }

// Halves: the low N / 2 bits are the 32-bit subregister.
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_subreg(basic_tnum<W, N> a) { return tnum_truncate(a, N / 2); }
template <class W, unsigned N> constexpr basic_tnum<W, N> tnum_clear_subreg(basic_tnum<W, N> a) {
    return tnum_lshift(tnum_rshift(a, N / 2), N / 2);
}
template <class W, unsigned N>
constexpr basic_tnum<W, N> tnum_with_subreg(basic_tnum<W, N> reg, basic_tnum<W, N> low) {
    return tnum_or(tnum_clear_subreg(reg), tnum_subreg(low));
}
constexpr tnum tnum_const_subreg(tnum a, u32 value) { return tnum_with_subreg(a, tnum::constant(value)); }

/// Is every value a multiple of `size`, a power of two? 0: yes.
constexpr bool tnum_is_aligned(tnum a, u64 size) { return !size || !((a.value | a.mask) & (size - 1)); }

}  // namespace modbpf
