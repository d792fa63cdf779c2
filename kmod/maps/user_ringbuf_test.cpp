// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <string>
#include <thread>

using namespace modbpf;

namespace {

constexpr u32 type = BPF_MAP_TYPE_USER_RINGBUF, ring_size = 4096;

const port_file_ops ring_file = {
    .name = "user-ringbuf-test",
    .release = [](void *) {},
    .mmap = [](void *o, port_vma *v) { return static_cast<map *>(o)->ops->mmap(static_cast<map *>(o), v); },
};

/// The map, and user space's view of it: consumer page, producer page, data twice.
struct user_ringbuf : testing::Test {
    void SetUp() override {
        ASSERT_TRUE(m.m);
        fd = port_fd_create(&ring_file, m.m, 0);
        consumer = ptr_of<u64>(static_cast<u64>(port_user_mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0)));
        writable = ptr_of<u8>(static_cast<u64>(port_user_mmap(nullptr, writable_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096)));
        producer = reinterpret_cast<u64 *>(writable);
        data = writable + 4096;
    }
    void TearDown() override {
        for (void *p : {static_cast<void *>(consumer), static_cast<void *>(writable)}) {
            port_user_unmapped(p, p == consumer ? 4096 : writable_size);
            munmap(p, p == consumer ? 4096 : writable_size);
        }
        close(fd);
        port_user_sweep();
    }
    void put(u32 head, const std::string &text) {
        u64 pos = *producer;
        u8 *at = data + pos % ring_size;
        memcpy(at + 8, text.data(), text.size());
        __atomic_store_n(reinterpret_cast<u32 *>(at), head, __ATOMIC_RELEASE);
        __atomic_store_n(producer, pos + align_up(text.size() + 8, 8), __ATOMIC_RELEASE);
    }
    void put(const std::string &text) { put(static_cast<u32>(text.size()), text); }
    /// The next record, or the errno as a number.
    std::string take() {
        void *sample = nullptr;
        u32 size = 0;
        long r = user_ringbuf_peek(m.m, &sample, &size);
        if (r)
            return std::to_string(r);
        std::string text(static_cast<char *>(sample), size);
        user_ringbuf_release(m.m, size);
        return text;
    }

    static constexpr size_t writable_size = 4096 + 2 * ring_size;
    test_map m{params_of(type, 0, 0, ring_size)};
    int fd = -1;
    u64 *consumer = nullptr, *producer = nullptr;
    u8 *writable = nullptr, *data = nullptr;
};

TEST_F(user_ringbuf, records) {
    EXPECT_EQ(take(), std::to_string(-ENODATA));
    put("hello");
    put("");
    put("a longer record than the first");
    EXPECT_EQ(take(), "hello");
    EXPECT_EQ(*consumer, 16u);
    EXPECT_EQ(take(), "");
    EXPECT_EQ(take(), "a longer record than the first");
    EXPECT_EQ(take(), std::to_string(-ENODATA));
    put(3 | BPF_RINGBUF_BUSY_BIT, "abc");
    EXPECT_EQ(take(), std::to_string(-ENODATA));
    __atomic_store_n(reinterpret_cast<u32 *>(data + *consumer % ring_size), 3 | BPF_RINGBUF_DISCARD_BIT, __ATOMIC_RELEASE);
    EXPECT_EQ(take(), std::to_string(-EAGAIN));
    EXPECT_EQ(*consumer, *producer);
    for (u32 i = 0; i < 1000; i++) {  // over the end, many times
        std::string text(i % 300, static_cast<char>('a' + i % 26));
        put(text);
        ASSERT_EQ(take(), text);
    }
}

/// Whatever user space writes, no record reaches beyond the data.
TEST_F(user_ringbuf, lies) {
    auto with = [&](u64 prod, u32 head) {
        *producer = prod;
        *reinterpret_cast<u32 *>(data) = head;
        return take();
    };
    EXPECT_EQ(with(4, 0), std::to_string(-EINVAL));
    EXPECT_EQ(with(16, 9), std::to_string(-EINVAL));
    EXPECT_EQ(with(~7ull, 8000), std::to_string(-E2BIG));
    EXPECT_EQ(with(~7ull, 0x3fffffff), std::to_string(-E2BIG));
    EXPECT_EQ(with(4096, 0x3fffffff), std::to_string(-EINVAL));
    EXPECT_EQ(*consumer, 0u);
    EXPECT_EQ(with(4096, 4088).size(), 4088u);
}

TEST_F(user_ringbuf, who_may_write_what) {
    EXPECT_EQ(port_user_mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), -EPERM);
    EXPECT_EQ(port_user_mmap(nullptr, writable_size + 4096, PROT_READ, MAP_SHARED, fd, 4096), -EINVAL);
    EXPECT_TRUE(user_ringbuf_begin(m.m));
    EXPECT_FALSE(user_ringbuf_begin(m.m));
    user_ringbuf_end(m.m, true);
    EXPECT_TRUE(user_ringbuf_begin(m.m));
    user_ringbuf_end(m.m, false);
    u32 key = 0;
    EXPECT_EQ(m.ops->lookup_user(m.m, &key, &key, 0), -ENOTSUPP);
    EXPECT_EQ(m.ops->update_user(m.m, &key, &key, 0), -ENOTSUPP);
    EXPECT_EQ(m.ops->remove_user(m.m, &key), -ENOTSUPP);
    EXPECT_EQ(m.ops->next_key(m.m, nullptr, &key), -ENOTSUPP);
}

TEST(user_ringbufs, refuses_what_linux_refuses) {
    auto code = [](const map_params &p) { return test_map(p).error; };
    EXPECT_EQ(code(params_of(type, 0, 0, 8192)), 0);
    EXPECT_EQ(code(params_of(type, 0, 0, 4095)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 0, 0, 12288)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 0, 0, 0)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 4, 0, 4096)), -EINVAL);
    EXPECT_EQ(code(params_of(type, 0, 0, 4096, BPF_F_RDONLY)), -EINVAL);
}

}  // namespace
