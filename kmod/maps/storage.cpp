// SPDX-License-Identifier: GPL-2.0-only
// Local storage maps. Linux hangs a value on its owner and frees both together. Owners here have no room for that, so such a map is a hash
// table by the owner's address, made of hash_map's buckets and pool (maps/hash.h), and the port tells when an owner ends.
//
// What is guaranteed: a value is never found for another owner that got the same memory, and none stays behind its owner. A new value
// is made only for an owner that is alive (port_owner_alive), which is asked under the bucket's lock; the port's word that the owner has
// ended comes after it ceased to be alive and before its memory is used again, and takes the value out under the same lock: either it
// comes later and finds the value, or the owner is no longer alive for who would make one. Nothing here reads the owner's memory or
// holds a reference to it.
//
// An element that is taken out waits for a grace period before it serves another owner: who found its value keeps it for the rest of
// the section, as in Linux. Only its memory, which stays the pool's, is safe for a program that may sleep and goes on with it.
// What differs: the pool's reserve and capacity bound how many values can be made (null then, as when memory is short); and a new socket
// for whose copies (BPF_F_CLONE) there is no memory is without them, where Linux refuses the connection.
//
// Locks: a bucket's cpu_lock, any context; `watch_lock` protects the lists of maps against each other's changes, task context. Lists are
// read under RCU.
#include "maps/hash.h"
#include "maps/no_elements.h"
#include "maps/storage.h"
#include "maps/value.h"

namespace modbpf {

namespace {

constexpr u32 bucket_count = 4096, owners_max = 1u << 17; // of a map
constexpr u32 value_max = 0xffff - 128;                   // Linux's: its header is behind 128 bytes
constexpr u32 no_element = hash_map::none;

struct storage_map : hash_map {
    storage_map(const map_ops *o, const map_params &p) : hash_map(o, p) {}

    port_owner_kind kind{};
    storage_map *next = nullptr; ///< in its kind's list
    u32 dead = no_element;       ///< elements that were taken out, linked by dead_link; atomic
    u32 dead_offset = 0;         ///< of that link in an element
    port_work reclaim{};

    u32 *dead_link(u32 i) const { return reinterpret_cast<u32 *>(reinterpret_cast<u8 *>(elem(i)) + dead_offset); }
};

storage_map *of(map *m) { return static_cast<storage_map *>(m); }

struct watches {
    mutex watch_lock{"storage_maps"};
    storage_map *maps[PORT_OWNER_KINDS]{}; ///< changed under watch_lock, read under RCU
};
constinit watches *all = nullptr;

/// The map whose member is at `w`.
storage_map *map_of(port_work *w) {
    const storage_map *at = reinterpret_cast<const storage_map *>(uptr{1} << 20);
    uptr off = reinterpret_cast<uptr>(&at->reclaim) - (uptr{1} << 20);
    return reinterpret_cast<storage_map *>(reinterpret_cast<u8 *>(w) - off);
}

/// Task context: what was taken out can be found by nobody behind the grace period.
void reclaim(port_work *w) {
    storage_map *m = map_of(w);
    u32 i = __atomic_exchange_n(&m->dead, no_element, __ATOMIC_ACQ_REL);
    if (i == no_element)
        return;
    port_rcu_synchronize();
    for (u32 next; i != no_element; i = next) {
        next = *m->dead_link(i);
        m->release_elem(i);
        m->pool.push(port_cpu_id(), i);
    }
}

/// Any context; the bucket lock is not held.
void bury(storage_map *m, u32 i) {
    u32 first = __atomic_load_n(&m->dead, __ATOMIC_RELAXED);
    do
        *m->dead_link(i) = first;
    while (!__atomic_compare_exchange_n(&m->dead, &first, i, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    port_work_queue(&m->reclaim);
}

/// A new element with `value` (null: zeros) in the bucket, or `none`. Its lock is held.
u32 insert_locked(storage_map *m, hash_bucket &b, u32 cpu, u64 owner, u32 hash, const void *value) {
    u32 i = m->pool.pop(cpu);
    if (i == no_element)
        return i;
    u8 *at = m->value_in(m->elem(i));
    clear_value(m, at, m->params.value_size);
    if (value)
        store_value(m, at, value, m->params.value_size);
    m->publish(b, i, &owner, hash);
    return i;
}

/// The owner's value, or a new one; null as storage_get() says. `alive`: the caller knows that it is.
void *find_or_insert(storage_map *m, u64 owner, const void *value, bool alive) {
    u32 hash = m->hash_key(&owner), before, i;
    {
        hash_bucket &b = m->bucket_of(hash);
        lock_section s(b.lock);
        if (!s)
            return nullptr;
        i = m->find_locked(b, &owner, hash, &before);
        if (i == no_element && (alive || port_owner_alive(m->kind, owner)))
            i = insert_locked(m, b, s.cpu(), owner, hash, value);
    }
    m->pool.refill_if_low();
    return i == no_element ? nullptr : m->value_in(m->elem(i));
}

/// Inside RCU; the owner is held.
long update_owner(storage_map *m, u64 owner, const void *value, u64 flags) {
    u32 hash = m->hash_key(&owner), old, before;
    {
        hash_bucket &b = m->bucket_of(hash);
        lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        old = m->find_locked(b, &owner, hash, &before);
        bool there = old != no_element;
        if (long r = check_presence(there, flags & ~BPF_F_LOCK))
            return r;
        if (there && (flags & BPF_F_LOCK)) {
            store_value(m, m->value_in(m->elem(old)), value, m->params.value_size, flags);
            return 0;
        }
        if (!there && !port_owner_alive(m->kind, owner))
            return -ENOENT;
        u32 fresh = insert_locked(m, b, s.cpu(), owner, hash, value);
        if (fresh == no_element)
            return -ENOMEM;
        if (there)
            m->unlink(b, before == no_element ? fresh : before, old);
    }
    if (old != no_element)
        bury(m, old);
    return 0;
}

/// The object behind the fd that a command's key is, held while in scope.
class held_owner {
public:
    held_owner(port_owner_kind kind, const void *key) : kind_(kind), err_(port_owner_get(kind, static_cast<int>(load4(key)), &owner_)) {}
    ~held_owner() {
        if (!err_)
            port_owner_put(kind_, owner_);
    }
    held_owner(const held_owner &) = delete;
    int err() const { return err_; }
    u64 get() const { return owner_; }

private:
    port_owner_kind kind_;
    u64 owner_ = 0;
    int err_;
};

long lookup_user(map *map, const void *key, void *value, u64 flags) {
    storage_map *m = of(map);
    held_owner o(m->kind, key);
    if (o.err())
        return o.err();
    rcu_read_guard rcu;
    void *at = storage_get(m, o.get(), nullptr, false);
    if (!at)
        return -ENOENT;
    load_value(m, value, at, m->params.value_size, flags);
    return 0;
}

long update_user(map *map, const void *key, const void *value, u64 flags) {
    storage_map *m = of(map);
    held_owner o(m->kind, key);
    if (o.err())
        return o.err();
    if ((flags & ~BPF_F_LOCK) > BPF_EXIST || lock_flag_bad(m, flags))
        return -EINVAL;
    return hash_update_from_user(m, [&] { return update_owner(m, o.get(), value, flags); });
}

long remove_user(map *map, const void *key) {
    storage_map *m = of(map);
    held_owner o(m->kind, key);
    if (o.err())
        return o.err();
    return retry_busy([&] {
        rcu_read_guard rcu;
        return storage_remove(m, o.get());
    });
}

/// Atomic context. Holders of a bucket's lock have interrupts off and wait for nobody for long.
void drop_owner(port_owner_kind kind, u64 owner) {
    rcu_read_guard rcu;
    for (storage_map *m = __atomic_load_n(&all->maps[kind], __ATOMIC_ACQUIRE); m; m = __atomic_load_n(&m->next, __ATOMIC_ACQUIRE))
        while (storage_remove(m, owner) == -EBUSY)
            __builtin_ia32_pause();
}
template <port_owner_kind K> void owner_gone(u64 owner) { drop_owner(K, owner); }

/// Atomic context. The value goes over to a socket that was made from its owner and that nobody knows yet.
void copy_to(storage_map *m, void *value, u64 to) {
    void *copy = find_or_insert(m, to, nullptr, true);
    if (!copy)
        return;
    if (value_lock_offset(m) < 0)
        return store_value(m, copy, value, m->params.value_size);
    value_lock_section s(m, value);
    store_value(m, copy, value, m->params.value_size);
}
void copy_values(u64 from, u64 to) {
    rcu_read_guard rcu;
    for (storage_map *m = __atomic_load_n(&all->maps[PORT_OWNER_SOCKET], __ATOMIC_ACQUIRE); m; m = __atomic_load_n(&m->next, __ATOMIC_ACQUIRE))
        if (void *value = m->params.flags & BPF_F_CLONE ? storage_get(m, from, nullptr, false) : nullptr)
            copy_to(m, value, to);
}

constexpr port_owner_events events[PORT_OWNER_KINDS] = {
    {owner_gone<PORT_OWNER_TASK>, nullptr},
    {owner_gone<PORT_OWNER_CGROUP>, nullptr},
    {owner_gone<PORT_OWNER_INODE>, nullptr},
    {owner_gone<PORT_OWNER_SOCKET>, copy_values},
};

/// From here on values may be made: the port tells of each owner's end.
status enlist(storage_map *m) {
    mutex_guard g(all->watch_lock);
    storage_map **first = &all->maps[m->kind];
    if (!*first)
        if (int err = port_owner_watch(m->kind, &events[m->kind]))
            return error(-err);
    m->next = *first;
    __atomic_store_n(first, m, __ATOMIC_RELEASE);
    return {};
}

void delist(storage_map *m) {
    {
        mutex_guard g(all->watch_lock);
        storage_map **at = &all->maps[m->kind];
        while (*at && *at != m)
            at = &(*at)->next;
        if (!*at)
            return;
        __atomic_store_n(at, m->next, __ATOMIC_RELEASE);
        if (!all->maps[m->kind])
            port_owner_unwatch(m->kind);
    }
    port_rcu_synchronize(); // drop_owner() may be at it
}

/// From here on nothing changes the map by itself.
void quiesce(storage_map *m) {
    delist(m);
    port_work_flush(&m->reclaim);
}

/// Asked for at the map's end only: storage has no timers. Its values' fields go behind it, so reclaim() must not look at them any more.
void each_value(map *map, void (*fn)(modbpf::map *m, void *value)) {
    quiesce(of(map));
    hash_each_value(map, fn);
}

void free_storage(map *map) {
    storage_map *m = of(map);
    quiesce(m);
    destroy(m);
}

/// The table is built for keys that are addresses, and values with a link behind them; what user space sees stays what it asked for.
status build(storage_map *m) {
    const map_params asked = m->params;
    map_params &p = m->params;
    p.key_size = sizeof(u64);
    p.value_size = static_cast<u32>(align_up(asked.value_size, 8)) + 8;
    p.max_entries = owners_max;
    TRY(hash_build(m, false));
    m->dead_offset = m->value_offset + static_cast<u32>(align_up(asked.value_size, 8));
    m->params = asked;
    m->value_bytes = asked.value_size;
    return {};
}

result<map *> create(const map_ops *ops, const map_params &p, port_owner_kind kind) {
    own<storage_map> m(make<storage_map>(PORT_SLEEPING, ops, p));
    if (!m)
        return error(ENOMEM);
    m->kind = kind;
    port_work_init(&m->reclaim, reclaim);
    TRY(build(m.get()));
    TRY(enlist(m.get()));
    return static_cast<map *>(m.release());
}

status check(const map_params &p) {
    if ((p.flags & ~(BPF_F_NO_PREALLOC | BPF_F_CLONE)) || !(p.flags & BPF_F_NO_PREALLOC) || p.max_entries || p.key_size != 4 ||
        !p.value_size || !p.typed)
        return error(EINVAL);
    return p.value_size > value_max ? status(error(E2BIG)) : status();
}

constexpr map_ops row(u32 type, const char *name, result<map *> (*make_one)(const map_params &)) {
    return {.type = type,
            .name = name,
            .check = check,
            .create = make_one,
            .free = free_storage,
            .lookup_user = lookup_user,
            .update_user = update_user,
            .remove_user = remove_user,
            .next_key = next_key_refused,
            .each_value = each_value,
            .memory = hash_memory};
}

}  // namespace

status storage_start() {
    all = make<watches>(PORT_SLEEPING);
    return all ? status() : status(error(ENOMEM));
}

void storage_stop() {
    destroy(all);
    all = nullptr;
}

void *storage_get(map *map, u64 owner, const void *value, bool create) {
    storage_map *m = of(map);
    u32 hash = m->hash_key(&owner);
    u32 i = m->find(&owner, hash);
    if (i != no_element)
        return m->value_in(m->elem(i));
    return create ? find_or_insert(m, owner, value, false) : nullptr;
}

long storage_remove(map *map, u64 owner) {
    storage_map *m = of(map);
    u32 hash = m->hash_key(&owner), before, i;
    {
        hash_bucket &b = m->bucket_of(hash);
        lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        i = m->find_locked(b, &owner, hash, &before);
        if (i == no_element)
            return -ENOENT;
        m->unlink(b, before, i);
    }
    bury(m, i);
    return 0;
}

extern constinit const map_ops task_storage_ops;
extern constinit const map_ops cgrp_storage_ops;
extern constinit const map_ops inode_storage_ops;
extern constinit const map_ops sk_storage_ops;
constinit const map_ops task_storage_ops = row(BPF_MAP_TYPE_TASK_STORAGE, "task_storage", [](const map_params &p) {
    return create(&task_storage_ops, p, PORT_OWNER_TASK);
});
constinit const map_ops cgrp_storage_ops = row(BPF_MAP_TYPE_CGRP_STORAGE, "cgrp_storage", [](const map_params &p) {
    return create(&cgrp_storage_ops, p, PORT_OWNER_CGROUP);
});
constinit const map_ops inode_storage_ops = row(BPF_MAP_TYPE_INODE_STORAGE, "inode_storage", [](const map_params &p) {
    return create(&inode_storage_ops, p, PORT_OWNER_INODE);
});
constinit const map_ops sk_storage_ops = row(BPF_MAP_TYPE_SK_STORAGE, "sk_storage", [](const map_params &p) {
    return create(&sk_storage_ops, p, PORT_OWNER_SOCKET);
});

}  // namespace modbpf
