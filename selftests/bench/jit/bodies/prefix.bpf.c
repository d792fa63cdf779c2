// SPDX-License-Identifier: GPL-2.0-only
// Paths of a packet compared with constant prefixes, byte by byte.
#include "body.h"

/* Whether the bytes at p start with the string that low and high hold. */
INLINE int starts_with(const u8 *p, const u8 *end, u64 low, u64 high)
{
	LOOP for (int i = 0; i < 16; i++) {
		if (p + i + 1 > end)
			return 0;
		u8 c = (i < 8 ? low >> (i * 8) : high >> (i - 8) * 8) & 255;
		if (!c)
			return 1;
		if (p[i] != c)
			return 0;
	}
	return 1;
}

INLINE u64 prefix(const u8 *data, const u8 *end)
{
	u64 sum = 0;
	const u8 *p = data + 1300;
	LOOP for (int i = 0; i < 4; i++) {
		if (p + 16 > end)
			break;
		sum = sum * 5 + starts_with(p, end, 0x62696c2f7273752full, '/'); /* "/usr/lib/" */
		sum = sum * 5 + starts_with(p, end, 0x2f6374652full, 0);         /* "/etc/" */
		sum = sum * 5 + starts_with(p, end, 0x2f636f72702full, 0);       /* "/proc/" */
		p += 16;
	}
	return sum;
}

PROGRAM(prefix)
