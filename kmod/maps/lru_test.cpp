// SPDX-License-Identifier: GPL-2.0-only
#include "maps/hash.h"
#include "maps/map_test.h"

#include <sched.h>
#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 types[] = {BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH};

long put(map *m, u64 key, u64 value, u64 flags = BPF_ANY) {
    program_section p;
    return m->ops->update(m, &key, &value, flags);
}

/// A program's look-up, which keeps the element in the map.
u64 get(map *m, u64 key) {
    program_section p;
    void *v = m->ops->lookup(m, &key);
    return v ? load8(v) : ~0ull;
}

/// Whether it is there, without that effect.
bool there(map *m, u64 key) {
    std::vector<u8> value(m->user_value_size());
    return !m->ops->lookup_user(m, &key, value.data(), 0);
}

u32 count(map *m) {
    u32 n = 0;
    u64 key, next;
    for (void *at = nullptr; !m->ops->next_key(m, at, &next); key = next, at = &key)
        n++;
    return n;
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}
struct pinned {
    explicit pinned(int cpu) {
        sched_getaffinity(0, sizeof(before), &before);
        pin(cpu);
    }
    ~pinned() { sched_setaffinity(0, sizeof(before), &before); }
    cpu_set_t before;
};

TEST(lru, refuses_what_linux_refuses) {
    for (u32 type : types) {
        EXPECT_EQ(check_code(params_of(type, 8, 8, 4)), 0);
        EXPECT_EQ(check_code(params_of(type, 8, 8, 4, BPF_F_NO_COMMON_LRU)), 0);
        EXPECT_EQ(check_code(params_of(type, 8, 8, 4, BPF_F_NO_PREALLOC)), -ENOTSUPP);
        EXPECT_EQ(check_code(params_of(type, 8, 8, 4, BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 8, 8, 0)), -EINVAL);
    }
}

TEST(lru, update_flags) {
    for (u32 type : types) {
        test_map m(params_of(type, 8, 8, 4));
        EXPECT_EQ(put(m.m, 1, 1, 3), -EINVAL);
        EXPECT_EQ(put(m.m, 1, 1, BPF_F_LOCK), -EINVAL);
        EXPECT_EQ(put(m.m, 1, 1, BPF_EXIST), -ENOENT);
        EXPECT_EQ(put(m.m, 1, 10, BPF_NOEXIST), 0);
        EXPECT_EQ(put(m.m, 1, 11, BPF_NOEXIST), -EEXIST);
        EXPECT_EQ(get(m.m, 1), 10u);
        EXPECT_EQ(put(m.m, 1, 12, BPF_EXIST), 0);
        EXPECT_EQ(get(m.m, 1), 12u);
        u64 key = 1;
        EXPECT_EQ(m.ops->remove_user(m.m, &key), 0);
        EXPECT_EQ(m.ops->remove_user(m.m, &key), -ENOENT);
    }
}

TEST(lru, holds_all_then_drops_the_oldest) {
    for (u32 type : types) {
        for (u32 n : {1u, 2u, 7u, 1000u}) {
            test_map m(params_of(type, 8, 8, n));
            for (u64 k = 0; k < n; k++)
                ASSERT_EQ(put(m.m, k, k), 0);
            ASSERT_EQ(count(m.m), n);
            for (u64 k = 0; k < n; k++)  // replacing drops nothing
                ASSERT_EQ(put(m.m, k, k + 1), 0);
            ASSERT_EQ(count(m.m), n);
            for (u64 k = n; k < 5 * n; k++) {
                ASSERT_EQ(put(m.m, k, k), 0);
                ASSERT_TRUE(there(m.m, k));
            }
            ASSERT_EQ(count(m.m), n);
        }
    }
    test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, 10));
    pinned one(0);
    for (u64 k = 0; k < 10; k++)
        put(m.m, k, k);
    for (u64 k = 10; k < 200; k++) {
        put(m.m, k, k);
        EXPECT_FALSE(there(m.m, k - 10));
        for (u64 j = k - 9; j <= k; j++)
            EXPECT_TRUE(there(m.m, j)) << k;
    }
}

TEST(lru, a_failed_update_drops_nothing) {
    for (u32 type : types) {
        test_map m(params_of(type, 8, 8, 8));
        for (u64 k = 0; k < 8; k++)
            put(m.m, k, k);
        for (u64 k = 0; k < 100; k++) {
            EXPECT_EQ(put(m.m, 100 + k, 1, BPF_EXIST), -ENOENT);
            EXPECT_EQ(put(m.m, k % 8, 1, BPF_NOEXIST), -EEXIST);
        }
        for (u64 k = 0; k < 8; k++)
            EXPECT_EQ(get(m.m, k), k);
    }
}

TEST(lru, what_is_looked_up_stays) {
    for (u32 type : types) {
        test_map m(params_of(type, 8, 8, 100));
        pinned one(0);
        for (u64 k = 0; k < 100; k++)
            put(m.m, k, k);
        for (u64 k = 100; k < 3000; k++) {
            for (u64 hot = 0; hot < 20; hot++)
                ASSERT_EQ(get(m.m, hot), hot) << k;
            ASSERT_EQ(put(m.m, k, k), 0);
        }
        // A look-up from user space keeps nothing.
        for (u64 k = 3000; k < 3300; k++) {
            for (u64 cold = 0; cold < 20; cold++)
                there(m.m, cold);
            put(m.m, k, k);
        }
        for (u64 cold = 0; cold < 20; cold++)
            EXPECT_FALSE(there(m.m, cold));
    }
}

/// Every element in use: the update still ends soon, and succeeds.
TEST(lru, all_in_use) {
    test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, 5000));
    for (u64 k = 0; k < 5000; k++)
        put(m.m, k, k);
    for (u64 n = 0; n < 200; n++) {
        for (u64 k = 0; k < 5000; k++)
            get(m.m, k);
        ASSERT_EQ(put(m.m, 10000 + n, n), 0);
    }
    EXPECT_EQ(count(m.m), 5000u);
}

TEST(lru, removed_makes_room_and_is_not_dropped_next) {
    pinned one(0);
    test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, 50));
    for (u64 k = 0; k < 50; k++)
        put(m.m, k, k);
    u64 key = 0;
    ASSERT_EQ(m.ops->remove_user(m.m, &key), 0);  // its place is the next that the hand comes to
    put(m.m, 100, 100);
    EXPECT_EQ(count(m.m), 50u);
    put(m.m, 101, 101);
    EXPECT_TRUE(there(m.m, 100));
    EXPECT_FALSE(there(m.m, 1));
}

TEST(lru, lists_of_each_cpu) {
    u32 cpus = port_cpu_count();
    for (u32 type : types) {
        test_map m(params_of(type, 8, 8, 10 * cpus - 1, BPF_F_NO_COMMON_LRU));
        EXPECT_EQ(m->params.max_entries, 10 * cpus);
        {
            pinned one(0);
            for (u64 k = 0; k < 10; k++)
                put(m.m, k, k);
        }
        if (cpus > 1) {
            pinned other(1);
            for (u64 k = 100; k < 500; k++)
                ASSERT_EQ(put(m.m, k, k), 0);
            EXPECT_EQ(count(m.m), 20u);  // the other CPU's are all there
            for (u64 k = 0; k < 10; k++)
                EXPECT_TRUE(there(m.m, k));
            u64 key = 3;  // its place goes back to where it belongs
            EXPECT_EQ(m.ops->remove_user(m.m, &key), 0);
            put(m.m, 500, 500);
            EXPECT_EQ(count(m.m), 19u);
        }
        pinned one(0);
        for (u64 k = 1000; k < 1100; k++)
            ASSERT_EQ(put(m.m, k, k), 0);
        EXPECT_EQ(count(m.m), cpus > 1 ? 20u : 10u);
    }
}

/// The victim's bucket is locked by what this operation interrupted: another victim, or -ENOMEM where there is none.
TEST(lru, nested_operations) {
    test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, 2));
    hash_map *h = as_hash(m.m);
    put(m.m, 1, 1);
    u64 key = 1, second = 2;
    while (&h->bucket_of(h->hash_key(&second)) == &h->bucket_of(h->hash_key(&key)))
        second++;
    put(m.m, second, 2);
    u64 fresh = second + 1;
    while (&h->bucket_of(h->hash_key(&fresh)) == &h->bucket_of(h->hash_key(&key)))
        fresh++;
    {
        program_section p;
        lock_section outer(h->bucket_of(h->hash_key(&key)).lock);
        u64 value = 9;
        EXPECT_EQ(m.ops->update(m.m, &fresh, &value, BPF_ANY), 0);
        EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_ANY), -EBUSY);
    }
    EXPECT_TRUE(there(m.m, key));
    EXPECT_TRUE(there(m.m, fresh));
    EXPECT_FALSE(there(m.m, second));
    EXPECT_EQ(count(m.m), 2u);
}

TEST(lru, for_each) {
    for (u32 type : types) {
        test_map m(params_of(type, 8, 8, 64));
        std::set<u64> seen, expected;
        for (u64 k = 0; k < 64; k++)
            put(m.m, k, k), expected.insert(k);
        program_section p;
        auto collect = [](void *priv, map *, const void *key, void *value) -> u64 {
            EXPECT_EQ(load8(key), load8(value));
            static_cast<std::set<u64> *>(priv)->insert(load8(key));
            return 0;
        };
        EXPECT_EQ(m.ops->for_each(m.m, collect, &seen), 64);
        EXPECT_EQ(seen, expected);
        auto remove = [](void *priv, map *m, const void *key, void *) -> u64 {
            u64 k = load8(key);
            EXPECT_EQ(m->ops->remove(m, &k), 0);
            return ++*static_cast<u32 *>(priv) == 40;
        };
        u32 n = 0;
        EXPECT_EQ(m.ops->for_each(m.m, remove, &n), 40);
        EXPECT_EQ(m.ops->for_each(m.m, collect, &seen), 24);
    }
}

TEST(lru, allocation_failures) {
    for (u32 type : types)
        for (u32 flags : {0u, +BPF_F_NO_COMMON_LRU})
            for (u64 nth = 1;; nth++) {
                port_fail_nth_set(nth);
                test_map m(params_of(type, 4, 4, 100, flags));
                port_fail_nth_set(0);
                if (!m.error) {
                    EXPECT_GE(nth, 5u);
                    break;
                }
                ASSERT_EQ(m.error, -ENOMEM);
            }
}

TEST(lru, memory_is_less_than_the_kernels) {
    test_map m(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, 4096));
    EXPECT_LE(m.ops->memory(m.m), 4096u * (64 + 16 + 16));
    test_map p(params_of(BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, 8, 4096));
    EXPECT_LE(p.ops->memory(p.m), 4096u * (64 + 16 + 16 + 8 * port_cpu_count()));
}

/// Updates, look-ups, removals and walks from many threads: values belong to their keys, nothing is lost, the map never exceeds its size.
void race(u32 type, u32 flags) {
    constexpr u32 entries = 64, threads = 4, rounds = 20000;
    test_map m(params_of(type, 8, 16, entries, flags));
    std::atomic<u64> bad{0};
    std::vector<std::thread> all;
    for (u32 t = 0; t < threads; t++)
        all.emplace_back([&, t] {
            std::mt19937 rng(t);
            for (u32 i = 0; i < rounds; i++) {
                u64 key = rng() % (entries * 2);
                program_section p;
                u64 value[2] = {key, ~key};
                long r = 0;
                switch (rng() % 4) {
                    case 0:
                    case 1:
                        r = m.ops->update(m.m, &key, value, rng() % 3);
                        break;
                    case 2:
                        r = m.ops->remove(m.m, &key);
                        break;
                    default:
                        m.ops->lookup(m.m, &key);
                }
                if (r && r != -EBUSY && r != -ENOENT && r != -EEXIST && r != -ENOMEM)
                    bad++;
            }
        });
    for (std::thread &t : all)
        t.join();
    EXPECT_EQ(bad, 0u);
    EXPECT_LE(count(m.m), m->params.max_entries);
    u64 key, next;
    std::vector<u64> value(m->user_value_size() / 8);
    for (void *at = nullptr; !m.ops->next_key(m.m, at, &next); at = &key) {
        key = next;
        ASSERT_EQ(m.ops->lookup_user(m.m, &key, value.data(), 0), 0);
        for (size_t v = 0; v < value.size(); v += 2) {
            if (type == BPF_MAP_TYPE_LRU_HASH || value[v]) {
                EXPECT_EQ(value[v], key);
                EXPECT_EQ(value[v + 1], ~key);
            }
        }
    }
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++) {  // no element was lost
        pinned here(static_cast<int>(cpu));
        for (u64 k = 0; k < 4 * entries; k++) {
            program_section p;
            u64 at_key = 1000 * (cpu + 1) + k, pair[2] = {k, ~k};
            ASSERT_EQ(m.m->ops->update(m.m, &at_key, pair, BPF_ANY), 0);
        }
    }
    EXPECT_EQ(count(m.m), m->params.max_entries);
}

TEST(lru, races) {
    for (u32 type : types)
        for (u32 flags : {0u, +BPF_F_NO_COMMON_LRU})
            race(type, flags);
}

}  // namespace
