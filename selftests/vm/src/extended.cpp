// SPDX-License-Identifier: GPL-2.0-only
// Programs at programs: fentry, fexit and freplace at functions of loaded programs, what they see, what excludes what, tail calls, and
// attaching and detaching while two CPUs run the target.
// usage: extended OBJECT
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "tap.h"
#include "variables.h"

namespace {

const char *file;

/// An object with some of the programs loaded; of each: the function of `target` that it is for, or null.
struct object {
    struct what {
        const char *name, *function;
    };
    bpf_object *o = bpf_object__open(file);

    object(std::vector<what> programs, int target = -1, const bpf_map *shared = nullptr) {
        bpf_program *p;
        bpf_object__for_each_program(p, o) bpf_program__set_autoload(p, false);
        for (const what &w : programs) {
            bpf_program__set_autoload(prog(w.name), true);
            if (w.function && bpf_program__set_attach_target(prog(w.name), target, w.function))
                ok(false, "extended: %s has a target", w.name);
        }
        if (shared)
            bpf_map__reuse_fd(bpf_object__find_map_by_name(o, "jumps"), bpf_map__fd(shared));
        if (bpf_object__load(o))
            ok(false, "extended: %s loads", programs[0].name);
    }
    ~object() { bpf_object__close(o); }
    object(const object &) = delete;
    bpf_program *prog(const char *name) const { return bpf_object__find_program_by_name(o, name); }
    int fd(const char *name) const { return bpf_program__fd(prog(name)); }
    bpf_map *jumps() const { return bpf_object__find_map_by_name(o, "jumps"); }
    unsigned long long get(const char *name) const { return variables(o).get<unsigned long long>(name); }
};

/// An attachment; fd is -errno when there is none.
struct attachment {
    int fd;
    attachment(const object &o, const char *name) {
        fd = bpf_raw_tracepoint_open(nullptr, o.fd(name));
        fd = fd < 0 ? -errno : fd;
    }
    attachment(const object &o, const char *name, int target, unsigned function, unsigned long cookie = 0) {
        bpf_link_create_opts opts{};
        opts.sz = sizeof(opts);
        opts.target_btf_id = function;
        opts.tracing.cookie = cookie;
        fd = bpf_link_create(o.fd(name), target, bpf_program__expected_attach_type(o.prog(name)), &opts);
        fd = fd < 0 ? -errno : fd;
    }
    ~attachment() { end(); }
    attachment(const attachment &) = delete;
    void end() {
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
};

constexpr unsigned packet_size = 64;

/// -> the program's result. On the device a run of `repeat` turns.
int run(int fd, bool packet = true, int repeat = 1) {
    unsigned char in[packet_size] = {};
    in[13] = 8;
    bpf_test_run_opts opts{};
    opts.sz = sizeof(opts);
    if (packet)
        opts.data_in = in, opts.data_size_in = sizeof(in), opts.repeat = repeat;
    int err = bpf_prog_test_run_opts(fd, &opts);
    return err ? err : static_cast<int>(opts.retval);
}

unsigned id_of(const object &o, const char *function) {
    return static_cast<unsigned>(btf__find_by_name_kind(bpf_object__btf(o.o), function, BTF_KIND_FUNC));
}

void traced() {
    object target({{"sums", nullptr}});
    object at({{"add_entry", "add"}, {"add_exit", "add"}, {"sums_exit", "sums"}}, target.fd("sums"));
    int fd = target.fd("sums");
    ok(run(fd) == 107, "extended: the target runs");
    attachment entry(at, "add_entry", 0, 0, 77);
    ok(entry.fd >= 0 && run(fd) == 107 && at.get("args") == 0x34 && at.get("cookie") == 77 && at.get("where"),
       "extended: fentry sees arguments and its cookie");
    attachment exit(at, "add_exit"), main(at, "sums_exit");
    ok(exit.fd >= 0 && main.fd >= 0 && run(fd) == 107 && at.get("result") == 107, "extended: fexit sees results");
    ok(at.get("order") == 1123, "extended: in order, inner functions first (%llu)", at.get("order"));
    ok(at.get("length") == packet_size, "extended: and the packet, as the kernel's own structure has it (%llu)", at.get("length"));
    bpf_link_info info{};
    unsigned len = sizeof(info);
    bpf_prog_info of_target{};
    unsigned prog_len = sizeof(of_target);
    bpf_obj_get_info_by_fd(exit.fd, &info, &len);
    bpf_obj_get_info_by_fd(fd, &of_target, &prog_len);
    ok(info.tracing.target_obj_id == of_target.id && info.tracing.target_btf_id == id_of(target, "add"), "extended: links name their target");
    exit.end(), main.end(), entry.end();
    unsigned long long before = at.get("order");
    ok(run(fd) == 107 && at.get("order") == before, "extended: detached, they do not run");
    attachment again(at, "add_entry");
    ok(again.fd == -EINVAL, "extended: nor can they be attached again (%d)", again.fd);
}

void packets() {
    object target({{"looks", nullptr}});
    object at({{"length_exit", "length_of"}, {"twice_exit", "twice"}, {"no_length", "length_of"}}, target.fd("looks"));
    int fd = target.fd("looks"), plain = packet_size + 1 + packet_size * 2;
    attachment exit(at, "length_exit");
    ok(run(fd) == plain && at.get("length") == packet_size && at.get("args") == 1 && at.get("result") == packet_size + 1,
       "extended: a function with a packet (%llu, %llu)", at.get("length"), at.get("result"));
    exit.end();
    attachment untyped(at, "twice_exit");
    ok(run(fd) == plain && at.get("length") == packet_size && at.get("result") == packet_size * 2,
       "extended: a static one (%llu, %llu)", at.get("length"), at.get("result"));
    attachment replaced(at, "no_length");
    ok(run(fd) == 1008 + packet_size * 2, "extended: another function reads the packet in its place");
}

void replaced() {
    object target({{"sums", nullptr}}), other({{"sums", nullptr}});
    object at({{"multiply", "add"}, {"add_entry", "add"}}, target.fd("sums"));
    object second({{"multiply", "add"}}, target.fd("sums"));
    int fd = target.fd("sums");
    attachment entry(at, "add_entry");
    attachment busy(at, "multiply");
    ok(busy.fd == -EBUSY, "extended: a traced function is not replaced (%d)", busy.fd);
    entry.end();
    attachment link(at, "multiply");
    ok(link.fd >= 0 && run(fd) == 112, "extended: a function is replaced");
    attachment twice(second, "multiply");
    ok(twice.fd == -EBUSY, "extended: once (%d)", twice.fd);
    attachment nowhere(at, "multiply");
    ok(nowhere.fd == -EINVAL, "extended: attached, it has no target of its own any more (%d)", nowhere.fd);
    attachment elsewhere(at, "multiply", other.fd("sums"), id_of(other, "add"));
    ok(elsewhere.fd >= 0 && run(other.fd("sums")) == 112, "extended: but stands at another program, too");
    attachment unfit(at, "multiply", other.fd("sums"), id_of(other, "sums"));
    ok(unfit.fd == -EINVAL, "extended: not at a function of another kind (%d)", unfit.fd);
    object tracer({{"add_entry", "multiply"}}, at.fd("multiply"));
    attachment seen(tracer, "add_entry");
    ok(seen.fd >= 0 && run(fd) == 112 && tracer.get("args") == 0x34, "extended: the replacement is traced");
    link.end();
    ok(run(fd) == 107 && run(other.fd("sums")) == 112, "extended: detached, the function is back");
}

void tail_calls() {
    object target({{"turns", nullptr}});
    object callee({{"callee", nullptr}}, -1, target.jumps());
    object at({{"jump_entry", "jump"}, {"jump_exit", "jump"}}, target.fd("turns"), target.jumps());
    object ext({{"jump_again", "jump"}}, target.fd("turns"), target.jumps());
    unsigned key = 0;
    int fd = target.fd("turns"), callee_fd = callee.fd("callee"), array = bpf_map__fd(target.jumps());
    bpf_map_update_elem(array, &key, &fd, 0);
    unsigned long long before = target.get("calls");
    auto counted = [&](const object &o) {
        run(fd);
        unsigned long long now = o.get("calls"), n = now - before;
        before = now;
        return n;
    };
    ok(counted(target) == 34, "extended: 33 tail calls");
    attachment entry(at, "jump_entry");
    ok(entry.fd >= 0 && counted(target) == 34 && at.get("entries") == 34, "extended: and with fentry, which runs each time");
    attachment exit(at, "jump_exit");
    ok(exit.fd >= 0 && counted(target) == 34 && at.get("entries") == 34 * 3, "extended: and with fexit");
    entry.end(), exit.end();
    attachment refused(ext, "jump_again");
    ok(refused.fd == -EBUSY, "extended: a program in an array of programs is not extended (%d)", refused.fd);
    bpf_map_delete_elem(array, &key);
    attachment link(ext, "jump_again");
    int err = bpf_map_update_elem(array, &key, &fd, 0);
    ok(link.fd >= 0 && err == -EBUSY, "extended: and an extended one is not put into one (%d)", err);
    bpf_map_update_elem(array, &key, &callee_fd, 0);
    unsigned long long callees = callee.get("calls");
    ok(run(fd) == 2 && callee.get("calls") - callees == 33, "extended: an extension makes 33 tail calls");
}

void sleeping() {
    object target({{"sleeps", nullptr}});
    object at({{"slow_entry", "slow"}, {"slow_exit", "slow"}}, target.fd("sleeps"));
    attachment entry(at, "slow_entry"), exit(at, "slow_exit");
    ok(run(target.fd("sleeps"), false) == 7 && at.get("args") == 6 && at.get("result") == 7, "extended: a program that may sleep is traced");
}

void on_cpu(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

/// Both CPUs run the targets; what stands at them comes and goes. The last of a target's holders may be the attachment.
void race() {
    object target({{"sums", nullptr}}), slow({{"sleeps", nullptr}});
    object ext({{"multiply", "add"}}, target.fd("sums"));
    std::atomic<bool> done{false};
    std::atomic<unsigned> wrong{0};
    auto runner = [&](int cpu) {
        on_cpu(cpu);
        while (!done) {
            int got = run(target.fd("sums"), true, turns(1000));
            wrong += got != 107 && got != 112;
            wrong += run(slow.fd("sleeps"), false) != 7;
        }
    };
    std::thread one(runner, 0), two(runner, 1);
    unsigned failed = 0;
    int last = 0;
    auto attached = [&](const attachment &a) { return a.fd >= 0 || (failed++, last = a.fd, false); };
    for (int i = 0, n = turns(40); i < n; i++) {
        attachment replaced(ext, "multiply", target.fd("sums"), id_of(target, "add"));
        attached(replaced);
        replaced.end();
        object at({{"add_entry", "add"}, {"sums_exit", "sums"}}, target.fd("sums"));
        object at_slow({{"slow_entry", "slow"}, {"slow_exit", "slow"}}, slow.fd("sleeps"));
        attachment a(at, "add_entry"), b(at, "sums_exit"), c(at_slow, "slow_entry"), d(at_slow, "slow_exit");
        for (const attachment *one : {&a, &b, &c, &d})
            attached(*one);
    }
    done = true;
    one.join(), two.join();
    ok(!failed && !wrong, "extended: attached and detached while two CPUs run the targets (%u failed: %d; %u wrong)", failed, last, wrong.load());
}

}  // namespace

int main(int, char **argv) {
    file = argv[1];
    libbpf_set_print(nullptr);
    traced();
    packets();
    replaced();
    tail_calls();
    sleeping();
    race();
    return tap_exit();
}
