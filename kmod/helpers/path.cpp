// SPDX-License-Identifier: GPL-2.0-only
// Names of files and strings of user space. Task context.
#include "helpers/families.h"
#include "helpers/kfuncs.h"
#include "port/port.h"

namespace modbpf {

/// d_path(path, buffer, size): the program's path may be one that nobody holds.
u64 bpf_d_path(u64 r1, u64 r2, u64 r3, u64, u64) {
    u32 size = static_cast<u32>(r3);
    return size ? helper_errno(port_path_text(r1, ptr_of<char>(r2), size)) : 0;
}

/// path_d_path(path, buffer, size)
u64 kfunc_path_d_path(u64 r1, u64 r2, u64 r3, u64, u64) {
    return r3 ? helper_errno(port_path_text(r1, ptr_of<char>(r2), r3)) : kfunc_errno(EINVAL);
}

/// copy_from_user_str(destination, size, address, flags)
u64 kfunc_copy_from_user_str(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    constexpr u64 BPF_F_PAD_ZEROS = 1;
    auto *to = ptr_of<char>(r1);
    u32 size = static_cast<u32>(r2);
    if (r4 & ~BPF_F_PAD_ZEROS)
        return kfunc_errno(EINVAL);
    if (!size)
        return 0;
    long n = port_strncpy_from_user(to, r3, size);
    size_t from = n < 0 ? 0 : static_cast<size_t>(n);
    if (r4 & BPF_F_PAD_ZEROS)
        memset(to + from, 0, size - from);
    return n < 0 ? helper_errno(n) : static_cast<u64>(n) + 1;
}

}  // namespace modbpf
