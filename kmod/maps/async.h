// SPDX-License-Identifier: GPL-2.0-only
// Timers and work queues in map values: bpf_timer and bpf_wq. Behaviour and errno are those of Linux 6.12.
//
// Terms: a task is what a field points to once it is initialised: a timer or a work, the callback and the program that the callback is
// a function of. Setting the callback takes a reference to the program, and cancelling drops it; the program holds the map. That circle is
// broken with the map's last user reference (map::user_put), behind which no callback can be set.
//
// Life: the field holds one reference to its task, a work that is queued or runs another one. A task whose field was let go goes to the
// grave: behind a grace period nobody can arm its timer any more, so that it is stopped for good and freed.
//
// A task's lock protects callback and program. It is taken with interrupts off for a few instructions; from an NMI all operations are
// refused (-EOPNOTSUPP). What interrupts a holder's CPU in spite of that gets -EBUSY. Timers are armed and stopped outside the lock.
#pragma once

#include "maps/map.h"

namespace modbpf {

struct async_task;
/// What lies in the map's value.
struct async_field {
    async_task *task;
    u64 unused;
};

/// Supplied by prog/, whose programs are opaque here.
struct async_hooks {
    bool (*hold)(void *program);
    void (*put)(void *program); ///< any context
    /// Runs the program's function `fn`. A timer's: with preemption off, inside RCU, and `timer` is what running() then gives on this
    /// CPU. A work's: task context, it may sleep.
    void (*run)(void *program, u64 fn, const u64 (&args)[3], void *timer, bool sleeps);
    /// The timer whose callback runs on this CPU, under what interrupted it; or null. Preemption off.
    void *(*running)();
};
extern constinit async_hooks async_progs; ///< set once before the device appears

enum class async_kind : u8 { timer, work };

/// Makes memory for tasks ready, for a map that has such fields. ENOMEM. Task context.
status async_prepare();
/// -EOPNOTSUPP (NMI), -EINVAL (clock), -EBUSY (it is initialised), -ENOMEM, -EPERM (the map has no user any more).
long async_init(async_field &f, map *m, void *value, async_kind kind, u32 clock);
/// -EINVAL (not initialised), -EPERM, -EBUSY, -ENOENT (the program is on its way out).
long async_set_callback(async_field &f, u64 fn, void *program);
/// -EINVAL: not initialised, or without a callback.
long timer_start(async_field &f, u64 ns, bool absolute, bool pinned);
/// 1: it was armed; 0; -EINVAL; -EDEADLK: from its own callback, or where two callbacks would wait for each other.
long timer_cancel(async_field &f);
long work_start(async_field &f);
/// Stops what is there and drops it. Any context; a callback that runs goes on.
void async_release(async_field &f);

} // namespace modbpf
