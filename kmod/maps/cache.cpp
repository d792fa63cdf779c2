// SPDX-License-Identifier: GPL-2.0-only
#include "maps/cache.h"

namespace modbpf {

namespace {

constexpr u64 max_bytes = 256 << 20; ///< of a cache: a program that drops nothing does not take all of the machine's memory
/// What is kept at hand: pieces that were given back come again behind a grace period only, in which programs run thousands of times.
constexpr u64 reserve_bytes = 1 << 20;
constexpr u32 max_reserve = 4096, min_reserve = 64;
constexpr u32 smallest = 32;
constexpr u32 largest = 1 << 20; ///< holds the 512 bytes of a per-CPU object for 2048 CPUs
constexpr u32 steps = 4;         ///< sizes between a power of two and the next one
constexpr u32 max_caches = 64;

struct {
    object_cache *of[max_caches]; ///< by size class; set once
    u64 out; ///< pieces that are taken. Atomic
} all;

/// The class of a size, and the size that its pieces have.
u32 class_of(u32 size, u32 *rounded) {
    u32 c = 0, at = smallest;
    for (u32 step = smallest / steps; at < size; c++) {
        if (c && c % steps == 0)
            step *= 2;
        at += step;
    }
    *rounded = static_cast<u32>(align_up(at, 8));
    return c;
}

} // namespace

void *object_cache::take() {
    preempt_guard here;
    u32 i = pool_.pop(port_cpu_id());
    pool_.refill_if_low();
    if (i == elem_pool::none)
        return nullptr;
    auto *h = reinterpret_cast<header *>(pool_.at(i));
    h->number = i;
    memset(h + 1, 0, size_);
    __atomic_fetch_add(&all.out, 1, __ATOMIC_RELAXED);
    return h + 1;
}

void object_cache::give(void *piece) {
    preempt_guard here;
    __atomic_fetch_sub(&all.out, 1, __ATOMIC_RELAXED);
    pool_.push(port_cpu_id(), (static_cast<header *>(piece) - 1)->number);
}

result<object_cache *> object_cache::of_size(u32 size) {
    u32 rounded;
    if (size > largest)
        return error(E2BIG);
    u32 c = class_of(size, &rounded);
    if (MODBPF_BUG_ON(c >= max_caches))
        return error(EFAULT);
    if (object_cache *there = __atomic_load_n(&all.of[c], __ATOMIC_ACQUIRE))
        return there;
    own<object_cache> fresh(make<object_cache>(PORT_SLEEPING));
    if (!fresh)
        return error(ENOMEM);
    fresh->size_ = rounded;
    u32 elem = rounded + static_cast<u32>(sizeof(header));
    TRY(fresh->pool_.init({.elem_size = elem, .value_size = 0, .capacity = static_cast<u32>(max<u64>(max_bytes / elem, min_reserve)), .spares = false,
                           .prefilled = false,
                           .reserve = static_cast<u32>(max<u64>(min<u64>(reserve_bytes / elem, max_reserve), min_reserve)),
                           .shared = true}));
    object_cache *none = nullptr;
    if (!__atomic_compare_exchange_n(&all.of[c], &none, fresh.get(), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return none; // another was faster
    return fresh.release();
}

u64 cache_pieces_out() {
    return __atomic_load_n(&all.out, __ATOMIC_ACQUIRE);
}

void caches_free() {
    (void)MODBPF_BUG_ON(cache_pieces_out() != 0);
    for (object_cache *&c : all.of)
        destroy(__atomic_exchange_n(&c, nullptr, __ATOMIC_ACQ_REL));
}

} // namespace modbpf
