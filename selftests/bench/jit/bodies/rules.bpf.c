// SPDX-License-Identifier: GPL-2.0-only
// A chain of filter rules over 32 tuples of addresses and ports.
#include "body.h"

INLINE u32 rule_of(u32 source, u32 destination, u16 sport, u16 dport)
{
	if ((source & 0xff) == 10 && dport == 22)
		return 1;
	if ((source & 0xffff) == 0xa8c0)
		return 2;
	if ((destination & 0xff000000) == 0x7f000000)
		return 3;
	if (sport >= 1024 && dport < 1024)
		return 4;
	if (sport == dport)
		return 5;
	return (source ^ destination) & 1 ? 6 : 7;
}

INLINE u64 rules(const u8 *data, const u8 *end)
{
	u64 sum = 0;
	const u8 *p = data + 640;
	LOOP for (int i = 0; i < 32; i++) {
		if (p + 12 > end)
			break;
		sum += rule_of(READ32(p), READ32(p + 4), READ16(p + 8), READ16(p + 10));
		p += 12;
	}
	return sum;
}

PROGRAM(rules)
