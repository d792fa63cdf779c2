// SPDX-License-Identifier: GPL-2.0-only
// Routing: bpf() and perf_event_open() to the back end, and fsopen() of bpffs to the device's file system.
#include "loader/lib/transport.h"
#include "loader/lib/libmodbpf.h"

#include "uapi/modbpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace transport {

namespace {

int chosen = -1; // a backend_kind, or -1: not decided

int parse(const char *name) {
    if (!strcmp(name, "device"))
        return static_cast<int>(backend_kind::device);
    if (!strcmp(name, "process"))
        return static_cast<int>(backend_kind::process);
    if (!strcmp(name, "kernel"))
        return static_cast<int>(backend_kind::kernel);
    return -1;
}

int from_environment() {
    const char *name = getenv("MODBPF_BACKEND");
    if (!name || !*name)
        return static_cast<int>(backend_kind::device);
    int k = parse(name);
    if (k >= 0)
        return k;
    fprintf(stderr, "modbpf: MODBPF_BACKEND=%s is unknown; use device, process or kernel. Using device.\n", name);
    return static_cast<int>(backend_kind::device);
}

/// The number of a PMU of this machine, -1 without it; cached: -2 at first.
int pmu(const char *type_file, int &cached) {
    int type = __atomic_load_n(&cached, __ATOMIC_RELAXED);
    if (type != -2)
        return type;
    type = -1;
    if (FILE *f = fopen(type_file, "re")) {
        if (fscanf(f, "%d", &type) != 1)
            type = -1;
        fclose(f);
    }
    __atomic_store_n(&cached, type, __ATOMIC_RELAXED);
    return type;
}

/// Does the event of this type put a probe somewhere?
bool is_probe(uint32_t type) {
    static int kprobe = -2, uprobe = -2;
    return static_cast<int>(type) >= 0 && (static_cast<int>(type) == pmu("/sys/bus/event_source/devices/kprobe/type", kprobe) ||
                                           static_cast<int>(type) == pmu("/sys/bus/event_source/devices/uprobe/type", uprobe));
}

/// Copies from an address that may be bad, where the kernel has no process_vm_readv or a sandbox forbids it: through a pipe, whose
/// write() finds out.
bool fetch_through_pipe(void *dst, uint64_t src, size_t n) {
    int ends[2];
    if (raw(SYS_pipe2, reinterpret_cast<long>(ends), O_CLOEXEC))
        return false;
    bool got = raw(SYS_write, ends[1], static_cast<long>(src), static_cast<long>(n)) == static_cast<long>(n) &&
               raw(SYS_read, ends[0], reinterpret_cast<long>(dst), static_cast<long>(n)) == static_cast<long>(n);
    raw(SYS_close, ends[0]);
    raw(SYS_close, ends[1]);
    return got;
}

/// The process's id, asked of the kernel once: programs that trace a tool see no calls but its own. The page that keeps it is emptied in
/// whatever is forked, by whichever call.
int own_pid() {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static int *kept;
    pthread_once(&once, [] {
        long page = raw(SYS_mmap, 0, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page < 0 && page > -4096)
            return;
        if (!raw(SYS_madvise, page, sysconf(_SC_PAGESIZE), MADV_WIPEONFORK))
            kept = reinterpret_cast<int *>(page);
    });
    if (!kept)
        return getpid();
    int pid = __atomic_load_n(kept, __ATOMIC_RELAXED);
    if (!pid) {
        pid = getpid();
        __atomic_store_n(kept, pid, __ATOMIC_RELAXED);
    }
    return pid;
}

/// n bytes at an address that may be bad.
bool fetch(void *dst, uint64_t src, size_t n) {
    struct {
        void *base;
        size_t len;
    } local = {dst, n}, remote = {reinterpret_cast<void *>(src), n};
    long got = raw(SYS_process_vm_readv, own_pid(), reinterpret_cast<long>(&local), 1, reinterpret_cast<long>(&remote), 1, 0);
    if (got == static_cast<long>(n))
        return true;
    return (got == -ENOSYS || got == -EPERM) && fetch_through_pipe(dst, src, n);
}

/// True for the events that modbpf serves from the start: probes, tracepoints, BPF output. The others stay the kernel's, until a program
/// is put on one (events.cpp). `attr` is the caller's pointer and may be bad: that is an EFAULT of the callee.
bool serves_event(uint64_t attr) {
    struct {
        uint32_t type, size;
        uint64_t config;
    } head;
    if (!fetch(&head, attr, sizeof(head)))
        return false;
    if (head.type == PERF_TYPE_TRACEPOINT)
        return true;
    if (head.type == PERF_TYPE_SOFTWARE)
        return head.config == PERF_COUNT_SW_BPF_OUTPUT;
    return is_probe(head.type);
}

/// The perf event that a command names: the target of a link, or what becomes an element of a map. -1: none.
int event_of(uint32_t cmd, uint64_t attr, uint32_t size) {
    constexpr uint32_t map_update_elem = 2, link_create = 28;
    uint64_t words[3] = {};
    if ((cmd != map_update_elem && cmd != link_create) || !fetch(words, attr, size < sizeof(words) ? size : sizeof(words)))
        return -1;
    int fd = -1;
    if (cmd == link_create) // prog_fd, target_fd
        return static_cast<int>(words[0] >> 32);
    return fetch(&fd, words[2], sizeof(fd)) ? fd : -1; // map_fd, key, value
}

long bpf(long cmd, long attr, long size) {
    uint32_t c = static_cast<uint32_t>(cmd), n = static_cast<uint32_t>(size);
    if (backend() == backend_kind::process)
        return process_bpf(c, static_cast<uint64_t>(attr), n);
    modbpf_bpf request = {c, n, static_cast<uint64_t>(attr)};
    long r = device_ioctl(MODBPF_IOC_BPF, &request);
    if (r == -EBADF && event_adopt(event_of(c, static_cast<uint64_t>(attr), n)))
        r = device_ioctl(MODBPF_IOC_BPF, &request);
    return r;
}

modbpf_perf_event_open event_request(long attr, long pid, long cpu, long group, long flags) {
    modbpf_perf_event_open request = {};
    request.attr = static_cast<uint64_t>(attr);
    request.pid = static_cast<int>(pid);
    request.cpu = static_cast<int>(cpu);
    request.group_fd = static_cast<int>(group);
    request.flags = static_cast<uint64_t>(flags);
    return request;
}

long perf_event_open(long attr, long pid, long cpu, long group, long flags) {
    if (backend() == backend_kind::process)
        return process_perf_event_open(static_cast<uint64_t>(attr), static_cast<int>(pid), static_cast<int>(cpu),
                                       static_cast<int>(group), static_cast<uint64_t>(flags));
    modbpf_perf_event_open request = event_request(attr, pid, cpu, group, flags);
    return device_ioctl(MODBPF_IOC_PERF_EVENT_OPEN, &request);
}

long open_fs(long type, long flags) {
    char name[4];
    bool ours = backend() == backend_kind::device && fetch(name, static_cast<uint64_t>(type), sizeof(name)) && !memcmp(name, "bpf", sizeof(name));
    return raw(SYS_fsopen, ours ? reinterpret_cast<long>(MODBPF_FS_TYPE) : type, flags);
}

} // namespace

backend_kind backend() {
    int k = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (k < 0) {
        k = from_environment();
        __atomic_store_n(&chosen, k, __ATOMIC_RELAXED);
    }
    return static_cast<backend_kind>(k);
}

long raw(long nr, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long ret;
    asm volatile("syscall"
                 : "=a"(ret)
                 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return ret;
}

} // namespace transport

using namespace transport;

extern "C" __attribute__((visibility("hidden"))) long modbpf_fail(long negative_errno) {
    errno = static_cast<int>(-negative_errno);
    return -1;
}

/// Reached from syscall() with its own arguments.
extern "C" __attribute__((visibility("hidden"))) long modbpf_route(long nr, long a, long b, long c, long d, long e, long f) {
    int saved = errno;
    long r;
    if (in_core() || backend() == backend_kind::kernel)
        r = raw(nr, a, b, c, d, e, f);
    else if (static_cast<int>(nr) == SYS_bpf)
        r = bpf(a, b, c);
    else if (static_cast<int>(nr) == SYS_fsopen)
        r = open_fs(a, b);
    else if (serves_event(static_cast<uint64_t>(a))) {
        r = perf_event_open(a, b, c, d, e);
        if (r >= 0)
            event_forgotten(static_cast<int>(r));
    } else {
        r = raw(nr, a, b, c, d, e, f);
        if (r >= 0 && backend() == backend_kind::device)
            event_opened(static_cast<int>(r), event_request(a, b, c, d, e));
    }
    errno = saved;
    return r < 0 && r >= -4095 ? modbpf_fail(r) : r;
}

extern "C" int modbpf_select_backend(const char *name) {
    int k = parse(name);
    if (k < 0)
        return -1;
    __atomic_store_n(&chosen, k, __ATOMIC_RELAXED);
    return 0;
}

extern "C" long modbpf_features(char *buf, size_t size) {
    uint32_t n = size > 1u << 30 ? 1u << 30 : static_cast<uint32_t>(size);
    long r;
    if (backend() == backend_kind::kernel) {
        r = -ENODEV;
    } else if (backend() == backend_kind::process) {
        r = process_features(buf, n);
    } else {
        struct modbpf_features request = {reinterpret_cast<uint64_t>(buf), n, 0};
        r = device_ioctl(MODBPF_IOC_FEATURES, &request);
    }
    return r < 0 ? modbpf_fail(r) : r;
}
