// SPDX-License-Identifier: GPL-2.0-only
// Sections in which a path must not sleep: under bpf_rcu_read_lock and bpf_preempt_disable.
#pragma once

#include "verifier/kfunc.h"

namespace modbpf {

/// A call of a kernel function opens, closes or breaks a section. EINVAL, EACCES.
status enter_or_leave_section(env &e, const kfunc_call &c);
/// Nothing is RCU-protected from here on: what was read under it may be gone.
void distrust_protected(env &e);
/// A helper that may sleep is called. EINVAL.
status check_helper_sleeps(env &e, const helper_proto &fn);
/// A global function is called, whose body is verified by itself. EINVAL.
status check_global_in_section(env &e, bool may_sleep);
/// Nothing is open where the program ends.
status check_sections_left(env &e);
/// `what` ("tail_call", ...) cannot stand inside a section.
status check_outside_sections(env &e, const char *what);

}  // namespace modbpf
