// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions of arenas. The map may be of any type. Task context: only programs that may sleep call them.
#include "maps/arena.h"

#include "helpers/kfuncs.h"

namespace modbpf {

namespace {
map *arena_of(u64 r1) {
    map *m = ptr_of<map>(r1);
    return m->params.type == BPF_MAP_TYPE_ARENA ? m : nullptr;
}
}  // namespace

/// (map, user address or NULL, pages, node, flags) -> user address, or NULL.
u64 kfunc_arena_alloc_pages(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    map *m = arena_of(r1);
    return m && !r5 ? arena_alloc_pages(m, r2, static_cast<u32>(r3), static_cast<s32>(r4)) : 0;
}

/// (map, address, pages)
u64 kfunc_arena_free_pages(u64 r1, u64 r2, u64 r3, u64, u64) {
    if (map *m = arena_of(r1); m && r2)
        arena_free_pages(m, r2, static_cast<u32>(r3));
    return 0;
}

}  // namespace modbpf
