// SPDX-License-Identifier: GPL-2.0-only
// References of programs to tasks: counted as the kernel counts them, and held beyond the task's end.
// usage: objects OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    bpf_object *o = bpf_object__open(argv[1]);
    unsigned pid = static_cast<unsigned>(getpid()), key = 0;
    bpf_map *m, *out = nullptr;
    size_t size;
    bpf_object__for_each_map(m, o) {
        if (strstr(bpf_map__name(m), ".rodata"))
            memcpy(const_cast<void *>(bpf_map__initial_value(m, &size)), &pid, sizeof(pid));
        if (strstr(bpf_map__name(m), ".data.out"))
            out = m;
    }
    if (!ok(!bpf_object__load(o), "objects: the program loads"))
        return 1;
    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(o, "on_new"));
    ok(l != nullptr, "objects: attached");
    constexpr int tasks = 200;
    for (int i = 0; i < tasks; i++) {
        if (!fork())
            _exit(0);
        wait(nullptr);
    }
    struct {
        int calls, wrong, found, kept, dropped;
    } s = {};
    bpf_map_lookup_elem(bpf_map__fd(out), &key, &s);
    ok(s.calls == tasks && !s.wrong, "objects: %d new tasks, %d with wrong counts", s.calls, s.wrong);
    ok(s.found == tasks && s.kept == tasks && s.dropped == tasks - 1, "objects: %d found by number, %d kept, %d dropped after their end", s.found,
       s.kept, s.dropped);
    bpf_link__destroy(l);
    bpf_object__close(o); // the last one goes with the map
    return tap_exit();
}
