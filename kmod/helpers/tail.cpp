// SPDX-License-Identifier: GPL-2.0-only
#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "port/port.h"

namespace modbpf {

// The engines translate bpf_tail_call themselves (helper_tail_call); a call that arrives here was not translated.
u64 bpf_tail_call(u64, u64, u64, u64, u64) {
    MODBPF_BUG_ON(true);
    return helper_errno(-EINVAL);
}

namespace {

/// A tail call out of a subprogram leaves its callers' frames on the stack: 33 times up to 7 frames and 256 bytes of BPF stack, more
/// than a kernel stack has. What a program without tail calls may take is granted anyway; beyond that enough must be left for one more
/// chain of frames and a helper. Where the stack's end is not known, nothing is granted beyond.
constexpr size_t chain_bytes = 2048, left_bytes = 4096;

bool stack_holds() {
    u64 used = addr_of(current_run()) - addr_of(__builtin_frame_address(0));
    return used <= chain_bytes || port_stack_left() >= left_bytes;
}

}  // namespace

runnable *tail_call_target(map *m, u32 index) {
    runnable *target = prog_array_slot(m, index);
    return target && target->tail_entry && stack_holds() ? target : nullptr; // no entry: loaded for its verdict only
}

}  // namespace modbpf
