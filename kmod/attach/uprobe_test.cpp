// SPDX-License-Identifier: GPL-2.0-only
// Probes in user space, and what queries say of events, over events that the test fires itself.
#include "attach/event_test.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

long open_uprobe(const char *path, u64 config = 0, u64 offset = 16, s32 pid = -1) {
    perf_attr a = attr_of(uprobe_type, config);
    a.config1 = addr_of(path);
    a.config2 = offset;
    return open_perf(a, pid, pid < 0 ? 0 : -1);
}

void hit(u32 index = 0, u64 addr = 0x4000, u64 first_reg = 0) {
    u64 regs[PORT_REGS_SIZE / 8] = {first_reg};
    for (port_event *e : events)
        if (e->kind == port_event::uprobe)
            e->on_uprobe(e->priv, index, regs, addr);
}

std::vector<bpf_insn> store_result(const fd &m, u32 helper) {
    return store_r6(m, {{BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<s32>(helper)}, {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_0, 0, 0}});
}
/// map[0] = the context's first word: the probed task's r15
std::vector<bpf_insn> store_register(const fd &m) { return store_r6(m, {{BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_1, 0, 0}}); }

constexpr u32 sleepable = 1u << 4;

class uprobes : public core_test {
protected:
    void TearDown() override {
        core_test::TearDown();
        EXPECT_TRUE(events.empty());
    }
};

TEST_F(uprobes, refused) {
    std::string longer(4096, '/');
    EXPECT_EQ(open_uprobe(nullptr), -EINVAL);
    EXPECT_EQ(open_uprobe(reinterpret_cast<const char *>(8)), -EFAULT);
    EXPECT_EQ(open_uprobe(""), -EINVAL);
    EXPECT_EQ(open_uprobe(longer.c_str()), -E2BIG);
    EXPECT_EQ(open_uprobe("/"), -EINVAL); // no regular file
    EXPECT_EQ(open_uprobe("nothing"), -ENOENT);
    EXPECT_EQ(open_uprobe("/bin/x", 0, 4000), -EINVAL);
    EXPECT_EQ(open_uprobe("/bin/x", 0, 16, 12345), -ESRCH);
    port_user_set_caps(1u << PORT_CAP_PERFMON);
    EXPECT_EQ(open_uprobe("/bin/x"), -EACCES);
    port_user_set_caps(~0u);
    fd e(open_uprobe("/bin/x"));
    EXPECT_EQ(set_bpf(e, load(BPF_PROG_TYPE_TRACEPOINT, return_zero())), -EINVAL);
}

TEST_F(uprobes, runs_with_cookie_and_address) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd e(open_uprobe("/bin/x", u64{7} << 32 | 1, 32, 1));
    ASSERT_TRUE(e.ok());
    EXPECT_TRUE(events[0]->retprobe);
    EXPECT_EQ(events[0]->places[0].offset, 32u);
    EXPECT_EQ(events[0]->places[0].ref_ctr_offset, 7u);
    EXPECT_EQ(events[0]->scope, PORT_UPROBE_SPACE);
    EXPECT_EQ(events[0]->pid, 1);
    for (u32 flags : {0u, sleepable}) {
        fd by_cookie = load_for(store_cookie(m), 0, flags), by_ip = load_for(store_result(m, BPF_FUNC_get_func_ip), 0, flags),
           by_reg = load_for(store_register(m), 0, flags);
        ASSERT_TRUE(by_cookie.ok() && by_ip.ok() && by_reg.ok());
        {
            fd l(link_to(by_cookie, e, 0x1234));
            hit();
            EXPECT_EQ(stored(m), 0x1234u) << flags;
        }
        {
            fd l(link_to(by_ip, e));
            hit(0, 0x7777);
            EXPECT_EQ(stored(m), 0x7777u) << flags;
        }
        fd l(link_to(by_reg, e));
        hit(0, 0, 0x4242);
        EXPECT_EQ(stored(m), 0x4242u) << flags;
        l.close();
        hit();
        EXPECT_EQ(stored(m), 0x4242u) << flags;
    }
    fd kprobe = [&] {
        perf_attr a = attr_of(kprobe_type, 0);
        a.config1 = addr_of("vfs_read");
        return fd(open_perf(a));
    }();
    EXPECT_EQ(set_bpf(kprobe, load_for(return_zero(), 0, sleepable)), -EINVAL); // in user space alone
}

TEST_F(uprobes, hits_within_a_run_are_no_misses) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load(BPF_PROG_TYPE_KPROBE, store_cookie(m)), e(open_uprobe("/bin/x")), l(link_to(p, e, 5));
    ref<program> prog = prog_from_fd(p.get()).value();
    port_preempt_disable();
    __atomic_add_fetch(static_cast<u32 *>(port_this_cpu_ptr(core->active)), 1, __ATOMIC_RELAXED); // a kprobe's program runs
    hit();
    __atomic_sub_fetch(static_cast<u32 *>(port_this_cpu_ptr(core->active)), 1, __ATOMIC_RELAXED);
    port_preempt_enable();
    EXPECT_EQ(stored(m), 5u);
    EXPECT_EQ(total_stats(prog.get()).misses, 0u);
}

TEST_F(uprobes, link_information) {
    fd p = load(BPF_PROG_TYPE_KPROBE, return_zero()), e(open_uprobe("/bin/x", 1, 48)), l(link_to(p, e, 9));
    bpf_link_info i{};
    char name[16] = {};
    auto &u = i.perf_event.uprobe;
    u.file_name = addr_of(name), u.name_len = sizeof(name);
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(i.type, BPF_LINK_TYPE_PERF_EVENT);
    EXPECT_EQ(i.perf_event.type, BPF_PERF_EVENT_URETPROBE);
    EXPECT_STREQ(name, "/bin/x");
    EXPECT_EQ(u.name_len, 7u);
    EXPECT_EQ(u.offset, 48u);
    EXPECT_EQ(u.cookie, 9u);
    u.name_len = 3;
    EXPECT_EQ(get_info(l, i), -ENOSPC);
    EXPECT_STREQ(name, "/b");
    u.file_name = 0;
    EXPECT_EQ(get_info(l, i), -EINVAL);
}

struct many {
    std::vector<u64> offsets{16, 32, 48}, cookies{1, 2, 3}, ref_ctrs{};
    uprobe_multi_attr u{};
    many() { u.path = addr_of("/bin/x"), u.cnt = 3; }
    long link(const fd &p, u32 attach_type = BPF_TRACE_UPROBE_MULTI) {
        u.offsets = offsets.empty() ? 0 : addr_of(offsets.data());
        u.cookies = cookies.empty() ? 0 : addr_of(cookies.data());
        u.ref_ctr_offsets = ref_ctrs.empty() ? 0 : addr_of(ref_ctrs.data());
        link_create_attr a{};
        a.prog_fd = p.u(), a.attach_type = attach_type;
        memcpy(&a.cookie, &u, 44);
        return bpf(BPF_LINK_CREATE, a, 60);
    }
};

TEST_F(uprobes, many_refused) {
    fd p = load_for(return_zero(), BPF_TRACE_UPROBE_MULTI);
    ASSERT_TRUE(p.ok());
    auto with = [&](auto change) {
        many m;
        change(m);
        return m.link(p);
    };
    EXPECT_EQ(many().link(load(BPF_PROG_TYPE_KPROBE, return_zero())), -EINVAL);
    EXPECT_EQ(many().link(p, BPF_PERF_EVENT), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.u.flags = 2; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.u.path = 0; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.offsets.clear(); }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.u.cnt = 0; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.u.pid = ~0u; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.u.pid = 12345; }), -ESRCH);
    EXPECT_EQ(with([](many &m) { m.u.cnt = (1 << 20) + 1; }), -E2BIG);
    EXPECT_EQ(with([](many &m) { m.u.path = 8; }), -EFAULT);
    EXPECT_EQ(with([](many &m) { m.u.path = addr_of("/"); }), -EBADF);
    EXPECT_EQ(with([](many &m) { m.u.path = addr_of("nothing"); }), -ENOENT);
    EXPECT_EQ(with([](many &m) { m.offsets[1] = ~0ull; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.offsets[1] = 5000; }), -EINVAL);
    fd e(open_uprobe("/bin/x"));
    EXPECT_EQ(link_to(p, e), -EINVAL);
}

TEST_F(uprobes, many_places) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    for (u32 flags : {0u, sleepable}) {
        fd p = load_for(store_cookie(m), BPF_TRACE_UPROBE_MULTI, flags);
        many n;
        n.u.flags = 1, n.u.pid = 1;
        n.ref_ctrs = {0, 8, 0};
        fd l(n.link(p));
        ASSERT_TRUE(l.ok());
        EXPECT_TRUE(events[0]->retprobe);
        EXPECT_EQ(events[0]->scope, PORT_UPROBE_GROUP);
        EXPECT_EQ(events[0]->places[1].ref_ctr_offset, 8u);
        hit(1);
        EXPECT_EQ(stored(m), 2u);
        hit(2);
        EXPECT_EQ(stored(m), 3u);
        std::string text = fdinfo(l.get());
        EXPECT_EQ(text.find("link_type:\tuprobe_multi\nlink_id:\t"), 0u) << text;
        l.close();
        EXPECT_TRUE(events.empty());
    }
    fd p = load_for(store_cookie(m), BPF_TRACE_UPROBE_MULTI);
    many n;
    n.cookies.clear();
    fd l(n.link(p));
    hit(1);
    EXPECT_EQ(stored(m), 0u);
}

TEST_F(uprobes, many_link_information) {
    many n;
    n.ref_ctrs = {0, 8, 0};
    fd p = load_for(return_zero(), BPF_TRACE_UPROBE_MULTI), l(n.link(p));
    bpf_link_info i{};
    auto &u = i.uprobe_multi;
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(i.type, BPF_LINK_TYPE_UPROBE_MULTI);
    EXPECT_EQ(u.count, 3u);
    EXPECT_EQ(u.path_size, 7u);
    char path[16] = {};
    u64 offsets[3] = {}, ref_ctrs[3] = {}, cookies[3] = {};
    u.path = addr_of(path), u.path_size = sizeof(path), u.offsets = addr_of(offsets), u.ref_ctr_offsets = addr_of(ref_ctrs);
    u.cookies = addr_of(cookies);
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_STREQ(path, "/bin/x");
    EXPECT_EQ(offsets[2], 48u);
    EXPECT_EQ(ref_ctrs[1], 8u);
    EXPECT_EQ(cookies[0], 1u);
    u.count = 2, u.path_size = sizeof(path), cookies[2] = 77;
    EXPECT_EQ(get_info(l, i), -ENOSPC);
    EXPECT_EQ(cookies[2], 77u);
    u.count = 0;
    EXPECT_EQ(get_info(l, i), -EINVAL);
    u.count = 3, u.path_size = 0;
    EXPECT_EQ(get_info(l, i), -EINVAL);
    u.path_size = 3;
    EXPECT_EQ(get_info(l, i), -ENAMETOOLONG);
}

TEST_F(uprobes, failing_allocations) {
    fd p = load_for(return_zero(), BPF_TRACE_UPROBE_MULTI);
    each_allocation_fails([&] { return many().link(p); });
}

struct query : task_fd_query_attr {
    char name[32] = {};
    long ask(long fd, u32 room = 32, s32 pid = getpid()) {
        task_fd_query_attr a{};
        a.pid = static_cast<u32>(pid), a.fd = static_cast<u32>(fd), a.buf = addr_of(name), a.buf_len = room;
        long rc = bpf(BPF_TASK_FD_QUERY, a);
        static_cast<task_fd_query_attr &>(*this) = a;
        return rc;
    }
};

TEST_F(uprobes, queries) {
    fd p = load(BPF_PROG_TYPE_KPROBE, return_zero()), tp = load(BPF_PROG_TYPE_TRACEPOINT, return_zero());
    fd e(open_uprobe("/bin/x", 1, 48));
    query q;
    EXPECT_EQ(q.ask(e.get()), -ENOENT); // no program
    fd l(link_to(p, e));
    ASSERT_EQ(q.ask(e.get()), 0);
    EXPECT_EQ(q.fd_type, 5u);
    EXPECT_STREQ(q.name, "/bin/x");
    EXPECT_EQ(q.buf_len, 6u);
    EXPECT_EQ(q.probe_offset, 48u);
    bpf_prog_info i{};
    ASSERT_EQ(get_info(p, i), 0);
    EXPECT_EQ(q.prog_id, i.id);
    EXPECT_EQ(q.ask(e.get(), 3), -ENOSPC);
    EXPECT_STREQ(q.name, "/b");
    EXPECT_EQ(q.buf_len, 6u);
    EXPECT_EQ(q.ask(e.get(), 0), 0);
    EXPECT_EQ(q.ask(l.get()), -ENOTSUPP);
    EXPECT_EQ(q.ask(p.get()), -ENOTSUPP);
    EXPECT_EQ(q.ask(9999), -EBADF);
    EXPECT_EQ(q.ask(e.get(), 32, 0x7ffffff0), -ENOENT);
    EXPECT_EQ(q.ask(e.get(), 32, getppid()), -EOPNOTSUPP); // a process knows its own files
    task_fd_query_attr a{};
    a.flags = 1;
    EXPECT_EQ(bpf(BPF_TASK_FD_QUERY, a), -EINVAL);
    port_user_set_caps(1u << PORT_CAP_BPF);
    EXPECT_EQ(q.ask(e.get()), -EPERM);
    port_user_set_caps(~0u);
    perf_attr k = attr_of(kprobe_type, 0);
    k.config1 = addr_of("vfs_read"), k.config2 = 4;
    fd ke(open_perf(k));
    EXPECT_EQ(set_bpf(ke, p), 0);
    ASSERT_EQ(q.ask(ke.get()), 0);
    EXPECT_EQ(q.fd_type, 2u);
    EXPECT_STREQ(q.name, "vfs_read");
    EXPECT_EQ(q.probe_offset, 4u);
    perf_attr t = attr_of(2, 300);
    fd te(open_perf(t));
    EXPECT_EQ(set_bpf(te, tp), 0);
    ASSERT_EQ(q.ask(te.get()), 0);
    EXPECT_EQ(q.fd_type, 1u);
    EXPECT_STREQ(q.name, "my_event");
    perf_attr c = attr_of(1, 0);
    c.sample_period = 1000;
    fd ce(open_perf(c));
    EXPECT_EQ(set_bpf(ce, load(BPF_PROG_TYPE_PERF_EVENT, return_zero())), 0);
    EXPECT_EQ(q.ask(ce.get()), -EOPNOTSUPP);
}

}  // namespace
