// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs: descriptions of memory of a size that is known when the program runs. A program holds one in two slots of its stack, which
// only helpers and kfuncs write and read; a callback or global function gets one by address (reg_type::dynptr).
//
// A dynptr in the stack has an id, by which its slices (mem registers with that dynptr_id) are found when it is overwritten; one of a
// ring buffer record has a reference, which its clones and slices share and which a release through any of them ends.
#pragma once

#include "verifier/env.h"

namespace modbpf {

inline constexpr u32 dynptr_slots = 2;

/// R[regno] as a dynptr argument of kind `t` (flags uninit, rdonly, and one of dynptr_kinds or none for any). `original`: what a
/// new dynptr is a clone of, or null. `facts` are filled for an initialised one. EINVAL.
status check_dynptr_arg(env &e, u32 regno, arg_type t, const dynptr_facts *original, dynptr_facts *facts);
/// A helper's dynptr argument: also its register type, and that what is released is held.
status check_helper_dynptr(env &e, u32 regno, arg_type t, call_meta &meta);
/// The call releases the dynptr that R[regno] points to, with its clones and slices. ENOMEM, EFAULT.
status release_dynptr(env &e, u32 regno);
/// Slot `slot` of frame `f` is about to be written: a dynptr that it is part of is no more, nor are its slices.
status overwrite_dynptr(env &e, func_state &f, u32 slot);

/// Does the program make dynptrs of the packets of kind `k`, or may what it extends pass it one?
bool has_packet_dynptrs(const env &e, dynptr_kind k);
/// Is it, or may it be, a packet's of a socket buffer, which moves when it is written?
bool write_moves_packet(const env &e, const dynptr_facts &d);
/// Whose memory it is; of a given one a packet's, if it may be.
dynptr_kind owner_of(const env &e, const dynptr_facts &d);
const char *dynptr_name(dynptr_kind k);
type_flag dynptr_flag(dynptr_kind k);
dynptr_kind dynptr_kind_of(type_flag f);
void set_const_dynptr(env &e, reg_state &r, dynptr_kind k);

/// The slot of the object `what` of `slots` slots that the stack pointer r points to (its lowest address), or -1 where the frame has
/// not that many yet. EINVAL.
result<s32> object_slot(env &e, const reg_state &r, const char *what, u32 slots);
/// The slots of an object were used whole.
status observe_object(env &e, const reg_state &r, u32 slot, u32 slots);
/// They hold nothing any more.
void clear_object(env &e, func_state &f, u32 slot, u32 slots);

}  // namespace modbpf
