// SPDX-License-Identifier: GPL-2.0-only
// Special fields: members of a map's value or of a program's own object that the kernel gives a meaning (locks, timers, kernel
// pointers, lists, trees), found in its BTF. Programs touch them through helpers and kernel functions only.
//
// A field_table is immutable once made; its types are borrows of the BTF that it was made from, or of the kernel's; those of modules it holds.
// Behaviour and errno: Linux 6.12 kernel/bpf/btf.c (btf_parse_fields).
#pragma once

#include "btf/btf.h"

namespace modbpf {

enum class field_kind : u8 {
    spin_lock, timer, workqueue, list_head, list_node, rb_root, rb_node, refcount,
    kptr_unref,  ///< pointer to a kernel object, not counted
    kptr_ref,    ///< counted: exchanged by bpf_kptr_xchg only
    kptr_percpu, ///< counted, to a per-CPU object of the program
};

constexpr u32 field_bit(field_kind k) { return 1u << static_cast<u32>(k); }
inline constexpr u32 kptr_fields = field_bit(field_kind::kptr_unref) | field_bit(field_kind::kptr_ref) | field_bit(field_kind::kptr_percpu);
inline constexpr u32 graph_roots = field_bit(field_kind::list_head) | field_bit(field_kind::rb_root);
inline constexpr u32 graph_nodes = field_bit(field_kind::list_node) | field_bit(field_kind::rb_node);
/// Those that a map's value may have; an object of bpf_obj_new.
inline constexpr u32 map_fields = field_bit(field_kind::spin_lock) | field_bit(field_kind::timer) | field_bit(field_kind::workqueue) |
                                  field_bit(field_kind::refcount) | kptr_fields | graph_roots;
inline constexpr u32 object_fields_mask = field_bit(field_kind::spin_lock) | field_bit(field_kind::refcount) | graph_roots | graph_nodes | kptr_fields;

struct special_field {
    field_kind kind;
    u32 off;
    u32 size;
    const btf *types = nullptr; ///< kptrs: of what they point to; roots: of their elements
    u32 type_id = 0;
    u32 node_off = 0;           ///< roots: of the node in an element
};

struct field_table {
    vec<special_field> fields; ///< by offset
    u32 kinds = 0;             ///< field_bit of each
    vec<ref<btf>> modules;     ///< whose types are among those of the fields

    bool has(field_kind k) const { return kinds & field_bit(k); }
    bool has_any(u32 mask) const { return kinds & mask; }
    /// The only one of its kind, or null.
    const special_field *find(field_kind k) const;
    /// The one that starts at `off` and is of one of the kinds, or null.
    const special_field *at(u32 off, u32 mask) const;
};

/// "bpf_spin_lock", "kptr", ...
const char *field_name(field_kind k);

/// The fields of structure or data section `id` that are of kinds in `mask`. `kernel`: the kernel's types, or null.
/// ENOMEM; EINVAL, E2BIG, EEXIST, ENOENT: they are not as they should be: then they are no fields at all (a table without any).
result<own<field_table>> parse_fields(const btf &types, u32 id, u32 mask, const btf *kernel);

/// The same, with the error where they are not as they should be.
result<own<field_table>> find_fields(const btf &types, u32 id, u32 mask, const btf *kernel);
/// Have two values the same fields? Null: none.
bool same_fields(const field_table *a, const field_table *b);
result<own<field_table>> copy_fields(const field_table &from);
/// Has the structure a member that is such a field? One that has fields in its members' members alone has none as an object, as in Linux:
/// nothing looks at who owns whom there.
result<bool> tells_fields(const btf &types, u32 id);
/// BTF_LOAD: every structure with a member that is such a field must be one that programs could allocate. As find_fields; EFAULT: a field
/// by its type is none by its place; ELOOP: types own each other in a circle, or in a chain of more than eight.
status check_object_structs(const btf &types, const btf *kernel);

}  // namespace modbpf
