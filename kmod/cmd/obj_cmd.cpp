// SPDX-License-Identifier: GPL-2.0-only
// Ids, fds by id, and information about the object behind an fd.
#include "attach/link.h"
#include "cmd/attr.h"
#include "prog/files.h"
#include "prog/info.h"

namespace modbpf {

namespace {

template <class T> long next_id(const attr_view &v, id_table<T> &table) {
    u32 id = v.as<get_id_attr>().id + 1;
    return table.next(&id) ? v.put(__builtin_offsetof(get_id_attr, next_id), id) : -ENOENT;
}

/// A name into `room` bytes at `to`; -ENOSPC when it was cut.
long put_btf_name(u64 to, u32 room, const char *name) {
    u32 len = static_cast<u32>(strlen(name));
    if (room > len)
        return port_copy_to_user(to, name, len + 1) ? -EFAULT : 0;
    char zero = 0;
    if (port_copy_to_user(to, name, room - 1) || port_copy_to_user(to + room - 1, &zero, 1))
        return -EFAULT;
    return -ENOSPC;
}

/// The common end: what fits of the info, and how much that was.
long put_info(const attr_view &v, const void *info, u32 n) {
    const auto &a = v.as<info_attr>();
    if (port_copy_to_user(a.info, info, n))
        return -EFAULT;
    return v.put(__builtin_offsetof(info_attr, info_len), n);
}

long map_info(const attr_view &v, map *m) {
    const auto &a = v.as<info_attr>();
    status tail = check_user_tail(a.info, sizeof(bpf_map_info), a.info_len);
    if (!tail.ok())
        return tail.code();
    const map_params &p = m->params;
    bpf_map_info i{};
    i.type = p.type;
    i.id = m->id;
    i.key_size = p.key_size;
    i.value_size = p.value_size;
    i.max_entries = p.max_entries;
    i.map_flags = p.flags;
    i.map_extra = p.extra;
    memcpy(i.name, p.name, sizeof(i.name));
    if (m->btf_ref) {
        i.btf_id = static_cast<btf *>(m->btf_ref)->id;
        i.btf_key_type_id = m->btf_key_type_id;
        i.btf_value_type_id = m->btf_value_type_id;
    }
    return put_info(v, &i, min<u32>(a.info_len, sizeof(i)));
}

long btf_info(const attr_view &v, btf *b) {
    const auto &a = v.as<info_attr>();
    status tail = check_user_tail(a.info, sizeof(bpf_btf_info), a.info_len);
    if (!tail.ok())
        return tail.code();
    bpf_btf_info i{};
    u32 n = min<u32>(a.info_len, sizeof(i));
    if (port_copy_from_user(&i, a.info, n))
        return -EFAULT;
    span<const u8> data = b->data();
    u32 copy = min(i.btf_size, static_cast<u32>(data.size()));
    if (copy && port_copy_to_user(i.btf, data.data(), copy))
        return -EFAULT;
    i.id = b->id;
    i.btf_size = static_cast<u32>(data.size());
    i.kernel_btf = b->kernel;
    u32 room = i.name_len;
    if (!i.name != !room)
        return -EINVAL;
    i.name_len = static_cast<u32>(strlen(b->module_name));
    long named = i.name ? put_btf_name(i.name, room, b->module_name) : 0;
    if (named == -EFAULT)
        return named;
    long rc = put_info(v, &i, n);
    return rc ? rc : named;
}

long link_info(const attr_view &v, bpf_link *l) {
    const auto &a = v.as<info_attr>();
    status tail = check_user_tail(a.info, sizeof(bpf_link_info), a.info_len);
    if (!tail.ok())
        return tail.code();
    bpf_link_info i{};
    u32 n = min<u32>(a.info_len, sizeof(i));
    if (port_copy_from_user(&i, a.info, n))
        return -EFAULT;
    i.type = l->type;
    i.id = l->id;
    i.prog_id = l->current_prog()->id;
    long rc = link_fill_info(l, i);
    return rc ? rc : put_info(v, &i, n);
}

long prog_info(const attr_view &v, program *p) {
    const auto &a = v.as<info_attr>();
    u32 n = a.info_len;
    long rc = prog_info_to_user(p, a.info, &n);
    return rc ? rc : v.put(__builtin_offsetof(info_attr, info_len), n);
}

}  // namespace

bool next_id_early(const attr_view &v) { return v.as<get_id_attr>().id < 0x7fffffff; }

long cmd_prog_next_id(const attr_view &v) { return next_id(v, core->progs); }
long cmd_map_next_id(const attr_view &v) { return next_id(v, core->maps); }
long cmd_btf_next_id(const attr_view &v) {
    status named = name_kernel_types();
    return named.ok() ? next_id(v, core->btfs) : named.code();
}
long cmd_link_next_id(const attr_view &v) { return next_id(v, core->links); }

long cmd_prog_fd_by_id(const attr_view &v) {
    ref<program> p(adopt, core->progs.get(v.as<get_id_attr>().id));
    return p ? prog_new_fd(move(p)) : -ENOENT;
}

bool map_fd_by_id_early(const attr_view &v) {
    return !(v.as<get_id_attr>().open_flags & ~static_cast<u32>(BPF_F_RDONLY | BPF_F_WRONLY));
}

long cmd_map_fd_by_id(const attr_view &v) {
    const auto &a = v.as<get_id_attr>();
    if (!open_flags_valid(a.open_flags))
        return -EINVAL;
    map *m = core->maps.get(a.id);
    if (!m)
        return -ENOENT;
    m->user_get();
    return map_new_fd(m, a.open_flags);
}

long cmd_btf_fd_by_id(const attr_view &v) {
    if (status named = name_kernel_types(); !named)
        return named.code();
    ref<btf> b(adopt, core->btfs.get(v.as<get_id_attr>().id));
    return b ? btf_new_fd(move(b)) : -ENOENT;
}

long cmd_link_fd_by_id(const attr_view &v) {
    ref<bpf_link> l(adopt, core->links.get(v.as<get_id_attr>().id));
    if (!l)
        return -ENOENT;
    if (!__atomic_load_n(&l->settled, __ATOMIC_ACQUIRE))
        return -EAGAIN;
    return link_new_fd(move(l));
}

long cmd_obj_info(const attr_view &v) {
    int fd = static_cast<int>(v.as<info_attr>().bpf_fd);
    result<held_file<program>> p = hold_file<program>(fd, prog_file_ops);
    if (p)
        return prog_info(v, p->get());
    if (p.err().code() == EBADF)
        return -EBADFD; // a number that Linux gives here and nowhere else
    result<held_file<map>> m = hold_file<map>(fd, map_file_ops);
    if (m)
        return map_info(v, m->get());
    result<held_file<btf>> b = hold_file<btf>(fd, btf_file_ops);
    if (b)
        return btf_info(v, b->get());
    result<held_file<bpf_link>> l = hold_file<bpf_link>(fd, link_file_ops);
    if (l)
        return link_info(v, l->get());
    return -EINVAL;
}

}  // namespace modbpf
