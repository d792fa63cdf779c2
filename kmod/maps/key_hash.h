// SPDX-License-Identifier: GPL-2.0-only
// The hash of keys and values: wide multiplications, seeded. Any context.
#pragma once

#include "maps/copy.h"
#include "port/port.h"

namespace modbpf {

/// Both halves of the 128-bit product: each bit of the result depends on all bits of both factors.
inline u64 hash_mix(u64 a, u64 b) {
    unsigned __int128 p = static_cast<unsigned __int128>(a) * b;
    return static_cast<u64>(p) ^ static_cast<u64>(p >> 64);
}

inline u64 hash_bytes(const u8 *p, u32 n, const u64 (&seed)[2]) {
    u64 h = seed[0] ^ n;
    for (; n >= 16; p += 16, n -= 16)
        h = hash_mix(load8(p) ^ seed[1], load8(p + 8) ^ h);
    u64 a = 0, b = 0;
    if (n >= 8) {
        a = load8(p);
        b = load8(p + n - 8);
    } else if (n >= 4) {
        a = load4(p);
        b = load4(p + n - 4);
    } else if (n) {
        a = p[0] | p[n / 2] << 8 | p[n - 1] << 16;
    }
    if (n)
        h = hash_mix(a ^ seed[1], b ^ h);
    return hash_mix(h ^ seed[0], seed[1]);
}

/// Two factors with bits all over, also from a zero seed, or small keys would not spread; the second one is odd, so that no key loses
/// its low bits. Task context.
inline void choose_hash_seed(u64 (&seed)[2], bool zero) {
    seed[0] = (zero ? 0 : port_random_seed()) ^ 0xc2b2ae3d27d4eb4f;
    seed[1] = ((zero ? 0 : port_random_seed()) ^ 0x9e3779b97f4a7c15) | 1;
}

}  // namespace modbpf
