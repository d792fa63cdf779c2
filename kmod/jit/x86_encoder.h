// SPDX-License-Identifier: GPL-2.0-only
// x86-64 instruction encodings: one function an instruction form, from operands to bytes; nothing here knows BPF.
//
// Terms: `wide` = 64-bit operands (REX.W), else 32-bit, whose result is zero-extended by the processor. Operand order
// is Intel's:
// destination first. Each function picks the shortest encoding (imm8, disp8, no REX, the accumulator's short form).
//
// The encoder writes into memory of its owner, who calls room() before a group of instructions: at most max_insn_bytes
// each.
// Reference: Intel SDM volume 2; AMD64 manual volume 3. Golden bytes: x86_encoder_test.cpp.
#pragma once

#include "base/types.h"

namespace modbpf::x86 {

inline constexpr u32 max_insn_bytes = 15;

enum class reg : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
constexpr u8 num(reg r) {
    return static_cast<u8>(r);
}
constexpr u8 low3(reg r) {
    return num(r) & 7;
}
constexpr bool extended(reg r) {
    return num(r) >= 8;
}

/// The condition codes of Jcc, as encoded; the lowest bit inverts.
enum class cond : u8 { b = 2, ae = 3, e = 4, ne = 5, be = 6, a = 7, l = 12, ge = 13, le = 14, g = 15 };
constexpr cond invert(cond c) {
    return static_cast<cond>(static_cast<u8>(c) ^ 1);
}

/// Two-operand arithmetic, as encoded: opcode = op << 3 | form, or the /digit of 81 and 83.
enum class alu : u8 { add = 0, or_ = 1, and_ = 4, sub = 5, xor_ = 6, cmp = 7 };
/// /digit of C1, D1 and D3.
enum class shift : u8 { rol = 0, ror = 1, shl = 4, shr = 5, sar = 7 };
/// /digit of F7.
enum class unary : u8 { not_ = 2, neg = 3, mul = 4, imul = 5, div = 6, idiv = 7 };

/// [base + disp], or [base + (index << shift) + disp] where has_index; the index is never rsp.
struct mem {
    reg base;
    s32 disp = 0;
    reg index = reg::rax;
    bool has_index = false;
    u8 shift = 0; ///< 0 to 3
};

constexpr bool fits_s8(s64 v) {
    return v == static_cast<s8>(v);
}
constexpr bool fits_s32(s64 v) {
    return v == static_cast<s32>(v);
}

class encoder {
public:
    encoder(u8 *p) : p_(p) {}
    u8 *at() const { return p_; }

    void byte(u8 b) { *p_++ = b; }
    void imm32(s32 v) {
        memcpy(p_, &v, 4);
        p_ += 4;
    }
    /// How many immediates stand in the text as they are: all but counts of shifts and those of mov_blinded(). Debug builds; else 0.
    u32 open_immediates() const { return open_; }

    // Register to register.
    void mov(bool wide, reg dst, reg src) { rm_reg(wide, 0x89, src, dst); }
    void op(alu o, bool wide, reg dst, reg src) {
        rm_reg(wide, static_cast<u8>(static_cast<u8>(o) << 3 | 1), src, dst);
    }
    void test(bool wide, reg a, reg b) { rm_reg(wide, 0x85, b, a); }
    void xchg(bool wide, reg a, reg b) { rm_reg(wide, 0x87, b, a); }
    void imul(bool wide, reg dst, reg src) { rm_reg_0f(wide, 0xaf, dst, src); }
    void imul(bool wide, reg dst, reg src, s32 imm);
    /// Zero- or sign-extends the low 1, 2 bytes (4: sign-extension only, to 64 bits) of src.
    void extend(bool wide, bool is_signed, u8 bytes, reg dst, reg src);

    // Immediates and single operands.
    void mov_imm(reg dst, u64 v);                          ///< shortest form for any 64-bit value; does not touch flags
    /// dst = v, of which the text shows only v ^ key and the key, or for more than 32 bits as much. Touches flags.
    void mov_blinded(reg dst, u64 v, u64 key);
    void zero(reg dst) { rm_reg(false, 0x31, dst, dst); }  ///< touches flags
    void op(alu o, bool wide, reg dst, s32 imm);
    void test(bool wide, reg r, s32 imm);  ///< narrows to 32 or 8 bits where ZF stays the same: use ZF only
    void op(shift o, bool wide, reg dst, u8 count);
    void op_cl(shift o, bool wide, reg dst) { group(wide, 0xd3, static_cast<u8>(o), dst); }
    /// shlx, shrx, sarx: dst = src shifted by `count` (masked as by the others); no flag changes. BMI2.
    void op_x(shift o, bool wide, reg dst, reg src, reg count);
    void op(unary o, bool wide, reg r) { group(wide, 0xf7, static_cast<u8>(o), r); }
    void bswap(bool wide, reg r);
    void ror16(reg r, u8 count);    ///< rotates the low 16 bits, the rest stays
    void sign_into_rdx(bool wide);  ///< cdq, cqo
    void test8(reg a, reg b);
    void lea(bool wide, reg dst, mem m) { rm_mem(wide, 0x8d, dst, m); }
    /// lea dst, [rip + disp32]; the displacement's 4 bytes are the last ones.
    void lea_rip(reg dst, s32 disp);

    // Memory.
    void load(u8 bytes, bool is_signed, reg dst, mem m);  ///< to 64 bits: zero- or sign-extended
    void load_segment(u8 prefix, bool wide, reg dst, s32 disp); ///< mov dst, segment:[disp]
    void add_segment(u8 prefix, reg dst, s32 disp); ///< add dst, segment:[disp], 64 bits
    void store(u8 bytes, mem m, reg src);
    void store_imm(u8 bytes, mem m, s32 imm);  ///< 8 bytes: sign-extended
    void op(alu o, bool wide, mem m, reg src, bool lock);
    void op(alu o, bool wide, reg dst, mem m) { rm_mem(wide, static_cast<u8>(static_cast<u8>(o) << 3 | 3), dst, m); }
    void imul(bool wide, reg dst, mem m) { rm_mem_0f(wide, 0xaf, dst, m); }
    void op(alu o, bool wide, mem m, s32 imm);
    void xchg(bool wide, mem m, reg r) { rm_mem(wide, 0x87, r, m); }
    void xadd(bool wide, mem m, reg r);     ///< locked
    void cmpxchg(bool wide, mem m, reg r);  ///< locked; accumulator rax

    // Stack and control.
    void push(reg r) { short_form(0x50, r); }
    void push_imm8(s8 v) { byte(0x6a), note_immediate(), byte(static_cast<u8>(v)); }
    void pop(reg r) { short_form(0x58, r); }
    void leave() { byte(0xc9); }
    void ret() { byte(0xc3); }
    void int3() { byte(0xcc); }
    void lfence() { byte(0x0f), byte(0xae), byte(0xe8); }
    void endbr64() { byte(0xf3), byte(0x0f), byte(0x1e), byte(0xfa); }
    void call_reg(reg r) { group(false, 0xff, 2, r); }
    void jmp_reg(reg r) { group(false, 0xff, 4, r); }
    void call_rel32(s32 rel) { byte(0xe8), imm32(rel); }
    void jmp_rel32(s32 rel) { byte(0xe9), imm32(rel); }
    void jmp_rel8(s8 rel) { byte(0xeb), byte(static_cast<u8>(rel)); }
    void jcc_rel8(cond c, s8 rel) { byte(0x70 | static_cast<u8>(c)), byte(static_cast<u8>(rel)); }
    void jcc_rel32(cond c, s32 rel) { byte(0x0f), byte(0x80 | static_cast<u8>(c)), imm32(rel); }

    /// A jump inside the group: jcc or jmp rel8 whose target land() fixes; at most 127 bytes ahead.
    u8 *jcc_ahead(cond c) { return jcc_rel8(c, 0), p_; }
    u8 *jmp_ahead() { return jmp_rel8(0), p_; }
    void land(u8 *from) { from[-1] = static_cast<u8>(short_way(p_ - from)); }
    void jmp_back(u8 *to) { jmp_rel8(short_way(to - (p_ + 2))); }
    void jcc_back(cond c, u8 *to) { jcc_rel8(c, short_way(to - (p_ + 2))); }
    /// Was one of those asked to reach farther than 8 bits say? The text is not to be used.
    bool too_far() const { return too_far_; }

private:
    s8 short_way(s64 bytes) {
        too_far_ |= !fits_s8(bytes);
        return static_cast<s8>(bytes);
    }
    void with_segment(u8 prefix, u8 opcode, bool wide, reg dst, s32 disp);
    void rex(bool wide, u8 r, u8 x, u8 b, bool always = false);
    void modrm_reg(u8 r, reg rm) { byte(0xc0 | (r & 7) << 3 | low3(rm)); }
    void modrm_mem(u8 r, mem m);
    void rm_reg(bool wide, u8 opcode, reg r, reg rm);
    void rm_reg_0f(bool wide, u8 opcode, reg r, reg rm);
    void rm_mem(bool wide, u8 opcode, reg r, mem m);
    void rm_mem_0f(bool wide, u8 opcode, reg r, mem m);
    void rex_mem(bool wide, u8 r, mem m, bool always = false);
    void group(bool wide, u8 opcode, u8 digit, reg rm);
    void short_form(u8 opcode, reg r);
    void immediate(s32 v); ///< in 1 or 4 bytes: the opcode says which
#ifdef MODBPF_DEBUG
    void note_immediate() { open_++; }
    u32 open_ = 0;
#else
    void note_immediate() {}
    static constexpr u32 open_ = 0;
#endif

    u8 *p_;
    bool too_far_ = false;
};

}  // namespace modbpf::x86
