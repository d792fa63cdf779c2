// SPDX-License-Identifier: GPL-2.0-only
// What links to many places share: where those are and their cookies, as the links' information shows them.
#pragma once

#include "base/vec.h"

namespace modbpf {

struct multi_probe {
    vec<u64> places;   ///< offsets in the file, or addresses of functions: sorted where there are cookies
    vec<u64> ref_ctrs; ///< of a file alone; empty: none were given
    vec<u64> cookies;  ///< empty: none were given
    u32 flags = 0;

    u64 cookie(u32 index) const { return cookies.empty() ? 0 : cookies[index]; }
    u64 cookie_at(u64 place) const; ///< of a function. Any context
    /// As many numbers as there are places, where the user gives some. EFAULT, ENOMEM.
    static status copy_numbers(vec<u64> &to, u64 from, u32 count);
    /// `count` of the numbers to the user, or zeros; nowhere to: nothing. EFAULT.
    static status put_numbers(u64 to, const vec<u64> &from, u32 count);
};

/// link_create.kprobe_multi
struct kprobe_multi_request {
    u32 flags, count;
    u64 syms, addrs, cookies;
};

/// link_create.uprobe_multi
struct uprobe_multi_request {
    u64 path, offsets, ref_ctr_offsets, cookies;
    u32 count, flags;
    s32 pid;
};

}  // namespace modbpf
