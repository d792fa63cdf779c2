// SPDX-License-Identifier: GPL-2.0-only
// Spills around calls that change fewer registers than calls may (bpf_fastcall).
//
// A compiler that knows such functions stores the registers that it needs behind the call right before it and loads them right behind,
// in slots of its own at the lower end of the frame, so that a kernel that knows them too can take both away. Linux 6.12 does so where no
// other instruction touches these slots, and counts the frame without them. modbpf counts as Linux does, which decides what fits into
// the 512 bytes; it leaves the stores and loads in the code, since its calls destroy r0-r5, and the frame as large as they need:
// at most max_fastcall_bytes more in each of 8 frames.
#pragma once

#include "verifier/env.h"

namespace modbpf {

inline constexpr u32 max_fastcall_bytes = 6 * slot_bytes; ///< r0-r5

/// Finds the patterns. After check_cfg(): nothing may jump into one.
void find_fastcalls(env &e);
/// The current instruction touches the stack of a frame of that subprogram, at `lo` or above.
void note_stack_use(env &e, u32 sub, s64 lo);
/// Bytes of a subprogram's frame as Linux counts them. After exploration.
u32 counted_depth(const subprog_info &s);

}  // namespace modbpf
