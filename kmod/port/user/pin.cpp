// SPDX-License-Identifier: GPL-2.0-only
// Pinned objects in a process: names that this process alone sees, in folders that are there. Nothing is written to a file system, so a
// path in the kernel's own /sys/fs/bpf will do, which libbpf insists on.
//
// Lock: pin_lock protects the list; the core is never called with it held, but for ops->hold().
#include "base/errno.h"
#include "port/user/user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

struct pin {
    pin *next;
    const port_file_ops *ops;
    void *obj;
    char path[PATH_MAX]; ///< absolute, the folder without symbolic links
};

pthread_mutex_t pin_lock = PTHREAD_MUTEX_INITIALIZER;
pin *pins;

/// The folder's real path, a slash and the last name: 0 or -errno.
int whole_path(int dirfd, const char *path, char out[PATH_MAX]) {
    char given[PATH_MAX + 64], folder[PATH_MAX];
    if (!*path)
        return -ENOENT;
    int n = *path == '/' || dirfd == AT_FDCWD ? snprintf(given, sizeof(given), "%s", path)
                                              : snprintf(given, sizeof(given), "/proc/self/fd/%d/%s", dirfd, path);
    if (n >= static_cast<int>(sizeof(given)))
        return -ENAMETOOLONG;
    if (*path != '/' && dirfd != AT_FDCWD && fcntl(dirfd, F_GETFD) < 0)
        return -EBADF;
    char *slash = strrchr(given, '/');
    const char *name = slash ? slash + 1 : given;
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return -EEXIST; // a folder
    if (slash)
        *slash = 0;
    if (!realpath(!slash ? "." : slash == given ? "/" : given, folder))
        return -errno;
    struct stat st;
    if (stat(folder, &st) || !S_ISDIR(st.st_mode))
        return -ENOTDIR;
    n = snprintf(out, PATH_MAX, "%s/%s", folder[1] ? folder : "", name);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int user_path(int dirfd, u64 upath, char out[PATH_MAX]) {
    char path[PATH_MAX];
    long n = port_strncpy_from_user(path, upath, sizeof(path));
    if (n < 0)
        return static_cast<int>(n);
    return whole_path(dirfd, path, out);
}

pin **find_locked(const char *path) {
    pin **at = &pins;
    while (*at && strcmp((*at)->path, path))
        at = &(*at)->next;
    return at;
}

} // namespace

int port_pin(int dirfd, u64 path, const port_file_ops *ops, void *obj) {
    auto *fresh = static_cast<pin *>(port_alloc(sizeof(pin), PORT_SLEEPING));
    if (!fresh)
        return -ENOMEM;
    int rc = ops->hold ? user_path(dirfd, path, fresh->path) : -EINVAL;
    struct stat st;
    if (!rc && !lstat(fresh->path, &st))
        rc = -EEXIST;
    fresh->ops = ops, fresh->obj = obj;
    if (!rc) {
        pthread_mutex_lock(&pin_lock);
        pin **at = find_locked(fresh->path);
        rc = *at ? -EEXIST : 0;
        if (!rc)
            *at = fresh;
        pthread_mutex_unlock(&pin_lock);
    }
    if (rc)
        port_free(fresh);
    return rc;
}

int port_pinned(int dirfd, u64 path, unsigned int, const port_file_ops **ops, void **obj) {
    char whole[PATH_MAX];
    int rc = user_path(dirfd, path, whole);
    if (rc && rc != -EEXIST)
        return rc;
    pthread_mutex_lock(&pin_lock);
    pin *found = rc ? nullptr : *find_locked(whole);
    if (found) {
        *ops = found->ops, *obj = found->obj;
        found->ops->hold(found->obj);
    }
    pthread_mutex_unlock(&pin_lock);
    struct stat st;
    return found ? 0 : rc || !stat(whole, &st) ? -EACCES : -ENOENT;
}

bool port_user_unpin(int dirfd, const char *path) {
    char whole[PATH_MAX];
    int saved = errno;
    pin *gone = nullptr;
    if (__atomic_load_n(&pins, __ATOMIC_ACQUIRE) && !whole_path(dirfd, path, whole)) {
        pthread_mutex_lock(&pin_lock);
        pin **at = find_locked(whole);
        gone = *at;
        if (gone)
            __atomic_store_n(at, gone->next, __ATOMIC_RELEASE);
        pthread_mutex_unlock(&pin_lock);
    }
    if (gone) {
        gone->ops->release(gone->obj);
        port_free(gone);
    }
    errno = saved;
    return gone;
}
