// SPDX-License-Identifier: GPL-2.0-only
// Exceptions. The entry of a program that throws makes its frame the run's anchor, and the anchor before that one's again when it is left:
// a program that was entered by a tail call has an anchor of its own. bpf_throw goes back to the anchor from any depth, also through C
// functions that called back: those hold nothing (verifier/exception.cpp). There the exception callback is called in the program's place.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

namespace {

u64 near_address(const jit_options &o, u64 fn) { return o.near ? o.near(fn) : fn; }

} // namespace

/// Behind the entry's saved registers. r1 is the context, or that and the others are the arguments of the function that an extension replaces.
void lowering::set_anchor() {
    constexpr reg kept[] = {reg::rsi, reg::rdx, reg::rcx, reg::r8}; // an even number: the stack stays aligned
    x86::encoder &e = out_.e;
    x86::mem first{reg::rbp, frame_->anchor_slot - 8};
    e.store(8, first, reg::rdi);
    for (reg r : kept)
        e.push(r);
    e.mov(true, reg::rdi, reg::rbp);
    call_address(near_address(options_, reinterpret_cast<uptr>(exchange_anchor)));
    e.store(8, {reg::rbp, frame_->anchor_slot}, reg::rax);
    for (u32 i = count_of(kept); i--;)
        e.pop(kept[i]);
    e.load(8, false, reg::rdi, first);
}

/// Before the entry's registers come back. rax and rdi keep their values: the program's result, and of a tail call target and context.
void lowering::restore_anchor() {
    x86::encoder &e = out_.e;
    e.mov(true, reg::rbx, reg::rax); // both are about to be restored
    e.mov(true, reg::r13, reg::rdi);
    e.load(8, false, reg::rdi, {reg::rbp, frame_->anchor_slot});
    call_address(near_address(options_, reinterpret_cast<uptr>(exchange_anchor)));
    e.mov(true, reg::rax, reg::rbx);
    e.mov(true, reg::rdi, reg::r13);
}

/// Nothing of this frame and those up to the anchor is needed any more.
void lowering::throw_cookie(const code_kfunc &k) {
    out_.e.mov(true, reg::rbx, reg::rdi);
    call_address(near_address(options_, reinterpret_cast<uptr>(k.fn)));
    out_.jump(catch_label());
}

/// rax: the anchor; rbx: the cookie.
void lowering::catch_cookie() {
    x86::encoder &e = out_.e;
    const jit_frame &entry = facts_.frames[0];
    out_.bind(catch_label());
    e.mov(true, reg::rbp, reg::rax);
    e.lea(true, reg::rsp, {reg::rbp, -static_cast<s32>(entry.size + caught_registers * 8)});
    u32 catcher = code_.catcher ? facts_.frame_at(code_.catcher) : 0;
    if (catcher && catcher < facts_.frames.size()) {
        e.mov(true, reg::rdi, reg::rbx);
        if (facts_.frames[catcher].reaches_tail_call)
            e.load(8, false, reg::rax, {reg::rbp, tail_pointer_slot});
        out_.call(entry_label(catcher));
    } else {
        e.mov(true, reg::rax, reg::rbx);
    }
    out_.jump(epilogue_label(0));
}

} // namespace modbpf
