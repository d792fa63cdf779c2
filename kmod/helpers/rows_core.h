// SPDX-License-Identifier: GPL-2.0-only
// Rows of the helpers that every program type may call, or that work on maps, time, locks, timers, dynptrs and storage.
#pragma once

#include "helpers/rows.h"

namespace modbpf::helper_rows {

// clang-format off
inline constexpr row core_rows[] = {
    {BPF_FUNC_map_lookup_elem, ret::map_value_or_null, {const_map_ptr, map_key}, pkt | acquires_sock, base_progs |
     lirc_mode2, lookup_maps, bpf_map_lookup_elem},
    row{BPF_FUNC_map_update_elem, ret::integer, {const_map_ptr, map_key, map_value, anything}, pkt | writes, tracing,
     element_maps | sock_maps, bpf_map_update_elem}.on(bit(BPF_TRACE_ITER)),
    {BPF_FUNC_map_update_elem, ret::integer, {const_map_ptr, map_key, map_value, anything}, pkt | writes, tc_progs |
     socket_filter | xdp | sk_reuseport | flow_dissector | sk_lookup, element_maps | sock_maps, bpf_map_update_elem},
    {BPF_FUNC_map_update_elem, ret::integer, {const_map_ptr, map_key, map_value, anything}, pkt | writes,
     base_progs | lirc_mode2, element_maps, bpf_map_update_elem},
    row{BPF_FUNC_map_delete_elem, ret::integer, {const_map_ptr, map_key}, pkt | writes, tracing, element_maps |
     sock_maps, bpf_map_delete_elem}.on(bit(BPF_TRACE_ITER)),
    {BPF_FUNC_map_delete_elem, ret::integer, {const_map_ptr, map_key}, pkt | writes, tc_progs | socket_filter | xdp |
     sock_ops | sk_reuseport | flow_dissector | sk_lookup, element_maps | sock_maps, bpf_map_delete_elem},
    {BPF_FUNC_map_delete_elem, ret::integer, {const_map_ptr, map_key}, pkt | writes, base_progs | lirc_mode2,
     element_maps, bpf_map_delete_elem},
    row{BPF_FUNC_ktime_get_ns, ret::integer, {}, 0, base_progs | lirc_mode2, 0, bpf_ktime_get_ns}
     .passing_to(port_ktime_ns),
    row{BPF_FUNC_get_prandom_u32, ret::integer, {}, 0, base_progs | lirc_mode2, 0, bpf_get_prandom_u32}
     .passing_to(port_random_u32),
    {BPF_FUNC_get_smp_processor_id, ret::integer, {}, cpu, cgroup_progs | socket_filter | cgroup_skb | sock_ops |
     sk_skb | sk_msg | sk_reuseport | flow_dissector | struct_ops | sk_lookup | netfilter, 0,
     bpf_get_smp_processor_id},
    {BPF_FUNC_get_smp_processor_id, ret::integer, {}, fastcall | cpu, base_progs, 0, bpf_get_smp_processor_id},
    {BPF_FUNC_tail_call, ret::none, {ctx, const_map_ptr, anything}, tail, base_progs | lirc_mode2, prog_arrays,
     bpf_tail_call},
    {BPF_FUNC_get_current_pid_tgid, ret::integer, {}, 0, base_progs, 0, bpf_get_current_pid_tgid},
    {BPF_FUNC_get_numa_node_id, ret::integer, {}, 0, base_progs, 0, bpf_get_numa_node_id},
    row{BPF_FUNC_get_local_storage, ret::map_value, {const_map_ptr, anything}, zero_flags, lsm, attached_storages,
     nullptr}.on(bit(BPF_LSM_CGROUP)),
    {BPF_FUNC_get_local_storage, ret::map_value, {const_map_ptr, anything}, zero_flags, cgroup_progs | cgroup_skb |
     sock_ops, attached_storages, nullptr},
    {BPF_FUNC_map_push_elem, ret::integer, {const_map_ptr, map_value, anything}, pkt | writes, base_progs |
     lirc_mode2, queue_or_bloom, bpf_map_push_elem},
    {BPF_FUNC_map_pop_elem, ret::integer, {const_map_ptr, uninit_map_value}, writes, base_progs | lirc_mode2,
     queue_maps, bpf_map_pop_elem},
    {BPF_FUNC_map_peek_elem, ret::integer, {const_map_ptr, uninit_map_value}, 0, base_progs | lirc_mode2,
     queue_or_bloom, bpf_map_peek_elem},
    {BPF_FUNC_spin_lock, ret::none, {spin_lock}, bpf, base_progs, 0, bpf_spin_lock},
    {BPF_FUNC_spin_unlock, ret::none, {spin_lock}, unlocks | bpf, base_progs, 0,
     bpf_spin_unlock},
    {BPF_FUNC_strtol, ret::integer, {const_mem, const_size, anything, uninit_u64}, 0, base_progs, 0, bpf_strtol},
    {BPF_FUNC_strtoul, ret::integer, {const_mem, const_size, anything, uninit_u64}, 0, base_progs, 0, bpf_strtoul},
    {BPF_FUNC_jiffies64, ret::integer, {}, bpf, base_progs, 0, bpf_jiffies64},
    {BPF_FUNC_get_ns_current_pid_tgid, ret::integer, {anything, anything, uninit_mem, const_size}, 0, base_progs, 0,
     bpf_get_ns_current_pid_tgid},
    row{BPF_FUNC_ktime_get_boot_ns, ret::integer, {}, 0, base_progs | lirc_mode2, 0, bpf_ktime_get_boot_ns}
     .passing_to(port_ktime_boot_ns),
    {BPF_FUNC_ringbuf_output, ret::integer, {const_map_ptr, const_mem, const_size_or_zero, anything}, 0, base_progs,
     ringbufs, bpf_ringbuf_output},
    {BPF_FUNC_ringbuf_reserve, ret::alloc_mem_or_null, {const_map_ptr, const_alloc_size_or_zero, anything}, acquires,
     base_progs, ringbufs, bpf_ringbuf_reserve},
    {BPF_FUNC_ringbuf_submit, ret::none, {alloc_mem, anything}, 0, base_progs, 0, bpf_ringbuf_submit},
    {BPF_FUNC_ringbuf_discard, ret::none, {alloc_mem, anything}, 0, base_progs, 0, bpf_ringbuf_discard},
    {BPF_FUNC_ringbuf_query, ret::integer, {const_map_ptr, anything}, 0, base_progs, ringbufs, bpf_ringbuf_query},
    row{BPF_FUNC_inode_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id | or_null, map_value | or_null,
     anything}, storage, lsm, inode_storages, bpf_inode_storage_get}.typed({nullptr, "inode"}),
    row{BPF_FUNC_inode_storage_delete, ret::integer, {const_map_ptr, btf_id | or_null}, 0, lsm, inode_storages,
     bpf_inode_storage_delete}.typed({nullptr, "inode"}),
    {BPF_FUNC_per_cpu_ptr, ret::mem_or_btf_id | read_only | or_null, {percpu_btf_id, anything}, percpu | bpf,
     base_progs, 0, bpf_per_cpu_ptr},
    {BPF_FUNC_this_cpu_ptr, ret::mem_or_btf_id | read_only, {percpu_btf_id}, percpu | bpf, base_progs, 0,
     bpf_this_cpu_ptr},
    row{BPF_FUNC_task_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id | or_null, map_value | or_null,
     anything}, storage, struct_ops, task_storages, bpf_task_storage_get}.on(as(struct_ops_kind::sched_ext)).typed({nullptr,
     "task_struct"}),
    row{BPF_FUNC_task_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id | or_null, map_value | or_null,
     anything}, storage, tracing_progs, task_storages, bpf_task_storage_get}.typed({nullptr, "task_struct"}),
    row{BPF_FUNC_task_storage_delete, ret::integer, {const_map_ptr, btf_id | or_null}, 0, struct_ops, task_storages,
     bpf_task_storage_delete}.on(as(struct_ops_kind::sched_ext)).typed({nullptr, "task_struct"}),
    row{BPF_FUNC_task_storage_delete, ret::integer, {const_map_ptr, btf_id | or_null}, 0, tracing_progs,
     task_storages, bpf_task_storage_delete}.typed({nullptr, "task_struct"}),
    row{BPF_FUNC_ktime_get_coarse_ns, ret::integer, {}, 0, struct_ops, 0, bpf_ktime_get_coarse_ns}
     .on(as(struct_ops_kind::tcp) | as(struct_ops_kind::tcp_release)),
    {BPF_FUNC_ktime_get_coarse_ns, ret::integer, {}, 0, sock_progs | cgroup_sock | sk_reuseport | cgroup_sysctl, 0,
     bpf_ktime_get_coarse_ns},
    {BPF_FUNC_for_each_map_elem, ret::integer, {const_map_ptr, func, stack | or_null, anything}, calls_back | bpf,
     base_progs, element_maps, bpf_for_each_map_elem},
    {BPF_FUNC_timer_init, ret::integer, {timer, const_map_ptr, anything}, gpl | bpf, base_progs, element_maps,
     bpf_timer_init},
    {BPF_FUNC_timer_set_callback, ret::integer, {timer, func}, gpl | calls_later | bpf, base_progs, element_maps,
     bpf_timer_set_callback},
    {BPF_FUNC_timer_start, ret::integer, {timer, anything, anything}, gpl | bpf, base_progs, element_maps,
     bpf_timer_start},
    {BPF_FUNC_timer_cancel, ret::integer, {timer}, gpl | bpf, base_progs, element_maps, bpf_timer_cancel},
    {BPF_FUNC_loop, ret::integer, {number, func, stack | or_null, anything}, calls_back | bpf, base_progs, 0,
     bpf_loop},
    {BPF_FUNC_strncmp, ret::integer, {const_mem, const_size, const_str}, 0, base_progs, 0, bpf_strncmp},
    {BPF_FUNC_kptr_xchg, ret::btf_id | or_null, {kptr, btf_id | or_null | releases}, acquires | bpf, base_progs,
     kptr_maps, bpf_kptr_xchg},
    {BPF_FUNC_map_lookup_percpu_elem, ret::map_value_or_null, {const_map_ptr, map_key, anything}, pkt, base_progs,
     percpu_maps, bpf_map_lookup_percpu_elem},
    {BPF_FUNC_dynptr_from_mem, ret::integer, {uninit_mem, const_size_or_zero, anything, dynptr | fresh |
     type_flag::dynptr_local}, value_data | bpf, base_progs, 0, bpf_dynptr_from_mem},
    {BPF_FUNC_ringbuf_reserve_dynptr, ret::integer, {const_map_ptr, anything, anything, dynptr | fresh |
     type_flag::dynptr_ringbuf}, bpf, base_progs, ringbufs, bpf_ringbuf_reserve_dynptr},
    {BPF_FUNC_ringbuf_submit_dynptr, ret::none, {dynptr | type_flag::dynptr_ringbuf | releases, anything}, bpf,
     base_progs, 0, bpf_ringbuf_submit_dynptr},
    {BPF_FUNC_ringbuf_discard_dynptr, ret::none, {dynptr | type_flag::dynptr_ringbuf | releases, anything}, bpf,
     base_progs, 0, bpf_ringbuf_discard_dynptr},
    {BPF_FUNC_dynptr_read, ret::integer, {uninit_mem, const_size_or_zero, dynptr | read_only, anything, anything},
     bpf, base_progs, 0, bpf_dynptr_read},
    {BPF_FUNC_dynptr_write, ret::integer, {dynptr | read_only, anything, const_mem, const_size_or_zero, anything},
     writes_data | bpf, base_progs, 0, bpf_dynptr_write},
    {BPF_FUNC_dynptr_data, ret::slice_or_null, {dynptr | read_only, anything, const_alloc_size_or_zero},
     slices | bpf, base_progs, 0, bpf_dynptr_data},
    row{BPF_FUNC_ktime_get_tai_ns, ret::integer, {}, 0, base_progs, 0, bpf_ktime_get_tai_ns}
     .passing_to(port_ktime_tai_ns),
    {BPF_FUNC_user_ringbuf_drain, ret::integer, {const_map_ptr, func, stack | or_null, anything}, calls_back | bpf,
     base_progs, user_ringbufs, bpf_user_ringbuf_drain},
    row{BPF_FUNC_cgrp_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id | or_null, map_value | or_null,
     anything}, storage | bpf, base_progs, cgroup_storages, bpf_cgrp_storage_get}.typed({nullptr, "cgroup"}),
    row{BPF_FUNC_cgrp_storage_delete, ret::integer, {const_map_ptr, btf_id | or_null}, bpf, base_progs,
     cgroup_storages, bpf_cgrp_storage_delete}.typed({nullptr, "cgroup"}),
};
// clang-format on

}  // namespace modbpf::helper_rows
