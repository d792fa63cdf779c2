// SPDX-License-Identifier: GPL-2.0-only
// What a program with typed arguments is attached to, as PROG_LOAD names it, and what follows from it.
//
// Behaviour, errno and texts: Linux 6.12 (check_attach_btf_id, bpf_check_attach_target, check_struct_ops_btf_id). Linux takes functions for
// fmod_ret, and for sleepable programs, by its list of functions that errors may be injected into. That list is in no BTF: here those of
// stock builds without error injection count, that is security_* and the kernel's own test functions.
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// Fills env.target, or refuses.
status resolve_target(env &e);
status resolve_struct_ops(env &e);
/// An extension's function has the prototype of the function that it replaces (`replaced`: a func type of the target's BTF).
status check_replaced_prototype(env &e, const btf_type *replaced);
/// Are the pointers among the context's arguments trusted?
bool arg_trusted(const env &e, u32 arg);
/// What the target's prototype says of the program's result.
struct typed_return {
    bool limited = false;
    s32 lo = 0, hi = 0;
    bool low_half = false; ///< only the low 32 bits count
};
typed_return return_range(const env &e);
/// "Note, ..." behind a refused result.
void explain_return(env &e);
/// Has the target no result, so that r0 need not be set?
bool returns_nothing(const env &e);

/// The types that a program type's context has in programs and in the kernel; null: no structure of its own.
struct ctx_names {
    const char *user = nullptr;
    const char *kernel = nullptr;
};
ctx_names ctx_names_of(u32 prog_type);
/// May a structure of that name stand for the type's context?
bool is_ctx_struct(u32 prog_type, const char *name);

/// Bytes of an argument or result with its type behind modifiers (null: void, 0 bytes); false: no kind that is passed.
bool passed_size(const btf &types, u32 id, u32 *size, const btf_type **type);

/// "STRUCT" and so on, as Linux prints kinds.
const char *kind_text(const btf_type *t);

}  // namespace modbpf
