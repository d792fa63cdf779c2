// SPDX-License-Identifier: GPL-2.0-only
// Two BPF instructions that are one or fewer native ones. The second must not be a jump's target, so that nothing can
// enter
// between them.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

namespace {

bool is_alu_imm(const insn_desc &d, u8 op) {
    return d.kind == insn_kind::alu && d.op == op && !d.reg && d.width == 8;
}

}  // namespace

/// mov a, b; add a, c  ->  lea a, [b + c]
u32 lowering::fuse_address(const insn_desc &d, const insn_desc &next) {
    if (d.kind != insn_kind::mov || !d.reg || d.width != 8 || d.sx_bytes)
        return 0;
    if (next.kind != insn_kind::alu || next.width != 8 || next.dst != d.dst ||
        (next.op != BPF_ADD && next.op != BPF_SUB))
        return 0;
    x86::mem m = at(d.src, 0);
    if (!next.reg) {
        s64 disp = m.disp + (next.op == BPF_ADD ? next.imm : -next.imm);
        if (!x86::fits_s32(disp))
            return 0;
        m.disp = static_cast<s32>(disp);
    } else {
        if (next.op != BPF_ADD || next.src == d.dst || next.src == BPF_REG_10)
            return 0;
        m.index = frame_->native[next.src];
        m.has_index = true;
    }
    out_.e.lea(true, frame_->native[d.dst], m);
    return 2;
}

/// lsh a, n; rsh or arsh a, n, where 64 - n is 8, 16 or 32  ->  zero- or sign-extension
u32 lowering::fuse_extension(const insn_desc &d, const insn_desc &next) {
    if (!is_alu_imm(d, BPF_LSH) || (!is_alu_imm(next, BPF_RSH) && !is_alu_imm(next, BPF_ARSH)))
        return 0;
    if (next.dst != d.dst || next.imm != d.imm || (d.imm != 32 && d.imm != 48 && d.imm != 56))
        return 0;
    reg r = frame_->native[d.dst];
    bool is_signed = next.op == BPF_ARSH;
    u8 bytes = static_cast<u8>((64 - d.imm) / 8);
    if (bytes == 4 && !is_signed)
        out_.e.mov(false, r, r);
    else
        out_.e.extend(is_signed, is_signed, bytes, r, r);
    return 2;
}

/// if ... goto +1; goto X  ->  if not ... goto X
u32 lowering::fuse_branch_over(u32 at, const insn_desc &d) {
    if (d.kind != insn_kind::branch || d.target != static_cast<s64>(at) + 2)
        return 0;
    insn_desc next = decode(code_.insns.view(), at + 1);
    if (next.kind != insn_kind::jump)
        return 0;
    if (next.target != d.target) {
        x86::cond cc = invert(compare(d));
        out_.branch(cc, static_cast<u32>(next.target));
    }
    return 2;
}

/// op a, b; if a == 0 (or != 0) goto X: the operation's own zero flag decides
u32 lowering::fuse_test(u32 at, const insn_desc &d, const insn_desc &next) {
    if (d.kind != insn_kind::alu || next.kind != insn_kind::branch || next.reg || next.imm != 0)
        return 0;
    if (next.dst != d.dst || next.width != d.width || (next.op != BPF_JEQ && next.op != BPF_JNE))
        return 0;
    switch (d.op) {
        case BPF_AND:
            if (!d.reg && (d.imm == 0xff || d.imm == 0xffff))  // becomes a move, which sets no flags
                return 0;
            break;
        case BPF_ADD:
        case BPF_SUB:
        case BPF_OR:
        case BPF_XOR:
            break;
        default:
            return 0;
    }
    alu(d);
    if (next.target != static_cast<s64>(at) + 2)
        out_.branch(next.op == BPF_JEQ ? x86::cond::e : x86::cond::ne, static_cast<u32>(next.target));
    return 2;
}

/// -> words that were lowered together, or 0.
u32 lowering::fuse(u32 at, const insn_desc &d) {
    if (d.words != 1 || at + 1 >= frame_->end || facts_.targets[at + 1])
        return 0;
    if (d.kind == insn_kind::branch)
        return fuse_branch_over(at, d);
    if (d.kind != insn_kind::mov && d.kind != insn_kind::alu)
        return 0;
    insn_desc next = decode(code_.insns.view(), at + 1);
    if (u32 words = fuse_address(d, next))
        return words;
    if (u32 words = fuse_test(at, d, next))
        return words;
    return fuse_extension(d, next);
}

}  // namespace modbpf
