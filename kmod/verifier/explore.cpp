// SPDX-License-Identifier: GPL-2.0-only
// Path exploration: walks every path of abstract states from an entry, one instruction at a time, and prunes a path where a fully
// explored checkpoint covers it. Checkpoints are made where Linux 6.12's is_state_visited() makes them, so that the number of
// instructions processed (and with it the 1M limit) is comparable, and at more of the places where paths join: they are cheap here.
#include "verifier/callback.h"
#include "verifier/dynptr.h"
#include "verifier/exception.h"
#include "verifier/func_args.h"
#include "verifier/loops.h"
#include "verifier/btf_ksym.h"
#include "verifier/btf_target.h"
#include "verifier/marks.h"
#include "verifier/sections.h"
#include "verifier/special.h"
#include "verifier/speculation.h"

namespace modbpf {

namespace {

constexpr u32 max_checkpoints_unprivileged = 64; ///< of one instruction: BPF_COMPLEXITY_LIMIT_STATES

// A loop whose turns take fewer jumps and instructions has no checkpoint of each turn (Linux's numbers); one without branches in it
// hardly any.
constexpr u32 max_turns_compared = 8; ///< of those on the path: an endless loop with a longer period ends at the limit of instructions
constexpr u64 spread_jumps = 2, spread_insns = 8; ///< between checkpoints (Linux's numbers)
constexpr u32 join_insns = 2; ///< on the path itself, where others join it (1, 2, 4 and 8 were tried over the kernel's selftests)
// A checkpoint goes when it was compared in vain this often, and this often again for each path that it pruned. One that paths still grow
// from prunes nobody yet (3 is Linux's number); in loops that nothing counts it is what makes them converge. One that is explored is
// cheap to compare, and where many paths meet in one place it takes its time to be useful: with 3, a parser of TCP options in a loop
// lost its checkpoints before they pruned anything and went on to the limit of instructions (8 and 16 differ by little).
constexpr u32 patience_growing = 3, patience_uncounted = 64, patience_explored = 8;
constexpr u64 turn_jumps = 20, turn_insns = 100, max_quiet_jumps = 1000;

const char *path_note(const env &e) { return e.cur->modes.speculative ? " (speculative execution)" : ""; }

enum class step : u8 { next, jumped, path_done };

void tell_path(const env &e, path_event event, u32 insn, u64 place = 0) {
    if (e.req.observer && e.req.observer->path)
        e.req.observer->path(e.req.observer->priv, event, insn, static_cast<u32>(place));
}

/// The checkpoint is finished: if no loop is open there, only what its paths demand is kept.
status conclude(env &e, checkpoint &st) {
    if (st.concluded() || in_open_loop(e, st))
        return {};
    TRY(settle_marks(e));
    st.facts = own<state_facts>(TRY(make_facts(e, *st.state, st.insn)));
    st.state = {};
    return {};
}

status finish_path(env &e) {
    checkpoint *st = e.cur->parent;
    if (st)
        lead_into_loop(e, *st, e.cur->loop);
    for (; st; st = st->parent) {
        if (MODBPF_BUG_ON(st->branches == 0))
            return error(EFAULT);
        if (--st->branches)
            break;
        finish_loops(e, *st);
        TRY(conclude(e, *st));
    }
    return {};
}

/// The next pending path becomes the current one; false: there is none.
bool pop_path(env &e) {
    if (e.pending.empty())
        return false;
    pending_path p = e.pending.back();
    e.pending.pop();
    e.cur = own<verifier_state>(p.state);
    e.insn = p.insn;
    e.prev_insn = static_cast<s32>(p.prev_insn);
    if (e.precision)
        e.precision->span = p.span;
    tell_path(e, path_event::resumed, e.insn, e.pending.size());
    if (!(e.log.level() & BPF_LOG_LEVEL2))
        e.log.reset(p.log_pos);
    e.scratched_regs = ~0u, e.scratched_slots = ~0ull;
    return true;
}

status infinite_loop(env &e, const verifier_state &old) {
    print_line(e, e.insn, "; ");
    verbose(e, "infinite loop detected at insn %d\n", e.insn);
    verbose(e, "cur state:");
    print_state(e, *e.cur, e.cur->curframe, true);
    verbose(e, "old state:");
    print_state(e, old, e.cur->curframe, true);
    return fail(EINVAL);
}

void drop_checkpoint(env &e, checkpoint **link) {
    checkpoint *st = *link;
    *link = st->next;
    if (st->branches == 0) {
        destroy(st);
        e.stats.peak_states--;
    } else { // paths still grow from it
        st->next = e.evicted;
        e.evicted = st;
    }
}

/// A checkpoint at the current instruction, reached from the same call.
bool same_place(const env &e, const checkpoint &st) {
    return st.insn == e.insn && st.callsite == e.cur->cur().callsite && st.curframe == e.cur->curframe;
}

/// The register where they differed last differs again: no two states are the same then.
bool still_differs(const verifier_state &old, const verifier_state &cur, const difference &d) {
    if (d.at >= bpf_reg_count || d.frame > min(old.curframe, cur.curframe))
        return false;
    const reg_state &a = old.frame[d.frame]->regs[d.at], &b = cur.frame[d.frame]->regs[d.at];
    return a.type != b.type || !scalar_equal(a.var, b.var);
}

/// A loop that came back with other turns of what drives it is none that never ends, nor is a callback that starts itself later.
bool endless(env &e, checkpoint &old) {
    const verifier_state &st = *old.state;
    return !still_differs(st, *e.cur, old.differed) && st.async_depth == e.cur->async_depth && st.may_goto_turns == e.cur->may_goto_turns &&
           st.callback_turns == e.cur->callback_turns && state_identical(e, st, *e.cur, old.differed);
}

/// -> true: the checkpoint covers the current state.
result<bool> ends_here(env &e, checkpoint &st) {
    loop_driver driver = e.aux[e.insn].loop;
    if (st.branches && driver != loop_driver::none) {
        if (loop_converges(e, st)) {
            TRY(end_in_loop(e, st));
            return true;
        }
        // A drained iterator ends no loop. Linux goes on to the limit of instructions.
        bool drained = driver == loop_driver::iterator && !iterates(e);
        if (driver != loop_driver::may_goto && !drained)
            return false;
    }
    if (st.branches) {
        if (!endless(e, st))
            return false;
        if (!e.cur->modes.speculative)
            return infinite_loop(e, *st.state).err();
        TRY(end_in_loop(e, st)); // no CPU mispredicts for ever, and what it would do is being explored
        return true;
    }
    if (e.req.no_pruning)
        return false;
    if (!st.concluded())
        TRY(conclude(e, st)); // its loop may have been closed meanwhile
    if (st.concluded())
        return facts_cover(e, *st.facts, *e.cur, st.differed);
    if (!state_covers(e, *st.state, *e.cur, st.differed))
        return false;
    TRY(end_in_loop(e, st));
    return true;
}

/// Is the path, in a loop, still too near to its checkpoint at this place for another one to help?
bool same_turn(const env &e, const checkpoint &st) {
    if (e.precision)
        return e.jumps - e.prev_jumps < turn_jumps && e.processed - e.prev_processed < turn_insns;
    u64 jumps = e.jumps - st.jumps;
    if (e.forks == st.forks) // nobody can follow who would not meet the other one; but an endless loop is to be found at last
        return jumps < max_quiet_jumps;
    return jumps < turn_jumps && e.processed - st.processed < turn_insns;
}

/// Where others may join this path, or some way behind the last checkpoint that was made, on whatever path, as Linux counts.
bool worth_checkpoint(const env &e) {
    bool join = !e.precision && e.aux[e.insn].join;
    return (e.jumps - e.prev_jumps >= spread_jumps && e.processed - e.prev_processed >= spread_insns) || (join && e.cur->since >= join_insns);
}

/// -> true: a checkpoint covers the current state.
result<bool> search_checkpoints(env &e, bool force_new, bool *add_new) {
    u32 seen = 0, unfinished = 0;
    for (checkpoint **link = e.checkpoints(e.insn, e.cur->cur().callsite); *link;) {
        checkpoint *st = *link;
        if (!same_place(e, *st)) {
            link = &st->next;
            continue;
        }
        seen++;
        bool compared = !st->branches || ++unfinished <= max_turns_compared;
        if (compared && TRY(ends_here(e, *st))) {
            st->hits++;
            if (e.precision)
                TRY(explain_prune(e, *st));
            return true;
        }
        if (compared && st->branches && !force_new && same_turn(e, *st))
            *add_new = false;
        if (*add_new)
            st->misses++;
        bool uncounted = e.aux[e.insn].loop != loop_driver::none;
        u32 patience = !st->branches ? patience_explored : uncounted ? patience_uncounted : patience_growing;
        if (st->misses > st->hits * patience + patience)
            drop_checkpoint(e, link);
        else
            link = &st->next;
    }
    e.stats.max_states_per_insn = max<u64>(e.stats.max_states_per_insn, seen);
    if (!e.req.bpf && seen > max_checkpoints_unprivileged)
        *add_new = false;
    return false;
}

status add_checkpoint(env &e) {
    own<checkpoint> st(make<checkpoint>(PORT_SLEEPING));
    if (!st)
        return error(ENOMEM);
    st->state = own<verifier_state>(e.frames.get_state());
    if (!st->state)
        return error(ENOMEM);
    TRY(st->state->copy_from(*e.cur));
    if (e.precision)
        TRY(trace_checkpoint(e, *st));
    e.stats.total_states++;
    e.stats.peak_states++;
    e.prev_jumps = e.jumps, e.prev_processed = e.processed;
    e.history = 0;
    st->insn = e.insn;
    st->made = e.stats.total_states;
    st->forks = e.forks, st->jumps = e.jumps, st->processed = e.processed;
    st->callsite = e.cur->cur().callsite;
    st->curframe = e.cur->curframe;
    st->parent = e.cur->parent;
    checkpoint **bucket = e.checkpoints(e.insn, st->callsite);
    st->next = *bucket;
    *bucket = st.get();
    // The path goes on as the checkpoint's only child.
    e.cur->parent = st.release();
    e.cur->since = 0;
    for (u32 f = 0; f <= e.cur->curframe; f++)
        e.cur->frame[f]->written_regs = 0, e.cur->frame[f]->written_slots = 0;
    return {};
}

u32 history_length(const env &e) { return e.precision ? e.precision->span.end - e.precision->span.start : e.history; }

/// -> true: pruned.
result<bool> visit_prune_point(env &e) {
    bool force_new = (e.req.bpf && (e.req.prog_flags & BPF_F_TEST_STATE_FREQ)) || history_length(e) > 40 ||
                     e.aux[e.insn].loop != loop_driver::none;
    bool add_new = force_new || worth_checkpoint(e);
    if (TRY(search_checkpoints(e, force_new, &add_new)))
        return true;
    if (add_new)
        TRY(add_checkpoint(e));
    return false;
}

status log_insn(env &e) {
    if (!(e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2)))
        return {};
    if (e.scratched_regs || e.scratched_slots)
        print_insn_state(e);
    print_line(e, e.insn, "; ");
    e.prev_log_pos = e.log.position();
    print_insn(e, e.insn);
    return {};
}

status refuse(env &e, const refusal &r) {
    verbose(e, "%s", r.text);
    return fail(r.err);
}

result<step> check_exit(env &e) {
    TRY(check_lock_left(e));
    if (!e.cur->curframe)
        TRY(check_sections_left(e));
    TRY(check_reference_leak(e));
    if (e.cur->curframe) {
        TRY(return_from_func(e));
        return step::jumped;
    }
    TRY(check_return_code(e));
    return step::path_done;
}

status check_ld_imm64(env &e, const insn_desc &d) {
    TRY(write_reg(e, d.dst));
    reg_state &r = e.reg(d.dst);
    const insn_aux &a = e.aux[e.insn];
    switch (d.src) {
    case 0:
        r.set_const(static_cast<u64>(d.imm));
        return {};
    case BPF_PSEUDO_BTF_ID:
        load_ksym(e, r, e.ksyms[a.map_index]);
        return {};
    case BPF_PSEUDO_MAP_FD:
    case BPF_PSEUDO_MAP_IDX:
        r.set_pointer(reg_type::map_ptr);
        r.map_ptr = e.maps[a.map_index].get();
        return {};
    case BPF_PSEUDO_MAP_VALUE:
    case BPF_PSEUDO_MAP_IDX_VALUE:
        if (e.maps[a.map_index]->params.type == BPF_MAP_TYPE_ARENA) { // an address of user space
            r.set_unknown();
            return {};
        }
        r.set_pointer(reg_type::map_value);
        r.map_ptr = e.maps[a.map_index].get();
        r.off = static_cast<s32>(a.map_off);
        return {};
    case BPF_PSEUDO_FUNC:
        return load_func_pointer(e, d);
    }
    return verifier_bug(e, "ld_imm64 kind");
}

result<step> check_control(env &e, const insn_desc &d) {
    e.jumps++;
    switch (d.kind) {
    case insn_kind::jump:
        e.next_insn = static_cast<u32>(d.target);
        return step::jumped;
    case insn_kind::exit:
        return check_exit(e);
    case insn_kind::call_sub:
        TRY(check_func_call(e, d));
        break;
    case insn_kind::call_helper:
        TRY(check_helper_call(e, d));
        break;
    case insn_kind::call_kfunc:
        if (TRY(check_kfunc_call(e)))
            break;
        TRY(check_throw(e));
        return step::path_done;
    case insn_kind::may_goto:
        TRY(check_may_goto(e, d));
        return step::jumped;
    default:
        TRY(check_branch(e, d));
        return step::jumped;
    }
    e.scratch_reg(BPF_REG_0);
    return step::jumped;
}

result<step> check_insn(env &e, const insn_desc &d) {
    e.next_insn = e.insn + d.words;
    switch (d.kind) {
    case insn_kind::alu:
    case insn_kind::mov:
    case insn_kind::neg:
    case insn_kind::to_le:
    case insn_kind::to_be:
    case insn_kind::bswap:
        TRY(check_alu(e, d));
        return step::next;
    case insn_kind::load:
        TRY(check_load(e, d));
        return step::next;
    case insn_kind::store:
        TRY(check_store(e, d));
        return step::next;
    case insn_kind::atomic:
        TRY(check_atomic(e, d));
        return step::next;
    case insn_kind::ld_imm64:
        TRY(check_ld_imm64(e, d));
        return step::next;
    case insn_kind::ld_packet:
        TRY(check_ld_packet(e, d));
        return step::next;
    case insn_kind::jump:
    case insn_kind::may_goto:
    case insn_kind::branch:
    case insn_kind::call_helper:
    case insn_kind::call_kfunc:
    case insn_kind::call_sub:
    case insn_kind::exit:
        return check_control(e, d);
    default:
        return verifier_bug(e, "instruction kind");
    }
}

/// What an encoding alone can be refused for, but only where it is reached.
status check_reached_encoding(env &e, const insn_desc &d) {
    if (d.kind != insn_kind::branch && d.kind != insn_kind::ld_packet)
        if (refusal r = check_encoding(e.insns[e.insn]))
            return refuse(e, r);
    return {};
}

/// One instruction. -> path_done also when the path was pruned.
result<step> do_insn(env &e, bool *print_from) {
    if (++e.processed > max_insns_privileged) {
        verbose(e, "BPF program is too large. Processed %d insn\n", static_cast<int>(e.processed));
        return fail(E2BIG);
    }
    bool logging = e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2);
    if (e.req.observer && !e.req.observer->state(e.req.observer->priv, e.insn, *e.cur))
        return fail(EAGAIN);
    insn_aux &a = e.aux[e.insn];
    if (e.precision)
        precision_step(e);
    if (a.prune_point && TRY(visit_prune_point(e))) {
        tell_path(e, path_event::pruned, e.insn);
        if (logging && *print_from)
            verbose(e, "\nfrom %d to %d%s: safe\n", e.prev_insn, e.insn, path_note(e));
        else if (logging)
            verbose(e, "%d: safe\n", e.insn);
        return step::path_done;
    }
    e.history += a.jmp_point;
    if (e.precision && a.jmp_point)
        TRY(record_join(e));
    if ((e.processed & 0x3ff) == 0) {
        if (port_signal_pending())
            return fail(EAGAIN);
        port_cond_resched();
    }
    if ((e.log.level() & BPF_LOG_LEVEL2) && *print_from) {
        verbose(e, "\nfrom %d to %d%s:", e.prev_insn, e.insn, path_note(e));
        print_state(e, *e.cur, e.cur->curframe, true);
        *print_from = false;
    }
    TRY(log_insn(e));
    e.cur->since++;
    a.seen |= !e.cur->modes.speculative; // what only mispredicted paths reach is dead
    const insn_desc &d = e.desc(e.insn);
    if (!a.encoding_ok)
        TRY(check_reached_encoding(e, d));
    a.encoding_ok |= d.kind != insn_kind::branch; // a branch's own check comes between those of its registers
    bool was_call = d.kind == insn_kind::exit;
    e.prev_insn = static_cast<s32>(e.insn);
    step s = TRY(check_insn(e, d));
    if (e.frames.failed())
        return error(ENOMEM);
    if (was_call && s == step::jumped)
        *print_from = true;
    e.insn = e.next_insn;
    return s;
}

status run_paths(env &e) {
    bool print_from = false;
    for (;;) {
        if (MODBPF_BUG_ON(e.insn >= e.count())) {
            verbose(e, "invalid insn idx %d insn_cnt %d\n", e.insn, e.count());
            return error(EFAULT);
        }
        if (TRY(do_insn(e, &print_from)) != step::path_done)
            continue;
        tell_path(e, path_event::ended, e.insn);
        TRY(finish_path(e));
        if (!pop_path(e))
            return {};
        print_from = true;
    }
}

void free_checkpoints(env &e) {
    for (auto &a : e.aux)
        while (checkpoint *st = a.explored) {
            a.explored = st->next;
            destroy(st);
        }
    while (checkpoint *st = e.evicted) {
        e.evicted = st->next;
        destroy(st);
    }
    for (auto &p : e.pending)
        destroy(p.state);
    e.pending.clear();
    e.loops.clear();
    e.cur = {};
}

status enter(env &e, u32 sub, bool in_sleepable) {
    e.prev_line = nullptr;
    e.cur = own<verifier_state>(e.frames.get_state());
    if (!e.cur)
        return error(ENOMEM);
    e.cur->frame[0] = TRY(make_frame(e, sub, func_state::no_callsite, 0));
    e.cur->modes.in_sleepable = in_sleepable;
    e.insn = e.subs[sub].start;
    e.prev_insn = -1;
    e.history = 0;
    if (e.log.level() & BPF_LOG_LEVEL2)
        TRY(start_precision_log(e));
    e.scratched_regs = ~0u, e.scratched_slots = ~0ull;
    tell_path(e, path_event::entry, e.insn);
    if (!sub && !e.req.attach.extension) {
        check_main_prototype(e);
        e.reg(BPF_REG_1).set_pointer(reg_type::ctx);
        return {};
    }
    verbose(e, "Validating %s() func#%d...\n", e.subs[sub].name, sub);
    TRY(prepare_func_args(e, sub));
    if (sub && sub == e.exception_callback)
        TRY(check_exception_callback(e, e.subs[sub]));
    for (u32 i = 0; i < e.subs[sub].arg_count; i++)
        set_func_arg(e, e.subs[sub], i);
    return {};
}

status explore_from(env &e, u32 sub, bool in_sleepable) {
    status st = enter(e, sub, in_sleepable);
    if (st)
        st = [&]() -> status { return run_paths(e); }();
    free_checkpoints(e);
    if (st.ok() && !(e.log.level() & BPF_LOG_LEVEL2))
        e.log.reset(0);
    return st.ok() ? status() : status(st.err());
}

}  // namespace

result<verifier_state *> push_path(env &e, u32 insn, u32 prev_insn) {
    own<verifier_state> st(e.frames.get_state());
    if (!st)
        return error(ENOMEM);
    TRY(st->copy_from(*e.cur));
    verifier_state *raw = st.get();
    TRY(e.pending.push({raw, insn, prev_insn, e.log.position(), e.precision ? e.precision->span : path_span{}}));
    (void)st.release();
    if (e.pending.size() > max_pending) {
        verbose(e, "The sequence of %d jumps is too complex.\n", static_cast<int>(e.pending.size()));
        return fail(E2BIG);
    }
    if (raw->parent)
        raw->parent->branches++;
    e.forks++;
    tell_path(e, path_event::forked, insn, e.pending.size() - 1);
    return raw;
}

verifier_env::~verifier_env() { free_checkpoints(*this); }

namespace {

/// What the program may return, or null: anything.
const return_rule *find_return_rule(const env &e) {
    for (const return_rule &r : e.req.type->returns)
        if (in_attach_set(r.attach, e.req.expected_attach_type))
            return &r;
    return nullptr;
}

status check_known_return(env &e, u32 regno, s32 lo, s32 hi, const char *where) {
    const reg_state &r = e.reg(regno);
    if (!r.is_scalar()) {
        verbose(e, "%s the register R%d is not a known value (%s)\n", where, regno, reg_type_name(e, r.type));
        return fail(EINVAL);
    }
    TRY(demand_reg(e, regno));
    return check_return_range(e, r, lo, hi, where, regno);
}

}  // namespace

status check_return_code(env &e, u32 regno) {
    u32 entered = e.cur->frame[0]->subprog;
    if ((!entered || entered == e.exception_callback) && returns_nothing(e))
        return {};
    TRY(read_reg(e, regno));
    if (leaks(e, regno)) {
        verbose(e, "R%d leaks addr as return value\n", regno);
        return fail(EACCES);
    }
    const reg_state &r = e.reg(regno);
    u32 sub = e.cur->frame[0]->subprog;
    if (const callback_proto *c = e.cur->frame[0]->callback)
        return check_known_return(e, regno, c->ret_min, c->ret_max, "At async callback return");
    if (sub && sub != e.exception_callback) {
        if (r.is_scalar())
            return {};
        verbose(e, "At subprogram exit the register R%d is not a scalar value (%s)\n", regno, reg_type_name(e, r.type));
        return fail(EINVAL);
    }
    typed_return range = return_range(e);
    if (const return_rule *rule = range.limited ? nullptr : find_return_rule(e))
        range = {true, rule->min, rule->max, false};
    if (!range.limited)
        return {};
    if (range.low_half && r.is_scalar() && r.var.s32_min >= range.lo && r.var.s32_max <= range.hi)
        return demand_reg(e, regno);
    status st = check_known_return(e, regno, range.lo, range.hi, "At program exit");
    if (!st && st.err().code() == EINVAL)
        explain_return(e);
    return st;
}

status check_return_range(env &e, const reg_state &r, s32 lo, s32 hi, const char *where, u32 regno) {
    if (r.var.smin >= lo && r.var.smax <= hi)
        return {};
    verbose(e, "%s the register R%d has", where, regno);
    if (r.var.smin > -9223372036854775807ll - 1)
        verbose(e, " smin=%lld", r.var.smin);
    if (r.var.smax < 9223372036854775807ll)
        verbose(e, " smax=%lld", r.var.smax);
    if (r.var.smin == -9223372036854775807ll - 1 && r.var.smax == 9223372036854775807ll)
        verbose(e, " unknown scalar value");
    verbose(e, " should have been in [%d, %d]\n", lo, hi);
    return fail(EINVAL);
}

/// A global function by itself. -> false: nobody calls it there, or it is known already.
static result<bool> explore_global(env &e, u32 sub, bool in_sleepable) {
    subprog_info &s = e.subs[sub];
    if (!s.global || !s.called[in_sleepable] || s.verified[in_sleepable])
        return false;
    TRY(explore_from(e, sub, in_sleepable));
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2))
        verbose(e, "Func#%d ('%s') is safe for any args that match its prototype\n", sub, s.name);
    s.verified[in_sleepable] = true;
    return true;
}

status explore(env &e) {
    const bool sleeps = e.req.prog_flags & BPF_F_SLEEPABLE;
    TRY(explore_from(e, 0, sleeps));
    e.subs[e.exception_callback].called[sleeps] = true;
    for (bool again = true; again;) {
        again = false;
        for (u32 i = 1; i < e.subs.size(); i++) {
            again |= TRY(explore_global(e, i, sleeps));
            again |= TRY(explore_global(e, i, !sleeps)); // called by a callback to which other rules apply
        }
    }
    return {};
}

}  // namespace modbpf
