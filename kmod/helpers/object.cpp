// SPDX-License-Identifier: GPL-2.0-only
// Objects that programs make, and kernel pointers in map values and objects: see maps/object.h. The verifier knows who owns what.
#include "maps/object.h"

#include "helpers/families.h"
#include "helpers/kfuncs.h"
#include "maps/nospec.h"

namespace modbpf {

/// kptr_xchg(field, object): -> what was in the field
u64 bpf_kptr_xchg(u64 r1, u64 r2, u64, u64, u64) { return __atomic_exchange_n(ptr_of<u64>(r1), r2, __ATOMIC_ACQ_REL); }

namespace {

/// One CPU's copy of one of the kernel's own variables, or of an object of percpu_obj_new.
u64 copy_on_cpu(u64 p, u32 cpu) {
    u64 variable = port_percpu_variable(p, cpu);
    return variable ? variable : addr_of(object_on_cpu(ptr_of<>(p), cpu));
}

} // namespace

u64 bpf_per_cpu_ptr(u64 r1, u64 r2, u64, u64, u64) {
    u32 cpu = static_cast<u32>(r2), count = port_cpu_count();
    return cpu < count ? copy_on_cpu(r1, clamp_index(cpu, count)) : 0;
}

u64 bpf_this_cpu_ptr(u64 r1, u64, u64, u64, u64) { return copy_on_cpu(r1, port_cpu_id()); }

/// obj_new(type id), the type: also of percpu_obj_new
u64 kfunc_obj_new(u64, u64 r2, u64, u64, u64) { return addr_of(object_new(ptr_of<object_type>(r2))); }

u64 kfunc_obj_drop(u64 r1, u64, u64, u64, u64) {
    object_drop(ptr_of<>(r1));
    return 0;
}

u64 kfunc_refcount_acquire(u64 r1, u64, u64, u64, u64) { return object_hold(ptr_of<>(r1)) ? r1 : 0; }

} // namespace modbpf
