// SPDX-License-Identifier: GPL-2.0-only
// One block of ChaCha20: more live words than there are registers.
#include "body.h"

#define QUARTER(a, b, c, d)                                    \
	do {                                                   \
		x[a] += x[b], x[d] = rotate32(x[d] ^ x[a], 16); \
		x[c] += x[d], x[b] = rotate32(x[b] ^ x[c], 12); \
		x[a] += x[b], x[d] = rotate32(x[d] ^ x[a], 8);  \
		x[c] += x[d], x[b] = rotate32(x[b] ^ x[c], 7);  \
	} while (0)

INLINE u64 chacha(const u8 *data, const u8 *end)
{
	u32 x[16];
	if (data + 64 > end)
		return 0;
	UNROLL for (int i = 0; i < 16; i++)
		x[i] = READ32(data + 4 * i);
	LOOP for (int i = 0; i < 10; i++) {
		QUARTER(0, 4, 8, 12);
		QUARTER(1, 5, 9, 13);
		QUARTER(2, 6, 10, 14);
		QUARTER(3, 7, 11, 15);
		QUARTER(0, 5, 10, 15);
		QUARTER(1, 6, 11, 12);
		QUARTER(2, 7, 8, 13);
		QUARTER(3, 4, 9, 14);
	}
	u32 low = 0, high = 0;
	UNROLL for (int i = 0; i < 8; i++) {
		low ^= x[i];
		high ^= x[8 + i];
	}
	return (u64)low + high;
}

PROGRAM(chacha)
