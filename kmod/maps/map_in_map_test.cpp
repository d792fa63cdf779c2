// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/hash.h"
#include "maps/map_test.h"

#include <atomic>
#include <random>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 types[] = {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS};

/// What stands behind "fds": the numbers of these maps.
std::vector<map *> table;

map *make_inner(u32 entries = 4, u32 flags = 0) {
    auto made = find_map_ops(BPF_MAP_TYPE_HASH)->create(params_of(BPF_MAP_TYPE_HASH, 4, 8, entries, flags));
    (*made)->user_get();
    return *made;
}
void drop(map *m) {
    m->id = 0;  // it is in no registry
    m->user_put();
    m->put();
}

struct map_in_map : testing::Test {
    void SetUp() override {
        inner_hooks = {[](map *outer, int fd) -> result<map *> {
            if (fd < 0 || static_cast<size_t>(fd) >= table.size())
                return error(EBADF);
            map *m = table[static_cast<size_t>(fd)];
            if (!map_meta_equal(outer->inner.get(), m))
                return error(EINVAL);
            m->get();
            return m;
        }};
        for (u32 i = 0; i < 4; i++) {
            table.push_back(make_inner());
            table[i]->id = 100 + i;
            u32 key = 1;
            u64 value = i * 1000;
            EXPECT_EQ(table[i]->ops->update_user(table[i], &key, &value, 0), 0);
        }
        table.push_back(make_inner(4, BPF_F_NO_PREALLOC));
    }
    void TearDown() override {
        for (map *m : table)
            drop(m);
        table.clear();
        map_free_barrier();
        inner_hooks = {};
        EXPECT_EQ(bug_watch::count(), 0u);
    }
    static void shape(test_map &outer) {
        auto made = make_inner_template(table[0]);
        outer->inner = ref<map>(adopt, *made);
    }
};

TEST_F(map_in_map, what_is_inside_has_no_name_yet) {
    memcpy(table[0]->params.name, "first", 6);
    auto made = make_inner_template(table[0]);
    ASSERT_TRUE(made.ok());
    EXPECT_STREQ((*made)->params.name, "");
    EXPECT_EQ((*made)->params.value_size, table[0]->params.value_size);
    drop(*made);
}

TEST_F(map_in_map, elements) {
    for (u32 type : types)
        for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
            bool array = type == BPF_MAP_TYPE_ARRAY_OF_MAPS;
            if (array && flags)
                continue;
            test_map o(params_of(type, 4, 4, 3, flags));
            ASSERT_EQ(o.error, 0);
            shape(o);
            u32 key = 1, fd = 2, id = 0;
            EXPECT_EQ(o.ops->lookup_user(o.m, &key, &id, 0), -ENOENT);
            EXPECT_EQ(o.ops->remove_user(o.m, &key), -ENOENT);
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
            EXPECT_EQ(table[2]->refs(), 2u);
            EXPECT_EQ(o.ops->lookup_user(o.m, &key, &id, 0), 0);
            EXPECT_EQ(id, 102u);
            fd = 4;  // of another shape
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), -EINVAL);
            fd = 99;
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), -EBADF);
            fd = 3;
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, BPF_NOEXIST), array ? -EINVAL : -EEXIST);
            EXPECT_EQ(table[3]->refs(), 1u);
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
            EXPECT_EQ(table[2]->refs(), 1u);
            EXPECT_EQ(table[3]->refs(), 2u);
            {
                program_section p;
                EXPECT_EQ(o.ops->lookup(o.m, &key), table[3]);
                u32 absent = 2;
                EXPECT_EQ(o.ops->lookup(o.m, &absent), nullptr);
                absent = 77;
                EXPECT_EQ(o.ops->lookup(o.m, &absent), nullptr);
            }
            EXPECT_EQ(o.ops->remove_user(o.m, &key), 0);
            EXPECT_EQ(table[3]->refs(), 1u);
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);  // freed with the map
        }
    map_free_barrier();
    EXPECT_EQ(table[3]->refs(), 1u);
}

TEST_F(map_in_map, batches_of_hash) {
    test_map o(params_of(BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 8));
    shape(o);
    for (u32 k = 0; k < 4; k++)
        ASSERT_EQ(o.ops->update_user(o.m, &k, &k, 0), 0);
    u32 keys[8], ids[8], bucket = 0, n = 8;
    EXPECT_EQ(o.ops->lookup_batch(o.m, &bucket, keys, ids, &n, false, 0), -ENOENT);
    EXPECT_EQ(n, 4u);
    bucket = 0, n = 8;
    EXPECT_EQ(o.ops->lookup_batch(o.m, &bucket, keys, ids, &n, true, 0), -ENOENT);
    ASSERT_EQ(n, 4u);
    for (u32 i = 0; i < n; i++) {
        EXPECT_EQ(ids[i], 100 + keys[i]);
        EXPECT_EQ(table[keys[i]]->refs(), 1u);
        EXPECT_EQ(o.ops->update_user(o.m, &keys[i], &keys[i], BPF_NOEXIST), 0);
    }
}

/// CVE-2023-52447: a program has a map from another; the last references outside go, and the map stays until the program has ended.
TEST_F(map_in_map, the_inner_map_stays_for_its_readers) {
    for (u32 type : types) {
        test_map o(params_of(type, 4, 4, 3));
        shape(o);
        u32 key = 1, fd = 0;
        ASSERT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
        std::thread remover;
        {
            program_section p;
            map *inside = static_cast<map *>(o.ops->lookup(o.m, &key));
            ASSERT_EQ(inside, table[0]);
            std::atomic<bool> gone{false};
            remover = std::thread([&] {
                EXPECT_EQ(o.ops->remove_user(o.m, &key), 0);
                drop(table[0]);
                table[0] = make_inner();
                gone = true;
            });
            while (!gone)
                std::this_thread::yield();
            EXPECT_EQ(o.ops->lookup(o.m, &key), nullptr);
            u64 *v = static_cast<u64 *>(inside->ops->lookup(inside, &key)), value = 3;
            ASSERT_TRUE(v);
            EXPECT_EQ(load8(v), 0u);
            EXPECT_EQ(inside->ops->update(inside, &key, &value, 0), 0);
            EXPECT_EQ(load8(inside->ops->lookup(inside, &key)), 3u);
        }
        remover.join();
        u64 value = 0;
        EXPECT_EQ(table[0]->ops->update_user(table[0], &key, &value, 0), 0);
    }
}

map *outer_of_hook;
u32 inner_maps_gone;

/// CVE-2024-56592: a map that leaves another with its last reference goes once the bucket's lock is free.
TEST_F(map_in_map, nothing_is_freed_under_the_lock) {
    const map_hook before = map_gone_hook;
    for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
        test_map o(params_of(BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 4, flags));
        shape(o);
        outer_of_hook = o.m, inner_maps_gone = 0;
        map_gone_hook = [](map *m) {
            hash_map *h = as_hash(outer_of_hook);
            for (u32 b = 0; b <= h->bucket_mask; b++)
                EXPECT_EQ(__atomic_load_n(&h->buckets[b].lock.holder, __ATOMIC_RELAXED), 0u);
            inner_maps_gone += m->params.type == BPF_MAP_TYPE_HASH;
        };
        auto only_inside = [&](u32 key) { // the reference of the map that it is in is the last one
            u32 fd = 0;
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
            drop(table[0]);
            table[0] = make_inner();
        };
        u32 key = 1, fd = 3, bucket = 0, n = 4, keys[4], ids[4];
        only_inside(key);
        EXPECT_EQ(o.ops->remove_user(o.m, &key), 0);
        EXPECT_EQ(inner_maps_gone, 1u);
        only_inside(key);
        EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
        EXPECT_EQ(inner_maps_gone, 2u);
        only_inside(key);
        only_inside(2);
        EXPECT_EQ(o.ops->lookup_batch(o.m, &bucket, keys, ids, &n, true, 0), -ENOENT);
        EXPECT_EQ(n, 2u);
        EXPECT_EQ(inner_maps_gone, 4u);
        map_gone_hook = before;
    }
}

/// CVE-2024-56614: an index is a number without a sign.
TEST_F(map_in_map, indexes_without_sign) {
    test_map o(params_of(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 3));
    shape(o);
    u32 fd = 0;
    for (u32 key : {3u, 0x80000000u, 0xffffffffu}) {
        EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), -E2BIG) << key;
        EXPECT_EQ(o.ops->remove_user(o.m, &key), -E2BIG) << key;
        program_section p;
        EXPECT_EQ(o.ops->lookup(o.m, &key), nullptr) << key;
    }
}

TEST_F(map_in_map, templates) {
    test_map o(params_of(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 3));
    shape(o);
    EXPECT_EQ(make_inner_template(o.m).code(), -EINVAL);  // one level only
}

/// Programs look maps up and into them while user space replaces, removes and frees them.
TEST_F(map_in_map, races) {
    for (u32 type : types) {
        test_map o(params_of(type, 4, 4, 2));
        shape(o);
        std::atomic<bool> stop{false};
        std::atomic<u64> bad{0}, found{0};
        std::vector<std::thread> all;
        for (u32 t = 0; t < 2; t++)
            all.emplace_back([&] {
                for (u32 n = 0; !stop; n++) {
                    u32 key = n % 2, one = 1;
                    u64 value = 5000;
                    program_section p;
                    map *inside = static_cast<map *>(o.ops->lookup(o.m, &key));
                    if (!inside)
                        continue;
                    void *v = inside->ops->lookup(inside, &one);
                    if (v && load8(v) % 1000)
                        bad++;
                    long r = inside->ops->update(inside, &one, &value, 0);
                    if (r && r != -EBUSY)
                        bad++;
                    found++;
                }
            });
        for (u32 n = 0; n < 400 || (found < 100 && n < 4000); n++) {
            map *fresh = make_inner();
            drop(table[0]);
            table[0] = fresh;
            u32 key = n % 2, fd = 0;
            EXPECT_EQ(o.ops->update_user(o.m, &key, &fd, 0), 0);
            if (n % 3 == 0) {
                EXPECT_EQ(o.ops->remove_user(o.m, &key), 0);
            }
        }
        stop = true;
        for (std::thread &t : all)
            t.join();
        EXPECT_EQ(bad, 0u);
        EXPECT_GT(found, 0u);
    }
}

}  // namespace
