// SPDX-License-Identifier: GPL-2.0-only
// The open-coded iterator over numbers (kernel functions bpf_iter_num_*). It lies on the program's stack; only these functions touch
// it. Any context.
#include "helpers/kfuncs.h"
#include "port/port.h"

namespace modbpf {

namespace {

constexpr s64 max_num_range = 8 << 20; // BPF_MAX_LOOPS

/// struct bpf_iter_num: 8 bytes. The number that was given last, and the first one that is not given any more.
struct num_iter {
    s32 current, end;
};

static_assert(sizeof(num_iter) == 8);

}  // namespace

u64 kfunc_iter_num_new(u64 r1, u64 r2, u64 r3, u64, u64) {
    auto &it = *ptr_of<num_iter>(r1);
    auto from = static_cast<s32>(r2), end = static_cast<s32>(r3);
    it = {0, 0}; // drained
    if (from > end)
        return kfunc_errno(EINVAL);
    if (static_cast<s64>(end) - from > max_num_range)
        return kfunc_errno(E2BIG);
    // May wrap: next() compares behind the increment.
    it = {static_cast<s32>(static_cast<u32>(from) - 1), end};
    return 0;
}

u64 kfunc_iter_num_next(u64 r1, u64, u64, u64, u64) {
    auto &it = *ptr_of<num_iter>(r1);
    s64 next = static_cast<s64>(static_cast<s32>(static_cast<u32>(it.current) + 1));
    if (next >= it.end) {
        it = {0, 0};
        return 0;
    }
    it.current = static_cast<s32>(next);
    return addr_of(&it.current);
}

u64 kfunc_iter_num_destroy(u64 r1, u64, u64, u64, u64) {
    *ptr_of<num_iter>(r1) = {0, 0};
    return 0;
}

}  // namespace modbpf
