// SPDX-License-Identifier: GPL-2.0-only
// Special fields (btf/fields.h) of map values and of a program's own objects: what may touch them directly, and the arguments of the
// helpers that work on them: locks, timers, kernel pointers.
//
// A lock is told by what it lies in (the map, or the types of an object) and by the id of the pointer to that: so such pointers
// keep their id when they are found not to be NULL. One lock at a time is held (path_modes).
#pragma once

#include "btf/fields.h"
#include "verifier/btf_match.h"
#include "verifier/env.h"

namespace modbpf {

/// The fields of what `r` points into, or null: none. ENOMEM.
result<const field_table *> fields_of(env &e, const reg_state &r);
/// The fields of the program's structure `object`, or null. ENOMEM.
result<const field_table *> fields_of_object(env &e, typed object);
/// Does the pointer's id tell one lock from another?
bool tells_lock(env &e, const reg_state &r);

/// Access of `size` bytes at `off` (with the fixed part of the pointer) of a map's value; `direct`: by an instruction, not a helper.
/// -> the kernel pointer that is accessed, or null when plain memory is. EACCES.
result<const special_field *> check_field_access(env &e, u32 regno, s32 off, s32 size, bool direct);
/// R[regno] may be stored into kernel pointer `f`. EINVAL, EACCES.
status check_kptr_value(env &e, const special_field &f, u32 regno);
/// What an exchange gives: an object of the program's own, or the kernel's.
type_flag exchanged_flags(const special_field &f);
/// The reference goes into a kernel pointer: a per-CPU object of the program's own stays for as long as RCU readers may look at it.
void keep_exchanged(env &e, u32 ref_id);
/// A load or store of a kernel pointer. `value`: register, or -1.
status access_kptr(env &e, const special_field &f, access t, s32 value);

/// A spin_lock, timer or kptr argument.
status check_special_arg(env &e, u32 regno, arg_type t, call_meta &meta);
/// The object is in a list or tree whose lock is held.
status set_non_owning(env &e, reg_state &r);
/// Inside the comparison of a tree's elements, which runs under the tree's lock.
bool in_tree_callback(const verifier_state &st);
/// "bpf_spin_unlock is missing"
status check_lock_left(env &e);

}  // namespace modbpf
