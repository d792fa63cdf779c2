// SPDX-License-Identifier: GPL-2.0-only
// scalar against known answers: the texts that Linux's verifier logs for sequences of instructions (taken from a running
// kernel's own bpf()), and one test for each class of public range bugs, from both sides.
#include "verifier/scalar.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/bpf.h"

namespace modbpf {
namespace {

std::string text(const scalar &s) {
    char buf[512];
    int n = scalar_format(buf, sizeof(buf), s);
    EXPECT_EQ(n, static_cast<int>(strlen(buf)));
    return s.is_const() ? buf : "scalar(" + std::string(buf) + ")";
}

/// 'a': ALU with imm; 'm': w = w; 'x': movsx of `op` bytes; 't', 'f': jump taken, not taken. w: 32 bits.
struct step {
    char kind;
    u8 op;
    bool w;
    s32 imm;
};
struct sequence {
    std::vector<step> steps;
    const char *text;
};

scalar immediate(s32 imm) { return scalar::constant(static_cast<u64>(static_cast<s64>(imm))); }

scalar run(const sequence &q) {
    scalar s = scalar::unknown();
    for (const step &t : q.steps) {
        scalar k = immediate(t.imm);
        switch (t.kind) {
        case 'a': s = scalar_alu(t.op, t.w, false, s, k); break;
        case 'm': s = scalar_zext(s, 4); break;
        case 'x': s = t.w ? scalar_sext32(s, t.op) : scalar_sext(s, t.op); break;
        case 't': EXPECT_TRUE(scalar_assume(t.op, t.w, s, k)); break;
        case 'f': EXPECT_TRUE(scalar_assume_not(t.op, t.w, s, k)); break;
        }
    }
    return s;
}

const sequence sequences[] = {
    {{}, "scalar()"},
    {{{'a', BPF_AND, 0, 255}}, "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))"},
    {{{'a', BPF_AND, 0, 0x7fff0000}}, "scalar(smin=smin32=0,smax=umax=smax32=umax32=0x7fff0000,var_off=(0x0; 0x7fff0000))"},
    {{{'a', BPF_AND, 0, -256}}, "scalar(smax=0x7fffffffffffff00,umax=0xffffffffffffff00,smax32=0x7fffff00,umax32=0xffffff00,var_off=(0x0; 0xffffffffffffff00))"},
    {{{'a', BPF_AND, 1, -256}}, "scalar(smin=0,smax=umax=umax32=0xffffff00,smax32=0x7fffff00,var_off=(0x0; 0xffffff00))"},
    {{{'a', BPF_OR, 0, 1}}, "scalar(smin=0x8000000000000001,umin=umin32=1,smin32=0x80000001,var_off=(0x1; 0xfffffffffffffffe))"},
    {{{'a', BPF_OR, 0, -65536}}, "scalar(smin=0xffffffffffff0000,smax=smax32=-1,umin=0xffffffffffff0000,smin32=umin32=0xffff0000,var_off=(0xffffffffffff0000; 0xffff))"},
    {{{'a', BPF_AND, 0, 7}, {'a', BPF_XOR, 0, -1}}, "scalar(smin=smin32=-8,smax=smax32=-1,umin=0xfffffffffffffff8,umin32=0xfffffff8,var_off=(0xfffffffffffffff8; 0x7))"},
    {{{'a', BPF_AND, 0, 7}, {'a', BPF_SUB, 0, 3}}, "scalar(smin=smin32=-3,smax=smax32=4)"},
    {{{'a', BPF_AND, 0, 7}, {'a', BPF_SUB, 1, 3}}, "scalar(smin=0,smax=umax=0xffffffff,smin32=-3,smax32=4,var_off=(0x0; 0xffffffff))"},
    {{{'a', BPF_AND, 0, 65535}, {'a', BPF_ADD, 0, 1}}, "scalar(smin=umin=smin32=umin32=1,smax=umax=smax32=umax32=0x10000,var_off=(0x0; 0x1ffff))"},
    {{{'a', BPF_AND, 0, 65535}, {'a', BPF_SUB, 0, 32769}}, "scalar(smin=0xffffffffffff7fff,smax=smax32=32766,smin32=0xffff7fff)"},
    {{{'a', BPF_AND, 0, 65535}, {'a', BPF_SUB, 1, 40000}}, "scalar(smin=0,smax=umax=0xffffffff,smin32=0xffff63c0,smax32=25535,var_off=(0x0; 0xffffffff))"},
    {{{'a', BPF_LSH, 0, 32}, {'a', BPF_ARSH, 0, 32}}, "scalar(smin=0xffffffff80000000,smax=0x7fffffff)"},
    {{{'a', BPF_LSH, 0, 32}, {'a', BPF_RSH, 0, 32}}, "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))"},
    {{{'a', BPF_RSH, 0, 63}}, "scalar(smin=smin32=0,smax=umax=smax32=umax32=1,var_off=(0x0; 0x1))"},
    {{{'a', BPF_ARSH, 0, 48}}, "scalar(smin=smin32=-32768,smax=smax32=32767)"},
    {{{'a', BPF_ARSH, 1, 8}}, "scalar(smin=0,smax=umax=0xffffffff,smin32=0xff800000,smax32=0x7fffff,var_off=(0x0; 0xffffffff))"},
    {{{'a', BPF_LSH, 1, 4}}, "scalar(smin=0,smax=umax=umax32=0xfffffff0,smax32=0x7ffffff0,var_off=(0x0; 0xfffffff0))"},
    {{{'m', 0, 1, 0}}, "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))"},
    {{{'x', 1, 0, 0}}, "scalar(smin=smin32=-128,smax=smax32=127)"},
    {{{'x', 2, 0, 0}}, "scalar(smin=smin32=-32768,smax=smax32=32767)"},
    {{{'x', 4, 0, 0}}, "scalar(smin=0xffffffff80000000,smax=0x7fffffff)"},
    {{{'x', 1, 1, 0}}, "scalar(smin=0,smax=umax=0xffffffff,smin32=-128,smax32=127,var_off=(0x0; 0xffffffff))"},
    {{{'x', 2, 1, 0}}, "scalar(smin=0,smax=umax=0xffffffff,smin32=-32768,smax32=32767,var_off=(0x0; 0xffffffff))"},
    {{{'t', BPF_JGT, 0, 100}}, "scalar(umin=101)"},
    {{{'f', BPF_JGT, 0, 100}}, "scalar(smin=smin32=0,smax=umax=smax32=umax32=100,var_off=(0x0; 0x7f))"},
    {{{'t', BPF_JSGT, 0, 100}}, "scalar(smin=umin=101,umax=0x7fffffffffffffff,var_off=(0x0; 0x7fffffffffffffff))"},
    {{{'f', BPF_JSGT, 0, 100}}, "scalar(smax=100)"},
    {{{'f', BPF_JSLT, 0, -5}, {'f', BPF_JSGT, 0, 70000}}, "scalar(smin=smin32=-5,smax=smax32=0x11170)"},
    {{{'t', BPF_JGT, 1, 100}}, "scalar(smin=0x8000000000000065,umin=umin32=101)"},
    {{{'f', BPF_JGT, 1, 100}}, "scalar(smax=0x7fffffff00000064,umax=0xffffffff00000064,smin32=0,smax32=umax32=100,var_off=(0x0; 0xffffffff0000007f))"},
    {{{'t', BPF_JSLT, 1, -100}}, "scalar(smin=0x8000000080000000,smax=0x7fffffffffffff9b,umin=umin32=0x80000000,umax=0xffffffffffffff9b,smax32=-101,umax32=0xffffff9b,var_off=(0x80000000; 0xffffffff7fffffff))"},
    {{{'f', BPF_JSLT, 1, -100}, {'f', BPF_JSGE, 1, 100}}, "scalar(smin32=-100,smax32=99)"},
    {{{'t', BPF_JEQ, 1, 100}}, "scalar(smin=0x8000000000000064,smax=0x7fffffff00000064,umin=smin32=umin32=100,umax=0xffffffff00000064,smax32=umax32=100,var_off=(0x64; 0xffffffff00000000))"},
    {{{'t', BPF_JEQ, 1, -1}}, "scalar(smin=0x80000000ffffffff,umin=umin32=0xffffffff,smin32=-1,smax32=-1,var_off=(0xffffffff; 0xffffffff00000000))"},
    {{{'f', BPF_JNE, 0, -40000}}, "0xffffffffffff63c0"},
    {{{'f', BPF_JNE, 0, 70000}}, "0x11170"},
    {{{'f', BPF_JEQ, 0, 0}}, "scalar(umin=1)"},
    {{{'f', BPF_JEQ, 0, -1}}, "scalar(umax=0xfffffffffffffffe)"},
    {{{'t', BPF_JSET, 0, 8}}, "scalar(smin=0x8000000000000008,umin=umin32=8,smin32=0x80000008,var_off=(0x8; 0xfffffffffffffff7))"},
    {{{'t', BPF_JSET, 1, 8}}, "scalar(smin=0x8000000000000008,umin=umin32=8,smin32=0x80000008,var_off=(0x8; 0xfffffffffffffff7))"},
    {{{'f', BPF_JSET, 0, 0xf0}}, "scalar(smax=0x7fffffffffffff0f,umax=0xffffffffffffff0f,smax32=0x7fffff0f,umax32=0xffffff0f,var_off=(0x0; 0xffffffffffffff0f))"},
    {{{'f', BPF_JSET, 1, 0xf0}}, "scalar(smax=0x7fffffffffffff0f,umax=0xffffffffffffff0f,smax32=0x7fffff0f,umax32=0xffffff0f,var_off=(0x0; 0xffffffffffffff0f))"},
    {{{'a', BPF_DIV, 0, 3}}, "scalar()"},
    {{{'f', BPF_JGT, 0, 0x7fffffff}, {'t', BPF_JGE, 0, 0x10000}}, "scalar(smin=umin=smin32=umin32=0x10000,smax=umax=umax32=0x7fffffff,var_off=(0x0; 0x7fffffff))"},
    {{{'a', BPF_AND, 0, 15}, {'a', BPF_LSH, 0, 60}}, "scalar(smax=0x7000000000000000,umax=0xf000000000000000,smin32=0,smax32=umax32=0,var_off=(0x0; 0xf000000000000000))"},
    {{{'a', BPF_AND, 0, 15}, {'a', BPF_OR, 0, 256}, {'a', BPF_MOD, 1, 7}}, "scalar()"},
};

TEST(scalar_log, texts_are_those_of_linux) {
    for (size_t i = 0; i < count_of(sequences); i++)
        EXPECT_EQ(text(run(sequences[i])), sequences[i].text) << "sequence " << i;
}

TEST(scalar_log, constants_are_signed) {
    EXPECT_EQ(text(scalar::constant(0)), "0");
    EXPECT_EQ(text(scalar::constant(~0ull)), "-1");
    EXPECT_EQ(text(scalar::constant(32767)), "32767");
    EXPECT_EQ(text(scalar::constant(32768)), "0x8000");
    EXPECT_EQ(text(scalar::constant(static_cast<u64>(-32768ll))), "-32768");
    EXPECT_EQ(text(scalar::constant(static_cast<u64>(-32769ll))), "0xffffffffffff7fff");
}

TEST(scalar_log, every_buffer_size_is_safe) {
    scalar s = run(sequences[3]);
    char whole[512];
    int n = scalar_format(whole, sizeof(whole), s);
    for (int size = 0; size <= n + 1; size++) {
        std::vector<char> buf(static_cast<size_t>(size) + 1, '#');
        EXPECT_EQ(scalar_format(buf.data(), static_cast<u32>(size), s), n);
        EXPECT_EQ(buf[static_cast<size_t>(size)], '#');
        if (size) {
            EXPECT_EQ(std::string(buf.data()), std::string(whole).substr(0, static_cast<size_t>(size) - 1));
        }
    }
}

// ---- classes of public bugs ---------------------------------------------------------------------------------

scalar range(u64 lo, u64 hi) {
    scalar s = scalar::unknown();
    s.umin = lo, s.umax = hi;
    scalar_sync(s);
    return s;
}
scalar low_range(u32 lo, u32 hi) {
    scalar s = scalar::unknown();
    s.u32_min = lo, s.u32_max = hi;
    scalar_sync(s);
    return s;
}

TEST(bug_class, cve_2017_16995_32_bit_sign_extension) {
    // mov32 of -1 is 0xffffffff, not -1.
    scalar k = scalar_zext(immediate(-1), 4);
    EXPECT_EQ(k.value(), 0xffffffffu);
    EXPECT_EQ(scalar_branch(BPF_JNE, false, k, immediate(-1)), branch::taken);
    EXPECT_EQ(scalar_branch(BPF_JNE, true, k, immediate(-1)), branch::not_taken);
}

TEST(bug_class, cve_2020_8835_jmp32_must_not_refine_the_upper_half) {
    scalar a = scalar::unknown(), k = immediate(5);
    ASSERT_TRUE(scalar_assume(BPF_JLT, true, a, k));
    EXPECT_LE(a.u32_max, 4u);
    EXPECT_TRUE(a.contains(0x100000003ull));
    EXPECT_GT(a.umax, 0xffffffffull);
    scalar b = range(0, 0xffffffff), c = immediate(5); // with the upper half known it may
    ASSERT_TRUE(scalar_assume(BPF_JLT, true, b, c));
    EXPECT_EQ(b.umax, 4u);
}

TEST(bug_class, cve_2020_27194_alu32_or_of_64_bit_ranges) {
    scalar a = range(1, 0x600000002ull), r = scalar_alu(BPF_OR, false, false, a, immediate(0));
    EXPECT_TRUE(r.contains(0x600000002ull));
    EXPECT_TRUE(r.contains(0x5ffffffffull));
    EXPECT_GE(r.u32_max, 0xffffffffu);
}

TEST(bug_class, cve_2021_3490_alu32_bitwise_with_known_low_halves) {
    // Low halves known on both sides, upper halves not: the low result is exact, the upper unknown.
    scalar a = low_range(1, 1), b = low_range(3, 3);
    for (u8 op : {BPF_AND, BPF_OR, BPF_XOR}) {
        scalar r = scalar_alu(op, false, false, a, b);
        u32 low = op == BPF_AND ? 1 : op == BPF_OR ? 3 : 2;
        EXPECT_TRUE(r.is_const32());
        EXPECT_TRUE(r.u32_min == low && r.u32_max == low && r.s32_min == static_cast<s32>(low));
        EXPECT_FALSE(r.is_const());
        EXPECT_TRUE(r.contains(0xabcdef0000000000ull | low));
    }
}

TEST(bug_class, cve_2021_31440_32_bit_bounds_from_one_64_bit_end) {
    scalar a = scalar::unknown(), k = immediate(1);
    ASSERT_TRUE(scalar_assume(BPF_JGE, false, a, k)); // umin = 1 says nothing about the low half
    EXPECT_EQ(a.u32_min, 0u);
    EXPECT_TRUE(a.contains(0x100000000ull));
    scalar b = range(0x500000001ull, 0x500000009ull); // both ends do
    EXPECT_EQ(b.u32_min, 1u);
    EXPECT_EQ(b.u32_max, 9u);
}

TEST(bug_class, cve_2021_3444_and_3600_division_and_modulo_know_nothing) {
    for (u8 op : {BPF_DIV, BPF_MOD})
        for (bool w : {false, true})
            for (bool sign : {false, true}) {
                EXPECT_TRUE(scalar_alu(op, w, sign, range(0, 10), immediate(0)).is_unknown());
                EXPECT_TRUE(scalar_alu(op, w, sign, immediate(-1), immediate(2)).is_unknown());
            }
}

TEST(bug_class, cve_2024_41003_operands_are_not_shared) {
    // One value on both sides: refinement of one side must not leak into the other's earlier state.
    scalar a = range(0, 10), b = a;
    ASSERT_TRUE(scalar_assume(BPF_JEQ, false, a, b));
    EXPECT_TRUE(scalar_equal(a, b));
    EXPECT_EQ(a.umax, 10u);
    scalar k = immediate(5), k2 = k;
    ASSERT_TRUE(scalar_assume_not(BPF_JEQ, false, a, k));
    EXPECT_TRUE(scalar_equal(k, k2));
}

TEST(bug_class, cve_2025_39748_jset_contradictions) {
    scalar a = range(0, 3), k = immediate(4);
    EXPECT_FALSE(scalar_assume(BPF_JSET, false, a, k)); // bit 2 is never set there
    scalar b = scalar::constant(4), m = immediate(4);
    EXPECT_FALSE(scalar_assume_not(BPF_JSET, false, b, m));
    scalar c = range(0, 7), n = immediate(4);
    ASSERT_TRUE(scalar_assume(BPF_JSET, false, c, n));
    EXPECT_TRUE(c.valid() && c.umin == 4 && c.umax == 7);
    scalar d = range(4, 9), o = immediate(-1);
    EXPECT_FALSE(scalar_assume_not(BPF_JSET, false, d, o)); // only 0 would pass
    scalar e = range(0, 7), z = immediate(0);
    EXPECT_FALSE(scalar_assume(BPF_JSET, false, e, z));
}

TEST(bug_class, linked_registers_zero_and_sign_extension_differ) {
    // CVE-2024-53125: the zero-extended copy of a value is another value unless its upper half is 0.
    scalar a = scalar::unknown(), k = immediate(16);
    ASSERT_TRUE(scalar_assume(BPF_JSLT, true, a, k));
    scalar z = scalar_zext(a, 4), s = scalar_sext(a, 4);
    EXPECT_FALSE(scalar_subset(a, z));
    EXPECT_TRUE(z.contains(0xffffffffull));
    EXPECT_FALSE(s.contains(0xffffffffull));
    EXPECT_TRUE(s.contains(~0ull));
}

TEST(contradiction, each_jump_knows_its_empty_arm) {
    struct row {
        u8 op;
        u64 a, b;
    } holds[] = {{BPF_JEQ, 5, 5}, {BPF_JNE, 5, 6},  {BPF_JGT, 6, 5},  {BPF_JGE, 5, 5},  {BPF_JLT, 5, 6}, {BPF_JLE, 5, 5},
                 {BPF_JSGT, 0, ~0ull}, {BPF_JSGE, 0, 0}, {BPF_JSLT, ~0ull, 0}, {BPF_JSLE, ~0ull, ~0ull}, {BPF_JSET, 6, 2}};
    for (const row &r : holds)
        for (bool w : {false, true}) {
            scalar a = scalar::constant(r.a), b = scalar::constant(r.b), c = a, d = b;
            EXPECT_EQ(scalar_branch(r.op, w, a, b), branch::taken) << int(r.op);
            EXPECT_TRUE(scalar_assume(r.op, w, a, b)) << int(r.op);
            EXPECT_FALSE(scalar_assume_not(r.op, w, c, d)) << int(r.op);
        }
}

TEST(contradiction, nothing_is_below_zero_or_above_the_greatest) {
    scalar a = scalar::unknown(), zero = immediate(0), all = immediate(-1);
    EXPECT_FALSE(scalar_assume(BPF_JLT, false, a, zero));
    a = scalar::unknown();
    EXPECT_FALSE(scalar_assume(BPF_JGT, false, a, all));
    a = scalar::unknown();
    scalar least = scalar::constant(1ull << 63);
    EXPECT_FALSE(scalar_assume(BPF_JSLT, false, a, least));
    a = scalar::unknown();
    EXPECT_TRUE(scalar_assume(BPF_JLE, false, a, zero));
    EXPECT_TRUE(a.is_const() && a.value() == 0);
}

TEST(refinement, both_operands_learn) {
    scalar a = range(0, 100), b = range(50, 60);
    ASSERT_TRUE(scalar_assume(BPF_JGT, false, a, b));
    EXPECT_EQ(a.umin, 51u);
    EXPECT_EQ(b.umax, 60u);
    scalar c = range(0, 100), d = range(0, 10);
    ASSERT_TRUE(scalar_assume(BPF_JLT, false, c, d));
    EXPECT_EQ(c.umax, 9u);
    EXPECT_EQ(d.umin, 1u);
}

}  // namespace
}  // namespace modbpf
