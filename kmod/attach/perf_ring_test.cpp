// SPDX-License-Identifier: GPL-2.0-only
// The perf ring: record layout, wrap-around, lost records, wake-ups, hostile readers.
#include <gtest/gtest.h>
#include <string.h>
#include <vector>

#include "attach/perf_ring.h"

using namespace modbpf;

namespace {

struct ring_page {
    u8 *page;
    u64 &at(u32 off) const { return *reinterpret_cast<u64 *>(page + off); }
    u64 head() const { return at(1024); }
    u64 &tail() const { return at(1032); }
    const u8 *data() const { return page + PORT_PAGE_SIZE; }
};

struct record {
    u32 type;
    u16 misc, size;
};

class perf_ring_test : public ::testing::Test {
protected:
    void make(u32 pages, perf_format f = {}, bool overwrite = false) {
        format = f;
        if (!format.sample_type)
            format.sample_type = PERF_SAMPLE_RAW;
        format.id = 77;
        auto r = perf_ring::create(pages, overwrite, format);
        ASSERT_TRUE(r.ok());
        ring = own<perf_ring>(*r);
        p.page = static_cast<u8 *>(port_region_addr(ring->region()));
    }
    long put(size_t n, u8 fill = 0xaa) {
        std::vector<u8> v(n, fill);
        return ring->output(format, {v.data(), n}, {}, &wake);
    }
    /// The next record as the reader sees it; moves the tail.
    std::vector<u8> take() {
        std::vector<u8> out;
        if (p.tail() == p.head())
            return out;
        u64 size = p.at(1048);
        record r;
        for (size_t i = 0; i < sizeof(r); i++)
            reinterpret_cast<u8 *>(&r)[i] = p.data()[(p.tail() + i) % size];
        for (u32 i = 0; i < r.size; i++)
            out.push_back(p.data()[(p.tail() + i) % size]);
        p.tail() += r.size;
        return out;
    }
    static record head_of(const std::vector<u8> &v) {
        record r{};
        if (v.size() >= sizeof(r))
            memcpy(&r, v.data(), sizeof(r));
        return r;
    }
    template <class T> static T get(const std::vector<u8> &v, size_t off) {
        T t{};
        if (off + sizeof(T) <= v.size())
            memcpy(&t, v.data() + off, sizeof(T));
        return t;
    }

    perf_format format{};
    own<perf_ring> ring;
    ring_page p{};
    bool wake = false;
};

TEST_F(perf_ring_test, header_page) {
    make(2);
    EXPECT_EQ(p.head(), 0u);
    EXPECT_EQ(p.at(1040), PORT_PAGE_SIZE);
    EXPECT_EQ(p.at(1048), 2 * PORT_PAGE_SIZE);
    EXPECT_EQ(p.at(40), 2u); // cap_bit0_is_deprecated
}

TEST_F(perf_ring_test, raw_sample) {
    make(1);
    u8 a[5] = {1, 2, 3, 4, 5}, b[2] = {6, 7};
    EXPECT_EQ(ring->output(format, a, b, &wake), 0);
    auto v = take();
    record r = head_of(v);
    EXPECT_EQ(r.type, 9u);
    EXPECT_EQ(r.size, 8 + 16);
    EXPECT_EQ(get<u32>(v, 8), 12u); // padded so that size word and data fill words
    EXPECT_EQ(memcmp(v.data() + 12, "\1\2\3\4\5\6\7\0\0\0\0\0", 12), 0);
    EXPECT_TRUE(take().empty());
}

TEST_F(perf_ring_test, identity_fields_in_order) {
    perf_format f{};
    f.sample_type = PERF_SAMPLE_RAW | PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD;
    f.period = 5;
    make(1, f);
    u64 before = port_ktime_ns();
    EXPECT_EQ(put(4), 0);
    auto v = take();
    ASSERT_EQ(v.size(), 8u + 5 * 8 + 8);
    EXPECT_EQ(get<u64>(v, 8), 77u);
    EXPECT_EQ(get<u32>(v, 16), static_cast<u32>(port_current_pid_tgid() >> 32));
    EXPECT_EQ(get<u32>(v, 20), static_cast<u32>(port_current_pid_tgid()));
    EXPECT_GE(get<u64>(v, 24), before);
    EXPECT_LT(get<u64>(v, 32), port_cpu_count());
    EXPECT_EQ(get<u64>(v, 40), 5u);
    EXPECT_EQ(get<u32>(v, 48), 4u);
}

TEST_F(perf_ring_test, wraps_and_never_overtakes) {
    make(1);
    u32 sum = 0;
    for (u32 i = 0; i < 2000; i++) {
        ASSERT_EQ(put(i % 700, static_cast<u8>(i)), 0);
        auto v = take();
        ASSERT_EQ(head_of(v).type, 9u);
        u32 n = i % 700;
        for (u32 k = 0; k < n; k++)
            ASSERT_EQ(v[12 + k], static_cast<u8>(i)) << i;
        sum += head_of(v).size;
    }
    EXPECT_EQ(p.head(), sum);
}

TEST_F(perf_ring_test, full_then_lost) {
    make(1);
    u32 in = 0;
    while (put(100) == 0)
        in++;
    EXPECT_EQ(in, (PORT_PAGE_SIZE - 1) / 112);
    EXPECT_EQ(put(100), -ENOSPC);
    EXPECT_EQ(put(100), -ENOSPC);
    u64 head = p.head();
    for (u32 i = 0; i < in; i++)
        EXPECT_EQ(head_of(take()).size, 112);
    EXPECT_EQ(p.tail(), head);
    EXPECT_EQ(put(4), 0);
    auto lost = take();
    EXPECT_EQ(head_of(lost).type, 2u);
    EXPECT_EQ(head_of(lost).size, 24);
    EXPECT_EQ(get<u64>(lost, 8), 77u);
    EXPECT_EQ(get<u64>(lost, 16), 3u);
    EXPECT_EQ(head_of(take()).type, 9u);
    EXPECT_EQ(put(4), 0);
    EXPECT_EQ(head_of(take()).type, 9u); // told once
}

TEST_F(perf_ring_test, lost_with_sample_ids) {
    perf_format f{};
    f.sample_type = PERF_SAMPLE_RAW | PERF_SAMPLE_TIME | PERF_SAMPLE_IDENTIFIER;
    f.sample_id_all = true;
    make(1, f);
    while (put(200) == 0)
        ;
    p.tail() = p.head();
    EXPECT_EQ(put(4), 0);
    auto lost = take();
    EXPECT_EQ(head_of(lost).size, 24 + 16);
    EXPECT_EQ(get<u64>(lost, 32), 77u); // the identifier is last
}

TEST_F(perf_ring_test, too_large) {
    make(32);
    EXPECT_EQ(put(0xfff0), -E2BIG);
    EXPECT_EQ(put(0xff00), 0);
}

TEST_F(perf_ring_test, no_data_pages) {
    make(0);
    EXPECT_EQ(put(4), -ENOSPC);
    EXPECT_EQ(ring->pause(true).code(), -EINVAL);
}

/// The tail is the reader's word: nonsense there must not take a write out of the ring.
TEST_F(perf_ring_test, hostile_tail) {
    make(1);
    u64 seed = 1;
    for (u32 i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        p.tail() = i % 3 ? seed : p.head() - (seed >> 56);
        p.at(1024) = seed >> 3; // a corrupted copy of the head is not used either
        p.at(1040) = p.at(1048) = seed;
        long rc = put(seed >> 52);
        EXPECT_TRUE(rc == 0 || rc == -ENOSPC);
    }
}

TEST_F(perf_ring_test, overwrite_never_fails) {
    make(1, {}, true);
    for (u32 i = 0; i < 200; i++)
        EXPECT_EQ(put(100), 0);
    EXPECT_EQ(p.head(), 200u * 112);
    EXPECT_EQ(put(PORT_PAGE_SIZE), -ENOSPC); // larger than the ring
}

TEST_F(perf_ring_test, wakeups) {
    perf_format f{};
    f.wakeup = 3;
    make(8, f);
    for (u32 i = 1; i <= 9; i++) {
        EXPECT_EQ(put(4), 0);
        EXPECT_EQ(wake, i % 3 == 0) << i;
        EXPECT_EQ(ring->take_ready(), i % 3 == 0);
        EXPECT_FALSE(ring->take_ready());
    }
    f.watermark = true, f.wakeup = 1000;
    make(8, f);
    u32 woken = 0;
    for (u32 i = 0; i < 100; i++) { // 112 bytes each
        EXPECT_EQ(put(100), 0);
        woken += wake;
    }
    EXPECT_EQ(woken, 11200u / 1008);
    f = {};
    make(1, f); // no wish: at half of the buffer
    woken = 0;
    for (u32 i = 0; i < 100; i++) {
        p.tail() = p.head();
        EXPECT_EQ(put(100), 0);
        woken += wake;
    }
    EXPECT_EQ(woken, 11200u / (112 * 19));
}

TEST_F(perf_ring_test, pause) {
    make(1);
    EXPECT_TRUE(ring->pause(true).ok());
    EXPECT_EQ(put(4), -ENOSPC);
    EXPECT_EQ(p.head(), 0u);
    EXPECT_TRUE(ring->pause(false).ok());
    EXPECT_EQ(put(4), 0);
    EXPECT_EQ(head_of(take()).type, 2u);
}

}  // namespace
