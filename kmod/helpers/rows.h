// SPDX-License-Identifier: GPL-2.0-only
// The vocabulary of the prototype rows (rows_*.h): sets of program types and of map types, and short names for flags.
//
// Prototypes, licence, program types and hooks are those of Linux 6.12 (bpf_func_proto and the get_func_proto functions; map types:
// check_map_func_compatibility). The rows of an id stand together; the first one that fits the program counts, so the last row of an
// id may name more program types than are left for it. EXT programs are their target's type.
//
// Memory that a helper writes is marked so here even where Linux's prototype does not say it (out_mem): a map that programs may only
// read stays what it is.
#pragma once

#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf::helper_rows {

using enum arg_type;
using ret = ret_type;
using row = helper_proto;

// ---- program types --------------------------------------------------------------------------------------------------------

inline constexpr u64 socket_filter = bit(BPF_PROG_TYPE_SOCKET_FILTER), kprobe = bit(BPF_PROG_TYPE_KPROBE),
                     sched_cls = bit(BPF_PROG_TYPE_SCHED_CLS), sched_act = bit(BPF_PROG_TYPE_SCHED_ACT),
                     tracepoint = bit(BPF_PROG_TYPE_TRACEPOINT), xdp = bit(BPF_PROG_TYPE_XDP),
                     perf_event = bit(BPF_PROG_TYPE_PERF_EVENT), cgroup_skb = bit(BPF_PROG_TYPE_CGROUP_SKB),
                     cgroup_sock = bit(BPF_PROG_TYPE_CGROUP_SOCK), lwt_in = bit(BPF_PROG_TYPE_LWT_IN),
                     lwt_out = bit(BPF_PROG_TYPE_LWT_OUT), lwt_xmit = bit(BPF_PROG_TYPE_LWT_XMIT),
                     sock_ops = bit(BPF_PROG_TYPE_SOCK_OPS), sk_skb = bit(BPF_PROG_TYPE_SK_SKB),
                     cgroup_device = bit(BPF_PROG_TYPE_CGROUP_DEVICE), sk_msg = bit(BPF_PROG_TYPE_SK_MSG),
                     raw_tracepoint = bit(BPF_PROG_TYPE_RAW_TRACEPOINT),
                     cgroup_sock_addr = bit(BPF_PROG_TYPE_CGROUP_SOCK_ADDR),
                     lwt_seg6local = bit(BPF_PROG_TYPE_LWT_SEG6LOCAL), lirc_mode2 = bit(BPF_PROG_TYPE_LIRC_MODE2),
                     sk_reuseport = bit(BPF_PROG_TYPE_SK_REUSEPORT), flow_dissector = bit(BPF_PROG_TYPE_FLOW_DISSECTOR),
                     cgroup_sysctl = bit(BPF_PROG_TYPE_CGROUP_SYSCTL),
                     raw_tracepoint_writable = bit(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE),
                     cgroup_sockopt = bit(BPF_PROG_TYPE_CGROUP_SOCKOPT), tracing = bit(BPF_PROG_TYPE_TRACING),
                     struct_ops = bit(BPF_PROG_TYPE_STRUCT_OPS), lsm = bit(BPF_PROG_TYPE_LSM),
                     sk_lookup = bit(BPF_PROG_TYPE_SK_LOOKUP), syscall = bit(BPF_PROG_TYPE_SYSCALL),
                     netfilter = bit(BPF_PROG_TYPE_NETFILTER);

inline constexpr u64 typed_progs = tracing | lsm | syscall;
inline constexpr u64 tracing_progs =
    kprobe | tracepoint | perf_event | raw_tracepoint | raw_tracepoint_writable | typed_progs;
inline constexpr u64 tc_progs = sched_cls | sched_act;
inline constexpr u64 lwt_progs = lwt_in | lwt_out | lwt_xmit | lwt_seg6local;
inline constexpr u64 cgroup_progs = cgroup_sock | cgroup_sock_addr | cgroup_device | cgroup_sysctl | cgroup_sockopt;
/// Those that get what is there for users of sockets.
inline constexpr u64 sock_progs = socket_filter | tc_progs | xdp | cgroup_skb | lwt_progs | sock_ops | sk_skb | sk_msg |
                                  cgroup_sock_addr | flow_dissector | sk_lookup;
/// Those that get what is there for all.
inline constexpr u64 base_progs =
    tracing_progs | sock_progs | cgroup_progs | sk_reuseport | struct_ops | netfilter;

// ---- hooks ------------------------------------------------------------------------------------------------------------------

inline constexpr u64 multi_hooks =
    bit(BPF_TRACE_KPROBE_MULTI) | bit(BPF_TRACE_KPROBE_SESSION) | bit(BPF_TRACE_UPROBE_MULTI);
/// Hooks of control groups whose return value the caller does not look at.
inline constexpr u64 no_retval_hooks =
    bit(BPF_CGROUP_INET_INGRESS) | bit(BPF_CGROUP_INET_EGRESS) | bit(BPF_CGROUP_SOCK_OPS) |
    bit(BPF_CGROUP_UDP4_RECVMSG) | bit(BPF_CGROUP_UDP6_RECVMSG) | bit(BPF_CGROUP_UNIX_RECVMSG) |
    bit(BPF_CGROUP_INET4_GETPEERNAME) | bit(BPF_CGROUP_INET6_GETPEERNAME) | bit(BPF_CGROUP_UNIX_GETPEERNAME) |
    bit(BPF_CGROUP_INET4_GETSOCKNAME) | bit(BPF_CGROUP_INET6_GETSOCKNAME) | bit(BPF_CGROUP_UNIX_GETSOCKNAME);
/// Hooks of addresses at which the socket's options may be read and set.
inline constexpr u64 socket_option_hooks =
    bit(BPF_CGROUP_INET4_BIND) | bit(BPF_CGROUP_INET6_BIND) | bit(BPF_CGROUP_INET4_CONNECT) |
    bit(BPF_CGROUP_INET6_CONNECT) | bit(BPF_CGROUP_UNIX_CONNECT) | bit(BPF_CGROUP_UDP4_RECVMSG) |
    bit(BPF_CGROUP_UDP6_RECVMSG) | bit(BPF_CGROUP_UNIX_RECVMSG) | bit(BPF_CGROUP_UDP4_SENDMSG) |
    bit(BPF_CGROUP_UDP6_SENDMSG) | bit(BPF_CGROUP_UNIX_SENDMSG) | bit(BPF_CGROUP_INET4_GETPEERNAME) |
    bit(BPF_CGROUP_INET6_GETPEERNAME) | bit(BPF_CGROUP_INET4_GETSOCKNAME) | bit(BPF_CGROUP_INET6_GETSOCKNAME);
/// The hook of a struct_ops program is its structure.
constexpr u64 as(struct_ops_kind k) { return bit(static_cast<u32>(k)); }

// ---- map types -----------------------------------------------------------------------------------------------------------------

/// Elements behind keys; also what no helper's rule keeps out (arena, struct_ops), which have no such operation.
inline constexpr u64 element_maps = bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_HASH) |
                                    bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_LRU_HASH) |
                                    bit(BPF_MAP_TYPE_LRU_PERCPU_HASH) | bit(BPF_MAP_TYPE_LPM_TRIE) |
                                    bit(BPF_MAP_TYPE_ARENA) | bit(BPF_MAP_TYPE_STRUCT_OPS);
inline constexpr u64 sockmaps = bit(BPF_MAP_TYPE_SOCKMAP), sockhashes = bit(BPF_MAP_TYPE_SOCKHASH),
                     sock_maps = sockmaps | sockhashes;
inline constexpr u64 devmaps = bit(BPF_MAP_TYPE_DEVMAP) | bit(BPF_MAP_TYPE_DEVMAP_HASH);
inline constexpr u64 lookup_maps = element_maps | sock_maps | devmaps | bit(BPF_MAP_TYPE_XSKMAP) |
                                   bit(BPF_MAP_TYPE_ARRAY_OF_MAPS) | bit(BPF_MAP_TYPE_HASH_OF_MAPS);
inline constexpr u64 redirect_maps = devmaps | bit(BPF_MAP_TYPE_CPUMAP) | bit(BPF_MAP_TYPE_XSKMAP);
inline constexpr u64 reuseport_maps = bit(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY) | sock_maps;
inline constexpr u64 percpu_maps =
    bit(BPF_MAP_TYPE_PERCPU_HASH) | bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_LRU_PERCPU_HASH);
inline constexpr u64 queue_maps = bit(BPF_MAP_TYPE_QUEUE) | bit(BPF_MAP_TYPE_STACK);
inline constexpr u64 queue_or_bloom = queue_maps | bit(BPF_MAP_TYPE_BLOOM_FILTER);
inline constexpr u64 ringbufs = bit(BPF_MAP_TYPE_RINGBUF), user_ringbufs = bit(BPF_MAP_TYPE_USER_RINGBUF);
inline constexpr u64 perf_arrays = bit(BPF_MAP_TYPE_PERF_EVENT_ARRAY), prog_arrays = bit(BPF_MAP_TYPE_PROG_ARRAY),
                     cgroup_arrays = bit(BPF_MAP_TYPE_CGROUP_ARRAY), stack_traces = bit(BPF_MAP_TYPE_STACK_TRACE);
inline constexpr u64 sk_storages = bit(BPF_MAP_TYPE_SK_STORAGE), inode_storages = bit(BPF_MAP_TYPE_INODE_STORAGE),
                     task_storages = bit(BPF_MAP_TYPE_TASK_STORAGE), cgroup_storages = bit(BPF_MAP_TYPE_CGRP_STORAGE),
                     attached_storages =
                         bit(BPF_MAP_TYPE_CGROUP_STORAGE) | bit(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
/// What values with kptrs may be in.
inline constexpr u64 kptr_maps = element_maps | sk_storages | inode_storages | task_storages | cgroup_storages;

// ---- flags ---------------------------------------------------------------------------------------------------------------------

inline constexpr u32 gpl = helper_gpl_only, pkt = helper_pkt_access, perfmon = helper_needs_perfmon,
                     bpf = helper_needs_bpf, sleeps = helper_may_sleep, fastcall = helper_fastcall,
                     moves = helper_changes_pkt, writes = helper_writes_map, length = helper_ret_len,
                     cpu = helper_ret_cpu, traces = helper_traces, shows = helper_shows_types, format = helper_fmt, tail = helper_tail_call,
                     func_ip = helper_get_func_ip, cookie = helper_attach_cookie, acquires = helper_acquires,
                     acquires_sock = helper_acquires_sock, casts = helper_casts, slices = helper_slices,
                     storage = helper_storage_get, calls_back = helper_calls_back, calls_later = helper_calls_later,
                     unlocks = helper_unlocks, zero_flags = helper_zero_flags, percpu = helper_percpu_ptr,
                     value_data = helper_dynptr_from_mem, retval = helper_sets_retval, writes_data = helper_writes_dynptr,
                     warns = helper_warns;

inline constexpr type_flag or_null = type_flag::maybe_null, releases = type_flag::release, read_only = type_flag::rdonly,
                           fixed = type_flag::fixed_size, fresh = type_flag::uninit | type_flag::write,
                           aligned_write = type_flag::aligned | type_flag::write;
inline constexpr arg_type const_mem = mem | type_flag::rdonly, out_mem = mem | type_flag::write;

}  // namespace modbpf::helper_rows
