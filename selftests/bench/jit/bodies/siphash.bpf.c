// SPDX-License-Identifier: GPL-2.0-only
// SipHash-2-4 of 1024 bytes: 64-bit adds, xors and rotates in four words.
#include "body.h"

struct sip {
	u64 a, b, c, d;
};

INLINE void sip_round(struct sip *s)
{
	s->a += s->b;
	s->b = rotate64(s->b, 13) ^ s->a;
	s->a = rotate64(s->a, 32);
	s->c += s->d;
	s->d = rotate64(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate64(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate64(s->b, 17) ^ s->c;
	s->c = rotate64(s->c, 32);
}
INLINE void sip_word(struct sip *s, u64 word)
{
	s->d ^= word;
	sip_round(s);
	sip_round(s);
	s->a ^= word;
}

INLINE u64 siphash(const u8 *data, const u8 *end)
{
	if (data + 1024 > end)
		return 0;
	u64 k0 = READ64(data), k1 = READ64(data + 8);
	struct sip s = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull, k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
	const u8 *p = data;
	LOOP for (int i = 0; i < 128; i++) {
		if (p + 8 > end)
			break;
		sip_word(&s, READ64(p));
		p += 8;
	}
	sip_word(&s, 1024ull << 56);
	s.c ^= 0xff;
	UNROLL for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

PROGRAM(siphash)
