// SPDX-License-Identifier: GPL-2.0-only
// The Internet checksum (RFC 1071) by 16-bit words with a bounds check each: 1460 bytes.
#include "body.h"

INLINE u64 csum16(const u8 *data, const u8 *end)
{
	u32 sum = 0;
	const u8 *p = data + 34;
	LOOP for (int i = 0; i < 730; i++) {
		if (p + 2 > end)
			break;
		sum += READ16(p);
		p += 2;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

PROGRAM(csum16)
