// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "helpers/helper.h"
#include "helpers/packet.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u32 value_size = 3 * sizeof(u64); // struct bpf_perf_event_value

/// The counter in the slot that the flags name: value, and how long it was enabled and running.
long read_slot(map *m, u64 flags, u64 (&value)[3]) {
    if (flags & ~u64{BPF_F_INDEX_MASK})
        return -EINVAL;
    u32 index = flags == u64{BPF_F_CURRENT_CPU} ? port_cpu_id() : static_cast<u32>(flags);
    if (index >= m->params.max_entries)
        return -E2BIG;
    perf_sink *sink = perf_array_slot(m, index);
    return sink ? sink->read(sink, value) : -ENOENT;
}

/// What counts as initialised after the call is zero after a failure.
u64 give_value(u64 to, u32 size, long err, const u64 (&value)[3]) {
    if (err)
        memset(ptr_of(to), 0, size);
    else
        memcpy(ptr_of(to), value, value_size);
    return helper_errno(err);
}

}  // namespace

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

// (map, flags) -> the count itself, or -errno: a caller cannot tell them apart
u64 bpf_perf_event_read(u64 r1, u64 r2, u64, u64, u64) {
    u64 value[3] = {};
    long err = read_slot(ptr_of<map>(r1), r2, value);
    return err ? helper_errno(err) : value[0];
}

// (map, flags, buf, size)
u64 bpf_perf_event_read_value(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u64 value[3] = {};
    u32 size = static_cast<u32>(r4);
    long err = size == value_size ? read_slot(ptr_of<map>(r1), r2, value) : -EINVAL;
    return give_value(r3, size, err, value);
}

// (ctx, buf, size): of the event that overflowed
u64 bpf_perf_prog_read_value(u64, u64 r2, u64 r3, u64, u64) {
    u64 value[3] = {};
    u32 size = static_cast<u32>(r3);
    const run_ctx *run = current_run();
    long err = size == value_size && run && run->counter ? port_perf_read(run->counter, value) : -EINVAL;
    return give_value(r2, size, err, value);
}

// (ctx, buf, size, flags): an event whose samples have branch stacks cannot be opened, so that there are none.
u64 bpf_read_branch_records(u64, u64, u64, u64 r4, u64) {
    return helper_errno(r4 & ~u64{BPF_F_GET_BRANCH_RECORDS_SIZE} ? -EINVAL : -ENOENT);
}

}  // namespace modbpf
