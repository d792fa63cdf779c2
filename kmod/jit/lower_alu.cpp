// SPDX-License-Identifier: GPL-2.0-only
// Arithmetic, moves and comparisons. RFC 9669 sections 4.1 and 4.2; values as in interp/alu.h.
#include "jit/lower.h"

namespace modbpf {

using x86::cond;
using x86::reg;

namespace {

constexpr x86::shift native_shift(u8 op) {
    return op == BPF_LSH ? x86::shift::shl : op == BPF_RSH ? x86::shift::shr : x86::shift::sar;
}
constexpr u8 log2_of(u64 v) {
    return static_cast<u8>(63 - __builtin_clzll(v));
}

constexpr cond native_cond(u8 op) {
    switch (op) {
        case BPF_JEQ:
            return cond::e;
        case BPF_JGT:
            return cond::a;
        case BPF_JGE:
            return cond::ae;
        case BPF_JLT:
            return cond::b;
        case BPF_JLE:
            return cond::be;
        case BPF_JSGT:
            return cond::g;
        case BPF_JSGE:
            return cond::ge;
        case BPF_JSLT:
            return cond::l;
        case BPF_JSLE:
            return cond::le;
        default:  // BPF_JNE, BPF_JSET
            return cond::ne;
    }
}

}  // namespace

void lowering::mov(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8;
    if (!d.reg) {
        u64 v = wide ? static_cast<u64>(d.imm) : static_cast<u32>(d.imm);
        return v ? constant(dst, v) : e.zero(dst);
    }
    if (d.src == BPF_REG_10 && wide && !d.sx_bytes)
        return frame_->below_rbp ? e.lea(true, dst, at(BPF_REG_10, 0)) : e.mov(true, dst, reg::rbp);
    reg src = use(d.src, reg::r11);
    if (d.sx_bytes)
        return e.extend(wide, true, d.sx_bytes, dst, src);
    if (!wide || dst != src)  // a 32-bit move to itself clears the upper half
        e.mov(wide, dst, src);
}

void lowering::alu(const jit_op &d) {
    switch (d.op) {
        case BPF_LSH:
        case BPF_RSH:
        case BPF_ARSH:
            return shift(d);
        case BPF_DIV:
        case BPF_MOD:
            return div(d);
        case BPF_MUL:
            if (!d.reg)
                return mul_imm(d);
            return out_.e.imul(d.width == 8, frame_->native[d.dst], use(d.src, reg::r11));
        default:
            if (!d.reg)
                return alu_imm(d, native_alu(d.op));
            return out_.e.op(native_alu(d.op), d.width == 8, frame_->native[d.dst], use(d.src, reg::r11));
    }
}

/// pointer +-= offset, where an offset beyond the guard's limit counts as 0: with m = limit - |offset|, the sign of m | |offset| is
/// set exactly when the offset is too large (|offset| itself is below 2^63), and its complement is the mask. The CPU computes that; it
/// guesses nothing.
void lowering::masked_alu(const jit_op &d, const code_guard &g) {
    x86::encoder &e = out_.e;
    bool negative = mask_has(g.kind, guard_kind::mask_negative), in_src = mask_has(g.kind, guard_kind::mask_in_src);
    reg dst = frame_->native[d.dst], mask = reg::r11, size = reg::r9;
    constant(mask, g.limit);
    if (!mask_has(g.kind, guard_kind::mask_constant)) {
        e.mov(true, size, in_src ? use(d.src, reg::r10) : dst);
        if (negative)
            e.op(x86::unary::neg, true, size);
        e.op(x86::alu::sub, true, mask, size);
        e.op(x86::alu::or_, true, mask, size);
        e.op(x86::unary::neg, true, mask); // negative when 0 < size <= limit: the mask is all ones
        e.op(x86::shift::sar, true, mask, 63);
        e.op(x86::alu::and_, true, mask, size);
    }
    if (!in_src)
        e.mov(true, dst, use(d.src, reg::r10));
    bool add = (d.op == BPF_ADD) != negative;
    e.op(add ? x86::alu::add : x86::alu::sub, true, dst, mask);
}

void lowering::alu_imm(const jit_op &d, x86::alu op) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    auto imm = static_cast<s32>(d.imm);
    bool wide = d.width == 8;
    if (op == x86::alu::and_ && (imm == 0xff || imm == 0xffff))
        return e.extend(false, false, imm == 0xff ? 1 : 2, dst, dst);
    if (op == x86::alu::and_ && imm >= 0)
        wide = false;  // the upper half of the result is zero either way
    op_constant(op, wide, dst, imm);
}

void lowering::mul_imm(const jit_op &d) {
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8;
    u64 v = wide ? static_cast<u64>(d.imm) : static_cast<u32>(d.imm);
    if (v == 0)
        return out_.e.zero(dst);
    if (!is_pow2(v))
        return multiply_constant(wide, dst, static_cast<s32>(d.imm));
    if (v > 1)
        return out_.e.op(x86::shift::shl, wide, dst, log2_of(v));
    if (!wide)
        out_.e.mov(false, dst, dst);
}

/// The processor masks the count as BPF does. It must be in cl, which is r4's, unless the processor takes it from anywhere.
void lowering::shift(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8;
    x86::shift op = native_shift(d.op);
    if (!d.reg) {
        u8 count = static_cast<u8>(d.imm) & (wide ? 63 : 31);
        if (count)
            e.op(op, wide, dst, count);
        else if (!wide)
            e.mov(false, dst, dst);
        return;
    }
    reg src = use(d.src, reg::r10);
    if (src == reg::rcx && dst != reg::rcx)
        return e.op_cl(op, wide, dst);
    if (env_.bmi2)
        return e.op_x(op, wide, dst, dst, src);
    e.mov(true, reg::r11, reg::rcx);
    if (src != reg::rcx)
        e.mov(false, reg::rcx, src);
    e.op_cl(op, wide, dst == reg::rcx ? reg::r11 : dst);
    e.mov(true, reg::rcx, reg::r11);
}

/// Divisions by a constant that need no division. False: not one of those.
bool lowering::div_by_constant(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8, quotient = d.op == BPF_DIV;
    u64 v = wide ? static_cast<u64>(d.imm) : static_cast<u32>(d.imm);
    auto keep = [&] {
        if (!wide)
            e.mov(false, dst, dst);
    };
    if (v == 0)  // the verifier refuses it; the semantics are still those of a register that is 0
        quotient ? e.zero(dst) : keep();
    else if (v == 1)
        quotient ? keep() : e.zero(dst);
    else if (d.is_signed && d.imm == -1)
        quotient ? e.op(x86::unary::neg, wide, dst) : e.zero(dst);
    else if (!d.is_signed && is_pow2(v) && quotient)
        e.op(x86::shift::shr, wide, dst, log2_of(v));
    else if (!d.is_signed && is_pow2(v))
        op_constant(x86::alu::and_, false, dst, static_cast<s32>(v - 1));  // v <= 2^31: the mask clears the upper half
    else
        return false;
    return true;
}

/// Quotient and remainder by r11, which is neither 0 nor, when signed, -1. rax and rdx (r0, r3) are kept in r10 and r9.
void lowering::div_full(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst], yields = d.op == BPF_DIV ? reg::rax : reg::rdx;
    bool wide = d.width == 8;
    if (dst != reg::rax)
        e.mov(true, reg::r10, reg::rax);
    if (dst != reg::rdx)
        e.mov(true, reg::r9, reg::rdx);
    if (dst != reg::rax)
        e.mov(wide, reg::rax, dst);
    if (d.is_signed)
        e.sign_into_rdx(wide);
    else
        e.zero(reg::rdx);
    e.op(d.is_signed ? x86::unary::idiv : x86::unary::div, wide, reg::r11);
    if (dst != yields)
        e.mov(true, dst, yields);
    if (dst != reg::rax)
        e.mov(true, reg::rax, reg::r10);
    if (dst != reg::rdx)
        e.mov(true, reg::rdx, reg::r9);
}

/// x / 0 = 0, x % 0 = x, MIN / -1 = MIN, MIN % -1 = 0: the processor would trap on each of them.
void lowering::div(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8, quotient = d.op == BPF_DIV;
    if (!d.reg) {
        if (div_by_constant(d))
            return;
        if (!d.is_signed && may(jit_pass::divide))
            return divide_by(d, wide ? static_cast<u64>(d.imm) : static_cast<u32>(d.imm));
        if (may(jit_pass::divide))
            return divide_signed(d);
        constant(reg::r11, wide ? static_cast<u64>(d.imm) : static_cast<u32>(d.imm));
        return div_full(d);
    }
    e.mov(wide, reg::r11, use(d.src, reg::r11));
    e.test(wide, reg::r11, reg::r11);
    u8 *not_zero = e.jcc_ahead(cond::ne);
    if (quotient)
        e.zero(dst);
    else if (!wide)
        e.mov(false, dst, dst);
    u8 *done_zero = e.jmp_ahead(), *done_minus = nullptr;
    e.land(not_zero);
    if (d.is_signed) {
        e.op(x86::alu::cmp, wide, reg::r11, -1);
        u8 *not_minus = e.jcc_ahead(cond::ne);
        if (quotient)
            e.op(x86::unary::neg, wide, dst);
        else
            e.zero(dst);
        done_minus = e.jmp_ahead();
        e.land(not_minus);
    }
    div_full(d);
    e.land(done_zero);
    if (done_minus)
        e.land(done_minus);
}

void lowering::byte_order(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg r = frame_->native[d.dst];
    if (d.kind == insn_kind::to_le) {
        if (d.width == 2)
            e.extend(false, false, 2, r, r);
        else if (d.width == 4)
            e.mov(false, r, r);
        return;
    }
    if (d.width == 2) {
        e.ror16(r, 8);
        e.extend(false, false, 2, r, r);
    } else {
        e.bswap(d.width == 8, r);
    }
}

/// Sets the flags of a conditional jump. -> the condition under which it is taken.
x86::cond lowering::compare(const jit_op &d) {
    x86::encoder &e = out_.e;
    bool wide = d.width == 8;
    reg dst = use(d.dst, reg::r10);
    if (d.reg) {
        reg src = use(d.src, reg::r11);
        if (d.op == BPF_JSET)
            e.test(wide, dst, src);
        else
            e.op(x86::alu::cmp, wide, dst, src);
    } else if (d.op == BPF_JSET) {
        test_constant(wide, dst, static_cast<s32>(d.imm));
    } else if (d.imm == 0) {
        e.test(wide, dst, dst);  // carry and overflow are 0, as after cmp with 0
    } else {
        op_constant(x86::alu::cmp, wide, dst, static_cast<s32>(d.imm));
    }
    return d.negated ? invert(native_cond(d.op)) : native_cond(d.op);
}

}  // namespace modbpf
