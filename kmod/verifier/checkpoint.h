// SPDX-License-Identifier: GPL-2.0-only
// Checkpoints: states that exploration came through, to which later paths at the same instruction are compared.
//
// Life
//  - *Unfinished*: paths from it wait (branches > 0). It has its whole state.
//  - *Finished*: all paths from it were explored. If it is in an open loop (loops.h), what is behind it is not known to the end, and it
//    keeps its state.
//  - *Concluded*: finished and in no open loop. Then the marks (marks.h) at its instruction hold all that paths from it
//    will ever demand, and only what they name is kept: a state_facts. What other paths raise later concerns them alone, so
//    that it is compared by what its own paths need, as Linux does with marks in its states.
//
// Why the marks of that moment are enough. Let S be concluded at time t. Every path from S ended by then: at an exit, or at a checkpoint T
// that covered it and that was concluded before (or in a loop that is closed by t). The marks at t satisfy the equations of marks.h
// with all demands of these paths, and are at least those that T was compared with. So the argument of marks.h holds with the marks
// of t for S, step by step to T, and from there with the fewer marks of T, for which the same was true when T was concluded.
#pragma once

#include "verifier/precision_log.h"
#include "verifier/state.h"

namespace modbpf {

/// What a concluded checkpoint demands of one frame.
struct frame_facts {
    u32 callsite, subprog;
    const callback_proto *callback;
    u32 callback_turns;
    u16 kept_regs;    ///< those in `regs`
    u16 any_number;   ///< may be any number, but must be one
    u16 precise_regs; ///< of the kept ones: compared by value
    u32 slots;        ///< size of the stack
    u64 live_slots, precise_slots;
    const reg_state *regs;    ///< in their order
    stack_page *const *pages; ///< null where no slot is live
};

/// A concluded checkpoint's demands: one block of memory with its frames, registers and page pointers behind it.
class state_facts {
public:
    state_facts(const state_facts &) = delete;
    ~state_facts();
    span<const frame_facts> frames() const { return {frames_, frame_count_}; }
    span<const held_ref> refs() const { return {refs_, ref_count_}; }
    path_modes modes;

private:
    friend result<state_facts *> make_facts(struct verifier_env &, const verifier_state &, u32);
    explicit state_facts(state_pool &pool) : pool_(pool) {}

    state_pool &pool_;
    frame_facts *frames_ = nullptr;
    u32 frame_count_ = 0;
    held_ref *refs_ = nullptr;
    u32 ref_count_ = 0;
};

/// Registers of frame `f` that may be read behind `insn`, where `st` stands.
u16 needed_regs(const struct verifier_env &e, const verifier_state &st, u32 f, u32 insn);

/// What the marks name of `st`, which stands at `insn`. The marks are settled. ENOMEM.
result<state_facts *> make_facts(struct verifier_env &e, const verifier_state &st, u32 insn);

/// Where two states differed last. Most comparisons of a checkpoint fail at one place, a counter's: the next one looks there first.
struct difference {
    static constexpr u8 none = 0xff;
    u8 frame = 0;
    u8 at = none; ///< a register, or from bpf_reg_count on a slot
};

struct checkpoint {
    u32 insn = 0;
    u32 callsite = 0;       ///< its top frame's
    u32 curframe = 0;
    u32 branches = 1;       ///< paths from here that are not explored to their end
    u64 made = 0;           ///< how many were made before it
    u64 jumps = 0, processed = 0, forks = 0; ///< of the whole exploration, when it was made
    u32 loop = no_loop;     ///< the outermost loop that a path from here ended in (loops.h)
    u32 own_loop = no_loop; ///< the loop of those that ended here while it was unfinished
    checkpoint *parent = nullptr; ///< from which its path came; valid while this is unfinished
    checkpoint *next = nullptr;   ///< in its bucket
    u32 hits = 0, misses = 0;     ///< how useful it was
    difference differed;
    own<verifier_state> state; ///< until it is concluded
    own<state_facts> facts;    ///< then
    own<checkpoint_trace> trace; ///< while there is a precision_log

    bool concluded() const { return !state; }
};

}  // namespace modbpf
