// SPDX-License-Identifier: GPL-2.0-only
#include "maps/hash.h"
#include "maps/map_test.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 hash = BPF_MAP_TYPE_HASH, percpu_hash = BPF_MAP_TYPE_PERCPU_HASH;
using bytes = std::string;

bytes key_of(u32 size, u64 n) {
    bytes k(size, '\0');
    for (u32 i = 0; i < size; i++)
        k[i] = static_cast<char>(i < 8 ? n >> (8 * i) : i * 7 + n);
    return k;
}

long put(map *m, u64 key, u64 value, u64 flags = BPF_ANY) {
    program_section p;
    return m->ops->update(m, &key, &value, flags);
}

long drop(map *m, u64 key) {
    program_section p;
    return m->ops->remove(m, &key);
}

/// The value, or -1 when the key is not there.
u64 get(map *m, u64 key) {
    program_section p;
    void *v = m->ops->lookup(m, &key);
    return v ? load8(v) : ~0ull;
}

TEST(hash, refuses_what_linux_refuses) {
    for (u32 type : {hash, percpu_hash}) {
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1)), 0);
        EXPECT_EQ(check_code(params_of(type, 0, 8, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 0, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 0)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_NO_COMMON_LRU)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_MMAPABLE)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, 1u << 31)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_RDONLY_PROG | BPF_F_RDONLY)), 0);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED)), 0);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1, BPF_F_NUMA_NODE)), type == hash ? 0 : -EINVAL);
    }
    EXPECT_EQ(check_code(params_of(hash, 8, (4 << 20) - 48 - 9, 1)), 0);
    EXPECT_EQ(check_code(params_of(hash, 8, (4 << 20) - 48 - 8, 1)), -E2BIG);
    EXPECT_EQ(check_code(params_of(hash, 0xffffffff, 0xffffffff, 1)), -E2BIG);
    EXPECT_EQ(check_code(params_of(percpu_hash, 4, 32768, 1)), 0);
    EXPECT_EQ(check_code(params_of(percpu_hash, 4, 32769, 1)), -E2BIG);
    EXPECT_EQ(test_map(params_of(hash, 4, 8, (1u << 27) + 1)).error, -E2BIG);
    EXPECT_EQ(test_map(params_of(hash, 4, 8, 0xffffffff)).error, -E2BIG);
    port_user_set_caps(1u << PORT_CAP_BPF);
    EXPECT_EQ(check_code(params_of(hash, 4, 8, 1, BPF_F_ZERO_SEED)), -EPERM);
    EXPECT_EQ(check_code(params_of(hash, 4, 8, 1)), 0);
    port_user_set_caps(~0u);
}

TEST(hash, map_flags_keep_no_fd_flag) {
    test_map m(params_of(hash, 4, 8, 1, BPF_F_RDONLY | BPF_F_RDONLY_PROG));
    EXPECT_EQ(m->params.flags, BPF_F_RDONLY_PROG);
    EXPECT_TRUE(m->prog_may_read());
    EXPECT_FALSE(m->prog_may_write());
}

/// Random operations against std::map, for every way a key is compared and both kinds of memory.
TEST(hash, agrees_with_a_model) {
    std::mt19937 rng(1);
    for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
        for (u32 ks : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, 12u, 15u, 16u, 17u, 24u, 31u, 32u, 64u, 200u}) {
            u32 vs = 1 + rng() % 40;
            test_map m(params_of(hash, ks, vs, 64, flags));
            ASSERT_EQ(m.error, 0);
            std::map<bytes, bytes> model;
            bytes out(vs, 'x');
            for (int step = 0; step < 2000; step++) {
                bytes k = key_of(ks, rng() % 90), v = key_of(vs, rng());
                bool there = model.count(k);
                u64 how = rng() % 3;
                long expected = how == BPF_NOEXIST && there    ? -EEXIST
                                : how == BPF_EXIST && !there   ? -ENOENT
                                : !there && model.size() == 64 ? -E2BIG
                                                               : 0;
                switch (rng() % 4) {
                    case 0:
                    case 1:
                        ASSERT_EQ(m.ops->update_user(m.m, k.data(), v.data(), how), expected);
                        if (!expected)
                            model[k] = v;
                        break;
                    case 2:
                        if (rng() % 2) {
                            ASSERT_EQ(m.ops->remove_user(m.m, k.data()), there ? 0 : -ENOENT);
                        } else {
                            ASSERT_EQ(m.ops->lookup_and_delete_user(m.m, k.data(), out.data(), 0), there ? 0 : -ENOENT);
                            if (there) {
                                ASSERT_EQ(out, model[k]);
                            }
                        }
                        model.erase(k);
                        break;
                    default:
                        ASSERT_EQ(m.ops->lookup_user(m.m, k.data(), out.data(), 0), there ? 0 : -ENOENT);
                        if (there) {
                            ASSERT_EQ(out, model[k]);
                        }
                }
            }
        }
    }
}

TEST(hash, update_flags) {
    test_map m(params_of(hash, 8, 8, 4));
    EXPECT_EQ(put(m.m, 1, 1, 3), -EINVAL);
    EXPECT_EQ(put(m.m, 1, 1, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(put(m.m, 1, 1, BPF_F_LOCK | BPF_EXIST), -EINVAL);
    EXPECT_EQ(put(m.m, 1, 1, 8), -EINVAL);
    EXPECT_EQ(put(m.m, 1, 1, 1ull << 32), -EINVAL);
    EXPECT_EQ(put(m.m, 1, 1, BPF_EXIST), -ENOENT);
    EXPECT_EQ(put(m.m, 1, 10, BPF_NOEXIST), 0);
    EXPECT_EQ(put(m.m, 1, 11, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(get(m.m, 1), 10u);
    EXPECT_EQ(put(m.m, 1, 12, BPF_EXIST), 0);
    EXPECT_EQ(get(m.m, 1), 12u);
    EXPECT_EQ(drop(m.m, 2), -ENOENT);
    u64 key = 1, value;
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, &value, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(m.ops->lookup_and_delete_user(m.m, &key, &value, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(get(m.m, 1), 12u);
}

TEST(hash, full_map) {
    for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
        for (u32 n : {1u, 3u, 64u, 1000u}) {
            test_map m(params_of(hash, 8, 8, n, flags));
            u64 value = 7;
            for (u64 k = 0; k < n; k++)
                ASSERT_EQ(m.ops->update_user(m.m, &k, &value, BPF_ANY), 0) << k;
            ASSERT_EQ(put(m.m, n, 1), -E2BIG);
            for (u64 k = 0; k < 4 * n; k++)  // replacing needs no room; removing makes room at once
                ASSERT_EQ(put(m.m, k % n, k), 0);
            for (u64 k = 0; k < 3 * n; k++) {
                ASSERT_EQ(drop(m.m, k), 0);
                ASSERT_EQ(put(m.m, k + n, k), 0);
                ASSERT_EQ(put(m.m, k + n + 1, k), -E2BIG);
            }
        }
    }
}

TEST(hash, removed_value_stays_readable) {
    test_map m(params_of(hash, 8, 8, 16));
    put(m.m, 5, 55);
    u64 key = 5;
    program_section p;
    void *v = m.ops->lookup(m.m, &key);
    ASSERT_TRUE(v);
    EXPECT_EQ(m.ops->remove(m.m, &key), 0);
    EXPECT_EQ(load8(v), 55u);  // "latency = now - *start" behind the delete
    EXPECT_EQ(m.ops->lookup(m.m, &key), nullptr);
}

TEST(hash, update_replaces_instead_of_writing_in_place) {
    test_map m(params_of(hash, 8, 8, 16));
    put(m.m, 5, 55);
    u64 key = 5, value = 66;
    program_section p;
    void *old = m.ops->lookup(m.m, &key);
    EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_ANY), 0);
    EXPECT_EQ(load8(old), 55u);
    EXPECT_EQ(load8(m.ops->lookup(m.m, &key)), 66u);
}

/// An operation that interrupts another one on the same bucket: -EBUSY at once; look-ups and other buckets work.
TEST(hash, nested_operations) {
    for (u32 type : {hash, percpu_hash}) {
        test_map m(params_of(type, 8, 8, 1024));
        hash_map *h = as_hash(m.m);
        ASSERT_EQ(put(m.m, 1, 11), 0);
        u64 key = 1, other = 2, value = 3;
        while (&h->bucket_of(h->hash_key(&other)) == &h->bucket_of(h->hash_key(&key)))
            other++;
        {
            program_section p;
            lock_section outer(h->bucket_of(h->hash_key(&key)).lock);
            ASSERT_TRUE(static_cast<bool>(outer));
            EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_ANY), -EBUSY);
            EXPECT_EQ(m.ops->remove(m.m, &key), -EBUSY);
            EXPECT_EQ(load8(m.ops->lookup(m.m, &key)), 11u);
            EXPECT_EQ(m.ops->update(m.m, &other, &value, BPF_ANY), 0);
            EXPECT_EQ(m.ops->remove(m.m, &other), 0);
        }
        EXPECT_EQ(put(m.m, 1, 12), 0);
        EXPECT_EQ(get(m.m, 1), 12u);
    }
}

/// A replacement that interrupts a replacement on this CPU finds the CPU's spare element taken.
TEST(hash, nested_replacement) {
    test_map m(params_of(hash, 8, 8, 2));
    hash_map *h = as_hash(m.m);
    put(m.m, 1, 1);
    put(m.m, 2, 2);
    u64 key = 1, value = 9;
    {
        program_section p;
        u32 cpu = port_cpu_id(), spare = h->pool.take_spare(cpu);
        ASSERT_NE(spare, elem_pool::none);
        EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_ANY), -EBUSY);
        EXPECT_EQ(m.ops->remove(m.m, &key), 0);
        EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_ANY), 0);
        h->pool.put_spare(cpu, spare);
        EXPECT_EQ(m.ops->update(m.m, &key, &value, BPF_EXIST), 0);
    }
    EXPECT_EQ(get(m.m, 1), 9u);
}

/// A lock that another CPU holds for ever does not hang a program.
TEST(hash, lock_held_elsewhere) {
    cpu_lock l{port_cpu_count() + 1};
    lock_section s(l);
    EXPECT_FALSE(static_cast<bool>(s));
    EXPECT_EQ(l.holder, port_cpu_count() + 1);
}

/// A reader that stood on an element which moved to another bucket comes to that bucket's end, and starts again.
TEST(hash, reader_led_astray) {
    test_map m(params_of(hash, 8, 8, 64));
    hash_map *h = as_hash(m.m);
    u64 key = 1, other = 2;
    while (&h->bucket_of(h->hash_key(&other)) == &h->bucket_of(h->hash_key(&key)))
        other++;
    put(m.m, key, 11);
    put(m.m, other, 22);
    hash_bucket &b = h->bucket_of(h->hash_key(&key));
    u32 right = b.first;
    __atomic_store_n(&b.first, h->bucket_of(h->hash_key(&other)).first, __ATOMIC_RELEASE);
    std::thread reader([&] { EXPECT_EQ(get(m.m, key), 11u); });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    __atomic_store_n(&b.first, right, __ATOMIC_RELEASE);
    reader.join();
}

TEST(hash, next_key) {
    test_map m(params_of(hash, 8, 8, 500));
    u64 key = 3, next = 0;
    EXPECT_EQ(m.ops->next_key(m.m, nullptr, &next), -ENOENT);
    EXPECT_EQ(m.ops->next_key(m.m, &key, &next), -ENOENT);
    std::set<u64> expected, seen;
    for (u64 k = 100; k < 500; k++)
        put(m.m, k, k), expected.insert(k);
    u64 first;
    ASSERT_EQ(m.ops->next_key(m.m, nullptr, &first), 0);
    EXPECT_EQ(m.ops->next_key(m.m, &key, &next), 0);  // a key that is not there: from the start
    EXPECT_EQ(next, first);
    long r = 0;
    for (key = first; !r; r = m.ops->next_key(m.m, &key, &next), key = next)
        ASSERT_TRUE(seen.insert(key).second);
    EXPECT_EQ(r, -ENOENT);
    EXPECT_EQ(seen, expected);
    u32 drained = 0;
    while (!m.ops->next_key(m.m, nullptr, &key) && !drop(m.m, key))
        drained++;
    EXPECT_EQ(drained, 400u);
}

TEST(hash, batches) {
    for (u32 type : {hash, percpu_hash}) {
        test_map m(params_of(type, 8, 4, 300));
        u32 vsize = m->user_value_size();
        std::vector<u8> value(vsize), values(vsize * 300);
        std::vector<u64> keys(300);
        for (u64 k = 0; k < 200; k++) {
            value[0] = static_cast<u8>(k);
            ASSERT_EQ(m.ops->update_user(m.m, &k, value.data(), 0), 0);
        }
        u32 bucket = 0, count = 300;
        EXPECT_EQ(m.ops->lookup_batch(m.m, &bucket, keys.data(), values.data(), &count, false, BPF_F_LOCK), -EINVAL);
        bucket = 0, count = 0;
        EXPECT_EQ(m.ops->lookup_batch(m.m, &bucket, keys.data(), values.data(), &count, false, 0), 0);
        std::set<u64> seen;
        long r = 0;
        bucket = 0;
        while (!r) {
            count = 20;
            r = m.ops->lookup_batch(m.m, &bucket, keys.data(), values.data(), &count, true, 0);
            ASSERT_LE(count, 20u);
            for (u32 i = 0; i < count; i++) {
                ASSERT_TRUE(seen.insert(keys[i]).second);
                ASSERT_EQ(values[i * vsize], static_cast<u8>(keys[i]));
            }
        }
        EXPECT_EQ(r, -ENOENT);
        EXPECT_EQ(seen.size(), 200u);
        EXPECT_EQ(m.ops->next_key(m.m, nullptr, keys.data()), -ENOENT);
        count = 10, bucket = 512;
        EXPECT_EQ(m.ops->lookup_batch(m.m, &bucket, keys.data(), values.data(), &count, false, 0), -ENOENT);
        EXPECT_EQ(count, 0u);
    }
}

TEST(hash, batch_of_a_bucket_that_does_not_fit) {
    test_map m(params_of(hash, 8, 8, 64, BPF_F_ZERO_SEED));
    hash_map *h = as_hash(m.m);
    u64 in_one[3], found = 0;
    for (u64 k = 0; found < 3; k++)
        if ((h->hash_key(&k) & h->bucket_mask) == 7)
            in_one[found++] = k;
    for (u64 k : in_one)
        put(m.m, k, k);
    u64 keys[3], values[3];
    u32 bucket = 0, count = 2;
    EXPECT_EQ(m.ops->lookup_batch(m.m, &bucket, keys, values, &count, true, 0), -ENOSPC);
    EXPECT_EQ(bucket, 7u);
    EXPECT_EQ(count, 0u);
    count = 3;
    EXPECT_EQ(m.ops->lookup_batch(m.m, &bucket, keys, values, &count, false, 0), -ENOENT);
    EXPECT_EQ(count, 3u);
}

TEST(percpu_hash, values_by_cpu) {
    for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
        test_map m(params_of(percpu_hash, 4, 12, 8, flags));
        u32 cpus = port_cpu_count(), key = 1;
        ASSERT_EQ(m->user_value_size(), 16 * cpus);
        std::vector<u8> all(16 * cpus, 0xaa), got(16 * cpus);
        ASSERT_EQ(m.ops->update_user(m.m, &key, all.data(), 0), 0);
        u8 mine[12] = {1, 2, 3};
        u32 cpu;
        {
            program_section p;
            cpu = port_cpu_id();
            EXPECT_EQ(m.ops->update(m.m, &key, mine, BPF_NOEXIST), -EEXIST);
            EXPECT_EQ(m.ops->update(m.m, &key, mine, BPF_EXIST), 0);
            EXPECT_EQ(m.ops->update(m.m, &key, mine, BPF_F_LOCK), -EINVAL);
        }
        memcpy(&all[16 * cpu], mine, 12);
        ASSERT_EQ(m.ops->lookup_user(m.m, &key, got.data(), 0), 0);
        EXPECT_EQ(got, all);
        // A program's insertion starts the other CPUs' values at zero, whatever the element held before.
        ASSERT_EQ(m.ops->remove_user(m.m, &key), 0);
        {
            program_section p;
            cpu = port_cpu_id();
            EXPECT_EQ(m.ops->update(m.m, &key, mine, BPF_EXIST), -ENOENT);
            EXPECT_EQ(m.ops->update(m.m, &key, mine, BPF_ANY), 0);
        }
        ASSERT_EQ(m.ops->lookup_user(m.m, &key, got.data(), 0), 0);
        for (u32 c = 0; c < cpus; c++)
            EXPECT_EQ(memcmp(&got[16 * c], c == cpu ? mine : std::vector<u8>(12).data(), 12), 0);
        for (key = 2; key < 9; key++)
            ASSERT_EQ(m.ops->update_user(m.m, &key, all.data(), 0), 0);
        EXPECT_EQ(m.ops->update_user(m.m, &key, all.data(), 0), -E2BIG);
    }
}

/// A program's burst of insertions outruns the deferred work, which cannot run before it ends; interrupts add what it needs.
TEST(hash, reserve_without_preallocation) {
    constexpr u32 n = 20000;
    test_map m(params_of(hash, 8, 8, n, BPF_F_NO_PREALLOC));
    u64 memory = m.ops->memory(m.m);
    EXPECT_LT(memory, 600u << 10);  // buckets, tables and the first reserve
    {
        program_section p;
        for (u64 k = 0; k < n; k++)
            ASSERT_EQ(m.ops->update(m.m, &k, &k, BPF_ANY), 0) << k;
    }
    for (u64 k = 0; k < n; k++)
        ASSERT_EQ(get(m.m, k), k);
    EXPECT_EQ(put(m.m, n, 0), -E2BIG);
    EXPECT_GT(m.ops->memory(m.m), memory);
}

/// Whoever makes the map grow: here deferred work and interrupts do.
TEST(hash, memory_that_comes_later_is_charged_to_the_maps_creator) {
    constexpr u32 n = 20000;
    test_map m(params_of(hash, 8, 8, n, BPF_F_NO_PREALLOC));
    u64 memory = m.ops->memory(m.m), paid = port_user_paid();
    {
        program_section p;
        for (u64 k = 0; k < n; k++)
            ASSERT_EQ(m.ops->update(m.m, &k, &k, BPF_ANY), 0) << k;
    }
    u64 grown = m.ops->memory(m.m) - memory; // a chunk counts when it is there, and is paid for before
    EXPECT_GT(grown, 0u);
    EXPECT_GE(port_user_paid() - paid, grown);
}

/// Keys as they come (counters, strides, addresses) spread like random ones: short chains, with a seed and without.
TEST(hash, spread) {
    constexpr u32 n = 1 << 14;
    for (u32 flags : {0u, +BPF_F_ZERO_SEED}) {
        for (u32 ks : {1u, 4u, 8u, 12u, 16u, 20u, 40u}) {
            for (u64 stride : {1ull, 8ull, 4096ull, 65537ull, 1ull << 18}) {
                if (ks == 1 && stride > 1)
                    continue;
                u32 count = ks == 1 ? 256 : n;
                test_map m(params_of(hash, ks, 8, count, flags));
                hash_map *h = as_hash(m.m);
                std::vector<u32> chain(h->bucket_mask + 1);
                u64 probes = 0, longest = 0;
                for (u64 i = 0; i < count; i++) {
                    u64 k[5] = {i * stride, 7, i % 3 ? 1 : i * stride};
                    u32 b = h->hash_key(k) & h->bucket_mask;
                    probes += ++chain[b];
                    longest = std::max<u64>(longest, chain[b]);
                }
                // Random: 1.5 probes a key, a longest chain of about 7.
                EXPECT_LT(probes, count * 165 / 100) << "key " << ks << " stride " << stride << " flags " << flags;
                EXPECT_LE(longest, 12u) << "key " << ks << " stride " << stride << " flags " << flags;
            }
        }
    }
}

TEST(hash, memory_per_entry) {
    test_map m(params_of(hash, 8, 8, 1 << 16));
    EXPECT_LT(m.ops->memory(m.m) / (1 << 16), 43u);  // half of what Linux takes
}

/// No element was lost or doubled: empty the map, and it takes exactly max_entries keys again.
void expect_whole(map *m) {
    std::vector<u8> value(m->user_value_size());
    u64 key;
    while (!m->ops->next_key(m, nullptr, &key))
        ASSERT_EQ(m->ops->remove_user(m, &key), 0);
    for (u64 round = 0; round < 2; round++) {
        for (key = 1000; key < 1000 + m->params.max_entries; key++)
            ASSERT_EQ(m->ops->update_user(m, &key, value.data(), round ? BPF_EXIST : BPF_NOEXIST), 0);
        ASSERT_EQ(m->ops->update_user(m, &key, value.data(), BPF_ANY), -E2BIG);
    }
}

/// Threads that insert, replace and remove keys of their own, beside each other in few buckets: each finds what it
/// wrote.
void stress(u32 type, u32 flags) {
    constexpr u32 per_thread = 24, threads = 4;
    test_map m(params_of(type, 8, 8, per_thread * threads, flags));
    std::vector<std::thread> all;
    for (u32 t = 0; t < threads; t++)
        all.emplace_back([&, t] {
            std::mt19937 rng(t);
            std::map<u64, u64> model;
            for (u32 step = 0; step < 15000; step++) {
                program_section p;
                u64 key = t + threads * (rng() % per_thread), value = rng();
                void *v = m.ops->lookup(m.m, &key);
                if (model.count(key) != (v != nullptr)) {
                    ADD_FAILURE() << "key " << key << " lost or found, step " << step;
                    return;
                }
                if (v && type == hash && load8(v) != model[key]) {
                    ADD_FAILURE() << "value of another key";
                    return;
                }
                if (rng() % 3) {
                    long r = m.ops->update(m.m, &key, &value, BPF_ANY);
                    if (!r)
                        model[key] = value;
                    else if (r != -EBUSY && r != -ENOMEM)
                        ADD_FAILURE() << r;
                } else if (long r = m.ops->remove(m.m, &key); !r) {
                    model.erase(key);
                } else if (r != -EBUSY && r != -ENOENT) {
                    ADD_FAILURE() << r;
                }
            }
            for (u64 k = 0; k < per_thread * threads; k++) {
                u64 v;
                if (k % threads == t && type == hash &&
                    (m.ops->lookup_user(m.m, &k, &v, 0) == 0) != (model.count(k) == 1))
                    ADD_FAILURE() << "end state of " << k;
            }
        });
    for (u32 round = 0; round < 200; round++) {  // iteration ends, whatever goes on
        u64 key, next;
        u32 steps = 0;
        for (long r = m.ops->next_key(m.m, nullptr, &key); !r && steps < 100000; steps++, key = next)
            r = m.ops->next_key(m.m, &key, &next);
        EXPECT_LT(steps, 100000u);
    }
    for (std::thread &t : all)
        t.join();
    expect_whole(m.m);
}

TEST(hash, stress) {
    stress(hash, 0);
    stress(hash, BPF_F_NO_PREALLOC);
    stress(percpu_hash, 0);
    stress(percpu_hash, BPF_F_NO_PREALLOC);
}

/// Every allocation of creation fails once: -ENOMEM and nothing leaks (ASan); user-side growth likewise.
TEST(hash, allocation_failures) {
    for (u32 type : {hash, percpu_hash}) {
        for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
            u64 failures = 0;
            for (u64 nth = 1;; nth++, failures++) {
                port_fail_nth_set(nth);
                test_map m(params_of(type, 8, 8, 5000, flags));
                port_fail_nth_set(0);
                if (!m.error)
                    break;
                ASSERT_EQ(m.error, -ENOMEM);
            }
            EXPECT_GE(failures, 4u);
        }
    }
    test_map m(params_of(hash, 8, 8, 5000, BPF_F_NO_PREALLOC));
    u32 refused = 0;
    for (u64 k = 0; k < 5000; k++) {
        port_fail_nth_set(1);
        long r = m.ops->update_user(m.m, &k, &k, BPF_ANY);
        port_fail_nth_set(0);
        if (r) {
            ASSERT_EQ(r, -ENOMEM);
            refused++;
            ASSERT_EQ(m.ops->update_user(m.m, &k, &k, BPF_ANY), 0);
        }
    }
    EXPECT_EQ(as_hash(m.m)->count, 5000u);
}

/// A map larger than the machine takes no memory before it is refused. (Without that, the 40th piece would fail.)
TEST(hash, larger_than_memory) {
    for (u32 type : {u32(BPF_MAP_TYPE_HASH), u32(BPF_MAP_TYPE_PERCPU_HASH)}) {
        u32 value = type == BPF_MAP_TYPE_HASH ? 1u << 21 : 32u << 10;
        port_fail_nth_set(40);
        test_map m(params_of(type, 8, value, 1u << 22));
        EXPECT_EQ(m.error, -ENOMEM);
        EXPECT_LT(port_fail_nth_set(0), 10u);
    }
}

TEST(hash, no_self_check_failed) {
    EXPECT_EQ(bug_watch::count(), 0u);
}

}  // namespace
