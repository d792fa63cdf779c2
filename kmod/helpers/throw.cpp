// SPDX-License-Identifier: GPL-2.0-only
// Exceptions: where a program that throws goes on. The engines do the rest (jit/throw.cpp, interp).
#include "helpers/helper.h"
#include "helpers/kfuncs.h"

namespace modbpf {

void *exchange_anchor(void *anchor) {
    run_ctx *run = current_run();
    void *old = run->anchor;
    run->anchor = anchor;
    return old;
}

/// For images: -> the frame to leave to.
u64 kfunc_throw(u64, u64, u64, u64, u64) { return addr_of(current_run()->anchor); }

} // namespace modbpf
