// SPDX-License-Identifier: GPL-2.0-only
// Helpers of SYSCALL programs, such as the loaders that light skeletons are: commands, types and symbols by name. Task context.
#include "helpers/syscall.h"

#include "base/errno.h"
#include "btf/btf.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

constinit bpf_command_fn bpf_command = nullptr;

namespace {

/// What a program may ask for.
constexpr u32 commands[] = {
    BPF_MAP_CREATE, BPF_MAP_DELETE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_FREEZE, BPF_MAP_GET_FD_BY_ID,
    BPF_PROG_LOAD, BPF_BTF_LOAD, BPF_LINK_CREATE, BPF_RAW_TRACEPOINT_OPEN,
};

/// A name of `size` bytes that ends with its NUL.
bool is_name(const char *name, u32 size) { return static_cast<s32>(size) > 1 && !name[size - 1]; }

}  // namespace

/// (cmd, attr, size): as bpf(), with addresses of the kernel's in attr
u64 bpf_sys_bpf(u64 r1, u64 r2, u64 r3, u64, u64) {
    for (u32 cmd : commands)
        if (cmd == static_cast<u32>(r1)) {
            port_kernel_pointers here;
            port_kernel_pointers_begin(&here, r2, static_cast<u32>(r3));
            long rc = bpf_command(cmd, r2, static_cast<u32>(r3));
            port_kernel_pointers_end(&here);
            return helper_errno(rc);
        }
    return helper_errno(-EINVAL);
}

u64 bpf_sys_close(u64 r1, u64, u64, u64, u64) { return helper_errno(port_fd_close(static_cast<int>(r1))); }

/// (name, size, kind, flags): the id of one of the kernel's own types
u64 bpf_btf_find_by_name_kind(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    const char *name = ptr_of<const char>(r1);
    if (static_cast<u32>(r4) || !is_name(name, static_cast<u32>(r2)))
        return helper_errno(-EINVAL);
    result<ref<btf>> kernel = btf::vmlinux();
    if (!kernel)
        return helper_errno(kernel.code());
    u32 id = (*kernel)->find(name, static_cast<btf_kind>(static_cast<u32>(r3)));
    return id ? id : helper_errno(-ENOENT);
}

/// (name, size, flags, result)
u64 bpf_kallsyms_lookup_name(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u64 &address = *ptr_of<u64>(r4);
    const char *name = ptr_of<const char>(r1);
    address = 0;
    if (static_cast<u32>(r3) || !is_name(name, static_cast<u32>(r2)))
        return helper_errno(-EINVAL);
    if (!port_capable(PORT_CAP_PERFMON))
        return helper_errno(-EPERM);
    address = port_ksym_lookup(name);
    return address ? 0 : helper_errno(-ENOENT);
}

}  // namespace modbpf
