// SPDX-License-Identifier: GPL-2.0-only
// Objects as text, by their types: what bpf_snprintf_btf and bpf_seq_printf_btf give, and what a pinned map reads as.
//
//     (struct list_head){
//      .next = (struct list_head *)0x00000000c5ad5a1b,
//     }
//
// Behaviour: Linux 6.12's btf_type_show, but where that reads past what it shows or stays at an array's first element: enumerations
// narrower than 4 bytes, arrays of pointers and arrays of arrays are shown as what they are.
#pragma once

#include "base/text_out.h"
#include "btf/btf.h"

namespace modbpf {

enum : u64 {
    BTF_F_COMPACT = 1 << 0, ///< no line ends, no indentation
    BTF_F_NONAME = 1 << 1,  ///< no names of members and types
    BTF_F_PTR_RAW = 1 << 2, ///< pointers as they are, not hashed
    BTF_F_ZERO = 1 << 3,    ///< members that are zero, too
    btf_show_flags = BTF_F_COMPACT | BTF_F_NONAME | BTF_F_PTR_RAW | BTF_F_ZERO,
};

inline constexpr u32 btf_show_nesting = 32; ///< as deep as types may be nested; Linux's limit for those that are loaded

/// Writes the object of type `id` at `object`: memory of the kernel that need not be there. EFAULT: some of it is not; EINVAL: the
/// type is incomplete; E2BIG: nested too deep. Text may have been written in each case. Any context.
status btf_show(const btf &types, u32 id, u64 object, u64 flags, text_out &out);

}  // namespace modbpf
