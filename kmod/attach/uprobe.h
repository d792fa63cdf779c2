// SPDX-License-Identifier: GPL-2.0-only
// What the probes in user space share: perf events (attach/uprobe.cpp) and links to many places (attach/uprobe_multi.cpp).
#pragma once

#include "prog/prog.h"

namespace modbpf {

/// Runs `p`, which the caller keeps, in the task that came to the probe; addr: for bpf_get_func_ip. Nothing guards against a run within
/// a run, as in Linux. Task context, preemption on.
void run_at_uprobe(program *p, void *regs, u64 addr, u64 cookie);

inline constexpr u32 path_max = 4096; ///< with the NUL
/// The caller's text of at most path_max bytes; an empty vec: it is longer. EFAULT, ENOMEM.
result<vec<char>> copy_path(u64 upath);

}  // namespace modbpf
