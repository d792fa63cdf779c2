// SPDX-License-Identifier: GPL-2.0-only
// The operations that no BPF instruction stands for: see jit_form.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

void lowering::special(const jit_op &d) {
    x86::encoder &e = out_.e;
    reg dst = frame_->native[d.dst];
    bool wide = d.width == 8;
    switch (d.form) {
        case jit_form::rotate:
            if (d.src != d.dst)
                e.mov(wide, dst, frame_->native[d.src]);
            return e.op(x86::shift::rol, wide, dst, static_cast<u8>(d.imm));
        case jit_form::from_memory:
            if (d.op == BPF_MUL)
                return e.imul(wide, dst, address(d, d.src));
            return e.op(native_alu(d.op), wide, dst, address(d, d.src));
        case jit_form::to_memory: {
            x86::mem m = address(d, d.dst);
            if (d.reg)
                return e.op(native_alu(d.op), wide, m, frame_->native[d.src], false);
            return op_constant(native_alu(d.op), wide, m, static_cast<s32>(d.imm));
        }
        case jit_form::scaled:
            if (!d.imm)
                return e.op(x86::alu::add, true, dst, frame_->native[d.src]);
            return e.lea(true, dst, {dst, 0, frame_->native[d.src], true, static_cast<u8>(d.imm)});
        case jit_form::per_cpu:
            return e.load_segment(env_.per_cpu.segment, wide, dst, static_cast<s32>(d.imm));
        case jit_form::add_per_cpu:
            return e.add_segment(env_.per_cpu.segment, dst, static_cast<s32>(d.imm));
        case jit_form::to_user: {
            e.mov(false, dst, use(d.src, dst));
            e.test(false, dst, dst);
            u8 *null = e.jcc_ahead(x86::cond::e);
            e.op(x86::shift::shl, true, dst, 32);
            e.op(x86::alu::or_, true, dst, static_cast<s32>(d.imm));
            e.op(x86::shift::rol, true, dst, 32);
            return e.land(null);
        }
        case jit_form::hash:
            return hash(facts_.lookups[static_cast<u32>(d.imm)]);
        case jit_form::direct: {
            auto fn = static_cast<u64>(d.imm);
            return call_address(options_.near ? options_.near(fn) : fn);
        }
        case jit_form::tail:
            return tail_call_in_place(d);
        case jit_form::save:
            return e.push(dst);
        case jit_form::restore:
            return e.pop(dst);
        default:
            static_cast<void>(MODBPF_BUG_ON(true));
    }
}

} // namespace modbpf
