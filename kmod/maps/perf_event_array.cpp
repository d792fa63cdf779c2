// SPDX-License-Identifier: GPL-2.0-only
// PERF_EVENT_ARRAY: the perf events that perf_event_output writes to, usually one for each CPU. User space writes fds
// and reads nothing back.
//
// On Linux a closed map file takes with it the elements that were put in through it, unless BPF_F_PRESERVE_ELEMS. Here
// the elements go when the map's last user reference does: the same for a map that is open once (dup shares the file).
#include "maps/fd_array.h"

namespace modbpf {

namespace {

using perf_array = fd_array<perf_sink>;

long lookup_refused(map *, const void *, void *, u64) {
    return -ENOTSUPP;
}

long update_fd(map *map, const void *key, const void *value, u64 flags) {
    perf_array *m = perf_array::of(map);
    if (long r = m->check_update(key, flags))
        return r;
    result<perf_sink *> s = perf_hooks.get(static_cast<int>(load4(value)));
    if (!s)
        return s.code();
    if (perf_sink *old = m->exchange(array_index(key), *s))
        perf_hooks.put(old);
    return 0;
}

long remove_sink(map *m, const void *key) {
    return perf_array::of(m)->remove(key, perf_hooks.put);
}

void user_gone(map *m) {
    if (!(m->params.flags & BPF_F_PRESERVE_ELEMS))
        perf_array::of(m)->clear(perf_hooks.put);
}

void free_perf_array(map *m) {
    perf_array::of(m)->clear(perf_hooks.put);
    destroy(perf_array::of(m));
}

}  // namespace

perf_sink *perf_array_slot(map *m, u32 index) {
    return perf_array::of(m)->read(index);
}

extern constinit const map_ops perf_event_array_ops;
constinit const map_ops perf_event_array_ops = {
    .type = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
    .name = "perf_event_array",
    .check = check_fd_array,
    .create = [](const map_params &p) { return perf_array::create(&perf_event_array_ops, p); },
    .free = free_perf_array,
    .user_gone = user_gone,
    .lookup_user = lookup_refused,
    .update_user = update_fd,
    .remove_user = remove_sink,
    .next_key = array_next_key,
    .memory = perf_array::memory,
};

}  // namespace modbpf
