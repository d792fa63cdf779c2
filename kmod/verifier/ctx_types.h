// SPDX-License-Identifier: GPL-2.0-only
// What the context of a program type is called: by programs, and by the kernel inside.
#pragma once

#include "base/bpf.h"

namespace modbpf {

struct ctx_type_row {
    u32 prog_type;
    const char *user;
    const char *kernel;
};
inline constexpr ctx_type_row ctx_types[] = {
    {BPF_PROG_TYPE_SOCKET_FILTER, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_KPROBE, "bpf_user_pt_regs_t", "pt_regs"},
    {BPF_PROG_TYPE_SCHED_CLS, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_SCHED_ACT, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_XDP, "xdp_md", "xdp_buff"},
    {BPF_PROG_TYPE_PERF_EVENT, "bpf_perf_event_data", "bpf_perf_event_data_kern"},
    {BPF_PROG_TYPE_CGROUP_SKB, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_CGROUP_SOCK, "bpf_sock", "sock"},
    {BPF_PROG_TYPE_LWT_IN, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_LWT_OUT, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_LWT_XMIT, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_SOCK_OPS, "bpf_sock_ops", "bpf_sock_ops_kern"},
    {BPF_PROG_TYPE_SK_SKB, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_CGROUP_DEVICE, "bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"},
    {BPF_PROG_TYPE_SK_MSG, "sk_msg_md", "sk_msg"},
    {BPF_PROG_TYPE_RAW_TRACEPOINT, "bpf_raw_tracepoint_args", nullptr},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "bpf_sock_addr", "bpf_sock_addr_kern"},
    {BPF_PROG_TYPE_LWT_SEG6LOCAL, "__sk_buff", "sk_buff"},
    {BPF_PROG_TYPE_SK_REUSEPORT, "sk_reuseport_md", "sk_reuseport_kern"},
    {BPF_PROG_TYPE_FLOW_DISSECTOR, "__sk_buff", "bpf_flow_dissector"},
    {BPF_PROG_TYPE_CGROUP_SYSCTL, "bpf_sysctl", "bpf_sysctl_kern"},
    {BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, "bpf_raw_tracepoint_args", nullptr},
    {BPF_PROG_TYPE_CGROUP_SOCKOPT, "bpf_sockopt", "bpf_sockopt_kern"},
    {BPF_PROG_TYPE_SK_LOOKUP, "bpf_sk_lookup", "bpf_sk_lookup_kern"},
    {BPF_PROG_TYPE_NETFILTER, "bpf_nf_ctx", "bpf_nf_ctx"},
};

constexpr const ctx_type_row *find_ctx_type(u32 prog_type) {
    for (const auto &row : ctx_types)
        if (row.prog_type == prog_type)
            return &row;
    return nullptr;
}

/// May the kernel's structure `kernel` be passed where `user`, the view that programs have of it, is asked for?
inline bool is_projection(const char *user, const char *kernel) {
    return (!strcmp(user, "__sk_buff") && !strcmp(kernel, "sk_buff")) || (!strcmp(user, "xdp_md") && !strcmp(kernel, "xdp_buff"));
}

}  // namespace modbpf
