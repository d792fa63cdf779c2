// SPDX-License-Identifier: GPL-2.0-only
// Look-ups in an array by a number that is known find something: no path goes on without. They are run as those of verdict_rows.h.
#pragma once

#include "verifier/attack_rows.h"

namespace modbpf::test {

/// r0 = lookup(map, the number at r10 + key).
inline prog lookup_at(s16 key, s32 fd = array_fd) {
    return prog{mov_x(r2, r10), add(r2, key)} + ld_map(r1, fd) + call(BPF_FUNC_map_lookup_elem);
}
/// What is refused when `reg` may be NULL.
inline prog no_null(u8 reg) { return prog{jmp(BPF_JNE, reg, 0, 1), mov_x(r0, r9)} + ret0; }

inline std::vector<row> found_rows() {
    const char *followed = "R9 !read_ok";
    prog random{call(BPF_FUNC_get_prandom_u32)};
    auto key = [](s32 n) { return prog{st(BPF_DW, r10, -8, n)}; };
    auto by_key = [&](const prog &store) { return random + store + lookup_at(-8) + no_null(r0); };
    auto high = [&](u64 n) { return ld64(r1, n << 32) + stx(BPF_DW, r10, r1, -8) + lookup_at(-4) + no_null(r0); };
    // An element for key `a`, which another for key `b` replaces on one arm; kept in r6 or on the stack.
    auto kept = [&](s32 a, s32 b, const prog &keep, const prog &get) {
        prog two = key(b) + lookup_at(-8) + keep;
        return random + mov_x(r7, r0) + key(a) + lookup_at(-8) + keep + mov_x(r0, r7) + either({}, two) + get + no_null(r6);
    };
    prog in_r6{mov_x(r6, r0)}, spill{stx(BPF_DW, r10, r0, -16)}, fill{ldx(BPF_DW, r6, r10, -16)};
    return {
        {"the last element of an array is there", by_key(key(3))},
        {"behind the last element", by_key(key(4)), filter, EACCES, followed},
        {"a key of four bytes", by_key({st(BPF_W, r10, -8, 3)})},
        {"a zero that was stored as such", prog{mov(r1, 0), stx(BPF_W, r10, r1, -4)} + lookup_at(-4) + no_null(r0)},
        {"a key in the upper half of a constant", high(3)},
        {"one that is too large there", high(4), filter, EACCES, followed},
        {"a key across two constants", key(0) + prog{st(BPF_DW, r10, -16, 0)} + lookup_at(-10) + no_null(r0), filter, EACCES, followed},
        {"a key of which a byte is not known", by_key(key(3) + stx(BPF_B, r10, r0, -7)), filter, EACCES, followed},
        {"a key that is not known", by_key({alu(BPF_AND, r0, 3), stx(BPF_DW, r10, r0, -8)}), filter, EACCES, followed},
        {"elements of hashes may be missing", lookup() + no_null(r0), filter, EACCES, followed},
        {"what was not compared is refused as ever", key(3) + lookup_at(-8) + prog{ldx(BPF_DW, r1, r0, 0)} + ret0, filter, EACCES,
         "R0 invalid mem access 'map_value_or_null'"},
        {"copies are compared together", key(3) + lookup_at(-8) + prog{mov_x(r6, r0), jmp(BPF_JEQ, r0, 0, 1), ldx(BPF_DW, r1, r6, 0)} + ret0},
        {"compared with a register", key(3) + lookup_at(-8) + prog{mov(r1, 0), jmp_x(BPF_JEQ, r0, r1, 1), ldx(BPF_DW, r1, r0, 0)} + ret0},
        {"a key on either arm", by_key(either(key(3), key(2)))},
        {"a key that is too large on the arm that is explored first", by_key(either(key(3), key(4))), filter, EACCES, followed},
        {"a key that is too large on the other arm", by_key(either(key(4), key(3))), filter, EACCES, followed},
        {"a key that is not known on one arm", by_key(either(key(3), {stx(BPF_DW, r10, r0, -8)})), filter, EACCES, followed},
        {"an element that was found on both arms", kept(3, 2, in_r6, {})},
        {"an element that may be missing on one arm", kept(3, 4, in_r6, {}), filter, EACCES, followed},
        {"an element that may be missing on the other arm", kept(4, 3, in_r6, {}), filter, EACCES, followed},
        {"a spilled element that was found on both arms", kept(3, 2, spill, fill)},
        {"a spilled element that may be missing on one arm", kept(3, 4, spill, fill), filter, EACCES, followed},
        {"a spilled element that may be missing on the other arm", kept(4, 3, spill, fill), filter, EACCES, followed},
        {"a look-up leaves the key known", key(3) + lookup_at(-8) + lookup_at(-8) + no_null(r0)},
        {"other helpers do not", key(3) + prog{mov_x(r1, r10), add(r1, -8), mov(r2, 8), mov_x(r3, r10), call(BPF_FUNC_probe_read_kernel)} +
             lookup_at(-8) + no_null(r0), kprobe, EACCES, followed},
    };
}

}  // namespace modbpf::test
