// SPDX-License-Identifier: GPL-2.0-only
#include "maps/hash.h"
#include "maps/key_hash.h"
#include "maps/lru.h"
#include "maps/nospec.h"
#include "maps/release.h"
#include "maps/value.h"

namespace modbpf {

namespace {

constexpr u64 kmalloc_max = 4 << 20;  ///< Linux's limits of an element, which programs may rely on to be refused
constexpr u64 linux_elem_header = 48;
constexpr u32 percpu_value_max = 32 << 10;
constexpr u32 max_buckets = 1u << 27;

/// One mix leaves keys at a fixed stride on a lattice: the bucket's bits come out of a second multiplication.
constexpr u64 last_factor = 0xd6e8feb86659fd93;
u32 finish(u64 h) {
    return static_cast<u32>(h * last_factor >> 32);
}

/// Keys of 4 and 8 bytes in an element are aligned: one store, behind the value's, and one load. Others lie behind the
/// hash, which is compared first.
u64 key8(const hash_elem *e) {
    return __atomic_load_n(reinterpret_cast<const u64 *>(e->key), __ATOMIC_ACQUIRE);
}
u32 key4(const hash_elem *e) {
    return __atomic_load_n(reinterpret_cast<const u32 *>(e->key), __ATOMIC_ACQUIRE);
}

/// A size of keys that has code of its own; 0: all others.
template <u32 K> struct key_size {
    static constexpr u32 value = K;
};
template <class F> auto by_key_size(const hash_map *m, F f) {
    switch (m->key_bytes) {
        case 4:
            return f(key_size<4>());
        case 8:
            return f(key_size<8>());
        case 16:
            return f(key_size<16>());
        default:
            return f(key_size<0>());
    }
}

template <u32 K> u32 hash_of(const hash_map *m, const void *key) {
    if constexpr (K == 4)
        return finish(hash_mix(load4(key) ^ m->seed[0], m->seed[1]));
    else if constexpr (K == 8)
        return finish(hash_mix(load8(key) ^ m->seed[0], m->seed[1]));
    else
        return finish(hash_bytes(static_cast<const u8 *>(key), m->key_bytes, m->seed));
}

template <u32 K> void store_key(hash_elem *e, const void *key, u32 size) {
    if constexpr (K == 8)
        __atomic_store_n(reinterpret_cast<u64 *>(e->key), load8(key), __ATOMIC_RELEASE);
    else if constexpr (K == 4)
        __atomic_store_n(reinterpret_cast<u32 *>(e->key), load4(key), __ATOMIC_RELEASE);
    else
        memcpy(e->key, key, size);
}

bool same_bytes(const u8 *a, const u8 *b, u32 n) {
    if (n == 4)
        return load4(a) == load4(b);
    if (n < 8)
        return !memcmp(a, b, n);
    const u8 *last = a + n - 8; // it may overlap the one before
    for (; a < last; a += 8, b += 8)
        if (load8(a) != load8(b))
            return false;
    return load8(last) == load8(b - (a - last));
}

template <u32 K> bool same_key(const hash_elem *e, const void *key, u32 key_size, u32 hash) {
    if constexpr (K == 8)
        return key8(e) == load8(key);
    else if constexpr (K == 4)
        return key4(e) == load4(key);
    else if (__atomic_load_n(&e->hash, __ATOMIC_ACQUIRE) != hash)
        return false;
    else if constexpr (K == 16)
        return !((load8(e->key) ^ load8(key)) | (load8(e->key + 8) ^ load8(static_cast<const u8 *>(key) + 8)));
    else
        return same_bytes(e->key, static_cast<const u8 *>(key), key_size);
}

template <u32 K> u32 find_in_chain(const hash_map *m, const void *key, u32 hash) {
    u32 bucket = hash & m->bucket_mask;
    for (;;) {
        u32 i = __atomic_load_n(&m->buckets[bucket].first, __ATOMIC_ACQUIRE);
        while (!(i & hash_map::chain_end)) {
            const hash_elem *e = m->elem(i);
            if (same_key<K>(e, key, m->key_bytes, hash))
                return i;
            i = __atomic_load_n(&e->next, __ATOMIC_ACQUIRE);
        }
        if (__builtin_expect(i == (hash_map::chain_end | bucket), 1))
            return hash_map::none;
    }
}

/// The bucket's lock is held.
template <u32 K> hash_map::place find_place(const hash_map *m, const hash_bucket &b, const void *key, u32 hash) {
    u32 before = hash_map::none;
    for (u32 i = b.first; !(i & hash_map::chain_end);) {
        const hash_elem *e = m->elem(i);
        if (same_key<K>(e, key, m->key_bytes, hash))
            return {i, before};
        before = i, i = e->next;
    }
    return {hash_map::none, before};
}

template <u32 K> void publish_in(hash_map *m, hash_bucket &b, u32 i, const void *key, u32 hash) {
    hash_elem *e = m->elem(i);
    store_key<K>(e, key, m->key_bytes);
    __atomic_store_n(&e->hash, hash, __ATOMIC_RELEASE);
    __atomic_store_n(&e->next, b.first, __ATOMIC_RELEASE);
    __atomic_store_n(&b.first, i, __ATOMIC_RELEASE);
}

result<map *> create_with(const map_ops *ops, const map_params &p) {
    own<hash_map> m(make<hash_map>(PORT_SLEEPING, ops, p));
    if (!m)
        return error(ENOMEM);
    TRY(hash_build(m.get(), !(p.flags & BPF_F_NO_PREALLOC) && !m->percpu()));
    return static_cast<map *>(m.release());
}

void *lookup_hash(map *map, const void *key) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    return i == hash_map::none ? nullptr : m->value_in(m->elem(i));
}

void *lookup_percpu(map *map, const void *key) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    return i == hash_map::none ? nullptr : m->pool.value(i, port_cpu_id());
}

void *lookup_on_cpu(map *map, const void *key, u32 cpu) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    return i == hash_map::none ? nullptr : m->pool.value(i, clamp_index(cpu, port_cpu_count()));
}

/// A free element for an insertion, counted; or -E2BIG, -ENOMEM.
long take_new(hash_map *m, u32 cpu) {
    if (!m->prealloc()) {
        u32 n = __atomic_load_n(&m->count, __ATOMIC_RELAXED);
        do {
            if (n >= m->params.max_entries)
                return -E2BIG;
        } while (!__atomic_compare_exchange_n(&m->count, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    }
    u32 i = m->pool.pop(cpu);
    if (i != hash_map::none)
        return i;
    if (m->prealloc())
        return -E2BIG;
    __atomic_fetch_sub(&m->count, 1, __ATOMIC_RELAXED);
    return -ENOMEM;
}

/// An element to stand in for one that is there: a CPU's spare, or one of the pool's; or -EBUSY, -ENOMEM.
long take_replacement(hash_map *m, u32 cpu) {
    u32 i = m->prealloc() ? m->pool.take_spare(cpu) : m->pool.pop(cpu);
    if (i != hash_map::none)
        return i;
    return m->prealloc() ? -EBUSY : -ENOMEM;
}

template <u32 K>
long update_locked(hash_map *m, hash_bucket &b, u32 cpu, const void *key, u32 hash, const void *value, u64 flags, u64 *replaced) {
    auto [old, before] = find_place<K>(m, b, key, hash);
    bool there = old != hash_map::none;
    long r = check_presence(there, flags & ~BPF_F_LOCK);
    if (!r && there && (flags & BPF_F_LOCK)) {
        store_value(m, m->value_in(m->elem(old)), value, m->value_bytes, flags);
        return 0;
    }
    if (!r)
        r = there ? take_replacement(m, cpu) : take_new(m, cpu);
    if (r < 0)
        return r;
    auto fresh = static_cast<u32>(r);
    store_value(m, m->value_in(m->elem(fresh)), value, m->value_bytes);
    publish_in<K>(m, b, fresh, key, hash);
    if (!there)
        return 0;
    if (replaced)
        *replaced = load8(m->value_in(m->elem(old)));
    m->unlink(b, before == hash_map::none ? fresh : before, old);
    m->release_elem(old);
    if (m->prealloc())
        m->pool.put_spare(cpu, old);
    else
        m->pool.push(cpu, old);
    return 0;
}

template <u32 K> long update_with(hash_map *m, const void *key, const void *value, u64 flags, u64 *replaced) {
    u32 hash = hash_of<K>(m, key);
    hash_bucket &b = m->bucket_of(hash);
    long r;
    {
        MODBPF_CONSTRUCTED lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        r = update_locked<K>(m, b, s.cpu(), key, hash, value, flags, replaced);
    }
    m->pool.refill_if_low();
    return r;
}

template <u32 K> long take_with(hash_map *m, const void *key, u64 *taken) {
    u32 hash = hash_of<K>(m, key);
    hash_bucket &b = m->bucket_of(hash);
    MODBPF_CONSTRUCTED lock_section s(b.lock);
    if (!s)
        return -EBUSY;
    auto [i, before] = find_place<K>(m, b, key, hash);
    if (i == hash_map::none)
        return -ENOENT;
    if (taken)
        *taken = load8(m->value_in(m->elem(i)));
    m->unlink(b, before, i);
    u32 cpu = s.cpu();
    s.release();
    m->give_back(cpu, i);
    return 0;
}

long update_hash(map *m, const void *key, const void *value, u64 flags) {
    return hash_update(m, key, value, flags, nullptr);
}

long update_percpu_locked(hash_map *m, hash_bucket &b, u32 cpu, const void *key, u32 hash, const void *value, u64 flags,
                          bool all) {
    u32 before;
    u32 i = m->find_locked(b, key, hash, &before);
    long r = check_presence(i != hash_map::none, flags);
    if (r)
        return r;
    if (i != hash_map::none) {
        if (all) {
            m->write_cpu_values(i, cpu, value, true, false);
        } else {
            store_value(m, m->pool.value(i, cpu), value, m->params.value_size);
            release_value(m, m->pool.value(i, cpu));
        }
        return 0;
    }
    r = take_new(m, cpu);
    if (r < 0)
        return r;
    i = static_cast<u32>(r);
    m->write_cpu_values(i, cpu, value, all, true);
    m->publish(b, i, key, hash);
    return 0;
}

long update_percpu(map *map, const void *key, const void *value, u64 flags, bool all) {
    if (flags > BPF_EXIST)
        return -EINVAL;
    hash_map *m = as_hash(map);
    u32 hash = m->hash_key(key);
    hash_bucket &b = m->bucket_of(hash);
    long r;
    {
        MODBPF_CONSTRUCTED lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        r = update_percpu_locked(m, b, s.cpu(), key, hash, value, flags, all);
    }
    m->pool.refill_if_low();
    return r;
}

long update_percpu_here(map *m, const void *key, const void *value, u64 flags) {
    return update_percpu(m, key, value, flags, false);
}

long update_hash_user(map *m, const void *key, const void *value, u64 flags) {
    return hash_update_from_user(m, [&] { return update_hash(m, key, value, flags); });
}

long update_percpu_user(map *m, const void *key, const void *value, u64 flags) {
    return hash_update_from_user(m, [&] { return update_percpu(m, key, value, flags, true); });
}

}  // namespace

u32 hash_map::hash_key(const void *key) const {
    return by_key_size(this, [&](auto k) { return hash_of<k.value>(this, key); });
}

/// Where elements may be added, their place is not known for good.
map_lookup hash_describe(const map *map) {
    auto *m = static_cast<const hash_map *>(map);
    u32 size = m->params.key_size;
    if (!m->pool.flat() || (size != 4 && (size % 8 || size > max_looked_up_key)))
        return {};
    static_assert(__builtin_offsetof(hash_elem, hash) == looked_up_hash && __builtin_offsetof(hash_elem, key) == looked_up_key &&
                  __builtin_offsetof(hash_bucket, first) == 0 && hash_map::chain_end == looked_up_end);
    map_lookup l{.kind = lookup_kind::hash, .key_size = size, .elem_size = m->pool.elem_size(), .base = addr_of(m->pool.flat())};
    l.buckets = addr_of(m->buckets), l.bucket_mask = m->bucket_mask;
    l.value_offset = m->value_offset;
    l.seed[0] = m->seed[0], l.seed[1] = m->seed[1], l.last_factor = last_factor;
    if (m->percpu()) {
        l.kind = lookup_kind::percpu_hash;
        l.cpu_values = addr_of(m->pool.flat_values()), l.cpu_stride = m->pool.cpu_stride(), l.cpu_value_size = m->pool.value_size();
    }
    l.marks = addr_of(m->marks), l.mark_live = lru_live, l.mark_used = lru_used;
    return l;
}

u32 hash_map::find(const void *key, u32 hash) const {
    return by_key_size(this, [&](auto k) { return find_in_chain<k.value>(this, key, hash); });
}

hash_map::place hash_map::place_of(const hash_bucket &b, const void *key, u32 hash) const {
    return by_key_size(this, [&](auto k) { return find_place<k.value>(this, b, key, hash); });
}

void hash_map::publish(hash_bucket &b, u32 i, const void *key, u32 hash) {
    by_key_size(this, [&](auto k) { publish_in<k.value>(this, b, i, key, hash); });
}

void hash_map::unlink(hash_bucket &b, u32 before, u32 i) {
    u32 *link = before == none ? &b.first : &elem(before)->next;
    __atomic_store_n(link, elem(i)->next, __ATOMIC_RELEASE);
}

void hash_map::release_fields(u32 i) {
    for (u32 cpu = 0, n = percpu() ? port_cpu_count() : 1; cpu < n; cpu++)
        release_value(this, percpu() ? pool.value(i, cpu) : value_in(elem(i)));
}

void hash_map::give_back(u32 cpu, u32 i) {
    release_elem(i);
    if (marks)
        __atomic_store_n(&marks[i], lru_free, __ATOMIC_RELAXED);
    pool.push(own_elems ? i / own_elems : cpu, i);
    if (!prealloc())  // behind the push: who finds room finds an element
        __atomic_fetch_sub(&count, 1, __ATOMIC_RELEASE);
}

void hash_map::write_cpu_values(u32 i, u32 cpu, const void *value, bool all, bool fresh) {
    for (u32 c = 0, n = port_cpu_count(); c < n; c++) {
        u8 *v = pool.value(i, c);
        if (all)
            store_value(this, v, static_cast<const u8 *>(value) + static_cast<u64>(c) * cpu_value_size, cpu_value_size);
        else if (c == cpu)
            store_value(this, v, value, params.value_size);
        else if (fresh)
            clear_value(this, v, params.value_size);
        if (all || (c == cpu && !fresh))
            release_value(this, v); // of what was overwritten
    }
}

status hash_build(hash_map *m, bool spares) {
    const map_params &p = m->params;
    if (p.max_entries > max_buckets)
        return error(E2BIG);
    u32 buckets = 1;
    while (buckets < p.max_entries)
        buckets *= 2;
    m->bucket_mask = buckets - 1;
    u32 key_end = sizeof(hash_elem) + static_cast<u32>(align_up(p.key_size, 8));
    u32 value_size = static_cast<u32>(align_up(p.value_size, 8));
    m->key_bytes = p.key_size;
    m->value_offset = key_end;
    m->value_bytes = is_map_in_map(p.type) ? sizeof(map *) : p.value_size;
    m->cpu_value_size = m->percpu() ? value_size : 0;
    choose_hash_seed(m->seed, p.flags & BPF_F_ZERO_SEED);

    m->buckets = static_cast<hash_bucket *>(port_alloc(sizeof(hash_bucket) * static_cast<u64>(buckets), PORT_SLEEPING));
    if (!m->buckets)
        return error(ENOMEM);
    for (u32 b = 0; b < buckets; b++) {
        m->buckets[b].first = hash_map::chain_end | b;
        if (b % 65536 == 0)
            port_cond_resched();
    }
    // Without preallocation every CPU may hold one more element while it replaces another.
    u32 capacity = p.max_entries + (m->prealloc() ? 0 : port_cpu_count());
    return m->pool.init({.elem_size = m->percpu() ? key_end : key_end + value_size,
                         .value_size = m->cpu_value_size,
                         .capacity = capacity,
                         .spares = spares,
                         .prefilled = m->prealloc()});
}

void hash_free(map *m) {
    destroy(as_hash(m));
}

u64 hash_memory(const map *m) {
    auto *h = static_cast<const hash_map *>(m);
    return sizeof(hash_map) + (static_cast<u64>(h->bucket_mask) + 1) * sizeof(hash_bucket) + h->pool.bytes();
}

/// EEXIST or ENOENT where the flags ask for the other state of the key.
long check_presence(bool there, u64 flags) {
    if (there && flags == BPF_NOEXIST)
        return -EEXIST;
    if (!there && flags == BPF_EXIST)
        return -ENOENT;
    return 0;
}

long hash_update(map *map, const void *key, const void *value, u64 flags, u64 *replaced) {
    if ((flags & ~BPF_F_LOCK) > BPF_EXIST)
        return -EINVAL;
    if (lock_flag_bad(map, flags))
        return -EINVAL;
    hash_map *m = as_hash(map);
    if (replaced)
        *replaced = 0;
    return by_key_size(m, [&](auto k) { return update_with<k.value>(m, key, value, flags, replaced); });
}

long hash_take(map *map, const void *key, u64 *taken) {
    hash_map *m = as_hash(map);
    return by_key_size(m, [&](auto k) { return take_with<k.value>(m, key, taken); });
}

long hash_remove(map *m, const void *key) {
    return hash_take(m, key, nullptr);
}

long hash_remove_user(map *m, const void *key) {
    return retry_busy([&] {
        rcu_read_guard rcu;
        return hash_remove(m, key);
    });
}

status check_hash(const map_params &p) {
    bool lru = p.type == BPF_MAP_TYPE_LRU_HASH || p.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    bool percpu = p.type == BPF_MAP_TYPE_PERCPU_HASH || p.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    if ((p.flags & BPF_F_ZERO_SEED) && !port_capable(PORT_CAP_SYS_ADMIN))
        return error(EPERM);
    constexpr u32 access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
    if (p.flags & ~(BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | access))
        return error(EINVAL);
    if ((p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG))
        return error(EINVAL);
    if (!lru && (p.flags & BPF_F_NO_COMMON_LRU))
        return error(EINVAL);
    if (lru && (p.flags & BPF_F_NO_PREALLOC))
        return error(ENOTSUPP);
    if ((p.flags & BPF_F_NUMA_NODE) && (percpu || (p.flags & BPF_F_NO_COMMON_LRU)))
        return error(EINVAL);
    if (!p.max_entries || !p.key_size || !p.value_size)
        return error(EINVAL);
    if (static_cast<u64>(p.key_size) + p.value_size >= kmalloc_max - linux_elem_header)
        return error(E2BIG);
    if (percpu && align_up(p.value_size, 8) > percpu_value_max)
        return error(E2BIG);
    return {};
}

extern constinit const map_ops hash_ops;
extern constinit const map_ops percpu_hash_ops;

constinit const map_ops hash_ops = {
    .type = BPF_MAP_TYPE_HASH,
    .name = "hash",
    .check = check_hash,
    .create = [](const map_params &p) { return create_with(&hash_ops, p); },
    .free = hash_free,
    .lookup = lookup_hash,
    .describe = hash_describe,
    .update = update_hash,
    .remove = hash_remove,
    .for_each = hash_for_each,
    .lookup_user = hash_lookup_user,
    .update_user = update_hash_user,
    .remove_user = hash_remove_user,
    .next_key = hash_next_key,
    .lookup_and_delete_user = hash_lookup_and_delete,
    .batch = true,
    .batch_delete = true,
    .lookup_batch = hash_lookup_batch,
    .key_of = hash_key_of,
    .each_value = hash_each_value,
    .walk = hash_walk,
    .copy_element = hash_copy_element,
    .memory = hash_memory,
};

constinit const map_ops percpu_hash_ops = {
    .type = BPF_MAP_TYPE_PERCPU_HASH,
    .name = "percpu_hash",
    .check = check_hash,
    .create = [](const map_params &p) { return create_with(&percpu_hash_ops, p); },
    .free = hash_free,
    .lookup = lookup_percpu,
    .describe = hash_describe,
    .lookup_percpu = lookup_on_cpu,
    .update = update_percpu_here,
    .remove = hash_remove,
    .for_each = hash_for_each,
    .lookup_user = hash_lookup_user,
    .update_user = update_percpu_user,
    .remove_user = hash_remove_user,
    .next_key = hash_next_key,
    .lookup_and_delete_user = hash_lookup_and_delete,
    .batch = true,
    .batch_delete = true,
    .lookup_batch = hash_lookup_batch,
    .key_of = hash_key_of,
    .each_value = hash_each_value,
    .walk = hash_walk,
    .copy_element = hash_copy_element,
    .memory = hash_memory,
};

}  // namespace modbpf
