// SPDX-License-Identifier: GPL-2.0-only
// hash_map: what HASH, PERCPU_HASH and the LRU types (maps/lru_hash.cpp) are made of.
//
// Terms: a bucket is a lock and the number of its first element; an element is
//     u32 next | u32 hash | key, padded to 8 | value, padded to 8
// (per-CPU values lie in the pool, by CPU)
// linked by numbers of the pool (maps/pool.h). The last `next` of a bucket's chain is chain_end | bucket number.
//
// Readers take no lock. An element that is taken out goes back to the pool at once, as Linux's do: a program that still
// holds its value pointer reads the old value until the element serves another key. `next` of such an element stays
// until then, so a reader that stands on it goes on along its old chain; once it serves another bucket, the reader
// comes to that bucket's end mark, sees that it is not its own, and starts again. An element is written value first,
// then key, then hash, then linked: a reader that stands on it finds the new key only with the new value behind it.
//
// A HASH update of a key that is there replaces the element, so that readers see the old value or the new one;
// PERCPU_HASH writes this CPU's value in place. Writers hold the bucket's cpu_lock: any context, -EBUSY where they
// would deadlock.
//
// Ownership: the map owns buckets and pool. Errors: E2BIG behind max_entries elements, ENOMEM when a map without
// preallocation has run out of its reserve on the program's side (maps/pool.h).
// Reference: Linux's kernel/bpf/hashtab.c for every answer; the layout is our own.
#pragma once

#include "maps/copy.h"
#include "maps/cpu_lock.h"
#include "maps/map.h"
#include "maps/pool.h"

namespace modbpf {

/// MAP_CREATE's conditions that hold for the hash tables: HASH, PERCPU_HASH and the LRU ones. EINVAL, E2BIG, EPERM, ENOTSUPP.
status check_hash(const map_params &p);

struct hash_bucket {
    u32 first;
    cpu_lock lock;
};
static_assert(sizeof(hash_bucket) == 8);

struct hash_elem {
    u32 next;
    u32 hash;  ///< free elements: the pool's link
    u8 key[];
};
static_assert(sizeof(hash_elem) == 8 && __builtin_offsetof(hash_elem, hash) == elem_pool::link_offset);

struct hash_map : map {
    static constexpr u32 chain_end = 1u << 31;
    static constexpr u32 none = elem_pool::none;  ///< has the chain_end bit and is no bucket's end mark

    hash_map(const map_ops *o, const map_params &p) : map(o, p) {}
    ~hash_map() {
        port_free(buckets);
        port_free(marks);
    }

    bool prealloc() const { return !(params.flags & BPF_F_NO_PREALLOC); }
    hash_bucket &bucket_of(u32 hash) const { return buckets[hash & bucket_mask]; }
    hash_elem *elem(u32 i) const { return reinterpret_cast<hash_elem *>(pool.at(i)); }
    u8 *value_in(hash_elem *e) const { return reinterpret_cast<u8 *>(e) + value_offset; }
    u32 hash_key(const void *key) const;
    /// The element of `key`, or `none`. Inside RCU, any context.
    u32 find(const void *key, u32 hash) const;
    /// The same under the bucket's lock; *before is the element that links to it, `none` for the bucket itself.
    u32 find_locked(const hash_bucket &b, const void *key, u32 hash, u32 *before) const {
        place p = place_of(b, key, hash);
        *before = p.before;
        return p.at;
    }
    struct place {
        u32 at, before;
    };
    place place_of(const hash_bucket &b, const void *key, u32 hash) const;
    /// Takes element i, linked from `before`, out of the chain. Bucket lock held.
    void unlink(hash_bucket &b, u32 before, u32 i);
    /// Key and hash of element i, whose value is complete, and the link that makes it visible. Bucket lock held.
    void publish(hash_bucket &b, u32 i, const void *key, u32 hash);
    /// Per-CPU values of element i. all: `value` holds every CPU's, as user space gives it; else this CPU's. fresh: the others become 0. What the
    /// special fields of the overwritten values own is let go.
    void write_cpu_values(u32 i, u32 cpu, const void *value, bool all, bool fresh);
    /// Lets go what the special fields of an unlinked element own. Before it may be taken again.
    void release_elem(u32 i) {
        if (__builtin_expect(fields != nullptr, 0))
            release_fields(i);
    }
    /// Gives an unlinked element back.
    void give_back(u32 cpu, u32 i);

    hash_bucket *buckets = nullptr;
    u32 bucket_mask = 0;
    u32 key_bytes = 0;       ///< of an element's key; storages: of an owner's address, which user space does not see
    u32 value_offset = 0;    ///< from the element; not of per-CPU values
    u32 value_bytes = 0;     ///< that are kept; HASH_OF_MAPS: of a pointer, which user space does not see
    u32 cpu_value_size = 0;  ///< per-CPU types: bytes of one CPU's value
    u8 *marks = nullptr;     ///< LRU types: by element (maps/lru.h)
    u32 own_elems = 0;       ///< BPF_F_NO_COMMON_LRU: elements that belong to one CPU
    u64 seed[2] = {};
    elem_pool pool;
    u8 apart[64];   ///< what follows is written often, what stands before is read by every look-up
    u32 count = 0;  ///< elements in the map, without preallocation only; atomic

private:
    void release_fields(u32 i);
};

inline hash_map *as_hash(map *m) {
    return static_cast<hash_map *>(m);
}

// hash.cpp, shared by the types.
/// Buckets and pool, from the parameters. spares: a CPU keeps an element aside for replacements in a full map. ENOMEM, E2BIG.
status hash_build(hash_map *m, bool spares);
void hash_free(map *m);
/// Replaces or inserts. *replaced: the first 8 bytes of the value that went, else 0; may be null.
long hash_update(map *m, const void *key, const void *value, u64 flags, u64 *replaced);
/// How user space does it: retries while others are busy, adds memory where the reserve of a map without preallocation is used up.
template <class F> long hash_update_from_user(map *m, F update) {
    for (;;) {
        long r = retry_busy([&] {
            rcu_read_guard rcu;
            return update();
        });
        if (r != -ENOMEM || !as_hash(m)->pool.grow())
            return r;
    }
}
u64 hash_memory(const map *m);
map_lookup hash_describe(const map *m);
long hash_remove(map *m, const void *key);
/// The same; *taken: the first 8 bytes of the value; may be null.
long hash_take(map *m, const void *key, u64 *taken);
long hash_remove_user(map *m, const void *key);
/// EEXIST or ENOENT where the flags of an update ask for the other state of the key.
long check_presence(bool there, u64 flags);

// hash_each.cpp
long hash_for_each(map *m, element_fn fn, void *priv);
const void *hash_key_of(map *m, void *value, u32 *index);
void hash_each_value(map *m, void (*fn)(map *m, void *value));

// hash_of_maps.cpp
map *hash_inner_map(const hash_map *m, u32 i);

// hash_walk.cpp
bool hash_walk(map *m, map_cursor *c, bool next, map_element *out);
void hash_copy_element(map *m, const map_element *e, void *value);

// hash_user.cpp
/// The value of element i in the user's layout. Any context.
void hash_copy_out(hash_map *m, u32 i, void *value, u64 flags);
long hash_next_key(map *m, const void *key, void *next);
long hash_lookup_user(map *m, const void *key, void *value, u64 flags);
long hash_lookup_and_delete(map *m, const void *key, void *value, u64 flags);
long hash_lookup_batch(map *m, u32 *bucket, void *keys, void *values, u32 *count, bool remove, u64 elem_flags);

}  // namespace modbpf
