// SPDX-License-Identifier: GPL-2.0-only
// A switch of 24 cases, like a classifier of system calls: 128 bytes.
#include "body.h"

INLINE u32 weight(u32 v)
{
	switch (v) {
	case 0: return 11;
	case 1: return 7;
	case 2: return 29;
	case 3: return 5;
	case 4: return 17;
	case 5: return 3;
	case 8: return 2;
	case 9: return 77;
	case 10: return 1;
	case 11: return 13;
	case 12: return 19;
	case 14: return 23;
	case 16: return 31;
	case 17: return 37;
	case 20: return 41;
	case 21: return 43;
	case 22: return 47;
	case 23: return 53;
	case 25: return 59;
	case 26: return 61;
	case 28: return 67;
	case 29: return 71;
	case 30: return 73;
	case 31: return 79;
	default: return 0;
	}
}

INLINE u64 switch24(const u8 *data, const u8 *end)
{
	u64 sum = 0;
	const u8 *p = data + 512;
	LOOP for (int i = 0; i < 128; i++) {
		if (p + 1 > end)
			break;
		u32 v = *p++ & 31;
		OPAQUE(v);
		sum = sum * 3 + weight(v);
	}
	return sum;
}

PROGRAM(switch24)
