// SPDX-License-Identifier: GPL-2.0-only
// Arithmetic and moves: numbers through the scalar domain, pointers through base + fixed offset + variable offset.
#include "isa/disasm.h"
#include "verifier/arena.h"
#include "verifier/marks.h"
#include "verifier/speculation.h"

namespace modbpf {

/// V2: a state that holds no value would mean that a transfer function is wrong.
status check_scalar_state(env &e, reg_state &r, const char *where) {
    if (r.type == reg_type::not_init || r.var.valid())
        return {};
    verbose(e, "REG INVARIANTS VIOLATION (%s)\n", where);
    return verifier_bug(e, "register state holds no value");
}

namespace {

void forget_halves(scalar &s) {
    s.u32_min = 0, s.u32_max = ~0u;
    s.s32_min = -2147483647 - 1, s.s32_max = 2147483647;
    scalar_sync(s);
}

bool sane_offset(env &e, const reg_state &r, reg_type t) {
    bool known = r.var.is_const();
    s64 val = static_cast<s64>(r.var.bits.value), lo = r.var.smin;
    if (known && (val >= max_var_off || val <= -max_var_off)) {
        verbose(e, "math between %s pointer and %lld is not allowed\n", reg_type_name(e, t), val);
        return false;
    }
    if (r.off >= max_var_off || r.off <= -max_var_off) {
        verbose(e, "%s pointer offset %d is not allowed\n", reg_type_name(e, t), r.off);
        return false;
    }
    if (lo == -9223372036854775807ll - 1) {
        verbose(e, "math between %s pointer and register with unbounded min value is not allowed\n", reg_type_name(e, t));
        return false;
    }
    if (lo >= max_var_off || lo <= -max_var_off) {
        verbose(e, "value %lld makes %s pointer be out of bounds\n", lo, reg_type_name(e, t));
        return false;
    }
    return true;
}

bool fits_s32(s64 v) { return v == static_cast<s32>(v); }

/// May this kind of pointer be moved by `off`?
bool movable(const reg_state &ptr, const scalar &off, u8 op) {
    switch (ptr.base()) {
    case reg_type::flow_keys:
        if (off.is_const())
            return true;
        [[fallthrough]];
    case reg_type::map_ptr:
        return off.is_const() && off.value() == 0 && op == BPF_ADD;
    case reg_type::packet_end:
    case reg_type::socket:
    case reg_type::sock_common:
    case reg_type::tcp_sock:
    case reg_type::xdp_sock:
        return false;
    default:
        return true;
    }
}

status refuse_operator(env &e, u32 dst, u8 op) {
    if (op == BPF_AND || op == BPF_OR || op == BPF_XOR)
        verbose(e, "R%d bitwise operator %s on pointer prohibited\n", dst, alu_op_name(op));
    else
        verbose(e, "R%d pointer arithmetic with %s operator prohibited\n", dst, alu_op_name(op));
    return fail(EACCES);
}

/// A packet pointer that stood at the packet's end and moves back may be inside again. (Linux keeps the mark, and so takes
/// a later comparison with the end for decided.)
void moved_back(reg_state &ptr) { ptr.range = max(ptr.range, 0); }

/// dst = ptr + off, on a copy of ptr.
void add_offset(env &e, reg_state &dst, const scalar &off) {
    s64 k = static_cast<s64>(off.bits.value);
    if (off.is_const() && fits_s32(static_cast<s64>(dst.off) + k)) {
        dst.off = static_cast<s32>(dst.off + k);
        if (k < 0)
            moved_back(dst);
        return;
    }
    dst.var = scalar_alu(BPF_ADD, false, false, dst.var, off);
    if (dst.is_packet()) { // another base: nothing is known of what is behind it
        dst.id = ++e.id_gen;
        dst.range = 0;
    }
}

void sub_offset(env &e, reg_state &dst, const scalar &off) {
    s64 k = static_cast<s64>(off.bits.value);
    if (off.is_const() && fits_s32(static_cast<s64>(dst.off) - k)) {
        dst.off = static_cast<s32>(dst.off - k);
        if (k > 0)
            moved_back(dst);
        return;
    }
    dst.var = scalar_alu(BPF_SUB, false, false, dst.var, off);
    if (dst.is_packet()) {
        dst.id = ++e.id_gen;
        if (off.smin < 0)
            dst.range = 0;
        moved_back(dst);
    }
}

/// dst is `ptr` or a number to which `ptr` is added; `off` is the other operand.
status move_pointer(env &e, const insn_desc &d, reg_state ptr, reg_state off, bool dst_is_ptr) {
    reg_state &dst = e.reg(d.dst);
    if (d.alu32()) {
        if (d.op == BPF_SUB && e.req.perfmon) { // pointers may leak: the low half of a difference is just a number
            dst.set_unknown();
            return {};
        }
        verbose(e, "R%d 32-bit pointer arithmetic prohibited\n", d.dst);
        return fail(EACCES);
    }
    if (ptr.may_be_null()) {
        verbose(e, "R%d pointer arithmetic on %s prohibited, null-check it first\n", d.dst, reg_type_name(e, ptr.type));
        return fail(EACCES);
    }
    if (!movable(ptr, off.var, d.op)) {
        verbose(e, "R%d pointer arithmetic on %s prohibited\n", d.dst, reg_type_name(e, ptr.type));
        return fail(EACCES);
    }
    if (!dst_is_ptr)
        dst = ptr;
    off.off = 0; // of a linked number: no part of its value
    if (!sane_offset(e, off, ptr.type) || !sane_offset(e, ptr, ptr.type))
        return fail(EINVAL);
    move_guard guard(e, d);
    TRY(guard.before(ptr, off, dst_is_ptr));
    if (d.op == BPF_ADD) {
        add_offset(e, dst, off.var);
    } else if (d.op == BPF_SUB) {
        if (!dst_is_ptr) {
            verbose(e, "R%d tried to subtract pointer from scalar\n", d.dst);
            return fail(EACCES);
        }
        if (ptr.type == reg_type::stack) {
            verbose(e, "R%d subtraction from stack pointer prohibited\n", d.dst);
            return fail(EACCES);
        }
        sub_offset(e, dst, off.var);
    } else {
        return refuse_operator(e, d.dst, d.op);
    }
    if (!sane_offset(e, dst, ptr.type))
        return fail(EINVAL);
    if (!dst.var.is_const())
        forget_halves(dst.var);
    TRY(check_moved_pointer(e, d.dst));
    return guard.after(dst);
}

/// dst &= K or |= K with dst in {-1, 0} (a sign mask): follow both values apart, as Linux does.
status fork_sign_mask(env &e, reg_state &dst) {
    const scalar &v = dst.var;
    bool wide = v.smin == -1 && v.smax == 0, narrow = v.s32_min == -1 && v.s32_max == 0;
    if (!wide && !narrow)
        return {};
    verifier_state *other = TRY(push_path(e, e.insn, e.insn));
    u32 r = static_cast<u32>(&dst - e.regs());
    scalar zero = scalar::constant(0), ones = scalar::constant(~0ull);
    auto assume = [&](scalar s, scalar k) {
        scalar narrowed = s;
        return wide ? k : scalar_assume(BPF_JEQ, true, narrowed, k) ? narrowed : s;
    };
    other->cur().regs[r].var = assume(v, zero);
    dst.var = assume(v, ones);
    return {};
}

/// A sum with a constant keeps the link to the register that it was copied from; every other result is a new value.
void update_link(const insn_desc &d, reg_state &dst, const scalar &src, bool linked_sums) {
    bool self = d.reg && d.src == d.dst;
    if (!linked_sums || d.op != BPF_ADD || d.alu32() || !dst.id || !src.is_const() || self) {
        dst.clear_id();
        return;
    }
    if ((dst.id & id_add_const) || src.value() > 0x7fffffffull) {
        dst.clear_id();
        return;
    }
    dst.id |= id_add_const;
    dst.off = static_cast<s32>(src.value());
}

/// `src` may be dst's own number.
status arith_of_numbers(env &e, const insn_desc &d, reg_state &dst, const scalar &src) {
    if (e.req.guarded())
        TRY(guard_scalar_alu(e, d));
    if ((d.op == BPF_AND || d.op == BPF_OR) && src.is_const())
        TRY(fork_sign_mask(e, dst));
    scalar result = scalar_alu(d.op, d.alu32(), d.is_signed, dst.var, src);
    update_link(d, dst, src, e.req.bpf);
    dst.var = result;
    return {};
}

status check_arith(env &e, const insn_desc &d) {
    if (d.reg)
        TRY(read_reg(e, d.src));
    TRY(read_reg(e, d.dst));
    if (insn_aux &a = e.aux[e.insn]; !a.operand_ok) {
        if (refusal r = check_operand(e.insns[e.insn])) {
            verbose(e, "%s", r.text);
            return fail(r.err);
        }
        a.operand_ok = true;
    }
    TRY(write_reg(e, d.dst));
    reg_state &dst = e.reg(d.dst);
    if (dst.type == reg_type::arena)
        return {};
    if (dst.is_scalar() && (!d.reg || e.reg(d.src).is_scalar()))
        return d.reg ? arith_of_numbers(e, d, dst, e.reg(d.src).var) : arith_of_numbers(e, d, dst, scalar::constant(static_cast<u64>(d.imm)));
    reg_state src;
    if (d.reg)
        src = e.reg(d.src);
    else
        src.set_const(static_cast<u64>(d.imm));
    if (src.is_pointer() && dst.is_pointer()) {
        if (d.op == BPF_SUB && e.req.perfmon) {
            dst.set_unknown();
            return {};
        }
        verbose(e, "R%d pointer %s pointer prohibited\n", d.dst, alu_op_name(d.op));
        return fail(EACCES);
    }
    if (src.is_pointer()) {
        TRY(demand_reg(e, d.dst));
        return move_pointer(e, d, src, dst, false);
    }
    if (d.reg)
        TRY(demand_reg(e, d.src));
    return move_pointer(e, d, dst, src, true);
}

bool fits(const reg_state &r, u32 bits) { return bits >= 64 || r.var.umax >> bits == 0; }

/// A copy has the value of its source: give both the same id.
void link_for_copy(env &e, reg_state &src) {
    if (!src.is_scalar())
        return;
    if (src.id & id_add_const)
        src.clear_id();
    if (!src.id && !src.var.is_const())
        src.id = ++e.id_gen;
}

status move_reg(env &e, const insn_desc &d) {
    reg_state &src = e.reg(d.src), &dst = e.reg(d.dst);
    if (!d.sx_bytes && !d.alu32()) {
        link_for_copy(e, src);
        dst = src;
        return {};
    }
    if (leaks(e, d.src)) {
        verbose(e, d.alu32() ? "R%d partial copy of pointer\n" : "R%d sign-extension part of pointer\n", d.src);
        return fail(EACCES);
    }
    if (!src.is_scalar()) { // part of an address is just a number
        dst.set_unknown();
        if (d.alu32())
            dst.var = scalar_of_bytes(4);
        return {};
    }
    bool same = d.sx_bytes ? fits(src, d.sx_bytes * 8u - 1) : fits(src, 32);
    if (same)
        link_for_copy(e, src);
    dst = src;
    if (!same)
        dst.clear_id();
    if (d.sx_bytes)
        dst.var = d.alu32() ? scalar_sext32(dst.var, d.sx_bytes) : scalar_sext(dst.var, d.sx_bytes);
    else
        dst.var = scalar_zext(dst.var, 4);
    return {};
}

status check_mov(env &e, const insn_desc &d) {
    if (d.is_addr_space_cast())
        return cast_arena(e, d);
    if (d.reg)
        TRY(read_reg(e, d.src));
    TRY(write_reg(e, d.dst));
    if (d.reg)
        return move_reg(e, d);
    e.reg(d.dst).set_const(d.alu32() ? static_cast<u32>(d.imm) : static_cast<u64>(d.imm));
    return {};
}

}  // namespace

status check_alu(env &e, const insn_desc &d) {
    if (d.kind == insn_kind::alu) {
        TRY(check_arith(e, d));
    } else if (d.kind == insn_kind::mov) {
        TRY(check_mov(e, d));
    } else { // neg and byte swaps
        TRY(read_reg(e, d.dst));
        if (leaks(e, d.dst)) {
            verbose(e, "R%d pointer arithmetic prohibited\n", d.dst);
            return fail(EACCES);
        }
        TRY(write_reg(e, d.dst));
        const scalar v = e.reg(d.dst).is_scalar() ? e.reg(d.dst).var : scalar::unknown(); // a pointer that may leak is some number
        e.reg(d.dst).set_scalar(d.kind == insn_kind::neg ? scalar_neg(d.alu32(), v) : scalar_swap(d.width, d.kind != insn_kind::to_le, v));
    }
    // A number comes from the scalar domain, whose results are valid; an address is put together here.
    return e.reg(d.dst).is_scalar() ? status() : check_scalar_state(e, e.reg(d.dst), "alu");
}

}  // namespace modbpf
