// SPDX-License-Identifier: GPL-2.0-only
// Attacks on the verifier, each beside a neighbour that is safe: classes of public bugs in range analysis, pruning, precision,
// pointers and the stack, as whole programs. The rows are run as those of verdict_rows.h, in every order of the search.
#pragma once

#include "verifier/verdict_rows.h"

namespace modbpf::test {

/// Two numbers from outside, r6 and r9, and r0 to choose an arm by.
inline const prog three_unknown = {call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0), call(BPF_FUNC_get_prandom_u32), mov_x(r9, r0),
                                   call(BPF_FUNC_get_prandom_u32)};
/// `first` always, then `second` when r0 is not 0. Small programs get a checkpoint at the join by the filler.
inline prog either(const prog &first, const prog &second) {
    prog filler(8, mov(r5, 0));
    return first + jmp(BPF_JEQ, r0, 0, static_cast<s16>(second.size())) + second + filler + prog{jmp(BPF_JEQ, r5, 1, 0), jmp(BPF_JEQ, r5, 1, 0)};
}
/// r0 = value of 48 bytes; `bound` (which leaves by +2 behind its end); then the byte at r0 + index is read.
inline prog use_index(u8 index, const prog &bound = {}) {
    return lookup() + jmp(BPF_JEQ, r0, 0, static_cast<s16>(bound.size() + 2)) + bound + prog{add_x(r0, index), ldx(BPF_B, r1, r0, 0)} + ret0;
}

inline std::vector<row> range_attacks() {
    auto indexed = [](const prog &bound) {
        return lookup() + prog{jmp(BPF_JNE, r0, 0, 1), exit_(), mov_x(r1, r0), ldx(BPF_DW, r2, r1, 0)} + bound +
               prog{add_x(r1, r2), ldx(BPF_B, r0, r1, 0)} + ret0;
    };
    return {
        {"CVE-2017-16995, safe", indexed({mov32(r2, 47)})},
        {"CVE-2020-8835: a 32-bit comparison says nothing of the upper half", indexed({jmp32(BPF_JGT, r2, 47, 2)}), filter, EINVAL, "unbounded min value"},
        {"CVE-2020-8835, safe", indexed({mov32_x(r2, r2), jmp32(BPF_JGT, r2, 47, 2)})},
        {"CVE-2024-41003: a comparison with a constant says nothing of a third number",
         indexed({ldx(BPF_DW, r4, r1, 8), jmp(BPF_JNE, r2, 5, 3), mov_x(r2, r4)}), filter, EINVAL, "unbounded min value"},
        {"CVE-2024-41003: nor of the constant when it comes again",
         indexed({ldx(BPF_DW, r4, r1, 8), jmp(BPF_JSGT, r4, 5, 0), jmp(BPF_JLT, r2, 5, 2)}), filter, EINVAL, "unbounded min value"},
        {"CVE-2024-41003, safe", indexed({ldx(BPF_DW, r4, r1, 8), jmp(BPF_JNE, r2, 5, 3), mov_x(r4, r2)})},
        {"CVE-2020-27194: alu32 or of a range beyond 32 bits",
         indexed(ld64(r3, 0x600000001ull) + prog{jmp_x(BPF_JGT, r2, r3, 5), jmp(BPF_JEQ, r2, 0, 4), alu32(BPF_OR, r2, 0), alu(BPF_MUL, r2, 47)}), filter,
         EACCES, ""},
        {"CVE-2020-27194, safe", indexed({jmp(BPF_JGT, r2, 1, 5), jmp(BPF_JEQ, r2, 0, 4), alu32(BPF_OR, r2, 0), alu(BPF_MUL, r2, 47)})},
        {"CVE-2021-3490: alu32 and of numbers whose low halves are known",
         indexed(ld64(r3, 1ull << 32) + prog{alu_x(BPF_AND, r2, r3), add(r2, 1)} + ld64(r4, 0x100000002ull) +
                 prog{alu_x(BPF_AND, r4, r2), jmp32(BPF_JGT, r4, 0, 4), alu(BPF_RSH, r4, 32), alu(BPF_MUL, r4, 48), mov_x(r2, r4)}),
         filter, EACCES, ""},
        {"CVE-2021-31440: a 64-bit end above 32 bits says nothing of the low half",
         indexed(ld64(r3, 0x100000001ull) + prog{jmp_x(BPF_JLT, r2, r3, 4), mov32_x(r2, r2), jmp32(BPF_JSLT, r2, 0, 2)}), filter, EACCES, ""},
        {"CVE-2021-31440, safe", indexed(ld64(r3, 0x100000001ull) + prog{jmp_x(BPF_JLT, r2, r3, 4), mov32_x(r2, r2), jmp32(BPF_JGT, r2, 47, 2)})},
        {"CVE-2021-3444: a remainder by zero is the dividend", indexed({mov(r3, 0), alu32_x(BPF_MOD, r2, r3)}), filter, EINVAL, "unbounded min value"},
        {"CVE-2021-3600: a quotient in 32 bits", indexed({mov(r3, 1), alu32_x(BPF_DIV, r2, r3), alu32(BPF_RSH, r2, 27)})},
        {"CVE-2021-3600: a quotient in 32 bits, one more", indexed({mov(r3, 1), alu32_x(BPF_DIV, r2, r3), alu32(BPF_RSH, r2, 26)}), filter, EACCES, "max value"},
        {"CVE-2025-39748: what jset leaves", indexed({jmp(BPF_JSET, r2, ~47, 2)})},
        {"CVE-2025-39748: what jset leaves, one bit more", indexed({jmp(BPF_JSET, r2, ~63, 2)}), filter, EACCES, "max value"},
        {"jset taken says nothing of the rest", indexed({jmp(BPF_JSET, r2, 47, 1), ja(2)}), filter, EINVAL, "unbounded min value"},
        {"CVE-2026-53092: a number doubled is not its copy plus itself",
         indexed({alu(BPF_AND, r2, 63), mov_x(r3, r2), add_x(r3, r3), jmp(BPF_JGT, r2, 30, 3), mov_x(r2, r3)}), filter, EACCES, "max value"},
        {"CVE-2026-53092: a copy in 32 bits plus a constant",
         indexed({mov_x(r3, r2), alu32(BPF_ADD, r3, 1), jmp(BPF_JGT, r3, 40, 2)}), filter, EINVAL, "unbounded min value"},
        {"a copy minus a constant", indexed({alu(BPF_AND, r2, 127), mov_x(r3, r2), add(r3, -8), jmp(BPF_JGT, r3, 30, 2)}), filter, EACCES, "max value"},
        {"a sum that wraps around", indexed({mov_x(r3, r2), add(r3, 16), jmp(BPF_JGT, r3, 47, 2)}), filter, EACCES, "min value is negative"},
        {"below the value by a negative number", indexed({add(r1, 8), jmp(BPF_JSLT, r2, -16, 3), jmp(BPF_JSGT, r2, 30, 2)}), filter, EACCES,
         "min value is negative"},
    };
}

inline std::vector<row> precision_attacks() {
    return {
        {"CVE-2023-2163: bounded by a register", prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r8, 8)}, {mov(r8, 80)}) + use_index(r7, {ldx(BPF_DW, r7, r0, 0), jmp_x(BPF_JGT, r7, r8, 2)}), filter,
         EACCES, "max value is outside"},
        {"CVE-2023-2163, safe",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r8, 8)}, {mov(r8, 40)}) + use_index(r7, {ldx(BPF_DW, r7, r0, 0), jmp_x(BPF_JGT, r7, r8, 2)})},
        {"CVE-2025-38279: compared with the frame pointer",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 8)}, {mov(r7, 80)}) + prog{jmp_x(BPF_JEQ, r7, r10, 0)} + use_index(r7), filter, EACCES,
         "invalid access to map value"},
        {"CVE-2025-38279, safe",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 8)}, {mov(r7, 40)}) + prog{jmp_x(BPF_JEQ, r7, r10, 0)} + use_index(r7)},
        {"a copy on one arm only",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127)} + either({mov_x(r7, r6)}, {mov_x(r7, r9)}) + use_index(r7, {jmp(BPF_JGT, r6, 40, 2)}),
         filter, EACCES, "max value is outside"},
        {"a copy on both arms",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127)} + either({mov_x(r7, r6)}, {mov_x(r7, r6)}) + use_index(r7, {jmp(BPF_JGT, r6, 40, 2)})},
        {"a copy plus another constant on each arm",
         three_unknown + prog{alu(BPF_AND, r6, 127)} + either({mov_x(r7, r6), add(r7, 4)}, {mov_x(r7, r6), add(r7, 16)}) + use_index(r7, {jmp(BPF_JGT, r6, 39, 2)}),
         filter, EACCES, "max value is outside"},
        {"a copy plus small enough a constant on each arm",
         three_unknown + prog{alu(BPF_AND, r6, 127)} + either({mov_x(r7, r6), add(r7, 4)}, {mov_x(r7, r6), add(r7, 8)}) + use_index(r7, {jmp(BPF_JGT, r6, 39, 2)})},
        {"CVE-2024-53125: a 32-bit copy of a number that is small on one arm",
         three_unknown + either({alu32(BPF_AND, r6, 255)}, {mov_x(r6, r9)}) + prog{mov32_x(r7, r6)} + use_index(r6, {jmp(BPF_JGT, r7, 47, 2)}), filter, EINVAL,
         "unbounded min value"},
        {"CVE-2024-53125, safe",
         three_unknown + either({alu32(BPF_AND, r6, 255)}, {mov32_x(r6, r9)}) + prog{mov32_x(r7, r6)} + use_index(r6, {jmp(BPF_JGT, r7, 47, 2)})},
        {"a spilled copy on one arm only",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127)} + either({stx(BPF_DW, r10, r6, -16)}, {stx(BPF_DW, r10, r9, -16)}) +
             use_index(r7, {jmp(BPF_JGT, r6, 40, 3), ldx(BPF_DW, r7, r10, -16)}), filter, EACCES, "max value is outside"},
        {"a spilled copy on both arms",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127)} + either({stx(BPF_DW, r10, r6, -16)}, {mov(r9, 0), stx(BPF_DW, r10, r6, -16)}) +
             use_index(r7, {jmp(BPF_JGT, r6, 40, 3), ldx(BPF_DW, r7, r10, -16)})},
        {"stored through another register on one arm",
         three_unknown + prog{mov_x(r8, r10), add(r8, -24)} + either({st(BPF_DW, r10, -16, 8)}, {mov(r7, 80), stx(BPF_DW, r8, r7, 8)}) +
             use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EACCES, "invalid access to map value"},
        {"a loop that changes the index at some turn",
         prog{mov(r7, 8), mov(r8, 0), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JNE, r0, 0, 1), mov(r7, 80), add(r8, 1), jmp(BPF_JLT, r8, 6, -5)} + use_index(r7), filter,
         EACCES, "invalid access to map value"},
        {"a loop that changes the index at some turn, safe",
         prog{mov(r7, 8), mov(r8, 0), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JNE, r0, 0, 1), mov(r7, 40), add(r8, 1), jmp(BPF_JLT, r8, 6, -5)} + use_index(r7)},
        {"an index that is carried around a loop by moves",
         prog{mov(r6, 1), mov(r7, 2), mov(r9, 80), mov(r8, 0), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JNE, r0, 0, 2), mov_x(r6, r7), mov_x(r7, r9), add(r8, 1),
              jmp(BPF_JLT, r8, 5, -6)} + use_index(r6), filter, EACCES, "invalid access to map value"},
        {"an index that is carried around a loop by moves, safe",
         prog{mov(r6, 1), mov(r7, 2), mov(r9, 40), mov(r8, 0), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JNE, r0, 0, 2), mov_x(r6, r7), mov_x(r7, r9), add(r8, 1),
              jmp(BPF_JLT, r8, 5, -6)} + use_index(r6)},
        {"a size on one arm",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 8)}, {mov(r7, 24)}) +
             prog{mov_x(r1, r10), add(r1, -16), mov_x(r2, r7), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0, kprobe, EINVAL, "invalid indirect access to stack"},
        {"a size on one arm, safe",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 8)}, {mov(r7, 16)}) +
             prog{mov_x(r1, r10), add(r1, -16), mov_x(r2, r7), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0, kprobe},
        {"one look-up checked, another used after a join",
         lookup() + mov_x(r6, r0) + lookup() + mov_x(r7, r0) + prog{call(BPF_FUNC_get_prandom_u32)} + either({}, {mov_x(r6, r7)}) +
             prog{jmp(BPF_JEQ, r7, 0, 1), ldx(BPF_B, r1, r6, 0)} + ret0, filter, EACCES, "R6 invalid mem access 'map_value_or_null'"},
        {"one look-up checked and used after a join",
         lookup() + mov_x(r6, r0) + lookup() + mov_x(r7, r0) + prog{call(BPF_FUNC_get_prandom_u32)} + either({mov_x(r6, r7)}, {mov_x(r6, r7)}) +
             prog{jmp(BPF_JEQ, r7, 0, 1), ldx(BPF_B, r1, r6, 0)} + ret0},
        {"dead behind a constant that one arm does not have",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 0)}, {mov(r7, 1)}) + prog{jmp(BPF_JEQ, r7, 0, 1), ldx(BPF_B, r0, r7, 0)} + ret0, filter, EACCES,
         "R7 invalid mem access 'scalar'"},
        {"dead behind a constant that both arms have",
         prog{call(BPF_FUNC_get_prandom_u32)} + either({mov(r7, 0)}, {mov(r7, 0)}) + prog{jmp(BPF_JEQ, r7, 0, 1), ldx(BPF_B, r0, r7, 0)} + ret0},
    };
}

inline std::vector<row> call_attacks() {
    // f at `words` behind the call's successor; r1 is the argument.
    return {
        {"narrowed by the callee",
         three_unknown + prog{alu(BPF_AND, r6, 127), mov_x(r1, r6), call_pc(lookup_words + 6), jmp(BPF_JEQ, r0, 0, lookup_words + 3)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r6), ldx(BPF_B, r1, r0, 0)} + ret0 + prog{mov(r0, 0), jmp(BPF_JGT, r1, 47, 1), mov(r0, 1), exit_()}},
        {"narrowed too little by the callee",
         three_unknown + prog{alu(BPF_AND, r6, 127), mov_x(r1, r6), call_pc(lookup_words + 6), jmp(BPF_JEQ, r0, 0, lookup_words + 3)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r6), ldx(BPF_B, r1, r0, 0)} + ret0 + prog{mov(r0, 0), jmp(BPF_JGT, r1, 48, 1), mov(r0, 1), exit_()}, filter,
         EACCES, "max value is outside"},
        {"narrowed by the callee for one value of two",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127), mov_x(r1, r6), jmp(BPF_JEQ, r0, 0, 1), mov_x(r1, r9), call_pc(lookup_words + 6),
              jmp(BPF_JEQ, r0, 0, lookup_words + 3)} + lookup() +
             prog{jmp(BPF_JEQ, r0, 0, 2), add_x(r0, r6), ldx(BPF_B, r1, r0, 0)} + ret0 + prog{mov(r0, 0), jmp(BPF_JGT, r1, 47, 1), mov(r0, 1), exit_()}, filter,
         EACCES, "max value is outside"},
        {"one function, a small and a large argument",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 7), mov_x(r6, r0), mov(r1, 8), mov_x(r2, r6), call_pc(5), mov(r1, 80), mov_x(r2, r6), call_pc(2)} + ret0 +
             prog{add_x(r2, r1), ldx(BPF_B, r0, r2, 0), exit_()}, filter, EACCES, "invalid access to map value"},
        {"one function, two small arguments",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 7), mov_x(r6, r0), mov(r1, 8), mov_x(r2, r6), call_pc(5), mov(r1, 40), mov_x(r2, r6), call_pc(2)} + ret0 +
             prog{add_x(r2, r1), ldx(BPF_B, r0, r2, 0), exit_()}},
        {"a callee that writes its caller's slot on one arm",
         prog{st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -16), call_pc(lookup_words + 6)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}) +
             prog{mov_x(r6, r1), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r6, 0, 80), mov(r0, 0), exit_()}, filter, EACCES,
         "invalid access to map value"},
        {"a callee that writes its caller's slot on one arm, safe",
         prog{st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -16), call_pc(lookup_words + 6)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}) +
             prog{mov_x(r6, r1), call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 1), st(BPF_DW, r6, 0, 40), mov(r0, 0), exit_()}},
        {"an index that a callee reads from its caller's slot",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 19), mov_x(r6, r0), call(BPF_FUNC_get_prandom_u32)} + either({st(BPF_DW, r10, -16, 8)}, {st(BPF_DW, r10, -16, 80)}) +
             prog{mov_x(r1, r10), add(r1, -16), mov_x(r2, r6), call_pc(2)} + ret0 + prog{ldx(BPF_DW, r3, r1, 0), add_x(r2, r3), ldx(BPF_B, r0, r2, 0), exit_()}, filter, EACCES,
         "invalid access to map value"},
        {"an index that a callee reads from its caller's slot, safe",
         lookup() + prog{jmp(BPF_JEQ, r0, 0, 19), mov_x(r6, r0), call(BPF_FUNC_get_prandom_u32)} + either({st(BPF_DW, r10, -16, 8)}, {st(BPF_DW, r10, -16, 40)}) +
             prog{mov_x(r1, r10), add(r1, -16), mov_x(r2, r6), call_pc(2)} + ret0 + prog{ldx(BPF_DW, r3, r1, 0), add_x(r2, r3), ldx(BPF_B, r0, r2, 0), exit_()}},
        {"a callee that writes somewhere into its caller's slots",
         prog{st(BPF_DW, r10, -24, 8), st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -24), call_pc(lookup_words + 6)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}) +
             prog{mov_x(r6, r1), call(BPF_FUNC_get_prandom_u32), alu(BPF_AND, r0, 8), add_x(r6, r0), st(BPF_DW, r6, 0, 80), mov(r0, 0), exit_()}, filter, EINVAL,
         "unbounded min value"},
        {"a slot of the callee keeps nothing of another callee",
         prog{call_pc(3), call_pc(5), mov(r0, 0), exit_(), stx(BPF_DW, r10, r10, -8), mov(r0, 0), exit_(), ldx(BPF_DW, r1, r10, -8), ldx(BPF_DW, r0, r1, 0), exit_()}, filter,
         EACCES, "R1 invalid mem access 'scalar'"},
        {"main calls itself (CVE-2026-98075)", prog{call_pc(-1), exit_()}, filter, E2BIG, "too deep"},
        {"a record that a callee submits", reserve + prog{jmp(BPF_JEQ, r0, 0, 2), mov_x(r1, r0), call_pc(2)} + ret0 + prog{mov(r2, 0), call(BPF_FUNC_ringbuf_submit), mov(r0, 0), exit_()}},
        {"a record that a callee submits, used later",
         reserve + prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r6, r0), mov_x(r1, r0), call_pc(3), ldx(BPF_B, r0, r6, 0)} + ret0 +
             prog{mov(r2, 0), call(BPF_FUNC_ringbuf_submit), mov(r0, 0), exit_()}, filter, EACCES, "R6 invalid mem access 'scalar'"},
        {"a record that a callee forgets", prog{call_pc(2), mov(r0, 0), exit_()} + reserve + prog{mov(r0, 0), exit_()}, filter, EINVAL, "Unreleased reference"},
    };
}

inline std::vector<row> stack_attacks() {
    prog unknown6 = {call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0)};
    return {
        {"a byte of a spilled index overwritten",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), stx(BPF_B, r10, r6, -15)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL, "unbounded min value"},
        {"the byte beside a spilled index overwritten",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), stx(BPF_B, r10, r6, -17)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)})},
        {"the low half of a spilled index overwritten",
         unknown6 + prog{alu(BPF_AND, r6, 31), mov(r8, -1), stx(BPF_DW, r10, r8, -16), stx(BPF_W, r10, r6, -16)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL,
         "unbounded min value"},
        {"the low half of a spilled index overwritten and read",
         unknown6 + prog{alu(BPF_AND, r6, 31), mov(r8, -1), stx(BPF_DW, r10, r8, -16), stx(BPF_W, r10, r6, -16)} + use_index(r7, {ldx(BPF_W, r7, r10, -16)})},
        {"an index somewhere below overwritten",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), st(BPF_DW, r10, -24, 8), mov_x(r8, r6), alu(BPF_AND, r8, 8), add(r8, -24), add_x(r8, r10), stx(BPF_DW, r8, r6, 0)} +
             use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL, "unbounded min value"},
        {"a zero somewhere over zeroes",
         unknown6 + prog{st(BPF_DW, r10, -16, 0), st(BPF_DW, r10, -24, 0), mov_x(r8, r6), alu(BPF_AND, r8, 8), add(r8, -24), add_x(r8, r10), st(BPF_DW, r8, 0, 0)} +
             use_index(r7, {ldx(BPF_DW, r7, r10, -16)})},
        {"a helper fills where a constant was",
         prog{st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -16), mov(r2, 8), mov(r3, 0), call(BPF_FUNC_probe_read)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), kprobe,
         EINVAL, "unbounded min value"},
        {"a helper fills part of where a constant was",
         prog{st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -13), mov(r2, 1), mov(r3, 0), call(BPF_FUNC_probe_read)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), kprobe,
         EINVAL, "unbounded min value"},
        {"a helper fills some bytes where a zero was",
         unknown6 + prog{mov(r7, 0), stx(BPF_W, r10, r7, -12), alu(BPF_AND, r6, 7), mov_x(r1, r10), add(r1, -16), mov_x(r2, r6), mov(r3, 0), call(BPF_FUNC_probe_read)} +
             use_index(r7, {ldx(BPF_W, r7, r10, -12)}), kprobe, EACCES, ""},
        {"a helper fills beside a constant",
         prog{st(BPF_DW, r10, -16, 8), mov_x(r1, r10), add(r1, -24), mov(r2, 8), mov(r3, 0), call(BPF_FUNC_probe_read)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), kprobe},
        {"an atomic addition to a spilled index",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), atomic(BPF_DW, BPF_ADD, r10, r6, -16)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL, "unbounded min value"},
        {"an atomic addition beside a spilled index",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), st(BPF_DW, r10, -24, 8), atomic(BPF_DW, BPF_ADD, r10, r6, -24)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)})},
        {"what an exchange leaves",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), mov_x(r7, r6), atomic(BPF_DW, BPF_XCHG, r10, r7, -16)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL,
         "unbounded min value"},
        {"what an exchange gives", unknown6 + prog{st(BPF_DW, r10, -16, 8), mov_x(r7, r6), atomic(BPF_DW, BPF_XCHG, r10, r7, -16)} + use_index(r7)},
        {"what a compare-and-exchange leaves",
         unknown6 + prog{st(BPF_DW, r10, -16, 8), mov(r0, 8), atomic(BPF_DW, BPF_CMPXCHG, r10, r6, -16)} + use_index(r7, {ldx(BPF_DW, r7, r10, -16)}), filter, EINVAL,
         "unbounded min value"},
        {"CVE-2026-90177: an atomic addition to a spilled pointer",
         prog{stx(BPF_DW, r10, r1, -8), mov(r2, 8), atomic(BPF_DW, BPF_ADD, r10, r2, -8), ldx(BPF_DW, r3, r10, -8), ldx(BPF_W, r0, r3, 0), exit_()}, filter, EACCES,
         "R3 invalid mem access 'scalar'"},
        {"CVE-2026-90177: a pointer stored by an exchange",
         prog{st(BPF_DW, r10, -8, 0), mov_x(r2, r1), atomic(BPF_DW, BPF_XCHG, r10, r2, -8), ldx(BPF_DW, r3, r10, -8), ldx(BPF_W, r0, r3, 0), exit_()}, filter, EACCES,
         "R3 invalid mem access 'scalar'"},
        {"CVE-2026-90177: an atomic on what is loaded over its own base",
         prog{mov_x(r2, r10), st(BPF_DW, r10, -8, 0), atomic(BPF_DW, BPF_ADD | BPF_FETCH, r2, r2, -8)} + ret0, filter, EACCES, ""},
        {"CVE-2023-52452: variable offset from the lowest slot down",
         unknown6 + prog{alu(BPF_AND, r6, 8), add(r6, -520), add_x(r6, r10), ldx(BPF_DW, r0, r6, 0), exit_()}, filter, EACCES, "invalid variable-offset read from stack"},
        {"CVE-2023-52452: variable offset from the lowest slot up", unknown6 + prog{alu(BPF_AND, r6, 8), add(r6, -512), add_x(r6, r10), ldx(BPF_DW, r0, r6, 0), exit_()}},
        {"CVE-2023-52676: an offset near the greatest", prog{mov_x(r2, r10), add(r2, -(1 << 29) + 1), ldx(BPF_B, r0, r2, -32768), exit_()}, filter, EACCES, ""},
        {"CVE-2023-52676: an area whose end overflows",
         prog{mov_x(r1, r10), add(r1, -8), mov(r2, (1 << 29) - 1), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0, kprobe, EINVAL, "invalid indirect access to stack"},
        {"CVE-2025-38591: a byte of a packet pointer", prog{ldx(BPF_B, r0, r1, 76), exit_()}, cls, EACCES, "invalid bpf_context access off=76 size=1"},
        {"CVE-2025-38591: a packet pointer with its sign", prog{ldsx(BPF_W, r0, r1, 76), exit_()}, cls, EACCES, "invalid bpf_context access"},
        {"CVE-2022-23222: a spilled value checked through its copy",
         lookup() + prog{stx(BPF_DW, r10, r0, -16), jmp(BPF_JEQ, r0, 0, 2), ldx(BPF_DW, r1, r10, -16), ldx(BPF_B, r1, r1, 0)} + ret0},
        {"CVE-2022-23222: a spilled value used where its copy is NULL",
         lookup() + prog{stx(BPF_DW, r10, r0, -16), jmp(BPF_JNE, r0, 0, 2), ldx(BPF_DW, r1, r10, -16), ldx(BPF_B, r1, r1, 0)} + ret0, filter, EACCES,
         "R1 invalid mem access 'scalar'"},
        {"CVE-2022-23222: arithmetic by nothing on a value that may be NULL", lookup() + prog{mov(r1, 0), add_x(r0, r1)} + ret0, filter, EACCES, "prohibited, null-check it first"},
        {"CVE-2026-98043: an unknown number equal to a value may be NULL",
         lookup() + prog{mov_x(r6, r0)} + lookup() + prog{jmp_x(BPF_JNE, r0, r6, 1), ldx(BPF_B, r1, r0, 0)} + ret0, filter, EACCES, "map_value_or_null"},
        {"CVE-2026-98043: equal to a value that is there",
         lookup() + prog{mov_x(r6, r0)} + lookup() + prog{jmp(BPF_JEQ, r6, 0, 2), jmp_x(BPF_JNE, r0, r6, 1), ldx(BPF_B, r1, r0, 0)} + ret0},
        {"CVE-2021-4204: a record given back by a pointer into it",
         reserve + prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r1, r0), add(r1, 8), mov(r2, 0), call(BPF_FUNC_ringbuf_submit)} + ret0, filter, EINVAL, "R1"},
        {"CVE-2021-4204, safe: by a pointer that went there and back",
         reserve + prog{jmp(BPF_JEQ, r0, 0, 5), mov_x(r1, r0), add(r1, 8), add(r1, -8), mov(r2, 0), call(BPF_FUNC_ringbuf_submit)} + ret0},
        {"CVE-2024-49861: a helper that writes into a read-only value",
         ld_value(r1, rodata_fd, 0) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0, kprobe, EACCES, "write into map forbidden"},
        {"CVE-2024-49861, safe: into another", ld_value(r1, wronly_fd, 0) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0, kprobe},
        {"a packet pointer in a slot over a helper that moves the packet",
         prog{mov_x(r6, r1)} + xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 6), stx(BPF_DW, r10, r2, -8), mov_x(r1, r6), mov(r2, 4),
              call(BPF_FUNC_xdp_adjust_head), ldx(BPF_DW, r2, r10, -8), ldx(BPF_B, r0, r2, 0)} + ret0, xdp, EACCES, "R2 invalid mem access 'scalar'"},
        {"a packet pointer in a slot", prog{mov_x(r6, r1)} + xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 3), stx(BPF_DW, r10, r2, -8),
              ldx(BPF_DW, r2, r10, -8), ldx(BPF_B, r0, r2, 7)} + ret0, xdp},
        {"a packet pointer of another base", xdp_data + prog{mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 5), ldx(BPF_B, r5, r2, 0), mov_x(r4, r2), add_x(r4, r5),
              ldx(BPF_B, r0, r4, 0), ja(0)} + ret0, xdp, EACCES, "offset is outside of the packet"},
        {"a packet pointer at the end that moves back by a constant", xdp_data + prog{mov_x(r4, r2), add(r4, 4), jmp_x(BPF_JGE, r4, r3, 2), mov(r0, 0), exit_(),
              add(r4, -48), jmp_x(BPF_JGE, r4, r3, 1), ldx(BPF_DW, r0, r10, 8)} + ret0, xdp, EACCES, "R10"},
        {"a packet pointer at the end that moves back by a number", xdp_data + prog{mov_x(r4, r2), ldx(BPF_W, r5, r1, 12), alu(BPF_AND, r5, 63), add(r4, 4),
              jmp_x(BPF_JGE, r4, r3, 2), mov(r0, 0), exit_(), alu_x(BPF_SUB, r4, r5), jmp_x(BPF_JGE, r4, r3, 1), ldx(BPF_DW, r0, r10, 8)} + ret0, xdp, EACCES, "R10"},
        {"a packet pointer at the end stays there", xdp_data + prog{mov_x(r4, r2), add(r4, 4), jmp_x(BPF_JGE, r4, r3, 2), mov(r0, 0), exit_(),
              add(r4, 8), jmp_x(BPF_JGE, r4, r3, 1), ldx(BPF_DW, r0, r10, 8)} + ret0, xdp},
        {"dead code with a 64-bit immediate", prog{mov(r6, 0), jmp(BPF_JEQ, r6, 0, 3)} + ld64(r7, ~0ull) + prog{ldx(BPF_B, r0, r7, 0), mov(r0, 1), exit_()}},
        {"a long jump over a 64-bit immediate", prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 1), raw(BPF_JMP32 | BPF_JA, 0, 0, 0, 2)} + ld64(r0, ~0ull) + ret0},
        {"a long jump into a 64-bit immediate", prog{call(BPF_FUNC_get_prandom_u32), jmp(BPF_JEQ, r0, 0, 1), raw(BPF_JMP32 | BPF_JA, 0, 0, 0, 1)} + ld64(r0, ~0ull) + ret0, filter, EINVAL, "ldimm64"},
    };
}

/// What a program may believe of maps and sizes.
inline std::vector<row> map_attacks() {
    auto constant = [](int fd, s32 is) { return ld_value(r1, fd, 0) + prog{ldx(BPF_W, r2, r1, 0), jmp(BPF_JEQ, r2, is, 1), ldx(BPF_DW, r0, r2, 0)} + ret0; };
    auto read = [](u64 size) { return prog{mov_x(r1, r10), add(r1, -8)} + ld64(r2, size) + prog{mov(r3, 0), call(BPF_FUNC_probe_read)} + ret0; };
    auto stack = [](s32 size) { return prog{mov_x(r2, r10), add(r2, -16), mov(r3, size), mov(r4, 0), call(BPF_FUNC_get_stack)} + ret0; };
    return {
        {"CVE-2021-4001: a value that the owner of the map may still write is no constant", constant(rdonly_fd, 0), filter, EACCES, "R2 invalid mem access 'scalar'"},
        {"CVE-2021-4001, safe: of a frozen map", constant(rodata_fd, 5)},
        {"CVE-2026-93125: a size whose low half is small", read(0x100000008ull), kprobe, EACCES, "R2 unbounded memory access"},
        {"CVE-2026-93125, safe", read(8), kprobe},
        {"CVE-2025-68378: a stack is longer than its buffer", stack(24), kprobe, EINVAL, "invalid indirect access to stack"},
        {"CVE-2025-68378, safe", stack(16), kprobe},
    };
}

inline std::vector<row> attack_rows() {
    std::vector<row> all;
    for (auto f : {range_attacks, precision_attacks, call_attacks, stack_attacks, map_attacks})
        for (auto &r : f())
            all.push_back(r);
    return all;
}

}  // namespace modbpf::test
