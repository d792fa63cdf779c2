// SPDX-License-Identifier: GPL-2.0-only
// Hash maps: elements one by one for iterators, without a lock. Task context.
//
// Between two elements the one that follows may go: then the bucket is counted again from its first. After a pause it always is. So an
// element may be seen twice or not at all when others of its bucket come and go, as on Linux.
#include "maps/hash.h"

namespace modbpf {

namespace {

constexpr u32 buckets_between_rescheds = 1024;

bool in_bucket(const hash_map *m, u32 i, u32 bucket) {
    return (__atomic_load_n(&m->elem(i)->hash, __ATOMIC_ACQUIRE) & m->bucket_mask) == bucket;
}

/// The element of the bucket behind `skip` others, or a number with chain_end.
u32 element_behind(const hash_map *m, u32 bucket, u32 skip) {
    u32 i = __atomic_load_n(&m->buckets[bucket].first, __ATOMIC_ACQUIRE);
    for (; !(i & hash_map::chain_end) && skip; skip--) {
        u32 next = __atomic_load_n(&m->elem(i)->next, __ATOMIC_ACQUIRE);
        if (!in_bucket(m, i, bucket))
            return hash_map::none;
        i = next;
    }
    return (i & hash_map::chain_end) || in_bucket(m, i, bucket) ? i : hash_map::none;
}

}  // namespace

bool hash_walk(map *map, map_cursor *c, bool next, map_element *out) {
    hash_map *m = as_hash(map);
    if (c->bucket > m->bucket_mask)
        return false;
    u32 i = hash_map::none;
    if (next) {
        c->skip++;
        i = c->next;
        if (!(i & hash_map::chain_end) && !in_bucket(m, i, c->bucket))
            i = element_behind(m, c->bucket, c->skip);
    } else {
        i = element_behind(m, c->bucket, c->skip);
    }
    while (i & hash_map::chain_end) {
        c->skip = 0;
        if (++c->bucket > m->bucket_mask)
            return false;
        i = element_behind(m, c->bucket, 0);
        if (c->bucket % buckets_between_rescheds == 0)
            port_cond_resched();
    }
    hash_elem *e = m->elem(i);
    c->next = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
    *out = {.key = e->key, .value = m->percpu() ? nullptr : m->value_in(e), .number = i};
    return true;
}

void hash_copy_element(map *m, const map_element *e, void *value) { hash_copy_out(as_hash(m), e->number, value, 0); }

}  // namespace modbpf
