// SPDX-License-Identifier: GPL-2.0-only
// fd_array<T>: the slots of the maps whose values are fds. A slot owns one reference to a T or is empty: then it holds `none`, for readers
// that would rather find an object than ask.
//
// Readers (tail calls, perf_event_output) read a slot inside RCU, in any context; user-side operations exchange it.
// Whoever takes a pointer out of a slot puts its reference; the object lives on for a grace period (the hook's
// contract).
#pragma once

#include "maps/nospec.h"
#include "maps/array.h"

namespace modbpf {

template <class T, T *none = nullptr> struct fd_array : map {
    fd_array(const map_ops *o, const map_params &p) : map(o, p) {}
    ~fd_array() { port_free(slots); }

    static fd_array *of(map *m) { return static_cast<fd_array *>(m); }

    static result<map *> create(const map_ops *ops, const map_params &p) {
        own<fd_array> m(make<fd_array>(PORT_SLEEPING, ops, p));
        if (!m)
            return error(ENOMEM);
        m->slots = static_cast<T **>(port_alloc(static_cast<u64>(p.max_entries) * sizeof(T *), PORT_SLEEPING));
        if (!m->slots)
            return error(ENOMEM);
        m->fill();
        return static_cast<map *>(m.release());
    }
    static u64 memory(const map *m) { return sizeof(fd_array) + static_cast<u64>(m->params.max_entries) * sizeof(T *); }

    T *read(u32 i) const {
        u32 n = params.max_entries;
        return i < n ? held(__atomic_load_n(&slots[clamp_index(i, n)], __ATOMIC_CONSUME)) : nullptr;
    }
    /// Puts `t` (or null) into slot i, an index in range; the caller gets the old reference.
    T *exchange(u32 i, T *t) { return held(__atomic_exchange_n(&slots[i], t ? t : none, __ATOMIC_ACQ_REL)); }

    /// The conditions of an update, in Linux's order.
    long check_update(const void *key, u64 flags) const {
        if (flags != BPF_ANY)
            return -EINVAL;
        return array_index(key) < params.max_entries ? 0 : -E2BIG;
    }
    /// Task context: drops every element.
    template <class P> void clear(P put) {
        for (u32 i = 0; i < params.max_entries; i++) {
            if (T *old = held(__atomic_load_n(&slots[i], __ATOMIC_RELAXED)) ? exchange(i, nullptr) : nullptr)
                put(old);
            if (i % 4096 == 0)
                port_cond_resched();
        }
    }
    template <class P> long remove(const void *key, P put) {
        u32 i = array_index(key);
        if (i >= params.max_entries)
            return -E2BIG;
        T *old = exchange(i, nullptr);
        if (!old)
            return -ENOENT;
        put(old);
        return 0;
    }

    T **slots = nullptr;

private:
    static T *held(T *t) { return t == none ? nullptr : t; }
    /// New slots are zero.
    void fill() {
        for (u32 i = 0; none && i < params.max_entries; i++) {
            slots[i] = none;
            if (i % 4096 == 0)
                port_cond_resched();
        }
    }
};

}  // namespace modbpf
