// SPDX-License-Identifier: GPL-2.0-only
// Control groups of the process, in the unified hierarchy: a group's number is the inode of its folder.
#include "base/errno.h"
#include "port/user/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

struct port_cgroup {
    port_rcu_head rcu; ///< first: what the grace period's callback gets
    u64 id;
};

namespace {

constexpr long cgroup2_magic = 0x63677270;
constexpr u32 path_max = 4096;
constexpr u64 root_id = 1; // in the kernel; its folder has this inode, too

/// Where the hierarchy is mounted: alone, or beside those of version 1.
const char *mount_point() {
    struct statfs fs;
    bool alone = !statfs("/sys/fs/cgroup", &fs) && fs.f_type == cgroup2_magic;
    return alone ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
}

/// The path of the process's group, "/" for the root.
void own_path(char (&path)[path_max]) {
    strcpy(path, "/");
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[path_max];
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, "0::/", 4)) {
            line[strcspn(line, "\n")] = 0;
            strcpy(path, line + 3);
        }
    if (f)
        fclose(f);
}

u64 id_of(const char *path) {
    char full[path_max + 32];
    struct stat st;
    snprintf(full, sizeof(full), "%s%s", mount_point(), path);
    return stat(full, &st) ? root_id : st.st_ino;
}

/// Cuts the path to its first `level` parts. False: it has fewer.
bool cut(char *path, int level) {
    char *at = path;
    for (; level > 0; level--) {
        if (!at[0] || !at[1])
            return false;
        at += 1 + strcspn(at + 1, "/");
    }
    if (at == path)
        at++;
    *at = 0;
    return true;
}

void free_group(port_rcu_head *head) { free(reinterpret_cast<port_cgroup *>(head)); }

}  // namespace

u64 port_current_cgroup_id(void) {
    char path[path_max];
    own_path(path);
    return id_of(path);
}

u64 port_current_ancestor_cgroup_id(int level) {
    char path[path_max];
    own_path(path);
    return level >= 0 && cut(path, level) ? id_of(path) : 0;
}

int port_cgroup_open(int fd, port_cgroup **out) {
    struct statfs fs;
    struct stat st;
    if (fstatfs(fd, &fs) || fs.f_type != cgroup2_magic || fstat(fd, &st) || !S_ISDIR(st.st_mode))
        return -EBADF;
    auto *c = static_cast<port_cgroup *>(calloc(1, sizeof(port_cgroup)));
    if (!c)
        return -ENOMEM;
    c->id = st.st_ino;
    *out = c;
    return 0;
}

void port_cgroup_close(port_cgroup *c) { port_rcu_call(&c->rcu, free_group); }

bool port_current_under_cgroup(const port_cgroup *c) {
    u64 id = 0;
    for (int level = 0; (id = port_current_ancestor_cgroup_id(level)); level++)
        if (id == c->id)
            return true;
    return false;
}
