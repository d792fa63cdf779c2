// SPDX-License-Identifier: GPL-2.0-only
// The open-coded iterators over tasks, control groups, their tasks, and mappings (kernel functions bpf_iter_task_*, bpf_iter_css_*,
// bpf_iter_css_task_*, bpf_iter_task_vma_*). They lie on the program's stack. Over tasks and control groups the verifier keeps the program
// inside one RCU section from new() to destroy(); the other two hold what they walk. Any context.
#include "helpers/kfuncs.h"
#include "maps/object.h"
#include "port/port.h"

namespace modbpf {

namespace {

enum : u32 { BPF_TASK_ITER_ALL_PROCS, BPF_TASK_ITER_ALL_THREADS, BPF_TASK_ITER_PROC_THREADS };
enum : u32 { CSS_TASK_ITER_PROCS = 1, CSS_TASK_ITER_THREADED = 2 };
enum : u32 { BPF_CGROUP_ITER_DESCENDANTS_PRE = 2, BPF_CGROUP_ITER_DESCENDANTS_POST, BPF_CGROUP_ITER_ANCESTORS_UP };

/// struct bpf_iter_task: the process, the task that next() gives (0: drained), and what is walked.
struct task_iter {
    u64 process, next;
    u32 flags, unused;
};
static_assert(sizeof(task_iter) == 24);

/// struct bpf_iter_css: where the walk began (0: drained), what was given last.
struct css_iter {
    u64 start, last;
    u32 flags, unused;
};
static_assert(sizeof(css_iter) == 24);

/// struct bpf_iter_css_task, struct bpf_iter_task_vma: the port's walk, in an object; null: drained.
struct walk_iter {
    void *walk;
};
static_assert(sizeof(walk_iter) == 8);

}  // namespace

/// iter_task_new(it, task or null, flags)
u64 kfunc_iter_task_new(u64 r1, u64 r2, u64 r3, u64, u64) {
    auto &it = *ptr_of<task_iter>(r1);
    u32 flags = static_cast<u32>(r3);
    it = {};
    if (flags > BPF_TASK_ITER_PROC_THREADS || (flags == BPF_TASK_ITER_PROC_THREADS && !r2))
        return kfunc_errno(EINVAL);
    it.process = flags == BPF_TASK_ITER_PROC_THREADS ? r2 : port_process_first();
    it.next = it.process;
    it.flags = flags;
    return 0;
}

u64 kfunc_iter_task_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<task_iter>(r1);
    u64 task = it.next;
    if (!task)
        return 0;
    if (it.flags != BPF_TASK_ITER_ALL_PROCS) {
        it.next = port_thread_next(task);
        if (it.next || it.flags == BPF_TASK_ITER_PROC_THREADS)
            return task;
    }
    it.process = port_process_next(it.process);
    it.next = it.process;
    return task;
}

u64 kfunc_iter_task_destroy(u64, u64, u64, u64, u64) { return 0; }

/// iter_css_new(it, css, flags)
u64 kfunc_iter_css_new(u64 r1, u64 r2, u64 r3, u64, u64) {
    auto &it = *ptr_of<css_iter>(r1);
    u32 flags = static_cast<u32>(r3);
    it = {};
    if (flags < BPF_CGROUP_ITER_DESCENDANTS_PRE || flags > BPF_CGROUP_ITER_ANCESTORS_UP)
        return kfunc_errno(EINVAL);
    it = {r2, 0, flags, 0};
    return 0;
}

u64 kfunc_iter_css_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<css_iter>(r1);
    if (!it.start)
        return 0;
    port_css_order order = it.flags == BPF_CGROUP_ITER_DESCENDANTS_PRE    ? PORT_CSS_PRE
                           : it.flags == BPF_CGROUP_ITER_DESCENDANTS_POST ? PORT_CSS_POST
                                                                          : PORT_CSS_UP;
    it.last = port_css_next(it.start, it.last, order);
    return it.last;
}

u64 kfunc_iter_css_destroy(u64, u64, u64, u64, u64) { return 0; }

namespace {

/// Objects for walks of the port's, of that size.
result<ref<object_type>> walk_type(size_t size) {
    return object_type::create(max<u32>(static_cast<u32>(size), sizeof(u64)), false, nullptr, nullptr);
}

/// Begins a walk of the port's in an object: `start` gives 0 or -errno.
template <class start_fn> u64 begin_walk(walk_iter &it, u64 type, size_t size, start_fn start) {
    if (!size)
        return kfunc_errno(EOPNOTSUPP);
    void *walk = object_new(ptr_of<object_type>(type));
    if (!walk)
        return kfunc_errno(ENOMEM);
    int rc = start(walk);
    if (rc) {
        object_drop(walk);
        return kfunc_errno(-rc);
    }
    it.walk = walk;
    return 0;
}

u64 end_walk(u64 iterator, void (*end)(void *)) {
    auto &it = *ptr_of<walk_iter>(iterator);
    if (!it.walk)
        return 0;
    end(it.walk);
    object_drop(it.walk);
    it.walk = nullptr;
    return 0;
}

}  // namespace

result<ref<object_type>> css_tasks_type() { return walk_type(port_css_tasks_size()); }
result<ref<object_type>> task_vmas_type() { return walk_type(port_task_vmas_size()); }

/// iter_css_task_new(it, css, flags), the type
u64 kfunc_iter_css_task_new(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    auto &it = *ptr_of<walk_iter>(r1);
    u32 flags = static_cast<u32>(r3);
    it = {};
    if (flags != 0 && flags != CSS_TASK_ITER_PROCS && flags != (CSS_TASK_ITER_PROCS | CSS_TASK_ITER_THREADED))
        return kfunc_errno(EINVAL);
    return begin_walk(it, r4, port_css_tasks_size(), [=](void *walk) { return port_css_tasks_start(walk, r2, flags); });
}

u64 kfunc_iter_css_task_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<walk_iter>(r1);
    return it.walk ? port_css_tasks_next(it.walk) : 0;
}

u64 kfunc_iter_css_task_destroy(u64 r1, u64, u64, u64, u64) { return end_walk(r1, port_css_tasks_end); }

/// iter_task_vma_new(it, task, address), the type
u64 kfunc_iter_task_vma_new(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    auto &it = *ptr_of<walk_iter>(r1);
    it = {};
    return begin_walk(it, r4, port_task_vmas_size(), [=](void *walk) { return port_task_vmas_start(walk, r2, r3); });
}

u64 kfunc_iter_task_vma_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<walk_iter>(r1);
    return it.walk ? port_task_vmas_next(it.walk) : 0;
}

u64 kfunc_iter_task_vma_destroy(u64 r1, u64, u64, u64, u64) { return end_walk(r1, port_task_vmas_end); }

}  // namespace modbpf
