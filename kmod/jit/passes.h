// SPDX-License-Identifier: GPL-2.0-only
// The JIT's passes: what each is called, in which order they run, and which are on.
//
// A pass changes operations (ir.h) so that the program does the same with less; each stands in a file of its own and is correct alone and
// with any others. Some are decisions of lowering, which asks for them. A program with guards against mispredicting CPUs keeps its
// operations as they are, and masks use all scratch registers: only guarded_passes touch it.
#pragma once

#include "jit/frame.h"
#include "port/port.h"

namespace modbpf {

enum class jit_pass : u8 {
    inline_,   ///< bpf-to-bpf calls of leaves
    branches,  ///< jumps to jumps, branches over jumps
    rotate,    ///< two shifts and an or are a rotation
    slots,     ///< stack slots in spare registers
    copies,    ///< copies and constant offsets of registers, what is never read
    memory,    ///< loads folded into arithmetic, read-modify-write in one
    divide,    ///< division by constants as multiplication
    address,   ///< move and add as one address computation
    flags,     ///< a branch on zero behind an operation that sets the flags
    extension, ///< two shifts as zero- or sign-extension
    leaf,      ///< r6-r9 in caller-saved registers where nothing is called
    maps,      ///< look-ups in arrays as operations
    hashes,    ///< look-ups in hash tables, likewise
    helpers,   ///< this CPU's number, the current task and its ids without a call
    direct,    ///< calls of a map's own functions
    tails,     ///< tail calls through an array that is known, in place
    layout,    ///< what a jump leads to stands behind it
    ranges,    ///< index checks of look-ups that the index is known to pass
};
inline constexpr u32 jit_pass_count = 18;
constexpr u32 pass_bit(jit_pass p) { return 1u << static_cast<u8>(p); }
inline constexpr u32 all_passes = (1u << jit_pass_count) - 1;
inline constexpr u32 guarded_passes = pass_bit(jit_pass::branches);

/// By number.
extern const char *const jit_pass_names[jit_pass_count];

/// What a translation is made from.
struct jit_context {
    const code &c;
    const struct ::port_jit_env &env; // shares its name with a function
    u32 passes; ///< that are on
    bool thorough; ///< jit_options::thorough
};

/// Runs the passes over all subprograms and assigns registers. ENOMEM.
status run_passes(jit_facts &facts, const jit_context &ctx);

// The passes over operations. `facts.targets` is right when one is called; one that changes jumps makes it right again.
status pass_calls(jit_facts &facts, const jit_context &ctx); ///< maps, hashes, helpers, direct, tails
status pass_inline(jit_facts &facts);
status pass_branches(jit_facts &facts, jit_frame &f);
status pass_rotate(jit_facts &facts, jit_frame &f);
status pass_slots(jit_facts &facts, jit_frame &f);
status pass_ranges(jit_facts &facts, jit_frame &f);
status pass_copies(jit_facts &facts, jit_frame &f);
status pass_memory(jit_facts &facts, jit_frame &f);

/// Which passes a list names: "all", "none", or names separated by commas; with '-' in front of the first, all but those. EINVAL.
result<u32> parse_passes(const char *list);

} // namespace modbpf
