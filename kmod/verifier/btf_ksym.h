// SPDX-License-Identifier: GPL-2.0-only
// Kernel variables and functions behind 64-bit immediates (BPF_PSEUDO_BTF_ID).
//
// Behaviour and texts: Linux 6.12 (check_pseudo_btf_id).
#pragma once

#include "verifier/btf_match.h"

namespace modbpf {

/// The symbol that the load at `insn` names goes into env.ksyms, and its index into the instruction's map_index.
status resolve_ksym(env &e, u32 insn);
/// What the load gives.
void load_ksym(env &e, reg_state &r, const kernel_symbol &s);

}  // namespace modbpf
