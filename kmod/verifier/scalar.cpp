// SPDX-License-Identifier: GPL-2.0-only
// The 64-bit instance of the transfer functions.
#include "verifier/scalar.h"

#include "verifier/scalar_branch.h"
#include "verifier/scalar_impl.h"

namespace modbpf {

template struct basic_scalar<u64, s64, u32, s32, 64>;

void scalar_sync(scalar &s) { scalar_impl::sync(s); }

namespace {

/// Exactly one number comes out.
bool constant_result(u8 op, u64 a, u64 b, u64 *result) {
    switch (op) {
    case BPF_ADD: *result = a + b; return true;
    case BPF_SUB: *result = a - b; return true;
    case BPF_AND: *result = a & b; return true;
    case BPF_OR: *result = a | b; return true;
    case BPF_XOR: *result = a ^ b; return true;
    default: return false;
    }
}

bool knows_nothing(bool alu32, const scalar &v) {
    if (!alu32)
        return v.bits.mask == ~0ull && v.is_unknown();
    return static_cast<u32>(v.bits.mask) == ~0u && v.u32_min == 0 && v.u32_max == ~0u && v.s32_min == -2147483647 - 1 && v.s32_max == 2147483647;
}

}  // namespace

/// Two short ways, which give what the long one does (scalar_test.cpp): of two numbers that are known, and where an operand of which nothing
/// is known makes a result of which nothing is. The latter is any number of the operation's width, so that it holds every result there is.
scalar scalar_alu(u8 op, bool alu32, bool is_signed, const scalar &dst, const scalar &src) {
    u64 known;
    if (dst.is_const() && src.is_const() && constant_result(op, dst.value(), src.value(), &known))
        return scalar::constant(alu32 ? static_cast<u32>(known) : known);
    bool spreads = op == BPF_ADD || op == BPF_SUB || op == BPF_XOR;
    if (spreads && (knows_nothing(alu32, dst) || knows_nothing(alu32, src)))
        return alu32 ? scalar_impl::any_of_width<scalar>(32) : scalar::unknown();
    return scalar_impl::alu(op, alu32, dst, src);
}

scalar scalar_neg(bool alu32, const scalar &v) { return scalar::unknown(); }

scalar scalar_swap(u32 bytes, bool reverse, const scalar &v) {
    if (!v.is_const())
        return scalar::unknown();
    u64 n = v.value() << (64 - 8 * bytes);
    return scalar::constant(reverse ? __builtin_bswap64(n) : n >> (64 - 8 * bytes));
}

scalar scalar_of_bytes(u32 bytes) { return bytes < 8 ? scalar_impl::any_of_width<scalar>(bytes * 8) : scalar::unknown(); }

scalar scalar_zext(const scalar &v, u32 bytes) {
    if (v.is_const() && bytes < 8)
        return scalar::constant(v.value() & ((1ull << bytes * 8) - 1));
    return bytes < 8 ? scalar_impl::zero_extend(v, bytes * 8) : v;
}

scalar scalar_sext(const scalar &v, u32 bytes) { return bytes < 8 ? scalar_impl::sign_extend(v, bytes * 8) : v; }

scalar scalar_sext32(const scalar &v, u32 bytes) {
    return bytes < 4 ? scalar_impl::sign_extend_half(v, bytes * 8) : scalar_impl::zero_extend(v, 32);
}

branch scalar_branch(u8 op, bool jmp32, const scalar &a, const scalar &b) { return scalar_impl::decide(op, jmp32, a, b); }

u8 branch_flip(u8 op) {
    switch (op) {
    case BPF_JGT: return BPF_JLT;
    case BPF_JGE: return BPF_JLE;
    case BPF_JLT: return BPF_JGT;
    case BPF_JLE: return BPF_JGE;
    case BPF_JSGT: return BPF_JSLT;
    case BPF_JSGE: return BPF_JSLE;
    case BPF_JSLT: return BPF_JSGT;
    case BPF_JSLE: return BPF_JSGE;
    default: return op;
    }
}

bool scalar_assume(u8 op, bool jmp32, scalar &a, scalar &b) { return scalar_impl::assume(op, jmp32, a, b); }

bool scalar_assume_not(u8 op, bool jmp32, scalar &a, scalar &b) { return scalar_impl::assume_not(op, jmp32, a, b); }

}  // namespace modbpf
