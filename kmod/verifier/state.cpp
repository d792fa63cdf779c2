// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/state.h"

namespace modbpf {

status func_state::copy_from(const func_state &o) {
    callsite = o.callsite, subprog = o.subprog, frameno = o.frameno;
    callback = o.callback, callback_turns = o.callback_turns;
    memcpy(static_cast<void *>(regs), o.regs, sizeof(regs));
    return stack.copy_from(o.stack);
}

status func_state::grow(u32 bytes) {
    u32 slots = (bytes + slot_bytes - 1) / slot_bytes;
    if (slots <= stack.size())
        return {};
    u32 old = static_cast<u32>(stack.size());
    TRY(stack.resize(slots));
    for (u32 i = old; i < slots; i++)
        stack[i].spilled.set_not_init();
    return {};
}

frame_pool::~frame_pool() {
    while (func_state *f = kept_) {
        kept_ = f->next_kept;
        destroy(f);
    }
}

func_state *frame_pool::get() {
    func_state *f = kept_;
    if (!f)
        return make<func_state>(PORT_SLEEPING);
    kept_ = f->next_kept;
    count_--;
    return f;
}

void frame_pool::put(func_state *f) {
    if (count_ == max_kept)
        return destroy(f);
    f->next_kept = kept_;
    kept_ = f;
    count_++;
}

void verifier_state::drop_frame(u32 f) {
    if (!frame[f])
        return;
    if (pool)
        pool->put(frame[f]);
    else
        destroy(frame[f]);
    frame[f] = nullptr;
}

verifier_state::~verifier_state() {
    for (u32 f = 0; f <= curframe; f++)
        drop_frame(f);
}

void verifier_state::pop_frame() { drop_frame(curframe--); }

void verifier_state::drop_ref(u32 i) {
    for (; i + 1 < refs.size(); i++)
        refs[i] = refs[i + 1];
    refs.pop();
}

status verifier_state::copy_from(const verifier_state &o) {
    for (u32 f = o.curframe + 1; f <= curframe; f++)
        drop_frame(f);
    curframe = o.curframe;
    for (u32 f = 0; f <= o.curframe; f++) {
        if (!frame[f] && !(frame[f] = pool ? pool->get() : make<func_state>(PORT_SLEEPING)))
            return error(ENOMEM);
        TRY(frame[f]->copy_from(*o.frame[f]));
    }
    TRY(refs.copy_from(o.refs));
    modes = o.modes;
    parent = o.parent, branches = o.branches, first_insn = o.first_insn;
    callback_turns = o.callback_turns, may_goto_turns = o.may_goto_turns, async_depth = o.async_depth;
    return {};
}

}  // namespace modbpf
