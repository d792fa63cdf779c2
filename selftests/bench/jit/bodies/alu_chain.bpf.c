// SPDX-License-Identifier: GPL-2.0-only
// A chain of dependent 64-bit operations: 256 steps of xorshift.
#include "body.h"

INLINE u64 alu_chain(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u64 x = READ64(data) | 1, sum = 0;
	LOOP for (int i = 0; i < 256; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
	}
	return sum ^ x;
}

PROGRAM(alu_chain)
