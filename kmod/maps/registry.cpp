// SPDX-License-Identifier: GPL-2.0-only
// The table of map types that run.
#include "maps/map.h"

namespace modbpf {

extern constinit const map_ops hash_ops;
extern constinit const map_ops array_ops;
extern constinit const map_ops prog_array_ops;
extern constinit const map_ops perf_event_array_ops;
extern constinit const map_ops percpu_hash_ops;
extern constinit const map_ops percpu_array_ops;
extern constinit const map_ops ringbuf_ops;
extern constinit const map_ops lru_hash_ops;
extern constinit const map_ops lru_percpu_hash_ops;
extern constinit const map_ops lpm_trie_ops;
extern constinit const map_ops queue_ops;
extern constinit const map_ops stack_ops;
extern constinit const map_ops array_of_maps_ops;
extern constinit const map_ops hash_of_maps_ops;
extern constinit const map_ops stack_trace_ops;
extern constinit const map_ops bloom_filter_ops;
extern constinit const map_ops user_ringbuf_ops;
extern constinit const map_ops cgroup_array_ops;
extern constinit const map_ops task_storage_ops;
extern constinit const map_ops cgrp_storage_ops;
extern constinit const map_ops inode_storage_ops;
extern constinit const map_ops sk_storage_ops;
extern constinit const map_ops arena_ops;

namespace {

constexpr const map_ops *table[] = {
    &hash_ops,      &array_ops,        &prog_array_ops,    &perf_event_array_ops, &percpu_hash_ops, &percpu_array_ops,
    &lru_hash_ops,  &lru_percpu_hash_ops, &lpm_trie_ops,   &array_of_maps_ops,    &hash_of_maps_ops, &queue_ops,
    &stack_ops,     &stack_trace_ops,  &bloom_filter_ops,  &ringbuf_ops,          &user_ringbuf_ops,
    &cgroup_array_ops, &task_storage_ops, &cgrp_storage_ops, &inode_storage_ops, &sk_storage_ops, &arena_ops,
};

}  // namespace

const map_ops *find_map_ops(u32 type) {
    for (const map_ops *ops : table)
        if (ops->type == type)
            return ops;
    for (const map_ops &ops : verify_only_map_ops())
        if (ops.type == type)
            return &ops;
    return nullptr;
}

span<const map_ops *const> all_map_ops() {
    return table;
}

}  // namespace modbpf
