// SPDX-License-Identifier: GPL-2.0-only
// Attaching: raw tracepoints and links.
#include "attach/link.h"
#include "cmd/attr.h"
#include "prog/files.h"

namespace modbpf {

namespace {

constexpr u32 BPF_F_REPLACE = 1u << 2;

/// Which attach types Linux accepts for the program's type at all.
bool attach_type_fits(const program &p, u32 attach_type) {
    switch (p.type->type) {
    case BPF_PROG_TYPE_TRACEPOINT:
    case BPF_PROG_TYPE_PERF_EVENT:
        return attach_type == BPF_PERF_EVENT;
    case BPF_PROG_TYPE_KPROBE: {
        bool multi = attach_type == BPF_TRACE_KPROBE_MULTI || attach_type == BPF_TRACE_KPROBE_SESSION ||
                     attach_type == BPF_TRACE_UPROBE_MULTI;
        u32 want = p.expected_attach_type;
        bool bound = want == BPF_TRACE_KPROBE_MULTI || want == BPF_TRACE_KPROBE_SESSION || want == BPF_TRACE_UPROBE_MULTI;
        return bound ? attach_type == want : multi || attach_type == BPF_PERF_EVENT;
    }
    case BPF_PROG_TYPE_SCHED_CLS:
        return attach_type == BPF_TCX_INGRESS || attach_type == BPF_TCX_EGRESS || attach_type == BPF_NETKIT_PRIMARY ||
               attach_type == BPF_NETKIT_PEER;
    case BPF_PROG_TYPE_XDP:
        return attach_type == BPF_XDP;
    case BPF_PROG_TYPE_TRACING:
    case BPF_PROG_TYPE_LSM:
        return attach_type == p.expected_attach_type;
    case BPF_PROG_TYPE_EXT:
        return true;
    default:
        return false;
    }
}

/// At a function of the kernel or of a program, by a trampoline.
bool stands_at_function(const program &p) {
    if (p.type->type == BPF_PROG_TYPE_EXT)
        return true;
    if (p.type->type == BPF_PROG_TYPE_LSM)
        return p.expected_attach_type == BPF_LSM_MAC;
    return p.type->type == BPF_PROG_TYPE_TRACING && (p.expected_attach_type == BPF_TRACE_FENTRY ||
           p.expected_attach_type == BPF_TRACE_FEXIT || p.expected_attach_type == BPF_MODIFY_RETURN);
}

/// An extension that does not run can stand at a program that does not either.
bool can_attach(const program &p) { return p.runs() || (p.type->type == BPF_PROG_TYPE_EXT && !verify_only); }

kprobe_multi_request kprobe_multi_of(const link_create_attr &a) {
    kprobe_multi_attr k;
    static_assert(__builtin_offsetof(link_create_attr, cookie) + sizeof(k) <= sizeof(link_create_attr));
    memcpy(&k, &a.cookie, sizeof(k));
    return {.flags = k.flags, .count = k.cnt, .syms = k.syms, .addrs = k.addrs, .cookies = k.cookies};
}

uprobe_multi_request uprobe_multi_of(const link_create_attr &a) {
    uprobe_multi_attr u{};
    static_assert(__builtin_offsetof(link_create_attr, cookie) + sizeof(u) <= sizeof(link_create_attr) + 4);
    memcpy(&u, &a.cookie, __builtin_offsetof(uprobe_multi_attr, pid) + sizeof(u.pid));
    return {.path = u.path, .offsets = u.offsets, .ref_ctr_offsets = u.ref_ctr_offsets, .cookies = u.cookies,
            .count = u.cnt, .flags = u.flags, .pid = static_cast<s32>(u.pid)};
}

}  // namespace

long cmd_raw_tracepoint_open(const attr_view &v) {
    const auto &a = v.as<raw_tracepoint_attr>();
    result<ref<program>> p = prog_from_fd(static_cast<int>(a.prog_fd));
    if (!p)
        return p.code();
    bool at_function = stands_at_function(**p);
    if (!can_attach(**p))
        return -ENOTSUPP;
    if (at_function && a.name) // it was named when the program was loaded
        return -EINVAL;
    if (at_function)
        return tracing_link_create(move(*p), {}); // Linux has no cookie for them here
    return raw_tp_link_create(move(*p), a.name, a.cookie);
}

long cmd_link_create(const attr_view &v) {
    const auto &a = v.as<link_create_attr>();
    if (a.attach_type == BPF_STRUCT_OPS) { // the fd is a map's, and no map of ours is of that type
        result<ref<map>> m = map_from_fd(static_cast<int>(a.prog_fd));
        return m.ok() ? -EINVAL : m.code();
    }
    result<ref<program>> p = prog_from_fd(static_cast<int>(a.prog_fd));
    if (!p)
        return p.code();
    if (!attach_type_fits(**p, a.attach_type))
        return -EINVAL;
    if ((*p)->type->type == BPF_PROG_TYPE_TRACING && a.attach_type == BPF_TRACE_RAW_TP)
        return (*p)->runs() ? raw_tp_link_create(move(*p), 0, a.more[0]) : -ENOTSUPP; // tracing.cookie
    if ((*p)->type->type == BPF_PROG_TYPE_TRACING && a.attach_type == BPF_TRACE_ITER) {
        if (a.target_fd || a.flags)
            return -EINVAL;
        return (*p)->runs() ? iter_link_create(move(*p), a.cookie, static_cast<u32>(a.more[0])) : -ENOTSUPP; // iter_info, iter_info_len
    }
    if (stands_at_function(**p)) {
        tracing_request r{a.target_fd, static_cast<u32>(a.cookie), a.more[0]}; // tracing.target_btf_id, tracing.cookie
        return can_attach(**p) ? tracing_link_create(move(*p), r) : -ENOTSUPP;
    }
    if (a.attach_type == BPF_TRACE_KPROBE_MULTI || a.attach_type == BPF_TRACE_KPROBE_SESSION)
        return a.flags ? -EINVAL : kprobe_multi_link_create(move(*p), kprobe_multi_of(a));
    if (a.attach_type == BPF_TRACE_UPROBE_MULTI)
        return uprobe_multi_link_create(move(*p), uprobe_multi_of(a));
    if (a.attach_type != BPF_PERF_EVENT) {
        port_log(PORT_LOG_INFO, "LINK_CREATE: attach type %u is not supported", a.attach_type);
        return -EOPNOTSUPP;
    }
    if (a.flags)
        return -EINVAL;
    return perf_link_create(move(*p), static_cast<int>(a.target_fd), a.cookie);
}

/// Links of iterators alone can change their program; for the others a request that is right in itself ends as Linux's: EINVAL.
long cmd_link_update(const attr_view &v) {
    const auto &a = v.as<link_update_attr>();
    if (a.flags & ~BPF_F_REPLACE)
        return -EINVAL;
    result<ref<bpf_link>> l = link_from_fd(static_cast<int>(a.link_fd));
    if (!l)
        return l.code();
    result<ref<program>> fresh = prog_from_fd(static_cast<int>(a.new_prog_fd));
    if (!fresh)
        return fresh.code();
    ref<program> old;
    if (a.flags & BPF_F_REPLACE) {
        result<ref<program>> named = prog_from_fd(static_cast<int>(a.old_prog_fd));
        if (!named)
            return named.code();
        old = move(*named);
    } else if (a.old_prog_fd) {
        return -EINVAL;
    }
    return (*l)->type == BPF_LINK_TYPE_ITER ? iter_link_update(l->get(), move(*fresh), old.get()) : -EINVAL;
}

long cmd_iter_create(const attr_view &v) {
    const auto &a = v.as<iter_create_attr>();
    if (a.flags)
        return -EINVAL;
    result<ref<bpf_link>> l = link_from_fd(static_cast<int>(a.link_fd));
    return l.ok() ? iter_new_fd(l->get()) : l.code();
}

/// Perf event and raw tracepoint links cannot be detached by force, in Linux neither.
long cmd_link_detach(const attr_view &v) {
    result<ref<bpf_link>> l = link_from_fd(static_cast<int>(v.as<link_fd_attr>().link_fd));
    return l.ok() ? -EOPNOTSUPP : l.code();
}

}  // namespace modbpf
