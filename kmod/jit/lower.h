// SPDX-License-Identifier: GPL-2.0-only
// Lowering: BPF instructions to native ones. What each instruction means in x86 terms; bytes are x86_encoder's
// business, jump sizes
// assembler's, frames frame.h's.
//
// Native registers r9, r10, r11 are scratch inside one instruction; rax is free where r0 is dead (calls, prologue).
// Flags are
// live within one lowered group only.
#pragma once

#include "helpers/helper.h"
#include "isa/code.h"
#include "isa/opcode.h"
#include "jit/assembler.h"
#include "jit/frame.h"
#include "jit/jit.h"
#include "port/port.h"

namespace modbpf {

class lowering {
public:
    lowering(const code &c, const jit_facts &facts, const jit_machine &env, const jit_options &options, assembler &out)
        : code_(c), facts_(facts), env_(env), options_(options), out_(out) {}

    /// Labels: one an instruction, one behind the last, then for subprogram i entry_label(i), epilogue_label(i) and
    /// end_label(i), then those of the tail entry.
    u32 label_count() const { return static_cast<u32>(code_.insns.size() + 1 + 3 * facts_.frames.size() + 2); }
    u32 entry_label(u32 sub) const { return static_cast<u32>(code_.insns.size()) + 1 + 3 * sub; }
    u32 epilogue_label(u32 sub) const { return entry_label(sub) + 1; }
    u32 end_label(u32 sub) const { return entry_label(sub) + 2; }
    u32 tail_label() const { return label_count() - 2; }
    u32 body_label() const { return label_count() - 1; }  ///< of the entry, behind its frame's allocation

    /// Emits all subprograms and the tail entry. ENOMEM, E2BIG; EFAULT, reported: a helper that cannot be called.
    status run();

private:
    status subprogram(u32 sub);
    void prologue(u32 sub);
    void epilogue(u32 sub);
    void tail_entry();
    void restore_saved();
    void ret();

    /// Emits the instruction at `at` (and maybe the ones behind it). -> words consumed.
    result<u32> instruction(u32 at);
    u32 fuse(u32 at, const insn_desc &d);
    u32 fuse_address(const insn_desc &d, const insn_desc &next);
    u32 fuse_extension(const insn_desc &d, const insn_desc &next);
    u32 fuse_test(u32 at, const insn_desc &d, const insn_desc &next);
    u32 fuse_branch_over(u32 at, const insn_desc &d);
    status control(u32 at, const insn_desc &d);

    void mov(const insn_desc &d);
    void alu(const insn_desc &d);
    /// The guard of kind `k` (mask or barrier) at an instruction, or null.
    const code_guard *guard(u32 at, bool mask) const;
    void masked_alu(const insn_desc &d, const code_guard &g);
    void alu_imm(const insn_desc &d, x86::alu op);
    void mul_imm(const insn_desc &d);
    void shift(const insn_desc &d);
    void div(const insn_desc &d);
    bool div_by_constant(const insn_desc &d);
    void div_full(const insn_desc &d);
    void byte_order(const insn_desc &d);
    void store(const insn_desc &d);
    void atomic(const insn_desc &d);
    void atomic_fetch_loop(const insn_desc &d, x86::alu op);
    x86::cond compare(const insn_desc &d);
    void exit(u32 at);
    void packet(const insn_desc &d);
    status helper(const insn_desc &d);
    void kfunc(const insn_desc &d);
    void may_goto(const insn_desc &d);
    void tail_call();
    void call_address(u64 addr);
    void jump_register(x86::reg r);

    /// The register that holds BPF register `r` for reading; r10 may have to be computed into `scratch`.
    x86::reg use(u8 r, x86::reg scratch);
    x86::mem at(u8 base, s32 off) const;

    const code &code_;
    const jit_facts &facts_;
    const jit_machine &env_;
    const jit_options &options_;
    assembler &out_;
    const jit_frame *frame_ = nullptr;
    u32 sub_ = 0;
    bool epilogue_done_ = false;
};

}  // namespace modbpf
