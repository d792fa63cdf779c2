// SPDX-License-Identifier: GPL-2.0-only
// bpf_spin_lock: see maps/value.h. The verifier lets a program hold one lock, for a time without calls: the run keeps what to give back.
#include "helpers/families.h"
#include "helpers/helper.h"
#include "maps/value.h"

namespace modbpf {

u64 bpf_spin_lock(u64 r1, u64, u64, u64, u64) {
    unsigned long flags = port_irq_save();
    run_ctx *run = current_run();
    run->irq_flags = flags;
    run->took_lock = value_lock_take(ptr_of<u32>(r1));
    return 0;
}

u64 bpf_spin_unlock(u64 r1, u64, u64, u64, u64) {
    run_ctx *run = current_run();
    if (run->took_lock)
        value_lock_release(ptr_of<u32>(r1));
    port_irq_restore(run->irq_flags);
    return 0;
}

}  // namespace modbpf
