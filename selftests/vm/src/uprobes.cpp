// SPDX-License-Identifier: GPL-2.0-only
// Probes in user space on this program's own functions: hits, arguments, results, cookies, whose they are, counters of those who look,
// sleeping programs, links to many places, what queries say, refusals; nothing after detach; attaching while others run through.
// usage: uprobes OBJECT | uprobes call COUNT | uprobes hold OBJECT SECONDS
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "tap.h"
#include "variables.h"

#define TRACED extern "C" __attribute__((noipa))
TRACED int traced_0(int n, const char *) { return n + 1; }
TRACED int traced_1(int n, const char *) { return n + 1; }
TRACED int traced_2(int n, const char *) { return n + 1; }
TRACED int traced_3(int n, const char *) { return n + 1; }
volatile unsigned short lookers[2] = {0x1000, 0x1000}; // in the file's data, so not zero

namespace {

using traced_fn = int (*)(int, const char *);
const traced_fn traced[] = {traced_0, traced_1, traced_2, traced_3};
constexpr unsigned counters = 16;
constexpr int uprobe_multi_type = 48, uprobe_multi_link = 12;
const char *self = "/proc/self/exe";
std::string exe;

struct place_in_file {
    unsigned long offset = 0, base = 0;
};
/// Where an address of this program is in its file.
unsigned long offset_of(const void *at) {
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long start, end, off, want = reinterpret_cast<unsigned long>(at), found = 0;
    char line[512];
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) == 3 && want >= start && want < end)
            found = want - start + off;
    fclose(f);
    return found;
}
unsigned long place(int i) { return offset_of(reinterpret_cast<const void *>(traced[i])); }

int pmu_type(const char *name = "uprobe") {
    int type = -1;
    if (FILE *f = fopen(("/sys/bus/event_source/devices/" + std::string(name) + "/type").c_str(), "r")) {
        if (fscanf(f, "%d", &type) != 1)
            type = -1;
        fclose(f);
    }
    return type;
}

/// -> fd or -errno.
int open_event(const char *path, unsigned long offset, bool ret = false, int pid = -1, unsigned long ref_ctr = 0) {
    perf_event_attr a{};
    a.size = sizeof(a), a.type = static_cast<unsigned>(pmu_type());
    a.config = (ref_ctr << 32) | ret;
    a.config1 = reinterpret_cast<unsigned long>(path), a.config2 = offset;
    long fd = syscall(SYS_perf_event_open, &a, pid, pid == -1 ? 0 : -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : static_cast<int>(fd);
}
int open_event(int i, bool ret = false, int pid = -1) { return open_event(self, place(i), ret, pid); }

union attr {
    char bytes[120];
    struct {
        unsigned prog_fd, target_fd, attach_type, flags;
        unsigned long cookie;
    } perf;
    struct {
        unsigned prog_fd, target_fd, attach_type, link_flags;
        const char *path;
        const unsigned long *offsets, *ref_ctrs, *cookies;
        unsigned count, flags;
        int pid;
    } multi;
    struct {
        unsigned pid, fd, flags, buf_len;
        char *buf;
        unsigned prog_id, fd_type;
        unsigned long offset, addr;
    } query;
};
template <class F> int command(int cmd, unsigned size, attr &a, F set) {
    memset(&a, 0, sizeof(a));
    set(a);
    long r = syscall(SYS_bpf, cmd, &a, size);
    return r < 0 ? -errno : static_cast<int>(r);
}
constexpr int link_create = 28, task_fd_query = 20;

int link_to(int prog, int event, unsigned long cookie) {
    attr a;
    return command(link_create, 60, a, [&](attr &v) { v.perf = {unsigned(prog), unsigned(event), BPF_PERF_EVENT, 0, cookie}; });
}

int call_all(int count, const char *text = "traced") {
    int sum = 0;
    for (int i = 0; i < count; i++)
        for (traced_fn f : traced)
            sum += f(i, text);
    return sum;
}

struct session {
    bpf_object *o;
    variables *v = nullptr;
    std::vector<int> fds;

    session(const char *file, bool multi) : o(bpf_object__open(file)) {
        bpf_program *p;
        bpf_object__for_each_program(p, o) {
            if (multi)
                bpf_program__set_expected_attach_type(p, static_cast<bpf_attach_type>(uprobe_multi_type));
            if (!strcmp(bpf_program__name(p), "asleep"))
                bpf_program__set_flags(p, BPF_F_SLEEPABLE);
        }
        if (ok(o && !bpf_object__load(o), "uprobes: programs load%s", multi ? " for many places" : ""))
            v = new variables(o);
    }
    ~session() {
        detach();
        bpf_object__close(o);
    }
    int prog(const char *name) { return bpf_program__fd(bpf_object__find_program_by_name(o, name)); }
    int keep(int fd) {
        if (fd >= 0)
            fds.push_back(fd);
        return fd;
    }
    void detach() {
        for (int fd : fds)
            close(fd);
        fds.clear();
    }
    struct all_hits {
        unsigned long n[counters];
    };
    unsigned long hits(unsigned i) { return v->get<all_hits>("hits").n[i]; }
    void clear() {
        v->set("hits", all_hits{});
        v->set("bad_args", 0ul);
        v->set("bad_results", 0ul);
    }
};

void run_threads(int threads, int count) {
    std::vector<std::thread> all;
    for (int i = 0; i < threads; i++)
        all.emplace_back([=] { call_all(count); });
    for (auto &t : all)
        t.join();
}

/// Runs the function in a child, and waits for it.
template <class F> void in_child(F f) {
    pid_t pid = fork();
    if (!pid) {
        f();
        _exit(0);
    }
    waitpid(pid, nullptr, 0);
}

void test_hits(session &s) {
    int entry = s.keep(open_event(0)), ret = s.keep(open_event(0, true)), second = s.keep(open_event(0));
    ok(entry >= 0 && ret >= 0 && second >= 0, "uprobes: events open");
    s.keep(link_to(s.prog("at_entry"), entry, 0x11112222333301));
    s.keep(link_to(s.prog("at_return"), ret, 2));
    ok(!ioctl(second, PERF_EVENT_IOC_SET_BPF, s.prog("at_entry")), "uprobes: a program is set by ioctl");
    ok(ioctl(second, PERF_EVENT_IOC_SET_BPF, s.prog("at_entry")) == -1 && errno == EEXIST, "uprobes: another one is refused");
    run_threads(4, 250);
    ok(s.hits(1) == 1000 && s.hits(2) == 1000 && s.hits(0) == 1000, "uprobes: %lu, %lu and %lu hits of 1000", s.hits(1), s.hits(2), s.hits(0));
    ok(!s.v->get<unsigned long>("bad_args") && !s.v->get<unsigned long>("bad_results"), "uprobes: arguments and results are right");
    in_child([] { call_all(10); });
    ok(s.hits(1) == 1010 && s.hits(2) == 1010, "uprobes: a child is seen, too");
    s.detach();
    call_all(100);
    ok(s.hits(1) == 1010 && s.hits(2) == 1010 && s.hits(0) == 1010, "uprobes: nothing runs after detach");
}

void test_addresses(session &s) {
    s.keep(link_to(s.prog("at_entry"), s.keep(open_event(1)), 3));
    call_all(1);
    auto at = reinterpret_cast<unsigned long>(traced_1);
    ok(s.v->get<unsigned long>("last_ip") == at && s.v->get<unsigned long>("last_func_ip") == at, "uprobes: the address at the entry");
    ok(s.v->get<unsigned long>("last_cookie") == 3, "uprobes: the cookie");
    s.detach();
    s.keep(link_to(s.prog("at_return"), s.keep(open_event(1, true)), 4));
    call_all(1);
    ok(s.v->get<unsigned long>("last_func_ip") == at && s.v->get<unsigned long>("last_ip") != at, "uprobes: the function's address at its return");
    s.detach();
}

/// A child that waits to be told to call, and one that executes this program anew.
void test_whose(session &s) {
    s.clear();
    int go[2];
    if (pipe(go))
        return;
    pid_t child = fork();
    if (!child) {
        char c;
        close(go[1]);
        if (read(go[0], &c, 1) == 1)
            call_all(5);
        if (read(go[0], &c, 1) == 1)
            execl(self, self, "call", "7", nullptr);
        _exit(1);
    }
    close(go[0]);
    int event = s.keep(open_event(exe.c_str(), place(0), false, child)), ret = s.keep(open_event(exe.c_str(), place(0), true, child));
    ok(event >= 0 && s.keep(link_to(s.prog("at_entry"), event, 5)) >= 0, "uprobes: attaches for one process");
    s.keep(link_to(s.prog("at_return"), ret, 6));
    call_all(100);
    in_child([] { call_all(100); });
    ok(s.hits(5) == 0 && s.hits(6) == 0, "uprobes: others are not seen (%lu, %lu)", s.hits(5), s.hits(6));
    ok(write(go[1], "x", 1) == 1, "uprobes: the child is told to call");
    usleep(300000);
    ok(s.hits(5) == 5 && s.hits(6) == 5, "uprobes: the process is seen (%lu, %lu hits of 5)", s.hits(5), s.hits(6));
    ok(write(go[1], "x", 1) == 1, "uprobes: the child is told to execute");
    waitpid(child, nullptr, 0);
    ok(s.hits(5) == 12 && s.hits(6) == 12, "uprobes: and when it has executed a program (%lu, %lu hits of 12)", s.hits(5), s.hits(6));
    close(go[1]);
    s.detach();
}

void test_sleeping(session &s) {
    s.keep(link_to(s.prog("asleep"), s.keep(open_event(2)), 0xabcdef07));
    char *cold = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/t/lib.sh", O_RDONLY), 0));
    traced_2(0, cold);
    struct bytes {
        char c[16];
    };
    ok(!s.v->get<long>("copied") && !memcmp(s.v->get<bytes>("text").c, "# SPDX", 6), "uprobes: a program sleeps for memory that is not there");
    ok(s.v->get<unsigned long>("last_cookie") == 0xabcdef07, "uprobes: its cookie");
    ok(s.v->get<unsigned long>("last_func_ip") == reinterpret_cast<unsigned long>(traced_2), "uprobes: its address");
    ok(s.v->get<long>("stack_bytes") >= 8 && s.v->get<unsigned long>("stack") == reinterpret_cast<unsigned long>(traced_2), "uprobes: its chain in user space");
    ok(s.v->get<long>("kernel_stack_bytes") <= 0, "uprobes: it has no chain in the kernel (%ld)", s.v->get<long>("kernel_stack_bytes"));
    s.clear();
    std::thread storm([] { for (int i = 0; i < 400; i++) traced_2(i, "traced"); });
    storm.join();
    ok(s.hits(7) == 400, "uprobes: a sleeping program ran %lu times of 400", s.hits(7));
    s.detach();
    munmap(cold, 4096);
}

/// The kernel's probe of a function. -> fd or -1.
int open_kprobe(const char *function) {
    perf_event_attr a{};
    a.size = sizeof(a), a.type = static_cast<unsigned>(pmu_type("kprobe"));
    a.config1 = reinterpret_cast<unsigned long>(function);
    return static_cast<int>(syscall(SYS_perf_event_open, &a, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

/// Memory whose first touch waits until fill().
struct absent_page {
    int fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
    char *at = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    bool made() {
        uffdio_api api{.api = UFFD_API, .features = 0, .ioctls = 0};
        uffdio_register r{.range = {reinterpret_cast<unsigned long>(at), 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
        return fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &r);
    }
    bool touched() {
        pollfd p{fd, POLLIN, 0};
        return poll(&p, 1, 10000) == 1 && p.revents == POLLIN;
    }
    void fill() {
        uffdio_zeropage z{.range = {reinterpret_cast<unsigned long>(at), 4096}, .mode = 0, .zeropage = 0};
        ioctl(fd, UFFDIO_ZEROPAGE, &z);
    }
    ~absent_page() { close(fd), munmap(at, 4096); }
};

/// A program that sleeps for as long as a user likes holds up nobody's detaching but that of probes in user space. (The kernel's own BPF
/// makes all events wait.)
void test_asleep_for_long(session &s) {
    const char *backend = getenv("MODBPF_BACKEND");
    if (backend && !strcmp(backend, "kernel"))
        return;
    absent_page page;
    if (!page.made()) {
        ok(true, "uprobes: # SKIP this kernel has no userfaultfd");
        return;
    }
    int event = open_kprobe("__x64_sys_getppid"), other = link_to(s.prog("at_return"), event, 9);
    s.keep(link_to(s.prog("asleep"), s.keep(open_event(2)), 8));
    int second = open_event(1), second_link = link_to(s.prog("at_return"), second, 10);
    s.clear();
    std::thread sleeper([&] { traced_2(0, page.at); });
    ok(page.touched() && s.hits(8) == 1, "uprobes: a program waits for memory");
    std::thread own([&] { close(second_link), close(second); });
    usleep(100000); // it waits for the sleeper: what comes after it must not
    std::atomic<bool> gone = false;
    std::thread closer([&] { close(other), close(event), gone = true; });
    for (int i = 0; i < 1000 && !gone; i++)
        usleep(10000);
    getppid();
    ok(gone && s.hits(9) == 0 && other >= 0, "uprobes: others detach meanwhile");
    page.fill();
    for (std::thread *t : {&sleeper, &own, &closer})
        t->join();
    s.detach();
}

void test_counter(session &s) {
    unsigned long off = offset_of(const_cast<const unsigned short *>(lookers));
    int e = s.keep(open_event(self, place(0), false, -1, off));
    ok(e >= 0 && lookers[0] == 0x1001 && lookers[1] == 0x1000, "uprobes: who looks is counted: %#x", lookers[0]);
    in_child([] { _exit(0); });
    s.detach();
    ok(lookers[0] == 0x1000, "uprobes: and no longer: %#x", lookers[0]);
    ok(open_event(self, place(0), false, -1, off + 1) == -EINVAL, "uprobes: a counter at an odd place is refused");
}

void test_refusals(session &s) {
    std::string longest(4095, '/'), longer(4096, '/');
    ok(open_event("/no/such/file", 0) == -ENOENT, "uprobes: no such file");
    ok(open_event("/t", 0) == -EINVAL, "uprobes: a folder");
    ok(open_event("", 0) == -EINVAL, "uprobes: an empty path");
    ok(open_event(nullptr, 0) == -EINVAL, "uprobes: no path");
    ok(open_event(reinterpret_cast<char *>(8), 0) == -EFAULT, "uprobes: a bad pointer");
    ok(open_event(longer.c_str(), 0) == -E2BIG, "uprobes: a path that is too long");
    ok(open_event(longest.c_str(), 0) == -EINVAL, "uprobes: the longest path");
    ok(open_event(self, 1ul << 40) == -EINVAL, "uprobes: a place beyond the file");
    ok(open_event(self, place(0), false, 0x7ffffff0) == -ESRCH, "uprobes: no such process");
    perf_event_attr a{};
    a.size = sizeof(a), a.type = PERF_TYPE_TRACEPOINT;
    int e = s.keep(open_event(0));
    ok(ioctl(e, PERF_EVENT_IOC_SET_BPF, e) == -1 && errno == EINVAL, "uprobes: what is no program is refused");
    ok(link_to(s.prog("at_entry"), s.prog("at_entry"), 0) == -EBADF, "uprobes: a link to what is no event is refused");
    s.detach();
}

void test_told(session &s) {
    int e = s.keep(open_event(exe.c_str(), place(3), true)), l = s.keep(link_to(s.prog("at_return"), e, 0x77));
    struct {
        unsigned type, id, prog_id, pad, kind, pad2;
        char *name;
        unsigned name_len, offset;
        unsigned long cookie, rest[3];
    } info{};
    char name[300] = {};
    info.name = name, info.name_len = sizeof(name);
    unsigned len = sizeof(info);
    int rc = bpf_obj_get_info_by_fd(l, &info, &len);
    ok(!rc && info.type == 7 && info.kind == 2, "uprobes: the link's type (%d, %u, %u)", rc, info.type, info.kind);
    ok(exe == name && info.name_len == exe.size() + 1 && info.offset == place(3) && info.cookie == 0x77, "uprobes: what the link says: %s+%#x", name, info.offset);
    info.name_len = 3, len = sizeof(info), info.name = name;
    ok(bpf_obj_get_info_by_fd(l, &info, &len) && errno == ENOSPC && !strcmp(name, exe.substr(0, 2).c_str()), "uprobes: a name that does not fit");
    attr a;
    auto ask = [&](int fd, unsigned room) {
        memset(name, 0, sizeof(name));
        return command(task_fd_query, 48, a, [&](attr &v) { v.query = {unsigned(getpid()), unsigned(fd), 0, room, name, 0, 0, 0, 0}; });
    };
    int asked = ask(e, sizeof(name));
    ok(!asked && a.query.fd_type == 5 && a.query.offset == place(3) && !a.query.addr && exe == name &&
           a.query.buf_len == exe.size() && a.query.prog_id == info.prog_id, "uprobes: what a query says: %u %s+%#lx", a.query.fd_type, name, a.query.offset);
    ok(ask(e, 3) == -ENOSPC && !strcmp(name, exe.substr(0, 2).c_str()), "uprobes: a query without enough room");
    ok(ask(l, 0) == -524, "uprobes: a query of the link");
    ok(ask(s.keep(open_event(3)), 0) == -ENOENT, "uprobes: a query of an event without a program");
    ok(ask(999, 0) == -EBADF, "uprobes: a query of no file");
    int null = open("/dev/null", O_RDONLY);
    ok(ask(null, 0) == -524, "uprobes: a query of another file");
    close(null);
    ok(command(task_fd_query, 48, a, [&](attr &v) { v.query.pid = 0x7ffffff0; }) == -ENOENT, "uprobes: a query of no task");
    ok(command(task_fd_query, 48, a, [&](attr &v) { v.query.pid = unsigned(getpid()), v.query.flags = 1; }) == -EINVAL, "uprobes: a query with flags");
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    ok(command(task_fd_query, 48, a, [&](attr &v) { v.query.pid = unsigned(child), v.query.fd = unsigned(e); }) == 0 && a.query.fd_type == 5,
       "uprobes: a query of another process");
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    s.detach();
}

struct many {
    std::vector<unsigned long> offsets, cookies;
    many() {
        for (int i = 0; i < 4; i++)
            offsets.push_back(place(i)), cookies.push_back(0x5500 + static_cast<unsigned long>(i));
    }
};
int link_many(const many &m, int prog, unsigned flags = 0, int pid = 0, const char *path = self, unsigned count = 4) {
    attr a;
    return command(link_create, 60, a, [&](attr &v) {
        v.multi = {unsigned(prog), 0, unsigned(uprobe_multi_type), 0, path, m.offsets.data(), nullptr, m.cookies.empty() ? nullptr : m.cookies.data(),
                   count, flags, pid};
    });
}

void test_many(session &s) {
    many m;
    s.clear();
    int l = s.keep(link_many(m, s.prog("at_entry")));
    ok(l >= 0, "uprobes: a link to many places (%d)", l);
    run_threads(3, 100);
    ok(s.hits(0) == 300 && s.hits(1) == 300 && s.hits(2) == 300 && s.hits(3) == 300, "uprobes: many: %lu %lu %lu %lu hits of 300", s.hits(0), s.hits(1), s.hits(2), s.hits(3));
    traced_2(1, "traced");
    ok(s.v->get<unsigned long>("last_func_ip") == reinterpret_cast<unsigned long>(traced_2) && s.v->get<unsigned long>("last_cookie") == 0x5502, "uprobes: many: address and cookie");
    struct {
        unsigned type, id, prog_id, pad;
        char *path;
        unsigned long *offsets, *ref_ctrs, *cookies;
        unsigned path_size, count, flags, pid;
    } info{};
    char path[300] = {};
    unsigned long offsets[4] = {}, ref_ctrs[4] = {1, 1, 1, 1}, cookies[4] = {};
    info.path = path, info.path_size = sizeof(path), info.offsets = offsets, info.ref_ctrs = ref_ctrs, info.cookies = cookies, info.count = 4;
    unsigned len = sizeof(info);
    ok(!bpf_obj_get_info_by_fd(l, &info, &len) && info.type == uprobe_multi_link && exe == path && info.count == 4 && !info.flags && !info.pid &&
           info.path_size == exe.size() + 1, "uprobes: many: what the link says: %s", path);
    ok(!memcmp(offsets, m.offsets.data(), 32) && !memcmp(cookies, m.cookies.data(), 32) && !ref_ctrs[0] && !ref_ctrs[3], "uprobes: many: its places");
    info.count = 2, len = sizeof(info), info.path = nullptr, info.path_size = 0;
    ok(bpf_obj_get_info_by_fd(l, &info, &len) && errno == ENOSPC, "uprobes: many: places that do not fit");
    s.detach();
    call_all(10);
    ok(s.hits(0) == 300 && s.hits(2) == 301, "uprobes: many: nothing runs after detach");
    s.keep(link_many(m, s.prog("at_return"), 1));
    s.keep(link_many(m, s.prog("asleep")));
    s.clear();
    call_all(50);
    ok(s.hits(1) == 100 && !s.v->get<unsigned long>("bad_results"), "uprobes: many: returns, and a sleeping program: %lu hits of 100", s.hits(1));
    s.detach();
    s.clear();
    int l2 = s.keep(link_many(m, s.prog("at_entry"), 0, getpid()));
    in_child([] { call_all(10); });
    call_all(20);
    ok(l2 >= 0 && s.hits(0) == 20, "uprobes: many: of one process: %lu hits of 20", s.hits(0));
    s.detach();
    many none;
    none.cookies.clear();
    s.clear();
    s.keep(link_many(none, s.prog("at_entry")));
    call_all(1);
    ok(s.hits(0) == 4, "uprobes: many: without cookies");
    s.detach();
}

void test_many_refusals(session &s) {
    many m, bad;
    bad.offsets[3] = 1ul << 40;
    many negative;
    negative.offsets[0] = ~0ul;
    int p = s.prog("at_entry");
    ok(link_many(m, p, 2) == -EINVAL, "uprobes: many: unknown flags");
    ok(link_many(m, p, 0, -1) == -EINVAL, "uprobes: many: a bad process");
    ok(link_many(m, p, 0, 0x7ffffff0) == -ESRCH, "uprobes: many: no such process");
    ok(link_many(m, p, 0, 0, nullptr) == -EINVAL, "uprobes: many: no path");
    ok(link_many(m, p, 0, 0, reinterpret_cast<char *>(8)) == -EFAULT, "uprobes: many: a bad pointer");
    ok(link_many(m, p, 0, 0, "/") == -EBADF, "uprobes: many: a folder");
    ok(link_many(m, p, 0, 0, "/no/such") == -ENOENT, "uprobes: many: no such file");
    ok(link_many(m, p, 0, 0, self, 0) == -EINVAL, "uprobes: many: no place");
    ok(link_many(m, p, 0, 0, self, (1 << 20) + 1) == -E2BIG, "uprobes: many: too many");
    ok(link_many(bad, p) == -EINVAL, "uprobes: many: a place beyond the file");
    ok(link_many(negative, p) == -EINVAL, "uprobes: many: a place before the file");
    call_all(10);
    ok(link_to(p, s.keep(open_event(0)), 0) == -EINVAL, "uprobes: many: such a program at an event");
    s.detach();
}

/// Attaching and detaching while others run through, with programs that sleep and programs that do not.
void test_storm(session &s, session &multi) {
    bool stop = false;
    many m;
    std::vector<std::thread> all;
    for (int i = 0; i < 3; i++)
        all.emplace_back([&] { while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) call_all(10); });
    int turns = 0, failed = 0;
    for (; turns < 60; turns++) {
        int e = open_event(turns % 4, turns & 1), l = link_to(s.prog(turns & 1 ? "at_return" : turns % 3 ? "asleep" : "at_entry"), e, 9);
        int l2 = link_many(m, multi.prog(turns & 1 ? "asleep" : "at_return"), !(turns & 1));
        failed += e < 0 || l < 0 || l2 < 0;
        close(l);
        close(l2);
        close(e);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (auto &t : all)
        t.join();
    ok(!failed, "uprobes: attached and detached %d times while others ran through", turns);
}

}  // namespace

int main(int argc, char **argv) {
    char buf[300] = {};
    if (readlink(self, buf, sizeof(buf) - 1) < 0)
        return 2;
    exe = buf;
    if (argc > 2 && !strcmp(argv[1], "call"))
        return call_all(atoi(argv[2])) < 0;
    bool hold = argc > 3 && !strcmp(argv[1], "hold");
    session s(hold ? argv[2] : argc > 1 ? argv[1] : "/t/bin/uprobes.bpf.o", false);
    if (!s.v)
        return tap_exit();
    if (hold) {
        s.keep(link_to(s.prog("at_entry"), s.keep(open_event(0)), 0));
        for (int i = 0; i < atoi(argv[3]) * 100; i++, usleep(10000))
            call_all(1);
        return tap_exit();
    }
    test_hits(s);
    test_addresses(s);
    test_whose(s);
    test_sleeping(s);
    test_asleep_for_long(s);
    test_counter(s);
    test_refusals(s);
    test_told(s);
    session multi(argc > 1 ? argv[1] : "/t/bin/uprobes.bpf.o", true);
    if (multi.v) {
        test_many(multi);
        test_many_refusals(multi);
        test_storm(s, multi);
    }
    return tap_exit();
}
