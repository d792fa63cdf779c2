// SPDX-License-Identifier: GPL-2.0-only
#include "prog/reaper.h"

namespace modbpf {

void reaper::push(reap_item *item, void (*fn)(reap_item *)) {
    __atomic_fetch_add(&waiting_, 1, __ATOMIC_RELAXED);
    item->fn = fn;
    item->next = __atomic_load_n(&head_, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&head_, &item->next, item, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    port_work_queue(&work_);
}

void reaper::run(port_work *w) {
    reaper *self = owner_of(w, &reaper::work_);
    reap_item *list = __atomic_exchange_n(&self->head_, nullptr, __ATOMIC_ACQUIRE);
    reap_item *ordered = nullptr; // oldest first
    while (list) {
        reap_item *next = list->next;
        list->next = ordered;
        ordered = list;
        list = next;
    }
    while (ordered) {
        reap_item *next = ordered->next; // fn frees the item
        ordered->fn(ordered);
        __atomic_fetch_sub(&self->waiting_, 1, __ATOMIC_RELAXED);
        ordered = next;
    }
}

}  // namespace modbpf
