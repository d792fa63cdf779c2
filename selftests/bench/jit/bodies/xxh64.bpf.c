// SPDX-License-Identifier: GPL-2.0-only
// xxHash64's inner loop over 1024 bytes: four lanes of multiply and rotate.
#include "body.h"

#define PRIME1 11400714785074694791ull
#define PRIME2 14029467366897019727ull
#define PRIME3 1609587929392839161ull

INLINE u64 lane(u64 a, const u8 *p)
{
	return rotate64(a + READ64(p) * PRIME2, 31) * PRIME1;
}

INLINE u64 xxh64(const u8 *data, const u8 *end)
{
	const u8 *p = data;
	u64 a = PRIME1 + PRIME2, b = PRIME2, c = 0, d = 0 - PRIME1;
	LOOP for (int i = 0; i < 32; i++) {
		if (p + 32 > end)
			break;
		a = lane(a, p);
		b = lane(b, p + 8);
		c = lane(c, p + 16);
		d = lane(d, p + 24);
		p += 32;
	}
	u64 h = rotate64(a, 1) + rotate64(b, 7) + rotate64(c, 12) + rotate64(d, 18);
	h = (h ^ h >> 33) * PRIME2;
	h = (h ^ h >> 29) * PRIME3;
	return h ^ h >> 32;
}

PROGRAM(xxh64)
