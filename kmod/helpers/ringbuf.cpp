// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"
#include "maps/map.h"

namespace modbpf {

u64 bpf_ringbuf_output(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    return helper_errno(ringbuf_output(ptr_of<map>(r1), ptr_of<const void>(r2), r3, r4));
}

u64 bpf_ringbuf_reserve(u64 r1, u64 r2, u64 r3, u64, u64) {
    return r3 ? 0 : addr_of(ringbuf_reserve(ptr_of<map>(r1), r2));  // no flags are defined
}

u64 bpf_ringbuf_submit(u64 r1, u64 r2, u64, u64, u64) {
    ringbuf_commit(ptr_of(r1), r2, false);
    return 0;
}

u64 bpf_ringbuf_discard(u64 r1, u64 r2, u64, u64, u64) {
    ringbuf_commit(ptr_of(r1), r2, true);
    return 0;
}

u64 bpf_ringbuf_query(u64 r1, u64 r2, u64, u64, u64) {
    return ringbuf_query(ptr_of<map>(r1), r2);
}

}  // namespace modbpf
