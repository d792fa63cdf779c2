// SPDX-License-Identifier: GPL-2.0-only
// Fields in network byte order, of 2, 4 and 8 bytes: 1024 bytes are summed up.
#include "body.h"

INLINE u64 byteorder(const u8 *data, const u8 *end)
{
	u64 sum = 0;
	const u8 *p = data;
	LOOP for (int i = 0; i < 64; i++) {
		if (p + 16 > end)
			break;
		sum += __builtin_bswap64(READ64(p));
		sum += __builtin_bswap32(READ32(p + 8));
		sum ^= __builtin_bswap16(READ16(p + 12));
		sum += __builtin_bswap16(READ16(p + 14));
		p += 16;
	}
	return sum;
}

PROGRAM(byteorder)
