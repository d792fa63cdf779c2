// SPDX-License-Identifier: GPL-2.0-only
// A double of the core for the transport's own test: one class of objects, three commands. Weak, so that the core, where it
// is linked, takes precedence.
#include "base/errno.h"
#include "cmd/core.h"
#include "port/port.h"

namespace modbpf {
__attribute__((weak)) bool verify_only;
__attribute__((weak)) bool run_by_interpreter; // the process back end's choice of engine, which a double has not
}

namespace {

const port_file_ops ops = {.name = "double",
                           .release = [](void *o) { port_region_destroy(static_cast<port_region *>(o)); },
                           .mmap = [](void *o, port_vma *v) { return port_vma_map(v, static_cast<port_region *>(o), 0); },
                           .vma_open = nullptr,
                           .vma_close = nullptr,
                           .poll = nullptr,
                           .show_fdinfo = nullptr,
                           .ioctl = [](void *, unsigned int cmd, u64 arg) { return static_cast<long>(cmd + arg); }};

} // namespace

extern "C" {

__attribute__((weak)) int modbpf_core_init(void) { return port_file_class_register(&ops); }
__attribute__((weak)) void modbpf_core_exit(void) { port_file_class_unregister_all(); }

/// 0: a new object; 1: its 32-bit argument copied back plus one; others: EINVAL.
__attribute__((weak)) long modbpf_core_bpf(u32 cmd, u64 uattr, u32 size) {
    if (cmd == 0) {
        port_region *r = port_region_create(4096, 0);
        int fd = r ? port_fd_create(&ops, r, PORT_FD_CLOEXEC) : -ENOMEM;
        if (fd < 0)
            port_region_destroy(r);
        return fd;
    }
    u32 v;
    if (cmd != 1 || size != sizeof(v))
        return -EINVAL;
    if (port_copy_from_user(&v, uattr, sizeof(v)))
        return -EFAULT;
    v++;
    return port_copy_to_user(uattr, &v, sizeof(v));
}

__attribute__((weak)) long modbpf_core_perf_event_open(u64, s32, s32, s32, u64) { return -EOPNOTSUPP; }

__attribute__((weak)) long modbpf_core_features(u64 ubuf, u32 size) {
    static const char text[] = "{\"double\":true}";
    return port_copy_to_user(ubuf, text, size < sizeof(text) ? size : sizeof(text)) ? -EFAULT : static_cast<long>(sizeof(text));
}

} // extern "C"
