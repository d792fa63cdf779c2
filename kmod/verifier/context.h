// SPDX-License-Identifier: GPL-2.0-only
// Context layouts as data: what a program of a type may read and write through r1, and what a load yields.
//
// The tables themselves are in prog/types.cpp; these are their shapes, read by the verifier (access checks, fix-ups)
// and by `modbpf features`.
#pragma once

#include "base/bpf.h"
#include "base/span.h"

namespace modbpf {

enum class ctx_yield : u8 { scalar, packet, packet_meta, packet_end };

/// One field of a context that is laid out field by field (__sk_buff, xdp_md).
struct ctx_field {
    u16 off;         ///< in the user-visible structure
    u16 size;        ///< bytes; accesses outside one field are refused
    bool readable;
    bool writable;
    bool narrow;     ///< aligned loads of 1, 2, 4 bytes inside the field are allowed
    ctx_yield yields;
    u16 run_off;     ///< offset in the run-time context; a narrow load adds its own displacement
    u8 run_size;     ///< size of the run-time load; 8 for packet pointers, else equal to the access size (0)
    u8 store_size = 0;     ///< size of the run-time store, where Linux keeps the low bytes only; 0: the access size
    bool any_size = false; ///< __sk_buff.cb: aligned loads and stores of 1, 2, 4, 8 bytes anywhere inside
};

enum class ctx_kind : u8 {
    fields,  ///< by ctx_field rows; accesses are rewritten to run_off
    flat,    ///< any aligned read of 1, 2, 4, 8 bytes in [first, size) (pt_regs, tracepoint record, raw tracepoint
             ///< arguments); not rewritten
    words,   ///< aligned 8-byte reads below `size` (typed tracing arguments); not rewritten
};

struct prog_type_info {
    u32 type;            ///< BPF_PROG_TYPE_*
    const char *name;    ///< as bpftool prints it: "kprobe", "sched_cls"
    ctx_kind kind;
    u32 size;            ///< bytes of the context that may be accessed
    span<const ctx_field> fields;
    bool packet_read;    ///< direct packet access
    bool packet_write;
    bool ld_abs;         ///< legacy packet loads allowed
    bool test_run;       ///< PROG_TEST_RUN works
    s32 ret_min, ret_max; ///< return value range that Linux enforces; {INT_MIN, INT_MAX}: any
    u32 first = 0;       ///< ctx_kind::flat: bytes below are refused (tracepoints: 8)
    bool verify_only = false; ///< known to the verifier; modbpf cannot attach or run it
    bool may_sleep = false; ///< BPF_F_SLEEPABLE is taken (kprobe programs: for uprobes)
};

/// The description, or null when modbpf does not have the type. Defined in prog/types.cpp.
const prog_type_info *find_prog_type(u32 type);
span<const prog_type_info> all_prog_types();

}  // namespace modbpf
