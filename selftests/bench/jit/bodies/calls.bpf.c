// SPDX-License-Identifier: GPL-2.0-only
// Calls between subprograms, three deep: four calls, 64 times.
#include "body.h"

SUBPROGRAM u64 leaf(u64 x, u64 y)
{
	OPAQUE(x);
	return (x ^ y) + 1;
}
SUBPROGRAM u64 middle(u64 x, u64 y)
{
	u64 r = leaf(x, y);
	OPAQUE(r);
	return r * 3 + x;
}
SUBPROGRAM u64 outer(u64 x, u64 y, u64 z)
{
	u64 r = middle(x, y);
	u64 s = leaf(r, z);
	OPAQUE(s);
	return s + r;
}

INLINE u64 calls(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u64 a = READ64(data), b = READ64(data + 8);
	LOOP for (int i = 0; i < 64; i++)
		a = outer(a, b, i);
	return a;
}

PROGRAM(calls)
