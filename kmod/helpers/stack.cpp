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

namespace {

constexpr u64 known_flags = BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK | BPF_F_USER_BUILD_ID;

/// Checks the flags and size of a buffer for a chain; build ids of a user's chain are not there.
long check_buffer(u32 size, u64 flags) {
    bool user = flags & BPF_F_USER_STACK, build_id = flags & BPF_F_USER_BUILD_ID;
    if ((flags & ~known_flags) || (build_id && !user) || size % sizeof(u64))
        return -EINVAL;
    return build_id ? -EOPNOTSUPP : 0;
}

/// r: addresses that are in the buffer, or -errno. The rest becomes zero: uninitialised memory that the program may read, whatever
/// happened.
u64 finish_buffer(void *buf, u32 size, long r) {
    u32 used = r > 0 ? static_cast<u32>(r) * static_cast<u32>(sizeof(u64)) : 0;
    memset(static_cast<u8 *>(buf) + used, 0, size - used);
    return helper_errno(r < 0 ? r : used);
}

}  // namespace

u64 bpf_get_stack(u64, u64 r2, u64 r3, u64 r4, u64) {
    void *buf = ptr_of(r2);
    u32 size = static_cast<u32>(r3);
    long r = check_buffer(size, r4);
    if (!r)
        r = port_stack_save(event_regs(), current_run(), r4 & BPF_F_USER_STACK, r4 & BPF_F_SKIP_FIELD_MASK, static_cast<u64 *>(buf),
                            stack_trace_depth(size, sizeof(u64), r4));
    return finish_buffer(buf, size, r);
}

/// (task, buffer, size, flags)
u64 bpf_get_task_stack(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    void *buf = ptr_of(r2);
    u32 size = static_cast<u32>(r3);
    long r = check_buffer(size, r4);
    if (!r)
        r = port_task_stack_save(r1, current_run(), r4 & BPF_F_USER_STACK, r4 & BPF_F_SKIP_FIELD_MASK, static_cast<u64 *>(buf),
                                 stack_trace_depth(size, sizeof(u64), r4));
    return finish_buffer(buf, size, r);
}

}  // namespace modbpf
