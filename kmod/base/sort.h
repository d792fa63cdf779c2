// SPDX-License-Identifier: GPL-2.0-only
// Sorting in place by places, so that what belongs together moves together: a heap, no memory, no recursion, n log n at worst.
#pragma once

#include "base/types.h"

namespace modbpf {

/// Of n elements: less(i, j) compares those in the places i and j, exchange(i, j) swaps them.
template <class Less, class Exchange> void heap_sort(u32 n, Less &&less, Exchange &&exchange) {
    auto sink = [&](u32 at, u32 end) {
        for (u64 child; (child = u64{at} * 2 + 1) < end; at = static_cast<u32>(child)) {
            if (child + 1 < end && less(static_cast<u32>(child), static_cast<u32>(child) + 1))
                child++;
            if (!less(at, static_cast<u32>(child)))
                return;
            exchange(at, static_cast<u32>(child));
        }
    };
    for (u32 at = n / 2; at--;)
        sink(at, n);
    for (u32 end = n; end > 1;) {
        exchange(0, --end);
        sink(0, end);
    }
}

}  // namespace modbpf
