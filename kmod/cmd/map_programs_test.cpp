// SPDX-License-Identifier: GPL-2.0-only
// Programs that use maps, verified, compiled and run here: what each map type is for them.
#include "cmd/code_test.h"
#include "prog/test_run.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

using code = insns;
code add(u8 dst, s32 v) { return {{BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, v}}; }
code st4(u8 base, s16 off, s32 v) { return {{BPF_ST | BPF_MEM | BPF_W, base, 0, off, v}}; }
code st8(u8 base, s16 off, s32 v) { return {{BPF_ST | BPF_MEM | BPF_DW, base, 0, off, v}}; }
code ld4(u8 dst, u8 src, s16 off) { return {{BPF_LDX | BPF_MEM | BPF_W, dst, src, off, 0}}; }
/// reg = address of fp[off]
code fp(u8 reg, s32 off) { return mov(reg, BPF_REG_10) + add(reg, off); }

/// r0 of one run.
class map_programs : public core_test {
protected:
    static s64 run(const fd &prog) {
        u8 packet[64] = {};
        test_run_attr a{};
        a.prog_fd = prog.u();
        a.data_in = addr_of(packet);
        a.data_size_in = sizeof(packet);
        long rc = bpf(BPF_PROG_TEST_RUN, a);
        return rc ? rc : static_cast<s32>(a.retval);
    }
    static fd program(const code &c) {
        fd p = load(BPF_PROG_TYPE_SCHED_CLS, c);
        EXPECT_TRUE(p.ok()) << p.get();
        return p;
    }
    static s64 run(const code &c) { return run(program(c)); }
};

TEST_F(map_programs, cgroup_array) {
    fd groups = make_map(BPF_MAP_TYPE_CGROUP_ARRAY, 4, 4, 2), plain(open("/", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(groups.ok());
    u32 key = 0, value = plain.u(), next = 9;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, groups, &key, &value), -ENOTSUPP);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, groups, &key, &value), -EBADF);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, groups, &key, &value, BPF_NOEXIST), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, groups, &key, nullptr), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, groups, &key, &next), 0);
    EXPECT_EQ(next, 1u);
    key = 2;
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, groups, &key, &value), -E2BIG);
    auto under = [&](s32 index, s32 helper) {
        code args = helper == BPF_FUNC_skb_under_cgroup ? ld_map(BPF_REG_2, groups) + imm(BPF_REG_3, index)
                                                        : ld_map(BPF_REG_1, groups) + imm(BPF_REG_2, index);
        return program(args + call(helper) + stop());
    };
    EXPECT_EQ(run(under(0, BPF_FUNC_skb_under_cgroup)), -EAGAIN);
    EXPECT_EQ(run(under(2, BPF_FUNC_skb_under_cgroup)), -E2BIG);
    fd root(open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY));
    if (!root.ok())
        root = fd(open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY));
    key = 0, value = root.u();
    if (elem(BPF_MAP_UPDATE_ELEM, groups, &key, &value))
        GTEST_SKIP() << "the unified hierarchy is not mounted";
    EXPECT_EQ(run(under(0, BPF_FUNC_skb_under_cgroup)), 1);
    char child[] = "/sys/fs/cgroup/unified/modbpf-test-XXXXXX";
    if (mkdtemp(child)) {
        fd empty(open(child, O_RDONLY | O_DIRECTORY));
        key = 1, value = empty.u();
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, groups, &key, &value), 0);
        EXPECT_EQ(run(under(1, BPF_FUNC_skb_under_cgroup)), 0);
        EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, groups, &key, nullptr), 0);
        EXPECT_EQ(run(under(1, BPF_FUNC_skb_under_cgroup)), -EAGAIN);
        rmdir(child);
    }
}

TEST_F(map_programs, maps_in_maps) {
    for (u32 type : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS}) {
        fd first = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1), second = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
        map_create_attr a = map_attr(type, 4, 4, 2);
        a.inner_map_fd = first.u();
        fd outer(bpf(BPF_MAP_CREATE, a));
        ASSERT_TRUE(outer.ok());
        u32 key = 0, value = 7, fd_of = first.u(), id = 0;
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, first, &key, &value), 0);
        value = 8;
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, second, &key, &value), 0);
        fd prog = program(st4(BPF_REG_10, -4, 0) + ld_map(BPF_REG_1, outer) + fp(BPF_REG_2, -4) + call(BPF_FUNC_map_lookup_elem) +
                          null_is(-1) + mov(BPF_REG_1, BPF_REG_0) + fp(BPF_REG_2, -4) + call(BPF_FUNC_map_lookup_elem) + null_is(-2) +
                          ld4(BPF_REG_0, BPF_REG_0, 0) + stop());
        EXPECT_EQ(run(prog), -1);
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, outer, &key, &fd_of), 0);
        EXPECT_EQ(run(prog), 7);
        fd_of = second.u();
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, outer, &key, &fd_of), 0);
        bpf_map_info info{};
        ASSERT_EQ(get_info(second, info), 0);
        ASSERT_EQ(elem(BPF_MAP_LOOKUP_ELEM, outer, &key, &id), 0);
        EXPECT_EQ(id, info.id);
        second.close();  // the slot keeps it
        EXPECT_EQ(run(prog), 8);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, outer, &key, &fd_of), -EBADF);
        ASSERT_EQ(elem(BPF_MAP_DELETE_ELEM, outer, &key, nullptr), 0);
        EXPECT_EQ(run(prog), -1);
        fd_of = outer.u();
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, outer, &key, &fd_of), -EINVAL);
    }
}

TEST_F(map_programs, queues_and_stacks) {
    for (u32 type : {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK}) {
        fd q = make_map(type, 0, 4, 2);
        ASSERT_TRUE(q.ok());
        auto push = [&](s32 v, s32 flags) {
            return run(st4(BPF_REG_10, -4, v) + ld_map(BPF_REG_1, q) + fp(BPF_REG_2, -4) + imm(BPF_REG_3, flags) +
                       call(BPF_FUNC_map_push_elem) + stop());
        };
        // 100 + the value, or the errno.
        auto get = [&](s32 helper) {
            return run(ld_map(BPF_REG_1, q) + fp(BPF_REG_2, -4) + call(helper) +
                       code{{BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 1, 0}} + stop() + ld4(BPF_REG_0, BPF_REG_10, -4) + add(BPF_REG_0, 100) +
                       stop());
        };
        bool stack = type == BPF_MAP_TYPE_STACK;
        EXPECT_EQ(get(BPF_FUNC_map_pop_elem), -ENOENT);
        EXPECT_EQ(push(1, 0), 0);
        EXPECT_EQ(push(2, 0), 0);
        EXPECT_EQ(push(3, 0), -E2BIG);
        EXPECT_EQ(push(3, BPF_NOEXIST), -EINVAL);
        EXPECT_EQ(push(3, BPF_EXIST), 0);
        EXPECT_EQ(get(BPF_FUNC_map_peek_elem), stack ? 103 : 102);
        EXPECT_EQ(get(BPF_FUNC_map_pop_elem), stack ? 103 : 102);
        u32 out = 0;
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, q, nullptr, &out), 0);
        EXPECT_EQ(out, stack ? 2u : 3u);
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, q, &out, &out), -EINVAL);  // there are no keys
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, q, nullptr, &out), 0);
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, q, nullptr, &out), -ENOENT);
        EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, q, nullptr, &out), 0);
        EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, q, nullptr, nullptr), -EINVAL);
    }
}

TEST_F(map_programs, sets) {
    map_create_attr a = map_attr(BPF_MAP_TYPE_BLOOM_FILTER, 0, 4, 100);
    a.map_extra = 3;
    fd m(bpf(BPF_MAP_CREATE, a));
    ASSERT_TRUE(m.ok());
    auto ask = [&](s32 v) {
        return run(st4(BPF_REG_10, -4, v) + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -4) + call(BPF_FUNC_map_peek_elem) + stop());
    };
    EXPECT_EQ(ask(7), -ENOENT);
    EXPECT_EQ(run(st4(BPF_REG_10, -4, 7) + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -4) + imm(BPF_REG_3, 0) +
                  call(BPF_FUNC_map_push_elem) + stop()),
              0);
    EXPECT_EQ(ask(7), 0);
    u32 value = 7, other = 8;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, nullptr, &value), 0);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, nullptr, &other), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, nullptr, nullptr), -EFAULT);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &value, &value), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, nullptr, &other), 0);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, nullptr, &other), 0);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, m, nullptr, nullptr), -EOPNOTSUPP);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, m, nullptr, &value), -ENOTSUPP);
}

/// Each CPU's value, by its number.
TEST_F(map_programs, values_of_other_cpus) {
    for (u32 type : {BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        fd m = make_map(type, 4, 8, 1);
        u32 key = 0, cpus = port_cpu_count();
        std::vector<u64> values(cpus);
        for (u32 i = 0; i < cpus; i++)
            values[i] = 100 + i;
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, values.data()), 0);
        for (u32 cpu : {0u, cpus - 1, cpus, 0x7fffffffu}) {
            s64 got = run(st4(BPF_REG_10, -4, 0) + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -4) + imm(BPF_REG_3, static_cast<s32>(cpu)) +
                          call(BPF_FUNC_map_lookup_percpu_elem) + null_is(-1) + ld4(BPF_REG_0, BPF_REG_0, 0) + stop());
            EXPECT_EQ(got, cpu < cpus ? static_cast<s64>(100 + cpu) : -1);
        }
    }
}

/// Call chains: of the map, and into the program's memory, which is never left uninitialised.
TEST_F(map_programs, stacks) {
    const u64 ips[] = {0x11, 0x22, 0x33};
    port_user_set_stack(false, ips, 3);
    fd m = make_map(BPF_MAP_TYPE_STACK_TRACE, 4, 4 * 8, 8);
    ASSERT_TRUE(m.ok());
    auto traced = [&](const code &c) {
        fd p = load(BPF_PROG_TYPE_RAW_TRACEPOINT, c);
        EXPECT_TRUE(p.ok()) << p.get();
        test_run_attr a{};
        a.prog_fd = p.u();
        long rc = bpf(BPF_PROG_TEST_RUN, a);
        return rc ? rc : static_cast<s64>(static_cast<s32>(a.retval));
    };
    s64 id = traced(ld_map(BPF_REG_2, m) + imm(BPF_REG_3, 1) + call(BPF_FUNC_get_stackid) + stop());
    ASSERT_GE(id, 0);
    u64 out[4] = {9, 9, 9, 9};
    u32 key = static_cast<u32>(id);
    ASSERT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, out), 0);
    EXPECT_EQ(out[0], 0x22u);
    EXPECT_EQ(out[1], 0x33u);
    EXPECT_EQ(out[2], 0u);
    // bpf_get_stack of `size` bytes; then the word at fp - 32 + 8 * which.
    auto get = [&](s32 size, s32 flags, s32 which) {
        code fill;
        for (s32 i = 0; i < 4; i++)
            fill = fill + st8(BPF_REG_10, static_cast<s16>(-32 + 8 * i), 0x77);
        code read = which < 0 ? code{} : ld4(BPF_REG_0, BPF_REG_10, static_cast<s16>(-32 + 8 * which));
        return traced(fill + fp(BPF_REG_2, -32) + imm(BPF_REG_3, size) + imm(BPF_REG_4, flags) + call(BPF_FUNC_get_stack) + read + stop());
    };
    EXPECT_EQ(get(32, 0, -1), 24);
    EXPECT_EQ(get(32, 0, 0), 0x11);
    EXPECT_EQ(get(32, 0, 3), 0);
    EXPECT_EQ(get(16, 0, -1), 16);
    EXPECT_EQ(get(32, 3, -1), 0);
    EXPECT_EQ(get(32, 4, -1), -EFAULT);
    EXPECT_EQ(get(32, 4, 1), 0);
    EXPECT_EQ(get(12, 0, -1), -EINVAL);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID, -1), -EINVAL);
    EXPECT_EQ(get(24, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, -1), -EINVAL);
    const u64 of_user[] = {0x5555};
    const u8 id_of_file[20] = {7};
    port_user_set_stack(true, of_user, 1);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, -1), 32);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, 0), PORT_BUILD_ID_IP);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, 3), 0x5555);
    port_user_set_build_id(id_of_file, 0x5000);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, 0), PORT_BUILD_ID_VALID);
    EXPECT_EQ(get(32, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK, 3), 0x555);
    port_user_set_build_id(nullptr, 0);
    port_user_set_stack(true, nullptr, 0);
    EXPECT_EQ(get(32, 1 << 12, 0), 0);
    port_user_set_stack(false, nullptr, 0);
}

TEST_F(map_programs, look_up_and_update) {
    struct {
        u32 type, key_size, flags;
    } rows[] = {{BPF_MAP_TYPE_LRU_HASH, 8, 0},
                {BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, BPF_F_NO_COMMON_LRU},
                {BPF_MAP_TYPE_LPM_TRIE, 8, BPF_F_NO_PREALLOC}};
    for (const auto &r : rows) {
        fd m = make_map(r.type, r.key_size, 8, 4, r.flags);
        ASSERT_TRUE(m.ok());
        code key = st4(BPF_REG_10, -8, 24) + st4(BPF_REG_10, -4, 0x00010203);
        code update = key + st8(BPF_REG_10, -16, 5) + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -8) + fp(BPF_REG_3, -16) + imm(BPF_REG_4, 0) +
                      call(BPF_FUNC_map_update_elem) + stop();
        code lookup = key + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -8) + call(BPF_FUNC_map_lookup_elem) + null_is(-1) +
                      ld4(BPF_REG_0, BPF_REG_0, 0) + stop();
        code remove = key + ld_map(BPF_REG_1, m) + fp(BPF_REG_2, -8) + call(BPF_FUNC_map_delete_elem) + stop();
        EXPECT_EQ(run(lookup), -1);
        EXPECT_EQ(run(update), 0);
        EXPECT_EQ(run(remove), 0);
        EXPECT_EQ(run(remove), -ENOENT);
        EXPECT_EQ(run(lookup), -1);
        if (r.type != BPF_MAP_TYPE_LRU_PERCPU_HASH) {  // whose values are each CPU's own
            EXPECT_EQ(run(update), 0);
            EXPECT_EQ(run(lookup), 5);
        }
    }
}

}  // namespace
