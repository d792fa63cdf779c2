// SPDX-License-Identifier: GPL-2.0-only
// LRU_HASH and LRU_PERCPU_HASH: hash maps (maps/hash.h) in which a new key takes the place of an old one when the map is full.
//
// The map holds max_entries elements before it drops one (Linux's CPUs keep some free ones to themselves). An element to write into is
// taken before the bucket is locked, because taking one may lock another bucket: no operation holds two. Where that fails (each victim's
// bucket is locked by an operation that this one interrupted) the answer is -ENOMEM, as on Linux.
//
// A key that is there is replaced by way of the CPU's spare element, so that nothing is dropped for it; with BPF_F_NO_COMMON_LRU by one
// of the CPU's own elements, to which the key then belongs, as on Linux.
#include "maps/hash.h"
#include "maps/lru.h"
#include "maps/nospec.h"
#include "maps/value.h"

namespace modbpf {

namespace {

/// Steps of the hand for one element: two times what it may spare, and some that meet free elements or locked buckets.
constexpr u32 max_steps = 2 * lru_clock::max_spared + 64;
constexpr u32 victim_turns = 16;  ///< waits for the lock of a victim's bucket: the next victim is as good
constexpr u32 max_tries = 4;      ///< of an update whose key comes and goes

struct lru_map : hash_map {
    lru_map(const map_ops *o, const map_params &p) : hash_map(o, p) {}

    bool spares() const { return !percpu() && !own_elems; }
    /// A free element, or the victim's; `none` when each one that the hand met was busy. Preemption off.
    u32 acquire(u32 cpu);
    void give_free(u32 cpu, u32 i, bool spare);

    lru_clock clock;

private:
    u32 acquire_free(u32 cpu);
    u32 evict(u32 cpu);
    bool take_out(u32 i);
};

lru_map *as_lru(map *m) {
    return static_cast<lru_map *>(m);
}

/// A free element. What was in use before gets a second turn of the hand, which may be just before it.
u32 lru_map::acquire_free(u32 cpu) {
    u32 i = pool.pop_stack(cpu);
    if (i != none) {
        __atomic_store_n(&marks[i], lru_used, __ATOMIC_RELAXED);
        return i;
    }
    i = own_elems ? clock.take_fresh(cpu) : pool.pop_fresh();
    if (i == none && !own_elems)
        i = pool.pop(cpu);
    if (i != none)
        __atomic_store_n(&marks[i], lru_live, __ATOMIC_RELAXED);
    return i;
}

u32 lru_map::acquire(u32 cpu) {
    u32 i = acquire_free(cpu);
    return i != none ? i : evict(cpu);
}

u32 lru_map::evict(u32 cpu) {
    u32 spared = 0;
    for (u32 steps = 0; steps < max_steps; steps++) {
        u32 i = clock.step(cpu);
        u8 mark = __atomic_load_n(&marks[i], __ATOMIC_RELAXED);
        if (mark == lru_free)
            continue;
        if (mark == lru_used) {
            __atomic_store_n(&marks[i], lru_live, __ATOMIC_RELAXED);
            if (spared++ < lru_clock::max_spared)
                continue;
        }
        if (take_out(i)) {
            release_elem(i);
            return i;
        }
    }
    return none;
}

/// Removes element i from the map if it is in it: its hash may be another key's by the time that the bucket is locked.
bool lru_map::take_out(u32 i) {
    hash_bucket &b = bucket_of(__atomic_load_n(&elem(i)->hash, __ATOMIC_RELAXED));
    lock_section s(b.lock, victim_turns);
    if (!s)
        return false;
    u32 before = none, at = b.first;
    while (!(at & chain_end) && at != i)
        before = at, at = elem(at)->next;
    if (at != i)
        return false;
    unlink(b, before, i);
    return true;
}

/// An element that was taken and not published.
void lru_map::give_free(u32 cpu, u32 i, bool spare) {
    if (!spare) {
        give_back(cpu, i);
        return;
    }
    release_elem(i);
    __atomic_store_n(&marks[i], lru_free, __ATOMIC_RELAXED);
    pool.put_spare(cpu, i);
}

void mark_used(hash_map *m, u32 i) {
    if (__atomic_load_n(&m->marks[i], __ATOMIC_RELAXED) == lru_live)
        __atomic_store_n(&m->marks[i], lru_used, __ATOMIC_RELAXED);
}

void *lookup_lru(map *map, const void *key) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    if (i == hash_map::none)
        return nullptr;
    mark_used(m, i);
    return m->value_in(m->elem(i));
}

void *lookup_lru_percpu(map *map, const void *key) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    if (i == hash_map::none)
        return nullptr;
    mark_used(m, i);
    return m->pool.value(i, port_cpu_id());
}

void *lookup_on_cpu(map *map, const void *key, u32 cpu) {
    hash_map *m = as_hash(map);
    u32 i = m->find(key, m->hash_key(key));
    if (i == hash_map::none)
        return nullptr;
    mark_used(m, i);
    return m->pool.value(i, clamp_index(cpu, port_cpu_count()));
}

/// One attempt of an update with element `fresh`, the CPU's spare or not. 1: a spare cannot be inserted, the key has gone.
long replace_or_insert(lru_map *m, u32 cpu, u32 fresh, bool spare, const void *key, u32 hash, u64 flags) {
    hash_bucket &b = m->bucket_of(hash);
    u32 before, old = hash_map::none;
    long r = -EBUSY;
    if (lock_section s(b.lock); s) {
        old = m->find_locked(b, key, hash, &before);
        bool there = old != hash_map::none;
        r = check_presence(there, flags);
        if (!r && !there && spare)
            r = 1;
        if (!r) {
            if (there)
                __atomic_store_n(&m->marks[fresh], lru_used, __ATOMIC_RELAXED);
            m->publish(b, fresh, key, hash);
            if (there)
                m->unlink(b, before == hash_map::none ? fresh : before, old);
        }
    }
    if (r)
        m->give_free(cpu, fresh, spare);
    else if (old != hash_map::none)
        m->give_free(cpu, old, spare);
    return r;
}

long update_lru(map *map, const void *key, const void *value, u64 flags) {
    if (flags > BPF_EXIST)
        return -EINVAL;
    lru_map *m = as_lru(map);
    u32 hash = m->hash_key(key);
    preempt_guard here;
    u32 cpu = port_cpu_id();
    for (u32 tries = 0;; tries++) {
        bool there = m->find(key, hash) != hash_map::none;
        if (long r = check_presence(there, flags)) // nothing is dropped for an update that fails
            return r;
        u32 fresh = there && m->spares() && tries < max_tries ? m->pool.take_spare(cpu) : hash_map::none;
        bool spare = fresh != hash_map::none;
        if (!spare)
            fresh = m->acquire(cpu);
        if (fresh == hash_map::none)
            return -ENOMEM;
        store_value(m, m->value_in(m->elem(fresh)), value, m->params.value_size);
        long r = replace_or_insert(m, cpu, fresh, spare, key, hash, flags);
        if (r <= 0)
            return r;
    }
}

/// In place where the key is there. `fresh` is used, or none. -EAGAIN: one is needed.
long update_percpu_locked(lru_map *m, hash_bucket &b, u32 cpu, u32 *fresh, const void *key, u32 hash, const void *value, u64 flags,
                          bool all) {
    u32 before, i = m->find_locked(b, key, hash, &before);
    if (long r = check_presence(i != hash_map::none, flags))
        return r;
    if (i != hash_map::none) {
        mark_used(m, i);
        m->write_cpu_values(i, cpu, value, all, false);
        return 0;
    }
    if (*fresh == hash_map::none)
        return -EAGAIN;
    m->write_cpu_values(*fresh, cpu, value, all, true);
    m->publish(b, *fresh, key, hash);
    *fresh = hash_map::none;
    return 0;
}

long update_lru_percpu(map *map, const void *key, const void *value, u64 flags, bool all) {
    if (flags > BPF_EXIST)
        return -EINVAL;
    lru_map *m = as_lru(map);
    u32 hash = m->hash_key(key), fresh = hash_map::none;
    hash_bucket &b = m->bucket_of(hash);
    preempt_guard here;
    u32 cpu = port_cpu_id();
    for (;;) {
        long r = -EBUSY;
        if (lock_section s(b.lock); s)
            r = update_percpu_locked(m, b, cpu, &fresh, key, hash, value, flags, all);
        if (r == -EAGAIN) {
            fresh = m->acquire(cpu);
            if (fresh != hash_map::none)
                continue;
            r = -ENOMEM;
        }
        if (fresh != hash_map::none)
            m->give_free(cpu, fresh, false);
        return r;
    }
}

long update_lru_user(map *m, const void *key, const void *value, u64 flags) {
    return retry_busy([&] {
        rcu_read_guard rcu;
        return update_lru(m, key, value, flags);
    });
}

long update_lru_percpu_user(map *m, const void *key, const void *value, u64 flags) {
    return retry_busy([&] {
        rcu_read_guard rcu;
        return update_lru_percpu(m, key, value, flags, true);
    });
}

/// As many for each CPU, at least one.
map_params with_own_elems(map_params p) {
    u32 cpus = port_cpu_count(), rest = p.max_entries % cpus;
    if (rest)
        p.max_entries = p.max_entries > ~0u - (cpus - rest) ? p.max_entries - rest : p.max_entries + cpus - rest;
    return p;
}

result<map *> create(const map_ops *ops, const map_params &p) {
    bool own_lists = p.flags & BPF_F_NO_COMMON_LRU;
    own<lru_map> m(make<lru_map>(PORT_SLEEPING, ops, own_lists ? with_own_elems(p) : p));
    if (!m)
        return error(ENOMEM);
    u32 cpus = port_cpu_count();
    m->own_elems = own_lists ? m->params.max_entries / cpus : 0;
    TRY(hash_build(m.get(), m->spares()));
    u32 total = m->params.max_entries + (m->spares() ? cpus : 0);
    m->marks = static_cast<u8 *>(port_alloc(total, PORT_SLEEPING));
    if (!m->marks)
        return error(ENOMEM);
    TRY(m->clock.init(total, m->own_elems));
    return static_cast<map *>(m.release());
}

void free_lru(map *m) {
    destroy(as_lru(m));
}

u64 memory(const map *m) {
    auto *l = static_cast<const lru_map *>(m);
    return hash_memory(m) + sizeof(lru_map) - sizeof(hash_map) + l->params.max_entries + l->clock.bytes();
}

}  // namespace

extern constinit const map_ops lru_hash_ops;
extern constinit const map_ops lru_percpu_hash_ops;

constinit const map_ops lru_hash_ops = {
    .type = BPF_MAP_TYPE_LRU_HASH,
    .name = "lru_hash",
    .check = check_hash,
    .create = [](const map_params &p) { return create(&lru_hash_ops, p); },
    .free = free_lru,
    .lookup = lookup_lru,
    .describe = hash_describe,
    .update = update_lru,
    .remove = hash_remove,
    .for_each = hash_for_each,
    .lookup_user = hash_lookup_user,
    .update_user = update_lru_user,
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
    .memory = memory,
};

constinit const map_ops lru_percpu_hash_ops = {
    .type = BPF_MAP_TYPE_LRU_PERCPU_HASH,
    .name = "lru_percpu_hash",
    .check = check_hash,
    .create = [](const map_params &p) { return create(&lru_percpu_hash_ops, p); },
    .free = free_lru,
    .lookup = lookup_lru_percpu,
    .describe = hash_describe,
    .lookup_percpu = lookup_on_cpu,
    .update = [](map *m, const void *key, const void *value, u64 flags) { return update_lru_percpu(m, key, value, flags, false); },
    .remove = hash_remove,
    .for_each = hash_for_each,
    .lookup_user = hash_lookup_user,
    .update_user = update_lru_percpu_user,
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
    .memory = memory,
};

}  // namespace modbpf
