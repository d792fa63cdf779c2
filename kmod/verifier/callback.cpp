// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/callback.h"
#include "btf/btf.h"
#include "verifier/dynptr.h"
#include "verifier/expand.h"
#include "verifier/func_args.h"
#include "verifier/loops.h"
#include "verifier/marks.h"
#include "verifier/sections.h"
#include "verifier/special.h"

namespace modbpf {

namespace {

constexpr u32 btf_func_static = 0; // linkage, in a function's vlen

/// Of the map that the caller's r1 is, or is a value of.
void set_of_map(reg_state &r, reg_type t, const reg_state &r1) {
    r.set_pointer(t);
    r.map_ptr = r1.map_ptr;
    r.map_uid = r1.map_uid;
}

/// A node of the tree whose root `r1` points to: its lock is held, so it is there.
status set_graph_node(env &e, const reg_state &r1, reg_state &r) {
    const field_table *table = TRY(fields_of(e, r1));
    s64 off = static_cast<s64>(r1.var.value()) + r1.off;
    const special_field *root = table && off >= 0 ? table->at(static_cast<u32>(off), graph_roots) : nullptr;
    if (!root)
        return verifier_bug(e, "callback without a root");
    set_object(e, r, {root->types, root->type_id}, type_flag::alloc);
    r.off = static_cast<s32>(root->node_off);
    return set_non_owning(e, r);
}

status set_arg(env &e, callback_arg a, const func_state &caller, reg_state &r) {
    switch (a) {
    case callback_arg::none:
        r.set_not_init();
        return {};
    case callback_arg::number:
        r.set_unknown();
        return {};
    case callback_arg::r1:
    case callback_arg::r2:
    case callback_arg::r3:
    case callback_arg::r4:
    case callback_arg::r5:
        r = caller.regs[BPF_REG_1 + static_cast<u32>(a) - static_cast<u32>(callback_arg::r1)];
        return {};
    case callback_arg::map:
        set_of_map(r, reg_type::map_ptr, caller.regs[BPF_REG_1]);
        r.of_many = caller.regs[BPF_REG_1].type != reg_type::map_ptr || caller.regs[BPF_REG_1].of_many;
        return {};
    case callback_arg::map_key:
        set_of_map(r, reg_type::map_key, caller.regs[BPF_REG_1]);
        return {};
    case callback_arg::map_value:
        set_of_map(r, reg_type::map_value, caller.regs[BPF_REG_1]);
        if (tells_lock(e, r)) // each turn has another element, whose lock is another
            r.id = ++e.id_gen;
        return {};
    case callback_arg::dynptr:
        set_const_dynptr(e, r, dynptr_kind::local);
        return {};
    case callback_arg::vma:
        if (typed vma = kernel_struct(e, "vm_area_struct")) {
            set_object(e, r, vma, type_flag::none);
            return {};
        }
        verbose(e, "the kernel's types have no vm_area_struct\n");
        return fail(EOPNOTSUPP);
    case callback_arg::graph_node:
        return set_graph_node(e, caller.regs[BPF_REG_1], r);
    }
    return verifier_bug(e, "argument of a callback");
}

status set_args(env &e, const callback_proto &proto, const func_state &caller, func_state &callee) {
    for (u32 i = 0; i < count_of(proto.args); i++)
        TRY(set_arg(e, proto.args[i], caller, callee.regs[BPF_REG_1 + i]));
    callee.callback = &proto;
    return {};
}

status enter_async(env &e, const callback_proto &proto, u32 sub) {
    e.subs[sub].is_async = true;
    own<verifier_state> st(e.frames.get_state());
    if (!st)
        return error(ENOMEM);
    st->frame[0] = TRY(make_frame(e, sub, func_state::no_callsite, 0));
    TRY(set_args(e, proto, e.cur->cur(), *st->frame[0]));
    st->async_depth = e.cur->async_depth + 1;
    st->modes.in_sleepable = proto.may_sleep;
    e.out->image.sleepable |= proto.may_sleep;
    TRY(e.pending.push({st.get(), e.subs[sub].start, e.insn, e.log.position(), e.precision ? fresh_span(e) : path_span{}}));
    (void)st.release();
    if (e.pending.size() <= max_pending)
        return {};
    verbose(e, "The sequence of %d jumps is too complex for async cb.\n", static_cast<int>(e.pending.size()));
    return fail(E2BIG);
}

status enter_sync(env &e, const callback_proto &proto, u32 sub) {
    TRY(observe_callback(e, sub));
    e.subs[sub].called_sync = true;
    verifier_state &st = *TRY(push_path(e, e.subs[sub].start, e.insn));
    func_state &callee = *TRY(push_frame(e, st, sub, e.insn));
    TRY(set_args(e, proto, *st.frame[st.curframe - 1], callee));
    st.callback_turns++;
    st.frame[st.curframe - 1]->callback_turns++;
    e.cur->cur().callback_turns = 0;
    return {};
}

}  // namespace

status call_callback(env &e, const callback_proto &proto, u32 sub, const map *m) {
    if (MODBPF_BUG_ON(sub == 0 || sub >= e.subs.size() || (!proto.async && e.aux[e.insn].loop != loop_driver::callback)))
        return error(EFAULT);
    if (proto.map_types && (!m || m->params.type >= 64 || !(proto.map_types >> m->params.type & 1))) {
        verbose(e, "callback function not allowed for map\n");
        return fail(ENOTSUPP);
    }
    e.subs[sub].called_back = true;
    e.subs[sub].unreliable = true; // its arguments are not those that its caller has in the registers
    if (proto.counted) {
        TRY(note_loop(e, sub));
        TRY(demand_reg(e, BPF_REG_1)); // the number of turns decides
        func_state &f = e.cur->cur();
        if (f.callback_turns >= f.regs[BPF_REG_1].var.umax) {
            f.callback_turns = 0;
            if (e.log.level() & BPF_LOG_LEVEL2)
                verbose(e, "frame%d bpf_loop iteration limit reached\n", e.cur->curframe);
            return {};
        }
    }
    return proto.async ? enter_async(e, proto, sub) : enter_sync(e, proto, sub);
}

status return_from_callback(env &e, bool by_exit) {
    verifier_state &st = *e.cur;
    const func_state &callee = st.cur();
    const reg_state &r0 = callee.regs[BPF_REG_0];
    if (by_exit) {
        TRY(read_reg(e, BPF_REG_0));
        if (!r0.is_scalar()) {
            verbose(e, "R0 not a scalar value\n");
            return fail(EACCES);
        }
        TRY(demand_reg(e, BPF_REG_0));
        TRY(check_return_range(e, r0, callee.callback->ret_min, callee.callback->ret_max, "At callback return"));
    }
    e.next_insn = callee.callsite;
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2)) {
        verbose(e, "returning from callee:\n");
        print_state(e, st, st.curframe, true);
        verbose(e, "to caller at %d:\n", e.next_insn);
        print_state(e, st, st.curframe - 1, true);
        e.scratched_regs = 0, e.scratched_slots = 0;
    }
    bool was_in_rcu_section = in_rcu_section(e);
    st.pop_frame();
    if (was_in_rcu_section && !in_rcu_section(e)) // a callback may not sleep where its caller may
        distrust_protected(e);
    TRY(settle_marks(e));
    const verifier_state *before = previous_turn(e, e.next_insn, true);
    if (before && before->cur().callback_turns < st.cur().callback_turns)
        widen(e, *before, st);
    return {};
}

status load_func_pointer(env &e, const insn_desc &d) {
    s32 sub = find_start(e, d.target);
    if (MODBPF_BUG_ON(sub < 0))
        return error(EFAULT);
    if (e.req.funcs.empty() || !e.req.types) {
        verbose(e, "missing btf func_info\n");
        return fail(EINVAL);
    }
    const btf_type *func = e.req.types->type(e.req.funcs[static_cast<u32>(sub)].type_id);
    if (MODBPF_BUG_ON(!func))
        return error(EFAULT);
    if (func->vlen() != btf_func_static) {
        verbose(e, "callback function not static\n");
        return fail(EINVAL);
    }
    if (!sub) {
        verbose(e, "callback function cannot be the main program\n");
        return fail(EINVAL);
    }
    reg_state &r = e.reg(d.dst);
    r.set_pointer(reg_type::func);
    r.subprog = static_cast<u32>(sub);
    return {};
}

}  // namespace modbpf
