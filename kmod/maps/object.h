// SPDX-License-Identifier: GPL-2.0-only
// Objects that programs make (bpf_obj_new, bpf_percpu_obj_new, CPU masks): memory with a type, counted where the type has a bpf_refcount,
// else owned by one. Any context, unless said otherwise.
//
// What a program has is the address behind the object's head. Which fields of it are special (locks, roots, nodes, kptrs) stands in its
// object_type, which lives as long as objects of it do, longer than the program if need be. An object that is dropped is emptied and freed
// by the grave (maps/grave.h): RCU readers that still look at it see it as it was, but for what was taken out of it.
#pragma once

#include "btf/fields.h"
#include "maps/cache.h"
#include "maps/grave.h"

namespace modbpf {

struct object_type : refcounted<object_type> {
    u32 size = 0;          ///< bytes of an object; of one CPU's copy
    bool percpu = false;   ///< one copy a CPU
    s32 refcount_off = -1; ///< of the bpf_refcount, or -1
    own<field_table> fields; ///< or null
    ref<btf> types;        ///< keeps what `fields` borrow
    object_cache *cache = nullptr;

    /// `fields`: copied; may be null. `types`: those that it borrows, or null. ENOMEM, E2BIG. Task context.
    static result<ref<object_type>> create(u32 size, bool percpu, const field_table *fields, btf *types);
    static void dispose(object_type *t); ///< task context
    /// Distance of one CPU's copy to the next one's.
    u32 stride() const { return static_cast<u32>(align_up(size, 8)); }
};

/// A new object, zeroed, with one reference. Null: there is no memory at hand.
void *object_new(object_type *t);
/// Takes one more reference, of a counted object. False: it is on its way out.
bool object_hold(void *object);
/// Gives one back.
void object_drop(void *object);
/// The copy of CPU `cpu`, which must be one, of a per-CPU object.
void *object_on_cpu(void *object, u32 cpu);
const object_type *object_type_of(const void *object);

} // namespace modbpf
