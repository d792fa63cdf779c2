// SPDX-License-Identifier: GPL-2.0-only
// What stands behind each btf_type in the data, by kind, and the limits of the format (docs.kernel.org/bpf/btf.html).
#pragma once

#include "base/types.h"

namespace modbpf {

struct btf_header {
    u16 magic;
    u8 version;
    u8 flags;
    u32 hdr_len;
    u32 type_off; ///< offsets count from the end of the header
    u32 type_len;
    u32 str_off;
    u32 str_len;
};
static_assert(sizeof(btf_header) == 24);

inline constexpr u16 btf_magic = 0xeb9f;
inline constexpr u32 btf_max_size = 16 * 1024 * 1024; ///< of what BTF_LOAD takes
inline constexpr u32 btf_max_type = 0x000fffff;       ///< greatest type id
inline constexpr u32 btf_max_name_offset = 0x00ffffff;
inline constexpr u32 btf_info_mask = 0x9f00ffff; ///< kind_flag, kind and vlen: the other bits of info are zero

/// integer: one word.
struct btf_int_data {
    u32 word;
    u32 encoding() const { return word >> 24 & 0xf; }
    u32 bit_offset() const { return word >> 16 & 0xff; }
    u32 bits() const { return word & 0xff; }
};
inline constexpr u32 btf_int_mask = 0x0fffffff;
enum : u32 { BTF_INT_SIGNED = 1, BTF_INT_CHAR = 2, BTF_INT_BOOL = 4 };

struct btf_array {
    u32 type;
    u32 index_type;
    u32 nelems;
};
/// structure, union: vlen of them. With kind_flag, offset holds a bit-field size in its high byte.
struct btf_member {
    u32 name_off;
    u32 type;
    u32 offset;
    u32 bit_offset(bool kind_flag) const { return kind_flag ? offset & 0xffffff : offset; }
    u32 bitfield_size(bool kind_flag) const { return kind_flag ? offset >> 24 : 0; }
};
struct btf_enum {
    u32 name_off;
    s32 val;
};
struct btf_enum64 {
    u32 name_off;
    u32 val_lo32;
    u32 val_hi32;
};
struct btf_param {
    u32 name_off;
    u32 type; ///< 0 in the last one: variable arguments
};
struct btf_var {
    u32 linkage;
};
struct btf_var_secinfo {
    u32 type;
    u32 offset;
    u32 size;
};
struct btf_decl_tag {
    s32 component_idx; ///< member or parameter; -1: the whole
};
enum : u32 { BTF_FUNC_STATIC, BTF_FUNC_GLOBAL, BTF_FUNC_EXTERN };
enum : u32 { BTF_VAR_STATIC, BTF_VAR_GLOBAL_ALLOCATED, BTF_VAR_GLOBAL_EXTERN };

}  // namespace modbpf
