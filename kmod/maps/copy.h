// SPDX-License-Identifier: GPL-2.0-only
// Copies of keys and values. Values are shared with running programs: what fits one store is written by one store, so
// that readers without a lock never see half of it. Any context.
#pragma once

#include "base/types.h"

namespace modbpf {

inline u64 load8(const void *p) {
    u64 v;
    __builtin_memcpy(&v, p, 8);
    return v;
}
inline u32 load4(const void *p) {
    u32 v;
    __builtin_memcpy(&v, p, 4);
    return v;
}

inline void copy_value(void *dst, const void *src, size_t n) {
    if (n == 8 && !(reinterpret_cast<uptr>(dst) & 7)) // the word may be a map, whose contents must be seen with it
        __atomic_store_n(static_cast<u64 *>(dst), load8(src), __ATOMIC_RELEASE);
    else if (n == 4)
        __builtin_memcpy(dst, src, 4);
    else
        memcpy(dst, src, n);
}

}  // namespace modbpf
