// SPDX-License-Identifier: GPL-2.0-only
// Two operations that are one or fewer native ones. The second is no jump's target, so that nothing can enter between
// them.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

namespace {

bool is_alu_imm(const jit_op &d, u8 op) {
    return d.kind == insn_kind::alu && d.op == op && !d.reg && d.width == 8;
}

/// Does the zero flag behind `d` decide the branch?
bool decides(const jit_op &d, const jit_op &branch) {
    if (d.kind != insn_kind::alu || !branch.is(insn_kind::branch) || branch.reg || branch.imm != 0)
        return false;
    if (branch.dst != d.dst || branch.width != d.width || (branch.op != BPF_JEQ && branch.op != BPF_JNE))
        return false;
    switch (d.op) {
        case BPF_AND:
            return d.reg || (d.imm != 0xff && d.imm != 0xffff); // those become a move, which sets no flags
        case BPF_ADD:
        case BPF_SUB:
        case BPF_OR:
        case BPF_XOR:
            return true;
        default:
            return false;
    }
}

/// Something short that may as well come before `d`.
bool may_precede(const jit_op &n, const jit_op &d) {
    bool is_short = n.is(insn_kind::mov) || n.is(insn_kind::load) || n.is(insn_kind::ld_imm64);
    return is_short && d.kind == insn_kind::alu && !(n.defs & (d.uses | d.defs)) && !(n.uses & d.defs);
}

}  // namespace

/// mov a, b; add a, c  ->  lea a, [b + c]
bool lowering::fuse_address(const jit_op &d, const jit_op &next) {
    if (d.kind != insn_kind::mov || !d.reg || d.width != 8 || d.sx_bytes)
        return false;
    if (next.kind != insn_kind::alu || next.width != 8 || next.dst != d.dst ||
        (next.op != BPF_ADD && next.op != BPF_SUB))
        return false;
    x86::mem m = at(d.src, 0);
    if (!next.reg) {
        s64 disp = m.disp + (next.op == BPF_ADD ? next.imm : -next.imm);
        if (!x86::fits_s32(disp) || !in_open(next.imm))
            return false;
        m.disp = static_cast<s32>(disp);
    } else {
        if (next.op != BPF_ADD || next.src == d.dst || next.src == BPF_REG_10)
            return false;
        m.index = frame_->native[next.src];
        m.has_index = true;
    }
    out_.e.lea(true, frame_->native[d.dst], m);
    return true;
}

/// lsh a, n; rsh or arsh a, n, where 64 - n is 8, 16 or 32  ->  zero- or sign-extension
bool lowering::fuse_extension(const jit_op &d, const jit_op &next) {
    if (!is_alu_imm(d, BPF_LSH) || (!is_alu_imm(next, BPF_RSH) && !is_alu_imm(next, BPF_ARSH)))
        return false;
    if (next.dst != d.dst || next.imm != d.imm || (d.imm != 32 && d.imm != 48 && d.imm != 56))
        return false;
    reg r = frame_->native[d.dst];
    bool is_signed = next.op == BPF_ARSH;
    u8 bytes = static_cast<u8>((64 - d.imm) / 8);
    if (bytes == 4 && !is_signed)
        out_.e.mov(false, r, r);
    else
        out_.e.extend(is_signed, is_signed, bytes, r, r);
    return true;
}

/// op a, b; if a == 0 (or != 0) goto X: the operation's own zero flag decides
bool lowering::fuse_test(const jit_op &d, const jit_op &next) {
    if (!decides(d, next))
        return false;
    alu(d);
    branch(next.op == BPF_JEQ ? x86::cond::e : x86::cond::ne, next);
    return true;
}

/// The same with something between the two that may come first. -> what comes behind them, or 0. Not where constants are blinded: whether one
/// shows is asked of all that is emitted together (shows_constant), which must not have two.
result<u32> lowering::fuse_test_apart(const jit_op &d, u32 next) {
    if (options_.blind || !may_precede(facts_.ops[next], d))
        return 0u;
    u32 last = next_of(next);
    if (last >= facts_.ops.size() || !decides(d, facts_.ops[last]))
        return 0u;
    TRY(operation(next));
    fuse_test(d, facts_.ops[last]);
    return last + 1;
}

/// -> the operation behind those that are emitted as one; 0 when none are.
result<u32> lowering::fuse(const jit_op &d, u32 next) {
    const jit_op &n = facts_.ops[next];
    if (n.form != jit_form::plain)
        return 0u;
    if ((may(jit_pass::address) && fuse_address(d, n)) || (may(jit_pass::flags) && fuse_test(d, n)) ||
        (may(jit_pass::extension) && fuse_extension(d, n)))
        return next + 1;
    return may(jit_pass::flags) ? fuse_test_apart(d, next) : result<u32>(0u);
}

}  // namespace modbpf
