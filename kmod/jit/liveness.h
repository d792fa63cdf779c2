// SPDX-License-Identifier: GPL-2.0-only
// Which registers are read later on: after(i) = union over the successors s of (after(s) - defs(s)) + uses(s).
#pragma once

#include "jit/frame.h"

namespace modbpf {

/// after[i - f.first]: the registers that may be read behind operation i. Solved from the end backwards until nothing changes; a
/// subprogram whose loops need too many rounds gets "all" everywhere. ENOMEM.
status find_liveness(const jit_facts &facts, const jit_frame &f, scratch_vec<u16> &after);

/// What is read from `d` on, when `after` is read behind it.
constexpr u16 live_before(const jit_op &d, u16 after) {
    return d.dead ? after : static_cast<u16>((after & ~d.defs) | d.uses);
}

/// Kills pure operations of which nothing is read. `after` is what find_liveness() said, since when nothing has come to be read later at the
/// end of a block, or empty. ENOMEM.
status kill_unread(jit_facts &facts, const jit_frame &f, scratch_vec<u16> &after);

} // namespace modbpf
