// SPDX-License-Identifier: GPL-2.0-only
// K10: takes a CPU away and brings it back while programs of all four kinds are attached: events on the CPU that came back are seen
// again, all of them, and detaching while it is away works.
// usage: hotplug OBJECT ROUNDS
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

#include "tap.h"

static bool set_online(bool on) {
    int f = open("/sys/devices/system/cpu/cpu1/online", O_WRONLY);
    bool done = write(f, on ? "1" : "0", 1) == 1;
    close(f);
    return done;
}

static bool run_on_cpu1(int calls) {
    cpu_set_t one, all;
    CPU_ZERO(&one);
    CPU_SET(1, &one);
    CPU_ZERO(&all);
    CPU_SET(0, &all);
    CPU_SET(1, &all);
    bool moved = sched_setaffinity(0, sizeof(one), &one) == 0 && sched_getcpu() == 1;
    for (int i = 0; i < calls; i++)
        getpgid(0);
    sched_setaffinity(0, sizeof(all), &all);
    return moved;
}

static unsigned long counter(int fd, unsigned which) {
    std::vector<unsigned long> values(libbpf_num_possible_cpus());
    unsigned long sum = 0;
    if (bpf_map_lookup_elem(fd, &which, values.data()) == 0)
        for (auto v : values)
            sum += v;
    return sum;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    bpf_object *obj = bpf_object__open(argv[1]);
    bpf_map *m;
    size_t size;
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".rodata"))
        *static_cast<unsigned *>(const_cast<void *>(bpf_map__initial_value(m, &size))) = getpid();
    if (!ok(obj && bpf_object__load(obj) == 0, "hotplug: object loads"))
        return tap_exit();
    int counts = bpf_object__find_map_fd_by_name(obj, "counts");
    std::vector<bpf_link *> links;
    bpf_program *p;
    bpf_object__for_each_program(p, obj) {
        if (!bpf_program__autoload(p))
            continue;
        links.push_back(bpf_program__attach(p));
        ok(links.back() != nullptr, "hotplug: %s attaches", bpf_program__name(p));
    }
    constexpr int calls = 50;
    int rounds = atoi(argv[2]), switched = 0, short_of = 0;
    for (int r = 0; r < rounds; r++) {
        switched += set_online(false);
        if (r % 2) { // events that begin while the CPU is away
            size_t i = 0;
            bpf_object__for_each_program(p, obj) {
                if (!bpf_program__autoload(p))
                    continue;
                bpf_link__destroy(links[i]);
                links[i++] = bpf_program__attach(p);
            }
        }
        switched += set_online(true);
        usleep(300000); // the counters of a CPU that came up are made by a worker
        unsigned long before[4];
        for (int i = 0; i < 4; i++)
            before[i] = counter(counts, i);
        if (!run_on_cpu1(calls))
            short_of++, printf("# round %d: not on CPU 1\n", r);
        for (int i = 0; i < 4; i++) {
            unsigned long n = counter(counts, i) - before[i];
            if (n != calls)
                short_of++, printf("# round %d: kind %d saw %lu of %d\n", r, i, n, calls);
        }
    }
    ok(switched == 2 * rounds, "hotplug: CPU 1 went and came %d times", switched / 2);
    ok(short_of == 0, "hotplug: all events on the CPU that came back are seen");
    set_online(false);
    for (auto l : links)
        ok(l && bpf_link__destroy(l) == 0, "hotplug: detaches while the CPU is away");
    set_online(true);
    unsigned long last = counter(counts, 0) + counter(counts, 1) + counter(counts, 2) + counter(counts, 3);
    run_on_cpu1(calls);
    ok(last == counter(counts, 0) + counter(counts, 1) + counter(counts, 2) + counter(counts, 3), "hotplug: nothing runs afterwards");
    bpf_object__close(obj);
    return tap_exit();
}
