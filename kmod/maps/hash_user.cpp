// SPDX-License-Identifier: GPL-2.0-only
// Hash maps, user side: look-up, iteration, look-up-and-delete, batches. Task context.
#include "maps/hash.h"
#include "maps/value.h"

namespace modbpf {

namespace {

constexpr u32 buckets_between_rescheds = 1024;

/// The first key of the first bucket from `bucket` on that has one.
long first_key_from(hash_map *m, u32 bucket, void *next) {
    for (; bucket <= m->bucket_mask; bucket++) {
        hash_bucket &b = m->buckets[bucket];
        if (__atomic_load_n(&b.first, __ATOMIC_RELAXED) & hash_map::chain_end) {
            if (bucket % buckets_between_rescheds == 0)
                port_cond_resched();
            continue;
        }
        long r = retry_busy([&]() -> long {
            lock_section s(b.lock);
            if (!s)
                return -EBUSY;
            if (b.first & hash_map::chain_end)
                return -ENOENT;
            copy_value(next, m->elem(b.first)->key, m->params.key_size);
            return 0;
        });
        if (r != -ENOENT)
            return r;
    }
    return -ENOENT;
}

u32 chain_length(hash_map *m, const hash_bucket &b) {
    u32 n = 0;
    for (u32 i = b.first; !(i & hash_map::chain_end); i = m->elem(i)->next)
        n++;
    return n;
}

/// The elements of a bucket that was emptied, from `i` on.
void give_back_chain(hash_map *m, u32 cpu, u32 i) {
    for (u32 next; !(i & hash_map::chain_end); i = next) {
        next = m->elem(i)->next;
        map *inside = is_map_in_map(m->params.type) ? hash_inner_map(m, i) : nullptr;
        m->give_back(cpu, i);
        if (inside)
            inside->put();
    }
}

/// Copies one bucket out, if it has at most `room` elements; with `remove` it is empty afterwards. The number of its
/// elements, -ENOSPC or -EBUSY.
long copy_bucket(hash_map *m, hash_bucket &b, u8 *keys, u8 *values, u32 room, bool remove, u64 flags) {
    u32 value_size = m->user_value_size();
    lock_section s(b.lock);
    if (!s)
        return -EBUSY;
    u32 n = chain_length(m, b);
    if (n > room)
        return -ENOSPC;
    for (u32 i = b.first; !(i & hash_map::chain_end); i = m->elem(i)->next) {
        copy_value(keys, m->elem(i)->key, m->params.key_size);
        hash_copy_out(m, i, values, flags);
        keys += m->params.key_size;
        values += value_size;
    }
    if (!remove)
        return n;
    u32 first = b.first, cpu = s.cpu();
    __atomic_store_n(&b.first, hash_map::chain_end | static_cast<u32>(&b - m->buckets), __ATOMIC_RELEASE);
    s.release();
    give_back_chain(m, cpu, first);
    return n;
}

}  // namespace

void hash_copy_out(hash_map *m, u32 i, void *value, u64 flags) {
    if (is_map_in_map(m->params.type)) {
        u32 id = hash_inner_map(m, i)->id;
        __builtin_memcpy(value, &id, sizeof(id));
        return;
    }
    if (!m->percpu()) {
        load_value(m, value, m->value_in(m->elem(i)), m->params.value_size, flags);
        return;
    }
    u8 *out = static_cast<u8 *>(value);
    for (u32 cpu = 0, n = port_cpu_count(); cpu < n; cpu++, out += m->cpu_value_size)
        load_value(m, out, m->pool.value(i, cpu), m->cpu_value_size);
}

long hash_next_key(map *map, const void *key, void *next) {
    hash_map *m = as_hash(map);
    if (!key)
        return first_key_from(m, 0, next);
    u32 hash = m->hash_key(key);
    hash_bucket &b = m->bucket_of(hash);
    // Under the lock, because the element's `next` could be another bucket's already: then iteration could go in
    // circles.
    bool found = false;
    long r = retry_busy([&]() -> long {
        lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        u32 before;
        u32 i = m->find_locked(b, key, hash, &before);
        found = i != hash_map::none;
        if (!found || (m->elem(i)->next & hash_map::chain_end))
            return -ENOENT;
        copy_value(next, m->elem(m->elem(i)->next)->key, m->params.key_size);
        return 0;
    });
    if (r != -ENOENT)
        return r;
    return first_key_from(m, found ? (hash & m->bucket_mask) + 1 : 0, next);
}

long hash_lookup_user(map *map, const void *key, void *value, u64 flags) {
    if ((flags & ~BPF_F_LOCK) || lock_flag_bad(map, flags))
        return -EINVAL;
    hash_map *m = as_hash(map);
    rcu_read_guard rcu;
    u32 i = m->find(key, m->hash_key(key));
    if (i == hash_map::none)
        return -ENOENT;
    hash_copy_out(m, i, value, flags);
    return 0;
}

long hash_lookup_and_delete(map *map, const void *key, void *value, u64 flags) {
    if ((flags & ~BPF_F_LOCK) || lock_flag_bad(map, flags))
        return -EINVAL;
    hash_map *m = as_hash(map);
    u32 hash = m->hash_key(key);
    hash_bucket &b = m->bucket_of(hash);
    return retry_busy([&]() -> long {
        lock_section s(b.lock);
        if (!s)
            return -EBUSY;
        u32 before;
        u32 i = m->find_locked(b, key, hash, &before);
        if (i == hash_map::none)
            return -ENOENT;
        hash_copy_out(m, i, value, flags);
        m->unlink(b, before, i);
        m->give_back(s.cpu(), i);
        return 0;
    });
}

long hash_lookup_batch(map *map, u32 *bucket, void *keys, void *values, u32 *count, bool remove, u64 elem_flags) {
    hash_map *m = as_hash(map);
    u32 room = *count;
    *count = 0;
    if ((elem_flags & ~BPF_F_LOCK) || lock_flag_bad(map, elem_flags))
        return -EINVAL;
    if (!room)
        return 0;
    u8 *key = static_cast<u8 *>(keys), *value = static_cast<u8 *>(values);
    for (; *bucket <= m->bucket_mask; ++*bucket) {
        hash_bucket &b = m->buckets[*bucket];
        if (*bucket % buckets_between_rescheds == 0)
            port_cond_resched();
        if (__atomic_load_n(&b.first, __ATOMIC_RELAXED) & hash_map::chain_end)
            continue;
        long n = retry_busy([&] { return copy_bucket(m, b, key, value, room - *count, remove, elem_flags); });
        if (n == -ENOSPC)
            return *count ? 0 : -ENOSPC;
        if (n < 0)
            return n;
        key += static_cast<u64>(n) * m->params.key_size;
        value += static_cast<u64>(n) * m->user_value_size();
        *count += static_cast<u32>(n);
    }
    return -ENOENT;
}

}  // namespace modbpf
