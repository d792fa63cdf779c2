// SPDX-License-Identifier: GPL-2.0-only
// Jenkins' hash (lookup3) of 1020 bytes.
#include "body.h"

INLINE u64 jhash(const u8 *data, const u8 *end)
{
	const u8 *p = data;
	u32 a = 0xdeadbeef + 1020, b = a, c = a;
	LOOP for (int i = 0; i < 85; i++) {
		if (p + 12 > end)
			break;
		a += READ32(p);
		b += READ32(p + 4);
		c += READ32(p + 8);
		a = (a - c) ^ rotate32(c, 4), c += b;
		b = (b - a) ^ rotate32(a, 6), a += c;
		c = (c - b) ^ rotate32(b, 8), b += a;
		a = (a - c) ^ rotate32(c, 16), c += b;
		b = (b - a) ^ rotate32(a, 19), a += c;
		c = (c - b) ^ rotate32(b, 4), b += a;
		p += 12;
	}
	c = (c ^ b) - rotate32(b, 14);
	a = (a ^ c) - rotate32(c, 11);
	b = (b ^ a) - rotate32(a, 25);
	c = (c ^ b) - rotate32(b, 16);
	a = (a ^ c) - rotate32(c, 4);
	b = (b ^ a) - rotate32(a, 14);
	return (c ^ b) - rotate32(b, 24);
}

PROGRAM(jhash)
