// SPDX-License-Identifier: GPL-2.0-only
// QUEUE and STACK: values without keys. A ring of max_entries places; push writes at its head, a queue takes from the other end, a stack
// from the head. BPF_EXIST makes push drop the oldest value of a full one.
//
// One cpu_lock, from any context: -EBUSY where it would deadlock, also outside NMI, where Linux spins. A program's value memory is
// uninitialised and readable after the call, so a failed pop or peek zeroes it.
// Reference: Linux's kernel/bpf/queue_stack_maps.c for every answer.
#include "maps/block.h"
#include "maps/copy.h"
#include "maps/cpu_lock.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u32 value_size_max = 4 << 20;  ///< Linux's: what user space could not read is refused
constexpr u32 bytes_max = 0xffffffff;    ///< Linux counts them in 32 bits

struct queue_map : map {
    queue_map(const map_ops *o, const map_params &p) : map(o, p) {}

    u8 *at(u32 place) const { return block.at() + static_cast<u64>(place) * params.value_size; }
    /// `n` places behind `place`; n <= max_entries.
    u32 behind(u32 place, u32 n) const {
        u64 i = static_cast<u64>(place) + n;
        return static_cast<u32>(i < params.max_entries ? i : i - params.max_entries);
    }
    u32 newest() const { return behind(oldest, count - 1); }

    cpu_lock lock{};
    u32 oldest = 0;  ///< place of the oldest value
    u32 count = 0;
    map_block block;
};

queue_map *as_queue(map *m) {
    return static_cast<queue_map *>(m);
}

status check(const map_params &p) {
    constexpr u32 access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
    if (!p.max_entries || p.key_size || !p.value_size || (p.flags & ~(BPF_F_NUMA_NODE | access)))
        return error(EINVAL);
    if ((p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG))
        return error(EINVAL);
    if (p.value_size > value_size_max || p.max_entries >= bytes_max / p.value_size)
        return error(E2BIG);
    return {};
}

result<map *> create(const map_ops *ops, const map_params &p) {
    own<queue_map> m(make<queue_map>(PORT_SLEEPING, ops, p));
    if (!m)
        return error(ENOMEM);
    TRY(m->block.alloc(static_cast<u64>(p.max_entries) * p.value_size, false));
    return static_cast<map *>(m.release());
}

void free_queue(map *m) {
    destroy(as_queue(m));
}

long push(map *map, const void *value, u64 flags) {
    if ((flags & BPF_NOEXIST) || flags > BPF_EXIST)
        return -EINVAL;
    queue_map *m = as_queue(map);
    MODBPF_CONSTRUCTED lock_section s(m->lock);
    if (!s)
        return -EBUSY;
    if (m->count == m->params.max_entries) {
        if (flags != BPF_EXIST)
            return -E2BIG;
        m->oldest = m->behind(m->oldest, 1);
        m->count--;
    }
    memcpy(m->at(m->behind(m->oldest, m->count)), value, m->params.value_size);
    m->count++;
    return 0;
}

/// The place of the value that comes next: of a queue the oldest, of a stack the newest. It goes when `take` is set.
template <bool is_stack> long get(map *map, void *value, bool take) {
    queue_map *m = as_queue(map);
    MODBPF_CONSTRUCTED lock_section s(m->lock);
    if (!s || !m->count) {
        memset(value, 0, m->params.value_size);
        return s ? -ENOENT : -EBUSY;
    }
    memcpy(value, m->at(is_stack ? m->newest() : m->oldest), m->params.value_size);
    if (!take)
        return 0;
    if (!is_stack)
        m->oldest = m->behind(m->oldest, 1);
    m->count--;
    return 0;
}

template <bool is_stack> long pop(map *m, void *value) {
    return get<is_stack>(m, value, true);
}
template <bool is_stack> long peek(map *m, void *value) {
    return get<is_stack>(m, value, false);
}

template <bool is_stack> long peek_user(map *m, const void *, void *value, u64) {
    return retry_busy([&] { return get<is_stack>(m, value, false); });
}
template <bool is_stack> long pop_user(map *m, const void *, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    return retry_busy([&] { return get<is_stack>(m, value, true); });
}
long push_user(map *m, const void *, const void *value, u64 flags) {
    return retry_busy([&] { return push(m, value, flags); });
}

long no_removal(map *, const void *) {
    return -EINVAL;
}
long no_keys(map *, const void *, void *) {
    return -EINVAL;
}

u64 memory(const map *m) {
    return sizeof(queue_map) + static_cast<const queue_map *>(m)->block.bytes();
}

template <bool is_stack> constexpr map_ops make_ops(u32 type, const char *name, result<map *> (*create)(const map_params &)) {
    return {.type = type,
            .name = name,
            .check = check,
            .create = create,
            .free = free_queue,
            .push = push,
            .pop = pop<is_stack>,
            .peek = peek<is_stack>,
            .lookup_user = peek_user<is_stack>,
            .update_user = push_user,
            .remove_user = no_removal,
            .next_key = no_keys,
            .lookup_and_delete_user = pop_user<is_stack>,
            .memory = memory};
}

}  // namespace

extern constinit const map_ops queue_ops;
extern constinit const map_ops stack_ops;

constinit const map_ops queue_ops =
    make_ops<false>(BPF_MAP_TYPE_QUEUE, "queue", [](const map_params &p) { return create(&queue_ops, p); });
constinit const map_ops stack_ops =
    make_ops<true>(BPF_MAP_TYPE_STACK, "stack", [](const map_params &p) { return create(&stack_ops, p); });

}  // namespace modbpf
