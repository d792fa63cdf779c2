// SPDX-License-Identifier: GPL-2.0-only
// bpf_spin_lock: see maps/value.h. The verifier lets a program hold one lock, for a time without calls: the run keeps what to give back.
#include "helpers/families.h"
#include "helpers/helper.h"
#include "maps/value.h"

namespace modbpf {

namespace {

constinit lock_state *sleepers = nullptr; ///< per CPU

} // namespace

status spin_locks_init() {
    sleepers = static_cast<lock_state *>(port_percpu_alloc(sizeof(lock_state), alignof(lock_state), PORT_SLEEPING));
    return sleepers ? status() : error(ENOMEM);
}
void spin_locks_exit() {
    port_percpu_free(sleepers);
    sleepers = nullptr;
}

lock_state &current_lock() {
    run_ctx *run = current_run();
    if (!run)
        return *static_cast<lock_state *>(port_this_cpu_ptr(sleepers));
    return run->outer_lock ? *run->outer_lock : run->lock;
}

u64 bpf_spin_lock(u64 r1, u64, u64, u64, u64) {
    unsigned long flags = port_irq_save();
    current_lock() = {flags, value_lock_take(ptr_of<u32>(r1))};
    return 0;
}

u64 bpf_spin_unlock(u64 r1, u64, u64, u64, u64) {
    lock_state held = current_lock();
    if (held.taken)
        value_lock_release(ptr_of<u32>(r1));
    port_irq_restore(held.irq_flags);
    return 0;
}

}  // namespace modbpf
