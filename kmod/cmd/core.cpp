// SPDX-License-Identifier: GPL-2.0-only
// Start-up and shutdown of the core.
#include "btf/fields.h"
#include "cmd/core.h"

#include "attach/link.h"
#include "cmd/attr.h"
#include "helpers/syscall.h"
#include "jit/jit.h"
#include "maps/cache.h"
#include "maps/grave.h"
#include "maps/storage.h"

namespace modbpf {

namespace {

void map_gone(map *m) { core->maps.remove(m->id); }

void map_free_btf(map *m) {
    if (auto *b = static_cast<btf *>(m->btf_ref))
        b->put();
    m->btf_ref = nullptr;
    destroy(const_cast<field_table *>(m->fields));
    m->fields = nullptr;
}

void btf_gone(btf *b) {
    u32 id = __atomic_exchange_n(&b->id, 0, __ATOMIC_RELAXED);
    if (core && id)
        core->btfs.remove(id);
}

status register_files() {
    static constexpr const port_file_ops *const classes[] = {&map_file_ops,  &prog_file_ops, &link_file_ops,
                                                             &btf_file_ops, &perf_file_ops, &stats_file_ops,
                                                             &iter_file_ops, &map_text_ops};
    for (const port_file_ops *ops : classes)
        if (int rc = port_file_class_register(ops))
            return error(-rc);
    return {};
}

status start(state &s) {
    if (const char *passes = port_jit_passes())
        TRY(set_jit_passes(passes));
    s.active = port_percpu_alloc(sizeof(u32), alignof(u32), PORT_SLEEPING);
    if (!s.active)
        return error(ENOMEM);
    TRY(storage_start());
    if (status ready = helpers_init(); !ready.ok()) {
        storage_stop();
        return ready;
    }
    status trampolines = trampolines_init();
    if (!trampolines.ok()) {
        helpers_exit();
        storage_stop();
        return trampolines;
    }
    core = &s;
    map_gone_hook = map_gone;
    map_free_hook = map_free_btf;
    btf_gone_hook = btf_gone;
    prog_hooks = prog_array_access;
    perf_hooks = perf_array_access;
    inner_hooks = {map_for_slot};
    async_progs = async_access;
    grave_init();
    bpf_command = modbpf_core_bpf;
    status files = register_files();
    if (!files.ok()) {
        port_file_class_unregister_all();
        core = nullptr;
        trampolines_exit();
        helpers_exit();
        storage_stop();
    }
    return files;
}

/// What a probe in user space lets go of may be pushed behind it.
void flush_dead() {
    core->dead_uprobes.flush();
    core->dead.flush();
}

/// Objects whose last fd is closed may still be on their way out, and each may hold others.
void wait_for_objects() {
    for (u32 turn = 0; turn < 1000; turn++) {
        flush_dead();
        port_rcu_barrier();
        flush_dead();
        map_free_barrier();
        grave_barrier();
        if (!__atomic_load_n(&core->live, __ATOMIC_ACQUIRE)) {
            flush_dead();
            port_rcu_barrier();
            return;
        }
        port_rcu_synchronize();
    }
    (void)MODBPF_BUG_ON(core->live != 0);
}

}  // namespace

}  // namespace modbpf

int modbpf_core_init(void) {
    using namespace modbpf;
    own<state> s(make<state>(PORT_SLEEPING));
    if (!s)
        return -ENOMEM;
    status started = start(*s);
    if (!started.ok())
        return started.code();
    (void)s.release();
    return 0;
}

void modbpf_core_exit(void) {
    using namespace modbpf;
    trampolines_exit(); // some programs live as long as a trampoline's text
    wait_for_objects();
    btf::release_kernel();
    port_rcu_barrier();
    port_file_class_unregister_all();
    helpers_exit();
    caches_free();
    storage_stop();
    destroy(core);
    core = nullptr;
}

const port_file_ops *const modbpf_core_program_files = &modbpf::prog_file_ops;
const port_file_ops *const modbpf_core_perf_event_files = &modbpf::perf_file_ops;

long modbpf_core_perf_event_adopt(const void *attr, u32 size, s32 pid, s32 cpu) {
    return modbpf::perf_event_adopt_fd(attr, size, pid, cpu);
}

long modbpf_core_perf_event_open(u64 uattr, s32 pid, s32 cpu, s32 group_fd, u64 flags) {
    return modbpf::perf_event_open_fd(uattr, pid, cpu, group_fd, flags);
}
