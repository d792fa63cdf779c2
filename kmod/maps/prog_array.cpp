// SPDX-License-Identifier: GPL-2.0-only
// PROG_ARRAY: the targets of tail calls. User space writes fds and reads ids; programs only jump. The elements go with
// the last user reference, so that a program that is an element of a map that it uses does not live for ever.
#include "maps/fd_array.h"

namespace modbpf {

namespace {

/// What an empty slot holds: one load less for tail calls in place. Nobody enters it.
constinit runnable no_program;
using prog_array = fd_array<runnable, &no_program>;

long lookup_id(map *m, const void *key, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    rcu_read_guard rcu;
    runnable *p = prog_array::of(m)->read(array_index(key));
    if (!p)
        return -ENOENT;
    u32 id = prog_hooks.id(p);
    __builtin_memcpy(value, &id, 4);
    return 0;
}

long update_fd(map *map, const void *key, const void *value, u64 flags) {
    prog_array *m = prog_array::of(map);
    if (long r = m->check_update(key, flags))
        return r;
    result<runnable *> p = prog_hooks.get(m, static_cast<int>(load4(value)));
    if (!p)
        return p.code();
    if (runnable *old = m->exchange(array_index(key), *p))
        prog_hooks.put(old);
    return 0;
}

long remove_prog(map *m, const void *key) {
    return prog_array::of(m)->remove(key, prog_hooks.put);
}

void drop_all(map *m) {
    prog_array::of(m)->clear(prog_hooks.put);
}

void free_prog_array(map *m) {
    drop_all(m);  // an update may have come after the last user reference
    destroy(prog_array::of(m));
}

map_lookup describe(const map *m) {
    return {.kind = lookup_kind::programs,
            .max_entries = m->params.max_entries,
            .elem_size = sizeof(runnable *),
            .base = addr_of(static_cast<const prog_array *>(m)->slots)};
}

}  // namespace

runnable *prog_array_slot(map *m, u32 index) {
    return prog_array::of(m)->read(index);
}

extern constinit const map_ops prog_array_ops;
constinit const map_ops prog_array_ops = {
    .type = BPF_MAP_TYPE_PROG_ARRAY,
    .name = "prog_array",
    .check = check_fd_array,
    .create = [](const map_params &p) { return prog_array::create(&prog_array_ops, p); },
    .free = free_prog_array,
    .user_gone = drop_all,
    .describe = describe,
    .lookup_user = lookup_id,
    .update_user = update_fd,
    .remove_user = remove_prog,
    .next_key = array_next_key,
    .memory = prog_array::memory,
};

}  // namespace modbpf
