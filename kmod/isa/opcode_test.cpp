// SPDX-License-Identifier: GPL-2.0-only
#include "isa/opcode.h"

#include <gtest/gtest.h>

#include <string>

namespace modbpf {
namespace {

bpf_insn insn(u8 code, u8 dst = 0, u8 src = 0, s16 off = 0, s32 imm = 0) {
    return make_insn(code, dst, src, off, imm);
}
insn_desc decode_one(bpf_insn i) {
    return decode({&i, 1}, 0);
}
std::string encoding(bpf_insn i) {
    return check_encoding(i).text;
}
std::string operand(bpf_insn i) {
    return check_operand(i).text;
}
std::string load(std::initializer_list<bpf_insn> l, u32 at = 0) {
    return check_load({l.begin(), l.size()}, at).text;
}

constexpr u8 lddw = BPF_LD | BPF_IMM | BPF_DW;

/// The set that Linux 6.12 knows, counted from RFC 9669 and ISA v4 by hand.
TEST(opcode, table_is_complete) {
    u32 counts[32] = {}, total = 0;
    for (u32 code = 0; code < 256; code++) {
        counts[static_cast<u32>(opcode(static_cast<u8>(code)).kind)]++;
        total += opcode(static_cast<u8>(code)).kind != insn_kind::unknown;
    }
    auto n = [&](insn_kind k) { return counts[static_cast<u32>(k)]; };
    EXPECT_EQ(n(insn_kind::alu), 2 * 2 * 11u);
    EXPECT_EQ(n(insn_kind::mov), 4u);
    EXPECT_EQ(n(insn_kind::neg), 2u);
    EXPECT_EQ(n(insn_kind::to_le) + n(insn_kind::to_be) + n(insn_kind::bswap), 3u);
    EXPECT_EQ(n(insn_kind::branch), 2 * 2 * 11u);
    EXPECT_EQ(n(insn_kind::jump), 2u);
    EXPECT_EQ(n(insn_kind::load), 7u);
    EXPECT_EQ(n(insn_kind::probe_load), 7u);
    EXPECT_EQ(n(insn_kind::store), 8u);
    EXPECT_EQ(n(insn_kind::atomic), 2u);
    EXPECT_EQ(n(insn_kind::arena_load), 4u);
    EXPECT_EQ(n(insn_kind::arena_store), 8u);
    EXPECT_EQ(n(insn_kind::arena_atomic), 2u);
    EXPECT_EQ(n(insn_kind::ld_packet), 6u);
    EXPECT_EQ(n(insn_kind::ld_imm64), 1u);
    EXPECT_EQ(total, 44 + 4 + 2 + 3 + 44 + 2 + 7 + 7 + 8 + 2 + 14 + 6 + 1 + 3u);  // call, exit, may_goto
}

TEST(opcode, decodes_registers) {
    insn_desc d = decode_one(insn(BPF_ALU64 | BPF_ADD | BPF_X, 3, 4));
    EXPECT_EQ(d.uses, 0x18);
    EXPECT_EQ(d.defs, 0x08);
    d = decode_one(insn(BPF_ALU64 | BPF_MOV | BPF_X, 3, 4));
    EXPECT_EQ(d.uses, 0x10);
    d = decode_one(insn(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, -1));
    EXPECT_EQ(d.uses, 0);
    EXPECT_EQ(d.imm, -1);
    d = decode_one(insn(BPF_LDX | BPF_MEM | BPF_H, 1, 2, -4));
    EXPECT_EQ(d.uses, 0x04);
    EXPECT_EQ(d.defs, 0x02);
    EXPECT_EQ(d.width, 2);
    d = decode_one(insn(BPF_STX | BPF_MEM | BPF_DW, 1, 2));
    EXPECT_EQ(d.uses, 0x06);
    EXPECT_EQ(d.defs, 0);
    d = decode_one(insn(BPF_ST | BPF_MEM | BPF_DW, 1));
    EXPECT_EQ(d.uses, 0x02);
    d = decode_one(insn(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, BPF_ADD));
    EXPECT_EQ(d.uses, 0x06);
    EXPECT_EQ(d.defs, 0);
    d = decode_one(insn(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, BPF_XCHG));
    EXPECT_EQ(d.defs, 0x04);
    d = decode_one(insn(BPF_STX | BPF_ATOMIC | BPF_W, 1, 2, 0, BPF_CMPXCHG));
    EXPECT_EQ(d.uses, 0x07);
    EXPECT_EQ(d.defs, 0x01);
    d = decode_one(insn(BPF_JMP32 | BPF_JEQ | BPF_X, 1, 2, 5));
    EXPECT_EQ(d.uses, 0x06);
    EXPECT_EQ(d.target, 6);
    EXPECT_TRUE(d.jumps && d.falls_through && d.alu32());
    d = decode_one(insn(BPF_JMP | BPF_EXIT));
    EXPECT_EQ(d.uses, 0x01);
    EXPECT_FALSE(d.falls_through);
    d = decode_one(insn(BPF_LD | BPF_IND | BPF_B, 0, 7));
    EXPECT_EQ(d.uses, 0xc0);
    EXPECT_EQ(d.defs, caller_saved_regs);
}

TEST(opcode, decodes_variants) {
    EXPECT_TRUE(decode_one(insn(BPF_ALU64 | BPF_DIV | BPF_X, 1, 2, 1)).is_signed);
    EXPECT_FALSE(decode_one(insn(BPF_ALU64 | BPF_DIV | BPF_X, 1, 2)).is_signed);
    EXPECT_EQ(decode_one(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 32)).sx_bytes, 4);
    EXPECT_EQ(decode_one(insn(BPF_ALU | BPF_MOV | BPF_X, 1, 2, 8)).sx_bytes, 1);
    EXPECT_TRUE(decode_one(insn(BPF_LDX | BPF_MEMSX | BPF_W, 1, 2)).is_signed);
    EXPECT_EQ(decode_one(insn(BPF_ALU | BPF_END | BPF_TO_BE, 1, 0, 0, 16)).width, 2);
    EXPECT_EQ(decode_one(insn(BPF_ALU64 | BPF_END, 1, 0, 0, 64)).kind, insn_kind::bswap);
    EXPECT_EQ(decode_one(insn(BPF_JMP32 | BPF_JA, 0, 0, 0, 70000)).target, 70001);
    EXPECT_EQ(decode_one(insn(BPF_JMP | BPF_JA, 0, 0, -1)).target, 0);
    EXPECT_EQ(decode_one(insn(BPF_JMP | BPF_CALL, 0, 0, 0, 5)).kind, insn_kind::call_helper);
    EXPECT_EQ(decode_one(insn(BPF_JMP | BPF_CALL, 0, 1, 0, 5)).kind, insn_kind::call_sub);
    EXPECT_EQ(decode_one(insn(BPF_JMP | BPF_CALL, 0, 1, 0, 5)).target, 6);
    EXPECT_EQ(decode_one(insn(BPF_JMP | BPF_CALL, 0, 2, 0, 5)).kind, insn_kind::call_kfunc);
    bpf_insn wide[] = {insn(lddw, 1, 0, 0, -1), insn(0, 0, 0, 0, 2)};
    insn_desc d = decode({wide, 2}, 0);
    EXPECT_EQ(d.imm, 0x2ffffffff);
    EXPECT_EQ(d.words, 2);
    EXPECT_EQ(decode({wide, 1}, 0).imm, 0xffffffff);  // the second word is missing: in bounds
    wide[0].src_reg = BPF_PSEUDO_FUNC;
    wide[0].imm = 10;
    EXPECT_TRUE(decode({wide, 2}, 0).is_pseudo_func());
    EXPECT_EQ(decode({wide, 2}, 0).target, 11);
}

TEST(opcode, refuses_at_load) {
    EXPECT_EQ(load({insn(BPF_ALU64 | BPF_ADD, 99 & 15)}), "");
    EXPECT_EQ(load({insn(0x00)}), "unknown opcode 00\n");
    EXPECT_EQ(load({insn(0xff)}), "unknown opcode ff\n");
    EXPECT_EQ(load({insn(0x8d)}), "unknown opcode 8d\n");
    EXPECT_EQ(load({insn(BPF_JMP32 | BPF_CALL)}), "unknown opcode 86\n");
    EXPECT_EQ(load({insn(BPF_JMP32 | BPF_EXIT)}), "unknown opcode 96\n");
    EXPECT_EQ(load({insn(BPF_LDX | BPF_MEMSX | BPF_DW)}), "unknown opcode 99\n");
    EXPECT_EQ(load({insn(BPF_STX | BPF_ATOMIC | BPF_B)}), "unknown opcode d3\n");
    EXPECT_EQ(load({insn(BPF_LDX | BPF_ABS | BPF_W)}), "BPF_LDX uses reserved fields\n");
    EXPECT_EQ(load({insn(BPF_LDX | BPF_MEM | BPF_W, 0, 0, 0, 1)}), "BPF_LDX uses reserved fields\n");
    EXPECT_EQ(load({insn(lddw)}), "invalid bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw), insn(0)}), "");
    EXPECT_EQ(load({insn(lddw), insn(1)}), "invalid bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw), insn(0, 1)}), "invalid bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw), insn(0, 0, 1)}), "invalid bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw), insn(0, 0, 0, 1)}), "invalid bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw, 0, 7), insn(0)}), "unrecognized bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw, 0, BPF_PSEUDO_MAP_FD), insn(0, 0, 0, 0, 1)}), "unrecognized bpf_ld_imm64 insn\n");
    EXPECT_EQ(load({insn(lddw, 0, BPF_PSEUDO_MAP_VALUE), insn(0, 0, 0, 0, 1)}), "");
    bpf_insn bad = insn(0xff);
    EXPECT_EQ(check_load({&bad, 1}, 0).err, EINVAL);
}

TEST(opcode, refuses_reserved_fields) {
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_ADD | BPF_X, 1, 2)), "");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_ADD | BPF_X, 1, 2, 0, 1)), "BPF_ALU uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_ADD | BPF_X, 1, 2, 1)), "BPF_ALU uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_DIV | BPF_X, 1, 2, 1)), "");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_DIV | BPF_X, 1, 2, 2)), "BPF_ALU uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_ADD | BPF_K, 1, 2)), "BPF_ALU uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_NEG, 1)), "");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_NEG, 1, 0, 0, 1)), "BPF_NEG uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_END, 1, 0, 0, 24)), "BPF_END uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_END, 1, 1, 0, 16)), "BPF_END uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_END, 1, 0, 0, 32)), "");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 32)), "");
    EXPECT_EQ(encoding(insn(BPF_ALU | BPF_MOV | BPF_X, 1, 2, 32)), "BPF_MOV uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_MOV | BPF_X, 1, 2, 0, 1)), "BPF_MOV uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_MOV | BPF_K, 1, 1)), "BPF_MOV uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 8)), "BPF_MOV uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_STX | BPF_MEM | BPF_B, 1, 2, 3, 4)), "BPF_STX uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_ST | BPF_MEM | BPF_B, 1, 2, 3, 4)), "BPF_ST uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_STX | BPF_ATOMIC | BPF_W, 1, 2, 3, 0x10)),
              "BPF_ATOMIC uses invalid atomic opcode 10\n");
    EXPECT_EQ(encoding(insn(BPF_STX | BPF_ATOMIC | BPF_W, 1, 2, 3, 0xe0)),
              "BPF_ATOMIC uses invalid atomic opcode e0\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JA, 0, 0, 1)), "");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JA, 0, 0, 1, 1)), "BPF_JA uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP32 | BPF_JA, 0, 0, 1, 1)), "BPF_JA uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 1, 1)), "BPF_JMP/JMP32 uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 1, 1)), "BPF_JMP/JMP32 uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_CALL, 0, 3)), "BPF_CALL uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_CALL, 1)), "BPF_CALL uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_CALL, 0, 0, 1)), "BPF_CALL uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_CALL, 0, 2, 1)), "");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 1)), "BPF_EXIT uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_EXIT, 0, 0, 1)), "");  // Linux does not look
    EXPECT_EQ(encoding(insn(lddw, 0, 0, 1)), "BPF_LD_IMM64 uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_LD | BPF_ABS | BPF_B, 0, 1)), "BPF_LD_[ABS|IND] uses reserved fields\n");
    EXPECT_EQ(encoding(insn(BPF_LD | BPF_IND | BPF_B, 0, 1)), "");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JCOND, 0, 0, 0, 0)), "invalid may_goto off 0 imm 0\n");
    EXPECT_EQ(encoding(insn(BPF_JMP | BPF_JCOND, 0, 0, 3, 4)), "invalid may_goto off 3 imm 4\n");
}

TEST(opcode, refuses_operands) {
    EXPECT_EQ(operand(insn(BPF_ALU64 | BPF_DIV | BPF_K, 1, 0, 0, 0)), "div by zero\n");
    EXPECT_EQ(operand(insn(BPF_ALU | BPF_MOD | BPF_K, 1, 0, 1, 0)), "div by zero\n");
    EXPECT_EQ(operand(insn(BPF_ALU | BPF_MOD | BPF_X, 1, 0, 1, 0)), "");
    EXPECT_EQ(operand(insn(BPF_ALU64 | BPF_LSH | BPF_K, 1, 0, 0, 64)), "invalid shift 64\n");
    EXPECT_EQ(operand(insn(BPF_ALU64 | BPF_ARSH | BPF_K, 1, 0, 0, 63)), "");
    EXPECT_EQ(operand(insn(BPF_ALU | BPF_RSH | BPF_K, 1, 0, 0, 32)), "invalid shift 32\n");
    EXPECT_EQ(operand(insn(BPF_ALU | BPF_RSH | BPF_K, 1, 0, 0, -1)), "invalid shift -1\n");
}

/// V10: any 8 bytes can be decoded and judged.
TEST(opcode, takes_any_bytes) {
    u64 state = 1;
    for (u32 i = 0; i < 200000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        bpf_insn words[2];
        u64 v = state ^ state >> 29;
        memcpy(&words[0], &v, 8);
        memcpy(&words[1], &state, 8);
        words[0].code = static_cast<u8>(i);
        u32 n = 1 + (i & 1);
        insn_desc d = decode({words, n}, 0);
        EXPECT_LE(d.words, 2);
        EXPECT_LT(strlen(check_load({words, n}, 0).text), sizeof(refusal::text) - 1);
        EXPECT_LT(strlen(check_encoding(words[0]).text), sizeof(refusal::text) - 1);
        check_operand(words[0]);
    }
}

}  // namespace
}  // namespace modbpf
