// SPDX-License-Identifier: GPL-2.0-only
// BLOOM_FILTER: a set that answers "not there" for certain and "there" with some error. push adds a value, peek asks for it; nothing is
// ever removed. map_extra: how many bits a value sets (1 to 15; 0: 5).
//
// The bits are as many as Linux takes: entries * hashes * 7/5, rounded up to a power of two. Which ones a value has comes from one hash
// of 64 bits, whose halves are start and step. Bits are set atomically: no lock, any context.
// Reference: Linux's kernel/bpf/bloom_filter.c for every answer.
#include "maps/block.h"
#include "maps/key_hash.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u32 value_size_max = 4 << 20;  ///< what user space could not pass is refused
constexpr u32 default_hashes = 5;
constexpr u64 hashes_mask = 0xf;
constexpr u32 word_bits = 64;

struct bloom_map : map {
    bloom_map(const map_ops *o, const map_params &p) : map(o, p) {}

    u32 mask = 0;  ///< number of bits - 1
    u32 hashes = 0;
    u64 seed[2] = {};
    map_block block;
};

bloom_map *as_bloom(map *m) {
    return static_cast<bloom_map *>(m);
}

/// The value's bits, one after the other.
class bits_of {
public:
    bits_of(const bloom_map *m, const void *value) : words_(reinterpret_cast<u64 *>(m->block.at())), mask_(m->mask) {
        u64 h = hash_bytes(static_cast<const u8 *>(value), m->params.value_size, m->seed);
        at_ = static_cast<u32>(h);
        step_ = static_cast<u32>(h >> 32) | 1;
    }
    void next() { at_ += step_; }
    bool set() const { return __atomic_load_n(word(), __ATOMIC_RELAXED) >> bit() & 1; }
    void put() const { __atomic_fetch_or(word(), 1ull << bit(), __ATOMIC_RELAXED); }

private:
    u64 *word() const { return words_ + (at_ & mask_) / word_bits; }
    u32 bit() const { return at_ & mask_ & (word_bits - 1); }

    u64 *words_;
    u32 mask_, at_, step_;
};

long push(map *map, const void *value, u64 flags) {
    if (flags != BPF_ANY)
        return -EINVAL;
    bloom_map *m = as_bloom(map);
    bits_of bits(m, value);
    for (u32 i = 0; i < m->hashes; i++, bits.next())
        if (!bits.set())
            bits.put();
    return 0;
}

long peek(map *map, void *value) {
    bloom_map *m = as_bloom(map);
    bits_of bits(m, value);
    for (u32 i = 0; i < m->hashes; i++, bits.next())
        if (!bits.set())
            return -ENOENT;
    return 0;
}

long lookup_user(map *m, const void *, void *value, u64) {
    return peek(m, value);
}
long push_user(map *m, const void *, const void *value, u64 flags) {
    return push(m, value, flags);
}
long no_removal(map *, const void *) {
    return -EOPNOTSUPP;
}
long no_keys(map *, const void *, void *) {
    return -EOPNOTSUPP;
}

/// Before the caller's rights.
status check(const map_params &p) {
    return p.value_size > value_size_max ? status(error(E2BIG)) : status();
}

status check_params(const map_params &p) {
    constexpr u32 access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
    if (p.key_size || !p.value_size || !p.max_entries || (p.flags & ~(BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | access)))
        return error(EINVAL);
    if ((p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG))
        return error(EINVAL);
    return p.extra & ~hashes_mask ? status(error(EINVAL)) : status();
}

/// Number of bits - 1. What 32 bits do not hold is all that they can.
u32 mask_for(u32 entries, u32 hashes) {
    constexpr u64 most = 1ull << 32;
    u64 product = static_cast<u64>(entries) * hashes, wanted = product / 5 * 7;
    if (product >= most || wanted > most / 2)
        return ~0u;
    u64 bits = word_bits;
    while (bits < wanted)
        bits *= 2;
    return static_cast<u32>(bits - 1);
}

result<map *> create(const map_params &p);

void free_bloom(map *m) {
    destroy(as_bloom(m));
}

u64 memory(const map *m) {
    return sizeof(bloom_map) + static_cast<const bloom_map *>(m)->block.bytes();
}

}  // namespace

extern constinit const map_ops bloom_filter_ops;
constinit const map_ops bloom_filter_ops = {
    .type = BPF_MAP_TYPE_BLOOM_FILTER,
    .name = "bloom_filter",
    .check = check,
    .create = create,
    .free = free_bloom,
    .push = push,
    .peek = peek,
    .lookup_user = lookup_user,
    .lookup_reads_value = true,
    .update_user = push_user,
    .remove_user = no_removal,
    .next_key = no_keys,
    .memory = memory,
};

namespace {

result<map *> create(const map_params &p) {
    TRY(check_params(p));
    own<bloom_map> m(make<bloom_map>(PORT_SLEEPING, &bloom_filter_ops, p));
    if (!m)
        return error(ENOMEM);
    m->hashes = p.extra ? static_cast<u32>(p.extra) : default_hashes;
    m->mask = mask_for(p.max_entries, m->hashes);
    choose_hash_seed(m->seed, p.flags & BPF_F_ZERO_SEED);
    TRY(m->block.alloc((static_cast<u64>(m->mask) + 1) / 8, false));
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
