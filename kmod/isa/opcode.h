// SPDX-License-Identifier: GPL-2.0-only
// The opcode table: every instruction of RFC 9669 (base32/64, divmul32/64, atomic32/64), ISA v4 (sdiv, smod, movsx,
// ldsx,
// bswap, gotol) and the legacy packet class; decoding, and the refusals that an encoding alone can cause.
//
// Terms: an instruction *word* is 8 bytes; a 64-bit immediate load has two. `width` is the operand width in bytes.
// "kind" is what an
// instruction does; engines and verifier switch over it and never look at opcode bits again.
//
// addr_space_cast, a move between address spaces, is a move with an offset: is_addr_space_cast().
//
// Pure functions on values: no locks, any context. Reference: RFC 9669; Linux 6.12 kernel/bpf/verifier.c for stages
// and texts.
//
// At which stage Linux 6.12 refuses what (the verifier calls these at the same points):
//  1. subprogram discovery and jump ranges (add_subprog, check_subprogs): the verifier's own, uses decode().targets
//     "jump out of range from insn %d to %d", "last insn is not an exit or jmp", "call to invalid destination".
//  2. resolve_pseudo_ldimm64, every word, reachable or not: check_load().
//  3. check_cfg: the verifier's own; it knows no encoding rule beyond those of stage 2.
//  4. do_check, only instructions that are reached, in this order:
//     a. check_encoding(): reserved fields, atomic operation, before any register is looked at. Exception: in an
//     atomic, a
//        conditional jump or packet load, Linux asks other questions first or between (program type; dst register of a
//        conditional jump): see there.
//     b. registers ("R%d is invalid", "R%d !read_ok", "frame pointer is read only"): the verifier's, from uses and
//     defs,
//        order: source operand, then destination as a source, then destination as a result;
//     c. check_operand(): "div by zero", "invalid shift %d", after the operands were read and before the result is
//     written.
#pragma once

#include "base/bpf.h"
#include "base/span.h"
#include "port/port.h"

namespace modbpf {

inline constexpr u16 BPF_MAY_GOTO = 0;         ///< src_reg of BPF_JCOND
inline constexpr s16 BPF_ADDR_SPACE_CAST = 1;  ///< off of a 64-bit register move

// Fields of an opcode byte.
constexpr u8 bpf_class(u8 code) {
    return code & 0x07;
}
constexpr u8 bpf_size(u8 code) {
    return code & 0x18;
}
constexpr u8 bpf_mode(u8 code) {
    return code & 0xe0;
}
constexpr u8 bpf_op(u8 code) {
    return code & 0xf0;
}
constexpr u8 bpf_src(u8 code) {
    return code & 0x08;
}

enum class insn_kind : u8 {
    unknown,  ///< not in the table: "unknown opcode"
    alu,      ///< dst = dst op operand; op is BPF_ADD..BPF_ARSH without NEG, MOV, END
    mov,      ///< dst = operand; sx_bytes != 0: sign-extending
    neg,      ///< dst = -dst
    to_le,    ///< dst = low `width` bytes of dst, little-endian order (on x86: truncation)
    to_be,    ///< dst = low `width` bytes of dst in big-endian order
    bswap,    ///< dst = low `width` bytes of dst reversed
    load,     ///< dst = *(width *)(src + off), zero- or (is_signed) sign-extended
    probe_load, ///< the same of a kernel address that may be none: then dst = 0. Only the verifier's fix-up makes it
    store,    ///< *(width *)(dst + off) = operand (register or immediate)
    atomic,   ///< imm is the operation
    arena_load, arena_store, arena_atomic, ///< the same at the low 32 bits of the address, in the arena. Only the verifier's fix-up makes them
    jump,     ///< goto
    branch,   ///< if dst op operand goto
    may_goto,
    call_helper,  ///< imm is the helper id
    call_sub,     ///< bpf-to-bpf
    call_kfunc,
    exit,
    ld_imm64,   ///< dst = 64-bit immediate, or what src (BPF_PSEUDO_*) makes of it
    ld_packet,  ///< r0 = packet bytes at imm (+ src), network order
};

/// One row of the table, by opcode byte.
struct opcode_row {
    insn_kind kind;
    u8 op;           ///< BPF_ADD.., BPF_JEQ..; 0 elsewhere
    u8 width;        ///< bytes: of the operation (alu, mov, neg, branch: 4 or 8), of the access (load, store, atomic,
                     ///< ld_packet)
    bool reg;        ///< the second operand is src_reg, not imm (alu, mov, store, branch; ld_packet: IND)
    bool is_signed;  ///< load: sign-extending
};
const opcode_row &opcode(u8 code);

/// An instruction, decoded. Made by decode() from any words, also refused ones: then fields may make no sense but
/// reading
/// stays in bounds.
struct insn_desc {
    insn_kind kind = insn_kind::unknown;
    u8 code = 0;
    u8 op = 0;
    u8 width = 0;            ///< byte swaps: imm / 8
    bool reg : 1 = false;        ///< second operand is register `src`, else `imm`
    bool is_signed : 1 = false;  ///< sign-extending load; sdiv, smod
    bool falls_through : 1 = true;
    bool jumps : 1 = false;  ///< jump, branch, may_goto: to instruction `target`
    u8 sx_bytes = 0;         ///< mov: sign-extend from 1, 2, 4 bytes; 0: plain
    u8 dst = 0;
    u8 src = 0;  ///< register, or BPF_PSEUDO_*
    u8 words = 1;  ///< 2 for ld_imm64
    s16 off = 0;
    u16 uses = 0;  ///< registers read, one bit each. call_helper: none here, its prototype decides; call_sub: r1-r5
    u16 defs = 0;  ///< registers written or made unreadable
    s64 imm = 0;   ///< sign-extended; all 64 bits of ld_imm64
    s64 target = 0;      ///< also of call_sub and of ld_imm64 with BPF_PSEUDO_FUNC; may lie outside the program

    bool alu32() const { return width == 4; }
    bool is_addr_space_cast() const { return code == (BPF_ALU64 | BPF_MOV | BPF_X) && off == BPF_ADDR_SPACE_CAST; }
    bool is_pseudo_func() const { return kind == insn_kind::ld_imm64 && src == BPF_PSEUDO_FUNC; }
};
/// Decodes the instruction at `at` < insns.size(). A ld_imm64 at the very end gets upper half 0.
insn_desc decode(span<const bpf_insn> insns, u32 at);
/// The same into `out`: a CPU waits for what was written in bytes and is then copied in words.
void decode_into(insn_desc &out, span<const bpf_insn> insns, u32 at);

/// What an access to an arena does; PORT_ARENA_OPS: nothing that can be done.
port_arena_op arena_op_of(const insn_desc &d);

constexpr u16 reg_bit(u32 reg) {
    return reg < 16 ? static_cast<u16>(1u << reg) : 0;
}
inline constexpr u16 caller_saved_regs = 0x3f;  ///< r0-r5: a call leaves nothing readable in r1-r5, its result in r0

/// Why an encoding is refused: err 0 means that it is not. text is Linux's log line, with '\n'; "" where Linux prints
/// none.
struct refusal {
    int err = 0;  ///< positive errno
    char text[96];
    refusal() { text[0] = 0; }
    explicit operator bool() const { return err != 0; }
};

/// Stage 2, the word at `at` (`words` of them are consumed: skip 2 for ld_imm64): "unknown opcode %02x", "BPF_LDX uses
/// reserved
/// fields", "invalid bpf_ld_imm64 insn", "unrecognized bpf_ld_imm64 insn" (bad BPF_PSEUDO_*, or MAP_FD with an upper
/// half).
refusal check_load(span<const bpf_insn> insns, u32 at);

/// Stage 4a: "BPF_* uses reserved fields", "BPF_ATOMIC uses invalid atomic opcode %02x", "invalid may_goto off %d imm
/// %d", ....
/// A conditional jump's dst register is looked at by Linux before its reserved fields; for a packet load the program
/// type and
/// the call frames. Call it after those.
refusal check_encoding(const bpf_insn &insn);

/// Stage 4c: "div by zero", "invalid shift %d".
refusal check_operand(const bpf_insn &insn);

/// Helpers for code that builds programs (tests, fix-ups).
constexpr bpf_insn make_insn(u8 code, u8 dst, u8 src, s16 off, s32 imm) {
    bpf_insn i{};
    i.code = code;
    i.dst_reg = dst & 0xf;
    i.src_reg = src & 0xf;
    i.off = off;
    i.imm = imm;
    return i;
}

}  // namespace modbpf
