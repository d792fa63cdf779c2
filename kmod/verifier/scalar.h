// SPDX-License-Identifier: GPL-2.0-only
// scalar: the abstract value of a 64-bit register that holds a number: a tnum (which bits are known) and ranges
// (unsigned and signed, in 64 and 32 bits), kept in agreement. A pure value type: no verifier state is touched here.
//
// Soundness (LADDER V1): for every operation and all concrete a in A, b in B: op(a, b) is in scalar_op(A, B). Tested exhaustively at
// small widths, at random at 64 bits, and by proof. Precision: at least that of Linux 6.12's reg_bounds, whose
// results appear in log texts that tests match.
#pragma once

#include "base/types.h"
#include "verifier/tnum.h"

namespace modbpf {

/// U, S: the word, unsigned and signed, of N bits; UH, SH: its low half. The functions are templates (scalar_impl.h), so that
/// tests run the shipped code at 8 bits exhaustively; scalar.cpp instantiates them at 64.
template <class U, class S, class UH, class SH, unsigned N> struct basic_scalar {
    using word = U;
    using sword = S;
    using half = UH;
    using shalf = SH;
    using bits_type = basic_tnum<U, N>;
    static constexpr unsigned width = N;

    bits_type bits;
    U umin, umax;
    S smin, smax;
    UH u32_min, u32_max;
    SH s32_min, s32_max;

    static basic_scalar unknown();
    static basic_scalar constant(U v);
    bool is_const() const { return bits.is_const(); }
    U value() const { return bits.value; } ///< of a constant
    bool is_const32() const { return tnum_subreg(bits).is_const(); } ///< low half known
    bool is_unknown() const;
    bool contains(U v) const;
    /// Invariants V2: every min <= max, tnum and ranges share a value, constants agree.
    bool valid() const;
};
using scalar = basic_scalar<u64, s64, u32, s32, 64>;

// What is used at nearly every instruction is here to be inlined; the rest of the templates is in scalar_impl.h.
namespace scalar_impl {

/// The least and greatest numbers of a width: all in one place, derived from the unsigned type.
template <class U, class S, unsigned N> struct limits {
    static constexpr U top() { return static_cast<U>(U(1) << (N - 1)); }
    static constexpr U umax() { return static_cast<U>(~U(0)); }
    static constexpr S smin() { return static_cast<S>(top()); }
    static constexpr S smax() { return static_cast<S>(static_cast<U>(top() - U(1))); }
};
template <class V> using word_limits = limits<typename V::word, typename V::sword, V::width>;
template <class V> using half_limits = limits<typename V::half, typename V::shalf, V::width / 2>;

template <class V> inline void forget_word(V &v) {
    v.umin = typename V::word(0), v.umax = word_limits<V>::umax();
    v.smin = word_limits<V>::smin(), v.smax = word_limits<V>::smax();
}
template <class V> inline void forget_half(V &v) {
    v.u32_min = typename V::half(0), v.u32_max = half_limits<V>::umax();
    v.s32_min = half_limits<V>::smin(), v.s32_max = half_limits<V>::smax();
}

template <class V> inline bool same(const V &a, const V &b) {
    return a.bits == b.bits && a.umin == b.umin && a.umax == b.umax && a.smin == b.smin && a.smax == b.smax &&
           a.u32_min == b.u32_min && a.u32_max == b.u32_max && a.s32_min == b.s32_min && a.s32_max == b.s32_max;
}

template <class V> inline bool subset(const V &a, const V &b) {
    return b.umin <= a.umin && a.umax <= b.umax && b.smin <= a.smin && a.smax <= b.smax && b.u32_min <= a.u32_min &&
           a.u32_max <= b.u32_max && b.s32_min <= a.s32_min && a.s32_max <= b.s32_max && tnum_in(b.bits, a.bits);
}

}  // namespace scalar_impl

template <class U, class S, class UH, class SH, unsigned N>
inline basic_scalar<U, S, UH, SH, N> basic_scalar<U, S, UH, SH, N>::unknown() {
    basic_scalar v;
    v.bits = bits_type::unknown();
    scalar_impl::forget_word(v);
    scalar_impl::forget_half(v);
    return v;
}

template <class U, class S, class UH, class SH, unsigned N>
inline basic_scalar<U, S, UH, SH, N> basic_scalar<U, S, UH, SH, N>::constant(U c) {
    basic_scalar v;
    v.bits = bits_type::constant(c);
    v.umin = v.umax = c;
    v.smin = v.smax = static_cast<S>(c);
    v.u32_min = v.u32_max = static_cast<UH>(c);
    v.s32_min = v.s32_max = static_cast<SH>(v.u32_min);
    return v;
}

/// Every value of `a` is a value of `b` (the pruning test: Linux's range_within and tnum_in).
inline bool scalar_subset(const scalar &a, const scalar &b) { return scalar_impl::subset(a, b); }
inline bool scalar_equal(const scalar &a, const scalar &b) { return scalar_impl::same(a, b); }
/// Bring ranges and tnum into agreement, as far as Linux 6.12's reg_bounds_sync does.
void scalar_sync(scalar &s);

/// op: BPF_ADD .. BPF_ARSH (the high nibble), without NEG, MOV and END. alu32: 32-bit operation, result zero-extended.
/// As in Linux 6.12, division and modulo (is_signed: sdiv, smod) and shifts by anything but a constant below the width give
/// unknown, also in the upper half.
scalar scalar_alu(u8 op, bool alu32, bool is_signed, const scalar &dst, const scalar &src);
/// Linux 6.12 follows no negation, and tests of its messages rely on that: always unknown.
scalar scalar_neg(bool alu32, const scalar &v);
/// The low `bytes` bytes (2, 4, 8) of a constant, reversed or not; else unknown.
scalar scalar_swap(u32 bytes, bool reverse, const scalar &v);
/// Any number of `bytes` bytes (1, 2, 4, 8): scalar_zext(unknown, bytes).
scalar scalar_of_bytes(u32 bytes);
/// Keeps the low `bytes` bytes (1, 2, 4): zero- or sign-extended to 64 bits.
scalar scalar_zext(const scalar &v, u32 bytes);
scalar scalar_sext(const scalar &v, u32 bytes);
/// MOVSX with alu32: sign-extend to 32 bits, upper half zero.
scalar scalar_sext32(const scalar &v, u32 bytes);

enum class branch : u8 { unknown, taken, not_taken };
/// Can `a op b` (op: BPF_JEQ .. BPF_JSLE) be decided? jmp32 compares the low halves.
branch scalar_branch(u8 op, bool jmp32, const scalar &a, const scalar &b);
/// `a op b` is `b flip(op) a`.
u8 branch_flip(u8 op);
/// Narrow a and b under the assumption that `a op b` holds. False: it cannot hold (then a and b are unspecified).
bool scalar_assume(u8 op, bool jmp32, scalar &a, scalar &b);
/// The opposite comparison (JGT -> JLE ...); JSET has none: see scalar_assume_not.
bool scalar_assume_not(u8 op, bool jmp32, scalar &a, scalar &b);

/// Linux's text, without "scalar(" and ")": "smin=0,smax=umax=255,var_off=(0x0; 0xff)". Returns the length.
int scalar_format(char *buf, u32 size, const scalar &s);

}  // namespace modbpf
