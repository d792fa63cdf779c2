// SPDX-License-Identifier: GPL-2.0-only
// Tracepoint events: the program's context is the record as events/*/format describes it.
#include "attach/perf_event.h"
#include "jit/jit.h"

namespace modbpf {

namespace {

/// Any context, preemption off. The program may read up to its highest verified offset: a record that is shorter (the
/// tracepoint was replaced by another with its id, say) is not shown to it.
void on_record(void *priv, void *record, size_t size, void *regs) {
    auto *e = static_cast<perf_event *>(priv);
    preempt_off_read_guard readers;
    program *p = __atomic_load_n(&e->prog, __ATOMIC_ACQUIRE);
    if (!p)
        return;
    if (p->verified->max_ctx_offset > size) {
        count_missed(p);
        return;
    }
    MODBPF_UNINITIALIZED event_run run(regs, 0, e->cookie);
    (void)run_event(p, record, run);
}

}  // namespace

status tracepoint_open(perf_event *e) {
    char full[perf_event::symbol_len];
    u32 id = static_cast<u32>(e->config);
    // An id that does not exist is EINVAL, as in Linux.
    if (e->config > 0xffffffff || port_tracepoint_name(id, full, sizeof(full)))
        return error(EINVAL);
    const char *name = full; // "category:name"
    for (const char *c = full; *c; c++)
        if (*c == ':') {
            name = c + 1;
            break;
        }
    memcpy(e->symbol, name, strlen(name) + 1);
    return {};
}

status tracepoint_hook(perf_event *e, const program &p) {
    int rc = port_tracepoint_attach(static_cast<u32>(e->config), !reads_context(p.verified->image), on_record, e, &e->hook);
    return rc ? status(error(rc == -ENOENT ? EINVAL : -rc)) : status();
}

}  // namespace modbpf
