// SPDX-License-Identifier: GPL-2.0-only
// Direct packet access, legacy packet loads and packet helpers, under test runs.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

// Ethernet, IPv4, UDP: the destination port.
// EXPECT: accept
// DATA: zero:12 08 00 45 zero:8 11 zero:10 12 34 1f 90 zero:20
// RETVAL: 8080
SEC("xdp")
int parse_udp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = (void *)ip + sizeof(*ip);

	if ((void *)(udp + 1) > end)
		return -1;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != 17)
		return -2;
	/* DATA puts the protocol byte at offset 9 of the header: 45, 8 zero bytes, 11. */
	return bpf_ntohs(udp->dest);
}

// A variable header length, bounded by a mask and checked against the end.
// EXPECT: accept
// DATA: zero:14 46 zero:23 ab zero:25
// RETVAL: 171
SEC("tc")
int variable_offset(struct __sk_buff *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u8 *ip = data + 14, *payload;

	if (ip + 1 > (__u8 *)end)
		return -1;
	payload = ip + ((*ip & 15) << 2);
	if (payload + 1 > (__u8 *)end)
		return -2;
	return *payload;
}

// EXPECT: accept
// DATA: 01 02 03 04 05 06 11 12 13 14 15 16 08 06 zero:50
// RETVAL: 3
// DATA_OUT: 11 12 13 14 15 16 01 02 03 04 05 06 08 06 00
SEC("xdp")
int swap_addresses(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u8 t[6];

	if (data + sizeof(*eth) > end)
		return XDP_DROP;
	__builtin_memcpy(t, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, t, 6);
	return XDP_TX;
}

// EXPECT: reject "invalid access to packet"
SEC("?xdp")
int no_end_check(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return data[0];
}

// EXPECT: reject "invalid access to packet"
SEC("?tc")
int check_too_short(struct __sk_buff *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 4 > end)
		return 0;
	return *(__u64 *)data;
}

// The filter sees the packet from the network header on.
// EXPECT: accept
// DATA: zero:12 88 b5 0a 0b 0c 0d zero:40
// RETVAL: 168496141
SEC("socket")
__attribute__((naked)) int legacy_load(struct __sk_buff *ctx)
{
	asm volatile("r6 = r1;"
		     ".8byte 0x20;" /* r0 = ntohl(*(u32 *)skb[0]) */
		     "exit;");
}

// A legacy load past the end ends the program with 0.
// EXPECT: accept
// RETVAL: 0
SEC("socket")
__attribute__((naked)) int legacy_load_past_end(struct __sk_buff *ctx)
{
	asm volatile("r6 = r1;"
		     ".8byte 0x000003e800000030;" /* r0 = *(u8 *)skb[1000] */
		     "r0 = 7;"
		     "exit;");
}

// len of a filter does not count the Ethernet header; protocol is in network order.
// EXPECT: accept
// DATA: zero:12 88 b5 zero:50
// RETVAL: 46472
SEC("socket")
int skb_fields(struct __sk_buff *ctx)
{
	return ctx->len == 50 && ctx->ifindex == 1 ? ctx->protocol : -1;
}

// EXPECT: accept
// RETVAL: 5
SEC("tc")
int skb_cb_and_mark(struct __sk_buff *ctx)
{
	ctx->cb[0] = 2;
	ctx->cb[4] = 1;
	ctx->mark = 2;
	return ctx->cb[0] + ctx->cb[4] + ctx->mark;
}

// EXPECT: accept
// RETVAL: 13
SEC("tc")
int skb_narrow_load(struct __sk_buff *ctx)
{
	ctx->mark = 0x00000d00;
	return ((volatile __u8 *)&ctx->mark)[1];
}

// EXPECT: reject "invalid bpf_context access"
SEC("?socket")
int skb_data_in_filter(struct __sk_buff *ctx)
{
	return ctx->data;
}

// EXPECT: reject "invalid bpf_context access"
SEC("?tc")
int skb_write_len(struct __sk_buff *ctx)
{
	ctx->len = 1;
	return 0;
}

// EXPECT: accept
// DATA: zero:20 de ad be ef zero:40
// RETVAL: -559038737
SEC("tc")
int load_bytes(struct __sk_buff *ctx)
{
	__be32 v;

	if (bpf_skb_load_bytes(ctx, 20, &v, sizeof(v)))
		return 0;
	return bpf_ntohl(v);
}

// EXPECT: accept
// RETVAL: -14
SEC("tc")
int load_bytes_past_end(struct __sk_buff *ctx)
{
	__be32 v = 5;
	int err = bpf_skb_load_bytes(ctx, 62, &v, sizeof(v));

	return v ? 1 : err;
}

// Trimming changes the packet: pointers are taken again.
// EXPECT: accept
// RETVAL: 20
SEC("xdp")
int adjust_tail(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_tail(ctx, -44))
		return -1;
	return ctx->data_end - ctx->data;
}

// EXPECT: reject "invalid mem access 'scalar'"
SEC("?xdp")
int stale_pointer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 14 > end)
		return 0;
	bpf_xdp_adjust_tail(ctx, -50);
	return *(volatile __u8 *)data;
}
