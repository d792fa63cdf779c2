// SPDX-License-Identifier: GPL-2.0-only
// The kernel functions themselves (kfuncs), one file a family; helpers/kfunc.cpp gives each its row.
//
// All have the type of helper_fn, with the arguments of the kernel's function in order and, where the verifier knows more than the
// program passes, the hidden argument in the place of the one that the program leaves open. Contexts as helpers (families.h).
#pragma once

#include "base/errno.h"
#include "base/types.h"
#include "maps/object.h"

namespace modbpf {

#define MODBPF_KFUNC(name) u64 kfunc_##name(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5)

// iter_num.cpp
MODBPF_KFUNC(iter_num_new);
MODBPF_KFUNC(iter_num_next);
MODBPF_KFUNC(iter_num_destroy);
// iter_task.cpp
MODBPF_KFUNC(iter_task_new);
MODBPF_KFUNC(iter_task_next);
MODBPF_KFUNC(iter_task_destroy);
MODBPF_KFUNC(iter_css_new);
MODBPF_KFUNC(iter_css_next);
MODBPF_KFUNC(iter_css_destroy);
MODBPF_KFUNC(iter_css_task_new);
MODBPF_KFUNC(iter_css_task_next);
MODBPF_KFUNC(iter_css_task_destroy);
MODBPF_KFUNC(iter_task_vma_new);
MODBPF_KFUNC(iter_task_vma_next);
MODBPF_KFUNC(iter_task_vma_destroy);
// arena.cpp
MODBPF_KFUNC(arena_alloc_pages);
MODBPF_KFUNC(arena_free_pages);
// path.cpp
MODBPF_KFUNC(path_d_path);
MODBPF_KFUNC(copy_from_user_str);
// sections.cpp
MODBPF_KFUNC(rcu_read_lock);
MODBPF_KFUNC(rcu_read_unlock);
MODBPF_KFUNC(preempt_disable);
MODBPF_KFUNC(preempt_enable);
MODBPF_KFUNC(same_pointer); ///< casts: r0 is r1
// async.cpp
MODBPF_KFUNC(wq_init);
MODBPF_KFUNC(wq_set_callback);
MODBPF_KFUNC(wq_start);
// cpumask.cpp
MODBPF_KFUNC(cpumask_create);
MODBPF_KFUNC(cpumask_acquire);
MODBPF_KFUNC(cpumask_first);
MODBPF_KFUNC(cpumask_first_zero);
MODBPF_KFUNC(cpumask_first_and);
MODBPF_KFUNC(cpumask_set_cpu);
MODBPF_KFUNC(cpumask_clear_cpu);
MODBPF_KFUNC(cpumask_test_cpu);
MODBPF_KFUNC(cpumask_test_and_set_cpu);
MODBPF_KFUNC(cpumask_test_and_clear_cpu);
MODBPF_KFUNC(cpumask_setall);
MODBPF_KFUNC(cpumask_clear);
MODBPF_KFUNC(cpumask_and);
MODBPF_KFUNC(cpumask_or);
MODBPF_KFUNC(cpumask_xor);
MODBPF_KFUNC(cpumask_copy);
MODBPF_KFUNC(cpumask_equal);
MODBPF_KFUNC(cpumask_intersects);
MODBPF_KFUNC(cpumask_subset);
MODBPF_KFUNC(cpumask_empty);
MODBPF_KFUNC(cpumask_full);
MODBPF_KFUNC(cpumask_weight);
MODBPF_KFUNC(cpumask_any_distribute);
MODBPF_KFUNC(cpumask_any_and_distribute);
// kernel_object.cpp
MODBPF_KFUNC(task_acquire);
MODBPF_KFUNC(task_from_pid);
MODBPF_KFUNC(task_release);
MODBPF_KFUNC(cgroup_acquire);
MODBPF_KFUNC(cgroup_ancestor);
MODBPF_KFUNC(cgroup_from_id);
MODBPF_KFUNC(cgroup_release);
MODBPF_KFUNC(cgroup_rstat_updated);
MODBPF_KFUNC(cgroup_rstat_flush);
MODBPF_KFUNC(task_get_cgroup1);
MODBPF_KFUNC(task_under_cgroup);
// keys.cpp
MODBPF_KFUNC(get_dentry_xattr);
MODBPF_KFUNC(get_file_xattr);
MODBPF_KFUNC(get_task_exe_file);
MODBPF_KFUNC(put_file);
MODBPF_KFUNC(lookup_user_key);
MODBPF_KFUNC(lookup_system_key);
MODBPF_KFUNC(key_put);
MODBPF_KFUNC(verify_pkcs7_signature);
// iter_bits.cpp
MODBPF_KFUNC(iter_bits_new);
MODBPF_KFUNC(iter_bits_next);
MODBPF_KFUNC(iter_bits_destroy);
// throw.cpp
MODBPF_KFUNC(throw);
// object.cpp
MODBPF_KFUNC(obj_new);
MODBPF_KFUNC(obj_drop);
MODBPF_KFUNC(refcount_acquire);
// attach.cpp
MODBPF_KFUNC(session_cookie);
MODBPF_KFUNC(session_is_return);
// graph.cpp
MODBPF_KFUNC(list_push_front);
MODBPF_KFUNC(list_push_back);
MODBPF_KFUNC(list_pop_front);
MODBPF_KFUNC(list_pop_back);
MODBPF_KFUNC(rbtree_add);
MODBPF_KFUNC(rbtree_remove);
MODBPF_KFUNC(rbtree_first);
// dynptr.cpp
MODBPF_KFUNC(dynptr_adjust);
MODBPF_KFUNC(dynptr_is_null);
MODBPF_KFUNC(dynptr_is_rdonly);
MODBPF_KFUNC(dynptr_size);
MODBPF_KFUNC(dynptr_clone);
MODBPF_KFUNC(dynptr_slice);
MODBPF_KFUNC(dynptr_slice_in_place); ///< in its place, for programs that may not read the kernel's memory
MODBPF_KFUNC(dynptr_slice_rdwr);
MODBPF_KFUNC(dynptr_from_skb);
MODBPF_KFUNC(dynptr_from_xdp);

// The run-time types of what they make. ENOMEM. Task context.
result<ref<object_type>> cpumask_type();
result<ref<object_type>> bits_type();
result<ref<object_type>> css_tasks_type();
result<ref<object_type>> task_vmas_type();

/// A negative errno of a function that returns int: the upper half of r0 is zero, as a compiled function leaves it.
constexpr u64 kfunc_errno(int e) { return static_cast<u32>(-e); }

}  // namespace modbpf
