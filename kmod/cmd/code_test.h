// SPDX-License-Identifier: GPL-2.0-only
// For tests: pieces of programs that are put together with +.
#pragma once

#include "cmd/core_test.h"

namespace modbpf::test {

using insns = std::vector<bpf_insn>;

inline insns operator+(insns a, const insns &b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
inline insns ld_map(u8 reg, const fd &m) { return {{BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_FD, 0, m.get()}, {0, 0, 0, 0, 0}}; }
inline insns mov(u8 dst, u8 src) { return {{BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0}}; }
inline insns imm(u8 dst, s32 v) { return {mov_imm(dst, v)}; }
inline insns call(s32 id) { return {{BPF_JMP | BPF_CALL, 0, 0, 0, id}}; }
inline insns stop() { return {exit_insn()}; }
/// Returns v when r0 is 0.
inline insns null_is(s32 v) { return insns{{BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0}} + imm(BPF_REG_0, v) + stop(); }

}  // namespace modbpf::test
