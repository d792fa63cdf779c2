// SPDX-License-Identifier: GPL-2.0-only
// What a program is loaded for, as PROG_LOAD's attach_btf_id with attach_btf_obj_fd or attach_prog_fd names it. Task context.
#pragma once

#include "prog/prog.h"

namespace modbpf {

/// What the verifier wants to know of a program that another one is for.
target_program seen_by_verifier(const program &p);

/// Holds what the request refers to; the program keeps both references for its life.
struct load_target {
    ref<btf> types;      ///< of the kernel or a module
    ref<program> prog;
    target_program seen{}; ///< the program as the verifier needs to know it
    attach_request request{};

    /// EINVAL, ENOTSUPP; ENOENT never: without kernel types EINVAL.
    status find(const prog_load_attr &a);
};

}  // namespace modbpf
