// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/precision_log.h"

#include "verifier/marks.h"

namespace modbpf {

/// The entry of the instruction at hand, new if it has none yet.
status record_here(env &e, history_entry **entry) {
    precision_log &p = *e.precision;
    if (!p.recorded_) {
        if (p.span.end == p.history_.size())
            TRY(p.history_.push({}));
        history_entry &h = p.history_[p.span.end++];
        h = {};
        h.insn = e.insn, h.prev = p.prev_;
        p.recorded_ = true;
    }
    *entry = &p.history_[p.span.end - 1];
    return {};
}

namespace {

using masks = scalar_masks;

u16 scalar_regs(const func_state &f) {
    u16 m = 0;
    for (u32 r = 0; r < BPF_REG_10; r++)
        if (f.regs[r].is_scalar())
            m |= reg_bit(r);
    return m;
}

u64 scalar_slots(const func_state &f) {
    u64 m = 0;
    for (u32 s = 0; s < f.stack.size(); s++)
        if (f.stack[s].is_scalar_spill())
            m |= 1ull << s;
    return m;
}

struct mask_text {
    char text[max_slots * 5 + 1];

    mask_text(u64 mask, bool slots) {
        u32 at = 0;
        text[0] = 0;
        for (s32 i = 0; i < 64; i++)
            if (mask >> i & 1)
                at += static_cast<u32>(port_snprintf(text + at, sizeof(text) - at, slots ? "%s%d" : "%sr%d", at ? "," : "",
                                                     slots ? -(i + 1) * static_cast<s32>(slot_bytes) : i));
    }
};

}  // namespace

/// One walk: what is wanted, and the frame that it is in.
class back_walk {
public:
    explicit back_walk(env &e) : e_(e), p_(*e.precision), frame_(e.cur->curframe) {}
    masks wanted;
    void run();

private:
    enum class outcome : u8 { on, unknown, stop }; ///< unknown: what is wanted may come from anywhere

    bool empty() const {
        u64 any = 0;
        for (u32 f = 0; f <= frame_; f++)
            any |= wanted.regs[f] | wanted.slots[f];
        return !any;
    }
    bool has(u32 r) const { return wanted.regs[frame_] & reg_bit(r); }
    void want(u32 r) { wanted.regs[frame_] |= reg_bit(r); }
    void drop(u32 r) { wanted.regs[frame_] &= static_cast<u16>(~reg_bit(r)); }
    /// False: there is no such frame.
    bool move_frame(s32 by) {
        frame_ += static_cast<u32>(by);
        return frame_ < max_call_frames;
    }

    const history_entry *entry(u32 insn, const path_span &s, u32 end) const {
        return end > s.start && p_.history_[end - 1].insn == insn ? &p_.history_[end - 1] : nullptr;
    }
    bool previous(s32 *insn, const path_span &s, u32 *end) const;
    outcome walk_span(const path_span &s, s32 last);
    void show(u32 insn);
    outcome pass(u32 insn, const history_entry *h);
    outcome pass_memory(const insn_desc &d, const history_entry *h);
    outcome pass_call(u32 insn, const insn_desc &d);
    outcome pass_exit();
    void pass_alu(const insn_desc &d);
    void pass_branch(const insn_desc &d, const history_entry *h);
    void follow_links(const history_entry *h);
    bool mark(checkpoint &st);
    void mark_all();

    env &e_;
    precision_log &p_;
    u32 frame_;
    s32 behind_ = -1; ///< the instruction that was passed before
    bool started_ = false;
};

bool back_walk::previous(s32 *insn, const path_span &s, u32 *end) const {
    u32 left = *end - s.start;
    const history_entry *h = entry(static_cast<u32>(*insn), s, *end);
    if (*insn == static_cast<s32>(s.first) && (!left || (left == 1 && h)))
        return false;
    if (h)
        (*end)--;
    *insn = h ? h->prev : *insn - 1;
    return true;
}

void back_walk::show(u32 insn) {
    verbose(e_, "mark_precise: frame%d: regs=%s ", frame_, mask_text(wanted.regs[frame_], false).text);
    verbose(e_, "stack=%s before ", mask_text(wanted.slots[frame_], true).text);
    print_insn_text(e_, insn);
}

void back_walk::follow_links(const history_entry *h) {
    bool some = false;
    for (u32 i = 0; h && i < h->linked_count; i++) {
        const linked_scalar &l = h->linked[i];
        some |= (l.slot ? wanted.slots[l.frame] : wanted.regs[l.frame]) >> l.index & 1;
    }
    for (u32 i = 0; some && i < h->linked_count; i++) {
        const linked_scalar &l = h->linked[i];
        if (l.slot)
            wanted.slots[l.frame] |= 1ull << l.index;
        else
            wanted.regs[l.frame] |= reg_bit(l.index);
    }
}

void back_walk::pass_alu(const insn_desc &d) {
    if (!has(d.dst))
        return;
    if (d.kind == insn_kind::mov)
        drop(d.dst);
    if ((d.kind == insn_kind::mov || d.kind == insn_kind::alu) && d.reg && d.src != BPF_REG_10)
        want(d.src);
}

back_walk::outcome back_walk::pass_memory(const insn_desc &d, const history_entry *h) {
    bool fetch = d.kind == insn_kind::atomic && (d.imm & BPF_FETCH), stack = h && h->fills_or_spills;
    if (d.kind == insn_kind::load || fetch) {
        u32 to = !fetch ? d.dst : d.imm == BPF_CMPXCHG ? static_cast<u32>(BPF_REG_0) : d.src;
        if (!has(to))
            return outcome::on;
        drop(to);
        if (stack)
            wanted.slots[h->frame] |= 1ull << h->slot;
        return outcome::on;
    }
    if (has(d.dst)) // a number is no address: pointers were subtracted
        return outcome::unknown;
    if (!stack || !(wanted.slots[h->frame] >> h->slot & 1))
        return outcome::on;
    wanted.slots[h->frame] &= ~(1ull << h->slot);
    if (d.kind == insn_kind::atomic || d.reg)
        want(d.src);
    return outcome::on;
}

back_walk::outcome back_walk::pass_call(u32 insn, const insn_desc &d) {
    u16 &regs = wanted.regs[frame_];
    bool sub = d.kind == insn_kind::call_sub, local = sub && !e_.sub_of(static_cast<u32>(d.target)).global;
    bool callback = !sub && e_.aux[insn].loop == loop_driver::callback && static_cast<s32>(insn) != behind_ - 1;
    if (local || callback) { // from the callee's entry to its caller
        if ((regs & ~arg_regs) || wanted.slots[frame_])
            return outcome::stop;
        u16 args = regs;
        regs = 0;
        if (!move_frame(-1))
            return outcome::stop;
        if (local)
            wanted.regs[frame_] |= args;
        return outcome::on;
    }
    if (sub && (regs & arg_regs))
        return outcome::stop;
    drop(BPF_REG_0);
    return regs & arg_regs ? outcome::stop : outcome::on;
}

/// From behind a call into the callee, or from the call that a callback goes back to into the callback.
back_walk::outcome back_walk::pass_exit() {
    bool called = behind_ >= 1 && e_.desc(static_cast<u32>(behind_ - 1)).kind == insn_kind::call_sub;
    bool result = called && has(BPF_REG_0);
    if (called && (wanted.regs[frame_] & arg_regs))
        return outcome::stop;
    drop(BPF_REG_0);
    if (!move_frame(1))
        return outcome::stop;
    if (result)
        want(BPF_REG_0);
    return outcome::on;
}

void back_walk::pass_branch(const insn_desc &d, const history_entry *h) {
    if (!d.reg || !(has(d.dst) || has(d.src)))
        return;
    if (!h || !h->src_is_stack)
        want(d.src);
    if (!h || !h->dst_is_stack)
        want(d.dst);
}

back_walk::outcome back_walk::pass(u32 insn, const history_entry *h) {
    if (!e_.insns[insn].code) // the second half of a 64-bit immediate
        return outcome::on;
    show(insn);
    follow_links(h);
    const insn_desc &d = e_.desc(insn);
    outcome o = outcome::on;
    switch (d.kind) {
    case insn_kind::load:
    case insn_kind::store:
    case insn_kind::atomic:
        o = pass_memory(d, h);
        break;
    case insn_kind::call_sub:
    case insn_kind::call_helper:
    case insn_kind::call_kfunc:
        o = pass_call(insn, d);
        break;
    case insn_kind::exit:
        return pass_exit();
    case insn_kind::branch:
        pass_branch(d, h);
        break;
    case insn_kind::ld_imm64:
        drop(d.dst);
        break;
    case insn_kind::ld_packet:
        if (has(BPF_REG_0))
            return outcome::unknown;
        if (behind_ != static_cast<s32>(insn) + 1 && !move_frame(1)) // behind the packet's end it left the function
            return outcome::stop;
        break;
    default:
        pass_alu(d);
        break;
    }
    if (o == outcome::on)
        follow_links(h);
    return o;
}

back_walk::outcome back_walk::walk_span(const path_span &s, s32 last) {
    u32 end = s.end;
    for (s32 i = last;;) {
        if (i < 0 || static_cast<u32>(i) >= e_.count())
            return outcome::stop;
        outcome o = outcome::on;
        if (started_)
            o = pass(static_cast<u32>(i), entry(static_cast<u32>(i), s, end));
        started_ = true;
        if (o != outcome::on)
            return o;
        if (empty() || ++p_.steps_ > max_explained_steps)
            return outcome::stop;
        if ((p_.steps_ & 0x3ff) == 0)
            port_cond_resched();
        behind_ = i;
        if (!previous(&i, s, &end))
            return outcome::on;
    }
}

/// Marks what is wanted in the checkpoint; what was marked there is wanted no longer.
bool back_walk::mark(checkpoint &st) {
    if (!st.state || !st.trace || frame_ > st.state->curframe)
        return false;
    for (u32 f = frame_ + 1; f--;) {
        wanted.regs[f] &= static_cast<u16>(scalar_regs(*st.state->frame[f]) & ~st.trace->precise.regs[f]);
        wanted.slots[f] &= scalar_slots(*st.state->frame[f]) & ~st.trace->precise.slots[f];
        st.trace->precise.regs[f] |= wanted.regs[f];
        st.trace->precise.slots[f] |= wanted.slots[f];
        verbose(e_, "mark_precise: frame%d: parent state regs=%s ", f, mask_text(wanted.regs[f], false).text);
        verbose(e_, "stack=%s: ", mask_text(wanted.slots[f], true).text);
        print_state(e_, *st.state, f, true, st.trace.get());
    }
    return true;
}

/// It is not known where the value came from.
void back_walk::mark_all() {
    verbose(e_, "mark_precise: frame%d: falling back to forcing all scalars precise\n", e_.cur->curframe);
    for (checkpoint *st = e_.cur->parent; st && st->state && st->trace; st = st->parent)
        for (u32 f = 0; f <= st->state->curframe; f++) {
            masks &m = st->trace->precise;
            u16 regs = scalar_regs(*st->state->frame[f]);
            u64 slots = scalar_slots(*st->state->frame[f]);
            for (u32 r = 0; r < BPF_REG_10; r++)
                if ((regs & ~m.regs[f]) >> r & 1)
                    verbose(e_, "force_precise: frame%d: forcing r%d to be precise\n", f, r);
            for (u32 s = 0; s < max_slots; s++)
                if ((slots & ~m.slots[f]) >> s & 1)
                    verbose(e_, "force_precise: frame%d: forcing fp%d to be precise\n", f, -static_cast<s32>(slot_bytes * (s + 1)));
            m.regs[f] |= regs;
            m.slots[f] |= slots;
        }
}

void back_walk::run() {
    if (empty())
        return;
    path_span span = p_.span;
    s32 last = static_cast<s32>(e_.insn);
    for (checkpoint *parent = e_.cur->parent;; parent = parent->parent) {
        verbose(e_, "mark_precise: frame%d: last_idx %d first_idx %d subseq_idx %d \n", frame_, last, span.first, behind_);
        if (last < 0) // the arguments of a global function, of which only that it gets them is known
            return;
        outcome o = walk_span(span, last);
        if (o == outcome::unknown)
            break;
        if (o == outcome::stop)
            return;
        if (!parent)
            break;
        if (!mark(*parent) || empty())
            return;
        behind_ = static_cast<s32>(span.first);
        span = parent->trace->span;
        last = span.last;
    }
    mark_all();
}

status start_precision_log(env &e) {
    if (e.processed >= max_explained_insns)
        return {};
    e.precision = own<precision_log>(make<precision_log>(PORT_SLEEPING));
    if (!e.precision)
        return error(ENOMEM);
    e.precision->span = {.first = e.insn, .last = -1, .start = 0, .end = 0};
    return {};
}

path_span fresh_span(const env &e) {
    u32 end = e.precision->span.end;
    return {.first = 0, .last = 0, .start = end, .end = end};
}

void precision_step(env &e) {
    precision_log &p = *e.precision;
    if (p.steps_ > max_explained_steps || e.processed > max_explained_insns) {
        verbose(e, "mark_precise: the log is too long, no more is traced\n");
        e.precision = {};
        return;
    }
    p.recorded_ = false;
    p.prev_ = p.span.last = e.prev_insn;
}

status record_join(env &e) {
    history_entry *h;
    return record_here(e, &h);
}

status record_stack_access(env &e, u32 frame, u32 slot) {
    history_entry *h;
    TRY(record_here(e, &h));
    h->fills_or_spills = true;
    h->frame = static_cast<u8>(frame), h->slot = static_cast<u8>(slot);
    return {};
}

status record_stack_comparison(env &e, bool dst, bool src) {
    if (!dst && !src)
        return {};
    history_entry *h;
    TRY(record_here(e, &h));
    h->dst_is_stack = dst, h->src_is_stack = src;
    return {};
}

status record_links(env &e, const scalar_masks &linked) {
    history_entry *h;
    TRY(record_here(e, &h));
    u8 n = 0;
    auto add = [&](u32 f, u32 i, bool slot) {
        if (n < max_linked_scalars)
            h->linked[n++] = {static_cast<u8>(f), static_cast<u8>(i), slot};
    };
    for (u32 f = 0; f <= e.cur->curframe; f++) {
        for (u32 r = 0; r < BPF_REG_10; r++)
            if (linked.regs[f] & reg_bit(r))
                add(f, r, false);
        for (u32 s = 0; s < max_slots; s++)
            if (linked.slots[f] >> s & 1)
                add(f, s, true);
    }
    h->linked_count = n;
    return {};
}

status explain_demand(env &e, u32 regno) {
    if (!e.req.bpf || !e.reg(regno).is_scalar()) // without CAP_BPF every number is precise
        return {};
    back_walk w(e);
    w.wanted.regs[e.cur->curframe] = reg_bit(regno);
    w.run();
    return {};
}

namespace {

/// What Linux would have marked in `old` and seen paths from it read.
scalar_masks precise_and_read(const checkpoint &old) {
    scalar_masks m = old.trace->precise;
    for (u32 f = 0; f < max_call_frames; f++) {
        m.regs[f] &= old.trace->read.regs[f];
        m.slots[f] &= old.trace->read.slots[f];
    }
    return m;
}

void print_propagated(env &e, u32 frame, u16 regs, u64 slots) {
    bool first = true;
    auto item = [&](char kind, s32 n) {
        if (first)
            verbose(e, "frame %d: propagating ", frame);
        verbose(e, kind == 'r' ? "%sr%d" : "%sfp%d", first ? "" : ",", n);
        first = false;
    };
    for (s32 r = 0; r < BPF_REG_10; r++)
        if (regs & reg_bit(static_cast<u32>(r)))
            item('r', r);
    for (s32 s = 0; s < static_cast<s32>(max_slots); s++)
        if (slots >> s & 1)
            item('s', -(s + 1) * static_cast<s32>(slot_bytes));
    if (!first)
        verbose(e, "\n");
}

}  // namespace

status explain_prune(env &e, const checkpoint &old) {
    if (!old.trace)
        return {};
    u32 top = e.cur->curframe;
    for (u32 f = 0; f <= top; f++) {
        for (u32 r = 0; r < BPF_REG_10; r++)
            if ((f == top || r >= BPF_REG_6) && (old.trace->read.regs[f] & reg_bit(r)))
                trace_read(e, f, r, false);
        for (u32 s = 0; s < max_slots; s++)
            if (old.trace->read.slots[f] >> s & 1)
                trace_read(e, f, s, true);
    }
    if (e.aux[e.insn].jmp_point)
        TRY(record_join(e));
    back_walk w(e);
    w.wanted = precise_and_read(old);
    for (u32 f = top + 1; f--;)
        print_propagated(e, f, w.wanted.regs[f], w.wanted.slots[f]);
    if (e.req.bpf)
        w.run();
    return {};
}

status trace_checkpoint(env &e, checkpoint &st) {
    st.trace = own<checkpoint_trace>(make<checkpoint_trace>(PORT_SLEEPING));
    if (!st.trace)
        return error(ENOMEM);
    path_span &s = e.precision->span;
    st.trace->span = s;
    if (!e.req.bpf) // as in Linux, every number counts
        for (u32 f = 0; f <= e.cur->curframe; f++)
            st.trace->precise.regs[f] = scalar_regs(*e.cur->frame[f]), st.trace->precise.slots[f] = scalar_slots(*e.cur->frame[f]);
    s.first = e.insn;
    s.start = s.end;
    return {};
}

namespace {

/// Was it written on the way that ended in `st`?
bool written(const verifier_state &st, u32 frame, u32 index, bool slot) {
    const func_state &f = *st.frame[frame];
    return (slot ? f.written_slots : f.written_regs) >> index & 1;
}

/// In which frame of the older `to` a value of frame `frame` was: arguments were the caller's, a result its callee's. False: nowhere.
bool place_in(const verifier_state &to, u32 *frame, u32 index, bool slot) {
    if (slot)
        return *frame <= to.curframe && index < to.frame[*frame]->stack.size();
    if (*frame > to.curframe) {
        *frame = to.curframe;
        return index >= BPF_REG_1 && index <= BPF_REG_5;
    }
    if (*frame < to.curframe && index < BPF_REG_6) {
        *frame = to.curframe;
        return index == BPF_REG_0;
    }
    return true;
}

}  // namespace

void trace_read(env &e, u32 frame, u32 index, bool slot) {
    if (!slot && index >= BPF_REG_10)
        return;
    const verifier_state *st = e.cur.get();
    for (checkpoint *up = st->parent; up && up->state && up->trace; up = up->parent) {
        if (written(*st, frame, index, slot) || !place_in(*up->state, &frame, index, slot))
            return;
        u64 bit = 1ull << index;
        if ((slot ? up->trace->read.slots[frame] : up->trace->read.regs[frame]) & bit)
            return;
        if (slot)
            up->trace->read.slots[frame] |= bit;
        else
            up->trace->read.regs[frame] |= static_cast<u16>(bit);
        st = up->state.get();
    }
}

}  // namespace modbpf
