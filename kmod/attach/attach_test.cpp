// SPDX-License-Identifier: GPL-2.0-only
// Perf events and links over events that the test itself fires: this file stands in for the port's events.
#include "attach/event_test.h"

#include <map>
#include <poll.h>
#include <sched.h>

using namespace modbpf;
using namespace modbpf::test;

std::vector<port_event *> modbpf::test::events;

namespace {
constexpr char run_end[] = "bpf_test_finish"; ///< a tracepoint whose first argument points at an int that may be written

}  // namespace

int port_kprobe_attach(const port_kprobe_spec *s, port_kprobe_fn fn, void *priv, port_event **out) {
    if (s->symbol && strcmp(s->symbol, "no_such_function") == 0)
        return -ENOENT;
    *out = new port_event{port_event::kprobe, priv};
    (*out)->on_kprobe = fn;
    (*out)->retprobe = s->retprobe;
    (*out)->name = s->symbol ? s->symbol : "";
    events.push_back(*out);
    return 0;
}
u64 port_kprobe_addr(port_event *) { return 0x1004; }
int port_uprobe_attach(const port_uprobe_spec *s, port_uprobe_fn fn, void *priv, port_event **out) {
    if (s->path[0] != '/')
        return -ENOENT;
    if (!strcmp(s->path, "/"))
        return -EBADF;
    if (s->pid > 1)
        return -ESRCH;
    for (u32 i = 0; i < s->count; i++)
        if (s->places[i].offset > 1000)
            return -EINVAL;
    *out = new port_event{port_event::uprobe, priv};
    (*out)->on_uprobe = fn;
    (*out)->retprobe = s->retprobe;
    (*out)->name = s->path;
    (*out)->scope = s->scope;
    (*out)->pid = s->pid;
    (*out)->places.assign(s->places, s->places + s->count);
    events.push_back(*out);
    return 0;
}
int port_functions_attach(const port_functions_spec *s, port_functions_fn fn, void *priv, port_event **out) {
    for (u32 i = 0; i < s->count; i++)
        if (s->addrs[i] % 16)
            return -EINVAL;
    *out = new port_event{port_event::functions, priv};
    (*out)->on_functions = fn;
    (*out)->addrs.assign(s->addrs, s->addrs + s->count);
    (*out)->at_entry = s->at_entry;
    (*out)->retprobe = s->at_return;
    events.push_back(*out);
    return 0;
}
/// "fN" is at 16 * N.
int port_function_find(const char *name, u64 *addr) {
    *addr = name[0] == 'f' ? strtoul(name + 1, nullptr, 10) * 16 : 0;
    return *addr ? 0 : -ESRCH;
}
int port_uprobe_path(port_event *e, char *buf, u32 size) {
    u32 n = static_cast<u32>(e->name.size()) + 1;
    if (n > size)
        return -ENAMETOOLONG;
    memcpy(buf, e->name.c_str(), n);
    return static_cast<int>(n);
}
u32 port_uprobe_pid(port_event *e) { return static_cast<u32>(e->pid); }
int port_tracepoint_attach(u32 id, port_record_use use, port_tracepoint_fn fn, void *priv, port_kernel_counts *counts, port_event **out) {
    if (id != tp_id)
        return -ENOENT;
    *out = new port_event{port_event::tracepoint, priv};
    (*out)->on_tracepoint = fn;
    (*out)->use = use;
    (*out)->counts = counts;
    (*out)->id = id;
    events.push_back(*out);
    return 0;
}
int port_raw_tp_attach(const char *name, u32 record, port_raw_tp_fn fn, void *priv, port_event **out) {
    if (record > (strcmp(name, run_end) ? 0 : sizeof(int)))
        return -EINVAL;
    *out = new port_event{port_event::raw_tp, priv};
    (*out)->on_raw = fn;
    (*out)->name = name;
    events.push_back(*out);
    return 0;
}
int port_perf_attach(const port_perf_spec *s, port_perf_fn fn, void *priv, port_event **out) {
    if (s->pid > 0)
        return -ESRCH;
    *out = new port_event{port_event::counter, priv};
    (*out)->on_overflow = fn;
    (*out)->spec = *s;
    (*out)->enabled = !(s->flags & 1);
    events.push_back(*out);
    return 0;
}
void port_perf_enable(port_event *e, bool on) { e->enabled = on; }
int port_perf_period(port_event *e, u64 period) {
    e->spec.period = period;
    return 0;
}
void port_perf_reset(port_event *e, bool enabled) {
    e->count[0] = 0;
    e->enabled = enabled;
}
void *port_perf_counter(port_event *e) { return e; }
int port_perf_read(void *counter, u64 *value) {
    auto *e = static_cast<port_event *>(counter);
    memcpy(value, e->count, sizeof(e->count));
    return e->spec.flags & 2 ? -EOPNOTSUPP : 0; // inherited
}
int port_tracepoint_name(u32 id, char *buf, size_t size) {
    return id == tp_id ? (port_snprintf(buf, size, "sched:my_event"), 0) : -ENOENT;
}
int port_tracepoint_size(u32 id) { return id == tp_id ? static_cast<int>(tp_size) : -ENOENT; }
int port_perf_pmu_type(const char *name) {
    return static_cast<int>(!strcmp(name, "kprobe") ? kprobe_type : !strcmp(name, "uprobe") ? uprobe_type : -ENOENT);
}
bool port_raw_tp_exists(const char *name) { return !strcmp(name, "sched_process_exec") || !strcmp(name, run_end); }
/// As a tracepoint with as many arguments, or fewer, does.
static void call_probe(const port_event &e, const u64 (&args)[12]) {
    auto f = reinterpret_cast<void (*)(void *, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64)>(reinterpret_cast<void *>(e.on_raw));
    f(e.priv, args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7], args[8], args[9], args[10], args[11]);
}
void port_test_run_ended(int *result) {
    no_preempt here;
    for (port_event *e : events)
        if (e->name == run_end)
            call_probe(*e, {addr_of(result)});
}
void port_event_detach(port_event *e) {
    if (e->last_run)
        e->last_run();
    std::erase(events, e);
    delete e;
}
u64 port_event_missed(port_event *) { return 5; }

namespace {

void fire_kprobes() {
    no_preempt here;
    u64 regs[32] = {};
    for (port_event *e : events)
        if (e->kind == port_event::kprobe)
            e->on_kprobe(e->priv, regs, 0x1000);
}
void fire_tracepoints(size_t size = tp_size) {
    no_preempt here;
    u64 record[8] = {};
    for (port_event *e : events)
        if (e->kind == port_event::tracepoint)
            e->on_tracepoint(e->priv, record, size, nullptr);
}

fd open_kprobe(const char *name, bool ret = false) {
    perf_attr a = attr_of(kprobe_type, ret);
    a.config1 = addr_of(name);
    return fd(open_perf(a));
}
fd open_tracepoint() {
    perf_attr a = attr_of(2, tp_id);
    return fd(open_perf(a));
}
class attach : public core_test {
protected:
    void TearDown() override {
        core_test::TearDown();
        EXPECT_TRUE(events.empty());
    }
};

TEST_F(attach, an_event_of_the_kernels_is_adopted) {
    struct {
        perf_attr a;
        u64 more;
    } wide{attr_of(1, 0), 0};
    EXPECT_GE(fd(modbpf_core_perf_event_adopt(&wide, sizeof(wide), 0, -1)).get(), 0);
    EXPECT_GE(fd(modbpf_core_perf_event_adopt(&wide, 128, 0, -1)).get(), 0); // an older kernel's
    wide.more = 1;
    EXPECT_EQ(modbpf_core_perf_event_adopt(&wide, sizeof(wide), 0, -1), -E2BIG);
    wide.a.type = 77;
    EXPECT_EQ(modbpf_core_perf_event_adopt(&wide, sizeof(wide.a), 0, -1), -EOPNOTSUPP);
}

TEST_F(attach, open_refusals) {
    perf_attr a = attr_of(kprobe_type, 0);
    EXPECT_EQ(modbpf_core_perf_event_open(8, -1, 0, -1, 0), -EFAULT);
    EXPECT_EQ(open_perf(a, -1, 0, -1, 16), -EINVAL);
    a.size = 63;
    EXPECT_EQ(open_perf(a), -E2BIG);
    EXPECT_EQ(a.size, 136u); // what is known here
    struct {
        perf_attr a;
        u64 more;
    } wide{a, 1};
    wide.a.size = sizeof(wide);
    EXPECT_EQ(open_perf(wide.a), -E2BIG);
    a.flags = 1ull << 60;
    EXPECT_EQ(open_perf(a), -EINVAL);
    a = attr_of(2, 1); // no such tracepoint
    EXPECT_EQ(open_perf(a), -EINVAL);
    a = attr_of(2, tp_id);
    EXPECT_EQ(open_perf(a, -1, -1), -EINVAL);
    EXPECT_EQ(open_perf(a, -1, 100000), -EINVAL);
    EXPECT_EQ(open_perf(a, -1, 0, 9999), -EBADF);
    EXPECT_EQ(open_perf(a, -1, -1, -1, 4), -EINVAL);
    EXPECT_EQ(open_perf(a, 0, 0, -1, 4), -EOPNOTSUPP);
    a = attr_of(6, 0); // of a PMU that programs do not get
    EXPECT_EQ(open_perf(a), -EOPNOTSUPP);
    a = attr_of(0, 0);
    a.flags = 1 << 9; // records of names
    EXPECT_EQ(open_perf(a), -EOPNOTSUPP);
    a.flags = 0, a.sample_type = 1 << 11; // branch stacks
    EXPECT_EQ(open_perf(a), -EOPNOTSUPP);
    a.sample_type = 0;
    EXPECT_EQ(open_perf(a, 12345), -ESRCH);
    EXPECT_FALSE(open_kprobe("no_such_function").ok());
    port_user_set_caps(0);
    a = attr_of(2, tp_id);
    EXPECT_EQ(open_perf(a), -EACCES);
}

/// What callers without CAP_PERFMON get at each level of kernel.perf_event_paranoid.
TEST_F(attach, perf_event_paranoid) {
    constexpr u64 exclude_kernel = 1 << 5;
    constexpr u32 raw = 1 << 10, software = 1, cpu_clock = 0, bpf_output = 10;
    const struct {
        const char *what;
        perf_attr attr;
        s32 pid, cpu;
        int up_to; ///< the highest level that lets it through; -2: none
        long refusal;
    } rows[] = {
        {"own task in user mode", {.type = software, .size = sizeof(perf_attr), .config = cpu_clock, .flags = exclude_kernel}, 0, -1, 2, -EACCES},
        {"own task", {.type = software, .size = sizeof(perf_attr), .config = cpu_clock}, 0, -1, 1, -EACCES},
        {"a CPU", {.type = software, .size = sizeof(perf_attr), .config = cpu_clock}, -1, 0, 0, -EACCES},
        {"output", {.type = software, .size = sizeof(perf_attr), .config = bpf_output, .sample_type = raw}, -1, 0, 0, -EACCES},
        {"a tracepoint, counted", {.type = 2, .size = sizeof(perf_attr), .config = tp_id}, -1, 0, 0, -EACCES},
        {"a tracepoint's records", {.type = 2, .size = sizeof(perf_attr), .config = tp_id, .sample_type = raw}, -1, 0, -1, -EPERM},
        {"another task", {.type = software, .size = sizeof(perf_attr), .config = cpu_clock}, 1, -1, -2, -EACCES},
        {"a kprobe", {.type = kprobe_type, .size = sizeof(perf_attr), .config1 = addr_of("vfs_read")}, -1, 0, -2, -EACCES},
    };
    for (const auto &row : rows)
        for (int level = -1; level <= 3; level++) {
            port_user_set_paranoid(level);
            perf_attr a = row.attr;
            port_user_set_caps(0);
            long rc = open_perf(a, row.pid, row.cpu);
            fd opened(static_cast<int>(rc));
            // Who may not see the kernel is told that first, as on Linux.
            bool kernel_first = level > (a.flags & exclude_kernel ? 2 : 1);
            if (level <= row.up_to)
                EXPECT_GE(rc, 0) << row.what << " at " << level;
            else
                EXPECT_EQ(rc, kernel_first ? -EACCES : row.refusal) << row.what << " at " << level;
            if (row.attr.config == bpf_output && rc >= 0) {
                long at = port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, opened.get(), 0);
                EXPECT_TRUE(level == -1 ? at > 0 : at == -EPERM) << at << " at " << level;
                if (at > 0) {
                    munmap(reinterpret_cast<void *>(at), 3 * PORT_PAGE_SIZE);
                    port_user_unmapped(reinterpret_cast<void *>(at), 3 * PORT_PAGE_SIZE);
                }
            }
        }
    port_user_set_paranoid(3);
    port_user_set_caps(~0u);
}

TEST_F(attach, kprobe_by_ioctl) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load(BPF_PROG_TYPE_KPROBE, store_cookie(m));
    fd e = open_kprobe("vfs_read");
    ASSERT_TRUE(p.ok() && e.ok());
    EXPECT_STREQ(port_user_class(e.get()), "[perf_event]");
    EXPECT_EQ(events.size(), 1u); // the probe is there from open
    store(m, 9);
    fire_kprobes();
    EXPECT_EQ(stored(m), 9u);
    EXPECT_EQ(set_bpf(e, p), 0);
    EXPECT_EQ(set_bpf(e, p), -EEXIST);
    fire_kprobes();
    EXPECT_EQ(stored(m), 0u);
    p.close(); // the event holds the program
    store(m, 9);
    fire_kprobes();
    EXPECT_EQ(stored(m), 0u);
    e.close();
    EXPECT_TRUE(events.empty()); // gone when close returns
}

TEST_F(attach, link_with_cookie) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load(BPF_PROG_TYPE_KPROBE, store_cookie(m));
    fd e = open_kprobe("vfs_read", true);
    fd l(link_to(p, e, 0x1234));
    ASSERT_TRUE(l.ok());
    EXPECT_TRUE(events[0]->retprobe);
    fire_kprobes();
    EXPECT_EQ(stored(m), 0x1234u);
    EXPECT_EQ(link_to(p, e), -EEXIST);
    e.close(); // the link holds the event
    p.close();
    store(m, 0);
    fire_kprobes();
    EXPECT_EQ(stored(m), 0x1234u);
    bpf_link_info i{};
    char name[32] = {};
    i.perf_event.kprobe.func_name = addr_of(name);
    i.perf_event.kprobe.name_len = sizeof(name);
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(i.type, BPF_LINK_TYPE_PERF_EVENT);
    EXPECT_EQ(i.perf_event.type, BPF_PERF_EVENT_KRETPROBE);
    EXPECT_STREQ(name, "vfs_read");
    EXPECT_EQ(i.perf_event.kprobe.name_len, 9u);
    EXPECT_EQ(i.perf_event.kprobe.missed, 5u);
    EXPECT_EQ(i.perf_event.kprobe.addr, 0x1004u); // where the port says that it is
    EXPECT_EQ(i.perf_event.kprobe.cookie, 0x1234u);
    i.perf_event.kprobe.name_len = 4;
    EXPECT_EQ(get_info(l, i), -ENOSPC);
    EXPECT_STREQ(name, "vfs");
    i.perf_event.kprobe.func_name = 0;
    EXPECT_EQ(get_info(l, i), -EINVAL);
    std::string text = fdinfo(l.get());
    EXPECT_EQ(text.find("link_type:\tperf\nlink_id:\t"), 0u) << text;
    EXPECT_NE(text.find("\nprog_tag:\t"), std::string::npos);
    EXPECT_NE(text.find("\nprog_id:\t"), std::string::npos);
    get_id_attr id{};
    id.id = i.id;
    fd again(bpf(BPF_LINK_GET_FD_BY_ID, id, 4));
    ASSERT_TRUE(again.ok());
    l.close();
    EXPECT_EQ(events.size(), 1u);
    link_fd_attr d{again.u()};
    EXPECT_EQ(bpf(BPF_LINK_DETACH, d), -EOPNOTSUPP);
    link_update_attr u{.link_fd = again.u(), .new_prog_fd = 9999, .flags = 8, .old_prog_fd = 0};
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EINVAL);
    u.flags = 0;
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EBADF);
    again.close();
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(bpf(BPF_LINK_GET_FD_BY_ID, id, 4), -ENOENT);
}

/// The event outlives its link: another program may be set.
TEST_F(attach, link_leaves_event_free) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load(BPF_PROG_TYPE_KPROBE, store_cookie(m));
    fd e = open_kprobe("vfs_read");
    fd l(link_to(p, e, 1));
    l.close();
    store(m, 9);
    fire_kprobes();
    EXPECT_EQ(stored(m), 9u);
    fd l2(link_to(p, e, 2));
    EXPECT_TRUE(l2.ok());
    fire_kprobes();
    EXPECT_EQ(stored(m), 2u);
}

TEST_F(attach, wrong_programs) {
    fd xdp = load(BPF_PROG_TYPE_XDP, return_zero()), kp = load(BPF_PROG_TYPE_KPROBE, return_zero()),
       tp = load(BPF_PROG_TYPE_TRACEPOINT, return_zero());
    fd ke = open_kprobe("vfs_read"), te = open_tracepoint();
    EXPECT_EQ(set_bpf(ke, xdp), -EINVAL);
    EXPECT_EQ(set_bpf(ke, tp), -EINVAL);
    EXPECT_EQ(set_bpf(te, kp), -EINVAL);
    EXPECT_EQ(set_bpf(te, ke), -EINVAL); // not a program
    EXPECT_EQ(link_to(kp, te), -EINVAL);
    EXPECT_EQ(link_to(kp, kp), -EBADF); // not a perf event
    link_create_attr l{};
    l.prog_fd = kp.u(), l.target_fd = ke.u(), l.attach_type = BPF_PERF_EVENT, l.flags = 1;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EINVAL);
    l.flags = 0, l.attach_type = BPF_TRACE_KPROBE_MULTI;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EINVAL); // loaded for something else
    l.prog_fd = xdp.u(), l.attach_type = BPF_XDP;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EOPNOTSUPP);
    EXPECT_EQ(port_user_ioctl(ke.get(), 0x2499, 0), -25);
    EXPECT_EQ(port_user_ioctl(ke.get(), 0x2400, 0), 0);
    EXPECT_EQ(port_user_ioctl(ke.get(), 0x2401, 0), 0);
}

TEST_F(attach, tracepoint_shared_by_programs) {
    std::vector<fd> progs, opened;
    for (int i = 0; i < 65; i++) {
        progs.push_back(load(BPF_PROG_TYPE_TRACEPOINT, return_zero()));
        opened.push_back(open_tracepoint());
    }
    EXPECT_EQ(set_bpf(opened[0], progs[0]), 0);
    EXPECT_EQ(set_bpf(opened[1], progs[0]), -EEXIST); // each program once on a tracepoint
    for (int i = 1; i < 64; i++)
        EXPECT_EQ(set_bpf(opened[i], progs[i]), 0);
    EXPECT_EQ(set_bpf(opened[64], progs[64]), -E2BIG);
    struct {
        u32 ids_len = 64, prog_cnt = 0, ids[64] = {};
    } q;
    EXPECT_EQ(port_user_ioctl(opened[7].get(), 0xc008240a, addr_of(&q)), 0);
    EXPECT_EQ(q.prog_cnt, 64u);
    EXPECT_GT(q.ids[0], 0u);
    EXPECT_LT(q.ids[0], q.ids[63]);
    q.ids_len = 3;
    EXPECT_EQ(port_user_ioctl(opened[7].get(), 0xc008240a, addr_of(&q)), -ENOSPC);
    q.ids_len = 65;
    EXPECT_EQ(port_user_ioctl(opened[7].get(), 0xc008240a, addr_of(&q)), -E2BIG);
    enable_stats_attr s{0};
    fd on(bpf(BPF_ENABLE_STATS, s));
    fire_tracepoints();
    bpf_prog_info i{};
    ASSERT_EQ(get_info(progs[63], i), 0);
    EXPECT_EQ(i.run_cnt, 1u);
    ASSERT_EQ(get_info(progs[64], i = {}), 0);
    EXPECT_EQ(i.run_cnt, 0u);
}

TEST_F(attach, tracepoint_record_bounds) {
    auto reads = [](s16 off) {
        return load(BPF_PROG_TYPE_TRACEPOINT, {{BPF_LDX | BPF_MEM | BPF_DW, 0, 1, off, 0}, mov_imm(0, 0), exit_insn()});
    };
    fd ok = reads(16), beyond = reads(24);
    ASSERT_TRUE(ok.ok() && beyond.ok());
    fd e = open_tracepoint(), e2 = open_tracepoint();
    ref<program> p = prog_from_fd(ok.get()).value();
    ASSERT_EQ(p->verified->max_ctx_offset, 24u); // bytes 16 to 23 are read
    EXPECT_EQ(set_bpf(e2, beyond), -EACCES);
    EXPECT_TRUE(events.empty()); // no program, no hook
    EXPECT_EQ(set_bpf(e, ok), 0);
    EXPECT_EQ(events.back()->use, PORT_RECORD_USED);
    fire_tracepoints(20); // a record that is shorter than announced is not shown
    EXPECT_EQ(total_stats(p.get()).misses, 1u);
    fire_tracepoints(24);
    EXPECT_EQ(total_stats(p.get()).misses, 1u);
}

/// What the kernel leaves out by itself, because a program of its own runs, is the program's miss.
TEST_F(attach, tracepoint_misses_of_the_kernel) {
    fd p = load(BPF_PROG_TYPE_TRACEPOINT, {mov_imm(0, 0), exit_insn()}), e = open_tracepoint();
    ASSERT_EQ(set_bpf(e, p), 0);
    ASSERT_TRUE(events.back()->counts);
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++)
        static_cast<port_kernel_counts *>(port_percpu_ptr(events.back()->counts, cpu))->missed = 2;
    bpf_prog_info info{};
    ASSERT_EQ(get_info(p, info), 0);
    EXPECT_EQ(info.recursion_misses, 2 * port_cpu_count());
    e.close();
    info = {};
    ASSERT_EQ(get_info(p, info), 0);
    EXPECT_EQ(info.recursion_misses, 2 * port_cpu_count()); // they stay when the event goes
}

/// A record is left out where its program cannot see it: not itself, and not by what it hands its context on to. What it goes on to may
/// read more than the record has.
TEST_F(attach, tracepoint_without_record) {
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1);
    const bpf_insn keeps{BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0}, reads{BPF_LDX | BPF_MEM | BPF_W, 0, 1, 8, 0},
        first{BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, array.get()}, tail_call{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call},
        cookie{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie}, over{BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 7};
    const struct {
        std::vector<bpf_insn> insns;
        port_record_use use;
    } rows[] = {
        {return_zero(), PORT_RECORD_UNUSED},
        {{mov_imm(1, 0), mov_imm(0, 0), exit_insn()}, PORT_RECORD_UNUSED},
        {{keeps, mov_imm(0, 0), exit_insn()}, PORT_RECORD_USED},
        {{reads, mov_imm(0, 0), exit_insn()}, PORT_RECORD_USED},
        {{cookie, exit_insn()}, PORT_RECORD_USED},
        {{mov_imm(0, 3), over, reads, mov_imm(0, 0), exit_insn()}, PORT_RECORD_USED},
        {{first, {0, 0, 0, 0, 0}, mov_imm(3, 0), tail_call, mov_imm(0, 0), exit_insn()}, PORT_RECORD_ANY},
    };
    for (const auto &row : rows) {
        fd p = load(BPF_PROG_TYPE_TRACEPOINT, row.insns), e = open_tracepoint();
        ASSERT_TRUE(p.ok()) << p.get();
        ASSERT_EQ(set_bpf(e, p), 0);
        EXPECT_EQ(events.back()->use, row.use) << &row - rows;
    }
}

std::vector<bpf_insn> keep_argument(const fd &m, s16 i) {
    return store_r6(m, {{BPF_LDX | BPF_MEM | BPF_DW, 6, 1, static_cast<s16>(8 * i), 0}});
}

TEST_F(attach, raw_tracepoint) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load(BPF_PROG_TYPE_RAW_TRACEPOINT, keep_argument(m, 1));
    raw_tracepoint_attr a{addr_of("no_such_event"), p.u(), 0, 0};
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -ENOENT);
    a.name = 8;
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -EFAULT);
    const void *data;
    size_t size;
    if (port_vmlinux_btf(&data, &size))
        GTEST_SKIP() << "this kernel has no BTF";
    a.name = addr_of("sched_process_exec");
    fd l(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    ASSERT_TRUE(l.ok()) << l.get();
    EXPECT_EQ(events.size(), 1u);
    std::string text = fdinfo(l.get());
    EXPECT_EQ(text.find("link_type:\traw_tracepoint\n"), 0u);
    EXPECT_NE(text.find("\ntp_name:\tsched_process_exec\n"), std::string::npos);
    bpf_link_info i{};
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(i.raw_tracepoint.tp_name_len, 19u);
    enable_stats_attr s{0};
    fd on(bpf(BPF_ENABLE_STATS, s));
    {
        no_preempt here;
        u64 args[12];
        memset(args, 0xff, sizeof(args));
        call_probe(*events[0], args);
        EXPECT_EQ(stored(m), 0xffffffffu); // pid_t old_pid
    }
    ref<program> prog = prog_from_fd(p.get()).value();
    EXPECT_EQ(total_stats(prog.get()).runs, 1u);
    l.close();
    EXPECT_TRUE(events.empty());
}

/// What a program goes on to by a tail call may read words that its tracepoint has not: they are there, and 0.
TEST_F(attach, raw_tracepoint_tail_call) {
    const void *data;
    size_t size;
    ASSERT_EQ(port_vmlinux_btf(&data, &size), 0);
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1), array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1);
    fd last = load(BPF_PROG_TYPE_RAW_TRACEPOINT, keep_argument(m, 11));
    u32 key = 0, value = last.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    fd p = load(BPF_PROG_TYPE_RAW_TRACEPOINT, {{BPF_LD | BPF_IMM | BPF_DW, 2, BPF_PSEUDO_MAP_FD, 0, array.get()},
                                               {0, 0, 0, 0, 0},
                                               mov_imm(3, 0),
                                               {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call},
                                               mov_imm(0, 0),
                                               exit_insn()});
    raw_tracepoint_attr a{addr_of("sched_process_exec"), p.u(), 0, 0};
    fd l(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    ASSERT_TRUE(l.ok()) << l.get();
    store(m, 1);
    {
        no_preempt here;
        u64 args[12];
        memset(args, 0xff, sizeof(args));
        call_probe(*events[0], args);
    }
    EXPECT_EQ(stored(m), 0u);
    a.prog_fd = last.u();
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -EINVAL); // by itself it is not attached there
}

/// A kernel without BTF: the words that a probe finds in registers, whole; a program that reads more is refused.
TEST_F(attach, raw_tracepoint_without_btf) {
    btf::release_kernel();
    setenv("MODBPF_VMLINUX_BTF", "", 1);
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd fifth = load(BPF_PROG_TYPE_RAW_TRACEPOINT, keep_argument(m, 4)), sixth = load(BPF_PROG_TYPE_RAW_TRACEPOINT, keep_argument(m, 5));
    ASSERT_TRUE(fifth.ok() && sixth.ok());
    raw_tracepoint_attr a{addr_of("sched_process_exec"), sixth.u(), 0, 0};
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -EOPNOTSUPP);
    a.prog_fd = fifth.u();
    fd l(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    unsetenv("MODBPF_VMLINUX_BTF");
    ASSERT_TRUE(l.ok()) << l.get();
    no_preempt here;
    u64 args[12];
    memset(args, 0xff, sizeof(args));
    call_probe(*events[0], args);
    EXPECT_EQ(stored(m), ~0ull);
}

/// A program that stores `value` in the `size` bytes at `off` of the tracepoint's record.
std::vector<bpf_insn> write_record(u8 size, s16 off, s32 value) {
    return {{BPF_LDX | BPF_MEM | BPF_DW, 6, 1, 0, 0}, mov_imm(0, 0), {static_cast<u8>(BPF_ST | BPF_MEM | size), 6, 0, off, value}, exit_insn()};
}
long run_packet(const fd &filter) {
    char packet[64] = {};
    test_run_attr a{};
    a.prog_fd = filter.u();
    a.data_in = addr_of(packet);
    a.data_size_in = sizeof(packet);
    a.repeat = 1;
    return bpf(BPF_PROG_TEST_RUN, a, 76);
}

/// Writable raw tracepoints: a program stands only where the tracepoint gives away as many bytes as it may touch; it changes what a test
/// run ends with. (Without BTF: whatever kernel this is has that tracepoint then.)
TEST_F(attach, raw_tracepoint_writable) {
    btf::release_kernel();
    setenv("MODBPF_VMLINUX_BTF", "", 1);
    constexpr u32 type = BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE;
    fd fits = load(type, write_record(BPF_W, 0, 42)), wide = load(type, write_record(BPF_DW, 0, 42)), far = load(type, write_record(BPF_B, 4, 1)),
       none = load(type, return_zero()), filter = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
    for (const fd *p : {&fits, &wide, &far, &none, &filter})
        ASSERT_TRUE(p->ok()) << p->get();
    raw_tracepoint_attr a{addr_of(run_end), wide.u(), 0, 0};
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -EINVAL);
    a.prog_fd = far.u();
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, a), -EINVAL);
    a.prog_fd = fits.u();
    raw_tracepoint_attr elsewhere{addr_of("sched_process_exec"), fits.u(), 0, 0};
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, elsewhere), -EINVAL);
    elsewhere.prog_fd = none.u();
    fd reads_nothing(bpf(BPF_RAW_TRACEPOINT_OPEN, elsewhere));
    EXPECT_TRUE(reads_nothing.ok()) << reads_nothing.get();
    EXPECT_EQ(run_packet(fits), -ENOTSUPP);
    EXPECT_EQ(run_packet(filter), 0);
    fd l(bpf(BPF_RAW_TRACEPOINT_OPEN, a));
    unsetenv("MODBPF_VMLINUX_BTF");
    ASSERT_TRUE(l.ok()) << l.get();
    EXPECT_EQ(run_packet(filter), 42);
    // Nobody would check what a program touches that another goes on to.
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1);
    u32 key = 0, value = none.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    value = fits.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EINVAL);
    l.close();
    EXPECT_EQ(run_packet(filter), 0);
}

/// Output into a PERF_EVENT_ARRAY slot, seen through mmap and poll.
TEST_F(attach, perf_output) {
    cpu_set_t one;
    CPU_ZERO(&one);
    int here = sched_getcpu();
    CPU_SET(here, &one);
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    s32 cpu = static_cast<s32>(port_cpu_id());
    perf_attr a = attr_of(1, 10);
    a.sample_type = PERF_SAMPLE_RAW, a.sample_period = 1, a.wakeup_events = 1, a.flags = 1; // disabled
    fd e(open_perf(a, -1, cpu));
    ASSERT_TRUE(e.ok());
    fd array = make_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, static_cast<u32>(cpu) + 1);
    u32 key = static_cast<u32>(cpu), value = e.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    ref<map> m = map_from_fd(array.get()).value();
    auto output = [&](size_t n) {
        no_preempt guard;
        rcu_read_guard readers;
        perf_sink *s = perf_array_slot(m.get(), key);
        u8 data[256] = {1, 2, 3};
        return s ? s->output(s, data, n, nullptr, 0) : -ENOENT;
    };
    EXPECT_EQ(output(8), -EOPNOTSUPP); // disabled
    EXPECT_EQ(port_user_ioctl(e.get(), 0x2400, 0), 0);
    EXPECT_EQ(output(8), -ENOSPC); // not mapped
    EXPECT_EQ(port_user_mmap(nullptr, 4 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), 0), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), PORT_PAGE_SIZE), -EINVAL);
    long at = port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), 0);
    ASSERT_GT(at, 0);
    EXPECT_EQ(port_user_mmap(nullptr, 2 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), 0), -EINVAL);
    pollfd pfd{e.get(), POLLIN, 0};
    port_user_sweep();
    EXPECT_EQ(poll(&pfd, 1, 0), 0);
    EXPECT_EQ(output(8), 0);
    port_user_sweep();
    EXPECT_EQ(poll(&pfd, 1, 1000), 1);
    u8 *page = ptr_of<u8>(static_cast<u64>(at));
    EXPECT_EQ(*reinterpret_cast<u64 *>(page + 1024), 24u);
    EXPECT_EQ(*reinterpret_cast<u32 *>(page + PORT_PAGE_SIZE), 9u);
    EXPECT_EQ(page[PORT_PAGE_SIZE + 12], 1);
    e.close(); // slot and mapping hold the event
    EXPECT_EQ(output(16), 0);
    EXPECT_GT(*reinterpret_cast<u64 *>(page + 1024), 24u);
    munmap(page, 3 * PORT_PAGE_SIZE);
    port_user_unmapped(page, 3 * PORT_PAGE_SIZE);
    EXPECT_EQ(output(8), -ENOSPC);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, array, &key, nullptr), 0);
    EXPECT_EQ(output(8), -ENOENT);
    sched_setaffinity(0, sizeof(before), &before);
}

TEST_F(attach, output_event_refusals) {
    perf_attr a = attr_of(1, 10);
    a.sample_type = 1u << 5; // call chains
    EXPECT_EQ(open_perf(a), -EOPNOTSUPP);
    a.sample_type = PERF_SAMPLE_RAW;
    EXPECT_EQ(open_perf(a, 0, -1), -EOPNOTSUPP); // of a task
    fd e(open_perf(a));
    fd kp = load(BPF_PROG_TYPE_KPROBE, return_zero());
    EXPECT_EQ(set_bpf(e, kp), -EINVAL);
    EXPECT_EQ(port_user_ioctl(e.get(), 0x40042409, 1), -EINVAL); // nothing mapped
    u64 id = 0;
    EXPECT_EQ(port_user_ioctl(e.get(), 0x80082407, addr_of(&id)), 0);
    EXPECT_GT(id, 0u);
    EXPECT_EQ(port_user_ioctl(e.get(), 0x80082407, 8), -EFAULT);
    fd k = open_kprobe("vfs_read"); // a probe in an array takes no output
    fd array = make_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
    u32 key = 0, value = k.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    ref<map> m = map_from_fd(array.get()).value();
    rcu_read_guard readers;
    perf_sink *s = perf_array_slot(m.get(), 0);
    ASSERT_NE(s, nullptr);
    EXPECT_EQ(s->output(s, &key, 4, nullptr, 0), -EINVAL);
}

void overflow(u64 ip) {
    no_preempt here;
    u64 regs[21] = {};
    regs[16] = ip;
    for (port_event *e : events)
        if (e->kind == port_event::counter && e->enabled) {
            e->on_overflow(e, e->priv, regs, e->spec.period, 0xabcd);
        }
}

TEST_F(attach, counter_runs_programs) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    auto reads = [&](u8 size, s16 off) {
        return load(BPF_PROG_TYPE_PERF_EVENT, store_r6(m, {{static_cast<u8>(BPF_LDX | BPF_MEM | size), 6, 1, off, 0}}));
    };
    fd ip = reads(BPF_DW, 128), period = reads(BPF_DW, 168), half = reads(BPF_W, 172), byte = reads(BPF_B, 177);
    constexpr u8 mov_x = BPF_ALU64 | BPF_MOV | BPF_X, add = BPF_ALU64 | BPF_ADD | BPF_K;
    fd probed = load(BPF_PROG_TYPE_PERF_EVENT, // as BPF_CORE_READ() reads it
                     store_r6(m, {{mov_x, 3, 1, 0, 0}, {add, 3, 0, 0, 128}, {mov_x, 1, 10, 0, 0}, {add, 1, 0, 0, -16}, mov_imm(2, 8),
                                  {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel}, {BPF_LDX | BPF_MEM | BPF_DW, 6, 10, -16, 0}}));
    fd cookie = load(BPF_PROG_TYPE_PERF_EVENT, store_cookie(m)), kp = load(BPF_PROG_TYPE_KPROBE, return_zero());
    ASSERT_TRUE(ip.ok() && period.ok() && half.ok() && byte.ok() && probed.ok() && cookie.ok());
    perf_attr a = attr_of(1, 0); // CPU clock
    a.sample_period = 0x500000007, a.flags = 1;
    fd e(open_perf(a, -1, 0));
    ASSERT_TRUE(e.ok());
    EXPECT_EQ(set_bpf(e, kp), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), 0), -EOPNOTSUPP);
    const struct {
        const fd &prog;
        u64 value;
    } rows[] = {{ip, 0x1234}, {probed, 0x1234}, {period, 0x500000007}, {half, 5}, {byte, 0xab}, {cookie, 77}};
    for (auto &row : rows) {
        fd l(link_to(row.prog, e, 77));
        ASSERT_TRUE(l.ok());
        store(m, 9);
        EXPECT_EQ(port_user_ioctl(e.get(), 0x2401, 0), 0);
        overflow(0x1234);
        EXPECT_EQ(stored(m), 9u); // disabled
        EXPECT_EQ(port_user_ioctl(e.get(), 0x2400, 0), 0);
        overflow(0x1234);
        EXPECT_EQ(stored(m), row.value);
        bpf_link_info i{};
        ASSERT_EQ(get_info(l, i), 0);
        EXPECT_EQ(i.perf_event.type, BPF_PERF_EVENT_EVENT);
        EXPECT_EQ(i.perf_event.event.type, 1u);
        EXPECT_EQ(i.perf_event.event.cookie, 77u);
    }
    u64 next = 99;
    EXPECT_EQ(port_user_ioctl(e.get(), 0x40082404, addr_of(&next)), 0);
    EXPECT_EQ(events[0]->spec.period, 99u);
    e.close();
    EXPECT_TRUE(events.empty());
}

TEST_F(attach, breakpoint_runs_a_program) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd addr = load(BPF_PROG_TYPE_PERF_EVENT, store_r6(m, {{BPF_LDX | BPF_MEM | BPF_DW, 6, 1, 176, 0}}));
    perf_attr a = attr_of(5, 0);
    a.sample_period = 1, a.bp_type = 3, a.config1 = 0x7000, a.config2 = 4;
    fd e(open_perf(a, 0, -1));
    ASSERT_TRUE(e.ok() && addr.ok());
    const port_perf_spec &asked = events[0]->spec;
    EXPECT_TRUE(asked.type == 5 && asked.bp_type == 3 && asked.config1 == 0x7000 && asked.config2 == 4 && asked.period == 1);
    ASSERT_EQ(set_bpf(e, addr), 0);
    overflow(0x1234);
    EXPECT_EQ(stored(m), 0xabcdu);
    a.flags = 1ull << 37; // sigtrap
    EXPECT_EQ(open_perf(a, 0, -1), -EINVAL);
    a.flags |= 1ull << 36;
    EXPECT_EQ(open_perf(a, 0, -1), -EOPNOTSUPP);
}

/// What a program reads of counters: its own event's, and one in an array.
TEST_F(attach, counters_are_read) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1), array = make_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2);
    constexpr u8 add = BPF_ALU64 | BPF_ADD | BPF_K, mov = BPF_ALU64 | BPF_MOV | BPF_X, call = BPF_JMP | BPF_CALL;
    const bpf_insn sum = {BPF_ALU64 | BPF_ADD | BPF_X, 6, 0, 0, 0}, load_sum = {BPF_LDX | BPF_MEM | BPF_DW, 6, 10, -32, 0};
    auto own = [&](s32 size) {
        return load(BPF_PROG_TYPE_PERF_EVENT, store_r6(m, {{mov, 2, 10, 0, 0}, {add, 2, 0, 0, -40}, mov_imm(3, size),
                                                           {call, 0, 0, 0, BPF_FUNC_perf_prog_read_value}, load_sum, sum}));
    };
    auto slot = [&](s32 index) {
        return load(BPF_PROG_TYPE_PERF_EVENT,
                    store_r6(m, {{BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, array.get()}, {0, 0, 0, 0, 0}, mov_imm(2, index),
                                 {mov, 3, 10, 0, 0}, {add, 3, 0, 0, -40}, mov_imm(4, 24),
                                 {call, 0, 0, 0, BPF_FUNC_perf_event_read_value}, load_sum, sum}));
    };
    auto plain = [&](s32 index) {
        return load(BPF_PROG_TYPE_PERF_EVENT,
                    store_r6(m, {{BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, array.get()}, {0, 0, 0, 0, 0}, mov_imm(2, index),
                                 {call, 0, 0, 0, BPF_FUNC_perf_event_read}, {mov, 6, 0, 0, 0}}));
    };
    perf_attr a = attr_of(0, 0);
    a.sample_period = 1000;
    fd e(open_perf(a, -1, 0));
    a.flags = 2;
    fd inherited(open_perf(a, 0, -1));
    u32 key = 1, value = inherited.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EOPNOTSUPP);
    value = e.u();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    events[1]->enabled = false;
    auto run = [&](const fd &p) {
        EXPECT_TRUE(p.ok());
        fd l(link_to(p, e));
        const u64 now[3] = {55, 66, 77};
        memcpy(events[0]->count, now, sizeof(now));
        overflow(0);
        return stored(m);
    };
    EXPECT_EQ(run(own(24)), 66u);
    EXPECT_EQ(run(own(16)), static_cast<u64>(-EINVAL)); // and zeros
    EXPECT_EQ(run(slot(1)), 66u);
    EXPECT_EQ(run(slot(0)), static_cast<u64>(-ENOENT));
    EXPECT_EQ(run(slot(2)), static_cast<u64>(-E2BIG));
    EXPECT_EQ(run(plain(1)), 55u);
    EXPECT_EQ(run(plain(0)), static_cast<u64>(-ENOENT));
    EXPECT_EQ(port_user_ioctl(e.get(), 0x2403, 0), 0);
    EXPECT_EQ(events[0]->count[0], 0u);
}

TEST_F(attach, allocation_failures) {
    fd p = load(BPF_PROG_TYPE_KPROBE, return_zero());
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 200u);
        port_fail_nth_set(n);
        fd e = open_kprobe("vfs_read");
        fd l;
        if (e.ok())
            l = fd(link_to(p, e));
        bool done = port_fail_nth_set(0) < n;
        if (done) {
            EXPECT_TRUE(l.ok());
            break;
        }
    }
    EXPECT_TRUE(events.empty());
    perf_attr a = attr_of(1, 10);
    fd e(open_perf(a));
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 50u);
        port_fail_nth_set(n);
        long at = port_user_mmap(nullptr, 3 * PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, e.get(), 0);
        bool done = port_fail_nth_set(0) < n;
        if (at > 0) {
            munmap(ptr_of(static_cast<u64>(at)), 3 * PORT_PAGE_SIZE);
            port_user_unmapped(ptr_of(static_cast<u64>(at)), 3 * PORT_PAGE_SIZE);
        }
        if (done)
            break;
        EXPECT_EQ(at, -ENOMEM);
    }
}

}  // namespace
