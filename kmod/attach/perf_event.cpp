// SPDX-License-Identifier: GPL-2.0-only
// The perf event object: fd class (ioctl, mmap, poll), its ring, end of life.
#include "attach/perf_event.h"

#include "prog/state.h"

namespace modbpf {

namespace {

enum : u32 {
    IOC_ENABLE = 0x2400, IOC_DISABLE = 0x2401, IOC_REFRESH = 0x2402, IOC_RESET = 0x2403, IOC_PERIOD = 0x40082404,
    IOC_SET_OUTPUT = 0x2405, IOC_ID = 0x80082407, IOC_SET_BPF = 0x40042408, IOC_PAUSE_OUTPUT = 0x40042409,
    IOC_QUERY_BPF = 0xc008240a,
};

perf_event *event_of(void *obj) { return static_cast<perf_event *>(obj); }

// End of life in two steps: the hook goes at once, the memory after a grace period (array slots are read under RCU).

void free_event(reap_item *item) { destroy(owner_of(item, &perf_event::reap)); }

void after_grace_period(port_rcu_head *head) {
    perf_event *e = owner_of(head, &perf_event::rcu);
    e->reaper_of().push(&e->reap, free_event);
}

void unhook(reap_item *item) {
    perf_event *e = owner_of(item, &perf_event::reap);
    perf_event_clear_prog(e);
    if (e->hook)
        port_event_detach(e->hook);
    e->hook = nullptr;
    port_rcu_call(&e->rcu, after_grace_period);
}

void release(void *obj) {
    perf_event *e = event_of(obj);
    bool hooked = e->hook != nullptr;
    reaper &r = e->reaper_of();
    e->put();
    if (hooked)
        r.flush(); // close() returns when the probe is gone
    else
        r.pace();
}

void free_ring(port_rcu_head *head) { destroy(owner_of(head, &perf_ring::rcu)); }

int map_ring(perf_event *e, port_vma *vma) {
    size_t size = port_vma_size(vma);
    size_t pages = size / PORT_PAGE_SIZE - 1;
    if (size % PORT_PAGE_SIZE || size < PORT_PAGE_SIZE || (pages && !is_pow2(pages)))
        return -EINVAL;
    if (size > PORT_ALLOC_MAX)
        return -ENOMEM;
    mutex_guard g(e->mmap_lock);
    perf_ring *r = e->ring.owned();
    bool fresh = !r;
    if (r && r->data_pages() != pages)
        return -EINVAL;
    if (fresh) {
        result<perf_ring *> made = perf_ring::create(static_cast<u32>(pages), !port_vma_writable(vma), e->format);
        if (!made)
            return made.code();
        r = *made;
    }
    int rc = port_vma_map(vma, r->region(), 0);
    if (rc) {
        if (fresh)
            destroy(r);
        return rc;
    }
    if (fresh)
        e->ring.store(r);
    else
        r->mappings++;
    return 0;
}

int mmap(void *obj, port_vma *vma) {
    if (event_of(obj)->what == perf_event::kind::counter) {
        port_log(PORT_LOG_INFO, "mmap of a counter: not supported");
        return -EOPNOTSUPP;
    }
    if (!port_vma_shared(vma))
        return -EINVAL;
    if (event_of(obj)->unprivileged && port_perf_paranoid() > -1) {
        port_log(PORT_LOG_INFO, "mmap of an event of a caller without CAP_PERFMON: only where kernel.perf_event_paranoid is -1");
        return -EPERM; // Linux counts what each user has locked
    }
    if (port_vma_offset(vma)) // an AUX area: no event of ours has one
        return -EINVAL;
    port_vma_forbid_exec(vma);
    if (!port_vma_writable(vma))
        port_vma_forbid_write(vma);
    return map_ring(event_of(obj), vma);
}

void vma_open(void *obj, bool writable) {
    perf_event *e = event_of(obj);
    mutex_guard g(e->mmap_lock);
    if (perf_ring *r = e->ring.owned())
        r->mappings++;
}

void vma_close(void *obj, bool writable) {
    perf_event *e = event_of(obj);
    perf_ring *dead = nullptr;
    {
        mutex_guard g(e->mmap_lock);
        perf_ring *r = e->ring.owned();
        if (r && --r->mappings == 0)
            dead = e->ring.exchange(nullptr);
    }
    if (dead)
        port_rcu_call(&dead->rcu, free_ring);
}

void show_fdinfo(void *, port_seq *) {} // Linux has no keys for perf events

unsigned int poll(void *obj, port_poll *p) {
    perf_event *e = event_of(obj);
    port_poll_wait(p, e->waitq);
    mutex_guard g(e->mmap_lock);
    perf_ring *r = e->ring.owned();
    if (!r)
        return PORT_POLL_HUP;
    return r->take_ready() ? PORT_POLL_IN : 0;
}

long set_bpf(perf_event *e, u64 arg) {
    result<ref<program>> p = prog_from_fd(static_cast<int>(arg));
    if (!p)
        return p.code();
    return perf_event_set_prog(e, p.value().get(), 0).code();
}

long set_period(perf_event *e, u64 arg) {
    u64 period;
    if (port_copy_from_user(&period, arg, sizeof(period)))
        return -EFAULT;
    if (!e->format.period || !period || period >> 63)
        return -EINVAL;
    if (e->what == perf_event::kind::counter)
        if (int rc = port_perf_period(e->hook, period))
            return rc;
    __atomic_store_n(&e->format.period, period, __ATOMIC_RELAXED);
    return 0;
}

long pause_output(perf_event *e, u64 arg) {
    mutex_guard g(e->mmap_lock);
    perf_ring *r = e->ring.owned();
    return r ? r->pause(arg != 0).code() : -EINVAL;
}

void enable(perf_event *e, bool on) {
    __atomic_store_n(&e->enabled, on, __ATOMIC_RELAXED);
    if (e->what == perf_event::kind::counter)
        port_perf_enable(e->hook, on);
}

void reset(perf_event *e) {
    if (e->what == perf_event::kind::counter)
        port_perf_reset(e->hook, __atomic_load_n(&e->enabled, __ATOMIC_RELAXED));
}

long ioctl(void *obj, unsigned int cmd, u64 arg) {
    perf_event *e = event_of(obj);
    switch (cmd) {
    case IOC_ENABLE:
    case IOC_DISABLE:
        enable(e, cmd == IOC_ENABLE);
        return 0;
    case IOC_RESET:
        reset(e);
        return 0;
    case IOC_REFRESH: // sampling events that deliver signals: none of ours
        return -EINVAL;
    case IOC_PERIOD:
        return set_period(e, arg);
    case IOC_SET_OUTPUT:
        port_log(PORT_LOG_INFO, "PERF_EVENT_IOC_SET_OUTPUT is not supported");
        return -EOPNOTSUPP;
    case IOC_ID:
        return port_copy_to_user(arg, &e->format.id, sizeof(e->format.id)) ? -EFAULT : 0;
    case IOC_SET_BPF:
        return set_bpf(e, arg);
    case IOC_PAUSE_OUTPUT:
        return pause_output(e, arg);
    case IOC_QUERY_BPF:
        return perf_event_query(e, arg);
    default:
        return -ENOTTY;
    }
}

/// perf_sink: one sample from a program. Any context, inside RCU.
long output(perf_sink *s, const void *a, size_t a_size, const void *b, size_t b_size) {
    auto *e = static_cast<perf_event *>(s);
    if (e->tracing())
        return -EINVAL;
    if (!__atomic_load_n(&e->enabled, __ATOMIC_RELAXED) || e->cpu != port_cpu_id())
        return -EOPNOTSUPP;
    rcu_read_guard readers;
    perf_ring *r = e->ring.read();
    if (!r)
        return -ENOSPC;
    bool wake = false;
    long rc = r->output(e->format, {static_cast<const u8 *>(a), a_size}, {static_cast<const u8 *>(b), b_size}, &wake);
    if (wake)
        port_waitq_wake(e->waitq);
    return rc;
}

/// What counts nothing here is read as such an event in Linux that never counted.
long read(perf_sink *s, u64 (&value)[3]) {
    auto *e = static_cast<perf_event *>(s);
    if (e->what == perf_event::kind::counter)
        return port_perf_read(port_perf_counter(e->hook), value);
    value[0] = value[1] = value[2] = 0;
    return e->what == perf_event::kind::output ? 0 : -EOPNOTSUPP;
}

result<perf_sink *> sink_get(int fd) {
    ref<perf_event> e = TRY(perf_event_from_fd(fd));
    u64 value[3];
    if (e->what == perf_event::kind::counter && read(e.get(), value) == -EOPNOTSUPP)
        return error(EOPNOTSUPP); // an inherited one
    return static_cast<perf_sink *>(e.release());
}
void sink_put(perf_sink *s) { static_cast<perf_event *>(s)->put(); }

}  // namespace

perf_event::~perf_event() {
    MODBPF_BUG_ON(prog || hook);
    if (perf_ring *r = ring.owned())
        destroy(r);
    if (waitq)
        port_waitq_destroy(waitq);
}

reaper &perf_event::reaper_of() const { return in_user_space() ? core->dead_uprobes : core->dead; }

void perf_event::dispose(perf_event *e) { e->reaper_of().push(&e->reap, unhook); }

constinit const port_file_ops perf_file_ops = {
    .name = "[perf_event]",
    .release = release,
    .hold = nullptr,
    .mmap = mmap,
    .vma_open = vma_open,
    .vma_close = vma_close,
    .poll = poll,
    .show_fdinfo = show_fdinfo,
    .ioctl = ioctl,
};

constinit const perf_array_hooks perf_array_access = {sink_get, sink_put};

result<ref<perf_event>> perf_event_from_fd(int fd) {
    result<held_file<perf_event>> f = hold_file<perf_event>(fd, perf_file_ops);
    if (!f)
        return error(EBADF);
    return ref<perf_event>(f->get());
}

const perf_output_fn perf_event_output = output;
long (*const perf_event_read)(perf_sink *, u64 (&)[3]) = read;

}  // namespace modbpf
