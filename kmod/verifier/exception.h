// SPDX-License-Identifier: GPL-2.0-only
// bpf_throw and what catches it.
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// Instruction that the program's exception callback starts at, or 0: it has none. EINVAL, EEXIST, ENOENT with a text.
result<u32> find_exception_callback(env &e);
/// Its one argument is a number.
status check_exception_callback(env &e, const subprog_info &s);
/// The current path throws: nothing may be held, in any frame.
status check_throw(env &e);
/// Can the engines leave these frames? What cannot be left is noted (note_absent).
void check_throw_runs(env &e);
/// A global function is called that may throw: what its callers hold would be lost. Linux does not look at that.
status check_may_throw(env &e, const subprog_info &callee);

}  // namespace modbpf
