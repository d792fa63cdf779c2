// SPDX-License-Identifier: GPL-2.0-only
// Loads through pointers to sockets: which fields of struct bpf_sock, bpf_tcp_sock and bpf_xdp_sock a program may read. Nothing may be
// written. Facts of Linux 6.12 (bpf_sock_is_valid_access and its neighbours).
#include "verifier/env.h"

namespace modbpf {

namespace {

/// A field, or a run of fields with the same rules. An access lies inside, is aligned to its size, and the size is in `reads`.
struct sock_field {
    u16 off;
    u16 size;
    u8 reads;              ///< sizes of loads, or-ed
    bool at_start = false; ///< every load starts where the field does
};

constexpr u8 word = 4, dword = 8, narrow = 1 | 2 | 4;

/// What a socket that may be a mere request or a closed connection has, too.
constexpr sock_field common_fields[] = {
    {0, 4, word},          // bound_dev_if
    {4, 4, narrow, true},  // family
    {24, 4, narrow},       // src_ip4
    {28, 16, narrow},      // src_ip6
    {44, 4, narrow, true}, // src_port
    {48, 2, 1 | 2},        // dst_port
    {48, 4, word},         // dst_port, from when it had 4 bytes
    {52, 4, narrow},       // dst_ip4
    {56, 16, narrow},      // dst_ip6
    {72, 4, narrow, true}, // state
    {76, 4, narrow, true}, // rx_queue_mapping
};

/// And a full socket besides.
constexpr sock_field full_fields[] = {
    {8, 4, narrow, true},  // type
    {12, 4, narrow, true}, // protocol
    {16, 8, word},         // mark, priority
};

constexpr sock_field tcp_fields[] = {
    {0, 80, word},  // snd_cwnd .. sacked_out
    {80, 16, dword}, // bytes_received, bytes_acked
    {96, 16, word}, // dsack_dups .. icsk_retransmits
};

constexpr sock_field xdp_fields[] = {
    {0, 4, word}, // queue_id
};

bool readable(span<const sock_field> fields, s32 off, u32 size) {
    if (off < 0 || static_cast<u32>(off) % size)
        return false;
    u32 at = static_cast<u32>(off);
    for (const sock_field &f : fields)
        if (at >= f.off && at + size <= static_cast<u32>(f.off) + f.size && (f.reads & size) && (!f.at_start || at == f.off))
            return true;
    return false;
}

bool field_allowed(reg_type t, s32 off, u32 size) {
    switch (t) {
    case reg_type::sock_common: return readable(common_fields, off, size);
    case reg_type::socket: return readable(common_fields, off, size) || readable(full_fields, off, size);
    case reg_type::tcp_sock: return readable(tcp_fields, off, size);
    case reg_type::xdp_sock: return readable(xdp_fields, off, size);
    default: return false;
    }
}

}  // namespace

bool is_sock(reg_type t) {
    return t == reg_type::sock_common || t == reg_type::socket || t == reg_type::tcp_sock || t == reg_type::xdp_sock;
}

status access_sock(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    const reg_state &r = e.reg(regno);
    if (t == access::write) {
        verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
    if (r.var.smin < 0) {
        verbose(e, "R%d min value is negative, either use unsigned index or do a if (index >=0) check.\n", regno);
        return fail(EACCES);
    }
    // Sockets are not moved by arithmetic.
    if (!r.var.is_const() || r.var.value())
        return verifier_bug(e, "socket pointer with an offset");
    if (!field_allowed(r.type, off, size)) {
        verbose(e, "R%d invalid %s access off=%d size=%d\n", regno, reg_type_name(e, r.type), off, size);
        return fail(EACCES);
    }
    // The image of the socket is laid out as the program sees it (helpers/packet.h); whatever gives another socket cannot run.
    if (value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

}  // namespace modbpf
