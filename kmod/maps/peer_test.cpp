// SPDX-License-Identifier: GPL-2.0-only
// The same requests to our maps and to this machine's kernel, through bpf(): creation parameters and user-side
// operations must get the same answers. Skipped where bpf() is not to be had.
#include "maps/map_test.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <random>
#include <vector>

using namespace modbpf;

namespace {

struct create_attr {
    u32 type, key_size, value_size, max_entries, flags, inner_fd, numa_node;
};
struct elem_attr {
    u32 fd, pad;
    u64 key, value, flags;
};
struct batch_attr {
    u64 in_batch, out_batch, keys, values;
    u32 count, fd;
    u64 elem_flags, flags;
};

template <class A> long bpf(u32 cmd, A &a) {
    long r = syscall(SYS_bpf, cmd, &a, sizeof(a));
    return r < 0 ? -errno : r;
}

/// The kernel's map. fd < 0: its errno.
struct peer_map {
    explicit peer_map(const map_params &p, u32 inner_fd = 0) {
        create_attr a = {p.type, p.key_size, p.value_size, p.max_entries, p.flags, inner_fd, 0};
        fd = bpf(BPF_MAP_CREATE, a);
    }
    ~peer_map() {
        if (fd >= 0)
            close(static_cast<int>(fd));
    }
    long op(u32 cmd, const void *key, const void *value, u64 flags = 0) {
        elem_attr a = {static_cast<u32>(fd), 0, addr_of(key), addr_of(value), flags};
        return bpf(cmd, a);
    }
    long fd;
};

struct peer : testing::Test {
    void SetUp() override {
        if (peer_map(params_of(BPF_MAP_TYPE_HASH, 4, 4, 1)).fd < 0)
            GTEST_SKIP() << "no bpf() here";
    }
};

TEST_F(peer, creation) {
    std::mt19937 rng(5);
    const u32 sizes[] = {0,          1,          4,         4, 4, 8, 16, 512, 32768, 32769, 4194200, 4194304 - 48,
                         0x7fffffff, 0x80000000, 0xffffffff};
    const u32 counts[] = {0, 1, 2, 3, 100, 4096, 8192, 5000, 1u << 20, (1u << 27) + 1, 0x80000001, 0xffffffff};
    const u32 flags[] = {0,
                         0,
                         0,
                         0,
                         BPF_F_NO_PREALLOC,
                         BPF_F_NO_COMMON_LRU,
                         BPF_F_NUMA_NODE,
                         BPF_F_RDONLY,
                         BPF_F_WRONLY,
                         BPF_F_STACK_BUILD_ID,
                         BPF_F_ZERO_SEED,
                         BPF_F_RDONLY_PROG,
                         BPF_F_WRONLY_PROG,
                         BPF_F_CLONE,
                         BPF_F_MMAPABLE,
                         BPF_F_PRESERVE_ELEMS,
                         BPF_F_INNER_MAP};
    u32 compared = 0, created = 0;
    for (u32 n = 0; n < 6000; n++) {
        map_params p = params_of(all_map_ops()[rng() % all_map_ops().size()]->type, sizes[rng() % std::size(sizes)],
                                 sizes[rng() % std::size(sizes)], counts[rng() % std::size(counts)],
                                 flags[rng() % std::size(flags)] | flags[rng() % std::size(flags)]);
        if ((p.type == BPF_MAP_TYPE_RINGBUF || p.type == BPF_MAP_TYPE_USER_RINGBUF) && rng() % 2)
            p.key_size = p.value_size = 0;
        if ((p.type == BPF_MAP_TYPE_QUEUE || p.type == BPF_MAP_TYPE_STACK) && rng() % 2)
            p.key_size = 0;
        if (((p.flags & BPF_F_RDONLY) && (p.flags & BPF_F_WRONLY)) || is_map_in_map(p.type))
            continue;  // for the command
        if ((p.type == BPF_MAP_TYPE_QUEUE || p.type == BPF_MAP_TYPE_STACK) &&
            (static_cast<u64>(p.max_entries) + 1) * p.value_size > 0xffffffff)
            continue;  // newer kernels have dropped the limit of 6.12
        // What needs real memory is compared by its conditions only.
        u64 bytes = (static_cast<u64>(p.key_size) + p.value_size + 64) * p.max_entries;
        bool large = bytes * port_cpu_count() > (8 << 20);
        int ours = large ? check_code(p) : test_map(p).error;
        if (large && !ours)
            continue;
        peer_map theirs(p);
        ASSERT_EQ(ours, theirs.fd < 0 ? theirs.fd : 0)
            << "type " << p.type << " key " << p.key_size << " value " << p.value_size << " entries " << p.max_entries
            << " flags " << p.flags;
        compared++, created += !ours;
    }
    EXPECT_GT(compared, 4000u);
    EXPECT_GT(created, 50u);
}

/// Random user-side operations on both, in step.
void compare_operations(u32 type, u32 key_size, u32 value_size, u32 entries, u32 flags, u32 keys = 0) {
    map_params p = params_of(type, key_size, value_size, entries, flags);
    test_map ours(p);
    peer_map theirs(p);
    ASSERT_EQ(ours.error, 0);
    ASSERT_GE(theirs.fd, 0);
    std::mt19937 rng(type * 100 + flags);
    u32 size = ours->user_value_size();
    std::vector<u8> key(key_size), value(size), a(size), b(size);
    // BPF_F_LOCK is refused by the command itself.
    const u64 update_flags[] = {0, 0, 0, 0, 1, 2, 3, 8, 9, 1ull << 32, ~0ull};
    for (u32 step = 0; step < 4000; step++) {
        key[0] = static_cast<u8>(rng() % (keys ? keys : entries + entries / 2 + 2));
        key[key_size - 1] |= rng() % 50 == 0 ? 0x80 : 0;
        for (u8 &v : value)
            v = static_cast<u8>(rng());
        u64 f = update_flags[rng() % std::size(update_flags)];
        long x = 0, y = 0;
        std::fill(a.begin(), a.end(), 0), std::fill(b.begin(), b.end(), 0);
        u32 what = rng() % 6;
        switch (what) {
            case 0:
            case 1:
            case 2:
                x = ours.ops->update_user(ours.m, key.data(), value.data(), f);
                y = theirs.op(BPF_MAP_UPDATE_ELEM, key.data(), value.data(), f);
                break;
            case 3:
                x = ours.ops->remove_user(ours.m, key.data());
                y = theirs.op(BPF_MAP_DELETE_ELEM, key.data(), nullptr);
                break;
            case 4:
                x = ours.ops->lookup_user(ours.m, key.data(), a.data(), 0);
                y = theirs.op(BPF_MAP_LOOKUP_ELEM, key.data(), b.data());
                break;
            default:
                if (!ours.ops->lookup_and_delete_user)
                    break;
                x = ours.ops->lookup_and_delete_user(ours.m, key.data(), a.data(), 0);
                y = theirs.op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, key.data(), b.data());
        }
        ASSERT_EQ(x, y) << "operation " << what << " flags " << f << " step " << step;
        ASSERT_EQ(a, b) << "value, step " << step;
        key[key_size - 1] &= 0x7f;
    }
}

TEST_F(peer, operations) {
    for (u32 flags : {0u, +BPF_F_NO_PREALLOC}) {
        for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH}) {
            compare_operations(type, 4, 8, 20, flags);
            compare_operations(type, 8, 4, 32, flags);
            compare_operations(type, 13, 100, 7, flags);
        }
    }
    for (u32 flags : {0u, +BPF_F_NO_COMMON_LRU}) // what is dropped, and when, is each kernel's own affair: never full
        for (u32 type : {BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH})
            compare_operations(type, 8, 12, 10000, flags, 30);
    compare_operations(BPF_MAP_TYPE_ARRAY, 4, 8, 20, 0);
    compare_operations(BPF_MAP_TYPE_ARRAY, 4, 13, 20, BPF_F_MMAPABLE);
    compare_operations(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 20, 0);
    compare_operations(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 13, 5, 0);
}

/// Values without keys: no key on the kernel's side, none on ours.
TEST_F(peer, queues) {
    const u64 flags[] = {0, 0, 0, BPF_NOEXIST, BPF_EXIST, 3, 8, 1ull << 32};
    for (u32 type : {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK}) {
        map_params p = params_of(type, 0, 8, 5);
        test_map ours(p);
        peer_map theirs(p);
        std::mt19937 rng(type);
        for (u32 step = 0; step < 3000; step++) {
            u64 value = rng(), f = flags[rng() % std::size(flags)], a = 1, b = 1;
            long x, y;
            switch (rng() % 5) {
                case 0:
                    x = ours.ops->lookup_user(ours.m, nullptr, &a, 0);
                    y = theirs.op(BPF_MAP_LOOKUP_ELEM, nullptr, &b);
                    break;
                case 1:
                    x = ours.ops->lookup_and_delete_user(ours.m, nullptr, &a, 0);
                    y = theirs.op(BPF_MAP_LOOKUP_AND_DELETE_ELEM, nullptr, &b);
                    break;
                case 2:
                    x = ours.ops->remove_user(ours.m, nullptr);
                    y = theirs.op(BPF_MAP_DELETE_ELEM, nullptr, nullptr);
                    break;
                default:
                    x = ours.ops->update_user(ours.m, nullptr, &value, f);
                    y = theirs.op(BPF_MAP_UPDATE_ELEM, nullptr, &value, f);
            }
            ASSERT_EQ(x, y) << step;
            if (!x) {
                ASSERT_EQ(a, b) << step;
            }
        }
    }
}

TEST_F(peer, prefixes) {
    for (u32 size : {1u, 4u, 9u}) {
        map_params p = params_of(BPF_MAP_TYPE_LPM_TRIE, 4 + size, 8, 25, BPF_F_NO_PREALLOC);
        test_map ours(p);
        peer_map theirs(p);
        std::mt19937 rng(size);
        std::vector<u8> key(4 + size), next_a(4 + size), next_b(4 + size);
        for (u32 step = 0; step < 6000; step++) {
            u32 length = rng() % (size * 8 + 2);
            memcpy(key.data(), &length, 4);
            for (u32 i = 4; i < key.size(); i++)
                key[i] = rng() % 2 ? 0xc3 : static_cast<u8>(rng());
            u64 value = rng(), f = rng() % 4, a = 1, b = 1;
            long x, y;
            switch (rng() % 6) {
                case 0:
                    x = ours.ops->lookup_user(ours.m, key.data(), &a, 0);
                    y = theirs.op(BPF_MAP_LOOKUP_ELEM, key.data(), &b);
                    break;
                case 1:
                    x = ours.ops->remove_user(ours.m, key.data());
                    y = theirs.op(BPF_MAP_DELETE_ELEM, key.data(), nullptr);
                    break;
                case 2:
                    x = ours.ops->next_key(ours.m, key.data(), next_a.data());
                    y = theirs.op(BPF_MAP_GET_NEXT_KEY, key.data(), next_b.data());
                    break;
                case 3:
                    x = ours.ops->next_key(ours.m, nullptr, next_a.data());
                    y = theirs.op(BPF_MAP_GET_NEXT_KEY, nullptr, next_b.data());
                    break;
                default:
                    x = ours.ops->update_user(ours.m, key.data(), &value, f);
                    y = theirs.op(BPF_MAP_UPDATE_ELEM, key.data(), &value, f);
            }
            ASSERT_EQ(x, y) << step << " length " << length << " size " << size;
            ASSERT_EQ(a, b) << step;
            ASSERT_EQ(next_a, next_b) << step;
        }
    }
}

/// Arrays are walked in one order; of hash maps, the answers without a key and with one that is not there.
TEST_F(peer, iteration) {
    for (u32 type :
         {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY}) {
        map_params p = params_of(type, 4, 4, 3);
        test_map ours(p);
        peer_map theirs(p);
        for (u32 key : {0u, 1u, 2u, 3u, 100u, 0xffffffffu}) {
            u32 a = 77, b = 77;
            EXPECT_EQ(ours.ops->next_key(ours.m, &key, &a), theirs.op(BPF_MAP_GET_NEXT_KEY, &key, &b));
            EXPECT_EQ(a, b);
        }
    }
    map_params p = params_of(BPF_MAP_TYPE_HASH, 4, 4, 3);
    test_map ours(p);
    peer_map theirs(p);
    for (u32 n = 0; n < 2; n++) {
        u32 one = 1, other = 2, value = 3, next;
        for (const u32 *key :
             {static_cast<const u32 *>(nullptr), static_cast<const u32 *>(&one), static_cast<const u32 *>(&other)})
            EXPECT_EQ(ours.ops->next_key(ours.m, key, &next), theirs.op(BPF_MAP_GET_NEXT_KEY, key, &next));
        EXPECT_EQ(ours.ops->update_user(ours.m, &one, &value, 0), theirs.op(BPF_MAP_UPDATE_ELEM, &one, &value));
    }
}

/// Elements that are fds: the answers that need no program or event.
TEST_F(peer, fd_arrays) {
    prog_hooks = {.get = [](map *, int) -> result<runnable *> { return error(EBADF); }, .put = nullptr, .id = nullptr};
    perf_hooks = {.get = [](int) -> result<perf_sink *> { return error(EBADF); }, .put = nullptr};
    for (u32 type : {BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY}) {
        map_params p = params_of(type, 4, 4, 3);
        test_map ours(p);
        peer_map theirs(p);
        for (u32 key : {0u, 3u, 0xffffffffu}) {
            u32 value = 12345;
            for (u64 flags : {0ull, 1ull, 2ull, 8ull})
                EXPECT_EQ(ours.ops->update_user(ours.m, &key, &value, flags),
                          theirs.op(BPF_MAP_UPDATE_ELEM, &key, &value, flags));
            EXPECT_EQ(ours.ops->lookup_user(ours.m, &key, &value, 0), theirs.op(BPF_MAP_LOOKUP_ELEM, &key, &value));
            EXPECT_EQ(ours.ops->remove_user(ours.m, &key), theirs.op(BPF_MAP_DELETE_ELEM, &key, nullptr));
        }
    }
    prog_hooks = {}, perf_hooks = {};
}

/// A batch of a whole hash map, and what is refused of batches.
TEST_F(peer, batches) {
    map_params p = params_of(BPF_MAP_TYPE_HASH, 4, 4, 64);
    test_map ours(p);
    peer_map theirs(p);
    for (u32 k = 0; k < 50; k++) {
        ASSERT_EQ(ours.ops->update_user(ours.m, &k, &k, 0), 0);
        ASSERT_EQ(theirs.op(BPF_MAP_UPDATE_ELEM, &k, &k), 0);
    }
    u32 keys[64], values[64];
    for (u32 room : {64u, 50u, 0u}) {
        u32 bucket = 0, out = 0, count = room;
        batch_attr a = {0, addr_of(&out), addr_of(keys), addr_of(values), room, static_cast<u32>(theirs.fd), 0, 0};
        long theirs_r = bpf(BPF_MAP_LOOKUP_BATCH, a);
        EXPECT_EQ(ours.ops->lookup_batch(ours.m, &bucket, keys, values, &count, false, 0), theirs_r);
        EXPECT_EQ(count, a.count);
        EXPECT_EQ(bucket, out);
    }
    for (const map_ops *ops : all_map_ops()) {
        if (ops->type == BPF_MAP_TYPE_TASK_STORAGE || ops->type == BPF_MAP_TYPE_CGRP_STORAGE || ops->type == BPF_MAP_TYPE_INODE_STORAGE ||
            ops->type == BPF_MAP_TYPE_SK_STORAGE)
            continue; // wants types
        map_params q = params_of(ops->type, 4, 4, 4096);
        if (ops->type == BPF_MAP_TYPE_RINGBUF || ops->type == BPF_MAP_TYPE_USER_RINGBUF || ops->type == BPF_MAP_TYPE_ARENA)
            q.key_size = q.value_size = 0;
        if (ops->type == BPF_MAP_TYPE_ARENA)
            q.flags = BPF_F_MMAPABLE;
        if (ops->type == BPF_MAP_TYPE_QUEUE || ops->type == BPF_MAP_TYPE_STACK)
            q.key_size = 0;
        if (ops->type == BPF_MAP_TYPE_BLOOM_FILTER)
            q.key_size = 0;
        if (ops->type == BPF_MAP_TYPE_STACK_TRACE)
            q.value_size = 8;
        if (ops->type == BPF_MAP_TYPE_LPM_TRIE)
            q.key_size = 8, q.flags = BPF_F_NO_PREALLOC;
        peer_map inner(params_of(BPF_MAP_TYPE_ARRAY, 4, 4, 1)), m(q, static_cast<u32>(inner.fd));
        if (ops->type == BPF_MAP_TYPE_ARENA && m.fd == -EINVAL)
            continue; // before Linux 6.9
        ASSERT_GE(m.fd, 0);
        batch_attr a = {};
        a.fd = static_cast<u32>(m.fd);
        EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, a) != -ENOTSUPP, ops->batch) << ops->name;
        EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, a) != -ENOTSUPP, ops->batch) << ops->name;
        EXPECT_EQ(bpf(BPF_MAP_DELETE_BATCH, a) != -ENOTSUPP, ops->batch_delete) << ops->name;
        EXPECT_EQ(bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH, a) != -ENOTSUPP, ops->batch_delete && ops->lookup_batch) << ops->name;
    }
}

}  // namespace
