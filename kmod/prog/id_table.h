// SPDX-License-Identifier: GPL-2.0-only
// id_table: gives objects numbers that user space can walk and look up: maps, programs, links, BTF.
//
// Ids are 1..INT_MAX-1 and increase cyclically, so that an id is not reused soon. The table borrows its objects: an object
// leaves in its own dispose(), under the table's lock, which is why a look-up under that lock may try to take a reference.
// A radix tree of six levels with 64 slots a node. add(): task context; all else: any context but NMI.
#pragma once

#include "base/lock.h"
#include "base/memory.h"

namespace modbpf {

class id_tree {
public:
    explicit id_tree(const char *name) : lock_(name), add_lock_(name) {}
    ~id_tree();

    /// A fresh id that leads to p; *id is written before anyone can find it. ENOMEM, ENOSPC.
    status add(void *p, u32 *id);
    /// No-op for id 0. Afterwards no look-up finds it.
    void remove(u32 id);

protected:
    static constexpr u32 max_id = 0x7ffffffe;
    static constexpr u32 bits = 6, levels = 6;
    struct node {
        u64 used;
        void *slot[1u << bits];
    };
    void *find_locked(u32 id) const;
    /// The object with the lowest id >= *id, which is updated; null when there is none.
    void *next_locked(u32 *id) const;
    void insert_locked(u32 id, void *p);

    spinlock lock_;

private:
    u32 free_id_locked() const;
    status fill_spares();
    node *take_spare_locked();
    bool keep_spare_locked(node *n);
    void free_nodes();

    mutex add_lock_; ///< one adder at a time: the free id that it saw stays free
    node root_{};
    node *spare_ = nullptr; ///< empty but for slot 0, which leads to the next; under lock_
    u32 spares_ = 0;        ///< at most levels - 1, which is what one more id can need
    u32 next_ = 1;
};

template <class T> class id_table : public id_tree {
public:
    using id_tree::id_tree;

    /// A new reference, or null when there is no such object or it is on its way out.
    T *get(u32 id) {
        spin_guard g(lock_);
        T *t = static_cast<T *>(find_locked(id));
        return t && t->try_get() ? t : nullptr;
    }
    /// The lowest id >= *id; false when there is none.
    bool next(u32 *id) {
        spin_guard g(lock_);
        return next_locked(id) != nullptr;
    }
};

}  // namespace modbpf
