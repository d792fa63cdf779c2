// SPDX-License-Identifier: GPL-2.0-only
// Conformance rows: what each instruction of RFC 9669 yields for operands at the edges, worked out by hand from the
// RFC's text.
// Plain data, no code: any engine can be run against it (kmod/jit/conformance_test.cpp runs interpreter, JIT and,
// where it
// may, the machine's own kernel).
#pragma once

#include "base/bpf.h"

namespace modbpf::conformance {

inline constexpr u64 ones = ~0ull, min64 = 1ull << 63, max64 = min64 - 1;
inline constexpr u64 min32 = 1ull << 31, max32 = min32 - 1, ones32 = 0xffffffff;
inline constexpr u64 pat = 0x0123456789abcdef, tap = 0xfedcba9876543210;

/// dst = a, src = b, then `op`; every row stands for the register form, and for the immediate form when b is a
/// sign-extended 32-bit number that the form allows.
struct alu_row {
    u8 op;
    u8 width;  ///< 4 or 8
    bool is_signed;
    u64 a, b, want;
};
inline constexpr alu_row alu_rows[] = {
    {BPF_ADD, 8, false, 1, 2, 3},
    {BPF_ADD, 8, false, ones, 1, 0},
    {BPF_ADD, 8, false, max64, 1, min64},
    {BPF_ADD, 8, false, ones32, 1, 1ull << 32},
    {BPF_ADD, 8, false, 5, 0 - 7ull, 0 - 2ull},
    {BPF_ADD, 8, false, pat, 0, pat},
    {BPF_ADD, 8, false, 0, 0xffffffff80000000, 0xffffffff80000000},
    {BPF_ADD, 4, false, ones, 1, 0},
    {BPF_ADD, 4, false, ones, 2, 1},
    {BPF_ADD, 4, false, pat, 0, 0x89abcdef},
    {BPF_ADD, 4, false, max32, 1, min32},
    {BPF_ADD, 4, false, 0, ones, ones32},
    {BPF_SUB, 8, false, 0, 1, ones},
    {BPF_SUB, 8, false, min64, 1, max64},
    {BPF_SUB, 8, false, 5, 0 - 7ull, 12},
    {BPF_SUB, 8, false, 1ull << 32, 1, ones32},
    {BPF_SUB, 8, false, 0, 0xffffffff80000000, 0x80000000},
    {BPF_SUB, 4, false, 0, 1, ones32},
    {BPF_SUB, 4, false, 1ull << 32, 1, ones32},
    {BPF_SUB, 4, false, min32, 1, max32},
    {BPF_SUB, 4, false, pat, 0, 0x89abcdef},
    {BPF_MUL, 8, false, 7, 6, 42},
    {BPF_MUL, 8, false, pat, 0, 0},
    {BPF_MUL, 8, false, pat, 1, pat},
    {BPF_MUL, 8, false, pat, 2, 0x02468acf13579bde},
    {BPF_MUL, 8, false, min64, 2, 0},
    {BPF_MUL, 8, false, ones, ones, 1},
    {BPF_MUL, 8, false, 1ull << 32, 1ull << 32, 0},
    {BPF_MUL, 8, false, 3, 1 << 30, 0xc0000000},
    {BPF_MUL, 8, false, 2, 0xffffffff80000000, 0xffffffff00000000},
    {BPF_MUL, 4, false, pat, 1, 0x89abcdef},
    {BPF_MUL, 4, false, 0x10000, 0x10000, 0},
    {BPF_MUL, 4, false, ones, ones, 1},
    {BPF_MUL, 4, false, 3, 0xffffffff80000000, 0x80000000},
    {BPF_MUL, 4, false, pat, 16, 0x9abcdef0},
    {BPF_DIV, 8, false, 42, 6, 7},
    {BPF_DIV, 8, false, pat, 0, 0},
    {BPF_DIV, 8, false, pat, 1, pat},
    {BPF_DIV, 8, false, ones, 2, max64},
    {BPF_DIV, 8, false, ones, ones, 1},
    {BPF_DIV, 8, false, 5, ones, 0},
    {BPF_DIV, 8, false, min64, ones, 0},
    {BPF_DIV, 8, false, ones, 10, 1844674407370955161ull},
    {BPF_DIV, 8, false, pat, 1 << 30, 0x48d159e},
    {BPF_DIV, 8, false, ones, 0xffffffff80000000, 1},
    {BPF_DIV, 4, false, pat, 0, 0},
    {BPF_DIV, 4, false, ones, 1, ones32},
    {BPF_DIV, 4, false, ones, 2, max32},
    {BPF_DIV, 4, false, 1ull << 32 | 42, 1ull << 33 | 6, 7},
    {BPF_DIV, 4, false, 7, ones, 0},
    {BPF_DIV, 4, false, ones32, 0xffffffff80000000, 1},
    {BPF_DIV, 4, false, ones, 1ull << 32, 0},
    {BPF_DIV, 8, true, 0 - 42ull, 6, 0 - 7ull},
    {BPF_DIV, 8, true, 0 - 7ull, 2, 0 - 3ull},
    {BPF_DIV, 8, true, 7, 0 - 2ull, 0 - 3ull},
    {BPF_DIV, 8, true, min64, ones, min64},
    {BPF_DIV, 8, true, 5, ones, 0 - 5ull},
    {BPF_DIV, 8, true, pat, 0, 0},
    {BPF_DIV, 8, true, min64, 1, min64},
    {BPF_DIV, 8, true, 0 - 9ull, 8, ones},
    {BPF_DIV, 8, true, min64, 0xffffffff80000000, 1ull << 32},
    {BPF_DIV, 4, true, 0 - 42ull, 6, 0xfffffff9},
    {BPF_DIV, 4, true, min32, ones, min32},
    {BPF_DIV, 4, true, min32, ones32, min32},
    {BPF_DIV, 4, true, 10, 0xfffffffd, 0xfffffffd},
    {BPF_DIV, 4, true, pat, 0, 0},
    {BPF_DIV, 4, true, 1ull << 32 | 9, 4, 2},
    {BPF_MOD, 8, false, 43, 6, 1},
    {BPF_MOD, 8, false, pat, 0, pat},
    {BPF_MOD, 8, false, pat, 1, 0},
    {BPF_MOD, 8, false, ones, 16, 15},
    {BPF_MOD, 8, false, ones, 10, 5},
    {BPF_MOD, 8, false, 5, ones, 5},
    {BPF_MOD, 8, false, pat, 1 << 30, 0x09abcdef},
    {BPF_MOD, 4, false, pat, 0, 0x89abcdef},
    {BPF_MOD, 4, false, ones, 10, 5},
    {BPF_MOD, 4, false, ones, 1ull << 32, ones32},
    {BPF_MOD, 4, false, ones, 0xffffffff80000000, max32},
    {BPF_MOD, 4, false, 1ull << 32 | 9, 4, 1},
    {BPF_MOD, 4, false, pat, 1, 0},
    {BPF_MOD, 8, true, 0 - 43ull, 6, ones},
    {BPF_MOD, 8, true, 43, 0 - 6ull, 1},
    {BPF_MOD, 8, true, min64, ones, 0},
    {BPF_MOD, 8, true, tap, 0, tap},
    {BPF_MOD, 8, true, 0 - 9ull, 8, ones},
    {BPF_MOD, 8, true, 7, 1, 0},
    {BPF_MOD, 4, true, 0 - 43ull, 6, ones32},
    {BPF_MOD, 4, true, min32, ones, 0},
    {BPF_MOD, 4, true, pat, 0, 0x89abcdef},
    {BPF_MOD, 4, true, 1ull << 32 | 7, 0 - 4ull, 3},
    {BPF_OR, 8, false, pat, tap, ones},
    {BPF_OR, 8, false, 0, 0xffffffff80000000, 0xffffffff80000000},
    {BPF_OR, 8, false, pat, 0, pat},
    {BPF_OR, 4, false, pat, 0, 0x89abcdef},
    {BPF_OR, 4, false, pat, tap, ones32},
    {BPF_AND, 8, false, pat, tap, 0},
    {BPF_AND, 8, false, pat, ones, pat},
    {BPF_AND, 8, false, ones, 0xff, 0xff},
    {BPF_AND, 8, false, pat, 0xff, 0xef},
    {BPF_AND, 8, false, pat, 0xffff, 0xcdef},
    {BPF_AND, 8, false, ones, max32, max32},
    {BPF_AND, 8, false, ones, 0xffffffff80000000, 0xffffffff80000000},
    {BPF_AND, 8, false, ones, 0, 0},
    {BPF_AND, 4, false, pat, ones, 0x89abcdef},
    {BPF_AND, 4, false, pat, 0xff, 0xef},
    {BPF_AND, 4, false, pat, 0xffff, 0xcdef},
    {BPF_AND, 4, false, ones, 0xffffffff80000000, 0x80000000},
    {BPF_XOR, 8, false, pat, pat, 0},
    {BPF_XOR, 8, false, pat, ones, tap},
    {BPF_XOR, 8, false, 0, 0xffffffff80000000, 0xffffffff80000000},
    {BPF_XOR, 4, false, pat, ones, 0x76543210},
    {BPF_XOR, 4, false, pat, 0, 0x89abcdef},
    {BPF_LSH, 8, false, 1, 63, min64},
    {BPF_LSH, 8, false, pat, 0, pat},
    {BPF_LSH, 8, false, pat, 64, pat},
    {BPF_LSH, 8, false, 1, 65, 2},
    {BPF_LSH, 8, false, 1, ones, min64},
    {BPF_LSH, 8, false, pat, 32, 0x89abcdef00000000},
    {BPF_LSH, 8, false, pat, 1, 0x02468acf13579bde},
    {BPF_LSH, 4, false, 1, 31, min32},
    {BPF_LSH, 4, false, pat, 0, 0x89abcdef},
    {BPF_LSH, 4, false, pat, 32, 0x89abcdef},
    {BPF_LSH, 4, false, 1, 33, 2},
    {BPF_LSH, 4, false, ones, 1, 0xfffffffe},
    {BPF_RSH, 8, false, min64, 63, 1},
    {BPF_RSH, 8, false, pat, 0, pat},
    {BPF_RSH, 8, false, pat, 64, pat},
    {BPF_RSH, 8, false, ones, 32, ones32},
    {BPF_RSH, 8, false, ones, 1, max64},
    {BPF_RSH, 4, false, ones, 1, max32},
    {BPF_RSH, 4, false, pat, 0, 0x89abcdef},
    {BPF_RSH, 4, false, pat, 32, 0x89abcdef},
    {BPF_RSH, 4, false, 1ull << 32, 1, 0},
    {BPF_RSH, 4, false, min32, 31, 1},
    {BPF_ARSH, 8, false, min64, 63, ones},
    {BPF_ARSH, 8, false, max64, 62, 1},
    {BPF_ARSH, 8, false, pat, 0, pat},
    {BPF_ARSH, 8, false, min64, 64, min64},
    {BPF_ARSH, 8, false, min32, 31, 1},
    {BPF_ARSH, 4, false, min32, 31, ones32},
    {BPF_ARSH, 4, false, pat, 0, 0x89abcdef},
    {BPF_ARSH, 4, false, pat, 4, 0xf89abcde},
    {BPF_ARSH, 4, false, min64, 1, 0},
    {BPF_ARSH, 4, false, min32, 32, min32},
    {BPF_MOV, 8, false, pat, tap, tap},
    {BPF_MOV, 8, false, pat, 0, 0},
    {BPF_MOV, 8, false, pat, ones, ones},
    {BPF_MOV, 8, false, pat, 0xffffffff80000000, 0xffffffff80000000},
    {BPF_MOV, 8, false, pat, max32, max32},
    {BPF_MOV, 4, false, pat, tap, 0x76543210},
    {BPF_MOV, 4, false, pat, ones, ones32},
    {BPF_MOV, 4, false, pat, 0, 0},
};

/// One register in, one out.
enum class unary_op : u8 { neg, movsx, le, be, bswap };
struct unary_row {
    unary_op op;
    u8 width;  ///< neg: 4, 8; movsx: of the destination; byte order: 2, 4, 8
    u8 bytes;  ///< movsx: of the source
    u64 a, want;
};
inline constexpr unary_row unary_rows[] = {
    {unary_op::neg, 8, 0, 1, ones},
    {unary_op::neg, 8, 0, 0, 0},
    {unary_op::neg, 8, 0, min64, min64},
    {unary_op::neg, 4, 0, 1, ones32},
    {unary_op::neg, 4, 0, 1ull << 32, 0},
    {unary_op::neg, 4, 0, min32, min32},
    {unary_op::movsx, 8, 1, 0x80, 0xffffffffffffff80},
    {unary_op::movsx, 8, 1, pat, 0xffffffffffffffef},
    {unary_op::movsx, 8, 1, 0xffffff7f, 0x7f},
    {unary_op::movsx, 8, 2, 0x8000, 0xffffffffffff8000},
    {unary_op::movsx, 8, 2, 0xf7fff, 0x7fff},
    {unary_op::movsx, 8, 4, min32, 0xffffffff80000000},
    {unary_op::movsx, 8, 4, 0xf7fffffff, max32},
    {unary_op::movsx, 4, 1, 0x80, 0xffffff80},
    {unary_op::movsx, 4, 1, 0xffffffffffffff7f, 0x7f},
    {unary_op::movsx, 4, 2, pat, 0xffffcdef},
    {unary_op::movsx, 4, 2, 0x17fff, 0x7fff},
    {unary_op::le, 2, 0, pat, 0xcdef},
    {unary_op::le, 4, 0, pat, 0x89abcdef},
    {unary_op::le, 8, 0, pat, pat},
    {unary_op::be, 2, 0, pat, 0xefcd},
    {unary_op::be, 4, 0, pat, 0xefcdab89},
    {unary_op::be, 8, 0, pat, 0xefcdab8967452301},
    {unary_op::bswap, 2, 0, pat, 0xefcd},
    {unary_op::bswap, 4, 0, pat, 0xefcdab89},
    {unary_op::bswap, 8, 0, pat, 0xefcdab8967452301},
};

/// if a op b
struct branch_row {
    u8 op;
    u8 width;
    u64 a, b;
    bool taken;
};
inline constexpr branch_row branch_rows[] = {
    {BPF_JEQ, 8, pat, pat, true},
    {BPF_JEQ, 8, ones32, ones, false},
    {BPF_JEQ, 8, 0, 0, true},
    {BPF_JEQ, 8, 1ull << 32, 0, false},
    {BPF_JEQ, 4, 1ull << 32, 0, true},
    {BPF_JEQ, 4, ones32, ones, true},
    {BPF_JEQ, 4, 1, 2, false},
    {BPF_JNE, 8, ones32, ones, true},
    {BPF_JNE, 8, pat, pat, false},
    {BPF_JNE, 4, 1ull << 32 | 5, 5, false},
    {BPF_JNE, 4, 5, 6, true},
    {BPF_JGT, 8, ones, 0, true},
    {BPF_JGT, 8, 0, 0, false},
    {BPF_JGT, 8, 0, ones, false},
    {BPF_JGT, 8, 1ull << 32, 5, true},
    {BPF_JGT, 4, 1ull << 32, 5, false},
    {BPF_JGT, 4, ones, max32, true},
    {BPF_JGE, 8, 5, 5, true},
    {BPF_JGE, 8, 4, 5, false},
    {BPF_JGE, 8, 0, 0, true},
    {BPF_JGE, 8, max64, min64, false},
    {BPF_JGE, 4, 0xfffffffffffffffe, ones32, false},
    {BPF_JGE, 4, 1ull << 32 | 5, 5, true},
    {BPF_JLT, 8, 4, 5, true},
    {BPF_JLT, 8, 5, 5, false},
    {BPF_JLT, 8, 0, 0, false},
    {BPF_JLT, 8, 5, ones, true},
    {BPF_JLT, 4, 1ull << 32, 1, true},
    {BPF_JLT, 4, ones, 1, false},
    {BPF_JLE, 8, 5, 5, true},
    {BPF_JLE, 8, 6, 5, false},
    {BPF_JLE, 8, 0, 0, true},
    {BPF_JLE, 4, 1ull << 32 | 6, 5, false},
    {BPF_JLE, 4, 1ull << 32 | 5, 5, true},
    {BPF_JSGT, 8, 0, ones, true},
    {BPF_JSGT, 8, min64, max64, false},
    {BPF_JSGT, 8, 1, 0, true},
    {BPF_JSGT, 8, ones, 0, false},
    {BPF_JSGT, 4, max32, ones, true},
    {BPF_JSGT, 4, min32, 0, false},
    {BPF_JSGE, 8, ones, ones, true},
    {BPF_JSGE, 8, min64, 0, false},
    {BPF_JSGE, 8, 0, 0, true},
    {BPF_JSGE, 4, min32, 0, false},
    {BPF_JSGE, 4, min64, 0, true},
    {BPF_JSLT, 8, ones, 0, true},
    {BPF_JSLT, 8, 0, 0, false},
    {BPF_JSLT, 8, max64, min64, false},
    {BPF_JSLT, 8, 0, max32, true},
    {BPF_JSLT, 4, min32, 0, true},
    {BPF_JSLT, 4, min64, 0, false},
    {BPF_JSLE, 8, min64, 0, true},
    {BPF_JSLE, 8, 1, 0, false},
    {BPF_JSLE, 8, 0, 0, true},
    {BPF_JSLE, 4, min32, ones, true},
    {BPF_JSLE, 4, 1ull << 32 | 1, 0, false},
    {BPF_JSET, 8, pat, tap, false},
    {BPF_JSET, 8, 0x80, 0x80, true},
    {BPF_JSET, 8, 1ull << 40, 0xffffffff80000000, true},
    {BPF_JSET, 8, 1ull << 40, 0x7f, false},
    {BPF_JSET, 8, 1ull << 40, max32, false},
    {BPF_JSET, 8, 0x8000, 0x8000, true},
    {BPF_JSET, 4, 1ull << 40, ones, false},
    {BPF_JSET, 4, min32, 0xffffffff80000000, true},
    {BPF_JSET, 4, 1, 0, false},
};

/// Memory holds `mem`, src and r0 the operands; afterwards what is wanted. Width 4 works on the low half of `mem`.
struct atomic_row {
    s32 op;
    u8 width;
    u64 mem, src, r0;
    u64 want_mem, want_src, want_r0;
};
inline constexpr atomic_row atomic_rows[] = {
    {BPF_ADD, 8, ones, 2, 7, 1, 2, 7},
    {BPF_ADD, 4, ones, 2, 7, 0xffffffff00000001, 2, 7},
    {BPF_OR, 8, pat, tap, 7, ones, tap, 7},
    {BPF_OR, 4, pat, tap, 7, 0x01234567ffffffff, tap, 7},
    {BPF_AND, 8, pat, 0xff00, 7, 0xcd00, 0xff00, 7},
    {BPF_AND, 4, pat, 0xff00, 7, 0x012345670000cd00, 0xff00, 7},
    {BPF_XOR, 8, pat, ones, 7, tap, ones, 7},
    {BPF_XOR, 4, pat, ones, 7, 0x0123456776543210, ones, 7},
    {BPF_ADD | BPF_FETCH, 8, ones, 2, 7, 1, ones, 7},
    {BPF_ADD | BPF_FETCH, 4, ones, 2, 7, 0xffffffff00000001, ones32, 7},
    {BPF_OR | BPF_FETCH, 8, pat, tap, 7, ones, pat, 7},
    {BPF_OR | BPF_FETCH, 4, pat, tap, 7, 0x01234567ffffffff, 0x89abcdef, 7},
    {BPF_AND | BPF_FETCH, 8, pat, 0xff00, 7, 0xcd00, pat, 7},
    {BPF_AND | BPF_FETCH, 4, pat, 0xff00, tap, 0x012345670000cd00, 0x89abcdef, tap},
    {BPF_XOR | BPF_FETCH, 8, pat, ones, tap, tap, pat, tap},
    {BPF_XOR | BPF_FETCH, 4, pat, ones, 7, 0x0123456776543210, 0x89abcdef, 7},
    {BPF_XCHG, 8, pat, tap, 7, tap, pat, 7},
    {BPF_XCHG, 4, pat, tap, 7, 0x0123456776543210, 0x89abcdef, 7},
    {BPF_CMPXCHG, 8, pat, tap, pat, tap, tap, pat},
    {BPF_CMPXCHG, 8, pat, tap, 7, pat, tap, pat},
    {BPF_CMPXCHG, 8, pat, tap, 0x89abcdef, pat, tap, pat},
    {BPF_CMPXCHG, 4, pat, tap, 0x89abcdef, 0x0123456776543210, tap, 0x89abcdef},
    {BPF_CMPXCHG, 4, pat, tap, 0xffffffff89abcdef, 0x0123456776543210, tap, 0x89abcdef},
    {BPF_CMPXCHG, 4, pat, tap, 7, pat, tap, 0x89abcdef},
};

/// Eight bytes of memory hold `mem`; a load of `bytes` at byte `off` of it.
struct load_row {
    u8 bytes;
    bool is_signed;
    u8 off;
    u64 mem, want;
};
inline constexpr load_row load_rows[] = {
    {1, false, 0, pat, 0xef},       {1, false, 7, tap, 0xfe},
    {2, false, 0, pat, 0xcdef},     {2, false, 6, tap, 0xfedc},
    {4, false, 0, pat, 0x89abcdef}, {4, false, 4, tap, 0xfedcba98},
    {8, false, 0, tap, tap},        {1, true, 0, pat, 0xffffffffffffffef},
    {1, true, 7, pat, 0x01},        {2, true, 0, pat, 0xffffffffffffcdef},
    {2, true, 6, pat, 0x0123},      {4, true, 0, pat, 0xffffffff89abcdef},
    {4, true, 4, pat, 0x01234567},
};
/// Stores of `bytes` of `v` at byte `off` over ones; immediate form too when v is a sign-extended 32-bit number.
struct store_row {
    u8 bytes;
    u8 off;
    u64 v, want;
};
inline constexpr store_row store_rows[] = {
    {1, 0, pat, 0xffffffffffffffef},
    {1, 3, 0, 0xffffffff00ffffff},
    {1, 7, 0x7f, 0x7fffffffffffffff},
    {2, 0, pat, 0xffffffffffffcdef},
    {2, 6, 0x1234, 0x1234ffffffffffff},
    {2, 2, 0xffffffffffff8000, 0xffffffff8000ffff},
    {4, 0, pat, 0xffffffff89abcdef},
    {4, 4, 0xffffffff80000000, 0x80000000ffffffff},
    {8, 0, pat, pat},
    {8, 0, 0xffffffff80000000, 0xffffffff80000000},
    {8, 0, 0x7fffffff, 0x7fffffff},
};

}  // namespace modbpf::conformance
