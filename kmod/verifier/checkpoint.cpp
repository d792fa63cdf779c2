// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/checkpoint.h"

#include "verifier/marks.h"

namespace modbpf {

namespace {

constexpr u16 callee_saved_regs = 0x3c0; // r6-r9

/// The marks at which frame `f` of `st` stands.
const insn_aux &aux_of(const env &e, const verifier_state &st, u32 f, u32 insn) {
    return e.aux[f == st.curframe ? insn : st.frame[f + 1]->callsite];
}

/// Slots of frame `f` that may be read behind `insn`: the frame's own marks say before the call that it waits for, those of the top
/// frame say behind where that is, at any call of its function.
u64 needed_slots(const env &e, const verifier_state &st, u32 f, u32 insn) {
    u64 live = aux_of(e, st, f, insn).live_slots;
    if (f == st.curframe || e.req.guarded()) // a store's barrier hangs on what was in the slot
        return live;
    const outer_marks &top = e.aux[insn].out();
    u32 distance = st.curframe - f;
    return live & (distance == 1 ? top.live : top.far ? top.far->live[distance - 2] : 0);
}

/// Fills in all but where registers and pages are. -> number of kept registers.
u32 fill_frame(const env &e, const verifier_state &st, u32 f, u32 insn, frame_facts &to) {
    const func_state &from = *st.frame[f];
    const insn_aux &a = aux_of(e, st, f, insn);
    to = {};
    to.callsite = from.callsite, to.subprog = from.subprog;
    to.callback = from.callback, to.callback_turns = from.callback_turns;
    to.slots = from.stack.size();
    to.live_slots = needed_slots(e, st, f, insn);
    bool all = !e.req.bpf; // as in Linux, every number counts
    to.precise_regs = all ? static_cast<u16>(~0u) : a.precise_regs;
    to.precise_slots = all ? ~0ull : a.precise_slots;
    u16 needed = needed_regs(e, st, f, insn);
    u32 count = 0;
    for (u32 r = 0; r < BPF_REG_10; r++) {
        const reg_state &reg = from.regs[r];
        if (!(needed & reg_bit(r)) || reg.type == reg_type::not_init) // reading that was refused, so no explored path read it
            continue;
        // Guards may come to depend on a number's range.
        if (reg.is_scalar() && !(to.precise_regs & reg_bit(r)) && !e.req.guarded()) {
            to.any_number |= reg_bit(r);
        } else {
            to.kept_regs |= reg_bit(r);
            count++;
        }
    }
    return count;
}

bool page_lives(const frame_facts &f, u32 page) { return f.live_slots >> (page * page_slots) & ((1u << page_slots) - 1); }
u32 page_count(const frame_facts &f) { return (f.slots + page_slots - 1) / page_slots; }

}  // namespace

u16 needed_regs(const env &e, const verifier_state &st, u32 f, u32 insn) {
    // A frame that waits for its callee has nothing but r6-r9: the call scratched the others. A call that makes callbacks is made again.
    bool waits = f != st.curframe && !st.frame[f + 1]->callback;
    return aux_of(e, st, f, insn).live_regs & (waits ? callee_saved_regs : 0x3ff);
}

result<state_facts *> make_facts(env &e, const verifier_state &st, u32 insn) {
    frame_facts frames[max_call_frames];
    u32 regs = 0, pages = 0, n = st.curframe + 1, refs = static_cast<u32>(st.refs.size());
    for (u32 f = 0; f < n; f++) {
        regs += fill_frame(e, st, f, insn, frames[f]);
        pages += page_count(frames[f]);
    }
    size_t size = sizeof(state_facts) + n * sizeof(frame_facts) + regs * sizeof(reg_state) + pages * sizeof(stack_page *) +
                  refs * sizeof(held_ref);
    static_assert(alignof(reg_state) == 8 && alignof(frame_facts) == 8 && alignof(stack_page *) == 8 && alignof(held_ref) <= 8);
    void *block = port_alloc(size, PORT_SLEEPING);
    if (!block)
        return error(ENOMEM);
    state_facts *facts = new (place, block) state_facts(e.frames);
    facts->modes = st.modes;
    facts->frames_ = reinterpret_cast<frame_facts *>(facts + 1), facts->frame_count_ = n;
    reg_state *reg = reinterpret_cast<reg_state *>(facts->frames_ + n);
    stack_page **page = reinterpret_cast<stack_page **>(reg + regs);
    facts->refs_ = reinterpret_cast<held_ref *>(page + pages), facts->ref_count_ = refs;
    for (u32 f = 0; f < n; f++) {
        frame_facts &to = *new (place, &facts->frames_[f]) frame_facts(frames[f]);
        to.regs = reg, to.pages = page;
        for (u32 r = 0; r < BPF_REG_10; r++)
            if (to.kept_regs & reg_bit(r))
                new (place, reg++) reg_state(st.frame[f]->regs[r]);
        for (u32 p = 0; p < page_count(to); p++)
            *page++ = page_lives(to, p) ? st.frame[f]->stack.share(p) : nullptr;
    }
    for (u32 i = 0; i < refs; i++)
        new (place, &facts->refs_[i]) held_ref(st.refs[i]);
    return facts;
}

state_facts::~state_facts() {
    for (const frame_facts &f : frames())
        for (u32 p = 0; p < page_count(f); p++)
            if (f.pages[p])
                pool_.drop(f.pages[p]);
}

}  // namespace modbpf
