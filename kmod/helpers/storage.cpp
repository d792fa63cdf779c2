// SPDX-License-Identifier: GPL-2.0-only
// Local storage of tasks, control groups, inodes and sockets. The owner's address is the key; who has one knows that the owner is there.
#include "maps/storage.h"

#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

/// (map, owner, value or null, flags) -> its value, or null
u64 get(u64 r1, u64 r2, u64 r3, u64 r4) {
    if (!r2 || (r4 & ~BPF_LOCAL_STORAGE_GET_F_CREATE))
        return 0;
    return addr_of(storage_get(ptr_of<map>(r1), r2, ptr_of<const void>(r3), r4 & BPF_LOCAL_STORAGE_GET_F_CREATE));
}

u64 remove(u64 r1, u64 r2) {
    return helper_errno(r2 ? storage_remove(ptr_of<map>(r1), r2) : -EINVAL);
}

}  // namespace

u64 bpf_task_storage_get(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return get(r1, r2, r3, r4); }
u64 bpf_task_storage_delete(u64 r1, u64 r2, u64, u64, u64) { return remove(r1, r2); }
u64 bpf_cgrp_storage_get(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return get(r1, r2, r3, r4); }
u64 bpf_cgrp_storage_delete(u64 r1, u64 r2, u64, u64, u64) { return remove(r1, r2); }
u64 bpf_inode_storage_get(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return get(r1, r2, r3, r4); }
u64 bpf_inode_storage_delete(u64 r1, u64 r2, u64, u64, u64) { return remove(r1, r2); }

/// The small sockets of a handshake and of TIME_WAIT have no storage.
u64 bpf_sk_storage_get(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return r2 && port_socket_full(r2) ? get(r1, r2, r3, r4) : 0; }
u64 bpf_sk_storage_delete(u64 r1, u64 r2, u64, u64, u64) { return remove(r1, r2 && port_socket_full(r2) ? r2 : 0); }

u64 bpf_sk_storage_get_tracing(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return port_in_hardirq() ? 0 : bpf_sk_storage_get(r1, r2, r3, r4, 0); }
u64 bpf_sk_storage_delete_tracing(u64 r1, u64 r2, u64, u64, u64) {
    return port_in_hardirq() ? helper_errno(-EPERM) : bpf_sk_storage_delete(r1, r2, 0, 0, 0);
}

}  // namespace modbpf
