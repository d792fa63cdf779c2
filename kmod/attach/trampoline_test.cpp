// SPDX-License-Identifier: GPL-2.0-only
// Trampolines at the functions of test runs, with programs that are functions of this test: what they get, memory that is not there at
// any step, detaching while the function runs, and where words of arguments go.
#include "attach/trampoline.h"

#include <thread>

#include "btf/btf_builder_test.h"
#include "cmd/core_test.h"
#include "helpers/traced.h"
#include "jit/trampoline.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {


/// Types of some of the functions of test runs.
struct some_types {
    ref<btf> types;
    u32 test1, test2, change;

    some_types() {
        btf_builder b;
        u32 i = b.int32(), w = b.integer("unsigned long", 8, 64), p = b.refer(btf_kind::pointer, i);
        test1 = b.func("bpf_fentry_test1", b.proto(i, {{"a", i, 0}}));
        test2 = b.func("bpf_fentry_test2", b.proto(i, {{"a", i, 0}, {"b", w, 0}}));
        change = b.func("bpf_modify_return_test", b.proto(i, {{"a", i, 0}, {"b", p, 0}}));
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};

std::vector<u64> seen;  ///< by the programs, in order
u64 result = 0;         ///< that they give

u64 see_entry(const void *ctx) {
    const u64 *w = static_cast<const u64 *>(ctx);
    seen.push_back(w[traced_arg_count]);
    seen.push_back(static_cast<u32>(w[0]));
    seen.push_back(w[traced_cookie]);
    return result;
}
u64 see_exit(const void *ctx) {
    const u64 *w = static_cast<const u64 *>(ctx);
    seen.push_back(static_cast<u32>(w[w[traced_arg_count]]));
    return result;
}

class trampolines : public core_test {
protected:
    some_types t;

    void SetUp() override {
        core_test::SetUp();
        seen.clear();
        result = 0;
    }
    ref<program> make_program(u32 target, u32 attach, u64 (*entry)(const void *), bool sleepable = false) {
        ref<program> p(adopt, make<program>(PORT_SLEEPING));
        p->type = find_prog_type(attach == BPF_LSM_MAC ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING);
        p->expected_attach_type = attach;
        p->attach_types = t.types;
        p->attach_btf_id = target;
        p->sleepable = sleepable;
        p->entry = entry;
        p->stats = static_cast<prog_stats *>(port_percpu_alloc(sizeof(prog_stats), alignof(prog_stats), PORT_SLEEPING));
        return p;
    }
    static u32 run(bool modify = false) {
        u32 ret = 0;
        EXPECT_EQ(port_call_test_functions(modify, &ret), 0);
        return ret;
    }
};

TEST_F(trampolines, ArgumentsResultsAndCookies) {
    auto at_entry = trampoline_attach(make_program(t.test2, BPF_TRACE_FENTRY, see_entry), 77);
    auto at_exit = trampoline_attach(make_program(t.test2, BPF_TRACE_FEXIT, see_exit), 78);
    ASSERT_TRUE(at_entry.ok() && at_exit.ok());
    run();
    EXPECT_EQ(seen, (std::vector<u64>{2, 2, 77, 5}));
    trampoline_detach((*at_entry).get());
    seen.clear();
    run();
    EXPECT_EQ(seen, std::vector<u64>{5});
    trampoline_detach((*at_exit).get());
    run();
    EXPECT_EQ(seen, std::vector<u64>{5});
}

TEST_F(trampolines, ChangedResults) {
    auto m = trampoline_attach(make_program(t.change, BPF_MODIFY_RETURN, see_entry), 0);
    ASSERT_TRUE(m.ok());
    u32 left_alone = run(true);
    result = 0xffffffff00000000; // the whole word counts
    EXPECT_EQ(run(true) >> 16, (left_alone >> 16) - 1);
    trampoline_detach((*m).get());
    EXPECT_EQ(run(true), left_alone);
}

/// At each allocation that attaching and detaching make, there is no memory.
TEST_F(trampolines, WithoutMemory) {
    for (bool sleepable : {false, true})
        for (u64 n = 1;; n++) {
            auto first = trampoline_attach(make_program(t.test1, BPF_TRACE_FEXIT, see_exit, sleepable), 0);
            ASSERT_TRUE(first.ok());
            ref<program> p = make_program(t.test1, BPF_TRACE_FENTRY, see_entry, sleepable);
            port_fail_nth_set(n);
            auto second = trampoline_attach(move(p), 0);
            bool failed = port_fail_nth_set(0) >= n;
            EXPECT_EQ(second.ok(), !failed);
            if (failed) {
                EXPECT_EQ(second.err().code(), ENOMEM);
            }
            seen.clear();
            run();
            EXPECT_EQ(seen.size(), failed ? 1u : 4u);
            port_fail_nth_set(n); // detaching always works
            trampoline_detach((*first).get());
            port_fail_nth_set(0);
            seen.clear();
            run();
            EXPECT_EQ(seen.size(), failed ? 0u : 3u);
            if (!failed)
                trampoline_detach((*second).get());
            seen.clear();
            run();
            EXPECT_TRUE(seen.empty());
            if (!failed)
                break;
        }
}

bool inside;  ///< the program runs. Atomic
bool go_on;   ///< it may end. Atomic

u64 waits(const void *) {
    __atomic_store_n(&inside, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
        std::this_thread::yield();
    return 0;
}

/// The text that a task sleeps in stays, whatever is attached and detached meanwhile.
TEST_F(trampolines, DetachedWhileATaskSleepsInIt) {
    inside = go_on = false;
    auto sleeper = trampoline_attach(make_program(t.test1, BPF_TRACE_FENTRY, waits, true), 0);
    ASSERT_TRUE(sleeper.ok());
    std::thread task([] { run(); });
    while (!__atomic_load_n(&inside, __ATOMIC_ACQUIRE))
        std::this_thread::yield();
    trampoline_detach((*sleeper).get());
    auto other = trampoline_attach(make_program(t.test1, BPF_TRACE_FEXIT, see_exit), 0);
    ASSERT_TRUE(other.ok());
    __atomic_store_n(&go_on, true, __ATOMIC_RELEASE);
    task.join();
    trampoline_detach((*other).get());
}

TEST_F(trampolines, OneProgramOnce) {
    ref<program> p = make_program(t.test1, BPF_TRACE_FENTRY, see_entry);
    auto first = trampoline_attach(p, 0), again = trampoline_attach(p, 0);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(again.err().code(), EBUSY);
    trampoline_detach((*first).get());
    auto later = trampoline_attach(p, 0);
    ASSERT_TRUE(later.ok());
    trampoline_detach((*later).get());
}

/// The calling convention: a structure of two words goes into registers whole or not at all, and what follows may still.
TEST(TrampolineWords, Placement) {
    constexpr u8 s = arg_words::on_stack;
    arg_words w;
    for (u32 bytes : {8u, 4u, 1u, 8u, 8u, 16u, 8u, 8u})
        ASSERT_TRUE(w.add(bytes));
    const u8 want[] = {0, 1, 2, 3, 4, s | 0, s | 1, 5, s | 2};
    ASSERT_EQ(w.count, count_of(want));
    for (u32 i = 0; i < w.count; i++)
        EXPECT_EQ(w.place[i], want[i]) << i;
    EXPECT_EQ(w.stack, 3);
    EXPECT_FALSE(w.add(17));
    EXPECT_FALSE(w.add(0));
}

}  // namespace
