// SPDX-License-Identifier: GPL-2.0-only
// What programs at a function ask of their trampoline. Any context.
#include "helpers/traced.h"

#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {
const u64 *words(u64 ctx) { return reinterpret_cast<const u64 *>(ctx); }
u64 &out(u64 at) { return *reinterpret_cast<u64 *>(at); }
constexpr u64 failure(int e) { return static_cast<u64>(-static_cast<s64>(e)); }
}  // namespace

u64 bpf_get_func_ip_traced(u64 ctx, u64, u64, u64, u64) { return words(ctx)[traced_func]; }
u64 bpf_get_attach_cookie_traced(u64 ctx, u64, u64, u64, u64) { return words(ctx)[traced_cookie]; }
u64 bpf_get_func_arg_cnt(u64 ctx, u64, u64, u64, u64) { return words(ctx)[traced_arg_count]; }

u64 bpf_get_func_arg(u64 ctx, u64 n, u64 value, u64, u64) {
    out(value) = 0; // also where it fails
    if (static_cast<u32>(n) >= words(ctx)[traced_arg_count])
        return failure(EINVAL);
    out(value) = words(ctx)[static_cast<u32>(n)];
    return 0;
}

u64 bpf_get_func_ret(u64 ctx, u64 value, u64, u64, u64) {
    out(value) = words(ctx)[words(ctx)[traced_arg_count]];
    return 0;
}

/// Where there is no result yet.
u64 bpf_get_func_ret_at_entry(u64, u64 value, u64, u64, u64) {
    out(value) = 0;
    return failure(EOPNOTSUPP);
}

}  // namespace modbpf
