// SPDX-License-Identifier: GPL-2.0-only
// Counters: a program runs at each overflow.
#include "attach/perf_event.h"

namespace modbpf {

namespace {

/// struct bpf_perf_event_data: the program's context (prog/types_tracing.cpp).
struct sample_ctx {
    u8 regs[PORT_REGS_SIZE];
    u64 period, addr;
};
static_assert(sizeof(sample_ctx) == 184);

/// With or without the registers. No canary: who writes to the context here is this function alone, and programs by the verifier's leave.
/// No clone: its arguments lie where on_overflow() got them.
template <bool with_regs>
__attribute__((noinline, noclone, no_stack_protector)) void show(void *counter, perf_event *e, void *regs, u64 period, u64 addr, program *p) {
    MODBPF_UNINITIALIZED sample_ctx ctx;
    if (with_regs)
        memcpy(ctx.regs, regs, sizeof(ctx.regs));
    ctx.period = period;
    ctx.addr = addr;
    MODBPF_UNINITIALIZED event_run run(regs, 0, e->cookie);
    run.counter = counter;
    (void)run_event(p, &ctx, run);
}

/// Any context, preemption off.
void on_overflow(void *counter, void *priv, void *regs, u64 period, u64 addr) {
    auto *e = static_cast<perf_event *>(priv);
    preempt_off_read_guard readers;
    program *p = __atomic_load_n(&e->prog, __ATOMIC_ACQUIRE);
    if (!p)
        return;
    if (e->regs_read || __atomic_load_n(&p->published_hooks, __ATOMIC_ACQUIRE)) // who replaces its functions may read them
        show<true>(counter, e, regs, period, addr, p);
    else
        show<false>(counter, e, regs, period, addr, p);
}

}  // namespace

status counter_open(perf_event *e, port_perf_spec &spec) {
    int rc = port_perf_attach(&spec, on_overflow, e, &e->hook);
    return rc ? status(error(-rc)) : status();
}

}  // namespace modbpf
