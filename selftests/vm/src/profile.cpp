// SPDX-License-Identifier: GPL-2.0-only
// Sampling and counting events with programs, and control groups in a map.
// usage: profile OBJECT CGROUP-FOLDER   (of the unified hierarchy; the caller may make groups in it)
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "kallsyms.h"
#include "tap.h"

#pragma GCC optimize("no-omit-frame-pointer")

enum { CLOCK, FAULTS, SWITCHES, INHERITED, WATCHED, EVENTS };
struct seen {
    unsigned long samples, kernel_chains, user_chains, in_user, period, addr_hits, cookie, value_errors, value;
    long last_error;
};

static bpf_object *obj;
static constexpr size_t area = 64 * 4096;
static char *pages;

static seen results(unsigned event) {
    seen s{};
    bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(obj, "results"), &event, &s);
    return s;
}

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
__attribute__((noinline)) static unsigned long spin(double seconds) {
    unsigned long n = 0;
    for (double end = now() + seconds; now() < end;)
        for (int i = 0; i < 1000; i++)
            asm volatile("" : "+r"(n));
    return n;
}

static long open_event(unsigned type, unsigned long config, unsigned long period, int pid, int cpu, bool freq = false, bool inherit = false) {
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = type, a.config = config, a.sample_period = period;
    a.freq = freq, a.inherit = inherit;
    return syscall(__NR_perf_event_open, &a, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static bpf_link *attach(const char *program, long event, unsigned long cookie) {
    LIBBPF_OPTS(bpf_perf_event_opts, opts, .bpf_cookie = cookie);
    return bpf_program__attach_perf_event_opts(bpf_object__find_program_by_name(obj, program), static_cast<int>(event), &opts);
}

static void clock_samples() {
    std::vector<bpf_link *> links;
    for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
        long e = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 200, -1, cpu, true);
        bpf_link *l = e >= 0 ? attach("on_clock", e, 42) : nullptr;
        if (ok(l != nullptr, "profile: CPU clock of CPU %d: event %ld", cpu, e))
            links.push_back(l);
    }
    spin(1.0);
    seen s = results(CLOCK);
    ok(s.samples >= 10, "profile: clock: %lu samples in a second", s.samples);
    ok(s.in_user > 0 && s.user_chains > s.samples / 2, "profile: clock: %lu in user space, %lu user chains", s.in_user, s.user_chains);
    ok(s.kernel_chains + s.in_user >= s.samples - s.samples / 8, "profile: clock: %lu kernel chains", s.kernel_chains);
    ok(s.period > 0 && s.cookie == 42, "profile: clock: period %lu, cookie %lu", s.period, s.cookie);
    ok(s.value_errors == 0 && s.value > 0, "profile: clock: value %lu, %lu errors, the last %ld", s.value, s.value_errors, s.last_error);
    unsigned long key[2], prev[2], n, spins = 0;
    int counts = bpf_object__find_map_fd_by_name(obj, "counts"), chains = bpf_object__find_map_fd_by_name(obj, "chains");
    for (void *at = nullptr; !bpf_map_get_next_key(counts, at, key); memcpy(prev, key, sizeof(key)), at = prev) {
        unsigned long ips[32] = {};
        unsigned id = static_cast<unsigned>(key[1]);
        if (static_cast<long>(key[1]) < 0 || bpf_map_lookup_elem(counts, key, &n) || bpf_map_lookup_elem(chains, &id, ips))
            continue;
        for (unsigned long ip : ips)
            if (ip >= reinterpret_cast<unsigned long>(spin) && ip < reinterpret_cast<unsigned long>(spin) + 512) {
                spins += n;
                break;
            }
    }
    ok(spins > s.samples / 2, "profile: clock: %lu of %lu samples are of the busy function", spins, s.samples);
    for (bpf_link *l : links)
        bpf_link__destroy(l);
    unsigned long before = results(CLOCK).samples;
    spin(0.2);
    ok(results(CLOCK).samples == before, "profile: clock: no samples behind the links");
}

static volatile int signalled;

/// In the interrupt of the CPU clock no lock can be taken that waits: signals are sent, and the memory map let go, once interrupts are on.
static void in_interrupt() {
    signal(SIGUSR1, [](int) { signalled = signalled + 1; });
    long e = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 10000000, 0, -1);
    bpf_link *l = e >= 0 ? attach("on_masked", e, 0) : nullptr;
    ok(l != nullptr, "profile: in an interrupt: event %ld", e);
    spin(0.5);
    bpf_link__destroy(l);
    struct {
        long calls, mapped, signals, signal_error, vma_error;
    } m = {};
    unsigned key = 0;
    bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(obj, ".data.masked"), &key, &m);
    ok(m.calls > 10, "profile: in an interrupt: %ld calls", m.calls);
    ok(m.mapped > 0 && (!m.vma_error || m.vma_error == -EBUSY), "profile: in an interrupt: %ld mappings found, the last error %ld", m.mapped, m.vma_error);
    ok(m.signals > 0 && signalled > 0 && signalled <= m.signals, "profile: in an interrupt: %d of %ld signals came, the last error %ld", signalled,
       m.signals, m.signal_error);
}

static void task_events() {
    long e = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 1, 0, -1);
    bpf_link *l = e >= 0 ? attach("on_fault", e, 0) : nullptr;
    ok(l != nullptr, "profile: page faults: event %ld", e);
    for (size_t i = 0; i < area; i += 4096)
        pages[i] = 1;
    seen s = results(FAULTS);
    ok(s.addr_hits == area / 4096, "profile: page faults: %lu of %zu pages, %lu samples", s.addr_hits, area / 4096, s.samples);
    ok(s.period == 1 && s.value >= s.samples, "profile: page faults: period %lu, value %lu", s.period, s.value);
    bpf_link__destroy(l);
    // By ioctl, disabled at first.
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = PERF_TYPE_SOFTWARE, a.config = PERF_COUNT_SW_CONTEXT_SWITCHES, a.sample_period = 1, a.disabled = 1;
    int fd = static_cast<int>(syscall(__NR_perf_event_open, &a, getpid(), -1, -1, 0));
    bpf_program *p = bpf_object__find_program_by_name(obj, "on_switch");
    ok(fd >= 0 && !ioctl(fd, PERF_EVENT_IOC_SET_BPF, bpf_program__fd(p)), "profile: context switches: event %d", fd);
    ok(ioctl(fd, PERF_EVENT_IOC_SET_BPF, bpf_program__fd(p)) < 0 && errno == EEXIST, "profile: one program an event");
    for (int i = 0; i < 5; i++)
        usleep(1000);
    unsigned long disabled = results(SWITCHES).samples;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (int i = 0; i < 20; i++)
        usleep(10000); // long enough for no timer to end it before it has begun
    s = results(SWITCHES);
    ok(!disabled && s.samples >= 20, "profile: context switches: %lu, then %lu", disabled, s.samples);
    ok(s.kernel_chains == s.samples, "profile: context switches: %lu kernel chains", s.kernel_chains);
    close(fd);
    // Children, too.
    e = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 1, 0, 0, false, true);
    for (int cpu = 1; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
        attach("on_inherited", open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, 1, 0, cpu, false, true), 0);
    l = e >= 0 ? attach("on_inherited", e, 0) : nullptr;
    ok(l != nullptr, "profile: inherited events");
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            for (size_t at = 0; at < area; at += 4096)
                pages[at] = 2; // copied on write, in a process whose number is another
            _exit(0);
        }
    while (wait(nullptr) > 0)
        ;
    ok(results(INHERITED).value_errors == results(INHERITED).samples, "profile: inherited counters cannot be read: %lu of %lu",
       results(INHERITED).value_errors, results(INHERITED).samples);
    bpf_link__destroy(l);
}

static long open_watch(unsigned type, unsigned long addr, unsigned long len) {
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = PERF_TYPE_BREAKPOINT, a.sample_period = 1;
    a.bp_type = type, a.bp_addr = addr, a.bp_len = len;
    return syscall(__NR_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/// The machine's own watch over addresses: data of this process, and a function of the kernel.
static void breakpoints() {
    auto *word = reinterpret_cast<volatile unsigned long *>(pages);
    long e = open_watch(HW_BREAKPOINT_W, reinterpret_cast<unsigned long>(word), HW_BREAKPOINT_LEN_8);
    bpf_link *l = e >= 0 ? attach("on_watched", e, 7) : nullptr;
    ok(l != nullptr, "profile: watched data: event %ld", e);
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 5; i++) {
        *word = i;
        sum += *word; // a read is none of it
    }
    word[1] = sum;
    seen s = results(WATCHED);
    ok(s.samples == 5 && s.addr_hits == 5 && s.in_user == 5, "profile: watched data: %lu writes, %lu with the address, %lu in user space", s.samples,
       s.addr_hits, s.in_user);
    ok(s.cookie == 7 && s.period == 1, "profile: watched data: cookie %lu, period %lu", s.cookie, s.period);
    bpf_link__destroy(l);
    *word = 0;
    ok(results(WATCHED).samples == 5, "profile: watched data: no samples behind the link");
    e = open_watch(HW_BREAKPOINT_X, address_of("__x64_sys_getpgid"), sizeof(long));
    int p = bpf_program__fd(bpf_object__find_program_by_name(obj, "on_watched"));
    ok(e >= 0 && !ioctl(static_cast<int>(e), PERF_EVENT_IOC_SET_BPF, p), "profile: a watched function of the kernel: event %ld", e);
    for (int i = 0; i < 3; i++)
        syscall(__NR_getpgid, 0);
    s = results(WATCHED);
    ok(s.samples == 8 && s.in_user == 5, "profile: a watched function: %lu samples, %lu in user space", s.samples, s.in_user);
    close(static_cast<int>(e));
    long held[8], count = 0;
    while (count < 8 && (held[count] = open_watch(HW_BREAKPOINT_RW, reinterpret_cast<unsigned long>(word), HW_BREAKPOINT_LEN_4)) >= 0)
        count++;
    ok(count == 4 && errno == ENOSPC, "profile: %ld at once: %d", count, errno);
    while (count)
        close(static_cast<int>(held[--count]));
    bpf_link *links[4];
    for (int i = 0; i < 4; i++)
        links[i] = attach("on_watched", open_watch(HW_BREAKPOINT_W, reinterpret_cast<unsigned long>(word + i), HW_BREAKPOINT_LEN_8), 0);
    for (int i = 0; i < 4; i++)
        word[i] = 1;
    ok(results(WATCHED).samples == 12, "profile: four programs at a time: %lu samples", results(WATCHED).samples - 8);
    for (bpf_link *each : links)
        bpf_link__destroy(each);
    ok(open_watch(HW_BREAKPOINT_W, reinterpret_cast<unsigned long>(word), 3) < 0 && errno == EINVAL, "profile: a length that is none: %d", errno);
    ok(open_watch(HW_BREAKPOINT_W, reinterpret_cast<unsigned long>(word) + 1, HW_BREAKPOINT_LEN_8) < 0 && errno == EINVAL, "profile: an address that does not fit: %d", errno);
}

static void refusals() {
    ok(open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 100000000, -1, 0, true) < 0 && errno == EINVAL, "profile: a frequency above the limit");
    ok(open_event(PERF_TYPE_SOFTWARE, 1000, 1, -1, 0) < 0 && (errno == ENOENT || errno == EINVAL || errno == EOPNOTSUPP), "profile: no such event: %d", errno);
    ok(open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1, 1 << 22, -1) < 0 && errno == ESRCH, "profile: no such task");
    long e = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 1000000, 0, -1);
    int call = bpf_program__fd(bpf_object__find_program_by_name(obj, "on_call"));
    ok(ioctl(static_cast<int>(e), PERF_EVENT_IOC_SET_BPF, call) < 0 && errno == EINVAL, "profile: a tracepoint's program");
    close(static_cast<int>(e));
}

static bool move_into(const std::string &group) {
    FILE *f = fopen((group + "/cgroup.procs").c_str(), "w");
    return f && fprintf(f, "%d", getpid()) > 0 && !fclose(f);
}

/// A program reads the counter of the CPU that it is on.
static void counters_and_groups(const char *folder) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof(one), &one);
    int counters = bpf_object__find_map_fd_by_name(obj, "counters"), groups = bpf_object__find_map_fd_by_name(obj, "groups");
    int e = static_cast<int>(open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, 0, -1, 0));
    unsigned key = 0;
    ok(e >= 0 && !bpf_map_update_elem(counters, &key, &e, BPF_ANY), "profile: a counter is in the map");
    std::string child = std::string(folder) + "/modbpf-test." + std::to_string(getpid()); // others do the same
    mkdir(child.c_str(), 0755);
    int root = open(folder, O_RDONLY | O_DIRECTORY), below = open(child.c_str(), O_RDONLY | O_DIRECTORY), other = open("/", O_RDONLY | O_DIRECTORY);
    ok(!bpf_map_update_elem(groups, &key, &root, BPF_ANY), "groups: the root is in the map");
    ok(bpf_map_update_elem(groups, &key, &other, BPF_ANY) < 0 && errno == EBADF, "groups: a folder of another file system");
    unsigned seen_fd = 0;
    ok(bpf_map_lookup_elem(groups, &key, &seen_fd) < 0 && errno == 524, "groups: nothing is read back");
    key = 1;
    ok(!bpf_map_update_elem(groups, &key, &below, BPF_ANY), "groups: and a group below it");
    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(obj, "on_call"));
    struct shared {
        long calls, error, under[3], plain;
        unsigned long counter, enabled, running;
        long cpu, rq_cpu;
    };
    volatile shared *out = nullptr;
    bpf_map *m;
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".bss"))
        out = static_cast<volatile shared *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0));
    syscall(__NR_getpgid, 0);
    ok(out->calls == 1 && out->error == 0 && out->counter > 0 && out->enabled >= out->running, "counter: error %ld, count %lu", out->error,
       out->counter);
    ok(out->cpu == out->rq_cpu, "ksym: the run queue of this CPU: %ld, %ld", out->cpu, out->rq_cpu);
    ok(out->plain >= static_cast<long>(out->counter), "counter: the plain count %ld", out->plain);
    ok(out->under[0] == 1 && out->under[1] == 0 && out->under[2] == -E2BIG, "groups: %ld %ld %ld", out->under[0], out->under[1], out->under[2]);
    ok(move_into(child), "groups: into the group");
    syscall(__NR_getpgid, 0);
    ok(out->under[0] == 1 && out->under[1] == 1, "groups: moved: %ld %ld", out->under[0], out->under[1]);
    ok(move_into(folder), "groups: and out of it");
    ok(!rmdir(child.c_str()), "groups: the group goes while it is in the map");
    syscall(__NR_getpgid, 0);
    ok(out->under[1] == 0, "groups: and nobody is in it: %ld", out->under[1]);
    ok(!bpf_map_delete_elem(groups, &key), "groups: deleted");
    syscall(__NR_getpgid, 0);
    ok(out->under[1] == -EAGAIN, "groups: an empty slot: %ld", out->under[1]);
    bpf_link__destroy(l);
    close(root), close(below), close(other), close(e);
}

int main(int argc, char **argv) {
    obj = bpf_object__open(argc > 1 ? argv[1] : "/t/bin/profile.bpf.o");
    if (!ok(obj != nullptr, "profile: object opens"))
        return tap_exit();
    pages = static_cast<char *>(mmap(nullptr, area, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    madvise(pages, area, MADV_NOHUGEPAGE); // beside other mappings one fault could bring two megabytes
    size_t size = 0;
    bpf_map *m;
    struct {
        unsigned target;
        unsigned long start, end;
    } target = {static_cast<unsigned>(getpid()), reinterpret_cast<unsigned long>(pages), reinterpret_cast<unsigned long>(pages) + area};
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".rodata"))
        memcpy(const_cast<void *>(bpf_map__initial_value(m, &size)), &target, sizeof(target));
    if (!ok(bpf_object__load(obj) == 0, "profile: programs load"))
        return tap_exit();
    clock_samples();
    in_interrupt();
    task_events();
    breakpoints();
    refusals();
    counters_and_groups(argc > 2 ? argv[2] : "/sys/fs/cgroup");
    bpf_object__close(obj);
    return tap_exit();
}
