// SPDX-License-Identifier: GPL-2.0-only
// STACK_TRACE: call chains by the hash of their addresses. A bucket holds one chain or none; its number is the key.
//
// Chains are elements of a pool (maps/pool.h), written before they are put into a bucket by an exchange: no lock, any context. The pool
// has some more elements than the map may hold chains, because a chain is written into one before it is known whether the map has it:
// one for each context that can be writing on a CPU. An element that left its bucket is used again at once, as on Linux, so a
// comparison may meet a chain that is just being replaced: it then finds another one than it looks for.
//
// User space takes a chain out of its bucket to copy it, and puts it back.
// With BPF_F_STACK_BUILD_ID a chain's addresses become places in files once its hash is known: its words are then four an address.
// Reference: Linux's kernel/bpf/stackmap.c for every answer.
#include "maps/array.h"
#include "maps/block.h"
#include "maps/key_hash.h"
#include "maps/nospec.h"
#include "maps/pool.h"

namespace modbpf {

namespace {

constexpr u32 none = elem_pool::none;
constexpr u32 buckets_max = 1u << 31;
constexpr u32 chains_max = 1u << 30;      ///< the pool's limit
constexpr u32 contexts = 4;               ///< task, soft interrupt, interrupt, NMI
constexpr u32 address_size = 8;
constexpr u32 build_id_size = sizeof(port_build_id);
static_assert(build_id_size == 32);
constexpr u32 buckets_between_rescheds = 4096;

struct chain {
    u32 count;  ///< words in ips
    u32 hash;   ///< free elements: the pool's link
    u64 ips[];
};
static_assert(sizeof(chain) == 8 && __builtin_offsetof(chain, hash) == elem_pool::link_offset);

struct stack_map : map {
    stack_map(const map_ops *o, const map_params &p) : map(o, p) {}

    chain *at(u32 i) const { return reinterpret_cast<chain *>(pool.at(i)); }
    /// Buckets hold the number of their chain + 1; 0: none.
    u32 read(u32 b) const { return __atomic_load_n(&buckets()[b], __ATOMIC_ACQUIRE) - 1; }
    u32 exchange(u32 b, u32 i) { return __atomic_exchange_n(&buckets()[b], i + 1, __ATOMIC_ACQ_REL) - 1; }
    u32 *buckets() const { return reinterpret_cast<u32 *>(block.at()); }
    /// The chain of key `id`, out of its bucket; or `none`.
    u32 take(u32 id) { return exchange(clamp_index(id, bucket_count), none); }

    u32 bucket_count = 0;  ///< a power of two
    u32 count = 0;         ///< chains in buckets, or taken out to be copied; atomic
    u64 seed[2] = {};
    map_block block;
    elem_pool pool;
};

stack_map *as_stacks(map *m) {
    return static_cast<stack_map *>(m);
}

void give_back(stack_map *m, u32 i) {
    preempt_guard here;
    m->pool.push(port_cpu_id(), i);
    __atomic_fetch_sub(&m->count, 1, __ATOMIC_RELEASE);
}

bool count_one_more(stack_map *m) {
    u32 n = __atomic_load_n(&m->count, __ATOMIC_RELAXED);
    do {
        if (n >= m->params.max_entries)
            return false;
    } while (!__atomic_compare_exchange_n(&m->count, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

/// Element `fresh` is written. Its key and *kept when it is in a bucket now; else the chain's key, or an errno.
long find_or_put(stack_map *m, u32 fresh, u64 flags, bool *kept) {
    const chain *c = m->at(fresh);
    u32 id = c->hash & (m->bucket_count - 1), old = m->read(id);
    if (old != none) {
        const chain *o = m->at(old);
        bool matches = __atomic_load_n(&o->hash, __ATOMIC_RELAXED) == c->hash;
        if (matches && (flags & BPF_F_FAST_STACK_CMP))
            return id;
        if (matches && __atomic_load_n(&o->count, __ATOMIC_RELAXED) == c->count && !memcmp(o->ips, c->ips, c->count * sizeof(u64)))
            return id;
        if (!(flags & BPF_F_REUSE_STACKID))
            return -EEXIST;
    }
    if (!count_one_more(m)) {
        // The one that it takes the place of makes room for it.
        old = old == none ? none : m->exchange(id, none);
        if (old == none)
            return -ENOMEM;
        give_back(m, old);
        if (!count_one_more(m))
            return -ENOMEM;
    }
    *kept = true;
    old = m->exchange(id, fresh);
    if (old != none)
        give_back(m, old);
    return id;
}

long lookup_user(map *map, const void *key, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    stack_map *m = as_stacks(map);
    u32 id = array_index(key);
    if (id >= m->bucket_count)
        return -ENOENT;
    u32 i = m->take(id);
    if (i == none)
        return -ENOENT;
    u32 bytes = m->at(i)->count * address_size;
    memcpy(value, m->at(i)->ips, bytes);
    memset(static_cast<u8 *>(value) + bytes, 0, m->params.value_size - bytes);
    i = m->exchange(id, i);
    if (i != none)
        give_back(m, i);
    return 0;
}

long update_refused(map *, const void *, const void *, u64) {
    return -EINVAL;
}

long remove(map *map, const void *key) {
    stack_map *m = as_stacks(map);
    u32 id = array_index(key);
    if (id >= m->bucket_count)
        return -E2BIG;
    u32 i = m->take(id);
    if (i == none)
        return -ENOENT;
    give_back(m, i);
    return 0;
}

long next_key(map *map, const void *key, void *next) {
    stack_map *m = as_stacks(map);
    u32 id = 0;
    if (key && array_index(key) < m->bucket_count && m->read(array_index(key)) != none)
        id = array_index(key) + 1;
    for (; id < m->bucket_count; id++) {
        if (m->read(id) != none) {
            __builtin_memcpy(next, &id, sizeof(id));
            return 0;
        }
        if (id % buckets_between_rescheds == 0)
            port_cond_resched();
    }
    return -ENOENT;
}

status check_params(const map_params &p) {
    constexpr u32 allowed = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_STACK_BUILD_ID;
    u32 unit = p.flags & BPF_F_STACK_BUILD_ID ? build_id_size : address_size;
    if ((p.flags & ~allowed) || !p.max_entries || p.key_size != 4 || p.value_size < address_size || p.value_size % address_size)
        return error(EINVAL);
    if (p.value_size % unit || p.value_size / unit > port_stack_depth_max())
        return error(EINVAL);
    return p.max_entries > buckets_max ? status(error(E2BIG)) : status();
}

status build(stack_map *m) {
    const map_params &p = m->params;
    u64 buckets = 1;
    while (buckets < p.max_entries)
        buckets *= 2;
    m->bucket_count = static_cast<u32>(buckets);
    choose_hash_seed(m->seed, false);
    u64 chains = p.max_entries + static_cast<u64>(contexts) * port_cpu_count();
    if (chains > chains_max)
        return error(ENOMEM);
    TRY(m->block.alloc(buckets * sizeof(u32), false));
    return m->pool.init({.elem_size = static_cast<u32>(sizeof(chain) + p.value_size),
                         .value_size = 0,
                         .capacity = static_cast<u32>(chains),
                         .spares = false,
                         .prefilled = true});
}

result<map *> create(const map_params &p);

void free_stacks(map *m) {
    destroy(as_stacks(m));
}

u64 memory(const map *map) {
    auto *m = static_cast<const stack_map *>(map);
    return sizeof(stack_map) + m->block.bytes() + m->pool.bytes();
}

}  // namespace

extern constinit const map_ops stack_trace_ops;
constinit const map_ops stack_trace_ops = {
    .type = BPF_MAP_TYPE_STACK_TRACE,
    .name = "stack_trace",
    .check = [](const map_params &) { return status(); },  // behind the caller's rights, as in Linux
    .create = create,
    .free = free_stacks,
    .lookup_user = lookup_user,
    .update_user = update_refused,
    .remove_user = remove,
    .next_key = next_key,
    .memory = memory,
};

namespace {

result<map *> create(const map_params &p) {
    TRY(check_params(p));
    own<stack_map> m(make<stack_map>(PORT_SLEEPING, &stack_trace_ops, p));
    if (!m)
        return error(ENOMEM);
    TRY(build(m.get()));
    return static_cast<map *>(m.release());
}

}  // namespace

u32 stack_trace_depth(u32 size, u32 elem_size, u64 flags) {
    u32 skip = flags & BPF_F_SKIP_FIELD_MASK, most = port_stack_depth_max();
    return min(size / elem_size, most > skip ? most - skip : 0);
}

void stack_trace_build_ids(u64 *ips, u32 n, bool user) {
    auto *ids = reinterpret_cast<port_build_id *>(ips);
    for (u32 i = n; i--;) { // from the last on: an entry covers addresses that have moved
        u64 ip = ips[i];
        __builtin_memset(&ids[i], 0, sizeof(ids[i]));
        __builtin_memcpy(&ids[i].ip, &ip, sizeof(ip));
    }
    port_build_ids(ids, n, user);
}

long stack_trace_keep(map *map, void *regs, void *frame, u64 flags) {
    constexpr u64 known = BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP | BPF_F_REUSE_STACKID;
    if (flags & ~known)
        return -EINVAL;
    stack_map *m = as_stacks(map);
    u32 cpu = port_cpu_id(), fresh = m->pool.pop(cpu);
    if (fresh == none)
        return -EFAULT;  // more contexts at once than there are: no chain
    chain *c = m->at(fresh);
    bool build_ids = m->params.flags & BPF_F_STACK_BUILD_ID;
    u32 depth = stack_trace_depth(m->params.value_size, build_ids ? build_id_size : address_size, flags);
    int n = port_stack_save(regs, frame, flags & BPF_F_USER_STACK, flags & BPF_F_SKIP_FIELD_MASK, c->ips, depth);
    bool kept = false;
    long r = -EFAULT;
    if (n > 0) {
        u32 count = static_cast<u32>(n);
        u64 hash = hash_bytes(reinterpret_cast<const u8 *>(c->ips), count * address_size, m->seed);
        if (build_ids) {
            stack_trace_build_ids(c->ips, count, flags & BPF_F_USER_STACK);
            count *= build_id_size / address_size;
        }
        // A context that still compares with what the element was may look.
        __atomic_store_n(&c->count, count, __ATOMIC_RELAXED);
        __atomic_store_n(&c->hash, static_cast<u32>(hash >> 32), __ATOMIC_RELAXED);
        r = find_or_put(m, fresh, flags, &kept);
    }
    if (!kept)
        m->pool.push(cpu, fresh);
    return r;
}

}  // namespace modbpf
