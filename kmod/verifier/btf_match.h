// SPDX-License-Identifier: GPL-2.0-only
// Kernel types of registers: which structure a register points to, how far it is trusted, and whether it fits where one is wanted.
// For helpers' and kfuncs' arguments, kptrs, and the checks of memory accesses.
//
// A type is a btf and an id. The kernel's types are found by name (kernel_types, find_kernel_type); the same type of a module's BTF and
// the kernel's has one description, so types are compared by that. Behaviour and texts: Linux 6.12 (btf_struct_ids_match,
// is_trusted_reg, check_reg_type).
#pragma once

#include "verifier/env.h"

namespace modbpf {

struct typed {
    const btf *types = nullptr;
    u32 id = 0;
    explicit operator bool() const { return types && id; }
    const btf_type *type() const;
    /// "" when there is none.
    const char *name() const;
};

/// The running kernel's types, or null when it has none. A borrow for as long as the env lives.
const btf *kernel_types(env &e);
/// Structure `name` of the kernel; false: there is none.
typed kernel_struct(env &e, const char *name);
/// The kernel's type with the name and kind of a type of another BTF; false: only the program has such a type.
typed find_kernel_type(env &e, const btf &from, u32 id);

bool same_type_id(typed a, typed b);
/// Is at `off` of `have` a `want`: itself, or a structure within it that starts there? `strict`: itself only. `flexible`: elements of an
/// array without bounds count (kernel types; not objects of bpf_obj_new).
bool struct_fits(env &e, typed have, s32 off, typed want, bool strict, bool flexible = true);
/// Do the names differ only by the suffix ___init, by which a kernel API tells an object apart that is not complete?
bool differ_by_init(typed a, typed b);

/// A reference, or a pointer that the kernel keeps valid for the whole run. No: it may be NULL, stale, user memory...
bool is_trusted(const reg_state &r);
inline bool is_rcu(const reg_state &r) { return has(r.type, type_flag::rcu); }
/// An object that the program allocated (bpf_obj_new) or a kptr to one.
inline bool is_alloc_object(const reg_state &r) { return r.base() == reg_type::btf_ptr && has(r.type, type_flag::alloc); }
bool may_sleep_here(const env &e);
/// RCU-protected objects stay: programs that do not sleep, RCU sections, held locks.
bool in_rcu_section(const env &e);

/// The structure that a register points to: a btf_ptr's, or the kernel's own for sockets and map pointers. False: none.
typed object_of(env &e, const reg_state &r);

/// A register that is a btf_ptr, passed where the kernel's structure `want` is expected (Linux's second half of check_reg_type).
/// `null_ok`: NULL may be passed. EACCES with a text.
struct object_arg {
    typed want;
    bool null_ok = false;
    bool release = false; ///< the call ends its reference
    bool strict = false;  ///< a structure that starts with it does not do
};
status check_object_arg(env &e, u32 regno, const object_arg &arg);

/// Makes `r` a pointer to a kernel object; a new id when it may be NULL.
void set_object(env &e, reg_state &r, typed object, type_flag flags);

}  // namespace modbpf
