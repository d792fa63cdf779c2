// SPDX-License-Identifier: GPL-2.0-only
// The helper functions themselves, one file a family; helpers/table.cpp gives each its prototype.
//
// All have the type of helper_fn: five 64-bit argument words in, one out; an argument that Linux declares narrower is
// cut on entry, so that its upper half never matters. Contexts: any (also NMI); preemption is off and an RCU read
// section is open. They neither sleep nor allocate.
#pragma once

#include "base/types.h"

namespace modbpf {

#define MODBPF_HELPER(name) u64 bpf_##name(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)

// map.cpp
MODBPF_HELPER(map_lookup_elem);
MODBPF_HELPER(map_update_elem);
MODBPF_HELPER(map_delete_elem);
MODBPF_HELPER(map_push_elem);
MODBPF_HELPER(map_pop_elem);
MODBPF_HELPER(map_peek_elem);
MODBPF_HELPER(map_lookup_percpu_elem);
// seq.cpp
MODBPF_HELPER(seq_write);
// spin_lock.cpp
MODBPF_HELPER(spin_lock);
MODBPF_HELPER(spin_unlock);
// async.cpp
MODBPF_HELPER(timer_init);
MODBPF_HELPER(timer_set_callback);
MODBPF_HELPER(timer_start);
MODBPF_HELPER(timer_cancel);
// object.cpp
MODBPF_HELPER(kptr_xchg);
MODBPF_HELPER(per_cpu_ptr);
MODBPF_HELPER(this_cpu_ptr);
// probe.cpp
MODBPF_HELPER(probe_read);
MODBPF_HELPER(probe_read_str);
MODBPF_HELPER(probe_read_user);
MODBPF_HELPER(probe_read_kernel);
MODBPF_HELPER(probe_read_user_str);
MODBPF_HELPER(probe_read_kernel_str);
// time.cpp
MODBPF_HELPER(ktime_get_ns);
MODBPF_HELPER(ktime_get_boot_ns);
MODBPF_HELPER(ktime_get_coarse_ns);
MODBPF_HELPER(ktime_get_tai_ns);
MODBPF_HELPER(jiffies64);
// task.cpp
MODBPF_HELPER(get_prandom_u32);
MODBPF_HELPER(get_smp_processor_id);
MODBPF_HELPER(get_numa_node_id);
MODBPF_HELPER(get_current_pid_tgid);
MODBPF_HELPER(get_current_uid_gid);
MODBPF_HELPER(get_current_comm);
MODBPF_HELPER(get_current_task);
// loop.cpp
MODBPF_HELPER(loop);
MODBPF_HELPER(for_each_map_elem);
MODBPF_HELPER(user_ringbuf_drain);
// task_access.cpp
MODBPF_HELPER(get_current_cgroup_id);
MODBPF_HELPER(get_current_ancestor_cgroup_id);
MODBPF_HELPER(send_signal);
MODBPF_HELPER(send_signal_thread);
MODBPF_HELPER(probe_write_user);
MODBPF_HELPER(copy_from_user);
MODBPF_HELPER(copy_from_user_task);
MODBPF_HELPER(task_pt_regs);
MODBPF_HELPER(get_ns_current_pid_tgid);
MODBPF_HELPER(current_task_under_cgroup);
MODBPF_HELPER(skb_under_cgroup);
// storage.cpp
MODBPF_HELPER(task_storage_get);
MODBPF_HELPER(task_storage_delete);
MODBPF_HELPER(cgrp_storage_get);
MODBPF_HELPER(cgrp_storage_delete);
MODBPF_HELPER(inode_storage_get);
MODBPF_HELPER(inode_storage_delete);
MODBPF_HELPER(sk_storage_get);
MODBPF_HELPER(sk_storage_delete);
MODBPF_HELPER(sk_storage_get_tracing);
MODBPF_HELPER(sk_storage_delete_tracing);
// string.cpp
MODBPF_HELPER(strncmp);
MODBPF_HELPER(strtol);
MODBPF_HELPER(strtoul);
// show.cpp
MODBPF_HELPER(snprintf_btf);
MODBPF_HELPER(seq_printf_btf);
// trace.cpp
MODBPF_HELPER(trace_printk);
MODBPF_HELPER(trace_vprintk);
MODBPF_HELPER(seq_printf);
MODBPF_HELPER(snprintf);
// stack.cpp
MODBPF_HELPER(get_stackid);
MODBPF_HELPER(get_stack);
MODBPF_HELPER(get_stackid_uprobe);
MODBPF_HELPER(get_stack_uprobe);
MODBPF_HELPER(get_task_stack);
// syscall.cpp
MODBPF_HELPER(sys_bpf);
MODBPF_HELPER(sys_close);
MODBPF_HELPER(btf_find_by_name_kind);
MODBPF_HELPER(kallsyms_lookup_name);
// vma.cpp
MODBPF_HELPER(find_vma);
// path.cpp
MODBPF_HELPER(d_path);
// perf.cpp
MODBPF_HELPER(perf_event_output);
MODBPF_HELPER(perf_event_read);
MODBPF_HELPER(perf_event_read_value);
MODBPF_HELPER(perf_prog_read_value);
MODBPF_HELPER(read_branch_records);
// ringbuf.cpp
MODBPF_HELPER(ringbuf_output);
MODBPF_HELPER(ringbuf_reserve);
MODBPF_HELPER(ringbuf_submit);
MODBPF_HELPER(ringbuf_discard);
MODBPF_HELPER(ringbuf_query);
// tail.cpp
MODBPF_HELPER(tail_call);
// attach.cpp
MODBPF_HELPER(get_func_ip);
MODBPF_HELPER(get_func_ip_traced);
MODBPF_HELPER(get_attach_cookie_traced);
MODBPF_HELPER(get_func_arg);
MODBPF_HELPER(get_func_arg_cnt);
MODBPF_HELPER(get_func_ret);
MODBPF_HELPER(get_func_ret_at_entry);
MODBPF_HELPER(get_attach_cookie);
MODBPF_HELPER(get_func_ip_uprobe);
MODBPF_HELPER(get_attach_cookie_uprobe);
// dynptr.cpp
MODBPF_HELPER(dynptr_from_mem);
MODBPF_HELPER(dynptr_read);
MODBPF_HELPER(dynptr_write);
MODBPF_HELPER(dynptr_data);
MODBPF_HELPER(ringbuf_reserve_dynptr);
MODBPF_HELPER(ringbuf_submit_dynptr);
MODBPF_HELPER(ringbuf_discard_dynptr);
// packet_edit.cpp
MODBPF_HELPER(skb_store_bytes);
MODBPF_HELPER(l3_csum_replace);
MODBPF_HELPER(l4_csum_replace);
MODBPF_HELPER(csum_update);
MODBPF_HELPER(set_hash_invalid);
MODBPF_HELPER(set_hash);
MODBPF_HELPER(skb_change_type);
MODBPF_HELPER(skb_change_tail);
MODBPF_HELPER(skb_change_head);
MODBPF_HELPER(sk_fullsock);
MODBPF_HELPER(tcp_sock);
MODBPF_HELPER(get_listener_sock);
// packet.cpp
MODBPF_HELPER(csum_diff);
MODBPF_HELPER(skb_load_bytes);
MODBPF_HELPER(skb_load_bytes_relative);
MODBPF_HELPER(skb_pull_data);
MODBPF_HELPER(xdp_get_buff_len);
MODBPF_HELPER(xdp_load_bytes);
MODBPF_HELPER(xdp_store_bytes);
MODBPF_HELPER(xdp_adjust_head);
MODBPF_HELPER(xdp_adjust_meta);
MODBPF_HELPER(xdp_adjust_tail);

/// A negative errno as the value of r0.
constexpr u64 helper_errno(long e) {
    return static_cast<u64>(static_cast<s64>(e));
}
/// The same, of a helper whose `n` bytes at dst were given to it uninitialised: the program may read them, whatever happened.
inline u64 failed_read(u64 dst, u32 n, long e) {
    memset(ptr_of(dst), 0, n);
    return helper_errno(e);
}

}  // namespace modbpf
