// SPDX-License-Identifier: GPL-2.0-only
// Tests of stacks: names of functions, what a map's types say of stacks, folded text, the flame graph's file.
#include "loader/cli/flame.h"

#include <bpf/btf.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

// Of a name that no other has, for the search by address.
extern "C" __attribute__((noinline)) int modbpf_stacks_test_landmark(int x) {
    asm volatile("" : "+r"(x));
    return x + 1;
}

namespace {

using namespace cli;

std::string contents(const std::string &path) {
    std::ifstream f(path);
    std::stringstream s;
    s << f.rdbuf();
    return s.str();
}

TEST(symbols, by_address) {
    symbol_table t;
    t.add(0x300, 0, "last");
    t.add(0x100, 0x10, "first");
    t.add(0x200, 0x80, "outer");
    t.add(0x220, 4, "inner");
    t.sort();
    auto name = [&](__u64 at) { return t.find(at) ? *t.find(at) : ""; };
    EXPECT_EQ(name(0xff), "");
    EXPECT_EQ(name(0x100) + name(0x10f), "firstfirst");
    EXPECT_EQ(name(0x110), "");
    EXPECT_EQ(name(0x221) + " " + name(0x224) + " " + name(0x27f), "inner outer outer");
    EXPECT_EQ(name(0x280), "");
    EXPECT_EQ(name(~0ull), "last"); // without a size: as far as it goes
}

TEST(symbols, of_this_process) {
    process_symbols p;
    __u32 self = static_cast<__u32>(getpid());
    __u64 at = reinterpret_cast<__u64>(&modbpf_stacks_test_landmark) + 1;
    EXPECT_EQ(modbpf_stacks_test_landmark(1), 2);
    EXPECT_EQ(p.name(self, at), "[unknown]");
    p.look(self);
    EXPECT_TRUE(p.knows(self));
    EXPECT_EQ(p.name(self, at), "modbpf_stacks_test_landmark");
    EXPECT_EQ(p.name(self, reinterpret_cast<__u64>(&kernel_symbols)), "cli::kernel_symbols()"); // C++ names as the source has them
    EXPECT_EQ(p.name(self, 1), "[unknown]");
    p.look(0x7fffffff); // no such process
    EXPECT_EQ(p.name(0x7fffffff, at), "[unknown]");
    EXPECT_TRUE(read_image("/dev/null").segments.empty());
    EXPECT_TRUE(read_image("/nonexistent").functions.empty());
    EXPECT_TRUE(read_image("/etc/passwd").segments.empty());
}

struct layout_test : testing::Test {
    struct btf *btf = btf__new_empty();
    int u32_ = btf__add_int(btf, "unsigned int", 4, 0), s32_ = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
    int u64_ = btf__add_int(btf, "unsigned long", 8, 0), char_ = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
    int comm_ = btf__add_array(btf, u32_, char_, 16), chain_ = btf__add_array(btf, u32_, u64_, 4);
    ~layout_test() override { btf__free(btf); }
    map_view view(int key, __u32 key_size, int value = 0, __u32 value_size = 8) {
        map_view v = {};
        v.btf = btf;
        v.type = BPF_MAP_TYPE_HASH;
        v.key_type = static_cast<__u32>(key), v.key_size = key_size;
        v.value_type = static_cast<__u32>(value), v.value_size = value_size;
        v.cpus = 1, v.stride = value_size;
        v.rank = {0, 8, 1};
        return v;
    }
};

TEST_F(layout_test, members) {
    int key = btf__add_struct(btf, "place", 64);
    btf__add_field(btf, "pid", u32_, 0, 0);
    btf__add_field(btf, "tgid", u32_, 32, 0);
    btf__add_field(btf, "kern_stack_id", s32_, 64, 0);
    btf__add_field(btf, "user_stack_id", s32_, 96, 0);
    btf__add_field(btf, "comm", comm_, 128, 0);
    btf__add_field(btf, "ustack", chain_, 256, 0);
    stack_layout l = find_stacks(view(key, 64));
    ASSERT_EQ(l.stacks.size(), 3u);
    EXPECT_TRUE(!l.stacks[0].user && l.stacks[0].offset == 8 && !l.stacks[0].count);
    EXPECT_TRUE(l.stacks[1].user && l.stacks[1].offset == 12 && !l.stacks[1].count);
    EXPECT_TRUE(l.stacks[2].user && l.stacks[2].offset == 32 && l.stacks[2].count == 4);
    EXPECT_EQ(l.pid.offset, 4u); // the thread group's
    EXPECT_TRUE(l.comm.offset == 16 && l.comm.count == 16);
    // A structure that is said to be larger than the key: nothing outside is read.
    EXPECT_EQ(find_stacks(view(key, 12)).stacks.size(), 1u);
}

TEST_F(layout_test, others) {
    int value = btf__add_struct(btf, "seen", 40);
    btf__add_field(btf, "count", u64_, 0, 0);
    btf__add_field(btf, "kstack", chain_, 64, 0);
    stack_layout l = find_stacks(view(u64_, 8, value, 40));
    ASSERT_EQ(l.stacks.size(), 1u);
    EXPECT_TRUE(l.stacks[0].in_value && l.stacks[0].count == 4 && !l.stacks[0].user);
    map_view v = view(u32_, 4);
    EXPECT_TRUE(find_stacks(v).stacks.empty());
    v.name = "stack_counts";
    EXPECT_EQ(find_stacks(v).stacks.size(), 1u);
    v.type = BPF_MAP_TYPE_ARRAY;
    EXPECT_TRUE(find_stacks(v).stacks.empty());
}

const folded_stacks stacks = {
    {{"sh", "main", "run", "read", "vfs_read_[k]"}, 60},
    {{"sh", "main", "run", "write", "vfs_write_[k]"}, 20},
    {{"sh", "main", "idle"}, 15},
    {{"<b>&\"x\xff", "a;b", "@FRAMES@"}, 5},
};

TEST(stacks, folded_text) {
    std::string path = testing::TempDir() + "folded.txt";
    ASSERT_TRUE(write_folded(path.c_str(), stacks));
    EXPECT_EQ(contents(path), "<b>&\"x\xff;a:b;@FRAMES@ 5\nsh;main;idle 15\nsh;main;run;read;vfs_read_[k] 60\nsh;main;run;write;vfs_write_[k] 20\n");
    unlink(path.c_str());
    EXPECT_FALSE(write_folded("/nonexistent/x", stacks));
}

// MODBPF_FLAME=FILE keeps it, for a browser (flame.sh).
TEST(stacks, flame) {
    const char *kept = getenv("MODBPF_FLAME");
    std::string path = kept ? kept : testing::TempDir() + "flame.svg";
    ASSERT_TRUE(write_flame(path.c_str(), stacks, "a <title>"));
    std::string page = contents(path);
    EXPECT_NE(page.find("<title>all: 100 (100.00%)</title><rect x=\"0.00\" y=\"154\" width=\"1200.00\""), std::string::npos);
    EXPECT_NE(page.find("<title>run: 80 (80.00%)</title><rect x=\"240.00\" y=\"100\" width=\"960.00\""), std::string::npos);
    EXPECT_NE(page.find("<title>&lt;b&gt;&amp;&quot;x?: 5 (5.00%)</title>"), std::string::npos);
    EXPECT_NE(page.find("a &lt;title&gt;"), std::string::npos);
    if (!kept)
        unlink(path.c_str());
    EXPECT_FALSE(write_flame("/nonexistent/x", stacks, ""));
    // Deeper than anybody looks, and nothing at all.
    folded_stacks deep = {{std::vector<std::string>(5000, "f"), 1}};
    path = testing::TempDir() + "other.svg";
    ASSERT_TRUE(write_flame(path.c_str(), deep, "deep"));
    EXPECT_NE(contents(path).find("data-depth=\"300\""), std::string::npos);
    EXPECT_EQ(contents(path).find("data-depth=\"301\""), std::string::npos);
    ASSERT_TRUE(write_flame(path.c_str(), {}, "nothing"));
    unlink(path.c_str());
}

} // namespace
