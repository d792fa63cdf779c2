// SPDX-License-Identifier: GPL-2.0-only
// map_lookup: how a map's look-up finds an element, as data: the JIT writes it into the program instead of a call.
//
// The description holds for the map's whole life: nothing in it moves or grows. It says what the type's map_ops::lookup does, with the same
// order of loads; who makes code of it must keep that order (x86 does not reorder loads) and hold the map.
#pragma once

#include "base/types.h"

namespace modbpf {

enum class lookup_kind : u8 {
    call,         ///< only map_ops::lookup can
    array,        ///< base + index * elem_size, where index < max_entries
    percpu_array, ///< the same; base is a table of addresses by CPU
    hash,         ///< buckets, chains of elements (maps/hash.h), keys of 4 bytes or up to max_looked_up_key / 8 words
    percpu_hash,  ///< the same; the value is this CPU's
    programs,     ///< base + index * 8 holds the address of a runnable; of one without a tail entry where the slot is empty
};

// Of a hash table's element: number of the next one at 0, the hash, the key. looked_up_end: the sign bit of a number that is no element's;
// with the bucket's number it is the end of the bucket's own chain.
inline constexpr u32 looked_up_hash = 4, looked_up_key = 8, looked_up_end = 1u << 31;

inline constexpr u32 max_looked_up_key = 64; ///< bytes: a comparison of more words is farther than a short jump

struct map_lookup {
    lookup_kind kind = lookup_kind::call;
    u32 key_size = 0;
    u32 max_entries = 0;
    u64 elem_size = 0;
    u64 base = 0; ///< of elements; hash: of element 0
    u64 this_cpu = 0; ///< percpu_array: with this CPU's offset (port_jit_env) added, the base itself; 0: only the table tells
    // hash
    u64 buckets = 0; ///< of 8 bytes, whose first 4 are the number of the first element
    u32 bucket_mask = 0;
    u32 value_offset = 0; ///< of an element
    u64 seed[2] = {};
    u64 last_factor = 0;  ///< the hash is the upper half of its product
    u64 marks = 0;        ///< by element: a byte that says whether it was looked up; 0: none
    u8 mark_live = 0, mark_used = 0; ///< which of the first becomes the second
    // percpu_hash: the value of element i is at cpu_values + cpu * cpu_stride + i * cpu_value_size
    u64 cpu_values = 0, cpu_stride = 0;
    u32 cpu_value_size = 0;
};

} // namespace modbpf
