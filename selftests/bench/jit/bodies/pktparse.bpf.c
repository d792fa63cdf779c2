// SPDX-License-Identifier: GPL-2.0-only
// A packet parser: Ethernet, up to two VLAN tags, IPv4 or IPv6, TCP with its options, a hash of the flow.
#include "body.h"

#define ETH_IPV4 0x0008 /* in the packet's byte order, as are the other numbers of 16 bits */
#define ETH_IPV6 0xdd86
#define ETH_VLAN 0x0081
#define ETH_QINQ 0xa888
#define FRAGMENT 0xff3f
#define TCP 6
#define UDP 17

struct flow {
	u32 source, destination;
	u8 protocol;
};
struct tcp_options {
	u32 mss, window_scale, timestamp;
};

/* -> 0, or what is wrong with the header; *at moves behind it. */
INLINE int ipv4(const u8 **at, const u8 *end, struct flow *f)
{
	const u8 *p = *at;
	if (p + 20 > end)
		return 3;
	u32 length = (READ8(p) & 15) * 4;
	if (length < 20)
		return 4;
	if (READ16(p + 6) & FRAGMENT)
		return 5;
	f->protocol = READ8(p + 9);
	f->source = READ32(p + 12);
	f->destination = READ32(p + 16);
	*at = p + length;
	return 0;
}
INLINE int ipv6(const u8 **at, const u8 *end, struct flow *f)
{
	const u8 *p = *at;
	if (p + 40 > end)
		return 6;
	f->protocol = READ8(p + 6);
	f->source = READ32(p + 8) ^ READ32(p + 12) ^ READ32(p + 16) ^ READ32(p + 20);
	f->destination = READ32(p + 24) ^ READ32(p + 28) ^ READ32(p + 32) ^ READ32(p + 36);
	*at = p + 40;
	return 0;
}

INLINE void options(const u8 *p, const u8 *stop, const u8 *end, struct tcp_options *o)
{
	LOOP for (int i = 0; i < 10; i++) {
		if (p >= stop || p + 1 > end)
			break;
		u8 kind = READ8(p);
		if (kind == 0)
			break;
		if (kind == 1) {
			p++;
			continue;
		}
		if (p + 2 > end)
			break;
		u8 length = READ8(p + 1);
		if (length < 2)
			break;
		if (kind == 2) {
			if (p + 4 > end)
				break;
			o->mss = READ16(p + 2);
		} else if (kind == 3) {
			if (p + 3 > end)
				break;
			o->window_scale = READ8(p + 2);
		} else if (kind == 8) {
			if (p + 10 > end)
				break;
			o->timestamp = READ32(p + 2);
		}
		p += length;
	}
}

INLINE u32 flow_hash(u32 a, u32 b, u32 c)
{
	c = (c ^ b) - rotate32(b, 14);
	a = (a ^ c) - rotate32(c, 11);
	b = (b ^ a) - rotate32(a, 25);
	c = (c ^ b) - rotate32(b, 16);
	a = (a ^ c) - rotate32(c, 4);
	b = (b ^ a) - rotate32(a, 14);
	return (c ^ b) - rotate32(b, 24);
}

INLINE u64 pktparse(const u8 *data, const u8 *end)
{
	const u8 *p = data;
	if (p + 14 > end)
		return 1;
	u16 type = READ16(p + 12);
	p += 14;
	UNROLL for (int i = 0; i < 2; i++) {
		if (type != ETH_VLAN && type != ETH_QINQ)
			continue;
		if (p + 4 > end)
			return 2;
		type = READ16(p + 2);
		p += 4;
	}
	struct flow f = {};
	int wrong = type == ETH_IPV4 ? ipv4(&p, end, &f) : type == ETH_IPV6 ? ipv6(&p, end, &f) : 7;
	if (wrong)
		return wrong;
	if (f.protocol != TCP && f.protocol != UDP)
		return 8;
	if (p + 20 > end)
		return 9;
	u32 ports = READ32(p);
	struct tcp_options o = {};
	if (f.protocol == TCP) {
		u32 length = (READ8(p + 12) >> 4) * 4;
		if (length < 20)
			return 10;
		const u8 *stop = p + length;
		if (stop > end)
			return 11;
		OPAQUE(end);
		OPAQUE(stop);
		options(p + 20, stop, end, &o);
	}
	return flow_hash(f.source + o.mss, f.destination + o.window_scale, ports + (o.timestamp ^ f.protocol));
}

PROGRAM(pktparse)
