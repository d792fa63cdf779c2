// SPDX-License-Identifier: GPL-2.0-only
// Call chains. They begin with the event's registers where it has some; else with what called the program's runner, on whose stack the
// run_ctx lies: what is between is modbpf's, and images are no text that the unwinder knows.
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

namespace {

void *event_regs() {
    run_ctx *run = current_run();
    return run ? run->regs : nullptr;
}

}  // namespace

u64 bpf_get_stackid(u64, u64 r2, u64 r3, u64, u64) {
    return helper_errno(stack_trace_keep(ptr_of<map>(r2), event_regs(), current_run(), r3));
}

/// A sleepable program's context is a copy of the task's registers.
u64 bpf_get_stackid_uprobe(u64 ctx, u64 r2, u64 r3, u64, u64) {
    return helper_errno(stack_trace_keep(ptr_of<map>(r2), ptr_of(ctx), nullptr, r3));
}

namespace {

constexpr u64 known_flags = BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK | BPF_F_USER_BUILD_ID;

/// A buffer for a chain, as the flags describe it.
struct chain_buffer {
    void *at;
    u32 size;
    u64 flags;

    bool user() const { return flags & BPF_F_USER_STACK; }
    bool build_ids() const { return flags & BPF_F_USER_BUILD_ID; }
    u32 skip() const { return flags & BPF_F_SKIP_FIELD_MASK; }
    u32 elem_size() const { return build_ids() ? sizeof(port_build_id) : sizeof(u64); }
    u32 depth() const { return stack_trace_depth(size, elem_size(), flags); }
    bool bad() const { return (flags & ~known_flags) || (build_ids() && !user()) || size % elem_size(); }

    /// r: addresses that are in it, or -errno. The rest becomes zero: uninitialised memory that the program may read, whatever happened.
    u64 finish(long r) const {
        if (r > 0 && build_ids())
            stack_trace_build_ids(static_cast<u64 *>(at), static_cast<u32>(r), true);
        u32 used = r > 0 ? static_cast<u32>(r) * elem_size() : 0;
        memset(static_cast<u8 *>(at) + used, 0, size - used);
        return helper_errno(r < 0 ? r : used);
    }
};

}  // namespace

u64 bpf_get_stack(u64, u64 r2, u64 r3, u64 r4, u64) {
    chain_buffer b{ptr_of(r2), static_cast<u32>(r3), r4};
    return b.finish(b.bad() ? -EINVAL : port_stack_save(event_regs(), current_run(), b.user(), b.skip(), static_cast<u64 *>(b.at), b.depth()));
}

u64 bpf_get_stack_uprobe(u64 ctx, u64 r2, u64 r3, u64 r4, u64) {
    chain_buffer b{ptr_of(r2), static_cast<u32>(r3), r4};
    return b.finish(b.bad() ? -EINVAL : port_stack_save(ptr_of(ctx), nullptr, b.user(), b.skip(), static_cast<u64 *>(b.at), b.depth()));
}

/// (task, buffer, size, flags)
u64 bpf_get_task_stack(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    chain_buffer b{ptr_of(r2), static_cast<u32>(r3), r4};
    return b.finish(b.bad() ? -EINVAL : port_task_stack_save(r1, current_run(), b.user(), b.skip(), static_cast<u64 *>(b.at), b.depth()));
}

}  // namespace modbpf
