// SPDX-License-Identifier: GPL-2.0-only
// The id registry against a plain model: cyclic ids, look-up, walking, removal, allocation failures.
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "prog/id_table.h"

using namespace modbpf;

namespace {

struct thing : refcounted<thing> {
    u32 id = 0;
    static void dispose(thing *) {}
};

TEST(id_table, against_model) {
    auto t = std::make_unique<id_table<thing>>("test");
    std::map<u32, std::unique_ptr<thing>> model;
    std::mt19937 rng(1);
    u32 last = 0;
    for (int step = 0; step < 30000; step++) {
        if (rng() % 5 < 3 || model.empty()) {
            auto p = std::make_unique<thing>();
            ASSERT_TRUE(t->add(p.get(), &p->id).ok());
            ASSERT_EQ(p->id, last + 1);
            last = p->id;
            model[p->id] = std::move(p);
        } else {
            auto it = model.lower_bound(rng() % last + 1);
            if (it == model.end())
                it = model.begin();
            t->remove(it->first);
            t->remove(it->first); // again: no effect
            model.erase(it);
        }
        u32 probe = rng() % (last + 2), at = probe;
        auto want = model.lower_bound(probe);
        bool found = t->next(&at);
        ASSERT_EQ(found, want != model.end());
        if (found) {
            ASSERT_EQ(at, want->first);
        }
        thing *g = t->get(probe);
        ASSERT_EQ(g != nullptr, model.count(probe) == 1);
        if (g)
            g->put();
    }
    u32 zero = 0;
    EXPECT_EQ(t->get(0), nullptr);
    EXPECT_TRUE(t->next(&zero));
    EXPECT_EQ(zero, model.begin()->first);
    u32 high = 0x7ffffffe;
    EXPECT_FALSE(t->next(&high));
    high = ~0u;
    EXPECT_FALSE(t->next(&high));
    EXPECT_EQ(t->get(~0u), nullptr);
}

TEST(id_table, dead_objects_are_not_found) {
    auto t = std::make_unique<id_table<thing>>("test");
    thing a;
    ASSERT_TRUE(t->add(&a, &a.id).ok());
    a.put(); // on its way out, not yet removed
    EXPECT_EQ(t->get(a.id), nullptr);
    t->remove(a.id);
}

TEST(id_table, allocation_failure_leaves_it_whole) {
    for (u64 n = 1; n <= 5; n++) {
        auto t = std::make_unique<id_table<thing>>("test");
        thing a, b;
        port_fail_nth_set(n);
        EXPECT_EQ(t->add(&a, &a.id).code(), -ENOMEM);
        port_fail_nth_set(0);
        ASSERT_TRUE(t->add(&a, &a.id).ok());
        EXPECT_EQ(a.id, 1u);
        ASSERT_TRUE(t->add(&b, &b.id).ok());
        EXPECT_EQ(b.id, 2u);
    }
}

/// An id that goes leaves its empty nodes for the next one: a table that is filled and emptied takes no memory again.
TEST(id_table, empty_nodes_are_used_again) {
    auto t = std::make_unique<id_table<thing>>("test");
    thing a, b;
    ASSERT_TRUE(t->add(&a, &a.id).ok());
    for (int i = 0; i < 200; i++) { // over the bounds of nodes
        u32 was = a.id;
        t->remove(a.id);
        port_fail_nth_set(1);
        ASSERT_TRUE(t->add(&a, &a.id).ok()) << i;
        port_fail_nth_set(0);
        EXPECT_EQ(a.id, was + 1);
        EXPECT_EQ(t->get(was), nullptr);
        EXPECT_EQ(t->get(a.id), &a);
        a.put();
    }
    ASSERT_TRUE(t->add(&b, &b.id).ok());
    EXPECT_EQ(t->get(b.id), &b);
    b.put();
}

}  // namespace
