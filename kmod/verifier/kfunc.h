// SPDX-License-Identifier: GPL-2.0-only
// Calls of kernel functions by type id (kfuncs): found when the program is loaded (kfunc_find.cpp), arguments checked against the
// prototype in BTF (kfunc_args.cpp), then effects and result (kfunc_call.cpp). iter.cpp: open-coded iterators. What the prototype does
// not say is in the table of helpers/kfunc.h.
#pragma once

#include "helpers/kfunc.h"
#include "verifier/btf_match.h"
#include "verifier/env.h"

namespace modbpf {

/// One call: what it calls and what its arguments told.
struct kfunc_call {
    const kfunc_desc *fn = nullptr;
    const kfunc_row *row = nullptr;
    u32 flags = 0; ///< the row's
    bool const_found = false; ///< there was a constant argument
    u64 const_value = 0;
    u64 buf_size = 0; ///< of the memory behind r0
    bool buf_rdonly = false;
    u32 ref_id = 0;   ///< of the last argument with a reference
    u32 release_regno = 0;
    u32 iter_frame = 0, iter_slot = 0;
    const btf *object_types = nullptr; ///< of the allocated object that is dropped or counted
    u32 object_id = 0;
    const special_field *root = nullptr; ///< of the list or tree
    u32 subprog = 0;  ///< the callback
    const map *map_ptr = nullptr; ///< that the work queue is in
    u32 map_uid = 0;
    dynptr_facts dynptr;

    const btf &types() const { return *fn->types; }
    u32 arg_count() const { return fn->proto->vlen(); }
    bool is(u32 f) const { return flags & f; }
};

/// The parameter of a call, as its prototype has it.
struct kfunc_param {
    const char *name = "";
    size_t name_length = 0;
    u32 type_id = 0;            ///< as written
    const btf_type *type = nullptr; ///< behind modifiers
    u32 target_id = 0;          ///< of a pointer: what it points to, behind modifiers; 0: void
    const btf_type *target = nullptr;

    template <size_t N> bool ends_with(const char (&suffix)[N]) const {
        return name_length >= N - 1 && !__builtin_memcmp(name + name_length - (N - 1), suffix, N - 1);
    }
};
kfunc_param param_of(const kfunc_call &c, u32 i);

// kfunc_find.cpp
/// The function of the call instruction at `insn` and its row for this program; null row: it may not call it. Null fn: call of id 0.
kfunc_call find_kfunc_call(const env &e, u32 insn);
bool is_number(const btf_type *t);
/// A structure of numbers, of structures of numbers...; says so when it is too deep.
bool is_plain_data(env &e, const btf &b, const btf_type *t);

/// The argument of the call that the program does not pass.
status hide_argument(env &e, u32 insn, const kfunc_call &c, code_kfunc &k);

// kfunc_args.cpp
status check_kfunc_args(env &e, kfunc_call &c);

// kfunc_objects.cpp
/// Functions of allocated objects, lists, trees and work queues.
status check_special_kfunc_arg(env &e, kfunc_call &c, u32 i, const kfunc_param &p);
/// While a lock is held only what works on lists and trees may be called.
status check_lock_for_kfunc(env &e, const kfunc_call &c);
bool works_on_graphs(kfunc_effect x);
/// Calls back, where the function does.
status call_kfunc_callback(env &e, const kfunc_call &c);
/// The list or tree owns what was pushed or added.
status change_owner(env &e, const kfunc_call &c);
/// The run-time type of the objects that obj_new makes of the program's structure `id`. ENOMEM.
result<ref<object_type>> made_type(env &e, u32 id, bool percpu);
bool gives_object(kfunc_effect x);
status set_object_result(env &e, const kfunc_call &c, reg_state &r);

// iter.cpp
status check_iter_arg(env &e, u32 regno, kfunc_call &c);
/// Behind the call of next(): on one path the iterator is drained and r0 is NULL, on another there is an element.
status fork_iter_next(env &e, const kfunc_call &c);

}  // namespace modbpf
