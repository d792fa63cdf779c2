// SPDX-License-Identifier: GPL-2.0-only
// Run-time contexts of packet programs under PROG_TEST_RUN.
//
// The user sees struct __sk_buff and struct xdp_md, whose data pointers are 32 bits wide; a running program needs real
// addresses. So the run-time context starts with full pointers and ends with an image of the user's structure, and the
// verifier's fix-up moves an access at user offset X to USER + X, or, for a pointer field, to an 8-byte load
// of the pointer (context tables in prog/types.cpp).
#pragma once

#include "base/types.h"

namespace modbpf {

inline constexpr u32 user_skb_size = 192;  ///< sizeof(struct __sk_buff) in Linux 6.12
inline constexpr u32 user_sock_size = 80;  ///< sizeof(struct bpf_sock)
inline constexpr u32 user_xdp_size = 24;   ///< sizeof(struct xdp_md)

struct packet_run {
    u64 data;  ///< first byte that the program sees: SCHED_CLS and XDP the Ethernet header, SOCKET_FILTER the network
               ///< header
    u64 data_end;
    u64 data_meta;
    u64 mac_header;  ///< address of the Ethernet header, for SKF_LL_OFF
    u64 net_header;  ///< address of the network header, for SKF_NET_OFF
    u64 hard_start;  ///< lowest address that data_meta may take
    u64 hard_end;    ///< highest address that data_end may take
    u64 frags;  ///< XDP: address of the bytes that follow data_end in the frame but lie elsewhere (frag_size of them)
    u64 frag_size;
    u64 sk;           ///< address of `sock`
    u64 no_data_end;  ///< 0: what types without direct packet access in test runs find for data_end, as in Linux
    bool csum_complete;  ///< `csum` is the sum of the packet from its network header on, as a device would have told
    u32 csum;
    u8 sock[user_sock_size] __attribute__((aligned(8)));  ///< image of struct bpf_sock: the socket that a test run gives the packet
    u8 user[user_skb_size] __attribute__((aligned(8)));  ///< image of __sk_buff or xdp_md
};

// Offsets in __sk_buff and bpf_sock of what helpers touch.
enum : u32 {
    skb_at_len = 0, skb_at_pkt_type = 4, skb_at_gso_segs = 164, skb_at_gso_size = 176, skb_at_hash = 68,
    sock_at_family = 4, sock_at_type = 8, sock_at_src_ip4 = 24, sock_at_src_ip6 = 28, sock_at_dst_ip4 = 52, sock_at_dst_ip6 = 56,
    sock_at_state = 72, sock_at_rx_queue = 76,
};
/// Ones' complement sum of [p, p + n), as the kernel keeps one: 32 bits, not inverted.
u32 packet_sum(const u8 *p, u32 n);
/// Folded to 16 bits and inverted: what stands in a header.
u16 fold_sum(u32 sum);

inline constexpr u32 packet_run_user = __builtin_offsetof(packet_run, user);

}  // namespace modbpf
