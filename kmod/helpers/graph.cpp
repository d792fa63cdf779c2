// SPDX-License-Identifier: GPL-2.0-only
// bpf_list_* and bpf_rbtree_*: see maps/graph.h. The lock beside the root is held: interrupts are off. An NMI that came upon a held lock
// goes in without it (maps/value.h): it must leave lists and trees alone.
#include "maps/graph.h"

#include "base/errno.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"
#include "maps/object.h"

namespace modbpf {

namespace {

/// The root owns the object already, or another does: the reference that was to go to it ends.
u64 refuse(u64 node, u64 node_off) {
    object_drop(ptr_of<>(node - node_off));
    return kfunc_errno(EINVAL);
}

u64 push(u64 root, u64 node, u64 node_off, bool back) {
    bool added = current_lock().taken && list_add(*ptr_of<list_root>(root), *ptr_of<list_item>(node), back);
    return added ? 0 : refuse(node, node_off);
}

u64 pop(u64 root, bool back) { return current_lock().taken ? addr_of(list_take(*ptr_of<list_root>(root), back)) : 0; }

bool less(void *fn, tree_item *a, tree_item *b) {
    return call_back(addr_of(fn), addr_of(a), addr_of(b));
}

} // namespace

/// list_push_front_impl(root, node), node's offset in its object in r4
u64 kfunc_list_push_front(u64 r1, u64 r2, u64, u64 r4, u64) { return push(r1, r2, r4, false); }
u64 kfunc_list_push_back(u64 r1, u64 r2, u64, u64 r4, u64) { return push(r1, r2, r4, true); }
u64 kfunc_list_pop_front(u64 r1, u64, u64, u64, u64) { return pop(r1, false); }
u64 kfunc_list_pop_back(u64 r1, u64, u64, u64, u64) { return pop(r1, true); }

/// rbtree_add_impl(root, node, less), node's offset in its object in r5
u64 kfunc_rbtree_add(u64 r1, u64 r2, u64 r3, u64, u64 r5) {
    bool added = current_lock().taken && tree_add(*ptr_of<tree_root>(r1), *ptr_of<tree_item>(r2), less, ptr_of<>(r3));
    return added ? 0 : refuse(r2, r5);
}

/// rbtree_remove(root, node): -> the node, or NULL where it is in another
u64 kfunc_rbtree_remove(u64 r1, u64 r2, u64, u64, u64) {
    return current_lock().taken && tree_remove(*ptr_of<tree_root>(r1), *ptr_of<tree_item>(r2)) ? r2 : 0;
}

u64 kfunc_rbtree_first(u64 r1, u64, u64, u64, u64) { return current_lock().taken ? addr_of(tree_first(*ptr_of<tree_root>(r1))) : 0; }

} // namespace modbpf
