// SPDX-License-Identifier: GPL-2.0-only
// Helpers that call a function of the program for each of something.
#include "base/errno.h"
#include "helpers/dynptr.h"
#include "helpers/families.h"
#include "helpers/helper.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u32 max_loops = 8u << 20;           // BPF_MAX_LOOPS
constexpr long max_user_records = 128 * 1024; // BPF_MAX_USER_RINGBUF_SAMPLES

struct element_call {
    u64 fn, ctx;
};

u64 call_for_element(void *priv, map *m, const void *key, void *value) {
    auto &c = *static_cast<element_call *>(priv);
    return call_back(c.fn, addr_of(m), addr_of(key), addr_of(value), c.ctx);
}

/// Calls fn for each record that user space has written, until it returns other than 0. -> how many it got, or -errno; *turns: with those
/// that user space discarded.
long drain(map *m, u64 fn, u64 ctx, long *turns) {
    long discarded = 0;
    u64 ended = 0;
    for (*turns = 0; *turns < max_user_records && !ended; ++*turns) {
        void *record = nullptr;
        u32 size = 0;
        long err = user_ringbuf_peek(m, &record, &size);
        if (err == -ENODATA)
            break;
        if (err == -EAGAIN) {
            discarded++;
            continue;
        }
        if (err)
            return err;
        run_dynptr d{};
        d.set(addr_of(record), run_dynptr::source::local, size);
        ended = call_back(fn, addr_of(&d), ctx);
        user_ringbuf_release(m, size);
    }
    return *turns - discarded;
}

}  // namespace

/// user_ringbuf_drain(map, callback, context, flags): -> records taken
u64 bpf_user_ringbuf_drain(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    map *m = ptr_of<map>(r1);
    if (r4 & ~u64{BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP})
        return helper_errno(-EINVAL);
    if (!user_ringbuf_begin(m))
        return helper_errno(-EBUSY);
    long turns = 0, taken = drain(m, r2, r3, &turns);
    bool wake = r4 & BPF_RB_FORCE_WAKEUP || (taken >= 0 && !(r4 & BPF_RB_NO_WAKEUP) && turns > 0);
    user_ringbuf_end(m, wake);
    return helper_errno(taken);
}

/// loop(turns, callback, context, flags): -> turns taken
u64 bpf_loop(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 turns = static_cast<u32>(r1);
    if (r4)
        return helper_errno(-EINVAL);
    if (turns > max_loops)
        return helper_errno(-E2BIG);
    for (u32 i = 0; i < turns; i++)
        if (call_back(r2, i, r3))
            return i + 1;
    return turns;
}

/// for_each_map_elem(map, callback, context, flags): -> elements visited
u64 bpf_for_each_map_elem(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    map *m = ptr_of<map>(r1);
    if (r4 || !m->ops->for_each)
        return helper_errno(-EINVAL);
    element_call c{r2, r3};
    return helper_errno(m->ops->for_each(m, call_for_element, &c));
}

}  // namespace modbpf
