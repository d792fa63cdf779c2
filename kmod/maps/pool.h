// SPDX-License-Identifier: GPL-2.0-only
// elem_pool: fixed-size elements of one hash map, taken and given back in any context without locks or allocation.
//
// Elements have numbers from 0 below the capacity, so that 4 bytes link them. Their memory stays the pool's until the
// pool goes: a reader that still walks over an element that was given back, and taken again, reads stale but mapped
// memory. A prefilled pool has all its memory from the start, in one piece where it fits (the flat case, the fast one).
// The other kind starts with a reserve and grows by chunks: ahead of need through deferred work, or at once by
// user-side operations; it keeps what it has until it goes. When the reserve ends before the work has run, an interrupt
// adds what the kernel has at hand: a pool is found empty only where interrupts stay off, or memory is short. All of it is charged to who
// made the pool, whoever makes it grow.
//
// Each CPU has a stack of free elements, linked through the u32 at offset `link_offset` of the element; any CPU may
// pop from any stack. The stacks' heads carry a counter, so that an element that was popped and pushed between a pop's
// two steps is noticed. Elements that were never used come from `fresh_`, in order.
// A "spare" is an element that a CPU keeps aside: replacing the value of a full map needs one more element for a
// moment.
//
// Contexts: at, value, pop, push, take_spare, put_spare, refill_if_low: any. init, grow and the destructor: task.
#pragma once

#include "base/lock.h"
#include "base/memory.h"

namespace modbpf {

class elem_pool {
    struct chunk {
        u8 *elems;
        u8 *values; ///< cpu_stride_ bytes a CPU
    };

public:
    static constexpr u32 none = ~0u;
    static constexpr u32 link_offset = 4;

    struct shape {
        u32 elem_size;   ///< bytes, a multiple of 8, at least 8
        u32 value_size;  ///< bytes of a per-CPU value, a multiple of 8; 0: elements have none
        u32 capacity;    ///< elements without the spares, 1..2^30
        bool spares;     ///< one more element a CPU, kept aside
        bool prefilled;  ///< all memory at once
        u32 reserve = 0; ///< never-used elements to keep at hand; 0: as the pool finds right
        bool shared = false; ///< it is nobody's in particular: who makes it grow is charged
    };

    elem_pool() = default;
    elem_pool(const elem_pool &) = delete;
    ~elem_pool();
    /// ENOMEM. Once, before anything else.
    status init(const shape &s);

    u8 *at(u32 i) const {
        if (__builtin_expect(flat_ != nullptr, 1))
            return flat_ + static_cast<u64>(i) * elem_size_;
        return view(*this).at(i);
    }
    /// at(), for a walk over many elements that have memory: what it needs, loaded once.
    class view {
    public:
        explicit view(const elem_pool &p) : chunks_(p.chunks_), elem_size_(p.elem_size_), shift_(p.shift_), mask_(p.mask_) {}
        u8 *at(u32 i) const { return chunks_[i >> shift_].elems + static_cast<u64>(i & mask_) * elem_size_; }

    private:
        const chunk *chunks_;
        u32 elem_size_, shift_, mask_;
    };
    /// Element 0, where each has the next one behind it; null when they are in pieces. For good.
    u8 *flat() const { return flat_; }
    u32 elem_size() const { return elem_size_; }
    /// And CPU 0's value of element 0 there: a CPU's values lie in one piece, cpu_stride() behind those of the CPU before.
    u8 *flat_values() const { return flat_ ? chunks_[0].values : nullptr; }
    u64 cpu_stride() const { return cpu_stride_; }
    u32 value_size() const { return value_size_; }
    /// CPU `cpu`'s value of element i.
    u8 *value(u32 i, u32 cpu) const {
        return chunks_[i >> shift_].values + cpu * cpu_stride_ + static_cast<u64>(i & mask_) * value_size_;
    }

    /// A free element, or `none`.
    u32 pop(u32 cpu) {
        u32 i = pop_stack(cpu);
        return __builtin_expect(i != none, 1) ? i : pop_elsewhere(cpu);
    }
    /// One of those that this CPU's stack has; one that was never used, in the order of their numbers. Or `none`.
    u32 pop_stack(u32 cpu) {
        u64 *head = &cpus_[cpu].head;
        u64 old = __atomic_load_n(head, __ATOMIC_ACQUIRE);
        for (;;) {
            u32 i = static_cast<u32>(old);
            if (i == none)
                return none;
            // The element may be taken by someone else meanwhile: then the link is stale, the counter differs and we try again.
            u64 next = ((old >> 32) + 1) << 32 | __atomic_load_n(link(i), __ATOMIC_RELAXED);
            if (__atomic_compare_exchange_n(head, &old, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return i;
        }
    }
    u32 pop_fresh();
    void push(u32 cpu, u32 i) {
        u64 *head = &cpus_[cpu].head;
        u64 old = __atomic_load_n(head, __ATOMIC_RELAXED);
        u64 next;
        do {
            __atomic_store_n(link(i), static_cast<u32>(old), __ATOMIC_RELAXED);
            next = ((old >> 32) + 1) << 32 | i;
        } while (!__atomic_compare_exchange_n(head, &old, next, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    }
    /// This CPU's spare, or `none` while an operation that was interrupted here has it.
    u32 take_spare(u32 cpu) { return __atomic_exchange_n(&cpus_[cpu].spare, none, __ATOMIC_ACQ_REL); }
    void put_spare(u32 cpu, u32 i);

    /// Orders more memory when the reserve is small.
    void refill_if_low() {
        if (!prefilled_)
            refill_unless_enough();
    }
    /// Adds memory now, as far as the reserve wants it. True when there are never-used elements (this call's or those
    /// of work that ran meanwhile); false when the pool is at its capacity or memory is short.
    bool grow();

    /// Elements below have memory: they are or were in use, or are as new.
    u32 present() const { return __atomic_load_n(&limit_, __ATOMIC_ACQUIRE); }
    u64 bytes() const { return __atomic_load_n(&bytes_, __ATOMIC_RELAXED); }

private:
    struct alignas(64) per_cpu {
        u64 head;  ///< counter << 32 | number of the first free element
        u32 spare;
    };
    struct refill_work {
        port_work work;  ///< first: the callback gets its address
        elem_pool *pool;
    };

    struct refill_irq {
        port_irq irq;  ///< first: the callback gets its address
        elem_pool *pool;
    };

    u32 pop_elsewhere(u32 cpu);
    void refill_unless_enough();
    static void refill(port_work *w);
    static void refill_now(port_irq *i);
    status alloc_tables(const shape &s);
    bool add_chunk(port_alloc_ctx ctx);
    u32 reserve_wanted() const;
    u32 *link(u32 i) const { return reinterpret_cast<u32 *>(at(i) + link_offset); }

    u8 *flat_ = nullptr;  ///< the one chunk's elements, in the flat case
    u32 elem_size_ = 0;
    u32 value_size_ = 0;
    u32 shift_ = 31, mask_ = ~0u >> 1;  ///< elements a chunk = 1 << shift_
    chunk *chunks_ = nullptr;
    u64 cpu_stride_ = 0;
    per_cpu *cpus_ = nullptr;
    u32 capacity_ = 0;  ///< elements that pop() may hand out
    u32 fresh_ = 0;     ///< elements from here on were never used; atomic
    u32 limit_ = 0;     ///< elements below have memory; atomic
    bool prefilled_ = false;
    bool ordered_ = false;  ///< refill work is queued; atomic
    u32 cpu_count_ = 0;
    u32 total_ = 0;    ///< capacity and spares
    u32 reserve_ = 0;  ///< never-used elements to keep at hand at least
    u64 bytes_ = 0;    ///< atomic
    void *cpus_memory_ = nullptr;
    port_payer *payer_ = nullptr;
    mutex grow_lock_{"map_pool"};          ///< one task at a time adds memory
    spinlock limit_lock_{"map_pool_limit"};  ///< the end of chunks_ (limit_ when it grows). Task, hard interrupt
    refill_work refill_{};
    refill_irq urgent_{};
};

}  // namespace modbpf
