// SPDX-License-Identifier: GPL-2.0-only
// Lifetime of maps: user references, the grace period, and the free in task context.
#include "maps/map.h"

#include "maps/async.h"
#include "maps/grave.h"
#include "maps/release.h"

namespace modbpf {

constinit prog_array_hooks prog_hooks{};
constinit perf_array_hooks perf_hooks{};
constinit map_in_map_hooks inner_hooks{};

namespace {

/// Maps between their last put() and the end of ops->free.
constinit u32 dying_maps = 0;

/// The object whose member `M` is at `p`: the member's offset is taken from an address that is never read.
template <class M, M map::*P> map *map_of(M *p) {
    const map *at = reinterpret_cast<const map *>(uptr{1} << 20);
    uptr off = reinterpret_cast<uptr>(&(at->*P)) - (uptr{1} << 20);
    return reinterpret_cast<map *>(reinterpret_cast<u8 *>(p) - off);
}

/// Timers and works do not outlive the map's last user.
void stop_async(map *m, void *value) {
    for (const special_field &f : m->fields->fields)
        if (field_bit(f.kind) & async_fields)
            async_release(*reinterpret_cast<async_field *>(static_cast<u8 *>(value) + f.off));
}

bool has_fields(const map *m, u32 kinds) { return m->fields && m->fields->has_any(kinds) && m->ops->each_value; }

void release_all(map *m) {
    if (!has_fields(m, released_fields))
        return;
    m->ops->each_value(m, [](map *m, void *value) { release_fields(*m->fields, value); });
    if (has_fields(m, async_fields))
        port_rcu_synchronize(); // callbacks that are on their way look at the map
}

void free_in_task(port_work *w) {
    map *m = map_of<port_work, &map::free_work>(w);
    release_all(m);
    if (map_free_hook)
        map_free_hook(m);
    m->ops->free(m);
    __atomic_fetch_sub(&dying_maps, 1, __ATOMIC_RELEASE);
}

void free_after_readers(port_rcu_head *head) {
    map *m = map_of<port_rcu_head, &map::rcu>(head);
    port_work_init(&m->free_work, free_in_task);
    port_work_queue(&m->free_work);
}

}  // namespace

u32 map::user_value_size() const {
    if (percpu())
        return static_cast<u32>(align_up(params.value_size, 8)) * port_cpu_count();
    return params.value_size;
}

void map::user_put() {
    if (__atomic_fetch_sub(&user_refs, 1, __ATOMIC_SEQ_CST) != 1)
        return;
    if (ops->user_gone)
        ops->user_gone(this);
    if (has_fields(this, async_fields)) {
        ops->each_value(this, stop_async);
        grave_flush();
    }
}

void map::dispose(map *m) {
    __atomic_fetch_add(&dying_maps, 1, __ATOMIC_RELAXED);
    if (map_gone_hook)
        map_gone_hook(m);
    port_rcu_call(&m->rcu, free_after_readers);
}

void map_free_barrier() {
    port_rcu_barrier();
    // Each turn sleeps for a grace period.
    while (__atomic_load_n(&dying_maps, __ATOMIC_ACQUIRE))
        port_rcu_synchronize();
}

}  // namespace modbpf
