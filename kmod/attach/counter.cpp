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

/// Any context, preemption off.
void on_overflow(void *priv, const port_sample *s) {
    auto *e = static_cast<perf_event *>(priv);
    rcu_read_guard readers;
    program *p = __atomic_load_n(&e->prog, __ATOMIC_ACQUIRE);
    if (!p)
        return;
    sample_ctx ctx;
    memcpy(ctx.regs, s->regs, sizeof(ctx.regs));
    ctx.period = s->period;
    ctx.addr = s->addr;
    run_ctx run{};
    run.regs = s->regs;
    run.cookie = e->cookie;
    run.counter = s->counter;
    (void)run_event(p, &ctx, run);
}

}  // namespace

status counter_open(perf_event *e, port_perf_spec &spec) {
    int rc = port_perf_attach(&spec, on_overflow, e, &e->hook);
    return rc ? status(error(-rc)) : status();
}

}  // namespace modbpf
