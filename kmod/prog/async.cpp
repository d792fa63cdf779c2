// SPDX-License-Identifier: GPL-2.0-only
// Callbacks of timers and works: functions of a program that run when nobody runs the program.
#include "maps/async.h"

#include "interp/interp.h"
#include "prog/hooks.h"
#include "prog/prog.h"
#include "prog/state.h"

namespace modbpf {

namespace {

program *as_program(void *p) { return static_cast<program *>(p); }

bool hold(void *p) { return as_program(p)->try_get(); }

void dispose_later(reap_item *i) { program::dispose(owner_of(i, &program::reap)); }

/// Leaving the registry takes a lock: not in any context.
void put(void *p) {
    if (as_program(p)->drop_ref())
        core->dead.push(&as_program(p)->reap, dispose_later);
}

void *running() {
    for (run_ctx *c = current_run(); c; c = c->outer)
        if (c->timer)
            return c->timer;
    return nullptr;
}

void call_function(program *p, u64 fn, const u64 (&args)[3]) {
#ifndef MODBPF_KERNEL
    if (run_by_interpreter) {
        interp_frame frames[max_call_frames];
        const u64 all[5] = {args[0], args[1], args[2]};
        interpret_function(p->verified->image, fn, all, {frames, max_call_frames});
        return;
    }
#endif
    reinterpret_cast<helper_fn>(fn)(args[0], args[1], args[2], 0, 0);
}

void run(void *p, u64 fn, const u64 (&args)[3], void *timer, bool sleeps) {
    if (sleeps) {
        port_migrate_disable();
        {
            hooked_run counted_in(as_program(p));
            call_function(as_program(p), fn, args);
        }
        port_migrate_enable();
        return;
    }
    preempt_guard here;
    rcu_read_guard readers;
    run_ctx c{};
    c.timer = timer;
    run_scope scope(c);
    call_function(as_program(p), fn, args);
}

} // namespace

constinit const async_hooks async_access = {hold, put, run, running};

} // namespace modbpf
