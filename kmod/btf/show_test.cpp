// SPDX-License-Identifier: GPL-2.0-only
#include "btf/show.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "btf/btf_builder_test.h"

namespace modbpf {
namespace {

struct shown {
    status rc;
    std::string text;
    u32 length;
};

struct show_test : ::testing::Test {
    btf_builder b;
    ref<btf> types;

    void parse() {
        vec<u8> data;
        for (u8 byte : b.bytes())
            ASSERT_TRUE(data.push(byte).ok());
        log_sink_t sink;
        result<ref<btf>> parsed = btf::parse(move(data), sink.log);
        ASSERT_TRUE(parsed.ok());
        types = move(*parsed);
    }
    struct log_sink_t {
        verifier_log log;
    };
    shown show(u32 id, const void *object, u64 flags = 0, u32 room = 4096) {
        std::vector<char> buf(room + 1, '?');
        text_out out(buf.data(), room);
        status rc = btf_show(*types, id, reinterpret_cast<u64>(object), flags, out);
        u32 length = out.finish();
        EXPECT_EQ(buf[room], '?');
        return {rc, std::string(buf.data()), length};
    }
    std::string text(u32 id, const void *object, u64 flags = 0) {
        shown s = show(id, object, flags);
        EXPECT_TRUE(s.rc.ok());
        EXPECT_EQ(s.length, s.text.size());
        return s.text;
    }
};

TEST_F(show_test, Numbers) {
    u32 s32_id = b.int32(), u8_id = b.integer("unsigned char", 1, 8), s64_id = b.integer("long", 8, BTF_INT_SIGNED << 24 | 64),
        wide_id = b.integer("__int128", 16, BTF_INT_SIGNED << 24 | 128), s16_id = b.integer("short", 2, BTF_INT_SIGNED << 24 | 16);
    u32 named = b.refer(btf_kind::typedef_, s32_id, "pid_t");
    parse();
    int n = -7;
    EXPECT_EQ(text(s32_id, &n), "(int)-7\n");
    EXPECT_EQ(text(s32_id, &n, BTF_F_COMPACT), "(int)-7");
    EXPECT_EQ(text(s32_id, &n, BTF_F_COMPACT | BTF_F_NONAME), "-7");
    EXPECT_EQ(text(named, &n, BTF_F_NONAME | BTF_F_COMPACT), "-7");
    n = 0;
    EXPECT_EQ(text(s32_id, &n, BTF_F_COMPACT), "(int)0"); // the object itself is shown, zero or not
    unsigned char c = 'a';
    EXPECT_EQ(text(u8_id, &c, BTF_F_COMPACT), "(unsigned char)97");
    long l = INT64_MIN;
    EXPECT_EQ(text(s64_id, &l, BTF_F_COMPACT), "(long)-9223372036854775808");
    short h = -2;
    EXPECT_EQ(text(s16_id, &h, BTF_F_COMPACT), "(short)-2");
    unsigned __int128 w = 0xabc;
    EXPECT_EQ(text(wide_id, &w, BTF_F_COMPACT), "(__int128)0xabc");
    w |= static_cast<unsigned __int128>(5) << 64;
    EXPECT_EQ(text(wide_id, &w, BTF_F_COMPACT), "(__int128)0x50000000000000abc");
}

TEST_F(show_test, StructuresLeaveOutWhatIsZero) {
    u32 n = b.int32();
    u32 inner = b.composite(btf_kind::structure, "inner", 8, {{"x", n, 0}, {"y", n, 32}});
    u32 outer = b.composite(btf_kind::structure, "outer", 20, {{"a", n, 0}, {"in", inner, 32}, {"b", n, 96}, {"", n, 128}});
    parse();
    int v[5] = {1, 0, 2, 3, 0};
    EXPECT_EQ(text(outer, v), "(struct outer){\n .a = (int)1,\n .in = (struct inner){\n  .y = (int)2,\n },\n .b = (int)3,\n}\n");
    EXPECT_EQ(text(outer, v, BTF_F_COMPACT), "(struct outer){.a = (int)1,.in = (struct inner){.y = (int)2,},.b = (int)3,}");
    EXPECT_EQ(text(outer, v, BTF_F_COMPACT | BTF_F_NONAME), "{1,{2,},3,}");
    EXPECT_EQ(text(outer, v, BTF_F_COMPACT | BTF_F_NONAME | BTF_F_ZERO), "{1,{0,2,},3,0,}");
    EXPECT_EQ(text(outer, v, BTF_F_COMPACT | BTF_F_ZERO),
              "(struct outer){.a = (int)1,.in = (struct inner){.x = (int)0,.y = (int)2,},.b = (int)3,(int)0,}");
    int none[5] = {};
    EXPECT_EQ(text(outer, none, BTF_F_COMPACT), "(struct outer){}");
    int little[5] = {0, 0, 0, 3, 0};
    EXPECT_EQ(text(outer, little, BTF_F_COMPACT), "(struct outer){.b = (int)3,}"); // and not the structure in it
}

TEST_F(show_test, UnionsShowEveryMember) {
    u32 n = b.int32(), c = b.integer("unsigned char", 1, 8);
    u32 u = b.composite(btf_kind::union_, "both", 4, {{"word", n, 0}, {"byte", c, 0}});
    u32 nothing = b.composite(btf_kind::union_, "nothing", 0, {});
    u32 holder = b.composite(btf_kind::structure, "holder", 4, {{"u", u, 0}, {"none", nothing, 0}});
    parse();
    int v = 0x101;
    EXPECT_EQ(text(u, &v, BTF_F_COMPACT), "(union both){.word = (int)257,.byte = (unsigned char)1,}");
    EXPECT_EQ(text(holder, &v, BTF_F_COMPACT | BTF_F_NONAME | BTF_F_ZERO), "{{257,1,},{}|}");
}

TEST_F(show_test, BitFields) {
    u32 n = b.integer("unsigned int", 4, 32);
    u32 s = b.composite(btf_kind::structure, "bits", 8, {{"a", n, 3u << 24 | 0}, {"b", n, 7u << 24 | 3}, {"c", n, 30u << 24 | 32}}, true);
    parse();
    u32 v[2] = {5 | 0x55 << 3, 0x3fffffff};
    EXPECT_EQ(text(s, v, BTF_F_COMPACT), "(struct bits){.a = (unsigned int)0x5,.b = (unsigned int)0x55,.c = (unsigned int)0x3fffffff,}");
}

TEST_F(show_test, Arrays) {
    u32 n = b.int32(), c = b.integer("char", 1, BTF_INT_SIGNED << 24 | 8);
    u32 numbers = b.array(n, n, 3), chars = b.array(c, n, 8), rows = b.array(numbers, n, 2);
    u32 pair = b.composite(btf_kind::structure, "pair", 8, {{"x", n, 0}, {"y", n, 32}});
    u32 pairs = b.array(pair, n, 2);
    u32 task = b.composite(btf_kind::structure, "task", 24, {{"comm", chars, 0}, {"numbers", numbers, 64}});
    parse();
    int v[3] = {1, 0, 3};
    EXPECT_EQ(text(numbers, v), "(int[])[\n 1,\n 3,\n]\n");
    EXPECT_EQ(text(numbers, v, BTF_F_COMPACT | BTF_F_ZERO), "(int[])[1,0,3,]");
    char s[8] = "ab\x01";
    EXPECT_EQ(text(chars, s, BTF_F_COMPACT), "(char[])['a','b',1,]"); // and nothing behind the zero
    struct {
        char comm[8];
        int numbers[4];
    } t = {"sh", {0, 0, 0, 0}};
    EXPECT_EQ(text(task, &t), "(struct task){\n .comm = (char[])[\n  's',\n  'h',\n ],\n}\n");
    t.numbers[1] = 4;
    EXPECT_EQ(text(task, &t, BTF_F_COMPACT), "(struct task){.comm = (char[])['s','h',],.numbers = (int[])[4,],}");
    int two[6] = {1, 2, 3, 4, 5, 6};
    EXPECT_EQ(text(rows, two, BTF_F_COMPACT | BTF_F_NONAME), "[[1,2,3,],[4,5,6,],]");
    EXPECT_EQ(text(pairs, two, BTF_F_COMPACT | BTF_F_NONAME | BTF_F_ZERO), "[1,2,},3,4,},]"); // as Linux has it
}

TEST_F(show_test, Pointers) {
    u32 n = b.int32(), p = b.refer(btf_kind::pointer, n), pp = b.refer(btf_kind::pointer, p), v = b.refer(btf_kind::pointer, 0);
    u32 s = b.composite(btf_kind::structure, "s", 8, {});
    u32 ps = b.refer(btf_kind::pointer, s);
    u32 td = b.refer(btf_kind::typedef_, ps, "s_ptr");
    u32 many = b.array(p, n, 2);
    parse();
    u64 at = 0xffff888000001234;
    EXPECT_EQ(text(p, &at, BTF_F_COMPACT | BTF_F_PTR_RAW), "(int *)0xffff888000001234");
    EXPECT_EQ(text(pp, &at, BTF_F_COMPACT | BTF_F_PTR_RAW), "(int **)0xffff888000001234");
    EXPECT_EQ(text(ps, &at, BTF_F_COMPACT | BTF_F_PTR_RAW), "(struct s *)0xffff888000001234");
    EXPECT_EQ(text(td, &at, BTF_F_NONAME | BTF_F_COMPACT | BTF_F_PTR_RAW), "0xffff888000001234");
    EXPECT_EQ(text(v, &at, BTF_F_COMPACT | BTF_F_PTR_RAW), "( *)0xffff888000001234");
    std::string hashed = text(p, &at, BTF_F_COMPACT);
    EXPECT_EQ(hashed.substr(0, 9), "(int *)0x");
    EXPECT_EQ(hashed.find("888000001234"), std::string::npos);
    u64 both[2] = {0x1000, 0x2000};
    EXPECT_EQ(text(many, both, BTF_F_COMPACT | BTF_F_PTR_RAW), "(int *[])0x0000000000001000,0x0000000000002000,]");
}

TEST_F(show_test, Enumerations) {
    u32 e = b.type("state", btf_builder::info(btf_kind::enum_, 2, true), 4, {b.str("IDLE"), 0, b.str("GONE"), static_cast<u32>(-1)});
    u32 small = b.type("tiny", btf_builder::info(btf_kind::enum_, 1), 1, {b.str("FULL"), 255});
    u32 wide = b.type("wide", btf_builder::info(btf_kind::enum64, 1), 8, {b.str("BIG"), 1, 2});
    u32 s = b.composite(btf_kind::structure, "s", 4, {{"state", e, 0}});
    parse();
    int v = 0;
    EXPECT_EQ(text(e, &v, BTF_F_COMPACT), "(enum state)IDLE");
    EXPECT_EQ(text(s, &v, BTF_F_COMPACT), "(struct s){.state = (enum state)IDLE,}"); // a name is more than a zero
    v = -1;
    EXPECT_EQ(text(e, &v, BTF_F_COMPACT), "(enum state)GONE");
    v = -5;
    EXPECT_EQ(text(e, &v, BTF_F_COMPACT), "(enum state)-5");
    unsigned char c[2] = {255, 9};
    EXPECT_EQ(text(small, c, BTF_F_COMPACT), "(enum tiny)FULL");
    u64 w = 2ull << 32 | 1;
    EXPECT_EQ(text(wide, &w, BTF_F_COMPACT), "(enum wide)BIG");
    w = 3;
    EXPECT_EQ(text(wide, &w, BTF_F_COMPACT), "(enum wide)3");
}

TEST_F(show_test, SectionsOfData) {
    u32 n = b.int32(), var_a = b.type("a", btf_builder::info(btf_kind::var), n, {BTF_VAR_GLOBAL_ALLOCATED}),
        var_b = b.type("b", btf_builder::info(btf_kind::var), n, {BTF_VAR_GLOBAL_ALLOCATED});
    u32 data = b.type(".data", btf_builder::info(btf_kind::datasec, 2), 8, {var_a, 0, 4, var_b, 4, 4});
    parse();
    int v[2] = {3, 0};
    EXPECT_EQ(text(data, v, BTF_F_NONAME | BTF_F_COMPACT | BTF_F_ZERO), "section (\".data\") = {3,0");
}

TEST_F(show_test, TooLittleRoom) {
    u32 n = b.int32();
    u32 s = b.composite(btf_kind::structure, "s", 4, {{"x", n, 0}});
    parse();
    int v = 77;
    std::string whole = text(s, &v, BTF_F_COMPACT);
    for (u32 room = 1; room < whole.size() + 2; room++) {
        shown part = show(s, &v, BTF_F_COMPACT, room);
        EXPECT_EQ(part.length, whole.size());
        EXPECT_EQ(part.text, whole.substr(0, room - 1));
    }
}

TEST_F(show_test, MemoryThatIsNotThere) {
    u32 n = b.int32();
    u32 many = b.array(n, n, 1024);
    u32 s = b.composite(btf_kind::structure, "s", 4104, {{"x", n, 0}, {"many", many, 32}, {"end", n, 4100 * 8}});
    parse();
    EXPECT_EQ(show(s, reinterpret_cast<void *>(8)).rc.err().code(), EFAULT);
    EXPECT_EQ(show(s, reinterpret_cast<void *>(8)).text, "");
    auto *page = static_cast<u8 *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(page + 4096, 4096, PROT_NONE);
    memset(page, 1, 4096);
    EXPECT_EQ(show(s, page).rc.err().code(), EFAULT); // its beginning is there
    EXPECT_EQ(show(s, page + 4092).rc.err().code(), EFAULT);
    EXPECT_EQ(show(n, page + 4092).rc.ok(), true); // the last word before it
    munmap(page, 8192);
}

TEST_F(show_test, NestedTooDeep) {
    u32 t = b.int32();
    u32 word = t;
    for (int i = 0; i < 31; i++)
        t = b.composite(btf_kind::structure, "s", 4, {{"x", t, 0}});
    u32 a = b.array(t, word, 1);
    for (int i = 0; i < 31; i++)
        a = b.array(a, word, 1);
    parse();
    int v = 1;
    EXPECT_TRUE(show(t, &v).rc.ok());
    shown s = show(a, &v);
    EXPECT_TRUE(s.rc.ok() || s.rc.err().code() == E2BIG);
    EXPECT_FALSE(s.rc.ok());
}

} // namespace
} // namespace modbpf
