// SPDX-License-Identifier: GPL-2.0-only
// Which maps a program may name at all, whatever it does with them. Facts and texts of Linux 6.12 (check_map_prog_compatibility).
#include "verifier/env.h"

namespace modbpf {

namespace {

/// Maps whose elements stay where they are while a program sleeps.
constexpr u64 sleepable_maps =
    bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_LRU_HASH) | bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_HASH) |
    bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_LRU_PERCPU_HASH) | bit(BPF_MAP_TYPE_ARRAY_OF_MAPS) |
    bit(BPF_MAP_TYPE_HASH_OF_MAPS) | bit(BPF_MAP_TYPE_RINGBUF) | bit(BPF_MAP_TYPE_USER_RINGBUF) | bit(BPF_MAP_TYPE_INODE_STORAGE) |
    bit(BPF_MAP_TYPE_SK_STORAGE) | bit(BPF_MAP_TYPE_TASK_STORAGE) | bit(BPF_MAP_TYPE_CGRP_STORAGE) | bit(BPF_MAP_TYPE_QUEUE) |
    bit(BPF_MAP_TYPE_STACK) | bit(BPF_MAP_TYPE_ARENA);
/// Maps that belong to the program as a whole.
constexpr u64 single_maps = bit(BPF_MAP_TYPE_CGROUP_STORAGE) | bit(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE) | bit(BPF_MAP_TYPE_ARENA);

bool among(u64 types, const map &m) { return m.params.type < 64 && (types & bit(m.params.type)); }

}  // namespace

status check_map_for_program(env &e, const map &m) {
    if (m.params.type == BPF_MAP_TYPE_STRUCT_OPS) {
        verbose(e, "bpf_struct_ops map cannot be used in prog\n");
        return fail(EINVAL);
    }
    if (!(e.req.prog_flags & BPF_F_SLEEPABLE) || among(sleepable_maps, m))
        return {};
    verbose(e, "Sleepable programs can only use array, hash, ringbuf and local storage maps\n");
    return fail(EINVAL);
}

status check_new_map(env &e, const map &m) {
    if (!among(single_maps, m))
        return {};
    bool arena = m.params.type == BPF_MAP_TYPE_ARENA;
    for (const ref<map> &other : e.maps)
        if (other.get() != &m && other->params.type == m.params.type) {
            verbose(e, arena ? "Only one arena per program\n" : "only one cgroup storage of each type is allowed\n");
            return fail(EBUSY);
        }
    if (!arena || (e.req.perfmon && e.req.bpf))
        return {};
    verbose(e, "CAP_BPF and CAP_PERFMON are required to use arena\n");
    return fail(EPERM);
}

}  // namespace modbpf
