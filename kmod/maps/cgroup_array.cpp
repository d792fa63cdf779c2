// SPDX-License-Identifier: GPL-2.0-only
// CGROUP_ARRAY: control groups of the unified hierarchy that programs compare tasks and sockets with. User space writes fds of their
// folders and reads nothing back. An element stays until it is overwritten, deleted, or the map is freed.
#include "maps/fd_array.h"
#include "maps/no_elements.h"

namespace modbpf {

namespace {

using cgroup_array = fd_array<port_cgroup>;

long update_fd(map *map, const void *key, const void *value, u64 flags) {
    cgroup_array *m = cgroup_array::of(map);
    if (long r = m->check_update(key, flags))
        return r;
    port_cgroup *group = nullptr;
    if (int err = port_cgroup_open(static_cast<int>(load4(value)), &group))
        return err;
    if (port_cgroup *old = m->exchange(array_index(key), group))
        port_cgroup_close(old);
    return 0;
}

long remove_group(map *m, const void *key) {
    return cgroup_array::of(m)->remove(key, port_cgroup_close);
}

void free_cgroup_array(map *m) {
    cgroup_array::of(m)->clear(port_cgroup_close);
    destroy(cgroup_array::of(m));
}

}  // namespace

long current_under_slot(map *m, u32 index) {
    if (index >= m->params.max_entries)
        return -E2BIG;
    const port_cgroup *group = cgroup_array::of(m)->read(index);
    return group ? port_current_under_cgroup(group) : -EAGAIN;
}

extern constinit const map_ops cgroup_array_ops;
constinit const map_ops cgroup_array_ops = {
    .type = BPF_MAP_TYPE_CGROUP_ARRAY,
    .name = "cgroup_array",
    .check = check_fd_array,
    .create = [](const map_params &p) { return cgroup_array::create(&cgroup_array_ops, p); },
    .free = free_cgroup_array,
    .lookup_user = lookup_refused,
    .update_user = update_fd,
    .remove_user = remove_group,
    .next_key = array_next_key,
    .memory = cgroup_array::memory,
};

}  // namespace modbpf
