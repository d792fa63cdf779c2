// SPDX-License-Identifier: GPL-2.0-only
#include "attach/link.h"

#include "prog/state.h"

namespace modbpf {

namespace {

void detach_and_free(reap_item *item) { destroy(owner_of(item, &bpf_link::reap)); }

reaper &reaper_of(const bpf_link *l) {
    return l->type == BPF_LINK_TYPE_UPROBE_MULTI || (l->event && l->event->in_user_space()) ? core->dead_uprobes : core->dead;
}

void release(void *obj) {
    bpf_link *l = static_cast<bpf_link *>(obj);
    reaper &r = reaper_of(l);
    l->put();
    r.flush(); // close() returns when the program runs no more
}

/// A name into the user's room of `room` bytes; ENOSPC after cutting it. Both room and address, or neither (EINVAL).
long put_name(u64 to, u32 *room, const char *name) {
    u32 had = *room;
    if (!had != !to)
        return -EINVAL;
    u32 len = static_cast<u32>(strlen(name));
    *room = len + 1;
    if (!to)
        return 0;
    if (had > len)
        return port_copy_to_user(to, name, len + 1) ? -EFAULT : 0;
    char zero = 0;
    if (port_copy_to_user(to, name, had - 1) || port_copy_to_user(to + had - 1, &zero, 1))
        return -EFAULT;
    return -ENOSPC;
}

long fill_kprobe(const perf_event *e, u64 cookie, bpf_link_info &info) {
    auto &k = info.perf_event.kprobe;
    long rc = put_name(k.func_name, &k.name_len, e->symbol);
    if (rc)
        return rc;
    info.perf_event.type = e->what == perf_event::kind::kretprobe ? BPF_PERF_EVENT_KRETPROBE : BPF_PERF_EVENT_KPROBE;
    k.offset = static_cast<u32>(e->offset);
    k.missed = e->hook ? port_event_missed(e->hook) : 0;
    k.addr = may_see_addresses() ? e->addr : 0;
    k.cookie = cookie;
    return 0;
}

long fill_uprobe(const perf_event *e, u64 cookie, bpf_link_info &info) {
    auto &u = info.perf_event.uprobe;
    long rc = put_name(u.file_name, &u.name_len, e->path.data());
    if (rc)
        return rc;
    info.perf_event.type = e->what == perf_event::kind::uretprobe ? BPF_PERF_EVENT_URETPROBE : BPF_PERF_EVENT_UPROBE;
    u.offset = static_cast<u32>(e->offset);
    u.cookie = cookie;
    return 0;
}

long fill_tracepoint(const perf_event *e, u64 cookie, bpf_link_info &info) {
    auto &t = info.perf_event.tracepoint;
    long rc = put_name(t.tp_name, &t.name_len, e->symbol);
    if (rc)
        return rc;
    info.perf_event.type = BPF_PERF_EVENT_TRACEPOINT;
    t.cookie = cookie;
    return 0;
}

long fill_perf(bpf_link *l, bpf_link_info &info) {
    const perf_event *e = l->event.get();
    if (e->what == perf_event::kind::counter) {
        info.perf_event.type = BPF_PERF_EVENT_EVENT;
        info.perf_event.event = {.config = e->config, .type = e->attr_type, .pad = 0, .cookie = l->cookie};
        return 0;
    }
    if (e->in_user_space())
        return fill_uprobe(e, l->cookie, info);
    return e->what == perf_event::kind::tracepoint ? fill_tracepoint(e, l->cookie, info) : fill_kprobe(e, l->cookie, info);
}

long fill_tracing(bpf_link *l, bpf_link_info &info) {
    info.tracing = {l->prog->expected_attach_type, l->target_types, l->target_btf_id};
    return 0;
}
void tracing_fdinfo(bpf_link *l, port_seq *seq) {
    port_seq_printf(seq, "attach_type:\t%d\ntarget_obj_id:\t%u\ntarget_btf_id:\t%u\n", static_cast<s32>(l->prog->expected_attach_type),
                    l->target_types, l->target_btf_id);
}

long fill_raw_tp(bpf_link *l, bpf_link_info &info) {
    return put_name(info.raw_tracepoint.tp_name, &info.raw_tracepoint.tp_name_len, l->tp_name);
}
void raw_tp_fdinfo(bpf_link *l, port_seq *seq) { port_seq_printf(seq, "tp_name:\t%s\n", l->tp_name); }

long fill_iter(bpf_link *l, bpf_link_info &info) {
    long rc = put_name(info.iter.target_name, &info.iter.target_name_len, l->aim.target->name);
    if (!rc)
        l->aim.target->fill_info(l->aim, info);
    return rc;
}
void iter_fdinfo(bpf_link *l, port_seq *seq) {
    port_seq_printf(seq, "target_name:\t%s\n", l->aim.target->name);
    l->aim.target->show_fdinfo(l->aim, seq);
}

/// What links of a type tell of themselves beside what all do.
struct link_kind {
    u32 type;
    const char *name;                               ///< as fdinfo has it
    long (*fill_info)(bpf_link *l, bpf_link_info &info);
    void (*show_fdinfo)(bpf_link *l, port_seq *seq); ///< null: nothing more
};
constexpr link_kind kinds[] = {
    {BPF_LINK_TYPE_PERF_EVENT, "perf", fill_perf, nullptr},
    {BPF_LINK_TYPE_RAW_TRACEPOINT, "raw_tracepoint", fill_raw_tp, raw_tp_fdinfo},
    {BPF_LINK_TYPE_TRACING, "tracing", fill_tracing, tracing_fdinfo},
    {BPF_LINK_TYPE_ITER, "iter", fill_iter, iter_fdinfo},
    {BPF_LINK_TYPE_KPROBE_MULTI, "kprobe_multi", kprobe_multi_fill_info, nullptr},
    {BPF_LINK_TYPE_UPROBE_MULTI, "uprobe_multi", uprobe_multi_fill_info, nullptr},
};

const link_kind *kind_of(const bpf_link *l) {
    for (const link_kind &k : kinds)
        if (k.type == l->type)
            return &k;
    (void)MODBPF_BUG_ON(true);
    return nullptr;
}

void show_fdinfo(void *obj, port_seq *seq) {
    auto *l = static_cast<bpf_link *>(obj);
    const link_kind *kind = kind_of(l);
    if (!kind)
        return;
    ref<program> p = l->current_prog();
    const u8 *t = p->tag.bytes;
    port_seq_printf(seq, "link_type:\t%s\nlink_id:\t%u\n", kind->name, l->id);
    port_seq_printf(seq, "prog_tag:\t%02x%02x%02x%02x%02x%02x%02x%02x\nprog_id:\t%u\n", t[0], t[1], t[2], t[3], t[4], t[5], t[6],
                    t[7], p->id);
    if (kind->show_fdinfo)
        kind->show_fdinfo(l, seq);
}

/// Whoever opens the name of an iterator's link reads what its program prints.
int open_pinned(void *obj, const port_file_ops **as, void **opened) {
    auto *l = static_cast<bpf_link *>(obj);
    if (l->type != BPF_LINK_TYPE_ITER)
        return -EIO;
    result<own<iter_session>> s = iter_open(l);
    if (!s)
        return static_cast<int>(s.code());
    *as = &iter_file_ops;
    *opened = s->release();
    return 0;
}

}  // namespace

bpf_link::~bpf_link() {
    if (hook)
        port_event_detach(hook);
    if (traces)
        trampoline_detach(traces.get());
    if (event && settled)
        perf_event_clear_prog(event.get());
}

void bpf_link::dispose(bpf_link *l) {
    core->links.remove(l->id);
    reaper_of(l).push(&l->reap, detach_and_free);
}

constinit const port_file_ops link_file_ops = {
    .name = "bpf_link",
    .release = release,
    .hold = [](void *obj) { static_cast<bpf_link *>(obj)->get(); },
    .open = open_pinned,
    .mmap = nullptr,
    .vma_open = nullptr,
    .vma_close = nullptr,
    .poll = nullptr,
    .show_fdinfo = show_fdinfo,
    .ioctl = nullptr,
};

result<ref<bpf_link>> link_from_fd(int fd) {
    held_file<bpf_link> f = TRY(hold_file<bpf_link>(fd, link_file_ops));
    return ref<bpf_link>(f.get());
}

result<ref<bpf_link>> link_make(u32 type, ref<program> p) {
    ref<bpf_link> l(adopt, make<bpf_link>(PORT_SLEEPING));
    if (!l)
        return error(ENOMEM);
    l->type = type;
    l->prog = move(p);
    TRY(core->links.add(l.get(), &l->id));
    return l;
}

long link_new_fd(ref<bpf_link> l) {
    int fd = port_fd_create(&link_file_ops, l.get(), PORT_FD_CLOEXEC | PORT_FD_RDONLY);
    if (fd >= 0)
        (void)l.release();
    return fd;
}

long link_settle(ref<bpf_link> l) {
    __atomic_store_n(&l->settled, 1, __ATOMIC_RELEASE);
    return link_new_fd(move(l));
}

long perf_link_create(ref<program> p, int perf_fd, u64 cookie) {
    result<ref<perf_event>> e = perf_event_from_fd(perf_fd);
    if (!e)
        return e.code();
    result<ref<bpf_link>> made = link_make(BPF_LINK_TYPE_PERF_EVENT, move(p));
    if (!made)
        return made.code();
    ref<bpf_link> l = move(*made);
    l->cookie = cookie;
    l->event = move(*e);
    status set = perf_event_set_prog(l->event.get(), l->prog.get(), cookie);
    if (!set.ok())
        return set.code();
    return link_settle(move(l));
}

long link_fill_info(bpf_link *l, bpf_link_info &info) {
    const link_kind *kind = kind_of(l);
    return kind ? kind->fill_info(l, info) : -EFAULT;
}

}  // namespace modbpf
