// SPDX-License-Identifier: GPL-2.0-only
// Slots of callers that functions reach by pointers: where the last read of one is, states are compared with it until there. Each beside a
// neighbour that may be pruned. They are run as those of verdict_rows.h.
#pragma once

#include "verifier/attack_rows.h"

namespace modbpf::test {

/// Main's slot at -64 holds a pointer into a value of 48 bytes: 8 bytes into it, or `other`.
inline prog value_in_slot(s32 other) {
    return lookup() + prog{jmp(BPF_JNE, r0, 0, 2)} + ret0 + prog{mov_x(r6, r0), call(BPF_FUNC_get_prandom_u32)} +
           either({add(r6, 8), stx(BPF_DW, r10, r6, -64)}, {add(r6, other - 8), stx(BPF_DW, r10, r6, -64)}) + prog{mov_x(r1, r10), add(r1, -64)};
}

/// Nothing, with places to prune at.
inline const prog dawdle = prog(8, mov(r5, 0)) + prog{jmp(BPF_JEQ, r5, 1, 0), jmp(BPF_JEQ, r5, 1, 0)} + prog(8, mov(r5, 0)) + prog{jmp(BPF_JEQ, r5, 1, 0)};

/// The eight bytes that the slot's pointer points to; where the slot is, `slot` says.
inline prog read_by(u8 slot, s16 off = 0) { return {ldx(BPF_DW, r2, slot, off), ldx(BPF_DW, r2, r2, 0)}; }

/// Functions one behind the other; the last instruction of `before` is the call of the next one, `after` what follows.
struct caller_part {
    prog before, after;
};
inline prog call_chain(const std::vector<caller_part> &parts) {
    prog p;
    for (size_t i = 0; i < parts.size(); i++) {
        p = p + parts[i].before;
        if (i + 1 < parts.size())
            p.push_back(call_pc(static_cast<s32>(parts[i].after.size() + 2)));
        p = p + parts[i].after + ret0;
    }
    return p;
}

inline std::vector<row> caller_rows() {
    std::vector<row> all;
    auto add_pair = [&](const char *name, auto &&make) {
        all.push_back({name, make(48), filter, EACCES, "invalid access to map value"});
        all.push_back({name, make(40)});
    };
    const prog keep = {mov_x(r6, r1)};
    add_pair("a callee reads a slot of its caller at the end", [&](s32 other) { return call_chain({{value_in_slot(other), {}}, {dawdle, read_by(r1)}}); });
    add_pair("the callee's callee reads it", [&](s32 other) { return call_chain({{value_in_slot(other), {}}, {dawdle, {}}, {dawdle, read_by(r1)}}); });
    add_pair("the callee reads it behind a call of its own",
             [&](s32 other) { return call_chain({{value_in_slot(other), {}}, {keep + dawdle, dawdle + read_by(r6)}, {dawdle, {}}}); });
    add_pair("the callee reads it behind a call of two levels",
             [&](s32 other) { return call_chain({{value_in_slot(other), {}}, {keep + dawdle, dawdle + read_by(r6)}, {dawdle, dawdle}, {dawdle, {}}}); });
    add_pair("the caller reads it behind the call", [&](s32 other) { return call_chain({{value_in_slot(other), read_by(r10, -64)}, {dawdle, {}}}); });
    add_pair("the caller reads it behind a call of two levels",
             [&](s32 other) { return call_chain({{value_in_slot(other), dawdle + read_by(r10, -64)}, {dawdle, dawdle}, {dawdle, {}}}); });
    add_pair("the caller reads it behind a call of four levels", [&](s32 other) {
        return call_chain({{value_in_slot(other), dawdle + read_by(r10, -64)}, {dawdle, dawdle}, {dawdle, dawdle}, {dawdle, dawdle}, {dawdle, {}}});
    });
    add_pair("the fourth function reads it", [&](s32 other) {
        return call_chain({{value_in_slot(other), {}}, {dawdle, dawdle}, {dawdle, dawdle}, {dawdle, dawdle}, {dawdle, read_by(r1) + dawdle}});
    });
    // The first call of the function is the last that reads the slot; the second has a slot of its own, read behind it.
    add_pair("only the second caller of a function reads its slot behind it", [&](s32 other) {
        prog rest = read_by(r10, -64), callee = dawdle + ret0;
        return value_in_slot(other) + prog{call_pc(static_cast<s32>(dawdle.size() + rest.size() + 3))} + dawdle +
               prog{call_pc(static_cast<s32>(rest.size() + 2))} + rest + ret0 + callee;
    });
    return all;
}

}  // namespace modbpf::test
