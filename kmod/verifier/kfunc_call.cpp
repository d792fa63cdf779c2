// SPDX-License-Identifier: GPL-2.0-only
// A call of a kernel function: may the program call it here, its effects, what r0 holds.
#include "btf/format.h"
#include "helpers/callback.h"
#include "helpers/kfuncs.h"
#include "verifier/ctx_types.h"
#include "verifier/dynptr.h"
#include "verifier/exception.h"
#include "verifier/kfunc.h"
#include "verifier/sections.h"
#include "verifier/special.h"

namespace modbpf {

namespace {

status check_allowed(env &e, const kfunc_call &c) {
    if (!c.row) {
        verbose(e, "calling kernel function %s is not allowed\n", c.fn->name);
        return fail(EACCES);
    }
    if (c.is(kf_destructive) && !e.req.may_reboot) {
        verbose(e, "destructive kfunc calls require CAP_SYS_BOOT capability\n");
        return fail(EACCES);
    }
    if (c.is(kf_sleepable) && !may_sleep_here(e)) {
        verbose(e, "program must be sleepable to call sleepable kfunc %s\n", c.fn->name);
        return fail(EACCES);
    }
    if (c.row->effect == kfunc_effect::css_task_iter && e.req.type->type != BPF_PROG_TYPE_LSM &&
        e.req.expected_attach_type != BPF_TRACE_ITER && !may_sleep_here(e)) {
        verbose(e, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs\n");
        return fail(EINVAL);
    }
    return {};
}

bool is_struct(const btf_type *t) { return t && t->is_composite(); }

/// Results that the prototype does not describe.
status set_special_result(env &e, const kfunc_call &c, reg_state &r) {
    const btf &b = c.types();
    switch (c.row->effect) {
    case kfunc_effect::kernel_ctx: {
        const ctx_type_row *row = find_ctx_type(e.req.type->type);
        typed ctx = row && row->kernel ? kernel_struct(e, row->kernel) : typed{};
        if (!ctx)
            return fail(EINVAL);
        set_object(e, r, ctx, type_flag::trusted);
        return {};
    }
    case kfunc_effect::rdonly_cast: {
        const btf_type *t = c.const_value < b.type_count() ? b.type(static_cast<u32>(c.const_value)) : nullptr;
        if (!is_struct(t)) {
            verbose(e, "kfunc bpf_rdonly_cast type ID argument must be of a struct\n");
            return fail(EINVAL);
        }
        set_object(e, r, {&b, static_cast<u32>(c.const_value)}, type_flag::untrusted);
        return {};
    }
    case kfunc_effect::dynptr_slice:
    case kfunc_effect::dynptr_slice_rdwr: {
        bool rdwr = c.row->effect == kfunc_effect::dynptr_slice_rdwr;
        if (!c.const_found || !c.dynptr.id)
            return verifier_bug(e, "slice without size or dynptr");
        if (rdwr && !packet_access_allowed(e, nullptr, access::write)) {
            verbose(e, "the prog does not allow writes to packet data\n");
            return fail(EINVAL);
        }
        r.set_pointer(reg_type::mem | dynptr_flag(owner_of(e, c.dynptr)));
        if (!rdwr)
            r.type = r.type | type_flag::rdonly;
        r.mem_size = static_cast<u32>(c.const_value);
        r.dynptr_id = c.dynptr.id;
        // Unlike Linux's, a slice of a ring buffer record ends with the record.
        r.ref_id = c.dynptr.ref_id;
        return {};
    }
    default:
        return verifier_bug(e, "result of a kernel function");
    }
}

bool has_special_result(kfunc_effect x) {
    return x == kfunc_effect::kernel_ctx || x == kfunc_effect::rdonly_cast || x == kfunc_effect::dynptr_slice ||
           x == kfunc_effect::dynptr_slice_rdwr;
}

/// r0 points to memory that is no structure: a number, or a buffer whose size an argument told.
status set_memory_result(env &e, const kfunc_call &c, reg_state &r, u32 target) {
    const btf &b = c.types();
    u32 size = static_cast<u32>(c.buf_size);
    bool rdonly = c.buf_rdonly;
    if (c.row->effect == kfunc_effect::session_cookie)
        size = 8, rdonly = false;
    else if (!size && b.size_of(target, &size))
        rdonly = true;
    if (!size) {
        const char *name = b.name(target);
        verbose(e, "kernel function %s returns pointer type %s %s is not supported\n", c.fn->name, "UNKNOWN", name ? name : "");
        return fail(EINVAL);
    }
    r.set_pointer(rdonly ? reg_type::mem | type_flag::rdonly : reg_type::mem);
    r.mem_size = size;
    r.ref_id = c.ref_id; // the memory is that object's
    return {};
}

status set_pointer_result(env &e, const kfunc_call &c, const btf_type *t) {
    const btf &b = c.types();
    reg_state &r = e.reg(BPF_REG_0);
    u32 target = b.skip_modifiers(t->size_or_type);
    const btf_type *to = b.type(target);
    if (has_special_result(c.row->effect)) {
        TRY(set_special_result(e, c, r));
    } else if (gives_object(c.row->effect)) {
        TRY(set_object_result(e, c, r));
    } else if (!to) {
        r.set_unknown(); // void *: a number
    } else if (!is_struct(to)) {
        TRY(set_memory_result(e, c, r, target));
    } else {
        type_flag trust = type_flag::none;
        u32 holder_ref = 0;
        if (c.is(kf_iter_next)) {
            const reg_state &it = e.cur->frame[c.iter_frame]->stack[c.iter_slot].spilled;
            trust = has(it.type, type_flag::rcu) ? type_flag::rcu : type_flag::trusted;
            holder_ref = trust == type_flag::trusted ? it.ref_id : 0;
        }
        set_object(e, r, {&b, target}, trust);
        r.holder_ref = holder_ref;
    }
    if (c.is(kf_ret_null)) {
        if (r.is_scalar())
            return verifier_bug(e, "a number that may be NULL");
        r.type = r.type | type_flag::maybe_null;
        r.id = ++e.id_gen;
    }
    if (c.is(kf_acquire)) {
        u32 id = TRY(acquire_ref(e));
        if (c.is(kf_ret_null))
            r.id = id;
        r.ref_id = id;
    } else if (c.row->effect == kfunc_effect::tree_first) {
        TRY(set_non_owning(e, r));
    }
    if (is_alloc_object(r) && !r.id && tells_lock(e, r))
        r.id = ++e.id_gen;
    return {};
}

status set_result(env &e, const kfunc_call &c) {
    const btf &b = c.types();
    const btf_type *t = b.type(b.skip_modifiers(c.fn->proto->size_or_type));
    bool to_struct = t && t->kind() == btf_kind::pointer && is_struct(b.type(b.skip_modifiers(t->size_or_type)));
    if (c.is(kf_acquire) && !to_struct && !gives_object(c.row->effect)) {
        verbose(e, "acquire kernel function does not return PTR_TO_BTF_ID\n");
        return fail(EINVAL);
    }
    if (is_number(t)) {
        e.reg(BPF_REG_0).set_unknown();
        e.mark_written(BPF_REG_0);
        return {};
    }
    if (t && t->kind() == btf_kind::pointer)
        TRY(set_pointer_result(e, c, t));
    return {};
}

/// Run-time contexts are modbpf's own: a packet that is an argument of a traced function is none.
bool packet_is_absent(const env &e, kfunc_effect x) { return x == kfunc_effect::dynptr_from_skb && !e.req.type->test_run; }

}  // namespace

/// What a program makes objects of lives as long as the program.
static result<object_type *> keep_type(env &e, ref<object_type> t) {
    TRY(e.out->object_types.push(t));
    return t.get();
}

status hide_argument(env &e, u32 insn, const kfunc_call &c, code_kfunc &k) {
    u32 told = e.aux[insn].told - 1;
    switch (c.row->effect) {
    case kfunc_effect::dynptr_from_skb:
        k.hidden_reg = BPF_REG_4, k.hidden = !packet_access_allowed(e, nullptr, access::write);
        return {};
    case kfunc_effect::object_new:
    case kfunc_effect::percpu_new:
        k.hidden_reg = BPF_REG_2, k.hidden = addr_of(TRY(keep_type(e, TRY(made_type(e, told, c.row->effect == kfunc_effect::percpu_new)))));
        return {};
    case kfunc_effect::list_push:
        k.hidden_reg = BPF_REG_4, k.hidden = told;
        return {};
    case kfunc_effect::tree_add:
        k.hidden_reg = BPF_REG_5, k.hidden = told;
        return {};
    case kfunc_effect::cpumask_new:
        k.hidden_reg = BPF_REG_1, k.hidden = addr_of(TRY(keep_type(e, TRY(cpumask_type()))));
        return {};
    case kfunc_effect::css_task_iter:
        k.hidden_reg = BPF_REG_4, k.hidden = addr_of(TRY(keep_type(e, TRY(css_tasks_type()))));
        return {};
    case kfunc_effect::task_vma_iter:
        if (e.out->image.sleepable)
            note_absent(e, "bpf_iter_task_vma_new in", "a program that may sleep");
        k.hidden_reg = BPF_REG_4, k.hidden = addr_of(TRY(keep_type(e, TRY(task_vmas_type()))));
        return {};
    case kfunc_effect::bits_new:
        k.hidden_reg = BPF_REG_4, k.hidden = addr_of(TRY(keep_type(e, TRY(bits_type()))));
        return {};
    case kfunc_effect::throw_:
        k.throws = true;
        return {};
    case kfunc_effect::work_queue:
        if (find_callback(c.fn->name))
            k.hidden_reg = BPF_REG_4, k.hidden = addr_of(e.req.program);
        return {};
    default:
        return {};
    }
}

result<bool> check_kfunc_call(env &e) {
    if (!e.insns[e.insn].imm)
        return true; // refused behind the verdict, unless it is dead
    kfunc_call c = find_kfunc_call(e, e.insn);
    if (MODBPF_BUG_ON(!c.fn))
        return error(EFAULT);
    TRY(check_lock_for_kfunc(e, c));
    TRY(check_allowed(e, c));
    TRY(check_kfunc_args(e, c));
    TRY(call_kfunc_callback(e, c));
    TRY(enter_or_leave_section(e, c));
    if (c.release_regno)
        if (status s = release_ref(e, e.reg(c.release_regno).ref_id); !s) {
            verbose(e, "kfunc %s#%d reference has not been acquired before\n", c.fn->name, c.fn->id);
            return s.err();
        }
    TRY(change_owner(e, c));
    if (!c.row->fn || packet_is_absent(e, c.row->effect))
        note_absent(e, "kfunc", c.fn->name);
    if (c.row->effect == kfunc_effect::throw_) {
        check_throw_runs(e);
        return false;
    }
    clear_caller_saved(e, e.cur->cur());
    TRY(set_result(e, c));
    if (c.is(kf_iter_next))
        TRY(fork_iter_next(e, c));
    return true;
}

}  // namespace modbpf
