// SPDX-License-Identifier: GPL-2.0-only
// ARENA: memory that programs and user space share, page by page, at one address for all of user space; see port_arena.
//
// The first mapping says where it is and how long, unless map_extra did; that stays. `lock` is what port_arena wants held: adding and
// removing pages, mapping, faults. Reference for errno: Linux 6.12 kernel/bpf/arena.c.
#include "maps/arena.h"

namespace modbpf {

namespace {

constexpr u64 upper_half = 1ull << 32;

struct arena_map : map {
    using map::map;
    ~arena_map() { port_arena_destroy(pages); }
    bool strict() const { return params.flags & BPF_F_SEGV_ON_FAULT; }

    port_arena *pages = nullptr;
    mutex lock{"arena"};
    u64 start = 0, end = 0; ///< of user addresses; atomic, changed under lock once
};

arena_map *as_arena(map *m) { return static_cast<arena_map *>(m); }
const arena_map *as_arena(const map *m) { return static_cast<const arena_map *>(m); }

u32 page_of(u64 addr) { return static_cast<u32>(addr) / PORT_PAGE_SIZE; }

status check(const map_params &) { return {}; } // what Linux refuses behind the caller's rights

status check_params(const map_params &p) {
    constexpr u32 known = BPF_F_SEGV_ON_FAULT | BPF_F_MMAPABLE | BPF_F_NO_USER_CONV;
    if (p.key_size || p.value_size || !p.max_entries || !(p.flags & BPF_F_MMAPABLE) || (p.flags & ~known) || p.extra % PORT_PAGE_SIZE)
        return error(EINVAL);
    u64 range = static_cast<u64>(p.max_entries) * PORT_PAGE_SIZE;
    if (range > upper_half)
        return error(E2BIG);
    if (p.extra / upper_half != (p.extra + range - 1) / upper_half)
        return error(ERANGE);
    return {};
}

result<map *> create(const map_params &p);
void free_arena(map *m) { destroy(as_arena(m)); }

long lookup_user(map *, const void *, void *, u64) { return -EINVAL; }
long update_user(map *, const void *, const void *, u64) { return -EOPNOTSUPP; }
long remove_user(map *, const void *) { return -EOPNOTSUPP; }
long next_key(map *, const void *, void *) { return -EOPNOTSUPP; }
u64 memory(const map *) { return 0; }

int place(map *map, u64 addr, size_t size, u64 offset) {
    arena_map *m = as_arena(map);
    if (offset)
        return -EINVAL;
    if (size > upper_half)
        return -E2BIG;
    mutex_guard g(m->lock);
    if (!m->start)
        return 1;
    if (size > m->end - m->start)
        return -E2BIG;
    return size != m->end - m->start || addr != m->start ? -EINVAL : 1;
}

int mmap(map *map, port_vma *vma) {
    arena_map *m = as_arena(map);
    u64 from = port_vma_addr(vma), to = from + port_vma_size(vma);
    mutex_guard g(m->lock);
    if (m->start && (m->start != from || m->end != to))
        return -EBUSY;
    if (MODBPF_BUG_ON(port_vma_offset(vma) || !from || from / upper_half != (to - 1) / upper_half)) // place() has seen to that
        return -EFAULT;
    if (int rc = port_vma_map_arena(vma, m->pages))
        return rc;
    __atomic_store_n(&m->end, to, __ATOMIC_RELAXED);
    __atomic_store_n(&m->start, from, __ATOMIC_RELEASE);
    return 0;
}

port_arena *pages_of(map *m) { return as_arena(m)->pages; }

bool is_there(const u64 *pages, u32 page) { return pages[page / 64] >> page % 64 & 1; }

/// User space sees nothing at addr yet.
int fault(map *map, port_fault *f, u64 addr) {
    arena_map *m = as_arena(map);
    u32 page = page_of(addr);
    mutex_guard g(m->lock);
    if (!is_there(port_arena_pages(m->pages), page) && (m->strict() || port_arena_add(m->pages, page, 1, -1)))
        return -EFAULT;
    return port_fault_map(f, m->pages, page);
}

result<u64> value_address(map *m, u32 off) {
    u64 start = arena_user_start(m);
    if (off > __atomic_load_n(&as_arena(m)->end, __ATOMIC_RELAXED) - start)
        return error(ERANGE);
    return start + off;
}

/// The lowest `count` pages in [from, to) that are not there, one behind another: the first of them, or `to`.
u32 find_room(const u64 *pages, u32 from, u32 to, u32 count) {
    u32 room = 0;
    for (u32 at = from; at < to;) {
        u64 left = pages[at / 64] >> at % 64;
        if (left & 1) {
            at += ~left ? static_cast<u32>(__builtin_ctzll(~left)) : 64; // zeros came in from above: at most to the word's end
            room = 0;
            continue;
        }
        u32 none = min<u32>(left ? static_cast<u32>(__builtin_ctzll(left)) : 64 - at % 64, to - at);
        at += none;
        room += none;
        if (room >= count)
            return at - room;
    }
    return to;
}

bool all_free(const u64 *pages, u32 from, u32 count) {
    return find_room(pages, from, from + count, count) == from;
}

}  // namespace

u64 arena_user_start(const map *m) { return __atomic_load_n(&as_arena(m)->start, __ATOMIC_ACQUIRE); }
u64 arena_kernel_base(const map *m) { return port_arena_base(as_arena(m)->pages); }

u64 arena_alloc_pages(map *map, u64 addr, u32 count, s32 node) {
    arena_map *m = as_arena(map);
    mutex_guard g(m->lock);
    u32 first = page_of(m->start), most = static_cast<u32>((m->end - m->start) / PORT_PAGE_SIZE);
    if (!count || count > most)
        return 0;
    const u64 *pages = port_arena_pages(m->pages);
    u32 at;
    if (addr) {
        u32 index = static_cast<u32>(addr - m->start) / PORT_PAGE_SIZE;
        if (addr % PORT_PAGE_SIZE || index > most - count || !all_free(pages, first + index, count))
            return 0;
        at = first + index;
    } else {
        at = find_room(pages, first, first + most, count);
        if (at == first + most)
            return 0;
    }
    if (port_arena_add(m->pages, at, count, node))
        return 0;
    return m->start + static_cast<u64>(at - first) * PORT_PAGE_SIZE;
}

void arena_free_pages(map *map, u64 addr, u32 count) {
    arena_map *m = as_arena(map);
    mutex_guard g(m->lock);
    u64 from = m->start / upper_half * upper_half + page_of(addr) * static_cast<u64>(PORT_PAGE_SIZE);
    u64 to = min(m->end, from + static_cast<u64>(count) * PORT_PAGE_SIZE);
    if (from >= m->start && from < to)
        port_arena_remove(m->pages, page_of(from), static_cast<u32>((to - from) / PORT_PAGE_SIZE));
}

extern constinit const map_ops arena_ops;
constinit const map_ops arena_ops = {
    .type = BPF_MAP_TYPE_ARENA,
    .name = "arena",
    .check = check,
    .create = create,
    .free = free_arena,
    .lookup_user = lookup_user,
    .update_user = update_user,
    .remove_user = remove_user,
    .next_key = next_key,
    .mmap = mmap,
    .arena = pages_of,
    .place = place,
    .fault = fault,
    .value_address = value_address,
    .memory = memory,
};

namespace {

result<map *> create(const map_params &p) {
    TRY(check_params(p));
    own<arena_map> m(make<arena_map>(PORT_SLEEPING, &arena_ops, p));
    if (!m)
        return error(ENOMEM);
    if (int rc = port_arena_create(m->strict(), &m->pages))
        return error(-rc);
    m->start = p.extra;
    m->end = p.extra ? p.extra + static_cast<u64>(p.max_entries) * PORT_PAGE_SIZE : 0;
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
