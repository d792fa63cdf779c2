// SPDX-License-Identifier: GPL-2.0-only
// The program types and their contexts, as data. Offsets are those of struct __sk_buff and struct xdp_md in Linux 6.12;
// what may be accessed follows sk_filter_is_valid_access, tc_cls_act_is_valid_access, xdp_is_valid_access, and their
// tracing counterparts. Fields that would load socket or flow pointers are absent, and so refused; so is xdp_md's
// egress_ifindex, which only device-map programs may read. One difference is known: Linux ignores stores of
// 65535 and more to queue_mapping, here their low 16 bits are kept.
#include "helpers/packet.h"
#include "verifier/context.h"

namespace modbpf {

namespace {

constexpr u16 run_user(u16 off) {
    return static_cast<u16>(packet_run_user + off);
}

/// Readable in whole or in an aligned part.
constexpr ctx_field readable(u16 off) {
    return {off, 4, true, false, true, ctx_yield::scalar, run_user(off), 0};
}
/// The same, and writable in whole; Linux keeps the low `kept` bytes of a store (0: all).
constexpr ctx_field writable(u16 off, u8 kept = 0) {
    return {off, 4, true, true, true, ctx_yield::scalar, run_user(off), 0, kept};
}
/// Readable in whole only.
constexpr ctx_field whole(u16 off, u16 size, bool may_write = false) {
    return {off, size, true, may_write, false, ctx_yield::scalar, run_user(off), 0};
}
constexpr ctx_field pointer(u16 off, ctx_yield yields, u16 run_off) {
    return {off, 4, true, false, false, yields, run_off, 8};
}
constexpr ctx_field scratch(u16 off, u16 size) {
    return {off, size, true, true, true, ctx_yield::scalar, run_user(off), 0, 0, true};
}

constexpr u16 run_data = __builtin_offsetof(packet_run, data), run_data_end = __builtin_offsetof(packet_run, data_end),
              run_data_meta = __builtin_offsetof(packet_run, data_meta);

// clang-format off
constexpr ctx_field socket_filter_fields[] = {
    readable(0),    // len
    readable(4),    // pkt_type
    readable(8),    // mark
    readable(12),   // queue_mapping
    readable(16),   // protocol
    readable(20),   // vlan_present
    readable(24),   // vlan_tci
    readable(28),   // vlan_proto
    readable(32),   // priority
    readable(36),   // ingress_ifindex
    readable(40),   // ifindex
    readable(44),   // tc_index
    scratch(48, 20), // cb
    readable(68),   // hash
    readable(84),   // napi_id
    readable(164),  // gso_segs
    readable(176),  // gso_size
};

constexpr ctx_field sched_cls_fields[] = {
    readable(0),      // len
    readable(4),      // pkt_type
    writable(8),      // mark
    writable(12, 2),  // queue_mapping
    readable(16),     // protocol
    readable(20),     // vlan_present
    readable(24),     // vlan_tci
    readable(28),     // vlan_proto
    writable(32),     // priority
    readable(36),     // ingress_ifindex
    readable(40),     // ifindex
    writable(44, 2),  // tc_index
    scratch(48, 20),  // cb
    readable(68),     // hash
    writable(72, 2),  // tc_classid
    pointer(76, ctx_yield::packet, run_data),
    pointer(80, ctx_yield::packet_end, run_data_end),
    readable(84),     // napi_id
    pointer(140, ctx_yield::packet_meta, run_data_meta),
    whole(152, 8, true), // tstamp
    readable(160),    // wire_len
    readable(164),    // gso_segs
    readable(176),    // gso_size
    whole(180, 1),    // tstamp_type
    whole(184, 8),    // hwtstamp
};

constexpr ctx_field xdp_fields[] = {
    pointer(0, ctx_yield::packet, run_data),
    pointer(4, ctx_yield::packet_end, run_data_end),
    pointer(8, ctx_yield::packet_meta, run_data_meta),
    whole(12, 4), // ingress_ifindex
    whole(16, 4), // rx_queue_index
};

// clang-format on
constexpr bool fields_are_sound(span<const ctx_field> f, u32 size) {
    u32 end = 0;
    for (const ctx_field &c : f) {
        if (c.off < end || c.off + c.size > size || !c.readable)
            return false;
        if ((c.yields != ctx_yield::scalar) != (c.run_size == 8) || (c.run_size == 8 && c.writable))
            return false;
        if (c.run_off + c.size > sizeof(packet_run) || c.store_size > c.size)
            return false;
        end = c.off + c.size;
    }
    return true;
}
static_assert(fields_are_sound(socket_filter_fields, user_skb_size));
static_assert(fields_are_sound(sched_cls_fields, user_skb_size));
static_assert(fields_are_sound(xdp_fields, user_xdp_size));

constexpr u32 pt_regs_size = 21 * 8;    // x86-64
constexpr u32 trace_record_max = 8192;  // PERF_MAX_TRACE_SIZE
constexpr u32 raw_args_size = 12 * 8;   // MAX_BPF_FUNC_ARGS words
constexpr s32 any_min = -0x7fffffff - 1, any_max = 0x7fffffff;

constexpr prog_type_info types[] = {
    {BPF_PROG_TYPE_SOCKET_FILTER, "socket_filter", ctx_kind::fields, user_skb_size, socket_filter_fields, false, false,
     true, true, any_min, any_max},
    {BPF_PROG_TYPE_KPROBE, "kprobe", ctx_kind::flat, pt_regs_size, {}, false, false, false, false, any_min, any_max, 0, false, true},
    {BPF_PROG_TYPE_SCHED_CLS, "sched_cls", ctx_kind::fields, user_skb_size, sched_cls_fields, true, true, true, true,
     any_min, any_max},
    {BPF_PROG_TYPE_TRACEPOINT,
     "tracepoint",
     ctx_kind::flat,
     trace_record_max,
     {},
     false,
     false,
     false,
     false,
     any_min,
     any_max,
     8},  // the first word of a record is the kernel's own
    {BPF_PROG_TYPE_XDP, "xdp", ctx_kind::fields, user_xdp_size, xdp_fields, true, true, false, true, any_min, any_max},
    {BPF_PROG_TYPE_RAW_TRACEPOINT,
     "raw_tracepoint",
     ctx_kind::flat,
     raw_args_size,
     {},
     false,
     false,
     false,
     true,
     any_min,
     any_max},
};

}  // namespace

const prog_type_info *find_prog_type(u32 type) {
    for (const prog_type_info &t : types)
        if (t.type == type)
            return &t;
    return nullptr;
}

span<const prog_type_info> all_prog_types() {
    return types;
}

}  // namespace modbpf
