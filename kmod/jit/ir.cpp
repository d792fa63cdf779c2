// SPDX-License-Identifier: GPL-2.0-only
#include "jit/ir.h"

namespace modbpf {

bool jit_op::is_pure() const {
    if (form == jit_form::rotate || form == jit_form::from_memory || form == jit_form::per_cpu || form == jit_form::add_per_cpu ||
        form == jit_form::scaled || form == jit_form::to_user)
        return true;
    if (form != jit_form::plain)
        return false;
    switch (kind) {
        case insn_kind::alu:
        case insn_kind::mov:
        case insn_kind::neg:
        case insn_kind::to_le:
        case insn_kind::to_be:
        case insn_kind::bswap:
        case insn_kind::load:
        case insn_kind::ld_imm64:
            return true;
        default:
            return false;
    }
}

bool jit_op::has_constant() const {
    if (dead || reg || !imm || (form != jit_form::plain && form != jit_form::to_memory))
        return false;
    switch (kind) {
        case insn_kind::alu:
            return op != BPF_LSH && op != BPF_RSH && op != BPF_ARSH;
        case insn_kind::mov:
        case insn_kind::branch:
        case insn_kind::store:
            return true;
        case insn_kind::ld_imm64:
            return !is_pseudo_func();
        default:
            return false;
    }
}

jit_op make_move(const jit_op &at, u8 width, u8 dst, u8 src) {
    jit_op o;
    o.origin = at.origin, o.inlined = at.inlined;
    o.kind = insn_kind::mov, o.op = BPF_MOV;
    o.width = width, o.reg = true;
    o.dst = dst, o.src = src;
    o.defs = reg_bit(dst), o.uses = reg_bit(src);
    return o;
}

jit_op make_move_imm(const jit_op &at, u8 width, u8 dst, s64 imm) {
    jit_op o = make_move(at, width, dst, 0);
    o.reg = false;
    o.imm = imm;
    o.uses = 0;
    return o;
}

jit_op make_alu(const jit_op &at, u8 op, u8 width, u8 dst, u8 src) {
    jit_op o = make_move(at, width, dst, src);
    o.kind = insn_kind::alu, o.op = op;
    o.uses |= reg_bit(dst);
    return o;
}

jit_op make_alu_imm(const jit_op &at, u8 op, u8 width, u8 dst, s64 imm) {
    jit_op o = make_alu(at, op, width, dst, dst);
    o.reg = false, o.src = 0;
    o.imm = imm;
    return o;
}

jit_op make_scaled(const jit_op &at, u8 dst, u8 src, u8 shift) {
    jit_op o = make_alu(at, BPF_ADD, 8, dst, src);
    o.form = jit_form::scaled;
    o.imm = shift;
    return o;
}

jit_op make_imm64(const jit_op &at, u8 dst, u64 v) {
    jit_op o = make_move_imm(at, 8, dst, static_cast<s64>(v));
    o.kind = insn_kind::ld_imm64, o.op = 0;
    return o;
}

jit_op make_load(const jit_op &at, u8 width, u8 dst, u8 base, s32 off) {
    jit_op o = make_move(at, width, dst, base);
    o.kind = insn_kind::load, o.op = 0, o.reg = false;
    o.off = static_cast<s16>(off);
    return o;
}

jit_op make_per_cpu(const jit_op &at, u8 width, u8 dst, s32 off) {
    jit_op o = make_move_imm(at, width, dst, off);
    o.kind = insn_kind::load, o.op = 0, o.form = jit_form::per_cpu;
    return o;
}

jit_op make_add_per_cpu(const jit_op &at, u8 dst, s32 off) {
    jit_op o = make_alu_imm(at, BPF_ADD, 8, dst, off);
    o.form = jit_form::add_per_cpu;
    return o;
}

jit_op make_jump(const jit_op &at) {
    jit_op o = make_move_imm(at, 8, 0, 0);
    o.kind = insn_kind::jump, o.op = BPF_JA;
    o.defs = 0;
    o.jumps = true, o.falls_through = false;
    return o;
}

jit_op make_branch(const jit_op &at, u8 op, u8 width, u8 reg, s32 imm) {
    jit_op o = make_move_imm(at, width, reg, imm);
    o.kind = insn_kind::branch, o.op = op;
    o.uses = reg_bit(reg), o.defs = 0;
    o.jumps = true;
    return o;
}

} // namespace modbpf
