// SPDX-License-Identifier: GPL-2.0-only
// Independent 32-bit operations: four lanes of add or xor and rotate, 128 steps.
#include "body.h"

INLINE u64 alu_lanes(const u8 *data, const u8 *end)
{
	if (data + 16 > end)
		return 0;
	u32 a = READ32(data), b = READ32(data + 4), c = READ32(data + 8), d = READ32(data + 12);
	LOOP for (int i = 0; i < 128; i++) {
		a = rotate32(a + 0x9e37, 5);
		b = rotate32(b ^ 0x79b9, 7);
		c = rotate32(c + 0x7f4a, 11);
		d = rotate32(d ^ 0x7c15, 13);
	}
	return (u64)(a ^ b) + (c ^ d);
}

PROGRAM(alu_lanes)
