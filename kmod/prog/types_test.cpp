// SPDX-License-Identifier: GPL-2.0-only
// The context tables against the installed header, which knows offsets and sizes by name.
#include "helpers/packet.h"
#include "verifier/context.h"
#include "verifier/state.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stddef.h>
#include <string.h>
#include <string>
#include <vector>

namespace {

using namespace modbpf;

const prog_type_info &type(u32 t) { return *find_prog_type(t); }

TEST(prog_types, are_found) {
    EXPECT_EQ(all_prog_types().size(), 32u);
    for (const prog_type_info *t : all_prog_types())
        EXPECT_EQ(find_prog_type(t->type), t);
    for (u32 t = 1; t <= 32; t++)
        EXPECT_TRUE(find_prog_type(t)) << t;
    EXPECT_EQ(find_prog_type(0), nullptr);
    EXPECT_EQ(find_prog_type(33), nullptr);
    EXPECT_EQ(find_prog_type(~0u), nullptr);
}

/// Verified only is what cannot be test-run or attached, unless it is with some attach types.
TEST(prog_types, that_run_are_few) {
    std::string names;
    for (const prog_type_info *t : all_prog_types())
        if (!t->verify_only)
            names += std::string(t->name) + " ";
        else
            EXPECT_TRUE(!t->test_run || t->runs_attach) << t->name;
    EXPECT_EQ(names, "socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event cgroup_skb lwt_in lwt_out lwt_xmit raw_tracepoint raw_tracepoint_writable syscall ");
}

const ctx_field *at(u32 t, size_t off) {
    for (const ctx_field &f : type(t).fields)
        if (f.off == off)
            return &f;
    return nullptr;
}

struct member {
    const char *name;
    size_t off, size;
};
#define M(s, m) {#m, offsetof(s, m), sizeof(s::m)}

const std::vector<member> skb = {
    M(__sk_buff, len), M(__sk_buff, pkt_type), M(__sk_buff, mark), M(__sk_buff, queue_mapping), M(__sk_buff, protocol),
    M(__sk_buff, vlan_present), M(__sk_buff, vlan_tci), M(__sk_buff, vlan_proto), M(__sk_buff, priority),
    M(__sk_buff, ingress_ifindex), M(__sk_buff, ifindex), M(__sk_buff, tc_index), M(__sk_buff, cb), M(__sk_buff, hash),
    M(__sk_buff, tc_classid), M(__sk_buff, data), M(__sk_buff, data_end), M(__sk_buff, napi_id), M(__sk_buff, family),
    M(__sk_buff, remote_ip4), M(__sk_buff, local_ip4), M(__sk_buff, remote_ip6), M(__sk_buff, local_ip6),
    M(__sk_buff, remote_port), M(__sk_buff, local_port), M(__sk_buff, data_meta), M(__sk_buff, flow_keys), M(__sk_buff, tstamp),
    M(__sk_buff, wire_len), M(__sk_buff, gso_segs), M(__sk_buff, sk), M(__sk_buff, gso_size), M(__sk_buff, tstamp_type),
    M(__sk_buff, hwtstamp),
};
const std::vector<member> xdp = {M(xdp_md, data), M(xdp_md, data_end), M(xdp_md, data_meta), M(xdp_md, ingress_ifindex),
                                 M(xdp_md, rx_queue_index), M(xdp_md, egress_ifindex)};
const std::vector<member> sock = {
    M(bpf_sock, bound_dev_if), M(bpf_sock, family), M(bpf_sock, type), M(bpf_sock, protocol), M(bpf_sock, mark), M(bpf_sock, priority),
    M(bpf_sock, src_ip4), M(bpf_sock, src_ip6), M(bpf_sock, src_port), {"dst_port", offsetof(bpf_sock, dst_port), 4},
    M(bpf_sock, dst_ip4), M(bpf_sock, dst_ip6), M(bpf_sock, state), M(bpf_sock, rx_queue_mapping),
};
const std::vector<member> sock_addr = {
    M(bpf_sock_addr, user_family), M(bpf_sock_addr, user_ip4), M(bpf_sock_addr, user_ip6), M(bpf_sock_addr, user_port),
    M(bpf_sock_addr, family), M(bpf_sock_addr, type), M(bpf_sock_addr, protocol), M(bpf_sock_addr, msg_src_ip4),
    M(bpf_sock_addr, msg_src_ip6), M(bpf_sock_addr, sk),
};
const std::vector<member> sock_ops = {
    M(bpf_sock_ops, op), M(bpf_sock_ops, reply), {"args", offsetof(bpf_sock_ops, args[1]), 12}, M(bpf_sock_ops, family),
    M(bpf_sock_ops, remote_ip4), M(bpf_sock_ops, local_ip4), M(bpf_sock_ops, remote_ip6), M(bpf_sock_ops, local_ip6),
    M(bpf_sock_ops, remote_port), M(bpf_sock_ops, local_port), M(bpf_sock_ops, is_fullsock), M(bpf_sock_ops, snd_cwnd),
    M(bpf_sock_ops, srtt_us), M(bpf_sock_ops, bpf_sock_ops_cb_flags), M(bpf_sock_ops, state), M(bpf_sock_ops, rtt_min),
    M(bpf_sock_ops, snd_ssthresh), M(bpf_sock_ops, rcv_nxt), M(bpf_sock_ops, snd_nxt), M(bpf_sock_ops, snd_una),
    M(bpf_sock_ops, mss_cache), M(bpf_sock_ops, ecn_flags), M(bpf_sock_ops, rate_delivered), M(bpf_sock_ops, rate_interval_us),
    M(bpf_sock_ops, packets_out), M(bpf_sock_ops, retrans_out), M(bpf_sock_ops, total_retrans), M(bpf_sock_ops, segs_in),
    M(bpf_sock_ops, data_segs_in), M(bpf_sock_ops, segs_out), M(bpf_sock_ops, data_segs_out), M(bpf_sock_ops, lost_out),
    M(bpf_sock_ops, sacked_out), M(bpf_sock_ops, sk_txhash), M(bpf_sock_ops, bytes_received), M(bpf_sock_ops, bytes_acked),
    M(bpf_sock_ops, sk), M(bpf_sock_ops, skb_data), M(bpf_sock_ops, skb_data_end), M(bpf_sock_ops, skb_len),
    M(bpf_sock_ops, skb_tcp_flags), {"skb_hwtstamp", 216, 8}, // newer than the header
};
const std::vector<member> sk_msg = {
    M(sk_msg_md, data), M(sk_msg_md, data_end), M(sk_msg_md, family), M(sk_msg_md, remote_ip4), M(sk_msg_md, local_ip4),
    M(sk_msg_md, remote_ip6), M(sk_msg_md, local_ip6), M(sk_msg_md, remote_port), M(sk_msg_md, local_port), M(sk_msg_md, size),
    M(sk_msg_md, sk),
};
const std::vector<member> reuseport = {
    M(sk_reuseport_md, data), M(sk_reuseport_md, data_end), M(sk_reuseport_md, len), M(sk_reuseport_md, eth_protocol),
    M(sk_reuseport_md, ip_protocol), M(sk_reuseport_md, bind_inany), M(sk_reuseport_md, hash), M(sk_reuseport_md, sk),
    M(sk_reuseport_md, migrating_sk),
};
const std::vector<member> lookup = {
    M(bpf_sk_lookup, sk), M(bpf_sk_lookup, family), M(bpf_sk_lookup, protocol), M(bpf_sk_lookup, remote_ip4),
    M(bpf_sk_lookup, remote_ip6), {"remote_port", offsetof(bpf_sk_lookup, remote_port), 4},
    {"(padding)", offsetof(bpf_sk_lookup, remote_port) + 2, 2}, M(bpf_sk_lookup, local_ip4), M(bpf_sk_lookup, local_ip6),
    M(bpf_sk_lookup, local_port), M(bpf_sk_lookup, ingress_ifindex),
};
const std::vector<member> device = {M(bpf_cgroup_dev_ctx, access_type), M(bpf_cgroup_dev_ctx, major), M(bpf_cgroup_dev_ctx, minor)};
const std::vector<member> sysctl = {M(bpf_sysctl, write), M(bpf_sysctl, file_pos)};
const std::vector<member> sockopt = {
    M(bpf_sockopt, sk), M(bpf_sockopt, optval), M(bpf_sockopt, optval_end), M(bpf_sockopt, level), M(bpf_sockopt, optname),
    M(bpf_sockopt, optlen), M(bpf_sockopt, retval),
};
const std::vector<member> perf_event = {M(bpf_perf_event_data, regs), M(bpf_perf_event_data, sample_period),
                                        M(bpf_perf_event_data, addr)};

struct layout {
    std::vector<u32> types;
    const std::vector<member> &members;
    size_t size;
};
const layout layouts[] = {
    {{::BPF_PROG_TYPE_SOCKET_FILTER, ::BPF_PROG_TYPE_SCHED_CLS, ::BPF_PROG_TYPE_SCHED_ACT, ::BPF_PROG_TYPE_CGROUP_SKB, ::BPF_PROG_TYPE_LWT_IN,
      ::BPF_PROG_TYPE_LWT_OUT, ::BPF_PROG_TYPE_LWT_XMIT, ::BPF_PROG_TYPE_LWT_SEG6LOCAL, ::BPF_PROG_TYPE_SK_SKB, ::BPF_PROG_TYPE_FLOW_DISSECTOR},
     skb, sizeof(__sk_buff)},
    {{::BPF_PROG_TYPE_XDP}, xdp, sizeof(xdp_md)},
    {{::BPF_PROG_TYPE_CGROUP_SOCK}, sock, sizeof(bpf_sock)},
    {{::BPF_PROG_TYPE_CGROUP_SOCK_ADDR}, sock_addr, sizeof(bpf_sock_addr)},
    {{::BPF_PROG_TYPE_SOCK_OPS}, sock_ops, 224},
    {{::BPF_PROG_TYPE_SK_MSG}, sk_msg, sizeof(sk_msg_md)},
    {{::BPF_PROG_TYPE_SK_REUSEPORT}, reuseport, sizeof(sk_reuseport_md)},
    {{::BPF_PROG_TYPE_SK_LOOKUP}, lookup, sizeof(bpf_sk_lookup)},
    {{::BPF_PROG_TYPE_CGROUP_DEVICE}, device, sizeof(bpf_cgroup_dev_ctx)},
    {{::BPF_PROG_TYPE_CGROUP_SYSCTL}, sysctl, sizeof(bpf_sysctl)},
    {{::BPF_PROG_TYPE_CGROUP_SOCKOPT}, sockopt, sizeof(bpf_sockopt)},
    {{::BPF_PROG_TYPE_PERF_EVENT}, perf_event, sizeof(bpf_perf_event_data)},
};

TEST(prog_types, offsets_are_those_of_the_header) {
    for (const layout &l : layouts)
        for (u32 t : l.types) {
            EXPECT_EQ(type(t).size, l.size) << type(t).name;
            EXPECT_FALSE(type(t).fields.empty()) << type(t).name;
            for (const ctx_field &f : type(t).fields) {
                bool found = false;
                for (const member &m : l.members)
                    found |= !strcmp(m.name, f.name) && m.off == f.off && f.size <= m.size;
                EXPECT_TRUE(found) << type(t).name << " " << f.name;
            }
        }
}

TEST(prog_types, pointers_are_what_they_are_called) {
    constexpr u32 cls = ::BPF_PROG_TYPE_SCHED_CLS, filter = ::BPF_PROG_TYPE_SOCKET_FILTER;
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data))->yields, reg_type::packet);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data_end))->yields, reg_type::packet_end);
    EXPECT_EQ(at(cls, offsetof(__sk_buff, data_meta))->yields, reg_type::packet_meta);
    EXPECT_EQ(at(filter, offsetof(__sk_buff, data)), nullptr);
    EXPECT_EQ(at(::BPF_PROG_TYPE_XDP, offsetof(xdp_md, data_meta))->yields, reg_type::packet_meta);
    EXPECT_EQ(at(::BPF_PROG_TYPE_FLOW_DISSECTOR, offsetof(__sk_buff, flow_keys))->yields, reg_type::flow_keys);
    EXPECT_EQ(at(::BPF_PROG_TYPE_CGROUP_SOCKOPT, offsetof(bpf_sockopt, optval_end))->yields, reg_type::packet_end);
}

TEST(prog_types, run_time_places_do_not_overlap) {
    for (const prog_type_info *t : all_prog_types())
        for (const ctx_field &f : t->fields) {
            if (t->verify_only || !f.runs)
                continue;
            if (t->type == ::BPF_PROG_TYPE_PERF_EVENT) { // the structure itself
                EXPECT_EQ(f.run_off, f.off);
                continue;
            }
            if (f.yields == reg_type::scalar) {
                EXPECT_EQ(f.run_off, packet_run_user + f.off);
            } else {
                EXPECT_LT(f.run_off, packet_run_user);
            }
            EXPECT_LE(f.run_off + (f.run_size ? f.run_size : f.size), sizeof(packet_run));
        }
}

}  // namespace
