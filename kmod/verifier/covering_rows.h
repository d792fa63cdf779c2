// SPDX-License-Identifier: GPL-2.0-only
// What a comparison of states must not overlook, each beside a neighbour that may be pruned. They are run as those of verdict_rows.h.
#pragma once

#include "verifier/attack_rows.h"
#include "verifier/dynptr_rows.h"

namespace modbpf::test {

/// Numbers in r6 and r9, a copy of r6 spilled far from the slots that look-ups use, and r0 to choose by.
inline const prog spilled_once = three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127), stx(BPF_DW, r10, r6, -64)};
/// A record, or the program ends; in r8.
inline const prog record_in_r8 = ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JNE, r0, 0, 2)} + ret0 +
                                 mov_x(r8, r0);
inline const prog give_back = {mov_x(r1, r8), mov(r2, 0), call(BPF_FUNC_ringbuf_discard)};

inline std::vector<row> covering_rows() {
    prog random{call(BPF_FUNC_get_prandom_u32)};
    auto slot_is = [&](s16 at, s32 a, s32 b) {
        return random + either({st(BPF_DW, r10, at, a)}, {st(BPF_DW, r10, at, b)}) + use_index(r7, {ldx(BPF_DW, r7, r10, at)});
    };
    // 8 bytes of the packet are known to be there on one arm, `other` on the other; the eighth is read.
    auto bytes_known = [&](s32 other) {
        return prog{mov_x(r6, r1), call(BPF_FUNC_get_prandom_u32), mov_x(r1, r6)} + xdp_data +
               prog{jmp(BPF_JEQ, r0, 0, 4), mov_x(r4, r2), add(r4, 8), jmp_x(BPF_JGT, r4, r3, 13), ja(3), mov_x(r4, r2), add(r4, other), jmp_x(BPF_JGT, r4, r3, 9)} +
               prog(8, mov(r5, 0)) + prog{ldx(BPF_B, r5, r2, 7)} + ret0;
    };
    // The caller's r6, or slot, is a small index on one arm; a callee has places to prune at, the caller uses it afterwards.
    auto waits = [&](const prog &first, const prog &second, const prog &get) {
        prog callee = prog(8, mov(r1, 0)) + prog{jmp(BPF_JEQ, r1, 1, 0), jmp(BPF_JEQ, r1, 1, 0)} + ret0;
        prog rest = use_index(r7, get);
        return random + either(first, second) + prog{call_pc(static_cast<s32>(rest.size()))} + rest + callee;
    };
    return {
        {"a slot that nobody wrote again is tied to another number on one arm",
         spilled_once + either({mov_x(r7, r6)}, {mov_x(r7, r9)}) + use_index(r8, {jmp(BPF_JGT, r7, 40, 3), ldx(BPF_DW, r8, r10, -64)}), filter, EACCES,
         "max value is outside"},
        {"a slot that nobody wrote again is tied to the same number",
         spilled_once + either({mov_x(r7, r6)}, {mov(r9, 0), mov_x(r7, r6)}) + use_index(r8, {jmp(BPF_JGT, r7, 40, 3), ldx(BPF_DW, r8, r10, -64)})},
        {"a copy on the arm that is explored first, a number of its own on the other",
         three_unknown + prog{alu(BPF_AND, r6, 127), alu(BPF_AND, r9, 127)} + either({mov_x(r7, r9), alu(BPF_AND, r7, 127)}, {mov_x(r7, r6)}) +
             use_index(r7, {jmp(BPF_JGT, r6, 40, 2)}), filter, EACCES, "max value is outside"},
        {"a copy plus a constant on the arm that is explored first, a smaller number plus a larger one on the other",
         three_unknown + prog{alu(BPF_AND, r6, 127)} +
             either({mov_x(r8, r6), alu(BPF_AND, r6, 63), mov_x(r7, r6), add(r7, 16)}, {mov_x(r6, r8), mov_x(r7, r6), add(r7, 4)}) +
             use_index(r7, {jmp(BPF_JGT, r6, 43, 2)}), filter, EACCES, "max value is outside"},
        {"the first slot of a page", slot_is(-40, 8, 80), filter, EACCES, "invalid access to map value"},
        {"the second slot of a page", slot_is(-48, 8, 80), filter, EACCES, "invalid access to map value"},
        {"the third slot of a page", slot_is(-56, 8, 80), filter, EACCES, "invalid access to map value"},
        {"the last slot of a page", slot_is(-64, 8, 80), filter, EACCES, "invalid access to map value"},
        {"the lowest slot", slot_is(-512, 8, 80), filter, EACCES, "invalid access to map value"},
        {"the lowest slot, safe", slot_is(-512, 8, 40)},
        {"the last slot of a page, safe", slot_is(-64, 8, 40)},
        {"a register of the caller that its callee cannot see", waits({mov(r6, 8)}, {mov(r6, 80)}, {mov_x(r7, r6)}), filter, EACCES,
         "invalid access to map value"},
        {"a register of the caller that its callee cannot see, safe", waits({mov(r6, 8)}, {mov(r6, 40)}, {mov_x(r7, r6)})},
        {"a slot of the caller that its callee cannot see",
         waits({st(BPF_DW, r10, -64, 8)}, {st(BPF_DW, r10, -64, 80)}, {ldx(BPF_DW, r7, r10, -64)}), filter, EACCES, "invalid access to map value"},
        {"a slot of the caller that its callee cannot see, safe",
         waits({st(BPF_DW, r10, -64, 8)}, {st(BPF_DW, r10, -64, 40)}, {ldx(BPF_DW, r7, r10, -64)})},
        {"a record that is given back on one arm", record_in_r8 + random + either({}, give_back) + ret0, filter, EINVAL, "Unreleased reference"},
        {"a record that is given back behind both arms", record_in_r8 + random + either({}, {mov(r7, 0)}) + give_back + ret0},
        {"a record on one arm, none on the other",
         random + either({}, ld_map(r1, ringbuf_fd) + prog{mov(r2, 8), mov(r3, 0), call(BPF_FUNC_ringbuf_reserve), jmp(BPF_JEQ, r0, 0, 0)}) + ret0, filter, EINVAL,
         "Unreleased reference"},
        {"a number on one arm, a pointer on the other, used as a number",
         three_unknown + prog{mov(r7, 0)} + either({}, {mov_x(r7, r10)}) + prog{alu(BPF_AND, r7, 1), mov(r0, 0), exit_()}, filter, EACCES, "R7"},
        {"a packet pointer with fewer bytes on one arm", bytes_known(4), xdp, EACCES, "offset is outside of the packet"},
        {"a packet pointer with more bytes on one arm", bytes_known(12), xdp},
        {"a dynptr on one arm", random + either({}, map_dynptr(-64)) + read_dynptr(-64, -72) + ret0, filter, EINVAL, "Expected an initialized dynptr"},
        {"an offset to a copy on one arm, another on the other, in a slot",
         three_unknown + prog{alu(BPF_AND, r6, 127)} + either({mov_x(r7, r6), add(r7, 4), stx(BPF_DW, r10, r7, -64)}, {mov_x(r7, r6), add(r7, 16), stx(BPF_DW, r10, r7, -64)}) +
             use_index(r7, {jmp(BPF_JGT, r6, 39, 2)}), filter, EACCES, "max value is outside"},
        {"a copy on one arm, a copy plus a constant on the other",
         three_unknown + prog{alu(BPF_AND, r6, 127)} + either({mov_x(r7, r6)}, {mov_x(r7, r6), add(r7, 16)}) + use_index(r7, {jmp(BPF_JGT, r6, 39, 2)}), filter, EACCES,
         "max value is outside"},
    };
}

}  // namespace modbpf::test
