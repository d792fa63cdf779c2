// SPDX-License-Identifier: GPL-2.0-only
// What BTF says of a function's arguments: of a global function, which is verified by them alone and whose callers are held to them, and of
// the program's main function, whose prototype tells whether its types can be relied upon.
//
// Behaviour, errno and texts: Linux 6.12 kernel/bpf/btf.c (btf_prepare_func_args).
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// Fills in the arguments of a global function, once. EINVAL, EOPNOTSUPP, ENOENT, ESRCH with a text.
status prepare_func_args(env &e, u32 sub);
/// Does an argument of an extension take all that the same argument of the function `target` (a BTF id of `types`), which it replaces, may be? They
/// are of one kind and name already. False: its tags claim more.
result<bool> takes_all(env &e, u32 own, const btf &types, u32 target, u32 arg);
/// Does an extension's function take a dynptr, which the program that it extends makes?
bool extension_gets_dynptr(const env &e);
/// Main's types are unreliable unless it takes the context alone. As in Linux, what is wrong is only logged.
void check_main_prototype(env &e);
/// A call of a static function with the registers as they are. Its types are relied upon, by those who trace it, until a caller passes
/// something else: compilers leave arguments out.
void note_static_call(env &e, u32 sub);
/// The register of argument `i` at the function's start.
void set_func_arg(env &e, const subprog_info &s, u32 i);

}  // namespace modbpf
