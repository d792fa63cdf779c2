// SPDX-License-Identifier: GPL-2.0-only
// The interpreter: the reference semantics of verified code. Slow and obvious; the oracle of the JIT, never its substitute.
#pragma once

#include "isa/code.h"

namespace modbpf {

/// One executed instruction, for tests (verifier embedding, traces): registers before it. May be null.
struct interp_trace {
    void (*step)(void *priv, u32 insn, const u64 regs[bpf_reg_count], u32 frame, const u8 *frame_stack);
    void *priv;
};

/// Runs c from subprogram 0 with r1 = ctx. Returns r0. Preemption off. The stack of all frames
/// (max_call_frames * max_bpf_stack bytes) is the caller's: `stack`. A tail call jumps to another code through
/// `tail(map, index)`, which returns null when there is none.
struct interp_env {
    u8 *stack;
    const code *(*tail)(void *map, u32 index);
    const interp_trace *trace;
};
u64 interpret(const code &c, const void *ctx, const interp_env &env);

}  // namespace modbpf
