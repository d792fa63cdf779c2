// SPDX-License-Identifier: GPL-2.0-only
// Loads, attaches, hits, detaches and frees an object as often as fits in the given seconds: what leak checks run between two readings
// of the kernel's memory totals. usage: churn OBJECT SECONDS
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <vector>

#include "tap.h"

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    time_t end = time(nullptr) + atoi(argv[2]);
    long cycles = 0, failures = 0;
    libbpf_set_print(nullptr);
    while (time(nullptr) < end) {
        bpf_object *obj = bpf_object__open(argv[1]);
        if (!obj || bpf_object__load(obj)) {
            failures++;
            bpf_object__close(obj);
            break;
        }
        std::vector<bpf_link *> links;
        bpf_program *p;
        if (cycles % 8 == 0)
            bpf_object__for_each_program(p, obj) {
                if (!bpf_program__autoload(p))
                    continue;
                bpf_link *l = bpf_program__attach(p);
                failures += l == nullptr;
                if (l)
                    links.push_back(l);
            }
        getpgid(0);
        for (auto l : links)
            bpf_link__destroy(l);
        bpf_object__close(obj);
        cycles++;
    }
    ok(cycles > 0 && failures == 0, "churn: %ld load and unload cycles, %ld failures", cycles, failures);
    return tap_exit();
}
