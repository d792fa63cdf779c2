// SPDX-License-Identifier: GPL-2.0-only
// An index that a program chose, checked and then used: a CPU that mispredicts the check must not use it either (Spectre v1).
#pragma once

#include "base/types.h"

namespace modbpf {

/// `i` when i < n, else 0: by arithmetic, which the CPU does not guess. Any context.
inline u32 clamp_index(u32 i, u32 n) {
    u64 inside = (static_cast<u64>(i) - n) >> 63; // 1 when i < n
    asm("" : "+r"(inside));                       // the compiler would make a branch of it
    return i & static_cast<u32>(0 - inside);
}

}  // namespace modbpf
