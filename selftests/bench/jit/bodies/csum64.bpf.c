// SPDX-License-Identifier: GPL-2.0-only
// The Internet checksum by 64-bit words with the carry added: 1456 bytes.
#include "body.h"

INLINE u64 csum64(const u8 *data, const u8 *end)
{
	u64 sum = 0;
	const u8 *p = data + 34;
	LOOP for (int i = 0; i < 182; i++) {
		if (p + 8 > end)
			break;
		u64 v = READ64(p);
		sum += v;
		sum += sum < v;
		p += 8;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

PROGRAM(csum64)
