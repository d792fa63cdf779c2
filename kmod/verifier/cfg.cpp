// SPDX-License-Identifier: GPL-2.0-only
// Control flow: a depth-first walk without recursion that finds unreachable instructions and marks where states are compared
// (prune points) and where Linux would record a jump (jmp points). With CAP_BPF back edges are fine: exploration decides about loops.
#include "helpers/callback.h"
#include "verifier/call.h"
#include "verifier/dynptr.h"
#include "verifier/env.h"
#include "verifier/kfunc.h"

namespace modbpf {

namespace {

enum : u8 { undiscovered, discovered, fallthrough_done, branch_done, explored };

struct walk {
    env &e;
    scratch_vec<u8> mark;
    scratch_vec<u32> stack; ///< with room for all: each is on it once
    bool cyclic = false;    ///< a function was merged into one that calls it before all of it was walked

    /// Follows t -> to unless that was done; true: `to` is new and on the stack.
    result<bool> push(u32 t, s64 to, bool is_branch) {
        if (to < 0 || to >= e.count()) {
            print_line(e, t, "");
            verbose(e, "jump out of range from insn %d to %d\n", t, static_cast<int>(to));
            return fail(EINVAL);
        }
        if (is_branch) {
            mark_target(static_cast<u32>(to));
            e.aux[static_cast<u32>(to)].jump_target = true;
        }
        mark[t] = is_branch ? branch_done : fallthrough_done;
        u8 seen = mark[static_cast<u32>(to)];
        if (seen != undiscovered && seen != explored && !e.req.bpf) {
            print_line(e, t, "");
            verbose(e, "back-edge from insn %d to %d\n", t, static_cast<u32>(to));
            return fail(EINVAL);
        }
        if (seen != undiscovered)
            return false;
        mark[static_cast<u32>(to)] = discovered;
        TRY(stack.push(static_cast<u32>(to)));
        return true;
    }
    void mark_target(u32 i) {
        e.aux[i].prune_point = true;
        e.aux[i].jmp_point = true;
    }
    /// The plain case of visit(), for most of a program: what is next is new.
    bool go_on(u32 t) {
        const insn_desc &d = e.desc(t);
        if (mark[t] != discovered || d.jumps || !d.falls_through || d.kind == insn_kind::call_helper || d.kind == insn_kind::call_sub ||
            d.kind == insn_kind::call_kfunc || d.is_pseudo_func())
            return false;
        u32 to = t + d.words;
        if (to >= e.count() || mark[to] != undiscovered)
            return false;
        mark[t] = fallthrough_done;
        mark[to] = discovered;
        stack.append(to);
        return true;
    }
    status from(u32 start);
    result<bool> visit(u32 t);
    result<bool> visit_call(u32 t, const insn_desc &d);
};

/// What the called function may do, its caller may. True when that is new.
bool merge_effects(subprog_info &caller, const subprog_info &called) {
    bool more = (called.changes_pkt_data && !caller.changes_pkt_data) || (called.may_sleep && !caller.may_sleep) ||
                (called.may_throw && !caller.may_throw);
    caller.changes_pkt_data |= called.changes_pkt_data;
    caller.may_sleep |= called.may_sleep;
    caller.may_throw |= called.may_throw;
    return more;
}

/// Functions that refer to each other in a circle (one of them as an asynchronous callback): each gets what any of them does.
status settle_effects(env &e) {
    scratch_vec<u8> calls; // caller * count + called
    u32 count = static_cast<u32>(e.subs.size());
    TRY(calls.resize_zeroed(size_t{count} * count));
    for (u32 i = 0; i < e.count(); i++) {
        const insn_desc &d = e.desc(i);
        if (d.kind == insn_kind::call_sub || d.is_pseudo_func())
            calls[size_t{e.aux[i].subprog} * count + e.aux[static_cast<u32>(d.target)].subprog] = 1;
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t at = 0; at < calls.size(); at++)
            if (calls[at])
                more |= merge_effects(e.subs[at / count], e.subs[at % count]);
    }
    return {};
}

/// A path comes back here from a callback; or it would start the same asynchronous callback again and again.
void mark_callback(env &e, u32 t, const callback_proto &c) {
    insn_aux &a = e.aux[t];
    a.prune_point = true;
    if (!c.async)
        a.jmp_point = true, a.loop = loop_driver::callback;
}

/// The callee (of a function pointer: what it points to) is walked as if it were a second successor.
result<bool> walk::visit_call(u32 t, const insn_desc &d) {
    bool callee = d.kind == insn_kind::call_sub || d.is_pseudo_func();
    if (d.kind == insn_kind::call_helper) {
        if (const callback_proto *c = d.imm >= 0 ? find_callback(static_cast<u32>(d.imm)) : nullptr)
            mark_callback(e, t, *c);
        const helper_proto *fn = d.imm >= 0 ? helper_at(e, static_cast<u32>(d.imm)) : nullptr;
        subprog_info &in = e.sub_of(t);
        in.changes_pkt_data |= fn && (fn->flags & (helper_changes_pkt | helper_tail_call));
        // Whether the dynptr is the packet's is not known here.
        in.changes_pkt_data |= fn && (fn->flags & helper_writes_dynptr) && has_packet_dynptrs(e, dynptr_kind::skb);
        in.may_sleep |= fn && (fn->flags & helper_may_sleep);
    }
    if (d.kind == insn_kind::call_kfunc) {
        kfunc_call k = find_kfunc_call(e, t);
        if (const callback_proto *c = k.fn ? find_callback(k.fn->name) : nullptr)
            mark_callback(e, t, *c);
        e.sub_of(t).may_sleep |= (k.flags & kf_sleepable) != 0;
        e.sub_of(t).may_throw |= k.row && k.row->effect == kfunc_effect::throw_;
        if (k.flags & kf_iter_next) {
            e.aux[t].prune_point = true;
            e.aux[t].loop = loop_driver::iterator;
        }
    }
    if (mark[t] == discovered) {
        if (TRY(push(t, static_cast<s64>(t) + d.words, false)))
            return true;
    }
    mark_target(t + d.words);
    if (!callee)
        return false;
    e.aux[t].prune_point = true;
    subprog_info &caller = e.sub_of(t);
    if (mark[t] < branch_done && TRY(push(t, d.target, true)))
        return true;
    cyclic |= mark[static_cast<u32>(d.target)] != explored;
    (void)merge_effects(caller, e.sub_of(static_cast<u32>(d.target)));
    return false;
}

/// Everything that can be reached from `start`.
status walk::from(u32 start) {
    TRY(stack.push(start));
    mark[start] = discovered;
    while (!stack.empty()) {
        u32 t = stack.back();
        if (go_on(t) || TRY(visit(t)))
            continue;
        mark[t] = explored;
        stack.pop();
    }
    return {};
}

result<bool> walk::visit(u32 t) {
    const insn_desc &d = e.desc(t);
    switch (d.kind) {
    case insn_kind::exit:
        return false;
    case insn_kind::call_helper:
    case insn_kind::call_sub:
    case insn_kind::call_kfunc:
        return visit_call(t, d);
    case insn_kind::jump:
        if (mark[t] != discovered)
            return false;
        if (TRY(push(t, d.target, true)))
            return true;
        return false;
    case insn_kind::may_goto:
        e.aux[t].loop = loop_driver::may_goto;
        [[fallthrough]];
    case insn_kind::branch:
        e.aux[t].prune_point = true;
        if (mark[t] == discovered && TRY(push(t, static_cast<s64>(t) + 1, false)))
            return true;
        return mark[t] < branch_done ? push(t, d.target, true) : result<bool>(false);
    case insn_kind::ld_imm64:
        if (d.is_pseudo_func())
            return visit_call(t, d);
        [[fallthrough]];
    default:
        if (mark[t] != discovered)
            return false;
        return push(t, static_cast<s64>(t) + d.words, false);
    }
}

}  // namespace

status check_cfg(env &e) {
    walk w{e, {}, {}};
    TRY(w.mark.resize_zeroed(e.count()));
    TRY(w.stack.reserve(e.count()));
    TRY(w.from(0));
    if (e.exception_callback && w.mark[e.subs[e.exception_callback].start] == undiscovered)
        TRY(w.from(e.subs[e.exception_callback].start));
    if (w.cyclic)
        TRY(settle_effects(e));
    for (u32 i = 0; i < e.count(); i++) {
        if (w.mark[i] != explored) {
            verbose(e, "unreachable insn %d\n", i);
            return fail(EINVAL);
        }
        if (e.insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
            continue;
        if (w.mark[i + 1] != undiscovered) {
            verbose(e, "jump into the middle of ldimm64 insn %d\n", i);
            return fail(EINVAL);
        }
        i++;
    }
    return {};
}

}  // namespace modbpf
