// SPDX-License-Identifier: GPL-2.0-only
// bpf_timer_* and bpf_wq_*: see maps/async.h. The program that calls is a hidden argument of those that set a callback.
#include "maps/async.h"

#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/kfuncs.h"
#include "maps/release.h"

namespace modbpf {

namespace {

constexpr u64 max_clocks = 16;
constexpr u64 clock_realtime = 0, clock_monotonic = 1, clock_boottime = 7;

/// The value that the field lies in.
void *value_of(const map *m, u64 field, field_kind kind) {
    const special_field *f = m->fields ? m->fields->find(kind) : nullptr;
    return f ? ptr_of<>(field - f->off) : nullptr;
}

u64 init(u64 field, const map *m, async_kind kind, u64 clock) {
    void *value = value_of(m, field, kind == async_kind::timer ? field_kind::timer : field_kind::workqueue);
    if (MODBPF_BUG_ON(!value))
        return helper_errno(-EINVAL);
    return helper_errno(async_init(*ptr_of<async_field>(field), const_cast<map *>(m), value, kind, static_cast<u32>(clock)));
}

} // namespace

/// timer_init(timer, map, flags)
u64 bpf_timer_init(u64 r1, u64 r2, u64 r3, u64, u64) {
    if (r3 >= max_clocks || (r3 != clock_realtime && r3 != clock_monotonic && r3 != clock_boottime))
        return helper_errno(-EINVAL);
    return init(r1, ptr_of<map>(r2), async_kind::timer, r3);
}

/// timer_set_callback(timer, callback), program
u64 bpf_timer_set_callback(u64 r1, u64 r2, u64 r3, u64, u64) {
    return helper_errno(async_set_callback(*ptr_of<async_field>(r1), r2, ptr_of<>(r3)));
}

/// timer_start(timer, nsecs, flags)
u64 bpf_timer_start(u64 r1, u64 r2, u64 r3, u64, u64) {
    if (port_in_nmi())
        return helper_errno(-EOPNOTSUPP);
    if (r3 & ~static_cast<u64>(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN))
        return helper_errno(-EINVAL);
    return helper_errno(timer_start(*ptr_of<async_field>(r1), r2, r3 & BPF_F_TIMER_ABS, r3 & BPF_F_TIMER_CPU_PIN));
}

u64 bpf_timer_cancel(u64 r1, u64, u64, u64, u64) { return helper_errno(timer_cancel(*ptr_of<async_field>(r1))); }

/// wq_init(wq, map, flags)
u64 kfunc_wq_init(u64 r1, u64 r2, u64 r3, u64, u64) {
    if (static_cast<u32>(r3))
        return kfunc_errno(EINVAL);
    return static_cast<u32>(init(r1, ptr_of<map>(r2), async_kind::work, 0));
}

/// wq_set_callback_impl(wq, callback, flags), program
u64 kfunc_wq_set_callback(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    if (static_cast<u32>(r3))
        return kfunc_errno(EINVAL);
    return static_cast<u32>(async_set_callback(*ptr_of<async_field>(r1), r2, ptr_of<>(r4)));
}

/// wq_start(wq, flags)
u64 kfunc_wq_start(u64 r1, u64 r2, u64, u64, u64) {
    if (port_in_nmi())
        return kfunc_errno(EOPNOTSUPP);
    if (static_cast<u32>(r2))
        return kfunc_errno(EINVAL);
    return static_cast<u32>(work_start(*ptr_of<async_field>(r1)));
}

} // namespace modbpf
