// SPDX-License-Identifier: GPL-2.0-only
// Programs ask for the names of files: of a plain one, a removed one, one without a folder, and with too little room.
// usage: paths OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tap.h"

namespace {

struct seen {
    int calls, len, none, cut;
    char name[128], piece[4];
};
bpf_map *out;

/// What fstat() lets the program see.
seen asked(int fd) {
    seen s = {};
    unsigned key = 0;
    bpf_map_update_elem(bpf_map__fd(out), &key, &s, 0);
    struct stat st;
    fstat(fd, &st);
    close(fd);
    bpf_map_lookup_elem(bpf_map__fd(out), &key, &s);
    return s;
}
void named(const char *what, int fd, const std::string &want) {
    seen s = asked(fd);
    ok(fd >= 0 && s.calls == 1 && want == s.name && s.len == static_cast<int>(want.size() + 1), "paths: %s: %d calls, %.128s, %d bytes", what, s.calls,
       s.name, s.len);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    bpf_object *o = bpf_object__open(argv[1]);
    unsigned pid = static_cast<unsigned>(getpid());
    bpf_map *m;
    size_t size;
    bpf_object__for_each_map(m, o) {
        if (strstr(bpf_map__name(m), ".rodata"))
            memcpy(const_cast<void *>(bpf_map__initial_value(m, &size)), &pid, sizeof(pid));
        if (strstr(bpf_map__name(m), ".data.seen"))
            out = m;
    }
    if (!ok(!bpf_object__load(o), "paths: the program loads"))
        return 1;
    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(o, "on_stat"));
    ok(l != nullptr, "paths: attached");
    std::string name = "/tmp/modbpf-path";
    named("a file", open(name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600), name);
    int fd = open(name.c_str(), O_RDWR | O_CLOEXEC);
    unlink(name.c_str());
    named("a removed file", fd, name + " (deleted)");
    named("memory", static_cast<int>(memfd_create("m", MFD_CLOEXEC)), "/memfd:m (deleted)");
    seen s = asked(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    ok(s.cut == -ENAMETOOLONG && s.none == 0, "paths: no room: %d, %d", s.cut, s.none);
    bpf_link__destroy(l);
    bpf_object__close(o);
    return tap_exit();
}
