// SPDX-License-Identifier: GPL-2.0-only
// Disassembly in the text format that Linux's verifier log and bpftool print: "(bf) r6 = r1", "(85) call
// bpf_ktime_get_ns#5".
//
// Pure; any context. Names that isa cannot know (helpers, kernel functions) come through callbacks.
// Reference: the output of Linux 6.12 (kernel/bpf/disasm.c is the behaviour that tools parse).
#pragma once

#include "base/bpf.h"
#include "base/span.h"

namespace modbpf {

struct disasm_options {
    /// Helper's name without "bpf_" ("map_lookup_elem" for 1), null for an id that is not known: helpers/helper.h's
    /// helper_name.
    const char *(*helper_name)(u32 id) = nullptr;
    /// Text behind "call pc" for a bpf-to-bpf call (the default is "%+d" of imm), or the name of a kernel function;
    /// null: default.
    const char *(*call_name)(void *priv, const bpf_insn &insn) = nullptr;
    /// Text of a 64-bit immediate; null: the default, hexadecimal.
    const char *(*imm_name)(void *priv, const bpf_insn &insn, u64 imm) = nullptr;
    void *priv = nullptr;
    bool show_pointers = true;  ///< false: immediates of map and BTF loads appear as 0x0 (Linux's !allow_ptr_leaks)
};

/// Writes one line, without the instruction's number, with the final '\n'; NUL-terminated and cut to size.
/// -> length of the whole text.
int disasm(char *buf, u32 size, span<const bpf_insn> insns, u32 at, const disasm_options &options);

/// Longest line that disasm() writes when callbacks return at most 64 characters.
inline constexpr u32 disasm_line_max = 160;

/// "+=", "s>>=", "neg": Linux's operator text of an arithmetic operation (the high nibble of the opcode); never null.
const char *alu_op_name(u8 op);
/// "ldx", "alu64".
const char *class_name(u8 insn_class);

}  // namespace modbpf
