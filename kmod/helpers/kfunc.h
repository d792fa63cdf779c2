// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions that programs call by the id of their type (kfuncs): what Linux 6.12 says of each besides its prototype. Debian's
// kernels have the prototypes in their BTF, but neither the flags nor who may call, so both stand here, by name.
#pragma once

#include "base/bpf.h"
#include "base/span.h"
#include "helpers/helper.h"

namespace modbpf {

enum : u32 {
    kf_acquire = 1u << 0,       ///< r0 holds a reference
    kf_release = 1u << 1,       ///< the reference of an argument ends
    kf_ret_null = 1u << 2,
    kf_trusted = 1u << 3,       ///< pointers must be trusted
    kf_rcu = 1u << 4,           ///< or valid in the RCU section
    kf_rcu_protected = 1u << 5, ///< to be used inside one RCU section
    kf_sleepable = 1u << 6,
    kf_destructive = 1u << 7,   ///< CAP_SYS_BOOT
    kf_iter_new = 1u << 8,
    kf_iter_next = 1u << 9,
    kf_iter_destroy = 1u << 10,
    kf_dev_bound = 1u << 11,    ///< of programs that are bound to a device: of none here
    kf_iter = kf_iter_new | kf_iter_next | kf_iter_destroy,
};

/// Who may call: groups of program types that kfuncs are registered for together. bit() of it.
enum class kfunc_hook : u8 {
    common, xdp, tc, struct_ops, tracing, syscall, cgroup, sched_act, sk_skb, socket_filter, lwt, netfilter, kprobe,
};

/// Who of a hook: by program type or expected attach type.
enum class kfunc_filter : u8 { none, lsm, iter, kprobe_session };

/// What the prototype does not say.
enum class kfunc_effect : u8 {
    none,
    rcu_lock, rcu_unlock, preempt_disable, preempt_enable,
    dynptr_from_skb, dynptr_from_xdp, dynptr_clone, dynptr_slice, dynptr_slice_rdwr,
    kernel_ctx,    ///< r0: the context as the kernel's structure
    rdonly_cast,   ///< r0: untrusted pointer to the type that the constant names
    css_task_iter, ///< LSM, iter and sleepable programs only
    task_vma_iter, ///< holds the lock of an address space: a program that sleeps under it could wait for itself
    session_cookie, ///< r0: 8 writable bytes
    object_new, percpu_new, ///< r0: an object of the program's type that the constant names
    object_drop, percpu_drop,
    refcount_acquire,
    list_push, list_pop,
    tree_add, tree_remove, tree_first,
    work_queue,
    throw_,
    cpumask_new, bits_new, ///< make objects of the run time's own
};

struct kfunc_row {
    const char *name;
    u32 flags;
    u32 hooks;
    kfunc_filter filter = kfunc_filter::none;
    kfunc_effect effect = kfunc_effect::none;
    helper_fn fn = nullptr; ///< null: known to the verifier, but modbpf cannot run it

    constexpr kfunc_row runs(helper_fn f) const {
        kfunc_row r = *this;
        r.fn = f;
        return r;
    }
};

/// Does a sleepable program call it with preemption off, inside RCU? Not what sleeps, and not what begins and ends sections.
constexpr bool kfunc_runs_in_section(const kfunc_row &r) {
    bool section = r.effect >= kfunc_effect::rcu_lock && r.effect <= kfunc_effect::preempt_enable;
    return !(r.flags & kf_sleepable) && !section;
}
/// The row for a program of that type, or null: it may not call it. `module`: where the function is; the module of the kernel's own
/// tests has rows of its own.
const kfunc_row *find_kfunc(const char *module, const char *name, u32 prog_type, u32 attach_type);
span<const kfunc_row> test_module_kfuncs(); ///< sorted by name
span<const kfunc_row> all_kfuncs();

}  // namespace modbpf
