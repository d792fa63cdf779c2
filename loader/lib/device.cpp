// SPDX-License-Identifier: GPL-2.0-only
// The device back end: /dev/modbpf opened once, on a high descriptor, close-on-exec.
//
// A child of fork() shares the descriptor, which is right: the device keeps nothing per open file, objects go to the
// caller's own table. A program may close descriptors that it does not know (closefrom) and open others in their place:
// after an error that could come from that, the descriptor is checked and the device opened anew.
#include "loader/lib/transport.h"

#include "uapi/modbpf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
int device = -1;      // atomic; changed under open_lock
dev_t device_number;  // under open_lock
bool hinted;          // atomic

void hint(int e) {
    if (__atomic_exchange_n(&hinted, true, __ATOMIC_RELAXED))
        return;
    const char *next = e == ENOENT || e == ENODEV || e == ENXIO
                           ? "the module is not loaded: run `modprobe modbpf` (or insmod modbpf.ko) as root; to verify without "
                             "it, use `modbpf verify` or MODBPF_BACKEND=process"
                       : e == EACCES || e == EPERM
                           ? "run as root, or as a member of the device's group"
                           : "see dmesg";
    errno = e;
    fprintf(stderr, "modbpf: cannot open %s: %m: %s\n", MODBPF_DEVICE, next);
}

bool is_device(int fd) {
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == device_number;
}

/// A checked descriptor of the device, or -errno.
int open_device() {
    pthread_mutex_lock(&open_lock);
    int fd = device;
    if (!is_device(fd)) {
        fd = open(MODBPF_DEVICE, O_RDWR | O_CLOEXEC);
        struct stat st;
        if (fd < 0) {
            fd = -errno;
        } else if (fstat(fd, &st) || !S_ISCHR(st.st_mode)) {
            close(fd);
            fd = -ENODEV;
        } else {
            rlimit limit;
            int base = 512;
            if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                base = limit.rlim_cur > 1 << 16 ? 1 << 15 : static_cast<int>(limit.rlim_cur / 2);
            int high = fcntl(fd, F_DUPFD_CLOEXEC, base);
            if (high >= 0) {
                close(fd);
                fd = high;
            }
            device_number = st.st_rdev;
            __atomic_store_n(&device, fd, __ATOMIC_RELEASE);
        }
    }
    pthread_mutex_unlock(&open_lock);
    if (fd >= 0)
        return fd;
    hint(-fd);
    return fd == -EACCES || fd == -EPERM ? -EPERM : -ENODEV;
}

void lock_for_fork() { pthread_mutex_lock(&open_lock); }
void unlock_after_fork() { pthread_mutex_unlock(&open_lock); }
pthread_once_t once = PTHREAD_ONCE_INIT;
void watch_forks() { pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork); }

} // namespace

namespace transport {

long device_ioctl(unsigned long request, void *arg) {
    int fd = __atomic_load_n(&device, __ATOMIC_ACQUIRE);
    if (fd < 0) {
        pthread_once(&once, watch_forks);
        fd = open_device();
        if (fd < 0)
            return fd;
    }
    for (int attempt = 0;; attempt++) {
        long r = raw(SYS_ioctl, fd, static_cast<long>(request), reinterpret_cast<long>(arg));
        bool suspect = r == -EBADF || r == -ENOTTY || r == -EINVAL || r == -EOPNOTSUPP;
        if (!suspect || attempt)
            return r;
        int now = open_device();
        if (now < 0)
            return now;
        if (now == fd)
            return r;
        fd = now;
    }
}

} // namespace transport
