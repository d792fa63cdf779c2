// SPDX-License-Identifier: GPL-2.0-only
// What a program sees of a packet when it traces a program of packets: its context is one of ours (helpers/packet.h), but the tracer's
// types say struct sk_buff or struct xdp_buff of the running kernel. So while the tracer runs, memory of such a size and with the
// members that there is something to say of stands in the context's place. Behind its pointers to other structures is nothing.
#pragma once

#include "helpers/packet.h"
#include "prog/prog.h"

namespace modbpf {

/// Where the kernel has those members.
class packet_layout {
public:
    static constexpr u32 max_bytes = 256;

    /// For the contexts of that program type. Where the kernel has no such structure, or one that is larger, there are zeros. Task context.
    void find(u32 prog_type);
    /// Any context.
    void fill(u8 (&to)[max_bytes], const packet_run &from) const;

private:
    static constexpr u32 max_members = 12;
    struct copy {
        u16 to, from; ///< bytes in the structure and in the packet_run
        u8 size;      ///< 0: no such member
    };
    copy copies_[max_members]{};
};

}  // namespace modbpf
