// SPDX-License-Identifier: GPL-2.0-only
// Pinning: a name in a file system for a map, a program or a link, which keeps it without an fd.
#include "attach/link.h"
#include "cmd/attr.h"
#include "prog/files.h"

namespace modbpf {

namespace {

/// In the order in which Linux tries them.
constexpr const port_file_ops *const pinnable[] = {&map_file_ops, &prog_file_ops, &link_file_ops};
constexpr int at_fdcwd = -100; ///< AT_FDCWD

bool path_fd_valid(const obj_attr &a) { return (a.file_flags & BPF_F_PATH_FD) || !a.path_fd; }
int folder_of(const obj_attr &a) { return a.file_flags & BPF_F_PATH_FD ? a.path_fd : at_fdcwd; }

u32 access_of(u32 file_flags) {
    return file_flags & BPF_F_RDONLY ? PORT_FD_RDONLY : file_flags & BPF_F_WRONLY ? PORT_FD_WRONLY : 0;
}

}  // namespace

long cmd_obj_pin(const attr_view &v) {
    const auto &a = v.as<obj_attr>();
    if (a.file_flags & ~BPF_F_PATH_FD || !path_fd_valid(a))
        return -EINVAL;
    for (const port_file_ops *ops : pinnable) {
        port_file *file = nullptr;
        void *obj = nullptr;
        if (port_file_get(static_cast<int>(a.bpf_fd), ops, &file, &obj))
            continue;
        ops->hold(obj);
        port_file_put(file);
        int rc = port_pin(folder_of(a), a.pathname, ops, obj);
        if (rc)
            ops->release(obj);
        return rc;
    }
    return -EINVAL; // for a bad fd, too
}

long cmd_obj_get(const attr_view &v) {
    const auto &a = v.as<obj_attr>();
    constexpr u32 access_flags = BPF_F_RDONLY | BPF_F_WRONLY;
    if (a.bpf_fd || a.file_flags & ~(access_flags | BPF_F_PATH_FD) || !path_fd_valid(a))
        return -EINVAL;
    if (!open_flags_valid(a.file_flags))
        return -EINVAL;
    const port_file_ops *ops = nullptr;
    void *obj = nullptr;
    int rc = port_pinned(folder_of(a), a.pathname, access_of(a.file_flags), &ops, &obj);
    if (rc)
        return rc;
    if (ops == &map_file_ops)
        return map_new_fd(static_cast<map *>(obj), a.file_flags & access_flags);
    if (ops == &prog_file_ops)
        return prog_new_fd(ref<program>(adopt, static_cast<program *>(obj)));
    ref<bpf_link> l(adopt, static_cast<bpf_link *>(obj));
    return a.file_flags & access_flags ? -EINVAL : link_new_fd(move(l));
}

}  // namespace modbpf
