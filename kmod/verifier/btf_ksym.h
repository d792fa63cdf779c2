// SPDX-License-Identifier: GPL-2.0-only
// Kernel variables and functions behind 64-bit immediates (BPF_PSEUDO_BTF_ID), and what helpers make of per-CPU ones.
//
// Behaviour and texts: Linux 6.12 (check_pseudo_btf_id, RET_PTR_TO_MEM_OR_BTF_ID).
#pragma once

#include "verifier/btf_match.h"

namespace modbpf {

/// The symbol that the load at `insn` names goes into env.ksyms, and its index into the instruction's map_index.
status resolve_ksym(env &e, u32 insn);
/// What the load gives.
void load_ksym(env &e, reg_state &r, const kernel_symbol &s);
/// `r` becomes the object at a per-CPU variable or allocated object of that type: a kernel structure, or memory. `flags`: of the result
/// (read-only counts for memory alone, may be NULL). `allocated`: one CPU's part of an object of bpf_percpu_obj_new. EINVAL with a text.
status set_percpu_result(env &e, reg_state &r, typed var, type_flag flags, bool allocated);

}  // namespace modbpf
