// SPDX-License-Identifier: GPL-2.0-only
// Memory accesses through pointers with kernel types, and to the map behind a map pointer. access.cpp calls them for registers of these
// kinds that cannot be NULL. `off` has the pointer's fixed offset in it; `value` is the register loaded or stored, or -1.
//
// Behaviour, errno and texts: Linux 6.12 kernel/bpf/verifier.c (check_ptr_to_btf_access, check_ptr_to_map_access).
#pragma once

#include "verifier/env.h"

namespace modbpf {

status access_object(env &e, u32 regno, s32 off, u32 size, access t, s32 value);
/// Memory whose end is known when the program is attached: iterators' keys and values, writable tracepoints' records.
status access_buffer(env &e, u32 regno, s32 off, u32 size, access t, s32 value);
/// The same for a helper's argument.
status check_buffer(env &e, u32 regno, s32 off, u32 size, access t);
status access_map_struct(env &e, u32 regno, s32 off, u32 size, access t, s32 value);

}  // namespace modbpf
