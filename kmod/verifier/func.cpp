// SPDX-License-Identifier: GPL-2.0-only
// Calls between subprograms: a static function is explored at each call in a new frame; a global function's arguments are checked
// against its BTF, its body is verified once by itself, and its result is any number.
#include "verifier/btf_match.h"
#include "verifier/call.h"
#include "verifier/callback.h"
#include "verifier/exception.h"
#include "verifier/dynptr.h"
#include "verifier/func_args.h"
#include "verifier/marks.h"
#include "verifier/sections.h"

namespace modbpf {

namespace {

status check_mem_param(env &e, const subprog_info &s, u32 i) {
    u32 regno = i + 1;
    reg_state &r = e.reg(regno);
    bool null_ok = s.args[i] == sub_arg::mem_or_null;
    if (r.type == reg_type::ctx || r.type == reg_type::map_ptr)
        TRY(check_ptr_off(e, r, regno));
    if (r.is_null()) {
        if (null_ok)
            return demand_unlogged(e, regno); // the callee relies on NULL, not on some number
        verbose(e, "arg#%d is expected to be non-NULL\n", i);
        return fail(EINVAL);
    }
    if (leads_to_packet(r) && s.changes_pkt_data) {
        verbose(e, "arg#%d is packet memory, which the function may invalidate\n", i);
        return fail(EINVAL);
    }
    if (r.may_be_null() && !null_ok) {
        verbose(e, "arg#%d is expected to be non-NULL\n", i);
        return fail(EINVAL);
    }
    reg_state saved = r;
    mark_not_null(r);
    s32 size = static_cast<s32>(s.arg_mem_size[i]);
    status st = check_mem_arg(e, regno, size, access::read, true, nullptr);
    if (st)
        st = [&]() -> status { return check_mem_arg(e, regno, size, access::write, true, nullptr); }();
    r = saved;
    return st.ok() ? status() : status(fail(EINVAL));
}

/// The function takes it for valid as long as it runs. (Linux lets any pointer to such an object pass, also one that may be stale.)
status check_object_param(env &e, const subprog_info &s, u32 i) {
    u32 regno = i + 1;
    bool null_ok = s.args[i] == sub_arg::object_or_null;
    if (null_ok && e.reg(regno).is_null())
        return demand_unlogged(e, regno);
    TRY(check_kernel_object(e, regno, {kernel_types(e), s.arg_type[i]}, null_ok));
    reg_state there = e.reg(regno);
    there.type = without(there.type, type_flag::maybe_null);
    if (is_trusted(there))
        return check_ptr_off(e, e.reg(regno), regno, true);
    verbose(e, "R%d must be referenced or trusted\n", regno);
    return fail(EACCES);
}

status check_param(env &e, const subprog_info &s, u32 i) {
    reg_state &r = e.reg(i + 1);
    switch (s.args[i]) {
    case sub_arg::scalar:
        if (r.is_scalar())
            return {};
        verbose(e, "R%d is not a scalar\n", i + 1);
        return fail(EINVAL);
    case sub_arg::ctx:
        if (r.type == reg_type::ctx)
            return check_ptr_off(e, r, i + 1);
        verbose(e, "arg#%d expects pointer to ctx\n", i);
        return fail(EINVAL);
    case sub_arg::object:
    case sub_arg::object_or_null:
        return check_object_param(e, s, i);
    case sub_arg::arena:
        if (r.is_scalar() || r.type == reg_type::arena)
            return {};
        verbose(e, "R%d is not a pointer to arena or scalar.\n", i + 1);
        return fail(EINVAL);
    case sub_arg::dynptr:
        if (r.type == reg_type::dynptr)
            TRY(check_ptr_off(e, r, i + 1));
        return check_dynptr_arg(e, i + 1, arg_type::dynptr | type_flag::rdonly, nullptr, nullptr);
    default:
        return check_mem_param(e, s, i);
    }
}

status call_global(env &e, u32 sub) {
    if (e.cur->modes.lock_ptr) {
        verbose(e, "global function calls are not allowed while holding a lock,\nuse static function instead\n");
        return fail(EINVAL);
    }
    subprog_info &s = e.subs[sub];
    TRY(check_global_in_section(e, s.may_sleep));
    status st = prepare_func_args(e, sub);
    for (u32 i = 0; st.ok() && i < s.arg_count; i++)
        if (status p = check_param(e, s, i); !p) {
            if (p.err().code() == ENOMEM)
                return p;
            verbose(e, "Caller passes invalid args into func#%d ('%s')\n", sub, s.name);
            return p;
        }
    if (!st)
        return st;
    TRY(check_may_throw(e, s));
    verbose(e, "Func#%d ('%s') is global and assumed valid.\n", sub, s.name);
    if (s.changes_pkt_data)
        clear_packet_pointers(e);
    s.called[may_sleep_here(e)] = true;
    clear_caller_saved(e, e.cur->cur());
    e.reg(BPF_REG_0).set_unknown();
    return {};
}

/// What relies on these types reads without faulting: of memory it is enough that it is there.
bool fits_untold(const reg_state &r, sub_arg arg) {
    switch (arg) {
    case sub_arg::scalar: return r.is_scalar();
    case sub_arg::ctx: return r.type == reg_type::ctx;
    default: return !r.is_scalar() && r.type != reg_type::ctx && !r.may_be_null();
    }
}

}  // namespace

void note_static_call(env &e, u32 sub) {
    subprog_info &s = e.subs[sub];
    if (s.unreliable || e.req.funcs.empty() || !e.req.types)
        return;
    bool fits = prepare_func_args(e, sub).ok();
    for (u32 i = 0; fits && i < s.arg_count; i++) {
        fits = fits_untold(e.reg(i + 1), s.args[i]);
        bool compared = s.args[i] == sub_arg::scalar || e.aux[s.start].live_regs & 1u << (i + 1);
        s.uncompared |= !compared; // paths that pass another one end as covered
    }
    s.unreliable = !fits;
}

result<func_state *> make_frame(env &e, u32 sub, u32 callsite, u32 frameno) {
    func_state *f = e.frames.get_frame();
    if (!f)
        return error(ENOMEM);
    f->callsite = callsite, f->subprog = sub, f->frameno = frameno, f->entry = ++e.entries;
    f->callback = nullptr, f->callback_turns = 0;
    f->written_regs = 0, f->written_slots = 0;
    for (reg_state &r : f->regs)
        r.set_not_init();
    f->regs[BPF_REG_10].set_pointer(reg_type::stack);
    f->regs[BPF_REG_10].frame = static_cast<u8>(frameno);
    return f;
}

result<func_state *> push_frame(env &e, verifier_state &st, u32 sub, u32 callsite) {
    if (st.curframe + 1 >= max_call_frames) {
        verbose(e, "the call stack of %d frames is too deep\n", st.curframe + 2);
        return fail(E2BIG);
    }
    func_state *f = TRY(make_frame(e, sub, callsite, st.curframe + 1));
    st.frame[++st.curframe] = f;
    return f;
}

u32 callback_frame(const verifier_state &st) {
    u32 f = st.curframe;
    while (f && !st.frame[f]->callback)
        f--;
    return f;
}

static status enter_frame(env &e, u32 sub) {
    func_state &callee = *TRY(push_frame(e, *e.cur, sub, e.insn)), &caller = *e.cur->frame[e.cur->curframe - 1];
    for (u32 r = BPF_REG_1; r <= BPF_REG_5; r++)
        callee.regs[r] = caller.regs[r];
    callee.written_regs = caller.written_regs & arg_regs;
    clear_caller_saved(e, caller);
    return {};
}

status check_func_call(env &e, const insn_desc &d) {
    s32 sub = find_start(e, d.target);
    if (MODBPF_BUG_ON(sub < 0))
        return error(EFAULT);
    if (e.subs[static_cast<u32>(sub)].global)
        return call_global(e, static_cast<u32>(sub));
    note_static_call(e, static_cast<u32>(sub));
    TRY(enter_frame(e, static_cast<u32>(sub)));
    e.next_insn = e.subs[static_cast<u32>(sub)].start;
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2)) {
        verbose(e, "caller:\n");
        print_state(e, *e.cur, e.cur->curframe - 1, true);
        verbose(e, "callee:\n");
        print_state(e, *e.cur, e.cur->curframe, true);
        e.scratched_regs = ~0u, e.scratched_slots = ~0ull; // all of the callee's is new
    }
    return {};
}

status return_from_func(env &e) {
    verifier_state &st = *e.cur;
    const reg_state &r0 = st.cur().regs[BPF_REG_0];
    if (r0.type == reg_type::stack) {
        verbose(e, "cannot return stack pointer to the caller\n");
        return fail(EINVAL);
    }
    if (st.cur().callback)
        return return_from_callback(e, true);
    func_state &caller = *st.frame[st.curframe - 1];
    caller.regs[BPF_REG_0] = r0;
    caller.written_regs = (caller.written_regs & ~1u) | (st.cur().written_regs & 1);
    e.next_insn = st.cur().callsite + 1;
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2)) {
        verbose(e, "returning from callee:\n");
        print_state(e, st, st.curframe, true);
        verbose(e, "to caller at %d:\n", e.next_insn);
        print_state(e, st, st.curframe - 1, true);
        e.scratched_regs = 0, e.scratched_slots = 0;
    }
    st.pop_frame();
    return {};
}

}  // namespace modbpf
