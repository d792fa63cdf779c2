// SPDX-License-Identifier: GPL-2.0-only
// Program types of sockets, cgroups and netfilter. Offsets are those of Linux 6.12's structures for user space; what may be accessed
// follows sock_filter_is_valid_access, sock_addr_is_valid_access, sock_ops_is_valid_access, sk_msg_is_valid_access,
// sk_reuseport_is_valid_access, sk_lookup_is_valid_access, cgroup_dev_is_valid_access, sysctl_is_valid_access,
// cg_sockopt_is_valid_access and nf_is_valid_access. None of them can be attached or run by modbpf.
#include "prog/type_rows.h"

namespace modbpf {

using namespace type_rows;

namespace {

constexpr reg_type pkt = reg_type::packet, pkt_end = reg_type::packet_end, sock = reg_type::socket;

constexpr attach_set sock_opened_closed = on(BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_INET_SOCK_RELEASE),
                     bound4 = on(BPF_CGROUP_INET4_POST_BIND), bound6 = on(BPF_CGROUP_INET6_POST_BIND);

// struct bpf_sock
constexpr ctx_field cgroup_sock_fields[] = {
    for_attach(with_stores(words("bound_dev_if", 0), word), sock_opened_closed),
    leading("family", 4),
    leading("type", 8),
    leading("protocol", 12),
    for_attach(with_stores(words("mark", 16), word), sock_opened_closed),
    for_attach(with_stores(words("priority", 20), word), sock_opened_closed),
    for_attach(readable("src_ip4", 24), bound4),
    for_attach(readable("src_ip6", 28, 16), bound6),
    for_attach(leading("src_port", 44), bound4 | bound6),
    {"dst_port", 48, 2, 1 | 2, 0, number},
    words("dst_port", 48), // from when it had 4 bytes
    readable("dst_ip4", 52),
    readable("dst_ip6", 56, 16),
    leading("state", 72),
    leading("rx_queue_mapping", 76),
};

constexpr attach_set
    peer4 = on(BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET4_GETPEERNAME, BPF_CGROUP_INET4_GETSOCKNAME,
               BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP4_RECVMSG),
    peer6 = on(BPF_CGROUP_INET6_BIND, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_INET6_GETSOCKNAME,
               BPF_CGROUP_UDP6_SENDMSG, BPF_CGROUP_UDP6_RECVMSG),
    peer_unix = on(BPF_CGROUP_UNIX_CONNECT, BPF_CGROUP_UNIX_GETPEERNAME, BPF_CGROUP_UNIX_GETSOCKNAME, BPF_CGROUP_UNIX_SENDMSG,
                   BPF_CGROUP_UNIX_RECVMSG);

// struct bpf_sock_addr
constexpr ctx_field sock_addr_fields[] = {
    words("user_family", 0),
    for_attach(writable("user_ip4", 4), peer4),
    for_attach({"user_ip6", 8, 16, any_size, word | dword, number}, peer6),
    writable("user_port", 24),
    words("family", 28),
    words("type", 32),
    words("protocol", 36),
    for_attach(writable("msg_src_ip4", 40), on(BPF_CGROUP_UDP4_SENDMSG)),
    for_attach({"msg_src_ip6", 44, 16, any_size, word | dword, number}, on(BPF_CGROUP_UDP6_SENDMSG)),
    pointer("sk", 64, sock),
};

constexpr return_rule sock_addr_returns[] = {
    {on(BPF_CGROUP_UDP4_RECVMSG, BPF_CGROUP_UDP6_RECVMSG, BPF_CGROUP_UNIX_RECVMSG, BPF_CGROUP_INET4_GETPEERNAME,
        BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_UNIX_GETPEERNAME, BPF_CGROUP_INET4_GETSOCKNAME, BPF_CGROUP_INET6_GETSOCKNAME,
        BPF_CGROUP_UNIX_GETSOCKNAME),
     1, 1},
    {on(BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND), 0, 3},
    {0, 0, 1},
};

// struct bpf_sock_ops
constexpr ctx_field sock_ops_fields[] = {
    words("op", 0),
    with_stores(words("reply", 4), word),
    words("args", 8, 12),
    words("family", 20),
    words("remote_ip4", 24),
    words("local_ip4", 28),
    words("remote_ip6", 32, 16),
    words("local_ip6", 48, 16),
    words("remote_port", 64),
    words("local_port", 68),
    words("is_fullsock", 72),
    words("snd_cwnd", 76),
    words("srtt_us", 80),
    words("bpf_sock_ops_cb_flags", 84),
    words("state", 88),
    words("rtt_min", 92),
    words("snd_ssthresh", 96),
    words("rcv_nxt", 100),
    words("snd_nxt", 104),
    words("snd_una", 108),
    words("mss_cache", 112),
    words("ecn_flags", 116),
    words("rate_delivered", 120),
    words("rate_interval_us", 124),
    words("packets_out", 128),
    words("retrans_out", 132),
    words("total_retrans", 136),
    words("segs_in", 140),
    words("data_segs_in", 144),
    words("segs_out", 148),
    words("data_segs_out", 152),
    words("lost_out", 156),
    words("sacked_out", 160),
    with_stores(words("sk_txhash", 164), word),
    dwords("bytes_received", 168),
    dwords("bytes_acked", 176),
    pointer("sk", 184, or_null(sock)),
    pointer("skb_data", 192, pkt),
    pointer("skb_data_end", 200, pkt_end),
    words("skb_len", 208),
    leading("skb_tcp_flags", 212),
    dwords("skb_hwtstamp", 216),
};

// struct sk_msg_md
constexpr ctx_field sk_msg_fields[] = {
    pointer("data", 0, pkt),
    pointer("data_end", 8, pkt_end),
    words("family", 16),
    words("remote_ip4", 20),
    words("local_ip4", 24),
    words("remote_ip6", 28, 16),
    words("local_ip6", 44, 16),
    words("remote_port", 60),
    words("local_port", 64),
    words("size", 68),
    pointer("sk", 72, sock),
};

// struct sk_reuseport_md
constexpr ctx_field sk_reuseport_fields[] = {
    pointer("data", 0, pkt),
    pointer("data_end", 8, pkt_end),
    readable("len", 16),
    {"eth_protocol", 20, 4, 2 | 4, 0, number},
    readable("ip_protocol", 24),
    readable("bind_inany", 28),
    words("hash", 32),
    pointer("sk", 40, sock),
    pointer("migrating_sk", 48, or_null(reg_type::sock_common)),
};

// struct bpf_sk_lookup
constexpr ctx_field sk_lookup_fields[] = {
    pointer("sk", 0, or_null(sock)),
    readable("family", 8),
    readable("protocol", 12),
    readable("remote_ip4", 16),
    readable("remote_ip6", 20, 16),
    {"remote_port", 36, 2, 1 | 2, 0, number},
    words("remote_port", 36),               // from when it had 4 bytes
    {"(padding)", 38, 2, 1 | 2, 0, number},
    readable("local_ip4", 40),
    readable("local_ip6", 44, 16),
    readable("local_port", 60),
    readable("ingress_ifindex", 64),
};

// struct bpf_cgroup_dev_ctx
constexpr ctx_field cgroup_device_fields[] = {readable("access_type", 0), words("major", 4), words("minor", 8)};

// struct bpf_sysctl
constexpr ctx_field cgroup_sysctl_fields[] = {readable("write", 0), writable("file_pos", 4)};

constexpr ctx_field stored_by(ctx_field f, attach_set a) {
    f.writes = word, f.write_attach = a;
    return f;
}

// struct bpf_sockopt
constexpr ctx_field cgroup_sockopt_fields[] = {
    pointer("sk", 0, sock),
    pointer("optval", 8, pkt),
    pointer("optval_end", 16, pkt_end),
    stored_by(words("level", 24), on(BPF_CGROUP_SETSOCKOPT)),
    stored_by(words("optname", 28), on(BPF_CGROUP_SETSOCKOPT)),
    with_stores(words("optlen", 32), word),
    for_attach(with_stores(words("retval", 36), word), on(BPF_CGROUP_GETSOCKOPT)),
};

constexpr ctx_field kernel_pointer(const char *name, u16 off, const char *type) {
    ctx_field f = pointer(name, off, reg_type::btf_ptr | type_flag::trusted);
    f.btf_type = type;
    return f;
}

// struct bpf_nf_ctx
constexpr ctx_field netfilter_fields[] = {
    kernel_pointer("state", 0, "nf_hook_state"),
    kernel_pointer("skb", 8, "sk_buff"),
};

constexpr return_rule zero_or_one[] = {{0, 0, 1}};

}  // namespace

constinit const prog_type_info cgroup_sock_type = {
    .type = BPF_PROG_TYPE_CGROUP_SOCK,
    .name = "cgroup_sock",
    .kind = ctx_kind::fields,
    .size = 80,
    .fields = cgroup_sock_fields,
    .returns = zero_or_one,
    .attach_types = sock_opened_closed | bound4 | bound6,
    .default_attach = BPF_CGROUP_INET_SOCK_CREATE,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info cgroup_sock_addr_type = {
    .type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
    .name = "cgroup_sock_addr",
    .kind = ctx_kind::fields,
    .size = 72,
    .fields = sock_addr_fields,
    .returns = sock_addr_returns,
    .attach_types = peer4 | peer6 | peer_unix,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info sock_ops_type = {
    .type = BPF_PROG_TYPE_SOCK_OPS,
    .name = "sock_ops",
    .kind = ctx_kind::fields,
    .size = 224,
    .fields = sock_ops_fields,
    .returns = zero_or_one,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info sk_msg_type = {
    .type = BPF_PROG_TYPE_SK_MSG,
    .name = "sk_msg",
    .kind = ctx_kind::fields,
    .size = 80,
    .fields = sk_msg_fields,
    .packet_read = true,
    .packet_write = true,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info sk_reuseport_type = {
    .type = BPF_PROG_TYPE_SK_REUSEPORT,
    .name = "sk_reuseport",
    .kind = ctx_kind::fields,
    .size = 56,
    .fields = sk_reuseport_fields,
    .attach_types = on(BPF_SK_REUSEPORT_SELECT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE),
    .default_attach = BPF_SK_REUSEPORT_SELECT,
    .packet_read = true,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info sk_lookup_type = {
    .type = BPF_PROG_TYPE_SK_LOOKUP,
    .name = "sk_lookup",
    .kind = ctx_kind::fields,
    .size = 72,
    .fields = sk_lookup_fields,
    .returns = zero_or_one,
    .attach_types = on(BPF_SK_LOOKUP),
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info cgroup_device_type = {
    .type = BPF_PROG_TYPE_CGROUP_DEVICE,
    .name = "cgroup_device",
    .kind = ctx_kind::fields,
    .size = 12,
    .fields = cgroup_device_fields,
    .returns = zero_or_one,
    .raw_ctx = true,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info cgroup_sysctl_type = {
    .type = BPF_PROG_TYPE_CGROUP_SYSCTL,
    .name = "cgroup_sysctl",
    .kind = ctx_kind::fields,
    .size = 8,
    .fields = cgroup_sysctl_fields,
    .returns = zero_or_one,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info cgroup_sockopt_type = {
    .type = BPF_PROG_TYPE_CGROUP_SOCKOPT,
    .name = "cgroup_sockopt",
    .kind = ctx_kind::fields,
    .size = 40,
    .fields = cgroup_sockopt_fields,
    .returns = zero_or_one,
    .attach_types = on(BPF_CGROUP_SETSOCKOPT, BPF_CGROUP_GETSOCKOPT),
    .packet_read = true,
    .packet_write = true,
    .packet_helpers = true,
    .verify_only = true,
    .held = true,
};

constinit const prog_type_info netfilter_type = {
    .type = BPF_PROG_TYPE_NETFILTER,
    .name = "netfilter",
    .kind = ctx_kind::fields,
    .size = 16,
    .fields = netfilter_fields,
    .returns = zero_or_one,
    .attach_types = on(BPF_NETFILTER),
    .raw_ctx = true,
    .verify_only = true,
    .held = true,
};

}  // namespace modbpf
