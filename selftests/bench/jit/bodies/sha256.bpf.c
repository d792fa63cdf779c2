// SPDX-License-Identifier: GPL-2.0-only
// One block of SHA-256, unrolled: much straight-line code.
#include "body.h"

#define EACH_CONSTANT(K)                                                                                              \
	K(0, 0x428a2f98) K(1, 0x71374491) K(2, 0xb5c0fbcf) K(3, 0xe9b5dba5) K(4, 0x3956c25b) K(5, 0x59f111f1)         \
	K(6, 0x923f82a4) K(7, 0xab1c5ed5) K(8, 0xd807aa98) K(9, 0x12835b01) K(10, 0x243185be) K(11, 0x550c7dc3)       \
	K(12, 0x72be5d74) K(13, 0x80deb1fe) K(14, 0x9bdc06a7) K(15, 0xc19bf174) K(16, 0xe49b69c1) K(17, 0xefbe4786)   \
	K(18, 0x0fc19dc6) K(19, 0x240ca1cc) K(20, 0x2de92c6f) K(21, 0x4a7484aa) K(22, 0x5cb0a9dc) K(23, 0x76f988da)   \
	K(24, 0x983e5152) K(25, 0xa831c66d) K(26, 0xb00327c8) K(27, 0xbf597fc7) K(28, 0xc6e00bf3) K(29, 0xd5a79147)   \
	K(30, 0x06ca6351) K(31, 0x14292967) K(32, 0x27b70a85) K(33, 0x2e1b2138) K(34, 0x4d2c6dfc) K(35, 0x53380d13)   \
	K(36, 0x650a7354) K(37, 0x766a0abb) K(38, 0x81c2c92e) K(39, 0x92722c85) K(40, 0xa2bfe8a1) K(41, 0xa81a664b)   \
	K(42, 0xc24b8b70) K(43, 0xc76c51a3) K(44, 0xd192e819) K(45, 0xd6990624) K(46, 0xf40e3585) K(47, 0x106aa070)   \
	K(48, 0x19a4c116) K(49, 0x1e376c08) K(50, 0x2748774c) K(51, 0x34b0bcb5) K(52, 0x391c0cb3) K(53, 0x4ed8aa4a)   \
	K(54, 0x5b9cca4f) K(55, 0x682e6ff3) K(56, 0x748f82ee) K(57, 0x78a5636f) K(58, 0x84c87814) K(59, 0x8cc70208)   \
	K(60, 0x90befffa) K(61, 0xa4506ceb) K(62, 0xbef9a3f7) K(63, 0xc67178f2)

INLINE u32 three_rotates(u32 x, int a, int b, int c)
{
	return rotate32(x, 32 - a) ^ rotate32(x, 32 - b) ^ rotate32(x, 32 - c);
}
/* Word i of the schedule, from the 16 before it. */
INLINE u32 schedule(u32 *w, int i)
{
	u32 old = w[(i - 15) & 15], recent = w[(i - 2) & 15];
	u32 s0 = rotate32(old, 25) ^ rotate32(old, 14) ^ old >> 3;
	u32 s1 = rotate32(recent, 15) ^ rotate32(recent, 13) ^ recent >> 10;
	return w[i & 15] += s1 + w[(i - 7) & 15] + s0;
}
INLINE void sha_round(u32 *s, u32 constant, u32 word)
{
	u32 choice = (s[4] & s[5]) ^ (~s[4] & s[6]), majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
	u32 t = s[7] + three_rotates(s[4], 6, 11, 25) + choice + constant + word;
	u32 u = three_rotates(s[0], 2, 13, 22) + majority;
	s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t;
	s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t + u;
}

INLINE u64 sha256(const u8 *data, const u8 *end)
{
	u32 w[16], s[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	if (data + 64 > end)
		return 0;
	UNROLL for (int i = 0; i < 16; i++)
		w[i] = __builtin_bswap32(READ32(data + 4 * i));
#define ROUND(i, constant) sha_round(s, constant, i < 16 ? w[i & 15] : schedule(w, i));
	EACH_CONSTANT(ROUND)
	return (u64)(s[0] ^ s[1] ^ s[2] ^ s[3]) + (s[4] ^ s[5] ^ s[6] ^ s[7]);
}

PROGRAM(sha256)
