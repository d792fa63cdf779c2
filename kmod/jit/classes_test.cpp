// SPDX-License-Identifier: GPL-2.0-only
// Classes of bugs that BPF JITs have had in public, each as a test of its own, on every machine of machine_test.h.
#include "jit/engines_test.h"

namespace modbpf::testing {
namespace {

void expect_engines(const code &c, u64 want, const std::string &what) {
    EXPECT_EQ(run_interp(c), want) << "interpreter: " << what;
    EXPECT_EQ(run_jit(c), want) << "JIT: " << what;
}

/// Instructions that take exactly `bytes` (2 or more) of native code and add `total` to r0: 2 bytes each for a 32-bit move
/// of r1 to itself, 3 for a 32-bit addition to r0.
program_text filler(u32 bytes, u64 &total) {
    program_text p;
    total = 0;
    if (bytes % 2) {
        p.add(alu32_k(BPF_ADD, 0, 1));
        total++;
        bytes -= 3;
    }
    for (; bytes; bytes -= 2)
        p.add(alu32_r(BPF_MOV, 1, 1));
    return p;
}
/// Whether the image has a jcc (or jmp) with an 8-bit displacement, and one with 32 bits.
std::pair<bool, bool> jump_forms(const jit_image &image) {
    disassembler &dis = disassembler::instance();
    const u8 *p = image.text().data();
    size_t left = image.funcs()[0].size;
    uint64_t at = 0;
    std::pair<bool, bool> forms;
    while (left && cs_disasm_iter(dis.cs, &p, &left, &at, dis.insn)) {
        if (!is_jump_or_call(dis.insn->id))
            continue;
        (dis.insn->size == 2 ? forms.first : forms.second) = true;
    }
    return forms;
}

/// CVE-2021-29154: jumps whose displacement is 100 to 140, byte by byte, both ways, conditional and not. The short form
/// reaches -128 to 127, no further, and is used as far as that.
TEST(jit_class, displacement_at_the_edge_of_the_short_form) {
    for (u32 bytes = 100; bytes < 140; bytes++)
        for (bool conditional : {false, true}) {
            u64 total;
            program_text fill = filler(bytes, total), ahead, back;
            auto count = static_cast<s16>(fill.size());
            bpf_insn jump = conditional ? jmp_k(BPF_JEQ, 1, 0, count) : jump_to(count);
            ahead.add(mov_k(1, 0)).add(mov_k(0, 7)).add(jump);
            ahead.insert(ahead.end(), fill.begin(), fill.end());
            ahead.add(exit_insn());
            code c = make_code(ahead, {}, 0);
            expect_engines(c, 7, "ahead over " + std::to_string(bytes));
            jit_options as_written;  // code that nothing reaches stays
            as_written.passes = 0;
            result<jit_image> image = jit_compile(c, as_written);
            ASSERT_TRUE(image.ok());
            EXPECT_EQ(jump_forms(*image), std::pair(bytes <= 127, bytes > 127)) << bytes;

            // r2 rounds over the filler; the backward jump's displacement is its own 2 bytes more, and what tests and counts.
            back.add(mov_k(1, 0)).add(mov_k(0, 0)).add(mov_k(2, 3));
            if (!conditional)
                back.add(jmp_k(BPF_JEQ, 2, 0, static_cast<s16>(count + 2)));
            back.insert(back.end(), fill.begin(), fill.end());
            back.add(alu32_k(BPF_SUB, 2, 1));
            s16 off = static_cast<s16>(-(count + (conditional ? 2 : 3)));
            back.add(conditional ? jmp_k(BPF_JNE, 2, 0, off) : jump_to(off)).add(exit_insn());
            expect_engines(make_code(back, {}, 0), 3 * total, "back over " + std::to_string(bytes));
        }
}

/// BPF's own limits: offsets of 32767 and -32768 instructions, and one more of each by the long form.
TEST(jit_class, displacement_at_the_edge_of_16_bits) {
    for (s32 distance : {32766, 32767, 32768}) {
        program_text p;
        p.add(mov_k(0, 7)).add(distance <= 32767 ? jump_to(static_cast<s16>(distance)) : jump_long(distance));
        for (s32 i = 0; i < distance - 1; i++)
            p.add(alu32_k(BPF_ADD, 0, 1));
        // The target's predecessor jumps back to the first addition: the filler runs once, then the program ends.
        p.add(exit_insn()).add(alu64_k(BPF_ADD, 0, 70));
        s32 off = -(distance + 2);
        p.add(off >= -32768 ? jump_to(static_cast<s16>(off)) : jump_long(off));
        expect_engines(make_code(p, {}, 0), 77 + static_cast<u64>(distance) - 1, std::to_string(distance));
    }
}

/// A layout that never settles: jumps that all sit at the edge, across the alignment of subprograms.
TEST(jit_class, layout_settles) {
    for (u32 gap = 24; gap < 34; gap++) {
        program_text p;
        std::vector<u32> starts;
        constexpr u32 count = 200, subprograms = 6;
        for (u32 sub = 0; sub < subprograms; sub++) {
            auto base = static_cast<u32>(p.size());
            if (sub)
                starts.push_back(base);
            p.add(mov_k(1, 0)).add(mov_k(0, static_cast<s32>(sub)));
            for (u32 i = 0; i < count; i++) {
                u32 to = i % 2 ? min(i + gap, count) : i > gap ? i - gap : 0;
                p.add(jmp_k(BPF_JSET, 1, 1, static_cast<s16>(static_cast<s32>(to) - static_cast<s32>(i) - 1)));
            }
            if (sub + 1 < subprograms)
                p.add(call_off(1)).add(exit_insn());
            else
                p.add(exit_insn());
        }
        expect_engines(make_code(p, starts, 0), subprograms - 1, std::to_string(gap));
    }
}

/// CVE-2024-49888: the smallest number divided by -1 would trap; so would any number by 0.
TEST(jit_class, smallest_number_by_minus_one) {
    for (u8 op : {BPF_DIV, BPF_MOD})
        for (bool wide : {false, true})
            for (s16 is_signed : {0, 1})
                for (s32 divisor : {-1, 0})
                    for (u8 dst = 0; dst < 10; dst++)
                        for (u8 src = 0; src < 11; src++) {  // 10: the immediate form
                            if (src == dst || (src == 10 && divisor == 0))
                                continue;
                            u64 a = wide ? 1ull << 63 : 1ull << 31, b = static_cast<u64>(static_cast<s64>(divisor));
                            program_text p;
                            p.ld64(dst, a);
                            if (src < 10)
                                p.ld64(src, b);
                            u8 cls = wide ? BPF_ALU64 : BPF_ALU;
                            p.add(src < 10 ? make_insn(cls | op | BPF_X, dst, src, is_signed, 0)
                                           : make_insn(cls | op | BPF_K, dst, 0, is_signed, divisor));
                            p.add(mov_r(0, dst)).add(exit_insn());
                            u64 want = divisor == 0 ? (op == BPF_DIV ? 0 : a)
                                       : is_signed  ? (op == BPF_DIV ? a : 0)
                                                    : (op == BPF_DIV ? 0 : a);
                            expect_engines(make_code(p, {}, 0), want,
                                           std::to_string(op) + " r" + std::to_string(dst) + " r" + std::to_string(src));
                        }
}

/// A byte store without REX would store ah, ch, dh or bh where spl, bpl, sil or dil is meant. All registers have different
/// bytes in both places; the neighbours stay.
TEST(jit_class, byte_store_stores_the_low_byte) {
    for (bool calls : {false, true})  // two mappings of r6-r9
        for (u8 src = 0; src <= 9; src++)
            for (u8 base : {1, 5, 8, 10}) {
                if (src == base)
                    continue;
                program_text p;
                if (calls)
                    p.add(call_off(src == 0 ? 9 : 0));  // the offset is set below
                for (u8 r = 0; r < 10; r++)
                    p.ld64(r, 0x1111111111110000ull | static_cast<u64>(0xa0 + r) << 8 | static_cast<u64>(0x50 + r));
                p.add(st(BPF_DW, 10, -16, 0));
                if (base != 10)
                    p.add(mov_r(base, 10));
                p.add(stx(BPF_B, base, src, -13)).add(ldx(BPF_DW, 0, 10, -16)).add(exit_insn());
                std::vector<u32> starts;
                if (calls) {
                    starts.push_back(static_cast<u32>(p.size()));
                    p[0].imm = static_cast<s32>(p.size()) - 1;
                    p.add(mov_k(0, 0)).add(exit_insn());
                }
                expect_engines(make_code(p, starts, 16), static_cast<u64>(0x50 + src) << 24, "r" + std::to_string(src));
            }
}

/// 32-bit operations leave no old upper half: not when a shift count is 0, not when an exchange fails or succeeds.
TEST(jit_class, upper_half_is_cleared) {
    constexpr u64 junk = 0xdeadbeef00000000;
    for (u8 op : {BPF_LSH, BPF_RSH, BPF_ARSH})
        for (u8 dst = 0; dst < 10; dst++)
            for (u8 src = 0; src < 10; src++) {
                u64 count = src == dst ? 0 : junk | 32;  // 32 is 0 here
                program_text p;
                p.ld64(dst, junk | 0x20).ld64(src, src == dst ? junk | 0x20 : count);
                p.add(alu32_r(op, dst, src)).add(mov_r(0, dst)).add(exit_insn());
                expect_engines(make_code(p, {}, 0), 0x20, "shift by 0");
                program_text q;
                q.ld64(dst, junk | 5).add(alu32_k(op, dst, 0)).add(mov_r(0, dst)).add(exit_insn());
                expect_engines(make_code(q, {}, 0), 5, "shift by immediate 0");
            }
    for (bool equal : {false, true})
        for (u8 src = 1; src < 10; src++) {
            program_text p;
            p.ld64(0, junk | 7).add(st(BPF_DW, 10, -8, equal ? 7 : 8)).ld64(src, junk | 9);
            p.add(atomic_op(BPF_W, BPF_CMPXCHG, 10, src, -8)).add(exit_insn());
            expect_engines(make_code(p, {}, 8), equal ? 7 : 8, "exchange");
        }
    for (s32 op : {BPF_ADD | BPF_FETCH, BPF_AND | BPF_FETCH, BPF_OR | BPF_FETCH, BPF_XOR | BPF_FETCH, +BPF_XCHG})
        for (u8 src = 0; src < 10; src++) {
            program_text p;
            p.ld64(0, junk).add(st(BPF_DW, 10, -8, -2)).ld64(src, junk | 9);
            p.add(atomic_op(BPF_W, op, 10, src, -8)).add(mov_r(0, src)).add(exit_insn());
            expect_engines(make_code(p, {}, 8), 0xfffffffe, "fetch");
        }
}

/// Immediates that are sign-extended where they must be and nowhere else.
TEST(jit_class, immediates_are_sign_extended) {
    for (u8 dst = 0; dst < 10; dst++)
        for (s32 imm : {-1, -128, -129, 127, 128, 255, 65535, static_cast<s32>(0x80000000), 0x7fffffff}) {
            auto wide = static_cast<u64>(static_cast<s64>(imm));
            struct {
                bpf_insn insn;
                u64 want;
            } rows[] = {
                {alu64_k(BPF_MOV, dst, imm), wide},
                {alu32_k(BPF_MOV, dst, imm), static_cast<u32>(imm)},
                {alu64_k(BPF_AND, dst, imm), ~0ull & wide},
                {alu32_k(BPF_AND, dst, imm), static_cast<u32>(imm)},
                {alu64_k(BPF_ADD, dst, imm), wide - 1},
                {alu64_k(BPF_SUB, dst, imm), ~wide},
                {alu64_k(BPF_XOR, dst, imm), ~wide},
                {alu64_k(BPF_MUL, dst, imm), 0 - wide},
            };
            for (auto &row : rows) {
                program_text p;
                p.ld64(dst, ~0ull).add(row.insn).add(mov_r(0, dst)).add(exit_insn());
                expect_engines(make_code(p, {}, 0), row.want, std::to_string(imm));
            }
            program_text set;  // BPF_JSET looks at the upper half for a negative number only
            set.ld64(dst, 1ull << 40).add(jmp_k(BPF_JSET, dst, imm, 2)).add(mov_k(0, 1)).add(exit_insn());
            set.add(mov_k(0, 2)).add(exit_insn());
            expect_engines(make_code(set, {}, 0), imm < 0 ? 2 : 1, "jset " + std::to_string(imm));
        }
}

}  // namespace
}  // namespace modbpf::testing
