// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <random>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 type = BPF_MAP_TYPE_BLOOM_FILTER;

map_params params(u32 value_size, u32 entries, u64 extra = 0, u32 flags = 0) {
    map_params p = params_of(type, 0, value_size, entries, flags);
    p.extra = extra;
    return p;
}

bool has(map *m, u64 value) {
    program_section p;
    long r = m->ops->peek(m, &value);
    EXPECT_TRUE(!r || r == -ENOENT);
    return !r;
}

TEST(bloom, refuses_what_linux_refuses) {
    auto code = [](const map_params &p) { return test_map(p).error; };
    EXPECT_EQ(code(params(8, 10)), 0);
    EXPECT_EQ(code(params(8, 10, 15)), 0);
    EXPECT_EQ(code(params(8, 10, 16)), -EINVAL);
    EXPECT_EQ(code(params(0, 10)), -EINVAL);
    EXPECT_EQ(code(params(8, 0)), -EINVAL);
    EXPECT_EQ(code(params((4 << 20) + 1, 10)), -E2BIG);
    EXPECT_EQ(code(params_of(type, 4, 8, 10)), -EINVAL);
    EXPECT_EQ(code(params(8, 10, 0, BPF_F_NO_PREALLOC)), -EINVAL);
    EXPECT_EQ(code(params(8, 10, 0, BPF_F_ZERO_SEED)), 0);
}

TEST(bloom, never_forgets_and_seldom_errs) {
    for (u32 flags : {0u, +BPF_F_ZERO_SEED})
        for (u64 hashes : {1, 3, 5, 15}) {
            test_map m(params(8, 2000, hashes, flags));
            for (u64 v = 0; v < 2000; v++) {
                program_section p;
                u64 value = v * 77;
                ASSERT_EQ(m.ops->push(m.m, &value, BPF_ANY), 0);
            }
            u32 wrong = 0;
            for (u64 v = 0; v < 2000; v++) {
                ASSERT_TRUE(has(m.m, v * 77));
                wrong += has(m.m, 1000000 + v * 13);
            }
            EXPECT_LE(wrong, hashes == 1 ? 1200u : 300u) << hashes;
        }
}

TEST(bloom, answers) {
    test_map m(params(8, 10));
    u64 v = 5;
    for (u64 flags : {1ull, 2ull, 4ull, 1ull << 32})
        EXPECT_EQ(m.ops->update_user(m.m, nullptr, &v, flags), -EINVAL);
    EXPECT_EQ(m.ops->lookup_user(m.m, nullptr, &v, 0), -ENOENT);
    EXPECT_EQ(m.ops->update_user(m.m, nullptr, &v, 0), 0);
    EXPECT_EQ(m.ops->lookup_user(m.m, nullptr, &v, 0), 0);
    EXPECT_EQ(m.ops->remove_user(m.m, &v), -EOPNOTSUPP);
    EXPECT_EQ(m.ops->next_key(m.m, nullptr, &v), -EOPNOTSUPP);
}

TEST(bloom, races) {
    test_map m(params(8, 4000));
    std::vector<std::thread> all;
    for (u64 t = 0; t < 4; t++)
        all.emplace_back([&, t] {
            for (u64 i = 0; i < 1000; i++) {
                program_section p;
                u64 v = t << 32 | i;
                m.ops->push(m.m, &v, 0);
            }
        });
    for (std::thread &t : all)
        t.join();
    for (u64 t = 0; t < 4; t++)
        for (u64 i = 0; i < 1000; i++)
            ASSERT_TRUE(has(m.m, t << 32 | i));
}

TEST(bloom, memory_is_what_linux_takes) {
    test_map m(params(8, 1000, 5));
    EXPECT_LE(m.ops->memory(m.m), 8192 / 8 + 512u);
}

}  // namespace
