// SPDX-License-Identifier: GPL-2.0-only
// Runs each program of calls.bpf.c on the back end that MODBPF_BACKEND names and prints "NAME NANOSECONDS", of one turn: the least of many
// test runs, less what an empty turn takes.
// usage: calls OBJECT [BATCHES]
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <initializer_list>

static constexpr int turns = 500, entries = 1024;

static double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

static void fill(bpf_object *o, const char *name, unsigned key_words) {
    int fd = bpf_map__fd(bpf_object__find_map_by_name(o, name));
    for (unsigned long long i = 0; i < entries / 2; i++) {
        unsigned long long key[2] = {i, i}, value = i;
        if (key_words && bpf_map_update_elem(fd, key, &value, 0))
            perror(name);
    }
}

int main(int argc, char **argv) {
    int batches = argc > 2 ? atoi(argv[2]) : 300;
    if (!getenv("VERBOSE"))
        libbpf_set_print(nullptr);
    bpf_object *o = argc > 1 ? bpf_object__open(argv[1]) : nullptr;
    if (!o || bpf_object__load(o))
        return perror("loading"), 2;
    for (const char *name : {"hash4", "hash8", "lru8", "hash16"})
        fill(o, name, 1);
    double empty = 0;
    bpf_program *p;
    bpf_object__for_each_program(p, o) {
        double best = 1e18;
        for (int i = 0; i < batches; i++) {
            LIBBPF_OPTS(bpf_test_run_opts, t);
            double from = now_ns();
            if (bpf_prog_test_run_opts(bpf_program__fd(p), &t))
                return perror(bpf_program__name(p)), 2;
            double ns = (now_ns() - from) / turns;
            best = ns < best ? ns : best;
        }
        if (!strcmp(bpf_program__name(p), "empty"))
            empty = best;
        else
            printf("%s %.3f\n", bpf_program__name(p), best > empty ? best - empty : 0);
    }
    bpf_object__close(o);
    return 0;
}
