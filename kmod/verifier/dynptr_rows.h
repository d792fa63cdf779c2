// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs: each rule beside what it lets pass.
#pragma once

#include "verifier/verdict_rows.h"

namespace modbpf::test {

/// A dynptr of a 16-byte ring buffer record at fp + off.
inline prog reserve_dynptr(s16 off) {
    return ld_map(r1, ringbuf_fd) +
           prog{mov(r2, 16), mov(r3, 0), mov_x(r4, r10), add(r4, off), call(BPF_FUNC_ringbuf_reserve_dynptr)};
}
inline prog end_dynptr(s16 off, u32 how = BPF_FUNC_ringbuf_discard_dynptr) { return {mov_x(r1, r10), add(r1, off), mov(r2, 0), call(how)}; }
/// A dynptr of the 48 bytes of an array's first value at fp + off.
inline prog map_dynptr(s16 off) {
    return prog{st(BPF_DW, r10, -8, 0), mov_x(r2, r10), add(r2, -8)} + ld_map(r1, array_fd) +
           prog{call(BPF_FUNC_map_lookup_elem), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
           prog{mov_x(r1, r0), mov(r2, 48), mov(r3, 0), mov_x(r4, r10), add(r4, off), call(BPF_FUNC_dynptr_from_mem)};
}
/// r0 = 8 bytes at 0 of the dynptr at fp + off.
inline prog slice(s16 off) { return {mov_x(r1, r10), add(r1, off), mov(r2, 0), mov(r3, 8), call(BPF_FUNC_dynptr_data)}; }
/// Reads 8 bytes of the dynptr at fp + off into fp + to.
inline prog read_dynptr(s16 off, s16 to) {
    return {mov_x(r1, r10), add(r1, to), mov(r2, 8), mov_x(r3, r10), add(r3, off), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_dynptr_read)};
}

inline std::vector<row> dynptr_rows() {
    prog variable = prog{call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 8)};
    prog use_slice = prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 0, 1)};
    return {
        {"reserve and discard", reserve_dynptr(-16) + end_dynptr(-16) + ret0},
        {"reserve and submit", reserve_dynptr(-16) + end_dynptr(-16, BPF_FUNC_ringbuf_submit_dynptr) + ret0},
        {"its state in the log", reserve_dynptr(-16) + end_dynptr(-16) + ret0, filter, 0, "fp-16_w=dynptr_ringbuf(id=1,ref_id=2) refs=2"},
        {"never released", reserve_dynptr(-16) + ret0, filter, EINVAL, "Unreleased reference id=2 alloc_insn=6"},
        {"released twice", reserve_dynptr(-16) + end_dynptr(-16) + end_dynptr(-16) + ret0, filter, EINVAL, "arg 1 is an unacquired reference"},
        {"used after the release", reserve_dynptr(-16) + end_dynptr(-16) + read_dynptr(-16, -24) + ret0, filter, EINVAL,
         "Expected an initialized dynptr as arg #2"},
        {"never initialised", read_dynptr(-16, -24) + ret0, filter, EINVAL, "Expected an initialized dynptr as arg #2"},
        {"read", map_dynptr(-24) + read_dynptr(-24, -32) + ret0},
        {"CVE-2023-39191: its second slot is no dynptr", map_dynptr(-24) + read_dynptr(-16, -32) + ret0, filter, EINVAL, "Expected an initialized dynptr as arg #2"},
        {"not aligned", map_dynptr(-24) + read_dynptr(-20, -32) + ret0, filter, EINVAL, "cannot pass in dynptr at an offset=-20"},
        {"too close to the frame", prog{mov(r2, 0)} + reserve_dynptr(-8) + ret0, filter, EINVAL, "cannot pass in dynptr at an offset=-8"},
        {"at a variable place", map_dynptr(-24) + variable + prog{mov_x(r6, r10), add(r6, -24), alu_x(BPF_ADD, r6, r0), mov_x(r1, r10), add(r1, -40), mov(r2, 8), mov_x(r3, r6), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_dynptr_read)} + ret0,
         filter, EINVAL, "dynptr has to be at a constant offset"},
        {"a number is no dynptr", prog{mov_x(r1, r10), add(r1, -8), mov(r2, 8), mov(r3, 0), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_dynptr_read)} + ret0,
         filter, EACCES, "R3 type=scalar expected=fp, dynptr_ptr"},
        {"not a ring buffer's", map_dynptr(-24) + end_dynptr(-24) + ret0, filter, EINVAL, "arg 1 is an unacquired reference"},
        {"stack memory has no dynptr", prog{st(BPF_DW, r10, -8, 0), mov_x(r1, r10), add(r1, -8), mov(r2, 8), mov(r3, 0), mov_x(r4, r10), add(r4, -24), call(BPF_FUNC_dynptr_from_mem)} + ret0,
         filter, EACCES, "Unsupported reg type fp for bpf_dynptr_from_mem data"},
        {"not loaded as bytes", map_dynptr(-24) + prog{ldx(BPF_DW, r1, r10, -24)} + ret0, filter, EACCES, "invalid read from stack off -24+0 size 8"},
        {"not even its last byte", map_dynptr(-24) + prog{ldx(BPF_B, r1, r10, -9)} + ret0, filter, EACCES, "invalid read from stack off -9+0 size 1"},
        {"beside it", map_dynptr(-24) + prog{ldx(BPF_DW, r1, r10, -8)} + ret0},
        {"not given to a helper as bytes", map_dynptr(-24) + prog{mov_x(r1, r10), add(r1, -24), mov(r2, 16), mov(r3, 0), call(BPF_FUNC_trace_printk)} + ret0, kprobe,
         EACCES, "invalid indirect read from stack R1 off -24+0 size 16"},
        {"nor as bytes to fill", map_dynptr(-24) + prog{mov_x(r1, r10), add(r1, -24), mov(r2, 8), mov(r3, 0), call(BPF_FUNC_probe_read_kernel)} + ret0, kprobe, EACCES,
         "potential write to dynptr at off=-24 disallowed"},
        {"a record's is not overwritten", reserve_dynptr(-16) + prog{st(BPF_DW, r10, -8, 0)} + end_dynptr(-16) + ret0, filter, EINVAL,
         "cannot overwrite referenced dynptr"},
        {"nor somewhere", reserve_dynptr(-16) + variable + prog{mov_x(r1, r10), add(r1, -16), alu_x(BPF_ADD, r1, r0), st(BPF_DW, r1, 0, 0)} + end_dynptr(-16) + ret0, filter,
         EINVAL, "cannot overwrite referenced dynptr"},
        {"nor by another dynptr", reserve_dynptr(-16) + reserve_dynptr(-24) + ret0, filter, EINVAL, "cannot overwrite referenced dynptr"},
        {"CVE-2023-39191, safe: one without a reference is overwritten", map_dynptr(-24) + prog{st(BPF_B, r10, -9, 0)} + ret0},
        {"CVE-2023-39191: overwritten in part, it is none any more", map_dynptr(-24) + prog{st(BPF_B, r10, -9, 0)} + read_dynptr(-24, -32) + ret0, filter, EINVAL, "Expected an initialized dynptr as arg #2"},
        {"and leaves plain bytes", map_dynptr(-24) + prog{st(BPF_B, r10, -9, 0), ldx(BPF_DW, r1, r10, -24)} + ret0},
        {"a slice", reserve_dynptr(-16) + slice(-16) + use_slice + end_dynptr(-16) + ret0},
        {"a slice may be NULL", reserve_dynptr(-16) + slice(-16) + prog{st(BPF_DW, r0, 0, 1)} + end_dynptr(-16) + ret0, filter, EACCES,
         "R0 invalid mem access 'mem_or_null'"},
        {"a slice has its size", reserve_dynptr(-16) + slice(-16) + prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 1, 1)} + end_dynptr(-16) + ret0, filter, EACCES,
         "invalid access to memory, mem_size=8 off=1 size=8"},
        {"a slice ends with its record", reserve_dynptr(-16) + slice(-16) + prog{mov_x(r6, r0)} + end_dynptr(-16) + prog{jmp(BPF_JEQ, r6, 0, 1), st(BPF_DW, r6, 0, 1)} + ret0,
         filter, EACCES, "R6 invalid mem access 'scalar'"},
        {"CVE-2023-39191: a slice ends with its dynptr", map_dynptr(-24) + slice(-24) + prog{jmp(BPF_JEQ, r0, 0, 2), st(BPF_DW, r10, -24, 0), ldx(BPF_DW, r1, r0, 0)} + ret0, filter, EACCES,
         "R0 invalid mem access 'scalar'"},
        {"a slice of another does not", map_dynptr(-24) + slice(-24) + prog{jmp(BPF_JEQ, r0, 0, 3), mov_x(r6, r0), st(BPF_DW, r10, -40, 0), ldx(BPF_DW, r1, r6, 0)} + ret0},
        {"the size of a slice is known", reserve_dynptr(-16) + prog{call(BPF_FUNC_get_prandom_u32), mov_x(r3, r0), mov_x(r1, r10), add(r1, -16), mov(r2, 0), call(BPF_FUNC_dynptr_data)} + end_dynptr(-16) + ret0,
         filter, EACCES, "R3 is not a known constant'"},
        {"CVE-2023-39191: paths with and without a dynptr are not one", prog{call(BPF_FUNC_get_prandom_u32), mov_x(r7, r0)} + map_dynptr(-24) +
             prog{jmp(BPF_JEQ, r7, 0, 1), st(BPF_DW, r10, -24, 0)} + read_dynptr(-24, -32) + ret0, filter, EINVAL, "Expected an initialized dynptr as arg #2"},
        {"written to", map_dynptr(-24) + prog{st(BPF_DW, r10, -32, 7), mov_x(r1, r10), add(r1, -24), mov(r2, 0), mov_x(r3, r10), add(r3, -32), mov(r4, 8), mov(r5, 0), call(BPF_FUNC_dynptr_write)} + ret0},
    };
}

}  // namespace modbpf::test
