// SPDX-License-Identifier: GPL-2.0-only
#include "maps/pool.h"

namespace modbpf {

namespace {

constexpr u32 cache_line = 64;
constexpr u64 small_chunk = 32 << 10;  ///< bytes of a chunk of a pool that grows
constexpr u64 large_chunk = 1 << 20;   ///< bytes of a chunk of a prefilled pool that does not fit one piece
constexpr u32 reserve_elems = 512;     ///< free elements that a growing pool keeps ahead
constexpr u64 reserve_bytes = 256 << 10;
constexpr u32 urgent_chunks = 4;  ///< that an interrupt adds: clearing them takes microseconds

/// floor(log2(n)), n > 0.
u32 log2_floor(u64 n) {
    return 63 - static_cast<u32>(__builtin_clzll(n));
}

}  // namespace

elem_pool::~elem_pool() {
    if (refill_.pool) {
        port_work_flush(&refill_.work);
        port_irq_flush(&urgent_.irq);
    }
    if (chunks_) {
        u32 count = static_cast<u32>((static_cast<u64>(total_) + mask_) >> shift_);
        for (u32 c = 0; c < count; c++) {
            port_free(chunks_[c].elems);
            port_free(chunks_[c].values);
        }
        port_free(chunks_);
    }
    port_free(cpus_memory_);
    port_payer_put(payer_);
}

status elem_pool::alloc_tables(const shape &s) {
    u64 elems_bytes = static_cast<u64>(total_) * elem_size_;
    u64 values_bytes = align_up(static_cast<u64>(total_) * value_size_, cache_line) * cpu_count_;
    if (!s.prefilled || elems_bytes >= PORT_ALLOC_MAX || values_bytes >= PORT_ALLOC_MAX) {
        u64 largest = max<u64>(elem_size_, static_cast<u64>(value_size_) * cpu_count_);
        u64 per_chunk = max<u64>((s.prefilled ? large_chunk : small_chunk) / largest, 1);
        shift_ = log2_floor(min<u64>(per_chunk, total_));
        mask_ = (1u << shift_) - 1;
    }
    u64 chunk_count = (static_cast<u64>(total_) + mask_) >> shift_;
    u64 per_chunk = min<u64>(total_, static_cast<u64>(mask_) + 1);
    cpu_stride_ = align_up(per_chunk * value_size_, cache_line);

    chunks_ = static_cast<chunk *>(port_alloc(chunk_count * sizeof(chunk), PORT_SLEEPING));
    u64 cpus_bytes = (static_cast<u64>(cpu_count_) + 1) * sizeof(per_cpu);
    cpus_memory_ = port_alloc(cpus_bytes, PORT_SLEEPING);
    if (!chunks_ || !cpus_memory_)
        return error(ENOMEM);
    cpus_ = ptr_of<per_cpu>(align_up(addr_of(cpus_memory_), cache_line));
    bytes_ = chunk_count * sizeof(chunk) + cpus_bytes;
    return {};
}

status elem_pool::init(const shape &s) {
    cpu_count_ = port_cpu_count();
    elem_size_ = s.elem_size;
    value_size_ = s.value_size;
    capacity_ = s.capacity;
    prefilled_ = s.prefilled;
    payer_ = s.prefilled || s.shared ? nullptr : port_payer_get();
    u64 size = static_cast<u64>(elem_size_) + static_cast<u64>(value_size_) * cpu_count_;
    reserve_ = s.reserve ? s.reserve : static_cast<u32>(max<u64>(min<u64>(reserve_bytes / size, reserve_elems), 4));
    total_ = s.capacity + (s.spares ? cpu_count_ : 0);
    if (prefilled_ && total_ > port_memory_bytes() / size)  // before all memory is taken, piece by piece
        return error(ENOMEM);
    TRY(alloc_tables(s));
    for (u32 cpu = 0; cpu < cpu_count_; cpu++) {
        cpus_[cpu].head = none;
        cpus_[cpu].spare = s.spares ? capacity_ + cpu : none;
    }
    if (prefilled_) {
        while (limit_ < total_) {
            if (!add_chunk(PORT_SLEEPING))
                return error(ENOMEM);
            port_cond_resched();
        }
        if (shift_ == 31)
            flat_ = chunks_[0].elems;
        return {};
    }
    port_work_init(&refill_.work, refill);
    port_irq_init(&urgent_.irq, refill_now);
    refill_.pool = urgent_.pool = this;
    if (!grow())
        return error(ENOMEM);
    return {};
}

/// One more chunk behind limit_, this call's or that of another. False: memory is short.
bool elem_pool::add_chunk(port_alloc_ctx ctx) {
    u32 first = __atomic_load_n(&limit_, __ATOMIC_ACQUIRE);
    if (first >= total_)
        return true;
    u64 count = min<u64>(static_cast<u64>(mask_) + 1, total_ - first);
    port_payer *before = port_payer_set(payer_);
    chunk c{static_cast<u8 *>(port_alloc(count * elem_size_, ctx)), nullptr};
    if (c.elems && value_size_)
        c.values = static_cast<u8 *>(port_alloc(cpu_stride_ * cpu_count_, ctx));
    port_payer_set(before);
    bool whole = c.elems && (c.values || !value_size_), added = false;
    if (whole) {
        spin_guard g(limit_lock_);
        added = limit_ == first;
        if (added) {
            chunks_[first >> shift_] = c;
            __atomic_store_n(&limit_, static_cast<u32>(first + count), __ATOMIC_RELEASE);
        }
    }
    if (added) {
        __atomic_fetch_add(&bytes_, count * elem_size_ + (value_size_ ? cpu_stride_ * cpu_count_ : 0), __ATOMIC_RELAXED);
    } else {
        port_free(c.elems);
        port_free(c.values);
    }
    return whole;
}

/// Never-used elements that the pool wants to have at hand: more for a large map, fewer for large elements.
u32 elem_pool::reserve_wanted() const {
    return max(reserve_, min<u32>(__atomic_load_n(&fresh_, __ATOMIC_RELAXED) / 8, 1u << 16));
}

bool elem_pool::grow() {
    if (prefilled_)
        return false;
    mutex_guard g(grow_lock_);
    u32 wanted = reserve_wanted();
    while (present() < total_ && present() - __atomic_load_n(&fresh_, __ATOMIC_RELAXED) < wanted)
        if (!add_chunk(PORT_SLEEPING))
            break;
    return __atomic_load_n(&fresh_, __ATOMIC_RELAXED) < present();
}

/// In hard interrupt context.
void elem_pool::refill_now(port_irq *i) {
    elem_pool *pool = reinterpret_cast<refill_irq *>(i)->pool;
    for (u32 n = 0; n < urgent_chunks && pool->add_chunk(PORT_ATOMIC); n++)
        ;
}

void elem_pool::refill(port_work *w) {
    elem_pool *pool = reinterpret_cast<refill_work *>(w)->pool;
    // Cleared first: who finds the reserve low from here on orders again.
    __atomic_store_n(&pool->ordered_, false, __ATOMIC_RELEASE);
    pool->grow();
}

void elem_pool::refill_unless_enough() {
    u32 limit = __atomic_load_n(&limit_, __ATOMIC_RELAXED);
    u32 left = limit - __atomic_load_n(&fresh_, __ATOMIC_RELAXED), wanted = reserve_wanted();
    if (limit >= total_ || left >= wanted / 2)
        return;
    if (!__atomic_exchange_n(&ordered_, true, __ATOMIC_ACQ_REL))
        port_work_queue(&refill_.work);
    if (left < wanted / 4)
        port_irq_queue(&urgent_.irq);
}

u32 elem_pool::pop_fresh() {
    u32 end = min(__atomic_load_n(&limit_, __ATOMIC_ACQUIRE), capacity_);
    u32 i = __atomic_load_n(&fresh_, __ATOMIC_RELAXED);
    while (i < end)
        if (__atomic_compare_exchange_n(&fresh_, &i, i + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return i;
    return none;
}

u32 elem_pool::pop_elsewhere(u32 cpu) {
    u32 i = pop_fresh();
    if (i != none)
        return i;
    for (u32 n = 1, other = cpu; n < cpu_count_; n++) {
        other = other + 1 < cpu_count_ ? other + 1 : 0;
        i = pop_stack(other);
        if (i != none)
            return i;
    }
    return none;
}

void elem_pool::put_spare(u32 cpu, u32 i) {
    u32 empty = none;
    if (!__atomic_compare_exchange_n(&cpus_[cpu].spare, &empty, i, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        push(cpu, i);
}

}  // namespace modbpf
