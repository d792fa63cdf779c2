// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

using read_fn = long (*)(void *dst, u64 src, size_t n);
using read_str_fn = long (*)(char *dst, u64 src, size_t size);

// The destination counts as initialised after the call, so a failure zeroes all of it.
template <read_fn read> u64 read_memory(u64 dst, u64 size, u64 src) {
    u32 n = static_cast<u32>(size);
    long err = read(ptr_of(dst), src, n); // also of nothing: a bad address is told, as on Linux
    if (err < 0)
        memset(ptr_of(dst), 0, n);
    return helper_errno(err);
}

u64 read_string(read_str_fn read, u64 dst, u64 size, u64 src) {
    u32 n = static_cast<u32>(size);
    long len = n ? read(ptr_of<char>(dst), src, n) : 0;
    if (len < 0)
        memset(ptr_of(dst), 0, n);
    return helper_errno(len);
}

// x86-64 gives user space the lower half of the address space.
bool is_user_address(u64 a) {
    return !(a >> 63);
}

}  // namespace

u64 bpf_probe_read_user(u64 r1, u64 r2, u64 r3, u64, u64) {
    return read_memory<port_probe_read_user>(r1, r2, r3);
}

u64 bpf_probe_read_kernel(u64 r1, u64 r2, u64 r3, u64, u64) {
    return read_memory<port_probe_read_kernel>(r1, r2, r3);
}

u64 bpf_probe_read(u64 r1, u64 r2, u64 r3, u64, u64) {
    return is_user_address(r3) ? read_memory<port_probe_read_user>(r1, r2, r3) : read_memory<port_probe_read_kernel>(r1, r2, r3);
}

u64 bpf_probe_read_user_str(u64 r1, u64 r2, u64 r3, u64, u64) {
    return read_string(port_probe_read_user_str, r1, r2, r3);
}

u64 bpf_probe_read_kernel_str(u64 r1, u64 r2, u64 r3, u64, u64) {
    return read_string(port_probe_read_kernel_str, r1, r2, r3);
}

u64 bpf_probe_read_str(u64 r1, u64 r2, u64 r3, u64, u64) {
    return read_string(is_user_address(r3) ? port_probe_read_user_str : port_probe_read_kernel_str, r1, r2, r3);
}

}  // namespace modbpf
