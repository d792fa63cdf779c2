// SPDX-License-Identifier: GPL-2.0-only
// Hash maps: a call for each element, from a program (any context, no lock: the call may change the map); what there is of special
// fields.
#include "maps/hash.h"

namespace modbpf {

namespace {

struct walk {
    hash_map *m;
    element_fn fn;
    void *priv;
    u32 cpu;
    bool percpu;
    u64 calls = 0;
};

/// From the bucket's first element on. An element that went to another bucket under our feet ends this one's walk. So does a chain longer than
/// the map: its elements are taken out and put in again in front of us. -> false: the function wants no more.
inline bool walk_bucket(walk &w, u32 bucket, u32 first) {
    hash_map *m = w.m;
    u32 left = m->params.max_entries;
    for (u32 i = first; !(i & hash_map::chain_end) && left; left--) {
        hash_elem *e = m->elem(i);
        u32 next = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
        if ((__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) & m->bucket_mask) != bucket)
            return true;
        w.calls++;
        if (w.fn(w.priv, m, e->key, w.percpu ? m->pool.value(i, w.cpu) : m->value_in(e)))
            return false;
        i = next;
    }
    return true;
}

}  // namespace

long hash_for_each(map *map, element_fn fn, void *priv) {
    hash_map *m = as_hash(map);
    walk w{.m = m, .fn = fn, .priv = priv, .cpu = port_cpu_id(), .percpu = m->percpu()};
    for (u32 b = 0, last = m->bucket_mask; b <= last; b++) {
        u32 first = __atomic_load_n(&m->buckets[b].first, __ATOMIC_ACQUIRE);
        if (!(first & hash_map::chain_end) && !walk_bucket(w, b, first))
            break;
    }
    return static_cast<long>(w.calls);
}

const void *hash_key_of(map *m, void *value, u32 *) {
    return static_cast<u8 *>(value) - align_up(m->params.key_size, 8);
}

void hash_each_value(map *map, void (*fn)(struct map *m, void *value)) {
    hash_map *m = as_hash(map);
    u32 cpus = m->percpu() ? port_cpu_count() : 1;
    for (u32 i = 0, n = m->pool.present(); i < n; i++) {
        for (u32 cpu = 0; cpu < cpus; cpu++)
            fn(m, m->percpu() ? m->pool.value(i, cpu) : m->value_in(m->elem(i)));
        if (i % 1024 == 0)
            port_cond_resched();
    }
}

}  // namespace modbpf
