// SPDX-License-Identifier: GPL-2.0-only
// What lies at an offset of a structure described by BTF: walks through members, arrays, unions, bit-fields and an array without
// bounds at the end.
//
// Pure but for the log; no locks, any task context. Types may be the kernel's own, whose data is trusted but not checked: every id is
// looked up and every walk is bounded. Behaviour, errno and texts: Linux 6.12 kernel/bpf/btf.c (btf_struct_walk, btf_struct_access).
#pragma once

#include "base/log.h"
#include "btf/btf.h"
#include "helpers/type_flags.h"

namespace modbpf {

enum class walk_hit : u8 { scalar, pointer, structure };

/// A walk, with what it found.
struct struct_walk {
    const btf &types;
    verifier_log &log;
    bool flexible; ///< an access may lie in an array without bounds at the end
    u32 id = 0;    ///< pointer: the structure that it points to; structure: the one that starts at the offset
    type_flag flags = type_flag::none; ///< of a pointer: untrusted behind a union, and user, percpu, rcu by type tag
    const char *field = nullptr;       ///< of a pointer: its member

    /// One step from structure `from`: to a scalar, a pointer to a structure, or a structure that starts exactly at `off`.
    /// EACCES: outside, or across members; EINVAL: nothing is there; EFAULT: a member without size.
    result<walk_hit> step(u32 from, s32 off, u32 size);
    /// Through nested structures down to a scalar or a pointer.
    result<walk_hit> access(u32 from, s32 off, u32 size);
};

/// A member's type behind modifiers and dimensions.
struct member_shape {
    const btf_type *type = nullptr; ///< of one element
    u32 id = 0;      ///< of the element: of an array as the array names it, else without modifiers
    u32 size = 0;    ///< of all elements
    u32 count = 1;   ///< elements in all dimensions
    bool array = false;
};
/// False: it has no size.
bool shape_of(const btf &types, u32 type_id, member_shape *out);

}  // namespace modbpf
