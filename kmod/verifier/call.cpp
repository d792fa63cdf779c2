// SPDX-License-Identifier: GPL-2.0-only
// Helper calls: arguments against the prototype, then the call's effects. Also legacy packet loads, which behave like calls.
#include "verifier/callback.h"
#include "verifier/context.h"
#include "verifier/dynptr.h"
#include "verifier/marks.h"
#include "verifier/sections.h"
#include "verifier/speculation.h"

namespace modbpf {

void forget_pointer(env &e, reg_state &r) {
    if (e.req.perfmon)
        r.set_unknown();
    else
        r.set_not_init();
}

namespace {

constexpr u64 max_var_size = 1ull << 29; // BPF_MAX_VAR_SIZ
constexpr u64 max_record = 0x7fffffff;   // more is never reserved: ringbuf_reserve gives NULL

bool takes_null(arg_type t) { return has(t, type_flag::maybe_null); }
bool writes_mem(arg_type t) { return has(t, type_flag::write); }

/// "bpf_ktime_get_ns", or "unknown".
struct func_text {
    char text[64];
    explicit func_text(s64 id) {
        const char *n = id >= 0 && id < func_id_count ? helper_name(static_cast<u32>(id)) : nullptr;
        port_snprintf(text, sizeof(text), n ? "bpf_%s" : "unknown%s", n ? n : "");
    }
};

enum class expected : u8 { mem, scalar, ctx, map_ptr, ringbuf, map_value, func, stack };

expected expected_type(arg_type t) {
    switch (base_of(t)) {
    case arg_type::number:
    case arg_type::const_size:
    case arg_type::const_size_or_zero:
    case arg_type::const_alloc_size_or_zero: return expected::scalar;
    case arg_type::ctx: return expected::ctx;
    case arg_type::const_map_ptr: return expected::map_ptr;
    case arg_type::ringbuf_mem: return expected::ringbuf;
    case arg_type::const_str: return expected::map_value;
    case arg_type::func: return expected::func;
    case arg_type::stack: return expected::stack;
    default: return expected::mem;
    }
}

bool type_fits(expected x, reg_type t) {
    switch (x) {
    case expected::scalar: return t == reg_type::scalar;
    case expected::ctx: return t == reg_type::ctx;
    case expected::map_ptr: return t == reg_type::map_ptr;
    case expected::ringbuf: return t == reg_type::ringbuf_mem;
    case expected::map_value: return t == reg_type::map_value;
    case expected::func: return t == reg_type::func;
    case expected::stack: return t == reg_type::stack;
    case expected::mem:
        return t == reg_type::stack || t == reg_type::packet || t == reg_type::packet_meta || t == reg_type::map_key || t == reg_type::map_value ||
               t == reg_type::mem || t == reg_type::ringbuf_mem;
    }
    return false;
}

const char *expected_text(expected x) {
    switch (x) {
    case expected::scalar: return "scalar";
    case expected::ctx: return "ctx";
    case expected::map_ptr: return "map_ptr";
    case expected::ringbuf: return "ringbuf_mem";
    case expected::map_value: return "map_value";
    case expected::func: return "func";
    case expected::stack: return "fp";
    case expected::mem: return "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
    }
    return "";
}

/// Where NULL may be passed, only the constant is taken: a pointer that may be NULL would reach the helper with a size.
status check_arg_type(env &e, u32 regno, arg_type t) {
    const reg_state &r = e.reg(regno);
    if (type_fits(expected_type(t), r.type))
        return {};
    verbose(e, "R%d type=%s expected=%s\n", regno, reg_type_name(e, r.type), expected_text(expected_type(t)));
    return fail(EACCES);
}

status check_arg_offset(env &e, u32 regno, bool release) {
    const reg_state &r = e.reg(regno);
    if (release) {
        if (r.off) {
            verbose(e, "R%d must have zero offset when passed to release func or trusted arg to kfunc\n", regno);
            return fail(EINVAL);
        }
        return check_ptr_off(e, r, regno);
    }
    if (r.type == reg_type::ctx || r.type == reg_type::map_ptr || r.type == reg_type::func)
        return check_ptr_off(e, r, regno);
    return {};
}

status check_size_arg(env &e, u32 regno, bool zero_ok, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    arg_type mem = meta.fn->args[regno - 2];
    meta.size_max = r.var.umax;
    if (r.var.smin < 0) {
        verbose(e, "R%d min value is negative, either use unsigned or 'var &= const'\n", regno);
        return fail(EACCES);
    }
    if (r.var.umin == 0 && !zero_ok) {
        verbose(e, "R%d invalid zero-sized read: u64=[%lld,%lld]\n", regno, r.var.umin, r.var.umax);
        return fail(EACCES);
    }
    if (r.var.umax >= max_var_size) {
        verbose(e, "R%d unbounded memory access, use 'var &= const' or 'if (var < const)'\n", regno);
        return fail(EACCES);
    }
    TRY(demand_reg(e, regno));
    // A size that may be less leaves bytes unwritten: then the area must be readable before.
    meta.raw = writes_mem(mem) && r.var.is_const();
    return check_mem_arg(e, regno - 1, static_cast<s32>(r.var.umax), writes_mem(mem) ? access::write : access::read, zero_ok,
                         &meta);
}

}  // namespace

result<const char *> const_string(env &e, u32 regno, u32 *room) {
    const reg_state &r = e.reg(regno);
    map *m = r.map_ptr;
    if (!map_is_rdonly(m)) {
        verbose(e, "R%d does not point to a readonly map'\n", regno);
        return fail(EACCES);
    }
    if (!r.var.is_const()) {
        verbose(e, "R%d is not a constant address'\n", regno);
        return fail(EACCES);
    }
    if (!m->ops->value_address) {
        verbose(e, "no direct value access support for this map type\n");
        return fail(EACCES);
    }
    TRY(check_region(e, regno, r.off, static_cast<s32>(m->params.value_size) - r.off, m->params.value_size, false));
    u32 off = static_cast<u32>(r.off + static_cast<s32>(r.var.value()));
    auto addr = m->ops->value_address(m, off);
    if (!addr.ok()) {
        verbose(e, "direct value access on string failed\n");
        return addr.err();
    }
    const char *s = ptr_of<const char>(addr.value());
    *room = m->params.value_size - off;
    for (u32 i = 0; i < *room; i++)
        if (!s[i])
            return s;
    verbose(e, "string is not zero-terminated\n");
    return fail(EINVAL);
}

namespace {

status check_typed_arg(env &e, u32 regno, arg_type t, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    u32 room;
    switch (base_of(t)) {
    case arg_type::ctx:
    case arg_type::number:
    case arg_type::stack:
    case arg_type::ringbuf_mem:
        return {};
    case arg_type::const_map_ptr:
        meta.map_ptr = r.map_ptr;
        return {};
    case arg_type::map_key:
    case arg_type::map_value: {
        if (MODBPF_BUG_ON(!meta.map_ptr))
            return error(EFAULT);
        const map_params &p = meta.map_ptr->params;
        meta.raw = has(t, type_flag::uninit);
        return check_mem_arg(e, regno, static_cast<s32>(base_of(t) == arg_type::map_key ? p.key_size : p.value_size),
                             writes_mem(t) ? access::write : access::read, false, &meta);
    }
    case arg_type::const_size:
    case arg_type::const_size_or_zero:
        return check_size_arg(e, regno, t == arg_type::const_size_or_zero, meta);
    case arg_type::const_alloc_size_or_zero:
        if (!r.var.is_const()) {
            verbose(e, "R%d is not a known constant'\n", regno);
            return fail(EACCES);
        }
        meta.alloc_size = r.var.value();
        return demand_reg(e, regno);
    case arg_type::const_str:
        TRY(const_string(e, regno, &room));
        return {};
    case arg_type::func:
        meta.subprog = r.subprog;
        return {};
    case arg_type::mem:
        if (!has(t, type_flag::fixed_size))
            return {}; // with its size
        if (t != arg_type::uninit_u64)
            break;
        meta.raw = true;
        TRY(check_mem_arg(e, regno, 8, access::write, false, &meta));
        if (!tnum_is_aligned(tnum_add(r.var.bits, tnum::constant(static_cast<u64>(static_cast<s64>(r.off)))), 8)) {
            char text[48];
            tnum_text(text, sizeof(text), r.var.bits);
            verbose(e, "misaligned %saccess off %s+%d+%d size %d\n", r.type == reg_type::stack ? "stack " : "", text, r.off, 0,
                    8);
            return fail(EACCES);
        }
        return {};
    default:
        break;
    }
    verbose(e, "R%d: this kind of helper argument is not supported\n", regno);
    return fail(EOPNOTSUPP);
}

status check_arg(env &e, u32 i, call_meta &meta) {
    u32 regno = i + 1;
    arg_type t = meta.fn->args[i];
    if (t == arg_type::none)
        return {};
    TRY(read_reg(e, regno));
    if (t == arg_type::anything) {
        if (!leaks(e, regno))
            return {};
        verbose(e, "R%d leaks addr into helper function\n", regno);
        return fail(EACCES);
    }
    if (base_of(t) == arg_type::dynptr)
        return check_helper_dynptr(e, regno, t, meta);
    const reg_state &r = e.reg(regno);
    if (r.is_packet() && !packet_access_allowed(e, meta.fn, writes_mem(t) ? access::write : access::read)) {
        verbose(e, "helper access to the packet is not allowed\n");
        return fail(EACCES);
    }
    bool release = has(t, type_flag::release);
    if (takes_null(t) && r.is_null()) {
        TRY(demand_reg(e, regno));
    } else {
        TRY(check_arg_type(e, regno, t));
        TRY(check_arg_offset(e, regno, release));
    }
    if (release) {
        if (!r.ref_id) {
            verbose(e, "R%d must be referenced when passed to release function\n", regno);
            return fail(EINVAL);
        }
        meta.release_regno = regno;
        meta.ref_id = r.ref_id;
    }
    return check_typed_arg(e, regno, t, meta);
}

status find_proto(env &e, s64 id, call_meta &meta) {
    func_text name(id);
    if (id < 0 || id >= func_id_count) {
        verbose(e, "invalid func %s#%d\n", name.text, static_cast<int>(id));
        return fail(EINVAL);
    }
    meta.fn = find_helper(static_cast<u32>(id), e.req.type->type, e.req.expected_attach_type);
    bool hidden = meta.fn && (((meta.fn->flags & helper_needs_perfmon) && !e.req.perfmon) ||
                              ((meta.fn->flags & helper_needs_bpf) && !e.req.bpf));
    if (!meta.fn || hidden) {
        verbose(e, "program of this type cannot use helper %s#%d\n", name.text, static_cast<int>(id));
        return fail(EINVAL);
    }
    if ((meta.fn->flags & helper_gpl_only) && !e.req.gpl_compatible) {
        verbose(e, "cannot call GPL-restricted function from non-GPL compatible program\n");
        return fail(EINVAL);
    }
    return {};
}

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

status set_result(env &e, const call_meta &meta) {
    reg_state &r = e.reg(BPF_REG_0);
    r.written = true;
    switch (meta.fn->ret) {
    case ret_type::integer:
        r.set_unknown();
        refine_result(e, meta);
        return check_scalar_state(e, r, "retval");
    case ret_type::none:
        return {};
    case ret_type::map_value_or_null:
        r.set_pointer(reg_type::map_value_or_null);
        r.map_ptr = meta.map_ptr;
        r.id = ++e.id_gen;
        return {};
    case ret_type::alloc_mem_or_null:
        r.set_pointer(reg_type::ringbuf_mem_or_null);
        r.mem_size = meta.alloc_size <= max_record ? static_cast<u32>(meta.alloc_size) : 0;
        ++e.id_gen; // Linux numbers the pointer before the reference; tests match the number
        r.id = r.ref_id = ++e.id_gen;
        return hold_ref(e, r.id);
    case ret_type::slice_or_null:
        r.set_pointer(reg_type::mem_or_null);
        r.mem_size = static_cast<u32>(min<u64>(meta.alloc_size, max_record));
        r.id = ++e.id_gen;
        r.dynptr_id = meta.dynptr.id;
        r.ref_id = meta.dynptr.ref_id;
        return {};
    default:
        break;
    }
    func_text name(meta.fn->id);
    verbose(e, "the result of %s#%d is not supported\n", name.text, meta.fn->id);
    return fail(EOPNOTSUPP);
}

void note_use(env &e, const helper_proto &fn) {
    if (!fn.fn && !(fn.flags & helper_tail_call))
        note_absent(e, "helper", func_text(fn.id).text);
    e.out->uses_get_func_ip |= (fn.flags & helper_get_func_ip) != 0;
    e.out->uses_attach_cookie |= (fn.flags & helper_attach_cookie) != 0;
    e.out->uses_trace_printk |= (fn.flags & helper_traces) != 0;
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

status apply_call(env &e, call_meta &meta) {
    for (s32 i = 0; i < meta.raw_size; i++)
        TRY(check_mem(e, meta.raw_regno, i, 1, access::write, -1, false, false));
    if (meta.release_regno) {
        bool dynptr = base_of(meta.fn->args[meta.release_regno - 1]) == arg_type::dynptr;
        status s = dynptr ? release_dynptr(e, meta.release_regno) : release_ref(e, meta.ref_id);
        if (!s) {
            func_text name(meta.fn->id);
            verbose(e, "func %s#%d reference has not been acquired before\n", name.text, meta.fn->id);
            return s.err();
        }
    }
    if (meta.fn->flags & helper_tail_call) {
        if (status s = check_reference_leak(e); !s) {
            verbose(e, "tail_call would lead to reference leak\n");
            return s.err();
        }
        TRY(check_outside_sections(e, "tail_call"));
    }
    TRY(check_format_args(e, meta));
    if ((meta.fn->flags & helper_dynptr_from_mem) && e.reg(BPF_REG_1).type != reg_type::map_value) {
        verbose(e, "Unsupported reg type %s for bpf_dynptr_from_mem data\n", reg_type_name(e, e.reg(BPF_REG_1).type));
        return fail(EACCES);
    }
    if (const callback_proto *c = find_callback(meta.fn->id))
        TRY(call_callback(e, *c, meta.subprog, meta.map_ptr));
    clear_caller_saved(e, e.cur->cur());
    TRY(set_result(e, meta));
    TRY(check_map_type(e, meta));
    if ((meta.fn->flags & helper_get_func_ip) && e.req.type->type != BPF_PROG_TYPE_KPROBE) {
        func_text name(meta.fn->id);
        verbose(e, "func %s#%d not supported for program type %d\n", name.text, meta.fn->id, e.req.type->type);
        return fail(ENOTSUPP);
    }
    bool writes_packet = (meta.fn->flags & helper_writes_dynptr) && meta.dynptr.kind == dynptr_kind::skb;
    if ((meta.fn->flags & (helper_changes_pkt | helper_tail_call)) || writes_packet)
        clear_packet_pointers(e);
    note_use(e, *meta.fn);
    return meta.fn->flags & helper_tail_call ? leave_early(e, scalar::unknown()) : status();
}

}  // namespace

void clear_packet_pointers(env &e) {
    e.cur->for_each_reg([&](reg_state &r) {
        bool slice = r.base() == reg_type::mem && has(r.type, type_flag::dynptr_skb | type_flag::dynptr_xdp);
        if (r.is_packet_any() || slice)
            forget_pointer(e, r);
    });
}

void clear_caller_saved(env &e, func_state &f) {
    for (u32 r = BPF_REG_0; r <= BPF_REG_5; r++) {
        f.regs[r].set_not_init();
        f.regs[r].written = true;
        if (f.frameno == e.cur->curframe)
            e.scratch_reg(r);
    }
}

status hold_ref(env &e, u32 id) { return e.cur->refs.push({id, e.insn, callback_frame(*e.cur)}); }

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

status check_mem_arg(env &e, u32 regno, s32 size, access t, bool zero_ok, call_meta *meta) {
    const reg_state &r = e.reg(regno);
    if (r.base() == reg_type::mem && !r.may_be_null()) {
        if (t == access::write && has(r.type, type_flag::rdonly)) {
            verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
            return fail(EACCES);
        }
        return check_region(e, regno, r.off, size, r.mem_size, zero_ok);
    }
    switch (r.type) {
    case reg_type::packet:
    case reg_type::packet_meta:
        return check_packet(e, regno, r.off, size, zero_ok);
    case reg_type::map_key:
        if (t == access::write) {
            verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
            return fail(EACCES);
        }
        return check_region(e, regno, r.off, size, r.map_ptr->params.key_size, zero_ok);
    case reg_type::map_value:
        TRY(check_map_access_type(e, r, r.off, size, t));
        return check_region(e, regno, r.off, size, r.map_ptr->params.value_size, zero_ok);
    case reg_type::stack:
        return check_stack_range(e, regno, r.off, size, zero_ok, true, meta);
    case reg_type::ctx:
        // A context that is not rewritten can be read as the memory that it is, if its last byte can.
        if (e.req.type->raw_ctx) {
            if (size)
                return check_mem(e, regno, size - 1, 1, t, -1, false, false);
            return zero_ok ? status() : status(fail(EACCES));
        }
        [[fallthrough]];
    default:
        if (zero_ok && size == 0 && r.is_null())
            return demand_reg(e, regno);
        verbose(e, "R%d type=%s expected=fp\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
}

status check_helper_call(env &e, const insn_desc &d) {
    call_meta meta;
    TRY(find_proto(e, d.imm, meta));
    TRY(check_helper_sleeps(e, *meta.fn, func_text(d.imm).text));
    for (u32 i = 0; i < 5; i++)
        TRY(check_arg(e, i, meta));
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
    if (status s = check_reference_leak(e); !s) {
        verbose(e, "BPF_LD_[ABS|IND] cannot be mixed with socket references\n");
        return s.err();
    }
    TRY(check_outside_sections(e, "BPF_LD_[ABS|IND]"));
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
