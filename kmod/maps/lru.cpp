// SPDX-License-Identifier: GPL-2.0-only
#include "maps/lru.h"
#include "base/bits.h"

namespace modbpf {

namespace {

constexpr u32 cache_line = 64;
constexpr u32 max_run = 32;  ///< more would let a CPU keep steps while the hand goes round
constexpr u32 runs_a_turn = 16;  ///< of each CPU: in small maps the order is exact

}  // namespace

status lru_clock::init(u32 total, u32 own) {
    u32 cpus = port_cpu_count();
    total_ = total;
    own_ = own;
    run_ = max<u32>(1, min(max_run, total / (cpus * runs_a_turn)));
    bytes_ = (static_cast<u64>(cpus) + 1) * sizeof(per_cpu);
    memory_ = port_alloc(bytes_, PORT_SLEEPING);
    if (!memory_)
        return error(ENOMEM);
    cpus_ = ptr_of<per_cpu>(align_up(addr_of(memory_), cache_line));
    return {};
}

u32 lru_clock::step(u32 cpu) {
    per_cpu &c = cpus_[cpu];
    if (own_)
        return cpu * own_ + __atomic_fetch_add(&c.pos, 1, __ATOMIC_RELAXED) % own_;
    u32 pos = __atomic_load_n(&c.pos, __ATOMIC_RELAXED);
    if (pos == __atomic_load_n(&c.end, __ATOMIC_RELAXED)) {
        pos = __atomic_fetch_add(&hand_, run_, __ATOMIC_RELAXED);
        __atomic_store_n(&c.end, pos + run_, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&c.pos, pos + 1, __ATOMIC_RELAXED);
    return pos % total_;
}

u32 lru_clock::take_fresh(u32 cpu) {
    u32 n = __atomic_load_n(&cpus_[cpu].fresh, __ATOMIC_RELAXED);
    while (n < own_)
        if (__atomic_compare_exchange_n(&cpus_[cpu].fresh, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return cpu * own_ + n;
    return ~0u;
}

}  // namespace modbpf
