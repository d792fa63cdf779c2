// SPDX-License-Identifier: GPL-2.0-only
// LPM_TRIE: keys are bit prefixes; a look-up finds the longest one that the key begins with.
//
// Terms: a node holds a prefix (its length in bits, and data) and two children, whose prefixes begin with the node's and go on with bit 0
// or 1. An inner node has no value: it is there for its two children. A dead node is out of the trie, but readers may be on it.
//
// Nodes are elements of a pool (maps/pool.h), linked by number. Readers take no lock. A node's prefix never changes and its value is
// written in place by programs only, so what a reader found stays as it was until the grace period is over; then the node goes back to
// the pool. That is done by deferred work, because a program can wait for nothing: dead nodes gather in a list, which any context may add
// to. Writers hold the trie's cpu_lock: any context, -EBUSY where they would deadlock.
//
// Errors: ENOSPC behind max_entries keys; ENOMEM when the reserve of nodes is used up on a program's side (user space can wait).
// Reference: Linux's kernel/bpf/lpm_trie.c for every answer.
#include "maps/copy.h"
#include "maps/cpu_lock.h"
#include "maps/map.h"
#include "maps/pool.h"

namespace modbpf {

namespace {

constexpr u32 none = elem_pool::none;
constexpr u32 inner = 1u << 31;           ///< in a node's prefix word
constexpr u32 key_header = 4;             ///< of a key: the prefix's length
constexpr u32 data_max = 256;
constexpr u32 value_max = (4 << 20) - data_max - 40;  ///< Linux's limit of an element
constexpr u32 nodes_max = 1u << 30;       ///< the pool's limit
constexpr u32 dead_room = 4096;           ///< nodes beyond those that a full trie needs, for dead ones

struct node {
    u32 child[2];  ///< dead nodes keep them for their readers; the second is the pool's link when the node is free
    u32 prefix;    ///< length in bits | inner
    u32 next_dead;
    u8 data[];     ///< padded to 8 with zeros; then the value

    u32 length() const { return __atomic_load_n(&prefix, __ATOMIC_RELAXED) & ~inner; }
    bool is_inner() const { return __atomic_load_n(&prefix, __ATOMIC_ACQUIRE) & inner; }
    u32 next(u32 bit) const { return __atomic_load_n(&child[bit], __ATOMIC_ACQUIRE); }
};
static_assert(sizeof(node) == 16 && __builtin_offsetof(node, child[1]) == elem_pool::link_offset);

struct lpm_map : map {
    lpm_map(const map_ops *o, const map_params &p)
        : map(o, p), data_size(p.key_size - key_header), value_offset(sizeof(node) + static_cast<u32>(align_up(data_size, 8))) {}

    node *at(u32 i) const { return reinterpret_cast<node *>(pool.at(i)); }
    u8 *value_of(node *n) const { return reinterpret_cast<u8 *>(n) + value_offset; }
    u32 max_length() const { return data_size * 8; }

    struct bury_work {
        port_work work;  ///< first: the callback gets its address
        lpm_map *trie;
    };

    u32 data_size, value_offset;
    u32 root = none;
    u32 count = 0;     ///< keys; under the lock
    u32 dead = none;   ///< list of dead nodes; atomic
    cpu_lock lock{};
    elem_pool pool;
    bury_work burial{};
};

lpm_map *as_lpm(map *m) {
    return static_cast<lpm_map *>(m);
}

u32 bit_of(const u8 *data, u32 i) {
    return data[i / 8] >> (7 - i % 8) & 1;
}

u32 key_length(const void *key) {
    return load4(key);
}
const u8 *key_data(const void *key) {
    return static_cast<const u8 *>(key) + key_header;
}

/// How many of the first `limit` bits are the same; both have that many.
u32 common_bits(const u8 *a, const u8 *b, u32 limit) {
    u32 bytes = (limit + 7) / 8, i = 0;
    for (; i + 8 <= bytes; i += 8)
        if (u64 d = load8(a + i) ^ load8(b + i))
            return min(limit, i * 8 + static_cast<u32>(__builtin_clzll(__builtin_bswap64(d))));
    for (; i < bytes; i++)
        if (u32 d = a[i] ^ b[i])
            return min(limit, i * 8 + static_cast<u32>(__builtin_clz(d)) - 24);
    return limit;
}

u32 match(const node *n, const void *key) {
    return common_bits(n->data, key_data(key), min(n->length(), key_length(key)));
}

/// Data of 4 or 8 bytes, as a number that begins with its first bit.
u64 as_number(const void *data, u32 size) {
    return size == 4 ? static_cast<u64>(__builtin_bswap32(load4(data))) << 32 : __builtin_bswap64(load8(data));
}

/// Data of 4 or 8 bytes are compared at once: those of a node are padded to 8.
void *lookup_short(lpm_map *m, const void *key, u32 length) {
    elem_pool::view nodes(m->pool);
    u64 want = as_number(key_data(key), m->data_size);
    node *found = nullptr;
    for (u32 i = __atomic_load_n(&m->root, __ATOMIC_ACQUIRE); i != none;) {
        node *n = reinterpret_cast<node *>(nodes.at(i));
        u32 prefix = __atomic_load_n(&n->prefix, __ATOMIC_ACQUIRE), have = prefix & ~inner;
        if (have > length || (have && (want ^ as_number(n->data, 8)) >> (64 - have)))
            break;
        if (!(prefix & inner))
            found = n;
        if (have == length)
            break;
        i = n->next(want >> (63 - have) & 1);
    }
    return found ? m->value_of(found) : nullptr;
}

void *lookup(map *map, const void *key) {
    lpm_map *m = as_lpm(map);
    u32 length = key_length(key);
    if (length > m->max_length())
        return nullptr;
    if (m->data_size == 4 || m->data_size == 8)
        return lookup_short(m, key, length);
    node *found = nullptr;
    for (u32 i = __atomic_load_n(&m->root, __ATOMIC_ACQUIRE); i != none;) {
        node *n = m->at(i);
        u32 have = n->length();
        if (match(n, key) < have)
            break;
        if (!n->is_inner())
            found = n;
        if (have == length)  // a child would be longer
            break;
        i = n->next(bit_of(key_data(key), have));
    }
    return found ? m->value_of(found) : nullptr;
}

// ---- dead nodes -------------------------------------------------------------------------------------------

void bury(port_work *w) {
    lpm_map *m = reinterpret_cast<lpm_map::bury_work *>(w)->trie;
    u32 i = __atomic_exchange_n(&m->dead, none, __ATOMIC_ACQ_REL);
    if (i == none)
        return;
    port_rcu_synchronize();
    for (u32 next; i != none; i = next) {
        preempt_guard here;
        next = m->at(i)->next_dead;
        m->pool.push(port_cpu_id(), i);
    }
}

/// Node i is out of the trie. Lock held.
void retire(lpm_map *m, u32 i) {
    node *n = m->at(i);
    u32 head = __atomic_load_n(&m->dead, __ATOMIC_RELAXED);
    do
        n->next_dead = head;
    while (!__atomic_compare_exchange_n(&m->dead, &head, i, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

// ---- changes: the lock is held ------------------------------------------------------------------------------

/// Where a key belongs: the link to the first node that ends the walk, which may be `none`.
struct place {
    u32 *link;
    u32 at;      ///< *link
    u32 matched; ///< bits that its node has in common with the key
    u32 *above = nullptr;  ///< the link to the node that holds `link`; null when that is the root
};

place find_place(lpm_map *m, const void *key) {
    place p{.link = &m->root, .at = m->root, .matched = 0};
    while (p.at != none) {
        node *n = m->at(p.at);
        p.matched = match(n, key);
        if (p.matched < n->length() || n->length() == key_length(key))
            break;
        p.above = p.link;
        p.link = &n->child[bit_of(key_data(key), n->length())];
        p.at = *p.link;
    }
    return p;
}

/// A new node, not linked; or `none`.
u32 make_node(lpm_map *m, u32 cpu, u32 prefix, const u8 *data, u32 size) {
    u32 i = m->pool.pop(cpu);
    if (i == none)
        return none;
    node *n = m->at(i);
    n->child[0] = n->child[1] = none;
    n->prefix = prefix;
    memset(n->data, 0, m->value_offset - sizeof(node));
    memcpy(n->data, data, size);
    return i;
}

void set_link(u32 *link, u32 i) {
    __atomic_store_n(link, i, __ATOMIC_RELEASE);
}

/// Links node `fresh` with the key's prefix in; a second node stands above two that part. -ENOMEM.
long link_in(lpm_map *m, u32 cpu, const place &p, u32 fresh, const void *key) {
    node *n = m->at(fresh);
    if (p.at == none) {
        set_link(p.link, fresh);
        return 0;
    }
    node *old = m->at(p.at);
    if (p.matched == old->length()) {
        n->child[0] = old->child[0], n->child[1] = old->child[1];
        set_link(p.link, fresh);
        retire(m, p.at);
        return 0;
    }
    if (p.matched == key_length(key)) {
        n->child[bit_of(old->data, p.matched)] = p.at;
        set_link(p.link, fresh);
        return 0;
    }
    u32 top = make_node(m, cpu, p.matched | inner, old->data, m->data_size);
    if (top == none)
        return -ENOMEM;
    u32 bit = bit_of(key_data(key), p.matched);
    m->at(top)->child[bit] = fresh;
    m->at(top)->child[!bit] = p.at;
    set_link(p.link, top);
    return 0;
}

long update_locked(lpm_map *m, u32 cpu, const void *key, const void *value, u64 flags) {
    place p = find_place(m, key);
    bool there = p.at != none && p.matched == m->at(p.at)->length() && !m->at(p.at)->is_inner();
    if (there && flags == BPF_NOEXIST)
        return -EEXIST;
    if (!there && flags == BPF_EXIST)
        return -ENOENT;
    if (!there && m->count == m->params.max_entries)
        return -ENOSPC;
    u32 fresh = make_node(m, cpu, key_length(key), key_data(key), m->data_size);
    if (fresh == none)
        return -ENOMEM;
    copy_value(m->value_of(m->at(fresh)), value, m->params.value_size);
    if (long r = link_in(m, cpu, p, fresh, key)) {
        m->pool.push(cpu, fresh);
        return r;
    }
    m->count += !there;
    return 0;
}

long remove_locked(lpm_map *m, const void *key) {
    place p = find_place(m, key);
    if (p.at == none)
        return -ENOENT;
    node *n = m->at(p.at);
    if (n->length() != p.matched || n->length() != key_length(key) || n->is_inner())
        return -ENOENT;
    m->count--;
    if (n->child[0] != none && n->child[1] != none) {
        __atomic_store_n(&n->prefix, n->prefix | inner, __ATOMIC_RELEASE);
        return 0;
    }
    u32 only = n->child[0] != none ? n->child[0] : n->child[1];
    node *parent = p.above ? m->at(*p.above) : nullptr;
    if (only == none && parent && parent->is_inner()) {  // whose other child takes its place
        u32 gone = *p.above;
        set_link(p.above, parent->child[parent->child[0] == p.at]);
        retire(m, gone);
    } else {
        set_link(p.link, only);
    }
    retire(m, p.at);
    return 0;
}

template <class F> long change(lpm_map *m, const void *key, F how) {
    if (key_length(key) > m->max_length())
        return -EINVAL;
    long r;
    {
        lock_section s(m->lock);
        if (!s)
            return -EBUSY;
        r = how(s.cpu());
    }
    if (__atomic_load_n(&m->dead, __ATOMIC_RELAXED) != none)
        port_work_queue(&m->burial.work);
    m->pool.refill_if_low();
    return r;
}

long update(map *map, const void *key, const void *value, u64 flags) {
    if (flags > BPF_EXIST)
        return -EINVAL;
    lpm_map *m = as_lpm(map);
    return change(m, key, [&](u32 cpu) { return update_locked(m, cpu, key, value, flags); });
}

long remove(map *map, const void *key) {
    lpm_map *m = as_lpm(map);
    return change(m, key, [&](u32) { return remove_locked(m, key); });
}

// ---- user side ------------------------------------------------------------------------------------------------

long lookup_user(map *m, const void *key, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    rcu_read_guard rcu;
    const void *v = lookup(m, key);
    if (!v)
        return -ENOENT;
    copy_value(value, v, m->params.value_size);
    return 0;
}

/// Without nodes at hand user space waits: for memory, or for the dead ones' readers.
long update_user(map *map, const void *key, const void *value, u64 flags) {
    lpm_map *m = as_lpm(map);
    for (bool waited = false;;) {
        long r = retry_busy([&] { return update(map, key, value, flags); });
        if (r != -ENOMEM || (!m->pool.grow() && waited))
            return r;
        port_work_flush(&m->burial.work);
        waited = true;
    }
}

long remove_user(map *m, const void *key) {
    return retry_busy([&] { return remove(m, key); });
}

/// The node of exactly the key's prefix, and in *after the start of what follows it in the order of next_key.
node *find_for_next(lpm_map *m, const void *key, u32 start, u32 *after, node **parent_after) {
    for (u32 i = start; i != none;) {
        node *n = m->at(i);
        u32 have = n->length();
        if (match(n, key) < have)
            return nullptr;
        if (have == key_length(key))
            return n->is_inner() ? nullptr : n;
        u32 bit = bit_of(key_data(key), have), other = n->next(1);
        if (!bit && other != none)
            *after = other, *parent_after = nullptr;
        else if (!n->is_inner())
            *after = none, *parent_after = n;
        i = n->next(bit);
    }
    return nullptr;
}

/// The first key below node i: the leftmost, and of those the longest.
node *first_below(lpm_map *m, u32 i) {
    node *found = nullptr;
    while (i != none) {
        node *n = m->at(i);
        if (!n->is_inner())
            found = n;
        u32 left = n->next(0);
        i = left != none ? left : n->next(1);
    }
    return found;
}

/// Longer prefixes come before those that they begin with: children first, the one with bit 0 before the other.
long next_key(map *map, const void *key, void *next) {
    lpm_map *m = as_lpm(map);
    rcu_read_guard rcu;
    u32 start = __atomic_load_n(&m->root, __ATOMIC_ACQUIRE);
    if (start == none)
        return -ENOENT;
    u32 after = none;
    node *parent = nullptr, *found;
    if (key && key_length(key) <= m->max_length() && find_for_next(m, key, start, &after, &parent))
        found = after != none ? first_below(m, after) : parent;
    else
        found = first_below(m, start);
    if (!found)
        return -ENOENT;
    u32 length = found->length();
    __builtin_memcpy(next, &length, key_header);
    memcpy(static_cast<u8 *>(next) + key_header, found->data, m->data_size);
    return 0;
}

// ---- life -----------------------------------------------------------------------------------------------------

status check_params(const map_params &p) {
    constexpr u32 access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
    if (!p.max_entries || !(p.flags & BPF_F_NO_PREALLOC) || (p.flags & ~(BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | access)))
        return error(EINVAL);
    if ((p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG))
        return error(EINVAL);
    bool sizes = p.key_size > key_header && p.key_size <= key_header + data_max && p.value_size && p.value_size <= value_max;
    return sizes ? status() : status(error(EINVAL));
}

result<map *> create(const map_params &p);

void free_lpm(map *map) {
    lpm_map *m = as_lpm(map);
    port_work_flush(&m->burial.work);
    destroy(m);
}

u64 memory(const map *m) {
    return sizeof(lpm_map) + static_cast<const lpm_map *>(m)->pool.bytes();
}

}  // namespace

extern constinit const map_ops lpm_trie_ops;
constinit const map_ops lpm_trie_ops = {
    .type = BPF_MAP_TYPE_LPM_TRIE,
    .name = "lpm_trie",
    .check = [](const map_params &) { return status(); },  // behind the caller's rights, as in Linux
    .create = create,
    .free = free_lpm,
    .lookup = lookup,
    .update = update,
    .remove = remove,
    .lookup_user = lookup_user,
    .update_user = update_user,
    .remove_user = remove_user,
    .next_key = next_key,
    .batch = true,
    .batch_delete = true,
    .memory = memory,
};

namespace {

result<map *> create(const map_params &p) {
    TRY(check_params(p));
    own<lpm_map> m(make<lpm_map>(PORT_SLEEPING, &lpm_trie_ops, p));
    if (!m)
        return error(ENOMEM);
    port_work_init(&m->burial.work, bury);
    m->burial.trie = m.get();
    // A full trie has one inner node less than it has keys.
    u64 nodes = min<u64>(2 * static_cast<u64>(p.max_entries) + dead_room, nodes_max);
    u32 node_size = static_cast<u32>(m->value_offset + align_up(p.value_size, 8));
    TRY(m->pool.init({.elem_size = node_size, .value_size = 0, .capacity = static_cast<u32>(nodes), .spares = false, .prefilled = false}));
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
