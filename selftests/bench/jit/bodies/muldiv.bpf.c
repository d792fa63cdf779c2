// SPDX-License-Identifier: GPL-2.0-only
// Multiplication, division and remainder by numbers that vary: 64 steps.
#include "body.h"

INLINE u64 muldiv(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u64 x = READ64(data), m = READ32(data + 8) | 1, sum = 0;
	LOOP for (int i = 0; i < 64; i++) {
		x = x * 6364136223846793005ull + m;
		sum += x / m;
		sum ^= x % (m + i);
	}
	return sum;
}

PROGRAM(muldiv)
