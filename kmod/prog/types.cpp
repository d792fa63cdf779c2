// SPDX-License-Identifier: GPL-2.0-only
// The table of program types.
#include "prog/type_rows.h"

namespace modbpf {

namespace {

constexpr const prog_type_info *table[] = {
    &socket_filter_type,
    &kprobe_type,
    &sched_cls_type,
    &sched_act_type,
    &tracepoint_type,
    &xdp_type,
    &perf_event_type,
    &cgroup_skb_type,
    &cgroup_sock_type,
    &lwt_in_type,
    &lwt_out_type,
    &lwt_xmit_type,
    &sock_ops_type,
    &sk_skb_type,
    &cgroup_device_type,
    &sk_msg_type,
    &raw_tracepoint_type,
    &cgroup_sock_addr_type,
    &lwt_seg6local_type,
    &lirc_mode2_type,
    &sk_reuseport_type,
    &flow_dissector_type,
    &cgroup_sysctl_type,
    &raw_tracepoint_writable_type,
    &cgroup_sockopt_type,
    &tracing_type,
    &struct_ops_type,
    &ext_type,
    &lsm_type,
    &sk_lookup_type,
    &syscall_type,
    &netfilter_type,
};

}  // namespace

const prog_type_info *find_prog_type(u32 type) {
    for (const prog_type_info *t : table)
        if (t->type == type)
            return t;
    return nullptr;
}

span<const prog_type_info *const> all_prog_types() {
    return table;
}

}  // namespace modbpf
