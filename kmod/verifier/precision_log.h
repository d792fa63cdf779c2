// SPDX-License-Identifier: GPL-2.0-only
// What Linux prints at BPF_LOG_LEVEL2 of how it traces precision: "mark_precise: ...". An explanation: no verdict comes from here.
//
// Marks (marks.h) say for all paths at once which scalars must be precise. Linux walks back along the path at hand instead, from the instruction that
// looked at a value to where the value came from, and marks what it passes in the checkpoints between. Tools and people read these walks, so at level 2 they are
// made as well, over a history of the path and with marks that stand beside the checkpoints.
//
// The *history* is one array for all paths. Exploration is depth-first, so a path that is taken up again finds what was recorded
// before it was left: others only wrote behind that. A *span* of it belongs to the way from a checkpoint to where the path stands.
//
// A walk that finds what cannot be (Linux calls that a bug of its own) ends without a word. Only ENOMEM fails.
#pragma once

#include "base/memory.h"
#include "base/vec.h"
#include "verifier/state.h"

namespace modbpf {

struct verifier_env;

// Beyond either, no more is explained, and checkpoints are made where they are made without a log: a verdict near the limit of
// instructions does not hang on the log.
inline constexpr u64 max_explained_insns = 100000;  ///< processed: a tenth of what exploration may process
inline constexpr u64 max_explained_steps = 200000; ///< instructions that walks passed: a line each, together the 16 MiB that loaders take at most

/// The way of a path from the checkpoint that it grew from.
struct path_span {
    u32 first = 0; ///< instruction where it starts
    s32 last = 0;  ///< the one before the instruction at hand; -1: none
    u32 start = 0, end = 0; ///< in the history
};

struct linked_scalar {
    u8 frame;
    u8 index; ///< of the register or slot
    bool slot;
};
inline constexpr u32 max_linked_scalars = 6;

/// An instruction of a path that does not follow from the one behind it, or about which a walk has to know more.
struct history_entry {
    u32 insn = 0;
    s32 prev = -1;         ///< the instruction before it
    bool fills_or_spills = false; ///< slot `slot` of frame `frame`
    bool dst_is_stack = false, src_is_stack = false; ///< a comparison of stack pointers
    u8 frame = 0, slot = 0;
    u8 linked_count = 0;   ///< scalars that a branch refined together
    linked_scalar linked[max_linked_scalars]{};
};

struct scalar_masks {
    u16 regs[max_call_frames]{};
    u64 slots[max_call_frames]{};
};

/// What a checkpoint knows besides its state.
struct checkpoint_trace {
    path_span span;       ///< of the path that it was made on
    scalar_masks precise; ///< marked by walks
    scalar_masks read;    ///< by paths from it
};

struct checkpoint;

class precision_log {
public:
    path_span span; ///< of the current path

private:
    friend class back_walk;
    friend status record_here(verifier_env &, history_entry **);
    friend void precision_step(verifier_env &);
    vec<history_entry> history_;
    s32 prev_ = -1;         ///< before the instruction at hand
    bool recorded_ = false; ///< the instruction at hand has the last entry
    u64 steps_ = 0;
};

/// At the entry to a function that nobody calls: the first path from there.
status start_precision_log(verifier_env &e);
// The others are to be called only while there is a precision_log (env::precision).

/// Before an instruction of the path is looked at. Ends the log where a limit is reached.
void precision_step(verifier_env &e);
/// More than one way leads to the instruction at hand.
status record_join(verifier_env &e);
path_span fresh_span(const verifier_env &e); ///< of a path that starts from nothing behind the instruction at hand
status record_stack_access(verifier_env &e, u32 frame, u32 slot);
status record_stack_comparison(verifier_env &e, bool dst, bool src);
status record_links(verifier_env &e, const scalar_masks &linked);
/// Linux looks at the value of `regno` here.
status explain_demand(verifier_env &e, u32 regno);
/// The path ends because `old` covers it.
status explain_prune(verifier_env &e, const checkpoint &old);
/// The current path goes on as the child of a new checkpoint.
status trace_checkpoint(verifier_env &e, checkpoint &st);
/// The register or slot of frame `frame` is read: checkpoints show that.
void trace_read(verifier_env &e, u32 frame, u32 index, bool slot);

}  // namespace modbpf
