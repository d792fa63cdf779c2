// SPDX-License-Identifier: GPL-2.0-only
// What the JIT finds out about each subprogram before it emits code, and the native frame that follows from it.
//
// Frame of a subprogram, from high addresses to low:
//     return address
//     saved rbp                      <- rbp
//     [tail-call pointer: 8 bytes]      only if tail calls can be reached: address of the run's counter
//     [tail-call counter: 8 bytes]      likewise; the live one is in the frame that was entered from outside
//     [may_goto counter: 8 bytes]       only with may_goto: the turns that are left
//     [anchor and r1: 16 bytes]         only of the entry of a program that throws: the run's anchor before (throw.cpp)
//     [scratch word: 8 bytes]           only with packet loads or tail calls of its own, but for those in place
//     BPF stack                      <- r10 = rbp - below_rbp (r10 is never in a register of its own then)
//     padding to 16 bytes
//     saved callee-saved registers   <- rsp
//
// Tail calls: a run's counter is one word in the frame of the program that was entered from outside; every frame that
// may lead to
// a tail call holds its address, handed down to subprograms in rax and left in place by a tail call, so that it counts
// the whole
// run, whatever the nesting (CVE-2024-47794). A tail call pops the saved registers and jumps, with rbp as it is and
// rsp below
// the two words, to the target's tail entry, which sets rsp for its own frame.
//
// A subprogram without calls, stack and callee-saved registers has no frame at all.
#pragma once

#include "jit/ir.h"
#include "jit/x86_encoder.h"
#include "maps/lookup.h"

namespace modbpf {

struct jit_frame {
    u32 start = 0, end = 0;   ///< instructions
    u32 first = 0, last = 0;  ///< operations; last is one past
    u16 stack_depth = 0;      ///< of the BPF stack
    u16 regs = 0;             ///< registers that appear in it
    bool calls = false;       ///< anything: helpers, subprograms, packet loads
    bool tail_calls = false;  ///< itself, by way of the helper
    bool reaches_tail_call = false;
    bool loads_packet = false;
    bool may_goto = false;
    bool address_taken = false;      ///< BPF_PSEUDO_FUNC
    bool dead_end = false;           ///< ends with a call of what always throws
    bool catches = false;            ///< the entry of a program that throws (throw.cpp)
    bool present = false;            ///< has a native frame
    s32 anchor_slot = 0;             ///< from rbp; the word below is r1's
    s32 turns_slot = 0;              ///< of the may_goto counter, from rbp
    u32 below_rbp = 0;               ///< r10 = rbp - below_rbp
    u32 size = 0;                    ///< bytes between rbp and the saved registers
    u16 saved = 0;                   ///< registers whose native register is saved
    u16 extra = 0;                   ///< x11-x15 that have a native register
    u16 scratch = 0;                 ///< which of r9, r10, r11 its operations use: bits 9-11, native numbers
    x86::reg native[jit_reg_count];  ///< of each register; r10's is rbp, and meaningful only where below_rbp is 0
};
inline constexpr s32 tail_pointer_slot = -8, tail_counter_slot = -16;  ///< from rbp
inline constexpr u32 tail_words = 16;

struct jit_facts {
    scratch_vec<jit_frame> frames;  ///< one a subprogram
    scratch_vec<jit_op> ops;
    scratch_vec<u32> op_of;         ///< by instruction: its operation; a second word has the next one's; last: ops.size()
    scratch_vec<map_lookup> lookups; ///< of jit_form::hash and tail
    scratch_vec<u8> targets;        ///< by operation: 1 where a jump lands
    bool checks_index = false; ///< index checks of look-ups stand among the operations
    bool blind = false;     ///< jit_options::blind: constants that are operands take r11
#ifdef MODBPF_DEBUG
    mutable u64 steps = 0; ///< dead operations that skips() saw; for tests
#endif

    /// Is the operation at `i` dead? Asked by walks from where jumps lead to what emits something.
    bool skips(u32 i) const {
#ifdef MODBPF_DEBUG
        steps += ops[i].dead;
#endif
        return ops[i].dead;
    }

    /// The operation behind `at` and before `last` that emits something, where nothing jumps to it or to what is between; `last`: there is none.
    u32 next_in_block(u32 at, u32 last) const {
        for (u32 i = at + 1; i < last && !targets[i]; i++)
            if (!ops[i].dead)
                return i;
        return last;
    }
    /// Index of the subprogram that starts at `insn`; frames.size() when none does.
    u32 frame_at(s64 insn) const;
};

/// Decodes the code and checks that it is what the verifier passes: every word decodes, jumps stay inside their
/// subprogram and land on instructions, calls name subprograms, no end is fallen off. ENOMEM; EFAULT, reported, for
/// anything else.
status jit_analyse(const code &c, jit_facts &out);
/// What the operations, as they are now, say about a subprogram: `regs`, `calls` and what follows, targets.
void summarise(jit_facts &facts, jit_frame &f);
/// Finds native registers: of r0-r10; with `leaf`, r6-r9 of a subprogram that does not call live in caller-saved ones.
void assign_registers(jit_frame &f, bool leaf);
/// Native registers that no operation needs, best first, at most jit_reg_count. -> how many.
u32 spare_registers(const jit_frame &f, x86::reg *out);
/// Sizes, once all registers are assigned.
void lay_out(jit_frame &f);

/// The native registers of a subprogram that calls: r1-r5 are where the C ABI has its arguments, r6-r9 where it keeps
/// them.
inline constexpr x86::reg calling_registers[bpf_reg_count] = {
    x86::reg::rax, x86::reg::rdi, x86::reg::rsi, x86::reg::rdx, x86::reg::rcx, x86::reg::r8,
    x86::reg::rbx, x86::reg::r13, x86::reg::r14, x86::reg::r15, x86::reg::rbp,
};
inline constexpr u16 callee_saved_regs = 0x3c0;  ///< r6-r9
/// The entry of a program that throws saves all registers that C code keeps: frames that are left have changed them.
inline constexpr u32 caught_registers = 5;
/// Native registers that C code keeps.
constexpr bool is_callee_saved(x86::reg r) {
    return r == x86::reg::rbx || (r >= x86::reg::r12 && r <= x86::reg::r15);
}

}  // namespace modbpf
