// SPDX-License-Identifier: GPL-2.0-only
// Call chains in a process: what a test has set. There is no kernel below a program that runs here, and no task that it interrupted.
#include "base/errno.h"
#include "port/user/user.h"

namespace {

struct {
    const u64 *ips;
    u32 count;
} chains[2];  ///< the kernel's, the user's

}  // namespace

void port_user_set_stack(bool user, const u64 *ips, u32 count) {
    chains[user] = {ips, count};
}

int port_stack_save(void *, void *, bool user, u32 skip, u64 *ips, u32 n) {
    const auto &c = chains[user];
    if (skip > c.count)
        return -EFAULT;
    u32 stored = 0;
    for (u32 i = skip; i < c.count && stored < n; i++)
        ips[stored++] = c.ips[i];
    return static_cast<int>(stored);
}

int port_task_stack_save(u64 task, void *, bool user, u32 skip, u64 *ips, u32 n) {
    if (task != port_current())
        return user ? -EOPNOTSUPP : -EFAULT;
    return port_stack_save(nullptr, nullptr, user, skip, ips, n);
}

u32 port_stack_depth_max(void) {
    return 127;
}

// Mappings: the kernel's objects are not there. Build ids: what a test has set.
int port_find_vma(u64, u64, port_vma_fn, void *) { return -ENOENT; }

namespace {
const u8 *file_id;
u64 file_start;
}  // namespace

void port_user_set_build_id(const u8 *id, u64 start) {
    file_id = id;
    file_start = start;
}

void port_build_ids(port_build_id *ids, u32 n, bool user) {
    for (u32 i = 0; i < n; i++) {
        bool known = user && file_id && ids[i].ip >= file_start;
        ids[i].status = known ? PORT_BUILD_ID_VALID : PORT_BUILD_ID_IP;
        for (u32 b = 0; b < sizeof(ids[i].id); b++)
            ids[i].id[b] = known ? file_id[b] : 0;
        if (known)
            ids[i].ip -= file_start;
    }
}
