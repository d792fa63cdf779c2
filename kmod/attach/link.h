// SPDX-License-Identifier: GPL-2.0-only
// bpf_link: an attachment as an object: the "bpf_link" fd holds the program and what it is attached to.
//
// A link is made, given an id, attached, and only then settled: ids of unsettled links give EAGAIN. The last reference
// (fds alone hold them) detaches in task context, before close() returns.
#pragma once

#include "attach/iter.h"
#include "attach/multi.h"
#include "attach/perf_event.h"
#include "attach/trampoline.h"
#include "prog/info.h"
#include "prog/prog.h"

namespace modbpf {

struct bpf_link : refcounted<bpf_link> {
    static constexpr u32 tp_name_len = 128;

    counted alive;
    ~bpf_link();

    u32 id = 0;          ///< in the link id registry
    u32 settled = 0;     ///< attached: may be found by id
    u32 type = 0;        ///< BPF_LINK_TYPE_*
    ref<program> prog; ///< ITER: under prog_lock once settled, since LINK_UPDATE changes it
    mutex prog_lock{"link_prog"}; ///< task context
    u64 cookie = 0;
    ref<perf_event> event;       ///< PERF_EVENT
    port_event *hook = nullptr;  ///< RAW_TRACEPOINT, KPROBE_MULTI, UPROBE_MULTI
    own<multi_probe> multi;      ///< KPROBE_MULTI, UPROBE_MULTI
    ref<tracer> traces;          ///< TRACING
    ref<program> target;         ///< TRACING: whose function it is; null: the kernel's
    u32 target_types = 0, target_btf_id = 0; ///< TRACING: id of the target or of the kernel's types, and the function in there
    iter_aim aim;                ///< ITER
    char tp_name[tp_name_len]{};
    u32 nargs = 0;
    u8 arg_sizes[PORT_RAW_TP_MAX_ARGS]{};
    bool narrow = false; ///< some of them are less than 8
    reap_item reap{};

    ref<program> current_prog() {
        mutex_guard g(prog_lock);
        return prog;
    }
    static void dispose(bpf_link *l);
};

extern const port_file_ops link_file_ops; ///< "bpf_link"
result<ref<bpf_link>> link_from_fd(int fd);

/// BPF_LINK_CREATE with BPF_PERF_EVENT. -> fd or -errno.
long perf_link_create(ref<program> p, int perf_fd, u64 cookie);
/// RAW_TRACEPOINT_OPEN. -> fd or -errno.
long raw_tp_link_create(ref<program> p, u64 uname, u64 cookie);
/// What LINK_CREATE says of where to attach: of extensions alone, which need not stand where they were loaded for.
struct tracing_request {
    u32 target_fd = 0, target_btf_id = 0;
    u64 cookie = 0;
};
/// RAW_TRACEPOINT_OPEN and LINK_CREATE of programs at functions of the kernel and of programs. -> fd or -errno.
long tracing_link_create(ref<program> p, const tracing_request &r);
/// LINK_CREATE of programs at many places (kprobe_multi.cpp, uprobe_multi.cpp). -> fd or -errno.
long kprobe_multi_link_create(ref<program> p, const kprobe_multi_request &r);
long kprobe_multi_fill_info(bpf_link *l, bpf_link_info &info);
long uprobe_multi_link_create(ref<program> p, const uprobe_multi_request &r);
long uprobe_multi_fill_info(bpf_link *l, bpf_link_info &info);
/// A new fd for a settled link.
long link_new_fd(ref<bpf_link> l);
/// The end of each *_create: the link becomes visible and gets its fd.
long link_settle(ref<bpf_link> l);
/// A fresh link with an id.
result<ref<bpf_link>> link_make(u32 type, ref<program> p);
/// Fills the part of the info that depends on the type; names go straight to the user. 0 or -errno.
long link_fill_info(bpf_link *l, bpf_link_info &info);

}  // namespace modbpf
