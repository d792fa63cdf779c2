// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/format.h"

#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/peer_snprintf_test.h"
#include "port/user/user.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <thread>

using namespace modbpf;
using std::string;
using words = std::vector<u64>;

namespace {

class format : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_TRUE(helpers_init().ok()); }
    void TearDown() override { helpers_exit(); }

    /// bpf_snprintf into `size` bytes; result in `n`.
    static string print(const char *fmt, const words &args, u32 size = 256, long *n = nullptr) {
        preempt_guard preempt;
        string out(size, '~');
        u64 r = bpf_snprintf(addr_of(out.data()), size, addr_of(fmt), addr_of(args.data()), args.size() * 8);
        if (n)
            *n = static_cast<long>(r);
        return static_cast<s64>(r) < 0 ? "errno " + std::to_string(-static_cast<s64>(r)) : string(out.c_str());
    }
};

u64 text(const char *s) {
    return addr_of(s);
}

struct row {
    const char *fmt;
    words args;
    const char *out;
};

const row numbers[] = {
    {"plain", {}, "plain"},
    {"100%%", {}, "100%"},
    {"%d", {5}, "5"},
    {"%d", {~0ull}, "-1"},
    {"%i", {0x80000000}, "-2147483648"},
    {"%d", {0x1ffffffffull}, "-1"},
    {"%u", {~0ull}, "4294967295"},
    {"%x %X", {0xdeadbeef, 0xdeadbeef}, "deadbeef DEADBEEF"},
    {"%ld", {~0ull}, "-1"},
    {"%lld", {1ull << 63}, "-9223372036854775808"},
    {"%lu %llu", {~0ull, 1}, "18446744073709551615 1"},
    {"%lx", {0x123456789abcull}, "123456789abc"},
    {"%llX", {0xabcdef0123ull}, "ABCDEF0123"},
    {"%5d|", {42}, "   42|"},
    {"%-5d|", {42}, "42   |"},
    {"%05d|", {42}, "00042|"},
    {"%05d|", {~0ull}, "-0001|"},
    {"%-05d|", {42}, "42   |"},
    {"%+d %+d", {1, ~0ull}, "+1 -1"},
    {"% d", {7}, " 7"},
    {"%+05d", {7}, "+0007"},
    {"%+u", {7}, "7"},
    {"%2d", {12345}, "12345"},
    {"%010lx", {0xbeef}, "000000beef"},
    {"%0d", {3}, "3"},
    {"%d", {0}, "0"},
    {"%c%c", {'o', 'k'}, "ok"},
    {"%3c|%-3c|", {'a', 'b'}, "  a|b  |"},
    {"%8388607d", {1}, nullptr},
    {"%8388608d", {1}, "1"},
    {"%px", {0x1234}, "0000000000001234"},
    {"%px", {~0ull}, "ffffffffffffffff"},
    {"%20px|", {0x1234}, "                1234|"},
    {"%-6px|", {0x12}, "12    |"},
    {"%06px|", {0x12}, "000012|"},
    {"%-px|", {0x12}, "12              |"},
    {"%pxyz!", {1}, "0000000000000001!"},
    {"%p", {0}, "0000000000000000"},
    {"%p,", {~0ull}, "ffffffffffffffff,"},
    {"a\tb\n%d", {1}, "a\tb\n1"},
    {"\xc3\xa9%d",
     {1},
     "\xc3\xa9"
     "1"},
};

TEST_F(format, numbers_and_plain_pointers) {
    for (const row &r : numbers)
        if (r.out) {
            EXPECT_EQ(print(r.fmt, r.args), r.out) << r.fmt;
        }
    long n;
    print("%8388607d", {1}, 16, &n);
    EXPECT_EQ(n, 8388608);
}

TEST_F(format, strings) {
    EXPECT_EQ(print("%s", {text("hello")}), "hello");
    EXPECT_EQ(print("[%8s] [%-8s]", {text("abc"), text("def")}), "[     abc] [def     ]");
    EXPECT_EQ(print("%pks|%pus", {text("k"), text("u")}), "k|u");
    EXPECT_EQ(print("%10pks|", {text("k")}), "k|");  // Linux ignores the width here
    EXPECT_EQ(print("%s%s", {8, text("x")}), "x");   // unreadable: empty
    EXPECT_EQ(print("%s", {text("")}), "");
    string longer(600, 'y');
    EXPECT_EQ(print("%s", {text(longer.c_str())}, 1024).size(), 511u);  // all arguments together have 512 bytes
    EXPECT_EQ(print("%s%d", {text(longer.c_str()), 1}, 1024), "errno 28");
    EXPECT_EQ(print("%s%s", {text(longer.c_str()), text("x")}, 1024), "errno 28");
    EXPECT_EQ(print("%s%c", {text(longer.c_str()), 1}, 1024), "errno 28");
    EXPECT_EQ(print("%s%pI6", {text(string(480, 'z').c_str()), text("0123456789abcdef")}, 1024), "errno 28");
}

TEST_F(format, addresses) {
    const u8 ip4[] = {192, 0, 2, 35}, ip6[] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    EXPECT_EQ(print("%pI4 %pi4", {addr_of(ip4), addr_of(ip4)}), "192.0.2.35 192.000.002.035");
    EXPECT_EQ(print("%pI6", {addr_of(ip6)}), "2001:0db8:0000:0000:0000:0000:0000:0007");
    EXPECT_EQ(print("%pi6", {addr_of(ip6)}), "20010db8000000000000000000000007");
    EXPECT_EQ(print("%20pI4|%pI4x.", {addr_of(ip4), addr_of(ip4)}), "192.0.2.35|192.0.2.35.");
    EXPECT_EQ(print("%pI4", {8}), "0.0.0.0");
}

TEST_F(format, hashed_pointers_hide_the_address) {
    int object;
    u64 a = addr_of(&object);
    string plain = print("%px", {a}), hashed = print("%p", {a});
    EXPECT_EQ(hashed.size(), 16u);
    EXPECT_EQ(hashed.substr(0, 8), "00000000");
    EXPECT_NE(hashed, plain);
    EXPECT_EQ(print("%p", {a}), hashed);
    EXPECT_EQ(print("%pK", {a}), hashed);
}

const char *const bad_formats[] = {"%",
                                   "%f",
                                   "%s%",
                                   "%5",
                                   "%l",
                                   "%lc",
                                   "%hd",
                                   "%#x",
                                   "%.3d",
                                   "%*d",
                                   "%n",
                                   "%o",
                                   "%lll",
                                   "%llld",
                                   "%zu",
                                   "%sx",
                                   "%s1",
                                   "%pa",
                                   "%pI",
                                   "%pI5",
                                   "%pkx",
                                   "%pksx",
                                   "%pu",
                                   "%pd",
                                   "%pU",
                                   "%pM",
                                   "\x01",
                                   "a\x7f",
                                   "%\xc3"
                                   "d",
                                   "%s\xc3",
                                   "%05%",
                                   "%pe",
                                   "%ls"};

TEST_F(format, refuses) {
    for (const char *fmt : bad_formats) {
        EXPECT_EQ(check_format(fmt, 64).code(), -EINVAL) << fmt;
        EXPECT_EQ(print(fmt, {1, 2, 3}), "errno 22") << fmt;
    }
    EXPECT_EQ(check_format("abc", 3).code(), -EINVAL);  // no end
    EXPECT_EQ(check_format("abc", 4).code(), 0);
    EXPECT_EQ(check_format("%d %s %% %pI4 %c", 64).value(), 4u);
    EXPECT_EQ(print("%d %d", {1}), "errno 22");
    EXPECT_EQ(print("%d", {1, 2}), "1");  // too many are fine
}

TEST_F(format, argument_list) {
    preempt_guard preempt;
    char out[8];
    u64 args[13] = {};
    auto call = [&](u64 a, u64 bytes) { return static_cast<s64>(bpf_snprintf(addr_of(out), 8, text("x"), a, bytes)); };
    EXPECT_EQ(call(addr_of(args), 12 * 8), 2);
    EXPECT_EQ(call(addr_of(args), 13 * 8), -EINVAL);
    EXPECT_EQ(call(addr_of(args), 7), -EINVAL);
    EXPECT_EQ(call(0, 8), -EINVAL);
    EXPECT_EQ(call(0, 0), 2);
    EXPECT_EQ(call(0, 1ull << 32), 2);  // the size is 32 bits wide
    EXPECT_EQ(static_cast<s64>(bpf_snprintf(0, 0, text("abc"), 0, 0)), 4);
}

TEST_F(format, output_is_cut_and_terminated) {
    long n;
    EXPECT_EQ(print("%d-%d", {123, 456}, 5, &n), "123-");
    EXPECT_EQ(n, 8);
    EXPECT_EQ(print("%d", {1}, 1, &n), "");
    EXPECT_EQ(n, 2);
}

TEST_F(format, equals_the_kernel) {
    if (!peer_available())
        GTEST_SKIP() << "this process may not load programs";
    std::vector<row> rows(std::begin(numbers), std::end(numbers));
    for (const char *f : bad_formats)
        if (string(f) !=
                "%\xc3"
                "d" &&
            string(f) != "%s\xc3")  // refused from 6.12.30 on only
            rows.push_back({f, {1, 2, 3}, nullptr});
    rows.push_back({"%s|%10s|%pus", {8, 8, 8}, nullptr});
    rows.push_back({"%pI4 %pi6", {8, 8}, nullptr});
    rows.push_back({"%d %d", {1}, nullptr});
    for (const row &r : rows)
        for (u32 size : {64u, 4u}) {
            string fmt = r.fmt;
            if (fmt == "%p," || fmt == "%8388607d" || fmt == "%8388608d")
                continue;  // hashed, too slow, or (widths above 24 bits) changed in later kernels
            std::vector<unsigned long long> args(r.args.begin(), r.args.end());
            if (args.empty())
                args.push_back(0);
            peer_text peer = peer_snprintf(fmt, args, size);
            long n;
            string ours = print(r.fmt, words(args.begin(), args.end()), size, &n);
            EXPECT_EQ(peer.loaded, n >= 0) << fmt;
            if (!peer.loaded || n < 0)
                continue;
            EXPECT_EQ(peer.result, n) << fmt << " size " << size;
            EXPECT_EQ(string(peer.text.c_str()), ours) << fmt << " size " << size;
        }
}

string traced;

TEST_F(format, trace_printk) {
    port_user_set_trace_hook([](const char *s) { traced = s; });
    preempt_guard preempt;
    EXPECT_EQ(bpf_trace_printk(text("a %d %s"), 8, 7, text("b"), 0), 5u);
    EXPECT_EQ(traced, "a 7 b");
    EXPECT_EQ(static_cast<s64>(bpf_trace_printk(text("a %d %d"), 7, 7, 7, 0)), -EINVAL);  // no NUL in 7 bytes
    EXPECT_EQ(static_cast<s64>(bpf_trace_printk(text("%d%d%d%d"), 9, 1, 2, 3)), -EINVAL);
    u64 args[] = {1, 2, 3, 4};
    EXPECT_EQ(bpf_trace_vprintk(text("%d%d%d%d"), 9, addr_of(args), 32, 0), 4u);
    EXPECT_EQ(traced, "1234");
    EXPECT_EQ(static_cast<s64>(bpf_trace_vprintk(text("%d"), 3, addr_of(args), 4, 0)), -EINVAL);
    EXPECT_EQ(bpf_trace_printk(text("%2000d"), 7, 1, 0, 0), 2000u);
    EXPECT_EQ(traced.size(), 1023u);
    port_user_set_trace_hook(nullptr);
}

// Three programs on one CPU may print inside each other; the fourth is turned away, and all is well again afterwards.
u32 depth;
long results[5];
void nested_print(const char *) {
    if (depth < 4) {
        u32 mine = ++depth;
        results[mine] = static_cast<long>(bpf_trace_printk(text("n"), 2, 0, 0, 0));
    }
}

TEST_F(format, nesting_is_bounded) {
    depth = 0;
    port_user_set_trace_hook(nested_print);
    {
        preempt_guard preempt;
        EXPECT_EQ(bpf_trace_printk(text("n"), 2, 0, 0, 0), 1u);
    }
    EXPECT_EQ(results[1], 1);
    EXPECT_EQ(results[2], 1);
    EXPECT_EQ(results[3], -EBUSY);
    depth = 4;
    preempt_guard preempt;
    EXPECT_EQ(bpf_trace_printk(text("n"), 2, 0, 0, 0), 1u);
    port_user_set_trace_hook(nullptr);
}

// A format in memory that changes between the two passes: the second pass stays inside its bounds.
TEST_F(format, second_pass_trusts_nothing) {
    preempt_guard preempt;
    static format_scratch scratch;
    memset(scratch.fetched, 'A', sizeof(scratch.fetched));  // no NUL anywhere
    char out[2048];
    u64 args[1] = {1};
    u32 n = format_render(out, sizeof(out), "%s%s%d", 6, args, 1, &scratch);
    EXPECT_EQ(n, 512u);
    string unterminated(3, '%');
    EXPECT_EQ(format_render(out, sizeof(out), unterminated.data(), 3, args, 1, &scratch), 1u);
}

/// Programs that may sleep print without a CPU of their own: each keeps its text apart from those that come in between.
TEST_F(format, many_tasks_of_one_cpu) {
    cpu_set_t one, before;
    sched_getaffinity(0, sizeof(before), &before);
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof(one), &one);
    std::vector<std::thread> threads;
    u32 wrong = 0;
    for (char who : {'a', 'b', 'c', 'd'})
        threads.emplace_back([&wrong, who] {
            string own(100, who);
            u64 args[1] = {addr_of(own.c_str())};
            char out[128];
            for (int i = 0; i < 50000; i++) {
                u64 n = bpf_snprintf(addr_of(out), sizeof(out), text("%s"), addr_of(args), sizeof(args));
                if (n != 101 || own != out)
                    __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
            }
        });
    for (std::thread &th : threads)
        th.join();
    sched_setaffinity(0, sizeof(before), &before);
    EXPECT_EQ(wrong, 0u);
}

}  // namespace
