// SPDX-License-Identifier: GPL-2.0-only
// Which maps a program may name at all, whatever it does with them. Facts and texts of Linux 6.12 (check_map_prog_compatibility).
#include "btf/fields.h"
#include "maps/arena.h"
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

constexpr u64 probes = bit(BPF_PROG_TYPE_KPROBE) | bit(BPF_PROG_TYPE_TRACEPOINT) | bit(BPF_PROG_TYPE_PERF_EVENT) |
                       bit(BPF_PROG_TYPE_RAW_TRACEPOINT) | bit(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE);

/// Values with such fields are not for programs of these types.
struct field_rule {
    u32 fields;
    u64 prog_types;
    const char *text;
};
constexpr field_rule field_rules[] = {
    {graph_roots, probes, "tracing progs cannot use bpf_{list_head,rb_root} yet\n"},
    {field_bit(field_kind::spin_lock), bit(BPF_PROG_TYPE_SOCKET_FILTER), "socket filter progs cannot use bpf_spin_lock yet\n"},
    {field_bit(field_kind::spin_lock), probes, "tracing progs cannot use bpf_spin_lock yet\n"},
    {field_bit(field_kind::timer), probes, "tracing progs cannot use bpf_timer yet\n"},
    {field_bit(field_kind::workqueue), probes, "tracing progs cannot use bpf_wq yet\n"},
};

bool among(u64 types, const map &m) { return m.params.type < 64 && (types & bit(m.params.type)); }

}  // namespace

status check_map_for_program(env &e, const map &m) {
    for (const field_rule &r : field_rules)
        if (m.fields && m.fields->has_any(r.fields) && (r.prog_types & bit(e.req.type->type))) {
            verbose(e, "%s", r.text);
            return fail(EINVAL);
        }
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
    if (!arena)
        return {};
    if (!e.req.perfmon || !e.req.bpf) {
        verbose(e, "CAP_BPF and CAP_PERFMON are required to use arena\n");
        return fail(EPERM);
    }
    if (arena_user_start(&m))
        return {};
    verbose(e, "arena's user address must be set via map_extra or mmap()\n");
    return fail(EINVAL);
}

}  // namespace modbpf
