// SPDX-License-Identifier: GPL-2.0-only
// Intrusive doubly linked list. A node is in at most one list per link member; the list owns nothing.
// Locking is the user's.
#pragma once

#include "base/types.h"

namespace modbpf {

struct list_link {
    list_link *prev = nullptr;
    list_link *next = nullptr;
    bool linked() const { return next != nullptr; }
};

/// T has a member `list_link T::*L`.
template <class T, list_link T::*L> class list {
public:
    list() { head_.prev = head_.next = &head_; }
    list(const list &) = delete;

    bool empty() const { return head_.next == &head_; }
    void push_back(T *t) { insert(head_.prev, &(t->*L)); }
    void push_front(T *t) { insert(&head_, &(t->*L)); }
    static void remove(T *t) {
        list_link *l = &(t->*L);
        l->prev->next = l->next;
        l->next->prev = l->prev;
        l->prev = l->next = nullptr;
    }
    T *front() const { return empty() ? nullptr : owner(head_.next); }
    T *next(T *t) const { return (t->*L).next == &head_ ? nullptr : owner((t->*L).next); }
    T *pop_front() {
        T *t = front();
        if (t)
            remove(t);
        return t;
    }

private:
    static T *owner(list_link *l) {
        // The member's offset, taken from an address that is never read.
        const T *at = reinterpret_cast<const T *>(uptr{1} << 20);
        auto off = reinterpret_cast<uptr>(&(at->*L)) - (uptr{1} << 20);
        return reinterpret_cast<T *>(reinterpret_cast<u8 *>(l) - off);
    }
    static void insert(list_link *after, list_link *l) {
        l->prev = after;
        l->next = after->next;
        after->next->prev = l;
        after->next = l;
    }
    list_link head_;
};

}  // namespace modbpf
