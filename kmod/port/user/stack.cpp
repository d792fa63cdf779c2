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
