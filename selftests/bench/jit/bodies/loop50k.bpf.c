// SPDX-License-Identifier: GPL-2.0-only
// A long loop of three instructions: 50,000 iterations.
#include "body.h"

INLINE u64 loop50k(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u64 x = READ64(data);
	LOOP for (u32 i = 0; i < 50000; i++) {
		x += i;
		x ^= x >> 3;
	}
	return x;
}

PROGRAM(loop50k)
