// SPDX-License-Identifier: GPL-2.0-only
// Copies between a map's values and buffers, with respect to special fields (btf/fields.h): an update leaves those of the value as they
// are, a look-up shows zeros in their place.
//
// bpf_spin_lock: a u32 in the value; 0 when free, else the holder's CPU + 1. Held with interrupts off, by programs (helpers/spin_lock.cpp)
// and by copies with BPF_F_LOCK; its critical sections call nothing, so what comes upon a lock that its own CPU holds is an NMI. It goes
// in beside the holder, whose CPU keeps all others out, and gives nothing back: Linux would hang there.
#pragma once

#include "btf/fields.h"
#include "maps/copy.h"
#include "maps/map.h"

namespace modbpf {

// value.cpp. Any context.
void copy_between_fields(const field_table &t, void *dst, const void *src, u32 size);
/// Stores what `after` has otherwise than `before`, in whole words, and leaves the rest, which others may write meanwhile.
void store_changes(const field_table &t, void *dst, const void *before, const void *after, u32 size);
void zero_between_fields(const field_table &t, void *value, u32 size);
void zero_fields(const field_table &t, void *value);

inline void store_value(const map *m, void *dst, const void *src, u32 size) {
    if (__builtin_expect(!m->fields, 1))
        copy_value(dst, src, size);
    else
        copy_between_fields(*m->fields, dst, src, size);
}
inline void load_value(const map *m, void *dst, const void *src, u32 size) {
    store_value(m, dst, src, size);
    if (m->fields)
        zero_fields(*m->fields, dst);
}
/// A value that nobody sees: zeros but for the fields, which a program that still has it may have filled.
inline void clear_value(const map *m, void *value, u32 size) {
    if (m->fields)
        zero_between_fields(*m->fields, value, size);
    else
        memset(value, 0, size);
}

/// The offset of the lock in the map's values, or -1.
inline s32 value_lock_offset(const map *m) {
    const special_field *f = m->fields ? m->fields->find(field_kind::spin_lock) : nullptr;
    return f ? static_cast<s32>(f->off) : -1;
}
/// Do the flags of a command or update ask for a lock that values of this map do not have?
inline bool lock_flag_bad(const map *m, u64 flags) {
    return (flags & BPF_F_LOCK) && value_lock_offset(m) < 0;
}

/// Interrupts are off. True when it was taken, and must be released.
bool value_lock_take(u32 *lock);
void value_lock_release(u32 *lock);

/// The lock of one value while in scope. Any context.
class value_lock_section {
public:
    value_lock_section(const map *m, void *value)
        : lock_(reinterpret_cast<u32 *>(static_cast<u8 *>(value) + value_lock_offset(m))), flags_(port_irq_save()),
          taken_(value_lock_take(lock_)) {}
    ~value_lock_section() {
        if (taken_)
            value_lock_release(lock_);
        port_irq_restore(flags_);
    }
    value_lock_section(const value_lock_section &) = delete;

private:
    u32 *lock_;
    unsigned long flags_;
    bool taken_;
};

/// store_value and load_value, under the value's lock where the flags ask for it.
inline void store_value(const map *m, void *dst, const void *src, u32 size, u64 flags) {
    if (!(flags & BPF_F_LOCK))
        return store_value(m, dst, src, size);
    value_lock_section s(m, dst);
    store_value(m, dst, src, size);
}
inline void load_value(const map *m, void *dst, void *src, u32 size, u64 flags) {
    if (!(flags & BPF_F_LOCK))
        return load_value(m, dst, src, size);
    value_lock_section s(m, src);
    load_value(m, dst, src, size);
}

}  // namespace modbpf
