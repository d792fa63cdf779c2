// SPDX-License-Identifier: GPL-2.0-only
// Owners of local storage in a process: the calling thread as the one task (pidfds of this process), control groups, inodes and sockets by
// their number. They end when a test says so.
#include "base/errno.h"
#include "port/user/user.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

struct {
    const port_owner_events *events; ///< null: nobody watches; atomic
    u64 ending;              ///< atomic
} watches[PORT_OWNER_KINDS];

/// The process that a pidfd stands for, or -1.
int pid_of(int fd) {
    char path[64], line[128];
    int pid = -1;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "Pid: %d", &pid);
    if (f)
        fclose(f);
    return pid;
}

} // namespace

int port_owner_watch(port_owner_kind kind, const port_owner_events *events) {
    __atomic_store_n(&watches[kind].events, events, __ATOMIC_RELEASE);
    return 0;
}

void port_owner_unwatch(port_owner_kind kind) {
    __atomic_store_n(&watches[kind].events, nullptr, __ATOMIC_RELEASE);
    port_rcu_synchronize();
}

bool port_owner_alive(port_owner_kind kind, u64 owner) {
    return __atomic_load_n(&watches[kind].ending, __ATOMIC_ACQUIRE) != owner;
}

void port_user_end_owner(port_owner_kind kind, u64 owner, void (*dead)(void *), void *ctx) {
    __atomic_store_n(&watches[kind].ending, owner, __ATOMIC_RELEASE);
    port_rcu_synchronize();
    port_rcu_read_lock();
    if (auto events = __atomic_load_n(&watches[kind].events, __ATOMIC_ACQUIRE))
        events->gone(owner);
    port_rcu_read_unlock();
    if (dead)
        dead(ctx);
    __atomic_store_n(&watches[kind].ending, 0, __ATOMIC_RELEASE);
}

void port_user_copy_socket(u64 from, u64 to) {
    port_rcu_read_lock();
    if (auto events = __atomic_load_n(&watches[PORT_OWNER_SOCKET].events, __ATOMIC_ACQUIRE))
        events->copied(from, to);
    port_rcu_read_unlock();
}

bool port_socket_full(u64 sock) { return sock != port_user_small_socket; }

int port_pidfd_process(int fd, u32 *pid) {
    int found = pid_of(fd);
    if (found < 0)
        return -EBADF;
    *pid = static_cast<u32>(found);
    return 0;
}

int port_owner_get(port_owner_kind kind, int fd, u64 *owner) {
    if (kind == PORT_OWNER_TASK) {
        int pid = pid_of(fd);
        *owner = port_current();
        return pid < 0 ? -EBADF : pid == getpid() ? 0 : -ENOENT;
    }
    struct stat st;
    if (kind == PORT_OWNER_CGROUP) {
        port_cgroup *group;
        if (int rc = port_cgroup_open(fd, &group))
            return rc;
        port_cgroup_close(group);
    }
    if (fstat(fd, &st))
        return -EBADF;
    if (kind == PORT_OWNER_SOCKET && !S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    *owner = st.st_ino;
    return 0;
}

void port_owner_put(port_owner_kind, u64) {}
