// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions that begin and end sections of a program, and casts. The verifier pairs them.
#include "base/lock.h"
#include "helpers/helper.h"
#include "helpers/kfuncs.h"

namespace modbpf {

u64 call_in_section(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, helper_fn fn) {
    preempt_guard here;
    rcu_read_guard readers;
    return fn(r1, r2, r3, r4, r5);
}

u64 probe_load(u64 addr, u64 size) {
    u64 v = 0;
    return port_probe_read_kernel(&v, addr, size) ? 0 : v;
}

u64 kfunc_rcu_read_lock(u64, u64, u64, u64, u64) {
    port_rcu_read_lock();
    return 0;
}

u64 kfunc_rcu_read_unlock(u64, u64, u64, u64, u64) {
    port_rcu_read_unlock();
    return 0;
}

u64 kfunc_preempt_disable(u64, u64, u64, u64, u64) {
    port_preempt_disable();
    return 0;
}

u64 kfunc_preempt_enable(u64, u64, u64, u64, u64) {
    port_preempt_enable();
    return 0;
}

u64 kfunc_same_pointer(u64 r1, u64, u64, u64, u64) { return r1; }

}  // namespace modbpf
