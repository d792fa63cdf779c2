// SPDX-License-Identifier: GPL-2.0-only
// BTF_LOAD's validation: each kind accepted and refused with Linux's text, then bulk damage and failing allocations.
#include "btf/btf.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "btf/btf_builder_test.h"

namespace modbpf {
namespace {

using B = btf_builder;
using K = btf_kind;

/// A library of everything, well-formed.
std::vector<u8> one_of_each() {
    B b;
    u32 i = b.int32(), c = b.integer("char", 1, BTF_INT_CHAR << 24 | 8), u = b.integer("u64", 8, 64);
    u32 arr = b.array(i, i, 4);
    u32 e = b.type("color", B::info(K::enum_, 2, true), 4, {b.str("RED"), 0, b.str("BLUE"), 0xffffffff});
    u32 e64 = b.type("wide", B::info(K::enum64, 1), 8, {b.str("HUGE"), 1, 2});
    u32 f = b.type("double", B::info(K::float_), 8);
    u32 fwd = b.refer(K::forward, 0, "later");
    u32 s = b.composite(K::structure, "s", 64, {{"a", i, 0}, {"arr", arr, 32}, {"c", c, 160}, {"e", e, 192}, {"f", f, 256},
                                                {"w", e64, 320}, {"u", u, 384}});
    u32 p = b.refer(K::pointer, s), cp = b.refer(K::const_, p), t = b.refer(K::typedef_, cp, "s_ptr");
    b.refer(K::pointer, fwd), b.refer(K::pointer, 0);
    b.composite(K::union_, "un", 8, {{"p", p, 0}, {"t", t, 0}});
    b.composite(K::structure, "bits", 4, {{"x", i, 3u << 24}, {"y", i, 5u << 24 | 3}}, true);
    u32 tag = b.refer(K::type_tag, i, "user"), vol = b.refer(K::volatile_, i);
    b.refer(K::pointer, tag), b.refer(K::restrict_, p);
    u32 proto = b.proto(i, {{"ctx", p, 0}, {"n", vol, 0}});
    u32 fn = b.func("handler", proto);
    b.proto(0, {{"fmt", p, 0}, {"", 0, 0}});
    u32 v = b.type("counter", B::info(K::var), i, {BTF_VAR_GLOBAL_ALLOCATED});
    b.type(".data", B::info(K::datasec, 1), 8, {v, 0, 4});
    b.type("hot", B::info(K::decl_tag), fn, {0xffffffff});
    b.type("arg", B::info(K::decl_tag), fn, {1});
    b.type("member", B::info(K::decl_tag), s, {6});
    return b.bytes();
}

TEST(btf, one_of_each_kind_is_accepted) {
    auto a = load_btf(one_of_each());
    ASSERT_EQ(a.err, 0) << a.log;
    btf &b = *a.types;
    EXPECT_EQ(b.type_count(), 29u);
    u32 s = b.find("s", K::structure), size;
    ASSERT_TRUE(s && b.size_of(s, &size));
    EXPECT_EQ(size, 64u);
    EXPECT_EQ(b.find("s", K::union_), 0u);
    EXPECT_EQ(b.find("nothing", K::structure), 0u);
    u32 t = b.find("s_ptr", K::typedef_);
    EXPECT_EQ(b.type(b.skip_modifiers(t))->kind(), K::pointer);
    EXPECT_TRUE(b.size_of(t, &size) && size == 8);
    EXPECT_TRUE(b.size_of(4, &size) && size == 16) << "int[4]";
    EXPECT_TRUE(b.size_of(b.find("counter", K::var), &size) && size == 4);
    EXPECT_FALSE(b.size_of(b.find("later", K::forward), &size));
    EXPECT_FALSE(b.size_of(0, &size) || b.size_of(1000, &size));
    EXPECT_EQ(b.type(0), nullptr);
    EXPECT_EQ(b.type(29), nullptr);
    EXPECT_STREQ(b.string(0), "");
    EXPECT_EQ(b.string(1u << 20), nullptr);
    EXPECT_STREQ(b.name(1), "int");
    EXPECT_EQ(b.data().size(), one_of_each().size());
}

TEST(btf, log_of_an_accepted_object_is_linux_s) {
    B b;
    u32 i = b.int32();
    b.composite(K::structure, "s", 4, {{"x", i, 0}});
    b.proto(i, {{"a", i, 0}, {"", 0, 0}});
    auto a = load_btf(b.bytes());
    ASSERT_EQ(a.err, 0);
    EXPECT_EQ(a.log, "magic: 0xeb9f\nversion: 1\nflags: 0x0\nhdr_len: 24\ntype_off: 0\ntype_len: 68\nstr_off: 68\n"
                     "str_len: 11\nbtf_total_size: 103\n"
                     "[1] INT int size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n"
                     "[2] STRUCT s size=4 vlen=1\n\tx type_id=1 bits_offset=0\n"
                     "[3] FUNC_PROTO (anon) return=1 args=(1 a, vararg)\n");
}

struct refusal {
    const char *what;
    std::function<void(B &)> build;
    int err;
    const char *text;
};

void expect_refused(const refusal &r) {
    B b;
    b.int32(); // id 1
    r.build(b);
    auto a = load_btf(b.bytes());
    EXPECT_EQ(a.err, r.err) << r.what << "\n" << a.log;
    EXPECT_NE(a.log.find(r.text), std::string::npos) << r.what << "\n" << a.log;
    EXPECT_EQ(load_btf(b.bytes(), 0).err, r.err) << "the log must not decide";
}

TEST(btf_refuses, metas) {
    const refusal rows[] = {
        {"info bits", [](B &b) { b.type("", B::info(K::pointer) | 1u << 20, 1); }, EINVAL, "[2] Invalid btf_info:2100000"},
        {"kind 0", [](B &b) { b.type("", 0, 1); }, EINVAL, "[2] Invalid kind:0"},
        {"kind 20", [](B &b) { b.type("", 20u << 24, 1); }, EINVAL, "[2] Invalid kind:20"},
        {"name offset", [](B &b) { b.words.insert(b.words.end(), {9999, B::info(K::pointer), 1}); }, EINVAL,
         "[2] Invalid name_offset:9999"},
        {"header cut", [](B &b) { b.words.push_back(0); }, EINVAL, "[2] meta_left:4 meta_needed:12"},
        {"int cut", [](B &b) { b.type("x", B::info(K::integer), 4); }, EINVAL, "[2] INT x meta_left:0 meta_needed:4"},
        {"int vlen", [](B &b) { b.type("x", B::info(K::integer, 1), 4, {32}); }, EINVAL, "vlen != 0"},
        {"int kflag", [](B &b) { b.type("x", B::info(K::integer, 0, true), 4, {32}); }, EINVAL, "Invalid btf_info kind_flag"},
        {"int data", [](B &b) { b.integer("x", 4, 1u << 28 | 32); }, EINVAL, "[2] INT x Invalid int_data:10000020"},
        {"int bits", [](B &b) { b.integer("x", 32, 129); }, EINVAL, "nr_bits exceeds 128"},
        {"int size", [](B &b) { b.integer("x", 3, 32); }, EINVAL, "nr_bits exceeds type_size"},
        {"int encoding", [](B &b) { b.integer("x", 4, 3u << 24 | 32); }, ENOTSUPP, "Unsupported encoding"},
        {"ptr name", [](B &b) { b.refer(K::pointer, 1, "p"); }, EINVAL, "[2] PTR p type_id=1 Invalid name"},
        {"typedef no name", [](B &b) { b.refer(K::typedef_, 1); }, EINVAL, "TYPEDEF (anon) type_id=1 Invalid name"},
        {"typedef bad name", [](B &b) { b.refer(K::typedef_, 1, "1x"); }, EINVAL, "Invalid name"},
        {"type_tag no name", [](B &b) { b.refer(K::type_tag, 1); }, EINVAL, "Invalid name"},
        {"type id too large", [](B &b) { b.refer(K::pointer, 0x100000); }, EINVAL, "Invalid type_id"},
        {"fwd type", [](B &b) { b.refer(K::forward, 1, "f"); }, EINVAL, "[2] FWD f struct type != 0"},
        {"fwd name", [](B &b) { b.refer(K::forward, 0); }, EINVAL, "Invalid name"},
        {"array name", [](B &b) { b.type("a", B::info(K::array), 0, {1, 1, 1}); }, EINVAL, "Invalid name"},
        {"array size", [](B &b) { b.type("", B::info(K::array), 4, {1, 1, 1}); }, EINVAL, "size != 0"},
        {"array elem void", [](B &b) { b.array(0, 1, 1); }, EINVAL, "Invalid elem"},
        {"array index void", [](B &b) { b.array(1, 0, 1); }, EINVAL, "Invalid index"},
        {"enum size", [](B &b) { b.type("e", B::info(K::enum_), 3); }, EINVAL, "Unexpected size"},
        {"enum no name", [](B &b) { b.type("e", B::info(K::enum_, 1), 4, {0, 1}); }, EINVAL, "Invalid name"},
        {"enum name off", [](B &b) { b.type("e", B::info(K::enum_, 1), 4, {5000, 1}); }, EINVAL, "\tInvalid name_offset:5000"},
        {"enum64 size", [](B &b) { b.type("e", B::info(K::enum64), 16); }, EINVAL, "Unexpected size"},
        {"proto name", [](B &b) { b.type("p", B::info(K::func_proto), 0); }, EINVAL, "Invalid name"},
        {"func name", [](B &b) { b.func("", b.proto(0, {})); }, EINVAL, "Invalid name"},
        {"func extern", [](B &b) { b.func("f", b.proto(0, {}), 2); }, EINVAL, "Invalid func linkage"},
        {"var void", [](B &b) { b.type("v", B::info(K::var), 0, {1}); }, EINVAL, "Invalid type_id"},
        {"var linkage", [](B &b) { b.type("v", B::info(K::var), 1, {2}); }, EINVAL, "Linkage not supported"},
        {"datasec size", [](B &b) { b.type(".d", B::info(K::datasec), 0); }, EINVAL, "size == 0"},
        {"datasec offset", [](B &b) { b.type(".d", B::info(K::datasec, 1), 4, {1, 4, 4}); }, EINVAL, "Invalid offset"},
        {"datasec overlap", [](B &b) { b.type(".d", B::info(K::datasec, 2), 8, {1, 0, 4, 1, 2, 4}); }, EINVAL,
         "\t type_id=1 offset=2 size=4 Invalid offset"},
        {"datasec var size", [](B &b) { b.type(".d", B::info(K::datasec, 1), 4, {1, 0, 0}); }, EINVAL, "Invalid size"},
        {"datasec end", [](B &b) { b.type(".d", B::info(K::datasec, 1), 4, {1, 2, 4}); }, EINVAL, "Invalid offset+size"},
        {"float size", [](B &b) { b.type("f", B::info(K::float_), 6); }, EINVAL, "Invalid type_size"},
        {"decl_tag value", [](B &b) { b.type("", B::info(K::decl_tag), 1, {~0u}); }, EINVAL, "Invalid value"},
        {"decl_tag -2", [](B &b) { b.type("t", B::info(K::decl_tag), 1, {~1u}); }, EINVAL, "Invalid component_idx"},
    };
    for (const refusal &r : rows)
        expect_refused(r);
}

TEST(btf_refuses, structures) {
    const auto S = K::structure;
    const refusal rows[] = {
        {"cut", [](B &b) { b.type("s", B::info(K::structure, 2), 8, {0, 1, 0}); }, EINVAL, "meta_left:12 meta_needed:24"},
        {"name", [=](B &b) { b.composite(S, "a b", 4, {}); }, EINVAL, "Invalid name"},
        {"member name", [=](B &b) { b.composite(S, "s", 4, {{"a-b", 1, 0}}); }, EINVAL, "\ta-b type_id=1 bits_offset=0 Invalid name"},
        {"member void", [=](B &b) { b.composite(S, "s", 4, {{"a", 0, 0}}); }, EINVAL, "Invalid type_id"},
        {"union offset", [](B &b) { b.composite(K::union_, "u", 8, {{"a", 1, 32}}); }, EINVAL, "Invalid member bits_offset"},
        {"order", [=](B &b) { b.composite(S, "s", 8, {{"a", 1, 32}, {"b", 1, 0}}); }, EINVAL, "Invalid member bits_offset"},
        {"offset", [=](B &b) { b.composite(S, "s", 4, {{"a", 1, 64}}); }, EINVAL, "Member bits_offset exceeds its struct size"},
        {"end", [=](B &b) { b.composite(S, "s", 4, {{"a", 1, 8}}); }, EINVAL, "Member exceeds struct_size"},
        {"no such type", [=](B &b) { b.composite(S, "s", 4, {{"a", 77, 0}}); }, EINVAL, "Invalid member"},
        {"forward", [=](B &b) { b.composite(S, "s", 4, {{"a", b.refer(K::forward, 0, "f"), 0}}); }, EINVAL, "Invalid member"},
        {"const void", [=](B &b) { b.composite(S, "s", 4, {{"a", b.refer(K::const_, 0), 0}}); }, EINVAL, "Invalid member"},
        {"pointer bits", [=](B &b) { b.composite(S, "s", 16, {{"a", b.refer(K::pointer, 0), 4}}); }, EINVAL,
         "Member is not byte aligned"},
        {"pointer end", [=](B &b) { b.composite(S, "s", 8, {{"a", b.refer(K::pointer, 0), 8}}); }, EINVAL,
         "Member exceeds struct_size"},
        {"array end", [=](B &b) { b.composite(S, "s", 8, {{"a", b.array(1, 1, 3), 0}}); }, EINVAL, "Member exceeds struct_size"},
        {"typedef to array end",
         [=](B &b) { b.composite(S, "s", 8, {{"a", b.refer(K::typedef_, b.array(1, 1, 3), "t"), 0}}); }, EINVAL,
         "Member exceeds struct_size"},
        {"float align", [=](B &b) { b.composite(S, "s", 12, {{"f", b.type("d", B::info(K::float_), 8), 32}}); }, EINVAL,
         "Member is not properly aligned"},
        {"bit-field too wide", [=](B &b) { b.composite(S, "s", 8, {{"a", 1, 33u << 24}}, true); }, EINVAL,
         "\ta type_id=1 bitfield_size=33 bits_offset=0 Invalid member bitfield_size"},
        {"bit-field at 1 without width", [=](B &b) { b.composite(S, "s", 8, {{"a", 1, 1}}, true); }, EINVAL,
         "Invalid member offset"},
        {"bit-field pointer", [=](B &b) { b.composite(S, "s", 8, {{"a", b.refer(K::pointer, 0), 3u << 24}}, true); }, EINVAL,
         "Invalid member bitfield_size"},
        {"bit-field of a bit-field", [=](B &b) { b.composite(S, "s", 8, {{"a", b.integer("b", 4, 3), 3u << 24}}, true); }, EINVAL,
         "Invalid member base type"},
        {"enum bit-field", [=](B &b) { b.composite(S, "s", 8, {{"a", b.type("e", B::info(K::enum_), 4), 33u << 24}}, true); }, EINVAL,
         "Invalid member bitfield_size"},
    };
    for (const refusal &r : rows)
        expect_refused(r);
}

TEST(btf_refuses, references_and_cycles) {
    const refusal rows[] = {
        {"typedef loop", [](B &b) { b.refer(K::typedef_, 3, "a"), b.refer(K::typedef_, 2, "b"); }, EEXIST, "Loop detected"},
        {"const loop", [](B &b) { b.refer(K::const_, 2); }, EEXIST, "[2] CONST (anon) type_id=2 Loop detected"},
        {"pointer loop", [](B &b) { b.refer(K::const_, 3), b.refer(K::pointer, 2); }, EEXIST, "Loop detected"},
        {"array loop", [](B &b) { b.array(2, 1, 2); }, EEXIST, "Loop detected"},
        {"deep",
         [](B &b) {
             for (u32 i = 0; i < 33; i++)
                 b.refer(K::const_, i + 3);
             b.refer(K::const_, 1);
         },
         E2BIG, "Exceeded max resolving depth:32"},
        {"pointer to nothing", [](B &b) { b.refer(K::pointer, 50); }, EINVAL, "[2] PTR (anon) type_id=50 Invalid type_id"},
        {"pointer to var", [](B &b) { b.refer(K::pointer, b.type("v", B::info(K::var), 1, {1})); }, EINVAL, "Invalid type_id"},
        {"pointer to func", [](B &b) { b.refer(K::pointer, 4), b.proto(0, {}), b.func("f", 3); }, EINVAL, "Invalid type_id"},
        {"array index", [](B &b) { b.array(1, b.refer(K::pointer, 1), 1); }, EINVAL, "Invalid index"},
        {"array of void", [](B &b) { b.array(b.refer(K::const_, 0), 1, 1); }, EINVAL, "Invalid elem"},
        {"array of bits", [](B &b) { b.array(b.integer("x", 4, 3), 1, 1); }, EINVAL, "Invalid array of int"},
        {"array too large", [](B &b) { b.array(b.array(1, 1, 0x40000000 - 1), 1, 2); }, EINVAL, "Array size overflows U32_MAX"},
        {"func of int", [](B &b) { b.func("f", 1); }, EINVAL, "Invalid type_id"},
        {"func arg without name", [](B &b) { b.func("f", b.proto(0, {{"", 1, 0}})); }, EINVAL, "Invalid arg#1"},
        {"proto void arg", [](B &b) { b.proto(0, {{"a", 0, 0}, {"b", 1, 0}}); }, EINVAL, "Invalid arg#1"},
        {"proto named vararg", [](B &b) { b.proto(0, {{"a", 1, 0}, {"b", 0, 0}}); }, EINVAL, "Invalid arg#2"},
        {"proto return", [](B &b) { b.proto(b.refer(K::forward, 0, "f"), {}); }, EINVAL, "Invalid return type"},
        {"proto arg name", [](B &b) { b.proto(0, {{"a b", 1, 0}}); }, EINVAL, "Invalid arg#1"},
        {"datasec of int", [](B &b) { b.type(".d", B::info(K::datasec, 1), 4, {1, 0, 4}); }, EINVAL, "Not a VAR kind member"},
        {"datasec small", [](B &b) { b.type(".d", B::info(K::datasec, 1), 4, {b.type("v", B::info(K::var), 1, {1}), 0, 2}); }, EINVAL,
         "Invalid size"},
        {"decl_tag of int", [](B &b) { b.type("t", B::info(K::decl_tag), 1, {~0u}); }, EINVAL, "Invalid type_id"},
        {"decl_tag arg", [](B &b) { b.type("t", B::info(K::decl_tag), b.func("f", b.proto(0, {})), {0}); }, EINVAL,
         "Invalid component_idx"},
        {"tag behind const", [](B &b) { b.refer(K::const_, b.refer(K::type_tag, 1, "t")); }, EINVAL,
         "Type tags don't precede modifiers"},
    };
    for (const refusal &r : rows)
        expect_refused(r);
    // A chain whose every piece is resolved when the next one needs it may be long.
    B chain;
    chain.int32();
    for (u32 i = 1; i <= 100; i++)
        chain.refer(K::const_, i);
    auto c = load_btf(chain.bytes());
    u32 size = 0;
    ASSERT_EQ(c.err, 0);
    EXPECT_TRUE(c.types->size_of(101, &size) && size == 4 && c.types->skip_modifiers(101) == 1);
    // A structure that holds itself is a loop through the aggregate walk.
    B b;
    b.int32();
    b.composite(K::structure, "s", 8, {{"a", 2, 0}});
    auto a = load_btf(b.bytes());
    EXPECT_EQ(a.err, EEXIST);
    EXPECT_NE(a.log.find("Loop detected"), std::string::npos);
    // Through a pointer it is C's linked list.
    B list;
    list.int32();
    list.composite(K::structure, "node", 8, {{"next", 3, 0}});
    list.refer(K::pointer, 2);
    EXPECT_EQ(load_btf(list.bytes()).err, 0);
}

TEST(btf_refuses, headers) {
    auto good = one_of_each();
    auto expect = [&](std::function<void(btf_header &, std::vector<u8> &)> change, int err, const char *text) {
        auto bytes = good;
        btf_header h;
        memcpy(&h, bytes.data(), sizeof(h));
        change(h, bytes);
        memcpy(bytes.data(), &h, std::min(sizeof(h), bytes.size()));
        auto a = load_btf(bytes);
        EXPECT_EQ(a.err, err) << text << "\n" << a.log;
        EXPECT_NE(a.log.find(text), std::string::npos) << text << "\n" << a.log;
    };
    expect([](auto &, auto &b) { b.resize(7); }, EINVAL, "hdr_len not found");
    expect([](auto &h, auto &) { h.hdr_len = 1u << 30; }, EINVAL, "btf_header not found");
    expect([](auto &h, auto &) { h.magic = 0x9feb; }, EINVAL, "Invalid magic");
    expect([](auto &h, auto &) { h.version = 2; }, ENOTSUPP, "Unsupported version");
    expect([](auto &h, auto &) { h.flags = 1; }, ENOTSUPP, "Unsupported flags");
    expect([](auto &h, auto &b) { h.hdr_len = 24, b.resize(24); }, EINVAL, "No data");
    expect([](auto &h, auto &) { h.hdr_len = 28; }, E2BIG, "Unsupported btf_header");
    expect([](auto &h, auto &) { h.type_off = 4; }, EINVAL, "Unsupported section found");
    expect([](auto &h, auto &) { h.str_off -= 4; }, EINVAL, "Section overlap found");
    expect([](auto &h, auto &) { h.str_off = 1u << 29; }, EINVAL, "Invalid section offset");
    expect([](auto &h, auto &) { h.str_len += 1; }, EINVAL, "Total section length too long");
    expect([](auto &h, auto &) { h.str_len -= 1; }, EINVAL, "Unsupported section found");
    expect([](auto &, auto &b) { b.back() = 'x'; }, EINVAL, "Invalid string section");
    expect([](auto &h, auto &) { h.type_len = 0, h.str_off = 0, h.str_len = 0; }, EINVAL, "Unsupported section found");
    EXPECT_EQ(load_btf({}).err, EINVAL);
    EXPECT_EQ(load_btf(std::vector<u8>(btf_max_size + 1)).err, E2BIG);
}

TEST(btf, names_have_linux_s_alphabet) {
    auto accepted = [](const std::string &name) {
        B b;
        b.composite(K::structure, name, 4, {});
        return load_btf(b.bytes()).err == 0;
    };
    EXPECT_TRUE(accepted("_a.b9") && accepted(".x") && accepted(std::string(512, 'n')) && accepted("\xe9t\xe9"));
    EXPECT_FALSE(accepted("9a") || accepted("a b") || accepted("a\xd7") || accepted(std::string(513, 'n')));
    auto section = [](const std::string &name) {
        B b;
        b.type(name, B::info(K::datasec), 4);
        return load_btf(b.bytes()).err == 0;
    };
    EXPECT_TRUE(section(".rodata.str1.1") && section("a b/c?"));
    EXPECT_FALSE(section("a\tb") || section(""));
}

// ---- bulk damage ------------------------------------------------------------------------------------------

void walk(btf &b) {
    for (u32 id = 0; id < b.type_count() + 2; id++) {
        u32 size;
        (void)b.size_of(id, &size), (void)b.skip_modifiers(id), (void)b.name(id);
    }
}

TEST(btf_damage, every_truncation) {
    auto good = one_of_each();
    for (size_t n = 0; n < good.size(); n++)
        ASSERT_NE(load_btf(std::vector<u8>(good.begin(), good.begin() + static_cast<long>(n)), n % 2).err, 0);
}

TEST(btf_damage, every_bit) {
    auto bytes = one_of_each();
    int accepted = 0;
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
        bytes[bit / 8] ^= static_cast<u8>(1u << bit % 8);
        auto a = load_btf(bytes, bit % 3 == 0);
        if (!a.err) {
            accepted++;
            walk(*a.types);
        }
        bytes[bit / 8] ^= static_cast<u8>(1u << bit % 8);
    }
    EXPECT_GT(accepted, 100); // names and offsets that stay good
}

TEST(btf_damage, random_words) {
    auto good = one_of_each();
    u64 s = 12345;
    auto rnd = [&] {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        return s;
    };
    for (int i = 0; i < 4000; i++) {
        auto bytes = good;
        for (u64 k = 0; k <= rnd() % 4; k++) {
            u32 at = static_cast<u32>(rnd() % (bytes.size() / 4)) * 4, v = static_cast<u32>(rnd() >> rnd() % 64);
            memcpy(&bytes[at], &v, 4);
        }
        auto a = load_btf(bytes, i % 2);
        if (!a.err)
            walk(*a.types);
    }
}

TEST(btf_damage, each_allocation_fails_once) {
    auto good = one_of_each();
    port_fail_nth_set(0);
    u64 failures = 0;
    for (u64 n = 1; n < 100; n++) {
        vec<u8> data;
        ASSERT_TRUE(data.resize(good.size()).ok());
        memcpy(data.data(), good.data(), good.size());
        verifier_log log;
        port_fail_nth_set(n);
        auto r = btf::parse(move(data), log);
        port_fail_nth_set(0);
        if (r.ok())
            break;
        ASSERT_EQ(r.code(), -ENOMEM);
        failures++;
    }
    EXPECT_GE(failures, 5u);
    EXPECT_LT(failures, 99u);
}

// ---- what clang writes ------------------------------------------------------------------------------------

/// The .BTF section of a 64-bit ELF file, or nothing.
std::vector<u8> btf_section(const std::vector<u8> &elf) {
    auto get = [&](u64 at, auto v) {
        if (at + sizeof(v) <= elf.size())
            memcpy(&v, &elf[at], sizeof(v));
        return v;
    };
    u64 table = get(0x28, u64{});
    u16 n = get(0x3c, u16{}), names = get(0x3e, u16{});
    u64 strings = get(table + 64ull * names + 0x18, u64{});
    for (u16 i = 0; i < n; i++) {
        u64 h = table + 64ull * i, off = get(h + 0x18, u64{}), size = get(h + 0x20, u64{});
        u64 name = strings + get(h, u32{});
        if (name + 5 <= elf.size() && !memcmp(&elf[name], ".BTF", 5) && off + size <= elf.size())
            return {elf.begin() + static_cast<long>(off), elf.begin() + static_cast<long>(off + size)};
    }
    return {};
}

TEST(btf_clang, an_object_of_clang_is_accepted) {
    const char *source = "struct node { struct node *next; int v[3]; unsigned a : 3, b : 5; union { long l; char c[8]; } u; };"
                         "typedef const volatile struct node *node_ptr; enum color { RED = -1, BLUE };"
                         "enum huge { HUGE = 0x100000000ull };"
                         "__attribute__((noinline)) static int sub(enum color c, node_ptr n) { return n->v[c & 1] + n->a; }"
                         "int handler(node_ptr n, enum huge *h) { return sub(BLUE, n) + (*h > 1); }";
    char dir[] = "/tmp/modbpf-btf-XXXXXX";
    ASSERT_TRUE(mkdtemp(dir));
    std::string base = std::string(dir) + "/t", c = base + ".c", o = base + ".o";
    FILE *f = fopen(c.c_str(), "w");
    ASSERT_TRUE(f);
    fputs(source, f), fclose(f);
    std::vector<u8> elf;
    for (const char *cc : {"clang-19", "clang"}) {
        std::string cmd = std::string(cc) + " -target bpf -g -O2 -c " + c + " -o " + o + " 2>/dev/null";
        if (!system(cmd.c_str()))
            break;
    }
    if ((f = fopen(o.c_str(), "r"))) {
        for (int b; (b = fgetc(f)) != EOF;)
            elf.push_back(static_cast<u8>(b));
        fclose(f);
    }
    unlink(c.c_str()), unlink(o.c_str()), rmdir(dir);
    if (elf.empty())
        GTEST_SKIP() << "no clang that compiles for BPF";
    auto a = load_btf(btf_section(elf));
    ASSERT_EQ(a.err, 0) << a.log;
    u32 size, node = a.types->find("node", K::structure);
    ASSERT_TRUE(node && a.types->size_of(node, &size));
    EXPECT_EQ(size, 32u);
    EXPECT_TRUE(a.types->find("handler", K::func) && a.types->find("sub", K::func));
    EXPECT_TRUE(a.types->find("huge", K::enum64));
    EXPECT_TRUE(a.types->size_of(a.types->find("node_ptr", K::typedef_), &size) && size == 8);
}

// ---- the kernel's own -------------------------------------------------------------------------------------

TEST(btf_vmlinux, is_found_and_scanned) {
    auto r = btf::vmlinux();
    if (!r.ok())
        GTEST_SKIP() << "this kernel has no BTF";
    btf &b = **r;
    EXPECT_TRUE(b.kernel);
    EXPECT_STREQ(b.module_name, "vmlinux");
    EXPECT_GT(b.type_count(), 10000u);
    u32 task = b.find("task_struct", K::structure), size;
    ASSERT_TRUE(task && b.size_of(task, &size));
    EXPECT_GT(size, 1000u);
    walk(b);
    u8 sizes[12];
    auto exec = b.raw_tp_args("sched_process_exec", sizes);
    ASSERT_TRUE(exec.ok());
    EXPECT_EQ(*exec, 3u);
    EXPECT_TRUE(sizes[0] == 8 && sizes[1] == 4 && sizes[2] == 8);
    auto enter = b.raw_tp_args("sys_enter", sizes);
    ASSERT_TRUE(enter.ok());
    EXPECT_EQ(*enter, 2u);
    EXPECT_EQ(b.raw_tp_args("no_such_tracepoint", sizes).code(), -ENOENT);
    EXPECT_EQ(b.raw_tp_args(std::string(300, 'x').c_str(), sizes).code(), -ENOENT);
    auto again = btf::vmlinux();
    EXPECT_EQ(again->get(), &b);
    btf::release_kernel();
    btf::release_kernel();
}

/// A module's types go on behind the kernel's, and refer to them.
TEST(Btf, SplitTypes) {
    btf_builder base;
    u32 number = base.int32(), pair = base.composite(btf_kind::structure, "pair", 8, {{"a", number, 0}, {"b", number, 32}});
    u32 var = base.type("v", base.info(btf_kind::var), number, {1});
    base.type(".data..percpu", base.info(btf_kind::datasec, 1), 4, {var, 0, 4});
    auto kernel = load_btf(base.bytes());
    ASSERT_EQ(kernel.err, 0) << kernel.log;
    btf_builder own;
    own.strings.clear(); // the first string is the base's
    own.count = base.count;
    u32 shift = static_cast<u32>(base.strings.size());
    auto named = [&](const char *name, u32 info, u32 to, std::vector<u32> tail = {}) {
        u32 at = own.str(name) + shift;
        own.words.insert(own.words.end(), {at, info, to});
        own.words.insert(own.words.end(), tail.begin(), tail.end());
        return ++own.count;
    };
    u32 alias = named("alias", own.info(btf_kind::typedef_), pair), percpu = named(".data..percpu", own.info(btf_kind::datasec), 0);
    std::vector<u8> bytes = own.bytes();
    auto split_off = [&](const char *name) {
        vec<u8> copy;
        EXPECT_TRUE(copy.resize(bytes.size()).ok());
        memcpy(copy.data(), bytes.data(), bytes.size());
        return btf::split(*kernel.types, name, move(copy));
    };
    auto split = split_off("some_module");
    ASSERT_TRUE(split.ok());
    const btf &m = **split;
    EXPECT_TRUE(m.is_module() && m.kernel);
    EXPECT_STREQ(m.module_name, "some_module");
    EXPECT_EQ(m.start_id(), kernel.types->type_count());
    EXPECT_EQ(m.type_count(), kernel.types->type_count() + 2);
    EXPECT_EQ(m.type(pair), kernel.types->type(pair));
    EXPECT_EQ(m.type(0), nullptr);
    EXPECT_EQ(m.type(m.type_count()), nullptr);
    EXPECT_STREQ(m.name(alias), "alias");
    EXPECT_STREQ(m.name(pair), "pair");
    EXPECT_EQ(m.string(shift + static_cast<u32>(own.strings.size())), nullptr);
    EXPECT_EQ(m.find("alias", btf_kind::typedef_), alias);
    EXPECT_EQ(m.find("pair", btf_kind::structure), pair);
    EXPECT_EQ(m.find(".data..percpu", btf_kind::datasec), base.count);
    EXPECT_EQ(m.find_own(".data..percpu", btf_kind::datasec), percpu);
    EXPECT_EQ(m.find_own("pair", btf_kind::structure), 0u);
    EXPECT_EQ(m.next_candidate(0, "alias", 5, btf_kind::typedef_), alias);
    EXPECT_EQ(m.next_candidate(alias, "alias", 5, btf_kind::typedef_), 0u);
    u32 size = 0;
    EXPECT_TRUE(m.size_of(alias, &size));
    EXPECT_EQ(size, 8u);
    bytes.pop_back();
    EXPECT_FALSE(split_off("cut").ok());
}

}  // namespace
}  // namespace modbpf
