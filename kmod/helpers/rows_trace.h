// SPDX-License-Identifier: GPL-2.0-only
// Rows of the helpers of tracing, LSM and syscall programs: memory reads, tasks, stacks, formatted output, files.
#pragma once

#include "helpers/rows.h"

namespace modbpf::helper_rows {

// clang-format off
inline constexpr row trace_rows[] = {
    {BPF_FUNC_probe_read, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl, tracing_progs, 0,
     bpf_probe_read},
    {BPF_FUNC_trace_printk, ret::integer, {const_mem, const_size}, gpl | traces, syscall, 0, bpf_trace_printk},
    {BPF_FUNC_trace_printk, ret::integer, {const_mem, const_size}, gpl | traces | perfmon, base_progs | lirc_mode2,
     0, bpf_trace_printk},
    row{BPF_FUNC_get_current_uid_gid, ret::integer, {}, 0, tracing_progs | cgroup_progs | sk_msg, 0,
     bpf_get_current_uid_gid}
     .passing_to(port_current_uid_gid),
    {BPF_FUNC_get_current_comm, ret::integer, {uninit_mem, const_size}, 0, tracing_progs | cgroup_progs, 0,
     bpf_get_current_comm},
    {BPF_FUNC_perf_event_read, ret::integer, {const_map_ptr, anything}, gpl, tracing_progs, perf_arrays,
     bpf_perf_event_read},
    {BPF_FUNC_perf_event_output, ret::integer, {ctx, const_map_ptr, anything, const_mem, const_size_or_zero}, gpl,
     tracing_progs | cgroup_progs | lwt_progs | tc_progs | socket_filter | xdp | cgroup_skb | sock_ops | sk_skb | sk_msg | sk_lookup,
     perf_arrays, bpf_perf_event_output},
    {BPF_FUNC_get_stackid, ret::integer, {ctx, const_map_ptr, anything}, 0, perf_event, stack_traces, bpf_get_stackid},
    row{BPF_FUNC_get_stackid, ret::integer, {ctx, const_map_ptr, anything}, gpl, kprobe, stack_traces, bpf_get_stackid}
     .sleeping(bpf_get_stackid_uprobe),
    {BPF_FUNC_get_stackid, ret::integer, {ctx, const_map_ptr, anything}, gpl, tracing_progs, stack_traces,
     bpf_get_stackid},
    {BPF_FUNC_get_current_task, ret::integer, {}, gpl, syscall, 0, bpf_get_current_task},
    {BPF_FUNC_get_current_task, ret::integer, {}, gpl | perfmon, base_progs, 0, bpf_get_current_task},
    {BPF_FUNC_probe_write_user, ret::integer, {anything, const_mem, const_size}, gpl | warns, tracing_progs, 0,
     bpf_probe_write_user},
    {BPF_FUNC_current_task_under_cgroup, ret::integer, {const_map_ptr, anything}, 0, tracing_progs | cgroup_progs,
     cgroup_arrays, bpf_current_task_under_cgroup},
    {BPF_FUNC_probe_read_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length, tracing_progs,
     0, bpf_probe_read_str},
    {BPF_FUNC_perf_event_read_value, ret::integer, {const_map_ptr, anything, uninit_mem, const_size}, gpl,
     tracing_progs, perf_arrays, bpf_perf_event_read_value},
    {BPF_FUNC_perf_prog_read_value, ret::integer, {ctx, uninit_mem, const_size}, gpl, perf_event, 0,
     bpf_perf_prog_read_value},
    {BPF_FUNC_override_return, ret::integer, {ctx, anything}, gpl, kprobe, 0, nullptr},
    row{BPF_FUNC_get_stack, ret::integer, {ctx, uninit_mem, const_size_or_zero, anything}, gpl | length, kprobe, 0, bpf_get_stack}
     .sleeping(bpf_get_stack_uprobe),
    {BPF_FUNC_get_stack, ret::integer, {ctx, uninit_mem, const_size_or_zero, anything}, gpl | length, tracepoint | perf_event, 0,
     bpf_get_stack},
    {BPF_FUNC_get_stack, ret::integer, {ctx, out_mem, const_size_or_zero, anything}, gpl | length, tracing_progs, 0,
     bpf_get_stack},
    {BPF_FUNC_get_current_cgroup_id, ret::integer, {}, bpf, base_progs, 0, bpf_get_current_cgroup_id},
    {BPF_FUNC_send_signal, ret::integer, {anything}, 0, tracing_progs, 0, bpf_send_signal},
    row{BPF_FUNC_skb_output, ret::integer, {btf_id, const_map_ptr, anything, const_mem, const_size_or_zero}, gpl,
     typed_progs, perf_arrays, nullptr}.typed({"sk_buff"}),
    {BPF_FUNC_probe_read_user, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl, syscall, 0,
     bpf_probe_read_user},
    {BPF_FUNC_probe_read_user, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon, base_progs,
     0, bpf_probe_read_user},
    {BPF_FUNC_probe_read_kernel, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl, syscall, 0,
     bpf_probe_read_kernel},
    {BPF_FUNC_probe_read_kernel, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | perfmon, base_progs,
     0, bpf_probe_read_kernel},
    {BPF_FUNC_probe_read_user_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length, syscall,
     0, bpf_probe_read_user_str},
    {BPF_FUNC_probe_read_user_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length | perfmon,
     base_progs, 0, bpf_probe_read_user_str},
    {BPF_FUNC_probe_read_kernel_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length, syscall,
     0, bpf_probe_read_kernel_str},
    {BPF_FUNC_probe_read_kernel_str, ret::integer, {uninit_mem, const_size_or_zero, anything}, gpl | length |
     perfmon, base_progs, 0, bpf_probe_read_kernel_str},
    {BPF_FUNC_send_signal_thread, ret::integer, {anything}, 0, tracing_progs, 0, bpf_send_signal_thread},
    {BPF_FUNC_read_branch_records, ret::integer, {ctx, out_mem | or_null, const_size_or_zero, anything}, gpl,
     perf_event, 0, bpf_read_branch_records},
    row{BPF_FUNC_xdp_output, ret::integer, {btf_id, const_map_ptr, anything, const_mem, const_size_or_zero}, gpl,
     typed_progs, perf_arrays, nullptr}.typed({"xdp_buff"}),
    {BPF_FUNC_get_current_ancestor_cgroup_id, ret::integer, {anything}, bpf, base_progs, 0, bpf_get_current_ancestor_cgroup_id},
    row{BPF_FUNC_seq_printf, ret::integer, {btf_id, const_mem, const_size, const_mem | or_null, const_size_or_zero},
     gpl, tracing, 0, bpf_seq_printf}.on(bit(BPF_TRACE_ITER)).typed({"seq_file"}),
    row{BPF_FUNC_seq_write, ret::integer, {btf_id, const_mem, const_size_or_zero}, gpl, tracing, 0, bpf_seq_write}
     .on(bit(BPF_TRACE_ITER)).typed({"seq_file"}),
    row{BPF_FUNC_get_task_stack, ret::integer, {btf_id, uninit_mem, const_size_or_zero, anything}, length,
     tracing_progs, 0, bpf_get_task_stack}.typed({"task_struct"}),
    row{BPF_FUNC_d_path, ret::integer, {btf_id, out_mem, const_size_or_zero}, 0, typed_progs, 0, bpf_d_path}
     .typed({"path"}).only(hook_rule::d_path),
    {BPF_FUNC_copy_from_user, ret::integer, {uninit_mem, const_size_or_zero, anything}, sleeps, tracing_progs, 0,
     bpf_copy_from_user},
    {BPF_FUNC_snprintf_btf, ret::integer, {out_mem, const_size, const_mem, const_size, anything}, shows, syscall, 0,
     bpf_snprintf_btf},
    {BPF_FUNC_snprintf_btf, ret::integer, {out_mem, const_size, const_mem, const_size, anything}, shows | perfmon,
     base_progs, 0, bpf_snprintf_btf},
    row{BPF_FUNC_seq_printf_btf, ret::integer, {btf_id, const_mem, const_size_or_zero, anything}, gpl | shows, tracing, 0,
     bpf_seq_printf_btf}.on(bit(BPF_TRACE_ITER)).typed({"seq_file"}),
    row{BPF_FUNC_get_current_task_btf, ret::btf_id | type_flag::trusted, {}, gpl, syscall, 0, bpf_get_current_task}
     .gives("task_struct"),
    row{BPF_FUNC_get_current_task_btf, ret::btf_id | type_flag::trusted, {}, gpl | perfmon, base_progs, 0, bpf_get_current_task}
     .gives("task_struct"),
    row{BPF_FUNC_bprm_opts_set, ret::integer, {btf_id, anything}, 0, lsm, 0, nullptr}.typed({"linux_binprm"}),
    row{BPF_FUNC_ima_inode_hash, ret::integer, {btf_id, uninit_mem, const_size}, sleeps, lsm, 0, nullptr}
     .typed({"inode"}).only(hook_rule::sleepable_lsm),
    {BPF_FUNC_snprintf, ret::integer, {out_mem | or_null, const_size_or_zero, const_str, const_mem | or_null,
     const_size_or_zero}, gpl | format, syscall, 0, bpf_snprintf},
    {BPF_FUNC_snprintf, ret::integer, {out_mem | or_null, const_size_or_zero, const_str, const_mem | or_null,
     const_size_or_zero}, gpl | format | perfmon, base_progs, 0, bpf_snprintf},
    // Commands write into their attributes: in Linux also into those that lie in a map which programs take for constant.
    {BPF_FUNC_sys_bpf, ret::integer, {anything, out_mem, const_size}, sleeps | perfmon, syscall, 0, bpf_sys_bpf},
    {BPF_FUNC_btf_find_by_name_kind, ret::integer, {const_mem, const_size, anything, anything}, sleeps, syscall, 0,
     bpf_btf_find_by_name_kind},
    {BPF_FUNC_sys_close, ret::integer, {anything}, sleeps, syscall, 0, bpf_sys_close},
    row{BPF_FUNC_get_func_ip, ret::integer, {ctx}, gpl | func_ip, kprobe, 0, bpf_get_func_ip}.on(~multi_hooks)
     .sleeping(bpf_get_func_ip_uprobe),
    row{BPF_FUNC_get_func_ip, ret::integer, {ctx}, func_ip, kprobe, 0, bpf_get_func_ip}.on(multi_hooks)
     .sleeping(bpf_get_func_ip_uprobe),
    {BPF_FUNC_get_func_ip, ret::integer, {ctx}, gpl | func_ip, tracepoint | raw_tracepoint, 0, bpf_get_func_ip},
    {BPF_FUNC_get_func_ip, ret::integer, {ctx}, gpl | func_ip, tracing_progs, 0, bpf_get_func_ip_traced},
    row{BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, tracing, 0, bpf_get_attach_cookie}.on(bit(BPF_TRACE_RAW_TP)),
    row{BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, tracing, 0, bpf_get_attach_cookie_traced}
     .on(bit(BPF_TRACE_FENTRY) | bit(BPF_TRACE_FEXIT) | bit(BPF_MODIFY_RETURN)),
    row{BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, lsm, 0, bpf_get_attach_cookie_traced}.on(bit(BPF_LSM_MAC)),
    {BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, raw_tracepoint_writable, 0, nullptr},
    row{BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, kprobe, 0, bpf_get_attach_cookie}
     .sleeping(bpf_get_attach_cookie_uprobe),
    {BPF_FUNC_get_attach_cookie, ret::integer, {ctx}, cookie, perf_event | tracepoint | raw_tracepoint, 0,
     bpf_get_attach_cookie},
    row{BPF_FUNC_task_pt_regs, ret::btf_id, {btf_id}, gpl, syscall, 0, bpf_task_pt_regs}.typed({"task_struct"})
     .gives("pt_regs"),
    row{BPF_FUNC_task_pt_regs, ret::btf_id, {btf_id}, gpl | perfmon, base_progs, 0, bpf_task_pt_regs}.typed({"task_struct"})
     .gives("pt_regs"),
    {BPF_FUNC_get_branch_snapshot, ret::integer, {uninit_mem, const_size_or_zero}, gpl, tracing_progs, 0, nullptr},
    {BPF_FUNC_trace_vprintk, ret::integer, {const_mem, const_size, const_mem | or_null, const_size_or_zero}, gpl |
     traces, syscall, 0, bpf_trace_vprintk},
    {BPF_FUNC_trace_vprintk, ret::integer, {const_mem, const_size, const_mem | or_null, const_size_or_zero}, gpl |
     traces | perfmon, base_progs, 0, bpf_trace_vprintk},
    {BPF_FUNC_kallsyms_lookup_name, ret::integer, {mem, const_size_or_zero, anything, uninit_u64}, 0, syscall, 0,
     bpf_kallsyms_lookup_name},
    row{BPF_FUNC_find_vma, ret::integer, {btf_id, anything, func, stack | or_null, anything}, calls_back,
     tracing_progs, 0, bpf_find_vma}.typed({"task_struct"}),
    row{BPF_FUNC_get_func_arg, ret::integer, {ctx, anything, uninit_u64}, 0, tracing, 0, bpf_get_func_arg}
     .on(bit(BPF_TRACE_FENTRY) | bit(BPF_TRACE_FEXIT) | bit(BPF_MODIFY_RETURN)),
    row{BPF_FUNC_get_func_arg, ret::integer, {ctx, anything, uninit_u64}, 0, lsm, 0, bpf_get_func_arg}.on(bit(BPF_LSM_MAC)),
    row{BPF_FUNC_get_func_ret, ret::integer, {ctx, uninit_u64}, 0, tracing, 0, bpf_get_func_ret}.on(bit(BPF_TRACE_FEXIT) |
     bit(BPF_MODIFY_RETURN)),
    row{BPF_FUNC_get_func_ret, ret::integer, {ctx, uninit_u64}, 0, tracing, 0, bpf_get_func_ret_at_entry}.on(bit(BPF_TRACE_FENTRY)),
    row{BPF_FUNC_get_func_ret, ret::integer, {ctx, uninit_u64}, 0, lsm, 0, bpf_get_func_ret_at_entry}.on(bit(BPF_LSM_MAC)),
    row{BPF_FUNC_get_func_arg_cnt, ret::integer, {ctx}, 0, tracing, 0, bpf_get_func_arg_cnt}.on(bit(BPF_TRACE_FENTRY) |
     bit(BPF_TRACE_FEXIT) | bit(BPF_MODIFY_RETURN)),
    row{BPF_FUNC_get_func_arg_cnt, ret::integer, {ctx}, 0, lsm, 0, bpf_get_func_arg_cnt}.on(bit(BPF_LSM_MAC)),
    row{BPF_FUNC_copy_from_user_task, ret::integer, {uninit_mem, const_size_or_zero, anything, btf_id, anything},
     gpl | sleeps, tracing_progs, 0, bpf_copy_from_user_task}.typed({nullptr, nullptr, nullptr, "task_struct"}),
    row{BPF_FUNC_ima_file_hash, ret::integer, {btf_id, uninit_mem, const_size}, sleeps, lsm, 0, nullptr}
     .typed({"file"}).only(hook_rule::sleepable_lsm),
};
// clang-format on

}  // namespace modbpf::helper_rows
