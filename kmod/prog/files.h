// SPDX-License-Identifier: GPL-2.0-only
// The "bpf-map" and "btf" file classes, and held_file: an object reached through a caller's fd, its file held meanwhile.
#pragma once

#include "btf/btf.h"
#include "maps/map.h"

namespace modbpf {

template <class T> class held_file {
public:
    held_file(port_file *f, T *obj) : f_(f), obj_(obj) {}
    held_file(held_file &&o) noexcept : f_(o.f_), obj_(o.obj_) { o.f_ = nullptr; }
    held_file &operator=(held_file &&) = delete;
    ~held_file() {
        if (f_)
            port_file_put(f_);
    }
    T *operator->() const { return obj_; }
    T *get() const { return obj_; }
    bool readable() const { return !(port_file_access(f_) & PORT_FD_WRONLY); }
    bool writable() const { return !(port_file_access(f_) & PORT_FD_RDONLY); }

private:
    port_file *f_;
    T *obj_;
};

/// EBADF: no such fd; EINVAL: a file of another class.
template <class T> result<held_file<T>> hold_file(int fd, const port_file_ops &ops) {
    port_file *f = nullptr;
    void *obj = nullptr;
    int rc = port_file_get(fd, &ops, &f, &obj);
    if (rc)
        return error(-rc);
    return held_file<T>(f, static_cast<T *>(obj));
}

/// Of another task. ENOENT: no such task; EOPNOTSUPP: its files cannot be seen.
template <class T> result<held_file<T>> hold_file_of(s32 pid, u32 fd, const port_file_ops &ops) {
    port_file *f = nullptr;
    void *obj = nullptr;
    int rc = port_file_get_of(pid, fd, &ops, &f, &obj);
    if (rc)
        return error(-rc);
    return held_file<T>(f, static_cast<T *>(obj));
}

extern const port_file_ops map_file_ops;
extern const port_file_ops btf_file_ops;
result<ref<map>> map_from_fd(int fd);
result<ref<btf>> btf_from_fd(int fd);

/// What a pinned map's name is opened as (map_text.cpp): port_file_ops::open. EIO: its elements have no text, or no types.
int map_open_text(void *obj, const port_file_ops **as, void **opened);
extern const port_file_ops map_text_ops;

/// MAP_FREEZE's side of `writers`: user space is changing the map (or has it mapped writable).
inline void map_write_begin(map *m) { __atomic_fetch_add(&m->writers, 1, __ATOMIC_SEQ_CST); }
inline void map_write_end(map *m) { __atomic_fetch_sub(&m->writers, 1, __ATOMIC_SEQ_CST); }
inline bool map_frozen(const map *m) { return __atomic_load_n(&m->frozen, __ATOMIC_SEQ_CST); }
/// A user reference, and the one that it stands on: what an fd, a name or an iterator has of a map.
void map_get_user(map *m);
/// Drops a user reference and the reference that it stands on.
void map_put_user(map *m);

}  // namespace modbpf
