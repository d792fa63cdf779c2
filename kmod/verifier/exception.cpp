// SPDX-License-Identifier: GPL-2.0-only
// Exceptions: bpf_throw ends the program from any frame, and an exception callback (a global function that main names by a declaration
// tag), or the thrown cookie itself, says what it returns. Nothing may be held where a program throws, in any frame: nobody unwinds it.
#include "btf/format.h"
#include "helpers/callback.h"
#include "verifier/exception.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

constexpr const char tag_prefix[] = "exception_callback:";

/// The name in main's only tag; "" when it has none.
result<const char *> tagged_name(env &e, const btf &types, u32 main_id) {
    u32 at = 0;
    const char *name = types.next_tag(&at, main_id, -1, tag_prefix);
    if (!name)
        return "";
    if (types.next_tag(&at, main_id, -1, tag_prefix)) {
        verbose(e, "multiple exception callback tags for main subprog\n");
        return fail(EEXIST);
    }
    return name;
}

}  // namespace

result<u32> find_exception_callback(env &e) {
    if (e.req.funcs.empty() || !e.req.types)
        return 0u;
    const btf &types = *e.req.types;
    const char *name = TRY(tagged_name(e, types, e.req.funcs[0].type_id));
    if (!*name)
        return 0u;
    u32 id = types.find(name, btf_kind::func);
    if (!id) {
        verbose(e, "exception callback '%s' could not be found in BTF\n", name);
        return fail(ENOENT);
    }
    if (types.type(id)->vlen() != BTF_FUNC_GLOBAL) {
        verbose(e, "exception callback '%s' must have global linkage\n", name);
        return fail(EINVAL);
    }
    u32 at = 0;
    for (const func_info &f : e.req.funcs) {
        if (f.type_id != id)
            continue;
        at = f.insn_off;
        if (!at)
            verbose(e, "invalid exception callback insn_off in func_info: 0\n");
    }
    if (at)
        return at;
    verbose(e, "exception callback type id not found in func_info\n");
    return fail(EINVAL);
}

status check_exception_callback(env &e, const subprog_info &s) {
    if (s.arg_count == 1 && s.args[0] == sub_arg::scalar)
        return {};
    verbose(e, "exception cb only supports single integer argument\n");
    return fail(EINVAL);
}

status check_throw(env &e) {
    const path_modes &m = e.cur->modes;
    const char *inside = m.lock_ptr ? "bpf_spin_lock" : m.rcu_locked ? "bpf_rcu_read_lock" : m.preempt_depth ? "bpf_preempt_disable" : nullptr;
    if (!e.exception_callback)
        TRY(check_return_code(e, BPF_REG_1)); // the cookie is what the program returns
    if (inside) {
        verbose(e, "bpf_throw cannot be used inside %s-ed region\n", inside);
        return fail(EINVAL);
    }
    for (const held_ref &r : e.cur->refs)
        verbose(e, "Unreleased reference id=%d alloc_insn=%d\n", r.id, r.insn);
    return e.cur->refs.empty() ? status() : status(fail(EINVAL));
}

/// A helper that calls back is left in the middle: those that hold nothing meanwhile. And a program that sleeps has no run context.
void check_throw_runs(env &e) {
    if (e.out->image.sleepable || (e.req.prog_flags & BPF_F_SLEEPABLE) || e.cur->modes.in_sleepable)
        note_absent(e, "use by a sleepable program of", "bpf_throw");
    if (e.exception_callback && e.cur->frame[0]->subprog == e.exception_callback)
        note_absent(e, "bpf_throw in", "an exception callback");
    for (u32 f = 0; f <= e.cur->curframe; f++)
        if (const callback_proto *c = e.cur->frame[f]->callback; c && c->helper != BPF_FUNC_loop && c->helper != BPF_FUNC_for_each_map_elem)
            note_absent(e, "bpf_throw in a callback of", c->name ? c->name : helper_name(c->helper));
}

status check_may_throw(env &e, const subprog_info &callee) {
    const path_modes &m = e.cur->modes;
    if (!callee.may_throw || (e.cur->refs.empty() && !m.rcu_locked))
        return {};
    verbose(e, "function '%s' may throw, and %s is held\n", callee.name, m.rcu_locked ? "a section" : "a reference");
    return fail(EINVAL);
}

}  // namespace modbpf
