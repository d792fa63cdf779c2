// SPDX-License-Identifier: GPL-2.0-only
// References to tasks and control groups. Any context.
#include "helpers/kfuncs.h"
#include "port/port.h"

namespace modbpf {

u64 kfunc_task_acquire(u64 r1, u64, u64, u64, u64) { return port_task_get(r1); }
u64 kfunc_task_from_pid(u64 r1, u64, u64, u64, u64) { return port_task_from_pid(static_cast<s32>(r1)); }
u64 kfunc_task_release(u64 r1, u64, u64, u64, u64) {
    port_task_put(r1);
    return 0;
}

u64 kfunc_cgroup_acquire(u64 r1, u64, u64, u64, u64) { return port_cgroup_get(r1); }
/// cgroup_ancestor(cgroup, level)
u64 kfunc_cgroup_ancestor(u64 r1, u64 r2, u64, u64, u64) { return port_cgroup_ancestor(r1, static_cast<s32>(r2)); }
u64 kfunc_cgroup_from_id(u64 r1, u64, u64, u64, u64) { return port_cgroup_from_id(r1); }
u64 kfunc_cgroup_release(u64 r1, u64, u64, u64, u64) {
    port_cgroup_put(r1);
    return 0;
}
/// cgroup_rstat_updated(cgroup, cpu)
u64 kfunc_cgroup_rstat_updated(u64 r1, u64 r2, u64, u64, u64) {
    port_cgroup_updated(r1, static_cast<s32>(r2));
    return 0;
}
u64 kfunc_cgroup_rstat_flush(u64 r1, u64, u64, u64, u64) {
    port_cgroup_flush(r1);
    return 0;
}
/// task_get_cgroup1(task, hierarchy)
u64 kfunc_task_get_cgroup1(u64 r1, u64 r2, u64, u64, u64) { return port_task_cgroup1(r1, static_cast<s32>(r2)); }
/// task_under_cgroup(task, ancestor)
u64 kfunc_task_under_cgroup(u64 r1, u64 r2, u64, u64, u64) { return port_task_under_cgroup(r1, r2); }

} // namespace modbpf
