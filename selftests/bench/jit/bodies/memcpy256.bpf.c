// SPDX-License-Identifier: GPL-2.0-only
// A copy of 256 packet bytes to the stack, unrolled.
#include "body.h"

INLINE u64 memcpy256(const u8 *data, const u8 *end)
{
	u64 copy[32];
	if (data + 256 > end)
		return 0;
	UNROLL for (int i = 0; i < 32; i++) {
		copy[i] = READ64(data + i * 8);
		KEEP_ORDER();
	}
	__asm__ volatile("" : : "r"(copy) : "memory");
	return copy[0] + copy[7] + copy[15] + copy[31];
}

PROGRAM(memcpy256)
