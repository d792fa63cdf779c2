// SPDX-License-Identifier: GPL-2.0-only
#include "maps/map_test.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 ringbuf = BPF_MAP_TYPE_RINGBUF;

unsigned int last_poll;
const port_file_ops file_ops = {
    .name = "ringbuf-test",
    .release = [](void *) {},
    .mmap = [](void *o, port_vma *v) { return static_cast<map *>(o)->ops->mmap(static_cast<map *>(o), v); },
    .poll = [](void *o,
               port_poll *p) { return last_poll = static_cast<map *>(o)->ops->poll(static_cast<map *>(o), p); },
};

/// A ring with user space's two mappings, read as libbpf reads it.
struct ring_user {
    explicit ring_user(u32 size) : m(params_of(ringbuf, 0, 0, size)), mask(size - 1) {
        fd = port_fd_create(&file_ops, m.m, 0);
        consumer = ptr_of<u64>(map_at(4096, PROT_READ | PROT_WRITE, 0));
        producer = ptr_of<u64>(map_at(4096 + 2ul * size, PROT_READ, 4096));
        data = reinterpret_cast<u8 *>(producer) + 4096;
    }
    ~ring_user() {
        port_user_unmapped(consumer, 4096), munmap(consumer, 4096);
        port_user_unmapped(producer, 4096 + 2 * (mask + 1)), munmap(producer, 4096 + 2 * (mask + 1));
        close(fd);
        port_user_sweep();
    }
    long map_at(size_t size, int prot, u64 off) { return port_user_mmap(nullptr, size, prot, MAP_SHARED, fd, off); }
    void *reserve(u64 size) {
        program_section p;
        return ringbuf_reserve(m.m, size);
    }
    void commit(void *s, u64 flags = 0, bool discard = false) {
        program_section p;
        ringbuf_commit(s, flags, discard);
    }
    u32 header(u64 pos) { return __atomic_load_n(reinterpret_cast<u32 *>(data + (pos & mask)), __ATOMIC_ACQUIRE); }
    u32 page_offset(u64 pos) { return reinterpret_cast<u32 *>(data + (pos & mask))[1]; }
    u64 produced() { return __atomic_load_n(producer, __ATOMIC_ACQUIRE); }

    /// Takes one record. False when there is none that is complete; discarded ones are skipped.
    bool take(std::string *out) {
        for (u64 pos = *consumer; pos != produced();) {
            u32 len = header(pos);
            if (len & BPF_RINGBUF_BUSY_BIT)
                return false;
            u32 size = len & ~BPF_RINGBUF_DISCARD_BIT;
            if (!(len & BPF_RINGBUF_DISCARD_BIT))
                out->assign(reinterpret_cast<char *>(data + (pos & mask) + 8), size);
            pos += (size + 8 + 7) & ~7u;
            __atomic_store_n(consumer, pos, __ATOMIC_RELEASE);
            if (!(len & BPF_RINGBUF_DISCARD_BIT))
                return true;
        }
        return false;
    }

    test_map m;
    u64 mask;
    int fd;
    u64 *consumer, *producer;
    u8 *data;
};

TEST(ringbuf, refuses_what_linux_refuses) {
    EXPECT_EQ(check_code(params_of(ringbuf, 0, 0, 4096)), 0);
    EXPECT_EQ(check_code(params_of(ringbuf, 0, 0, 4096, BPF_F_NUMA_NODE)), 0);
    for (u32 size : {0u, 1u, 2048u, 4095u, 4097u, 12288u, 0xffffffffu})
        EXPECT_EQ(check_code(params_of(ringbuf, 0, 0, size)), -EINVAL) << size;
    EXPECT_EQ(check_code(params_of(ringbuf, 4, 0, 4096)), -EINVAL);
    EXPECT_EQ(check_code(params_of(ringbuf, 0, 4, 4096)), -EINVAL);
    for (u32 flag : {+BPF_F_MMAPABLE, +BPF_F_RDONLY, +BPF_F_WRONLY_PROG, +BPF_F_NO_PREALLOC, +BPF_F_ZERO_SEED})
        EXPECT_EQ(check_code(params_of(ringbuf, 0, 0, 4096, flag)), -EINVAL);
    const map_ops *ops = find_map_ops(ringbuf);
    EXPECT_EQ(ops->lookup_user(nullptr, nullptr, nullptr, 0), -ENOTSUPP);
    EXPECT_EQ(ops->update_user(nullptr, nullptr, nullptr, 0), -ENOTSUPP);
    EXPECT_EQ(ops->remove_user(nullptr, nullptr), -ENOTSUPP);
    EXPECT_EQ(ops->next_key(nullptr, nullptr, nullptr), -ENOTSUPP);
    EXPECT_EQ(ops->value_address, nullptr);
}

TEST(ringbuf, record_layout) {
    ring_user r(8192);
    void *s = r.reserve(5);
    ASSERT_TRUE(s);
    EXPECT_EQ(r.produced(), 16u);
    EXPECT_EQ(r.header(0), 5u | BPF_RINGBUF_BUSY_BIT);
    EXPECT_EQ(r.page_offset(0), 3u);  // as on Linux: a private page, two position pages
    memcpy(s, "hello", 5);
    r.commit(s);
    EXPECT_EQ(r.header(0), 5u);
    s = r.reserve(0);
    r.commit(s, 0, true);
    EXPECT_EQ(r.header(16), 0u | BPF_RINGBUF_DISCARD_BIT);
    s = r.reserve(4096);
    s = r.reserve(8);
    EXPECT_EQ(r.page_offset(24 + 4104), 4u);
    std::string got;
    EXPECT_TRUE(r.take(&got));
    EXPECT_EQ(got, "hello");
    EXPECT_FALSE(r.take(&got));  // discarded, then busy
    EXPECT_EQ(*r.consumer, 24u);
    EXPECT_EQ(ringbuf_query(r.m.m, BPF_RB_AVAIL_DATA), 4104u + 16);
    EXPECT_EQ(ringbuf_query(r.m.m, BPF_RB_RING_SIZE), 8192u);
    EXPECT_EQ(ringbuf_query(r.m.m, BPF_RB_CONS_POS), 24u);
    EXPECT_EQ(ringbuf_query(r.m.m, BPF_RB_PROD_POS), 24u + 4104 + 16);
    EXPECT_EQ(ringbuf_query(r.m.m, 4), 0u);
}

/// CVE-2021-3489: a record that is larger than the ring, also by its header, or by what 32 bits would keep of its size.
TEST(ringbuf, sizes) {
    ring_user r(4096);
    for (u64 consumer : {0ull, 8ull, 4096ull, 0x40000000ull, 0x40000008ull, 1ull << 63, ~0ull, ~0ull - 4096}) { // whatever user space says
        *r.consumer = consumer;
        for (u64 size : {4089ull, 4096ull, 4097ull, 8192ull, 0x3fffffffull, 0x40000000ull, 0xfffffff8ull, 0x100000000ull, ~0ull, ~0ull - 7, ~0ull - 15})
            EXPECT_EQ(r.reserve(size), nullptr) << size;
    }
    *r.consumer = 0;
    EXPECT_EQ(r.reserve(4088), nullptr);  // 4096 with its header: the ring keeps one byte free, as on Linux
    EXPECT_EQ(r.produced(), 0u);
    EXPECT_TRUE(r.reserve(4080));
    EXPECT_EQ(r.reserve(0), nullptr);
    program_section p;
    EXPECT_EQ(ringbuf_output(r.m.m, "x", 1, 0), -EAGAIN);
    EXPECT_EQ(ringbuf_output(r.m.m, "x", 1, 4), -EINVAL);
}

TEST(ringbuf, records_wrap_in_one_piece) {
    ring_user r(4096);
    std::mt19937 rng(3);
    std::string got;
    for (u32 i = 0; i < 3000; i++) {
        std::string text(rng() % 1500, static_cast<char>('a' + i % 26));
        program_section p;
        ASSERT_EQ(ringbuf_output(r.m.m, text.data(), text.size(), BPF_RB_NO_WAKEUP), 0);
        ASSERT_TRUE(r.take(&got));
        ASSERT_EQ(got, text);
    }
    EXPECT_GT(r.produced(), 100 * 4096u);
}

TEST(ringbuf, mmap_rules) {
    ring_user r(8192);
    EXPECT_EQ(r.map_at(8192, PROT_READ | PROT_WRITE, 0), -EPERM);
    EXPECT_EQ(r.map_at(4096, PROT_READ | PROT_WRITE, 4096), -EPERM);
    EXPECT_EQ(r.map_at(4096, PROT_READ | PROT_WRITE, 8192), -EPERM);
    EXPECT_EQ(r.map_at(2 * 4096 + 2 * 8192 + 4096, PROT_READ, 0), -EINVAL);
    EXPECT_EQ(r.map_at(4096, PROT_READ, 2 * 4096 + 2 * 8192), -EINVAL);
    EXPECT_EQ(r.map_at(4096, PROT_READ, 0ull - 4096), -EINVAL);
    size_t all = 2 * 4096 + 2 * 8192;
    long at = r.map_at(all, PROT_READ, 0);
    ASSERT_GT(at, 0);
    *r.consumer = 0x1122;
    EXPECT_EQ(*ptr_of<u64>(at), 0x1122u);
    port_user_unmapped(ptr_of(at), all);
    munmap(ptr_of(at), all);
}

TEST(ringbuf, poll) {
    ring_user r(4096);
    port_user_sweep();
    EXPECT_EQ(last_poll, 0u);
    void *s = r.reserve(8);
    r.commit(s);
    port_user_sweep();
    EXPECT_EQ(last_poll, PORT_POLL_IN);
    std::string got;
    EXPECT_TRUE(r.take(&got));
    port_user_sweep();
    EXPECT_EQ(last_poll, 0u);
}

TEST(ringbuf, wakes_a_reader_that_has_caught_up) {
    ring_user r(4096);
    std::string got;
    auto woken = [&] {
        pollfd p = {.fd = r.fd, .events = POLLIN, .revents = 0};
        return ::poll(&p, 1, 0) == 1;
    };
    auto quiet = [&] {  // everything read, and the fd's readiness brought up to date
        while (r.take(&got))
            ;
        port_user_sweep();
        EXPECT_FALSE(woken());
    };
    quiet();
    r.commit(r.reserve(8), BPF_RB_NO_WAKEUP);
    EXPECT_FALSE(woken());
    r.commit(r.reserve(8));  // the reader is not waiting for this one, but for the one before
    EXPECT_FALSE(woken());
    r.commit(r.reserve(8), BPF_RB_FORCE_WAKEUP);
    EXPECT_TRUE(woken());
    quiet();
    r.commit(r.reserve(8));
    EXPECT_TRUE(woken());
    quiet();
    void *first = r.reserve(8), *second = r.reserve(8);
    r.commit(second, 0, true);
    EXPECT_FALSE(woken());
    r.commit(first, 0, true);  // a discarded record wakes too: the reader steps over it
    EXPECT_TRUE(woken());
    quiet();
}

/// Whatever user space writes into the consumer position, no reservation reaches into a busy record, and none is larger
/// than the ring.
TEST(ringbuf, hostile_consumer_position) {
    struct live {
        u64 from, to;  // bytes in the ring, header included, modulo the size
        void *sample;
    };
    for (u32 size : {4096u, 16384u}) {
        ring_user r(size);
        std::mt19937_64 rng(size);
        std::vector<live> busy;
        u32 granted = 0;
        for (u32 step = 0; step < 20000; step++) {
            switch (rng() % 6) {
                case 0:
                    *r.consumer = rng();
                    break;
                case 1:
                    *r.consumer = r.produced() + rng() % (4 * size) - 2 * size;
                    break;
                case 2:
                    *r.consumer = r.produced();
                    break;
                case 3:
                    if (!busy.empty()) {
                        size_t i = rng() % busy.size();
                        r.commit(busy[i].sample, rng() % 3, rng() % 2);
                        busy.erase(busy.begin() + static_cast<long>(i));
                    }
                    break;
                default: {
                    u64 want = rng() % (rng() % 4 ? 300 : 2 * size), pos = r.produced();
                    void *s = r.reserve(want);
                    if (!s) {
                        ASSERT_EQ(r.produced(), pos);
                        break;
                    }
                    granted++;
                    u64 end = r.produced();
                    ASSERT_EQ(end - pos, (want + 15) & ~7ull);
                    ASSERT_LT(end - pos, size);
                    for (const live &b : busy)
                        ASSERT_LT(end - b.from, size) << "reaches a busy record";
                    memset(s, 0xee, want);
                    busy.push_back({pos, end, s});
                }
            }
            for (const live &b : busy)
                ASSERT_TRUE(r.header(b.from) & BPF_RINGBUF_BUSY_BIT);
        }
        EXPECT_GT(granted, 1000u);
    }
    EXPECT_EQ(bug_watch::count(), 0u);
}

/// CVE-2024-41009: a busy first record, the consumer pretends to have read it, a large second one must not cover it.
TEST(ringbuf, busy_record_is_not_covered) {
    ring_user r(16384);
    void *first = r.reserve(0x3000);
    ASSERT_TRUE(first);
    *r.consumer = 0x3000;
    EXPECT_EQ(r.reserve(0x3000), nullptr);
    r.commit(first);
    EXPECT_NE(r.reserve(0x3000), nullptr);
}

TEST(ringbuf, nested_reservation) {
    ring_user r(4096);
    // A program that interrupts another one between its reserve and its commit.
    void *outer = r.reserve(16), *inner = r.reserve(8);
    ASSERT_TRUE(outer && inner);
    r.commit(inner);
    std::string got;
    EXPECT_FALSE(r.take(&got));  // in order: behind the busy one
    memcpy(outer, "0123456789abcdef", 16);
    r.commit(outer);
    EXPECT_TRUE(r.take(&got));
    EXPECT_EQ(got, "0123456789abcdef");
    EXPECT_TRUE(r.take(&got));
}

/// Producers on all CPUs, one reader: every record arrives once, whole, in each producer's order.
TEST(ringbuf, stress) {
    ring_user r(16384);
    constexpr u32 threads = 3, each = 5000;
    std::vector<std::thread> producers;
    for (u32 t = 0; t < threads; t++)
        producers.emplace_back([&, t] {
            std::mt19937 rng(t);
            for (u32 i = 0; i < each;) {
                u32 words = 2 + rng() % 20;
                program_section p;
                u32 *s = static_cast<u32 *>(ringbuf_reserve(r.m.m, words * 4));
                if (!s) {
                    std::this_thread::yield();
                    continue;
                }
                bool discard = rng() % 8 == 0;
                for (u32 w = 0; w < words; w++)
                    s[w] = w == 0 ? t : i;
                ringbuf_commit(s, 0, discard);
                i += !discard;
            }
        });
    u32 next[threads] = {}, total = 0;
    std::string got;
    while (total < threads * each) {
        if (!r.take(&got)) {
            std::this_thread::yield();
            continue;
        }
        const u32 *w = reinterpret_cast<const u32 *>(got.data());
        ASSERT_LT(w[0], threads);
        for (size_t i = 1; i < got.size() / 4; i++)
            ASSERT_EQ(w[i], next[w[0]]);
        next[w[0]]++;
        total++;
    }
    for (std::thread &t : producers)
        t.join();
}

TEST(ringbuf, allocation_failures) {
    for (u64 nth = 1;; nth++) {
        port_fail_nth_set(nth);
        test_map m(params_of(ringbuf, 0, 0, 4096));
        port_fail_nth_set(0);
        if (!m.error) {
            EXPECT_GE(nth, 3u);
            break;
        }
        ASSERT_EQ(m.error, -ENOMEM);
    }
}

}  // namespace
