// SPDX-License-Identifier: GPL-2.0-only
// The log's two modes, at every buffer size from none to more than the text, against a model that has the whole text.
#include "base/log.h"

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace modbpf {
namespace {

constexpr char guard = '#';

struct attempt {
    std::string kept;
    u32 true_size = 0;
    int err = 0;
    bool overrun = false;
};

template <class F> attempt write_log(u32 level, u32 size, F write) {
    std::vector<char> buf(size + 8, guard);
    verifier_log log;
    EXPECT_TRUE(log.init(level, size ? addr_of(buf.data()) : 0, size).ok());
    write(log);
    attempt a;
    a.err = -log.finalize(&a.true_size).code();
    for (u32 i = size; i < buf.size(); i++)
        a.overrun |= buf[i] != guard;
    if (size)
        a.kept.assign(buf.data(), strnlen(buf.data(), size));
    return a;
}

void three_lines(verifier_log &log) {
    log.printf("func#%d @%d\n", 0, 0);
    log.printf("0: (b7) r0 = %s", "0");
    log.printf("\n1: (95) exit\n");
    for (int i = 0; i < 30; i++)
        log.printf("%d,", i * 37);
}
std::string whole() {
    std::string s = "func#0 @0\n0: (b7) r0 = 0\n1: (95) exit\n";
    for (int i = 0; i < 30; i++)
        s += std::to_string(i * 37) + ",";
    return s;
}

TEST(log, rolling_keeps_the_end_at_every_size) {
    const std::string text = whole();
    for (u32 size = 0; size <= text.size() + 2; size++) {
        attempt a = write_log(BPF_LOG_LEVEL1, size, three_lines);
        EXPECT_FALSE(a.overrun);
        EXPECT_EQ(a.true_size, text.size() + 1);
        EXPECT_EQ(a.err, size && size <= text.size() ? ENOSPC : 0) << size;
        if (size) {
            EXPECT_EQ(a.kept, text.size() < size ? text : text.substr(text.size() + 1 - size)) << size;
        }
    }
}

TEST(log, fixed_keeps_the_beginning_at_every_size) {
    const std::string text = whole();
    for (u32 size = 0; size <= text.size() + 2; size++) {
        attempt a = write_log(BPF_LOG_LEVEL1 | BPF_LOG_FIXED, size, three_lines);
        EXPECT_FALSE(a.overrun);
        EXPECT_EQ(a.true_size, text.size() + 1);
        EXPECT_EQ(a.err, size && size <= text.size() ? ENOSPC : 0) << size;
        if (size) {
            EXPECT_EQ(a.kept, text.substr(0, size - 1)) << size;
        }
    }
}

TEST(log, reset_drops_the_text_behind_it_but_not_its_length) {
    auto write = [](verifier_log &log) {
        log.printf("kept|");
        u64 pos = log.position();
        log.printf("a path that was fine and is long enough to be the longest");
        log.reset(pos);
        log.printf("end");
    };
    const u32 longest = sizeof("kept|a path that was fine and is long enough to be the longest");
    for (u32 flags : {0u, static_cast<u32>(BPF_LOG_FIXED)})
        for (u32 size = 1; size < 80; size++) {
            attempt a = write_log(BPF_LOG_LEVEL1 | flags, size, write);
            EXPECT_FALSE(a.overrun);
            EXPECT_EQ(a.true_size, longest);
            EXPECT_EQ(a.err, size < longest ? ENOSPC : 0) << size;
            if (size >= longest) {
                EXPECT_EQ(a.kept, "kept|end") << size;
            }
        }
}

TEST(log, reset_before_the_window_leaves_an_empty_log) {
    attempt a = write_log(BPF_LOG_LEVEL1, 8, [](verifier_log &log) {
        log.printf("0123456789abcdef");
        log.reset(2);
        log.printf("xyz");
    });
    EXPECT_FALSE(a.overrun);
    EXPECT_EQ(a.kept, "xyz");
}

// Texts on both sides of what is kept before it goes to user memory, and resets into either part, against a model with the whole text.
TEST(log, resets_at_any_length) {
    for (u32 size : {100u, 5000u, 60000u})
        for (u32 first : {10u, 3000u, 4090u, 9000u})
            for (u32 second : {1u, 2000u, 12000u})
                for (u32 back : {0u, 5u, 3500u}) {
                    std::string text;
                    auto print = [&](verifier_log &log, u32 bytes) {
                        for (u32 end = static_cast<u32>(text.size()) + bytes; text.size() < end;) {
                            std::string line = std::to_string(text.size()) + std::string(min(end - static_cast<u32>(text.size()), 700u), '.') + "\n";
                            log.printf("%s", line.c_str());
                            text += line;
                        }
                    };
                    size_t longest = 0, start = 0;
                    attempt a = write_log(BPF_LOG_LEVEL1, size, [&](verifier_log &log) {
                        print(log, first);
                        u64 pos = min<u64>(back, log.position());
                        print(log, second);
                        longest = text.size();
                        // What the longest text pushed out of the window does not come back.
                        start = min<size_t>(longest + 1 > size ? longest + 1 - size : 0, pos);
                        log.reset(pos);
                        text.resize(pos);
                        EXPECT_EQ(log.position(), pos);
                        log.printf("the end");
                        text += "the end";
                        longest = max(longest, text.size());
                    });
                    if (text.size() + 1 > size)
                        start = max(start, text.size() + 1 - size);
                    EXPECT_FALSE(a.overrun);
                    EXPECT_EQ(a.true_size, longest + 1);
                    EXPECT_EQ(a.err, size <= longest ? ENOSPC : 0);
                    EXPECT_EQ(a.kept, text.substr(start)) << size << ' ' << first << ' ' << second << ' ' << back;
                }
}

TEST(log, a_fault_is_told_at_the_end) {
    for (u32 bytes : {1u, 20000u}) {
        verifier_log log;
        ASSERT_TRUE(log.init(BPF_LOG_LEVEL1, 4096, 1u << 20).ok());
        for (u32 i = 0; i < bytes; i++)
            log.printf("x");
        u32 true_size = 0;
        EXPECT_EQ(log.finalize(&true_size).code(), -EFAULT);
        EXPECT_EQ(true_size, bytes + 1);
    }
}

TEST(log, long_lines_are_cut_at_1023_bytes) {
    std::string line(3000, 'x');
    attempt a = write_log(BPF_LOG_LEVEL1, 4096, [&](verifier_log &log) { log.printf("%s", line.c_str()); });
    EXPECT_EQ(a.kept, std::string(1023, 'x'));
    EXPECT_EQ(a.true_size, 1024u);
}

TEST(log, large_rotation) {
    for (u32 size : {127u, 128u, 129u, 255u, 256u, 257u, 1000u, 5000u}) {
        std::string text;
        attempt a = write_log(BPF_LOG_LEVEL1, size, [&](verifier_log &log) {
            for (int i = 0; text.size() < 3 * size; i++) {
                std::string line = "line " + std::to_string(i) + "\n";
                log.printf("%s", line.c_str());
                text += line;
            }
        });
        EXPECT_EQ(a.kept, text.substr(text.size() + 1 - size));
        EXPECT_EQ(a.err, ENOSPC);
    }
}

TEST(log, attributes) {
    char buf[8];
    auto init = [](u32 level, u64 b, u32 size) { return verifier_log().init(level, b, size).code(); };
    EXPECT_EQ(init(0, 0, 0), 0);
    EXPECT_EQ(init(1, addr_of(buf), 8), 0);
    EXPECT_EQ(init(BPF_LOG_STATS, 0, 0), 0);
    EXPECT_EQ(init(15, addr_of(buf), ~0u >> 2), 0);
    EXPECT_EQ(init(1, addr_of(buf), 0), -EINVAL);
    EXPECT_EQ(init(1, 0, 8), -EINVAL);
    EXPECT_EQ(init(0, addr_of(buf), 8), -EINVAL);
    EXPECT_EQ(init(16, addr_of(buf), 8), -EINVAL);
    EXPECT_EQ(init(1, addr_of(buf), (~0u >> 2) + 1), -EINVAL);
}

TEST(log, level_0_writes_nothing) {
    attempt a = write_log(0, 0, three_lines);
    EXPECT_EQ(a.true_size, 0u);
    EXPECT_EQ(a.err, 0);
}

TEST(log, bad_user_memory_is_efault_once_and_harmless) {
    for (u32 flags : {0u, static_cast<u32>(BPF_LOG_FIXED)}) {
        verifier_log log;
        ASSERT_TRUE(log.init(BPF_LOG_LEVEL1 | flags, 16, 64).ok()); // page 0 is never mapped
        three_lines(log);
        log.reset(3);
        log.printf("more");
        u32 size;
        EXPECT_EQ(log.finalize(&size).code(), -EFAULT);
        EXPECT_EQ(size, whole().size() + 1);
    }
}

}  // namespace
}  // namespace modbpf
