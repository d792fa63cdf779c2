// SPDX-License-Identifier: GPL-2.0-only
// Memory: stores, atomics, legacy packet loads. RFC 9669 section 5.
#include "jit/lower.h"

namespace modbpf {

using x86::reg;

void lowering::store(const jit_op &d) {
    x86::mem m = address(d, d.dst);
    if (d.reg)
        out_.e.store(d.width, m, use(d.src, reg::r11));
    else
        store_constant(d.width, m, static_cast<s32>(d.imm));
}

/// and, or, xor that fetch have no instruction of their own: compare and exchange until nobody came between.
/// r0 lives in rax, which cmpxchg needs, and may be operand, address or both: r10 keeps it.
void lowering::atomic_fetch_loop(const jit_op &d, x86::alu op) {
    x86::encoder &e = out_.e;
    bool wide = d.width == 8;
    x86::mem m = at(d.dst, d.off);
    reg result = frame_->native[d.src];
    reg operand = result == reg::rax ? reg::r10 : result;
    if (m.base == reg::rax)
        m.base = reg::r10;
    e.mov(true, reg::r10, reg::rax);
    e.load(d.width, false, reg::rax, m);
    u8 *again = e.at();
    e.mov(wide, reg::r11, reg::rax);
    e.op(op, wide, reg::r11, operand);
    e.cmpxchg(wide, m, reg::r11);
    e.jcc_back(x86::cond::ne, again);
    if (result == reg::rax)
        return;
    e.mov(wide, result, reg::rax);
    e.mov(true, reg::rax, reg::r10);
}

void lowering::atomic(const jit_op &d) {
    x86::encoder &e = out_.e;
    bool wide = d.width == 8;
    x86::mem m = at(d.dst, d.off);
    reg src = use(d.src, reg::r11);
    switch (d.imm) {
        case BPF_ADD:
            return e.op(x86::alu::add, wide, m, src, true);
        case BPF_AND:
            return e.op(x86::alu::and_, wide, m, src, true);
        case BPF_OR:
            return e.op(x86::alu::or_, wide, m, src, true);
        case BPF_XOR:
            return e.op(x86::alu::xor_, wide, m, src, true);
        case BPF_ADD | BPF_FETCH:
            return e.xadd(wide, m, src);
        case BPF_AND | BPF_FETCH:
            return atomic_fetch_loop(d, x86::alu::and_);
        case BPF_OR | BPF_FETCH:
            return atomic_fetch_loop(d, x86::alu::or_);
        case BPF_XOR | BPF_FETCH:
            return atomic_fetch_loop(d, x86::alu::xor_);
        case BPF_XCHG:
            return e.xchg(wide, m, src);
        default:  // BPF_CMPXCHG
            e.cmpxchg(wide, m, src);
            if (!wide)  // when the exchange succeeds, the processor leaves the upper half of rax as it was
                e.mov(false, reg::rax, reg::rax);
            return;
    }
}

/// The port's code makes the access, since that has a place to go on at where it faults: address in r9, value in r10. It changes no other
/// register, but for rax of a compare and exchange, where r0 lives.
void lowering::arena(const jit_op &d) {
    x86::encoder &e = out_.e;
    bool loads = d.kind == insn_kind::arena_load;
    if (!loads && d.reg)
        e.mov(true, reg::r10, use(d.src, reg::r10));
    else if (!loads && d.imm)
        constant(reg::r10, static_cast<u64>(d.imm));
    else if (!loads)
        e.zero(reg::r10);
    e.mov(false, reg::r9, use(loads ? d.src : d.dst, reg::r9));
    e.mov_imm(reg::r11, code_.arena_base + static_cast<u64>(static_cast<s64>(d.off)));
    e.op(x86::alu::add, true, reg::r9, reg::r11);
    u64 at = port_arena_code(arena_op_of(d), d.width);
    if (options_.near)
        at = options_.near(at);
    if (env_.rel32) {
        out_.call_addr(at);
    } else {
        e.mov_imm(reg::r11, at);
        if (u64 thunk = env_.indirect_thunk[x86::num(reg::r11)])
            out_.call_addr(thunk);
        else
            e.call_reg(reg::r11);
    }
    if (loads)
        e.mov(true, frame_->native[d.dst], reg::r10);
    else if (d.kind == insn_kind::arena_atomic && (d.imm & BPF_FETCH) && d.imm != BPF_CMPXCHG)
        e.mov(true, frame_->native[d.src], reg::r10);
}

/// r0 = packet bytes, or the subprogram ends with 0.
void lowering::packet(const jit_op &d) {
    x86::encoder &e = out_.e;
    auto imm = static_cast<s32>(d.imm);
    x86::mem value{reg::rbp, -static_cast<s32>(frame_->below_rbp)};
    auto *fetch = options_.packet ? options_.packet : load_packet_bytes;
    if (d.reg) {
        e.mov(false, reg::rsi, use(d.src, reg::r11));
        if (imm)
            op_constant(x86::alu::add, false, reg::rsi, imm);
    } else {
        constant(reg::rsi, static_cast<u32>(imm));
    }
    e.mov(true, reg::rdi, frame_->native[BPF_REG_6]);
    e.mov_imm(reg::rdx, d.width);
    e.lea(true, reg::rcx, value);
    call_address(reinterpret_cast<uptr>(fetch));
    e.test8(reg::rax, reg::rax);
    e.mov_imm(reg::rax, 0);  // leaves the flags alone
    out_.branch(x86::cond::e, epilogue_label(sub_));
    e.load(8, false, reg::rax, value);
}

}  // namespace modbpf
