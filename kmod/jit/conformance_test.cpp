// SPDX-License-Identifier: GPL-2.0-only
// The conformance rows through interpreter and JIT, in every combination of registers, in register and immediate form,
// and
// once each through the machine's own kernel.
#include "jit/engines_test.h"
#include "jit/kernel_peer_test.h"

#include "../../selftests/conformance/rows.h"

namespace modbpf::testing {
namespace {

using namespace conformance;

bool is_shift(u8 op) {
    return op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH;
}
bool is_division(u8 op) {
    return op == BPF_DIV || op == BPF_MOD;
}

bool fits_imm(u64 v) {
    return static_cast<s64>(v) == static_cast<s32>(v);
}
u8 size_of_bytes(u8 bytes) {
    return bytes == 1 ? BPF_B : bytes == 2 ? BPF_H : bytes == 4 ? BPF_W : BPF_DW;
}

/// Both engines; the result is in r0.
void expect(const program_text &p, u64 want, const std::string &what) {
    code c = make_code(p, {}, 32);
    EXPECT_EQ(run_interp(c), want) << "interpreter: " << what;
    EXPECT_EQ(run_jit(c), want) << "JIT: " << what;
}
/// The kernel returns 32 bits: the halves are folded, and compared with the folded want.
void expect_kernel(program_text p, u64 want, const std::string &what) {
    p.pop_back();
    p.add(mov_r(1, 0))
        .add(alu64_k(BPF_RSH, 1, 32))
        .add(alu64_k(BPF_MUL, 1, 3))
        .add(alu64_r(BPF_ADD, 0, 1))
        .add(exit_insn());
    kernel_peer::answer a = kernel_peer::run({p.data(), p.size()}, 0);
    EXPECT_GE(a.fd_or_errno, 0) << what;
    EXPECT_EQ(a.retval, static_cast<u32>(want + 3 * (want >> 32))) << "kernel: " << what;
}
program_text result_in(program_text p, u8 reg) {
    if (reg != 0)
        p.add(mov_r(0, reg));
    return p.add(exit_insn()), p;
}

program_text alu_program(const alu_row &r, u8 dst, u8 src, bool imm) {
    program_text p;
    p.ld64(dst, r.a);
    if (!imm)
        p.ld64(src, r.b);
    u8 cls = r.width == 8 ? BPF_ALU64 : BPF_ALU;
    s16 off = r.is_signed ? 1 : 0;
    p.add(imm ? make_insn(cls | r.op | BPF_K, dst, 0, off, static_cast<s32>(r.b))
              : make_insn(cls | r.op | BPF_X, dst, src, off, 0));
    return result_in(p, dst);
}
bool has_imm_form(const alu_row &r) {
    if (is_shift(r.op))
        return r.b < r.width * 8u;
    return fits_imm(r.b) && !(is_division(r.op) && r.b == 0);
}
std::string describe(const alu_row &r) {
    return "op " + std::to_string(r.op) + " width " + std::to_string(r.width) + " a " + std::to_string(r.a) + " b " +
           std::to_string(r.b);
}

TEST(conformance, alu) {
    for (const alu_row &r : alu_rows)
        for (u8 dst = 0; dst < 10; dst++) {
            for (u8 src = 0; src < 10; src++)
                // All pairs where native registers are fixed; elsewhere only the encoding differs (x86_encoder_test.cpp).
                if (src != dst && (is_shift(r.op) || is_division(r.op) || (src + dst + r.b) % 4 == 0))
                    expect(alu_program(r, dst, src, false), r.want,
                           describe(r) + " r" + std::to_string(dst) + " r" + std::to_string(src));
            if (has_imm_form(r))
                expect(alu_program(r, dst, 0, true), r.want, describe(r) + " imm r" + std::to_string(dst));
        }
}

/// Neither operand register nor any other changes, but dst.
TEST(conformance, alu_keeps_other_registers) {
    for (const alu_row &r : alu_rows)
        for (u8 dst = 0; dst < 10; dst++)
            for (u8 src : {static_cast<u8>((dst + 1) % 10), static_cast<u8>((dst + 4) % 10)}) {
                program_text p;
                for (u8 k = 0; k < 10; k++)
                    p.ld64(k, pat + k);
                p.ld64(src, r.b).ld64(dst, r.a);
                p.add(make_insn((r.width == 8 ? BPF_ALU64 : BPF_ALU) | r.op | BPF_X, dst, src, r.is_signed ? 1 : 0, 0));
                u64 want = 0;
                p.add(stx(BPF_DW, 10, 0, -8)).add(mov_k(0, 0));
                for (u8 k = 0; k < 10; k++) {
                    if (k == dst)
                        continue;
                    want = want * 31 + (k == src ? r.b : pat + k);
                    p.add(alu64_k(BPF_MUL, 0, 31));
                    if (k == 0) {
                        p.add(mov_r(dst, 0)).add(ldx(BPF_DW, 0, 10, -8)).add(alu64_r(BPF_ADD, 0, dst));
                    } else {
                        p.add(alu64_r(BPF_ADD, 0, k));
                    }
                }
                p.add(exit_insn());
                expect(p, want, describe(r) + " others, r" + std::to_string(dst));
            }
}

/// The same register twice.
TEST(conformance, alu_on_itself) {
    for (const alu_row &r : alu_rows)
        for (u8 reg = 0; reg < 10; reg++) {
            alu_row self = r;
            self.b = r.a;
            program_text p;
            p.ld64(reg, r.a);
            p.add(make_insn((r.width == 8 ? BPF_ALU64 : BPF_ALU) | r.op | BPF_X, reg, reg, r.is_signed ? 1 : 0, 0));
            p = result_in(p, reg);
            code c = make_code(p, {}, 0);
            EXPECT_EQ(run_jit(c), run_interp(c)) << describe(self);
        }
}

program_text unary_program(const unary_row &r, u8 dst, u8 src) {
    program_text p;
    p.ld64(src, r.a);
    switch (r.op) {
        case unary_op::neg:
            p.add(make_insn((r.width == 8 ? BPF_ALU64 : BPF_ALU) | BPF_NEG, src, 0, 0, 0));
            return result_in(p, src);
        case unary_op::movsx:
            p.add(make_insn((r.width == 8 ? BPF_ALU64 : BPF_ALU) | BPF_MOV | BPF_X, dst, src,
                            static_cast<s16>(r.bytes * 8), 0));
            return result_in(p, dst);
        case unary_op::le:
        case unary_op::be:
            p.add(endian(r.op == unary_op::be ? BPF_TO_BE : BPF_TO_LE, src, r.width * 8));
            return result_in(p, src);
        default:
            p.add(swap_bytes(src, r.width * 8));
            return result_in(p, src);
    }
}

TEST(conformance, unary) {
    for (const unary_row &r : unary_rows)
        for (u8 dst = 0; dst < 10; dst++)
            for (u8 src = 0; src < 10; src++)
                if (dst == 0 || r.op == unary_op::movsx)
                    expect(unary_program(r, dst, src), r.want, "unary " + std::to_string(static_cast<int>(r.op)));
}

program_text branch_program(const branch_row &r, u8 dst, u8 src, bool imm, u32 padding) {
    program_text p;
    p.ld64(dst, r.a);
    if (!imm)
        p.ld64(src, r.b);
    u8 cls = r.width == 8 ? BPF_JMP : BPF_JMP32;
    auto off = static_cast<s16>(2 + padding);
    p.add(imm ? make_insn(cls | r.op | BPF_K, dst, 0, off, static_cast<s32>(r.b))
              : make_insn(cls | r.op | BPF_X, dst, src, off, 0));
    p.add(mov_k(0, 0));
    for (u32 i = 0; i < padding; i++)
        p.add(alu64_k(BPF_ADD, 0, 0));
    return p.add(exit_insn()).add(mov_k(0, 1)).add(exit_insn()), p;
}

TEST(conformance, branch) {
    for (const branch_row &r : branch_rows)
        for (u8 dst = 0; dst < 10; dst++)
            for (u32 padding : {0u, 40u}) {  // short and long jumps
                for (u8 src = 0; src < 10; src++)
                    if (src != dst && (padding ? src == (dst + 1) % 10 : (src + dst + r.b) % 3 == 0))
                        expect(branch_program(r, dst, src, false, padding), r.taken, "branch " + std::to_string(r.op));
                if (fits_imm(r.b))
                    expect(branch_program(r, dst, 0, true, padding), r.taken, "branch imm " + std::to_string(r.op));
            }
}

/// if ... goto +1; goto X
TEST(conformance, branch_over_a_jump) {
    for (const branch_row &r : branch_rows) {
        program_text p;
        p.ld64(1, r.a).ld64(2, r.b).add(mov_k(0, 1));
        p.add(make_insn((r.width == 8 ? BPF_JMP : BPF_JMP32) | r.op | BPF_X, 1, 2, 1, 0));
        p.add(jump_to(1)).add(exit_insn()).add(mov_k(0, 0)).add(exit_insn());
        expect(p, r.taken, "branch over " + std::to_string(r.op));
    }
}

/// mem at r10 - 8; base register or r10 itself. which: 0 mem, 1 src, 2 r0 is the result.
program_text atomic_program(const atomic_row &r, u8 base, u8 src, int which) {
    program_text p;
    p.ld64(1, r.mem).add(stx(BPF_DW, 10, 1, -8)).ld64(src, r.src);
    s16 off = -8;
    if (base != 10)
        p.add(mov_r(base, 10)).add(alu64_k(BPF_ADD, base, -16)), off = 8;
    if (base != 0 && src != 0)
        p.ld64(0, r.r0);
    p.add(atomic_op(r.width == 8 ? BPF_DW : BPF_W, r.op, base, src, off));
    if (which == 0)
        p.add(ldx(BPF_DW, 0, 10, -8));
    else if (which == 1 && src != 0)
        p.add(mov_r(0, src));
    p.add(exit_insn());
    return p;
}

TEST(conformance, atomic) {
    for (const atomic_row &r : atomic_rows)
        for (u8 base = 0; base <= 10; base++)
            for (u8 src = 0; src < 10; src++) {
                if (src == base || (r.op == BPF_CMPXCHG && (base == 0 || src == 0)))
                    continue;
                std::string what =
                    "atomic " + std::to_string(r.op) + " base " + std::to_string(base) + " src " + std::to_string(src);
                expect(atomic_program(r, base, src, 0), r.want_mem, what + " memory");
                expect(atomic_program(r, base, src, 1), r.want_src, what + " source");
                if (base != 0 && src != 0)
                    expect(atomic_program(r, base, src, 2), r.want_r0, what + " r0");
            }
}

TEST(conformance, load_and_store) {
    for (u8 base = 0; base <= 10; base++)
        for (u8 reg = 0; reg < 10; reg++) {
            if (reg == base)
                continue;
            auto pointer = [&](program_text &p) {
                if (base != 10)
                    p.add(mov_r(base, 10));
            };
            for (const load_row &r : load_rows) {
                program_text p;
                p.ld64(reg, r.mem).add(stx(BPF_DW, 10, reg, -16));
                pointer(p);
                auto off = static_cast<s16>(r.off - 16);
                p.add(r.is_signed ? ldsx(size_of_bytes(r.bytes), reg, base, off)
                                  : ldx(size_of_bytes(r.bytes), reg, base, off));
                expect(result_in(p, reg), r.want, "load " + std::to_string(r.bytes));
            }
            for (const store_row &r : store_rows)
                for (bool imm : {false, true}) {
                    if (imm && !fits_imm(r.v))
                        continue;
                    program_text p;
                    p.add(st(BPF_DW, 10, -16, -1));
                    pointer(p);
                    p.ld64(reg, r.v);
                    auto off = static_cast<s16>(r.off - 16);
                    p.add(imm ? st(size_of_bytes(r.bytes), base, off, static_cast<s32>(r.v))
                              : stx(size_of_bytes(r.bytes), base, reg, off));
                    p.add(ldx(BPF_DW, 0, 10, -16)).add(exit_insn());
                    expect(p, r.want, "store " + std::to_string(r.bytes));
                }
        }
}

/// The rows are right: the machine's own kernel agrees with each of them.
TEST(conformance, kernel_agrees) {
    if (!kernel_peer::available())
        GTEST_SKIP() << "bpf() is not permitted here";
    for (const alu_row &r : alu_rows) {
        expect_kernel(alu_program(r, 0, 3, false), r.want, describe(r));
        if (has_imm_form(r))
            expect_kernel(alu_program(r, 4, 0, true), r.want, describe(r) + " imm");
    }
    for (const unary_row &r : unary_rows)
        expect_kernel(unary_program(r, 2, 5), r.want, "unary " + std::to_string(static_cast<int>(r.op)));
    for (const branch_row &r : branch_rows)
        expect_kernel(branch_program(r, 3, 4, false, 0), r.taken, "branch " + std::to_string(r.op));
    for (const atomic_row &r : atomic_rows)
        for (int which = 0; which < 3; which++)
            expect_kernel(atomic_program(r, 10, 6, which),
                          which == 0   ? r.want_mem
                          : which == 1 ? r.want_src
                                       : r.want_r0,
                          "atomic " + std::to_string(r.op));
}

}  // namespace
}  // namespace modbpf::testing
