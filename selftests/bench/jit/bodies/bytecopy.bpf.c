// SPDX-License-Identifier: GPL-2.0-only
// A loop that copies and changes 256 bytes inside the packet.
#include "body.h"

INLINE u64 bytecopy(const u8 *data, const u8 *end)
{
	u8 *p = (u8 *)data;
	if (p + 1280 > end)
		return 0;
	LOOP for (int i = 0; i < 256; i++) {
		u8 c = p[i];
		OPAQUE(c);
		p[1024 + i] = c ^ 0x20;
	}
	return READ64(data + 1024) ^ READ64(data + 1272);
}

PROGRAM(bytecopy)
