// SPDX-License-Identifier: GPL-2.0-only
// Numbers of links to many places, from and to the user.
#include "attach/multi.h"

#include "base/errno.h"
#include "port/port.h"

namespace modbpf {

status multi_probe::copy_numbers(vec<u64> &to, u64 from, u32 count) {
    if (!from)
        return {};
    TRY(to.resize_zeroed(count));
    return port_copy_from_user(to.data(), from, u64{count} * sizeof(u64)) ? status(error(EFAULT)) : status();
}

status multi_probe::put_numbers(u64 to, const vec<u64> &from, u32 count) {
    if (!to)
        return {};
    if (!from.empty())
        return port_copy_to_user(to, from.data(), u64{count} * sizeof(u64)) ? status(error(EFAULT)) : status();
    for (u32 i = 0; i < count; i++) {
        u64 zero = 0;
        if (port_copy_to_user(to + u64{i} * sizeof(u64), &zero, sizeof(zero)))
            return error(EFAULT);
    }
    return {};
}

}  // namespace modbpf
