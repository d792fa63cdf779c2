// SPDX-License-Identifier: GPL-2.0-only
// See btf_lists.h. The names are those of Linux 6.12's own lists, as its stock builds have them.
#include "verifier/btf_lists.h"

#include "base/types.h"

namespace modbpf {

namespace {

constexpr struct {
    const char *structure, *field, *target;
    field_trust trust;
} trusted_fields[] = {
    {"task_struct", "cpus_ptr", "cpumask", field_trust::rcu},
    {"task_struct", "cgroups", "css_set", field_trust::rcu},
    {"task_struct", "real_parent", "task_struct", field_trust::rcu},
    {"task_struct", "group_leader", "task_struct", field_trust::rcu},
    {"cgroup", "kn", "kernfs_node", field_trust::rcu},
    {"css_set", "dfl_cgrp", "cgroup", field_trust::rcu},
    {"mm_struct", "exe_file", "file", field_trust::rcu_or_null},
    {"sk_buff", "sk", "sock", field_trust::rcu_or_null},
    {"request_sock", "sk", "sock", field_trust::rcu_or_null},
    {"bpf_iter_meta", "seq", "seq_file", field_trust::trusted},
    {"bpf_iter__task", "meta", "bpf_iter_meta", field_trust::trusted},
    {"bpf_iter__task", "task", "task_struct", field_trust::trusted},
    {"linux_binprm", "file", "file", field_trust::trusted},
    {"file", "f_inode", "inode", field_trust::trusted},
    {"dentry", "d_inode", "inode", field_trust::plain}, // a negative one has none
    {"socket", "sk", "sock", field_trust::trusted_or_null},
};

constexpr const char *tcp_ca = "tcp_congestion_ops";
constexpr writable_field fields_to_write[] = {
    {BPF_PROG_TYPE_SCHED_CLS, nullptr, "nf_conn", "nf_conn", "mark"},
    {BPF_PROG_TYPE_SCHED_CLS, nullptr, "nf_conn___init", "nf_conn", "mark"},
    {BPF_PROG_TYPE_SCHED_ACT, nullptr, "nf_conn", "nf_conn", "mark"},
    {BPF_PROG_TYPE_SCHED_ACT, nullptr, "nf_conn___init", "nf_conn", "mark"},
    {BPF_PROG_TYPE_XDP, nullptr, "nf_conn", "nf_conn", "mark"},
    {BPF_PROG_TYPE_XDP, nullptr, "nf_conn___init", "nf_conn", "mark"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "sock", "sk_pacing_rate"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "sock", "sk_pacing_status"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "inet_connection_sock", "icsk_ca_priv", true},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "inet_connection_sock", "icsk_ack.pending"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "snd_cwnd"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "snd_cwnd_cnt"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "snd_cwnd_stamp"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "snd_ssthresh"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "ecn_flags"},
    {BPF_PROG_TYPE_STRUCT_OPS, tcp_ca, "tcp_sock", "tcp_sock", "app_limited"},
    {BPF_PROG_TYPE_STRUCT_OPS, "bpf_testmod_st_ops", "st_ops_args", "st_ops_args", nullptr, true},
    {BPF_PROG_TYPE_STRUCT_OPS, "bpf_dummy_ops", "bpf_dummy_ops_state", "bpf_dummy_ops_state", nullptr, true},
};

// clang-format off
constexpr raw_tp_args_info raw_tp_args[] = {
    {"afs_flock_ev", 0x2, 0x0}, {"afs_make_fs_call", 0x2, 0x0}, {"afs_make_fs_call1", 0x2, 0x0},
    {"afs_make_fs_call2", 0x2, 0x0}, {"afs_make_fs_calli", 0x2, 0x0}, {"afs_protocol_error", 0x1, 0x0},
    {"bpf_testmod_test_read", 0x0, 0x0}, {"break_lease_block", 0x2, 0x0}, {"break_lease_noblock", 0x2, 0x0},
    {"break_lease_unblock", 0x2, 0x0}, {"cachefiles_io_error", 0x1, 0x0}, {"cachefiles_lookup", 0x1, 0x4},
    {"cachefiles_mark_active", 0x1, 0x0}, {"cachefiles_mark_failed", 0x1, 0x0}, {"cachefiles_mark_inactive", 0x1, 0x0},
    {"cachefiles_ondemand_close", 0x1, 0x0}, {"cachefiles_ondemand_copen", 0x1, 0x0},
    {"cachefiles_ondemand_cread", 0x1, 0x0}, {"cachefiles_ondemand_fd_release", 0x1, 0x0},
    {"cachefiles_ondemand_fd_write", 0x1, 0x0}, {"cachefiles_ondemand_open", 0x1, 0x0},
    {"cachefiles_ondemand_read", 0x1, 0x0}, {"cachefiles_prep_read", 0x1, 0x0}, {"cachefiles_rename", 0x1, 0x0},
    {"cachefiles_unlink", 0x1, 0x0}, {"cachefiles_vfs_error", 0x1, 0x0}, {"device_pm_callback_start", 0x2, 0x0},
    {"ext4_mballoc_discard", 0x2, 0x0}, {"ext4_mballoc_free", 0x2, 0x0}, {"fcntl_setlk", 0x2, 0x0},
    {"fib_table_lookup", 0x4, 0x0}, {"flock_lock_inode", 0x2, 0x0}, {"folio_wait_writeback", 0x2, 0x0},
    {"generic_delete_lease", 0x2, 0x0}, {"host1x_cdma_push_gather", 0x10, 0x0}, {"kfree_skb", 0x8, 0x0},
    {"locks_remove_posix", 0x2, 0x0}, {"mm_collapse_huge_page_isolate", 0x1, 0x0}, {"mm_khugepaged_collapse_file", 0x2, 0x0},
    {"mm_khugepaged_scan_file", 0x2, 0x0}, {"mm_khugepaged_scan_pmd", 0x2, 0x0}, {"mm_page_alloc", 0x1, 0x0},
    {"mm_page_alloc_zone_locked", 0x1, 0x0}, {"mm_page_pcpu_drain", 0x1, 0x0}, {"mr_integ_alloc", 0x0, 0x8},
    {"netfs_failure", 0x2, 0x0}, {"posix_lock_inode", 0x2, 0x0}, {"qdisc_dequeue", 0x8, 0x0}, {"rxrpc_recvdata", 0x1, 0x0},
    {"rxrpc_resend", 0x2, 0x0}, {"sched_pi_setprio", 0x2, 0x0}, {"sched_process_wait", 0x1, 0x0},
    {"sched_stick_numa", 0x4, 0x0}, {"sched_swap_numa", 0x4, 0x0}, {"signal_deliver", 0x0, 0x2},
    {"signal_generate", 0x0, 0x2}, {"tcp_send_reset", 0x3, 0x0}, {"tegra_dma_tx_status", 0x4, 0x0},
    {"time_out_leases", 0x2, 0x0}, {"tmigr_update_events", 0x1, 0x0}, {"writeback_dirty_folio", 0x2, 0x0},
    {"xprt_get_cong", 0x2, 0x0}, {"xprt_put_cong", 0x2, 0x0}, {"xprt_release_cong", 0x2, 0x0},
    {"xprt_reserve_cong", 0x2, 0x0}, {"xs_stream_read_data", 0x1, 0x0},
};

/// Without "bpf_lsm_".
constexpr const char *sleepable_hooks[] = {
    "bpf", "bpf_map", "bpf_map_create", "bpf_map_free", "bpf_prog", "bpf_prog_load", "bpf_token_create", "bpf_token_free",
    "bpf_token_cmd", "bpf_token_capable", "bprm_check_security", "bprm_committed_creds", "bprm_committing_creds",
    "bprm_creds_for_exec", "bprm_creds_from_file", "capget", "capset", "cred_prepare", "file_ioctl", "file_lock",
    "file_open", "file_post_open", "file_receive", "inode_create", "inode_free_security", "inode_getattr", "inode_getxattr",
    "inode_mknod", "inode_need_killpriv", "inode_post_setxattr", "inode_readlink", "inode_rename", "inode_rmdir",
    "inode_setattr", "inode_setxattr", "inode_symlink", "inode_unlink", "kernel_module_request", "kernel_read_file",
    "kernfs_init_security", "path_unlink", "path_mkdir", "path_rmdir", "path_truncate", "path_symlink", "path_link",
    "path_rename", "path_chmod", "path_chown", "mmap_file", "netlink_send", "path_notify", "release_secctx",
    "sb_alloc_security", "sb_eat_lsm_opts", "sb_kern_mount", "sb_mount", "sb_remount", "sb_set_mnt_opts", "sb_show_options",
    "sb_statfs", "sb_umount", "settime", "socket_accept", "socket_bind", "socket_connect", "socket_create",
    "socket_getpeername", "socket_getpeersec_dgram", "socket_getsockname", "socket_getsockopt", "socket_listen",
    "socket_post_create", "socket_recvmsg", "socket_sendmsg", "socket_shutdown", "socket_socketpair", "syslog", "task_alloc",
    "current_getsecid_subj", "task_getsecid_obj", "task_prctl", "task_setscheduler", "userns_create",
};
constexpr const char *untrusted_hooks[] = {
    "bpf_map_free", "bpf_prog_free", "file_alloc_security", "file_free_security", "sk_alloc_security", "sk_free_security",
    "task_free",
};
constexpr struct {
    const char *hook;
    u16 args;
} doubtful_args[] = {
    {"mmap_file", 1 << 0},          // no file: anonymous memory
    {"kernel_read_file", 1 << 0},   // none: init_module
    {"task_kill", 1 << 1 | 1 << 3}, // info: 0, 1, 2 stand for something; no cred: the current one
    {"shm_shmctl", 1 << 0}, {"sem_semctl", 1 << 0}, {"msg_queue_msgctl", 1 << 0}, // none: the limits are asked for
    {"quotactl", 1 << 3},           // no file system: all
    {"inode_init_security", 1 << 2}, // no name
    {"bpf_prog_load", 1 << 2}, {"bpf_map_create", 1 << 2}, // no token
};
constexpr const char *disabled_hooks[] = {
    "vm_enough_memory", "inode_need_killpriv", "inode_getsecurity", "inode_listsecurity", "inode_copy_up_xattr",
    "getselfattr", "getprocattr", "setprocattr", "key_getsecurity", "audit_rule_match", "xfrm_decode_session", "ismaclabel",
};
constexpr const char *bool_hooks[] = {
    "xfrm_state_pol_flow_match", "audit_rule_known", "inode_xattr_skipcap",
};
constexpr const char *denied_functions[] = {"migrate_disable", "migrate_enable", "rcu_read_unlock_strict"};
constexpr const char *noreturn_functions[] = {
    "__ia32_sys_exit", "__ia32_sys_exit_group", "__module_put_and_kthread_exit", "__x64_sys_exit", "__x64_sys_exit_group",
    "do_exit", "do_group_exit", "kthread_complete_and_exit", "kthread_exit", "make_task_dead",
};

constexpr const char *modifiable_functions[] = {
    "bpf_modify_return_test", "bpf_modify_return_test2", "bpf_modify_return_test_tp", "bpf_fentry_test1", "update_socket_protocol",
};

constexpr iter_arg iter_args[] = {
    {"bpf_map", 8, false, false, true, "bpf_map"},
    {"bpf_map_elem", 16, true, true, false, nullptr},
    {"bpf_map_elem", 24, true, false, false, nullptr},
    {"bpf_prog", 8, false, false, false, "bpf_prog"},
    {"bpf_link", 8, false, false, false, "bpf_link"},
    {"cgroup", 8, false, false, true, "cgroup"},
    {"task", 8, false, false, true, "task_struct"},
    {"task_file", 8, false, false, false, "task_struct"},
    {"task_file", 24, false, false, false, "file"},
    {"task_vma", 8, false, false, false, "task_struct"},
    {"task_vma", 16, false, false, false, "vm_area_struct"},
    {"bpf_sk_storage_map", 16, false, false, false, "sock"},
    {"bpf_sk_storage_map", 24, true, false, false, nullptr},
    {"sockmap", 16, true, true, false, nullptr},
    {"sockmap", 24, false, false, false, "sock"},
    {"tcp", 8, false, false, true, "sock_common"},
    {"udp", 8, false, false, true, "udp_sock"},
    {"unix", 8, false, false, false, "unix_sock"},
    {"netlink", 8, false, false, false, "netlink_sock"},
    {"ipv6_route", 8, false, false, false, "fib6_info"},
    {"ksym", 8, false, false, false, "kallsym_iter"},
};

constexpr const char *running_targets[] = {"bpf_link", "bpf_map", "bpf_map_elem", "bpf_prog", "cgroup", "ksym",
                                             "task",     "task_file", "task_vma"};

constexpr const char *tcp_members[] = {
    "ssthresh", "cong_avoid", "set_state", "cwnd_event", "in_ack_event", "pkts_acked", "min_tso_segs", "cong_control", "undo_cwnd",
    "sndbuf_expand", "init", "release",
};
constexpr const char *dummy_members[] = {"test_1", "test_2", "test_sleepable"};
// Of the module of the kernel's own tests.
constexpr const char *test_members[] = {"test_1", "test_2", "test_maybe_null", "tramp_*"}, *test_members2[] = {"test_1"},
                     *test_members3[] = {"test_prologue", "test_epilogue", "test_pro_epilogue"};
constexpr ops_info all_ops[] = {
    {tcp_ca, tcp_members, nullptr, true},
    {"bpf_dummy_ops", dummy_members, "test_sleepable", false},
    {"bpf_testmod_ops", test_members, nullptr, false},
    {"bpf_testmod_ops2", test_members2, nullptr, false},
    {"bpf_testmod_st_ops", test_members3, nullptr, false},
};

constexpr struct {
    u32 type;
    const char *name;
} map_structs[] = {
    {BPF_MAP_TYPE_HASH, "bpf_htab"},
    {BPF_MAP_TYPE_ARRAY, "bpf_array"},
    {BPF_MAP_TYPE_PROG_ARRAY, "bpf_array"},
    {BPF_MAP_TYPE_PERF_EVENT_ARRAY, "bpf_array"},
    {BPF_MAP_TYPE_PERCPU_HASH, "bpf_htab"},
    {BPF_MAP_TYPE_PERCPU_ARRAY, "bpf_array"},
    {BPF_MAP_TYPE_STACK_TRACE, "bpf_stack_map"},
    {BPF_MAP_TYPE_CGROUP_ARRAY, "bpf_array"},
    {BPF_MAP_TYPE_LRU_HASH, "bpf_htab"},
    {BPF_MAP_TYPE_LRU_PERCPU_HASH, "bpf_htab"},
    {BPF_MAP_TYPE_LPM_TRIE, "lpm_trie"},
    {BPF_MAP_TYPE_ARRAY_OF_MAPS, "bpf_array"},
    {BPF_MAP_TYPE_HASH_OF_MAPS, "bpf_htab"},
    {BPF_MAP_TYPE_DEVMAP, "bpf_dtab"},
    {BPF_MAP_TYPE_SOCKMAP, "bpf_stab"},
    {BPF_MAP_TYPE_CPUMAP, "bpf_cpu_map"},
    {BPF_MAP_TYPE_XSKMAP, "xsk_map"},
    {BPF_MAP_TYPE_SOCKHASH, "bpf_shtab"},
    {BPF_MAP_TYPE_CGROUP_STORAGE, "bpf_cgroup_storage_map"},
    {BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, "reuseport_array"},
    {BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, "bpf_cgroup_storage_map"},
    {BPF_MAP_TYPE_QUEUE, "bpf_queue_stack"},
    {BPF_MAP_TYPE_STACK, "bpf_queue_stack"},
    {BPF_MAP_TYPE_SK_STORAGE, "bpf_local_storage_map"},
    {BPF_MAP_TYPE_DEVMAP_HASH, "bpf_dtab"},
    {BPF_MAP_TYPE_STRUCT_OPS, "bpf_struct_ops_map"},
    {BPF_MAP_TYPE_RINGBUF, "bpf_ringbuf_map"},
    {BPF_MAP_TYPE_INODE_STORAGE, "bpf_local_storage_map"},
    {BPF_MAP_TYPE_TASK_STORAGE, "bpf_local_storage_map"},
    {BPF_MAP_TYPE_BLOOM_FILTER, "bpf_bloom_filter"},
    {BPF_MAP_TYPE_USER_RINGBUF, "bpf_ringbuf_map"},
    {BPF_MAP_TYPE_CGRP_STORAGE, "bpf_local_storage_map"},
    {BPF_MAP_TYPE_ARENA, "bpf_arena"},
};
// clang-format on

template <size_t N> bool listed(const char *const (&names)[N], const char *name) {
    for (const char *n : names)
        if (!strcmp(n, name))
            return true;
    return false;
}

template <size_t N> bool hook_listed(const char *const (&names)[N], const char *func) {
    constexpr const char *prefix = "bpf_lsm_";
    return !strncmp(func, prefix, strlen(prefix)) && listed(names, func + strlen(prefix));
}

}  // namespace

field_trust trust_of_field(const char *structure, const char *field, const char *target) {
    for (const auto &f : trusted_fields)
        if (!strcmp(f.structure, structure) && !strcmp(f.field, field) && !strcmp(f.target, target))
            return f.trust;
    return field_trust::none;
}

span<const writable_field> writable_fields() { return fields_to_write; }

const raw_tp_args_info *find_raw_tp_args(const char *tracepoint) {
    for (const auto &r : raw_tp_args)
        if (!strcmp(r.name, tracepoint))
            return &r;
    return nullptr;
}

bool is_sleepable_lsm_hook(const char *func) { return hook_listed(sleepable_hooks, func); }
bool is_untrusted_lsm_hook(const char *func) { return hook_listed(untrusted_hooks, func); }
u16 doubtful_lsm_args(const char *func) {
    for (const auto &d : doubtful_args)
        if (const char *const names[] = {d.hook}; hook_listed(names, func))
            return d.args;
    return 0;
}
bool is_disabled_lsm_hook(const char *func) { return hook_listed(disabled_hooks, func); }
bool is_bool_lsm_hook(const char *func) { return hook_listed(bool_hooks, func); }
bool is_denied_function(const char *func) { return listed(denied_functions, func); }
bool is_noreturn_function(const char *func) { return listed(noreturn_functions, func); }

bool is_modifiable_function(const char *func) { return listed(modifiable_functions, func); }
bool is_sleepable_test_function(const char *func) { return !strcmp(func, "bpf_fentry_test1"); }

namespace {

constexpr const char *iter_prefix = "bpf_iter_";

bool is_target(const char *func, const char *target) {
    return !strncmp(func, iter_prefix, strlen(iter_prefix)) && !strcmp(func + strlen(iter_prefix), target);
}

}  // namespace

bool is_iterator_target(const char *func) {
    for (const iter_arg &a : iter_args)
        if (is_target(func, a.target))
            return true;
    return false;
}

bool iterator_runs(const char *func) {
    for (const char *target : running_targets)
        if (is_target(func, target))
            return true;
    return false;
}

const iter_arg *find_iter_arg(const char *func, u32 off) {
    for (const iter_arg &a : iter_args)
        if (a.off == off && is_target(func, a.target))
            return &a;
    return nullptr;
}

const ops_info *find_ops(const char *name) {
    for (const ops_info &o : all_ops)
        if (!strcmp(o.name, name))
            return &o;
    return nullptr;
}

const char *map_struct_name(u32 map_type) {
    for (const auto &m : map_structs)
        if (m.type == map_type)
            return m.name;
    return nullptr;
}

}  // namespace modbpf
