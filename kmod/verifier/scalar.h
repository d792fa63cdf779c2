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

struct scalar {
    tnum bits;
    u64 umin, umax;
    s64 smin, smax;
    u32 u32_min, u32_max;
    s32 s32_min, s32_max;

    static scalar unknown();
    static scalar constant(u64 v);
    bool is_const() const { return bits.is_const(); }
    u64 value() const { return bits.value; } ///< of a constant
    bool is_const32() const;                 ///< low 32 bits known
    bool is_unknown() const;
    bool contains(u64 v) const;
    /// Invariants V2: every min <= max, tnum and ranges share a value.
    bool valid() const;
};

/// Every value of `a` is a value of `b` (the pruning test: Linux's range_within and tnum_in).
bool scalar_subset(const scalar &a, const scalar &b);
bool scalar_equal(const scalar &a, const scalar &b);
/// Bring ranges and tnum into agreement, as far as Linux 6.12's reg_bounds_sync does.
void scalar_sync(scalar &s);

/// op: BPF_ADD .. BPF_ARSH (the high nibble), without NEG, MOV and END. alu32: 32-bit operation, result zero-extended.
/// Division and modulo: off = 1 is the signed form (sdiv, smod). Shift amounts that may exceed the width give unknown.
scalar scalar_alu(u8 op, bool alu32, bool is_signed, const scalar &dst, const scalar &src);
scalar scalar_neg(bool alu32, const scalar &v);
/// Keeps the low `bytes` bytes (1, 2, 4): zero- or sign-extended to 64 bits.
scalar scalar_zext(const scalar &v, u32 bytes);
scalar scalar_sext(const scalar &v, u32 bytes);
/// MOVSX with alu32: sign-extend to 32 bits, upper half zero.
scalar scalar_sext32(const scalar &v, u32 bytes);

enum class branch : u8 { unknown, taken, not_taken };
/// Can `a op b` (op: BPF_JEQ .. BPF_JSLE) be decided? jmp32 compares the low halves.
branch scalar_branch(u8 op, bool jmp32, const scalar &a, const scalar &b);
/// Narrow a and b under the assumption that `a op b` holds. False: it cannot hold (then a and b are unspecified).
bool scalar_assume(u8 op, bool jmp32, scalar &a, scalar &b);
/// The opposite comparison (JGT -> JLE ...); JSET has none: see scalar_assume_not.
bool scalar_assume_not(u8 op, bool jmp32, scalar &a, scalar &b);

/// Linux's text, without "scalar(" and ")": "smin=0,smax=umax=255,var_off=(0x0; 0xff)". Returns the length.
int scalar_format(char *buf, u32 size, const scalar &s);

}  // namespace modbpf
