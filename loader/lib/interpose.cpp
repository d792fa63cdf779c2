// SPDX-License-Identifier: GPL-2.0-only
// What the process back end needs beside syscall(): mmap, munmap, ioctl and waiting on its objects' descriptors.
//
// With the other back ends each of these goes straight to the kernel, with the same results and errno as libc's; with the device, ioctl
// also follows the kernel's perf events (events.cpp).
#include "loader/lib/transport.h"

#include "port/user/user.h"

#include "uapi/modbpf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

using namespace transport;

namespace {

bool ours() { return !in_core() && backend() == backend_kind::process; }

long result(long r) {
    if (r >= 0 || r < -4095)
        return r;
    errno = static_cast<int>(-r);
    return -1;
}

/// libc's own: waiting is a cancellation point, which a bare system call would not be.
template <class F> F next(F &cache, const char *name) {
    F f = __atomic_load_n(&cache, __ATOMIC_RELAXED);
    if (!f) {
        f = reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
        __atomic_store_n(&cache, f, __ATOMIC_RELAXED);
    }
    return f;
}

void bring_up_to_date() {
    if (!ours())
        return;
    core_section section;
    port_user_sweep();
}

int after_wait(int n) {
    if (n > 0 && ours())
        port_user_waited();
    return n;
}

} // namespace

extern "C" {

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset) noexcept {
    if (fd >= 0 && !(flags & MAP_ANONYMOUS) && ours() && port_user_owns_fd(fd)) {
        core_section section;
        return reinterpret_cast<void *>(result(port_user_mmap(addr, size, prot, flags, fd, static_cast<u64>(offset))));
    }
    if ((flags & MAP_FIXED) && ours()) { // replaces what was there
        core_section section;
        if (int rc = port_user_unmapped(addr, size))
            return reinterpret_cast<void *>(result(rc));
    }
    // libc refuses an offset that is not a multiple of the page size itself, with the kernel's errno.
    return reinterpret_cast<void *>(result(raw(SYS_mmap, reinterpret_cast<long>(addr), static_cast<long>(size), prot, flags,
                                               fd, offset)));
}

void *mmap64(void *addr, size_t size, int prot, int flags, int fd, off64_t offset) noexcept
    __attribute__((alias("mmap")));

int munmap(void *addr, size_t size) noexcept {
    if (ours()) {
        core_section section;
        if (int rc = port_user_unmapped(addr, size))
            return static_cast<int>(result(rc));
    }
    return static_cast<int>(result(raw(SYS_munmap, reinterpret_cast<long>(addr), static_cast<long>(size))));
}

/// A name that is pinned in this process.
static bool unpinned(int dirfd, const char *path) {
    if (!path || !ours())
        return false;
    core_section section;
    return port_user_unpin(dirfd, path);
}

int unlink(const char *path) noexcept {
    return unpinned(AT_FDCWD, path) ? 0 : static_cast<int>(result(raw(SYS_unlink, reinterpret_cast<long>(path))));
}

int unlinkat(int dirfd, const char *path, int flags) noexcept {
    if (!(flags & AT_REMOVEDIR) && unpinned(dirfd, path))
        return 0;
    return static_cast<int>(result(raw(SYS_unlinkat, dirfd, reinterpret_cast<long>(path), flags)));
}

/// With the device, what a tool mounts as bpffs is the file system of modbpf's objects.
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data) noexcept {
    if (type && !strcmp(type, "bpf") && !in_core() && backend() == backend_kind::device)
        type = MODBPF_FS_TYPE;
    return static_cast<int>(result(raw(SYS_mount, reinterpret_cast<long>(source), reinterpret_cast<long>(target), reinterpret_cast<long>(type),
                                       static_cast<long>(flags), reinterpret_cast<long>(data))));
}

int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list args;
    va_start(args, request);
    unsigned long arg = va_arg(args, unsigned long);
    va_end(args);
    if (ours() && port_user_owns_fd(fd)) {
        core_section section;
        return static_cast<int>(result(port_user_ioctl(fd, static_cast<unsigned int>(request), arg)));
    }
    long r = raw(SYS_ioctl, fd, static_cast<long>(request), static_cast<long>(arg));
    if (!in_core() && backend() == backend_kind::device) {
        bool on = request == PERF_EVENT_IOC_ENABLE;
        if (r == 0 && (on || request == PERF_EVENT_IOC_DISABLE))
            event_switched(fd, on);
        else if (r == -EINVAL && request == PERF_EVENT_IOC_SET_BPF && event_adopt(fd)) // the program is none of the kernel's
            r = raw(SYS_ioctl, fd, static_cast<long>(request), static_cast<long>(arg));
    }
    return static_cast<int>(result(r));
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout) {
    static int (*real)(int, struct epoll_event *, int, int);
    bring_up_to_date();
    return after_wait(next(real, "epoll_wait")(epfd, events, max, timeout));
}

int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout, const sigset_t *mask) {
    static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
    bring_up_to_date();
    return after_wait(next(real, "epoll_pwait")(epfd, events, max, timeout, mask));
}

int poll(struct pollfd *fds, nfds_t n, int timeout) {
    static int (*real)(struct pollfd *, nfds_t, int);
    bring_up_to_date();
    return after_wait(next(real, "poll")(fds, n, timeout));
}

} // extern "C"
