// SPDX-License-Identifier: GPL-2.0-only
#include "prog/id_table.h"

namespace modbpf {

namespace {
constexpr u32 slot_of(u64 id, u32 shift) { return static_cast<u32>(id >> shift) & 63; }
}  // namespace

void *id_tree::find_locked(u32 id) const {
    const node *n = &root_;
    if (id == 0 || id > max_id)
        return nullptr;
    for (u32 level = levels - 1; level > 0; level--) {
        n = static_cast<const node *>(n->slot[slot_of(id, level * bits)]);
        if (!n)
            return nullptr;
    }
    return n->slot[slot_of(id, 0)];
}

void *id_tree::next_locked(u32 *id) const {
    u64 at = *id;
    while (at <= max_id) {
        const node *n = &root_;
        for (u32 level = levels - 1;; level--) {
            u32 shift = level * bits;
            u64 here = n->used & (~0ull << slot_of(at, shift));
            u64 base = at >> (shift + bits) << (shift + bits); // first id of this node
            if (!here) {
                at = base + (1ull << (shift + bits));
                break;
            }
            u32 slot = static_cast<u32>(__builtin_ctzll(here));
            if (slot != slot_of(at, shift))
                at = base | static_cast<u64>(slot) << shift;
            if (level == 0) {
                *id = static_cast<u32>(at);
                return n->slot[slot];
            }
            n = static_cast<const node *>(n->slot[slot]);
        }
    }
    return nullptr;
}

u32 id_tree::free_id_locked() const {
    for (u32 id = next_; id <= max_id; id++)
        if (!find_locked(id))
            return id;
    for (u32 id = 1; id < next_; id++)
        if (!find_locked(id))
            return id;
    return 0;
}

void id_tree::insert_locked(u32 id, void *p) {
    node *n = &root_;
    for (u32 level = levels - 1; level > 0; level--) {
        u32 slot = slot_of(id, level * bits);
        if (!n->slot[slot]) {
            n->slot[slot] = take_spare_locked();
            n->used |= 1ull << slot;
        }
        n = static_cast<node *>(n->slot[slot]);
    }
    n->slot[slot_of(id, 0)] = p;
    n->used |= 1ull << slot_of(id, 0);
}

id_tree::node *id_tree::take_spare_locked() {
    node *n = spare_;
    spare_ = static_cast<node *>(n->slot[0]);
    n->slot[0] = nullptr;
    spares_--;
    return n;
}

/// False: there are enough.
bool id_tree::keep_spare_locked(node *n) {
    if (spares_ == levels - 1)
        return false;
    n->slot[0] = spare_;
    spare_ = n;
    spares_++;
    return true;
}

/// As many as one more id can need; only adders take them. ENOMEM.
status id_tree::fill_spares() {
    for (;;) {
        {
            spin_guard g(lock_);
            if (spares_ == levels - 1)
                return {};
        }
        node *n = make<node>(PORT_SLEEPING);
        if (!n)
            return error(ENOMEM);
        bool kept;
        {
            spin_guard g(lock_);
            kept = keep_spare_locked(n);
        }
        if (!kept)
            destroy(n);
    }
}

status id_tree::add(void *p, u32 *id) {
    mutex_guard adders(add_lock_);
    TRY(fill_spares());
    spin_guard g(lock_);
    u32 got = free_id_locked();
    if (!got)
        return error(ENOSPC);
    *id = got;
    insert_locked(got, p);
    next_ = got == max_id ? 1 : got + 1;
    return {};
}

void id_tree::remove(u32 id) {
    if (id == 0 || id > max_id)
        return;
    node *dead[levels] = {};
    {
        spin_guard g(lock_);
        node *path[levels];
        path[levels - 1] = &root_;
        for (u32 level = levels - 1; level > 0; level--) {
            path[level - 1] = static_cast<node *>(path[level]->slot[slot_of(id, level * bits)]);
            if (!path[level - 1])
                return;
        }
        for (u32 level = 0; level < levels; level++) {
            u32 slot = slot_of(id, level * bits);
            path[level]->slot[slot] = nullptr;
            path[level]->used &= ~(1ull << slot);
            if (path[level]->used || level == levels - 1)
                break;
            if (!keep_spare_locked(path[level]))
                dead[level] = path[level];
        }
    }
    for (node *n : dead)
        destroy(n);
}

/// Depth-first without recursion: `at` holds the path, and a node goes when its last child is gone.
void id_tree::free_nodes() {
    node *at[levels];
    u32 depth = 0;
    at[0] = &root_;
    for (;;) {
        node *n = at[depth];
        if (depth + 1 < levels && n->used) {
            u32 slot = static_cast<u32>(__builtin_ctzll(n->used));
            n->used &= n->used - 1;
            at[++depth] = static_cast<node *>(n->slot[slot]);
            continue;
        }
        if (depth == 0)
            return;
        destroy(n);
        depth--;
    }
}

id_tree::~id_tree() {
    free_nodes();
    while (spare_)
        destroy(take_spare_locked());
}

}  // namespace modbpf
