// SPDX-License-Identifier: GPL-2.0-only
// Verdicts as data: each row a program, its verdict and a piece of the log.
#pragma once

#include "verifier/asm_test.h"

namespace modbpf::test {

inline constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER, kprobe = BPF_PROG_TYPE_KPROBE, tp = BPF_PROG_TYPE_TRACEPOINT,
              raw_tp = BPF_PROG_TYPE_RAW_TRACEPOINT, cls = BPF_PROG_TYPE_SCHED_CLS, xdp = BPF_PROG_TYPE_XDP;

struct row {
    const char *name;
    prog p;
    u32 type = filter;
    int err = 0;
    const char *text = "";
    u32 flags = 0;
};

inline const prog ret0 = {mov(r0, 0), exit_()};

inline std::vector<row> basic_rows() {
    return {
        {"return a constant", ret0},
        {"no r0", {exit_()}, filter, EACCES, "R0 !read_ok"},
        {"uninitialised source", prog{mov_x(r0, r2), exit_()}, filter, EACCES, "R2 !read_ok"},
        {"frame pointer is read only", prog{mov(r10, 1)} + ret0, filter, EACCES, "frame pointer is read only"},
        {"no register 11", prog{mov_x(r0, 11), exit_()}, filter, EINVAL, "R11 is invalid"},
        {"unreachable", prog{exit_(), mov(r0, 0), exit_()}, filter, EINVAL, "unreachable insn 1"},
        {"jump out of range", prog{ja(5)} + ret0, filter, EINVAL, "jump out of range from insn 0 to 6"},
        {"jump back out of range", prog{mov(r0, 0), ja(-3)}, filter, EINVAL, "jump out of range from insn 1 to -1"},
        {"no exit", {mov(r0, 0)}, filter, EINVAL, "last insn is not an exit or jmp"},
        {"endless jump", prog{mov(r0, 0), ja(-1)}, filter, EINVAL, "infinite loop detected at insn 1"},
        {"endless loop", prog{mov(r0, 0), jmp(BPF_JEQ, r0, 0, -1), exit_()}, filter, EINVAL, "infinite loop detected"},
        {"bounded loop", prog{mov(r0, 0), add(r0, 1), jmp(BPF_JLT, r0, 10, -2), exit_()}},
        {"bounded loop of unknown count",
         prog{call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 15), mov(r1, 0), add(r1, 1), jmp_x(BPF_JLT, r1, r0, -2)} + ret0},
        {"into the middle of a 64-bit immediate", prog{jmp(BPF_JEQ, r1, 0, 1)} + ld64(r0, 1) + exit_(), filter, EINVAL,
         "jump into the middle of ldimm64 insn 1"},
        {"half a 64-bit immediate", {raw(BPF_LD | BPF_IMM | BPF_DW, r0, 0, 0, 1), exit_()}, filter, EINVAL,
         "invalid bpf_ld_imm64 insn"},
        {"unknown opcode", prog{raw(0xff, 0, 0, 0, 0)} + ret0, filter, EINVAL, "unknown opcode ff"},
        {"division by zero", prog{mov(r0, 1), alu(BPF_DIV, r0, 0), exit_()}, filter, EINVAL, "div by zero"},
        {"shift too far", prog{mov(r0, 1), alu(BPF_LSH, r0, 64), exit_()}, filter, EINVAL, "invalid shift 64"},
        {"shift just far enough", prog{mov(r0, 1), alu(BPF_LSH, r0, 63), exit_()}},
        {"reserved fields", prog{raw(BPF_ALU64 | BPF_ADD | BPF_X, 0, 1, 0, 5)} + ret0, filter, EINVAL, "uses reserved fields"},
        {"neg", prog{mov(r0, 1), raw(BPF_ALU64 | BPF_NEG, 0, 0, 0, 0), exit_()}},
        {"bswap", prog{mov(r0, 1), raw(BPF_ALU64 | BPF_END, 0, 0, 0, 16), exit_()}},
        {"gotol", prog{mov(r0, 1), raw(BPF_JMP32 | BPF_JA, 0, 0, 0, 0), exit_()}},
        {"may_goto", prog{mov(r0, 0), raw(BPF_JMP | BPF_JCOND, 0, 0, 1, 0), mov(r0, 1), exit_()}},
        {"unknown map", ld_map(r1, 77) + ret0, filter, EBADF, "fd 77 is not pointing to valid bpf_map"},
        {"value of a map without values", ld_value(r1, ringbuf_fd, 0) + ret0, filter, EINVAL, "no direct value access"},
        {"index without array", prog{raw(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_IDX, 0, 0), raw(0, 0, 0, 0, 0)} + ret0,
         filter, EPROTO, "fd_idx without fd_array is invalid"},
        {"dead code behind a decided branch", prog{mov(r0, 0), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r0, r0, 0), exit_()}},
    };
}

inline std::vector<row> stack_rows() {
    return {
        {"spill and fill", prog{stx(BPF_DW, r10, r1, -8), ldx(BPF_DW, r2, r10, -8), ldx(BPF_W, r0, r2, 0), exit_()}},
        {"fill of half a pointer", prog{stx(BPF_DW, r10, r1, -8), ldx(BPF_W, r0, r10, -8), exit_()}, filter, EACCES,
         "invalid size of register fill"},
        {"spill of half a pointer", prog{stx(BPF_W, r10, r1, -8)} + ret0, filter, EACCES, "invalid size of register spill"},
        {"a corrupted pointer is a number",
         prog{stx(BPF_DW, r10, r1, -8), st(BPF_B, r10, -7, 0), ldx(BPF_DW, r2, r10, -8), ldx(BPF_W, r0, r2, 0), exit_()}, filter,
         EACCES, "R2 invalid mem access 'scalar'"},
        {"above the frame", prog{st(BPF_DW, r10, 0, 0)} + ret0, filter, EACCES, "invalid write to stack R10 off=0 size=8"},
        {"across the top", prog{mov_x(r1, r10), add(r1, -4), st(BPF_DW, r1, 0, 0)} + ret0, filter, EACCES, "misaligned stack access"},
        {"below the frame", prog{st(BPF_DW, r10, -520, 0)} + ret0, filter, EACCES, "invalid write to stack R10 off=-520 size=8"},
        {"lowest slot", prog{st(BPF_DW, r10, -512, 0)} + ret0},
        {"misaligned", prog{st(BPF_W, r10, -7, 0)} + ret0, filter, EACCES, "misaligned stack access off 0+0+-7 size 4"},
        {"uninitialised stack is a number", prog{ldx(BPF_DW, r0, r10, -8), exit_()}},
        {"variable offset read",
         prog{st(BPF_DW, r10, -8, 1), st(BPF_DW, r10, -16, 2), ldx(BPF_W, r2, r1, 0), alu(BPF_AND, r2, 8), add(r2, -16),
              add_x(r2, r10), ldx(BPF_DW, r0, r2, 0), exit_()}},
        {"variable offset out of the frame",
         prog{ldx(BPF_W, r2, r1, 0), alu(BPF_AND, r2, 8), add(r2, -8), add_x(r2, r10), ldx(BPF_DW, r0, r2, 0), exit_()}, filter,
         EINVAL, "invalid variable-offset read from stack R2"},
        {"unbounded offset", prog{ldx(BPF_W, r2, r1, 0), add_x(r2, r10), ldx(BPF_B, r0, r2, 0), exit_()}, filter, EACCES,
         "invalid unbounded variable-offset read from stack R2"},
        {"variable write kills a spilled pointer",
         prog{stx(BPF_DW, r10, r1, -8), ldx(BPF_W, r2, r1, 0), alu(BPF_AND, r2, 8), add(r2, -16), add_x(r2, r10),
              st(BPF_DW, r2, 0, 0), ldx(BPF_DW, r3, r10, -8), ldx(BPF_W, r0, r3, 0), exit_()},
         filter, EACCES, "R3 invalid mem access 'scalar'"},
        {"subtraction from the frame pointer", prog{mov_x(r1, r10), mov(r2, 8), alu_x(BPF_SUB, r1, r2)} + ret0, filter, EACCES,
         "R1 subtraction from stack pointer prohibited"},
        {"atomic add", prog{st(BPF_DW, r10, -8, 0), mov(r1, 1), atomic(BPF_DW, BPF_ADD, r10, r1, -8)} + ret0},
        {"atomic fetch of a pointer slot makes no pointer",
         prog{stx(BPF_DW, r10, r1, -8), mov(r2, 1), atomic(BPF_W, BPF_ADD | BPF_FETCH, r10, r2, -8)} + ret0, filter, EACCES,
         "invalid size of register fill"},
        {"atomic on the context", prog{mov(r2, 1), atomic(BPF_DW, BPF_ADD, r1, r2, 0)} + ret0, filter, EACCES,
         "BPF_ATOMIC stores into R1 ctx is not allowed"},
        {"unknown atomic", prog{mov(r2, 1), atomic(BPF_DW, 0x20, r10, r2, -8)} + ret0, filter, EINVAL, "invalid atomic opcode"},
        {"cmpxchg needs r0", prog{mov(r2, 1), st(BPF_DW, r10, -8, 0), atomic(BPF_DW, BPF_CMPXCHG, r10, r2, -8)} + ret0, filter,
         EACCES, "R0 !read_ok"},
    };
}

inline std::vector<row> map_rows() {
    return {
        {"value without a check", lookup() + prog{ldx(BPF_DW, r0, r0, 0), exit_()}, filter, EACCES,
         "R0 invalid mem access 'map_value_or_null'"},
        {"value after a check", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 40, 1)} + ret0},
        {"value out of bounds", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 41, 1)} + ret0, filter, EACCES,
         "invalid access to map value, value_size=48 off=41 size=8"},
        {"value below", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, -8, 1)} + ret0, filter, EACCES,
         "R0 min value is outside of the allowed memory range"},
        {"variable index", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), ldx(BPF_W, r1, r0, 0), alu(BPF_AND, r1, 40), add_x(r0, r1),
                                          st(BPF_DW, r0, 0, 1)} + ret0, filter, 0, ""},
        {"variable index too large", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), ldx(BPF_W, r1, r0, 0), alu(BPF_AND, r1, 63),
                                                     add_x(r0, r1), st(BPF_DW, r0, 0, 1)} + ret0, filter, EACCES,
         "R0 max value is outside of the allowed memory range"},
        {"unbounded index", lookup() + prog{jmp(BPF_JEQ, r0, 0, 3), ldx(BPF_W, r1, r0, 0), add_x(r0, r1), st(BPF_B, r0, 0, 1)} +
                                ret0, filter, EACCES, "unbounded memory access"},
        {"signed index", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), ldx(BPF_DW, r1, r0, 0), jmp(BPF_JSGT, r1, 8, 2), add_x(r0, r1),
                                         st(BPF_B, r0, 0, 1)} + ret0, filter, EINVAL, "unbounded min value"},
        {"copies of a pointer are checked together",
         lookup() + prog{mov_x(r6, r0), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r6, 0)} + ret0},
        {"other look-ups are not", lookup() + mov_x(r6, r0) + lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r6, 0)} + ret0,
         filter, EACCES, "R6 invalid mem access 'map_value_or_null'"},
        {"arithmetic before the check", lookup() + prog{add(r0, 4)} + ret0, filter, EACCES,
         "R0 pointer arithmetic on map_value_or_null prohibited, null-check it first"},
        {"uninitialised key area is fine", prog{mov_x(r2, r10), add(r2, -8)} + ld_map(r1, hash_fd) + call(BPF_FUNC_map_lookup_elem) + ret0},
        {"key too short", prog{mov_x(r2, r10), add(r2, -4)} + ld_map(r1, hash_fd) + call(BPF_FUNC_map_lookup_elem) + ret0, filter,
         EINVAL, "invalid indirect access to stack R2 off=-4 size=8"},
        {"key is no pointer", prog{mov(r2, 0)} + ld_map(r1, hash_fd) + call(BPF_FUNC_map_lookup_elem) + ret0, filter, EACCES,
         "R2 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value"},
        {"no map", prog{mov_x(r2, r10), add(r2, -8), mov(r1, 0), call(BPF_FUNC_map_lookup_elem)} + ret0, filter, EACCES,
         "R1 type=scalar expected=map_ptr"},
        {"wrong kind of map", prog{mov_x(r2, r10), add(r2, -8)} + ld_map(r1, prog_array_fd) + call(BPF_FUNC_map_lookup_elem) + ret0,
         filter, EINVAL, "cannot pass map_type 3 into func bpf_map_lookup_elem#1"},
        {"arithmetic on a map", ld_map(r1, hash_fd) + prog{add(r1, 8)} + ret0, filter, EACCES,
         "R1 pointer arithmetic on map_ptr prohibited"},
        {"direct value", ld_value(r1, array_fd, 0) + prog{ldx(BPF_DW, r0, r1, 40), exit_()}, filter, ENOTSUPP, ""},
        {"constant of a frozen map", ld_value(r1, rodata_fd, 0) + prog{ldx(BPF_W, r2, r1, 0), jmp(BPF_JEQ, r2, 5, 1), ldx(BPF_DW, r0, r2, 0)} + ret0},
        {"signed constant of a frozen map",
         ld_value(r1, rodata_fd, 4) + prog{ldsx(BPF_W, r2, r1, 0), jmp(BPF_JEQ, r2, -2, 1), ldx(BPF_DW, r0, r2, 0)} + ret0},
        {"write to a frozen map", ld_value(r1, rodata_fd, 0) + prog{st(BPF_W, r1, 0, 1)} + ret0, filter, EACCES,
         "write into map forbidden"},
        {"read of a write-only map", ld_value(r1, wronly_fd, 0) + prog{ldx(BPF_W, r0, r1, 0), exit_()}, filter, EACCES,
         "read from map forbidden"},
        {"update of a read-only map", prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4), mov_x(r3, r10), add(r3, -56), mov(r4, 0)} +
                                          ld_map(r1, rdonly_fd) + call(BPF_FUNC_map_update_elem) + ret0, filter, EACCES,
         "write into map forbidden"},
        {"value not constant while not frozen", ld_value(r1, rdonly_fd, 0) + prog{ldx(BPF_W, r2, r1, 0), jmp(BPF_JEQ, r2, 0, 1), ldx(BPF_DW, r0, r2, 0)} + ret0,
         filter, EACCES, "R2 invalid mem access 'scalar'"},
    };
}

inline std::vector<row> helper_rows() {
    return {
        {"unknown helper", prog{call(9999)} + ret0, filter, EINVAL, "invalid func unknown#9999"},
        {"helper of another type", prog{call(BPF_FUNC_redirect)} + ret0, kprobe, EINVAL,
         "program of this type cannot use helper bpf_redirect#23"},
        {"r1-r5 are gone", prog{mov(r1, 1), call(BPF_FUNC_ktime_get_ns), mov_x(r0, r1), exit_()}, filter, EACCES, "R1 !read_ok"},
        {"r6-r9 stay", prog{mov(r6, 1), call(BPF_FUNC_ktime_get_ns), mov_x(r0, r6), exit_()}},
        {"tail call", prog{mov(r3, 0)} + ld_map(r2, prog_array_fd) + call(BPF_FUNC_tail_call) + ret0},
        {"tail call leaves no r0", prog{mov(r3, 0)} + ld_map(r2, prog_array_fd) + call(BPF_FUNC_tail_call) + exit_(), filter, EACCES,
         "R0 !read_ok"},
        {"get_func_ip elsewhere", prog{call(BPF_FUNC_get_func_ip)} + ret0, tp, ENOTSUPP, "not supported for program type 5"},
        {"get_func_ip", prog{call(BPF_FUNC_get_func_ip)} + ret0, kprobe},
        {"size may be zero", prog{mov_x(r6, r1), ldx(BPF_DW, r2, r1, 0), alu(BPF_AND, r2, 7), mov_x(r1, r10), add(r1, -16), mov(r3, 0),
                                 call(BPF_FUNC_get_current_comm)} + ret0, kprobe, EACCES, "R2 invalid zero-sized read"},
        {"size too large", prog{mov(r2, 17), mov_x(r1, r10), add(r1, -16), call(BPF_FUNC_get_current_comm)} + ret0, kprobe, EINVAL, "invalid indirect access to stack R1 off=-16 size=17"},
        {"size unbounded", prog{ldx(BPF_DW, r2, r1, 0), mov_x(r1, r10), add(r1, -16), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0,
         kprobe, EACCES, "R2 min value is negative"},
        {"size bounded", prog{ldx(BPF_DW, r2, r1, 0), alu(BPF_AND, r2, 15), mov_x(r1, r10), add(r1, -16), mov(r3, 0),
                              call(BPF_FUNC_probe_read)} + ret0, kprobe},
        {"memory written by a helper is no pointer",
         prog{stx(BPF_DW, r10, r1, -8), mov(r2, 8), mov_x(r1, r10), add(r1, -8), mov(r3, 0), call(BPF_FUNC_probe_read),
              ldx(BPF_DW, r1, r10, -8), ldx(BPF_DW, r0, r1, 0), exit_()}, kprobe, EACCES, "R1 invalid mem access 'scalar'"},
        {"snprintf", ld_value(r3, rodata_fd, 8) + prog{st(BPF_DW, r10, -8, 7), mov_x(r1, r10), add(r1, -32), mov(r2, 16), mov_x(r4, r10),
                     add(r4, -8), mov(r5, 8), call(BPF_FUNC_snprintf)} + ret0, kprobe},
        {"snprintf without arguments", ld_value(r3, rodata_fd, 8) + prog{mov_x(r1, r10), add(r1, -32), mov(r2, 16), mov(r4, 0),
                     mov(r5, 0), call(BPF_FUNC_snprintf)} + ret0, kprobe, EINVAL, "Invalid format string"},
        {"snprintf of an endless string", ld_value(r3, rodata_fd, 16) + prog{mov_x(r1, r10), add(r1, -32), mov(r2, 16), mov(r4, 0),
                     mov(r5, 0), call(BPF_FUNC_snprintf)} + ret0, kprobe, EINVAL, "string is not zero-terminated"},
        {"snprintf of a string that may change", ld_value(r3, rdonly_fd, 8) + prog{mov_x(r1, r10), add(r1, -32), mov(r2, 16), mov(r4, 0),
                     mov(r5, 0), call(BPF_FUNC_snprintf)} + ret0, kprobe, EACCES, "R3 does not point to a readonly map'"},
    };
}

inline const prog reserve = prog{mov(r2, 16), mov(r3, 0)} + ld_map(r1, ringbuf_fd) + call(BPF_FUNC_ringbuf_reserve);
inline const prog submit = prog{mov_x(r1, r0), mov(r2, 0), call(BPF_FUNC_ringbuf_submit)};

inline std::vector<row> ref_rows() {
    return {
        {"reserve and submit", reserve + prog{jmp(BPF_JEQ, r0, 0, 4), st(BPF_DW, r0, 8, 1)} + submit + ret0},
        {"leak", reserve + prog{jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r0, 8, 1)} + ret0, filter, EINVAL,
         "Unreleased reference id=2 alloc_insn=4"},
        {"leak without a check", reserve + ret0, filter, EINVAL, "Unreleased reference id="},
        {"record out of bounds", reserve + prog{jmp(BPF_JEQ, r0, 0, 4), st(BPF_DW, r0, 9, 1)} + submit + ret0, filter, EACCES,
         "invalid access to memory, mem_size=16 off=9 size=8"},
        {"submit without a check", reserve + submit + ret0, filter, EACCES, "R1 type=ringbuf_mem_or_null expected=ringbuf_mem"},
        {"use after submit", reserve + prog{jmp(BPF_JEQ, r0, 0, 5), mov_x(r6, r0)} + submit + prog{ldx(BPF_DW, r1, r6, 0)} + ret0, filter,
         EACCES, "R6 invalid mem access 'scalar'"},
        {"submit twice", reserve + prog{jmp(BPF_JEQ, r0, 0, 7), mov_x(r6, r0)} + submit + prog{mov_x(r0, r6)} + submit + ret0, filter,
         EACCES, "expected=ringbuf_mem"},
        {"use of a sum with the record after submit", reserve + prog{jmp(BPF_JEQ, r0, 0, 6), mov(r6, 0), add_x(r6, r0)} + submit + prog{ldx(BPF_DW, r1, r6, 0)} + ret0,
         filter, EACCES, "R6 invalid mem access 'scalar'"},
        {"submit of the middle", reserve + prog{jmp(BPF_JEQ, r0, 0, 4), add(r0, 8)} + submit + ret0, filter, EINVAL,
         "must have zero offset when passed to release func"},
        {"submit of other memory", prog{mov_x(r0, r10), add(r0, -8)} + submit + ret0, filter, EACCES, "R1 type=fp expected=ringbuf_mem"},
        {"size not constant", prog{ldx(BPF_W, r2, r1, 0), mov(r3, 0)} + ld_map(r1, ringbuf_fd) + call(BPF_FUNC_ringbuf_reserve) + ret0,
         filter, EACCES, "R2 is not a known constant'"},
        {"packet load with a reference", prog{mov_x(r6, r1)} + reserve + prog{jmp(BPF_JEQ, r0, 0, 6), mov_x(r7, r0), ld_abs(BPF_B, 0), mov_x(r0, r7)} + submit + ret0,
         filter, EINVAL, "cannot be mixed with socket references"},
        {"tail call with a reference", prog{mov_x(r6, r1)} + reserve + prog{jmp(BPF_JEQ, r0, 0, 10), mov_x(r7, r0), mov_x(r1, r6), mov(r3, 0)} +
             ld_map(r2, prog_array_fd) + prog{call(BPF_FUNC_tail_call), mov_x(r0, r7)} + submit + ret0, filter, EINVAL,
         "tail_call would lead to reference leak"},
    };
}

inline std::vector<row> ctx_rows() {
    return {
        {"field", prog{ldx(BPF_W, r0, r1, 0), exit_()}},
        {"part of a field", prog{ldx(BPF_B, r0, r1, 1), exit_()}},
        {"two fields", prog{ldx(BPF_DW, r0, r1, 0), exit_()}, filter, EACCES, "invalid bpf_context access off=0 size=8"},
        {"beyond the context", prog{ldx(BPF_W, r0, r1, 400), exit_()}, filter, EACCES, "invalid bpf_context access off=400 size=4"},
        {"below the context", prog{ldx(BPF_W, r0, r1, -4), exit_()}, filter, EACCES, "invalid bpf_context access off=-4 size=4"},
        {"data of a socket filter", prog{ldx(BPF_W, r0, r1, 76), exit_()}, filter, EACCES, "invalid bpf_context access off=76 size=4"},
        {"moved context", prog{add(r1, 4), ldx(BPF_W, r0, r1, 0), exit_()}, filter, EACCES, "dereference of modified ctx ptr R1 off=4 disallowed"},
        {"variable offset", prog{ldx(BPF_W, r2, r1, 0), alu(BPF_AND, r2, 4), add_x(r1, r2), ldx(BPF_W, r0, r1, 0), exit_()}, filter, EACCES,
         "variable ctx access var_off=(0x0; 0x4) disallowed"},
        {"pt_regs", prog{ldx(BPF_DW, r0, r1, 160), exit_()}, kprobe},
        {"beyond pt_regs", prog{ldx(BPF_DW, r0, r1, 168), exit_()}, kprobe, EACCES, "invalid bpf_context access off=168 size=8"},
        {"write to pt_regs", prog{st(BPF_DW, r1, 0, 0)} + ret0, kprobe, EACCES, "invalid bpf_context access off=0 size=8"},
        {"misaligned pt_regs", prog{ldx(BPF_DW, r0, r1, 4), exit_()}, kprobe, EACCES, "invalid bpf_context access"},
        {"hidden word of a tracepoint", prog{ldx(BPF_DW, r0, r1, 0), exit_()}, tp, EACCES, "invalid bpf_context access off=0 size=8"},
        {"tracepoint", prog{ldx(BPF_DW, r0, r1, 8), exit_()}, tp},
        {"raw tracepoint", prog{ldx(BPF_DW, r0, r1, 88), exit_()}, raw_tp},
        {"beyond the arguments", prog{ldx(BPF_DW, r0, r1, 96), exit_()}, raw_tp, EACCES, "invalid bpf_context access off=96 size=8"},
        {"cb", prog{st(BPF_DW, r1, 48, 5), ldx(BPF_B, r0, r1, 67), exit_()}},
        {"write to mark", prog{st(BPF_W, r1, 8, 5)} + ret0, cls},
        {"write to mark of a socket filter", prog{st(BPF_W, r1, 8, 5)} + ret0, filter, EACCES, "invalid bpf_context access off=8 size=4"},
        {"ctx and stack by one instruction",
         prog{mov_x(r6, r1), st(BPF_DW, r10, -8, 0), ldx(BPF_W, r0, r1, 0), mov_x(r2, r10), add(r2, -8), jmp(BPF_JEQ, r0, 1, 1),
              mov_x(r2, r6), ldx(BPF_W, r0, r2, 0), exit_()}, filter, EINVAL, "same insn cannot be used with different pointers"},
        {"packet load", prog{mov_x(r6, r1), ld_abs(BPF_H, 12), exit_()}},
        {"indirect packet load", prog{mov_x(r6, r1), mov(r7, 3), ld_ind(BPF_W, r7, 12), exit_()}},
        {"packet load without context", prog{mov(r6, 0), ld_abs(BPF_H, 12), exit_()}, filter, EINVAL, "R6 != pointer to skb"},
        {"packet load without r6", prog{ld_abs(BPF_H, 12), exit_()}, filter, EACCES, "R6 !read_ok"},
        {"packet load in a probe", prog{mov_x(r6, r1), ld_abs(BPF_H, 12), exit_()}, kprobe, EINVAL, "not allowed for this program type"},
        {"packet load of 8 bytes", prog{mov_x(r6, r1), raw(BPF_LD | BPF_ABS | BPF_DW, 0, 0, 0, 0), exit_()}, filter, EINVAL, ""},
    };
}

/// r2 = data, r3 = data_end.
inline const prog xdp_data = {ldx(BPF_W, r2, r1, 0), ldx(BPF_W, r3, r1, 4)};

inline std::vector<row> packet_rows() {
    auto guarded = [](u8 op, s32 bytes, bpf_insn use) {
        return xdp_data + prog{mov_x(r4, r2), add(r4, bytes), jmp_x(op, r4, r3, 1), use} + ret0;
    };
    return {
        {"checked", guarded(BPF_JGT, 8, ldx(BPF_DW, r0, r2, 0)), xdp},
        {"unchecked", xdp_data + prog{ldx(BPF_B, r0, r2, 0)} + ret0, xdp, EACCES, "invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)"},
        {"one byte too many", guarded(BPF_JGT, 8, ldx(BPF_DW, r0, r2, 1)), xdp, EACCES, "R2 offset is outside of the packet"},
        {"below", guarded(BPF_JGT, 8, ldx(BPF_B, r0, r2, -1)), xdp, EACCES, ""},
        {"exclusive", guarded(BPF_JGE, 8, ldx(BPF_B, r0, r2, 8)), xdp},
        {"exclusive, too many", guarded(BPF_JGE, 8, ldx(BPF_B, r0, r2, 9)), xdp, EACCES, "offset is outside of the packet"},
        {"wrong arm", guarded(BPF_JLE, 8, ldx(BPF_B, r0, r2, 0)), xdp, EACCES, "offset is outside of the packet"},
        {"end on the left", xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JLT, r3, r4, 1), ldx(BPF_DW, r0, r2, 0)} + ret0, xdp},
        {"32-bit comparison", xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp32_x(BPF_JGT, r4, r3, 1), ldx(BPF_DW, r0, r2, 0)} + ret0, xdp, EACCES, ""},
        {"write", guarded(BPF_JGT, 8, st(BPF_DW, r2, 0, 1)), xdp},
        {"arithmetic on the end", xdp_data + prog{add(r3, 1)} + ret0, xdp, EACCES, "R3 pointer arithmetic on pkt_end prohibited"},
        {"variable header",
         xdp_data + prog{mov_x(r4, r2), add(r4, 1), jmp_x(BPF_JGT, r4, r3, 6), ldx(BPF_B, r5, r2, 0), add_x(r2, r5), mov_x(r4, r2), add(r4, 4),
                         jmp_x(BPF_JGT, r4, r3, 1), ldx(BPF_W, r0, r2, 0)} + ret0, xdp},
        {"variable header unchecked",
         xdp_data + prog{mov_x(r4, r2), add(r4, 1), jmp_x(BPF_JGT, r4, r3, 3), ldx(BPF_B, r5, r2, 0), add_x(r2, r5), ldx(BPF_W, r0, r2, 0)} + ret0,
         xdp, EACCES, "offset is outside of the packet"},
        {"packet moved by a helper",
         prog{mov_x(r6, r1)} + xdp_data + prog{mov_x(r7, r2), mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 4), mov_x(r1, r6), mov(r2, 4),
              call(BPF_FUNC_xdp_adjust_head), ldx(BPF_B, r0, r7, 0)} + ret0, xdp, EACCES, "R7 invalid mem access 'scalar'"},
        {"packet as a key", xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 3)} + ld_map(r1, hash_fd) +
             call(BPF_FUNC_map_lookup_elem) + ret0, xdp},
        {"classifier", prog{ldx(BPF_W, r2, r1, 76), ldx(BPF_W, r3, r1, 80), mov_x(r4, r2), add(r4, 14), jmp_x(BPF_JGT, r4, r3, 1),
                            ldx(BPF_H, r0, r2, 12)} + ret0, cls},
        {"packet pointers are 8 bytes wide", prog{ldx(BPF_H, r2, r1, 0)} + ret0, xdp, EACCES, "invalid bpf_context access"},
    };
}

inline std::vector<row> range_rows() {
    // r1 is a value of a map, r2 an unknown number; `bound` narrows r2, then r1 + r2 is read.
    auto indexed = [](const prog &bound) {
        return lookup() + prog{jmp(BPF_JNE, r0, 0, 1), exit_(), mov_x(r1, r0), ldx(BPF_DW, r2, r1, 0)} + bound +
               prog{add_x(r1, r2), ldx(BPF_B, r0, r1, 0)} + ret0;
    };
    return {
        {"jgt", indexed({jmp(BPF_JGT, r2, 47, 2)})},
        {"jgt one more", indexed({jmp(BPF_JGT, r2, 48, 2)}), filter, EACCES, "max value is outside"},
        {"signed both ends", indexed({jmp(BPF_JSLT, r2, 0, 3), jmp(BPF_JSGT, r2, 47, 2)})},
        {"jmp32 says nothing of the upper half", indexed({jmp32(BPF_JGT, r2, 47, 2)}), filter, EINVAL, "unbounded min value"},
        {"jmp32 on a zero-extended number", indexed({mov32_x(r2, r2), jmp32(BPF_JGT, r2, 47, 2)})},
        {"mask", indexed({alu(BPF_AND, r2, 31)})},
        {"alu32 mask", indexed({alu32(BPF_AND, r2, 31)})},
        {"modulo is not followed", indexed({alu(BPF_MOD, r2, 48)}), filter, EINVAL, "unbounded min value"},
        {"right shift", indexed({alu(BPF_RSH, r2, 59)})},
        {"arithmetic right shift may be negative", indexed({alu(BPF_ARSH, r2, 59)}), filter, EACCES, "min value is negative"},
        {"a 32-bit move zero-extends (CVE-2017-16995)", indexed({mov32(r2, -1)}), filter, EINVAL, "math between map_value pointer and 4294967295"},
        {"or of small numbers", indexed({alu(BPF_AND, r2, 31), alu(BPF_OR, r2, 3)})},
        {"product too large", indexed({alu(BPF_AND, r2, 15), alu(BPF_MUL, r2, 4)}), filter, EACCES, "max value is outside"},
        {"movsx", indexed({alu(BPF_AND, r2, 31), movsx(r2, r2, 8)})},
        {"movsx of a byte that may be negative", indexed({movsx(r2, r2, 8)}), filter, EACCES, "min value is negative"},
        {"copies are narrowed together", indexed({mov_x(r3, r2), jmp(BPF_JGT, r3, 47, 2)})},
        {"a copy plus a constant", indexed({alu32(BPF_AND, r2, 255), mov_x(r3, r2), add(r3, 8), jmp(BPF_JGT, r3, 55, 2)})},
        {"a copy plus too large a constant", indexed({alu32(BPF_AND, r2, 255), mov_x(r3, r2), add(r3, 8), jmp(BPF_JGT, r3, 56, 2)}), filter, EACCES, ""},
        {"a spilled copy", indexed({alu32(BPF_AND, r2, 255), stx(BPF_DW, r10, r2, -16), jmp(BPF_JGT, r2, 47, 3), ldx(BPF_DW, r2, r10, -16)})},
        {"a fill that extends a sign is another number",
         indexed({alu32(BPF_AND, r2, 255), stx(BPF_B, r10, r2, -16), ldsx(BPF_B, r3, r10, -16), jmp(BPF_JNE, r2, 200, 4), mov_x(r2, r3),
                  add(r2, -160)}), filter, EACCES, "min value is negative"},
        {"a fill without a sign to extend is the same",
         indexed({alu32(BPF_AND, r2, 127), stx(BPF_B, r10, r2, -16), ldsx(BPF_B, r3, r10, -16), jmp(BPF_JGT, r2, 47, 3), mov_x(r2, r3)})},
        {"copies are narrowed together when one arm is impossible",
         indexed({alu(BPF_AND, r2, 62), jmp(BPF_JGT, r2, 47, 5), mov_x(r3, r2), jmp(BPF_JGT, r3, 46, 3), add(r2, 1)})},
        {"copies are not narrowed by what holds anyway",
         indexed({alu(BPF_AND, r2, 62), jmp(BPF_JGT, r2, 47, 5), mov_x(r3, r2), jmp(BPF_JGT, r3, 47, 3), add(r2, 1)}), filter, EACCES,
         "max value is outside"},
        {"zero-extended copy of a 64-bit number is another", indexed({mov32_x(r3, r2), jmp(BPF_JGT, r3, 47, 2)}), filter, EINVAL, "unbounded min value"},
        {"pointer plus pointer", prog{add_x(r1, r10)} + ret0, filter, EACCES, "R1 pointer += pointer prohibited"},
        {"pointer times", prog{alu(BPF_MUL, r1, 2)} + ret0, filter, EACCES, "R1 pointer arithmetic with *= operator prohibited"},
        {"pointer and", prog{alu(BPF_AND, r1, 2)} + ret0, filter, EACCES, "R1 bitwise operator &= on pointer prohibited"},
        {"pointer in 32 bits", prog{alu32(BPF_ADD, r1, 2)} + ret0, filter, EACCES, "R1 32-bit pointer arithmetic prohibited"},
        {"number minus pointer", prog{mov(r2, 5), alu_x(BPF_SUB, r2, r1)} + ret0, filter, EACCES, "R2 tried to subtract pointer from scalar"},
        {"huge offset", prog{mov_x(r2, r10), add(r2, 1 << 29)} + ret0, filter, EINVAL, "math between fp pointer and 536870912 is not allowed"},
        {"offsets that add up", prog{mov_x(r2, r10), add(r2, (1 << 29) - 1), add(r2, (1 << 29) - 1)} + ret0, filter, EINVAL, "fp pointer offset"},
    };
}

inline std::vector<row> prune_rows() {
    prog two_ways = prog{call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0)};
    return {
        // The second arm reaches the same use with another index: the number must be compared.
        {"index after a join", two_ways + prog{mov(r7, 8), jmp(BPF_JEQ, r6, 0, 1), mov(r7, 80)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r7), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES, "invalid access to map value"},
        {"index through the stack", two_ways + prog{st(BPF_DW, r10, -16, 8), jmp(BPF_JEQ, r6, 0, 1), st(BPF_DW, r10, -16, 80)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 3), ldx(BPF_DW, r7, r10, -16), add_x(r0, r7), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES,
         "invalid access to map value"},
        {"index through a comparison of registers (CVE-2023-2163)",
         two_ways + prog{mov(r7, 8), mov(r8, 8), jmp(BPF_JEQ, r6, 0, 1), mov(r8, 80)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 3), jmp_x(BPF_JNE, r7, r8, 2), ja(0), ldx(BPF_B, r1, r0, 0)} + ret0},
        {"pointer or number", two_ways + prog{mov_x(r7, r10), jmp(BPF_JEQ, r6, 0, 1), mov(r7, 0), ja(0), ja(0), stx(BPF_DW, r10, r6, -8),
             ldx(BPF_DW, r1, r7, -8)} + ret0, filter, EACCES, "R7 invalid mem access 'scalar'"},
        {"pointer or bytes in a slot",
         prog{mov_x(r7, r1)} + two_ways + prog{stx(BPF_DW, r10, r7, -8), jmp(BPF_JEQ, r6, 0, 1), stx(BPF_DW, r10, r6, -8), ja(0), ja(0),
             ldx(BPF_DW, r1, r10, -8), ldx(BPF_W, r0, r1, 0)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"zero or bytes in a slot (CVE-2026-90217)",
         two_ways + prog{st(BPF_W, r10, -4, 0), jmp(BPF_JEQ, r6, 0, 1), stx(BPF_W, r10, r6, -4), ja(0), ja(0), ldx(BPF_W, r7, r10, -4)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r7), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES, ""},
        {"fetched by an atomic (CVE-2026-43009)",
         two_ways + prog{st(BPF_DW, r10, -16, 8), jmp(BPF_JEQ, r6, 0, 1), st(BPF_DW, r10, -16, 80), ja(0), mov(r7, 0),
             atomic(BPF_DW, BPF_ADD | BPF_FETCH, r10, r7, -16)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r7), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES, ""},
        {"one reference or two", reserve + prog{mov_x(r6, r0)} + reserve + prog{mov_x(r7, r0), jmp(BPF_JEQ, r6, 0, 3), mov_x(r1, r6), mov(r2, 0),
             call(BPF_FUNC_ringbuf_submit)} + ret0, filter, EINVAL, "Unreleased reference"},
        {"null as a number (CVE-2026-98019)",
         prog{mov_x(r6, r1), ldx(BPF_DW, r7, r1, 0), mov(r4, 0), jmp(BPF_JEQ, r7, 0, 1), mov(r4, 1), ja(0), ja(0)} + ld_value(r3, rodata_fd, 14) +
             prog{mov_x(r1, r10), add(r1, -32), mov(r2, 16), mov(r5, 0), call(BPF_FUNC_snprintf)} + ret0, kprobe, EACCES, "R4 type=scalar"},
        {"range narrowed through a link",
         two_ways + prog{alu(BPF_AND, r6, 127), mov_x(r7, r6), jmp(BPF_JGT, r6, 30, 1), ja(0), jmp(BPF_JGT, r7, 100, 8)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r7), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES, "max value is outside"},
        {"loop with a growing index",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 6), mov(r1, 0), mov_x(r2, r0), add_x(r2, r1), ldx(BPF_B, r3, r2, 0), add(r1, 1), jmp(BPF_JLT, r1, 48, -5)} + ret0},
        {"loop with an index that grows too far",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 6), mov(r1, 0), mov_x(r2, r0), add_x(r2, r1), ldx(BPF_B, r3, r2, 0), add(r1, 1), jmp(BPF_JLT, r1, 49, -5)} + ret0,
         filter, EACCES, "invalid access to map value"},
    };
}

inline std::vector<row> call_rows() {
    return {
        {"call", prog{mov(r1, 5), call_pc(1), exit_(), mov_x(r0, r1), exit_()}},
        {"callee has no r6", prog{mov(r6, 5), call_pc(1), exit_(), mov_x(r0, r6), exit_()}, filter, EACCES, "R6 !read_ok"},
        {"caller keeps r6", prog{mov(r6, 5), call_pc(2), mov_x(r0, r6), exit_(), mov(r0, 0), exit_()}},
        {"caller loses r1", prog{call_pc(2), mov_x(r0, r1), exit_(), mov(r0, 0), exit_()}, filter, EACCES, "R1 !read_ok"},
        {"callee leaves no r0", prog{call_pc(1), exit_(), exit_()}, filter, EACCES, "R0 !read_ok"},
        {"no destination", prog{call_pc(7)} + ret0, filter, EINVAL, "call to invalid destination"},
        {"jump into another function", prog{call_pc(2), ja(2), exit_(), mov(r0, 0), exit_()}, filter, EINVAL, "jump out of range"},
        {"pointer into the caller's frame", prog{st(BPF_DW, r10, -8, 1), mov_x(r1, r10), add(r1, -8), call_pc(1), exit_(), ldx(BPF_DW, r0, r1, 0), exit_()}},
        {"written through", prog{mov_x(r1, r10), add(r1, -8), call_pc(2), ldx(BPF_DW, r0, r10, -8), exit_(), st(BPF_DW, r1, 0, 7), mov(r0, 0), exit_()}},
        {"pointer to the callee's frame returned", prog{call_pc(1), exit_(), mov_x(r0, r10), exit_()}, filter, EINVAL, "cannot return stack pointer to the caller"},
        {"pointer to the callee's frame spilled",
         prog{mov_x(r1, r10), add(r1, -8), call_pc(1), exit_(), stx(BPF_DW, r1, r10, 0), mov(r0, 0), exit_()}, filter, EINVAL,
         "cannot spill pointers to stack into stack frame of the caller"},
        {"recursion", prog{call_pc(1), exit_(), call_pc(-1), exit_()}, filter, E2BIG, "the call stack of 9 frames is too deep"},
        {"256 + 256 bytes", prog{st(BPF_DW, r10, -256, 0), call_pc(1), exit_(), st(BPF_DW, r10, -256, 0), mov(r0, 0), exit_()}},
        {"256 + 264 bytes", prog{st(BPF_DW, r10, -256, 0), call_pc(1), exit_(), st(BPF_DW, r10, -264, 0), mov(r0, 0), exit_()}, filter, EACCES,
         "combined stack size of 2 calls is"},
        {"index from a callee", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r6, r0), call_pc(4), add_x(r6, r0), ldx(BPF_B, r0, r6, 0)} + ret0 +
             prog{call(BPF_FUNC_get_prandom_u32), mov_x(r1, r0), mov(r0, 8), jmp(BPF_JEQ, r1, 0, 1), mov(r0, 80), exit_()}, filter, EACCES,
         "invalid access to map value"},
        {"index checked in a callee", lookup() + prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r6, r0), call_pc(4), add_x(r6, r0), ldx(BPF_B, r0, r6, 0)} + ret0 +
             prog{call(BPF_FUNC_get_prandom_u32), mov_x(r1, r0), mov(r0, 8), jmp(BPF_JEQ, r1, 0, 1), mov(r0, 40), exit_()}},
        {"index written by a callee",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 7), mov_x(r6, r0), mov_x(r1, r10), add(r1, -16), call_pc(5), ldx(BPF_DW, r1, r10, -16), add_x(r6, r1), ldx(BPF_B, r0, r6, 0)} +
             ret0 + prog{mov_x(r6, r1), call(BPF_FUNC_get_prandom_u32), mov(r1, 8), jmp(BPF_JEQ, r0, 0, 1), mov(r1, 80), stx(BPF_DW, r6, r1, 0), mov(r0, 0), exit_()},
         filter, EACCES, "invalid access to map value"},
        {"packet load in a subprogram without types", prog{mov_x(r6, r1), call_pc(1), exit_(), mov_x(r6, r1), ld_abs(BPF_B, 0), exit_()}, filter, EINVAL,
         "LD_ABS is not allowed in subprogs without BTF"},
        {"tail call in a subprogram without types",
         prog{call_pc(1), exit_(), mov(r3, 0)} + ld_map(r2, prog_array_fd) + prog{call(BPF_FUNC_tail_call)} + ret0, filter, EINVAL,
         "tail_call is not allowed in subprogs without BTF"},
    };
}

inline std::vector<row> flag_rows() {
    return {
        {"misaligned value", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r0, 4)} + ret0},
        {"misaligned value, strict", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r0, 4)} + ret0, filter, EACCES,
         "misaligned value access off 0+0+4 size 8", BPF_F_STRICT_ALIGNMENT},
        {"aligned, strict", lookup() + prog{jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r0, 8)} + ret0, filter, 0, "", BPF_F_STRICT_ALIGNMENT},
        {"misaligned packet, strict", xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 1), ldx(BPF_W, r0, r2, 0)} + ret0, xdp, EACCES,
         "misaligned packet access off 2+0+0+0 size 4", BPF_F_STRICT_ALIGNMENT},
        {"sleepable kprobe", ret0, kprobe, 0, "", BPF_F_SLEEPABLE},
        {"sleepable raw tracepoint", ret0, raw_tp, EINVAL, "uprobe, and struct_ops programs can be sleepable", BPF_F_SLEEPABLE},
        {"sleepable tracepoint", ret0, tp, EINVAL, "programs can be sleepable", BPF_F_SLEEPABLE},
        {"sleepable socket filter", ret0, filter, EINVAL, "programs can be sleepable", BPF_F_SLEEPABLE},
        {"sleepable XDP", ret0, xdp, EINVAL, "programs can be sleepable", BPF_F_SLEEPABLE},
    };
}

inline std::vector<row> flow_keys_rows() {
    constexpr u32 dissector = BPF_PROG_TYPE_FLOW_DISSECTOR;
    const prog keys{ldx(BPF_DW, r6, r1, 144)};
    return {
        {"flow keys", keys + prog{ldx(BPF_W, r2, r6, 52), stx(BPF_H, r6, r2, 0)} + ret0, dissector},
        {"flow keys, behind the end", keys + prog{ldx(BPF_W, r2, r6, 53)} + ret0, dissector, EACCES, "invalid access to flow keys off=53 size=4"},
        {"flow keys, before", keys + prog{st(BPF_B, r6, -1, 0)} + ret0, dissector, EACCES, "invalid access to flow keys off=-1 size=1"},
        {"flow keys, moved", keys + prog{add(r6, 48), st(BPF_DW, r6, 0, 0)} + ret0, dissector},
        {"flow keys, moved too far", keys + prog{add(r6, 49), st(BPF_DW, r6, 0, 0)} + ret0, dissector, EACCES, "invalid access to flow keys off=49"},
        {"flow keys, atomic", keys + prog{mov(r2, 1), atomic(BPF_W, BPF_ADD, r6, r2, 52)} + ret0, dissector, EACCES,
         "BPF_ATOMIC stores into R6 flow_keys is not allowed"},
    };
}

/// Linux accepts the refused ones of these, and should not.
inline std::vector<row> stricter_rows() {
    prog checksum = prog{mov_x(r1, r0), mov(r2, 8), mov(r3, 0), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_csum_diff)};
    return {
        {"the low half of an address may be zero", ld_value(r1, rdonly_fd, 0) + prog{jmp32(BPF_JNE, r1, 0, 1), ldx(BPF_DW, r0, r0, 0)} + ret0, filter,
         EACCES, "R0 !read_ok"},
        {"an address is not zero", ld_value(r1, rdonly_fd, 0) + prog{jmp(BPF_JNE, r1, 0, 1), ldx(BPF_DW, r0, r0, 0)} + ret0},
        {"before a tracepoint's record", prog{ldx(BPF_W, r0, r1, -24), exit_()}, tp, EACCES, "invalid bpf_context access off=-24 size=4"},
        {"in a tracepoint's record", prog{ldx(BPF_W, r0, r1, 24), exit_()}, tp},
        {"NULL with a size", lookup() + checksum + ret0, cls, EACCES, "R1 type=map_value_or_null expected="},
        {"memory with a size", lookup() + prog{jmp(BPF_JEQ, r0, 0, 6)} + checksum + ret0, cls},
        {"NULL without a size", prog{mov(r1, 0), mov(r2, 0), mov(r3, 0), mov(r4, 0), mov(r5, 0), call(BPF_FUNC_csum_diff)} + ret0, cls},
    };
}

inline std::vector<row> all_rows() {
    std::vector<row> all;
    for (auto f : {basic_rows, stack_rows, map_rows, helper_rows, ref_rows, ctx_rows, packet_rows, range_rows, prune_rows, call_rows, flag_rows, flow_keys_rows, stricter_rows})
        for (auto &r : f())
            all.push_back(r);
    return all;
}

}  // namespace modbpf::test
