// SPDX-License-Identifier: GPL-2.0-only
// The programs of perf events: one an event, up to 64 on a tracepoint, each program once.
#include "attach/perf_event.h"
#include "prog/state.h"

namespace modbpf {

namespace {

constexpr u32 max_progs = 64; // BPF_TRACE_MAX_PROGS

constinit perf_event *tracepoint_events = nullptr; ///< with a program, oldest first; under state::event_lock

status check_kind(const perf_event *e, const program *p) {
    u32 want = e->what == perf_event::kind::tracepoint ? BPF_PROG_TYPE_TRACEPOINT
               : e->what == perf_event::kind::counter  ? BPF_PROG_TYPE_PERF_EVENT
                                                       : BPF_PROG_TYPE_KPROBE;
    // Linux lets an output event have a program, too, which its records call.
    if (!e->tracing() || p->type->type != want)
        return error(EINVAL);
    if (p->type->type == BPF_PROG_TYPE_KPROBE && p->sleepable && !e->in_user_space())
        return error(EINVAL);
    // Linux lets in programs of sessions, which then find none.
    if (p->expected_attach_type == BPF_TRACE_KPROBE_SESSION && p->type->type == BPF_PROG_TYPE_KPROBE)
        return error(EINVAL);
    if (e->what == perf_event::kind::tracepoint) {
        int size = port_tracepoint_size(static_cast<u32>(e->config));
        if (size < 0)
            return error(-size);
        if (p->verified->max_ctx_offset > static_cast<u32>(size))
            return error(EACCES);
    }
    return {};
}

status check_room_locked(const perf_event *e, const program *p) {
    u32 count = 0;
    bool twice = false;
    for (perf_event *o = tracepoint_events; o; o = o->next) {
        if (o->config != e->config)
            continue;
        count++;
        twice |= o->prog == p;
    }
    if (count >= max_progs)
        return error(E2BIG);
    return twice ? status(error(EEXIST)) : status();
}

}  // namespace

status perf_event_set_prog(perf_event *e, program *p, u64 cookie) {
    TRY(check_kind(e, p));
    if (!p->runs())
        return error(ENOTSUPP);
    mutex_guard g(core->event_lock);
    if (e->prog)
        return error(EEXIST);
    if (e->what == perf_event::kind::tracepoint) {
        TRY(check_room_locked(e, p));
        TRY(tracepoint_hook(e, *p));
        perf_event **end = &tracepoint_events;
        while (*end)
            end = &(*end)->next;
        e->next = nullptr;
        *end = e;
    }
    p->get();
    port_module_pin(); // program, map and event may hold each other in a ring that no file keeps (BPF_F_PRESERVE_ELEMS)
    e->cookie = cookie;
    e->regs_read = e->what == perf_event::kind::counter && reads_context(p->verified->image);
    __atomic_store_n(&e->prog, p, __ATOMIC_RELEASE);
    return {};
}

void perf_event_clear_prog(perf_event *e) {
    mutex_guard g(core->event_lock);
    program *p = e->prog;
    if (!p)
        return;
    __atomic_store_n(&e->prog, nullptr, __ATOMIC_RELEASE);
    for (perf_event **at = &tracepoint_events; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    port_rcu_synchronize(); // the cookie may change when nobody runs with it
    if (e->what == perf_event::kind::tracepoint) {
        port_event_detach(e->hook);
        e->hook = nullptr;
    }
    p->put();
    port_module_unpin();
}

status perf_events_show_records(const program &p) {
    mutex_guard g(core->event_lock);
    for (perf_event *e = tracepoint_events; e; e = e->next)
        if (e->prog == &p && e->bare)
            TRY(tracepoint_show_record(e));
    return {};
}

u32 perf_event_prog_id(perf_event *e) {
    mutex_guard g(core->event_lock);
    return e->prog ? e->prog->id : 0;
}

long perf_event_query(perf_event *e, u64 uquery) {
    if (!port_capable(PORT_CAP_PERFMON))
        return -EPERM;
    if (e->what != perf_event::kind::tracepoint)
        return -EINVAL;
    struct {
        u32 ids_len, prog_cnt;
    } query;
    if (port_copy_from_user(&query, uquery, sizeof(query)))
        return -EFAULT;
    if (query.ids_len > max_progs)
        return -E2BIG;
    u32 ids[max_progs] = {};
    u32 count = 0;
    {
        mutex_guard g(core->event_lock);
        for (perf_event *o = tracepoint_events; o; o = o->next)
            if (o->config == e->config && count++ < query.ids_len)
                ids[count - 1] = o->prog->id;
    }
    if (port_copy_to_user(uquery + sizeof(u32), &count, sizeof(count)) ||
        port_copy_to_user(uquery + sizeof(query), ids, query.ids_len * sizeof(u32)))
        return -EFAULT;
    return query.ids_len && count > query.ids_len ? -ENOSPC : 0;
}

}  // namespace modbpf
