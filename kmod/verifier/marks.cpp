// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/call.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

struct masks {
    u16 live_regs = 0;
    u16 precise_regs = 0;
    u64 live_slots = 0;
    u64 precise_slots = 0;
    u64 outer_live = 0;
    u64 outer_precise = 0;
    bool has_far = false; ///< else far[] and far_live[] are not set
    u64 far[far_frames];  ///< as outer_precise, of the frames below
    u64 far_live[far_frames];

    masks() {} // leaves those two as they are

    void add_far(u32 i, u64 precise, u64 live) {
        if (!(precise | live))
            return;
        if (!has_far)
            memset(far, 0, sizeof(far)), memset(far_live, 0, sizeof(far_live));
        has_far = true;
        far[i] |= precise, far_live[i] |= live;
    }
    void add_far(const u64 (&precise)[far_frames], const u64 (&live)[far_frames]) {
        for (u32 i = 0; i < far_frames; i++)
            add_far(i, precise[i], live[i]);
    }
    /// What a callee (or a callback) demands at its entry, seen from its caller's frame.
    void add_entry(const insn_aux &entry) {
        precise_slots |= entry.out().precise;
        const far_marks *from = entry.out().far;
        if (!from)
            return;
        outer_live |= from->live[0];
        outer_precise |= from->precise[0];
        for (u32 i = 1; i < far_frames; i++)
            add_far(i - 1, from->precise[i], from->live[i]);
    }
    bool any_far(const u64 (&slots)[far_frames]) const {
        u64 any = 0;
        for (u32 i = 0; has_far && i < far_frames; i++)
            any |= far[i] & slots[i];
        return any;
    }
};

bool is_static_call(const env &e, const insn_desc &d) {
    return d.kind == insn_kind::call_sub && !e.sub_of(static_cast<u32>(d.target)).global;
}

/// Slots of the own frame that a store through r10 touches; `whole`: all 8 bytes of one slot.
u64 frame_store_slots(const insn_desc &d, bool *whole) {
    *whole = false;
    if (d.kind != insn_kind::store || d.dst != BPF_REG_10 || d.off >= 0 || d.off < -static_cast<s32>(max_bpf_stack))
        return 0;
    *whole = d.width == 8 && d.off % 8 == 0;
    return 1ull << (static_cast<u32>(-d.off - 1) / slot_bytes);
}

u16 used_regs(const env &e, u32 i, const insn_desc &d) {
    switch (d.kind) {
    case insn_kind::call_kfunc:
    case insn_kind::call_helper:
        return e.aux[i].call_uses;
    case insn_kind::call_sub: {
        const subprog_info &s = e.sub_of(static_cast<u32>(d.target));
        return s.global ? arg_regs : e.aux[s.start].live_regs & arg_regs;
    }
    case insn_kind::exit:
        return 0; // see exit_masks
    default:
        return d.uses;
    }
}

u16 defined_regs(const insn_desc &d) {
    if (d.kind == insn_kind::call_helper || d.kind == insn_kind::call_kfunc || d.kind == insn_kind::call_sub || d.kind == insn_kind::ld_packet)
        return caller_saved_regs;
    return d.defs;
}

/// A demand on what a memory instruction loads goes to the slots that it was seen to read.
void transfer_result(masks &m, u32 reg, const insn_aux &a) {
    if (m.precise_regs & reg_bit(reg)) {
        m.precise_regs &= static_cast<u16>(~reg_bit(reg));
        m.precise_slots |= a.read_slots;
        m.outer_precise |= a.out().read;
        if (const far_marks *far = a.out().far)
            for (u32 i = 0; i < far_frames; i++)
                m.add_far(i, far->read[i], 0);
    }
}

void transfer_branch(masks &m, const insn_desc &d, const insn_aux &a) {
    u16 both = reg_bit(d.dst) | (d.reg ? reg_bit(d.src) : 0);
    if (d.reg && (m.precise_regs & both))
        m.precise_regs |= both;
    if ((m.precise_regs & a.link_regs) || (m.precise_slots & a.link_slots) || (m.outer_precise & a.out().links)) {
        m.precise_regs |= both | a.link_regs;
        m.precise_slots |= a.link_slots;
        m.outer_precise |= a.out().links;
    }
}

/// What the callbacks of a call demand of its arguments and of the caller's slots.
void transfer_callbacks(const env &e, masks &m, const insn_aux &a) {
    for (u32 n = a.callbacks; n; n = e.callbacks[n - 1].next) {
        const insn_aux &entry = e.aux[e.subs[e.callbacks[n - 1].sub].start];
        if (entry.precise_regs & arg_regs)
            m.precise_regs |= arg_regs; // which argument goes where is up to the helper
        m.add_entry(entry);
    }
}

void transfer_precise(const env &e, masks &m, const insn_desc &d, const insn_aux &a) {
    switch (d.kind) {
    case insn_kind::mov:
        if (m.precise_regs & reg_bit(d.dst)) {
            m.precise_regs &= static_cast<u16>(~reg_bit(d.dst));
            if (d.reg)
                m.precise_regs |= reg_bit(d.src);
        }
        break;
    case insn_kind::alu:
        if (d.reg && (m.precise_regs & reg_bit(d.dst)))
            m.precise_regs |= reg_bit(d.src);
        break;
    case insn_kind::load:
        transfer_result(m, d.dst, a);
        break;
    case insn_kind::store: {
        bool whole;
        u64 own = frame_store_slots(d, &whole);
        if (d.reg && ((m.precise_slots & (own | a.store_slots)) || (m.outer_precise & a.out().store) || (a.out().far && m.any_far(a.out().far->store))))
            m.precise_regs |= reg_bit(d.src);
        if (whole)
            m.precise_slots &= ~own;
        break;
    }
    case insn_kind::atomic:
        if (d.imm & BPF_FETCH)
            transfer_result(m, d.imm == BPF_CMPXCHG ? static_cast<u32>(BPF_REG_0) : d.src, a);
        break;
    case insn_kind::branch:
        transfer_branch(m, d, a);
        break;
    case insn_kind::ld_imm64:
        m.precise_regs &= static_cast<u16>(~reg_bit(d.dst));
        break;
    case insn_kind::call_helper:
    case insn_kind::call_kfunc:
    case insn_kind::ld_packet:
        m.precise_regs &= static_cast<u16>(~caller_saved_regs);
        transfer_callbacks(e, m, a);
        break;
    case insn_kind::call_sub:
        m.precise_regs &= static_cast<u16>(~caller_saved_regs);
        if (is_static_call(e, d)) {
            const subprog_info &s = e.sub_of(static_cast<u32>(d.target));
            m.precise_regs |= e.aux[s.start].precise_regs & arg_regs;
            m.add_entry(e.aux[s.start]);
        }
        break;
    default:
        break; // neg, byte swaps: the operand is the result's register
    }
}

void transfer(const env &e, masks &m, u32 i, const insn_desc &d, const insn_aux &a) {
    m.live_regs = static_cast<u16>((m.live_regs & ~defined_regs(d)) | used_regs(e, i, d));
    bool whole;
    u64 own = frame_store_slots(d, &whole);
    if (whole)
        m.live_slots &= ~own;
    m.live_slots |= a.read_slots;
    transfer_precise(e, m, d, a);
}

/// What of a call never changes. Instructions that are no exit but may leave the function: the caller goes on with a number of its own.
void note_call(const env &e, u32 i, const insn_desc &d, insn_aux &a) {
    a.leaves_early = d.kind == insn_kind::ld_packet;
    if (d.kind == insn_kind::call_kfunc)
        a.call_uses = static_cast<u16>((2u << kfunc_arg_count(e, i)) - 2);
    if (d.kind != insn_kind::call_helper)
        return;
    const helper_proto *fn = helper_at(e, static_cast<u32>(d.imm));
    for (u32 r = 0; fn && r < 5 && fn->args[r] != arg_type::none; r++)
        a.call_uses |= reg_bit(r + 1);
    a.leaves_early = fn && (fn->flags & helper_tail_call);
}

template <class F> void for_each_edge(const env &e, F &&fn) {
    for (u32 i = 0; i < e.count();) {
        const insn_desc &d = e.desc(i);
        if (d.falls_through && i + d.words < e.count())
            fn(i, i + d.words);
        if (d.jumps)
            fn(i, static_cast<u32>(d.target));
        i += d.words;
    }
}

/// Who comes before each instruction; made when a mark has to go there first. ENOMEM.
status need_preds(env &e) {
    if (!e.pred_start.empty())
        return {};
    scratch_vec<u32> fill;
    TRY(fill.resize_zeroed(e.count()));
    TRY(e.pred_start.resize_zeroed(e.count() + 1));
    for_each_edge(e, [&](u32, u32 to) { e.pred_start[to + 1]++; });
    for (u32 i = 0; i < e.count(); i++)
        e.pred_start[i + 1] += e.pred_start[i];
    TRY(e.pred.resize_zeroed(e.pred_start[e.count()]));
    for_each_edge(e, [&](u32 from, u32 to) { e.pred[e.pred_start[to] + fill[to]++] = from; });
    return {};
}

/// The queue has room for every instruction.
inline void enqueue(env &e, u32 i) {
    if (e.aux[i].queued)
        return;
    e.aux[i].queued = true;
    e.mark_queue.append(i);
}

/// The word before `i` is an instruction, and the only one that `i` comes behind. (No edge leads to the second half of one.) No function
/// begins at `i`: none is fallen into.
inline bool follows_one(const env &e, u32 i) {
    const insn_aux &a = e.aux[i];
    if (i == 0 || !a.reached || a.join)
        return false;
    const insn_desc &before = e.desc(i - 1);
    return before.falls_through && before.words == 1 && (i == 1 || e.aux[i - 1].reached);
}

/// A mark is new at `i`: its predecessors and the calls of what it is the entry of have to learn of it.
status enqueue_before(env &e, u32 i) {
    if (follows_one(e, i)) {
        enqueue(e, i - 1);
        return {};
    }
    TRY(need_preds(e));
    for (u32 p = e.pred_start[i]; p < e.pred_start[i + 1]; p++)
        enqueue(e, e.pred[p]);
    const subprog_info &s = e.sub_of(i);
    if (s.start == i)
        for (u32 c : s.calls)
            enqueue(e, c);
    return {};
}

masks marks_after(const env &e, u32 i, const insn_desc &d) {
    masks m;
    auto add = [&](u32 j) {
        const insn_aux &a = e.aux[j];
        m.live_regs |= a.live_regs, m.precise_regs |= a.precise_regs;
        m.live_slots |= a.live_slots, m.precise_slots |= a.precise_slots;
        if (!a.outer)
            return;
        m.outer_live |= a.outer->live, m.outer_precise |= a.outer->precise;
        if (a.outer->far)
            m.add_far(a.outer->far->precise, a.outer->far->live);
    };
    if (d.kind == insn_kind::exit) {
        const subprog_info &s = e.sub_of(i);
        bool checked = s.start == 0 || s.global || s.is_callback; // what it returns is looked at
        m.live_regs = checked || s.exit_live ? reg_bit(BPF_REG_0) : 0;
        m.precise_regs = s.exit_precise ? reg_bit(BPF_REG_0) : 0;
        m.outer_live = s.exit_outer_live, m.outer_precise = s.exit_outer;
        m.add_far(s.exit_far, s.exit_far_live);
        return m;
    }
    if (e.aux[i].leaves_early) {
        const subprog_info &s = e.sub_of(i);
        m.outer_live = s.exit_outer_live, m.outer_precise = s.exit_outer;
        m.add_far(s.exit_far, s.exit_far_live);
    }
    if (d.falls_through)
        add(i + d.words);
    if (d.jumps)
        add(static_cast<u32>(d.target));
    return m;
}

/// r0 and the caller's slots matter behind a call of `s`: then at each of its exits.
void raise_exits(env &e, subprog_info &s, const masks &after) {
    bool live = after.live_regs & reg_bit(BPF_REG_0), precise = after.precise_regs & reg_bit(BPF_REG_0);
    u64 fresh = (after.precise_slots & ~s.exit_outer) | (after.outer_precise & ~s.exit_far[0]) | (after.live_slots & ~s.exit_outer_live) |
                (after.outer_live & ~s.exit_far_live[0]);
    for (u32 i = 1; after.has_far && i < far_frames; i++)
        fresh |= (after.far[i - 1] & ~s.exit_far[i]) | (after.far_live[i - 1] & ~s.exit_far_live[i]);
    if ((!live || s.exit_live) && (!precise || s.exit_precise) && !fresh)
        return;
    s.exit_live |= live, s.exit_precise |= precise, s.exit_outer |= after.precise_slots, s.exit_outer_live |= after.live_slots;
    s.exit_far[0] |= after.outer_precise, s.exit_far_live[0] |= after.outer_live;
    for (u32 i = 1; after.has_far && i < far_frames; i++) // the frame of the outermost slots calls nobody whose frame is farther up
        s.exit_far[i] |= after.far[i - 1], s.exit_far_live[i] |= after.far_live[i - 1];
    for (u32 x : s.exits)
        enqueue(e, x);
}

/// The instruction's own far_marks. ENOMEM.
result<far_marks *> far_of(env &e, insn_aux &a) {
    if (MODBPF_BUG_ON(!a.outer))
        return error(EFAULT);
    if (!a.outer->far) {
        own<far_marks> far(make<far_marks>(PORT_SLEEPING));
        if (!far)
            return error(ENOMEM);
        a.outer->far = far.get();
        TRY(e.far.push(move(far)));
    }
    return a.outer->far;
}

/// -> true: something is new.
result<bool> raise_far(env &e, insn_aux &a, const masks &m) {
    u64 fresh = 0;
    const far_marks *old = a.out().far;
    for (u32 i = 0; m.has_far && i < far_frames; i++)
        fresh |= (m.far[i] & ~(old ? old->precise[i] : 0)) | (m.far_live[i] & ~(old ? old->live[i] : 0));
    if (!fresh)
        return false;
    far_marks *far = TRY(far_of(e, a));
    for (u32 i = 0; i < far_frames; i++)
        far->precise[i] |= m.far[i], far->live[i] |= m.far_live[i];
    return true;
}

/// A callback goes back to its call, whose marks are `before`.
void raise_callback_exits(env &e, const insn_aux &a, masks before) {
    before.live_regs = before.precise_regs = 0;
    for (u32 n = a.callbacks; n; n = e.callbacks[n - 1].next)
        raise_exits(e, e.subs[e.callbacks[n - 1].sub], before);
}

status update(env &e, u32 i) {
    const insn_desc &d = e.desc(i);
    insn_aux &a = e.aux[i];
    masks m = marks_after(e, i, d);
    if (is_static_call(e, d))
        raise_exits(e, e.sub_of(static_cast<u32>(d.target)), m);
    transfer(e, m, i, d, a);
    // What was demanded at this instruction itself is in the old marks.
    m.live_regs |= a.live_regs, m.precise_regs |= a.precise_regs;
    m.live_slots |= a.live_slots, m.precise_slots |= a.precise_slots;
    const outer_marks &out = a.out();
    m.outer_live |= out.live, m.outer_precise |= out.precise;
    bool fresh_far = TRY(raise_far(e, a, m));
    if (a.callbacks) {
        if (out.far)
            m.add_far(out.far->precise, out.far->live);
        raise_callback_exits(e, a, m);
    }
    if (!fresh_far && m.live_regs == a.live_regs && m.precise_regs == a.precise_regs && m.live_slots == a.live_slots &&
        m.precise_slots == a.precise_slots && m.outer_live == out.live && m.outer_precise == out.precise)
        return {};
    a.live_regs = m.live_regs, a.precise_regs = m.precise_regs;
    a.live_slots = m.live_slots, a.precise_slots = m.precise_slots;
    if (a.outer)
        a.outer->live = m.outer_live, a.outer->precise = m.outer_precise;
    return enqueue_before(e, i);
}

void note_edge(insn_aux &to) {
    to.join = to.reached;
    to.reached = true;
}

/// The registers that are live before `i`, as long as nothing was observed yet and there are no static calls.
void find_live_regs(env &e, u32 i) {
    const insn_desc &d = e.desc(i);
    u16 after = d.kind == insn_kind::exit ? reg_bit(BPF_REG_0) : 0; // what these functions return is looked at
    if (d.falls_through)
        after |= e.aux[i + d.words].live_regs;
    if (d.jumps)
        after |= e.aux[static_cast<u32>(d.target)].live_regs;
    e.aux[i].live_regs = static_cast<u16>((after & ~defined_regs(d)) | used_regs(e, i, d));
}

/// The instruction of frame `f` that is being executed: the current one, or the frame's pending call.
u32 insn_of_frame(env &e, u32 f) { return f == e.cur->curframe ? e.insn : e.cur->frame[f + 1]->callsite; }

}  // namespace

status build_marks(env &e) {
    TRY(e.mark_queue.reserve(e.count()));
    if (e.subs.size() > 1) {
        TRY(e.outer.resize_zeroed(e.count()));
        for (u32 i = 0; i < e.count(); i++)
            e.aux[i].outer = &e.outer[i];
    }
    bool calls = false;
    for (u32 i = 0; i < e.count();) {
        const insn_desc &d = e.desc(i);
        note_call(e, i, d, e.aux[i]);
        if (d.kind == insn_kind::exit || e.aux[i].leaves_early)
            TRY(e.sub_of(i).exits.push(i));
        if (is_static_call(e, d)) {
            TRY(e.sub_of(static_cast<u32>(d.target)).calls.push(i));
            calls = true;
        }
        if (d.falls_through)
            note_edge(e.aux[i + d.words]);
        if (d.jumps)
            note_edge(e.aux[static_cast<u32>(d.target)]);
        enqueue(e, i); // the queue is taken from its end: last instruction first
        i += d.words;
    }
    if (calls)
        return settle_marks(e);
    // One pass from the end does, but for jumps back, whose targets come later in it.
    u32 back = 0;
    for (size_t n = e.mark_queue.size(); n--;) {
        u32 i = e.mark_queue[n];
        e.aux[i].queued = false;
        find_live_regs(e, i);
        const insn_desc &d = e.desc(i);
        back += d.jumps && static_cast<u32>(d.target) <= i;
    }
    e.mark_queue.clear();
    for (u32 i = 0; back && i < e.count(); i += e.desc(i).words)
        if (const insn_desc &d = e.desc(i); d.jumps && static_cast<u32>(d.target) <= i) {
            enqueue(e, i);
            back--;
        }
    return settle_marks(e);
}

status settle_marks(env &e) {
    while (!e.mark_queue.empty()) {
        u32 i = e.mark_queue.back();
        e.mark_queue.pop();
        e.aux[i].queued = false;
        TRY(update(e, i));
    }
    return {};
}

/// A mark was set at `i` by hand: its predecessors (and calls, and callbacks that come back to it) have to learn of it.
static status raised(env &e, u32 i) {
    if (e.aux[i].callbacks)
        enqueue(e, i);
    return enqueue_before(e, i);
}

status demand_reg(env &e, u32 regno) {
    if (e.precision)
        TRY(explain_demand(e, regno));
    return demand_unlogged(e, regno);
}

status demand_unlogged(env &e, u32 regno) { return demand_frame_reg(e, e.cur->curframe, regno); }

status demand_frame_reg(env &e, u32 frame, u32 regno) {
    u32 i = insn_of_frame(e, frame);
    insn_aux &a = e.aux[i];
    if (a.precise_regs & reg_bit(regno))
        return {};
    a.precise_regs |= reg_bit(regno);
    return raised(e, i);
}

/// A slot of frame `frame` is read, or must be precise, before what the frames above it are at.
static status demand_outer(env &e, u32 frame, u64 slot, bool precise) {
    for (u32 f = frame + 1; f <= e.cur->curframe; f++) {
        u32 i = insn_of_frame(e, f), distance = f - frame;
        insn_aux &a = e.aux[i];
        far_marks *far = distance == 1 ? nullptr : TRY(far_of(e, a));
        if (MODBPF_BUG_ON(!a.outer))
            return error(EFAULT);
        u64 &live = far ? far->live[distance - 2] : a.outer->live, &demanded = far ? far->precise[distance - 2] : a.outer->precise;
        if ((live & slot) && (!precise || (demanded & slot)))
            continue;
        live |= slot;
        demanded |= precise ? slot : 0;
        TRY(raised(e, i));
    }
    return {};
}

status observe_read(env &e, u32 frame, u32 slot, bool loaded) {
    u32 i = insn_of_frame(e, frame), top = e.cur->curframe;
    insn_aux &a = e.aux[i];
    u64 b = 1ull << slot;
    if (e.precision)
        trace_read(e, frame, slot, true);
    if (loaded && frame < top) { // followed in the function that loads it
        insn_aux &at = e.aux[e.insn];
        if (MODBPF_BUG_ON(!at.outer))
            return error(EFAULT);
        u64 *reads = frame + 1 == top ? &at.outer->read : &TRY(far_of(e, at))->read[top - frame - 2];
        if (!(*reads & b)) {
            *reads |= b;
            enqueue(e, e.insn);
        }
    }
    TRY(demand_outer(e, frame, b, false));
    if (a.read_slots & b)
        return {};
    a.read_slots |= b;
    a.live_slots |= b;
    enqueue(e, i);
    return raised(e, i);
}

status demand_slot(env &e, u32 frame, u32 slot) {
    u32 i = insn_of_frame(e, frame);
    insn_aux &a = e.aux[i];
    u64 b = 1ull << slot;
    TRY(demand_outer(e, frame, b, true));
    if ((a.read_slots & b) && (a.precise_slots & b))
        return {};
    a.read_slots |= b, a.live_slots |= b, a.precise_slots |= b;
    return raised(e, i);
}

status observe_store(env &e, u32 frame, u32 slot) {
    insn_aux &a = e.aux[e.insn];
    u32 distance = e.cur->curframe - frame;
    if (MODBPF_BUG_ON(distance && !a.outer))
        return error(EFAULT);
    u64 &stores = distance == 0 ? a.store_slots : distance == 1 ? a.outer->store : TRY(far_of(e, a))->store[distance - 2], b = 1ull << slot;
    if (stores & b)
        return {};
    stores |= b;
    enqueue(e, e.insn);
    return {};
}

status observe_links(env &e, u16 regs, u64 slots, u64 outer_slots) {
    insn_aux &a = e.aux[e.insn];
    if ((a.link_regs & regs) == regs && (a.link_slots & slots) == slots && (a.out().links & outer_slots) == outer_slots)
        return {};
    if (MODBPF_BUG_ON(outer_slots && !a.outer))
        return error(EFAULT);
    a.link_regs |= regs, a.link_slots |= slots;
    if (a.outer)
        a.outer->links |= outer_slots;
    enqueue(e, e.insn);
    return {};
}

status observe_callback(env &e, u32 sub) {
    insn_aux &a = e.aux[e.insn];
    for (u32 n = a.callbacks; n; n = e.callbacks[n - 1].next)
        if (e.callbacks[n - 1].sub == sub)
            return {};
    TRY(e.subs[sub].calls.push(e.insn));
    TRY(e.callbacks.push({sub, a.callbacks}));
    a.callbacks = static_cast<u32>(e.callbacks.size());
    enqueue(e, e.insn);
    return {};
}

}  // namespace modbpf
