// SPDX-License-Identifier: GPL-2.0-only
#include "jit/ir.h"

namespace modbpf {

bool jit_op::is_pure() const {
    if (form == jit_form::rotate || form == jit_form::from_memory)
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

} // namespace modbpf
