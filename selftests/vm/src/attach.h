// SPDX-License-Identifier: GPL-2.0-only
// Attaching a program to each kind of event, for tests and benchmarks of all of them. What the installed libbpf does not know yet goes by
// the command itself.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/// An attachment: false and errno when there is none.
struct held {
    bpf_link *link;
    int fd = -1;
    explicit operator bool() const { return link || fd >= 0; }
    void drop() {
        bpf_link__destroy(link);
        if (fd >= 0)
            close(fd);
        link = nullptr, fd = -1;
    }
};

constexpr unsigned session_type = 56, uprobe_multi_type = 48; ///< expected_attach_type

/// Where an address of this program is in its file.
inline unsigned long offset_in_file(const void *at) {
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long start, end, off, want = reinterpret_cast<unsigned long>(at), found = 0;
    char line[512];
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) == 3 && want >= start && want < end)
            found = want - start + off;
    if (f)
        fclose(f);
    return found;
}

inline held attach_as_loaded(bpf_program *p) { return {bpf_program__attach(p)}; }
inline held attach_kprobe(bpf_program *p, const char *function, bool at_return = false) {
    return {bpf_program__attach_kprobe(p, at_return, function)};
}
/// Behind the function's endbr64 and the tracer's place: at the first instruction that takes a probe.
inline held attach_inside(bpf_program *p, const char *function) {
    bpf_link *l = nullptr;
    for (size_t off = 9; off < 64 && !l; off++) {
        LIBBPF_OPTS(bpf_kprobe_opts, o, .offset = off);
        l = bpf_program__attach_kprobe_opts(p, function, &o);
    }
    return {l};
}
inline held attach_multi(bpf_program *p, const char *function, bool at_return) {
    const char *names[] = {function};
    LIBBPF_OPTS(bpf_kprobe_multi_opts, o, .syms = names, .cnt = 1, .retprobe = at_return);
    return {bpf_program__attach_kprobe_multi_opts(p, nullptr, &o)};
}
inline held attach_uprobe(bpf_program *p, void (*function)(), bool at_return) {
    return {bpf_program__attach_uprobe(p, at_return, -1, "/proc/self/exe", offset_in_file(reinterpret_cast<void *>(function)))};
}
inline held attach_counter(bpf_program *p, unsigned long config, unsigned long period) {
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = PERF_TYPE_SOFTWARE, a.config = config, a.sample_period = period;
    long fd = syscall(__NR_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return {fd < 0 ? nullptr : bpf_program__attach_perf_event(p, static_cast<int>(fd))};
}
inline held attach_to_map(bpf_program *p, int map) {
    bpf_iter_link_info info = {};
    info.map.map_fd = static_cast<unsigned>(map);
    LIBBPF_OPTS(bpf_iter_attach_opts, o, .link_info = &info, .link_info_len = sizeof(info));
    return {bpf_program__attach_iter(p, &o)};
}

inline held attach_by_command(void *attr, unsigned size) {
    return {nullptr, static_cast<int>(syscall(__NR_bpf, BPF_LINK_CREATE, attr, size))};
}
/// The program was loaded with session_type.
inline held attach_session(bpf_program *p, const char *function) {
    struct {
        unsigned prog, target, type, link_flags, flags, count;
        const char *const *names;
        const unsigned long *addrs, *cookies;
    } a = {unsigned(bpf_program__fd(p)), 0, session_type, 0, 0, 1, &function, nullptr, nullptr};
    return attach_by_command(&a, sizeof(a));
}
/// The program was loaded with uprobe_multi_type.
inline held attach_uprobe_multi(bpf_program *p, void (*function)(), bool at_return) {
    unsigned long offset = offset_in_file(reinterpret_cast<void *>(function));
    struct {
        unsigned prog, target, type, link_flags;
        const char *path;
        const unsigned long *offsets, *ref_ctrs, *cookies;
        unsigned count, flags, pid, pad;
    } a = {unsigned(bpf_program__fd(p)), 0, uprobe_multi_type, 0, "/proc/self/exe", &offset, nullptr, nullptr, 1, at_return, 0, 0};
    return attach_by_command(&a, sizeof(a));
}
