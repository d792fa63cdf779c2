// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 type = BPF_MAP_TYPE_STACK_TRACE;

long keep(map *m, const std::vector<u64> &ips, u64 flags = 0) {
    port_user_set_stack(flags & BPF_F_USER_STACK, ips.data(), static_cast<u32>(ips.size()));
    program_section p;
    return stack_trace_keep(m, nullptr, nullptr, flags);
}

std::vector<u64> read(map *m, long id) {
    std::vector<u64> v(m->params.value_size / 8, 0xcc);
    u32 key = static_cast<u32>(id);
    EXPECT_EQ(m->ops->lookup_user(m, &key, v.data(), 0), 0);
    return v;
}

struct stacks : testing::Test {
    void TearDown() override {
        port_user_set_stack(false, nullptr, 0);
        port_user_set_stack(true, nullptr, 0);
    }
};

TEST_F(stacks, refuses_what_linux_refuses) {
    auto code = [](const map_params &p) { return test_map(p).error; };
    EXPECT_EQ(code(params_of(type, 4, 8, 1)), 0);
    EXPECT_EQ(code(params_of(type, 8, 8, 1)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 12, 1)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 0, 1)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 8, 0)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 127 * 8, 1)), 0);
    EXPECT_EQ(code(params_of(type, 4, 128 * 8, 1)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 40, 1, BPF_F_STACK_BUILD_ID)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 8, 1, BPF_F_RDONLY_PROG)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 8, (1u << 31) + 1)), -E2BIG);
}

/// CVE-2021-41864, CVE-2024-26883: chains times their size need 64 bits (32 would keep some kilobytes), and so does the power of two
/// from 2^31 entries up.
TEST_F(stacks, sizes_do_not_wrap) {
    for (u32 entries : {1u << 29, 1u << 30, (1u << 31) - 1, 1u << 31})
        EXPECT_NE(test_map(params_of(type, 4, 127 * 8, entries)).error, 0) << entries;
    for (u32 entries : {(1u << 31) + 1, ~0u})
        EXPECT_EQ(test_map(params_of(type, 4, 8, entries)).error, -E2BIG) << entries;
    test_map small(params_of(type, 4, 127 * 8, 1000));
    ASSERT_EQ(small.error, 0);
    EXPECT_GE(small.ops->memory(small.m), 1000u * 127 * 8);
}

/// Addresses become places in files; those that are in none stay as they are.
TEST_F(stacks, build_ids) {
    const u8 id_of_file[20] = {1, 2, 3};
    test_map m(params_of(type, 4, 64, 8, BPF_F_STACK_BUILD_ID));
    ASSERT_EQ(m.error, 0);
    port_user_set_build_id(id_of_file, 0x1000);
    auto take = [&](std::vector<u64> ips, u64 flags) {
        port_build_id out[2];
        port_user_set_stack(flags & BPF_F_USER_STACK, ips.data(), static_cast<u32>(ips.size()));
        long key = -1;
        {
            program_section s;
            key = stack_trace_keep(m.m, nullptr, nullptr, flags);
        }
        EXPECT_GE(key, 0);
        u32 k = static_cast<u32>(key);
        EXPECT_EQ(m->ops->lookup_user(m.m, &k, out, 0), 0);
        return std::vector<port_build_id>(out, out + 2);
    };
    auto user = take({0x1234, 0x20}, BPF_F_USER_STACK);
    EXPECT_EQ(user[0].status, PORT_BUILD_ID_VALID);
    EXPECT_EQ(user[0].ip, 0x234u);
    EXPECT_FALSE(memcmp(user[0].id, id_of_file, 20));
    EXPECT_EQ(user[1].status, PORT_BUILD_ID_IP);
    EXPECT_EQ(user[1].ip, 0x20u);
    EXPECT_EQ(user[1].id[0], 0);
    auto kernel = take({0x1234, 0x2000, 0x3000}, BPF_F_REUSE_STACKID); // as many as fit
    EXPECT_EQ(kernel[0].status, PORT_BUILD_ID_IP);
    EXPECT_EQ(kernel[0].ip, 0x1234u);
    auto short_one = take({0x5000}, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
    EXPECT_EQ(short_one[0].ip, 0x4000u);
    EXPECT_EQ(short_one[1].status, 0);
    port_user_set_build_id(nullptr, 0);
    port_user_set_stack(true, nullptr, 0);
    port_user_set_stack(false, nullptr, 0);
}

TEST_F(stacks, keeps_chains) {
    test_map m(params_of(type, 4, 5 * 8, 64));
    std::vector<u64> ips = {10, 20, 30};
    long id = keep(m.m, ips);
    ASSERT_GE(id, 0);
    ASSERT_LT(id, 64);
    EXPECT_EQ(keep(m.m, ips), id);
    EXPECT_EQ(read(m.m, id), (std::vector<u64>{10, 20, 30, 0, 0}));
    EXPECT_EQ(read(m.m, id), (std::vector<u64>{10, 20, 30, 0, 0}));  // it was put back
    EXPECT_EQ(keep(m.m, {5, 10, 20, 30}, 1), id);                    // without the first one
    EXPECT_EQ(keep(m.m, ips, 3), -EFAULT);                           // nothing is left
    EXPECT_EQ(keep(m.m, ips, 4), -EFAULT);
    EXPECT_EQ(keep(m.m, {}), -EFAULT);
    EXPECT_EQ(keep(m.m, ips, 1u << 12), -EINVAL);
    long user = keep(m.m, {7, 8, 9, 10, 11, 12, 13}, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
    EXPECT_EQ(read(m.m, user), (std::vector<u64>{7, 8, 9, 10, 11}));
    u32 key = 64, value = 0;
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, &value, 0), -ENOENT);
    EXPECT_EQ(m.ops->remove_user(m.m, &key), -E2BIG);
    EXPECT_EQ(m.ops->update_user(m.m, &key, &value, 0), -EINVAL);
    key = static_cast<u32>(user);
    EXPECT_EQ(m.ops->remove_user(m.m, &key), 0);
    EXPECT_EQ(m.ops->remove_user(m.m, &key), -ENOENT);
}

/// Two chains of one bucket: the second one is refused, or takes the first one's place; `fast` asks for the hash alone.
TEST_F(stacks, collisions) {
    test_map m(params_of(type, 4, 8, 1));
    long a = keep(m.m, {1});
    ASSERT_EQ(a, 0);
    EXPECT_EQ(keep(m.m, {2}), -EEXIST);
    EXPECT_EQ(keep(m.m, {2}, BPF_F_FAST_STACK_CMP), -EEXIST);
    EXPECT_EQ(read(m.m, 0), std::vector<u64>{1});
    for (u64 i = 2; i < 50; i++) {
        EXPECT_EQ(keep(m.m, {i}, BPF_F_REUSE_STACKID), 0);
        EXPECT_EQ(read(m.m, 0), std::vector<u64>{i});
        EXPECT_EQ(keep(m.m, {i}, BPF_F_FAST_STACK_CMP), 0);
    }
}

TEST_F(stacks, full_and_iteration) {
    test_map m(params_of(type, 4, 16, 10));  // 16 buckets
    std::set<u32> ids, seen;
    long r = 0;
    u32 refused = 0;
    for (u64 i = 1; ids.size() < 10 && i < 10000; i++)
        if ((r = keep(m.m, {i, i * i})) >= 0)
            ids.insert(static_cast<u32>(r));
    ASSERT_EQ(ids.size(), 10u);
    for (u64 i = 10000; i < 10200; i++) {
        r = keep(m.m, {i, i * i});
        EXPECT_TRUE(r == -ENOMEM || r == -EEXIST) << r;
        refused += r == -ENOMEM;
    }
    EXPECT_GT(refused, 0u);
    u32 key = 0, next = 0;
    for (void *at = nullptr; !m.ops->next_key(m.m, at, &next); key = next, at = &key)
        seen.insert(next);
    EXPECT_EQ(seen, ids);
    for (u32 id : ids)
        EXPECT_EQ(m.ops->remove_user(m.m, &id), 0);
    EXPECT_EQ(m.ops->next_key(m.m, nullptr, &next), -ENOENT);
    for (u64 i = 1; i < 11; i++)  // no element was lost
        EXPECT_GE(keep(m.m, {i, i}, BPF_F_REUSE_STACKID), 0);
}

TEST_F(stacks, races) {
    test_map m(params_of(type, 4, 32, 16));
    std::atomic<u64> bad{0};
    const u64 ips[] = {3, 3, 3, 3};
    port_user_set_stack(false, ips, 4);
    std::vector<std::thread> all;
    for (u32 t = 0; t < 4; t++)
        all.emplace_back([&, t] {
            for (u32 i = 0; i < 20000; i++) {
                if (t < 2) {
                    program_section p;
                    long r = stack_trace_keep(m.m, nullptr, nullptr, (i & 3) | BPF_F_REUSE_STACKID);
                    if (r < 0 && r != -ENOMEM)
                        bad++;
                    continue;
                }
                u32 key = i % 16;
                u64 value[4];
                long r = t == 2 ? m.ops->lookup_user(m.m, &key, value, 0) : m.ops->remove_user(m.m, &key);
                if (r && r != -ENOENT)
                    bad++;
                if (t == 2 && !r)
                    for (u32 n = 0; n < 4; n++)
                        if (value[n] != 3 && (value[n] || !n))
                            bad++;
            }
        });
    for (std::thread &t : all)
        t.join();
    EXPECT_EQ(bad, 0u);
    for (u32 key = 0; key < 16; key++)
        m.ops->remove_user(m.m, &key);
    u32 kept = 0;
    for (u64 i = 1; i < 10000 && kept < 16; i++)
        kept += keep(m.m, {i, i}) >= 0;
    EXPECT_EQ(kept, 16u);
}

TEST_F(stacks, allocation_failures) {
    for (u64 nth = 1;; nth++) {
        port_fail_nth_set(nth);
        test_map m(params_of(type, 4, 64, 100));
        port_fail_nth_set(0);
        if (!m.error) {
            EXPECT_GE(nth, 4u);
            break;
        }
        ASSERT_EQ(m.error, -ENOMEM);
    }
}

}  // namespace
