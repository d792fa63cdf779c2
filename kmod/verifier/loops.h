// SPDX-License-Identifier: GPL-2.0-only
// Loops that no counter bounds (open-coded iterators, may_goto, callbacks): they end in a prune into a checkpoint that is still
// being explored, and numbers that nobody has looked at yet are widened so that this happens soon.
//
// Terms
//  - A checkpoint is *unfinished* while paths from it wait (branches > 0). Exploration is depth-first, so of the unfinished
//    checkpoints the one that was made first is finished last.
//  - A *loop* belongs to an unfinished checkpoint that a path ended in. It is *open* until that checkpoint is finished and nothing
//    behind it leads into a loop that was opened by an earlier one.
//  - A state is *in an open loop* when some path from it ends in one, directly or through another state: what is behind it has
//    not been explored to the end, and marks (marks.h) may still be raised there. A finished checkpoint in none is *concluded* (checkpoint.h).
//
// Why that is sound. A prune needs "what was safe with `old` is safe with `cur`". Behind a finished state that is in no open loop
// the marks are complete, and facts_cover() tells it (marks.h). Otherwise marks do not count: all that `old` knows must
// hold in `cur` (state_covers()), so that the concrete states of `cur` are among those of `old` whatever marks are
// raised later. When the outermost loop is closed, the marks are complete for everything in it, and a concrete run through
// it stays, step by step, within the explored states: each step goes to a successor, to a state that includes it by values, or to
// one that had been finished before. Prunes need no propagation of marks: both states stand at the same instruction.
// Widening replaces a number by any number, which includes it: it may cost a program its acceptance, never its safety.
// That a run ends is the promise of what drives the loop: next() of an iterator gives NULL at last and for ever, what calls a callback
// stops calling it, may_goto goes at last. It holds for one iterator, one such call, one entry of a function: a state of another one
// ends no loop, and widens nothing.
// An asynchronous callback's states hang from nothing, yet what was said of them holds: it is explored before what waited when it was set,
// so that of the unfinished checkpoints the one made first is still the one finished last.
#pragma once

#include "verifier/checkpoint.h"
#include "verifier/env.h"

namespace modbpf {

/// May the current state, at an instruction that drives a loop, be pruned because of the unfinished `old`?
bool loop_converges(env &e, checkpoint &old);
/// At a call of next(): the iterator that r1 points to may have elements left.
bool iterates(env &e);
/// `old` has, in that slot, the iterator that the active one of `cur` is: not another one that stood there.
bool same_iterator(const verifier_state &old, const verifier_state &cur, u32 frame, u32 slot);
/// The current path ends in `old`, which is unfinished or in an open loop.
status end_in_loop(env &e, checkpoint &old);
bool in_open_loop(const env &e, const checkpoint &st);
/// A path from `st` ended in `loop`.
void lead_into_loop(env &e, checkpoint &st, u32 loop);
/// The last path from `st` was explored: tells its parent and its loop.
void finish_loops(env &e, checkpoint &st);

/// State of the unfinished checkpoint at instruction `at` that the current path came through last; or null. `with_parent`: also its parent.
const verifier_state *previous_turn(const env &e, u32 at, bool with_parent = false);
/// Numbers that differ from the previous turn, and that nothing is known to depend on, become any number in `st`, which stands
/// behind the current instruction.
void widen(env &e, const verifier_state &previous, verifier_state &st);

/// A branch that falls through as long as a counter of its own allows: both arms are possible at any time. ENOMEM, E2BIG.
status check_may_goto(env &e, const insn_desc &d);

}  // namespace modbpf
