// SPDX-License-Identifier: GPL-2.0-only
// Backward marks: which registers and stack slots matter behind an instruction (live), and which scalars must be compared by
// value when a state is pruned (precise).
//
// Marks stand at instructions, not in states: mark_before(i) holds for every path through i. That is coarser than a walk along
// the path at hand, never smaller, so a comparison that uses it is at least as strict. With succ(i) the edges within a subprogram,
//
//     regs:   live(i)    = use(i) | (union of live(j), j in succ(i)) - def(i)                    static, before exploration
//     slots:  live(i)    = read(i) | (union of live(j)) - kill(i)                                grows with observed reads
//     both:   precise(i) = demand(i) | transfer_i(union of precise(j))                           grows with demands
//
// read(i): slots of the own frame that i was seen to read, also through its callees (then i is the call). kill(i): the slot
// that an aligned 8-byte store through r10 overwrites whole. Calls kill no slot.
//
// Precision is also followed for the slots of the frame that called this one (outer), and of each frame below that (far): through
// the loads and stores of them that an instruction was seen to make, out at the entry to the slots before each call, in at each exit
// from the slots behind each call. A slot n frames down in the callee is one n - 1 frames down in the caller, and so on to a frame's own. Since
// nothing kills such a slot in a callee, what is demanded of it anywhere there is demanded before the call too, which is where a
// comparison looks. An instruction that is reached from several depths has the demands of all of them.
//
// Where a frame waits for a call c, its slots are live by two bounds at once: live(c), and the top frame's own marks of it (outer, far):
//
//     outer live(i) = seen(i) | union of outer live(j); behind an exit: live(c + 1) of every call of the function      (far: one frame farther down)
//
// seen(i): what i was seen to read of the frame, in helpers and in calls that wait at i as well. Calls take over what their callee's entry has
// of farther frames, as with precision. So a slot stops to matter inside a callee behind its last read. Each bound holds what is
// read on any path from there, so their intersection does: live(c) does not change while the frame waits, the other one loses nothing from an
// instruction to its successor but by going on, and at the return it holds live(c + 1), as live(c) does. A callback goes back to c: its exits
// have live(c). Stores kill no slot of another frame. Where guards are made only live(c) counts: a barrier hangs on what a store
// overwrites, which is no read.
//
// A callback is a callee that goes back to its call, which is then made again: the successors of a call c with callbacks are c + 1, the
// callbacks' entries and, from their exits, c. The edges are added when the call is first seen to make them, before any path follows
// them. The caller's registers are not touched in between, so they need no equation of their own; a demand on an argument at the entry is
// one on all of the caller's r1-r5 (a table says which goes where; the call reads them all anyway); the outer slots at the exits are those before c.
// r0 at an exit is read by the check of what a callback returns. An asynchronous callback starts from nothing known and returns to nobody: no edge.
//
// transfer_i takes a demand on a result to what the result was made from: a move to its source, arithmetic to both operands,
// a load to the slots that it was seen to read, a store that was seen to write a demanded slot to the stored register. A branch
// on two registers takes a demand on either to both, since one refines the other; if it refined linked scalars together, a demand
// on one member is a demand on all, since the member's range comes from the compared register *and* from the link. A call maps
// r1-r5 at the callee's entry to r1-r5 before each of its calls, and r0 behind a call to r0 at each of the callee's exits.
//
// Why pruning is sound. Let S be a checkpoint at i all of whose paths are explored, M the marks. Its meaning under M is
// the set of concrete states in which a precise scalar has a value of S's range, links between precise scalars of S hold, a live
// imprecise scalar is any number, what is not live is anything, and every live pointer is one of S's. By the equations, an instruction takes
// a concrete state of that set into the meaning of one of the explored successors, and passes the checks that S's successor
// passed: each check that looks at a scalar's value made a demand. (Where exploration follows one arm only, both operands are
// demanded; where it narrows a linked register of a caller or a linked slot two or more frames down, the whole group is demanded at once.)
// By induction over the path the concrete run passes all checks. facts_cover() tests inclusion of the current state in
// that set, with the marks of the moment when S's own paths were all explored (checkpoint.h).
//
// Cost: masks of 11 registers and 64 slots per instruction, each bit set at most once.
#pragma once

#include "verifier/checkpoint.h"
#include "verifier/env.h"

namespace modbpf {

inline constexpr u16 arg_regs = 0x3e; ///< r1-r5

/// Predecessors, calls and exits, and the static liveness of registers. After check_cfg.
status build_marks(env &e);

/// The scalar in `regno` must be precise before the current instruction. The log explains it as Linux does.
status demand_reg(env &e, u32 regno);
/// Where Linux makes no such demand.
status demand_unlogged(env &e, u32 regno);
/// The same for a register of frame `frame`, which may wait for its callee.
status demand_frame_reg(env &e, u32 frame, u32 regno);
/// Slot `slot` of frame `frame` was read by the current instruction. `loaded`: into a register, not by a helper.
status observe_read(env &e, u32 frame, u32 slot, bool loaded);
/// The scalar spilled to that slot must be precise before the current instruction.
status demand_slot(env &e, u32 frame, u32 slot);
/// Slot `slot` of frame `frame` was written by the current instruction.
status observe_store(env &e, u32 frame, u32 slot);
/// The current branch refined these scalars of the current frame, and of the slots of the frame that called it, together.
status observe_links(env &e, u16 regs, u64 slots, u64 outer_slots);
/// The current call makes a synchronous callback to `sub`. Before it is explored.
status observe_callback(env &e, u32 sub);

/// Brings all marks up to date. Before a comparison.
status settle_marks(env &e);

// `d`: where to look first; it is brought up to date. That changes no answer: what fails with no ids matched yet fails with some.
/// May `cur` be pruned because of a concluded checkpoint at the same instruction? By what its marks named.
bool facts_cover(env &e, const state_facts &old, const verifier_state &cur, difference &d);
/// Is every concrete state of `cur` one of `old`, at the same instruction? By all that is known of what may be read.
bool state_covers(env &e, const verifier_state &old, const verifier_state &cur, difference &d);
/// Are they the same, but for the numbering of ids?
bool state_identical(env &e, const verifier_state &old, const verifier_state &cur, difference &d);

}  // namespace modbpf
