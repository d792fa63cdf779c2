// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <string.h>
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 type = BPF_MAP_TYPE_LPM_TRIE;
constexpr u32 flags = BPF_F_NO_PREALLOC;

using bytes = std::vector<u8>;

bytes key_of(u32 length, bytes data) {
    bytes k(4);
    memcpy(k.data(), &length, 4);
    k.insert(k.end(), data.begin(), data.end());
    return k;
}

bool bit(const bytes &key, u32 i) {
    return key[4 + i / 8] >> (7 - i % 8) & 1;
}
u32 length(const bytes &key) {
    u32 n;
    memcpy(&n, key.data(), 4);
    return n;
}
bool begins_with(const bytes &key, const bytes &prefix) {
    if (length(key) < length(prefix))
        return false;
    for (u32 i = 0; i < length(prefix); i++)
        if (bit(key, i) != bit(prefix, i))
            return false;
    return true;
}
bool same_prefix(const bytes &a, const bytes &b) {
    return length(a) == length(b) && begins_with(a, b);
}

/// All prefixes in a row, looked through from end to end.
struct model {
    std::vector<std::pair<bytes, u64>> all;
    auto find(const bytes &key) {
        return std::find_if(all.begin(), all.end(), [&](auto &e) { return same_prefix(e.first, key); });
    }
    const u64 *longest(const bytes &key) {
        const std::pair<bytes, u64> *best = nullptr;
        for (auto &e : all)
            if (begins_with(key, e.first) && (!best || length(e.first) > length(best->first)))
                best = &e;
        return best ? &best->second : nullptr;
    }
};

TEST(lpm, refuses_what_linux_refuses) {
    auto code = [](const map_params &p) { return test_map(p).error; };
    EXPECT_EQ(code(params_of(type, 8, 8, 4, flags)), 0);
    EXPECT_EQ(code(params_of(type, 8, 8, 4, 0)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 8, 8, 0, flags)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 8, 4, flags)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 5, 8, 4, flags)), 0);
    EXPECT_EQ(code(params_of(type, 260, 8, 4, flags)), 0);
    EXPECT_EQ(code(params_of(type, 261, 8, 4, flags)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 8, 0, 4, flags)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 8, (4 << 20) - 295, 4, flags)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 8, 8, 4, flags | BPF_F_ZERO_SEED)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 8, 8, 4, flags | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)), -EINVAL);
}

TEST(lpm, agrees_with_a_model) {
    std::mt19937 rng(3);
    for (u32 size : {1u, 2u, 4u, 7u, 8u, 16u, 33u}) {
        test_map m(params_of(type, 4 + size, 8, 40, flags));
        ASSERT_EQ(m.error, 0);
        model expected;
        for (u32 step = 0; step < 4000; step++) {
            bytes data(size);
            for (u8 &b : data)
                b = rng() % 3 ? 0xa5 : static_cast<u8>(rng());
            bytes key = key_of(rng() % (size * 8 + 1), data);
            u64 value = rng(), how = rng() % 3;
            auto at = expected.find(key);
            bool there = at != expected.all.end();
            program_section p;
            switch (rng() % 4) {
                case 0:
                case 1: {
                    long r = there ? (how == BPF_NOEXIST ? -EEXIST : 0)
                                   : how == BPF_EXIST ? -ENOENT : expected.all.size() == 40 ? -ENOSPC : 0;
                    ASSERT_EQ(m.ops->update(m.m, key.data(), &value, how), r) << step;
                    if (!r && there)
                        at->second = value, at->first = key;
                    else if (!r)
                        expected.all.emplace_back(key, value);
                    break;
                }
                case 2:
                    ASSERT_EQ(m.ops->remove(m.m, key.data()), there ? 0 : -ENOENT);
                    if (there)
                        expected.all.erase(at);
                    break;
                default: {
                    const u64 *e = expected.longest(key);
                    void *v = m.ops->lookup(m.m, key.data());
                    ASSERT_EQ(v != nullptr, e != nullptr) << step;
                    if (v) {
                        ASSERT_EQ(load8(v), *e);
                    }
                }
            }
        }
    }
}

/// Children before their parent, the lower address first; with a key that is not there from the start.
TEST(lpm, order_of_keys) {
    test_map m(params_of(type, 8, 4, 16, flags));
    bytes k;
    bytes next(8);
    EXPECT_EQ(m.ops->next_key(m.m, nullptr, next.data()), -ENOENT);
    const std::vector<bytes> order = {
        key_of(24, {192, 168, 0, 0}),  key_of(24, {192, 168, 1, 0}), key_of(24, {192, 168, 128, 0}),
        key_of(16, {192, 168, 0, 0}), key_of(0, {0, 0, 0, 0}),
    };
    u32 value = 1;
    for (u32 i : {3u, 0u, 4u, 2u, 1u})
        ASSERT_EQ(m.ops->update_user(m.m, order[i].data(), &value, 0), 0);
    const void *at = nullptr;
    for (const bytes &want : order) {
        ASSERT_EQ(m.ops->next_key(m.m, at, next.data()), 0);
        EXPECT_EQ(next, want);
        k = next;
        at = k.data();
    }
    EXPECT_EQ(m.ops->next_key(m.m, at, next.data()), -ENOENT);
    bytes absent = key_of(20, {192, 168, 0, 0}), wrong = key_of(33, {192, 168, 0, 0});
    for (const bytes &from : {absent, wrong}) {
        EXPECT_EQ(m.ops->next_key(m.m, from.data(), next.data()), 0);
        EXPECT_EQ(next, order[0]);
    }
    EXPECT_EQ(m.ops->update_user(m.m, wrong.data(), &value, 0), -EINVAL);
    EXPECT_EQ(m.ops->remove_user(m.m, wrong.data()), -EINVAL);
    EXPECT_EQ(m.ops->lookup_user(m.m, wrong.data(), &value, 0), -ENOENT);
}

/// What a program holds stays as it was, whatever happens to the key, until the program ends.
TEST(lpm, removed_value_stays) {
    test_map m(params_of(type, 8, 8, 64, flags));
    bytes key = key_of(32, {10, 0, 0, 1});
    u64 value = 77, other = 78;
    program_section p;
    ASSERT_EQ(m.ops->update(m.m, key.data(), &value, 0), 0);
    void *v = m.ops->lookup(m.m, key.data());
    ASSERT_EQ(m.ops->remove(m.m, key.data()), 0);
    for (u32 i = 0; i < 500; i++) {
        bytes k = key_of(32, {10, 0, static_cast<u8>(i), 2});
        ASSERT_EQ(m.ops->update(m.m, k.data(), &other, 0), 0);
        ASSERT_EQ(m.ops->remove(m.m, k.data()), 0);
    }
    EXPECT_EQ(load8(v), 77u);
}

/// A full trie takes a key at once when another one went; user space never runs out of nodes.
TEST(lpm, full_trie) {
    test_map m(params_of(type, 8, 8, 100, flags));
    u64 value = 1;
    auto key = [](u32 i) { return key_of(32, {static_cast<u8>(i >> 24), static_cast<u8>(i >> 16), static_cast<u8>(i >> 8), static_cast<u8>(i)}); };
    auto spread = [](u32 i) { return i * 2654435761u; };
    for (u32 i = 0; i < 100; i++)
        ASSERT_EQ(m.ops->update_user(m.m, key(spread(i)).data(), &value, 0), 0);
    EXPECT_EQ(m.ops->update_user(m.m, key(spread(100)).data(), &value, 0), -ENOSPC);
    for (u32 i = 0; i < 30000; i++) {
        ASSERT_EQ(m.ops->remove_user(m.m, key(spread(i)).data()), 0);
        ASSERT_EQ(m.ops->update_user(m.m, key(spread(i + 100)).data(), &value, 0), 0) << i;
    }
    EXPECT_LE(m.ops->memory(m.m), 2000000u);
}

TEST(lpm, races) {
    test_map m(params_of(type, 8, 8, 128, flags));
    std::atomic<bool> stop{false};
    std::atomic<u64> bad{0};
    auto value_of = [](const bytes &k) { return static_cast<u64>(length(k)) << 32 | 0x5a5a; };
    std::vector<std::thread> all;
    for (u32 t = 0; t < 2; t++)
        all.emplace_back([&, t] {
            std::mt19937 rng(t);
            for (u32 i = 0; i < 40000; i++) {
                bytes k = key_of(rng() % 33, {10, static_cast<u8>(rng() % 2), static_cast<u8>(rng() % 4), static_cast<u8>(rng())});
                u64 v = value_of(k);
                program_section p;
                long r = rng() % 2 ? m.ops->update(m.m, k.data(), &v, 0) : m.ops->remove(m.m, k.data());
                if (r && r != -EBUSY && r != -ENOENT && r != -ENOSPC && r != -ENOMEM)
                    bad++;
            }
            stop = true;
        });
    for (u32 t = 0; t < 2; t++)
        all.emplace_back([&, t] {
            std::mt19937 rng(100 + t);
            bytes next(8);
            while (!stop) {
                bytes k = key_of(32, {10, static_cast<u8>(rng() % 2), static_cast<u8>(rng() % 4), static_cast<u8>(rng())});
                {
                    program_section p;
                    void *v = m.ops->lookup(m.m, k.data());
                    u64 got = v ? load8(v) : 0x5a5a;
                    if ((got & 0xffffffff) != 0x5a5a || got >> 32 > 32)
                        bad++;
                }
                m.ops->next_key(m.m, k.data(), next.data());
            }
        });
    for (std::thread &t : all)
        t.join();
    EXPECT_EQ(bad, 0u);
    u32 n = 0;
    for (bytes key(8); !m.ops->next_key(m.m, nullptr, key.data()); n++)
        ASSERT_EQ(m.ops->remove_user(m.m, key.data()), 0);
    EXPECT_LE(n, 128u);
    EXPECT_EQ(bug_watch::count(), 0u);
}

TEST(lpm, allocation_failures) {
    for (u64 nth = 1;; nth++) {
        port_fail_nth_set(nth);
        test_map m(params_of(type, 8, 8, 100, flags));
        port_fail_nth_set(0);
        if (!m.error) {
            EXPECT_GE(nth, 4u);
            break;
        }
        ASSERT_EQ(m.error, -ENOMEM);
    }
}

}  // namespace
