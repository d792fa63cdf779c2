// SPDX-License-Identifier: GPL-2.0-only
// Perf events of the kernel's that a program is put on. Which of a tool's sampling and counting events are for BPF shows only then: until
// it does, such an event is the kernel's own, with all that it can do (read, mmap, groups). When a command of the device does not know the
// descriptor, the event is opened on the device with the same attributes and takes the descriptor's place.
#include "loader/lib/transport.h"

#include "uapi/modbpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr size_t attr_max = 136; // bytes of struct perf_event_attr that modbpf knows

struct kernel_event {
    int fd = -1; ///< -1: a free entry
    bool enabled = false, disabled = false; ///< by ioctl, after it was opened
    modbpf_perf_event_open how = {};
    unsigned char attr[attr_max] = {};
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // protects what follows; no call out of this file but raw system calls inside
kernel_event *events;
size_t count;

void lock_for_fork() { pthread_mutex_lock(&lock); }
void unlock_after_fork() { pthread_mutex_unlock(&lock); }
pthread_once_t once = PTHREAD_ONCE_INIT;
void watch_forks() { pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork); }

kernel_event *find_locked(int fd) {
    for (size_t i = 0; i < count; i++)
        if (events[i].fd == fd)
            return &events[i];
    return nullptr;
}

kernel_event *add_locked() {
    if (kernel_event *free_one = find_locked(-1))
        return free_one;
    size_t more = count ? count * 2 : 64;
    auto *grown = static_cast<kernel_event *>(realloc(static_cast<void *>(events), more * sizeof(kernel_event)));
    if (!grown)
        return nullptr;
    for (size_t i = count; i < more; i++)
        grown[i] = kernel_event{};
    events = grown;
    kernel_event *e = &events[count];
    count = more;
    return e;
}

/// The descriptor may have been closed, and its number given to something else.
bool is_perf_event(int fd) {
    char path[32], name[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    long n = transport::raw(SYS_readlink, reinterpret_cast<long>(path), reinterpret_cast<long>(name), sizeof(name));
    static constexpr char want[] = "anon_inode:[perf_event]";
    return n == sizeof(want) - 1 && !memcmp(name, want, sizeof(want) - 1);
}

class guard {
public:
    guard() { pthread_mutex_lock(&lock); }
    ~guard() { pthread_mutex_unlock(&lock); }
    guard(const guard &) = delete;
};

long open_ours(const kernel_event &e) {
    modbpf_perf_event_open how = e.how;
    how.attr = reinterpret_cast<uint64_t>(e.attr);
    return transport::device_ioctl(MODBPF_IOC_PERF_EVENT_OPEN, &how);
}

/// Of breakpoints a CPU has four: the kernel's event may have the last one, and goes first. It comes back where ours does not open.
long open_in_its_place(const kernel_event &e) {
    using transport::raw;
    long flags = raw(SYS_fcntl, e.fd, F_GETFD), cloexec = flags > 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0;
    long filler = raw(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/dev/null"), O_RDONLY | O_CLOEXEC);
    if (filler < 0)
        return -ENOSPC;
    raw(SYS_dup3, filler, e.fd, cloexec);
    raw(SYS_close, filler);
    long ours = open_ours(e);
    if (ours >= 0)
        return ours;
    long back = raw(SYS_perf_event_open, reinterpret_cast<long>(e.attr), e.how.pid, e.how.cpu, e.how.group_fd, static_cast<long>(e.how.flags));
    if (back >= 0) {
        raw(SYS_dup3, back, e.fd, cloexec);
        raw(SYS_close, back);
    }
    return ours;
}

} // namespace

namespace transport {

void event_opened(int fd, const modbpf_perf_event_open &how) {
    pthread_once(&once, watch_forks);
    guard g;
    kernel_event *e = find_locked(fd);
    if (!e)
        e = add_locked();
    if (!e)
        return;
    *e = kernel_event{};
    uint32_t size = reinterpret_cast<const perf_event_attr *>(how.attr)->size;
    memcpy(e->attr, reinterpret_cast<const void *>(how.attr), size < 64 ? 64 : size < attr_max ? size : attr_max);
    if (size > attr_max) { // the kernel has taken more than is known here: what is behind is zero for all that modbpf serves
        uint32_t known = attr_max;
        memcpy(e->attr + offsetof(perf_event_attr, size), &known, sizeof(known));
    }
    e->how = how;
    e->fd = fd;
}

void event_forgotten(int fd) {
    guard g;
    if (kernel_event *e = find_locked(fd))
        e->fd = -1;
}

void event_switched(int fd, bool on) {
    guard g;
    if (kernel_event *e = find_locked(fd))
        e->enabled = on, e->disabled = !on;
}

bool event_adopt(int fd) {
    guard g;
    kernel_event *e = fd < 0 ? nullptr : find_locked(fd);
    if (!e || !is_perf_event(fd))
        return false;
    long ours = open_ours(*e);
    if (ours == -ENOSPC)
        ours = open_in_its_place(*e);
    if (ours < 0)
        return false;
    if (e->enabled || e->disabled)
        raw(SYS_ioctl, ours, e->enabled ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
    long flags = raw(SYS_fcntl, fd, F_GETFD);
    bool placed = raw(SYS_dup3, ours, fd, flags > 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0) >= 0;
    raw(SYS_close, ours);
    e->fd = -1;
    return placed;
}

} // namespace transport
