// SPDX-License-Identifier: GPL-2.0-only
// Arenas: memory that a program shares with user space, reached by pointers of an address space of its own. A pointer is made by the
// instruction addr_space_cast and may point anywhere: what the pages do not cover reads as zero and takes no stores. So loads and stores
// through it are safe whatever it is, and arithmetic with it is free.
//
// Behaviour, errno and texts: Linux 6.12 kernel/bpf/verifier.c (PTR_TO_ARENA).
#pragma once

#include "verifier/env.h"

namespace modbpf {

status cast_arena(env &e, const insn_desc &d);
status access_arena(env &e, access t, s32 value);
/// Can the atomic operation be made on arena memory by native code that faults as a whole or not at all?
bool arena_atomic_allowed(const insn_desc &d);
/// The program's arena, or null.
map *find_arena(env &e);
/// Behind exploration: what was seen to load from an arena can be made to.
status check_arena_loads(env &e);

}  // namespace modbpf
