// SPDX-License-Identifier: GPL-2.0-only
// Subprograms: discovery from call instructions, jump ranges, what BTF says of them, and the stack depth of call chains.
#include "btf/btf.h"
#include "verifier/env.h"
#include "verifier/exception.h"
#include "verifier/fastcall.h"
#include "verifier/kfunc.h"

namespace modbpf {

/// While subprograms are still being found; then env::sub_of() tells it.
static u32 containing_subprog(const env &e, u32 insn) {
    u32 lo = 0, hi = static_cast<u32>(e.subs.size());
    while (hi - lo > 1) {
        u32 mid = lo + (hi - lo) / 2;
        if (e.subs[mid].start <= insn)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

s32 find_start(const env &e, s64 insn) {
    if (e.subs.empty() || insn < 0 || insn >= e.count())
        return -1;
    u32 s = containing_subprog(e, static_cast<u32>(insn));
    return e.subs[s].start == insn ? static_cast<s32>(s) : -1;
}

namespace {

status add_subprog(env &e, s64 at) {
    if (at < 0 || at >= e.count()) {
        verbose(e, "call to invalid destination\n");
        return fail(EINVAL);
    }
    if (find_start(e, at) >= 0)
        return {};
    if (e.subs.size() >= max_subprogs) {
        verbose(e, "too many subprograms\n");
        return fail(E2BIG);
    }
    subprog_info s;
    s.start = static_cast<u32>(at);
    TRY(e.subs.push(move(s)));
    for (size_t i = e.subs.size() - 1; i && e.subs[i - 1].start > e.subs[i].start; i--)
        swap(e.subs[i - 1], e.subs[i]);
    return {};
}

bool is_pseudo_call(const bpf_insn &i) { return i.code == (BPF_JMP | BPF_CALL) && i.src_reg == BPF_PSEUDO_CALL; }
bool is_pseudo_func(const bpf_insn &i) { return i.code == (BPF_LD | BPF_IMM | BPF_DW) && i.src_reg == BPF_PSEUDO_FUNC; }
bool is_tail_call(const bpf_insn &i) { return i.code == (BPF_JMP | BPF_CALL) && i.src_reg == 0 && i.imm == BPF_FUNC_tail_call; }
bool is_jump_class(const bpf_insn &i) { return bpf_class(i.code) == BPF_JMP || bpf_class(i.code) == BPF_JMP32; }

status check_subprog(env &e, subprog_info &s) {
    for (u32 i = s.start; i < s.end; i++) {
        const bpf_insn &in = e.insns[i];
        if (is_tail_call(in))
            s.has_tail_call = s.tail_call_reachable = true;
        if (bpf_class(in.code) == BPF_LD && (bpf_mode(in.code) == BPF_ABS || bpf_mode(in.code) == BPF_IND))
            s.has_ld_abs = true;
        if (!is_jump_class(in) || bpf_op(in.code) == BPF_EXIT || bpf_op(in.code) == BPF_CALL)
            continue;
        s64 to = static_cast<s64>(i) + 1 + (in.code == (BPF_JMP32 | BPF_JA) ? in.imm : in.off);
        if (to < s.start || to >= s.end) {
            verbose(e, "jump out of range from insn %d to %d\n", i, static_cast<int>(to));
            return fail(EINVAL);
        }
    }
    u8 last = e.insns[s.end - 1].code;
    if (last != (BPF_JMP | BPF_EXIT) && last != (BPF_JMP | BPF_JA) && last != (BPF_JMP32 | BPF_JA)) {
        verbose(e, "last insn is not an exit or jmp\n");
        return fail(EINVAL);
    }
    return {};
}

}  // namespace

status find_subprogs(env &e) {
    TRY(add_subprog(e, 0));
    for (u32 i = 0; i < e.count(); i++) {
        const bpf_insn &in = e.insns[i];
        bool kfunc = in.code == (BPF_JMP | BPF_CALL) && in.src_reg == BPF_PSEUDO_KFUNC_CALL;
        if (!e.req.bpf && (is_pseudo_func(in) || kfunc || is_pseudo_call(in))) {
            verbose(e, "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN\n");
            return fail(EPERM);
        }
        if (is_pseudo_call(in) || is_pseudo_func(in))
            TRY(add_subprog(e, static_cast<s64>(i) + in.imm + 1));
        if (kfunc)
            TRY(add_kfunc(e, i));
    }
    if (u32 at = TRY(find_exception_callback(e))) {
        TRY(add_subprog(e, at));
        e.exception_callback = static_cast<u32>(find_start(e, at));
        subprog_info &s = e.subs[e.exception_callback];
        s.called_back = s.is_async = true; // it has a stack of its own
    }
    static_assert(max_subprogs <= 0xffff);
    for (u32 i = 0; i < e.subs.size(); i++) {
        e.subs[i].end = i + 1 < e.subs.size() ? e.subs[i + 1].start : e.count();
        for (u32 n = e.subs[i].start; n < e.subs[i].end; n++)
            e.aux[n].subprog = static_cast<u16>(i);
    }
    for (u32 i = 0; i < e.count(); i++)
        if (is_pseudo_func(e.insns[i]))
            e.subs[static_cast<u32>(find_start(e, static_cast<s64>(i) + e.insns[i].imm + 1))].is_callback = true;
    if (e.log.level() & BPF_LOG_LEVEL2)
        for (u32 i = 0; i < e.subs.size(); i++)
            verbose(e, "func#%d @%d\n", i, e.subs[i].start);
    return {};
}

status check_subprogs(env &e) {
    for (auto &s : e.subs)
        TRY(check_subprog(e, s));
    return {};
}

namespace {

constexpr u32 btf_func_global = 1; // linkage, in a function's vlen

}  // namespace

status bind_func_info(env &e) {
    scratch_vec<subprog_facts> facts;
    for (const auto &s : e.subs)
        TRY(facts.push({s.start, s.has_ld_abs, s.has_tail_call}));
    if (e.req.funcs.empty() || !e.req.types)
        TRY(func_info_absent_check(facts.view(), e.log));
    else
        TRY(func_info_check(e.req.funcs, *e.req.types, facts.view(), e.log));
    if (!e.req.lines.empty())
        TRY(line_info_check(e.req.lines, facts.view(), e.log));
    for (u32 i = 0; i < e.subs.size() && !e.req.funcs.empty() && e.req.types; i++) {
        const btf_type *func = e.req.types->type(e.req.funcs[i].type_id);
        if (MODBPF_BUG_ON(!func))
            return error(EFAULT);
        const char *name = e.req.types->string(func->name_off);
        e.subs[i].name = name ? name : "";
        e.subs[i].global = i && func->vlen() == btf_func_global;
        e.subs[i].unreliable = !i && func->vlen() != btf_func_global; // of the others their calls tell
    }
    return {};
}

// ---- stack depth ------------------------------------------------------------------------------------------------------

namespace {

u32 rounded_depth(const subprog_info &s) { return static_cast<u32>(align_up(counted_depth(s), 16)); }

/// What is known of a function: called with so many frames above it, it fits behind `depth` bytes (less one; 0: not known); and
/// within a callback, where it may do less. Without that a few functions that call each other many times would be walked once for
/// each path.
struct fit {
    u16 depth_and_one[2][max_call_frames]{}; ///< anywhere; within a callback

    bool covers(bool callback, u32 frame, u32 depth) const {
        for (u32 f = frame; f < max_call_frames; f++)
            if (depth_and_one[callback][f] > depth)
                return true;
        return false;
    }
    void add(bool callback, u32 frame, u32 depth) {
        for (u32 in = 0; in <= u32{callback}; in++) // what fits within one fits elsewhere
            depth_and_one[in][frame] = max(depth_and_one[in][frame], static_cast<u16>(depth + 1));
    }
};

struct chain {
    u32 ret_insn[max_call_frames];
    u32 ret_sub[max_call_frames];
    u32 frame = 0;
    u32 depth = 0;
};

bool in_callback(const env &e, const chain &c, u32 sub) {
    bool in = e.subs[sub].called_back;
    for (u32 f = 0; f < c.frame; f++)
        in |= e.subs[c.ret_sub[f]].called_back;
    return in;
}

status enter_subprog(env &e, chain &c, u32 sub) {
    const subprog_info &s = e.subs[sub];
    if (s.has_ld_abs && in_callback(e, c, sub)) {
        verbose(e, "cannot use BPF_LD_[ABS|IND] within callback\n");
        return fail(EINVAL);
    }
    // A tail call reuses this frame, but not those of the callers: keep what they took small.
    if (sub && s.has_tail_call && c.depth >= 256) {
        verbose(e, "tail_calls are not allowed when call stack of previous frames is %d bytes. Too large\n", c.depth);
        return fail(EACCES);
    }
    c.depth += rounded_depth(s);
    if (c.depth > max_bpf_stack) {
        verbose(e, "combined stack size of %d calls is %d. Too large\n", c.frame + 1, c.depth);
        return fail(EACCES);
    }
    if (port_signal_pending())
        return fail(EAGAIN);
    port_cond_resched();
    return {};
}

void callers_reach_tail_call(env &e, const chain &c) {
    for (u32 f = 0; f < c.frame; f++)
        e.subs[c.ret_sub[f]].tail_call_reachable = true;
}

}  // namespace

namespace {

bool kfunc_throws(const env &e, u32 i) {
    const bpf_insn &in = e.insns[i];
    if (in.code != (BPF_JMP | BPF_CALL) || in.src_reg != BPF_PSEUDO_KFUNC_CALL || in.off)
        return false;
    kfunc_call c = find_kfunc_call(e, i);
    return c.row && c.row->effect == kfunc_effect::throw_;
}

/// Does the instruction take stack for the function that it calls or points to? What runs later has a stack of its own.
result<bool> stacks_callee(env &e, const chain &c, u32 sub, u32 i) {
    const bpf_insn &in = e.insns[i];
    if (kfunc_throws(e, i) && in_callback(e, c, sub)) {
        verbose(e, "bpf_throw kfunc (insn %d) cannot be called from callback subprog %d\n", i, sub);
        return fail(EINVAL);
    }
    if (!is_pseudo_call(in) && !is_pseudo_func(in))
        return false;
    const subprog_info &s = e.subs[static_cast<u32>(find_start(e, static_cast<s64>(i) + in.imm + 1))];
    if (s.is_async && s.has_tail_call) {
        verbose(e, "verifier bug. subprog has tail_call and async cb\n"); // Linux's words
        return fail(EFAULT);
    }
    if (is_pseudo_call(in) && &s == &e.subs[e.exception_callback] && e.exception_callback) {
        verbose(e, "insn %d cannot call exception cb directly\n", i);
        return fail(EINVAL);
    }
    return !s.is_async || s.called_sync || is_pseudo_call(in);
}

/// The chains of calls that start at `sub`.
status check_chains(env &e, scratch_vec<fit> &fits, u32 sub) {
    chain c;
    u32 i = e.subs[sub].start;
    TRY(enter_subprog(e, c, sub));
    for (;;) {
        while (i < e.subs[sub].end && !TRY(stacks_callee(e, c, sub, i)))
            i++;
        if (i == e.subs[sub].end) {
            if (e.subs[sub].has_tail_call)
                callers_reach_tail_call(e, c);
            if (!c.frame)
                return {};
            c.depth -= rounded_depth(e.subs[sub]);
            fits[sub].add(in_callback(e, c, sub), c.frame, c.depth);
            c.frame--;
            i = c.ret_insn[c.frame], sub = c.ret_sub[c.frame];
            continue;
        }
        c.ret_insn[c.frame] = i + 1, c.ret_sub[c.frame] = sub;
        s32 callee = find_start(e, static_cast<s64>(i) + e.insns[i].imm + 1);
        if (MODBPF_BUG_ON(callee < 0))
            return error(EFAULT);
        if (++c.frame >= max_call_frames) {
            verbose(e, "the call stack of %d frames is too deep !\n", c.frame);
            return fail(E2BIG);
        }
        bool callback = in_callback(e, c, static_cast<u32>(callee)); // there a packet load or a throw is refused
        if (fits[static_cast<u32>(callee)].covers(callback, c.frame, c.depth)) {
            const subprog_info &s = e.subs[static_cast<u32>(callee)];
            if (s.has_tail_call || s.tail_call_reachable)
                callers_reach_tail_call(e, c);
            i = c.ret_insn[--c.frame];
            continue;
        }
        sub = static_cast<u32>(callee);
        i = e.subs[sub].start;
        TRY(enter_subprog(e, c, sub));
    }
}

}  // namespace

status check_stack_depth(env &e) {
    scratch_vec<fit> fits;
    TRY(fits.resize(e.subs.size()));
    for (u32 sub = static_cast<u32>(e.subs.size()); sub--;)
        if (!sub || e.subs[sub].is_async)
            TRY(check_chains(e, fits, sub));
    return {};
}

namespace {

/// Functions of the program, each once.
struct sub_set {
    scratch_vec<u32> all;
    scratch_vec<u8> has;

    status add(u32 sub) {
        if (has[sub])
            return {};
        has[sub] = 1;
        return all.push(sub);
    }
};

} // namespace

status note_tail_calls(env &e) {
    bool taken = false;
    for (const subprog_info &s : e.subs)
        taken |= s.is_callback;
    if (!taken)
        return {};
    sub_set from_outside;
    TRY(from_outside.has.resize_zeroed(e.subs.size()));
    auto named = [&e](u32 i) { return static_cast<u32>(find_start(e, static_cast<s64>(i) + e.insns[i].imm + 1)); };
    for (u32 i = 0; i < e.count(); i++)
        if (e.aux[i].seen && is_pseudo_func(e.insns[i]))
            TRY(from_outside.add(named(i)));
    for (u32 n = 0; n < from_outside.all.size(); n++) {
        const subprog_info &s = e.subs[from_outside.all[n]];
        port_cond_resched();
        for (u32 i = s.start; i < s.end; i++) {
            if (!e.aux[i].seen)
                continue;
            if (is_tail_call(e.insns[i]))
                note_absent(e, "tail call in", "a callback");
            else if (is_pseudo_call(e.insns[i]))
                TRY(from_outside.add(named(i)));
        }
    }
    return {};
}

}  // namespace modbpf
