// SPDX-License-Identifier: GPL-2.0-only
#include "base/sha1.h"

namespace modbpf {
namespace {

constexpr u32 rotl(u32 v, unsigned n) { return v << n | v >> (32 - n); }

constexpr u32 block_words = 16, stage_rounds = 20;
constexpr size_t block_bytes = block_words * sizeof(u32);

struct choose {
    static constexpr u32 k = 0x5a827999;
    static u32 mix(u32 b, u32 c, u32 d) { return d ^ (b & (c ^ d)); }
};
template <u32 constant> struct parity {
    static constexpr u32 k = constant;
    static u32 mix(u32 b, u32 c, u32 d) { return b ^ c ^ d; }
};
struct majority {
    static constexpr u32 k = 0x8f1bbcdc;
    static u32 mix(u32 b, u32 c, u32 d) { return (b & c) | (d & (b | c)); }
};

/// The message schedule: the last 16 words.
struct schedule {
    u32 w[block_words];
    u32 at(u32 t) {
        u32 &x = w[t % block_words];
        if (t >= block_words)
            x = rotl(w[(t - 3) % block_words] ^ w[(t - 8) % block_words] ^ w[(t - 14) % block_words] ^ x, 1);
        return x;
    }
};

template <class S> void round(u32 a, u32 &b, u32 c, u32 d, u32 &e, u32 w) {
    e += rotl(a, 5) + S::mix(b, c, d) + S::k + w;
    b = rotl(b, 30);
}

/// 20 rounds; unrolled, so that names change places instead of values.
template <class S> inline void stage(u32 (&h)[5], schedule &s, u32 t) {
    u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
#pragma GCC unroll 4
    for (u32 end = t + stage_rounds; t < end; t += 5) {
        round<S>(a, b, c, d, e, s.at(t));
        round<S>(e, a, b, c, d, s.at(t + 1));
        round<S>(d, e, a, b, c, s.at(t + 2));
        round<S>(c, d, e, a, b, s.at(t + 3));
        round<S>(b, c, d, e, a, s.at(t + 4));
    }
    h[0] = a, h[1] = b, h[2] = c, h[3] = d, h[4] = e;
}

}  // namespace

void sha1::block(const u8 *p) {
    schedule s;
    memcpy(s.w, p, sizeof(s.w));
    for (u32 &w : s.w)
        w = __builtin_bswap32(w);
    u32 h[5] = {h_[0], h_[1], h_[2], h_[3], h_[4]};
    stage<choose>(h, s, 0);
    stage<parity<0x6ed9eba1>>(h, s, stage_rounds);
    stage<majority>(h, s, 2 * stage_rounds);
    stage<parity<0xca62c1d6>>(h, s, 3 * stage_rounds);
    for (u32 i = 0; i < 5; i++)
        h_[i] += h[i];
}

void sha1::update(const void *data, size_t n) {
    const u8 *p = static_cast<const u8 *>(data);
    size_t held = length_ % block_bytes;
    length_ += n;
    if (held) {
        size_t take = min<size_t>(n, block_bytes - held);
        memcpy(pending_ + held, p, take);
        p += take, n -= take;
        if (held + take < block_bytes)
            return;
        block(pending_);
    }
    for (; n >= block_bytes; p += block_bytes, n -= block_bytes)
        block(p);
    if (n)
        memcpy(pending_, p, n);
}

void sha1::finish(u8 digest[digest_size]) {
    constexpr size_t length_at = block_bytes - sizeof(u64); // in the last block: the message's bits, big-endian
    u64 bits = __builtin_bswap64(length_ * 8);
    size_t held = length_ % block_bytes;
    pending_[held++] = 0x80;
    if (held > length_at) {
        memset(pending_ + held, 0, block_bytes - held);
        block(pending_);
        held = 0;
    }
    memset(pending_ + held, 0, length_at - held);
    memcpy(pending_ + length_at, &bits, sizeof(bits));
    block(pending_);
    for (u32 i = 0; i < digest_size; i++)
        digest[i] = static_cast<u8>(h_[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace modbpf
