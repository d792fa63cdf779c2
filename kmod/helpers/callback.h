// SPDX-License-Identifier: GPL-2.0-only
// What a callback gets from the function that calls it, and what it may return: one table for helpers; kernel functions have such
// rows too.
#pragma once

#include "base/bpf.h"
#include "base/span.h"

namespace modbpf {

/// What a callback finds in r1..r5.
enum class callback_arg : u8 {
    none,    ///< unreadable
    number,  ///< any number
    r1, r2, r3, r4, r5, ///< what the caller has in that register
    map,     ///< the map of the caller's r1
    map_key, ///< a key of that map
    map_value,
    dynptr,  ///< a local dynptr, for the time of the call
    vma,     ///< a kernel vm_area_struct
    graph_node, ///< a node of the list or tree that the caller's r1 is the root of
};

struct callback_proto {
    u32 helper;       ///< BPF_FUNC_*; kernel functions: 0
    callback_arg args[5];
    bool async = false;   ///< called later, from nowhere: it has a stack of its own
    bool counted = false; ///< the caller's r1 bounds the number of calls
    u64 map_types = 0;    ///< bit mask of the types of r1's map that it works on; 0: takes no map, or any
    s32 ret_min = 0, ret_max = 1; ///< what it may return
    bool may_sleep = false; ///< an asynchronous one; others may where their callers may
    bool atomic = false;    ///< nothing may sleep in it, whoever calls
    const char *name = nullptr;   ///< of a kernel function
};

/// The callback of a helper, or null when it calls none.
const callback_proto *find_callback(u32 helper);
/// The same of a kernel function.
const callback_proto *find_callback(const char *kfunc);

}  // namespace modbpf
