// SPDX-License-Identifier: GPL-2.0-only
#include "jit/x86_encoder.h"

namespace modbpf::x86 {

/// `always`: a REX prefix even when all its bits are 0, which makes byte operands 4-7 spl, bpl, sil, dil instead of
/// ah, ch, dh, bh.
void encoder::rex(bool wide, u8 r, u8 x, u8 b, bool always) {
    u8 v = 0x40 | (wide ? 8 : 0) | (r >> 3 & 1) << 2 | (x >> 3 & 1) << 1 | (b >> 3 & 1);
    if (v != 0x40 || always)
        byte(v);
}
void encoder::rex_mem(bool wide, u8 r, mem m, bool always) {
    rex(wide, r, m.has_index ? num(m.index) : 0, num(m.base), always);
}

/// ModRM, SIB and displacement. Base rbp and r13 have no form without displacement; base rsp and r12 need a SIB byte.
void encoder::modrm_mem(u8 r, mem m) {
    u8 mod = m.disp == 0 && low3(m.base) != 5 ? 0 : fits_s8(m.disp) ? 1 : 2;
    u8 field = static_cast<u8>((r & 7) << 3);
    if (m.has_index) {
        byte(mod << 6 | field | 4);
        byte(static_cast<u8>(m.shift << 6 | low3(m.index) << 3 | low3(m.base)));
    } else {
        byte(mod << 6 | field | low3(m.base));
        if (low3(m.base) == 4)
            byte(0x24);
    }
    if (mod == 1)
        byte(static_cast<u8>(m.disp));
    else if (mod == 2)
        imm32(m.disp);
}

void encoder::rm_reg(bool wide, u8 opcode, reg r, reg rm) {
    rex(wide, num(r), 0, num(rm));
    byte(opcode);
    modrm_reg(num(r), rm);
}
void encoder::rm_reg_0f(bool wide, u8 opcode, reg r, reg rm) {
    rex(wide, num(r), 0, num(rm));
    byte(0x0f);
    byte(opcode);
    modrm_reg(num(r), rm);
}
void encoder::rm_mem(bool wide, u8 opcode, reg r, mem m) {
    rex_mem(wide, num(r), m);
    byte(opcode);
    modrm_mem(num(r), m);
}
void encoder::rm_mem_0f(bool wide, u8 opcode, reg r, mem m) {
    rex_mem(wide, num(r), m);
    byte(0x0f);
    byte(opcode);
    modrm_mem(num(r), m);
}
void encoder::group(bool wide, u8 opcode, u8 digit, reg rm) {
    rex(wide, 0, 0, num(rm));
    byte(opcode);
    modrm_reg(digit, rm);
}
/// VEX with three bytes, map 0F38; the count is in vvvv. R, X, B and vvvv are stored inverted.
void encoder::op_x(shift o, bool wide, reg dst, reg src, reg count) {
    constexpr u8 pp_66 = 1, pp_f3 = 2, pp_f2 = 3, map_0f38 = 2;
    byte(0xc4);
    byte(static_cast<u8>((extended(dst) ? 0 : 0x80) | 0x40 | (extended(src) ? 0 : 0x20) | map_0f38));
    byte(static_cast<u8>((wide ? 0x80 : 0) | (~num(count) & 15) << 3 | (o == shift::shl ? pp_66 : o == shift::shr ? pp_f2 : pp_f3)));
    byte(0xf7);
    modrm_reg(num(dst), src);
}
void encoder::short_form(u8 opcode, reg r) {
    rex(false, 0, 0, num(r));
    byte(opcode | low3(r));
}

void encoder::immediate(s32 v) {
    note_immediate();
    if (fits_s8(v))
        byte(static_cast<u8>(v));
    else
        imm32(v);
}

void encoder::imul(bool wide, reg dst, reg src, s32 imm) {
    rex(wide, num(dst), 0, num(src));
    byte(fits_s8(imm) ? 0x6b : 0x69);
    modrm_reg(num(dst), src);
    immediate(imm);
}

void encoder::extend(bool wide, bool is_signed, u8 bytes, reg dst, reg src) {
    if (bytes == 4)
        return rm_reg(true, 0x63, dst, src);  // movsxd
    rex(wide, num(dst), 0, num(src), bytes == 1 && num(src) >= 4);
    byte(0x0f);
    byte((is_signed ? 0xbe : 0xb6) | (bytes == 2 ? 1 : 0));
    modrm_reg(num(dst), src);
}

void encoder::mov_imm(reg dst, u64 v) {
    note_immediate();
    if (v == static_cast<u32>(v)) {
        short_form(0xb8, dst);
        imm32(static_cast<s32>(v));
    } else if (fits_s32(static_cast<s64>(v))) {
        rex(true, 0, 0, num(dst));
        byte(0xc7);
        modrm_reg(0, dst);
        imm32(static_cast<s32>(v));
    } else {
        rex(true, 0, 0, num(dst));
        byte(0xb8 | low3(dst));
        memcpy(p_, &v, 8);
        p_ += 8;
    }
}

void encoder::mov_blinded(reg dst, u64 v, u64 key) {
    [[maybe_unused]] u32 open = open_;
    auto low = static_cast<s32>(key), high = static_cast<s32>(key >> 32);
    if (v == static_cast<u32>(v)) {
        mov_imm(dst, static_cast<u32>(v) ^ static_cast<u32>(low));
        op(alu::xor_, false, dst, low);
    } else if (fits_s32(static_cast<s64>(v))) {
        mov_imm(dst, v ^ static_cast<u64>(static_cast<s64>(low)));
        op(alu::xor_, true, dst, low);
    } else { // an immediate of xor has 32 bits, sign-extended: one for each half
        u64 upper = static_cast<u64>(static_cast<s64>(high));
        mov_imm(dst, v ^ static_cast<u64>(static_cast<s64>(low)) ^ (upper << 32 | upper >> 32));
        op(alu::xor_, true, dst, low);
        op(shift::rol, true, dst, 32);
        op(alu::xor_, true, dst, high);
        op(shift::rol, true, dst, 32);
    }
#ifdef MODBPF_DEBUG
    open_ = open;
#endif
}

void encoder::op(alu o, bool wide, reg dst, s32 imm) {
    u8 digit = static_cast<u8>(o);
    rex(wide, 0, 0, num(dst));
    if (dst == reg::rax && !fits_s8(imm)) {
        byte(static_cast<u8>(digit << 3 | 5));
    } else {
        byte(fits_s8(imm) ? 0x83 : 0x81);
        modrm_reg(digit, dst);
    }
    immediate(imm);
}

void encoder::test(bool wide, reg r, s32 imm) {
    note_immediate();
    if (imm >= 0)
        wide = false;  // the mask's upper half is zero
    if (imm >= 0 && imm <= 0x7f) {
        if (r == reg::rax) {
            byte(0xa8);
        } else {
            rex(false, 0, 0, num(r), num(r) >= 4);
            byte(0xf6);
            modrm_reg(0, r);
        }
        return byte(static_cast<u8>(imm));
    }
    rex(wide, 0, 0, num(r));
    if (r == reg::rax) {
        byte(0xa9);
    } else {
        byte(0xf7);
        modrm_reg(0, r);
    }
    imm32(imm);
}

void encoder::op(shift o, bool wide, reg dst, u8 count) {
    if (count == 1)
        return group(wide, 0xd1, static_cast<u8>(o), dst);
    group(wide, 0xc1, static_cast<u8>(o), dst);
    byte(count);
}

void encoder::bswap(bool wide, reg r) {
    rex(wide, 0, 0, num(r));
    byte(0x0f);
    byte(0xc8 | low3(r));
}

void encoder::ror16(reg r, u8 count) {
    byte(0x66);
    group(false, 0xc1, static_cast<u8>(shift::ror), r);
    byte(count);
}

void encoder::sign_into_rdx(bool wide) {
    if (wide)
        byte(0x48);
    byte(0x99);
}

void encoder::test8(reg a, reg b) {
    rex(false, num(b), 0, num(a), num(a) >= 4 || num(b) >= 4);
    byte(0x84);
    modrm_reg(num(b), a);
}

void encoder::lea_rip(reg dst, s32 disp) {
    rex(true, num(dst), 0, 0);
    byte(0x8d);
    byte(static_cast<u8>(low3(dst) << 3 | 5));
    imm32(disp);
}

void encoder::load(u8 bytes, bool is_signed, reg dst, mem m) {
    switch (bytes) {
        case 1:
            return rm_mem_0f(is_signed, is_signed ? 0xbe : 0xb6, dst, m);
        case 2:
            return rm_mem_0f(is_signed, is_signed ? 0xbf : 0xb7, dst, m);
        case 4:
            return is_signed ? rm_mem(true, 0x63, dst, m) : rm_mem(false, 0x8b, dst, m);
        default:
            return rm_mem(true, 0x8b, dst, m);
    }
}

void encoder::load_segment(u8 prefix, bool wide, reg dst, s32 disp) {
    with_segment(prefix, 0x8b, wide, dst, disp);
}
void encoder::add_segment(u8 prefix, reg dst, s32 disp) {
    with_segment(prefix, 0x03, true, dst, disp);
}
void encoder::with_segment(u8 prefix, u8 opcode, bool wide, reg dst, s32 disp) {
    byte(prefix);
    rex(wide, num(dst), 0, 0);
    byte(opcode);
    byte(static_cast<u8>(low3(dst) << 3 | 4)); // no base, no index: a displacement alone
    byte(0x25);
    imm32(disp);
}
void encoder::store(u8 bytes, mem m, reg src) {
    if (bytes == 2)
        byte(0x66);
    rex_mem(bytes == 8, num(src), m, bytes == 1 && num(src) >= 4);
    byte(bytes == 1 ? 0x88 : 0x89);
    modrm_mem(num(src), m);
}

void encoder::store_imm(u8 bytes, mem m, s32 imm) {
    if (bytes == 2)
        byte(0x66);
    rex_mem(bytes == 8, 0, m);
    byte(bytes == 1 ? 0xc6 : 0xc7);
    modrm_mem(0, m);
    note_immediate();
    if (bytes == 1) {
        byte(static_cast<u8>(imm));
    } else if (bytes == 2) {
        byte(static_cast<u8>(imm));
        byte(static_cast<u8>(imm >> 8));
    } else {
        imm32(imm);
    }
}

void encoder::op(alu o, bool wide, mem m, reg src, bool lock) {
    if (lock)
        byte(0xf0);
    rm_mem(wide, static_cast<u8>(static_cast<u8>(o) << 3 | 1), src, m);
}

void encoder::op(alu o, bool wide, mem m, s32 imm) {
    rex_mem(wide, 0, m);
    byte(fits_s8(imm) ? 0x83 : 0x81);
    modrm_mem(static_cast<u8>(o), m);
    immediate(imm);
}

void encoder::xadd(bool wide, mem m, reg r) {
    byte(0xf0);
    rm_mem_0f(wide, 0xc1, r, m);
}
void encoder::cmpxchg(bool wide, mem m, reg r) {
    byte(0xf0);
    rm_mem_0f(wide, 0xb1, r, m);
}

}  // namespace modbpf::x86
