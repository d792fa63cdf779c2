// SPDX-License-Identifier: GPL-2.0-only
// Calls of helpers that the verified code makes without a call, as Linux 6.12 does and OBJ_GET_INFO shows:
//
//  - bpf_loop, where every path comes with flags 0 and the same callback: a loop that calls the callback directly. It keeps its bound,
//    counter and context in r6-r8, whose values wait below the frame's stack meanwhile (loop_vars_bytes). r6-r9 survive the callback.
//  - jiffies64, where the machine's counter has an address: a load.
//
// What a call may do, its stand-in may: it destroys r0-r5 and nothing else.
//
// And a check in front of a call: in programs with guards, the index of a tail call is held against the array's size in all its 64 bits, and
// masked for CPUs that go on anyway. (The call itself takes the low 32 bits, as in programs without guards.)
#pragma once

#include "verifier/env.h"

namespace modbpf {

enum class expansion : u8 { none, loop, jiffies, tail_check };

inline constexpr u32 max_expanded = 19;
inline constexpr u32 loop_stored_at = 5; ///< of the loop's instructions: the last store of a register
inline constexpr u32 loop_call_at = 12;  ///< and the call, whose distance expand() leaves open

/// A path comes to the bpf_loop at the current instruction with callback `sub`. Its flags decide, so a zero is demanded. ENOMEM.
status note_loop(env &e, u32 sub);
/// What stands for the instruction at `i`, which is as it was loaded.
expansion find_expansion(const env &e, u32 i);
/// In instructions; 1 for none.
u32 expanded_size(expansion x);
/// Writes them. -> how many
u32 expand(const env &e, expansion x, u32 i, bpf_insn (&out)[max_expanded]);

}  // namespace modbpf
