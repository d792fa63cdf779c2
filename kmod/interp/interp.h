// SPDX-License-Identifier: GPL-2.0-only
// The interpreter: the reference semantics of verified code. Slow and obvious; the oracle of the JIT, never its
// substitute.
//
// Any context, preemption off, inside RCU. It owns nothing; all memory is the caller's.
#pragma once

#include "helpers/helper.h"
#include "helpers/traced.h"
#include "isa/code.h"

namespace modbpf {

/// One executed instruction, for tests (verifier embedding, traces): registers before it. May be null.
struct interp_trace {
    void (*step)(void *priv, u32 insn, const u64 regs[bpf_reg_count], u32 frame, const u8 *frame_stack);
    void *priv;
};

/// A frame: its BPF stack (r10 points behind it), and what its caller gets back.
struct interp_frame {
    u8 loop_vars[loop_vars_bytes] __attribute__((aligned(8))); ///< go on below the stack
    u8 stack[max_bpf_stack] __attribute__((aligned(8)));
    u64 saved[4];  ///< the caller's r6-r9
    u32 turns;     ///< that may_goto can still take
    bool entered;  ///< its function is a program's first, entered from outside or by a tail call
    const code *return_code;
    u32 return_insn;
    const code_around *around;  ///< traces the function; null: nothing does
    u64 traced[traced_words + 6]; ///< then: the words before its context, five arguments, its result
    bool replaces;              ///< the function is an extension's: it counts tail calls of its own
    u32 outer_tail_calls;
};
/// Frames that the deepest possible run needs: each tail call from a subprogram leaves up to max_call_frames - 1
/// behind. An extension, which cannot be extended itself, may make as many once more; what is called by a tail call has none.
inline constexpr u32 interp_frames_with_tail_calls = 2 * ((max_tail_calls + 1) * (max_call_frames - 1) + 1);

/// Runs c from subprogram 0 with r1 = ctx. Returns r0.
///
/// A tail call runs the code that `tail(map, index)` gives, in the frame of the function that called it, unless that
/// is null or
/// max_tail_calls have been made since the start. A packet load out of bounds ends the function that it stands in with
/// r0 = 0.
/// When `frame_count` frames do not suffice, or the code is not what a verifier passes, that is reported as a bug and
/// the
/// run ends with 0.
struct interp_env {
    interp_frame *frames;
    u32 frame_count;                                      ///< max_call_frames suffice for code without tail calls
    const code *(*tail)(void *map, u32 index) = nullptr;  ///< null: every tail call fails
    const interp_trace *trace = nullptr;
    const helper_proto *(*helper)(u32 id) = nullptr;                           ///< null: helper_of
    bool (*packet)(const void *ctx, s32 off, u32 size, u64 *value) = nullptr;  ///< null: load_packet_bytes
};
u64 interpret(const code &c, const void *ctx, const interp_env &env);
/// Runs the function of c whose address (as interpreted code loads it) is `fn`.
u64 interpret_function(const code &c, u64 fn, const u64 (&args)[5], const interp_env &env);

}  // namespace modbpf
