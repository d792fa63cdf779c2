// SPDX-License-Identifier: GPL-2.0-only
// Helpers that call a function of the program for each of something.
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

constexpr u32 max_loops = 8u << 20; // BPF_MAX_LOOPS

}  // namespace

/// loop(turns, callback, context, flags): -> turns taken
u64 bpf_loop(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 turns = static_cast<u32>(r1);
    if (r4)
        return helper_errno(-EINVAL);
    if (turns > max_loops)
        return helper_errno(-E2BIG);
    for (u32 i = 0; i < turns; i++)
        if (call_back(r2, i, r3))
            return i + 1;
    return turns;
}

}  // namespace modbpf
