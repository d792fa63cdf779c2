// SPDX-License-Identifier: GPL-2.0-only
// Which members of structures and sections are special fields, and which declarations are refused.
#include "btf/btf_builder_test.h"
#include "btf/fields.h"

#include <gtest/gtest.h>

namespace modbpf {

namespace {

struct special_types : btf_builder {
    u32 number = int32(), wide = integer("u64", 8, 64);
    u32 words(const char *name, u32 size) {
        u32 a = array(wide, number, size / 8);
        return composite(btf_kind::structure, name, size, {{"opaque", a, 0}});
    }
    u32 lock = composite(btf_kind::structure, "bpf_spin_lock", 4, {{"val", number, 0}});
    u32 timer = words("bpf_timer", 16), head = words("bpf_list_head", 16), node = words("bpf_list_node", 24),
        root = words("bpf_rb_root", 16), rb_node = words("bpf_rb_node", 32);
    u32 refs = composite(btf_kind::structure, "bpf_refcount", 4, {{"val", number, 0}});
    u32 mine = composite(btf_kind::structure, "type_of_the_program", 4, {{"x", number, 0}});
    u32 kptr(const char *tag, u32 to) { return refer(btf_kind::pointer, refer(btf_kind::type_tag, to, tag)); }
    u32 value(u32 size, const std::vector<member> &m) { return composite(btf_kind::structure, "value", size, m); }
    void tag(const char *text, u32 on, u32 component) { type(text, info(btf_kind::decl_tag), on, {component}); }

    /// "kind@offset ..." or the errno.
    std::string find(u32 id, u32, u32 kinds = map_fields) {
        btf_answer a = load_btf(bytes());
        if (a.err)
            return "BTF " + a.log;
        result<ref<btf>> kernel = btf::vmlinux();
        result<own<field_table>> r = find_fields(*a.types, id, kinds, kernel.ok() ? kernel->get() : nullptr);
        if (!r)
            return std::to_string(r.err().code());
        std::string text;
        for (const special_field &f : (*r)->fields)
            text += std::string(text.empty() ? "" : " ") + field_name(f.kind) + "@" + std::to_string(f.off);
        return text;
    }
};

TEST(special_fields, are_found_by_the_names_of_their_types) {
    special_types t;
    u32 v = t.value(48, {{"l", t.lock, 0}, {"n", t.number, 32}, {"t", t.timer, 64}, {"p", t.kptr("kptr_untrusted", t.mine), 192},
                         {"q", t.kptr("kptr", t.mine), 256}, {"r", t.kptr("percpu_kptr", t.mine), 320}});
    EXPECT_EQ(t.find(v, 48), "bpf_spin_lock@0 bpf_timer@8 kptr@24 kptr@32 percpu_kptr@40");
    u32 plain = t.value(16, {{"a", t.number, 0}, {"p", t.refer(btf_kind::pointer, t.mine), 64}});
    EXPECT_EQ(t.find(plain, 16), "");
    u32 nested = t.value(64, {{"x", t.wide, 0}, {"v", v, 64}});
    EXPECT_EQ(t.find(nested, 64), "bpf_spin_lock@8 bpf_timer@16 kptr@32 kptr@40 percpu_kptr@48");
    u32 section = t.type(".bss", special_types::info(btf_kind::datasec, 1), 16,
                         {t.type("lock", special_types::info(btf_kind::var), t.lock, {1}), 8, 4});
    EXPECT_EQ(t.find(section, 16), "bpf_spin_lock@8");
}

TEST(special_fields, in_arrays) {
    special_types t;
    u32 pointers = t.array(t.kptr("kptr", t.mine), t.number, 3);
    EXPECT_EQ(t.find(t.value(32, {{"x", t.wide, 0}, {"p", pointers, 64}}), 32), "kptr@8 kptr@16 kptr@24");
    u32 pair = t.composite(btf_kind::structure, "pair", 16, {{"x", t.wide, 0}, {"p", t.kptr("kptr", t.mine), 64}});
    EXPECT_EQ(t.find(t.value(32, {{"p", t.array(pair, t.number, 2), 0}}), 32), "kptr@8 kptr@24");
    EXPECT_EQ(t.find(t.value(96, {{"p", t.array(t.kptr("kptr", t.mine), t.number, 12), 0}}), 96), std::to_string(E2BIG));
    EXPECT_EQ(t.find(t.value(8, {{"l", t.array(t.lock, t.number, 2), 0}}), 8), std::to_string(EINVAL));
}

TEST(special_fields, refused) {
    special_types t;
    EXPECT_EQ(t.find(t.value(8, {{"a", t.lock, 0}, {"b", t.lock, 32}}), 8), std::to_string(E2BIG));
    EXPECT_EQ(t.find(t.value(8, {{"p", t.kptr("other", t.mine), 0}}), 8), std::to_string(EINVAL));
    EXPECT_EQ(t.find(t.value(8, {{"p", t.kptr("kptr", t.number), 0}}), 8), std::to_string(EINVAL));
    EXPECT_EQ(t.find(t.value(16, {{"h", t.head, 0}}), 16), std::to_string(EINVAL));  // contains what?
    EXPECT_EQ(t.find(t.number, 4), std::to_string(EINVAL));
    // A lock that is not aligned as one is just bytes.
    EXPECT_EQ(t.find(t.value(8, {{"c", t.number, 0}, {"l", t.lock, 16}}), 8), "");
}

TEST(special_fields, lists_and_trees) {
    special_types t;
    u32 elem = t.composite(btf_kind::structure, "elem", 40, {{"x", t.wide, 0}, {"l", t.node, 64}});
    u32 v = t.value(24, {{"h", t.head, 0}, {"lock", t.lock, 128}}), lockless = t.value(16, {{"h", t.head, 0}});
    t.tag("contains:elem:l", v, 0);
    t.tag("contains:elem:l", lockless, 0);
    EXPECT_EQ(t.find(v, 24), "bpf_list_head@0 bpf_spin_lock@16");
    EXPECT_EQ(t.find(lockless, 16), std::to_string(EINVAL));
    EXPECT_EQ(t.find(elem, 40), "");
    EXPECT_EQ(t.find(elem, 40, object_fields_mask), "bpf_list_node@8");
    u32 wrong = t.value(24, {{"h", t.root, 0}, {"lock", t.lock, 128}}), missing = t.value(24, {{"h", t.head, 0}, {"lock", t.lock, 128}});
    t.tag("contains:elem:l", wrong, 0); // a list's node in a tree
    t.tag("contains:elem:m", missing, 0);
    EXPECT_EQ(t.find(wrong, 24), std::to_string(EINVAL));
    EXPECT_EQ(t.find(missing, 24), std::to_string(ENOENT));
    // An element of a list and of a tree must count its owners.
    u32 both = t.composite(btf_kind::structure, "both", 64, {{"l", t.node, 0}, {"r", t.rb_node, 192}, {"n", t.refs, 448}});
    u32 uncounted = t.composite(btf_kind::structure, "uncounted", 56, {{"l", t.node, 0}, {"r", t.rb_node, 192}});
    EXPECT_EQ(t.find(both, 64, object_fields_mask), "bpf_list_node@0 bpf_rb_node@24 bpf_refcount@56");
    EXPECT_EQ(t.find(uncounted, 56, object_fields_mask), std::to_string(EINVAL));
}

/// Chains of types whose objects own objects of the next, by lists and by pointers, up to eight; circles.
TEST(special_fields, chains_of_owners) {
    auto check = [](special_types &t) {
        btf_answer a = load_btf(t.bytes());
        EXPECT_EQ(a.err, 0) << a.log;
        status s = check_object_structs(*a.types, nullptr);
        return s ? 0 : s.err().code();
    };
    auto owner = [](special_types &t, const std::string &name, const std::string &of) {
        u32 id = t.composite(btf_kind::structure, name.c_str(), 48, {{"h", t.head, 0}, {"n", t.node, 128}, {"lock", t.lock, 320}});
        t.tag(("contains:" + of + ":n").c_str(), id, 0);
    };
    for (u32 n : {1u, 2u, 7u, 8u, 9u}) {
        special_types t;
        t.composite(btf_kind::structure, "t1", 24, {{"n", t.node, 0}});
        for (u32 i = 2; i <= n; i++)
            owner(t, "t" + std::to_string(i), "t" + std::to_string(i - 1));
        EXPECT_EQ(check(t), n > 8 ? ELOOP : 0) << n;
    }
    for (u32 n : {2u, 8u, 9u}) { // the first in the chain has no special fields, and does not count
        special_types t;
        u32 below = t.composite(btf_kind::structure, "plain", 8, {{"x", t.wide, 0}});
        for (u32 i = 1; i <= n; i++)
            below = t.composite(btf_kind::structure, ("p" + std::to_string(i)).c_str(), 8, {{"p", t.kptr("kptr", below), 0}});
        EXPECT_EQ(check(t), n > 8 ? ELOOP : 0) << n;
    }
    special_types self;
    owner(self, "self", "self");
    EXPECT_EQ(check(self), ELOOP);
    special_types two;
    owner(two, "one", "other");
    owner(two, "other", "one");
    EXPECT_EQ(check(two), ELOOP);
}

}  // namespace

}  // namespace modbpf
