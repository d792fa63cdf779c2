// SPDX-License-Identifier: GPL-2.0-only
// Program types that get a packet: __sk_buff, xdp_md. Offsets are those of Linux 6.12; what may be accessed follows
// sk_filter_is_valid_access, tc_cls_act_is_valid_access, cg_skb_is_valid_access, lwt_is_valid_access, sk_skb_is_valid_access,
// flow_dissector_is_valid_access and xdp_is_valid_access.
//
// One difference is known where programs run: Linux ignores stores of 65535 and more to queue_mapping, here their low 16 bits are
// kept.
#include "prog/type_rows.h"

namespace modbpf {

using namespace type_rows;

namespace {

constexpr u16 run_data = __builtin_offsetof(packet_run, data), run_data_end = __builtin_offsetof(packet_run, data_end),
              run_data_meta = __builtin_offsetof(packet_run, data_meta), run_no_end = __builtin_offsetof(packet_run, no_data_end);

/// In the run-time context's image of the user's structure. Linux keeps the low `kept` bytes of a store (0: all).
constexpr ctx_field here(ctx_field f, u8 kept = 0) {
    f.runs = true, f.run_off = static_cast<u16>(packet_run_user + f.off), f.store_size = kept;
    return f;
}
/// A packet pointer: 64 bits at the head of the run-time context.
constexpr ctx_field here_pointer(const char *name, u16 off, reg_type t, u16 run_off) {
    ctx_field f = pointer32(name, off, t);
    f.runs = true, f.run_off = run_off, f.run_size = 8;
    return f;
}
/// The packet's socket: its image's address.
constexpr ctx_field here_sock() {
    ctx_field f = pointer("sk", 168, or_null(reg_type::sock_common));
    f.runs = true, f.run_off = __builtin_offsetof(packet_run, sk), f.run_size = 8;
    return f;
}
constexpr ctx_field privileged(ctx_field f) {
    f.read_needs_bpf = true;
    return f;
}
constexpr ctx_field privileged_stores(ctx_field f, u8 sizes) {
    f.writes = sizes, f.write_needs_bpf = true;
    return f;
}

constexpr reg_type pkt = reg_type::packet, pkt_end = reg_type::packet_end, pkt_meta = reg_type::packet_meta;

constexpr ctx_field socket_filter_fields[] = {
    here(readable("len", 0)),
    here(readable("pkt_type", 4)),
    here(readable("mark", 8)),
    here(readable("queue_mapping", 12)),
    here(readable("protocol", 16)),
    here(readable("vlan_present", 20)),
    here(readable("vlan_tci", 24)),
    here(readable("vlan_proto", 28)),
    here(readable("priority", 32)),
    here(readable("ingress_ifindex", 36)),
    here(readable("ifindex", 40)),
    here(readable("tc_index", 44)),
    here(scratch("cb", 48, 20)),
    here(readable("hash", 68)),
    here(readable("napi_id", 84)),
    here(readable("gso_segs", 164)),
    here_sock(),
    here(readable("gso_size", 176)),
};

constexpr ctx_field sched_cls_fields[] = {
    here(readable("len", 0)),
    here(readable("pkt_type", 4)),
    here(writable("mark", 8)),
    here(writable("queue_mapping", 12), 2),
    here(readable("protocol", 16)),
    here(readable("vlan_present", 20)),
    here(readable("vlan_tci", 24)),
    here(readable("vlan_proto", 28)),
    here(writable("priority", 32)),
    here(readable("ingress_ifindex", 36)),
    here(readable("ifindex", 40)),
    here(writable("tc_index", 44), 2),
    here(scratch("cb", 48, 20)),
    here(readable("hash", 68)),
    here(writable("tc_classid", 72), 2),
    here_pointer("data", 76, pkt, run_data),
    here_pointer("data_end", 80, pkt_end, run_data_end),
    here(readable("napi_id", 84)),
    here_pointer("data_meta", 140, pkt_meta, run_data_meta),
    here(with_stores(dwords("tstamp", 152), dword)),
    here(readable("wire_len", 160)),
    here(readable("gso_segs", 164)),
    here_sock(),
    here(readable("gso_size", 176)),
    here({"tstamp_type", 180, 1, 1, 0, number}),
    here(dwords("hwtstamp", 184)),
};

constexpr ctx_field cgroup_skb_fields[] = {
    here(readable("len", 0)),
    here(readable("pkt_type", 4)),
    here(writable("mark", 8)),
    here(readable("queue_mapping", 12)),
    here(readable("protocol", 16)),
    here(readable("vlan_present", 20)),
    here(readable("vlan_tci", 24)),
    here(readable("vlan_proto", 28)),
    here(writable("priority", 32)),
    here(readable("ingress_ifindex", 36)),
    here(readable("ifindex", 40)),
    here(readable("tc_index", 44)),
    here(scratch("cb", 48, 20)),
    here(readable("hash", 68)),
    privileged(here_pointer("data", 76, pkt, run_data)),
    privileged(here_pointer("data_end", 80, pkt_end, run_no_end)),
    here(readable("napi_id", 84)),
    here(readable("family", 88)),
    here(words("remote_ip4", 92)),
    here(words("local_ip4", 96)),
    here(words("remote_ip6", 100, 16)),
    here(words("local_ip6", 116, 16)),
    here(readable("remote_port", 132)),
    here(readable("local_port", 136)),
    here(privileged_stores(dwords("tstamp", 152), dword)),
    here(readable("gso_segs", 164)),
    here_sock(),
    here(readable("gso_size", 176)),
    here(dwords("hwtstamp", 184)),
};

constexpr ctx_field lwt_fields[] = {
    here(readable("len", 0)),
    here(readable("pkt_type", 4)),
    here(writable("mark", 8)),
    here(readable("queue_mapping", 12)),
    here(readable("protocol", 16)),
    here(readable("vlan_present", 20)),
    here(readable("vlan_tci", 24)),
    here(readable("vlan_proto", 28)),
    here(writable("priority", 32)),
    here(readable("ingress_ifindex", 36)),
    here(readable("ifindex", 40)),
    here(readable("tc_index", 44)),
    here(scratch("cb", 48, 20)),
    here(readable("hash", 68)),
    here_pointer("data", 76, pkt, run_data),
    here_pointer("data_end", 80, pkt_end, run_data_end),
    here(readable("napi_id", 84)),
    here(readable("gso_segs", 164)),
    here_sock(),
    here(readable("gso_size", 176)),
};

constexpr ctx_field sk_skb_fields[] = {
    readable("len", 0),
    readable("pkt_type", 4),
    readable("queue_mapping", 12),
    readable("protocol", 16),
    readable("vlan_present", 20),
    readable("vlan_tci", 24),
    readable("vlan_proto", 28),
    writable("priority", 32),
    readable("ingress_ifindex", 36),
    readable("ifindex", 40),
    writable("tc_index", 44),
    with_stores(scratch("cb", 48, 20), 0),
    readable("hash", 68),
    pointer32("data", 76, pkt),
    pointer32("data_end", 80, pkt_end),
    readable("napi_id", 84),
    readable("family", 88),
    words("remote_ip4", 92),
    words("local_ip4", 96),
    words("remote_ip6", 100, 16),
    words("local_ip6", 116, 16),
    readable("remote_port", 132),
    readable("local_port", 136),
    readable("gso_segs", 164),
    here_sock(),
    readable("gso_size", 176),
};

constexpr ctx_field flow_dissector_fields[] = {
    pointer32("data", 76, pkt),
    pointer32("data_end", 80, pkt_end),
    pointer("flow_keys", 144, reg_type::flow_keys),
};

constexpr ctx_field xdp_fields[] = {
    here_pointer("data", 0, pkt, run_data),
    here_pointer("data_end", 4, pkt_end, run_data_end),
    here_pointer("data_meta", 8, pkt_meta, run_data_meta),
    here(words("ingress_ifindex", 12)),
    here(words("rx_queue_index", 16)),
    for_attach(words("egress_ifindex", 20), on(BPF_XDP_DEVMAP)),
};

constexpr bool fields_are_sound(span<const ctx_field> f, u32 size) {
    u32 end = 0;
    for (const ctx_field &c : f) {
        if (c.off < end || c.off + c.size > size || !c.reads)
            return false;
        end = c.off + c.size;
        if (!c.runs)
            continue;
        if ((c.yields != number) != (c.run_size == 8) || (c.run_size == 8 && c.writes))
            return false;
        if (c.run_off + c.size > sizeof(packet_run) || c.store_size > c.size)
            return false;
    }
    return true;
}
static_assert(fields_are_sound(socket_filter_fields, user_skb_size));
static_assert(fields_are_sound(sched_cls_fields, user_skb_size));
static_assert(fields_are_sound(cgroup_skb_fields, user_skb_size));
static_assert(fields_are_sound(lwt_fields, user_skb_size));
static_assert(fields_are_sound(xdp_fields, user_xdp_size));

constexpr return_rule cgroup_skb_returns[] = {{on(BPF_CGROUP_INET_EGRESS), 0, 3}, {0, 0, 1}};

constexpr prog_type_info lwt(u32 type, const char *name, bool packet_write) {
    return {.type = type,
            .name = name,
            .kind = ctx_kind::fields,
            .size = user_skb_size,
            .fields = lwt_fields,
            .packet_read = true,
            .packet_write = packet_write,
            .test_run = type != BPF_PROG_TYPE_LWT_SEG6LOCAL,
            .verify_only = type == BPF_PROG_TYPE_LWT_SEG6LOCAL,
            .held = true};
}

}  // namespace

constinit const prog_type_info socket_filter_type = {
    .type = BPF_PROG_TYPE_SOCKET_FILTER,
    .name = "socket_filter",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = socket_filter_fields,
    .ld_abs = true,
    .test_run = true,
    .held = true,
};

constinit const prog_type_info sched_cls_type = {
    .type = BPF_PROG_TYPE_SCHED_CLS,
    .name = "sched_cls",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = sched_cls_fields,
    .packet_read = true,
    .packet_write = true,
    .ld_abs = true,
    .test_run = true,
    .held = true,
};

constinit const prog_type_info sched_act_type = {
    .type = BPF_PROG_TYPE_SCHED_ACT,
    .name = "sched_act",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = sched_cls_fields,
    .packet_read = true,
    .packet_write = true,
    .ld_abs = true,
    .test_run = true,
    .held = true,
};

constinit const prog_type_info xdp_type = {
    .type = BPF_PROG_TYPE_XDP,
    .name = "xdp",
    .kind = ctx_kind::fields,
    .size = user_xdp_size,
    .fields = xdp_fields,
    .packet_read = true,
    .packet_write = true,
    .test_run = true,
    .held = true,
};

constinit const prog_type_info cgroup_skb_type = {
    .type = BPF_PROG_TYPE_CGROUP_SKB,
    .name = "cgroup_skb",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = cgroup_skb_fields,
    .returns = cgroup_skb_returns,
    .attach_types = on(BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS),
    .packet_read = true,
    .test_run = true,
    .held = true,
};

constinit const prog_type_info lwt_in_type = lwt(BPF_PROG_TYPE_LWT_IN, "lwt_in", false);
constinit const prog_type_info lwt_out_type = lwt(BPF_PROG_TYPE_LWT_OUT, "lwt_out", false);
constinit const prog_type_info lwt_xmit_type = lwt(BPF_PROG_TYPE_LWT_XMIT, "lwt_xmit", true);
constinit const prog_type_info lwt_seg6local_type = lwt(BPF_PROG_TYPE_LWT_SEG6LOCAL, "lwt_seg6local", false);

constinit const prog_type_info sk_skb_type = {
    .type = BPF_PROG_TYPE_SK_SKB,
    .name = "sk_skb",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = sk_skb_fields,
    .packet_read = true,
    .packet_write = true,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info flow_dissector_type = {
    .type = BPF_PROG_TYPE_FLOW_DISSECTOR,
    .name = "flow_dissector",
    .kind = ctx_kind::fields,
    .size = user_skb_size,
    .fields = flow_dissector_fields,
    .packet_read = true,
    .verify_only = true,
    .held = true,
};

}  // namespace modbpf
