// SPDX-License-Identifier: GPL-2.0-only
// Callbacks: functions of the program that a helper or a kernel function calls (helpers/callback.h says with what).
//
// A synchronous callback is explored as Linux 6.12 does it: behind the call the path goes on as if there had been no turn, and a copy
// enters the callback in a frame of its own; from the callback's exit it comes back to the call, which is made again. So
// every number of turns is explored, until a turn changes nothing any more (loops.h). The caller's r1-r5 stay as they are.
// An asynchronous callback is explored from a state of its own: it runs later, on a stack of its own.
#pragma once

#include "helpers/callback.h"
#include "verifier/env.h"

namespace modbpf {

/// The current call calls back subprogram `sub`. Before the call's effects on the caller's registers.
/// EINVAL, ENOTSUPP (not with this map), E2BIG, ENOMEM.
status call_callback(env &e, const callback_proto &proto, u32 sub, const map *m);
/// The exit of a synchronous callback: what it returns is checked, and the call is next. `by_exit`: r0 is what it returns.
status return_from_callback(env &e, bool by_exit);
/// r`dst` = the address of a function.
status load_func_pointer(env &e, const insn_desc &d);

}  // namespace modbpf
