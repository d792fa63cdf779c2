// SPDX-License-Identifier: GPL-2.0-only
#include "base/sha1.h"

namespace modbpf {
namespace {

constexpr u32 rotl(u32 v, unsigned n) { return v << n | v >> (32 - n); }

struct stage {
    u32 f, k;
};
stage stage_of(int t, u32 b, u32 c, u32 d) {
    if (t < 20)
        return {(b & c) | (~b & d), 0x5a827999};
    if (t < 40)
        return {b ^ c ^ d, 0x6ed9eba1};
    if (t < 60)
        return {(b & c) | (b & d) | (c & d), 0x8f1bbcdc};
    return {b ^ c ^ d, 0xca62c1d6};
}

}  // namespace

void sha1::block(const u8 *p) {
    u32 w[80];
    for (int t = 0; t < 16; t++, p += 4)
        w[t] = static_cast<u32>(p[0]) << 24 | static_cast<u32>(p[1]) << 16 | static_cast<u32>(p[2]) << 8 | p[3];
    for (int t = 16; t < 80; t++)
        w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    u32 a = h_[0], b = h_[1], c = h_[2], d = h_[3], e = h_[4];
    for (int t = 0; t < 80; t++) {
        stage s = stage_of(t, b, c, d);
        u32 next = rotl(a, 5) + s.f + e + s.k + w[t];
        e = d, d = c, c = rotl(b, 30), b = a, a = next;
    }
    h_[0] += a, h_[1] += b, h_[2] += c, h_[3] += d, h_[4] += e;
}

void sha1::update(const void *data, size_t n) {
    const u8 *p = static_cast<const u8 *>(data);
    size_t held = length_ % 64;
    length_ += n;
    if (held) {
        size_t take = min<size_t>(n, 64 - held);
        memcpy(pending_ + held, p, take);
        p += take, n -= take;
        if (held + take < 64)
            return;
        block(pending_);
    }
    for (; n >= 64; p += 64, n -= 64)
        block(p);
    if (n)
        memcpy(pending_, p, n);
}

void sha1::finish(u8 digest[digest_size]) {
    u64 bits = length_ * 8;
    const u8 one = 0x80, zero = 0;
    update(&one, 1);
    while (length_ % 64 != 56)
        update(&zero, 1);
    u8 tail[8];
    for (int i = 0; i < 8; i++)
        tail[i] = static_cast<u8>(bits >> (56 - 8 * i));
    update(tail, 8);
    for (u32 i = 0; i < digest_size; i++)
        digest[i] = static_cast<u8>(h_[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace modbpf
