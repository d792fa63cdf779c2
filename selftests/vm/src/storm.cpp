// SPDX-License-Identifier: GPL-2.0-only
// A storm of attaching and detaching: several processes, each with an object of its own for every cycle's kind of event, while the events
// happen on all CPUs. Every attachment succeeds, or fails as it must; its program sees its event; once detached it runs no more, and its
// probe is out of the kernel.
// usage: storm OBJECT CYCLES | storm close OBJECT SECONDS (nothing but attaching and detaching) |
//        storm hold OBJECT SECONDS (everything attached at once) | storm left (objects that there are yet)
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <string>
#include <vector>

#include "attach.h"
#include "tap.h"

namespace {

constexpr int workers = 4;
const char *const functions[workers] = {"__x64_sys_getpgid", "__x64_sys_getsid", "__x64_sys_getpriority", "__x64_sys_sched_getscheduler"};
const char *const held_function = "__x64_sys_sched_getparam";
constexpr int clock_period = 1000000; ///< ns

struct work {
    const char *file;
    const char *function; ///< of the kprobes: nobody else's
    bpf_object *object = nullptr;
    volatile unsigned long *variables = nullptr; ///< mapped: the first counts runs
    std::string why;
};

// ---- what happens everywhere -------------------------------------------------------------------------------

extern "C" __attribute__((noipa)) void probed() { asm volatile("nop"); }
char *page;

void happen() {
    getpgid(0);
    getpgid(getpid());
    getsid(0);
    syscall(__NR_getpriority, 0, 0);
    syscall(__NR_sched_getscheduler, 0);
    syscall(__NR_sched_getparam, 0, nullptr);
    prctl(PR_SET_NAME, "storm");
    probed();
    madvise(page, 4096, MADV_DONTNEED);
    *const_cast<volatile char *>(page) = 1;
}

pid_t start_caller(long cpu) {
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (;;) {
        for (int i = 0; i < 20; i++)
            happen();
        usleep(500);
    }
}

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// ---- kinds -------------------------------------------------------------------------------------------------

bpf_program *prog_of(const work &w, const char *kind) { return bpf_object__find_program_by_name(w.object, (std::string("on_") + kind).c_str()); }
int map_of(const work &w, const char *name) { return bpf_object__find_map_fd_by_name(w.object, name); }

/// Rings for all CPUs and a counter on each, in arrays: they live as long as the link's program may use them.
struct arrays {
    perf_buffer *rings = nullptr;
    std::vector<int> counters;

    bool fill(const work &w) {
        rings = perf_buffer__new(map_of(w, "outputs"), 1, [](void *, int, void *, unsigned) {}, nullptr, nullptr, nullptr);
        if (!rings)
            return false;
        for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
            perf_event_attr a = {};
            a.size = sizeof(a), a.type = PERF_TYPE_SOFTWARE, a.config = PERF_COUNT_SW_CPU_CLOCK;
            int fd = static_cast<int>(syscall(__NR_perf_event_open, &a, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
            if (fd < 0)
                return false;
            counters.push_back(fd);
            if (bpf_map_update_elem(map_of(w, "counters"), &cpu, &fd, BPF_ANY))
                return false;
        }
        return true;
    }
    void empty() {
        perf_buffer__free(rings);
        for (int fd : counters)
            close(fd);
        rings = nullptr;
        counters.clear();
    }
};
arrays perf_arrays;

using attacher = held (*)(const work &w, bpf_program *p);
struct kind {
    const char *name;
    attacher attach;
    bool once = false;          ///< attached twice it gives EBUSY
    bool probe = false;         ///< the kernel lists it, with its function
    unsigned attach_type = 0;   ///< what libbpf does not know
    void (*bring)(const held &h) = nullptr; ///< makes the event happen; null: happen()
};

void read_all(const held &h) {
    int fd = bpf_iter_create(bpf_link__fd(h.link));
    char buf[64];
    while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
        ;
    close(fd);
}
void spin(const held &) {
    for (double end = now() + 0.01; now() < end;)
        ;
}
held as_loaded(const work &, bpf_program *p) { return attach_as_loaded(p); }

const kind kinds[] = {
    {"kprobe", [](const work &w, bpf_program *p) { return attach_kprobe(p, w.function); }, false, true},
    {"inside", [](const work &w, bpf_program *p) { return attach_inside(p, w.function); }, false, true},
    {"kretprobe", [](const work &w, bpf_program *p) { return attach_kprobe(p, w.function, true); }, false, true},
    {"multi", [](const work &w, bpf_program *p) { return attach_multi(p, w.function, false); }},
    {"multi_return", [](const work &w, bpf_program *p) { return attach_multi(p, w.function, true); }},
    {"session", [](const work &w, bpf_program *p) { return attach_session(p, w.function); }, false, false, session_type},
    {"uprobe", [](const work &, bpf_program *p) { return attach_uprobe(p, probed, false); }},
    {"uretprobe", [](const work &, bpf_program *p) { return attach_uprobe(p, probed, true); }},
    {"umulti", [](const work &, bpf_program *p) { return attach_uprobe_multi(p, probed, false); }, false, false, uprobe_multi_type},
    {"umulti_return", [](const work &, bpf_program *p) { return attach_uprobe_multi(p, probed, true); }, false, false, uprobe_multi_type},
    {"tracepoint", [](const work &, bpf_program *p) { return held{bpf_program__attach_tracepoint(p, "task", "task_rename")}; }},
    {"syscall_tp", [](const work &, bpf_program *p) { return held{bpf_program__attach_tracepoint(p, "syscalls", "sys_enter_getpgid")}; }},
    {"raw_tp", [](const work &, bpf_program *p) { return held{bpf_program__attach_raw_tracepoint(p, "task_rename")}; }},
    {"tp_btf", as_loaded},
    {"fentry", as_loaded, true},
    {"fexit", as_loaded, true},
    {"fmod_ret", as_loaded, true},
    {"lsm", as_loaded, true},
    {"fault", [](const work &, bpf_program *p) { return attach_counter(p, PERF_COUNT_SW_PAGE_FAULTS, 1); }},
    {"clock", [](const work &, bpf_program *p) { return attach_counter(p, PERF_COUNT_SW_CPU_CLOCK, clock_period); }, false, false, 0, spin},
    {"element", [](const work &w, bpf_program *p) { return attach_to_map(p, map_of(w, "elements")); }, false, false, 0, read_all},
    {"task", as_loaded, false, false, 0, read_all},
    {"output",
     [](const work &w, bpf_program *p) {
         held h{perf_arrays.fill(w) ? bpf_program__attach_raw_tracepoint(p, "task_rename") : nullptr};
         return h;
     }},
};
constexpr size_t kind_count = sizeof(kinds) / sizeof(kinds[0]);

// ---- one cycle ---------------------------------------------------------------------------------------------

bool fail(work &w, const kind &k, const std::string &what) {
    w.why = std::string(k.name) + ": " + what;
    return false;
}

bool load(work &w, const kind &k) {
    w.object = bpf_object__open(w.file);
    bpf_program *p;
    bpf_object__for_each_program(p, w.object) bpf_program__set_autoload(p, p == prog_of(w, k.name));
    if (k.attach_type)
        bpf_program__set_expected_attach_type(prog_of(w, k.name), static_cast<bpf_attach_type>(k.attach_type));
    if (bpf_object__load(w.object))
        return fail(w, k, std::string("does not load: ") + strerror(errno));
    bpf_map *bss = bpf_object__find_map_by_name(w.object, ".bss");
    void *at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, bpf_map__fd(bss), 0);
    w.variables = at == MAP_FAILED ? nullptr : static_cast<volatile unsigned long *>(at);
    return w.variables || fail(w, k, std::string("its variables cannot be mapped: ") + strerror(errno));
}
void unload(work &w) {
    if (w.variables)
        munmap(const_cast<unsigned long *>(w.variables), 4096);
    w.variables = nullptr;
    bpf_object__close(w.object);
}

unsigned long hits(const work &w) { return *w.variables; }

bool listed(const char *function) {
    FILE *f = fopen("/sys/kernel/debug/kprobes/list", "r");
    char line[256];
    bool found = false;
    while (f && fgets(line, sizeof(line), f))
        found |= strstr(line, function) != nullptr;
    if (f)
        fclose(f);
    return found;
}

bool seen(const work &w, const kind &k, const held &h, unsigned long before) {
    for (double end = now() + 10; hits(w) == before && now() < end;)
        k.bring ? k.bring(h) : happen();
    return hits(w) != before;
}

bool attached_well(work &w, const kind &k, const held &h) {
    if (!h)
        return fail(w, k, std::string("does not attach: ") + strerror(errno));
    if (k.probe && !listed(w.function))
        return fail(w, k, "the kernel does not list it");
    if (k.once) {
        held again = k.attach(w, prog_of(w, k.name));
        int err = again ? 0 : errno;
        again.drop();
        if (err != EBUSY)
            return fail(w, k, std::string("attached twice: ") + strerror(err));
    }
    return seen(w, k, h, hits(w)) || fail(w, k, "its program does not see the event");
}

bool detached_well(work &w, const kind &k) {
    unsigned long last = hits(w);
    if (k.probe && listed(w.function))
        return fail(w, k, "detached, the kernel lists it yet");
    for (int i = 0; i < 3; i++) {
        happen();
        usleep(300);
    }
    unsigned long later = hits(w);
    if (later == last)
        return true;
    sleep(1);
    return fail(w, k, "detached, its program ran " + std::to_string(later - last) + " times, and " + std::to_string(hits(w) - later) +
                          " in the next second");
}

bool cycle(work &w, const kind &k) {
    if (!load(w, k)) {
        unload(w);
        return false;
    }
    held h = k.attach(w, prog_of(w, k.name));
    bool good = attached_well(w, k, h);
    h.drop();
    good = good && detached_well(w, k);
    perf_arrays.empty();
    unload(w);
    return good;
}

// ---- all of them -------------------------------------------------------------------------------------------

struct tally {
    unsigned cycles[kind_count], failed;
};
/// One for all processes.
tally *new_tally() {
    return static_cast<tally *>(mmap(nullptr, sizeof(tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

/// -> how many did not end well.
int wait_for(const std::vector<pid_t> &all) {
    int bad = 0;
    for (pid_t p : all) {
        int state;
        waitpid(p, &state, 0);
        bad += state != 0;
    }
    return bad;
}
void stop(const std::vector<pid_t> &all) {
    for (pid_t p : all)
        kill(p, SIGKILL);
    wait_for(all);
}

void worker(const char *file, int index, unsigned cycles, tally *t) {
    work w{file, functions[index]};
    unsigned seed = static_cast<unsigned>(index) + 1;
    for (unsigned i = 0; i < cycles; i++) {
        // Every kind in turn, so that none is left out, and now and then any.
        size_t which = i % 4 ? (i + static_cast<unsigned>(index) * kind_count / workers) % kind_count : static_cast<unsigned>(rand_r(&seed)) % kind_count;
        if (cycle(w, kinds[which])) {
            __atomic_fetch_add(&t->cycles[which], 1, __ATOMIC_RELAXED);
        } else {
            printf("# process %d, cycle %u: %s\n", index, i, w.why.c_str());
            fflush(stdout);
            __atomic_fetch_add(&t->failed, 1, __ATOMIC_RELAXED);
        }
    }
}

int storm(const char *file, unsigned cycles) {
    tally *t = new_tally();
    std::vector<pid_t> callers, all;
    for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
        callers.push_back(start_caller(cpu));
    double from = now();
    for (int i = 0; i < workers; i++) {
        pid_t child = fork();
        if (!child) {
            worker(file, i, cycles / workers, t);
            _exit(0);
        }
        all.push_back(child);
    }
    int died = wait_for(all);
    stop(callers);
    unsigned sum = 0, least = ~0u;
    for (size_t k = 0; k < kind_count; k++) {
        sum += t->cycles[k];
        least = t->cycles[k] < least ? t->cycles[k] : least;
        printf("# %-14s %u\n", kinds[k].name, t->cycles[k]);
    }
    ok(!died && !t->failed && sum >= cycles / workers * workers, "storm: %u cycles of %zu kinds in %.0f s, %u failed, %d processes died", sum,
       kind_count, now() - from, t->failed, died);
    ok(least > 0, "storm: every kind at least %u times", least);
    return tap_exit();
}

/// Many detach at the same time, for as long as that, and others let objects go that nobody waits for: whoever closes a link must not return
/// before its program is out, whatever is on its way with the others.
constexpr int closers = 12, droppers = 1;

pid_t start_dropper() {
    pid_t child = fork();
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    perf_event_attr a = {};
    a.size = sizeof(a), a.type = PERF_TYPE_SOFTWARE, a.config = PERF_COUNT_SW_BPF_OUTPUT;
    for (;;)
        close(static_cast<int>(syscall(__NR_perf_event_open, &a, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
}

void closer(const char *file, const kind &k, unsigned seconds, tally *t) {
    work w{file, functions[0]};
    bool good = load(w, k);
    for (double end = now() + seconds; good && now() < end;) {
        held h = k.attach(w, prog_of(w, k.name));
        good = h || fail(w, k, std::string("does not attach: ") + strerror(errno));
        happen();
        h.drop();
        unsigned long last = hits(w);
        happen();
        good = good && (hits(w) == last || fail(w, k, "ran when its link was closed"));
        __atomic_fetch_add(&t->cycles[&k - kinds], 1, __ATOMIC_RELAXED);
    }
    if (!good)
        printf("# %s\n", w.why.c_str());
    fflush(stdout);
    unload(w);
    _exit(!good);
}

int close_often(const char *file, unsigned seconds) {
    tally *t = new_tally();
    static const char *const names[] = {"raw_tp", "tracepoint", "kprobe"};
    std::vector<pid_t> all, others;
    for (int i = 0; i < droppers; i++)
        others.push_back(start_dropper());
    for (int i = 0; i < closers; i++) {
        pid_t child = fork();
        for (const kind &k : kinds)
            if (!child && !strcmp(k.name, names[i % 3]))
                closer(file, k, seconds, t);
        all.push_back(child);
    }
    int bad = wait_for(all);
    stop(others);
    unsigned sum = 0;
    for (unsigned n : t->cycles)
        sum += n;
    ok(!bad && sum > closers, "storm: %u links closed by %d processes, none too early; %d failed", sum, closers, bad);
    return tap_exit();
}

/// Everything at once in one process, which then is killed or ends without detaching.
int hold(const char *file, unsigned seconds) {
    int failed = 0;
    for (const kind &k : kinds) {
        auto *w = new work{file, held_function};
        if (!load(*w, k) || !attached_well(*w, k, k.attach(*w, prog_of(*w, k.name)))) {
            printf("# %s\n", w->why.c_str());
            failed++;
        }
        perf_arrays = {};
    }
    ok(!failed, "storm: all kinds are attached at once");
    sleep(seconds);
    _exit(tap_exit());
}

int count_ids(int (*next)(unsigned, unsigned *)) {
    int n = 0;
    for (unsigned id = 0; !next(id, &id);)
        n++;
    return n;
}
int left() {
    printf("%d programs %d maps %d links %d types\n", count_ids(bpf_prog_get_next_id), count_ids(bpf_map_get_next_id),
           count_ids(bpf_link_get_next_id), count_ids(bpf_btf_get_next_id));
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    std::string what = argc > 1 ? argv[1] : "";
    libbpf_set_print(nullptr);
    page = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (what == "left")
        return left();
    if (what == "close" && argc > 3)
        return close_often(argv[2], static_cast<unsigned>(atoi(argv[3])));
    if (what == "hold" && argc > 3)
        return hold(argv[2], static_cast<unsigned>(atoi(argv[3])));
    return argc > 2 ? storm(argv[1], static_cast<unsigned>(atoi(argv[2]))) : 2;
}
