// SPDX-License-Identifier: GPL-2.0-only
// Where a program attaches decides what it may call: the kernel functions that a rule of a prototype stands for, as Linux 6.12 has them.
#include "helpers/helper.h"

namespace modbpf {

namespace {

// clang-format off
/// LSM hooks that may sleep, without their prefix "bpf_lsm_".
constexpr const char *sleepable_hooks[] = {
    "bpf", "bpf_map", "bpf_map_create", "bpf_map_free", "bpf_prog", "bpf_prog_load", "bpf_token_capable",
    "bpf_token_cmd", "bpf_token_create", "bpf_token_free", "bprm_check_security", "bprm_committed_creds",
    "bprm_committing_creds", "bprm_creds_for_exec", "bprm_creds_from_file", "capget", "capset", "cred_prepare",
    "current_getsecid_subj", "file_ioctl", "file_lock", "file_open", "file_post_open", "file_receive", "inode_create",
    "inode_free_security", "inode_getattr", "inode_getxattr", "inode_mknod", "inode_need_killpriv",
    "inode_post_setxattr", "inode_readlink", "inode_rename", "inode_rmdir", "inode_setattr", "inode_setxattr",
    "inode_symlink", "inode_unlink", "kernel_module_request", "kernel_read_file", "kernfs_init_security", "mmap_file",
    "netlink_send", "path_chmod", "path_chown", "path_link", "path_mkdir", "path_notify", "path_rename", "path_rmdir",
    "path_symlink", "path_truncate", "path_unlink", "release_secctx", "sb_alloc_security", "sb_eat_lsm_opts",
    "sb_kern_mount", "sb_mount", "sb_remount", "sb_set_mnt_opts", "sb_show_options", "sb_statfs", "sb_umount",
    "settime", "socket_accept", "socket_bind", "socket_connect", "socket_create", "socket_getpeername",
    "socket_getpeersec_dgram", "socket_getsockname", "socket_getsockopt", "socket_listen", "socket_post_create",
    "socket_recvmsg", "socket_sendmsg", "socket_shutdown", "socket_socketpair", "syslog", "task_alloc",
    "task_getsecid_obj", "task_prctl", "task_setscheduler", "userns_create",
};

/// LSM hooks with a socket: those that hold its lock, and those whose socket nobody else knows yet.
constexpr const char *socket_hooks[] = {
    "inet_conn_established", "inet_csk_clone", "sock_graft", "socket_post_create", "socket_socketpair",
};

/// Functions whose paths may be resolved when they are traced.
constexpr const char *path_functions[] = {
    "dentry_open", "filp_close", "security_file_open", "security_file_permission", "security_inode_getattr",
    "security_path_truncate", "vfs_fallocate", "vfs_getattr", "vfs_truncate",
};

/// Iterators whose get_func_proto lets socket options through.
constexpr const char *socket_iterators[] = {"bpf_iter_tcp", "bpf_iter_unix"};
// clang-format on

bool same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/// The rest of `name` behind `prefix`, or null.
const char *behind(const char *name, const char *prefix) {
    for (; *prefix; prefix++, name++)
        if (*name != *prefix)
            return nullptr;
    return name;
}

template <u32 N> bool among(const char *const (&list)[N], const char *name) {
    for (const char *n : list)
        if (name && same(n, name))
            return true;
    return false;
}

/// The functions of socket storage take the lock that the helper would take.
bool outside_sk_storage(u32 attach_type, const char *function) {
    if (attach_type == BPF_TRACE_ITER || attach_type == BPF_TRACE_RAW_TP)
        return true;
    if (attach_type != BPF_TRACE_FENTRY && attach_type != BPF_TRACE_FEXIT)
        return false;
    return function && !behind(function, "bpf_sk_storage");
}

}  // namespace

bool lsm_hook_may_sleep(const char *function) {
    return function && among(sleepable_hooks, behind(function, "bpf_lsm_"));
}

bool hook_allows(hook_rule r, u32 prog_type, u32 attach_type, const char *function) {
    switch (r) {
    case hook_rule::any:
        return true;
    case hook_rule::d_path:
        if (prog_type == BPF_PROG_TYPE_TRACING && attach_type == BPF_TRACE_ITER)
            return true;
        return prog_type == BPF_PROG_TYPE_LSM ? lsm_hook_may_sleep(function) : among(path_functions, function);
    case hook_rule::sleepable_lsm:
        return lsm_hook_may_sleep(function);
    case hook_rule::not_sk_storage:
        return outside_sk_storage(attach_type, function);
    case hook_rule::iter_sockets:
        return among(socket_iterators, function);
    case hook_rule::lsm_sockets:
        return function && among(socket_hooks, behind(function, "bpf_lsm_"));
    }
    return false;
}

struct_ops_kind struct_ops_kind_of(const char *structure, const char *member) {
    if (same(structure, "bpf_dummy_ops"))
        return struct_ops_kind::none;
    if (same(structure, "sched_ext_ops"))
        return struct_ops_kind::sched_ext;
    if (same(structure, "tcp_congestion_ops"))
        return same(member, "release") ? struct_ops_kind::tcp_release : struct_ops_kind::tcp;
    return struct_ops_kind::plain;
}

}  // namespace modbpf
