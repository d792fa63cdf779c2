// SPDX-License-Identifier: GPL-2.0-only
// Packets of test runs: what helpers change, the socket that they belong to, the program types that see them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

// EXPECT: accept
// RETVAL: -36
// DATA_OUT: 00 01 02 03 04 00
SEC("tc")
int stores_bytes(struct __sk_buff *skb)
{
	__u8 v[] = { 1, 2, 3, 4 };

	if (bpf_skb_store_bytes(skb, 1, v, sizeof(v), BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH))
		return 1;
	return bpf_skb_store_bytes(skb, skb->len - 3, v, sizeof(v), 0) + bpf_skb_store_bytes(skb, 0, v, 1, 4);
}

// EXPECT: accept
// DATA: zero:14 45 00 00 14 00 00 00 00 40 06 7c e8 7f 00 00 01 7f 00 00 01 zero:30
// RETVAL: 31976
SEC("tc")
int replaces_checksums(struct __sk_buff *skb)
{
	__u8 ttl[2] = { 0x41, 6 };
	__u16 sum = 0;

	bpf_l3_csum_replace(skb, 14 + 10, 0x0640, 0x0641, 2);
	bpf_skb_store_bytes(skb, 14 + 8, ttl, 2, 0);
	bpf_skb_load_bytes(skb, 14 + 10, &sum, 2);
	return __builtin_bswap16(sum) + 256;
}

// EXPECT: accept
// RETVAL: -80
SEC("tc")
int refuses_checksums(struct __sk_buff *skb)
{
	return bpf_l3_csum_replace(skb, 14, 1, 2, 0) + bpf_l3_csum_replace(skb, 15, 1, 2, 2) +
	       bpf_l3_csum_replace(skb, 14, 1, 2, 3) + bpf_l4_csum_replace(skb, 14, 1, 2, 0x100);
}

// EXPECT: accept
// DATA: zero:14 12 34 ff ff zero:30
// RETVAL: 65535
SEC("tc")
int replaces_checksums_of_udp(struct __sk_buff *skb)
{
	__u16 zero = 0, sum = 0;

	bpf_l4_csum_replace(skb, 16, 0xffff, 0, 4);
	bpf_l4_csum_replace(skb, 14, 0, 0x3412, BPF_F_MARK_MANGLED_0);
	bpf_skb_store_bytes(skb, 14, &zero, 2, 0);
	bpf_l4_csum_replace(skb, 14, 0, 77, BPF_F_MARK_MANGLED_0 | 2);
	bpf_skb_load_bytes(skb, 14, &sum, 2);
	if (sum)
		return -1;
	bpf_l4_csum_replace(skb, 14, 77, 77, BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | 2);
	bpf_skb_load_bytes(skb, 14, &sum, 2);
	return sum;
}

// EXPECT: accept
// RETVAL: -524
SEC("tc")
int no_sum_to_update(struct __sk_buff *skb)
{
	return bpf_csum_update(skb, 5);
}

// EXPECT: accept
// DATA: ff:64
// RETVAL: 100
SEC("tc")
int grows_and_shrinks(struct __sk_buff *skb)
{
	__u8 last = 1;

	if (bpf_skb_change_tail(skb, 40, 0) || skb->len != 40)
		return -1;
	if (bpf_skb_change_tail(skb, 13, 0) != -22 || bpf_skb_change_tail(skb, 60, 1) != -22)
		return -2;
	if (bpf_skb_change_tail(skb, 100, 0) || bpf_skb_load_bytes(skb, 99, &last, 1) || last)
		return -3;
	return skb->len;
}

// EXPECT: accept
// DATA: ff:64
// RETVAL: 72
// DATA_OUT: 00 00 00 00 00 00 00 00 ff
SEC("tc")
int grows_in_front(struct __sk_buff *skb)
{
	return bpf_skb_change_head(skb, 8, 0) ? -1 : skb->len;
}

// EXPECT: accept
// RETVAL: 3
SEC("tc")
int type_changes(struct __sk_buff *skb)
{
	if (bpf_skb_change_type(skb, 4) != -22)
		return -1;
	return bpf_skb_change_type(skb, 3) ? -2 : skb->pkt_type;
}

// EXPECT: accept
// RETVAL: 4660
SEC("tc")
int hash_is_set(struct __sk_buff *skb)
{
	bpf_set_hash(skb, 0x1234);
	return skb->hash;
}

// EXPECT: accept
// DATA: zero:12 08 00 45 00 00 14 00 00 00 00 40 06 7c e8 7f 00 00 01 0a 00 00 02 zero:30
// RETVAL: 127
SEC("tc")
int socket_of_a_packet(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return -1;
	if (sk->family != 2)
		return -2;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->state != 7 || sk->protocol || sk->dst_ip4 != 0x0200000a || sk->rx_queue_mapping != -1)
		return -3;
	if (bpf_tcp_sock(sk) || bpf_get_listener_sock(sk))
		return -4;
	return sk->src_ip4 & 0xff;
}

// EXPECT: accept
// DATA: zero:12 08 00 45 00 00 14 00 00 00 00 40 06 7c e8 7f 00 00 01 0a 00 00 02 zero:30
// RETVAL: 1
SEC("cgroup_skb/ingress")
int cgroup(struct __sk_buff *skb)
{
	__u8 v = 0;

	bpf_skb_load_bytes(skb, 0, &v, 1);
	return v == 0x45 && skb->family == 2 && skb->remote_ip4 == 0x0200000a && (skb->local_ip4 & 0xff) == 127;
}

// No direct access in a test run: the packet seems to be empty.
// EXPECT: accept
// RETVAL: 0
SEC("cgroup_skb/egress")
int cgroup_direct(struct __sk_buff *skb)
{
	__u8 *p = (void *)(long)skb->data;

	return p + 1 > (__u8 *)(long)skb->data_end ? 0 : 1;
}

// EXPECT: accept
// DATA: zero:14 17 zero:49
// RETVAL: 23
SEC("lwt_in")
int tunnel(struct __sk_buff *skb)
{
	__u8 *p = (void *)(long)skb->data;

	return p + 1 > (__u8 *)(long)skb->data_end ? -1 : p[0];
}

// EXPECT: accept
// RETVAL: 64
SEC("action")
int of_an_action(struct __sk_buff *skb)
{
	return skb->len;
}
