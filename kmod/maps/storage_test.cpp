// SPDX-License-Identifier: GPL-2.0-only
// Local storage: values by owner, their end with it, and what readers see meanwhile.
#include "maps/storage.h"

#include "maps/map_test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace modbpf;

namespace {

map_params storage_params(u32 type, u32 value_size) {
    map_params p = params_of(type, 4, value_size, 0, BPF_F_NO_PREALLOC);
    p.typed = true;
    return p;
}

class storage : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(storage_start().ok()); }
    void TearDown() override {
        map_free_barrier();
        storage_stop();
    }
};

constexpr u32 types[] = {BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_CGRP_STORAGE, BPF_MAP_TYPE_INODE_STORAGE, BPF_MAP_TYPE_SK_STORAGE};

u64 *get(const test_map &m, u64 owner, const u64 *value = nullptr, bool create = true) {
    return static_cast<u64 *>(storage_get(m.m, owner, value, create));
}

TEST_F(storage, refuses_what_linux_refuses) {
    for (u32 type : types) {
        EXPECT_EQ(check_code(storage_params(type, 8)), 0);
        map_params p = storage_params(type, 8);
        p.flags = 0;
        EXPECT_EQ(check_code(p), -EINVAL);
        p = storage_params(type, 8), p.max_entries = 1;
        EXPECT_EQ(check_code(p), -EINVAL);
        p = storage_params(type, 8), p.key_size = 8;
        EXPECT_EQ(check_code(p), -EINVAL);
        p = storage_params(type, 8), p.typed = false;
        EXPECT_EQ(check_code(p), -EINVAL);
        p = storage_params(type, 8), p.flags |= BPF_F_NUMA_NODE;
        EXPECT_EQ(check_code(p), -EINVAL);
        EXPECT_EQ(check_code(storage_params(type, 0)), -EINVAL);
        EXPECT_EQ(check_code(storage_params(type, 65407)), 0);
        EXPECT_EQ(check_code(storage_params(type, 65408)), -E2BIG);
    }
}

TEST_F(storage, values_by_owner) {
    for (u32 type : types) {
        test_map m(storage_params(type, 12)), other(storage_params(type, 12));
        ASSERT_EQ(m.error, 0);
        EXPECT_EQ(m->params.max_entries, 0u); // as user space asked
        EXPECT_EQ(m->params.key_size, 4u);
        EXPECT_EQ(m->params.value_size, 12u);
        program_section s;
        const u64 init[2] = {77, 5};
        EXPECT_EQ(get(m, 0x1000, nullptr, false), nullptr);
        u64 *a = get(m, 0x1000), *b = get(m, 0x2000, init);
        ASSERT_TRUE(a && b);
        EXPECT_EQ(*a, 0u);
        EXPECT_EQ(*b, 77u);
        EXPECT_EQ(get(m, 0x1000, init), a); // there already: the value given is not looked at
        EXPECT_EQ(*a, 0u);
        EXPECT_EQ(get(other, 0x1000, nullptr, false), nullptr);
        EXPECT_EQ(storage_remove(m.m, 0x1000), 0);
        EXPECT_EQ(storage_remove(m.m, 0x1000), -ENOENT);
        EXPECT_EQ(get(m, 0x1000, nullptr, false), nullptr);
        EXPECT_EQ(*get(m, 0x2000), 77u);
    }
}

/// A value that was taken out serves nobody else before the section of who found it ends.
TEST_F(storage, removed_values_stay_for_the_section) {
    test_map m(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 8));
    std::thread([&] {
        program_section s;
        const u64 init = 1234;
        u64 *held = get(m, 0x1000, &init);
        ASSERT_TRUE(held);
        ASSERT_EQ(storage_remove(m.m, 0x1000), 0);
        for (u64 owner = 0x2000; owner < 0x2000 + 300 * 16; owner += 16) {
            u64 *v = get(m, owner, &owner);
            EXPECT_NE(v, held);
        }
        usleep(50000);
        EXPECT_EQ(*held, 1234u);
    }).join();
    // Afterwards its memory is used again: a thousand rounds take no more memory than a few.
    u64 before = m->ops->memory(m.m);
    for (u64 n = 0; n < 20000; n++) {
        bool made = false;
        for (u32 turn = 0; !made && turn < 1000; turn++) { // faster than grace periods
            if (turn)
                usleep(100);
            program_section s;
            made = get(m, 0x9000, &n);
            if (made) {
                EXPECT_EQ(storage_remove(m.m, 0x9000), 0);
            }
        }
        ASSERT_TRUE(made) << n;
    }
    EXPECT_LE(m->ops->memory(m.m), before + (1u << 20));
}

TEST_F(storage, values_end_with_their_owner) {
    test_map tasks(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 8)), more(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 8)),
        groups(storage_params(BPF_MAP_TYPE_CGRP_STORAGE, 8));
    const u64 init = 9;
    {
        program_section s;
        ASSERT_TRUE(get(tasks, 0x1000, &init) && get(more, 0x1000, &init) && get(groups, 0x1000, &init) && get(tasks, 0x2000, &init));
    }
    port_user_end_owner(PORT_OWNER_TASK, 0x1000);
    program_section s;
    EXPECT_EQ(get(tasks, 0x1000, nullptr, false), nullptr);
    EXPECT_EQ(get(more, 0x1000, nullptr, false), nullptr);
    EXPECT_TRUE(get(groups, 0x1000, nullptr, false));
    EXPECT_TRUE(get(tasks, 0x2000, nullptr, false));
    EXPECT_EQ(*get(tasks, 0x1000), 0u); // another owner at the same address
}

/// While owners end and others come at the same addresses, nobody sees a value that was made for another one.
TEST_F(storage, owners_come_and_go) {
    test_map m(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 16));
    constexpr u64 owners = 8, rounds = 150;
    u64 incarnation[owners] = {}; // atomic; odd while the owner is there
    u64 made = 0;
    bool stop = false;
    std::thread users[2];
    for (auto &t : users)
        t = std::thread([&] {
            for (u64 n = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); n++) {
                program_section s;
                u64 o = n % owners, now = __atomic_load_n(&incarnation[o], __ATOMIC_ACQUIRE);
                if (!(now & 1))
                    continue;
                const u64 init[2] = {o, now};
                u64 *v = get(m, 0x1000 + o * 64, init);
                if (!v)
                    continue;
                EXPECT_EQ(v[0], o);
                EXPECT_EQ(v[1], now);
                __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
                if (n % 7 == 0) {
                    long r = storage_remove(m.m, 0x1000 + o * 64);
                    EXPECT_TRUE(r == 0 || r == -ENOENT || r == -EBUSY) << r;
                }
            }
        });
    for (u64 r = 0; r < rounds; r++)
        for (u64 o = 0; o < owners; o++) {
            __atomic_store_n(&incarnation[o], r * 2 + 1, __ATOMIC_RELEASE);
            if (o % 4 == 0)
                usleep(200);
            __atomic_store_n(&incarnation[o], r * 2 + 2, __ATOMIC_RELEASE);
            // As the kernel does: dead, a grace period, then the word that it is gone.
            port_rcu_synchronize();
            port_user_end_owner(PORT_OWNER_TASK, 0x1000 + o * 64);
        }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (auto &t : users)
        t.join();
    EXPECT_GT(made, 0u);
    program_section s;
    for (u64 o = 0; o < owners; o++)
        EXPECT_EQ(get(m, 0x1000 + o * 64, nullptr, false), nullptr);
}

TEST_F(storage, commands_by_pidfd) {
    int fd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)), none = -1, plain = open("/", O_RDONLY);
    if (fd < 0)
        GTEST_SKIP() << "no pidfds";
    test_map m(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 8));
    const map_ops &ops = *m.ops;
    u64 value = 5, out = 0;
    EXPECT_EQ(ops.lookup_user(m.m, &none, &out, 0), -EBADF);
    EXPECT_EQ(ops.lookup_user(m.m, &plain, &out, 0), -EBADF);
    EXPECT_EQ(ops.lookup_user(m.m, &fd, &out, 0), -ENOENT);
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, BPF_EXIST), -ENOENT);
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, 3), -EINVAL);
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, BPF_F_LOCK), -EINVAL);
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, BPF_NOEXIST), 0);
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, BPF_NOEXIST), -EEXIST);
    {
        program_section s;
        u64 *held = get(m, port_current(), nullptr, false);
        ASSERT_TRUE(held);
        EXPECT_EQ(*held, 5u);
    }
    value = 6;
    EXPECT_EQ(ops.update_user(m.m, &fd, &value, BPF_ANY), 0);
    EXPECT_EQ(ops.lookup_user(m.m, &fd, &out, 0), 0);
    EXPECT_EQ(out, 6u);
    EXPECT_EQ(ops.remove_user(m.m, &fd), 0);
    EXPECT_EQ(ops.remove_user(m.m, &fd), -ENOENT);
    EXPECT_EQ(ops.next_key(m.m, nullptr, &out), -ENOTSUPP);
    close(fd), close(plain);
}

/// An owner that is dead, whose end was told already, gets no value: it would stay behind.
TEST_F(storage, no_values_for_the_dead) {
    test_map m(storage_params(BPF_MAP_TYPE_INODE_STORAGE, 8));
    struct hook {
        static void at(void *m) {
            program_section s;
            u64 init = 1;
            EXPECT_EQ(storage_get(static_cast<map *>(m), 0x1000, &init, true), nullptr);
            EXPECT_NE(storage_get(static_cast<map *>(m), 0x2000, &init, true), nullptr);
        }
    };
    port_user_end_owner(PORT_OWNER_INODE, 0x1000, hook::at, m.m);
    program_section s;
    EXPECT_EQ(get(m, 0x1000, nullptr, false), nullptr);
    EXPECT_NE(get(m, 0x2000, nullptr, false), nullptr);
}

TEST_F(storage, sockets_are_copied) {
    map_params p = storage_params(BPF_MAP_TYPE_SK_STORAGE, 12);
    test_map plain(p);
    p.flags |= BPF_F_CLONE;
    test_map cloned(p), none(p);
    const u64 init[2] = {0x1234, 0x5678};
    {
        program_section s;
        ASSERT_TRUE(get(plain, 0x1000, init) && get(cloned, 0x1000, init));
    }
    port_user_copy_socket(0x1000, 0x2000);
    {
        program_section s;
        EXPECT_EQ(get(plain, 0x2000, nullptr, false), nullptr);
        EXPECT_EQ(get(none, 0x2000, nullptr, false), nullptr);
        u64 *copy = get(cloned, 0x2000, nullptr, false), *first = get(cloned, 0x1000, nullptr, false);
        ASSERT_TRUE(copy && first && copy != first);
        EXPECT_EQ(memcmp(copy, init, 12), 0);
        *copy = 1;
        EXPECT_EQ(*first, 0x1234u);
    }
    port_user_end_owner(PORT_OWNER_SOCKET, 0x1000);
    program_section s;
    EXPECT_EQ(get(cloned, 0x1000, nullptr, false), nullptr);
    EXPECT_NE(get(cloned, 0x2000, nullptr, false), nullptr);
}

TEST_F(storage, commands_by_file_and_socket) {
    test_map inodes(storage_params(BPF_MAP_TYPE_INODE_STORAGE, 8)), sockets(storage_params(BPF_MAP_TYPE_SK_STORAGE, 8));
    int file = open("/", O_RDONLY), again = open("/", O_RDONLY), sock = socket(AF_UNIX, SOCK_STREAM, 0), none = -1;
    u64 value = 7, out = 0;
    struct stat st;
    ASSERT_EQ(fstat(file, &st), 0);
    EXPECT_EQ(inodes.ops->update_user(inodes.m, &file, &value, BPF_NOEXIST), 0);
    EXPECT_EQ(inodes.ops->lookup_user(inodes.m, &again, &out, 0), 0); // by the inode, not by the file
    EXPECT_EQ(out, 7u);
    EXPECT_EQ(inodes.ops->lookup_user(inodes.m, &none, &out, 0), -EBADF);
    EXPECT_EQ(sockets.ops->update_user(sockets.m, &file, &value, 0), -ENOTSOCK);
    EXPECT_EQ(sockets.ops->lookup_user(sockets.m, &none, &out, 0), -EBADF);
    EXPECT_EQ(sockets.ops->update_user(sockets.m, &sock, &value, BPF_EXIST), -ENOENT);
    EXPECT_EQ(sockets.ops->update_user(sockets.m, &sock, &value, 0), 0);
    EXPECT_EQ(sockets.ops->lookup_user(sockets.m, &sock, &out, 0), 0);
    EXPECT_EQ(sockets.ops->remove_user(sockets.m, &sock), 0);
    EXPECT_EQ(sockets.ops->remove_user(sockets.m, &sock), -ENOENT);
    port_user_end_owner(PORT_OWNER_INODE, st.st_ino);
    EXPECT_EQ(inodes.ops->lookup_user(inodes.m, &file, &out, 0), -ENOENT);
    close(file), close(again), close(sock);
}

TEST_F(storage, allocation_failures) {
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 50u);
        port_fail_nth_set(n);
        test_map m(storage_params(BPF_MAP_TYPE_TASK_STORAGE, 8));
        if (port_fail_nth_set(0) < n) {
            EXPECT_EQ(m.error, 0);
            break;
        }
        EXPECT_EQ(m.error, -ENOMEM);
    }
}

}  // namespace
