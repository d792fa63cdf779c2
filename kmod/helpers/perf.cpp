// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/packet.h"
#include "maps/map.h"

namespace modbpf {

// Packet programs may ask, in the flags, for that many packet bytes behind their data; the bytes must lie in the linear
// part, where perf_sink can take them in one piece.
u64 bpf_perf_event_output(u64, u64 r2, u64 r3, u64 r4, u64 r5) {
    map *m = ptr_of<map>(r2);
    const run_ctx *run = current_run();
    const packet_run *packet = run ? run->packet : nullptr;
    if (r3 & ~(BPF_F_INDEX_MASK | (packet ? u64{BPF_F_CTXLEN_MASK} : u64{0})))
        return helper_errno(-EINVAL);
    u64 packet_bytes = (r3 & BPF_F_CTXLEN_MASK) >> 32;
    if (packet && packet_bytes > packet->data_end - packet->data)
        return helper_errno(packet_bytes > packet->data_end - packet->data + packet->frag_size ? -EFAULT : -EOPNOTSUPP);

    u32 cpu = port_cpu_id();
    u32 index = static_cast<u32>(r3 & BPF_F_INDEX_MASK);
    if (index == static_cast<u32>(BPF_F_CURRENT_CPU))
        index = cpu;
    if (index >= m->params.max_entries)
        return helper_errno(-E2BIG);
    perf_sink *sink = perf_array_slot(m, index);
    if (!sink)
        return helper_errno(-ENOENT);
    if (sink->cpu != cpu)
        return helper_errno(-EOPNOTSUPP);
    const void *tail = packet_bytes ? ptr_of<const void>(packet->data) : nullptr;
    return helper_errno(sink->output(sink, ptr_of<const void>(r4), r5, tail, packet_bytes));
}

}  // namespace modbpf
