// SPDX-License-Identifier: GPL-2.0-only
// ARENA for those who compile and run programs. All of `m` below are arenas.
#pragma once

#include "maps/map.h"

namespace modbpf {

/// Where user space has or will have it; 0 until it has said so, and the same for good from then on. Any context.
u64 arena_user_start(const map *m);
/// The kernel's address for low 32 bits of 0.
u64 arena_kernel_base(const map *m);

/// bpf_arena_alloc_pages: `count` pages at user address `addr`, or, when that is 0, where there is room. -> user address, or 0. Task context.
u64 arena_alloc_pages(map *m, u64 addr, u32 count, s32 node);
/// bpf_arena_free_pages: of those from the address that has the low 32 bits of addr on. Task context.
void arena_free_pages(map *m, u64 addr, u32 count);

}  // namespace modbpf
