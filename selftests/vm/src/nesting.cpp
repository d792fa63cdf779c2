// SPDX-License-Identifier: GPL-2.0-only
// Tail calls out of nested functions: each leaves its callers' frames on the native stack. However deep, the stack must hold: 34 programs of
// eight frames each need more than a kernel stack has, and a tail call fails before that. Linux 6.12's own BPF panics on frames_8.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tap.h"

int main() {
    bpf_object *obj = bpf_object__open_file("/t/bin/nesting.bpf.o", nullptr);
    if (!ok(obj && !bpf_object__load(obj), "nesting: loads"))
        return tap_exit();
    int table = bpf_object__find_map_fd_by_name(obj, "table");
    bpf_program *p;
    bpf_object__for_each_program(p, obj) {
        unsigned key = 0;
        int fd = bpf_program__fd(p);
        int err = bpf_map_update_elem(table, &key, &fd, 0);
        char packet[64] = {};
        __sk_buff skb = {};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .ctx_in = &skb, .ctx_out = &skb,
                    .ctx_size_in = sizeof(skb), .ctx_size_out = sizeof(skb));
        if (!err)
            err = bpf_prog_test_run_opts(fd, &opts);
        const char *name = bpf_program__name(p);
        unsigned least = strcmp(name, "frames_4") <= 0 ? 34 : 12;
        ok(!err && skb.mark >= least && skb.mark <= 34, "nesting: %s: error %d, entered %u times", name, err, skb.mark);
    }
    bpf_object__close(obj);
    return tap_exit();
}
