// SPDX-License-Identifier: GPL-2.0-only
// reaper: destroys objects in task context whose last reference may go anywhere.
//
// push() from any context but NMI; the item's function runs soon after, once, in task context, and may push more.
// One reaper for all kinds of object, so that shutdown can wait for it: flush() returns when all that was pushed before is done, and what
// that pushed in turn: a link that goes lets its event go, whose probe must be out when close() returns.
#pragma once

#include "base/types.h"
#include "port/port.h"

namespace modbpf {

struct reap_item {
    reap_item *next;
    void (*fn)(reap_item *item);
};

class reaper {
public:
    reaper() { port_work_init(&work_, run); }
    reaper(const reaper &) = delete;
    void push(reap_item *item, void (*fn)(reap_item *));
    void flush() {
        for (u32 turn = 0; turn < 2; turn++)
            port_work_flush(&work_);
    }
    /// Task context, at the end of a file's release: whoever lets objects go faster than they can be freed waits here for the others'.
    void pace() {
        if (__atomic_load_n(&waiting_, __ATOMIC_RELAXED) > backlog_max)
            flush();
    }

private:
    static constexpr u32 backlog_max = 1024; ///< freeing may wait for a grace period each: what waits is memory that nobody has a use for
    static void run(port_work *w);
    port_work work_{};
    reap_item *head_ = nullptr; ///< lock-free stack
    u32 waiting_ = 0;           ///< items pushed whose function has not returned
};

/// The object whose member `m` points to.
template <class T, class M> T *owner_of(M *m, M T::*member) {
    const T *at = reinterpret_cast<const T *>(uptr{1} << 20); // an address that is never read
    auto off = reinterpret_cast<uptr>(&(at->*member)) - (uptr{1} << 20);
    return reinterpret_cast<T *>(reinterpret_cast<u8 *>(m) - off);
}

}  // namespace modbpf
