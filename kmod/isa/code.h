// SPDX-License-Identifier: GPL-2.0-only
// code: a verified program in the form that the interpreter and the JIT run.
//
// Differences from what the user loaded:
//  - 64-bit immediate loads of maps and map values carry the address and src_reg 0; a function's address (PSEUDO_FUNC)
//  keeps its
//    src_reg and the relative instruction offset in imm;
//  - context loads and stores have the offset and size of the run-time context (helpers/packet.h);
//  - unreachable instructions are gone, offsets are adjusted;
//  - helper calls keep the helper id in imm; bpf-to-bpf calls (src_reg 1) the relative offset.
// Division by zero, INT_MIN / -1, oversized shifts, legacy packet loads and tail calls are the engines' business.
#pragma once

#include "base/bpf.h"
#include "base/vec.h"

namespace modbpf {

struct code_subprog {
    u32 start;        ///< index of the first instruction
    u32 end;          ///< one past the last
    u16 stack_depth;  ///< bytes used below the frame pointer, rounded up to 8
    bool has_tail_call;
    bool reaches_tail_call;  ///< itself or through calls
};

struct code {
    vec<bpf_insn> insns;
    vec<code_subprog> subprogs;  ///< subprogs[0] is the entry
};

}  // namespace modbpf
