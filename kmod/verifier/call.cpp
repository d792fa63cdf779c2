// SPDX-License-Identifier: GPL-2.0-only
// Helper calls: arguments against the prototype, then the call's effects. Also legacy packet loads, which behave like calls.
#include "verifier/btf_match.h"
#include "verifier/call.h"
#include "verifier/callback.h"
#include "verifier/context.h"
#include "verifier/dynptr.h"
#include "verifier/marks.h"
#include "verifier/sections.h"
#include "verifier/special.h"
#include "verifier/speculation.h"

namespace modbpf {

void forget_pointer(env &e, reg_state &r) {
    if (e.req.perfmon)
        r.set_unknown();
    else
        r.set_not_init();
}

namespace {

constexpr u64 max_record = 0x7fffffff; // more is never reserved: ringbuf_reserve gives NULL

// ---- may the program call it here? ----------------------------------------------------------------------------------------

/// The kernel function or iterator that the program attaches to, or null.
const char *attached_to(const env &e) { return e.target.name[0] ? e.target.name : nullptr; }

/// The prototype for this program, or null.
const helper_proto *visible_proto(const env &e, u32 id) {
    const verify_request &q = e.req;
    const helper_proto *p = helper_at(e, id);
    if (!p || ((p->flags & helper_needs_perfmon) && !q.perfmon) || ((p->flags & helper_needs_bpf) && !q.bpf))
        return nullptr;
    // These rules choose the prototype; the others are told apart in check_place.
    bool chooses = p->hook == hook_rule::iter_sockets || p->hook == hook_rule::lsm_sockets;
    return chooses && !hook_allows(p->hook, q.type->type, q.expected_attach_type, attached_to(e)) ? nullptr : p;
}

status check_place(env &e, const helper_proto &p) {
    if ((p.flags & helper_gpl_only) && !e.req.gpl_compatible) {
        verbose(e, "cannot call GPL-restricted function from non-GPL compatible program\n");
        return fail(EINVAL);
    }
    if (!hook_allows(p.hook, e.req.type->type, e.req.expected_attach_type, attached_to(e))) {
        verbose(e, "helper call is not allowed in probe\n");
        return fail(EINVAL);
    }
    return check_helper_sleeps(e, p);
}

/// The only calls while a bpf_spin_lock is held.
bool unlocks(s64 id) {
    const helper_proto *p = id >= 0 && id < func_id_count ? any_helper(static_cast<u32>(id)) : nullptr;
    return p && (p->flags & helper_unlocks);
}

status find_proto(env &e, s64 id, call_meta &meta) {
    if (id < 0 || id >= func_id_count) {
        verbose(e, "invalid func %s#%d\n", func_text(id).text, static_cast<int>(id));
        return fail(EINVAL);
    }
    meta.fn = visible_proto(e, static_cast<u32>(id));
    if (!meta.fn) {
        verbose(e, "program of this type cannot use helper %s#%d\n", func_text(id).text, static_cast<int>(id));
        return fail(EINVAL);
    }
    return check_place(e, *meta.fn);
}

// ---- effects ----------------------------------------------------------------------------------------------------------------

/// Maps that programs may not write.
status check_map_use(env &e, const call_meta &meta) {
    if (!(meta.fn->flags & helper_writes_map) || meta.map_ptr->prog_may_write())
        return {};
    verbose(e, "write into map forbidden\n");
    return fail(EACCES);
}

/// Is the map of a type that the helper works on?
status check_map_type(env &e, const call_meta &meta) {
    if (!meta.map_ptr || (meta.map_ptr->params.type < 64 && (meta.fn->map_types & bit(meta.map_ptr->params.type))))
        return {};
    u32 type = meta.map_ptr->params.type;
    if ((meta.fn->flags & helper_writes_map) && (type == BPF_MAP_TYPE_SOCKMAP || type == BPF_MAP_TYPE_SOCKHASH))
        verbose(e, "cannot update sockmap in this context\n");
    func_text name(meta.fn->id);
    verbose(e, "cannot pass map_type %d into func %s#%d\n", meta.map_ptr->params.type, name.text, meta.fn->id);
    return fail(EINVAL);
}

status check_format_args(env &e, const call_meta &meta) {
    if (!(meta.fn->flags & helper_fmt))
        return {};
    u32 fmt = 0, room = 0;
    for (u32 i = 0; i < 5; i++)
        if (meta.fn->args[i] == arg_type::const_str)
            fmt = i + 1;
    if (!fmt)
        return {}; // a format in memory is read when the program runs
    const char *text = TRY(const_string(e, fmt, &room));
    const scalar &len = e.reg(BPF_REG_5).var;
    if (len.bits.value % 8)
        return fail(EINVAL);
    auto args = check_format(text, room);
    if (args.ok() && args.value() <= len.bits.value / 8)
        return {};
    verbose(e, "Invalid format string\n");
    return args.ok() ? fail(EINVAL) : args.err();
}

void refine_result(env &e, const call_meta &meta) {
    scalar &v = e.reg(BPF_REG_0).var;
    if (meta.fn->flags & helper_ret_len) {
        constexpr s32 max_errno = 4095;
        s64 top = static_cast<s64>(meta.size_max);
        v.smin = -max_errno, v.smax = top;
        v.s32_min = -max_errno, v.s32_max = static_cast<s32>(top);
    } else if (meta.fn->flags & helper_ret_cpu) {
        u32 last = port_cpu_count() - 1;
        v.umin = 0, v.smin = 0, v.u32_min = 0, v.s32_min = 0;
        v.umax = last, v.smax = last, v.u32_max = last, v.s32_max = static_cast<s32>(last);
    } else {
        return;
    }
    scalar_sync(v);
}

bool holds_sockets(const map *m) {
    return m && (m->params.type == BPF_MAP_TYPE_SOCKMAP || m->params.type == BPF_MAP_TYPE_SOCKHASH);
}

status result_object(env &e, reg_state &r, const helper_proto &p, type_flag flags) {
    typed object = p.ret_btf ? kernel_struct(e, p.ret_btf) : typed{};
    if (!object) {
        verbose(e, "the kernel's BTF has no struct %s\n", p.ret_btf ? p.ret_btf : "?");
        return fail(EINVAL);
    }
    set_object(e, r, object, flags);
    return {};
}

/// This CPU's or another's copy of a per-CPU variable: an object, or memory of a size.
status result_percpu(env &e, reg_state &r, type_flag flags, const call_meta &meta) {
    typed object{meta.object_types, meta.object_id};
    const btf_type *t = object.type();
    if (t && (t->kind() == btf_kind::structure || t->kind() == btf_kind::union_)) {
        // Read-only is memory's: what may be written to an object is known by its type. Linux takes the result for an own object never to
        // be NULL, which it is for a CPU that is not there.
        flags = flags & ~type_flag::rdonly;
        set_object(e, r, object, meta.own_object ? (flags & type_flag::maybe_null) | type_flag::alloc | type_flag::rcu : flags);
        return {};
    }
    u32 size;
    if (!t || !object.types->size_of(object.id, &size)) {
        verbose(e, "unable to resolve the size of type '%s': %d\n", object.name(), -EINVAL);
        return fail(EINVAL);
    }
    r.set_pointer(reg_type::mem | flags);
    r.mem_size = size;
    return {};
}

/// What r0 points to.
status result_pointer(env &e, reg_state &r, const call_meta &meta) {
    ret_type ret = meta.fn->ret;
    type_flag flags = flags_of(ret);
    switch (base_of(ret)) {
    case ret_type::map_value:
        if (MODBPF_BUG_ON(!meta.map_ptr))
            return error(EFAULT);
        r.set_pointer(reg_type::map_value | flags);
        r.map_ptr = meta.map_ptr, r.map_uid = meta.map_uid, r.found = meta.found;
        return {};
    case ret_type::socket: r.set_pointer(reg_type::socket | flags); return {};
    case ret_type::sock_common: r.set_pointer(reg_type::sock_common | flags); return {};
    case ret_type::tcp_sock: r.set_pointer(reg_type::tcp_sock | flags); return {};
    case ret_type::mem:
    case ret_type::dynptr_mem: // the helper may take fewer bits of the size than the program gave
        r.set_pointer(reg_type::mem | flags);
        r.mem_size = meta.alloc_size <= max_record ? static_cast<u32>(meta.alloc_size) : 0;
        return {};
    case ret_type::mem_or_btf_id: return result_percpu(e, r, flags, meta);
    case ret_type::btf_id:
        if (!meta.kptr)
            return result_object(e, r, *meta.fn, flags);
        set_object(e, r, {meta.kptr->types, meta.kptr->type_id}, flags | exchanged_flags(*meta.kptr));
        return {};
    default: break;
    }
    func_text name(meta.fn->id);
    verbose(e, "the result of %s#%d is not supported\n", name.text, meta.fn->id);
    return fail(EOPNOTSUPP);
}

/// The reference that r0 holds: a new one, or that of the argument whose object it is.
status result_reference(env &e, reg_state &r, const call_meta &meta) {
    if (meta.fn->flags & helper_casts)
        r.ref_id = meta.ref_id;
    if (meta.fn->flags & helper_slices)
        r.dynptr_id = meta.dynptr.id, r.ref_id = meta.dynptr.ref_id;
    bool acquires = (meta.fn->flags & helper_acquires) || ((meta.fn->flags & helper_acquires_sock) && holds_sockets(meta.map_ptr));
    if (!acquires)
        return {};
    r.id = r.ref_id = ++e.id_gen;
    return hold_ref(e, r.id);
}

status set_result(env &e, const call_meta &meta) {
    reg_state &r = e.reg(BPF_REG_0);
    e.mark_written(BPF_REG_0);
    if (meta.fn->ret == ret_type::integer) {
        r.set_unknown();
        refine_result(e, meta);
        return check_scalar_state(e, r, "retval");
    }
    if (meta.fn->ret == ret_type::none)
        return {};
    TRY(result_pointer(e, r, meta));
    if (r.may_be_null() && !r.id) // Linux numbers the pointer before the reference; tests match the number
        r.id = ++e.id_gen;
    return result_reference(e, r, meta);
}

void note_use(env &e, const helper_proto &fn) {
    if (!fn.fn && !(fn.flags & helper_tail_call))
        note_absent(e, "helper", func_text(fn.id).text);
    e.out->uses_get_func_ip |= (fn.flags & helper_get_func_ip) != 0;
    e.out->uses_attach_cookie |= (fn.flags & helper_attach_cookie) != 0;
    e.out->uses_trace_printk |= (fn.flags & helper_traces) != 0;
    e.out->uses_kernel_types |= (fn.flags & helper_shows_types) != 0;
    if (fn.flags & helper_warns)
        e.out->warns_of = helper_name(fn.id);
    e.out->uses_tail_call |= (fn.flags & helper_tail_call) != 0;
}

/// A tail call, or a packet load behind the packet's end, leaves a subprogram early: the caller goes on with `r0`.
status leave_early(env &e, const scalar &r0) {
    if (!e.cur->curframe)
        return {};
    e.scratch_reg(BPF_REG_0);
    TRY(push_path(e, e.insn + 1, e.insn));
    e.reg(BPF_REG_0).set_scalar(r0);
    return e.cur->cur().callback ? return_from_callback(e, false) : return_from_func(e);
}

status release_arg(env &e, const call_meta &meta) {
    if (!meta.release_regno || e.reg(meta.release_regno).is_null())
        return {};
    bool dynptr = base_of(meta.fn->args[meta.release_regno - 1]) == arg_type::dynptr;
    if (meta.kptr)
        keep_exchanged(e, meta.ref_id);
    status s = dynptr ? release_dynptr(e, meta.release_regno) : release_ref(e, meta.ref_id);
    if (!s) {
        func_text name(meta.fn->id);
        verbose(e, "func %s#%d reference has not been acquired before\n", name.text, meta.fn->id);
        return s.err();
    }
    return {};
}

/// A program that is left by a tail call, or by a packet load, ends here: nothing may be held.
status check_leave(env &e, const char *what, const char *leak_text) {
    const path_modes &m = e.cur->modes;
    if (m.lock_ptr) {
        verbose(e, "%s cannot be used inside bpf_spin_lock-ed region\n", what);
        return fail(EINVAL);
    }
    if (status s = check_reference_leak(e); !s) {
        verbose(e, "%s\n", leak_text);
        return s.err();
    }
    return check_outside_sections(e, what);
}

/// A mispredicted tail call goes into the map that another path has, which its index was not checked for.
status check_tail_map(env &e) {
    if (e.aux[e.insn].call_map || !e.req.guarded())
        return {};
    verbose(e, "tail_call abusing map_ptr\n");
    return fail(EINVAL);
}

status check_zero_flags(env &e, const helper_proto &p) {
    if (!(p.flags & helper_zero_flags))
        return {};
    if (e.reg(BPF_REG_2).is_null())
        return demand_reg(e, BPF_REG_2);
    verbose(e, "%s() doesn't support non-zero flags\n", helper_name(p.id));
    return fail(EINVAL);
}

/// A hook without a return value has none to set.
status check_retval_hook(env &e, const helper_proto &p) {
    bool lsm = e.req.type->type == BPF_PROG_TYPE_LSM && e.req.expected_attach_type == BPF_LSM_CGROUP;
    if (!(p.flags & helper_sets_retval) || !lsm || (e.target.proto && e.target.proto->size_or_type))
        return {};
    verbose(e, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
    return fail(EINVAL);
}

/// The address of the probed function is known where a probe or a trampoline runs the program.
status check_func_ip(env &e, const helper_proto &p) {
    u32 type = e.req.type->type, attach = e.req.expected_attach_type;
    if (!(p.flags & helper_get_func_ip) || type == BPF_PROG_TYPE_KPROBE)
        return {};
    func_text name(p.id);
    if (type != BPF_PROG_TYPE_TRACING) {
        verbose(e, "func %s#%d not supported for program type %d\n", name.text, p.id, type);
        return fail(ENOTSUPP);
    }
    if (attach == BPF_TRACE_FENTRY || attach == BPF_TRACE_FEXIT || attach == BPF_MODIFY_RETURN)
        return {};
    verbose(e, "func %s#%d supported only for fentry/fexit/fmod_ret programs\n", name.text, p.id);
    return fail(ENOTSUPP);
}

/// Linux makes a tail call with a known index a direct one.
status explain_tail_call(env &e, const call_meta &meta) {
    const reg_state &index = e.reg(BPF_REG_3);
    if (!e.precision || !(meta.fn->flags & helper_tail_call) || !index.is_const() || index.var.value() >= meta.map_ptr->params.max_entries)
        return {};
    return explain_demand(e, BPF_REG_3);
}

void note_map(env &e, const call_meta &meta) {
    insn_aux &a = e.aux[e.insn];
    a.call_map = !a.call_seen || a.call_map == meta.map_ptr ? meta.map_ptr : nullptr;
    a.call_seen = true;
}

/// The stack memory that the call fills, byte by byte as in Linux; by slots where neither a rule nor the log can tell.
status fill_raw(env &e, const call_meta &meta) {
    bool by_slots = e.req.perfmon && !e.log.level();
    for (s32 i = 0; i < meta.raw_size;) {
        const reg_state &r = e.reg(meta.raw_regno);
        s64 at = r.off + static_cast<s64>(r.var.value()) + i;
        s32 n = by_slots && at % static_cast<s64>(slot_bytes) == 0 && meta.raw_size - i >= static_cast<s32>(slot_bytes) ? slot_bytes : 1;
        TRY(check_mem(e, meta.raw_regno, i, static_cast<u32>(n), access::write, -1, false, false));
        i += n;
    }
    return {};
}

status apply_call(env &e, call_meta &meta) {
    const helper_proto &p = *meta.fn;
    note_map(e, meta);
    TRY(explain_tail_call(e, meta));
    TRY(fill_raw(e, meta));
    TRY(release_arg(e, meta));
    if (p.flags & helper_tail_call) {
        TRY(check_leave(e, "tail_call", "tail_call would lead to reference leak"));
        TRY(check_tail_map(e));
    }
    TRY(check_zero_flags(e, p));
    TRY(check_retval_hook(e, p));
    TRY(check_format_args(e, meta));
    if ((p.flags & helper_dynptr_from_mem) && e.reg(BPF_REG_1).type != reg_type::map_value) {
        verbose(e, "Unsupported reg type %s for bpf_dynptr_from_mem data\n", reg_type_name(e, e.reg(BPF_REG_1).type));
        return fail(EACCES);
    }
    if (const callback_proto *c = find_callback(p.id))
        TRY(call_callback(e, *c, meta.subprog, meta.map_ptr));
    clear_caller_saved(e, e.cur->cur());
    TRY(set_result(e, meta));
    TRY(check_map_type(e, meta));
    TRY(check_func_ip(e, p));
    bool writes_packet = (p.flags & helper_writes_dynptr) && write_moves_packet(e, meta.dynptr);
    if ((p.flags & (helper_changes_pkt | helper_tail_call)) || writes_packet)
        clear_packet_pointers(e);
    note_use(e, p);
    return p.flags & helper_tail_call ? leave_early(e, scalar::unknown()) : status();
}

}  // namespace

const helper_proto *helper_at(const env &e, u32 id) {
    u32 hook = e.req.expected_attach_type;
    if (e.req.type->type == BPF_PROG_TYPE_STRUCT_OPS) // there it is the member's number, which says nothing without the structure
        hook = static_cast<u32>(struct_ops_kind_of(e.target.ops ? e.target.ops : "", e.target.name));
    return find_helper(id, e.req.type->type, hook);
}

bool leads_to_packet(const reg_state &r) {
    return r.is_packet_any() || (r.base() == reg_type::mem && has(r.type, type_flag::dynptr_skb | type_flag::dynptr_xdp));
}

void clear_packet_pointers(env &e) {
    e.cur->for_each_reg(leads_to_packet, [&](reg_state &r) { forget_pointer(e, r); });
}

void clear_caller_saved(env &e, func_state &f) {
    reg_state gone;
    gone.set_not_init();
    for (u32 r = BPF_REG_0; r <= BPF_REG_5; r++)
        f.regs[r] = gone;
    f.written_regs |= caller_saved_regs;
    if (f.frameno == e.cur->curframe)
        e.scratched_regs |= caller_saved_regs;
}

status hold_ref(env &e, u32 id) {
    if (e.cur->refs.size() >= max_refs) {
        verbose(e, "more than %d references are held\n", static_cast<int>(max_refs));
        return fail(E2BIG);
    }
    return e.cur->refs.push({id, e.insn, callback_frame(*e.cur)});
}

/// At an exit: the program has none, a callback has released what it acquired.
status check_reference_leak(env &e) {
    const func_state &f = e.cur->cur();
    bool leaks = false;
    if (f.frameno && !f.callback)
        return {};
    for (const held_ref &r : e.cur->refs) {
        if (f.frameno && r.callback_frame != f.frameno)
            continue;
        verbose(e, "Unreleased reference id=%d alloc_insn=%d\n", r.id, r.insn);
        leaks = true;
    }
    return leaks ? status(fail(EINVAL)) : status();
}

status check_helper_call(env &e, const insn_desc &d) {
    call_meta meta;
    if (e.cur->modes.lock_ptr && !unlocks(d.imm)) {
        verbose(e, "function calls are not allowed while holding a lock\n");
        return fail(EINVAL);
    }
    TRY(find_proto(e, d.imm, meta));
    for (u32 i = 0; i < 5; i++)
        TRY(check_helper_arg(e, i, meta));
    TRY(check_map_use(e, meta));
    return apply_call(e, meta);
}

status check_ld_packet(env &e, const insn_desc &d) {
    if (!e.req.type->ld_abs) {
        verbose(e, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n");
        return fail(EINVAL);
    }
    if (callback_frame(*e.cur) || (e.cur->frame[0]->callback)) {
        verbose(e, "cannot use BPF_LD_[ABS|IND] within callback\n");
        return fail(EINVAL);
    }
    if (refusal r = check_encoding(e.insns[e.insn])) {
        verbose(e, "%s", r.text);
        return fail(r.err);
    }
    TRY(read_reg(e, BPF_REG_6));
    TRY(check_leave(e, "BPF_LD_[ABS|IND]", "BPF_LD_[ABS|IND] cannot be mixed with socket references"));
    if (e.reg(BPF_REG_6).type != reg_type::ctx) {
        verbose(e, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n");
        return fail(EINVAL);
    }
    if (d.reg)
        TRY(read_reg(e, d.src));
    TRY(check_ptr_off(e, e.reg(BPF_REG_6), BPF_REG_6));
    clear_caller_saved(e, e.cur->cur());
    e.reg(BPF_REG_0).set_unknown();
    return leave_early(e, scalar::constant(0));
}

}  // namespace modbpf
