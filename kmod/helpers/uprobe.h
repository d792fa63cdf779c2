// SPDX-License-Identifier: GPL-2.0-only
// The words before the context of a sleepable program at a probe in user space: others may run on its CPU while it sleeps, so that it has
// no run context. The context itself is a copy of the task's registers.
#pragma once

#include "base/types.h"

namespace modbpf {

/// Index from the context's first word.
inline constexpr s32 uprobe_addr = -1, uprobe_cookie = -2;
inline constexpr u32 uprobe_words = 2;

}  // namespace modbpf
