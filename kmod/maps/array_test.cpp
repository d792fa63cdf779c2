// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 array = BPF_MAP_TYPE_ARRAY, percpu_array = BPF_MAP_TYPE_PERCPU_ARRAY;
constexpr u32 prog_array = BPF_MAP_TYPE_PROG_ARRAY, perf_array = BPF_MAP_TYPE_PERF_EVENT_ARRAY;

TEST(array, refuses_what_linux_refuses) {
    for (u32 type : {array, percpu_array, prog_array, perf_array}) {
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1)), 0);
        EXPECT_EQ(check_code(params_of(type, 8, 4, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 0, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 0)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_NO_PREALLOC)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_ZERO_SEED)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_MMAPABLE)), type == array ? 0 : -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_INNER_MAP)), type == array ? 0 : -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_NUMA_NODE)), type == percpu_array ? -EINVAL : 0);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_PRESERVE_ELEMS)), type == perf_array ? 0 : -EINVAL);
        bool plain = type == array || type == percpu_array;
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_RDONLY_PROG)), plain ? 0 : -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 4, 1, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1)), plain ? 0 : -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 4, 0x80000000, 1)), plain ? -E2BIG : -EINVAL);
    }
    EXPECT_EQ(check_code(params_of(percpu_array, 4, 32768, 1)), 0);
    EXPECT_EQ(check_code(params_of(percpu_array, 4, 32769, 1)), -E2BIG);
}

/// value_size times max_entries needs 64 bits, and more memory than there is: no wrap to a small allocation.
TEST(array, sizes_do_not_wrap) {
    EXPECT_EQ(test_map(params_of(array, 4, 0x7fffffff, 0xffffffff)).error, -ENOMEM);
    EXPECT_EQ(test_map(params_of(array, 4, 0x7fffffff, 0xffffffff, BPF_F_MMAPABLE)).error, -ENOMEM);
    EXPECT_EQ(test_map(params_of(percpu_array, 4, 32768, 0xffffffff)).error, -ENOMEM);
    EXPECT_EQ(test_map(params_of(array, 4, 65536, 65537 * 65535u, BPF_F_MMAPABLE)).error, -ENOMEM);
}

TEST(array, operations) {
    test_map m(params_of(array, 4, 12, 5));
    u32 key = 4, next, beyond = 5;
    u8 value[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, got[12];
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, got, 0), 0);
    EXPECT_EQ(memcmp(got, "\0\0\0\0\0\0\0\0\0\0\0", 12), 0);
    EXPECT_EQ(m.ops->update(m.m, &key, value, BPF_ANY), 0);
    EXPECT_EQ(m.ops->update(m.m, &key, value, BPF_EXIST), 0);
    EXPECT_EQ(m.ops->update(m.m, &key, value, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(m.ops->update(m.m, &key, value, 3), -EINVAL);
    EXPECT_EQ(m.ops->update(m.m, &key, value, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(m.ops->update(m.m, &beyond, value, BPF_F_LOCK), -E2BIG);
    EXPECT_EQ(m.ops->update(m.m, &beyond, value, BPF_NOEXIST), -E2BIG);
    EXPECT_EQ(m.ops->update(m.m, &beyond, value, 8), -EINVAL);
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, got, 0), 0);
    EXPECT_EQ(memcmp(got, value, 12), 0);
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, got, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(m.ops->lookup_user(m.m, &beyond, got, 0), -ENOENT);
    EXPECT_EQ(m.ops->lookup(m.m, &beyond), nullptr);
    u32 huge = 0xffffffff;
    EXPECT_EQ(m.ops->lookup(m.m, &huge), nullptr);
    EXPECT_EQ(m.ops->remove(m.m, &key), -EINVAL);
    EXPECT_EQ(m.ops->remove_user(m.m, &beyond), -EINVAL);
    EXPECT_EQ(addr_of(m.ops->lookup(m.m, &key)) % 8, 0u);

    EXPECT_EQ(m.ops->next_key(m.m, nullptr, &next), 0);
    EXPECT_EQ(next, 0u);
    for (u32 from : {0u, 3u}) {
        EXPECT_EQ(m.ops->next_key(m.m, &from, &next), 0);
        EXPECT_EQ(next, from + 1);
    }
    EXPECT_EQ(m.ops->next_key(m.m, &key, &next), -ENOENT);
    for (u32 from : {5u, 0xffffffffu}) {
        EXPECT_EQ(m.ops->next_key(m.m, &from, &next), 0);
        EXPECT_EQ(next, 0u);
    }
    EXPECT_EQ(m.ops->value_address(m.m, 0).code(), -ENOTSUPP);
}

TEST(array, global_data) {
    for (u32 flags : {0u, +BPF_F_MMAPABLE}) {
        test_map m(params_of(array, 4, 100, 1, flags));
        u32 key = 0;
        auto at = m.ops->value_address(m.m, 99);
        ASSERT_TRUE(at.ok());
        EXPECT_EQ(*at, addr_of(m.ops->lookup(m.m, &key)) + 99);
        EXPECT_EQ(m.ops->value_address(m.m, 100).code(), -EINVAL);
        EXPECT_EQ(m.ops->value_address(m.m, 0xffffffff).code(), -EINVAL);
    }
    EXPECT_EQ(find_map_ops(percpu_array)->value_address, nullptr);
}

TEST(percpu_array, values_by_cpu) {
    test_map m(params_of(percpu_array, 4, 12, 3));
    u32 cpus = port_cpu_count(), key = 2, beyond = 3, cpu;
    std::vector<u8> all(16 * cpus, 0x55), got(16 * cpus);
    EXPECT_EQ(m->user_value_size(), 16 * cpus);
    EXPECT_EQ(m.ops->update_user(m.m, &key, all.data(), BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(m.ops->update_user(m.m, &key, all.data(), BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(m.ops->update_user(m.m, &beyond, all.data(), BPF_NOEXIST), -E2BIG);
    EXPECT_EQ(m.ops->update_user(m.m, &key, all.data(), BPF_EXIST), 0);
    u8 mine[12] = {9};
    {
        program_section p;
        cpu = port_cpu_id();
        EXPECT_EQ(m.ops->lookup(m.m, &beyond), nullptr);
        EXPECT_EQ(m.ops->update(m.m, &beyond, mine, 0), -E2BIG);
        EXPECT_EQ(m.ops->update(m.m, &key, mine, 0), 0);
        EXPECT_EQ(memcmp(m.ops->lookup(m.m, &key), mine, 12), 0);
    }
    memcpy(&all[16 * cpu], mine, 12);
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, got.data(), 0), 0);
    EXPECT_EQ(got, all);
    EXPECT_EQ(m.ops->lookup_user(m.m, &beyond, got.data(), 0), -ENOENT);
    EXPECT_EQ(m.ops->remove_user(m.m, &key), -EINVAL);
}

const port_file_ops file_ops = {
    .name = "array-test",
    .release = [](void *) {},
    .mmap = [](void *o, port_vma *v) { return static_cast<map *>(o)->ops->mmap(static_cast<map *>(o), v); },
};

TEST(array, mmap) {
    test_map m(params_of(array, 4, 8, 1000, BPF_F_MMAPABLE)), plain(params_of(array, 4, 8, 1000));
    int fd = port_fd_create(&file_ops, m.m, 0), plain_fd = port_fd_create(&file_ops, plain.m, 0);
    ASSERT_GE(fd, 0);
    auto mapped = [](int f, size_t size, int prot, u64 off) {
        return port_user_mmap(nullptr, size, prot, MAP_SHARED, f, off);
    };
    EXPECT_EQ(mapped(plain_fd, 4096, PROT_READ, 0), -EINVAL);
    EXPECT_EQ(mapped(fd, 3 * 4096, PROT_READ, 0), -EINVAL);
    EXPECT_EQ(mapped(fd, 4096, PROT_READ, 2 * 4096), -EINVAL);
    EXPECT_EQ(mapped(fd, 4096, PROT_READ, 0ull - 4096), -EINVAL);
    long at = mapped(fd, 2 * 4096, PROT_READ | PROT_WRITE, 0);
    ASSERT_GT(at, 0);
    u64 *values = ptr_of<u64>(at);
    u32 key = 999;
    values[999] = 0x1234;
    EXPECT_EQ(load8(m.ops->lookup(m.m, &key)), 0x1234u);
    u64 v = 77;
    EXPECT_EQ(m.ops->update(m.m, &key, &v, 0), 0);
    EXPECT_EQ(values[999], 77u);
    port_user_unmapped(values, 2 * 4096);
    munmap(values, 2 * 4096);
    close(fd), close(plain_fd);
    port_user_sweep();
}

/// Objects as prog/ and attach/ would supply them.
struct fake_program : runnable {
    u32 refs = 1, id = 0;
};
struct fake_sink : perf_sink {
    u32 refs = 1;
};
fake_program programs[3];
fake_sink sinks[3];

struct fd_array : testing::Test {
    void SetUp() override {
        for (u32 i = 0; i < 3; i++)
            programs[i] = {}, programs[i].id = 100 + i, sinks[i] = {};
        prog_hooks = {
            .get = [](map *, int fd) -> result<runnable *> {
                if (fd < 0 || fd > 2)
                    return error(EBADF);
                programs[fd].refs++;
                return static_cast<runnable *>(&programs[fd]);
            },
            .put = [](runnable *p) { static_cast<fake_program *>(p)->refs--; },
            .id = [](runnable *p) { return static_cast<fake_program *>(p)->id; },
        };
        perf_hooks = {
            .get = [](int fd) -> result<perf_sink *> {
                if (fd < 0 || fd > 2)
                    return error(EBADF);
                sinks[fd].refs++;
                return static_cast<perf_sink *>(&sinks[fd]);
            },
            .put = [](perf_sink *s) { static_cast<fake_sink *>(s)->refs--; },
        };
    }
    void TearDown() override { prog_hooks = {}, perf_hooks = {}; }
};

TEST_F(fd_array, programs) {
    u32 key = 1, beyond = 2, fd = 0, bad = 7, id = 0, next;
    {
        test_map m(params_of(prog_array, 4, 4, 2));
        EXPECT_EQ(m.ops->lookup, nullptr);
        EXPECT_EQ(m.ops->update, nullptr);
        EXPECT_FALSE(m.ops->batch);
        EXPECT_EQ(m.ops->lookup_user(m.m, &key, &id, 0), -ENOENT);
        EXPECT_EQ(prog_array_slot(m.m, 1), nullptr);
        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_NOEXIST), -EINVAL);
        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_EXIST), -EINVAL);
        EXPECT_EQ(m.ops->update_user(m.m, &beyond, &fd, BPF_ANY), -E2BIG);
        EXPECT_EQ(m.ops->update_user(m.m, &key, &bad, BPF_ANY), -EBADF);
        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_ANY), 0);
        EXPECT_EQ(prog_array_slot(m.m, 1), &programs[0]);
        EXPECT_EQ(prog_array_slot(m.m, 2), nullptr);
        EXPECT_EQ(prog_array_slot(m.m, 0xffffffff), nullptr);
        EXPECT_EQ(m.ops->lookup_user(m.m, &key, &id, 0), 0);
        EXPECT_EQ(id, 100u);
        EXPECT_EQ(m.ops->lookup_user(m.m, &beyond, &id, 0), -ENOENT);
        fd = 1;
        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_ANY), 0);
        EXPECT_EQ(programs[0].refs, 1u);
        EXPECT_EQ(programs[1].refs, 2u);
        EXPECT_EQ(m.ops->remove_user(m.m, &beyond), -E2BIG);
        EXPECT_EQ(m.ops->remove_user(m.m, &key), 0);
        EXPECT_EQ(m.ops->remove_user(m.m, &key), -ENOENT);
        EXPECT_EQ(programs[1].refs, 1u);
        EXPECT_EQ(m.ops->next_key(m.m, nullptr, &next), 0);

        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_ANY), 0);
        m->user_get();
        m->user_put();
        EXPECT_NE(prog_array_slot(m.m, 1), nullptr);
        m->user_put();  // the last user reference: empty, while programs still hold the map
        EXPECT_EQ(prog_array_slot(m.m, 1), nullptr);
        EXPECT_EQ(programs[1].refs, 1u);
        m->user_get();
        EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_ANY), 0);
    }
    EXPECT_EQ(programs[1].refs, 1u);
}

TEST_F(fd_array, perf_events) {
    for (u32 flags : {0u, +BPF_F_PRESERVE_ELEMS}) {
        u32 key = 0, fd = 2, value;
        {
            test_map m(params_of(perf_array, 4, 4, 4, flags));
            EXPECT_EQ(m.ops->lookup_user(m.m, &key, &value, 0), -ENOTSUPP);
            EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, 0), 0);
            EXPECT_EQ(m.ops->update_user(m.m, &key, &fd, BPF_EXIST), -EINVAL);
            EXPECT_EQ(perf_array_slot(m.m, 0), &sinks[2]);
            EXPECT_EQ(perf_array_slot(m.m, 4), nullptr);
            m->user_put();
            EXPECT_EQ(perf_array_slot(m.m, 0), flags ? &sinks[2] : nullptr);
            m->user_get();
        }
        EXPECT_EQ(sinks[2].refs, 1u);
    }
}

/// CVE-2024-56614: an index is a number without a sign, for user space and for programs.
TEST_F(fd_array, indexes_without_sign) {
    for (u32 type : {array, percpu_array, prog_array, perf_array}) {
        test_map m(params_of(type, 4, type == array || type == percpu_array ? 8 : 4, 4));
        std::vector<u64> value(port_cpu_count());
        bool of_fds = type == prog_array || type == perf_array;
        for (u32 key : {4u, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
            EXPECT_EQ(m.ops->update_user(m.m, &key, value.data(), 0), -E2BIG) << type << " " << key;
            EXPECT_EQ(m.ops->remove_user(m.m, &key), of_fds ? -E2BIG : -EINVAL) << type << " " << key;
            if (m.ops->lookup) {
                program_section p;
                EXPECT_EQ(m.ops->lookup(m.m, &key), nullptr) << type << " " << key;
            }
        }
        u32 key = 3;
        EXPECT_EQ(m.ops->update_user(m.m, &key, value.data(), 0), 0) << type;
        EXPECT_EQ(m.ops->remove_user(m.m, &key), of_fds ? 0 : -EINVAL) << type;
    }
}

/// CVE-2026-45838: from key to key a walk comes to an end, from wherever it starts.
TEST(next_key, ends) {
    constexpr u32 count = 7;
    for (u32 type : {array, percpu_array, prog_array, perf_array, +BPF_MAP_TYPE_HASH, +BPF_MAP_TYPE_PERCPU_HASH, +BPF_MAP_TYPE_LRU_HASH,
                     +BPF_MAP_TYPE_LPM_TRIE}) {
        bool indexed = type == array || type == percpu_array || type == prog_array || type == perf_array;
        test_map m(params_of(type, indexed ? 4 : 8, type == prog_array || type == perf_array ? 4 : 8, count,
                             type == BPF_MAP_TYPE_LPM_TRIE ? +BPF_F_NO_PREALLOC : 0u));
        ASSERT_EQ(m.error, 0) << type;
        std::vector<u64> value(port_cpu_count());
        auto key_of = [&](u64 i) { return indexed ? i : 32 + (i << 40); };
        for (u64 i = 0; i < count && !indexed; i++) {
            u64 key = key_of(i);
            ASSERT_EQ(m.ops->update_user(m.m, &key, value.data(), 0), 0) << type;
        }
        u64 first = 0;
        ASSERT_EQ(m.ops->next_key(m.m, nullptr, &first), 0) << type;
        for (u64 start : {first, key_of(count - 1), key_of(count), key_of(0x7fffff), key_of(0xffffff)}) {
            u64 key = start, next = 0;
            u32 steps = 0;
            while (!m.ops->next_key(m.m, &key, &next) && steps <= count)
                key = next, steps++;
            EXPECT_LE(steps, count) << type << " from " << start;
        }
    }
}

TEST(array, allocation_failures) {
    for (u32 type : {array, percpu_array, prog_array, perf_array}) {
        for (u64 nth = 1;; nth++) {
            port_fail_nth_set(nth);
            test_map m(params_of(type, 4, 4, 100));
            port_fail_nth_set(0);
            if (!m.error) {
                EXPECT_GE(nth, 3u);
                break;
            }
            ASSERT_EQ(m.error, -ENOMEM);
        }
    }
}

TEST(registry, table) {
    EXPECT_EQ(all_map_ops().size(), 23u);
    for (const map_ops *ops : all_map_ops()) {
        EXPECT_EQ(find_map_ops(ops->type), ops);
        // What the command layer calls without asking.
        EXPECT_TRUE(ops->name && ops->check && ops->create && ops->free && ops->memory && ops->lookup_user &&
                    ops->update_user && ops->remove_user && ops->next_key);
    }
    EXPECT_EQ(find_map_ops(BPF_MAP_TYPE_UNSPEC), nullptr);
    EXPECT_TRUE(find_map_ops(BPF_MAP_TYPE_DEVMAP)->verify_only);
    EXPECT_EQ(find_map_ops(0xffffffff), nullptr);
}

}  // namespace
