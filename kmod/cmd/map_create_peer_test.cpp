// SPDX-License-Identifier: GPL-2.0-only
// MAP_CREATE for verification: every map type of Linux 6.12 is made, or refused with the same errno, as the running kernel does it.
#include "cmd/core_test.h"

#include <errno.h>
#include <random>
#include <sys/syscall.h>

namespace modbpf::test {

namespace {

constexpr u32 last_type = BPF_MAP_TYPE_ARENA;

long on_kernel(u32 cmd, const void *attr, u32 size) {
    long r = syscall(__NR_bpf, cmd, attr, size);
    return r < 0 ? -errno : r;
}

/// Types of the same content on both sides: [1] int, [2] unsigned 64-bit, [3] struct {u64; u32}, [4] struct {u32; u8[4]}.
std::vector<u32> type_words() {
    auto info = [](u32 kind, u32 vlen) { return kind << 24 | vlen; };
    return {
        0, info(1, 0), 4, 32,          // 1: int
        0, info(1, 0), 8, 64,          // 2: u64
        3, info(4, 2), 16, 1, 2, 0, 1, 1, 64, // 3: struct key
        0, info(1, 0), 1, 8,           // 4: u8
        0, info(3, 0), 0, 4, 1, 4,     // 5: u8[4]
        3, info(4, 2), 8, 1, 1, 0, 1, 5, 32, // 6: struct prefix
    };
}

std::vector<u8> type_blob() {
    std::vector<u32> words = type_words();
    const char strings[] = "\0x\0s";
    u32 type_len = static_cast<u32>(words.size() * 4);
    struct {
        u16 magic;
        u8 version, flags;
        u32 hdr_len, type_off, type_len, str_off, str_len;
    } h{0xeb9f, 1, 0, 24, 0, type_len, type_len, sizeof(strings)};
    std::vector<u8> blob(sizeof(h) + type_len + sizeof(strings));
    memcpy(blob.data(), &h, sizeof(h));
    memcpy(blob.data() + sizeof(h), words.data(), type_len);
    memcpy(blob.data() + sizeof(h) + type_len, strings, sizeof(strings));
    return blob;
}

class map_create_peer : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        map_create_attr a = map_attr(BPF_MAP_TYPE_LPM_TRIE, 8, 8, 1, BPF_F_NO_PREALLOC);
        long r = on_kernel(BPF_MAP_CREATE, &a, sizeof(a));
        if (r < 0)
            GTEST_SKIP() << "this process may not make maps";
        close(static_cast<int>(r));
        verify_only = true;
        blob_ = type_blob();
        btf_load_attr b{};
        b.btf = addr_of(blob_.data());
        b.btf_size = static_cast<u32>(blob_.size());
        ours_ = fd(bpf(BPF_BTF_LOAD, b));
        theirs_ = static_cast<int>(on_kernel(BPF_BTF_LOAD, &b, sizeof(b)));
        ASSERT_TRUE(ours_.ok());
        ASSERT_GE(theirs_, 0);
        map_create_attr in = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
        ours_inner_ = fd(bpf(BPF_MAP_CREATE, in));
        theirs_inner_ = static_cast<int>(on_kernel(BPF_MAP_CREATE, &in, sizeof(in)));
    }
    void TearDown() override {
        verify_only = false;
        ours_ = fd(-1);
        ours_inner_ = fd(-1);
        if (theirs_ >= 0)
            close(theirs_);
        if (theirs_inner_ >= 0)
            close(theirs_inner_);
        core_test::TearDown();
    }
    /// 0 or -errno on either side.
    long create(bool kernel, map_create_attr a) {
        if (a.btf_fd)
            a.btf_fd = kernel ? static_cast<u32>(theirs_) : ours_.u();
        if (a.inner_map_fd)
            a.inner_map_fd = kernel ? static_cast<u32>(theirs_inner_) : ours_inner_.u();
        if (!kernel) {
            fd f(bpf(BPF_MAP_CREATE, a));
            return f.ok() ? 0 : f.get();
        }
        long r = on_kernel(BPF_MAP_CREATE, &a, sizeof(a));
        if (r >= 0)
            close(static_cast<int>(r));
        return r < 0 ? r : 0;
    }
    fd ours_inner_{-1};
    int theirs_inner_ = -1;

private:
    std::vector<u8> blob_;
    fd ours_{-1};
    int theirs_ = -1;
};

TEST_F(map_create_peer, each_type_is_made) {
    struct {
        u32 type, key, value, entries, flags, key_type, value_type;
        u64 extra;
    } rows[] = {
        {BPF_MAP_TYPE_HASH, 4, 4, 1, 0, 1, 1, 0},
        {BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0, 1, 1, 0},
        {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_PERCPU_HASH, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_STACK_TRACE, 4, 1016, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_CGROUP_ARRAY, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_LRU_HASH, 4, 4, 1, BPF_F_NO_COMMON_LRU, 1, 1, 0},
        {BPF_MAP_TYPE_LRU_PERCPU_HASH, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC, 6, 1, 0},
        {BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_DEVMAP, 4, 8, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_SOCKMAP, 4, 8, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_CPUMAP, 4, 8, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_XSKMAP, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_SOCKHASH, 512, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_CGROUP_STORAGE, 16, 4, 0, 0, 3, 1, 0},
        {BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 4, 8, 1, 0, 1, 2, 0},
        {BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, 8, 4, 0, 0, 2, 1, 0},
        {BPF_MAP_TYPE_QUEUE, 0, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_STACK, 0, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_SK_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC | BPF_F_CLONE, 1, 1, 0},
        {BPF_MAP_TYPE_DEVMAP_HASH, 4, 4, 1, 0, 0, 0, 0},
        {BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, 0, 0, 0},
        {BPF_MAP_TYPE_INODE_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, 1, 1, 0},
        {BPF_MAP_TYPE_TASK_STORAGE, 4, 8, 0, BPF_F_NO_PREALLOC, 1, 2, 0},
        {BPF_MAP_TYPE_BLOOM_FILTER, 0, 4, 1, BPF_F_ZERO_SEED, 0, 1, 15},
        {BPF_MAP_TYPE_USER_RINGBUF, 0, 0, 4096, 0, 0, 0, 0},
        {BPF_MAP_TYPE_CGRP_STORAGE, 4, 4, 0, BPF_F_NO_PREALLOC, 1, 1, 0},
        {BPF_MAP_TYPE_ARENA, 0, 0, 100, BPF_F_MMAPABLE, 0, 0, 0x7f0000000000},
    };
    for (const auto &r : rows) {
        map_create_attr a = map_attr(r.type, r.key, r.value, r.entries, r.flags);
        a.map_extra = r.extra;
        a.btf_fd = r.value_type != 0, a.btf_key_type_id = r.key_type, a.btf_value_type_id = r.value_type;
        a.inner_map_fd = is_map_in_map(r.type);
        EXPECT_EQ(create(true, a), 0) << r.type;
        EXPECT_EQ(create(false, a), 0) << r.type;
    }
}

TEST_F(map_create_peer, errno_of_each_type) {
    std::mt19937 rng(7);
    const u32 keys[] = {0, 1, 4, 4, 4, 5, 8, 16, 260, 261, 513}, values[] = {0, 1, 4, 4, 8, 8, 12, 32, 1016, 1024, 32768, 32776, 65407, 65408},
              entries[] = {0, 0, 1, 1, 1, 2, 2, 4096, 4097, 8193},
              flags[] = {0, 0, 0, BPF_F_NO_PREALLOC, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_F_NO_COMMON_LRU, BPF_F_RDONLY, BPF_F_WRONLY_PROG,
                         BPF_F_RDONLY_PROG, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG, BPF_F_STACK_BUILD_ID, BPF_F_ZERO_SEED, BPF_F_CLONE,
                         BPF_F_MMAPABLE, BPF_F_MMAPABLE, BPF_F_INNER_MAP, BPF_F_PRESERVE_ELEMS, BPF_F_LINK, BPF_F_SEGV_ON_FAULT};
    const u64 extras[] = {0, 0, 0, 1, 15, 16, 4096, 0xfffff000};
    auto pick = [&](auto &list) { return list[rng() % std::size(list)]; };
    for (u32 n = 0; n < 1000; n++) {
        u32 type = 1 + rng() % last_type;
        map_create_attr a = map_attr(type, pick(keys), pick(values), pick(entries), pick(flags) | (rng() % 8 ? 0 : pick(flags)));
        if (type == BPF_MAP_TYPE_ARENA || type == BPF_MAP_TYPE_BLOOM_FILTER || rng() % 50 == 0)
            a.map_extra = pick(extras);
        if (rng() % 2) {
            a.btf_fd = 1;
            a.btf_key_type_id = rng() % 7, a.btf_value_type_id = rng() % 7;
        }
        if (is_map_in_map(type) && rng() % 4)
            a.inner_map_fd = 1;
        if (type == BPF_MAP_TYPE_CPUMAP && a.max_entries > 2)
            a.max_entries = 8193; // between lies the number of CPUs that the kernel was built for
        long want = create(true, a), got = create(false, a);
        EXPECT_EQ(got, want) << "type " << type << " key " << a.key_size << " value " << a.value_size << " entries " << a.max_entries
                             << " flags " << std::hex << a.map_flags << " extra " << a.map_extra << std::dec << " btf " << a.btf_key_type_id
                             << " " << a.btf_value_type_id << " inner " << a.inner_map_fd;
        if (n % 64 == 0)
            port_user_sweep();
    }
}

/// Which map may be inside of a map, and which may be put into a slot.
TEST_F(map_create_peer, maps_inside_maps) {
    struct side {
        bool kernel;
        long call(u32 cmd, const void *a, u32 size) const {
            return kernel ? on_kernel(cmd, a, size) : modbpf_core_bpf(cmd, addr_of(a), size);
        }
    };
    map_create_attr shapes[] = {
        map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1),
        map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 2),
        map_attr(BPF_MAP_TYPE_ARRAY, 4, 8, 1),
        map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1, BPF_F_INNER_MAP),
        map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 7, BPF_F_INNER_MAP),
        map_attr(BPF_MAP_TYPE_HASH, 4, 4, 1),
        map_attr(BPF_MAP_TYPE_HASH, 4, 4, 9),
        map_attr(BPF_MAP_TYPE_HASH, 4, 4, 1, BPF_F_NO_PREALLOC),
        map_attr(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1),
        map_attr(BPF_MAP_TYPE_XSKMAP, 4, 4, 1),
        map_attr(BPF_MAP_TYPE_XSKMAP, 4, 4, 2),
        map_attr(BPF_MAP_TYPE_CGROUP_STORAGE, 8, 4, 0),
        map_attr(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096),
        map_attr(BPF_MAP_TYPE_RINGBUF, 0, 0, 8192),
        map_attr(BPF_MAP_TYPE_QUEUE, 0, 4, 3),
        map_attr(BPF_MAP_TYPE_LRU_HASH, 4, 4, 3),
    };
    for (u32 outer : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS})
        for (const auto &like : shapes)
            for (const auto &put : shapes) {
                long results[2][2];
                for (side s : {side{true}, side{false}}) {
                    map_create_attr l = like, p = put, o = map_attr(outer, 4, 4, 2);
                    long like_fd = s.call(BPF_MAP_CREATE, &l, sizeof(l)), put_fd = s.call(BPF_MAP_CREATE, &p, sizeof(p));
                    ASSERT_GE(like_fd, 0) << like.map_type;
                    ASSERT_GE(put_fd, 0) << put.map_type;
                    o.inner_map_fd = static_cast<u32>(like_fd);
                    long o_fd = s.call(BPF_MAP_CREATE, &o, sizeof(o));
                    results[s.kernel][0] = o_fd < 0 ? o_fd : 0;
                    u32 key = 1, value = static_cast<u32>(put_fd);
                    map_elem_attr e{static_cast<u32>(o_fd), 0, addr_of(&key), addr_of(&value), 0};
                    results[s.kernel][1] = o_fd < 0 ? 0 : s.call(BPF_MAP_UPDATE_ELEM, &e, sizeof(e));
                    for (long f : {like_fd, put_fd, o_fd})
                        if (f >= 0)
                            close(static_cast<int>(f));
                    port_user_sweep();
                }
                EXPECT_EQ(results[0][0], results[1][0]) << outer << " of " << like.map_type;
                EXPECT_EQ(results[0][1], results[1][1])
                    << outer << " of " << like.map_type << "/" << like.max_entries << " gets " << put.map_type << "/" << put.max_entries;
            }
}

/// Without the wish for verdicts alone there is none of them.
TEST_F(map_create_peer, none_of_them_where_programs_run) {
    verify_only = false;
    for (const map_ops &ops : verify_only_map_ops()) {
        map_create_attr a = map_attr(ops.type, 4, 4, 1);
        EXPECT_EQ(create(false, a), -EINVAL) << ops.name;
    }
}

}  // namespace

}  // namespace modbpf::test
