// SPDX-License-Identifier: GPL-2.0-only
// Stack memory at variable offsets: 256 dependent read-modify-writes in a table of 32.
#include "body.h"

INLINE u64 stackmem(const u8 *data, const u8 *end)
{
	u64 table[32];
	if (data + 256 > end)
		return 0;
	UNROLL for (int i = 0; i < 32; i++) {
		table[i] = READ64(data + i * 8);
		KEEP_ORDER();
	}
	u64 x = table[3];
	LOOP for (int i = 0; i < 256; i++) {
		u32 k = x & 31;
		OPAQUE(k);
		k &= 31;
		table[k] += x;
		x = (x >> 5) + table[(k + i) & 31] + i;
	}
	u64 sum = 0;
	UNROLL for (int i = 0; i < 32; i++)
		sum ^= table[i];
	return sum + x;
}

PROGRAM(stackmem)
