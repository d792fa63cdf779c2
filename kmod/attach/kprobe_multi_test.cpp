// SPDX-License-Identifier: GPL-2.0-only
// Links to many functions, over events that the test fires itself.
#include "attach/event_test.h"

#include "base/sort.h"

#include <algorithm>
#include <random>

using namespace modbpf;
using namespace modbpf::test;

namespace {

struct many {
    std::vector<const char *> names{"f3", "f1", "f2"};
    std::vector<u64> addrs{}, cookies{30, 10, 20};
    kprobe_multi_attr k{};
    u32 link_flags = 0;

    many() { k.cnt = 3; }
    static many by_address(std::vector<u64> at) {
        many m;
        m.names.clear();
        m.addrs = at;
        m.k.cnt = static_cast<u32>(at.size());
        return m;
    }
    long link(const fd &p, u32 attach_type = BPF_TRACE_KPROBE_MULTI) {
        if (!k.syms)
            k.syms = names.empty() ? 0 : addr_of(names.data());
        k.addrs = addrs.empty() ? 0 : addr_of(addrs.data());
        k.cookies = cookies.empty() ? 0 : addr_of(cookies.data());
        link_create_attr a{};
        a.prog_fd = p.u(), a.attach_type = attach_type, a.flags = link_flags;
        memcpy(&a.cookie, &k, sizeof(k));
        return bpf(BPF_LINK_CREATE, a, 60);
    }
};

u64 call_data = 0;
int hit(u64 func, bool at_return = false) {
    u64 regs[PORT_REGS_SIZE / 8] = {};
    port_preempt_disable();
    int ret = events.at(0)->on_functions(events[0]->priv, regs, func, at_return, &call_data);
    port_preempt_enable();
    return ret;
}

std::vector<bpf_insn> store_func_ip(const fd &m) {
    return store_r6(m, {{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_func_ip}, {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_0, 0, 0}});
}

class kprobe_multi : public core_test {
protected:
    void TearDown() override {
        core_test::TearDown();
        EXPECT_TRUE(events.empty());
    }
};

TEST_F(kprobe_multi, refused) {
    fd p = load_for(return_zero(), BPF_TRACE_KPROBE_MULTI);
    auto with = [&](auto change) {
        many m;
        change(m);
        return m.link(p);
    };
    EXPECT_EQ(many().link(load(BPF_PROG_TYPE_KPROBE, return_zero())), -EINVAL);
    EXPECT_EQ(many().link(p, BPF_TRACE_KPROBE_SESSION), -EINVAL);
    EXPECT_EQ(many().link(load_for(return_zero(), BPF_TRACE_KPROBE_MULTI, 1u << 4)), -EINVAL); // sleepable
    EXPECT_EQ(with([](many &m) { m.link_flags = 1; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.k.flags = 2; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.names.clear(); }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.addrs = {16, 32, 48}; }), -EINVAL); // both
    EXPECT_EQ(with([](many &m) { m.k.cnt = 0; }), -EINVAL);
    EXPECT_EQ(with([](many &m) { m.k.cnt = (1 << 20) + 1; }), -E2BIG);
    EXPECT_EQ(with([](many &m) { m.k.syms = 8; }), -EFAULT);
    EXPECT_EQ(with([](many &m) { m.names[1] = reinterpret_cast<const char *>(8); }), -EFAULT);
    EXPECT_EQ(with([](many &m) { m.names[2] = "no_such_function"; }), -ESRCH);
    EXPECT_EQ(with([](many &m) { m.names[2] = "f3"; }), -ESRCH); // twice
    std::string longest = "f0" + std::string(508, '0') + "1", longer = "f" + std::string(511, '1');
    EXPECT_EQ(with([&](many &m) { m.names[0] = longer.c_str(); }), -E2BIG);
    fd l(with([&](many &m) { m.names[0] = longest.c_str(), m.names[1] = "f9"; }));
    EXPECT_TRUE(l.ok());
    EXPECT_EQ(many::by_address({16, 17}).link(p), -EINVAL);
}

/// CVE-2026-43010: probes run where nothing may sleep.
TEST_F(kprobe_multi, programs_that_sleep) {
    for (u32 type : {BPF_TRACE_KPROBE_MULTI, BPF_TRACE_KPROBE_SESSION}) {
        EXPECT_EQ(many().link(load_for(return_zero(), type, 1u << 4), type), -EINVAL);
        EXPECT_TRUE(events.empty());
        EXPECT_TRUE(fd(many().link(load_for(return_zero(), type), type)).ok());
    }
}

/// CVE-2024-35860: a run that has begun when its link is closed still has the link, its cookies and its program.
TEST_F(kprobe_multi, a_run_while_the_link_goes) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    for (u64 i : {1, 2, 3}) {
        fd p = load_for(store_cookie(m), BPF_TRACE_KPROBE_MULTI);
        fd l(many().link(p));
        ASSERT_TRUE(l.ok());
        p.close();
        static u64 at;
        at = i * 16;
        events[0]->last_run = [] { hit(at); };
        l.close();
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(stored(m), i * 10);
    }
}

TEST_F(kprobe_multi, cookies_by_function) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
    fd p = load_for(store_cookie(m), BPF_TRACE_KPROBE_MULTI);
    fd l(many().link(p));
    ASSERT_TRUE(l.ok());
    EXPECT_TRUE(events[0]->at_entry);
    EXPECT_FALSE(events[0]->retprobe);
    for (u64 i : {1, 2, 3}) {
        EXPECT_EQ(hit(i * 16), 0);
        EXPECT_EQ(stored(m), i * 10);
    }
    hit(64);
    EXPECT_EQ(stored(m), 0u);
    std::string text = fdinfo(l.get());
    EXPECT_EQ(text.find("link_type:\tkprobe_multi\nlink_id:\t"), 0u) << text;
    l.close();
    EXPECT_TRUE(events.empty());
    fd by_ip = load_for(store_func_ip(m), BPF_TRACE_KPROBE_MULTI);
    many n = many::by_address({48, 16});
    n.k.flags = 1, n.cookies.clear();
    fd l2(n.link(by_ip));
    EXPECT_FALSE(events[0]->at_entry);
    EXPECT_TRUE(events[0]->retprobe);
    hit(48, true);
    EXPECT_EQ(stored(m), 48u);
}

/// At its entry a session says whether it is run at the return, too. Nothing else does.
TEST_F(kprobe_multi, sessions) {
    auto returns = [](s32 v) { return std::vector<bpf_insn>{mov_imm(0, v), exit_insn()}; };
    for (s32 v : {0, 1}) {
        fd p = load_for(returns(v), BPF_TRACE_KPROBE_SESSION);
        fd l(many().link(p, BPF_TRACE_KPROBE_SESSION));
        ASSERT_TRUE(l.ok());
        EXPECT_TRUE(events[0]->at_entry && events[0]->retprobe);
        EXPECT_EQ(hit(16), v);
    }
    fd p = load_for(returns(1), BPF_TRACE_KPROBE_MULTI), l(many().link(p));
    EXPECT_EQ(hit(16), 0);
    perf_attr a = attr_of(kprobe_type, 0);
    a.config1 = addr_of("vfs_read");
    fd e(open_perf(a));
    EXPECT_EQ(set_bpf(e, load_for(return_zero(), BPF_TRACE_KPROBE_SESSION)), -EINVAL);
}

TEST_F(kprobe_multi, information) {
    fd p = load_for(return_zero(), BPF_TRACE_KPROBE_MULTI), l(many().link(p));
    bpf_link_info i{};
    auto &k = i.kprobe_multi;
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(i.type, BPF_LINK_TYPE_KPROBE_MULTI);
    EXPECT_EQ(k.count, 3u);
    EXPECT_EQ(k.missed, 5u);
    u64 addrs[3] = {}, cookies[3] = {};
    k.addrs = addr_of(addrs), k.cookies = addr_of(cookies);
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_EQ(addrs[0], 16u);
    EXPECT_EQ(addrs[2], 48u);
    EXPECT_EQ(cookies[1], 20u);
    k.count = 2, addrs[2] = 7;
    EXPECT_EQ(get_info(l, i), -ENOSPC);
    EXPECT_EQ(addrs[2], 7u);
    k.count = 0;
    EXPECT_EQ(get_info(l, i), -EINVAL);
    k.addrs = 0, k.count = 3;
    EXPECT_EQ(get_info(l, i), -EINVAL);
    many n;
    n.cookies.clear();
    fd l2(n.link(p)); // without cookies: as the names are sorted
    k.addrs = addr_of(addrs), k.count = 3, cookies[0] = 9;
    ASSERT_EQ(get_info(l2, i), 0);
    EXPECT_EQ(cookies[0], 0u);
}

TEST_F(kprobe_multi, failing_allocations) {
    fd p = load_for(return_zero(), BPF_TRACE_KPROBE_MULTI);
    each_allocation_fails([&] { return many().link(p); });
}

TEST(sort, of_places) {
    std::mt19937 random(1);
    for (u32 n = 0; n < 200; n++) {
        std::vector<u32> v(n), along(n);
        for (u32 i = 0; i < n; i++)
            v[i] = random() % (n < 100 ? 10 : 1000), along[i] = v[i] + 1;
        auto sorted = v;
        std::sort(sorted.begin(), sorted.end());
        heap_sort(n, [&](u32 i, u32 j) { return v[i] < v[j]; }, [&](u32 i, u32 j) { std::swap(v[i], v[j]), std::swap(along[i], along[j]); });
        EXPECT_EQ(v, sorted);
        for (u32 i = 0; i < n; i++)
            EXPECT_EQ(along[i], v[i] + 1);
    }
}

}  // namespace
