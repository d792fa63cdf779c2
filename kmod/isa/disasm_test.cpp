// SPDX-License-Identifier: GPL-2.0-only
// Disassembly against lines of Linux's verifier log and bpftool output. kmod/jit/peer_test.cpp compares more of it
// with the
// machine's own kernel.
#include "isa/disasm.h"

#include "isa/opcode.h"

#include <gtest/gtest.h>

#include <string>

namespace modbpf {
namespace {

const char *name_of(u32 id) {
    return id == 1 ? "map_lookup_elem" : id == 5 ? "ktime_get_ns" : nullptr;
}

std::string text(bpf_insn i, disasm_options o = {}) {
    char buf[disasm_line_max];
    if (!o.helper_name)
        o.helper_name = name_of;
    bpf_insn words[2] = {i, make_insn(0, 0, 0, 0, 0x12)};
    int n = disasm(buf, sizeof(buf), {words, 2}, 0, o);
    EXPECT_EQ(static_cast<size_t>(n), strlen(buf));
    return buf;
}

TEST(disasm, lines) {
    struct {
        bpf_insn insn;
        const char *want;
    } rows[] = {
        {make_insn(0xbf, 6, 1, 0, 0), "(bf) r6 = r1\n"},
        {make_insn(0xb7, 0, 0, 0, -1), "(b7) r0 = -1\n"},
        {make_insn(0xb4, 3, 0, 0, 7), "(b4) w3 = 7\n"},
        {make_insn(0xbf, 1, 2, 8, 0), "(bf) r1 = (s8)r2\n"},
        {make_insn(0xbc, 1, 2, 16, 0), "(bc) w1 = (s16)w2\n"},
        {make_insn(0xbf, 1, 2, 32, 0), "(bf) r1 = (s32)r2\n"},
        {make_insn(0x07, 2, 0, 0, -8), "(07) r2 += -8\n"},
        {make_insn(0x0f, 2, 3, 0, 0), "(0f) r2 += r3\n"},
        {make_insn(0xc7, 2, 0, 0, 3), "(c7) r2 s>>= 3\n"},
        {make_insn(0x3f, 2, 3, 1, 0), "(3f) r2 s/= r3\n"},
        {make_insn(0x94, 2, 0, 1, 3), "(94) w2 s%= 3\n"},
        {make_insn(0x9f, 2, 3, 0, 0), "(9f) r2 %= r3\n"},
        {make_insn(0x87, 2, 0, 0, 0), "(87) r2 = -r2\n"},
        {make_insn(0x84, 2, 0, 0, 0), "(84) w2 = -w2\n"},
        {make_insn(0xdc, 2, 0, 0, 16), "(dc) r2 = be16 r2\n"},
        {make_insn(0xd4, 2, 0, 0, 64), "(d4) r2 = le64 r2\n"},
        {make_insn(0xd7, 2, 0, 0, 32), "(d7) r2 = bswap32 r2\n"},
        {make_insn(0x61, 1, 2, 4, 0), "(61) r1 = *(u32 *)(r2 +4)\n"},
        {make_insn(0x79, 1, 10, -8, 0), "(79) r1 = *(u64 *)(r10 -8)\n"},
        {make_insn(0x91, 1, 2, 0, 0), "(91) r1 = *(s8 *)(r2 +0)\n"},
        {make_insn(0x81, 1, 2, 0, 0), "(81) r1 = *(s32 *)(r2 +0)\n"},
        {make_insn(0x7b, 10, 1, -8, 0), "(7b) *(u64 *)(r10 -8) = r1\n"},
        {make_insn(0x72, 10, 0, -1, 5), "(72) *(u8 *)(r10 -1) = 5\n"},
        {make_insn(0xdb, 1, 2, 0, 0), "(db) lock *(u64 *)(r1 +0) += r2\n"},
        {make_insn(0xc3, 1, 2, 4, 0xa0), "(c3) lock *(u32 *)(r1 +4) ^= r2\n"},
        {make_insn(0xdb, 1, 2, 0, 0x01), "(db) r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)\n"},
        {make_insn(0xc3, 1, 2, 0, 0x51), "(c3) r2 = atomic_fetch_and((u32 *)(r1 +0), r2)\n"},
        {make_insn(0xdb, 1, 2, 0, 0xe1), "(db) r2 = atomic64_xchg((u64 *)(r1 +0), r2)\n"},
        {make_insn(0xc3, 10, 2, -4, 0xf1), "(c3) r0 = atomic_cmpxchg((u32 *)(r10 -4), r0, r2)\n"},
        {make_insn(0xdb, 1, 2, 0, 0x22), "BUG_db\n"},
        {make_insn(0x18, 1, 0, 0, 5), "(18) r1 = 0x1200000005\n"},
        {make_insn(0x18, 1, 1, 0, -1), "(18) r1 = 0x12ffffffff\n"},
        {make_insn(0x20, 0, 0, 0, 12), "(20) r0 = *(u32 *)skb[12]\n"},
        {make_insn(0x48, 0, 7, 0, -2), "(48) r0 = *(u16 *)skb[r7 + -2]\n"},
        {make_insn(0x05, 0, 0, 3, 0), "(05) goto pc+3\n"},
        {make_insn(0x05, 0, 0, -3, 0), "(05) goto pc-3\n"},
        {make_insn(0x06, 0, 0, 0, 70000), "(06) gotol pc+70000\n"},
        {make_insn(0xe5, 0, 0, 2, 0), "(e5) may_goto pc+2\n"},
        {make_insn(0x15, 0, 0, 1, 0), "(15) if r0 == 0x0 goto pc+1\n"},
        {make_insn(0xc5, 1, 0, -7, -1), "(c5) if r1 s< 0xffffffff goto pc-7\n"},
        {make_insn(0x1e, 1, 2, 1, 0), "(1e) if w1 == w2 goto pc+1\n"},
        {make_insn(0x45, 1, 0, 1, 0x10), "(45) if r1 & 0x10 goto pc+1\n"},
        {make_insn(0x85, 0, 0, 0, 1), "(85) call bpf_map_lookup_elem#1\n"},
        {make_insn(0x85, 0, 0, 0, 999), "(85) call unknown#999\n"},
        {make_insn(0x85, 0, 1, 0, 7), "(85) call pc+7\n"},
        {make_insn(0x85, 0, 2, 0, 7), "(85) call kernel-function#7\n"},
        {make_insn(0x95, 0, 0, 0, 0), "(95) exit\n"},
        {make_insn(0x00, 0, 0, 0, 0), "BUG_ld_00\n"},
        {make_insn(0xf7, 0, 0, 0, 0), "(f7) alu64\n"},
    };
    for (auto &r : rows)
        EXPECT_EQ(text(r.insn), r.want);
}

TEST(disasm, callbacks) {
    disasm_options o;
    o.call_name = [](void *, const bpf_insn &i) -> const char * { return i.imm == 7 ? "_name" : nullptr; };
    EXPECT_EQ(text(make_insn(0x85, 0, 1, 0, 7), o), "(85) call pc_name\n");
    EXPECT_EQ(text(make_insn(0x85, 0, 2, 0, 7), o), "(85) call _name#7\n");
    EXPECT_EQ(text(make_insn(0x85, 0, 1, 0, -8), o), "(85) call pc-8\n");
    o.imm_name = [](void *, const bpf_insn &, u64) -> const char * { return "map[id:3]"; };
    EXPECT_EQ(text(make_insn(0x18, 1, 1, 0, 5), o), "(18) r1 = map[id:3]\n");
}

/// K13: addresses do not show.
TEST(disasm, hides_pointers) {
    disasm_options o;
    o.show_pointers = false;
    for (u8 pseudo : {1, 2, 3, 5, 6})
        EXPECT_EQ(text(make_insn(0x18, 1, pseudo, 0, 5), o), "(18) r1 = 0x0\n");
    EXPECT_EQ(text(make_insn(0x18, 1, 0, 0, 5), o), "(18) r1 = 0x1200000005\n");
}

TEST(disasm, cuts_to_the_buffer) {
    char buf[8];
    bpf_insn i = make_insn(0xbf, 6, 1, 0, 0);
    EXPECT_EQ(disasm(buf, sizeof(buf), {&i, 1}, 0, {}), 13);
    EXPECT_STREQ(buf, "(bf) r6");
}

}  // namespace
}  // namespace modbpf
