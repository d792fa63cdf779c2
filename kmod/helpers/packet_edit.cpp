// SPDX-License-Identifier: GPL-2.0-only
// Helpers that change a packet of a test run (__sk_buff), its checksums and its fields. Errors and limits are those of Linux 6.12, but
// that a packet grows within its buffer only (ENOMEM).
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/packet.h"

namespace modbpf {

namespace {

constexpr u32 max_offset = 0x7fffffff, max_header_offset = 0xffff;
constexpr u32 max_skb_len = 4u << 20; // more than any buffer: Linux's limit is that of its allocator
constexpr u64 f_recompute_csum = 1, f_invalidate_hash = 2;
constexpr u64 f_field_size = 0xf, f_pseudo_header = 0x10, f_mangled_zero = 0x20, f_enforce = 0x40;
constexpr u32 last_type = 3; // PACKET_HOST, BROADCAST, MULTICAST, OTHERHOST

packet_run &packet_of(u64 ctx) { return *ptr_of<packet_run>(ctx); }
u64 length(const packet_run &p) { return p.data_end - p.data; }

u32 add(u32 a, u32 b) {
    u32 s = a + b;
    return s + (s < b);
}
u32 subtract(u32 a, u32 b) { return add(a, ~b); }

/// The sum of bytes that begin at `off`: at an odd offset each stands in the other half of its word.
u32 sum_at(const u8 *p, u32 n, u64 off) {
    u32 sum = packet_sum(p, n);
    return off & 1 ? sum << 8 | sum >> 24 : sum;
}

void set_field(packet_run &p, u32 at, u32 value) { memcpy(p.user + at, &value, sizeof(value)); }
u32 field(const packet_run &p, u32 at) {
    u32 v;
    memcpy(&v, p.user + at, sizeof(v));
    return v;
}

void moved(packet_run &p) {
    p.data_meta = p.data;
    set_field(p, skb_at_len, static_cast<u32>(length(p)));
}

/// The checksum at `off`, or null: outside the packet.
u16 *checksum_at(packet_run &p, u32 off) {
    if (off > max_header_offset || (off & 1) || static_cast<u64>(off) + 2 > length(p))
        return nullptr;
    return ptr_of<u16>(p.data + off);
}
u32 unfold(u16 sum) { return sum; }

void replace4(u16 *sum, u32 from, u32 to) { *sum = fold_sum(add(subtract(~unfold(*sum), from), to)); }
void replace2(u16 *sum, u16 from, u16 to) {
    u32 t = static_cast<u32>(static_cast<u16>(~*sum)) + static_cast<u16>(~from) + to;
    *sum = fold_sum(t);
}
void replace_by_difference(u16 *sum, u32 diff) { *sum = fold_sum(add(diff, ~unfold(*sum))); }

/// A header's field of `size` bytes (0: `to` is a difference of sums) has changed. EINVAL: no such size.
long replace(u16 *sum, u64 size, u64 from, u64 to) {
    switch (size) {
    case 0:
        if (from)
            return -EINVAL;
        replace_by_difference(sum, static_cast<u32>(to));
        return 0;
    case 2:
        replace2(sum, static_cast<u16>(from), static_cast<u16>(to));
        return 0;
    case 4:
        replace4(sum, static_cast<u32>(from), static_cast<u32>(to));
        return 0;
    default:
        return -EINVAL;
    }
}

/// A change of the pseudo header, which is not in the packet, changes the packet's sum by the checksum's own change.
void follow_pseudo_header(packet_run &p, u64 size, u64 from, u64 to) {
    if (!p.csum_complete)
        return;
    if (size)
        p.csum = ~add(subtract(~p.csum, static_cast<u32>(from)), static_cast<u32>(to));
    else
        p.csum = ~subtract(static_cast<u32>(to), p.csum);
}

}  // namespace

u32 packet_sum(const u8 *p, u32 n) {
    u64 sum = 0;
    for (u32 i = 0; i < n; i++)
        sum += static_cast<u64>(p[i]) << 8 * (i & 1);
    sum = (sum & 0xffffffff) + (sum >> 32);
    return static_cast<u32>((sum & 0xffffffff) + (sum >> 32));
}

u16 fold_sum(u32 sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(~((sum & 0xffff) + (sum >> 16)));
}

/// (skb, offset, bytes, length, flags)
u64 bpf_skb_store_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    packet_run &p = packet_of(r1);
    u32 off = static_cast<u32>(r2), len = static_cast<u32>(r4);
    if (r5 & ~(f_recompute_csum | f_invalidate_hash))
        return helper_errno(-EINVAL);
    if (off > max_offset || static_cast<u64>(off) + len > length(p))
        return helper_errno(-EFAULT);
    u8 *at = ptr_of<u8>(p.data + off);
    bool count = (r5 & f_recompute_csum) && p.csum_complete;
    if (count)
        p.csum = subtract(p.csum, sum_at(at, len, off));
    memmove(at, ptr_of(r3), len);
    if (count)
        p.csum = add(p.csum, sum_at(at, len, off));
    if (r5 & f_invalidate_hash)
        set_field(p, skb_at_hash, 0);
    return 0;
}

/// (skb, offset, from, to, flags)
u64 bpf_l3_csum_replace(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    packet_run &p = packet_of(r1);
    if (r5 & ~f_field_size)
        return helper_errno(-EINVAL);
    u16 *sum = checksum_at(p, static_cast<u32>(r2));
    return helper_errno(sum ? replace(sum, r5, r3, r4) : -EFAULT);
}

u64 bpf_l4_csum_replace(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    packet_run &p = packet_of(r1);
    if (r5 & ~(f_field_size | f_pseudo_header | f_mangled_zero | f_enforce))
        return helper_errno(-EINVAL);
    u16 *sum = checksum_at(p, static_cast<u32>(r2));
    if (!sum)
        return helper_errno(-EFAULT);
    bool none_is_zero = r5 & f_mangled_zero; // UDP: 0 stands for no checksum
    if (none_is_zero && !(r5 & f_enforce) && !*sum)
        return 0;
    u64 size = r5 & f_field_size;
    if (long err = replace(sum, size, r3, r4))
        return helper_errno(err);
    if (r5 & f_pseudo_header)
        follow_pseudo_header(p, size, r3, r4);
    if (none_is_zero && !*sum)
        *sum = 0xffff;
    return 0;
}

u64 bpf_csum_update(u64 r1, u64 r2, u64, u64, u64) {
    packet_run &p = packet_of(r1);
    if (!p.csum_complete)
        return helper_errno(-ENOTSUPP);
    return p.csum = add(p.csum, static_cast<u32>(r2));
}

u64 bpf_set_hash_invalid(u64 r1, u64, u64, u64, u64) {
    set_field(packet_of(r1), skb_at_hash, 0);
    return 0;
}

u64 bpf_set_hash(u64 r1, u64 r2, u64, u64, u64) {
    set_field(packet_of(r1), skb_at_hash, static_cast<u32>(r2));
    return 0;
}

u64 bpf_skb_change_type(u64 r1, u64 r2, u64, u64, u64) {
    packet_run &p = packet_of(r1);
    u32 type = static_cast<u32>(r2);
    if (field(p, skb_at_pkt_type) > last_type || type > last_type)
        return helper_errno(-EINVAL);
    set_field(p, skb_at_pkt_type, type);
    return 0;
}

/// (skb, length, flags): zeros are added, or the end is cut off.
u64 bpf_skb_change_tail(u64 r1, u64 r2, u64 r3, u64, u64) {
    packet_run &p = packet_of(r1);
    u32 len = static_cast<u32>(r2);
    u64 shortest = p.net_header > p.data ? p.net_header - p.data : 0;
    if (r3 || len > max_skb_len || len < shortest)
        return helper_errno(-EINVAL);
    if (len > p.hard_end - p.data)
        return helper_errno(-ENOMEM);
    u64 end = p.data + len;
    if (end > p.data_end)
        memset(ptr_of(p.data_end), 0, end - p.data_end);
    else if (p.csum_complete) {
        u64 from = p.net_header > end ? p.net_header : end;
        p.csum = subtract(p.csum, sum_at(ptr_of<u8>(from), static_cast<u32>(p.data_end - from), from - p.net_header));
    }
    p.data_end = end;
    set_field(p, skb_at_gso_segs, 0);
    set_field(p, skb_at_gso_size, 0);
    moved(p);
    return 0;
}

/// (skb, bytes, flags): zeros in front, which become the new link layer's header.
u64 bpf_skb_change_head(u64 r1, u64 r2, u64 r3, u64, u64) {
    packet_run &p = packet_of(r1);
    u32 room = static_cast<u32>(r2);
    if (r3 || room > max_skb_len || length(p) + room > max_skb_len)
        return helper_errno(-EINVAL);
    if (room > p.data - p.hard_start)
        return helper_errno(-ENOMEM);
    p.data -= room;
    p.mac_header = p.data;
    memset(ptr_of(p.data), 0, room);
    moved(p);
    return 0;
}

/// The socket of a test run is a full one, of no protocol, and listens to nobody.
u64 bpf_sk_fullsock(u64 r1, u64, u64, u64, u64) { return r1; }
u64 bpf_tcp_sock(u64, u64, u64, u64, u64) { return 0; }
u64 bpf_get_listener_sock(u64, u64, u64, u64, u64) { return 0; }

}  // namespace modbpf
