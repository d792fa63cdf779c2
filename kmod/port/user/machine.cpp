// SPDX-License-Identifier: GPL-2.0-only
// Log, time, randomness, current task, capabilities and kernel information on POSIX.
//
// Environment: MODBPF_LOG=err|warn|info|debug (default warn), MODBPF_TRACE=1 (trace_printk lines to standard error),
// MODBPF_BUG_ABORT=1 (stop at the first self-check that fails), MODBPF_CAPS=real (the process's own capabilities instead of
// all), MODBPF_VMLINUX_BTF=FILE (instead of /sys/kernel/btf/vmlinux; empty: none),
// MODBPF_MODULE_BTF=DIRECTORY (types of modules, a file each; else none).
#include "base/errno.h"
#include "port/user/user.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

namespace {

u64 bug_count;
void (*trace_hook)(const char *);
void (*log_hook)(port_log_level, const char *);
u32 caps = ~0u;
int security = 0;

port_log_level log_threshold() {
    static int cached = -1;
    int level = __atomic_load_n(&cached, __ATOMIC_RELAXED);
    if (level < 0) {
        const char *s = getenv("MODBPF_LOG");
        level = PORT_LOG_WARN;
        if (s)
            level = !strcmp(s, "debug")  ? PORT_LOG_DEBUG
                    : !strcmp(s, "info") ? PORT_LOG_INFO
                    : !strcmp(s, "err")  ? PORT_LOG_ERR
                                         : PORT_LOG_WARN;
        __atomic_store_n(&cached, level, __ATOMIC_RELAXED);
    }
    return static_cast<port_log_level>(level);
}

void log_line(port_log_level level, const char *text) {
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    if (log_hook) {
        log_hook(level, text);
        return;
    }
    if (level > log_threshold())
        return;
    size_t n = strlen(text);
    fprintf(stderr, "modbpf: %s%s%s", names[level], text, n && text[n - 1] == '\n' ? "" : "\n");
}

u64 clock_ns(clockid_t id) {
    timespec t;
    clock_gettime(id, &t);
    return static_cast<u64>(t.tv_sec) * 1000000000ull + static_cast<u64>(t.tv_nsec);
}

PORT_USER_TLS void *run_slot;
PORT_USER_TLS u64 random_state;

/// One bit a enum port_cap from the thread's effective set.
u32 real_caps() {
    // capget(2), version 3: two words a set; numbers from man 7 capabilities.
    constexpr unsigned int CAP_NET_ADMIN = 12, CAP_SYS_ADMIN = 21, CAP_SYS_BOOT = 22, CAP_PERFMON = 38, CAP_BPF = 39;
    struct {
        u32 version;
        s32 pid;
    } h = {0x20080522, 0};
    struct {
        u32 effective, permitted, inheritable;
    } d[2] = {};
    if (syscall(SYS_capget, &h, d))
        return 0;
    auto has = [&](unsigned int c) { return (d[c / 32].effective >> (c % 32)) & 1; };
    u32 admin = has(CAP_SYS_ADMIN);
    return (has(CAP_BPF) | admin) << PORT_CAP_BPF | (has(CAP_PERFMON) | admin) << PORT_CAP_PERFMON |
           (has(CAP_NET_ADMIN) | admin) << PORT_CAP_NET_ADMIN | admin << PORT_CAP_SYS_ADMIN |
           has(CAP_SYS_BOOT) << PORT_CAP_SYS_BOOT;
}

bool caps_are_real() {
    static int cached = -1;
    int real = __atomic_load_n(&cached, __ATOMIC_RELAXED);
    if (real < 0) {
        const char *s = getenv("MODBPF_CAPS");
        real = s && !strcmp(s, "real");
        __atomic_store_n(&cached, real, __ATOMIC_RELAXED);
    }
    return real;
}

struct {
    pthread_once_t once = PTHREAD_ONCE_INIT;
    port_user_bytes types;
} vmlinux;

void read_vmlinux_btf() {
    const char *path = getenv("MODBPF_VMLINUX_BTF");
    vmlinux.types = port_user_read_whole(path ? path : "/sys/kernel/btf/vmlinux");
}

} // namespace

port_user_bytes port_user_read_whole(const char *path) {
    port_user_bytes types{};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return types;
    struct stat st;
    if (!fstat(fd, &st) && st.st_size > 0 && st.st_size < (1 << 28)) {
        size_t size = static_cast<size_t>(st.st_size), got = 0;
        u8 *p = static_cast<u8 *>(malloc(size));
        ssize_t n = 1;
        while (p && got < size && (n = read(fd, p + got, size - got)) > 0)
            got += static_cast<size_t>(n);
        if (p && got == size) {
            types = {p, size};
        } else {
            free(p);
        }
    }
    close(fd);
    return types;
}

// ---- log ----

void port_log(port_log_level level, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_line(level, text);
}

void port_bug(const char *file, int line, const char *what) {
    // Once per call site: a small set of sites seen, by line and file address.
    static u64 seen[256];
    u64 site = reinterpret_cast<u64>(file) * 31 + static_cast<u64>(line);
    __atomic_fetch_add(&bug_count, 1, __ATOMIC_RELAXED);
    u64 old = __atomic_exchange_n(&seen[site % 256], site, __ATOMIC_RELAXED);
    if (old != site)
        port_log(PORT_LOG_ERR, "BUG at %s:%d: %s", file, line, what);
    const char *stop = getenv("MODBPF_BUG_ABORT");
    if (stop && *stop == '1')
        abort();
}

u64 port_user_bug_count(void) { return __atomic_load_n(&bug_count, __ATOMIC_RELAXED); }
void port_user_set_trace_hook(void (*hook)(const char *)) { trace_hook = hook; }
void port_user_set_log_hook(void (*hook)(port_log_level, const char *)) { log_hook = hook; }

int port_vsnprintf(char *buf, size_t size, const char *fmt, va_list args) { return vsnprintf(buf, size, fmt, args); }

int port_snprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return n;
}

// ---- time and randomness ----

u64 port_ktime_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
u64 port_ktime_boot_ns(void) { return clock_ns(CLOCK_BOOTTIME); }
u64 port_ktime_coarse_ns(void) { return clock_ns(CLOCK_MONOTONIC_COARSE); }
u64 port_ktime_tai_ns(void) { return clock_ns(CLOCK_TAI); }
u64 port_realtime_ns(void) { return clock_ns(CLOCK_REALTIME); }

/// The tick of the last look at the clock: when it was asked for, before and after each bpf() call, when a program's runs yield.
static u64 jiffies;
u64 port_jiffies(void) {
    u64 now = clock_ns(CLOCK_MONOTONIC_COARSE) / 4000000; // HZ=250, Debian's
    __atomic_store_n(&jiffies, now, __ATOMIC_RELAXED);
    return now;
}
const u64 *port_jiffies_word(void) {
    port_jiffies();
    return &jiffies;
}

u64 port_random_seed(void) {
    u64 v;
    if (getrandom(&v, sizeof(v), 0) != sizeof(v))
        v = clock_ns(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull ^ static_cast<u64>(getpid());
    return v;
}

u64 port_random_u32(void) {
    if (!random_state)
        random_state = port_random_seed() | 1;
    u64 x = random_state; // xorshift64*
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random_state = x;
    return static_cast<u32>((x * 0x2545f4914f6cdd1dull) >> 32);
}

static u64 resched_count;
static bool others_wait;
void port_cond_resched(void) {
    resched_count++;
    port_jiffies();
}
bool port_signal_pending(void) { return false; }
bool port_need_resched(void) { return others_wait; }
void port_user_set_need_resched(bool need) { others_wait = need; }
u64 port_user_resched_count(void) { return resched_count; }
static size_t stack_left = 1u << 20;
size_t port_stack_left(void) { return stack_left; }
void port_user_set_stack_left(size_t left) { stack_left = left; }
void **port_run_slot(void) { return &run_slot; }

// ---- current task and capabilities ----

u64 port_current_uid_gid(void) { return static_cast<u64>(getgid()) << 32 | getuid(); }

int port_send_signal(u32 sig, bool thread) {
    if (sig > 64)
        return -EINVAL;
    long rc = thread ? syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig) : kill(getpid(), static_cast<int>(sig));
    return rc ? -errno : 0;
}

int port_probe_write_user(u64 dst, const void *src, size_t n) {
    iovec from{const_cast<void *>(src), n}, to{reinterpret_cast<void *>(dst), n};
    return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == static_cast<ssize_t>(n) ? 0 : -EFAULT;
}

/// There is only this process: its memory is every task's.
long port_read_task_memory(u64, void *dst, u64 src, size_t n) {
    iovec to{dst, n}, from{reinterpret_cast<void *>(src), n};
    ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    return got < 0 ? -EFAULT : got;
}

u64 port_task_regs(u64) { return 0; }
u64 port_task_get(u64) { return 0; }
void port_task_put(u64) {}
u64 port_task_from_pid(s32) { return 0; }
u64 port_cgroup_get(u64) { return 0; }
void port_cgroup_put(u64) {}
u64 port_cgroup_ancestor(u64, int) { return 0; }
u64 port_cgroup_from_id(u64) { return 0; }
void port_cgroup_updated(u64, int) {}
void port_cgroup_flush(u64) {}
u64 port_task_exe_file(u64) { return 0; }
void port_exe_file_put(u64) {}
long port_dentry_xattr(u64, const char *, void *, size_t) { return -EOPNOTSUPP; }
u64 port_file_dentry(u64) { return 0; }
u64 port_key_user(u32, u64) { return 0; }
u64 port_key_system(u64) { return 0; }
void port_key_put(u64) {}
int port_key_verify(u64, const void *, size_t, const void *, size_t) { return -EOPNOTSUPP; }
int port_cgroup_find(int, u64, u64 *) { return -EOPNOTSUPP; }
u64 port_cgroup_number(u64) { return 0; }
bool port_cgroup_online(u64) { return false; }
int port_cgroup_path(u64, char *, size_t) { return -EOPNOTSUPP; }
bool port_cgroups_lock(void) { return false; }
void port_cgroups_unlock(void) {}
bool port_symbol_at(void *, u64) { return false; }
bool port_task_under_cgroup(u64, u64) { return false; }
u64 port_task_cgroup1(u64, int) { return 0; }
u64 port_process_first() { return 0; }
u64 port_process_next(u64) { return 0; }
u64 port_thread_next(u64) { return 0; }
u64 port_css_next(u64, u64, port_css_order) { return 0; }
size_t port_css_tasks_size(void) { return 0; }
int port_css_tasks_start(void *, u64, u32) { return -EOPNOTSUPP; }
u64 port_css_tasks_next(void *) { return 0; }
void port_css_tasks_end(void *) {}
size_t port_task_vmas_size(void) { return 0; }
int port_task_vmas_start(void *, u64, u64) { return -EOPNOTSUPP; }
u64 port_task_vmas_next(void *) { return 0; }
void port_task_vmas_end(void *) {}
long port_path_text(u64, char *, size_t) { return -EFAULT; }
size_t port_cpumask_size(void) { return 1024; } // Debian's NR_CPUS is 8192

int port_ns_pid_tgid(u64 dev, u64 ino, u32 *pid, u32 *tgid) {
    struct stat st;
    if (stat("/proc/self/ns/pid", &st) || st.st_dev != dev || st.st_ino != ino)
        return -EINVAL;
    *pid = static_cast<u32>(syscall(SYS_gettid));
    *tgid = static_cast<u32>(getpid());
    return 0;
}

void port_current_comm(char *buf, size_t size) {
    char name[16] = {};
    prctl(PR_GET_NAME, name);
    if (!size)
        return;
    memset(buf, 0, size);
    memcpy(buf, name, strnlen(name, size - 1 < 15 ? size - 1 : 15));
}

void port_user_set_security(int rc) { security = rc; }
int port_security_bpf(u32, void *, u32) { return security; }
void port_user_set_caps(u32 mask) { caps = mask; }

bool port_capable(port_cap cap) {
    u32 mask = caps_are_real() ? real_caps() & caps : caps;
    return mask >> cap & 1;
}

static int paranoid = 3;
void port_user_set_paranoid(int level) { paranoid = level; }
int port_perf_paranoid(void) { return paranoid; }

static int unprivileged = -1; // not set: the machine's
void port_user_set_unprivileged(bool allowed) { unprivileged = allowed; }

bool port_unprivileged_bpf(void) {
    if (unprivileged >= 0)
        return unprivileged;
    int fd = open("/proc/sys/kernel/unprivileged_bpf_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char digit = '2';
    bool is_zero = read(fd, &digit, 1) == 1 && digit == '0';
    close(fd);
    return is_zero;
}

// ---- kernel information ----

u64 port_ksym_lookup(const char *) { return 0; }
u64 port_percpu_variable(u64, unsigned int) { return 0; }

int port_vmlinux_btf(const void **data, size_t *size) {
    const char *path = getenv("MODBPF_VMLINUX_BTF");
    if (path && !*path)
        return -ENOENT;
    pthread_once(&vmlinux.once, read_vmlinux_btf);
    if (!vmlinux.types.data)
        return -ENOENT;
    *data = vmlinux.types.data;
    *size = vmlinux.types.size;
    return 0;
}

void port_trace_line(const char *text) {
    if (trace_hook)
        trace_hook(text);
    else if (getenv("MODBPF_TRACE"))
        fprintf(stderr, "bpf_trace_printk: %s\n", text);
}

void port_trace_line_enable(void) {}

int port_format_symbol(char *buf, size_t size, char kind, u64 addr) {
    static const u64 key = port_random_seed() | 1;
    // Like the kernel: 32 bits that say whether two pointers are equal and nothing else; NULL and errors stay readable.
    if (kind == 'p' || kind == 'K')
        return snprintf(buf, size, "%016llx", addr && addr < -4095ull ? (addr * key * key >> 32) : addr);
    return snprintf(buf, size, "0x%llx", addr);
}

const char *port_missing_symbol(unsigned int) { return nullptr; }
