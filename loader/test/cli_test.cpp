// SPDX-License-Identifier: GPL-2.0-only
// Tests of the command's text functions: values by BTF, record types, histograms, JSON strings.
#include "loader/cli/cli.h"

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
    EXPECT_NE(format_histogram(std::vector<__u64>(64, ~0ull), "x").find("9223372036854775808 -> 18446744073709551615"), std::string::npos);
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
