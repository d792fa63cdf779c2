// SPDX-License-Identifier: GPL-2.0-only
// What each arithmetic operation and comparison yields, on concrete values: the one place that says it. Interpreter
// and tests
// (of the JIT, of the verifier's abstract domains) share it. Reference: RFC 9669 sections 4.1 to 4.3.
//
// Pure, constexpr. 32-bit forms take and give values whose upper half is zero in the result, arbitrary in the operands.
#pragma once

#include "base/bpf.h"

namespace modbpf {

/// Quotient and remainder never trap: x / 0 = 0, x % 0 = x, MIN / -1 = MIN, MIN % -1 = 0. T: s32 or s64, U its
/// unsigned twin.
template <class T, class U> constexpr U divide(U a, U b, bool is_signed) {
    if (b == 0)
        return 0;
    if (!is_signed)
        return a / b;
    if (static_cast<T>(b) == -1)
        return U{0} - a;
    return static_cast<U>(static_cast<T>(a) / static_cast<T>(b));
}
template <class T, class U> constexpr U modulo(U a, U b, bool is_signed) {
    if (b == 0)
        return a;
    if (!is_signed)
        return a % b;
    if (static_cast<T>(b) == -1)
        return 0;
    return static_cast<U>(static_cast<T>(a) % static_cast<T>(b));
}

/// op: BPF_ADD .. BPF_ARSH without NEG, MOV, END. Shift counts are taken modulo the width.
template <class T, class U> constexpr U alu_apply(u8 op, U a, U b, bool is_signed) {
    constexpr U mask = sizeof(U) * 8 - 1;
    switch (op) {
        case BPF_ADD:
            return a + b;
        case BPF_SUB:
            return a - b;
        case BPF_MUL:
            return a * b;
        case BPF_DIV:
            return divide<T, U>(a, b, is_signed);
        case BPF_MOD:
            return modulo<T, U>(a, b, is_signed);
        case BPF_OR:
            return a | b;
        case BPF_AND:
            return a & b;
        case BPF_XOR:
            return a ^ b;
        case BPF_LSH:
            return a << (b & mask);
        case BPF_RSH:
            return a >> (b & mask);
        default:  // BPF_ARSH
            return static_cast<U>(static_cast<T>(a) >> (b & mask));
    }
}
/// width 4: on the low halves, result zero-extended.
constexpr u64 alu_value(u8 op, u8 width, bool is_signed, u64 a, u64 b) {
    if (width == 4)
        return alu_apply<s32, u32>(op, static_cast<u32>(a), static_cast<u32>(b), is_signed);
    return alu_apply<s64, u64>(op, a, b, is_signed);
}

/// Sign-extends the low `bytes` bytes to 64 bits.
constexpr u64 sign_extend(u64 v, u8 bytes) {
    u32 shift = 64 - 8u * bytes;
    return static_cast<u64>(static_cast<s64>(v << shift) >> shift);
}
constexpr u64 truncate(u64 v, u8 bytes) {
    return bytes == 8 ? v : v & ((1ull << 8 * bytes) - 1);
}
/// The low `bytes` bytes (2, 4, 8) reversed, the rest zero.
constexpr u64 byte_swap(u64 v, u8 bytes) {
    return __builtin_bswap64(v) >> (64 - 8u * bytes);
}

template <class T, class U> constexpr bool compare(u8 op, U a, U b) {
    auto sa = static_cast<T>(a), sb = static_cast<T>(b);
    switch (op) {
        case BPF_JEQ:
            return a == b;
        case BPF_JNE:
            return a != b;
        case BPF_JGT:
            return a > b;
        case BPF_JGE:
            return a >= b;
        case BPF_JLT:
            return a < b;
        case BPF_JLE:
            return a <= b;
        case BPF_JSGT:
            return sa > sb;
        case BPF_JSGE:
            return sa >= sb;
        case BPF_JSLT:
            return sa < sb;
        case BPF_JSLE:
            return sa <= sb;
        default:  // BPF_JSET
            return (a & b) != 0;
    }
}
constexpr bool branch_taken(u8 op, u8 width, u64 a, u64 b) {
    if (width == 4)
        return compare<s32, u32>(op, static_cast<u32>(a), static_cast<u32>(b));
    return compare<s64, u64>(op, a, b);
}

}  // namespace modbpf
