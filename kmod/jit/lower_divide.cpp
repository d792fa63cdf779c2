// SPDX-License-Identifier: GPL-2.0-only
// divide: division by a constant as multiplication by its inverse (Granlund and Montgomery 1994), unsigned; signed division is that of
// magnitudes.
//
// For d > 1 that is no power of two, l = ceil(log2 d) and N bits, m = floor(2^N * (2^l - d) / d) + 1 gives
//     t = high half of m * x;   x / d = (t + (x - t) / 2) >> (l - 1)      for every x of N bits,
// where the sum cannot overflow. When a shorter multiplier is exact for all x, x / d = (high half of m' * x) >> s. For 32 bits the product
// is a 64-bit one, so that no half is needed; for 64 bits it is rdx:rax.
#include "jit/divide.h"

#include "jit/lower.h"

namespace modbpf {

using x86::reg;

namespace {

/// floor(high:0 / d) for high < d: long division, a bit at a time. (There is no 128-bit division in a kernel.)
u64 divide_high(u64 high, u64 d, u64 *rest) {
    u64 quotient = 0;
    for (u32 i = 0; i < 64; i++) {
        bool carry = high >> 63;
        high <<= 1;
        quotient <<= 1;
        if (carry || high >= d)
            high -= d, quotient |= 1;
    }
    *rest = high;
    return quotient;
}

} // namespace

/// From quotient and rest of 2^(N + log) / d. Rounded up, the quotient is exact for N bits when what it is too large by, times d, is at
/// most 2^log (then it is below 2^N); else there is one bit more, the doubled quotient, of which the highest bit is added by hand.
static inverse_of round_up(u64 quotient, u64 rest, u64 d, u32 log) {
    if (d - rest <= 1ull << log)
        return {quotient + 1, log, false};
    return {quotient * 2 + (rest >= d - rest ? 1 : 0) + 1, log + 1, true};
}

inverse_of inverse32(u32 d) {
    u32 log = 31 - static_cast<u32>(__builtin_clz(d));
    u64 power = 1ull << (32 + log);
    inverse_of inv = round_up(power / d, power % d, d, log);
    inv.multiplier = static_cast<u32>(inv.multiplier);
    return inv;
}

inverse_of inverse64(u64 d) {
    u32 log = 63 - static_cast<u32>(__builtin_clzll(d));
    u64 rest, quotient = divide_high(1ull << log, d, &rest);
    return round_up(quotient, rest, d, log);
}

/// r11 = x / d, x in `x` (any register but r9-r11; its upper half is zero for 32 bits), which stays. rax and rdx stay.
void lowering::quotient(bool wide, u64 d, reg x) {
    x86::encoder &e = out_.e;
    if (!wide) {
        inverse_of inv = inverse32(static_cast<u32>(d));
        e.mov(false, reg::r11, x);
        constant(reg::r10, inv.multiplier);
        e.imul(true, reg::r11, reg::r10);
        if (!inv.add)
            return e.op(x86::shift::shr, true, reg::r11, static_cast<u8>(32 + inv.shift));
        e.op(x86::shift::shr, true, reg::r11, 32);
        e.mov(false, reg::r10, x);
        e.op(x86::alu::sub, false, reg::r10, reg::r11);
        e.op(x86::shift::shr, false, reg::r10, 1);
        e.op(x86::alu::add, false, reg::r11, reg::r10);
        if (inv.shift > 1)
            e.op(x86::shift::shr, false, reg::r11, static_cast<u8>(inv.shift - 1));
        return;
    }
    inverse_of inv = inverse64(d);
    e.mov(true, reg::r10, reg::rax);
    e.mov(true, reg::r9, reg::rdx);
    constant(reg::r11, inv.multiplier);
    if (x != reg::rax)
        e.mov(true, reg::rax, x);
    e.op(x86::unary::mul, true, reg::r11);
    e.mov(true, reg::r11, reg::rdx);
    e.mov(true, reg::rax, reg::r10);
    e.mov(true, reg::rdx, reg::r9);
    if (inv.add) {
        e.mov(true, reg::r10, x);
        e.op(x86::alu::sub, true, reg::r10, reg::r11);
        e.op(x86::shift::shr, true, reg::r10, 1);
        e.op(x86::alu::add, true, reg::r11, reg::r10);
    }
    u32 shift = inv.add ? inv.shift - 1 : inv.shift;
    if (shift)
        e.op(x86::shift::shr, true, reg::r11, static_cast<u8>(shift));
}

/// dst = dst / v or dst % v; v is no power of two.
void lowering::divide_by(const jit_op &d, u64 v) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8;
    quotient(wide, v, dst);
    if (d.op == BPF_DIV)
        return e.mov(wide, dst, reg::r11);
    if (in_open(static_cast<s64>(v)) && (x86::fits_s32(static_cast<s64>(v)) || !wide)) {
        e.imul(wide, reg::r11, reg::r11, static_cast<s32>(v));
    } else {
        constant(reg::r10, v);
        e.imul(wide, reg::r11, reg::r10);
    }
    e.op(x86::alu::sub, wide, dst, reg::r11);
}

/// r = r where `sign` is 0, -r where it is all ones.
static void give_sign(x86::encoder &e, bool wide, reg r, reg sign) {
    e.op(x86::alu::xor_, wide, r, sign);
    e.op(x86::alu::sub, wide, r, sign);
}

/// The same, signed; v is neither 0 nor 1 nor -1. The magnitude of the smallest number fits, unsigned. A quotient is negative when the signs
/// differ, a remainder when the dividend is; the dividend waits on the native stack, where nothing is called meanwhile.
void lowering::divide_signed(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8, by_negative = d.imm < 0;
    u64 v = by_negative ? 0 - static_cast<u64>(d.imm) : static_cast<u64>(d.imm);
    u8 sign_bit = wide ? 63 : 31;
    e.push(dst);
    e.mov(wide, reg::r11, dst);
    e.op(x86::shift::sar, wide, reg::r11, sign_bit);
    give_sign(e, wide, dst, reg::r11);
    if (!is_pow2(v)) {
        divide_by(d, v);
    } else if (d.op == BPF_DIV) {
        e.op(x86::shift::shr, wide, dst, static_cast<u8>(63 - __builtin_clzll(v)));
    } else {
        op_constant(x86::alu::and_, false, dst, static_cast<s32>(v - 1)); // v <= 2^31
    }
    e.pop(reg::r11);
    e.op(x86::shift::sar, wide, reg::r11, sign_bit);
    if (by_negative && d.op == BPF_DIV)
        e.op(x86::unary::not_, wide, reg::r11);
    give_sign(e, wide, dst, reg::r11);
}

} // namespace modbpf
