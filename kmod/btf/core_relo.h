// SPDX-License-Identifier: GPL-2.0-only
// CO-RE: instructions that depend on the layout of kernel types, adapted to the running kernel by PROG_LOAD's core_relos.
//
// Terms
//  - The *local* type is the program's idea of a kernel type, the *target* type is the running kernel's. Candidates are the target types of
//    the same kind whose names are equal up to a *flavor* ("task_struct___old"): the kernel's own, and where it has none those of all modules.
//  - A *spec* is a path through a type: "0:1:3" is element 0, member 1, and its member 3; for enumerators one index; for types "0".
//  - A relocation that cannot be satisfied *poisons* its instruction: it becomes a call that the verifier refuses, should it be reachable.
//
// Pure functions over validated local BTF and the kernel's trusted one; task context (they allocate). Format: bpf_core_relo of the user
// interface, docs.kernel.org/bpf/llvm_reloc.html; errno and texts: Linux 6.12 (check_core_relo, bpf_core_apply).
#pragma once

#include "base/bpf.h"
#include "base/log.h"
#include "btf/btf.h"

namespace modbpf {

enum class core_kind : u32 {
    field_byte_offset, field_byte_size, field_exists, field_signed, field_lshift, field_rshift,
    type_id_local, type_id_target, type_exists, type_size, enumval_exists, enumval_value, type_matches,
};

/// struct bpf_core_relo.
struct core_relo {
    u32 insn_off; ///< bytes
    u32 type_id;
    u32 access_str_off;
    u32 kind;
};
static_assert(sizeof(core_relo) == 16);

inline constexpr s32 poisoned_call = 195896080; ///< 0xbad2310: no helper has that number
inline constexpr u32 core_spec_max = 64;        ///< longest path

struct core_access {
    u32 type_id;
    u32 index;
    const char *name; ///< of a member or enumerator; null: array element
};

struct core_spec {
    const btf *types = nullptr;
    u32 root = 0;
    u32 len = 0;     ///< named members and array elements
    u32 raw_len = 0; ///< with members without name
    u32 bit_offset = 0;
    core_access at[core_spec_max];
};

/// Length of a name without its flavor.
size_t essential_length(const char *name);

/// EINVAL, E2BIG: the text is no path through the type.
status core_parse(const btf &types, const core_relo &r, core_spec *out);
/// Does a path of the local type lead through the target type `id`? Fills `out`. EINVAL, E2BIG.
result<bool> core_match(const core_spec &local, core_kind kind, const btf &target, u32 id, core_spec *out);
/// core_types.cpp: same kind and shape, whatever the names; and the same to the last member.
result<bool> core_types_compatible(const btf &local, u32 local_id, const btf &target, u32 target_id);
result<bool> core_types_match(const btf &local, u32 local_id, const btf &target, u32 target_id);
bool core_fields_compatible(const btf &local, u32 local_id, const btf &target, u32 target_id);

/// Where target types are looked for.
struct core_targets {
    const btf *kernel;                   ///< the running kernel's types, or null
    result<vec<ref<btf>>> (*modules)();  ///< as btf::modules; asked only for names that the kernel does not have
};

/// Applies relocation number `index` to insns[r.insn_off / 8], which is in range.
status core_apply(const core_relo &r, u32 index, const btf &local, const core_targets &targets, span<bpf_insn> insns, verifier_log &log);

}  // namespace modbpf
