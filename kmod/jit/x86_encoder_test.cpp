// SPDX-License-Identifier: GPL-2.0-only
// Golden bytes, and every form in every register against an independent disassembler.
#include "jit/x86_encoder.h"

#include <capstone/capstone.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace modbpf::x86 {
namespace {

std::string bytes(const std::function<void(encoder &)> &f) {
    u8 buf[64];
    encoder e(buf);
    f(e);
    std::string out;
    for (u8 *p = buf; p < e.at(); p++) {
        char hex[4];
        snprintf(hex, sizeof(hex), "%02x", *p);
        out += hex;
    }
    return out;
}
u32 open_immediates(const std::function<void(encoder &)> &f) {
    u8 buf[64];
    encoder e(buf);
    f(e);
    return e.open_immediates();
}

#define BYTES(...) bytes([&](encoder &e) { __VA_ARGS__; })

/// What the check of blinded images counts: each form with an immediate, in either size, and none of those that hide it.
TEST(x86_encoder, immediates_are_counted) {
    for (s32 v : {5, 5000}) {
        mem m{reg::rbx, 8};
        EXPECT_EQ(open_immediates([&](encoder &e) { e.mov_imm(reg::rdx, static_cast<u64>(v)); }), 1u);
        EXPECT_EQ(open_immediates([&](encoder &e) { e.op(alu::add, true, reg::rdx, v); }), 1u);
        EXPECT_EQ(open_immediates([&](encoder &e) { e.op(alu::add, true, reg::rax, v); }), 1u);
        EXPECT_EQ(open_immediates([&](encoder &e) { e.op(alu::add, true, m, v); }), 1u);
        EXPECT_EQ(open_immediates([&](encoder &e) { e.imul(true, reg::rdx, reg::rdx, v); }), 1u);
        EXPECT_EQ(open_immediates([&](encoder &e) { e.test(true, reg::rdx, v); }), 1u);
        for (u8 bytes : {1, 2, 4, 8})
            EXPECT_EQ(open_immediates([&](encoder &e) { e.store_imm(bytes, m, v); }), 1u);
    }
    EXPECT_EQ(open_immediates([](encoder &e) { e.push_imm8(1); }), 1u);
    for (u64 v : {5ull, ~5ull, 1ull << 40})
        EXPECT_EQ(open_immediates([&](encoder &e) { e.mov_blinded(reg::rdx, v, 0x2222222211111111); }), 0u);
    EXPECT_EQ(open_immediates([](encoder &e) { e.op(shift::shl, true, reg::rdx, 5); }), 0u);
    EXPECT_EQ(open_immediates([](encoder &e) { e.op(alu::add, true, reg::rdx, reg::rbx); }), 0u);
    EXPECT_EQ(open_immediates([](encoder &e) { e.lea(true, reg::rdx, {reg::rbx, 5000}); }), 0u);
}

TEST(x86_encoder, golden) {
    EXPECT_EQ(BYTES(e.mov(true, reg::rax, reg::rdi)), "4889f8");
    EXPECT_EQ(BYTES(e.mov(false, reg::rax, reg::rdi)), "89f8");
    EXPECT_EQ(BYTES(e.mov(true, reg::r15, reg::r8)), "4d89c7");
    EXPECT_EQ(BYTES(e.op(alu::add, true, reg::rdi, reg::rsi)), "4801f7");
    EXPECT_EQ(BYTES(e.op(alu::cmp, false, reg::r13, reg::rcx)), "4139cd");
    EXPECT_EQ(BYTES(e.op(alu::add, true, reg::rdi, 1)), "4883c701");
    EXPECT_EQ(BYTES(e.op(alu::add, true, reg::rax, 1000)), "4805e8030000");
    EXPECT_EQ(BYTES(e.op(alu::sub, true, reg::rsp, 128)), "4881ec80000000");
    EXPECT_EQ(BYTES(e.op(alu::and_, false, reg::rbx, -128)), "83e380");
    EXPECT_EQ(BYTES(e.mov_imm(reg::rax, 1)), "b801000000");
    EXPECT_EQ(BYTES(e.load_segment(0x65, false, reg::rax, 0x1234)), "658b042534120000");
    EXPECT_EQ(BYTES(e.load_segment(0x64, true, reg::r9, -8)), "644c8b0c25f8ffffff");
    EXPECT_EQ(BYTES(e.add_segment(0x65, reg::rax, 0x1234)), "6548030425" "34120000");
    EXPECT_EQ(BYTES(e.add_segment(0x64, reg::r9, -8)), "644c030c25f8ffffff");
    EXPECT_EQ(BYTES(e.mov_imm(reg::r8, 0xffffffff)), "41b8ffffffff");
    EXPECT_EQ(BYTES(e.mov_imm(reg::rdi, ~0ull)), "48c7c7ffffffff");
    EXPECT_EQ(BYTES(e.mov_imm(reg::r14, 0x123456789abcdef0)), "49bef0debc9a78563412");
    EXPECT_EQ(BYTES(e.mov_blinded(reg::rax, 0x12345678, 0x11111111)), "b869472503"
                                                                      "3511111111");
    EXPECT_EQ(BYTES(e.mov_blinded(reg::r9, ~0ull, 0x11111111)), "49c7c1eeeeeeee"
                                                                "4981f111111111");
    EXPECT_EQ(BYTES(e.mov_blinded(reg::rdi, 0x123456789abcdef0, 0x2222222211111111)), "48bfe1cfad8b5a741630"
                                                                                      "4881f711111111"
                                                                                      "48c1c720"
                                                                                      "4881f722222222"
                                                                                      "48c1c720");
    EXPECT_EQ(BYTES(e.zero(reg::r8)), "4531c0");
    EXPECT_EQ(BYTES(e.extend(false, false, 1, reg::rsi, reg::rsi)), "400fb6f6");
    EXPECT_EQ(BYTES(e.extend(true, true, 4, reg::rdi, reg::rax)), "4863f8");
    EXPECT_EQ(BYTES(e.imul(true, reg::rdi, reg::rsi)), "480faffe");
    EXPECT_EQ(BYTES(e.imul(false, reg::rax, reg::rax, 31)), "6bc01f");
    EXPECT_EQ(BYTES(e.op(shift::shl, true, reg::rax, 1)), "48d1e0");
    EXPECT_EQ(BYTES(e.op(shift::sar, false, reg::r9, 31)), "41c1f91f");
    EXPECT_EQ(BYTES(e.op_cl(shift::shr, true, reg::rdx)), "48d3ea");
    EXPECT_EQ(BYTES(e.op_x(shift::shl, true, reg::r9, reg::r13, reg::rcx)), "c442f1f7cd");
    EXPECT_EQ(BYTES(e.op_x(shift::sar, false, reg::rax, reg::rbx, reg::r14)), "c4e20af7c3");
    EXPECT_EQ(BYTES(e.op(unary::div, true, reg::r11)), "49f7f3");
    EXPECT_EQ(BYTES(e.sign_into_rdx(true)), "4899");
    EXPECT_EQ(BYTES(e.bswap(true, reg::rax)), "480fc8");
    EXPECT_EQ(BYTES(e.ror16(reg::r8, 8)), "6641c1c808");
    EXPECT_EQ(BYTES(e.test(true, reg::rax, 0x10)), "a810");
    EXPECT_EQ(BYTES(e.test(true, reg::rdi, 0x10)), "40f6c710");
    EXPECT_EQ(BYTES(e.test(true, reg::rdi, -1)), "48f7c7ffffffff");
    EXPECT_EQ(BYTES(e.load(8, false, reg::rax, {reg::rbp, -8})), "488b45f8");
    EXPECT_EQ(BYTES(e.load(4, false, reg::rax, {reg::rdi, 0})), "8b07");
    EXPECT_EQ(BYTES(e.load(1, false, reg::rax, {reg::r13, 0})), "410fb64500");
    EXPECT_EQ(BYTES(e.load(2, true, reg::rcx, {reg::r12, 300})), "490fbf8c242c010000");
    EXPECT_EQ(BYTES(e.store(1, {reg::rbp, -1}, reg::rsi)), "408875ff");  // not dh
    EXPECT_EQ(BYTES(e.store(1, {reg::rbp, -1}, reg::rdx)), "8855ff");
    EXPECT_EQ(BYTES(e.store(2, {reg::rdi, 0}, reg::r8)), "66448907");
    EXPECT_EQ(BYTES(e.store_imm(2, {reg::rdi, 0}, -2)), "66c707feff");
    EXPECT_EQ(BYTES(e.store_imm(8, {reg::rbp, -16}, -1)), "48c745f0ffffffff");
    EXPECT_EQ(BYTES(e.op(alu::add, true, mem{reg::rdi, 8}, reg::rsi, true)), "f048017708");
    EXPECT_EQ(BYTES(e.xadd(false, mem{reg::rbp, -4}, reg::rax)), "f00fc145fc");
    EXPECT_EQ(BYTES(e.cmpxchg(true, mem{reg::rdi}, reg::r9)), "f04c0fb10f");
    EXPECT_EQ(BYTES(e.lea(true, reg::rdi, {reg::rbp, -512})), "488dbd00feffff");
    EXPECT_EQ(BYTES(e.lea(true, reg::rax, {reg::rbp, 0, reg::r9, true})), "4a8d440d00");
    EXPECT_EQ(BYTES(e.push(reg::r13)), "4155");
    EXPECT_EQ(BYTES(e.call_reg(reg::rax)), "ffd0");
    EXPECT_EQ(BYTES(e.jmp_reg(reg::r11)), "41ffe3");
    EXPECT_EQ(BYTES(e.jcc_rel8(cond::e, -2)), "74fe");
    EXPECT_EQ(BYTES(e.jcc_rel32(cond::g, 256)), "0f8f00010000");
    EXPECT_EQ(BYTES(e.endbr64()), "f30f1efa");
}

constexpr const char *names64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr const char *names32[] = {"eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
                                   "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"};
constexpr const char *names16[] = {"ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
                                   "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"};
constexpr const char *names8[] = {"al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                  "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"};

class decoder {
public:
    decoder() { cs_open(CS_ARCH_X86, CS_MODE_64, &cs_); }
    ~decoder() { cs_close(&cs_); }
    /// The one instruction that f emits, as text; says so when it is not exactly one.
    std::string text(const std::function<void(encoder &)> &f) {
        u8 buf[64];
        encoder e(buf);
        f(e);
        cs_insn *insn;
        size_t n = cs_disasm(cs_, buf, static_cast<size_t>(e.at() - buf), 0, 0, &insn);
        std::string out = n == 1 && insn->size == e.at() - buf ? std::string(insn->mnemonic) + " " + insn->op_str
                                                               : "not one instruction";
        EXPECT_LE(e.at() - buf, static_cast<long>(max_insn_bytes));
        cs_free(insn, n);
        return out;
    }

private:
    csh cs_;
};
#define TEXT(...) d.text([&](encoder &e) { __VA_ARGS__; })

std::string hex(s64 v) {
    char buf[32];
    snprintf(buf, sizeof(buf), v < 0 ? " - 0x%llx" : " + 0x%llx", v < 0 ? -v : v);
    std::string s = buf;
    if ((v < 0 ? -v : v) < 10)
        s = (v < 0 ? " - " : " + ") + std::to_string(v < 0 ? -v : v);
    return v ? s : "";
}
std::string memory(const char *size, mem m) {
    return std::string(size) + " ptr [" + names64[num(m.base)] +
           (m.has_index ? std::string(" + ") + names64[num(m.index)] : "") + (m.shift ? "*" + std::to_string(1 << m.shift) : "") + hex(m.disp) +
           "]";
}

TEST(x86_encoder, all_register_pairs) {
    decoder d;
    for (u8 a = 0; a < 16; a++)
        for (u8 b = 0; b < 16; b++) {
            reg x = static_cast<reg>(a), y = static_cast<reg>(b);
            std::string wide = std::string(names64[a]) + ", " + names64[b],
                        narrow = std::string(names32[a]) + ", " + names32[b];
            EXPECT_EQ(TEXT(e.mov(true, x, y)), "mov " + wide);
            EXPECT_EQ(TEXT(e.mov(false, x, y)), "mov " + narrow);
            EXPECT_EQ(TEXT(e.op(alu::sub, true, x, y)), "sub " + wide);
            EXPECT_EQ(TEXT(e.op(alu::xor_, false, x, y)), "xor " + narrow);
            EXPECT_EQ(TEXT(e.op(alu::or_, true, x, y)), "or " + wide);
            EXPECT_EQ(TEXT(e.test(true, x, y)), "test " + wide);
            EXPECT_EQ(TEXT(e.test8(x, y)), std::string("test ") + names8[a] + ", " + names8[b]);
            EXPECT_EQ(TEXT(e.imul(true, x, y)), "imul " + wide);
            EXPECT_EQ(TEXT(e.imul(false, x, y, 1000)), "imul " + narrow + ", 0x3e8");
            EXPECT_EQ(TEXT(e.extend(true, true, 4, x, y)), std::string("movsxd ") + names64[a] + ", " + names32[b]);
            EXPECT_EQ(TEXT(e.extend(true, true, 1, x, y)), std::string("movsx ") + names64[a] + ", " + names8[b]);
            EXPECT_EQ(TEXT(e.extend(false, true, 2, x, y)), std::string("movsx ") + names32[a] + ", " + names16[b]);
            EXPECT_EQ(TEXT(e.extend(false, false, 1, x, y)), std::string("movzx ") + names32[a] + ", " + names8[b]);
            EXPECT_EQ(TEXT(e.extend(false, false, 2, x, y)), std::string("movzx ") + names32[a] + ", " + names16[b]);
            for (s32 disp : {0, 1, -8, 127, 128, -128, -129, 40000, -40000}) {
                if (disp != 0 && disp != -8 && (a * 7 + b * 3 + (disp & 15)) % 8)
                    continue;  // each base and each register sees each size of displacement, not each pair
                mem m{y, disp};
                EXPECT_EQ(TEXT(e.load(8, false, x, m)), std::string("mov ") + names64[a] + ", " + memory("qword", m));
                EXPECT_EQ(TEXT(e.load(4, false, x, m)), std::string("mov ") + names32[a] + ", " + memory("dword", m));
                EXPECT_EQ(TEXT(e.load(2, false, x, m)), std::string("movzx ") + names32[a] + ", " + memory("word", m));
                EXPECT_EQ(TEXT(e.load(1, false, x, m)), std::string("movzx ") + names32[a] + ", " + memory("byte", m));
                EXPECT_EQ(TEXT(e.load(4, true, x, m)), std::string("movsxd ") + names64[a] + ", " + memory("dword", m));
                EXPECT_EQ(TEXT(e.load(2, true, x, m)), std::string("movsx ") + names64[a] + ", " + memory("word", m));
                EXPECT_EQ(TEXT(e.load(1, true, x, m)), std::string("movsx ") + names64[a] + ", " + memory("byte", m));
                EXPECT_EQ(TEXT(e.store(8, m, x)), "mov " + memory("qword", m) + ", " + names64[a]);
                EXPECT_EQ(TEXT(e.store(4, m, x)), "mov " + memory("dword", m) + ", " + names32[a]);
                EXPECT_EQ(TEXT(e.store(2, m, x)), "mov " + memory("word", m) + ", " + names16[a]);
                EXPECT_EQ(TEXT(e.store(1, m, x)), "mov " + memory("byte", m) + ", " + names8[a]);
                EXPECT_EQ(TEXT(e.xadd(true, m, x)), "lock xadd " + memory("qword", m) + ", " + names64[a]);
                EXPECT_EQ(TEXT(e.cmpxchg(false, m, x)), "lock cmpxchg " + memory("dword", m) + ", " + names32[a]);
                EXPECT_EQ(TEXT(e.op(alu::and_, true, m, x, true)),
                          "lock and " + memory("qword", m) + ", " + names64[a]);
                EXPECT_EQ(TEXT(e.xchg(true, m, x)), "xchg " + memory("qword", m) + ", " + names64[a]);
                if (x != reg::rsp) {
                    mem i{y, disp, x, true, static_cast<u8>((a + b) % 4)};
                    std::string want = memory("", i).substr(5);
                    EXPECT_EQ(TEXT(e.lea(true, reg::r9, i)), "lea r9, " + want);
                }
            }
        }
}

TEST(x86_encoder, all_registers) {
    decoder d;
    for (u8 a = 0; a < 16; a++) {
        reg x = static_cast<reg>(a);
        std::string w = names64[a], n = names32[a];
        EXPECT_EQ(TEXT(e.op(alu::cmp, true, x, 5)), "cmp " + w + ", 5");
        EXPECT_EQ(TEXT(e.op(alu::add, false, x, 100000)), "add " + n + ", 0x186a0");
        EXPECT_EQ(TEXT(e.op(shift::shl, true, x, 5)), "shl " + w + ", 5");
        EXPECT_EQ(TEXT(e.op(shift::shr, false, x, 1)), "shr " + n + ", 1");
        EXPECT_EQ(TEXT(e.op_cl(shift::sar, true, x)), "sar " + w + ", cl");
        EXPECT_EQ(TEXT(e.op_x(shift::shl, true, x, reg::r8, reg::rcx)), "shlx " + w + ", r8, rcx");
        EXPECT_EQ(TEXT(e.op_x(shift::shr, false, reg::rdx, x, reg::r12)), "shrx edx, " + n + ", r12d");
        EXPECT_EQ(TEXT(e.op_x(shift::sar, true, reg::r15, reg::rax, x)), "sarx r15, rax, " + w);
        EXPECT_EQ(TEXT(e.op(unary::neg, false, x)), "neg " + n);
        EXPECT_EQ(TEXT(e.op(unary::idiv, true, x)), "idiv " + w);
        EXPECT_EQ(TEXT(e.bswap(false, x)), "bswap " + n);
        EXPECT_EQ(TEXT(e.ror16(x, 8)), std::string("ror ") + names16[a] + ", 8");
        EXPECT_EQ(TEXT(e.test(true, x, 0x40)), std::string("test ") + names8[a] + ", 0x40");
        EXPECT_EQ(TEXT(e.test(true, x, 0x4000)), "test " + n + ", 0x4000");
        EXPECT_EQ(TEXT(e.push(x)), "push " + w);
        EXPECT_EQ(TEXT(e.pop(x)), "pop " + w);
        EXPECT_EQ(TEXT(e.call_reg(x)), "call " + w);
        EXPECT_EQ(TEXT(e.jmp_reg(x)), "jmp " + w);
        EXPECT_EQ(TEXT(e.mov_imm(x, 5)), "mov " + n + ", 5");
        EXPECT_EQ(TEXT(e.lea_rip(x, 16)), "lea " + w + ", [rip + 0x10]");
    }
}

/// A jump inside a group reaches as far as 8 bits say; farther is noticed.
TEST(x86_encoder, short_jumps_that_do_not_reach) {
    for (u32 between : {0u, 127u, 128u, 300u}) {
        u8 text[512];
        encoder ahead(text), back(text);
        u8 *from = ahead.jcc_ahead(cond::e), *to = back.at();
        for (u32 i = 0; i < between; i++)
            ahead.byte(0x90), back.byte(0x90);
        ahead.land(from);
        EXPECT_EQ(ahead.too_far(), between > 127) << between;
        back.jmp_back(to); // of 2 bytes itself
        EXPECT_EQ(back.too_far(), between + 2 > 128) << between;
    }
}

}  // namespace
}  // namespace modbpf::x86
