// SPDX-License-Identifier: GPL-2.0-only
// ARRAY_OF_MAPS: user space puts fds of maps in and reads their ids; a program's look-up gives the map itself. A slot holds a reference,
// no user reference; the map that leaves a slot lives on for its readers' grace period (map::dispose).
#include "maps/fd_array.h"

namespace modbpf {

namespace {

using array_of_maps = fd_array<map>;

void put(map *inside) {
    inside->put();
}

void *lookup(map *m, const void *key) {
    return array_of_maps::of(m)->read(array_index(key));
}

long lookup_id(map *m, const void *key, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    rcu_read_guard rcu;
    map *inside = array_of_maps::of(m)->read(array_index(key));
    if (!inside)
        return -ENOENT;
    __builtin_memcpy(value, &inside->id, sizeof(inside->id));
    return 0;
}

long update_fd(map *outer, const void *key, const void *value, u64 flags) {
    array_of_maps *m = array_of_maps::of(outer);
    if (long r = m->check_update(key, flags))
        return r;
    result<map *> inside = inner_hooks.get(outer, static_cast<int>(load4(value)));
    if (!inside)
        return inside.code();
    if (map *old = m->exchange(array_index(key), *inside))
        old->put();
    return 0;
}

long remove(map *m, const void *key) {
    return array_of_maps::of(m)->remove(key, put);
}

void free_array(map *m) {
    array_of_maps::of(m)->clear(put);
    destroy(array_of_maps::of(m));
}

}  // namespace

extern constinit const map_ops array_of_maps_ops;
constinit const map_ops array_of_maps_ops = {
    .type = BPF_MAP_TYPE_ARRAY_OF_MAPS,
    .name = "array_of_maps",
    .check = check_fd_array,
    .create = [](const map_params &p) { return array_of_maps::create(&array_of_maps_ops, p); },
    .free = free_array,
    .lookup = lookup,
    .lookup_user = lookup_id,
    .update_user = update_fd,
    .remove_user = remove,
    .next_key = array_next_key,
    .batch = true,
    .memory = array_of_maps::memory,
};

}  // namespace modbpf
