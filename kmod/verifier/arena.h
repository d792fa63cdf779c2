// SPDX-License-Identifier: GPL-2.0-only
// Arenas: memory that a program shares with user space, reached by pointers of an address space of its own. A pointer is made by the
// instruction addr_space_cast and may point anywhere: what the pages do not cover reads as zero and takes no stores. So loads and stores
// through it are safe whatever it is, and arithmetic with it is free.
//
// Behaviour, errno and texts: Linux 6.12 kernel/bpf/verifier.c (PTR_TO_ARENA).
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// Is the move one between address spaces?
inline bool is_arena_cast(const bpf_insn &in) { return in.code == (BPF_ALU64 | BPF_MOV | BPF_X) && in.off == BPF_ADDR_SPACE_CAST; }
status cast_arena(env &e, const insn_desc &d);
status access_arena(env &e, access t, s32 value);
/// Can the atomic operation be made on arena memory by native code?
bool arena_atomic_allowed(const insn_desc &d);
/// Behind exploration: what was seen to load from an arena can be made to.
status check_arena_loads(env &e);

}  // namespace modbpf
