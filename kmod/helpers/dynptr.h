// SPDX-License-Identifier: GPL-2.0-only
// A dynptr at run time: 16 bytes on the program's stack that only helpers and kernel functions touch. All zero: the null dynptr, which
// every failed constructor leaves and every operation refuses.
#pragma once

#include "base/types.h"

namespace modbpf {

struct run_dynptr {
    enum class source : u8 { local, ringbuf, skb, xdp };

    u64 data;       ///< local, ringbuf: address of byte 0; skb, xdp: the run-time context
    u32 size : 24;  ///< bytes behind `offset`
    u32 kind : 3;   ///< source
    u32 rdonly : 1;
    u32 : 4;
    u32 offset;

    static constexpr u32 max_size = (1u << 24) - 1; // DYNPTR_MAX_SIZE

    source from() const { return static_cast<source>(kind); }
    bool in_memory() const { return from() == source::local || from() == source::ringbuf; }
    bool holds(u32 off, u32 len) const { return len <= size && off <= size - len; }
    u64 at(u32 off) const { return data + offset + off; }
    void clear() { *this = {}; }
    void set(u64 d, source s, u32 bytes) {
        *this = {};
        data = d, kind = static_cast<u32>(s) & 7, size = bytes & max_size;
    }
};
static_assert(sizeof(run_dynptr) == 16);

}  // namespace modbpf
