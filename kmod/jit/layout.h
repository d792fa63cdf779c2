// SPDX-License-Identifier: GPL-2.0-only
// layout: in which order a subprogram's operations are emitted.
//
// A run of operations ends with the first one that does not fall through, so nothing but a jump leads to the next run and runs may stand in
// any order. A run that ends in a jump to the start of another one is followed by that one: the jump goes. The entry's run stays first.
// A run that goes back to its own start, and leaves behind a short test there, is two: what is behind the test may be emitted first, and then
// the test, *turned*: it branches back where it went on, and goes on where it branched. The jump of each turn goes.
#pragma once

#include "jit/frame.h"

namespace modbpf {

struct op_run {
    u32 from, to; ///< to: one past
    bool tests = false;  ///< ends with the test of a loop: a branch
    bool turned = false; ///< which is turned
    u32 live = 0; ///< its first operation that is not dead
};

/// The runs of `f` in the order in which they are emitted; with `reorder` false, as they stand. ENOMEM.
status order_runs(const jit_facts &facts, const jit_frame &f, bool reorder, scratch_vec<op_run> &out);

} // namespace modbpf
