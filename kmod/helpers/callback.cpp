// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/callback.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

using enum callback_arg;

constexpr u64 element_maps = bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_HASH) |
                             bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_LRU_HASH) | bit(BPF_MAP_TYPE_LRU_PERCPU_HASH);

constexpr callback_proto table[] = {
    {.helper = BPF_FUNC_for_each_map_elem, .args = {r1, map_key, map_value, r3}, .map_types = element_maps},
    {.helper = BPF_FUNC_timer_set_callback, .args = {map, map_key, map_value}, .async = true, .ret_max = 0},
    {.helper = BPF_FUNC_find_vma, .args = {r1, vma, r4}, .atomic = true}, // the address space stays locked, and preemption off
    {.helper = BPF_FUNC_loop, .args = {number, r3}, .counted = true},
    {.helper = BPF_FUNC_user_ringbuf_drain, .args = {dynptr, r3}},
};

constexpr callback_proto kfunc_table[] = {
    {.helper = 0, .args = {graph_node, graph_node}, .name = "bpf_rbtree_add_impl"},
    {.helper = 0, .args = {map, map_key, map_value}, .async = true, .ret_max = 0, .may_sleep = true, .name = "bpf_wq_set_callback_impl"},
};

}  // namespace

const callback_proto *find_callback(const char *kfunc) {
    for (const callback_proto &c : kfunc_table)
        if (!strcmp(c.name, kfunc))
            return &c;
    return nullptr;
}

const callback_proto *find_callback(u32 helper) {
    for (const callback_proto &c : table)
        if (c.helper == helper)
            return &c;
    return nullptr;
}

}  // namespace modbpf
