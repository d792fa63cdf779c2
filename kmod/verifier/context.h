// SPDX-License-Identifier: GPL-2.0-only
// Program types and context layouts as data: what a program of a type may read and write through r1, what a load yields, what it
// may return, and the other rules that hang on the type.
//
// The tables themselves are in prog/types*.cpp; these are their shapes, read by the verifier (access checks, fix-ups), by PROG_LOAD
// and by `modbpf features`.
#pragma once

#include "base/bpf.h"
#include "base/span.h"

namespace modbpf {

enum class reg_type : u32; // verifier/state.h

/// A set of expected attach types, a bit each; 0 stands for all of them where a row says nothing.
using attach_set = u64;
constexpr bool in_attach_set(attach_set s, u32 attach_type) {
    return !s || (attach_type < 64 && (s >> attach_type & 1));
}

/// One field of a context that is laid out field by field (__sk_buff, xdp_md), or a run of fields with the same rules.
/// An access is allowed when it starts and ends inside, is aligned to its size, and the size is in `reads` or `writes`.
/// Rows may overlap: one that allows the access is enough.
struct ctx_field {
    const char *name;
    u16 off;         ///< in the user-visible structure
    u16 size;        ///< bytes
    u8 reads;        ///< allowed sizes of a load, or-ed (1, 2, 4, 8)
    u8 writes;       ///< allowed sizes of a store
    reg_type yields; ///< what a load gives; a pointer is loaded whole, without sign extension
    attach_set read_attach = 0; ///< expected attach types that may load it
    attach_set write_attach = 0;
    bool at_start = false;      ///< accesses of every size start where the field does
    bool read_needs_bpf = false; ///< CAP_BPF
    bool write_needs_bpf = false;
    const char *btf_type = nullptr; ///< of a pointer with a type: the kernel structure's name
    // Where modbpf can run the type.
    u16 run_off = 0;    ///< offset in the run-time context; a narrow load adds its own displacement
    u8 run_size = 0;    ///< size of the run-time load; 8 for packet pointers, else equal to the access size (0)
    u8 store_size = 0;  ///< size of the run-time store, where Linux keeps the low bytes only; 0: the access size
    bool runs = false;  ///< it is in the run-time context
};

enum class ctx_kind : u8 {
    fields,  ///< by ctx_field rows alone
    flat,    ///< aligned reads of 1, 2, 4, 8 bytes that start in [first, size) (pt_regs, tracepoint record, raw tracepoint
             ///< arguments); what rows cover goes by them
    btf,     ///< typed arguments: words that the BTF of the attach target describes (btf_ctx.cpp)
};

/// Return values that Linux enforces for some expected attach types. The first that fits counts; none: any value.
struct return_rule {
    attach_set attach;
    s32 min, max;
};

/// Which programs of the type BPF_F_SLEEPABLE is for.
enum class sleep_rule : u8 { never, may, must };

struct prog_type_info {
    u32 type;            ///< BPF_PROG_TYPE_*
    const char *name;    ///< as bpftool prints it: "kprobe", "sched_cls"
    ctx_kind kind;
    u32 size = 0;        ///< bytes of the context that may be accessed
    u32 first = 0;       ///< ctx_kind::flat: bytes below are refused (tracepoints: 8)
    span<const ctx_field> fields{};
    span<const return_rule> returns{};
    attach_set attach_types = 0; ///< expected attach types that PROG_LOAD takes; 0: any number
    u32 default_attach = 0;      ///< what an expected attach type of 0 stands for
    sleep_rule sleeps = sleep_rule::never;
    attach_set sleep_attach = 0; ///< sleep_rule::may: with which expected attach types
    bool raw_ctx = false;        ///< the context is not rewritten: helpers may read it as the memory that it is
    bool writable = false;       ///< ctx_kind::flat: stores, too
    bool packet_read = false;    ///< direct packet access
    bool packet_write = false;
    bool packet_helpers = false; ///< packet pointers go to helpers without helper_pkt_access, too
    bool ld_abs = false;         ///< legacy packet loads allowed
    bool test_run = false;       ///< PROG_TEST_RUN works
    bool verify_only = false;    ///< known to the verifier; modbpf cannot attach or run it
    attach_set runs_attach = 0;  ///< but with these expected attach types
    /// Nothing here attaches programs of the type, so that loading is all that is asked of modbpf: whatever is safe loads, and what uses
    /// something that cannot run is refused by PROG_TEST_RUN. Not for types that tools choose between by loading (tracing).
    bool held = false;
};

/// The description, or null for a number that Linux 6.12 does not know. Defined in prog/types.cpp.
const prog_type_info *find_prog_type(u32 type);
span<const prog_type_info *const> all_prog_types();

}  // namespace modbpf
