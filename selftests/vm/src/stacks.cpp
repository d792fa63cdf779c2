// SPDX-License-Identifier: GPL-2.0-only
// Call chains of getpgid() from a kprobe, a tracepoint, a raw tracepoint and the function's trampoline: the kernel's go through the system
// call's entry, the user's through the two functions below, whose frames have frame pointers.
// usage: stacks OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tap.h"

#pragma GCC optimize("no-omit-frame-pointer")

constexpr int depth = 32;
enum { KPROBE, TRACEPOINT, RAW_TP, FENTRY, FEXIT, EVENTS };
static const char *const names[] = {"kprobe", "tracepoint", "raw_tp", "fentry", "fexit"};

struct seen {
    long kernel_id, user_id, kernel_size, user_size, bad_flags;
    unsigned long kernel[depth], user[depth];
};

__attribute__((noinline)) static long inner_call() {
    long r;
    asm volatile("" : : "r"(__builtin_frame_address(0))); // a frame of its own, although it calls nothing
    asm volatile("syscall" : "=a"(r) : "a"(121L), "D"(0L) : "rcx", "r11", "memory");
    asm volatile("" : "+r"(r));
    return r;
}
__attribute__((noinline)) static long outer_call() {
    long r = inner_call();
    asm volatile("" : "+r"(r));
    return r + 1;
}

struct symbol {
    unsigned long addr;
    std::string name;
};
static std::vector<symbol> kernel_symbols() {
    std::vector<symbol> all;
    FILE *f = fopen("/proc/kallsyms", "r");
    char type, name[256];
    unsigned long addr;
    while (f && fscanf(f, "%lx %c %255s%*[^\n]", &addr, &type, name) == 3)
        if (strchr("tTwW", type))
            all.push_back({addr, name});
    if (f)
        fclose(f);
    std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a.addr < b.addr; });
    return all;
}
static std::string name_of(const std::vector<symbol> &all, unsigned long addr) {
    auto at = std::upper_bound(all.begin(), all.end(), addr, [](unsigned long a, const symbol &s) { return a < s.addr; });
    return at == all.begin() ? "" : (at - 1)->name;
}
static bool inside(unsigned long ip, long (*fn)()) {
    auto start = reinterpret_cast<unsigned long>(fn);
    return ip >= start && ip < start + 64;
}

static void check(int fd, const std::vector<symbol> &symbols, const seen &s, int event) {
    const char *name = names[event];
    unsigned long kept[depth] = {};
    unsigned key = static_cast<unsigned>(s.kernel_id);
    ok(s.bad_flags == -EINVAL, "stacks: %s: unknown flags give %ld", name, s.bad_flags);
    ok(s.kernel_id >= 0 && !bpf_map_lookup_elem(fd, &key, kept), "stacks: %s: kernel chain has key %ld", name, s.kernel_id);
    ok(s.kernel_size > 0 && s.kernel_size % 8 == 0, "stacks: %s: %ld bytes of kernel chain", name, s.kernel_size);
    for (const unsigned long *chain : {static_cast<const unsigned long *>(kept), s.kernel}) {
        std::string text;
        bool entry = false, function = event != FENTRY && event != FEXIT, perf = false;
        for (int i = 0; i < depth && chain[i]; i++) {
            std::string n = name_of(symbols, chain[i]);
            entry |= n.find("do_syscall_64") != std::string::npos;
            function |= n == "__x64_sys_getpgid";
            perf |= n == "perf_tp_event" || n == "on_enter"; // how the event came is no part of where it happened
            text += " " + n;
        }
        ok(entry && function && !perf, "stacks: %s: kernel chain:%s", name, text.c_str());
    }
    if (event == KPROBE)
        ok(name_of(symbols, s.kernel[0]) == "__x64_sys_getpgid" && !memcmp(kept, s.kernel, sizeof(kept)),
           "stacks: kprobe: begins with the probed function, in both");
    if (event == TRACEPOINT)
        ok(name_of(symbols, s.kernel[0]) == "perf_syscall_enter", "stacks: tracepoint: begins as in Linux, with %s", name_of(symbols, s.kernel[0]).c_str());
    memset(kept, 0, sizeof(kept));
    key = static_cast<unsigned>(s.user_id);
    ok(s.user_id >= 0 && !bpf_map_lookup_elem(fd, &key, kept), "stacks: %s: user chain has key %ld", name, s.user_id);
    ok(s.user_size > 8, "stacks: %s: %ld bytes of user chain", name, s.user_size);
    ok(inside(s.user[0], inner_call) && inside(s.user[1], outer_call) && !memcmp(kept, s.user, sizeof(kept)),
       "stacks: %s: user chain %#lx %#lx, functions %p %p", name, s.user[0], s.user[1], reinterpret_cast<void *>(inner_call),
       reinterpret_cast<void *>(outer_call));
}

int main(int argc, char **argv) {
    std::vector<symbol> symbols = kernel_symbols();
    bpf_object *obj = bpf_object__open(argc > 1 ? argv[1] : "/t/bin/stacks.bpf.o");
    if (!ok(obj != nullptr, "stacks: object opens"))
        return tap_exit();
    size_t size = 0;
    bpf_map *rodata = nullptr, *m;
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".rodata")) rodata = m;
    *static_cast<unsigned *>(const_cast<void *>(bpf_map__initial_value(rodata, &size))) = static_cast<unsigned>(getpid());
    if (!ok(bpf_object__load(obj) == 0, "stacks: programs load"))
        return tap_exit();
    std::vector<bpf_link *> links;
    bpf_program *p;
    bpf_object__for_each_program(p, obj) {
        bpf_link *l = bpf_program__attach(p);
        if (ok(l != nullptr, "stacks: %s attaches", bpf_program__name(p)))
            links.push_back(l);
    }
    outer_call();
    int chains = bpf_object__find_map_fd_by_name(obj, "chains"), results = bpf_object__find_map_fd_by_name(obj, "results");
    for (int e = 0; e < EVENTS; e++) {
        seen s{};
        ok(bpf_map_lookup_elem(results, &e, &s) == 0, "stacks: %s: results", names[e]);
        check(chains, symbols, s, e);
    }
    unsigned key, next, n = 0;
    for (void *at = nullptr; !bpf_map_get_next_key(chains, at, &next); key = next, at = &key)
        n++;
    ok(n >= 2, "stacks: %u chains are kept", n);
    for (bpf_link *l : links)
        bpf_link__destroy(l);
    bpf_object__close(obj);
    return tap_exit();
}
