// SPDX-License-Identifier: GPL-2.0-only
// Branches that depend on data: 256 bytes are classified.
#include "body.h"

INLINE u64 branchy(const u8 *data, const u8 *end)
{
	u64 control = 0, digits = 0, high = 0, separators = 0;
	const u8 *p = data;
	LOOP for (int i = 0; i < 256; i++) {
		if (p + 1 > end)
			break;
		u8 c = *p++;
		if (c < ' ')
			control++;
		else if (c >= '0' && c <= '9')
			digits += c;
		else if (c & 0x80)
			high += c > 0xc0 ? 3 : 1;
		else if (c == ' ' || c == ',')
			separators++;
		else
			control += 2;
	}
	return control + (digits << 8) + (high << 16) + (separators << 24);
}

PROGRAM(branchy)
