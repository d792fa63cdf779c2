// SPDX-License-Identifier: GPL-2.0-only
#include "maps/grave.h"

namespace modbpf {

namespace {

constinit struct {
    port_work work;
    grave_item *head; ///< lock-free stack
    u64 count;        ///< buried and not yet freed. Atomic
} grave{};

void work_off(port_work *) {
    grave_item *emptied = nullptr;
    u64 freed = 0;
    while (grave_item *list = __atomic_exchange_n(&grave.head, nullptr, __ATOMIC_ACQUIRE))
        for (grave_item *next; list; list = next) {
            next = list->next;
            if (list->kind->empty)
                list->kind->empty(list);
            list->next = emptied;
            emptied = list;
        }
    if (!emptied)
        return;
    port_rcu_synchronize();
    for (grave_item *next; emptied; emptied = next, freed++) {
        next = emptied->next;
        emptied->kind->free(emptied);
    }
    __atomic_fetch_sub(&grave.count, freed, __ATOMIC_RELEASE);
}

} // namespace

void grave_init() { port_work_init(&grave.work, work_off); }

void bury(grave_item *i, const grave_kind &kind) {
    i->kind = &kind;
    i->next = __atomic_load_n(&grave.head, __ATOMIC_RELAXED);
    __atomic_fetch_add(&grave.count, 1, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&grave.head, &i->next, i, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    port_work_queue(&grave.work);
}

void grave_flush() { port_work_flush(&grave.work); }

void grave_barrier() {
    while (__atomic_load_n(&grave.count, __ATOMIC_ACQUIRE))
        port_work_flush(&grave.work);
}

} // namespace modbpf
