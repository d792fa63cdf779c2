// SPDX-License-Identifier: GPL-2.0-only
// Packet helpers, on the run-time context of a test run (helpers/packet.h).
#include "helpers/packet.h"

#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

constexpr u32 eth_header_size = 14;
constexpr u32 csum_diff_max = 512;  // bytes of both operands together
constexpr u32 meta_max = 255;
// Legacy offsets of classic BPF.
constexpr s64 skf_net_off = -0x100000, skf_ll_off = -0x200000;

u64 linear_size(const packet_run &p) {
    return p.data_end - p.data;
}
u64 frame_size(const packet_run &p) {
    return linear_size(p) + p.frag_size;
}

// Ones' complement sum of 32-bit words, folded to 32 bits.
u32 sum_words(const u8 *p, u32 bytes, bool inverted, u32 sum) {
    u64 s = sum;
    for (u32 i = 0; i < bytes; i += 4) {
        u32 w;
        memcpy(&w, p + i, 4);
        s += inverted ? ~w : w;
    }
    s = (s & 0xffffffff) + (s >> 32);
    return static_cast<u32>((s & 0xffffffff) + (s >> 32));
}

/// Copies between `buf` and frame bytes [off, off + len), which exist. The frame is its linear part and then the
/// fragments.
void copy_frame(packet_run &p, u32 off, u8 *buf, u32 len, bool store) {
    u64 linear = linear_size(p);
    u32 head = off < linear ? static_cast<u32>(min<u64>(len, linear - off)) : 0;
    u8 *a = ptr_of<u8>(p.data + off);
    u8 *b = ptr_of<u8>(p.frags + (off + head - linear));
    if (head)
        store ? memmove(a, buf, head) : memmove(buf, a, head);
    if (len > head)
        store ? memmove(b, buf + head, len - head) : memmove(buf + head, b, len - head);
}

long xdp_copy(u64 ctx, u64 off, u64 buf, u64 len, bool store) {
    packet_run &p = *ptr_of<packet_run>(ctx);
    u32 o = static_cast<u32>(off), n = static_cast<u32>(len);
    if (o > 0xffff || n > 0xffff)
        return -EFAULT;
    if (static_cast<u64>(o) + n > frame_size(p))
        return -EINVAL;
    copy_frame(p, o, ptr_of<u8>(buf), n, store);
    return 0;
}

}  // namespace

bool load_packet_bytes(const void *ctx, s32 off, u32 size, u64 *value) {
    const packet_run &p = *static_cast<const packet_run *>(ctx);
    u64 at;
    if (off >= 0)
        at = p.data + static_cast<u64>(off);
    else if (off >= skf_net_off)
        at = p.net_header + static_cast<u64>(off - skf_net_off);
    else if (off >= skf_ll_off)
        at = p.mac_header + static_cast<u64>(off - skf_ll_off);
    else
        return false;
    if (at > p.data_end || size > p.data_end - at)
        return false;
    u64 v = 0;
    for (u32 i = 0; i < size; i++)
        v = v << 8 | ptr_of<const u8>(at)[i];
    *value = v;
    return true;
}

u64 bpf_csum_diff(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    u32 from = static_cast<u32>(r2), to = static_cast<u32>(r4);
    if (((from | to) & 3) || from > csum_diff_max || to > csum_diff_max || from + to > csum_diff_max)
        return helper_errno(-EINVAL);
    u32 s = sum_words(ptr_of<const u8>(r1), from, true, static_cast<u32>(r5));
    return sum_words(ptr_of<const u8>(r3), to, false, s);
}

u64 bpf_skb_load_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    const packet_run &p = *ptr_of<const packet_run>(r1);
    u32 off = static_cast<u32>(r2), len = static_cast<u32>(r4);
    if (static_cast<u64>(off) + len > linear_size(p))
        return failed_read(r3, len, -EFAULT);
    memmove(ptr_of(r3), ptr_of<const void>(p.data + off), len);
    return 0;
}

u64 bpf_skb_load_bytes_relative(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    const packet_run &p = *ptr_of<const packet_run>(r1);
    u32 off = static_cast<u32>(r2), len = static_cast<u32>(r4), from = static_cast<u32>(r5);
    u64 at = from == 0 ? p.mac_header : p.net_header;  // BPF_HDR_START_MAC, BPF_HDR_START_NET
    if (off > 0xffff || from > 1 || at + off + len > p.data_end)
        return failed_read(r3, len, -EFAULT);
    memmove(ptr_of(r3), ptr_of<const void>(at + off), len);
    return 0;
}

// Everything is linear and writable already; what is longer than the packet cannot be had.
u64 bpf_skb_pull_data(u64 r1, u64 r2, u64, u64, u64) {
    const packet_run &p = *ptr_of<const packet_run>(r1);
    return static_cast<u32>(r2) > linear_size(p) ? helper_errno(-ENOMEM) : 0;
}

u64 bpf_xdp_get_buff_len(u64 r1, u64, u64, u64, u64) {
    return frame_size(*ptr_of<const packet_run>(r1));
}

u64 bpf_xdp_load_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    long err = xdp_copy(r1, r2, r3, r4, false);
    return err ? failed_read(r3, static_cast<u32>(r4), err) : 0;
}

u64 bpf_xdp_store_bytes(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    return helper_errno(xdp_copy(r1, r2, r3, r4, true));
}

u64 bpf_xdp_adjust_head(u64 r1, u64 r2, u64, u64, u64) {
    packet_run &p = *ptr_of<packet_run>(r1);
    s64 offset = static_cast<s32>(r2);
    u64 meta = p.data - p.data_meta;
    u64 data = p.data + static_cast<u64>(offset);
    if (data < p.hard_start + meta || data > p.data_end - eth_header_size)
        return helper_errno(-EINVAL);
    u64 moved = data - meta;
    memmove(ptr_of(moved), ptr_of<const void>(p.data_meta), meta);
    p.data_meta = moved;
    p.data = p.mac_header = data;
    p.net_header = data + eth_header_size;
    return 0;
}

u64 bpf_xdp_adjust_meta(u64 r1, u64 r2, u64, u64, u64) {
    packet_run &p = *ptr_of<packet_run>(r1);
    u64 meta = p.data_meta + static_cast<u64>(static_cast<s64>(static_cast<s32>(r2)));
    if (meta < p.hard_start || meta > p.data)
        return helper_errno(-EINVAL);
    u64 size = p.data - meta;
    if ((size & 3) || size > meta_max)
        return helper_errno(-EACCES);
    p.data_meta = meta;
    return 0;
}

// A frame with fragments would have to shrink or grow them: refused.
u64 bpf_xdp_adjust_tail(u64 r1, u64 r2, u64, u64, u64) {
    packet_run &p = *ptr_of<packet_run>(r1);
    s64 offset = static_cast<s32>(r2);
    if (p.frag_size)
        return helper_errno(-EOPNOTSUPP);
    u64 end = p.data_end + static_cast<u64>(offset);
    if (end > p.hard_end || end < p.data + eth_header_size)
        return helper_errno(-EINVAL);
    if (offset > 0)
        memset(ptr_of(p.data_end), 0, static_cast<u64>(offset));
    p.data_end = end;
    return 0;
}

}  // namespace modbpf
