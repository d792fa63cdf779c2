// SPDX-License-Identifier: GPL-2.0-only
// Tests of the command's text functions: values by BTF, record types, histograms, JSON, events of --attach.
#include "loader/cli/attach.h"
#include "loader/cli/cost.h"
#include "loader/cli/maps.h"
#include "loader/cli/output.h"

#include <bpf/btf.h>
#include <cstring>
#include <gtest/gtest.h>

namespace {

using namespace cli;

struct btf_test : testing::Test {
    struct btf *btf = btf__new_empty();
    int u8_ = btf__add_int(btf, "unsigned char", 1, 0);
    int char_ = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
    int s32_ = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    int u32_ = btf__add_int(btf, "unsigned int", 4, 0);
    int u64_ = btf__add_int(btf, "unsigned long long", 8, 0);
    int bool_ = btf__add_int(btf, "bool", 1, BTF_INT_BOOL);
    ~btf_test() override { btf__free(btf); }
    std::string show(int id, const void *p, size_t n, bool top = false) { return format_value(btf, static_cast<__u32>(id), p, n, top); }
};

TEST_F(btf_test, integers) {
    int minus = -5;
    EXPECT_EQ(show(s32_, &minus, 4), "-5");
    EXPECT_EQ(show(u32_, &minus, 4), "4294967291");
    __u64 big = ~0ull;
    EXPECT_EQ(show(u64_, &big, 8), "18446744073709551615");
    unsigned char one = 1;
    EXPECT_EQ(show(bool_, &one, 1), "true");
    EXPECT_EQ(show(u8_, &one, 1), "1");
    EXPECT_EQ(show(char_, "A", 1), "'A'");
    EXPECT_EQ(show(s32_, &minus, 3), "?"); // not all bytes are there
    EXPECT_EQ(show(9999, &minus, 4), "?");
    EXPECT_EQ(show(0, &minus, 4), "?");
}

TEST_F(btf_test, arrays_and_strings) {
    int text = btf__add_array(btf, u32_, char_, 8), nums = btf__add_array(btf, u32_, s32_, 3);
    EXPECT_EQ(show(text, "ab\"\n\0xx", 8), "\"ab\\\"\\x0a\"");
    EXPECT_EQ(show(text, "12345678", 8), "\"12345678\""); // no NUL
    int v[3] = {1, -2, 3};
    EXPECT_EQ(show(nums, v, sizeof(v)), "[1, -2, 3]");
    int many = btf__add_array(btf, u32_, u8_, 100);
    unsigned char zeros[100] = {};
    EXPECT_TRUE(show(many, zeros, 100).ends_with(", ...]"));
}

TEST_F(btf_test, structures) {
    int text = btf__add_array(btf, u32_, char_, 4);
    int colour = btf__add_enum(btf, "colour", 4);
    btf__add_enum_value(btf, "RED", 0);
    btf__add_enum_value(btf, "BLUE", 7);
    int s = btf__add_struct(btf, "event", 20);
    btf__add_field(btf, "pid", u32_, 0, 0);
    btf__add_field(btf, "comm", text, 32, 0);
    btf__add_field(btf, "kind", colour, 64, 0);
    btf__add_field(btf, "low", u32_, 96, 3);
    btf__add_field(btf, "high", s32_, 99, 4);
    btf__add_field(btf, "last", u32_, 128, 0);
    struct {
        __u32 pid;
        char comm[4];
        __u32 kind, bits, last;
    } v = {42, "ls", 7, 5 | 0xf << 3, 9};
    EXPECT_EQ(show(s, &v, sizeof(v), true), "pid=42 comm=\"ls\" kind=BLUE low=5 high=-1 last=9");
    int t = btf__add_typedef(btf, "event_t", s);
    EXPECT_EQ(show(t, &v, sizeof(v)), "{pid=42 comm=\"ls\" kind=BLUE low=5 high=-1 last=9}");
    v.kind = 3;
    EXPECT_NE(show(s, &v, sizeof(v)).find("kind=3"), std::string::npos);
    EXPECT_EQ(show(s, &v, sizeof(v) - 1), "?");
}

TEST_F(btf_test, hostile_types) {
    // A member outside the structure, an endless typedef chain, a structure inside itself by way of an array.
    int s = btf__add_struct(btf, "bad", 4);
    btf__add_field(btf, "far", u32_, 1 << 20, 0);
    btf__add_field(btf, "bits", u32_, 30, 20);
    __u32 v = 1;
    EXPECT_EQ(show(s, &v, 4), "{far=? bits=?}");
    int next = static_cast<int>(btf__type_cnt(btf)) + 1;
    int a = btf__add_typedef(btf, "a", next), b = btf__add_typedef(btf, "b", a);
    EXPECT_EQ(next, b);
    EXPECT_EQ(show(a, &v, 4), "?");
    EXPECT_EQ(skip_modifiers(btf, static_cast<__u32>(a)), 0u);
    int self = btf__add_struct(btf, "self", 4);
    btf__add_field(btf, "me", self, 0, 0);
    EXPECT_NE(show(self, &v, 4).find('?'), std::string::npos);
}

TEST_F(btf_test, record_types) {
    auto add = [&](const char *name, __u32 size) {
        int id = btf__add_struct(btf, name, size);
        btf__add_field(btf, "x", u32_, 0, 0);
        return static_cast<__u32>(id);
    };
    __u32 event = add("event", 16), opens = add("opens", 24), open_ = add("write", 32), one = add("one", 40), two = add("two", 40),
          three = add("three", 48);
    EXPECT_EQ(record_type(btf, "anything", 16, false), event);
    EXPECT_EQ(record_type(btf, "opens", 24, false), opens);
    EXPECT_EQ(record_type(btf, "writes", 32, false), open_);
    EXPECT_EQ(record_type(btf, "opens", 25, false), 0u);
    EXPECT_EQ(record_type(btf, "opens", 28, true), opens); // perf pads
    EXPECT_EQ(record_type(btf, "opens", 32, true), 0u);
    auto unused = [&](const char *name, __u32 id) {
        int p = btf__add_ptr(btf, btf__add_const(btf, static_cast<int>(id)));
        btf__add_var(btf, name, BTF_VAR_GLOBAL_ALLOCATED, p);
    };
    unused("unused_three", three);
    EXPECT_EQ(record_type(btf, "m", 48, false), three);
    unused("unused_one", one);
    EXPECT_EQ(record_type(btf, "m", 40, false), one);
    unused("unused_two", two); // now two of that size: nobody can tell
    EXPECT_EQ(record_type(btf, "m", 40, false), 0u);
    EXPECT_EQ(record_type(nullptr, "m", 40, false), 0u);
}

TEST(text, bytes) {
    EXPECT_EQ(format_bytes("a\x01", 2), "61 01  |a.|");
    EXPECT_EQ(format_bytes("", 0), "  ||");
}

TEST(text, histogram) {
    std::string h = format_histogram({1, 0, 80}, "usecs");
    EXPECT_EQ(h, "                     usecs : count      distribution\n"
                 "          0 -> 1           : 1          |*                                       |\n"
                 "          2 -> 3           : 0          |                                        |\n"
                 "          4 -> 7           : 80         |****************************************|\n");
    h = format_histogram({0, 0, 3, 0}, "x");
    EXPECT_EQ(h.substr(h.find('\n') + 1), "          4 -> 7           : 3          |****************************************|\n");
    EXPECT_EQ(format_histogram({0, 0}, "x"), "");
    h = format_histogram({0, 2, 1}, "bytes", 64);
    EXPECT_EQ(h.substr(h.find('\n') + 1), "         64 -> 127         : 2          |****************************************|\n"
                                          "        128 -> 191         : 1          |********************                    |\n");
    EXPECT_NE(format_histogram(std::vector<__u64>(64, ~0ull), "x").find("9223372036854775808 -> 18446744073709551615"), std::string::npos);
}

TEST_F(btf_test, json) {
    auto json = [&](int id, const void *p, size_t n) { return json_value(btf, static_cast<__u32>(id), p, n); };
    int text = btf__add_array(btf, u32_, char_, 4), pointer = btf__add_ptr(btf, u32_), colour = btf__add_enum(btf, "colour", 4);
    btf__add_enum_value(btf, "RED", 1);
    int inner = btf__add_struct(btf, nullptr, 8);
    btf__add_field(btf, "a", u32_, 0, 0);
    btf__add_field(btf, "b", bool_, 32, 0);
    int s = btf__add_struct(btf, "event", 40);
    btf__add_field(btf, "text", text, 0, 0);
    btf__add_field(btf, "kind", colour, 32, 0);
    btf__add_field(btf, nullptr, inner, 64, 0);
    btf__add_field(btf, "in", inner, 128, 0);
    btf__add_field(btf, "p", pointer, 192, 0);
    btf__add_field(btf, nullptr, u32_, 256, 3); // padding
    btf__add_field(btf, "bits", s32_, 259, 4);
    btf__add_field(btf, "letter", char_, 288, 0);
    struct {
        char text[4];
        __u32 kind, a, b, in_a, in_b;
        __u64 p;
        __u32 bits;
        char letter[4];
    } v = {{'"', 'x', '\xff', 0}, 1, 7, 1, 8, 0, 0xff, 15 << 3, {'z'}};
    static_assert(sizeof(v) == 40);
    EXPECT_EQ(json(s, &v, 40), "{\"text\": \"\\\"x\\ufffd\", \"kind\": \"RED\", \"a\": 7, \"b\": true, \"in\": {\"a\": 8, \"b\": false}, "
                               "\"p\": \"0x00000000000000ff\", \"bits\": -1, \"letter\": \"z\"}");
    v.kind = 3;
    EXPECT_NE(json(s, &v, 40).find("\"kind\": 3,"), std::string::npos);
    EXPECT_EQ(json(s, &v, 39), "null");
    int many = btf__add_array(btf, u32_, u8_, 40); // all of them
    EXPECT_EQ(json(many, &v, 40).find("..."), std::string::npos);
    EXPECT_EQ(json(0, &v.kind, 4), "3");
    EXPECT_EQ(json(0, "ab", 2), "\"61 62\"");
    double nan = __builtin_nan("");
    EXPECT_EQ(json(btf__add_float(btf, "double", 8), &nan, 8), "null");
}

std::string problem_of(const char *text) {
    attach_spec s;
    return parse_attach(text, s);
}

TEST(attach, events) {
    attach_spec s;
    EXPECT_EQ(parse_attach("p=kprobe:vfs_read+0x10", s), "");
    EXPECT_EQ(s.program + " " + s.place, "p vfs_read");
    EXPECT_EQ(s.offset, 16u);
    EXPECT_EQ(s.kind->type, BPF_PROG_TYPE_KPROBE);
    attach_spec tp;
    EXPECT_EQ(parse_attach("p=tp:sched:sched_switch", tp), "");
    EXPECT_STREQ(tp.kind->name, "tracepoint");
    EXPECT_EQ(tp.place + "/" + tp.name, "sched/sched_switch");
    attach_spec user;
    EXPECT_EQ(parse_attach("p=uprobe.s:/opt/a:b/bin/x:main+4", user), "");
    EXPECT_EQ(user.place + " " + user.name, "/opt/a:b/bin/x main");
    EXPECT_TRUE(user.sleepable && user.offset == 4);
    attach_spec offset;
    EXPECT_EQ(parse_attach("p=uretprobe:/bin/x:0x1234", offset), "");
    EXPECT_TRUE(offset.name.empty() && offset.offset == 0x1234);
    attach_spec hz, every;
    EXPECT_EQ(parse_attach("p=profile:99", hz), "");
    EXPECT_TRUE(hz.per_second && hz.period == 99);
    EXPECT_EQ(parse_attach("p=perf:cache-misses:1000", every), "");
    EXPECT_TRUE(!every.per_second && every.period == 1000 && every.event_type == 0 && every.event_config == 3);
    attach_spec often;
    EXPECT_EQ(parse_attach("p=perf:page-faults:49hz", often), "");
    EXPECT_TRUE(often.per_second && often.period == 49 && often.event_type == 1 && often.event_config == 2);
}

// Whatever is wrong, the message names it and what to write.
TEST(attach, problems) {
    const struct {
        const char *text, *problem, *example;
    } cases[] = {
        {"kprobe:vfs_read", "name the program first", "prog_name=kprobe:vfs_read"},
        {"=kprobe:vfs_read", "name the program first", "prog_name=kprobe:vfs_read"},
        {"p=", "'' is no kind of event", "there are kprobe, kretprobe"},
        {"p=kprob:x", "'kprob' is no kind of event", "there are kprobe, kretprobe"},
        {"p=kprobe", "what follows the kind of event is missing", "as in p=kprobe:vfs_read"},
        {"p=kprobe:", "the function is missing", "as in p=kprobe:vfs_read"},
        {"p=kprobe:f+", "'' is no offset", "f+0x10"},
        {"p=kprobe:f+1x", "'1x' is no offset", "f+0x10"},
        {"p=kprobe:f+99999999999999999999", "is no offset", "f+0x10"},
        {"p=kprobe.s:f", "programs at kprobe never sleep", "as in p=kprobe:vfs_read"},
        {"p=fexit:f+1", "an offset is for kprobe and uprobe only", "as in p=fexit:vfs_read"},
        {"p=tracepoint:sched", "a category and a name", "as in p=tracepoint:sched:sched_switch"},
        {"p=tp:sched:", "a category and a name", "as in p=tracepoint:sched:sched_switch"},
        {"p=uprobe:main", "a file and a function", "as in p=uprobe:/bin/bash:readline"},
        {"p=uprobe:/bin/x:", "a file and a function", "as in p=uprobe:/bin/bash:readline"},
        {"p=uprobe:/bin/x:0xg", "'0xg' is no offset", "as in 0x1234"},
        {"p=profile:often", "'often' is no number of samples", "as in p=profile:99"},
        {"p=profile:0", "'0' is no number of samples", "as in p=profile:99"},
        {"p=perf:cicles:1", "'cicles' is no counter; there are cycles,", "as in p=perf:cycles:1000000"},
        {"p=perf:cycles", "say how often", "perf:cycles:1000"},
        {"p=perf:cycles:0hz", "say how often", "perf:cycles:99hz"},
    };
    for (const auto &c : cases) {
        EXPECT_NE(problem_of(c.text).find(c.problem), std::string::npos) << c.text << ": " << problem_of(c.text);
        EXPECT_NE(problem_of(c.text).find(c.example), std::string::npos) << c.text << ": " << problem_of(c.text);
    }
}

// Every example of the help is right.
TEST(attach, help) {
    std::string text = attach_help();
    size_t lines = 0;
    for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
        std::string line = text.substr(at, end - at);
        if (!line.starts_with("  "))
            continue;
        lines++;
        EXPECT_EQ(problem_of(("p=" + line.substr(line.rfind(' ') + 1)).c_str()), "") << line;
    }
    EXPECT_EQ(lines, 16u);
}

TEST(text, numbers) {
    EXPECT_EQ(short_count(0) + " " + short_count(999) + " " + short_count(1000) + " " + short_count(12345) + " " + short_count(0.57) + " " + short_count(999900), "0 999 1.00k 12.3k 0.57 1.00M");
    EXPECT_EQ(short_time(830) + ", " + short_time(1250) + ", " + short_time(12.5e6) + ", " + short_time(3e12), "830 ns, 1.25 us, 12.5 ms, 3000 s");
    EXPECT_EQ(format_columns({{"a", "bb"}, {"ccc", "d"}}, 1), "a    bb\nccc   d\n");
}

TEST(text, shapes) {
    EXPECT_EQ(shape_by_name("counts").kind, shape::table);
    EXPECT_EQ(shape_by_name("Read_Hist").kind, shape::log2);
    EXPECT_EQ(shape_by_name("size_lhist").kind, shape::linear);
    EXPECT_EQ(shape_by_name("size_lhist").step, 1u);
    EXPECT_EQ(shape_by_name("size_lhist_64").step, 64u);
    EXPECT_EQ(shape_by_name("size_lhist_0").step, 1u);
    EXPECT_EQ(shape_by_name("lhist99999999999999999999999").step, 1u);
    EXPECT_EQ(histogram_json({shape::linear, 10}, {{"", {0, 3}}, {"\"k", {}}}),
              "[{\"key\": null, \"buckets\": [{\"low\": 10, \"high\": 19, \"count\": 3}]}, {\"key\": \"\\\"k\", \"buckets\": []}]");
}

TEST(text, costs) {
    EXPECT_EQ(json_run_costs({}), "[]");
    cost_meter::row r;
    r.name = "p";
    r.total = {100, 10, 1};
    r.mean_ns = 10;
    EXPECT_EQ(json_run_costs({r}), "[{\"name\": \"p\", \"runs\": 10, \"run_time_ns\": 100, \"recursion_misses\": 1, \"runs_per_second\": 0.000, "
                                   "\"mean_ns\": 10.0, \"cpu_percent\": 0.0000, \"interval_mean_ns\": {\"p50\": 0.0, \"p99\": 0.0, \"max\": 0.0}}]");
}

TEST(text, json) {
    EXPECT_EQ(json_string("a\"b\\c\n\t\x01"), "\"a\\\"b\\\\c\\n\\t\\u0001\"");
    EXPECT_EQ(json_string("\xc3\xa9\xff\xc3"), "\"\xc3\xa9\\ufffd\\ufffd\"");
    EXPECT_EQ(json_string("\xed"), "\"\\ufffd\"");
}

TEST(text, errors) {
    EXPECT_EQ(error_text(22), "Invalid argument (EINVAL)");
    EXPECT_EQ(error_name(524), "ENOTSUPP");
    EXPECT_EQ(error_text(4001), "BPF object format invalid");
}

} // namespace
