// SPDX-License-Identifier: GPL-2.0-only
// Commands on maps: rights, names, freezing, elements, batches.
#include "cmd/core_test.h"

#include <atomic>
#include <chrono>
#include <thread>

using namespace modbpf;
using namespace modbpf::test;

namespace {

class map_cmd : public core_test {};

TEST_F(map_cmd, create_checks) {
    map_create_attr a = map_attr(BPF_MAP_TYPE_HASH, 4, 8, 10);
    EXPECT_TRUE(fd(bpf(BPF_MAP_CREATE, a)).ok());
    auto refused = [](auto change, int want) {
        map_create_attr b = map_attr(BPF_MAP_TYPE_HASH, 4, 8, 10);
        change(b);
        EXPECT_EQ(bpf(BPF_MAP_CREATE, b), want);
    };
    refused([](auto &b) { b.map_type = BPF_MAP_TYPE_ARENA; }, -EINVAL);
    refused([](auto &b) { b.map_type = ~0u; }, -EINVAL);
    refused([](auto &b) { b.map_extra = 1; }, -EINVAL);
    refused([](auto &b) { b.map_flags = BPF_F_RDONLY | BPF_F_WRONLY; }, -EINVAL);
    refused([](auto &b) { b.map_flags = 1u << 31; }, -EINVAL);
    refused([](auto &b) { b.map_flags = BPF_F_NUMA_NODE, b.numa_node = 4000; }, -EINVAL);
    refused([](auto &b) { b.btf_key_type_id = 1; }, -EINVAL);
    refused([](auto &b) { b.btf_vmlinux_value_type_id = 1; }, -EINVAL);
    refused([](auto &b) { b.btf_key_type_id = b.btf_value_type_id = 1, b.btf_fd = 9999; }, -EBADF);
    refused([](auto &b) { b.map_name[0] = '!'; }, -EINVAL);
    refused([](auto &b) { memset(b.map_name, 'a', 16); }, -EINVAL);
    refused([](auto &b) { b.map_flags = BPF_F_TOKEN_FD, b.map_token_fd = 9999; }, -EBADF);
    refused([](auto &b) { b.map_ifindex = 1; }, -EINVAL);
    refused([](auto &b) { b.max_entries = 0; }, -EINVAL);
}

TEST_F(map_cmd, elements) {
    fd m = make_map(BPF_MAP_TYPE_HASH, 4, 8, 10);
    ASSERT_TRUE(m.ok());
    u32 key = 7, next = 0;
    u64 value = 42, out = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &value), 0);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &value, BPF_NOEXIST), -EEXIST);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &value, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out), 0);
    EXPECT_EQ(out, 42u);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &out, 1), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, nullptr, &out), -EFAULT);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, nullptr), -EFAULT);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, nullptr), -EFAULT);
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, m, nullptr, &next), 0);
    EXPECT_EQ(next, 7u);
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, m, &next, &next), -ENOENT);
    out = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, m, &key, &out), 0);
    EXPECT_EQ(out, 42u);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, m, &key, nullptr), -ENOENT);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, fd(), &key, &out), -EBADF);
    fd a = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_AND_DELETE_ELEM, a, &key, &out), -ENOTSUPP);
}

TEST_F(map_cmd, access_modes) {
    u32 key = 0;
    u64 v = 1;
    fd ro = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_RDONLY);
    fd wo = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4, BPF_F_WRONLY);
    ASSERT_TRUE(ro.ok() && wo.ok());
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, ro, &key, &v), 0);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, ro, &key, &v), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, ro, &key, nullptr), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, wo, &key, &v), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, wo, nullptr, &key), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, wo, &key, &v), 0);
    map_fd_attr f{ro.u()};
    EXPECT_EQ(bpf(BPF_MAP_FREEZE, f), -EPERM);
    bpf_map_info info{};
    EXPECT_EQ(get_info(ro, info), 0);
    EXPECT_EQ(info.map_flags, 0u); // the fd's mode is not the map's
}

TEST_F(map_cmd, freeze) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 512, BPF_F_MMAPABLE);
    ASSERT_TRUE(m.ok());
    u32 key = 0;
    u64 v = 5;
    long at = port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.get(), 0);
    ASSERT_GT(at, 0);
    map_fd_attr f{m.u()};
    EXPECT_EQ(bpf(BPF_MAP_FREEZE, f), -EBUSY); // mapped writable
    *ptr_of<u64>(static_cast<u64>(at)) = 99;
    munmap(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
    port_user_unmapped(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &v), 0);
    EXPECT_EQ(v, 99u);
    EXPECT_EQ(bpf(BPF_MAP_FREEZE, f), 0);
    EXPECT_EQ(bpf(BPF_MAP_FREEZE, f), -EPERM); // frozen: not writable any more
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &v), -EPERM);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &v), 0);
    EXPECT_EQ(port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.get(), 0), -EPERM);
    at = port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ, MAP_SHARED, m.get(), 0);
    ASSERT_GT(at, 0);
    munmap(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
    port_user_unmapped(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
    EXPECT_NE(fdinfo(m.get()).find("frozen:\t1\n"), std::string::npos);
    fd ro = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 512, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG);
    EXPECT_EQ(port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ro.get(), 0), -EACCES);
    fd hash = make_map(BPF_MAP_TYPE_HASH, 4, 8, 4);
    EXPECT_EQ(port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ, MAP_SHARED, hash.get(), 0), -ENOTSUPP);
}

map_ops slow_ops;
std::atomic<bool> froze{false};
long freeze_result;
fd *mapped_fd;

/// CVE-2025-21853: while a map is being mapped, a freeze has its answer: no lock is held over what the mapping waits for.
TEST_F(map_cmd, freeze_while_it_is_mapped) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 512, BPF_F_MMAPABLE);
    ASSERT_TRUE(m.ok());
    map *of = map_from_fd(m.get()).value().get();
    const map_ops *plain = of->ops;
    slow_ops = *plain;
    mapped_fd = &m, froze = false, freeze_result = 0;
    std::thread freezer;
    static std::thread *started;
    started = &freezer;
    slow_ops.mmap = [](map *, port_vma *) {
        *started = std::thread([] {
            map_fd_attr f{mapped_fd->u()};
            freeze_result = bpf(BPF_MAP_FREEZE, f);
            froze = true;
        });
        for (u32 ms = 0; ms < 2000 && !froze; ms++)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_TRUE(froze);
        return -ENOMEM;
    };
    of->ops = &slow_ops;
    EXPECT_EQ(port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.get(), 0), -ENOMEM);
    freezer.join();
    of->ops = plain;
    EXPECT_EQ(freeze_result, -EBUSY); // it was about to be writable
    map_fd_attr f{m.u()};
    EXPECT_EQ(bpf(BPF_MAP_FREEZE, f), 0); // and was not
}

struct batch_io {
    std::vector<u32> keys;
    std::vector<u64> values;
    batch_attr a{};
    batch_io(const fd &m, u32 n) : keys(n), values(n) {
        a.map_fd = m.u(), a.count = n, a.keys = addr_of(keys.data()), a.values = addr_of(values.data());
    }
};

TEST_F(map_cmd, batch_hash) {
    constexpr u32 n = 500;
    fd m = make_map(BPF_MAP_TYPE_HASH, 4, 8, n);
    batch_io in(m, n);
    for (u32 i = 0; i < n; i++)
        in.keys[i] = i * 3, in.values[i] = i;
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, in.a), 0);
    EXPECT_EQ(in.a.count, n);
    std::vector<bool> seen(n);
    u32 token = 0, total = 0;
    bool first = true;
    for (;;) {
        batch_io out(m, 100);
        out.a.in_batch = first ? 0 : addr_of(&token);
        out.a.out_batch = addr_of(&token);
        first = false;
        long rc = bpf(BPF_MAP_LOOKUP_BATCH, out.a);
        ASSERT_TRUE(rc == 0 || rc == -ENOENT) << rc;
        for (u32 i = 0; i < out.a.count; i++) {
            ASSERT_EQ(out.keys[i], out.values[i] * 3);
            EXPECT_FALSE(seen[out.values[i]]);
            seen[out.values[i]] = true;
        }
        total += out.a.count;
        if (rc)
            break;
        ASSERT_GT(out.a.count, 0u);
    }
    EXPECT_EQ(total, n);
    batch_io gone(m, 10);
    for (u32 i = 0; i < 10; i++)
        gone.keys[i] = i * 3;
    EXPECT_EQ(bpf(BPF_MAP_DELETE_BATCH, gone.a), 0);
    EXPECT_EQ(gone.a.count, 10u);
    gone.a.count = 10;
    EXPECT_EQ(bpf(BPF_MAP_DELETE_BATCH, gone.a), -ENOENT);
    EXPECT_EQ(gone.a.count, 0u);
    batch_io rest(m, n);
    rest.a.out_batch = addr_of(&token);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH, rest.a), -ENOENT);
    EXPECT_EQ(rest.a.count, n - 10);
    u32 key;
    EXPECT_EQ(elem(BPF_MAP_GET_NEXT_KEY, m, nullptr, &key), -ENOENT);
}

/// Values that are large: the pieces begin with one element and grow when a bucket holds more.
TEST_F(map_cmd, batch_of_large_values) {
    constexpr u32 n = 24, size = 40000;
    fd m = make_map(BPF_MAP_TYPE_HASH, 4, size, n);
    std::vector<u32> keys(n);
    std::vector<u8> values(n * size);
    for (u32 i = 0; i < n; i++)
        keys[i] = i, memset(&values[i * size], static_cast<int>(i + 1), size);
    batch_attr a{};
    u32 token = 0;
    a.map_fd = m.u(), a.count = n, a.keys = addr_of(keys.data()), a.values = addr_of(values.data()), a.out_batch = addr_of(&token);
    ASSERT_EQ(bpf(BPF_MAP_UPDATE_BATCH, a), 0);
    std::fill(values.begin(), values.end(), 0);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH, a), -ENOENT);
    EXPECT_EQ(a.count, n);
    for (u32 i = 0; i < n; i++)
        EXPECT_EQ(values[i * size + size - 1], keys[i] + 1);
    a.count = n;
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, a), -ENOENT);
    EXPECT_EQ(a.count, 0u);
}

TEST_F(map_cmd, batch_array_and_errors) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 8);
    batch_io in(m, 9);
    for (u32 i = 0; i < 9; i++)
        in.keys[i] = i, in.values[i] = i + 100;
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, in.a), -E2BIG); // key 8
    EXPECT_EQ(in.a.count, 8u);
    batch_io out(m, 5);
    u32 token = 0;
    out.a.out_batch = addr_of(&token);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, out.a), 0);
    EXPECT_EQ(out.a.count, 5u);
    EXPECT_EQ(token, 4u);
    out.a.in_batch = addr_of(&token);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, out.a), -ENOENT);
    EXPECT_EQ(out.a.count, 3u);
    EXPECT_EQ(out.values[2], 107u);
    EXPECT_EQ(bpf(BPF_MAP_DELETE_BATCH, out.a), -ENOTSUPP);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_AND_DELETE_BATCH, out.a), -ENOTSUPP);
    out.a.elem_flags = BPF_F_LOCK;
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, out.a), -EINVAL);
    batch_io none(m, 1);
    none.a.count = 0;
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, none.a), 0);
    none.a.count = 1;
    none.a.keys = 8;
    EXPECT_EQ(bpf(BPF_MAP_UPDATE_BATCH, none.a), -EFAULT);
    fd ring = make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
    batch_io r(ring, 1);
    EXPECT_EQ(bpf(BPF_MAP_LOOKUP_BATCH, r.a), -ENOTSUPP);
}

/// Of a hash map: where the walk has ended, nothing is written.
TEST_F(map_cmd, batch_behind_the_last_bucket) {
    fd m = make_map(BPF_MAP_TYPE_HASH, 4, 8, 8);
    for (u32 cmd : {BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH})
        for (u32 token : {8u, ~0u}) {
            batch_io b(m, 4);
            b.a.in_batch = addr_of(&token); // and no out_batch
            EXPECT_EQ(bpf(cmd, b.a), -ENOENT) << token;
            EXPECT_EQ(b.a.count, 0u);
        }
}

/// A program that was running when a map left its map has ended when the command returns; other maps' commands do not wait.
TEST_F(map_cmd, changes_of_a_map_of_maps_wait_for_programs) {
    for (u32 type : {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS}) {
        fd inner = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1), plain = make_map(BPF_MAP_TYPE_HASH, 4, 4, 4);
        map_create_attr a = map_attr(type, 4, 4, 4);
        a.inner_map_fd = inner.u();
        fd outer(bpf(BPF_MAP_CREATE, a));
        ASSERT_TRUE(outer.ok());
        u32 key = 1, absent = 99, value = inner.u(), id = 0;
        std::vector<u32> keys{0, 1}, values{inner.u(), inner.u()};
        auto batch = [&](const fd &m, u32 cmd) {
            batch_attr b{};
            b.map_fd = m.u(), b.count = 2, b.keys = addr_of(keys.data()), b.values = addr_of(values.data());
            return bpf(cmd, b);
        };
        /// Does the command wait for the end of what runs?
        auto waits = [](auto command) {
            std::atomic<bool> returned{false};
            port_rcu_read_lock();
            std::thread t([&] {
                command();
                returned = true;
            });
            for (u32 ms = 0; ms < 50 && !returned; ms++)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            bool waited = !returned;
            port_rcu_read_unlock();
            t.join();
            return waited;
        };
        EXPECT_TRUE(waits([&] { EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, outer, &key, &value), 0); }));
        EXPECT_FALSE(waits([&] { EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, outer, &key, &id), 0); }));
        EXPECT_TRUE(waits([&] { EXPECT_EQ(elem(BPF_MAP_DELETE_ELEM, outer, &key, nullptr), 0); }));
        EXPECT_FALSE(waits([&] { EXPECT_LT(elem(BPF_MAP_DELETE_ELEM, outer, &absent, nullptr), 0); }));
        EXPECT_TRUE(waits([&] { EXPECT_EQ(batch(outer, BPF_MAP_UPDATE_BATCH), 0); }));
        EXPECT_TRUE(waits([&] { (void)batch(outer, BPF_MAP_DELETE_BATCH); }));
        EXPECT_FALSE(waits([&] { EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, plain, &key, &value), 0); }));
        EXPECT_FALSE(waits([&] { EXPECT_EQ(batch(plain, BPF_MAP_UPDATE_BATCH), 0); }));
    }
}

TEST_F(map_cmd, fdinfo_keys) {
    fd m = make_map(BPF_MAP_TYPE_PERCPU_HASH, 4, 12, 33, BPF_F_NO_PREALLOC);
    std::string text = fdinfo(m.get());
    EXPECT_EQ(text.find("map_type:\t5\nkey_size:\t4\nvalue_size:\t12\nmax_entries:\t33\nmap_flags:\t0x1\nmap_extra:\t0\nmemlock:\t"), 0u)
        << text;
    EXPECT_NE(text.find("\nmap_id:\t"), std::string::npos);
    EXPECT_EQ(text.substr(text.size() - 10), "frozen:\t0\n");
}

/// Each allocation on the way of a command fails once: ENOMEM (or no effect), nothing leaks (the leak checker sees to that).
TEST_F(map_cmd, allocation_failures) {
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
                     BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_RINGBUF}) {
        bool ring = type == BPF_MAP_TYPE_RINGBUF;
        for (u64 n = 1;; n++) {
            ASSERT_LT(n, 500u);
            port_fail_nth_set(n);
            fd m = make_map(type, ring ? 0 : 4, ring ? 0 : 4, ring ? 4096 : 4);
            bool reached = port_fail_nth_set(0) >= n;
            if (m.ok() && !reached)
                break;
        }
    }
    fd m = make_map(BPF_MAP_TYPE_HASH, 4, 8, 64);
    u32 token = 0;
    for (u32 cmd : {BPF_MAP_UPDATE_BATCH, BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_DELETE_BATCH})
        for (u64 n = 1;; n++) {
            ASSERT_LT(n, 100u);
            batch_io io(m, 4);
            io.a.out_batch = addr_of(&token);
            port_fail_nth_set(n);
            long rc = bpf(cmd, io.a);
            if (port_fail_nth_set(0) < n)
                break;
            EXPECT_EQ(rc, -ENOMEM) << cmd << " " << n;
        }
    u32 key = 1;
    u64 value = 2;
    for (u32 cmd : {BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM, BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM})
        for (u64 n = 1;; n++) {
            ASSERT_LT(n, 100u);
            port_fail_nth_set(n);
            long rc = elem(cmd, m, cmd == BPF_MAP_GET_NEXT_KEY ? nullptr : &key, &value);
            if (port_fail_nth_set(0) < n)
                break;
            EXPECT_EQ(rc, -ENOMEM) << cmd << " " << n;
        }
}

}  // namespace
