// SPDX-License-Identifier: GPL-2.0-only
// Division by constants, as in decimal conversion: 32 numbers.
#include "body.h"

INLINE u64 divconst(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u64 x = READ64(data) | 1, sum = 0;
	LOOP for (int i = 0; i < 32; i++) {
		x = x * 2862933555777941757ull + 3037000493ull;
		u64 v = x >> 20;
		sum += v % 10;
		v /= 10;
		sum += v % 10;
		v /= 1000;
		sum ^= v % 1000000007ull;
	}
	return sum;
}

PROGRAM(divconst)
