// SPDX-License-Identifier: GPL-2.0-only
// SHA-1 (FIPS 180-4) for program tags: BPF_TAG_SIZE bytes of the digest over the instructions name a program. Not for
// security. A plain value type; any context.
#pragma once

#include "base/types.h"

namespace modbpf {

class sha1 {
public:
    static constexpr u32 digest_size = 20;

    void update(const void *data, size_t n);
    /// Pads and writes the digest; the object is used up.
    void finish(u8 digest[digest_size]);

private:
    void block(const u8 *p);

    u32 h_[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    u64 length_ = 0; ///< bytes so far
    u8 pending_[64];
};

}  // namespace modbpf
