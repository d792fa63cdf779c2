// SPDX-License-Identifier: GPL-2.0-only
// What special fields own, let go: when an element leaves its map, an array's value is replaced, a map or an object is freed. Any context.
#pragma once

#include "btf/fields.h"
#include "maps/map.h"

namespace modbpf {

inline constexpr u32 async_fields = field_bit(field_kind::timer) | field_bit(field_kind::workqueue);
/// Fields that an element leaves behind for nobody.
inline constexpr u32 released_fields = async_fields | kptr_fields | graph_roots;

/// Timers and works are stopped, kernel pointers and what lists and trees own are dropped; the fields are as new.
///
/// A list or tree whose lock the interrupted code on this CPU holds stays as it is: only an NMI comes upon that. It is let go with the
/// next release of that memory.
void release_fields(const field_table &t, void *value);
/// Of these only the references to objects of the kernel: what can be let go at once, without recursion.
void release_kernel_objects(const field_table &t, void *value);
/// Of a kernel pointer that was taken out of field `f`.
void release_kptr(const special_field &f, void *object);

inline void release_value(const map *m, void *value) {
    if (__builtin_expect(m->fields != nullptr, 0) && m->fields->has_any(released_fields))
        release_fields(*m->fields, value);
}

} // namespace modbpf
