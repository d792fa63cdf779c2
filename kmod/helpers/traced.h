// SPDX-License-Identifier: GPL-2.0-only
// The words before the context of a program that a trampoline runs; the context itself is the traced function's argument words, and
// behind them its result.
#pragma once

#include "base/types.h"

namespace modbpf {

/// Index from the context's first word.
inline constexpr s32 traced_arg_count = -1, traced_func = -2, traced_cookie = -3;
inline constexpr u32 traced_words = 3;

}  // namespace modbpf
