// SPDX-License-Identifier: GPL-2.0-only
// Maps as text: what their names read as.
#include "btf/btf_builder_test.h"
#include "cmd/core_test.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

const std::string warning = "# WARNING!! The output is for debug purpose only\n# WARNING!! The output format will change\n";

struct map_text : core_test {
    btf_builder b;
    u32 number = b.int32();
    u32 letter = b.integer("char", 1, 8);
    u32 name = b.array(letter, number, 4);
    u32 pair = b.composite(btf_kind::structure, "pair", 8, {{"n", number, 0}, {"name", name, 32}});

    fd typed(u32 type, u32 value_type, u32 value_size, u32 entries, bool with_key = true, u32 flags = 0) {
        types_.push_back(load_types(b.bytes()));
        map_create_attr a = map_attr(type, 4, value_size, entries, flags);
        a.btf_fd = types_.back().u();
        a.btf_key_type_id = with_key ? number : 0;
        a.btf_value_type_id = value_type;
        return fd(bpf(BPF_MAP_CREATE, a));
    }
    struct opened {
        long rc;
        const port_file_ops *ops = nullptr;
        void *obj = nullptr;
    };
    opened open(const fd &f) {
        opened o{};
        result<held_file<map>> m = hold_file<map>(f.get(), map_file_ops);
        o.rc = m.ok() ? map_file_ops.open(m->get(), &o.ops, &o.obj) : m.code();
        return o;
    }
    /// All of it, in pieces of that size.
    std::string text(const fd &f, size_t piece = 65536) {
        opened o = open(f);
        if (o.rc)
            return "error " + std::to_string(o.rc);
        std::string all;
        std::vector<char> buf(piece);
        long n;
        while ((n = o.ops->read(o.obj, addr_of(buf.data()), piece)) > 0)
            all.append(buf.data(), static_cast<size_t>(n));
        EXPECT_EQ(n, 0);
        o.ops->release(o.obj);
        return all;
    }
    std::vector<fd> types_;
};

struct pair_value {
    int n;
    char name[4];
};

TEST_F(map_text, arrays) {
    fd m = typed(BPF_MAP_TYPE_ARRAY, pair, 8, 3);
    u32 key = 1;
    pair_value v = {7, "ab"};
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &v), 0);
    std::string expected = warning + "0: {0,[],}\n1: {7,['a','b',],}\n2: {0,[],}\n";
    EXPECT_EQ(text(m), expected);
    EXPECT_EQ(text(m, 1), expected);
    EXPECT_EQ(text(m, 100), expected);
}

TEST_F(map_text, hash_maps_have_keys) {
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH}) {
        fd m = typed(type, pair, 8, 3);
        EXPECT_EQ(text(m), warning);
        u32 key = 0xffffffff;
        pair_value v = {7, "ab"};
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &v), 0);
        EXPECT_EQ(text(m), warning + "-1: {7,['a','b',],}\n");
    }
}

TEST_F(map_text, each_cpu_has_a_line) {
    u32 cpus = port_cpu_count();
    for (u32 type : {BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        fd m = typed(type, number, 4, 1);
        std::vector<u64> values(cpus);
        std::string expected = warning + "0: {\n";
        for (u32 cpu = 0; cpu < cpus; cpu++) {
            values[cpu] = 10 + cpu;
            expected += "\tcpu" + std::to_string(cpu) + ": " + std::to_string(10 + cpu) + "\n";
        }
        u32 key = 0;
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, values.data()), 0);
        EXPECT_EQ(text(m), expected + "}\n");
    }
}

TEST_F(map_text, programs_by_id) {
    fd p = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
    fd m = typed(BPF_MAP_TYPE_PROG_ARRAY, number, 4, 4);
    ASSERT_TRUE(m.ok());
    u32 key = 2;
    int fd_of = p.get();
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &fd_of), 0);
    bpf_prog_info i{};
    ASSERT_EQ(get_info(p, i), 0);
    EXPECT_EQ(text(m), warning + "2: " + std::to_string(i.id) + "\n");
}

TEST_F(map_text, sections_of_data_have_no_keys) {
    u32 var = b.type("n", btf_builder::info(btf_kind::var), number, {BTF_VAR_GLOBAL_ALLOCATED});
    u32 data = b.type(".data", btf_builder::info(btf_kind::datasec, 1), 4, {var, 0, 4});
    fd m = typed(BPF_MAP_TYPE_ARRAY, data, 4, 1, false);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(text(m), warning + "section (\".data\") = {0\n");
}

// More than fits the buffer at first: many elements, and one that is as long.
TEST_F(map_text, long_texts) {
    fd many = typed(BPF_MAP_TYPE_ARRAY, number, 4, 20000);
    std::string expected = warning;
    for (u32 i = 0; i < 20000; i++)
        expected += std::to_string(i) + ": 0\n";
    EXPECT_EQ(text(many), expected);
    EXPECT_EQ(text(many, 777), expected);
    u32 wide = b.array(number, number, 10000);
    fd one = typed(BPF_MAP_TYPE_ARRAY, wide, 40000, 2);
    ASSERT_TRUE(one.ok());
    std::string row;
    for (u32 i = 0; i < 10000; i++)
        row += "0,";
    EXPECT_EQ(text(one), warning + "0: [" + row + "]\n1: [" + row + "]\n");
}

// An element that goes between two reads is left out, and nobody stumbles.
TEST_F(map_text, elements_that_go) {
    fd m = typed(BPF_MAP_TYPE_HASH, number, 4, 8);
    for (u32 key = 0; key < 8; key++)
        ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &key), 0);
    opened o = open(m);
    ASSERT_EQ(o.rc, 0);
    char buf[4096];
    ASSERT_GT(o.ops->read(o.obj, addr_of(buf), 1), 0); // the warning is made, and a first element chosen
    for (u32 key = 0; key < 8; key++)
        ASSERT_EQ(elem(BPF_MAP_DELETE_ELEM, m, &key, nullptr), 0);
    std::string rest;
    for (long n; (n = o.ops->read(o.obj, addr_of(buf), sizeof(buf))) > 0;)
        rest.append(buf, static_cast<size_t>(n));
    EXPECT_EQ(rest, warning.substr(1));
    o.ops->release(o.obj);
}

// It lives on with its text, and elements that are dropped with the last user do not go before.
TEST_F(map_text, the_open_text_uses_the_map) {
    fd m = typed(BPF_MAP_TYPE_ARRAY, number, 4, 1);
    opened o = open(m);
    ASSERT_EQ(o.rc, 0);
    m.close();
    char buf[256];
    std::string all;
    for (long n; (n = o.ops->read(o.obj, addr_of(buf), sizeof(buf))) > 0;)
        all.append(buf, static_cast<size_t>(n));
    EXPECT_EQ(all, warning + "0: 0\n");
    o.ops->release(o.obj);
}

TEST_F(map_text, bad_buffer) {
    fd m = typed(BPF_MAP_TYPE_ARRAY, number, 4, 1);
    opened o = open(m);
    ASSERT_EQ(o.rc, 0);
    EXPECT_EQ(o.ops->read(o.obj, 8, 100), -EFAULT);
    char buf[256];
    EXPECT_GT(o.ops->read(o.obj, addr_of(buf), sizeof(buf)), 0); // and nothing was lost
    o.ops->release(o.obj);
}

TEST_F(map_text, what_has_none) {
    EXPECT_EQ(open(make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1)).rc, -EIO); // no types
    EXPECT_EQ(open(make_map(BPF_MAP_TYPE_QUEUE, 0, 8, 1)).rc, -EIO);
}

// Linux shows what special fields hold, which may be addresses; here they read as a look-up gives them.
TEST_F(map_text, special_fields_are_zero) {
    u32 raw = b.integer("unsigned long long", 8, 64), opaque = b.array(raw, number, 2);
    u32 timer = b.composite(btf_kind::structure, "bpf_timer", 16, {{"__opaque", opaque, 0}});
    u32 holder = b.composite(btf_kind::structure, "holder", 24, {{"t", timer, 0}, {"n", number, 128}});
    fd m = typed(BPF_MAP_TYPE_ARRAY, holder, 24, 1);
    ASSERT_TRUE(m.ok());
    result<held_file<map>> f = hold_file<map>(m.get(), map_file_ops);
    u32 key = 0;
    auto *in_map = static_cast<u64 *>((*f)->ops->lookup(f->get(), &key));
    ASSERT_NE(in_map, nullptr);
    in_map[1] = 0xdead;
    in_map[2] = 5;
    EXPECT_EQ(text(m), warning + "0: {{[0,0,],},5,}\n");
    in_map[1] = 0;
}

} // namespace
