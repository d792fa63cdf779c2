// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/sections.h"

#include "verifier/call.h"

namespace modbpf {

namespace {

/// RCU-protected objects may be gone when their section is left.
bool is_protected(const reg_state &r) { return has(r.type, type_flag::rcu); }

void distrust(reg_state &r) { r.type = without(r.type, type_flag::rcu | type_flag::maybe_null) | type_flag::untrusted; }

status check_rcu(env &e, const kfunc_call &c) {
    bool lock = c.row->effect == kfunc_effect::rcu_lock, unlock = c.row->effect == kfunc_effect::rcu_unlock;
    if (!e.cur->modes.rcu_locked) {
        if (unlock) {
            verbose(e, "unmatched rcu read unlock (kernel function %s)\n", c.fn->name);
            return fail(EINVAL);
        }
        e.cur->modes.rcu_locked = lock;
        return {};
    }
    if (lock) {
        verbose(e, "nested rcu read lock (kernel function %s)\n", c.fn->name);
        return fail(EINVAL);
    }
    if (unlock) {
        e.cur->modes.rcu_locked = false;
        distrust_protected(e);
    } else if (c.is(kf_sleepable)) {
        verbose(e, "kernel func %s is sleepable within rcu_read_lock region\n", c.fn->name);
        return fail(EACCES);
    }
    return {};
}

status check_preempt(env &e, const kfunc_call &c) {
    u32 &depth = e.cur->modes.preempt_depth;
    if (c.row->effect == kfunc_effect::preempt_disable) {
        depth++;
    } else if (c.row->effect == kfunc_effect::preempt_enable) {
        if (!depth) {
            verbose(e, "unmatched attempt to enable preemption (kernel function %s)\n", c.fn->name);
            return fail(EINVAL);
        }
        depth--;
    } else if (depth && c.is(kf_sleepable)) {
        verbose(e, "kernel func %s is sleepable within non-preemptible region\n", c.fn->name);
        return fail(EACCES);
    }
    return {};
}

}  // namespace

void distrust_protected(env &e) {
    e.cur->for_each_reg(is_protected, distrust);
    for (u32 f = 0; f <= e.cur->curframe; f++) {
        frame_stack &stack = e.cur->frame[f]->stack;
        for (u32 s = 0; s < stack.size(); s++)
            if (stack[s].is_object() && stack[s].spilled.iter != iter_state::none && is_protected(stack[s].spilled))
                distrust(stack.edit(s).spilled);
    }
}

status enter_or_leave_section(env &e, const kfunc_call &c) {
    TRY(check_rcu(e, c));
    return check_preempt(e, c);
}

status check_helper_sleeps(env &e, const helper_proto &fn) {
    if (!(fn.flags & helper_may_sleep))
        return {};
    if (!may_sleep_here(e)) {
        verbose(e, "helper call might sleep in a non-sleepable prog\n");
        return fail(EINVAL);
    }
    const path_modes &m = e.cur->modes;
    if (!m.rcu_locked && !m.preempt_depth)
        return {};
    verbose(e, "sleepable helper %s#%d in %s region\n", func_text(fn.id).text, fn.id, m.rcu_locked ? "rcu_read_lock" : "non-preemptible");
    return fail(EINVAL);
}

status check_global_in_section(env &e, bool may_sleep) {
    const path_modes &m = e.cur->modes;
    if (m.preempt_depth) {
        verbose(e, "global function calls are not allowed with preemption disabled,\nuse static function instead\n");
        return fail(EINVAL);
    }
    if (!m.rcu_locked || !may_sleep)
        return {};
    verbose(e, "global functions that may sleep are not allowed inside bpf_rcu_read_lock-ed region\n");
    return fail(EINVAL);
}

status check_sections_left(env &e) {
    const path_modes &m = e.cur->modes;
    if (m.rcu_locked)
        verbose(e, "bpf_rcu_read_unlock is missing\n");
    else if (m.preempt_depth)
        verbose(e, "%d bpf_preempt_enable%s missing\n", m.preempt_depth, m.preempt_depth == 1 ? " is" : "(s) are");
    else
        return {};
    return fail(EINVAL);
}

status check_outside_sections(env &e, const char *what) {
    const path_modes &m = e.cur->modes;
    if (!m.rcu_locked && !m.preempt_depth)
        return {};
    verbose(e, "%s cannot be used inside %s-ed region\n", what, m.rcu_locked ? "bpf_rcu_read_lock" : "bpf_preempt_disable");
    return fail(EINVAL);
}

}  // namespace modbpf
