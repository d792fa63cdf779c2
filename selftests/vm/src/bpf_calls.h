// SPDX-License-Identifier: GPL-2.0-only
// bpf() by libmodbpf.so, to which the test is linked, and past it: the kernel's own. Both give -errno.
#pragma once

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

using bpf_call = long (*)(unsigned cmd, void *attr, unsigned size);

inline long kernel_bpf(unsigned cmd, void *attr, unsigned size) {
    long r;
    register long a3 asm("rdx") = size;
    asm volatile("syscall" : "=a"(r) : "a"(__NR_bpf), "D"((long)cmd), "S"(attr), "r"(a3) : "rcx", "r11", "memory");
    return r;
}
inline long our_bpf(unsigned cmd, void *attr, unsigned size) {
    long r = syscall(__NR_bpf, cmd, attr, size);
    return r < 0 ? -errno : r;
}
