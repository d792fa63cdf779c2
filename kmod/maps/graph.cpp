// SPDX-License-Identifier: GPL-2.0-only
#include "maps/graph.h"

namespace modbpf {

namespace {

/// The owner of a node that is being put in.
void *const on_its_way = reinterpret_cast<void *>(uptr{1});

bool claim(void **owner) {
    void *nobody = nullptr;
    return __atomic_compare_exchange_n(owner, &nobody, on_its_way, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
void set_owner(void **owner, void *root) { __atomic_store_n(owner, root, __ATOMIC_RELEASE); }

u32 priority(const tree_item *i) {
    u64 h = reinterpret_cast<uptr>(i) * 0x9e3779b97f4a7c15ull;
    return static_cast<u32>((h ^ h >> 29) * 0xbf58476d1ce4e5b9ull >> 32);
}
bool above(const tree_item *a, const tree_item *b) {
    u32 pa = priority(a), pb = priority(b);
    return pa > pb || (pa == pb && a > b);
}

/// The link that leads to `i`.
tree_item *&link_to(tree_root &root, tree_item *i) {
    tree_item *up = i->parent;
    return !up ? root.top : up->left == i ? up->left : up->right;
}

/// Node `i`, a child, changes places with its parent; the order stays.
void rotate_up(tree_root &root, tree_item *i) {
    tree_item *up = i->parent, *&from = link_to(root, up), *moved;
    from = i;
    i->parent = up->parent;
    if (up->left == i) {
        moved = i->right;
        up->left = moved;
        i->right = up;
    } else {
        moved = i->left;
        up->right = moved;
        i->left = up;
    }
    if (moved)
        moved->parent = up;
    up->parent = i;
}

tree_item *next_of(const tree_item *i) {
    if (tree_item *n = i->right) {
        while (n->left)
            n = n->left;
        return n;
    }
    while (i->parent && i->parent->right == i)
        i = i->parent;
    return i->parent;
}

} // namespace

bool list_add(list_root &root, list_item &item, bool back) {
    if (!claim(&item.owner))
        return false;
    if (!root.next)
        root.next = root.prev = &root;
    list_links *before = back ? root.prev : &root, *behind = before->next;
    item.links = {behind, before};
    before->next = behind->prev = &item.links;
    set_owner(&item.owner, &root);
    return true;
}

list_item *list_take(list_root &root, bool back) {
    list_links *at = back ? root.prev : root.next;
    if (!at || at == &root)
        return nullptr;
    auto *item = reinterpret_cast<list_item *>(at);
    at->prev->next = at->next;
    at->next->prev = at->prev;
    item->links = {};
    set_owner(&item->owner, nullptr);
    return item;
}

bool tree_add(tree_root &root, tree_item &item, tree_less less, void *priv) {
    if (!claim(&item.owner))
        return false;
    tree_item **link = &root.top, *up = nullptr;
    bool first = true;
    while (*link) {
        up = *link;
        if (less(priv, &item, up)) {
            link = &up->left;
        } else {
            link = &up->right;
            first = false;
        }
    }
    item.left = item.right = nullptr;
    item.parent = up;
    *link = &item;
    if (first)
        root.first = &item;
    while (item.parent && above(&item, item.parent))
        rotate_up(root, &item);
    set_owner(&item.owner, &root);
    return true;
}

bool tree_remove(tree_root &root, tree_item &item) {
    if (__atomic_load_n(&item.owner, __ATOMIC_ACQUIRE) != &root)
        return false;
    if (root.first == &item)
        root.first = next_of(&item);
    while (item.left && item.right)
        rotate_up(root, above(item.left, item.right) ? item.left : item.right);
    tree_item *only = item.left ? item.left : item.right;
    link_to(root, &item) = only;
    if (only)
        only->parent = item.parent;
    item.left = item.right = item.parent = nullptr;
    set_owner(&item.owner, nullptr);
    return true;
}

} // namespace modbpf
