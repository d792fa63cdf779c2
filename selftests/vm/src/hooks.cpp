// SPDX-License-Identifier: GPL-2.0-only
// Puts the programs of stress.bpf.c on the hooks given, makes the kernel busy on every CPU while readers empty the buffers, and takes
// them off again. K6: every CPU goes on working all the time. K7: no hook deadlocks, nested runs are counted as missed.
// usage: hooks OBJECT SECONDS [idle] HOOK...    HOOK: kprobe:FUNC kretprobe:FUNC tp:CATEGORY:NAME raw_tp:NAME clock:FREQUENCY (of each
//        CPU); a leading '?' allows that the kernel refuses it; idle: somebody else makes the events
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <vector>

#include "hammer.h"
#include "tap.h"

static volatile bool stop;
static int cpus;

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

struct worker {
    pthread_t thread;
    int cpu;
    unsigned long turns;
    double longest; ///< seconds between two turns
};

/// System calls that allocate, lock, wake, copy and fault.
static void *work(void *arg) {
    auto *w = static_cast<worker *>(arg);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(w->cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    int zero = open("/dev/zero", O_RDONLY), pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
        return nullptr;
    double last = now();
    char buf[256];
    while (!stop) {
        getpgid(0);
        (void)!read(zero, buf, sizeof(buf));
        (void)!write(pair[0], buf, 64);
        (void)!read(pair[1], buf, sizeof(buf));
        int f = open("/proc/self/stat", O_RDONLY);
        (void)!read(f, buf, sizeof(buf));
        close(f);
        char *m = static_cast<char *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        m[4096] = 1;
        munmap(m, 8192);
        usleep(100);
        double t = now();
        if (t - last > w->longest)
            w->longest = t - last;
        last = t;
        w->turns++;
    }
    close(zero);
    close(pair[0]);
    close(pair[1]);
    return nullptr;
}

static unsigned long ring_records, perf_records;
static int on_ring(void *, void *, size_t) {
    ring_records++;
    return 0;
}
static void on_perf(void *, int, void *, unsigned) { perf_records++; }
static void on_lost(void *, int, unsigned long long) {}

static ring_buffer *rb;
static perf_buffer *pb;
static void *read_ring(void *) {
    while (!stop)
        ring_buffer__poll(rb, 50);
    return nullptr;
}
static void *read_perf(void *) {
    while (!stop)
        perf_buffer__poll(pb, 50);
    return nullptr;
}

static unsigned long counter(bpf_object *obj, unsigned which) {
    std::vector<unsigned long> values(libbpf_num_possible_cpus());
    unsigned long sum = 0;
    if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(obj, "counts"), &which, values.data()) == 0)
        for (auto v : values)
            sum += v;
    return sum;
}
static unsigned long missed(bpf_object *obj) {
    unsigned long sum = 0;
    bpf_program *p;
    bpf_object__for_each_program(p, obj) {
        bpf_prog_info info = {};
        unsigned len = sizeof(info);
        if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &len) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

static bpf_link *attach_clock(bpf_program *p, unsigned long freq, int cpu) {
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = PERF_TYPE_SOFTWARE, a.config = PERF_COUNT_SW_CPU_CLOCK, a.freq = 1, a.sample_freq = freq;
    long fd = syscall(SYS_perf_event_open, &a, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? nullptr : bpf_program__attach_perf_event(p, static_cast<int>(fd));
}

static bpf_link *attach(bpf_object *obj, const char *hook) {
    auto prog = [&](const char *name) { return bpf_object__find_program_by_name(obj, name); };
    const char *colon = strchr(hook, ':');
    if (!colon)
        return nullptr;
    if (!strncmp(hook, "kprobe:", 7))
        return bpf_program__attach_kprobe(prog("on_kprobe"), false, colon + 1);
    if (!strncmp(hook, "kretprobe:", 10))
        return bpf_program__attach_kprobe(prog("on_kretprobe"), true, colon + 1);
    if (!strncmp(hook, "raw_tp:", 7))
        return bpf_program__attach_raw_tracepoint(prog("on_raw_tp"), colon + 1);
    char category[64] = {};
    const char *name = strchr(colon + 1, ':');
    if (!name || name - colon > 60)
        return nullptr;
    memcpy(category, colon + 1, name - colon - 1);
    return bpf_program__attach_tracepoint(prog("on_tp"), category, name + 1);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    libbpf_set_print([](libbpf_print_level, const char *, va_list) { return 0; });
    int at = 3;
    bool idle = !strcmp(argv[at], "idle");
    at += idle;
    double seconds = atof(argv[2]);
    bpf_object *obj = bpf_object__open(argv[1]);
    if (!ok(obj && bpf_object__load(obj) == 0, "hooks: object loads"))
        return tap_exit();
    rb = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "ring"), on_ring, nullptr, nullptr);
    pb = perf_buffer__new(bpf_object__find_map_fd_by_name(obj, "perf"), 16, on_perf, on_lost, nullptr, nullptr);
    if (!ok(rb && pb, "hooks: buffers open"))
        return tap_exit();
    std::vector<bpf_link *> links;
    for (; at < argc; at++) {
        bool optional = argv[at][0] == '?';
        const char *hook = argv[at] + optional;
        if (!strncmp(hook, "clock:", 6)) {
            for (int cpu = 0; cpu < cpus; cpu++)
                if (bpf_link *c = attach_clock(bpf_object__find_program_by_name(obj, "on_clock"), strtoul(hook + 6, nullptr, 10), cpu))
                    links.push_back(c);
                else
                    ok(optional, "hooks: %s: %s", hook, strerror(errno));
            continue;
        }
        bpf_link *l = attach(obj, hook);
        if (l)
            links.push_back(l);
        else if (optional)
            printf("# %s: %s\n", hook, strerror(errno));
        else
            ok(false, "hooks: %s: %s", hook, strerror(errno));
    }
    ok(!links.empty(), "hooks: %zu attached", links.size());

    hammer maps(obj, stop);
    pthread_t striker;
    pthread_create(&striker, nullptr, hammer::run, &maps);
    std::vector<worker> workers(idle ? 0 : cpus);
    pthread_t readers[2];
    pthread_create(&readers[0], nullptr, read_ring, nullptr);
    pthread_create(&readers[1], nullptr, read_perf, nullptr);
    for (size_t c = 0; c < workers.size(); c++) {
        workers[c].cpu = static_cast<int>(c);
        pthread_create(&workers[c].thread, nullptr, work, &workers[c]);
    }
    for (double end = now() + seconds; now() < end;)
        usleep(100000);
    stop = true;
    for (auto &w : workers)
        pthread_join(w.thread, nullptr);
    pthread_join(striker, nullptr);
    pthread_join(readers[0], nullptr);
    pthread_join(readers[1], nullptr);
    for (auto &w : workers)
        ok(w.turns > 0 && w.longest < 8, "hooks: CPU %d worked: %lu turns, longest wait %.1f s", w.cpu, w.turns, w.longest);
    bool off = true;
    for (auto l : links)
        off &= bpf_link__destroy(l) == 0;
    ok(off, "hooks: all detach");
    unsigned long runs = counter(obj, 0);
    ok(counter(obj, 3) == 0, "hooks: no value was torn, lost or another's: %lu; %lu rounds from user space", counter(obj, 3), maps.strikes());
    ok(runs > 0, "hooks: %lu runs, %lu missed, %lu ring and %lu perf records written, %lu and %lu read", runs, missed(obj),
       counter(obj, 1), counter(obj, 2), ring_records, perf_records);
    usleep(20000);
    ok(counter(obj, 0) == runs, "hooks: no run after detach");
    ring_buffer__free(rb);
    perf_buffer__free(pb);
    bpf_object__close(obj);
    return tap_exit();
}
