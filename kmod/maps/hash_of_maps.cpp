// SPDX-License-Identifier: GPL-2.0-only
// HASH_OF_MAPS: a hash map (maps/hash.h) whose values are maps. User space gives fds and reads ids; a program's look-up gives the map
// itself. An element in the table owns a reference, no user reference; whoever takes it out puts that, and the map lives on for its
// readers' grace period (map::dispose). An element that is free still has the pointer, as a stale value: nobody reads it, but a reader
// that found the element while it was in the table, and that holds the map alive by its own read section.
#include "maps/hash.h"

namespace modbpf {

namespace {

map *from_word(u64 word) {
    return ptr_of<map>(word);
}

void *lookup(map *map, const void *key) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    return i == hash_map::none ? nullptr : hash_inner_map(m, i);
}

long update_fd(map *outer, const void *key, const void *value, u64 flags) {
    result<map *> inside = inner_hooks.get(outer, static_cast<int>(load4(value)));
    if (!inside)
        return inside.code();
    u64 word = addr_of(*inside), replaced = 0;
    long r = hash_update_from_user(outer, [&] { return hash_update(outer, key, &word, flags, &replaced); });
    if (map *gone = r ? *inside : from_word(replaced))
        gone->put();
    return r;
}

long remove(map *map, const void *key) {
    u64 word = 0;
    long r = retry_busy([&] { return hash_take(map, key, &word); });
    if (!r)
        from_word(word)->put();
    return r;
}

void free_maps(map *map) {
    hash_map *m = as_hash(map);
    for (u32 b = 0; b <= m->bucket_mask; b++) {
        for (u32 i = m->buckets[b].first; !(i & hash_map::chain_end); i = m->elem(i)->next)
            hash_inner_map(m, i)->put();
        if (b % 4096 == 0)
            port_cond_resched();
    }
    hash_free(map);
}

result<map *> create(const map_params &p);

status check(const map_params &p) {
    return p.value_size == 4 ? check_hash(p) : status(error(EINVAL));
}

}  // namespace

map *hash_inner_map(const hash_map *m, u32 i) {
    return from_word(__atomic_load_n(reinterpret_cast<const u64 *>(m->value_in(m->elem(i))), __ATOMIC_CONSUME));
}

extern constinit const map_ops hash_of_maps_ops;
constinit const map_ops hash_of_maps_ops = {
    .type = BPF_MAP_TYPE_HASH_OF_MAPS,
    .name = "hash_of_maps",
    .check = check,
    .create = create,
    .free = free_maps,
    .lookup = lookup,
    .lookup_user = hash_lookup_user,
    .update_user = update_fd,
    .remove_user = remove,
    .next_key = hash_next_key,
    .batch = true,
    .batch_delete = true,
    .lookup_batch = hash_lookup_batch,
    .memory = hash_memory,
};

namespace {

result<map *> create(const map_params &p) {
    own<hash_map> m(make<hash_map>(PORT_SLEEPING, &hash_of_maps_ops, p));
    if (!m)
        return error(ENOMEM);
    TRY(hash_build(m.get(), !(p.flags & BPF_F_NO_PREALLOC)));
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
