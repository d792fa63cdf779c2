// SPDX-License-Identifier: GPL-2.0-only
// What an attached empty program costs an event, in instructions, on the back end that MODBPF_BACKEND names: for each program of
// events.bpf.c a line "NAME COUNT", or "NAME -" and why where the kernel cannot attach it. Runs in a machine whose clock advances by one a
// instruction, and says so when it does not.
// usage: events OBJECT [NAME]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "selftests/vm/src/attach.h"

namespace {

constexpr int batch = 100;   ///< events: too few for the clock's tick to come in every one
constexpr int batches = 40;
constexpr unsigned long clock_period = 100000; ///< ns of the row that samples
const char *const function = "__x64_sys_getpgid";

bpf_object *object;

unsigned long count() {
    unsigned low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return static_cast<unsigned long>(high) << 32 | low;
}

void spin(unsigned long turns) {
    asm volatile("1: dec %0; jnz 1b" : "+r"(turns)::"cc");
}

long call(long nr, long a = 0, long b = 0, long c = 0) {
    long r = nr;
    asm volatile("syscall" : "+a"(r) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}

extern "C" __attribute__((noipa)) void probed() { asm volatile("nop"); }
long own_pid;
char *page;

void get_group() { call(__NR_getpgid, 0); }
void get_own_group() { call(__NR_getpgid, own_pid); }
void rename_task() { call(__NR_prctl, PR_SET_NAME, reinterpret_cast<long>("events")); }
void touch_page() {
    call(__NR_madvise, reinterpret_cast<long>(page), 4096, MADV_DONTNEED);
    *const_cast<volatile char *>(page) = 1;
}

// ---- attaching ---------------------------------------------------------------------------------------------

held at_function(bpf_program *p) { return attach_kprobe(p, function); }
held at_return(bpf_program *p) { return attach_kprobe(p, function, true); }
held inside_function(bpf_program *p) {
    held h = attach_inside(p, function);
    usleep(300000); // the kernel's optimiser makes it a jump, if it can
    return h;
}
template <bool at_return> held at_functions(bpf_program *p) { return attach_multi(p, function, at_return); }
held as_session(bpf_program *p) { return attach_session(p, function); }
template <bool at_return> held in_user(bpf_program *p) { return attach_uprobe(p, probed, at_return); }
template <bool at_return> held in_user_many(bpf_program *p) { return attach_uprobe_multi(p, probed, at_return); }
held at_rename(bpf_program *p) { return {bpf_program__attach_tracepoint(p, "task", "task_rename")}; }
held at_syscall(bpf_program *p) { return {bpf_program__attach_tracepoint(p, "syscalls", "sys_enter_getpgid")}; }
held raw_at_rename(bpf_program *p) { return {bpf_program__attach_raw_tracepoint(p, "task_rename")}; }
held at_page_fault(bpf_program *p) { return attach_counter(p, PERF_COUNT_SW_PAGE_FAULTS, 1); }

// ---- measuring ---------------------------------------------------------------------------------------------

template <class F> unsigned long least(int turns, int times, F &&event) {
    unsigned long best = ~0ul;
    for (int i = 0; i < times; i++) {
        unsigned long from = count();
        for (int j = 0; j < turns; j++)
            event();
        unsigned long took = count() - from;
        best = took < best ? took : best;
    }
    return best;
}

double per_event(void (*event)()) {
    least(batch, 2, event);
    return static_cast<double>(least(batch, batches, event)) / batch;
}

struct row {
    const char *name;
    held (*attach)(bpf_program *p);
    void (*event)();
};
const row rows[] = {
    {"kprobe", at_function, get_group},
    {"kprobe_offset", inside_function, get_group},
    {"kretprobe", at_return, get_group},
    {"multi", at_functions<false>, get_group},
    {"multi_return", at_functions<true>, get_group},
    {"session", as_session, get_group},
    {"uprobe", in_user<false>, probed},
    {"uretprobe", in_user<true>, probed},
    {"umulti", in_user_many<false>, probed},
    {"umulti_return", in_user_many<true>, probed},
    {"tracepoint", at_rename, rename_task},
    {"record", at_rename, rename_task},
    {"syscall_tp", at_syscall, get_group},
    {"syscall_record", at_syscall, get_group},
    {"raw_tp", raw_at_rename, rename_task},
    {"tp_btf", attach_as_loaded, rename_task},
    {"fentry", attach_as_loaded, get_group},
    {"fexit", attach_as_loaded, get_group},
    {"fmod_ret", attach_as_loaded, get_own_group},
    {"lsm", attach_as_loaded, get_own_group},
    {"page_fault", at_page_fault, touch_page},
};

void say_not(const char *name, int err) { printf("%s - %s\n", name, strerror(err)); }

bpf_program *load(const char *path, const char *name) {
    object = bpf_object__open(path);
    bpf_program *p, *found = nullptr;
    bpf_object__for_each_program(p, object) {
        bool wanted = bpf_program__name(p) == std::string("on_") + name;
        bpf_program__set_autoload(p, wanted);
        for (auto [of, type] : {std::pair{"session", session_type}, {"umulti", uprobe_multi_type}, {"umulti_return", uprobe_multi_type}})
            if (!strcmp(name, of))
                bpf_program__set_expected_attach_type(p, static_cast<bpf_attach_type>(type));
        found = wanted ? p : found;
    }
    if (found && !bpf_object__load(object))
        return found;
    say_not(name, errno);
    bpf_object__close(object);
    return nullptr;
}

void measure(const char *path, const row &r) {
    bpf_program *p = load(path, r.name);
    if (!p)
        return;
    double without = per_event(r.event);
    held l = r.attach(p);
    if (!l) {
        say_not(r.name, errno);
        bpf_object__close(object);
        return;
    }
    double with = per_event(r.event);
    l.drop();
    if (double after = per_event(r.event); after > without + 2)
        printf("%s - detached, it still costs %.1f: %.1f before, %.1f attached\n", r.name, after, without, with);
    else
        printf("%s %.1f\n", r.name, with - without);
    bpf_object__close(object);
}

/// Samples come by time, which is instructions: as many as periods went by.
void measure_clock(const char *path) {
    constexpr unsigned long turns = 10000000, tries = 6; // the machine may still be busy with its own start
    bpf_program *p = load(path, "cpu_clock");
    if (!p)
        return;
    auto loop = [] { spin(turns); };
    unsigned long without = least(1, tries, loop);
    held l = attach_counter(p, PERF_COUNT_SW_CPU_CLOCK, clock_period);
    if (l) {
        unsigned long with = least(1, tries, loop);
        l.drop();
        without = std::min(without, least(1, tries, loop));
        if (with > without)
            printf("cpu_clock %.1f\n", static_cast<double>(with - without) / (static_cast<double>(with) / clock_period));
        else
            printf("cpu_clock - no sample came: %lu before and after, %lu attached\n", without, with);
    } else {
        say_not("cpu_clock", errno);
    }
    bpf_object__close(object);
}

/// A step of an iterator, all of it: there is none without a program.
void measure_iterator(const char *path) {
    constexpr int elements = 1000;
    bpf_program *p = load(path, "element");
    if (!p)
        return;
    held l = attach_to_map(p, bpf_object__find_map_fd_by_name(object, "elements"));
    unsigned long best = ~0ul;
    for (int i = 0; l && i < batches; i++) {
        int fd = bpf_iter_create(bpf_link__fd(l.link));
        char buf[64];
        unsigned long from = count();
        while (read(fd, buf, sizeof(buf)) > 0)
            ;
        unsigned long took = count() - from;
        close(fd);
        best = took < best ? took : best;
    }
    if (l)
        printf("element %.1f\n", static_cast<double>(best) / elements);
    else
        say_not("element", errno);
    l.drop();
    bpf_object__close(object);
}

bool clock_counts() {
    constexpr unsigned long turns = 100000;
    unsigned long took = least(1, 5, [] { spin(turns); });
    if (took >= 2 * turns && took < 2 * turns + 100)
        return true;
    fprintf(stderr, "the clock does not count instructions: %lu in a loop of %lu\n", took, 2 * turns);
    return false;
}

} // namespace

int main(int argc, char **argv) {
    libbpf_set_print(nullptr);
    page = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    own_pid = getpid();
    if (argc < 2 || !clock_counts())
        return 2;
    setvbuf(stdout, nullptr, _IOLBF, 0);
    std::string only = argc > 2 ? argv[2] : "";
    for (const row &r : rows)
        if (only.empty() || only == r.name)
            measure(argv[1], r);
    if (only.empty() || only == "cpu_clock")
        measure_clock(argv[1]);
    if (only.empty() || only == "element")
        measure_iterator(argv[1]);
    return 0;
}
