// SPDX-License-Identifier: GPL-2.0-only
// Walks through structures by offset, and which structures fit where one is wanted, on a few types made here.
#include "btf/btf_builder_test.h"
#include "verifier/btf_match.h"
#include "verifier/btf_walk.h"

#include <gtest/gtest.h>

namespace modbpf {

namespace {

struct kernel_like {
    ref<btf> types;
    u32 inner, outer, task, elem, flex, int_flex, bits, init, plain, number;

    kernel_like() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64), c = b.integer("char", 1, 8);
        inner = b.composite(K::structure, "inner", 8, {{"x", i, 0}, {"y", i, 32}});
        task = b.composite(K::structure, "task", 8, {{"pid", w, 0}});
        u32 user = b.refer(K::type_tag, task, "user"), rcu = b.refer(K::type_tag, task, "rcu"), percpu = b.refer(K::type_tag, task, "percpu");
        u32 const_inner = b.refer(K::const_, inner);
        u32 task_ptr = b.refer(K::pointer, task), int_ptr = b.refer(K::pointer, i);
        u32 either = b.composite(K::union_, "either", 8, {{"p", task_ptr, 0}, {"n", w, 0}});
        u32 only = b.composite(K::union_, "only", 8, {{"p", task_ptr, 0}});
        outer = b.composite(K::structure, "outer", 176,
                            {{"in", const_inner, 0},                          // 0
                             {"", b.composite(K::structure, "", 8, {{"deep", task_ptr, 0}}), 64}, // 8
                             {"arr", b.array(b.array(inner, i, 2), i, 2), 128}, // 16..48
                             {"cb", b.array(c, i, 12), 384},                  // 48..60
                             {"u", either, 512},                              // 64
                             {"one", only, 576},                              // 72
                             {"usr", b.refer(K::pointer, user), 640},         // 80
                             {"rc", b.refer(K::pointer, rcu), 704},           // 88
                             {"pc", b.refer(K::pointer, percpu), 768},        // 96
                             {"num", int_ptr, 832},                           // 104
                             {"tasks", b.array(task_ptr, i, 2), 896},         // 112..128
                             {"none", b.array(w, i, 0), 1024},                // 128, empty
                             {"w", w, 1024},                                  // 128
                             {"last", w, 1344}});                             // 168; 136..168 is a hole
        elem = b.composite(K::structure, "elem", 16, {{"a", w, 0}, {"t", task_ptr, 64}});
        flex = b.composite(K::structure, "flex", 8, {{"n", w, 0}, {"e", b.array(elem, i, 0), 64}});
        int_flex = b.composite(K::structure, "int_flex", 8, {{"n", w, 0}, {"e", b.array(i, i, 0), 64}});
        bits = b.composite(K::structure, "bits", 8, {{"a", i, 3u << 24}, {"b", i, 5u << 24 | 3}, {"c", i, 16u << 24 | 32}}, true);
        plain = b.composite(K::structure, "nf_conn", 8, {{"a", w, 0}});
        init = b.composite(K::structure, "nf_conn___init", 8, {{"ct", plain, 0}});
        number = i;
        auto a = load_btf(b.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        types = a.types;
    }
};
const kernel_like &lib() {
    static kernel_like l;
    return l;
}

struct log_text {
    char text[4096]{};
    verifier_log log;
    log_text() { EXPECT_TRUE(log.init(BPF_LOG_LEVEL1, addr_of(text), sizeof(text)).ok()); }
    std::string str() {
        u32 n;
        EXPECT_TRUE(log.finalize(&n).ok());
        return text;
    }
};

struct walk_row {
    const char *name;
    u32 from;
    s32 off;
    u32 size;
    int err = 0;
    const char *text = "";
    walk_hit hit = walk_hit::scalar;
    u32 id = 0;
    type_flag flags = type_flag::none;
    bool flexible = true;
};

/// The kernel's structures are searched by halves, all others from their first member.
TEST(BtfWalk, TheSearchFindsWhatAWalkFinds) {
    const kernel_like &l = lib();
    auto answer = [&](u32 from, s32 off, u32 size, bool kernel) {
        l.types->kernel = kernel;
        log_text log;
        struct_walk w{*l.types, log.log, true};
        auto hit = w.access(from, off, size);
        l.types->kernel = false;
        std::string at = hit ? std::to_string(static_cast<int>(*hit)) : "error " + std::to_string(hit.err().code());
        return at + " " + std::to_string(w.id) + " " + std::to_string(static_cast<u32>(w.flags)) + " " + log.str();
    };
    for (u32 from : {l.inner, l.outer, l.elem, l.flex, l.int_flex, l.bits, l.init})
        for (s32 off = -1; off < 180; off++)
            for (u32 size : {1u, 2u, 4u, 8u})
                EXPECT_EQ(answer(from, off, size, true), answer(from, off, size, false)) << from << " " << off << " " << size;
}

std::vector<walk_row> rows() {
    const kernel_like &l = lib();
    constexpr auto P = walk_hit::pointer;
    constexpr auto U = type_flag::untrusted;
    return {
        {"a number in a nested structure", l.outer, 4, 4},
        {"behind a modifier and at offset 0", l.outer, 0, 4},
        {"across two members", l.outer, 0, 8, EACCES, "access beyond the end of member x (mend:4) in struct inner with off 0 size 8"},
        {"part of a number", l.inner, 1, 1},
        {"a pointer in a structure without name", l.outer, 8, 8, 0, "", P, l.task},
        {"half a pointer", l.outer, 8, 4, EACCES, "cannot access ptr member deep with moff 0 in struct (anon) with off 0 size 4"},
        {"a pointer's second half", l.outer, 12, 4, EACCES, "cannot access ptr member deep with moff 0"},
        {"an element of an array of arrays", l.outer, 36, 4},
        {"across two elements that are structures", l.outer, 20, 8, EACCES, "access beyond struct inner at off 4 size 8"},
        {"bytes of an array are one scratch area", l.outer, 50, 8},
        {"but not beyond its end", l.outer, 56, 8, EACCES, "access beyond the end of member cb (mend:60) in struct outer with off 56 size 8"},
        {"a pointer in a union is not trusted", l.outer, 64, 8, 0, "", P, l.task, U},
        {"a union of one member tells what it is", l.outer, 72, 8, 0, "", P, l.task},
        {"user pointer", l.outer, 80, 8, 0, "", P, l.task, type_flag::user},
        {"RCU pointer", l.outer, 88, 8, 0, "", P, l.task, type_flag::rcu},
        {"per-CPU pointer", l.outer, 96, 8, 0, "", P, l.task, type_flag::percpu},
        {"a pointer to a number is a number", l.outer, 104, 8},
        {"an element of an array of pointers", l.outer, 120, 8, 0, "", P, l.task},
        {"between two elements", l.outer, 116, 8, EACCES, "cannot access ptr member tasks with moff 112 in struct outer with off 116 size 8"},
        {"an empty array is passed over", l.outer, 128, 8},
        {"a hole", l.outer, 144, 8, EINVAL, "struct outer doesn't have field at offset 144"},
        {"the last member", l.outer, 168, 8},
        {"behind the end", l.outer, 176, 1, EACCES, "access beyond struct outer at off 176 size 1"},
        {"across the end", l.outer, 172, 8, EACCES, "access beyond struct outer at off 172 size 8"},
        {"before the start", l.outer, -1, 1, EACCES, "access beyond struct outer at off 4294967295 size 1"},
        {"far before the start", l.outer, -8, 16, EACCES, "access beyond struct outer"},
        {"an element behind the structure", l.flex, 8 + 16 * 5 + 8, 8, 0, "", P, l.task},
        {"across elements behind the structure", l.flex, 8 + 12, 8, EACCES, "access beyond struct elem at off 12 size 8"},
        {"objects of programs have none", l.flex, 8, 8, EACCES, "access beyond struct flex at off 8 size 8", P, 0, type_flag::none, false},
        {"numbers behind the structure", l.int_flex, 1000, 4},
        {"a bit-field within its word", l.bits, 0, 1},
        {"the whole word", l.bits, 0, 4},
        {"a bit-field behind others", l.bits, 4, 2},
        {"half a bit-field", l.bits, 4, 1, EINVAL, "struct bits doesn't have field at offset 4"},
        {"not a structure", l.number, 0, 4, EINVAL, "Type 'int' is not a struct"},
        {"no type", 0, 0, 4, EINVAL, "Type '(anon)' is not a struct"},
    };
}

}  // namespace

TEST(BtfWalk, Access) {
    for (const auto &r : rows()) {
        log_text t;
        struct_walk w{*lib().types, t.log, r.flexible};
        auto hit = w.access(r.from, r.off, r.size);
        std::string log = t.str();
        EXPECT_EQ(hit.ok() ? 0 : hit.err().code(), r.err) << r.name << "\n" << log;
        EXPECT_NE(log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in " << log;
        if (!hit.ok())
            continue;
        EXPECT_EQ(*hit, r.hit) << r.name;
        if (r.hit == walk_hit::pointer) {
            EXPECT_EQ(w.id, r.id) << r.name;
            EXPECT_EQ(w.flags, r.flags) << r.name;
        }
    }
}

TEST(BtfWalk, StructuresFitByWhatTheyStartWith) {
    const kernel_like &l = lib();
    const btf *t = l.types.get();
    log_text text;
    verify_request req{};
    verifier_env e(req, text.log);
    auto fits = [&](u32 have, s32 off, u32 want, bool strict = false) { return struct_fits(e, {t, have}, off, {t, want}, strict); };
    EXPECT_TRUE(fits(l.outer, 0, l.outer));
    EXPECT_TRUE(fits(l.outer, 0, l.inner));
    EXPECT_FALSE(fits(l.outer, 0, l.inner, true)) << "strict";
    EXPECT_FALSE(fits(l.inner, 0, l.outer));
    EXPECT_TRUE(fits(l.outer, 16, l.inner));
    EXPECT_TRUE(fits(l.outer, 40, l.inner));
    EXPECT_FALSE(fits(l.outer, 44, l.inner)) << "in the middle";
    EXPECT_FALSE(fits(l.outer, 8, l.task)) << "a pointer is not what it points to";
    EXPECT_FALSE(fits(l.outer, -8, l.inner));
    EXPECT_FALSE(fits(l.flex, 8 + 16 * 3, l.elem)) << "as in Linux, only what an element starts with";
    EXPECT_FALSE(struct_fits(e, {t, 0}, 0, {t, 0}, false)) << "no type fits no type";
    auto copy = load_btf(std::vector<u8>(t->data().begin(), t->data().end()));
    ASSERT_EQ(copy.err, 0);
    EXPECT_FALSE(struct_fits(e, {t, l.outer}, 0, {&*copy.types, l.outer}, false)) << "another BTF's";
    EXPECT_TRUE(differ_by_init({t, l.plain}, {t, l.init}));
    EXPECT_TRUE(differ_by_init({t, l.init}, {t, l.plain}));
    EXPECT_FALSE(differ_by_init({t, l.plain}, {t, l.plain}));
    EXPECT_FALSE(differ_by_init({t, l.task}, {t, l.init}));
}

TEST(BtfWalk, Trust) {
    reg_state r;
    auto with = [&](reg_type base, type_flag f, u32 ref = 0) {
        r.set_pointer(base | f);
        r.ref_id = ref;
        return is_trusted(r);
    };
    using K = reg_type;
    using F = type_flag;
    EXPECT_TRUE(with(K::btf_ptr, F::trusted));
    EXPECT_TRUE(with(K::btf_ptr, F::alloc));
    EXPECT_TRUE(with(K::btf_ptr, F::alloc | F::non_owning));
    EXPECT_TRUE(with(K::btf_ptr, F::none, 3)) << "a reference";
    EXPECT_FALSE(with(K::btf_ptr, F::none));
    EXPECT_FALSE(with(K::btf_ptr, F::rcu));
    EXPECT_FALSE(with(K::btf_ptr, F::trusted | F::maybe_null));
    EXPECT_FALSE(with(K::btf_ptr, F::trusted | F::untrusted));
    EXPECT_FALSE(with(K::btf_ptr, F::trusted | F::user));
    EXPECT_TRUE(with(K::socket, F::none));
    EXPECT_FALSE(with(K::socket, F::maybe_null));
    EXPECT_FALSE(with(K::xdp_sock, F::none));
    EXPECT_TRUE(with(K::map_ptr, F::none));
    EXPECT_FALSE(with(K::scalar, F::none));
}

}  // namespace modbpf
