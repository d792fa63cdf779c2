// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/loops.h"

#include "verifier/marks.h"

namespace modbpf {

namespace {

/// The first open loop among `loop` and those around it, or no_loop.
u32 open_loop(const env &e, u32 loop) {
    while (loop != no_loop && !e.loops[loop].open)
        loop = e.loops[loop].outer;
    return loop;
}

/// Of two loops the one whose checkpoint is finished last.
u32 outermost(const env &e, u32 a, u32 b) {
    if (a == no_loop || b == no_loop)
        return a == no_loop ? b : a;
    return e.loops[a].made <= e.loops[b].made ? a : b;
}

bool same_frames(const verifier_state &a, const verifier_state &b) {
    if (a.curframe != b.curframe)
        return false;
    for (u32 f = 0; f <= a.curframe; f++)
        if (a.frame[f]->callsite != b.frame[f]->callsite)
            return false;
    return true;
}

bool widens(const reg_state &previous, const reg_state &r) {
    return previous.is_scalar() && r.is_scalar() && !(scalar_equal(previous.var, r.var) && previous.id == r.id);
}

/// The slot, in the frame that r1 points into, of what next() is called with; false when there can be none.
bool slot_at(env &e, u32 *slot) {
    const reg_state &r1 = e.reg(BPF_REG_1);
    if (r1.type != reg_type::stack || !r1.var.is_const())
        return false;
    s64 off = static_cast<s64>(r1.var.value()) + r1.off;
    if (off >= 0 || off % static_cast<s64>(slot_bytes) || static_cast<u64>(-off) > e.cur->frame[r1.frame]->stack.size() * slot_bytes)
        return false;
    *slot = static_cast<u32>(static_cast<u64>(-off) / slot_bytes - 1);
    return true;
}

}  // namespace

bool iterates(env &e) {
    u32 slot;
    if (!slot_at(e, &slot))
        return false;
    const stack_slot &s = e.cur->frame[e.reg(BPF_REG_1).frame]->stack[slot];
    return s.is_object() && s.spilled.iter == iter_state::active;
}

bool same_iterator(const verifier_state &old, const verifier_state &cur, u32 frame, u32 slot) {
    if (frame > old.curframe || slot >= old.frame[frame]->stack.size())
        return false;
    const stack_slot &then = old.frame[frame]->stack[slot];
    return then.is_object() && then.spilled.ref_id == cur.frame[frame]->stack[slot].spilled.ref_id;
}

bool loop_converges(env &e, checkpoint &old) {
    const verifier_state &was = *old.state;
    u32 slot;
    switch (e.aux[e.insn].loop) {
    case loop_driver::none:
        return false;
    case loop_driver::iterator:
        return iterates(e) && slot_at(e, &slot) && same_iterator(was, *e.cur, e.reg(BPF_REG_1).frame, slot) &&
               state_covers(e, was, *e.cur, old.differed);
    case loop_driver::callback: // turns of this call: another call's are counted anew
        return was.cur().callback_turns < e.cur->cur().callback_turns && state_covers(e, was, *e.cur, old.differed);
    case loop_driver::may_goto: // the count begins anew when the function is entered again
        return was.may_goto_turns != e.cur->may_goto_turns && was.cur().entry == e.cur->cur().entry &&
               state_covers(e, was, *e.cur, old.differed);
    }
    return false;
}

status end_in_loop(env &e, checkpoint &old) {
    u32 loop = open_loop(e, old.loop);
    if (old.branches) {
        if (old.own_loop == no_loop) {
            TRY(e.loops.push({old.made, no_loop, true}));
            old.own_loop = static_cast<u32>(e.loops.size() - 1);
        }
        loop = outermost(e, loop, old.own_loop);
    }
    e.cur->loop = outermost(e, e.cur->loop, loop);
    return {};
}

bool in_open_loop(const env &e, const checkpoint &st) { return open_loop(e, st.loop) != no_loop; }

void lead_into_loop(env &e, checkpoint &st, u32 loop) {
    u32 open = open_loop(e, loop);
    if (open != no_loop)
        st.loop = outermost(e, open_loop(e, st.loop), open);
}

void finish_loops(env &e, checkpoint &st) {
    u32 around = open_loop(e, st.loop);
    if (st.own_loop != no_loop) {
        if (around == st.own_loop)
            around = no_loop;
        e.loops[st.own_loop].open = false;
        e.loops[st.own_loop].outer = around;
    }
    if (st.parent)
        lead_into_loop(e, *st.parent, around);
}

const verifier_state *previous_turn(const env &e, u32 at, bool with_parent) {
    for (const checkpoint *st = e.checkpoints(at, e.cur->cur().callsite); st; st = st->next)
        if (st->insn == at && (with_parent || st != e.cur->parent) && st->branches && same_frames(*st->state, *e.cur))
            return st->state.get();
    return nullptr;
}

void widen(env &e, const verifier_state &previous, verifier_state &st) {
    for (u32 f = 0; f <= st.curframe; f++) {
        func_state &now = *st.frame[f];
        const func_state &then = *previous.frame[f];
        const insn_aux &a = e.aux[f == st.curframe ? e.next_insn : st.frame[f + 1]->callsite];
        for (u32 r = 0; r < BPF_REG_10; r++)
            if (!(a.precise_regs & reg_bit(r)) && widens(then.regs[r], now.regs[r]))
                now.regs[r].set_unknown();
        for (u32 s = 0; s < min(then.stack.size(), now.stack.size()); s++)
            if (then.stack[s].is_spill() && now.stack[s].is_spill() && !(a.precise_slots >> s & 1) &&
                widens(then.stack[s].spilled, now.stack[s].spilled))
                now.stack.edit(s).spilled.set_unknown();
    }
}

status check_may_goto(env &e, const insn_desc &d) {
    const verifier_state *before = previous_turn(e, e.insn);
    verifier_state &turn = *TRY(push_path(e, e.insn + 1, e.insn));
    turn.may_goto_turns++;
    TRY(settle_marks(e));
    if (before && before->cur().entry == turn.cur().entry)
        widen(e, *before, turn);
    e.next_insn = static_cast<u32>(d.target);
    subprog_info &s = e.sub_of(e.insn);
    s.stack_extra = slot_bytes; // its counter
    return {};
}

}  // namespace modbpf
