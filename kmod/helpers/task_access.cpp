// SPDX-License-Identifier: GPL-2.0-only
// Helpers that act on the current task or read another one's memory.
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

/// struct bpf_pidns_info
struct ns_ids {
    u32 pid, tgid;
};

}  // namespace

u64 bpf_get_current_cgroup_id(u64, u64, u64, u64, u64) { return port_current_cgroup_id(); }
u64 bpf_get_current_ancestor_cgroup_id(u64 r1, u64, u64, u64, u64) {
    return port_current_ancestor_cgroup_id(static_cast<s32>(r1));
}

u64 bpf_current_task_under_cgroup(u64 r1, u64 r2, u64, u64, u64) {
    return helper_errno(current_under_slot(ptr_of<map>(r1), static_cast<u32>(r2)));
}
/// The socket that a test run gives a packet is in the group of the task that runs it.
u64 bpf_skb_under_cgroup(u64, u64 r2, u64 r3, u64, u64) {
    return helper_errno(current_under_slot(ptr_of<map>(r2), static_cast<u32>(r3)));
}

u64 bpf_send_signal(u64 r1, u64, u64, u64, u64) { return helper_errno(port_send_signal(static_cast<u32>(r1), false)); }
u64 bpf_send_signal_thread(u64 r1, u64, u64, u64, u64) { return helper_errno(port_send_signal(static_cast<u32>(r1), true)); }

u64 bpf_probe_write_user(u64 r1, u64 r2, u64 r3, u64, u64) {
    return helper_errno(port_probe_write_user(r1, ptr_of<const void>(r2), static_cast<u32>(r3)));
}

u64 bpf_copy_from_user(u64 r1, u64 r2, u64 r3, u64, u64) {
    u32 n = static_cast<u32>(r2);
    return n && port_copy_from_user(ptr_of(r1), r3, n) ? failed_read(r1, n, -EFAULT) : 0;
}

/// (dst, size, address, task, flags)
u64 bpf_copy_from_user_task(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    u32 n = static_cast<u32>(r2);
    if (r5)
        return failed_read(r1, n, -EINVAL);
    if (!n)
        return 0;
    long got = port_read_task_memory(r4, ptr_of(r1), r3, n);
    return got == static_cast<long>(n) ? 0 : failed_read(r1, n, got < 0 ? got : -EFAULT);
}

u64 bpf_task_pt_regs(u64 r1, u64, u64, u64, u64) { return port_task_regs(r1); }

/// (device, inode, result, size)
u64 bpf_get_ns_current_pid_tgid(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    ns_ids ids{};
    u32 size = static_cast<u32>(r4);
    long err = size == sizeof(ids) ? port_ns_pid_tgid(r1, r2, &ids.pid, &ids.tgid) : -EINVAL;
    if (err)
        return failed_read(r3, size, err);
    memcpy(ptr_of(r3), &ids, sizeof(ids));
    return 0;
}

}  // namespace modbpf
