// SPDX-License-Identifier: GPL-2.0-only
// Inverses of constants: what unsigned division by d multiplies with, for d > 1 that is no power of two. Proof: lower_divide.cpp.
#pragma once

#include "base/types.h"

namespace modbpf {

/// With N bits: t = (multiplier * x) >> N. Without `add`: x / d = t >> shift. With it: x / d = (t + (x - t) / 2) >> (shift - 1).
struct inverse_of {
    u64 multiplier; ///< below 2^N
    u32 shift;
    bool add;
};
inverse_of inverse32(u32 d);
inverse_of inverse64(u64 d);

} // namespace modbpf
