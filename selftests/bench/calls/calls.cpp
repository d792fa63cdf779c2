// SPDX-License-Identifier: GPL-2.0-only
// Runs each program of calls.bpf.c on the back end that MODBPF_BACKEND names and prints "NAME NANOSECONDS", of one turn: the least of many
// test runs, less what an empty turn takes, or an empty run where the program does not loop itself.
// usage: calls OBJECT [BATCHES]
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <initializer_list>

static constexpr int entries = 1024, loop_turns = 500;

/// Turns of a program: what it loops, the elements that it is called for, or the tail calls that it makes.
static int turns_of(const char *name) {
    if (!strncmp(name, "for_each_", 9))
        return strcmp(name, "for_each_array") ? entries / 2 : entries;
    return strncmp(name, "tail_", 5) ? loop_turns : 33;
}

static double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

static void fill(bpf_object *o, const char *name, bool has_keys) {
    int fd = bpf_map__fd(bpf_object__find_map_by_name(o, name));
    for (unsigned long long i = 0; i < entries / 2; i++) {
        static unsigned long long value[1024]; // of every CPU
        unsigned long long key[8] = {i, i, i, i, i, i, i, i};
        value[0] = i;
        if (bpf_map_update_elem(fd, has_keys ? key : nullptr, value, 0))
            perror(name);
    }
}

/// As many prefixes of 16 to 32 bits as the map takes, spread over all addresses.
static void fill_routes(bpf_object *o, const char *name, unsigned count) {
    int fd = bpf_map__fd(bpf_object__find_map_by_name(o, name));
    for (unsigned i = 0; i < count; i++) {
        unsigned key[2] = {16 + i % 17, i * 0x9e3779b1u};
        unsigned long long value = i;
        if (bpf_map_update_elem(fd, key, &value, 0))
            return perror(name);
    }
}

/// Reads nothing, but takes all that is in the ring: what fills it may be measured again.
static void drain(bpf_object *o) {
    static ring_buffer *ring = ring_buffer__new(
        bpf_map__fd(bpf_object__find_map_by_name(o, "ring")), [](void *, void *, size_t) { return 0; }, nullptr, nullptr);
    if (ring_buffer__consume(ring) < 0)
        perror("ring");
}

int main(int argc, char **argv) {
    int batches = argc > 2 ? atoi(argv[2]) : 300;
    if (!getenv("VERBOSE"))
        libbpf_set_print(nullptr);
    bpf_object *o = argc > 1 ? bpf_object__open(argv[1]) : nullptr;
    if (!o || bpf_object__load(o))
        return perror("loading"), 2;
    for (const char *name : {"hash4", "hash8", "lru8", "hash16", "hash64", "percpu8", "churned"})
        fill(o, name, true);
    fill(o, "filtered", false);
    fill_routes(o, "routes_1k", 1000);
    fill_routes(o, "routes_100k", 100000);
    double empty = 0, nothing = 0; // of a turn; of a run
    bpf_program *p;
    bpf_object__for_each_program(p, o) {
        const char *name = bpf_program__name(p);
        int turns = turns_of(name);
        bool rings = !strncmp(name, "ringbuf_", 8);
        double best = 1e18;
        for (int i = 0; i < batches; i++) {
            LIBBPF_OPTS(bpf_test_run_opts, t);
            double from = now_ns();
            if (bpf_prog_test_run_opts(bpf_program__fd(p), &t))
                return perror(name), 2;
            double ns = (now_ns() - from) / turns;
            best = ns < best ? ns : best;
            if (rings)
                drain(o);
        }
        if (!strcmp(name, "nothing"))
            nothing = best * turns;
        else if (!strcmp(name, "empty"))
            empty = best;
        else if (turns != loop_turns)
            printf("%s %.3f\n", name, best * turns > nothing ? best - nothing / turns : 0);
        else
            printf("%s %.3f\n", name, best > empty ? best - empty : 0);
    }
    bpf_object__close(o);
    return 0;
}
