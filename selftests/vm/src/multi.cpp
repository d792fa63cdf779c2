// SPDX-License-Identifier: GPL-2.0-only
// One program at many functions of the kernel: hits, arguments, results, cookies, sessions, what the link says, refusals; nothing after
// detach; then at thousands of functions at once, entries and returns, attached and detached while everything goes on.
// usage: multi OBJECT
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>

#include "kallsyms.h"
#include "tap.h"
#include "variables.h"

namespace {

constexpr unsigned counters = 16, multi_type = 42, session_type = 56, multi_link = 8;
const char *file;

struct loaded {
    bpf_object *o = bpf_object__open(file);
    variables *v = nullptr;
    bool ok_ = false;

    loaded(const char *name, unsigned type) {
        bpf_program *p;
        bpf_object__for_each_program(p, o) bpf_program__set_autoload(p, !strcmp(bpf_program__name(p), name));
        bpf_program__set_expected_attach_type(bpf_object__find_program_by_name(o, name), static_cast<bpf_attach_type>(type));
        ok_ = !bpf_object__load(o);
        prog = bpf_program__fd(bpf_object__find_program_by_name(o, name));
        v = new variables(o);
        v->set("target", static_cast<unsigned>(getpid()));
    }
    ~loaded() {
        delete v;
        bpf_object__close(o);
    }
    struct all {
        unsigned long n[counters];
    };
    unsigned long hits(unsigned i) { return v->get<all>("hits").n[i]; }
    unsigned long ip(unsigned i) { return v->get<all>("ips").n[i]; }
    unsigned long word(const char *name) { return v->get<unsigned long>(name); }
    int prog = -1;
};

union attr {
    char bytes[120];
    struct {
        unsigned prog_fd, target_fd, attach_type, link_flags;
        unsigned flags, count;
        const char *const *syms;
        const unsigned long *addrs, *cookies;
    } multi;
};
int link_many(int prog, unsigned type, unsigned flags, unsigned count, const char *const *syms, const unsigned long *addrs,
              const unsigned long *cookies, unsigned link_flags = 0) {
    attr a;
    memset(&a, 0, sizeof(a));
    a.multi = {unsigned(prog), 0, type, link_flags, flags, count, syms, addrs, cookies};
    long r = syscall(SYS_bpf, 28, &a, 60);
    return r < 0 ? -errno : static_cast<int>(r);
}

const char *const names[] = {"__x64_sys_getsid", "__x64_sys_getpgid", "__x64_sys_sched_getscheduler"};
const unsigned long cookies[] = {0xff01, 0xff02, 0xff03};

void call_all(int n) {
    for (int i = 0; i < n; i++) {
        getsid(getpid());
        getpgid(getpid());
        sched_getscheduler(getpid());
    }
}
void run_threads(int threads, int n) {
    std::vector<std::thread> all;
    for (int i = 0; i < threads; i++)
        all.emplace_back([=] { call_all(n); });
    for (auto &t : all)
        t.join();
}

void test_hits() {
    loaded p("at_entry", multi_type);
    int l = link_many(p.prog, multi_type, 0, 3, names, nullptr, cookies);
    ok(p.ok_ && l >= 0, "multi: attaches by name (%d)", l);
    run_threads(4, 250);
    ok(p.hits(1) == 1000 && p.hits(2) == 1000 && p.hits(3) == 1000, "multi: %lu %lu %lu hits of 1000", p.hits(1), p.hits(2), p.hits(3));
    ok(!p.word("bad"), "multi: arguments are right");
    ok(p.ip(1) == address_of(names[0]) && p.ip(3) == address_of(names[2]), "multi: addresses are the functions' (%#lx)", p.ip(1));
    struct {
        unsigned type, id, prog_id, pad;
        unsigned long *addrs;
        unsigned count, flags;
        unsigned long missed;
        unsigned long *cookies;
        unsigned long rest[2];
    } info{};
    unsigned long addrs[3] = {}, got[3] = {};
    info.addrs = addrs, info.count = 3, info.cookies = got;
    unsigned len = sizeof(info);
    bool told = !bpf_obj_get_info_by_fd(l, &info, &len);
    bool pairs = std::is_sorted(addrs, addrs + 3);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            pairs &= (addrs[i] == address_of(names[j])) == (got[i] == cookies[j]);
    ok(told && info.type == multi_link && info.count == 3 && !info.flags && pairs, "multi: what the link says");
    info.count = 2, len = sizeof(info);
    ok(bpf_obj_get_info_by_fd(l, &info, &len) && errno == ENOSPC, "multi: places that do not fit");
    close(l);
    call_all(10);
    ok(p.hits(1) == 1000 && p.hits(2) == 1000 && p.hits(3) == 1000, "multi: nothing runs after detach");
}

void test_returns() {
    loaded p("at_return", multi_type);
    unsigned long addrs[3];
    for (int i = 0; i < 3; i++)
        addrs[i] = address_of(names[i]);
    int l = link_many(p.prog, multi_type, 1, 3, nullptr, addrs, cookies);
    ok(p.ok_ && l >= 0, "multi: attaches by address (%d)", l);
    run_threads(3, 100);
    ok(p.hits(1) == 300 && p.hits(2) == 300 && p.hits(3) == 300, "multi: returns: %lu %lu %lu hits of 300", p.hits(1), p.hits(2), p.hits(3));
    ok(!p.word("bad") && p.ip(2) == addrs[1], "multi: results are right, and the function's address");
    close(l);
}

void test_sessions() {
    loaded p("in_session", session_type);
    int l = link_many(p.prog, session_type, 0, 3, names, nullptr, cookies);
    ok(p.ok_ && l >= 0, "multi: a session attaches (%d)", l);
    run_threads(2, 50);
    ok(p.hits(1) == 200 && p.hits(3) == 200, "multi: it runs at entry and return: %lu hits of 200", p.hits(1));
    p.v->set("skip", 1u);
    call_all(50);
    ok(p.hits(1) == 250 && p.hits(2) == 250, "multi: and not at the return when it says so: %lu hits of 250", p.hits(1));
    close(l);
    loaded d("with_data", session_type);
    if (!d.ok_) {
        ok(true, "multi: # SKIP this kernel does not describe the functions of sessions");
        return;
    }
    l = link_many(d.prog, session_type, 0, 3, names, nullptr, cookies);
    run_threads(4, 100);
    ok(l >= 0 && d.hits(2) == 800 && d.word("returns") == 1200 && !d.word("bad"), "multi: what a session keeps: %lu returns of 1200, %lu wrong",
       d.word("returns"), d.word("bad"));
    close(l);
}

void test_refusals() {
    loaded p("anywhere", multi_type), plain("anywhere", 0);
    unsigned long at = address_of(names[0]), none = 4096;
    const char *twice[] = {names[0], names[0]}, *absent[] = {"no_such_function"}, *wild[] = {reinterpret_cast<char *>(8)};
    std::string long_name(512, 'a');
    const char *longer[] = {long_name.c_str()};
    auto by_name = [&](const char *const *s, unsigned n, unsigned flags = 0) { return link_many(p.prog, multi_type, flags, n, s, nullptr, nullptr); };
    ok(by_name(names, 3, 2) == -EINVAL, "multi: unknown flags");
    ok(by_name(names, 0) == -EINVAL, "multi: no function");
    ok(by_name(names, (1 << 20) + 1) == -E2BIG, "multi: too many functions");
    ok(by_name(twice, 2) == -ESRCH, "multi: a name that is there twice");
    ok(by_name(absent, 1) == -ESRCH, "multi: no such function");
    ok(by_name(wild, 1) == -EFAULT, "multi: a bad pointer");
    ok(by_name(longer, 1) == -E2BIG, "multi: a name that is too long");
    ok(link_many(p.prog, multi_type, 0, 1, names, &at, nullptr) == -EINVAL, "multi: names and addresses");
    ok(link_many(p.prog, multi_type, 0, 1, nullptr, nullptr, nullptr) == -EINVAL, "multi: neither");
    ok(link_many(p.prog, multi_type, 0, 1, nullptr, &none, nullptr) == -EINVAL, "multi: an address of nothing");
    ok(link_many(p.prog, multi_type, 0, 1, names, nullptr, reinterpret_cast<unsigned long *>(8)) == -EFAULT, "multi: bad cookies");
    ok(link_many(p.prog, multi_type, 0, 1, names, nullptr, nullptr, 1) == -EINVAL, "multi: flags of a link");
    ok(link_many(plain.prog, multi_type, 0, 1, names, nullptr, nullptr) == -EINVAL, "multi: a program for one place");
    ok(link_many(p.prog, session_type, 0, 1, names, nullptr, nullptr) == -EINVAL, "multi: no session's program");
}

/// Functions that the tracer knows, of some busy families.
std::vector<std::string> busy_functions(size_t most) {
    std::vector<std::string> all;
    FILE *f = fopen("/sys/kernel/tracing/available_filter_functions", "r");
    if (!f)
        f = fopen("/sys/kernel/debug/tracing/available_filter_functions", "r");
    char line[512];
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, " \n")] = 0;
        if (strchr(line, '['))
            continue;
        for (const char *prefix : {"vfs_", "sched_", "do_", "path_", "lookup_", "kmem_", "kmalloc", "tcp_", "generic_", "mm_", "__do_", "try_to_", "ttwu_", "wake_", "queue_"})
            if (!strncmp(line, prefix, strlen(prefix))) {
                all.push_back(line);
                break;
            }
    }
    if (f)
        fclose(f);
    std::sort(all.begin(), all.end());
    for (size_t i = 0; i + 1 < all.size();) // a name that several have is nobody's here
        if (all[i] == all[i + 1])
            all.erase(all.begin() + static_cast<long>(i));
        else
            i++;
    if (all.size() > most)
        all.resize(most);
    return all;
}

void test_everywhere() {
    std::vector<std::string> functions = busy_functions(3000);
    if (functions.size() < 100) {
        ok(true, "multi: # SKIP the kernel's list of functions is not there");
        return;
    }
    std::vector<const char *> names;
    for (auto &f : functions)
        names.push_back(f.c_str());
    bool stop = false;
    std::vector<std::thread> all;
    for (int i = 0; i < 3; i++)
        all.emplace_back([&] {
            while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
                if (FILE *f = fopen("/proc/self/status", "r")) {
                    char line[256];
                    while (fgets(line, sizeof(line), f))
                        ;
                    fclose(f);
                }
                call_all(10);
            }
        });
    loaded entry("anywhere", multi_type), session("anywhere", session_type);
    int failed = 0, why = 0;
    for (int turn = 0; turn < 4; turn++) {
        auto n = static_cast<unsigned>(names.size());
        int a = link_many(entry.prog, multi_type, 0, n, names.data(), nullptr, nullptr), b = link_many(entry.prog, multi_type, 1, n, names.data(), nullptr, nullptr);
        int c = link_many(session.prog, session_type, 0, n, names.data(), nullptr, nullptr);
        for (int l : {a, b, c})
            if (l < 0)
                failed++, why = l;
        usleep(300000);
        close(a);
        close(c);
        close(b);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (auto &t : all)
        t.join();
    ok(!failed && entry.word("everywhere") && session.word("everywhere"), "multi: at %zu functions: %lu and %lu hits, %d refused (%d)", names.size(),
       entry.word("everywhere"), session.word("everywhere"), failed, why);
}

}  // namespace

int main(int argc, char **argv) {
    file = argc > 1 ? argv[1] : "/t/bin/multi.bpf.o";
    libbpf_set_print([](libbpf_print_level, const char *, va_list) { return 0; });
    test_hits();
    test_returns();
    test_sessions();
    test_refusals();
    test_everywhere();
    return tap_exit();
}
