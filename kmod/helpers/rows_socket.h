// SPDX-License-Identifier: GPL-2.0-only
// Rows of the helpers that work on sockets and on the hooks of control groups.
#pragma once

#include "helpers/rows.h"

namespace modbpf::helper_rows {

// clang-format off
inline constexpr row socket_rows[] = {
    {BPF_FUNC_get_cgroup_classid, ret::integer, {ctx}, 0, lwt_progs | tc_progs, 0, nullptr},
    {BPF_FUNC_get_cgroup_classid, ret::integer, {}, 0, cgroup_progs | sk_msg, 0, nullptr},
    {BPF_FUNC_get_socket_cookie, ret::integer, {btf_id_sock_common | or_null}, 0, typed_progs | sk_reuseport, 0,
     nullptr},
    {BPF_FUNC_get_socket_cookie, ret::integer, {ctx}, 0, tc_progs | socket_filter | cgroup_skb | cgroup_sock |
     sock_ops | sk_skb | cgroup_sock_addr, 0, nullptr},
    {BPF_FUNC_get_socket_uid, ret::integer, {ctx}, 0, tc_progs | socket_filter | cgroup_skb | sk_skb, 0, nullptr},
    row{BPF_FUNC_setsockopt, ret::integer, {ctx, anything, anything, const_mem, const_size}, 0, cgroup_sock_addr, 0,
     nullptr}.on(socket_option_hooks),
    row{BPF_FUNC_setsockopt, ret::integer, {btf_id_sock_common, anything, anything, const_mem, const_size}, 0,
     struct_ops, 0, nullptr}.on(as(struct_ops_kind::tcp)),
    row{BPF_FUNC_setsockopt, ret::integer, {btf_id_sock_common, anything, anything, const_mem, const_size}, 0,
     cgroup_sockopt, 0, nullptr}.on(bit(BPF_CGROUP_SETSOCKOPT)),
    row{BPF_FUNC_setsockopt, ret::integer, {btf_id_sock_common, anything, anything, const_mem, const_size}, 0,
     tracing, 0, nullptr}.on(bit(BPF_TRACE_ITER)).only(hook_rule::iter_sockets),
    row{BPF_FUNC_setsockopt, ret::integer, {btf_id_sock_common, anything, anything, const_mem, const_size}, 0, lsm,
     0, nullptr}.on(bit(BPF_LSM_CGROUP)).only(hook_rule::lsm_sockets),
    {BPF_FUNC_setsockopt, ret::integer, {ctx, anything, anything, const_mem, const_size}, 0, sock_ops, 0, nullptr},
    {BPF_FUNC_sk_redirect_map, ret::integer, {ctx, const_map_ptr, anything, anything}, 0, sk_skb, sockmaps, nullptr},
    {BPF_FUNC_sock_map_update, ret::integer, {ctx, const_map_ptr, map_key, anything}, pkt, sock_ops, sockmaps,
     nullptr},
    row{BPF_FUNC_getsockopt, ret::integer, {ctx, anything, anything, uninit_mem, const_size}, 0, cgroup_sock_addr, 0,
     nullptr}.on(socket_option_hooks),
    row{BPF_FUNC_getsockopt, ret::integer, {btf_id_sock_common, anything, anything, uninit_mem, const_size}, 0,
     struct_ops, 0, nullptr}.on(as(struct_ops_kind::tcp)),
    row{BPF_FUNC_getsockopt, ret::integer, {btf_id_sock_common, anything, anything, uninit_mem, const_size}, 0,
     cgroup_sockopt, 0, nullptr}.on(bit(BPF_CGROUP_SETSOCKOPT)),
    row{BPF_FUNC_getsockopt, ret::integer, {btf_id_sock_common, anything, anything, uninit_mem, const_size}, 0,
     tracing, 0, nullptr}.on(bit(BPF_TRACE_ITER)).only(hook_rule::iter_sockets),
    row{BPF_FUNC_getsockopt, ret::integer, {btf_id_sock_common, anything, anything, uninit_mem, const_size}, 0, lsm,
     0, nullptr}.on(bit(BPF_LSM_CGROUP)).only(hook_rule::lsm_sockets),
    {BPF_FUNC_getsockopt, ret::integer, {ctx, anything, anything, uninit_mem, const_size}, 0, sock_ops, 0, nullptr},
    {BPF_FUNC_sock_ops_cb_flags_set, ret::integer, {ctx, anything}, 0, sock_ops, 0, nullptr},
    row{BPF_FUNC_bind, ret::integer, {ctx, const_mem, const_size}, 0, cgroup_sock_addr, 0, nullptr}
     .on(bit(BPF_CGROUP_INET4_CONNECT) | bit(BPF_CGROUP_INET6_CONNECT)),
    {BPF_FUNC_sock_hash_update, ret::integer, {ctx, const_map_ptr, map_key, anything}, pkt, sock_ops, sockhashes,
     nullptr},
    {BPF_FUNC_sk_redirect_hash, ret::integer, {ctx, const_map_ptr, map_key, anything}, 0, sk_skb, sockhashes,
     nullptr},
    {BPF_FUNC_rc_repeat, ret::integer, {ctx}, gpl, lirc_mode2, 0, nullptr},
    {BPF_FUNC_rc_keydown, ret::integer, {ctx, anything, anything, anything}, gpl, lirc_mode2, 0, nullptr},
    {BPF_FUNC_sk_select_reuseport, ret::integer, {ctx, const_map_ptr, map_key, anything}, 0, sk_reuseport,
     reuseport_maps, nullptr},
    {BPF_FUNC_sk_lookup_tcp, ret::socket | or_null, {ctx, const_mem, const_size_or_zero, anything, anything},
     acquires, cgroup_sock_addr, 0, nullptr},
    {BPF_FUNC_sk_lookup_tcp, ret::socket | or_null, {ctx, const_mem, const_size_or_zero, anything, anything}, pkt |
     acquires, tc_progs | xdp | cgroup_skb | sk_skb, 0, nullptr},
    {BPF_FUNC_sk_lookup_udp, ret::socket | or_null, {ctx, const_mem, const_size_or_zero, anything, anything},
     acquires, cgroup_sock_addr, 0, nullptr},
    {BPF_FUNC_sk_lookup_udp, ret::socket | or_null, {ctx, const_mem, const_size_or_zero, anything, anything}, pkt |
     acquires, tc_progs | xdp | cgroup_skb | sk_skb, 0, nullptr},
    {BPF_FUNC_sk_release, ret::integer, {btf_id_sock_common | releases}, 0, tc_progs | xdp | cgroup_skb | sk_skb |
     cgroup_sock_addr | sk_lookup, 0, nullptr},
    {BPF_FUNC_rc_pointer_rel, ret::integer, {ctx, anything, anything}, gpl, lirc_mode2, 0, nullptr},
    {BPF_FUNC_sk_fullsock, ret::socket | or_null, {sock_common}, casts, tc_progs | cgroup_skb, 0, bpf_sk_fullsock},
    {BPF_FUNC_tcp_sock, ret::tcp_sock | or_null, {sock_common}, casts, tc_progs | cgroup_skb | sock_ops |
     cgroup_sockopt, 0, bpf_tcp_sock},
    {BPF_FUNC_get_listener_sock, ret::socket | or_null, {sock_common}, 0, tc_progs | cgroup_skb, 0, bpf_get_listener_sock},
    {BPF_FUNC_skc_lookup_tcp, ret::sock_common | or_null, {ctx, const_mem, const_size_or_zero, anything, anything},
     acquires, cgroup_sock_addr, 0, nullptr},
    {BPF_FUNC_skc_lookup_tcp, ret::sock_common | or_null, {ctx, const_mem, const_size_or_zero, anything, anything},
     pkt | acquires, tc_progs | xdp | cgroup_skb | sk_skb, 0, nullptr},
    {BPF_FUNC_tcp_check_syncookie, ret::integer, {btf_id_sock_common, const_mem, const_size, const_mem, const_size},
     gpl | pkt, tc_progs | xdp, 0, nullptr},
    {BPF_FUNC_sysctl_get_name, ret::integer, {ctx, out_mem, const_size, anything}, 0, cgroup_sysctl, 0, nullptr},
    {BPF_FUNC_sysctl_get_current_value, ret::integer, {ctx, uninit_mem, const_size}, 0, cgroup_sysctl, 0, nullptr},
    {BPF_FUNC_sysctl_get_new_value, ret::integer, {ctx, uninit_mem, const_size}, 0, cgroup_sysctl, 0, nullptr},
    {BPF_FUNC_sysctl_set_new_value, ret::integer, {ctx, const_mem, const_size}, 0, cgroup_sysctl, 0, nullptr},
    row{BPF_FUNC_sk_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id_sock_common, map_value | or_null,
     anything}, storage, struct_ops, sk_storages, nullptr}.on(as(struct_ops_kind::tcp) |
     as(struct_ops_kind::tcp_release)),
    {BPF_FUNC_sk_storage_get, ret::map_value_or_null, {const_map_ptr, ctx, map_value | or_null, anything}, storage,
     cgroup_sock, sk_storages, nullptr},
    row{BPF_FUNC_sk_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id | or_null, map_value | or_null,
     anything}, storage, tracing | syscall, sk_storages, bpf_sk_storage_get_tracing}.typed({nullptr, "sock_common"})
     .only(hook_rule::not_sk_storage),
    {BPF_FUNC_sk_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id_sock_common, map_value | or_null,
     anything}, storage, lsm, sk_storages, bpf_sk_storage_get},
    {BPF_FUNC_sk_storage_get, ret::map_value_or_null, {const_map_ptr, btf_id_sock_common, map_value | or_null,
     anything}, storage, tc_progs | cgroup_skb | sock_ops | sk_msg | cgroup_sock_addr | cgroup_sockopt,
     sk_storages, nullptr},
    row{BPF_FUNC_sk_storage_delete, ret::integer, {const_map_ptr, btf_id_sock_common}, 0, struct_ops, sk_storages,
     nullptr}.on(as(struct_ops_kind::tcp) | as(struct_ops_kind::tcp_release)),
    row{BPF_FUNC_sk_storage_delete, ret::integer, {const_map_ptr, btf_id | or_null}, 0, tracing | syscall,
     sk_storages, bpf_sk_storage_delete_tracing}.typed({nullptr, "sock_common"}).only(hook_rule::not_sk_storage),
    {BPF_FUNC_sk_storage_delete, ret::integer, {const_map_ptr, btf_id_sock_common}, 0, lsm, sk_storages,
     bpf_sk_storage_delete},
    {BPF_FUNC_sk_storage_delete, ret::integer, {const_map_ptr, btf_id_sock_common}, 0, tc_progs | cgroup_skb |
     sock_ops | sk_msg | cgroup_sock_addr | cgroup_sockopt, sk_storages, nullptr},
    {BPF_FUNC_tcp_gen_syncookie, ret::integer, {btf_id_sock_common, const_mem, const_size, const_mem, const_size},
     gpl | pkt, tc_progs | xdp, 0, nullptr},
    row{BPF_FUNC_tcp_send_ack, ret::integer, {btf_id, anything}, 0, struct_ops, 0, nullptr}
     .on(as(struct_ops_kind::tcp) | as(struct_ops_kind::tcp_release)).typed({"tcp_sock"}),
    {BPF_FUNC_get_netns_cookie, ret::integer, {ctx_or_null}, 0, (cgroup_progs & ~(cgroup_device | cgroup_sysctl)) |
     sock_ops | sk_msg, 0, nullptr},
    {BPF_FUNC_sk_assign, ret::integer, {ctx, socket | or_null, anything}, 0, sk_lookup, 0, nullptr},
    {BPF_FUNC_sk_assign, ret::integer, {ctx, btf_id_sock_common, anything}, 0, tc_progs, 0, nullptr},
    {BPF_FUNC_sk_cgroup_id, ret::integer, {btf_id_sock_common}, 0, cgroup_skb, 0, nullptr},
    {BPF_FUNC_sk_ancestor_cgroup_id, ret::integer, {btf_id_sock_common, anything}, 0, cgroup_skb, 0, nullptr},
    row{BPF_FUNC_skc_to_tcp6_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts, syscall, 0, nullptr}
     .gives("tcp6_sock"),
    row{BPF_FUNC_skc_to_tcp6_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts | perfmon, sock_progs |
     typed_progs, 0, nullptr}.gives("tcp6_sock"),
    row{BPF_FUNC_skc_to_tcp_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts, syscall, 0, nullptr}
     .gives("tcp_sock"),
    row{BPF_FUNC_skc_to_tcp_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts | perfmon, sock_progs |
     typed_progs, 0, nullptr}.gives("tcp_sock"),
    row{BPF_FUNC_skc_to_tcp_timewait_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts, syscall, 0, nullptr}
     .gives("tcp_timewait_sock"),
    row{BPF_FUNC_skc_to_tcp_timewait_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts | perfmon, sock_progs |
     typed_progs, 0, nullptr}.gives("tcp_timewait_sock"),
    row{BPF_FUNC_skc_to_tcp_request_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts, syscall, 0, nullptr}
     .gives("tcp_request_sock"),
    row{BPF_FUNC_skc_to_tcp_request_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts | perfmon, sock_progs |
     typed_progs, 0, nullptr}.gives("tcp_request_sock"),
    row{BPF_FUNC_skc_to_udp6_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts, syscall, 0, nullptr}
     .gives("udp6_sock"),
    row{BPF_FUNC_skc_to_udp6_sock, ret::btf_id | or_null, {btf_id_sock_common}, casts | perfmon, sock_progs |
     typed_progs, 0, nullptr}.gives("udp6_sock"),
    {BPF_FUNC_load_hdr_opt, ret::integer, {ctx, out_mem, const_size, anything}, 0, sock_ops, 0, nullptr},
    {BPF_FUNC_store_hdr_opt, ret::integer, {ctx, const_mem, const_size, anything}, moves, sock_ops, 0, nullptr},
    {BPF_FUNC_reserve_hdr_opt, ret::integer, {ctx, anything, anything}, 0, sock_ops, 0, nullptr},
    row{BPF_FUNC_sock_from_file, ret::btf_id | or_null, {btf_id}, 0, typed_progs, 0, nullptr}.typed({"file"})
     .gives("socket"),
    row{BPF_FUNC_skc_to_unix_sock, ret::btf_id | or_null, {btf_id_sock_common}, 0, syscall, 0, nullptr}
     .gives("unix_sock"),
    row{BPF_FUNC_skc_to_unix_sock, ret::btf_id | or_null, {btf_id_sock_common}, perfmon, sock_progs | typed_progs, 0,
     nullptr}.gives("unix_sock"),
    row{BPF_FUNC_get_retval, ret::integer, {}, 0, lsm, 0, nullptr}.on(bit(BPF_LSM_CGROUP)),
    row{BPF_FUNC_get_retval, ret::integer, {}, 0, (cgroup_progs & ~(cgroup_sock | cgroup_sockopt)) | sock_ops, 0,
     nullptr}.on(~no_retval_hooks),
    {BPF_FUNC_get_retval, ret::integer, {}, 0, cgroup_sock | cgroup_sockopt, 0, nullptr},
    row{BPF_FUNC_set_retval, ret::integer, {anything}, retval, lsm, 0, nullptr}.on(bit(BPF_LSM_CGROUP)),
    row{BPF_FUNC_set_retval, ret::integer, {anything}, retval, (cgroup_progs & ~(cgroup_sock | cgroup_sockopt)) |
     sock_ops, 0, nullptr}.on(~no_retval_hooks),
    {BPF_FUNC_set_retval, ret::integer, {anything}, retval, cgroup_sock | cgroup_sockopt, 0, nullptr},
    row{BPF_FUNC_skc_to_mptcp_sock, ret::btf_id | or_null, {sock_common}, casts, syscall, 0, nullptr}
     .gives("mptcp_sock"),
    row{BPF_FUNC_skc_to_mptcp_sock, ret::btf_id | or_null, {sock_common}, casts | perfmon, sock_progs | typed_progs,
     0, nullptr}.gives("mptcp_sock"),
    row{BPF_FUNC_tcp_raw_gen_syncookie_ipv4, ret::integer, {mem | fixed, mem, const_size_or_zero}, gpl | pkt,
     tc_progs | xdp, 0, nullptr}.sized({20}),
    row{BPF_FUNC_tcp_raw_gen_syncookie_ipv6, ret::integer, {mem | fixed, mem, const_size_or_zero}, gpl | pkt,
     tc_progs | xdp, 0, nullptr}.sized({40}),
    row{BPF_FUNC_tcp_raw_check_syncookie_ipv4, ret::integer, {mem | fixed, mem | fixed}, gpl | pkt, tc_progs | xdp,
     0, nullptr}.sized({20, 20}),
    row{BPF_FUNC_tcp_raw_check_syncookie_ipv6, ret::integer, {mem | fixed, mem | fixed}, gpl | pkt, tc_progs | xdp,
     0, nullptr}.sized({40, 20}),
};
// clang-format on

}  // namespace modbpf::helper_rows
