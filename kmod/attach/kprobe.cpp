// SPDX-License-Identifier: GPL-2.0-only
// kprobe and kretprobe events.
#include "attach/perf_event.h"

namespace modbpf {

namespace {

/// Any context, preemption off.
void on_hit(void *priv, void *regs, u64 func) {
    auto *e = static_cast<perf_event *>(priv);
    preempt_off_read_guard readers;
    program *p = __atomic_load_n(&e->prog, __ATOMIC_ACQUIRE);
    if (!p)
        return;
    MODBPF_UNINITIALIZED event_run run(regs, func, e->cookie);
    (void)run_event(p, regs, run);
}

}  // namespace

status kprobe_open(perf_event *e, u64 ufunc, u64 addr_or_offset) {
    if (ufunc) {
        char buf[perf_event::symbol_len + 1];
        long n = port_strncpy_from_user(buf, ufunc, sizeof(buf));
        if (n < 0)
            return error(EFAULT);
        if (n >= perf_event::symbol_len)
            return error(E2BIG);
        memcpy(e->symbol, buf, static_cast<size_t>(n));
    }
    port_kprobe_spec spec{};
    if (e->symbol[0]) {
        spec.symbol = e->symbol;
        spec.offset = e->offset = addr_or_offset;
    } else {
        spec.addr = addr_or_offset;
    }
    spec.retprobe = e->what == perf_event::kind::kretprobe;
    if (int rc = port_kprobe_attach(&spec, on_hit, e, &e->hook))
        return error(-rc);
    e->addr = port_kprobe_addr(e->hook);
    return {};
}

}  // namespace modbpf
