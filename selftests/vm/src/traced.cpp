// SPDX-License-Identifier: GPL-2.0-only
// Programs around functions: arguments, results, order, changed results, cookies, refusals; on a kernel also at functions that sleep,
// with detaching meanwhile, and at LSM hooks.
// usage: traced OBJECT      (MODBPF_BACKEND=process: only what test runs call)
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tap.h"
#include "variables.h"

namespace {

const char *file;
bool in_process;

/// Some programs of the object, loaded.
struct loaded {
    bpf_object *o = bpf_object__open(file);
    std::vector<bpf_link *> links;

    explicit loaded(std::vector<const char *> names) {
        for (const char *n : names)
            bpf_program__set_autoload(prog(n), true);
        if (!o || bpf_object__load(o))
            ok(false, "traced: %s loads", names[0]);
    }
    ~loaded() {
        detach();
        bpf_object__close(o);
    }
    bpf_program *prog(const char *name) { return bpf_object__find_program_by_name(o, name); }
    /// -> 0 or -errno.
    int attach(const char *name, unsigned long cookie = 0) {
        bpf_trace_opts opts{};
        opts.sz = sizeof(opts);
        opts.cookie = cookie;
        bpf_link *l = bpf_program__attach_trace_opts(prog(name), cookie ? &opts : nullptr);
        if (!l)
            return -errno;
        links.push_back(l);
        return 0;
    }
    void detach() {
        for (bpf_link *l : links)
            bpf_link__destroy(l);
        links.clear();
    }
    /// -> the test run's result, or -errno.
    int run(const char *name) {
        bpf_test_run_opts opts{};
        opts.sz = sizeof(opts);
        int err = bpf_prog_test_run_opts(bpf_program__fd(prog(name)), &opts);
        return err ? err : static_cast<int>(opts.retval);
    }
    unsigned long word(const char *array, int i) {
        variables v(o);
        unsigned long w = 0;
        char *p = v.at(array);
        if (p && !bpf_map_lookup_elem(v.fd, &v.zero, v.bytes.data()))
            memcpy(&w, p + i * 8, sizeof(w));
        return w;
    }
    template <class T> T get(const char *name) { return variables(o).get<T>(name); }
};

void arguments_and_results() {
    loaded t({"entry1", "entry2", "entry3", "entry5", "entry6", "exit1", "exit4", "exit6"});
    for (const char *n : {"entry1", "entry2", "entry3", "entry5", "entry6", "exit1", "exit4", "exit6"})
        ok(!t.attach(n), "traced: %s attaches", n);
    ok(t.run("entry1") == 0, "traced: a test run calls the functions");
    unsigned long in[] = {0, 1, 203, 456, 0, 11 + 36 + 65 + 98 + 165, 0, 0};
    in[6] = 16 + 17 * 3 + 18 * 5 + 19 * 7 + 20 * 11 + 21 * 13;
    for (int i : {1, 2, 3, 5, 6})
        ok(t.word("entered", i) == in[i], "traced: arguments of function %d: %lu, want %lu", i, t.word("entered", i), in[i]);
    unsigned long out[] = {0, 102, 0, 0, 7 + 24 + 45 + 70 + 34000, 0, 16 + 21 * 13 + 111000};
    for (int i : {1, 4, 6})
        ok(t.word("left", i) == out[i], "traced: arguments and result of function %d: %lu, want %lu", i, t.word("left", i), out[i]);
    ok(t.attach("entry1") == -EBUSY, "traced: a program stands at its function once");
    t.detach();
    ok(t.run("entry1") == 0 && t.word("entered", 1) == in[1], "traced: detached: nothing more is seen");
    ok(!t.attach("entry1") && t.run("entry1") == 0 && t.word("entered", 1) == 2 * in[1], "traced: it attaches again");
}

void what_it_may_ask() {
    loaded t({"asks"});
    ok(!t.attach("asks", 0x1234567890), "traced: attaches with a cookie");
    t.run("asks");
    ok(t.get<unsigned long>("counted") == 2, "traced: there are two arguments");
    ok(t.get<unsigned long>("fourth") == 3, "traced: the second argument by number");
    ok(t.get<long>("past") == -EINVAL, "traced: there is no third one");
    ok(t.get<long>("ret_code") == 0 && t.get<int>("ret_value") == 5, "traced: the result");
    ok(t.get<unsigned long>("cookie") == 0x1234567890, "traced: the cookie");
    ok(t.get<unsigned long>("ip") != 0, "traced: the function's address");
    loaded early({"asks_early"});
    early.attach("asks_early");
    early.run("asks_early");
    ok(early.get<long>("ret_code") == -EOPNOTSUPP, "traced: at the entry there is no result");
}

std::string order_of(loaded &t) {
    variables v(t.o);
    std::string s;
    int at[8] = {};
    char *p = v.at("order");
    if (p && !bpf_map_lookup_elem(v.fd, &v.zero, v.bytes.data()))
        memcpy(at, p, sizeof(at));
    for (int i : at)
        s += static_cast<char>('0' + i);
    return s;
}

void order_and_changes() {
    {
        loaded t({"first", "second", "third"});
        for (const char *n : {"third", "first", "second"})
            t.attach(n);
        t.run("first");
        ok(order_of(t) == "21300000", "traced: the latest at the entry runs first, the one at the exit last: %s", order_of(t).c_str());
    }
    loaded t({"decides", "agrees", "sees"});
    for (const char *n : {"decides", "agrees", "sees"})
        ok(!t.attach(n), "traced: %s attaches", n);
    int plain = t.run("decides");
    // 1 + 3 of the one function; 1 + 3 + 3 + 4 + 5 + 6 + 7 of the other, which is not everywhere; each has its effect.
    int others = plain >> 16 == 2 ? 1 << 16 | 29 : 0;
    ok(plain == (1 << 16 | 4) + others, "traced: left alone, the functions run: %x", plain);
    ok(order_of(t) == "54600000", "traced: the latest changes first: %s", order_of(t).c_str());
    variables(t.o).set<int>("wanted", 1234);
    int changed = t.run("decides");
    ok(changed == 1234 + others, "traced: a result is replaced, and its function does not run: %x", changed);
    ok(t.get<int>("ret_value") == 1234, "traced: the program at the exit sees the result");
    if (!others)
        return;
    loaded all({"sees_all", "agrees"});
    all.attach("sees_all");
    all.attach("agrees");
    all.run("agrees");
    unsigned long sum = all.get<unsigned long>("ret_value");
    ok(sum == 1 + 30 + 400 + 5000 + 60000 + 700000 + 29000000, "traced: an argument on the stack: %lu", sum);
}

void many_programs() {
    std::vector<loaded *> all;
    int err = 0;
    for (int i = 0; i < 38 && !err; i++) {
        all.push_back(new loaded({"entry1"}));
        err = all.back()->attach("entry1");
    }
    ok(!err, "traced: 38 programs stand at one function");
    all.push_back(new loaded({"entry1"}));
    ok(all.back()->attach("entry1") == -E2BIG, "traced: the next is refused");
    all[0]->run("entry1");
    unsigned long sum = 0;
    for (loaded *l : all)
        sum += l->word("entered", 1);
    ok(sum == 38, "traced: each of them runs: %lu", sum);
    for (loaded *l : all)
        delete l;
}

void everyday_functions() {
    loaded t({"on_open", "on_sleep"});
    variables(t.o).set<int>("watched", getpid());
    ok(!t.attach("on_open") && !t.attach("on_sleep"), "traced: programs at functions that sleep attach");
    for (int i = 0; i < 100; i++) {
        int fd = open(i % 4 ? "/proc/self/stat" : "/no/such/file", O_RDONLY);
        if (fd >= 0)
            close(fd);
    }
    ok(t.get<unsigned long>("opens") == 100 && t.get<unsigned long>("opened") == 75, "traced: each open with its result: %lu, %lu",
       t.get<unsigned long>("opens"), t.get<unsigned long>("opened"));
    std::thread sleeper([] { usleep(700000); });
    usleep(100000);
    t.detach();
    usleep(10000);
    ok(t.get<unsigned long>("slept") == 1, "traced: detached while a task sleeps in the function: %lu", t.get<unsigned long>("slept"));
    sleeper.join();
    ok(t.get<unsigned long>("slept") == 1, "traced: it wakes up, and the program does not run: %lu", t.get<unsigned long>("slept"));
}

int make_executable() {
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int err = mprotect(page, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
    munmap(page, 4096);
    return err;
}

/// -> its errno; 0: it may.
int ask_device() { return ioctl(STDIN_FILENO, 0x7a7a7a7a, "x") ? errno : 0; }

int make_map() {
    int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "guarded", 4, 4, 77, nullptr);
    int err = fd < 0 ? errno : 0;
    close(fd);
    return err;
}

void security_hooks() {
    const struct {
        const char *prog, *count;
        int (*asks)();
        int without, with;
    } cases[] = {{"guard", "denied", make_executable, 0, EPERM}, {"sleepable_guard", "refused", ask_device, ENOTTY, EACCES},
                 {"command_guard", "stopped", make_map, 0, EPERM}};
    for (const auto &c : cases) {
        loaded t({c.prog});
        variables(t.o).set<int>("watched", getpid());
        ok(c.asks() == c.without, "traced: before, nothing is refused");
        ok(!t.attach(c.prog), "traced: %s attaches", c.prog);
        int err = c.asks();
        ok(err == c.with && t.get<unsigned long>(c.count) == 1, "traced: %s refuses: %d", c.prog, err);
        t.detach();
        ok(c.asks() == c.without, "traced: detached, it refuses no more");
    }
}

/// Programs at programs load; what they do is extended.cpp's.
void at_a_program() {
    loaded t({"plain"});
    bpf_object *o = bpf_object__open(file);
    bpf_program *p = bpf_object__find_program_by_name(o, "on_program");
    bpf_program__set_autoload(p, true);
    int err = bpf_program__set_attach_target(p, bpf_program__fd(t.prog("plain")), "plain");
    ok(!err, "traced: a program has the other for its target: %d", err);
    err = bpf_object__load(o);
    ok(!err, "traced: a program at a program loads: %d", err);
    bpf_object__close(o);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    file = argv[1];
    const char *backend = getenv("MODBPF_BACKEND");
    in_process = backend && !strcmp(backend, "process");
    arguments_and_results();
    what_it_may_ask();
    order_and_changes();
    many_programs();
    at_a_program();
    if (!in_process) {
        everyday_functions();
        security_hooks();
    }
    return tap_exit();
}
