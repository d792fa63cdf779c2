// SPDX-License-Identifier: GPL-2.0-only
// A histogram by powers of two, as latency tools make it: 64 values into a table on the stack.
#include "body.h"

INLINE u32 log2_of_32(u32 v)
{
	u32 r = (v > 0xffff) << 4, s;
	v >>= r;
	s = (v > 0xff) << 3, v >>= s, r |= s;
	s = (v > 0xf) << 2, v >>= s, r |= s;
	s = (v > 0x3) << 1, v >>= s, r |= s;
	return r | v >> 1;
}
INLINE u32 log2_of_64(u64 v)
{
	u32 high = v >> 32;
	return high ? log2_of_32(high) + 33 : log2_of_32(v) + 1;
}

INLINE u64 log2hist(const u8 *data, const u8 *end)
{
	u32 slots[64];
	__builtin_memset(slots, 0, sizeof(slots));
	const u8 *p = data;
	LOOP for (int i = 0; i < 64; i++) {
		if (p + 8 > end)
			break;
		u32 k = log2_of_64(READ64(p) >> (i & 31));
		OPAQUE(k);
		slots[k & 63]++;
		p += 8;
	}
	u64 sum = 0;
	UNROLL for (int i = 0; i < 64; i += 3)
		sum = sum * 31 + slots[i];
	return sum;
}

PROGRAM(log2hist)
