// SPDX-License-Identifier: GPL-2.0-only
// What Linux 6.12 knows of kernel types and functions beyond their BTF, as data by name: fields whose pointers stay trusted, fields that
// some programs may write, tracepoints' arguments that may be NULL, hooks that may sleep, and the like.
#pragma once

#include "base/bpf.h"
#include "base/span.h"

namespace modbpf {

/// What is known of a pointer read from a field of a trusted or RCU-protected structure.
enum class field_trust : u8 {
    none,
    rcu,              ///< inside an RCU section: valid, never NULL
    rcu_or_null,
    trusted,          ///< everywhere: valid, never NULL
    trusted_or_null,
    plain,            ///< everywhere: valid or NULL, which a load finds out. Linux 6.12 takes it for trusted
};
/// `target`: the structure that the field points to.
field_trust trust_of_field(const char *structure, const char *field, const char *target);

/// A field that programs of a type may write.
struct writable_field {
    u32 prog_type;
    const char *ops;      ///< struct_ops programs: of this structure; else null
    const char *object;   ///< what the register must point to
    const char *holder;   ///< structure that has the field: the object or one that it starts with
    const char *field;    ///< dotted path; null: the whole object
    bool inside = false;  ///< a write may start anywhere in the field, else only at its start
};
span<const writable_field> writable_fields();

/// Arguments of a raw tracepoint, a bit each.
struct raw_tp_args_info {
    const char *name;
    u16 maybe_null;
    u16 maybe_error; ///< may be an errno in disguise: no pointer at all
};
/// Null: nothing is known, all are valid.
const raw_tp_args_info *find_raw_tp_args(const char *tracepoint);

bool is_sleepable_lsm_hook(const char *func);
bool is_untrusted_lsm_hook(const char *func); ///< its arguments are half made or half gone
/// Arguments, as bits, that some callers of the hook pass as NULL, or as a number: not trusted, so a load finds them or 0.
u16 doubtful_lsm_args(const char *func);
bool is_disabled_lsm_hook(const char *func);
bool is_bool_lsm_hook(const char *func);      ///< returns 0 or 1
bool is_denied_function(const char *func);    ///< fentry and the like may not stand there
bool is_noreturn_function(const char *func);

bool is_sleepable_test_function(const char *func);  ///< the kernel's own functions for tests of fmod_ret
bool is_modifiable_function(const char *func);

/// An argument of an iterator program that is more than its prototype says.
struct iter_arg {
    const char *target;     ///< the kernel has bpf_iter_<target>()
    u16 off;                ///< in the context
    bool buffer;            ///< seq_file or map memory, bounds known when attached; else a kernel object
    bool readonly;
    bool trusted;
    const char *structure;  ///< of an object
};
bool is_iterator_target(const char *func);
bool iterator_runs(const char *func); ///< modbpf has the target, too
const iter_arg *find_iter_arg(const char *func, u32 off);

/// struct_ops: which structures of operations programs may fill in.
struct ops_info {
    const char *name;
    span<const char *const> members; ///< that may be programs; "x*": all that begin with x
    const char *sleepable;           ///< the only member that may sleep; null: all may
    bool socks_are_tcp;              ///< a struct sock that it gets is a tcp_sock
};
const ops_info *find_ops(const char *name);

/// The kernel structure that a map of this type is; null: its fields cannot be read.
const char *map_struct_name(u32 map_type);

}  // namespace modbpf
