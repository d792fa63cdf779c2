// SPDX-License-Identifier: GPL-2.0-only
// Bit counts without a runtime call: the compiler's own popcount is a libgcc function where the CPU's is not assumed.
#pragma once

#include "base/types.h"

namespace modbpf {

/// Number of set bits. By nibbles: gcc turns the usual tricks back into a call of the libgcc function.
constexpr u32 popcount(u64 v) {
    constexpr u8 bits_of[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
    u32 n = 0;
    for (; v; v >>= 4)
        n += bits_of[v & 15];
    return n;
}
static_assert(popcount(0) == 0 && popcount(~0ull) == 64 && popcount(0x8000000000000001ull) == 2);

}  // namespace modbpf
