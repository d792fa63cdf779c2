// SPDX-License-Identifier: GPL-2.0-only
// Lists and trees of objects: what programs see as bpf_list_head, bpf_list_node, bpf_rb_root and bpf_rb_node, of which they know the sizes
// only. All zeros is an empty root, and a node that is in none.
//
// The lock that lies beside a root protects it and the links of the nodes in it. A node of a counted object may be seen by programs that
// hold other roots' locks: `owner` says whose it is. It is claimed by one compare-and-exchange before links are touched, and given up
// behind the last touch.
//
// The tree is a treap: each node's priority is a hash of its address, so that its depth is logarithmic whatever order programs insert in,
// and no room is needed for a balance. No recursion, no allocation; any context.
#pragma once

#include "base/types.h"

namespace modbpf {

struct list_links {
    list_links *next, *prev;
};
using list_root = list_links;
struct list_item {
    list_links links;
    void *owner;
};
static_assert(sizeof(list_root) == 16 && sizeof(list_item) == 24);

struct tree_item {
    tree_item *left, *right, *parent;
    void *owner;
};
struct tree_root {
    tree_item *top;
    tree_item *first;
};
static_assert(sizeof(tree_root) == 16 && sizeof(tree_item) == 32);

/// Puts the node at the front or at the back. False: it is in a list or tree, or on its way.
bool list_add(list_root &root, list_item &item, bool back);
/// Takes the first or last node out; null: the list is empty.
list_item *list_take(list_root &root, bool back);

/// Is `a` before `b`?
using tree_less = bool (*)(void *priv, tree_item *a, tree_item *b);
/// Puts the node behind those that it is not less than. False as list_add's.
bool tree_add(tree_root &root, tree_item &item, tree_less less, void *priv);
/// Takes the node out. False: it is not in this tree.
bool tree_remove(tree_root &root, tree_item &item);
/// The first in order, which stays; or null.
inline tree_item *tree_first(const tree_root &root) { return root.first; }

} // namespace modbpf
