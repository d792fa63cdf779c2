// SPDX-License-Identifier: GPL-2.0-only
// Tracepoint events: the program's context is the record as events/*/format describes it.
#include "attach/perf_event.h"
#include "jit/jit.h"

namespace modbpf {

namespace {

/// Any context, preemption off. The program may read up to its highest verified offset: a record that is shorter (the
/// tracepoint was replaced by another with its id, say) is not shown to it. While an event has two hooks one of them runs it.
template <bool bare> void on_record(void *priv, void *record, size_t size, void *regs) {
    auto *e = static_cast<perf_event *>(priv);
    if (__atomic_load_n(&e->bare, __ATOMIC_RELAXED) != bare)
        return;
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

namespace {
status make_hook(perf_event *e, const program &p, bool bare, port_event **out) {
    // Of the programs that one goes on to nobody checks here what they read.
    port_record_use use = bare ? PORT_RECORD_UNUSED : p.verified->image.makes_tail_calls() ? PORT_RECORD_ANY : PORT_RECORD_USED;
    int rc = port_tracepoint_attach(static_cast<u32>(e->config), use, bare ? on_record<true> : on_record<false>, e, &p.stats->kernel, out);
    return rc ? status(error(rc == -ENOENT ? EINVAL : -rc)) : status();
}
}  // namespace

status tracepoint_hook(perf_event *e, const program &p) {
    // Who traces or replaces its functions may read the record.
    bool bare = !__atomic_load_n(&p.published_hooks, __ATOMIC_ACQUIRE) && !reads_context(p.verified->image);
    __atomic_store_n(&e->bare, bare, __ATOMIC_RELAXED);
    return make_hook(e, p, bare, &e->hook);
}

/// The old hook goes when the new one is there: of an event that is on its way meanwhile the program may run twice, or not.
status tracepoint_show_record(perf_event *e) {
    port_event *old = e->hook;
    TRY(make_hook(e, *e->prog, false, &e->hook));
    __atomic_store_n(&e->bare, false, __ATOMIC_RELAXED);
    port_event_detach(old);
    return {};
}

}  // namespace modbpf
