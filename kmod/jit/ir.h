// SPDX-License-Identifier: GPL-2.0-only
// What the passes work on: the program as one list of operations, subprogram after subprogram.
//
// An operation is a decoded instruction with operands of its own: registers beyond r10 (x11 up) stand for native registers that a
// subprogram does not use otherwise; `form` says what no BPF instruction can say. A jump's target is the index of an operation. The order
// of operations is the order of the native code. Nothing is ever erased: what a pass removes becomes `dead` and emits nothing, but labels
// bound to it hold.
//
// Invariants between passes:
//  - `uses` and `defs` are what the operation reads and writes; a call reads r1-r5 and writes r0-r5;
//  - a jump's target lies in its own subprogram; subprograms end in an operation that does not fall through;
//  - `origin` is the instruction that an operation stands for, and does not descend. What was inlined stands for the call.
#pragma once

#include "base/vec.h"
#include "isa/code.h"
#include "isa/opcode.h"

namespace modbpf {

inline constexpr u32 jit_reg_count = 16; ///< r0-r10, x11-x15
inline constexpr u16 extra_regs = 0xf800; ///< x11-x15

enum class jit_form : u8 {
    plain,
    rotate, ///< dst = src rotated left by imm, in `width` bytes; the upper half is zero for 4
    from_memory, ///< an alu whose operand is *(width *)(src + off)
    to_memory, ///< *(width *)(dst + off) op= operand
    save, ///< push dst
    scaled, ///< dst += src << imm, imm at most 3
    per_cpu, ///< dst = *(width *)(imm from this CPU's segment)
    add_per_cpu, ///< dst += *(u64 *)(imm from this CPU's segment)
    hash, ///< r0 = look-up of the key at r2 in jit_facts::lookups[imm]; destroys what a call may
    direct, ///< a call of the function at imm
    tail, ///< a tail call through jit_facts::lookups[imm]: of the program at index r3, or of the first, where `reg` is not set
    to_user, ///< dst = src as an address of user space: low 32 bits and imm above, or 0
    restore, ///< pop dst: undoes the last save; both or neither are passed
};

struct jit_op : insn_desc {
    u32 origin = 0;
    jit_form form = jit_form::plain;
    bool dead : 1 = false;
    bool inlined : 1 = false;
    bool negated : 1 = false; ///< a branch that is taken when its condition is false
    bool indexed : 1 = false; ///< the address in memory has (index << shift) added; set when nothing renames registers any more
    u8 index : 4 = 0, shift : 2 = 0;

    bool is(insn_kind k) const { return !dead && form == jit_form::plain && kind == k; }
    bool is_alu(u8 o) const { return is(insn_kind::alu) && op == o; }
    bool is_call() const {
        return kind == insn_kind::call_helper || kind == insn_kind::call_sub || kind == insn_kind::call_kfunc || kind == insn_kind::ld_packet;
    }
    /// Leaves the straight line: nothing that a pass knows of one block holds behind it.
    bool ends_block() const { return jumps || kind == insn_kind::exit || is_call(); }
    /// Computes and does nothing else: may go when what it defines is not read.
    bool is_pure() const;
    /// Has it an immediate operand, which blinding hides? Counts of shifts and rotations, and 0, are no choice that matters.
    bool has_constant() const;
    void kill() { dead = true; }
};

static_assert(sizeof(jit_op) == 40); // there is one for each instruction, so each byte is cleared and read as often

/// An operation `dst = src` or `dst = imm` of `width` bytes, in the place of `at`.
jit_op make_move(const jit_op &at, u8 width, u8 dst, u8 src);
jit_op make_move_imm(const jit_op &at, u8 width, u8 dst, s64 imm);
// Others, likewise.
jit_op make_alu(const jit_op &at, u8 op, u8 width, u8 dst, u8 src);
jit_op make_alu_imm(const jit_op &at, u8 op, u8 width, u8 dst, s64 imm);
jit_op make_scaled(const jit_op &at, u8 dst, u8 src, u8 shift);
jit_op make_imm64(const jit_op &at, u8 dst, u64 v);
jit_op make_load(const jit_op &at, u8 width, u8 dst, u8 base, s32 off); ///< off fits 16 bits
jit_op make_per_cpu(const jit_op &at, u8 width, u8 dst, s32 off);
jit_op make_add_per_cpu(const jit_op &at, u8 dst, s32 off);
jit_op make_jump(const jit_op &at); ///< without a target
jit_op make_branch(const jit_op &at, u8 op, u8 width, u8 reg, s32 imm);

} // namespace modbpf
