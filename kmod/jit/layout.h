// SPDX-License-Identifier: GPL-2.0-only
// layout: in which order a subprogram's operations are emitted.
//
// A run of operations ends with the first one that does not fall through, so nothing but a jump leads to the next run and runs may stand in
// any order. A run that ends in a jump to the start of another one is followed by that one: the jump goes. The entry's run stays first.
#pragma once

#include "jit/frame.h"

namespace modbpf {

struct op_run {
    u32 from, to; ///< to: one past
};

/// The runs of `f` in the order in which they are emitted; with `reorder` false, as they stand. ENOMEM.
status order_runs(const jit_facts &facts, const jit_frame &f, bool reorder, vec<op_run> &out);

} // namespace modbpf
