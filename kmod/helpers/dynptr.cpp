// SPDX-License-Identifier: GPL-2.0-only
// Helpers and kernel functions of dynptrs. Errors are those of Linux 6.12. Any context.
#include "helpers/dynptr.h"

#include "base/errno.h"
#include "helpers/families.h"
#include "helpers/kfuncs.h"
#include "helpers/packet.h"
#include "maps/map.h"

namespace modbpf {

namespace {

using source = run_dynptr::source;

run_dynptr &dynptr_at(u64 p) { return *ptr_of<run_dynptr>(p); }

/// Copies [off, off + len) of the packet, which the dynptr has seen to be there when it was made.
long copy_packet(const run_dynptr &d, u32 off, u64 buf, u32 len, bool store) {
    u64 r;
    if (d.from() == source::skb)
        r = store ? bpf_skb_store_bytes(d.data, off, buf, len, 0) : bpf_skb_load_bytes(d.data, off, buf, len, 0);
    else
        r = store ? bpf_xdp_store_bytes(d.data, off, buf, len, 0) : bpf_xdp_load_bytes(d.data, off, buf, len, 0);
    return static_cast<long>(r);
}

/// The bytes themselves where they lie together, else a copy in `buffer` (or null).
u64 slice(const run_dynptr &d, u32 off, u64 buffer, u32 len) {
    if (!d.data || !d.holds(off, len))
        return 0;
    if (d.in_memory())
        return d.at(off);
    const packet_run &p = *ptr_of<const packet_run>(d.data);
    u64 from = p.data + d.offset + off;
    if (from <= p.data_end && len <= p.data_end - from)
        return from;
    if (!buffer || d.from() == source::skb)
        return 0;
    return copy_packet(d, d.offset + off, buffer, len, false) ? 0 : buffer;
}

u64 make_packet_dynptr(u64 ctx, u64 flags, u64 ptr, source s, bool rdonly) {
    run_dynptr &d = dynptr_at(ptr);
    d.clear();
    if (flags)
        return kfunc_errno(EINVAL);
    const packet_run &p = *ptr_of<const packet_run>(ctx);
    d.set(ctx, s, static_cast<u32>(p.data_end - p.data + p.frag_size));
    d.rdonly = rdonly;
    return 0;
}

u64 end_record(u64 ptr, u64 flags, bool discard) {
    run_dynptr &d = dynptr_at(ptr);
    if (d.data)
        ringbuf_commit(ptr_of(d.data), flags, discard);
    d.clear();
    return 0;
}

}  // namespace

/// (memory, size, flags, dynptr)
u64 bpf_dynptr_from_mem(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 size = static_cast<u32>(r2);
    run_dynptr &d = dynptr_at(r4);
    d.clear();
    if (size > run_dynptr::max_size)
        return helper_errno(-E2BIG);
    if (r3)
        return helper_errno(-EINVAL);
    d.set(r1, source::local, size);
    return 0;
}

/// (destination, length, dynptr, offset, flags)
u64 bpf_dynptr_read(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    const run_dynptr &d = dynptr_at(r3);
    u32 len = static_cast<u32>(r2), off = static_cast<u32>(r4);
    if (!d.data || r5)
        return failed_read(r1, len, -EINVAL);
    if (!d.holds(off, len))
        return failed_read(r1, len, -E2BIG);
    if (!d.in_memory())
        return helper_errno(copy_packet(d, d.offset + off, r1, len, false));
    memmove(ptr_of(r1), ptr_of(d.at(off)), len); // they may overlap
    return 0;
}

/// (dynptr, offset, source, length, flags)
u64 bpf_dynptr_write(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    const run_dynptr &d = dynptr_at(r1);
    u32 off = static_cast<u32>(r2), len = static_cast<u32>(r4);
    if (!d.data || d.rdonly)
        return helper_errno(-EINVAL);
    if (!d.holds(off, len))
        return helper_errno(-E2BIG);
    if (d.from() == source::skb)
        return bpf_skb_store_bytes(d.data, d.offset + off, r3, len, r5);
    if (r5)
        return helper_errno(-EINVAL);
    if (d.from() == source::xdp)
        return helper_errno(copy_packet(d, d.offset + off, r3, len, true));
    memmove(ptr_of(d.at(off)), ptr_of(r3), len);
    return 0;
}

/// (dynptr, offset, length): -> the address, or null
u64 bpf_dynptr_data(u64 r1, u64 r2, u64 r3, u64, u64) {
    const run_dynptr &d = dynptr_at(r1);
    u32 off = static_cast<u32>(r2), len = static_cast<u32>(r3);
    return d.data && !d.rdonly && d.in_memory() && d.holds(off, len) ? d.at(off) : 0;
}

/// (map, size, flags, dynptr)
u64 bpf_ringbuf_reserve_dynptr(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    u32 size = static_cast<u32>(r2);
    run_dynptr &d = dynptr_at(r4);
    d.clear();
    if (r3)
        return helper_errno(-EINVAL);
    if (size > run_dynptr::max_size)
        return helper_errno(-E2BIG);
    void *record = ringbuf_reserve(ptr_of<map>(r1), size);
    if (!record)
        return helper_errno(-EINVAL);
    d.set(addr_of(record), source::ringbuf, size);
    return 0;
}

u64 bpf_ringbuf_submit_dynptr(u64 r1, u64 r2, u64, u64, u64) { return end_record(r1, r2, false); }
u64 bpf_ringbuf_discard_dynptr(u64 r1, u64 r2, u64, u64, u64) { return end_record(r1, r2, true); }

/// (dynptr, start, end)
u64 kfunc_dynptr_adjust(u64 r1, u64 r2, u64 r3, u64, u64) {
    run_dynptr &d = dynptr_at(r1);
    u32 start = static_cast<u32>(r2), end = static_cast<u32>(r3);
    if (!d.data || start > end)
        return kfunc_errno(EINVAL);
    if (end > d.size)
        return kfunc_errno(ERANGE);
    d.offset += start;
    d.size = (end - start) & run_dynptr::max_size;
    return 0;
}

u64 kfunc_dynptr_is_null(u64 r1, u64, u64, u64, u64) { return !dynptr_at(r1).data; }
u64 kfunc_dynptr_is_rdonly(u64 r1, u64, u64, u64, u64) { return dynptr_at(r1).data && dynptr_at(r1).rdonly; }
u64 kfunc_dynptr_size(u64 r1, u64, u64, u64, u64) {
    const run_dynptr &d = dynptr_at(r1);
    return d.data ? d.size : kfunc_errno(EINVAL);
}

/// (dynptr, copy)
u64 kfunc_dynptr_clone(u64 r1, u64 r2, u64, u64, u64) {
    dynptr_at(r2) = dynptr_at(r1);
    return dynptr_at(r1).data ? 0 : kfunc_errno(EINVAL);
}

/// (dynptr, offset, buffer or null, length): -> the bytes, or null
u64 kfunc_dynptr_slice(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    return slice(dynptr_at(r1), static_cast<u32>(r2), r3, static_cast<u32>(r4));
}
/// Never the buffer: what the program does to its own stack meanwhile would show through the slice.
u64 kfunc_dynptr_slice_in_place(u64 r1, u64 r2, u64, u64 r4, u64) {
    return slice(dynptr_at(r1), static_cast<u32>(r2), 0, static_cast<u32>(r4));
}
/// Likewise: through it pointers that lie in the stack could be changed, and frames that were left.
u64 kfunc_dynptr_slice_rdwr(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5) {
    return dynptr_at(r1).rdonly ? 0 : kfunc_dynptr_slice_in_place(r1, r2, r3, r4, r5);
}

/// (context, flags, dynptr; hidden: may the program not write to packets?)
u64 kfunc_dynptr_from_skb(u64 r1, u64 r2, u64 r3, u64 r4, u64) { return make_packet_dynptr(r1, r2, r3, source::skb, r4); }
u64 kfunc_dynptr_from_xdp(u64 r1, u64 r2, u64 r3, u64, u64) { return make_packet_dynptr(r1, r2, r3, source::xdp, false); }

}  // namespace modbpf
