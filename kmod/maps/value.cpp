// SPDX-License-Identifier: GPL-2.0-only
#include "maps/value.h"

namespace modbpf {

void copy_between_fields(const field_table &t, void *dst, const void *src, u32 size) {
    auto *to = static_cast<u8 *>(dst);
    auto *from = static_cast<const u8 *>(src);
    u32 at = 0;
    for (const special_field &f : t.fields) {
        memcpy(to + at, from + at, f.off - at);
        at = f.off + f.size;
    }
    memcpy(to + at, from + at, size - at);
}

void store_changes(const field_table &t, void *dst, const void *before, const void *after, u32 size) {
    auto *to = static_cast<u8 *>(dst);
    auto *was = static_cast<const u8 *>(before), *is = static_cast<const u8 *>(after);
    auto differs = [&](u32 at, u32 n) { return memcmp(was + at, is + at, n) != 0; };
    u32 at = 0;
    auto store_until = [&](u32 end) {
        while (at < end) {
            u32 n = end - at < 4 ? 1 : 4; // values and fields are aligned to 4
            if (!(at & 7) && end - at >= 8 && differs(at, 4) && differs(at + 4, 4))
                n = 8;
            if (differs(at, n))
                copy_value(to + at, is + at, n);
            at += n;
        }
    };
    for (const special_field &f : t.fields) {
        store_until(f.off);
        at = f.off + f.size;
    }
    store_until(size);
}

void zero_between_fields(const field_table &t, void *value, u32 size) {
    auto *v = static_cast<u8 *>(value);
    u32 at = 0;
    for (const special_field &f : t.fields) {
        memset(v + at, 0, f.off - at);
        at = f.off + f.size;
    }
    memset(v + at, 0, size - at);
}

void zero_fields(const field_table &t, void *value) {
    for (const special_field &f : t.fields)
        memset(static_cast<u8 *>(value) + f.off, 0, f.size);
}

bool value_lock_take(u32 *lock) {
    u32 mine = port_cpu_id() + 1;
    for (;;) {
        u32 holder = __atomic_load_n(lock, __ATOMIC_RELAXED);
        if (holder == mine)
            return false;
        if (!holder && __atomic_compare_exchange_n(lock, &holder, mine, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        __builtin_ia32_pause();
    }
}

void value_lock_release(u32 *lock) {
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

}  // namespace modbpf
