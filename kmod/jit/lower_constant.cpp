// SPDX-License-Identifier: GPL-2.0-only
// Constants of the program in native code. Whoever chooses a program's constants must not choose bytes of the text: in the middle of an
// immediate, other instructions can be hidden (JIT spraying). Where blinding is asked for, a constant is a random number in one instruction
// and its difference to that number in the next, with a number of its own each time, whatever its size.
//
// What counts as a constant: immediate operands of arithmetic, moves, branches, stores, loads of 64 bits and packet loads, whichever pass made
// them; multipliers of divisions, sizes and bounds of maps, limits of masks. What does not: counts of shifts (6 bits), displacements of accesses
// (16 bits), upper halves of user addresses (15 bits), distances of jumps, sizes of frames, what the kernel chose (addresses of functions,
// seeds of hashes, places of per-CPU data).
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

void lowering::constant(reg dst, u64 v) {
    if (options_.blind)
        out_.e.mov_blinded(dst, v, port_random_seed());
    else
        out_.e.mov_imm(dst, v);
}

namespace {
/// What an immediate stands for in an operation of this width.
constexpr u64 extended(bool wide, s32 v) { return wide ? static_cast<u64>(static_cast<s64>(v)) : static_cast<u32>(v); }
} // namespace

void lowering::op_constant(x86::alu o, bool wide, reg dst, s32 v) {
    if (in_open(v))
        return out_.e.op(o, wide, dst, v);
    constant(reg::r11, extended(wide, v));
    out_.e.op(o, wide, dst, reg::r11);
}

void lowering::op_constant(x86::alu o, bool wide, x86::mem m, s32 v) {
    if (in_open(v))
        return out_.e.op(o, wide, m, v);
    constant(reg::r11, extended(wide, v));
    out_.e.op(o, wide, m, reg::r11, false);
}

void lowering::multiply_constant(bool wide, reg dst, s32 v) {
    if (in_open(v))
        return out_.e.imul(wide, dst, dst, v);
    constant(reg::r11, extended(wide, v));
    out_.e.imul(wide, dst, reg::r11);
}

void lowering::test_constant(bool wide, reg r, s32 v) {
    if (in_open(v))
        return out_.e.test(wide, r, v);
    constant(reg::r11, extended(wide, v));
    out_.e.test(wide, r, reg::r11);
}

void lowering::store_constant(u8 bytes, x86::mem m, s32 v) {
    if (in_open(v))
        return out_.e.store_imm(bytes, m, v);
    constant(reg::r11, extended(bytes == 8, v));
    out_.e.store(bytes, m, reg::r11);
}

/// For debug builds: does the text of operations [from, to), behind which are `open` immediates, show a constant that it should not?
bool lowering::shows_constant(u32 from, u32 to, u32 open) const {
    if (!options_.blind || out_.e.open_immediates() == open)
        return false;
    for (u32 i = from; i < to; i++)
        if (facts_.ops[i].has_constant())
            return true;
    return false;
}

} // namespace modbpf
