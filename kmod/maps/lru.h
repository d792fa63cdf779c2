// SPDX-License-Identifier: GPL-2.0-only
// lru_clock: which element of an LRU map makes room for a new key when none is free.
//
// Each element has a mark: free, live, or used (live, and looked up by a program since a hand passed). A hand goes over the elements by
// their numbers: it makes a used one live and spares it; a live one is the victim. So an element stays for a whole turn at least, and one
// that is looked up in every turn stays for good. When a hand has spared max_spared elements the next one goes, whatever its mark: a
// program's update takes bounded time (Linux scans as far).
//
// All CPUs share one hand, of which each takes a few steps at a time; with BPF_F_NO_COMMON_LRU each CPU has elements and a hand of its
// own, as on Linux. Marks are hints, written without a lock: a look-up may mark an element that has just been freed, and whoever takes an
// element out looks for it in its chain first. A look-up writes `used` over `live` only, so the mark of a published element is never lost.
//
// Contexts: step any; init and the destructor task.
#pragma once

#include "base/memory.h"

namespace modbpf {

enum : u8 { lru_free = 0, lru_live = 1, lru_used = 2 };

class lru_clock {
public:
    static constexpr u32 max_spared = 128;

    lru_clock() = default;
    lru_clock(const lru_clock &) = delete;
    ~lru_clock() { port_free(memory_); }
    /// total: elements of the shared hand; own: of each CPU's hand, 0 when it is shared. ENOMEM.
    status init(u32 total, u32 own);

    /// The element that the hand of this CPU points to; the hand moves on.
    u32 step(u32 cpu);
    /// An element of this CPU's that was never used; not of the shared hand. ~0 when there is none.
    u32 take_fresh(u32 cpu);
    u64 bytes() const { return bytes_; }

private:
    struct alignas(64) per_cpu {
        u32 pos, end;  ///< steps of the shared hand that this CPU still has; or the own hand's count. An interrupt may take some
                       ///< of them: then elements are passed twice or not at all, which is harmless
        u32 fresh;
    };

    u32 total_ = 0, own_ = 0;
    u32 run_ = 1;   ///< steps of the shared hand that a CPU takes at once
    per_cpu *cpus_ = nullptr;
    void *memory_ = nullptr;
    u64 bytes_ = 0;
    u8 apart_[64];
    u32 hand_ = 0;  ///< atomic
};

}  // namespace modbpf
