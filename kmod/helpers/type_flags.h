// SPDX-License-Identifier: GPL-2.0-only
// Modifiers of a kind of pointer, shared by register types, helper arguments and helper results, so that "may be NULL" is the same
// bit everywhere and one kind compares with another as a number. A kind is a base (low 8 bits) and any of these.
// The names and their meaning are those of Linux 6.12's bpf_type_flag.
#pragma once

#include "base/types.h"

namespace modbpf {

enum class type_flag : u32 {
    none = 0,
    maybe_null = 1u << 8,
    rdonly = 1u << 9,        ///< memory that may only be read
    ringbuf = 1u << 10,      ///< a reserved ring buffer record
    user = 1u << 11,         ///< user memory
    percpu = 1u << 12,       ///< per-CPU memory
    release = 1u << 13,      ///< argument: the call ends the reference
    untrusted = 1u << 14,    ///< may be stale: loads go through exception tables, no helper takes it
    uninit = 1u << 15,       ///< argument: memory that the helper writes, need not be initialised
    fixed_size = 1u << 16,   ///< argument: size is in the prototype
    alloc = 1u << 17,        ///< an object of bpf_obj_new or a kptr to one
    trusted = 1u << 18,      ///< from the kernel, held for as long as the program runs
    rcu = 1u << 19,          ///< valid inside the RCU section
    non_owning = 1u << 20,   ///< in a list or tree whose lock is held
    aligned = 1u << 21,      ///< argument: aligned to its size
    write = 1u << 22,        ///< argument: the helper writes the memory (which must be initialised unless uninit)
    dynptr_local = 1u << 23, ///< kinds of dynptr
    dynptr_ringbuf = 1u << 24,
    dynptr_skb = 1u << 25,
    dynptr_xdp = 1u << 26,
};

inline constexpr u32 kind_base_mask = 0xff;
inline constexpr type_flag dynptr_kinds{static_cast<u32>(type_flag::dynptr_local) | static_cast<u32>(type_flag::dynptr_ringbuf) |
                                        static_cast<u32>(type_flag::dynptr_skb) | static_cast<u32>(type_flag::dynptr_xdp)};

constexpr type_flag operator|(type_flag a, type_flag b) { return type_flag{static_cast<u32>(a) | static_cast<u32>(b)}; }
constexpr type_flag operator&(type_flag a, type_flag b) { return type_flag{static_cast<u32>(a) & static_cast<u32>(b)}; }
constexpr type_flag operator~(type_flag a) { return type_flag{~static_cast<u32>(a) & ~kind_base_mask}; }

/// An enum class of kinds: a base and flags. Gives it | and the questions below.
template <class K> concept flagged_kind = requires { K::is_flagged_kind_; };

template <flagged_kind K> constexpr K operator|(K k, type_flag f) { return K{static_cast<u32>(k) | static_cast<u32>(f)}; }
template <flagged_kind K> constexpr K base_of(K k) { return K{static_cast<u32>(k) & kind_base_mask}; }
template <flagged_kind K> constexpr type_flag flags_of(K k) { return type_flag{static_cast<u32>(k) & ~kind_base_mask}; }
/// Any of `f`?
template <flagged_kind K> constexpr bool has(K k, type_flag f) { return static_cast<u32>(k) & static_cast<u32>(f) & ~kind_base_mask; }
template <flagged_kind K> constexpr K without(K k, type_flag f) { return K{static_cast<u32>(k) & ~(static_cast<u32>(f) & ~kind_base_mask)}; }

}  // namespace modbpf
