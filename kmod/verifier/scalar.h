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

/// Every value of `a` is a value of `b` (the pruning test: Linux's range_within and tnum_in).
bool scalar_subset(const scalar &a, const scalar &b);
bool scalar_equal(const scalar &a, const scalar &b);
/// Bring ranges and tnum into agreement, as far as Linux 6.12's reg_bounds_sync does.
void scalar_sync(scalar &s);

/// op: BPF_ADD .. BPF_ARSH (the high nibble), without NEG, MOV and END. alu32: 32-bit operation, result zero-extended.
/// As in Linux 6.12, division and modulo (is_signed: sdiv, smod) and shifts by anything but a constant below the width give
/// unknown, also in the upper half.
scalar scalar_alu(u8 op, bool alu32, bool is_signed, const scalar &dst, const scalar &src);
/// Linux 6.12 follows no negation: always unknown.
scalar scalar_neg(bool alu32, const scalar &v);
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
