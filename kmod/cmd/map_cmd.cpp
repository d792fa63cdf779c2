// SPDX-License-Identifier: GPL-2.0-only
// Commands on maps: create, elements one at a time, freeze. Order of checks and errno are Linux 6.12's.
#include "btf/fields.h"
#include "btf/prog_info.h"
#include "cmd/attr.h"
#include "maps/async.h"
#include "maps/release.h"
#include "maps/value.h"
#include "prog/files.h"
#include "prog/prog.h"

namespace modbpf {

namespace {

using held_map = held_file<map>;

/// A buffer of n bytes of which user memory fills all; freed with the scope. n may be 0.
class user_copy {
public:
    user_copy() = default;
    user_copy(const user_copy &) = delete;
    ~user_copy() { port_free(p_); }
    u8 *get() const { return p_; }
    bool alloc(u64 n) { return (p_ = static_cast<u8 *>(port_alloc(n ? n : 1, PORT_SLEEPING))) != nullptr; }
    long fill(u64 from, u64 n) {
        if (!alloc(n))
            return -ENOMEM;
        return n && port_copy_from_user(p_, from, n) ? -EFAULT : 0;
    }

private:
    u8 *p_ = nullptr;
};

/// A key of the map; types without keys want a null address.
long copy_key(user_copy &k, const map *m, u64 ukey) {
    if (!m->params.key_size)
        return ukey ? -EINVAL : k.alloc(0) ? 0 : -ENOMEM;
    return k.fill(ukey, m->params.key_size);
}

/// Counts a user-space change for MAP_FREEZE while in scope.
class write_section {
public:
    explicit write_section(map *m) : m_(m) { map_write_begin(m); }
    ~write_section() { map_write_end(m_); }
    write_section(const write_section &) = delete;

private:
    map *m_;
};

/// The result of a change, of which programs see the end.
long settled(const map *m, long rc) {
    if (!rc)
        map_change_settle(m);
    return rc;
}

bool may_read(const held_map &f) { return f.readable(); }
bool may_write(const held_map &f) { return f.writable() && !map_frozen(f.get()); }

constexpr u64 hash_like = bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_LRU_HASH), storages = bit(BPF_MAP_TYPE_SK_STORAGE) |
    bit(BPF_MAP_TYPE_INODE_STORAGE) | bit(BPF_MAP_TYPE_TASK_STORAGE) | bit(BPF_MAP_TYPE_CGRP_STORAGE);

/// Map types whose values may have such fields.
constexpr struct {
    u32 fields;
    u64 maps;
} field_maps[] = {
    {field_bit(field_kind::spin_lock), bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_CGROUP_STORAGE) | storages},
    {field_bit(field_kind::timer) | field_bit(field_kind::workqueue), hash_like | bit(BPF_MAP_TYPE_ARRAY)},
    {kptr_fields | field_bit(field_kind::refcount), hash_like | bit(BPF_MAP_TYPE_PERCPU_HASH) | bit(BPF_MAP_TYPE_LRU_PERCPU_HASH) |
     bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_ARRAY) | storages},
    {graph_roots, hash_like | bit(BPF_MAP_TYPE_ARRAY)},
};

/// The special fields of the value. Such values are not shared with what may only read or write them.
status attach_fields(map *m, const btf &types, const map_create_attr &a) {
    result<ref<btf>> kernel = btf::vmlinux();
    u32 value = types.skip_modifiers(a.btf_value_type_id);
    own<field_table> table = TRY(parse_fields(types, value, map_fields, kernel.ok() ? kernel->get() : nullptr));
    if (!table->kinds)
        return {};
    if (!port_capable(PORT_CAP_BPF))
        return error(EPERM);
    if (a.map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
        return error(EACCES);
    for (const auto &row : field_maps)
        if (table->has_any(row.fields) && !(bit(a.map_type) & row.maps))
            return error(EOPNOTSUPP);
    if (table->has_any(async_fields))
        TRY(async_prepare());
    m->fields = table.release();
    return {};
}

status attach_btf(map *m, const map_create_attr &a) {
    if (!a.btf_key_type_id && !a.btf_value_type_id && !a.btf_vmlinux_value_type_id)
        return {};
    ref<btf> types = TRY(btf_from_fd(static_cast<int>(a.btf_fd)));
    if (types->kernel)
        return error(EACCES);
    bool hash = a.map_type == BPF_MAP_TYPE_HASH || a.map_type == BPF_MAP_TYPE_PERCPU_HASH;
    if (hash && !a.btf_key_type_id)
        return error(EINVAL);
    if (a.btf_value_type_id)
        TRY(btf_check_key_value(*types, a.btf_key_type_id, a.btf_value_type_id,
                                {a.map_type, a.max_entries, a.key_size, a.value_size}));
    TRY(attach_fields(m, *types, a));
    m->btf_key_type_id = a.btf_key_type_id;
    m->btf_value_type_id = a.btf_value_type_id;
    m->btf_ref = types.release();
    return {};
}

// What a map type needs beyond the right to create maps at all; CAP_BPF where neither names it.
constexpr u64 unprivileged_types =
    bit(BPF_MAP_TYPE_ARRAY) | bit(BPF_MAP_TYPE_PERCPU_ARRAY) | bit(BPF_MAP_TYPE_PROG_ARRAY) | bit(BPF_MAP_TYPE_PERF_EVENT_ARRAY) |
    bit(BPF_MAP_TYPE_CGROUP_ARRAY) | bit(BPF_MAP_TYPE_ARRAY_OF_MAPS) | bit(BPF_MAP_TYPE_HASH) | bit(BPF_MAP_TYPE_PERCPU_HASH) |
    bit(BPF_MAP_TYPE_HASH_OF_MAPS) | bit(BPF_MAP_TYPE_RINGBUF) | bit(BPF_MAP_TYPE_USER_RINGBUF) |
    bit(BPF_MAP_TYPE_CGROUP_STORAGE) | bit(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
constexpr u64 net_admin_types = bit(BPF_MAP_TYPE_SOCKMAP) | bit(BPF_MAP_TYPE_SOCKHASH) | bit(BPF_MAP_TYPE_DEVMAP) |
                                bit(BPF_MAP_TYPE_DEVMAP_HASH) | bit(BPF_MAP_TYPE_XSKMAP);

/// `type` is one that modbpf has.
bool may_create(u32 type) {
    if (!port_unprivileged_bpf() && !port_capable(PORT_CAP_BPF))
        return false;
    if (bit(type) & unprivileged_types)
        return true;
    return port_capable(bit(type) & net_admin_types ? PORT_CAP_NET_ADMIN : PORT_CAP_BPF);
}

status check_create(const map_create_attr &a, const map_ops **ops, map_params &p) {
    if (a.btf_vmlinux_value_type_id && (a.map_type != BPF_MAP_TYPE_STRUCT_OPS || a.btf_key_type_id || a.btf_value_type_id))
        return error(EINVAL);
    if (a.btf_key_type_id && !a.btf_value_type_id)
        return error(EINVAL);
    if (a.map_type != BPF_MAP_TYPE_BLOOM_FILTER && a.map_type != BPF_MAP_TYPE_ARENA && a.map_extra)
        return error(EINVAL);
    if (!open_flags_valid(a.map_flags))
        return error(EINVAL);
    if (a.map_flags & BPF_F_NUMA_NODE && a.numa_node != ~0u && a.numa_node != 0 &&
        a.numa_node != static_cast<u32>(port_numa_node()))
        return error(EINVAL); // -1 is any; only node 0 and the caller's are known to be there
    *ops = find_map_ops(a.map_type);
    if (!*ops || ((*ops)->verify_only && !verify_only))
        return error(EINVAL);
    p = {.type = a.map_type,
         .key_size = a.key_size,
         .value_size = a.value_size,
         .max_entries = a.max_entries,
         .flags = a.map_flags & ~static_cast<u32>(BPF_F_TOKEN_FD),
         .numa_node = a.numa_node,
         .extra = a.map_extra,
         .name = {},
         .typed = a.btf_key_type_id && a.btf_value_type_id,
         .vmlinux_value_type = a.btf_vmlinux_value_type_id};
    TRY((*ops)->check(p));
    if (a.map_ifindex) // offloaded to a device: Linux refuses the types that are not hash or array with EINVAL, too
        return error(EINVAL);
    if (a.map_flags & BPF_F_TOKEN_FD)
        return error(static_cast<int>(-token_error(a.map_token_fd)));
    return may_create(a.map_type) ? status() : status(error(EPERM));
}

/// Types of a module for a value, which stay as long as there are any.
status find_module_types(const map_create_attr &a, map_params &p) {
    if (a.map_type != BPF_MAP_TYPE_STRUCT_OPS || !(a.map_flags & BPF_F_VTYPE_BTF_OBJ_FD))
        return {};
    ref<btf> types = TRY(btf_from_fd(a.value_type_btf_obj_fd));
    if (!types->is_module())
        return error(EINVAL);
    p.module_types = types.get();
    return {};
}

/// What the maps inside a map of maps are like; null for other types.
result<ref<map>> take_template(const map_create_attr &a) {
    if (!is_map_in_map(a.map_type))
        return ref<map>();
    ref<map> like = TRY(map_from_fd(static_cast<int>(a.inner_map_fd)));
    ref<map> t(adopt, TRY(make_inner_template(like.get())));
    if (auto *types = static_cast<btf *>(like->btf_ref)) {
        types->get();
        t->btf_ref = types;
    }
    if (like->fields)
        t->fields = TRY(copy_fields(*like->fields)).release();
    return t;
}

result<ref<map>> create(const map_create_attr &a) {
    const map_ops *ops = nullptr;
    map_params p;
    TRY(check_create(a, &ops, p));
    char name[obj_name_len];
    status named = copy_name(name, a.map_name);
    memcpy(p.name, name, sizeof(name));
    TRY(find_module_types(a, p));
    ref<map> inner = TRY(take_template(a));
    ref<map> m(adopt, TRY(ops->create(p)));
    m->inner = move(inner);
    TRY(move(named)); // after the creation, as in Linux: what the type refuses comes first
    TRY(attach_btf(m.get(), a));
    m->user_get();
    status known = core->maps.add(m.get(), &m->id);
    if (!known.ok()) {
        m->user_put();
        return known.err();
    }
    return m;
}

long lookup_value(map *m, const u8 *key, u8 *value, u64 flags) {
    return m->ops->lookup_user ? m->ops->lookup_user(m, key, value, flags) : -ENOTSUPP;
}

}  // namespace

result<map *> map_for_slot(map *outer, int fd) {
    ref<map> inside = TRY(map_from_fd(fd));
    if (!map_meta_equal(outer->inner.get(), inside.get()))
        return error(EINVAL);
    return inside.release();
}

bool open_flags_valid(u32 flags) { return (flags & (BPF_F_RDONLY | BPF_F_WRONLY)) != (BPF_F_RDONLY | BPF_F_WRONLY); }

long token_error(int fd) {
    result<ref<map>> any = map_from_fd(fd);
    return !any.ok() && any.err().code() == EBADF ? -EBADF : -EINVAL;
}

long map_new_fd(map *m, u32 open_flags) {
    u32 flags = PORT_FD_CLOEXEC;
    if (open_flags & BPF_F_RDONLY)
        flags |= PORT_FD_RDONLY;
    if (open_flags & BPF_F_WRONLY)
        flags |= PORT_FD_WRONLY;
    int fd = port_fd_create(&map_file_ops, m, flags);
    if (fd < 0)
        map_put_user(m);
    return fd;
}

long cmd_map_create(const attr_view &v) {
    const auto &a = v.as<map_create_attr>();
    result<ref<map>> m = create(a);
    if (!m)
        return m.code();
    return map_new_fd(m->release(), a.map_flags);
}

long cmd_map_lookup(const attr_view &v) {
    const auto &a = v.as<map_elem_attr>();
    if (a.flags & ~static_cast<u64>(BPF_F_LOCK))
        return -EINVAL;
    result<held_map> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    if (!may_read(*f))
        return -EPERM;
    if (lock_flag_bad(f->get(), a.flags))
        return -EINVAL;
    map *m = f->get();
    user_copy key, value;
    if (long rc = copy_key(key, m, a.key))
        return rc;
    u32 size = m->user_value_size();
    if (m->ops->lookup_reads_value) {
        if (long rc = value.fill(a.value, size))
            return rc;
        return lookup_value(m, key.get(), value.get(), a.flags);
    }
    if (!value.alloc(size))
        return -ENOMEM;
    if (long rc = lookup_value(m, key.get(), value.get(), a.flags))
        return rc;
    return size && port_copy_to_user(a.value, value.get(), size) ? -EFAULT : 0;
}

long cmd_map_update(const attr_view &v) {
    const auto &a = v.as<map_elem_attr>();
    result<held_map> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    map *m = f->get();
    write_section writing(m);
    if (!may_write(*f))
        return -EPERM;
    if (lock_flag_bad(f->get(), a.flags))
        return -EINVAL;
    user_copy key, value;
    if (long rc = copy_key(key, m, a.key))
        return rc;
    if (long rc = value.fill(a.value, m->user_value_size()))
        return rc;
    return m->ops->update_user ? settled(m, m->ops->update_user(m, key.get(), value.get(), a.flags)) : -EOPNOTSUPP;
}

long cmd_map_delete(const attr_view &v) {
    const auto &a = v.as<map_elem_attr>();
    result<held_map> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    map *m = f->get();
    write_section writing(m);
    if (!may_write(*f))
        return -EPERM;
    user_copy key;
    if (long rc = copy_key(key, m, a.key))
        return rc;
    return m->ops->remove_user ? settled(m, m->ops->remove_user(m, key.get())) : -EOPNOTSUPP;
}

long cmd_map_next_key(const attr_view &v) {
    const auto &a = v.as<map_elem_attr>();
    result<held_map> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    if (!may_read(*f))
        return -EPERM;
    map *m = f->get();
    user_copy key, next;
    if (a.key)
        if (long rc = copy_key(key, m, a.key))
            return rc;
    if (!next.alloc(m->params.key_size))
        return -ENOMEM;
    if (!m->ops->next_key)
        return -EOPNOTSUPP;
    if (long rc = m->ops->next_key(m, a.key ? key.get() : nullptr, next.get()))
        return rc;
    return m->params.key_size && port_copy_to_user(a.value, next.get(), m->params.key_size) ? -EFAULT : 0;
}

long cmd_map_lookup_and_delete(const attr_view &v) {
    const auto &a = v.as<map_elem_attr>();
    if (a.flags & ~static_cast<u64>(BPF_F_LOCK))
        return -EINVAL;
    result<held_map> f = hold_file<map>(static_cast<int>(a.map_fd), map_file_ops);
    if (!f)
        return f.code();
    map *m = f->get();
    write_section writing(m);
    if (!may_read(*f) || !may_write(*f))
        return -EPERM;
    if (lock_flag_bad(f->get(), a.flags))
        return -EINVAL;
    user_copy key, value;
    if (long rc = copy_key(key, m, a.key))
        return rc;
    u32 size = m->user_value_size();
    if (!value.alloc(size))
        return -ENOMEM;
    if (!m->ops->lookup_and_delete_user)
        return -ENOTSUPP;
    if (long rc = m->ops->lookup_and_delete_user(m, key.get(), value.get(), a.flags))
        return rc;
    return size && port_copy_to_user(a.value, value.get(), size) ? -EFAULT : 0;
}

long cmd_map_freeze(const attr_view &v) {
    result<held_map> f = hold_file<map>(static_cast<int>(v.as<map_fd_attr>().map_fd), map_file_ops);
    if (!f)
        return f.code();
    map *m = f->get();
    if (m->fields || m->params.type == BPF_MAP_TYPE_STRUCT_OPS)
        return -ENOTSUPP;
    if (!may_write(*f))
        return -EPERM;
    mutex_guard g(m->freeze_lock);
    if (__atomic_load_n(&m->writers, __ATOMIC_SEQ_CST) || m->frozen)
        return -EBUSY;
    __atomic_store_n(&m->frozen, true, __ATOMIC_SEQ_CST);
    return 0;
}

}  // namespace modbpf
