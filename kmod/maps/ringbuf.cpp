// SPDX-License-Identifier: GPL-2.0-only
// RINGBUF: a ring of variable-sized records from programs on all CPUs to one reader in user space.
//
// One region, in pages: ours | consumer position | producer position | data | the same data once more. User space maps
// it from the consumer page on, which it may write; everything else is read-only to it. A record is an 8-byte header,
// u32 length with the BUSY and DISCARD bits and u32 page offset, then the data; records are 8-byte aligned. Positions
// only grow; the data behind them is at position & mask. The layout is Linux's, seen from user space to the byte.
//
// The consumer position is user space's word: a wrong one can lose records for that reader, and nothing else. Whatever
// it says, a record never reaches into one that is not committed: no reservation spans more than the ring from the
// oldest busy record (`pending`), which we track. Every read of the shared consumer page is a single load.
//
// reserve holds the cpu_lock: any context; null where it would deadlock or the ring is full. commit takes no lock.
// Reference: Linux's kernel/bpf/ringbuf.c; libbpf's ring_buffer is the reader.
#include "maps/copy.h"
#include "maps/cpu_lock.h"
#include "maps/map.h"
#include "maps/no_elements.h"

namespace modbpf {

namespace {

constexpr u64 page = PORT_PAGE_SIZE;
constexpr u32 own_pages = 1;   ///< in front of what user space may map
constexpr u32 head_pages = 3;  ///< in front of the data
constexpr u64 record_max = 0xffffffffu / 4;

struct record_header {
    u32 len;          ///< with BPF_RINGBUF_BUSY_BIT and BPF_RINGBUF_DISCARD_BIT
    u32 page_offset;  ///< pages from the region's start to the header's page
};
static_assert(sizeof(record_header) == BPF_RINGBUF_HDR_SZ);

struct ringbuf_map;

/// The region's first page.
struct ring {
    ringbuf_map *owner;
    u64 mask;
    port_waitq *waiters;
    alignas(64) cpu_lock lock;

    u8 *base() { return reinterpret_cast<u8 *>(this); }
    u8 *data() { return base() + head_pages * page; }
    u64 *consumer_pos() { return reinterpret_cast<u64 *>(base() + page); }
    u64 *producer_pos() { return reinterpret_cast<u64 *>(base() + 2 * page); }
    /// End of the last record before the oldest busy one. Under the lock.
    u64 *pending_pos() { return producer_pos() + 1; }
    record_header *header_at(u64 pos) { return reinterpret_cast<record_header *>(data() + (pos & mask)); }
    u64 consumed() { return __atomic_load_n(consumer_pos(), __ATOMIC_ACQUIRE); }
    u64 produced() { return __atomic_load_n(producer_pos(), __ATOMIC_ACQUIRE); }
};
static_assert(sizeof(ring) <= page);

struct ringbuf_map : map {
    ringbuf_map(const map_ops *o, const map_params &p) : map(o, p) {}
    ~ringbuf_map() {
        if (waiters)
            port_waitq_destroy(waiters);
        if (region)
            port_region_destroy(region);
    }

    port_region *region = nullptr;
    port_waitq *waiters = nullptr;
    ring *r = nullptr;
};

ring *ring_of(map *m) {
    return static_cast<ringbuf_map *>(m)->r;
}

u64 record_size(u64 len) {
    return align_up(len + BPF_RINGBUF_HDR_SZ, 8);
}

/// Moves `pending` over the records that are committed by now. Under the lock. Headers are memory that user space
/// cannot write and programs do not reach; one that makes no sense is ours to report, and ends the walk.
u64 advance_pending(ring *r, u64 produced) {
    u64 pos = *r->pending_pos();
    while (pos != produced) {
        u32 len = __atomic_load_n(&r->header_at(pos)->len, __ATOMIC_ACQUIRE);
        if (len & BPF_RINGBUF_BUSY_BIT)
            break;
        u64 size = record_size(len & ~BPF_RINGBUF_DISCARD_BIT);
        if (MODBPF_BUG_ON(size > produced - pos))
            break;
        pos += size;
    }
    *r->pending_pos() = pos;
    return pos;
}

status check_ringbuf(const map_params &p) {
    if (p.flags & ~BPF_F_NUMA_NODE)
        return error(EINVAL);
    if (p.key_size || p.value_size || !is_pow2(p.max_entries) || p.max_entries % page)
        return error(EINVAL);
    return {};
}

result<map *> create_ringbuf(const map_params &p);

void free_ringbuf(map *m) {
    destroy(static_cast<ringbuf_map *>(m));
}

int mmap_ringbuf(map *map, port_vma *vma) {
    auto *m = static_cast<ringbuf_map *>(map);
    u64 off = port_vma_offset(vma), size = port_vma_size(vma), end;
    if (port_vma_writable(vma) && (off || size != page))
        return -EPERM;
    u64 all = (head_pages - own_pages) * page + 2 * (m->r->mask + 1);
    if (__builtin_add_overflow(off, size, &end) || end > all)
        return -EINVAL;
    if (!port_vma_writable(vma))
        port_vma_forbid_write(vma);
    port_vma_forbid_exec(vma);
    return port_vma_map(vma, m->region, own_pages * page + off);
}

unsigned int poll_ringbuf(map *m, port_poll *poll) {
    ring *r = ring_of(m);
    port_poll_wait(poll, r->waiters);
    return r->consumed() != r->produced() ? PORT_POLL_IN : 0;
}

u64 memory_ringbuf(const map *m) {
    return sizeof(ringbuf_map) + head_pages * page + m->params.max_entries;
}

}  // namespace

void *ringbuf_reserve(map *m, u64 size) {
    ring *r = ring_of(m);
    if (size > record_max) // what is larger than the ring is found below
        return nullptr;
    u64 consumed = r->consumed();
    MODBPF_CONSTRUCTED lock_section s(r->lock);
    if (!s)
        return nullptr;
    u64 produced = *r->producer_pos();
    u64 pending = advance_pending(r, produced);
    u64 end = produced + record_size(size);
    // Neither over what the reader has not read, nor over what another program is still writing.
    if (end - consumed > r->mask || end - pending > r->mask)
        return nullptr;
    record_header *h = r->header_at(produced);
    h->page_offset = static_cast<u32>((reinterpret_cast<u8 *>(h) - r->base()) / page);
    __atomic_store_n(&h->len, static_cast<u32>(size) | BPF_RINGBUF_BUSY_BIT, __ATOMIC_RELAXED);
    __atomic_store_n(r->producer_pos(), end, __ATOMIC_RELEASE);
    return h + 1;
}

namespace {
inline void commit(void *sample, u64 flags, bool discard) {
    record_header *h = static_cast<record_header *>(sample) - 1;
    ring *r = ptr_of<ring>((addr_of(h) & ~(page - 1)) - h->page_offset * page);
    u32 len = h->len ^ BPF_RINGBUF_BUSY_BIT;
    if (discard)
        len |= BPF_RINGBUF_DISCARD_BIT;
    // A full barrier: the reader sees the record, or we see that the reader waits for it.
    __atomic_exchange_n(&h->len, len, __ATOMIC_SEQ_CST);
    u64 at = static_cast<u64>(reinterpret_cast<u8 *>(h) - r->data());
    bool awaited = (r->consumed() & r->mask) == at;
    if ((flags & BPF_RB_FORCE_WAKEUP) || (awaited && !(flags & BPF_RB_NO_WAKEUP)))
        port_waitq_wake(r->waiters);
}
} // namespace

void ringbuf_commit(void *sample, u64 flags, bool discard) { commit(sample, flags, discard); }

long ringbuf_output(map *m, const void *data, u64 size, u64 flags) {
    if (flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP))
        return -EINVAL;
    void *sample = ringbuf_reserve(m, size);
    if (!sample)
        return -EAGAIN;
    memcpy(sample, data, size);
    commit(sample, flags, false);
    return 0;
}

u64 ringbuf_query(map *m, u64 what) {
    ring *r = ring_of(m);
    switch (what) {
        case BPF_RB_AVAIL_DATA: {
            u64 consumed = r->consumed();
            return r->produced() - consumed;
        }
        case BPF_RB_RING_SIZE:
            return r->mask + 1;
        case BPF_RB_CONS_POS:
            return r->consumed();
        case BPF_RB_PROD_POS:
            return r->produced();
        default:
            return 0;
    }
}

extern constinit const map_ops ringbuf_ops;
constinit const map_ops ringbuf_ops = {
    .type = BPF_MAP_TYPE_RINGBUF,
    .name = "ringbuf",
    .check = check_ringbuf,
    .create = create_ringbuf,
    .free = free_ringbuf,
    .lookup_user = lookup_refused,
    .update_user = update_refused,
    .remove_user = remove_refused,
    .next_key = next_key_refused,
    .mmap = mmap_ringbuf,
    .poll = poll_ringbuf,
    .memory = memory_ringbuf,
};

namespace {

result<map *> create_ringbuf(const map_params &p) {
    own<ringbuf_map> m(make<ringbuf_map>(PORT_SLEEPING, &ringbuf_ops, p));
    if (!m)
        return error(ENOMEM);
    m->region = port_region_create(head_pages * page + p.max_entries, p.max_entries);
    m->waiters = port_waitq_create();
    if (!m->region || !m->waiters)
        return error(ENOMEM);
    m->r = new (place, port_region_addr(m->region))
        ring{.owner = m.get(), .mask = p.max_entries - 1, .waiters = m->waiters, .lock = {}};
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
