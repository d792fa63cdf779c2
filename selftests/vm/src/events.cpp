// SPDX-License-Identifier: GPL-2.0-only
// Attach kprobe, kretprobe, tracepoint and raw tracepoint to getpgid(), call it an exact number of times on every CPU, and
// compare: hit counts, arguments, return values, cookies, ring buffer and perf buffer records; nothing after detach.
// usage: events OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "tap.h"

enum { KPROBE, KRETPROBE, TRACEPOINT, RAW_TP, SYSCALL_EXIT, SIX_ARGS, BAD_ARGS, RING, PERF, COOKIE, FUNC_IP, LONGEST, COUNTERS };
static const char *const names[] = {"kprobe", "kretprobe", "tracepoint", "raw_tp", "exit of a system call"};

constexpr int calls_per_cpu = 500;
constexpr unsigned long test_cookie = 0x1122334455667788;
static int cpus;

static void *call_on_cpu(void *arg) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(reinterpret_cast<long>(arg), &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (int i = 0; i < calls_per_cpu; i++)
        getpgid(i & 1 ? getpid() : 0);
    return nullptr;
}

static void call_everywhere() {
    std::vector<pthread_t> threads(cpus);
    for (long c = 0; c < cpus; c++)
        pthread_create(&threads[c], nullptr, call_on_cpu, reinterpret_cast<void *>(c));
    for (auto t : threads)
        pthread_join(t, nullptr);
}

static unsigned long counter(int fd, unsigned which) {
    std::vector<unsigned long> values(libbpf_num_possible_cpus());
    unsigned long sum = 0;
    if (bpf_map_lookup_elem(fd, &which, values.data()) == 0)
        for (auto v : values)
            sum += v;
    return sum;
}

static unsigned long ring_records, ring_bad, perf_records, perf_bad, perf_lost;
static int on_ring(void *, void *data, size_t size) {
    ring_records++;
    ring_bad += size != 16 || *static_cast<unsigned long *>(data) != 0x6b70726f6265ul;
    return 0;
}
static void on_perf(void *, int, void *data, unsigned size) {
    perf_records++;
    perf_bad += size < 16 || *static_cast<unsigned long *>(data) != 0x7472616365ul;
}
static void on_lost(void *, int, unsigned long long n) { perf_lost += n; }

int main(int argc, char **argv) {
    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned long expected = static_cast<unsigned long>(cpus) * calls_per_cpu;
    bpf_object *obj = bpf_object__open(argc > 1 ? argv[1] : "/t/bin/events.bpf.o");
    if (!ok(obj != nullptr, "events: object opens"))
        return tap_exit();
    size_t size = 0;
    bpf_map *rodata = nullptr, *m;
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".rodata")) rodata = m;
    unsigned *target = static_cast<unsigned *>(const_cast<void *>(bpf_map__initial_value(rodata, &size)));
    target[0] = getpid();
    target[1] = getpgid(0);
    bpf_program__set_autoload(bpf_object__find_program_by_name(obj, "jumped_to"), true);
    if (!ok(bpf_object__load(obj) == 0, "events: programs load"))
        return tap_exit();
    int counts = bpf_object__find_map_fd_by_name(obj, "counts");
    ring_buffer *rb = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "ring"), on_ring, nullptr, nullptr);
    perf_buffer *pb = perf_buffer__new(bpf_object__find_map_fd_by_name(obj, "perf"), 64, on_perf, on_lost, nullptr, nullptr);
    ok(rb != nullptr, "events: ring buffer opens");
    ok(pb != nullptr, "events: perf buffer opens");

    std::vector<bpf_link *> links;
    bpf_program *p;
    bpf_object__for_each_program(p, obj) {
        bpf_link *l;
        if (!strcmp(bpf_program__name(p), "jumped_to")) {
            int fd = bpf_program__fd(p), slot = 0;
            ok(!bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, "jumps"), &slot, &fd, 0), "events: a program to go on to");
            continue;
        }
        if (!strcmp(bpf_program__name(p), "on_kprobe")) {
            LIBBPF_OPTS(bpf_kprobe_opts, opts, .bpf_cookie = test_cookie);
            l = bpf_program__attach_kprobe_opts(p, "__x64_sys_getpgid", &opts);
        } else {
            l = bpf_program__attach(p);
        }
        if (ok(l != nullptr, "events: %s attaches", bpf_program__name(p)))
            links.push_back(l);
    }
    call_everywhere();
    syscall(SYS_mmap, 0x1000, 2, 3, 4, 5, 6); // an offset within a page: refused
    ok(counter(counts, SIX_ARGS) == 1, "events: six arguments of a system call");
    if (!getenv("MODBPF_BACKEND")) { // on Linux they read the stack, and beyond it
        for (int i = 0; i < 100; i++)
            syscall(SYS_getpgrp);
        ok(counter(counts, LONGEST) == 100, "events: programs that others go on to read as much as any record has");
    }
    for (int i = 0; i < 5; i++) {
        unsigned long n = counter(counts, i);
        ok(n == expected, "events: %s hit %lu times, expected %lu", names[i], n, expected);
    }
    ok(counter(counts, BAD_ARGS) == 0, "events: arguments and return values are right");
    if (rb)
        while (ring_buffer__poll(rb, 100) > 0)
            ;
    ok(ring_records == counter(counts, RING) && ring_records == expected && !ring_bad,
       "events: ring buffer gave %lu records of %lu, %lu bad", ring_records, expected, ring_bad);
    if (pb)
        while (perf_buffer__poll(pb, 100) > 0)
            ;
    ok(perf_records + perf_lost >= counter(counts, PERF) && perf_records > 0 && !perf_bad,
       "events: perf buffer gave %lu records and %lu lost of %lu, %lu bad", perf_records, perf_lost, counter(counts, PERF),
       perf_bad);

    bpf_map *bss = bpf_object__find_map_by_name(obj, ".bss");
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".bss")) bss = m;
    unsigned long seen[3] = {};
    unsigned zero = 0;
    ok(bss && bpf_map_lookup_elem(bpf_map__fd(bss), &zero, seen) == 0, "events: global data reads");
    ok(seen[0] == test_cookie, "events: cookie is %#lx", seen[0]);
    ok(seen[1] != 0 && seen[1] == seen[2], "events: bpf_get_func_ip is the same in kprobe (%#lx) and kretprobe", seen[1]);

    for (auto l : links)
        ok(bpf_link__destroy(l) == 0, "events: detaches");
    call_everywhere();
    for (int i = 0; i < 5; i++)
        ok(counter(counts, i) == expected, "events: %s does not run after detach", names[i]);
    ring_buffer__free(rb);
    perf_buffer__free(pb);
    bpf_object__close(obj);
    return tap_exit();
}
