// SPDX-License-Identifier: GPL-2.0-only
// Runs what inlined.bpf.c has, on each CPU and from several threads, and compares with what user space knows.
// usage: inlined OBJECT
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tap.h"

using u32 = unsigned;
using u64 = unsigned long long;

struct object {
    bpf_object *o;
    int bss = -1;
    std::vector<char> bytes;

    int prog(const char *name) { return bpf_program__fd(bpf_object__find_program_by_name(o, name)); }
    int map(const char *name) { return bpf_map__fd(bpf_object__find_map_by_name(o, name)); }
    char *variable(const char *name) {
        const btf *t = bpf_object__btf(o);
        const btf_type *s = btf__type_by_id(t, btf__find_by_name_kind(t, ".bss", BTF_KIND_DATASEC));
        int zero = 0;
        bpf_map_lookup_elem(bss, &zero, bytes.data());
        for (u32 i = 0; s && i < btf_vlen(s); i++)
            if (!strcmp(btf__name_by_offset(t, btf__type_by_id(t, btf_var_secinfos(s)[i].type)->name_off), name))
                return bytes.data() + btf_var_secinfos(s)[i].offset;
        fprintf(stderr, "no variable %s\n", name);
        exit(2);
    }
    u64 get(const char *name) {
        u64 v;
        memcpy(&v, variable(name), sizeof(v));
        return v;
    }
    template <class T> void set(const char *name, T v) {
        int zero = 0;
        memcpy(variable(name), &v, sizeof(v));
        bpf_map_update_elem(bss, &zero, bytes.data(), 0);
    }
    /// -> the program's result, or -errno
    int run(const char *name, int cpu = -1) {
        LIBBPF_OPTS(bpf_test_run_opts, t, .flags = cpu < 0 ? 0u : BPF_F_TEST_RUN_ON_CPU, .cpu = cpu < 0 ? 0u : static_cast<u32>(cpu));
        int r = bpf_prog_test_run_opts(prog(name), &t);
        return r ? r : static_cast<int>(t.retval);
    }
};

static u32 tgid_offset() {
    btf *k = btf__load_vmlinux_btf();
    const btf_type *t = k ? btf__type_by_id(k, btf__find_by_name_kind(k, "task_struct", BTF_KIND_STRUCT)) : nullptr;
    for (u32 i = 0; t && i < btf_vlen(t); i++)
        if (!strcmp(btf__name_by_offset(k, btf_members(t)[i].name_off), "tgid"))
            return btf_members(t)[i].offset / 8;
    return 0;
}

static void numbers(object &o, int cpus) {
    o.set<u32>("tgid_off", tgid_offset());
    int wrong = 0;
    for (int cpu = 0; cpu < cpus; cpu++)
        for (int n = 0; n < 50; n++) {
            wrong += o.run("numbers", cpu) != 0;
            wrong += o.get("cpu") != static_cast<u64>(cpu);
        }
    ok(!wrong, "inlined: each CPU's number (%d wrong)", wrong);
    auto mine = [&](const char *who) {
        u64 tid = static_cast<u64>(syscall(SYS_gettid)), want = static_cast<u64>(getpid()) << 32 | tid;
        bool ran = o.run("numbers") == 0;
        u32 tgid;
        memcpy(&tgid, o.variable("task_tgid"), sizeof(tgid));
        ok(ran && o.get("ids") == want, "inlined: ids of %s", who);
        ok(tgid == static_cast<u32>(getpid()), "inlined: the task of %s", who);
        return o.get("task");
    };
    u64 first = mine("the process"), second = first;
    std::thread([&] { second = mine("another thread"); }).join();
    ok(first != second, "inlined: threads are tasks of their own");
}

static void arrays(object &o, int cpus) {
    int possible = libbpf_num_possible_cpus(), wrong = 0;
    for (u32 i = 0; i < 100; i++) {
        u64 v = 1000 + i;
        bpf_map_update_elem(o.map("plain"), &i, &v, 0);
    }
    for (u64 i : {0ull, 1ull, 99ull, 100ull, 0x7fffffffull, 0xffffffffull}) {
        o.set("slot", i);
        for (int cpu = 0; cpu < cpus; cpu++)
            for (int n = 0; n <= cpu; n++)
                wrong += o.run("arrays", cpu) != 0;
        wrong += o.get("found") != (i < 100) || o.get("value") != (i < 100 ? 1000 + i : ~0ull);
        u32 k = static_cast<u32>(i);
        std::vector<u64> counts(static_cast<size_t>(possible));
        if (i < 100 && bpf_map_lookup_elem(o.map("counts"), &k, counts.data()))
            wrong++;
        for (int cpu = 0; cpu < possible; cpu++)
            wrong += i < 100 && counts[static_cast<size_t>(cpu)] != (cpu < cpus ? static_cast<u64>(cpu) + 1 : 0);
    }
    ok(!wrong, "inlined: arrays and each CPU's (%d wrong)", wrong);
}

static void tables(object &o) {
    int wrong = 0;
    auto put = [&](u64 k, bool there) {
        u64 value = k * 3, high[2] = {k, ~k};
        u32 low = static_cast<u32>(k);
        const struct {
            const char *name;
            const void *key;
        } maps[] = {{"hash4", &low}, {"hash8", &k}, {"hash16", high}, {"lru8", &k}};
        for (auto &m : maps)
            wrong += there ? bpf_map_update_elem(o.map(m.name), m.key, &value, 0) != 0 : bpf_map_delete_elem(o.map(m.name), m.key) != 0;
    };
    for (u64 k = 0; k < 400; k++)
        put(k * 5, true);
    for (u64 k = 0; k < 400; k += 2)
        put(k * 5, false);
    for (u64 k = 0; k < 500; k++) {
        o.set("key", k * 5);
        wrong += o.run("tables") != 0;
        wrong += o.get("value") != (k < 400 && k % 2 ? k * 15 : ~0ull);
    }
    ok(!wrong, "inlined: hash tables (%d wrong)", wrong);
}

static void hop(int cpus, volatile bool *stop) {
    for (int n = 0; !*stop; n++) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(n % cpus, &set);
        sched_setaffinity(0, sizeof(set), &set);
        sched_yield();
    }
}

/// Tasks go from CPU to CPU while each switch counts on its own.
static void switches(object &o, int cpus) {
    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(o.o, "on_switch"));
    if (!ok(l != nullptr, "inlined: attached to sched_switch"))
        return;
    volatile bool stop = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back(hop, cpus, &stop);
    sleep(3);
    stop = true;
    for (auto &t : threads)
        t.join();
    bpf_link__destroy(l);
    usleep(100000); // runs that had begun are over
    std::vector<u64> counts(static_cast<size_t>(libbpf_num_possible_cpus()));
    u32 zero = 0;
    bpf_map_lookup_elem(o.map("switches"), &zero, counts.data());
    u64 sum = 0, everywhere = 1;
    for (size_t i = 0; i < counts.size(); i++) {
        sum += counts[i];
        if (i < static_cast<size_t>(cpus))
            everywhere = everywhere && counts[i];
    }
    ok(sum && sum == o.get("all_switches"), "inlined: no CPU's count is lost (%llu of %llu)", sum, o.get("all_switches"));
    ok(everywhere, "inlined: every CPU counted");
    ok(!o.get("other_cpu"), "inlined: a program stays on its CPU");
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    object o{bpf_object__open(argv[1]), -1, {}};
    if (!ok(o.o && !bpf_object__load(o.o), "inlined: the programs load"))
        return tap_exit();
    bpf_map *bss = bpf_object__find_map_by_name(o.o, ".bss");
    o.bss = bpf_map__fd(bss);
    o.bytes.resize(bpf_map__value_size(bss));
    auto cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    numbers(o, cpus);
    arrays(o, cpus);
    tables(o);
    switches(o, cpus);
    bpf_object__close(o.o);
    return tap_exit();
}
