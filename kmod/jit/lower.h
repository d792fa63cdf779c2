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
#include "jit/layout.h"
#include "jit/passes.h"
#include "port/port.h"

namespace modbpf {

/// The two-operand instruction of add, sub, or, and, xor.
constexpr x86::alu native_alu(u8 op) {
    switch (op) {
        case BPF_ADD:
            return x86::alu::add;
        case BPF_SUB:
            return x86::alu::sub;
        case BPF_OR:
            return x86::alu::or_;
        case BPF_AND:
            return x86::alu::and_;
        default:
            return x86::alu::xor_;
    }
}

class lowering {
public:
    lowering(const code &c, const jit_facts &facts, const jit_machine &env, const jit_options &options, u32 passes,
             assembler &out)
        : code_(c), facts_(facts), env_(env), options_(options), passes_(passes), out_(out) {}

    /// Labels: one an operation, one behind the last, then for subprogram i entry_label(i), epilogue_label(i), end_label(i) and
    /// start_label(i), then those of the tail entry and of what catches.
    u32 label_count() const { return static_cast<u32>(facts_.ops.size() + 1 + 4 * facts_.frames.size() + 3); }
    u32 entry_label(u32 sub) const { return static_cast<u32>(facts_.ops.size()) + 1 + 4 * sub; }
    u32 epilogue_label(u32 sub) const { return entry_label(sub) + 1; }
    u32 end_label(u32 sub) const { return entry_label(sub) + 2; }
    u32 start_label(u32 sub) const { return entry_label(sub) + 3; } ///< behind the look at the hook
    u32 catch_label() const { return label_count() - 3; }
    u32 tail_label() const { return label_count() - 2; }
    u32 body_label() const { return label_count() - 1; }  ///< of the entry, behind its frame's allocation

    /// Emits all subprograms and the tail entry. ENOMEM, E2BIG; EFAULT, reported: a helper that cannot be called.
    status run();

private:
    status subprogram(u32 sub);
    status run(const op_run &r);
    bool comes_next(u32 target) const;
    void branch(x86::cond c, const jit_op &d);
    void look_at_hook(u32 sub);
    void prologue(u32 sub);
    void epilogue(u32 sub);
    void tail_entry();
    void restore_saved();
    void set_anchor();
    void restore_anchor();
    void throw_cookie(const code_kfunc &k);
    void catch_cookie();
    void push_saved();
    void ret();

    /// Emits the operation at `at` (and maybe the one behind it). -> index of the next one to emit.
    result<u32> operation(u32 at);
    /// The next operation that emits anything and that nothing jumps to or between; facts_.ops.size() when there is none.
    u32 next_of(u32 at) const;
    bool may(jit_pass p) const { return passes_ & pass_bit(p); }
    result<u32> fuse(const jit_op &d, u32 next);
    result<u32> fuse_test_apart(const jit_op &d, u32 next);
    // Each: -> whether both operations were emitted as one.
    bool fuse_address(const jit_op &d, const jit_op &next);
    bool fuse_extension(const jit_op &d, const jit_op &next);
    bool fuse_test(const jit_op &d, const jit_op &next);
    void special(const jit_op &d);
    void hash(const map_lookup &how);
    void cpu_value(const map_lookup &how);
    status control(u32 at, const jit_op &d);

    void mov(const jit_op &d);
    void alu(const jit_op &d);
    /// The guard of kind `k` (mask or barrier) at an instruction, or null.
    const code_guard *guard(u32 at, bool mask) const;
    void masked_alu(const jit_op &d, const code_guard &g);
    void alu_imm(const jit_op &d, x86::alu op);
    void mul_imm(const jit_op &d);
    void shift(const jit_op &d);
    void div(const jit_op &d);
    bool div_by_constant(const jit_op &d);
    void divide_by(const jit_op &d, u64 v);
    void divide_signed(const jit_op &d);
    void quotient(bool wide, u64 d, x86::reg x);
    void div_full(const jit_op &d);
    void byte_order(const jit_op &d);
    void store(const jit_op &d);
    void atomic(const jit_op &d);
    void atomic_fetch_loop(const jit_op &d, x86::alu op);
    x86::cond compare(const jit_op &d);
    void exit(u32 at);
    void packet(const jit_op &d);
    status helper(const jit_op &d);
    void kfunc(const jit_op &d);
    void call_c(helper_fn fn, bool in_section);
    void probe(const jit_op &d);
    void arena(const jit_op &d);
    void may_goto(const jit_op &d);
    void tail_call();
    void tail_call_in_place(const jit_op &d);
    void enter();
    bool tail_enters_prologue() const;
    void call_address(u64 addr);
    void jump_register(x86::reg r);

    // Constants of the program (lower_constant.cpp): as immediates, or blinded, by way of r11.
    bool in_open(s64 v) const { return !options_.blind || v == 0; }
    void constant(x86::reg dst, u64 v); ///< dst = v, v != 0; flags change when it is blinded
    void op_constant(x86::alu o, bool wide, x86::reg dst, s32 v);
    void op_constant(x86::alu o, bool wide, x86::mem m, s32 v);
    void multiply_constant(bool wide, x86::reg dst, s32 v);
    void test_constant(bool wide, x86::reg r, s32 v);
    void store_constant(u8 bytes, x86::mem m, s32 v);
    bool shows_constant(u32 from, u32 to, u32 open) const;

    /// The register that holds BPF register `r` for reading; r10 may have to be computed into `scratch`.
    x86::reg use(u8 r, x86::reg scratch);
    x86::mem at(u8 base, s32 off) const;
    x86::mem address(const jit_op &d, u8 base) const; ///< of the operand in memory that `d` has

    const code &code_;
    const jit_facts &facts_;
    const jit_machine &env_;
    const jit_options &options_;
    u32 passes_;
    assembler &out_;
    const jit_frame *frame_ = nullptr;
    const jit_op *turned_ = nullptr; ///< the branch at the end of the current run, where that is turned (layout.h)
    op_run next_run_{0, 0}; ///< what is emitted behind the current run
    u32 sub_ = 0;
    bool epilogue_done_ = false;
};

}  // namespace modbpf
