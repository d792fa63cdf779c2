// SPDX-License-Identifier: GPL-2.0-only
// Helpers that take maps: that they reach the right operation with the right arguments, and pass on what it says.
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"
#include "helpers/packet.h"
#include "maps/arena.h"
#include "maps/map_test.h"
#include "maps/storage.h"

#include <string>

using namespace modbpf;
using std::string;

namespace {

s64 num(u64 r) {
    return static_cast<s64>(r);
}

TEST(map_helpers, elements) {
    test_map m(params_of(BPF_MAP_TYPE_HASH, 4, 8, 2));
    program_section p;
    u64 map = addr_of(m.m);
    u32 key = 7, other = 8;
    u64 value = 42;
    EXPECT_EQ(bpf_map_lookup_elem(map, addr_of(&key), 0, 0, 0), 0u);
    EXPECT_EQ(bpf_map_update_elem(map, addr_of(&key), addr_of(&value), BPF_NOEXIST, 0), 0u);
    EXPECT_EQ(num(bpf_map_update_elem(map, addr_of(&key), addr_of(&value), BPF_NOEXIST, 0)), -EEXIST);
    EXPECT_EQ(num(bpf_map_update_elem(map, addr_of(&other), addr_of(&value), BPF_EXIST, 0)), -ENOENT);
    u64 at = bpf_map_lookup_elem(map, addr_of(&key), 0, 0, 0);
    ASSERT_NE(at, 0u);
    EXPECT_EQ(*ptr_of<u64>(at), 42u);
    EXPECT_EQ(bpf_map_delete_elem(map, addr_of(&key), 0, 0, 0), 0u);
    EXPECT_EQ(num(bpf_map_delete_elem(map, addr_of(&key), 0, 0, 0)), -ENOENT);
}

TEST(map_helpers, pages_of_arenas) {
    constexpr u64 at = 0x100000000000;
    map_params params = params_of(BPF_MAP_TYPE_ARENA, 0, 0, 2, BPF_F_MMAPABLE);
    params.extra = at;
    test_map m(params), other(params_of(BPF_MAP_TYPE_ARRAY, 4, 4, 1));
    ASSERT_EQ(m.error, 0);
    auto there = [&] { return (*port_arena_pages(m->ops->arena(m.m)) & 1) != 0; };
    EXPECT_EQ(kfunc_arena_alloc_pages(addr_of(other.m), 0, 1, ~0ull, 0), 0u);
    EXPECT_EQ(kfunc_arena_alloc_pages(addr_of(m.m), 0, 1, ~0ull, 1), 0u) << "flags";
    EXPECT_FALSE(there());
    EXPECT_EQ(kfunc_arena_alloc_pages(addr_of(m.m), 0, 1, 0xffffffff, 0), at) << "a node of -1";
    kfunc_arena_free_pages(addr_of(other.m), at, 1, 0, 0);
    kfunc_arena_free_pages(addr_of(m.m), 0, 1, 0, 0);
    kfunc_arena_free_pages(addr_of(m.m), at, 0, 0, 0);
    EXPECT_TRUE(there());
    kfunc_arena_free_pages(addr_of(m.m), static_cast<u32>(at) + 5, 1, 0, 0); // the low 32 bits name the page
    EXPECT_FALSE(there());
}

TEST(map_helpers, storage_of_sockets) {
    ASSERT_TRUE(storage_start().ok());
    {
        map_params params = params_of(BPF_MAP_TYPE_SK_STORAGE, 4, 8, 0, BPF_F_NO_PREALLOC);
        params.typed = true;
        test_map m(params);
        ASSERT_EQ(m.error, 0);
        program_section p;
        u64 map = addr_of(m.m), init = 5;
        EXPECT_EQ(bpf_sk_storage_get(map, 0x1000, 0, 0, 0), 0u);
        EXPECT_EQ(bpf_sk_storage_get(map, 0x1000, 0, 2, 0), 0u); // flags
        EXPECT_EQ(bpf_sk_storage_get(map, 0, 0, 1, 0), 0u);
        EXPECT_EQ(bpf_sk_storage_get(map, port_user_small_socket, 0, 1, 0), 0u);
        u64 at = bpf_sk_storage_get(map, 0x1000, addr_of(&init), 1, 0);
        ASSERT_NE(at, 0u);
        EXPECT_EQ(*ptr_of<u64>(at), 5u);
        EXPECT_EQ(bpf_sk_storage_get_tracing(map, 0x1000, 0, 0, 0), at);
        EXPECT_EQ(num(bpf_sk_storage_delete(map, 0, 0, 0, 0)), -EINVAL);
        EXPECT_EQ(num(bpf_sk_storage_delete(map, port_user_small_socket, 0, 0, 0)), -EINVAL);
        EXPECT_EQ(bpf_sk_storage_delete(map, 0x1000, 0, 0, 0), 0u);
        EXPECT_EQ(num(bpf_sk_storage_delete_tracing(map, 0x1000, 0, 0, 0)), -ENOENT);
    }
    map_free_barrier();
    storage_stop();
}

/// A tail call is made while the run took little stack, or much is left; so deep nestings stop before the stack does.
__attribute__((noinline)) bool enters(map *m, size_t used) {
    run_ctx run{};
    run_scope scope(run);
    auto *deeper = static_cast<volatile u8 *>(__builtin_alloca(used + 1));
    *deeper = 0;
    return tail_call_target(m, 0) != nullptr;
}
TEST(tail_call_helper, stops_before_the_stack_does) {
    static runnable target;
    target.entry = [](const void *) -> u64 { return 0; };
    target.tail_entry = &target;
    prog_hooks = {
        .get = [](map *, int) -> result<runnable *> { return &target; },
        .put = [](runnable *) {},
        .id = [](runnable *) { return 1u; },
    };
    {
        test_map m(params_of(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1));
        program_section p;
        EXPECT_FALSE(enters(m.m, 0));  // an empty slot
        u32 key = 0, fd = 0;
        ASSERT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_ANY), 0);
        for (size_t left : {0, 4095, 4096, 1 << 20}) {
            port_user_set_stack_left(left);
            EXPECT_TRUE(enters(m.m, 0)) << left;  // no deeper than a program may go without tail calls
            EXPECT_EQ(enters(m.m, 3000), left >= 4096) << left;
        }
        target.tail_entry = nullptr;  // loaded for its verdict only
        EXPECT_FALSE(enters(m.m, 0));
    }
    prog_hooks = {};
}

TEST(ringbuf_helpers, reserve_submit_output_query) {
    test_map m(params_of(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096));
    program_section p;
    u64 map = addr_of(m.m);
    EXPECT_EQ(bpf_ringbuf_reserve(map, 8, 1, 0, 0), 0u);  // flags
    EXPECT_EQ(bpf_ringbuf_reserve(map, 4096, 0, 0, 0), 0u);
    u64 a = bpf_ringbuf_reserve(map, 8, 0, 0, 0);
    ASSERT_NE(a, 0u);
    EXPECT_EQ(bpf_ringbuf_query(map, BPF_RB_PROD_POS, 0, 0, 0), 16u);
    bpf_ringbuf_submit(a, BPF_RB_NO_WAKEUP, 0, 0, 0);
    EXPECT_EQ(*ptr_of<u32>(a - 8), 8u);
    u64 b = bpf_ringbuf_reserve(map, 8, 0, 0, 0);
    ASSERT_NE(b, 0u);
    bpf_ringbuf_discard(b, BPF_RB_NO_WAKEUP, 0, 0, 0);
    EXPECT_EQ(*ptr_of<u32>(b - 8), 8u | BPF_RINGBUF_DISCARD_BIT);
    EXPECT_EQ(bpf_ringbuf_output(map, addr_of("text"), 5, BPF_RB_NO_WAKEUP, 0), 0u);
    EXPECT_EQ(num(bpf_ringbuf_output(map, addr_of("text"), 5, 4, 0)), -EINVAL);
    EXPECT_EQ(num(bpf_ringbuf_output(map, addr_of("text"), 1ull << 32, 0, 0)), -EAGAIN);  // 64-bit size, not cut to 0
    EXPECT_EQ(bpf_ringbuf_query(map, BPF_RB_RING_SIZE, 0, 0, 0), 4096u);
    EXPECT_EQ(bpf_ringbuf_query(map, 99, 0, 0, 0), 0u);
}

/// A perf event that remembers what was written.
struct fake_sink : perf_sink {
    string text;
    fake_sink() {
        output = [](perf_sink *s, const void *a, size_t an, const void *b, size_t bn) -> long {
            auto *f = static_cast<fake_sink *>(s);
            f->text.assign(static_cast<const char *>(a), an);
            if (bn)
                f->text.append("+").append(static_cast<const char *>(b), bn);
            return 0;
        };
    }
};
fake_sink sinks[2];

class perf_helper : public ::testing::Test {
protected:
    void SetUp() override {
        perf_hooks = {[](int fd) -> result<perf_sink *> { return static_cast<perf_sink *>(&sinks[fd]); },
                      [](perf_sink *) {}};
    }
    void TearDown() override { perf_hooks = {}; }
};

TEST_F(perf_helper, picks_the_slot) {
    u32 cpus = port_cpu_count();
    test_map m(params_of(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, cpus + 1));
    u64 map = addr_of(m.m);
    auto put = [&](u32 index, u32 fd) { return m->ops->update_user(m.m, &index, &fd, BPF_ANY); };
    auto write = [&](u64 flags) { return num(bpf_perf_event_output(0, map, flags, addr_of("abc"), 3)); };
    program_section p;
    u32 cpu = port_cpu_id();
    EXPECT_EQ(write(BPF_F_CURRENT_CPU), -ENOENT);
    sinks[0].cpu = cpu;
    sinks[1].cpu = cpu + 1;
    ASSERT_EQ(put(cpu, 0), 0);
    ASSERT_EQ(put(cpus, 1), 0);
    EXPECT_EQ(write(BPF_F_CURRENT_CPU), 0);
    EXPECT_EQ(sinks[0].text, "abc");
    EXPECT_EQ(write(cpu), 0);
    EXPECT_EQ(write(cpus), -EOPNOTSUPP);  // an event of another CPU
    EXPECT_EQ(write(cpus + 1), -E2BIG);
    EXPECT_EQ(write(0xfffffffe), -E2BIG);
    EXPECT_EQ(write(cpu | 1ull << 32), -EINVAL);  // packet bytes, but no packet
    EXPECT_EQ(write(cpu | 1ull << 52), -EINVAL);
}

TEST_F(perf_helper, appends_packet_bytes) {
    test_map m(params_of(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, port_cpu_count()));
    u64 map = addr_of(m.m);
    program_section p;
    u32 cpu = port_cpu_id(), fd = 0;
    sinks[0].cpu = cpu;
    ASSERT_EQ(m->ops->update_user(m.m, &cpu, &fd, BPF_ANY), 0);
    char frame[] = "PACKET";
    packet_run packet{};
    packet.data = addr_of(frame);
    packet.data_end = packet.data + 6;
    run_ctx run{.packet = &packet};
    run_scope scope(run);
    auto write = [&](u64 bytes, u64 more = 0) {
        return num(
            bpf_perf_event_output(addr_of(&packet), map, BPF_F_CURRENT_CPU | bytes << 32 | more, addr_of("m"), 1));
    };
    EXPECT_EQ(write(4), 0);
    EXPECT_EQ(sinks[0].text, "m+PACK");
    EXPECT_EQ(write(6), 0);
    EXPECT_EQ(write(7), -EFAULT);
    EXPECT_EQ(write(0, 1ull << 52), -EINVAL);
    packet.frag_size = 1;
    EXPECT_EQ(write(7), -EOPNOTSUPP);
}

}  // namespace
