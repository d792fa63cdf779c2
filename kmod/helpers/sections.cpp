// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions that begin and end sections of a program, and casts. The verifier pairs them.
#include "helpers/kfuncs.h"
#include "port/port.h"

namespace modbpf {

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
