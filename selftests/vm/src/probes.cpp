// SPDX-License-Identifier: GPL-2.0-only
// K14: where probes may not go. Every refused place gives the errno that the kernel's own perf_event_open gives; then a module that goes
// while it is probed, and attach and detach storms of all four kinds while their functions run on every CPU.
// usage: probes places | module OBJECT KO | storm OBJECT SECONDS
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <initializer_list>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vector>

#include "tap.h"

static unsigned kprobe_type;

static long open_probe(bool ours, const char *name, uint64_t where, bool ret = false, uint64_t config_more = 0) {
    perf_event_attr p = {};
    p.type = kprobe_type;
    p.size = sizeof(p);
    p.config = ret | config_more;
    p.config1 = uintptr_t(name);
    p.config2 = where;
    long r;
    if (ours) {
        r = syscall(__NR_perf_event_open, &p, -1, 0, -1, 0);
        r = r < 0 ? -errno : r;
    } else {
        register long r10 asm("r10") = -1;
        register long r8 asm("r8") = 0;
        asm volatile("syscall" : "=a"(r) : "a"(__NR_perf_event_open), "D"(&p), "S"(-1l), "d"(0l), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    }
    if (r >= 0)
        close(static_cast<int>(r));
    return r < 0 ? r : 0;
}

static uint64_t symbol(const char *name, int *count) {
    FILE *f = fopen("/proc/kallsyms", "r");
    char line[512], got[256], type;
    unsigned long addr, found = 0;
    *count = 0;
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%lx %c %255s", &addr, &type, got) == 3 && !strcmp(got, name)) {
            (*count)++;
            found = addr;
        }
    if (f)
        fclose(f);
    return found;
}
/// A name that several functions of the kernel carry.
static std::string duplicate() {
    FILE *f = fopen("/proc/kallsyms", "r");
    char line[512], got[256], type;
    unsigned long addr;
    std::string last, found;
    std::vector<std::string> seen;
    while (f && found.empty() && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx %c %255s", &addr, &type, got) != 3 || type != 't' || strchr(line, '['))
            continue;
        for (const std::string &s : {std::string("bpf_prog_free_deferred"), std::string("type_show"), std::string("name_show"), std::string("state_show")})
            if (s == got) {
                for (auto &o : seen)
                    if (o == s)
                        found = s;
                seen.push_back(s);
            }
    }
    if (f)
        fclose(f);
    return found;
}
/// Functions of the blacklist, some of each part of it. A name that several have is another case: modules have such, too, and which of
/// them are counted there differs.
static std::vector<std::string> blacklisted(size_t most) {
    std::vector<std::string> names;
    FILE *f = fopen("/sys/kernel/debug/kprobes/blacklist", "r");
    char line[256], name[128];
    size_t n = 0;
    int count;
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%*s %127s", name) == 1 && n++ % 23 == 0 && names.size() < most && symbol(name, &count) && count == 1)
            names.push_back(name);
    if (f)
        fclose(f);
    return names;
}

static void same(const char *name, uint64_t where, bool ret, const char *what) {
    long ours = open_probe(true, name, where, ret), kernels = open_probe(false, name, where, ret);
    ok(ours == kernels, "probes: %s%s: %ld, the kernel %ld", what, ret ? " (return)" : "", ours, kernels);
}

static int places() {
    int n;
    uint64_t fn = symbol("__x64_sys_getpgid", &n);
    if (!ok(fn && n == 1, "probes: the symbols can be read"))
        return 1;
    for (bool ret : {false, true}) {
        same("__x64_sys_getpgid", 0, ret, "a system call");
        same("no_such_function_anywhere", 0, ret, "no such symbol");
        same("", 0, ret, "the empty name");
        same("jiffies", 0, ret, "data");
        same(nullptr, 0, ret, "the address 0");
        same(nullptr, 0x400000, ret, "a user address");
        same(nullptr, ~0ull, ret, "the last address");
        same(nullptr, fn, ret, "a function's address");
        same(nullptr, fn + 2, ret, "the middle of an instruction");
        same(reinterpret_cast<const char *>(8), 0, ret, "a name that cannot be read");
        for (const char *closed : {"native_sched_clock", "sched_clock", "memcpy", "copy_from_kernel_nofault", "__x64_sys_getpgid",
                                   "rcu_read_unlock_strict", "trace_clock_local", "ftrace_location_range", "ring_buffer_lock_reserve"})
            for (uint64_t off : {0, 1, 4}) // closed to tracing, or not
                same(closed, off, ret, closed);
        std::string longest(511, 'x'), too_long(600, 'x');
        same(longest.c_str(), 0, ret, "a name of 511 letters");
        same(too_long.c_str(), 0, ret, "a name of 600 letters");
        std::string twice = duplicate();
        if (!twice.empty())
            same(twice.c_str(), 0, ret, ("a name that is there twice: " + twice).c_str());
    }
    long refused = 0, differ = 0;
    std::vector<std::string> names = blacklisted(40);
    for (auto &s : names) {
        long ours = open_probe(true, s.c_str(), 0), kernels = open_probe(false, s.c_str(), 0);
        refused += ours < 0;
        if (ours != kernels)
            differ++, printf("# %s: %ld, the kernel %ld\n", s.c_str(), ours, kernels);
    }
    ok(names.size() > 10 && refused == static_cast<long>(names.size()) && !differ, "probes: %ld of %zu blacklisted functions refused", refused, names.size());
    // Every byte of a function: each is an instruction's start or not, and both sides agree.
    long agree = 0;
    for (unsigned off = 0; off < 48; off++)
        agree += open_probe(true, "__x64_sys_getpgid", off) == open_probe(false, "__x64_sys_getpgid", off);
    ok(agree == 48, "probes: %ld of 48 offsets agree", agree);
    // Our own functions and text: a program would run inside its own engine.
    ok(open_probe(true, "modbpf_core_bpf", 0) == -EINVAL, "probes: not on modbpf itself: %ld", open_probe(true, "modbpf_core_bpf", 0));
    uint64_t own = symbol("port_alloc", &n);
    ok(own && open_probe(true, nullptr, own) == -EINVAL, "probes: not by address either");
    return tap_exit();
}

static unsigned long runs(bpf_object *obj) {
    std::vector<unsigned long> values(libbpf_num_possible_cpus());
    unsigned which = 0;
    unsigned long sum = 0;
    if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(obj, "counts"), &which, values.data()) == 0)
        for (auto v : values)
            sum += v;
    return sum;
}

static bpf_object *open_stress(const char *path) {
    libbpf_set_print([](libbpf_print_level, const char *, va_list) { return 0; });
    bpf_object *obj = bpf_object__open(path);
    return obj && bpf_object__load(obj) == 0 ? obj : nullptr;
}

/// Loads a module, probes one of its functions, unloads it under the probe, loads it again.
static int module_goes(const char *object, const char *ko) {
    bpf_object *obj = open_stress(object);
    std::string in = std::string("insmod ") + ko + " numdummies=0", out = "rmmod dummy";
    if (!ok(obj && system(in.c_str()) == 0, "probes: program and module load"))
        return 1;
    bpf_program *k = bpf_object__find_program_by_name(obj, "on_kprobe"), *r = bpf_object__find_program_by_name(obj, "on_kretprobe");
    bpf_link *links[3] = {bpf_program__attach_kprobe(k, false, "dummy_setup"), bpf_program__attach_kprobe(r, true, "dummy_setup"),
                          bpf_program__attach_kprobe(k, false, "dummy:dummy_setup")};
    ok(links[0] && links[1], "probes: on a function of the module");
    unsigned long before = runs(obj);
    (void)!system("ip link add dev d0 type dummy");
    unsigned long hit = runs(obj) - before;
    ok(hit >= 2, "probes: %lu runs in the module", hit);
    (void)!system("ip link del dev d0");
    ok(system(out.c_str()) == 0, "probes: the module unloads while it is probed");
    before = runs(obj);
    ok(system(in.c_str()) == 0, "probes: the module loads again");
    (void)!system("ip link add dev d0 type dummy; ip link del dev d0");
    ok(runs(obj) == before, "probes: the old probes do not come back");
    for (bpf_link *l : links)
        if (l)
            ok(bpf_link__destroy(l) == 0, "probes: detaches from a module that went");
    for (int i = 0; i < 10; i++) { // goes and comes while a probe is being made
        pid_t child = fork();
        if (!child) {
            if (system(out.c_str()) || system(in.c_str()))
                _exit(1);
            _exit(0);
        }
        for (int j = 0; j < 20; j++)
            if (bpf_link *l = bpf_program__attach_kprobe(k, false, "dummy_setup"))
                bpf_link__destroy(l);
        int state;
        waitpid(child, &state, 0);
    }
    ok(system(out.c_str()) == 0, "probes: the module unloads at last");
    bpf_object__close(obj);
    return tap_exit();
}

static volatile bool stop;
static void *call(void *arg) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(reinterpret_cast<long>(arg), &set);
    sched_setaffinity(0, sizeof(set), &set);
    while (!stop) {
        for (int i = 0; i < 100; i++)
            getpgid(0);
        usleep(500);
    }
    return nullptr;
}

/// One of several that attach and detach at the same time, each with programs of its own.
struct stormer {
    pthread_t thread;
    bpf_object *obj;
    time_t end;
    long cycles, failed, silent;
};
static void *attach_and_detach(void *arg) {
    auto *s = static_cast<stormer *>(arg);
    auto prog = [&](const char *name) { return bpf_object__find_program_by_name(s->obj, name); };
    for (; time(nullptr) < s->end; s->cycles++) {
        unsigned long before = runs(s->obj);
        bpf_link *links[] = {bpf_program__attach_kprobe(prog("on_kprobe"), false, "__x64_sys_getpgid"),
                             bpf_program__attach_kprobe(prog("on_kretprobe"), true, "__x64_sys_getpgid"),
                             bpf_program__attach_tracepoint(prog("on_tp"), "syscalls", "sys_enter_getpgid"),
                             bpf_program__attach_raw_tracepoint(prog("on_raw_tp"), "sys_exit")};
        if (s->cycles % 4 == 0)
            usleep(2000);
        for (bpf_link *l : links)
            s->failed += !l || bpf_link__destroy(l) != 0;
        s->silent += runs(s->obj) == before;
    }
    return nullptr;
}

static int storm(const char *object, int seconds) {
    stormer stormers[8] = {};
    for (auto &s : stormers)
        if (!(s.obj = open_stress(object))) {
            ok(false, "storm: object loads");
            return 1;
        }
    std::vector<pthread_t> callers(sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t c = 0; c < callers.size(); c++)
        pthread_create(&callers[c], nullptr, call, reinterpret_cast<void *>(c));
    for (auto &s : stormers) {
        s.end = time(nullptr) + seconds;
        pthread_create(&s.thread, nullptr, attach_and_detach, &s);
    }
    long cycles = 0, failed = 0, silent = 0;
    unsigned long last = 0, later = 0;
    for (auto &s : stormers) {
        pthread_join(s.thread, nullptr);
        cycles += s.cycles, failed += s.failed, silent += s.silent;
    }
    for (auto &s : stormers)
        last += runs(s.obj);
    usleep(50000);
    for (auto &s : stormers)
        later += runs(s.obj);
    ok(last == later, "storm: nothing runs after the last detach");
    stop = true;
    for (auto t : callers)
        pthread_join(t, nullptr);
    ok(cycles >= 4 && !failed, "storm: %ld cycles of four attachments, %ld failed, %lu runs", cycles, failed, last);
    ok(silent < cycles / 2 + 1, "storm: %ld cycles without a run", silent);
    for (auto &s : stormers)
        bpf_object__close(s.obj);
    return tap_exit();
}

int main(int argc, char **argv) {
    FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "r");
    if (!f || fscanf(f, "%u", &kprobe_type) != 1)
        return 1;
    fclose(f);
    std::string what = argc > 1 ? argv[1] : "";
    if (what == "places")
        return places();
    if (what == "module" && argc > 3)
        return module_goes(argv[2], argv[3]);
    if (what == "storm" && argc > 3)
        return storm(argv[2], atoi(argv[3]));
    return 2;
}
