// SPDX-License-Identifier: GPL-2.0-only
// code: a verified program in the form that the interpreter and the JIT run.
//
// Differences from what the user loaded:
//  - 64-bit immediate loads of maps and map values carry the address and src_reg 0; a function's address (PSEUDO_FUNC)
//  keeps its
//    src_reg and the relative instruction offset in imm;
//  - loads and stores of an arena have modes of their own, and casts from it are 32-bit moves;
//  - context loads and stores have the offset and size of the run-time context (helpers/packet.h);
//  - unreachable instructions are gone, offsets are adjusted;
//  - helper calls keep the helper id in imm; bpf-to-bpf calls (src_reg 1) the relative offset; calls of kernel functions
//    (src_reg 2) have an index into code::kfuncs.
// Division by zero, INT_MIN / -1, oversized shifts, legacy packet loads, tail calls and may_goto are the engines' business.
#pragma once

#include "base/bpf.h"
#include "base/vec.h"

namespace modbpf {

/// What the verified code keeps in a frame below what the program uses: three registers while a loop runs (verifier/expand.h).
inline constexpr u32 loop_vars_bytes = 24;
inline constexpr u32 max_frame_bytes = max_bpf_stack + loop_vars_bytes;

struct code_subprog {
    u32 start;        ///< index of the first instruction
    u32 end;          ///< one past the last
    u16 stack_depth;  ///< bytes used below the frame pointer, rounded up to 8
    bool has_tail_call;
    bool reaches_tail_call;  ///< itself or through calls
};

/// How the JIT keeps a mispredicting CPU from doing harm. No guard changes what the program computes.
enum class guard_kind : u8 {
    none,
    number,  ///< the verifier's: an addition of numbers, nothing to mask
    barrier, ///< behind the instruction (a store to the stack): younger loads wait
    // Masks of `pointer += offset` and `pointer -= offset`: an offset beyond the limit becomes 0.
    mask = 8,
    mask_negative = 1, ///< bits added to `mask`: the offset is not positive
    mask_constant = 2, ///< always the limit
    mask_in_src = 4,   ///< the offset is in src, the pointer in dst; else the other way round
};
constexpr guard_kind make_mask(bool negative, bool constant, bool in_src) {
    return static_cast<guard_kind>(8 | (negative ? 1 : 0) | (constant ? 2 : 0) | (in_src ? 4 : 0));
}
constexpr bool is_mask(guard_kind k) { return static_cast<u8>(k) & 8; }
constexpr bool mask_has(guard_kind k, guard_kind bit) { return is_mask(k) && (static_cast<u8>(k) & static_cast<u8>(bit)); }

struct code_guard {
    u32 insn;
    u32 limit; ///< of a mask: greatest magnitude of the offset
    guard_kind kind;
};

/// A kernel function that the code calls. All have the five argument words of helpers.
struct code_kfunc {
    u64 (*fn)(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5);
    u8 hidden_reg = 0; ///< r1..r5: set to `hidden` before the call, whatever the program left there; 0: none
    u64 hidden = 0;
    bool throws = false; ///< bpf_throw: it does not return; r1 is the cookie
    bool in_section = false; ///< of a sleepable program: called with preemption off, inside RCU
};

struct map;
/// A call of a helper on a map that is the same on every path; the program holds it.
struct code_map {
    u32 insn;
    map *m;
};

struct code;
/// What the interpreter does where a function of a program is traced or replaced.
struct code_around {
    const code *instead = nullptr; ///< runs from its start in the function's place; else the function is traced:
    u32 args = 0;                  ///< words that it takes
    /// With the words before the context, the arguments, and behind the function its result (helpers/traced.h).
    void (*before)(const code_around *a, u64 *context) = nullptr;
    void (*after)(const code_around *a, u64 *context) = nullptr;
};
/// What stands at one function. Both are read by running programs, inside RCU or counted (prog/hooks.h), and are null where nothing stands.
struct code_hook {
    const void *text = nullptr;          ///< native: entered in the function's place, as the function. Atomic
    const code_around *around = nullptr; ///< Atomic
};

/// Turns that the may_goto of one call of a function can take together (Linux: BPF_MAX_LOOPS).
inline constexpr u32 max_may_goto_turns = 8u << 20;

struct code {
    vec<bpf_insn> insns;
    vec<code_subprog> subprogs;  ///< subprogs[0] is the entry
    vec<code_guard> guards;      ///< by instruction, ascending
    vec<code_kfunc> kfuncs;
    u32 prog_type = 0, attach_type = 0; ///< BPF_PROG_TYPE_* (0: any) and the expected attach type: whose helpers it calls
    /// Of the arena: the kernel's address for low 32 bits of 0, and a user address; 0: there is none.
    u64 arena_base = 0, arena_user = 0;
    vec<code_map> maps;          ///< by instruction, ascending; none where look-ups must stay calls (guards)
    /// Instruction at which the exception callback starts, or 0: what is thrown is what the program returns. It runs in place of the
    /// program that was entered last, from outside or by a tail call, with the cookie in r1; its result is the program's.
    u32 catcher = 0;
    code_hook *hooks = nullptr; ///< one a subprogram, once it may be traced or replaced. Atomic; for the interpreter
    bool sleepable = false; ///< runs where it may sleep: helpers that do not are called inside a section of their own

    bool makes_tail_calls() const {
        for (const code_subprog &s : subprogs)
            if (s.has_tail_call)
                return true;
        return false;
    }
};

}  // namespace modbpf
