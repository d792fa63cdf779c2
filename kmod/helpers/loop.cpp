// SPDX-License-Identifier: GPL-2.0-only
// Helpers that call a function of the program for each of something.
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u32 max_loops = 8u << 20; // BPF_MAX_LOOPS

struct element_call {
    u64 fn, ctx;
};

u64 call_for_element(void *priv, map *m, const void *key, void *value) {
    auto &c = *static_cast<element_call *>(priv);
    return call_back(c.fn, addr_of(m), addr_of(key), addr_of(value), c.ctx);
}

}  // namespace

/// loop(turns, callback, context, flags): -> turns taken
u64 bpf_loop(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 turns = static_cast<u32>(r1);
    if (r4)
        return helper_errno(-EINVAL);
    if (turns > max_loops)
        return helper_errno(-E2BIG);
    for (u32 i = 0; i < turns; i++)
        if (call_back(r2, i, r3))
            return i + 1;
    return turns;
}

/// for_each_map_elem(map, callback, context, flags): -> elements visited
u64 bpf_for_each_map_elem(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    map *m = ptr_of<map>(r1);
    if (r4 || !m->ops->for_each)
        return helper_errno(-EINVAL);
    element_call c{r2, r3};
    return helper_errno(m->ops->for_each(m, call_for_element, &c));
}

}  // namespace modbpf
