// SPDX-License-Identifier: GPL-2.0-only
// BPF_TASK_FD_QUERY: which program is attached through an fd of a task, and to what.
#include "attach/link.h"
#include "cmd/attr.h"

namespace modbpf {

namespace {

enum : u32 { BPF_FD_TYPE_RAW_TRACEPOINT, BPF_FD_TYPE_TRACEPOINT, BPF_FD_TYPE_KPROBE, BPF_FD_TYPE_KRETPROBE, BPF_FD_TYPE_UPROBE,
             BPF_FD_TYPE_URETPROBE };

struct answer {
    u32 prog_id, fd_type;
    const char *name;
    u64 offset, addr;
};

/// The name: what fits of it, and ENOSPC then. Its length is told whatever room there is.
long put_name(const attr_view &v, const char *name) {
    const auto &a = v.as<task_fd_query_attr>();
    u32 len = static_cast<u32>(strlen(name));
    if (long rc = v.put(__builtin_offsetof(task_fd_query_attr, buf_len), len))
        return rc;
    if (!a.buf_len || !a.buf)
        return 0;
    u32 n = min(len, a.buf_len - 1);
    char zero = 0;
    if ((n && port_copy_to_user(a.buf, name, n)) || port_copy_to_user(a.buf + n, &zero, 1))
        return -EFAULT;
    return n < len ? -ENOSPC : 0;
}

long put(const attr_view &v, const answer &r) {
    long named = put_name(v, r.name);
    if (named == -EFAULT)
        return named;
    struct {
        u32 prog_id, fd_type;
        u64 offset, addr;
    } tail = {r.prog_id, r.fd_type, r.offset, r.addr};
    static_assert(sizeof(tail) == sizeof(task_fd_query_attr) - __builtin_offsetof(task_fd_query_attr, prog_id));
    long rc = v.put(__builtin_offsetof(task_fd_query_attr, prog_id), tail);
    return rc ? rc : named;
}

u32 fd_type_of(const perf_event &e) {
    switch (e.what) {
    case perf_event::kind::kprobe: return BPF_FD_TYPE_KPROBE;
    case perf_event::kind::kretprobe: return BPF_FD_TYPE_KRETPROBE;
    case perf_event::kind::uprobe: return BPF_FD_TYPE_UPROBE;
    case perf_event::kind::uretprobe: return BPF_FD_TYPE_URETPROBE;
    default: return BPF_FD_TYPE_TRACEPOINT;
    }
}

long query_event(const attr_view &v, perf_event *e) {
    u32 prog_id = perf_event_prog_id(e);
    if (!prog_id)
        return -ENOENT;
    if (e->what == perf_event::kind::counter)
        return -EOPNOTSUPP;
    bool kernel_probe = e->what == perf_event::kind::kprobe || e->what == perf_event::kind::kretprobe;
    return put(v, {.prog_id = prog_id,
                   .fd_type = fd_type_of(*e),
                   .name = e->in_user_space() ? e->path.data() : e->symbol,
                   .offset = e->offset,
                   .addr = kernel_probe && may_see_addresses() ? e->addr : 0});
}

long query_link(const attr_view &v, const bpf_link *l) {
    if (l->type != BPF_LINK_TYPE_RAW_TRACEPOINT)
        return -ENOTSUPP;
    return put(v, {.prog_id = l->prog->id, .fd_type = BPF_FD_TYPE_RAW_TRACEPOINT, .name = l->tp_name, .offset = 0, .addr = 0});
}

}  // namespace

long cmd_task_fd_query(const attr_view &v) {
    const auto &a = v.as<task_fd_query_attr>();
    if (a.flags)
        return -EINVAL;
    result<held_file<bpf_link>> l = hold_file_of<bpf_link>(static_cast<s32>(a.pid), a.fd, link_file_ops);
    if (l)
        return query_link(v, l->get());
    if (l.err().code() != EINVAL)
        return l.code();
    result<held_file<perf_event>> e = hold_file_of<perf_event>(static_cast<s32>(a.pid), a.fd, perf_file_ops);
    if (e)
        return query_event(v, e->get());
    return e.err().code() == EINVAL ? -ENOTSUPP : e.code();
}

}  // namespace modbpf
