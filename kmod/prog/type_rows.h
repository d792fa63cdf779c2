// SPDX-License-Identifier: GPL-2.0-only
// Short forms for the rows of context tables, and the program types that the tables' files define. Internal to prog/types*.cpp.
#pragma once

#include "helpers/packet.h"
#include "verifier/context.h"
#include "verifier/state.h"

namespace modbpf {

namespace type_rows {

inline constexpr u8 narrow = 1 | 2 | 4, word = 4, dword = 8, any_size = 1 | 2 | 4 | 8;
inline constexpr reg_type number = reg_type::scalar;
inline constexpr reg_type or_null(reg_type t) { return t | type_flag::maybe_null; }

constexpr attach_set on(u32 attach_type) { return attach_set{1} << attach_type; }
template <class... T> constexpr attach_set on(u32 first, T... others) { return on(first) | on(static_cast<u32>(others)...); }

/// Readable in whole or in an aligned part.
constexpr ctx_field readable(const char *name, u16 off, u16 size = 4) { return {name, off, size, narrow, 0, number}; }
/// The same, and writable in whole.
constexpr ctx_field writable(const char *name, u16 off) { return {name, off, 4, narrow, word, number}; }
/// Words that are readable in whole only.
constexpr ctx_field words(const char *name, u16 off, u16 size = 4) { return {name, off, size, word, 0, number}; }
constexpr ctx_field dwords(const char *name, u16 off, u16 size = 8) { return {name, off, size, dword, 0, number}; }
/// Readable in whole or in a part that starts where the field does.
constexpr ctx_field leading(const char *name, u16 off) {
    ctx_field f = readable(name, off);
    f.at_start = true;
    return f;
}
constexpr ctx_field scratch(const char *name, u16 off, u16 size) { return {name, off, size, any_size, any_size, number}; }
/// A pointer that the context has in 32 bits, or in 64.
constexpr ctx_field pointer32(const char *name, u16 off, reg_type t) { return {name, off, 4, word, 0, t}; }
constexpr ctx_field pointer(const char *name, u16 off, reg_type t) { return {name, off, 8, dword, 0, t}; }

// Changes to a row.
constexpr ctx_field with_stores(ctx_field f, u8 sizes) {
    f.writes = sizes;
    return f;
}
constexpr ctx_field for_attach(ctx_field f, attach_set a) {
    f.read_attach = f.write_attach = a;
    return f;
}

inline constexpr s32 any_min = -0x7fffffff - 1, any_max = 0x7fffffff;

}  // namespace type_rows

extern constinit const prog_type_info socket_filter_type, sched_cls_type, sched_act_type, xdp_type, cgroup_skb_type, lwt_in_type,
    lwt_out_type, lwt_xmit_type, lwt_seg6local_type, sk_skb_type, flow_dissector_type; // types_packet.cpp
extern constinit const prog_type_info cgroup_sock_type, cgroup_sock_addr_type, sock_ops_type, sk_msg_type, sk_reuseport_type,
    sk_lookup_type, cgroup_device_type, cgroup_sysctl_type, cgroup_sockopt_type, netfilter_type; // types_socket.cpp
extern constinit const prog_type_info kprobe_type, tracepoint_type, perf_event_type, raw_tracepoint_type,
    raw_tracepoint_writable_type, tracing_type, lsm_type, struct_ops_type, ext_type, syscall_type,
    lirc_mode2_type; // types_tracing.cpp

}  // namespace modbpf
