// SPDX-License-Identifier: GPL-2.0-only
// USER_RINGBUF: a ring of variable-sized records from user space to programs, which take them by bpf_user_ringbuf_drain.
//
// One region, in pages: ours | consumer position | producer position | data | the same data once more. User space maps it from the
// consumer page on; it writes the producer position and the data, the consumer position is read-only to it. Everything that it writes may
// change at any time: each word is loaded once, and what it says is checked against what the ring has. A record's bytes stay user
// space's while a program reads them.
//
// One program at a time takes records: who finds `busy` set gets -EBUSY, so there is no lock and any context is right.
// Reference: Linux's kernel/bpf/ringbuf.c; libbpf's user_ring_buffer is the producer.
#include "maps/map.h"
#include "maps/no_elements.h"

namespace modbpf {

namespace {

constexpr u64 page = PORT_PAGE_SIZE;
constexpr u32 own_pages = 1;            ///< in front of what user space may map
constexpr u32 head_pages = 3;           ///< in front of the data
constexpr u32 sample_max = (1u << 24) - 1;  ///< what a dynptr holds

struct user_ring : map {
    user_ring(const map_ops *o, const map_params &p) : map(o, p), mask(p.max_entries - 1) {}
    ~user_ring() {
        if (waiters)
            port_waitq_destroy(waiters);
        if (region)
            port_region_destroy(region);
    }

    u8 *base() const { return static_cast<u8 *>(port_region_addr(region)); }
    u8 *data() const { return base() + head_pages * page; }
    u64 *consumer_pos() const { return reinterpret_cast<u64 *>(base() + page); }
    u64 *producer_pos() const { return reinterpret_cast<u64 *>(base() + 2 * page); }
    u64 consumed() const { return __atomic_load_n(consumer_pos(), __ATOMIC_ACQUIRE); }
    u64 produced() const { return __atomic_load_n(producer_pos(), __ATOMIC_ACQUIRE); }
    void advance(u64 from, u64 size) { __atomic_store_n(consumer_pos(), from + size, __ATOMIC_RELEASE); }

    u64 mask;
    u32 busy = 0;  ///< a program takes records; atomic
    port_region *region = nullptr;
    port_waitq *waiters = nullptr;
};

user_ring *as_ring(map *m) {
    return static_cast<user_ring *>(m);
}

u64 record_size(u32 len) {
    return align_up(static_cast<u64>(len) + BPF_RINGBUF_HDR_SZ, 8);
}

status check_params(const map_params &p) {
    if (p.flags & ~BPF_F_NUMA_NODE)
        return error(EINVAL);
    bool pages = p.max_entries && !(p.max_entries & (p.max_entries - 1)) && p.max_entries % page == 0;
    return p.key_size || p.value_size || !pages ? status(error(EINVAL)) : status();
}

int mmap_ring(map *map, port_vma *vma) {
    user_ring *m = as_ring(map);
    u64 off = port_vma_offset(vma), end;
    if (port_vma_writable(vma) && !off)  // the consumer position is the program's
        return -EPERM;
    u64 all = (head_pages - own_pages) * page + 2 * (m->mask + 1);
    if (__builtin_add_overflow(off, static_cast<u64>(port_vma_size(vma)), &end) || end > all)
        return -EINVAL;
    if (!port_vma_writable(vma))
        port_vma_forbid_write(vma);
    port_vma_forbid_exec(vma);
    return port_vma_map(vma, m->region, own_pages * page + off);
}

unsigned int poll_ring(map *map, port_poll *poll) {
    user_ring *m = as_ring(map);
    port_poll_wait(poll, m->waiters);
    u64 consumed = m->consumed();
    return m->produced() - consumed <= m->mask ? PORT_POLL_OUT : 0;
}

result<map *> create(const map_params &p);

void free_ring(map *m) {
    destroy(as_ring(m));
}

u64 memory(const map *m) {
    return sizeof(user_ring) + head_pages * page + m->params.max_entries;
}

}  // namespace

bool user_ringbuf_begin(map *m) {
    return !__atomic_exchange_n(&as_ring(m)->busy, 1, __ATOMIC_ACQUIRE);
}

long user_ringbuf_peek(map *map, void **sample, u32 *size) {
    user_ring *m = as_ring(map);
    u64 produced = m->produced();
    if (produced % 8)
        return -EINVAL;
    u64 consumed = m->consumed();
    if (consumed >= produced)
        return -ENODATA;
    u8 *at = m->data() + (consumed & m->mask);
    u32 head = __atomic_load_n(reinterpret_cast<u32 *>(at), __ATOMIC_ACQUIRE);
    u32 len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    u64 total = record_size(len);
    if (total > produced - consumed)
        return -EINVAL;
    if (total > m->mask + 1 || len > sample_max)
        return -E2BIG;
    if (head & BPF_RINGBUF_DISCARD_BIT) {
        m->advance(consumed, total);
        return -EAGAIN;
    }
    if (head & BPF_RINGBUF_BUSY_BIT)
        return -ENODATA;
    *sample = m->data() + ((consumed + BPF_RINGBUF_HDR_SZ) & m->mask);
    *size = len;
    return 0;
}

void user_ringbuf_release(map *map, u32 size) {
    user_ring *m = as_ring(map);
    m->advance(m->consumed(), record_size(size));
}

void user_ringbuf_end(map *map, bool wake) {
    user_ring *m = as_ring(map);
    __atomic_store_n(&m->busy, 0, __ATOMIC_RELEASE);
    if (wake)
        port_waitq_wake(m->waiters);
}

extern constinit const map_ops user_ringbuf_ops;
constinit const map_ops user_ringbuf_ops = {
    .type = BPF_MAP_TYPE_USER_RINGBUF,
    .name = "user_ringbuf",
    .check = [](const map_params &) { return status(); },  // behind the caller's rights, as in Linux
    .create = create,
    .free = free_ring,
    .lookup_user = lookup_refused,
    .update_user = update_refused,
    .remove_user = remove_refused,
    .next_key = next_key_refused,
    .mmap = mmap_ring,
    .poll = poll_ring,
    .memory = memory,
};

namespace {

result<map *> create(const map_params &p) {
    TRY(check_params(p));
    own<user_ring> m(make<user_ring>(PORT_SLEEPING, &user_ringbuf_ops, p));
    if (!m)
        return error(ENOMEM);
    m->region = port_region_create(head_pages * page + p.max_entries, p.max_entries);
    m->waiters = port_waitq_create();
    if (!m->region || !m->waiters)
        return error(ENOMEM);
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
