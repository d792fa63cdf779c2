// SPDX-License-Identifier: GPL-2.0-only
#include "maps/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

using namespace modbpf;

namespace {

struct list_elem {
    list_item node;
    u32 value;
};
struct tree_elem {
    tree_item node;
    u32 value, order; ///< order: of insertion
};

u32 value_of(list_item *i) { return reinterpret_cast<list_elem *>(i)->value; }
tree_elem *elem_of(tree_item *i) { return reinterpret_cast<tree_elem *>(i); }
bool by_value(void *count, tree_item *a, tree_item *b) {
    ++*static_cast<u64 *>(count);
    return elem_of(a)->value < elem_of(b)->value;
}

TEST(list, both_ends_against_a_deque) {
    std::mt19937 random(1);
    std::vector<list_elem> elems(64);
    std::vector<u32> free;
    std::deque<u32> want;
    list_root root{}, other{};
    for (u32 i = 0; i < elems.size(); i++)
        elems[i].value = i, free.push_back(i);
    EXPECT_EQ(list_take(root, false), nullptr);
    for (u32 step = 0; step < 20000; step++) {
        bool back = random() & 1;
        if (random() % 2 && !free.empty()) {
            u32 i = free.back();
            free.pop_back();
            ASSERT_TRUE(list_add(root, elems[i].node, back));
            EXPECT_FALSE(list_add(other, elems[i].node, back)); // it has an owner
            back ? want.push_back(i) : want.push_front(i);
            continue;
        }
        list_item *i = list_take(root, back);
        ASSERT_EQ(i != nullptr, !want.empty());
        if (!i)
            continue;
        ASSERT_EQ(value_of(i), back ? want.back() : want.front());
        back ? want.pop_back() : want.pop_front();
        free.push_back(value_of(i));
    }
    EXPECT_EQ(list_take(other, false), nullptr);
}

/// Depth of the deepest node, links to parents and order checked on the way.
u32 check_tree(const tree_root &root, std::vector<tree_elem *> &in_order) {
    u32 depth = 0, deepest = 0;
    tree_item *at = root.top, *from = nullptr;
    EXPECT_TRUE(!at || !at->parent);
    while (at) {
        if (from == at->parent) {
            depth++;
            deepest = std::max(deepest, depth);
            if (at->left) {
                EXPECT_EQ(at->left->parent, at);
                from = at, at = at->left;
                continue;
            }
            from = nullptr;
        }
        if (from == at->left || !from) {
            in_order.push_back(elem_of(at));
            if (at->right) {
                EXPECT_EQ(at->right->parent, at);
                from = at, at = at->right;
                continue;
            }
        }
        depth--;
        from = at, at = at->parent;
        if (!at)
            break;
    }
    return deepest;
}

TEST(tree, against_a_sorted_vector) {
    std::mt19937 random(2);
    std::vector<tree_elem> elems(256);
    std::vector<tree_elem *> in, out;
    tree_root root{}, other{};
    u64 compared = 0;
    u32 order = 0;
    for (tree_elem &e : elems)
        out.push_back(&e);
    for (u32 step = 0; step < 20000; step++) {
        if ((random() % 2 && !out.empty()) || in.empty()) {
            tree_elem *e = out.back();
            out.pop_back();
            e->value = random() % 100, e->order = order++;
            ASSERT_TRUE(tree_add(root, e->node, by_value, &compared));
            EXPECT_FALSE(tree_add(other, e->node, by_value, &compared));
            in.insert(std::upper_bound(in.begin(), in.end(), e, [](auto *a, auto *b) { return a->value < b->value; }), e);
        } else {
            size_t at = random() % in.size();
            EXPECT_FALSE(tree_remove(other, in[at]->node));
            ASSERT_TRUE(tree_remove(root, in[at]->node));
            EXPECT_FALSE(tree_remove(root, in[at]->node));
            out.insert(out.begin(), in[at]);
            in.erase(in.begin() + static_cast<long>(at));
        }
        ASSERT_EQ(tree_first(root), in.empty() ? nullptr : &in[0]->node);
        if (step % 64)
            continue;
        std::vector<tree_elem *> got;
        check_tree(root, got);
        ASSERT_EQ(got, in); // equal ones in the order of their insertion
    }
}

TEST(tree, stays_shallow_whatever_the_order) {
    constexpr u32 count = 1 << 14;
    std::vector<tree_elem> elems(count);
    for (int falling : {0, 1}) {
        tree_root root{};
        u64 compared = 0;
        for (u32 i = 0; i < count; i++) {
            elems[i].value = falling ? count - i : i;
            ASSERT_TRUE(tree_add(root, elems[i].node, by_value, &compared));
        }
        std::vector<tree_elem *> got;
        EXPECT_LT(check_tree(root, got), 64u); // 14 would be perfect
        EXPECT_EQ(got.size(), count);
        while (tree_item *i = tree_first(root))
            ASSERT_TRUE(tree_remove(root, *i));
        EXPECT_EQ(root.top, nullptr);
    }
}

} // namespace
