// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/state.h"

namespace modbpf {

status func_state::copy_from(const func_state &o) {
    callsite = o.callsite, subprog = o.subprog, frameno = o.frameno;
    callback = o.callback, callback_turns = o.callback_turns;
    memcpy(static_cast<void *>(regs), o.regs, sizeof(regs));
    TRY(stack.resize(o.stack.size()));
    if (o.stack.size())
        memcpy(static_cast<void *>(stack.data()), o.stack.data(), o.stack.size() * sizeof(stack_slot));
    return {};
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

verifier_state::~verifier_state() {
    for (auto *f : frame)
        destroy(f);
}

void verifier_state::pop_frame() {
    destroy(frame[curframe]);
    frame[curframe--] = nullptr;
}

status verifier_state::copy_from(const verifier_state &o) {
    for (u32 f = o.curframe + 1; f < max_call_frames; f++) {
        destroy(frame[f]);
        frame[f] = nullptr;
    }
    curframe = o.curframe;
    for (u32 f = 0; f <= o.curframe; f++) {
        if (!frame[f] && !(frame[f] = make<func_state>(PORT_SLEEPING)))
            return error(ENOMEM);
        TRY(frame[f]->copy_from(*o.frame[f]));
    }
    TRY(refs.resize(o.refs.size()));
    for (u32 i = 0; i < o.refs.size(); i++)
        refs[i] = o.refs[i];
    modes = o.modes;
    parent = o.parent, branches = o.branches, first_insn = o.first_insn;
    callback_turns = o.callback_turns, may_goto_turns = o.may_goto_turns, async_depth = o.async_depth;
    return {};
}

}  // namespace modbpf
