// SPDX-License-Identifier: GPL-2.0-only
// copies: what reads a copy reads the original, addresses take constant offsets in, moves that change nothing go, and so does what nobody
// reads. What is computed in one register and moved to its other operand is computed there.
//
// Inside a block, a register may be known as `source + delta` (a copy of the whole, perhaps moved by a constant), as the lower half of
// `source` with the upper half zero, or only as a number whose upper half is zero. Any write to a source or a copy ends what was known,
// except that adding a constant to a source moves the other way what its copies are.
#include "jit/liveness.h"
#include "jit/passes.h"

namespace modbpf {

namespace {

enum class copy_kind : u8 { none, whole, lower_half };

struct copy_of {
    copy_kind kind = copy_kind::none;
    u8 source = 0;
    s32 delta = 0; ///< of whole copies
};

struct propagator {
    jit_facts &facts;
    jit_frame &f;
    copy_of copy[jit_reg_count];
    u16 copies = 0; ///< registers with a copy_of
    u16 short_numbers = 0; ///< registers whose upper half is zero

    void forget() { copies = short_numbers = 0; }
    const copy_of *known(u8 r) const { return copies & reg_bit(r) ? &copy[r] : nullptr; }

    /// The register that can be read in the place of `r` by what reads `bytes` of it.
    u8 original(u8 r, u8 bytes) const {
        const copy_of *c = known(r);
        if (!c || c->delta || c->source == BPF_REG_10 || (c->kind == copy_kind::lower_half && bytes > 4))
            return r;
        return c->source;
    }
    void read(jit_op &d, u8 &field, u8 bytes) {
        u8 o = original(field, bytes);
        if (o == field)
            return;
        field = o;
        d.uses = reg_bit(d.dst) | reg_bit(d.src);
    }
    void base(jit_op &d, u8 &field) {
        const copy_of *c = known(field);
        if (!c || c->kind != copy_kind::whole || d.off + c->delta != static_cast<s16>(d.off + c->delta))
            return;
        d.uses = static_cast<u16>((d.uses & ~reg_bit(field)) | reg_bit(c->source));
        d.off = static_cast<s16>(d.off + c->delta);
        field = c->source;
    }

    void rewrite_reads(jit_op &d) {
        if (d.form != jit_form::plain)
            return;
        switch (d.kind) {
            case insn_kind::alu:
                if (d.reg && d.op != BPF_LSH && d.op != BPF_RSH && d.op != BPF_ARSH && d.op != BPF_DIV && d.op != BPF_MOD)
                    read(d, d.src, d.width);
                return;
            case insn_kind::mov:
                if (d.reg) {
                    u8 o = original(d.src, d.sx_bytes ? d.sx_bytes : d.width);
                    d.src = o, d.uses = reg_bit(o);
                }
                return;
            case insn_kind::branch:
                d.dst = original(d.dst, d.width);
                if (d.reg)
                    d.src = original(d.src, d.width);
                d.uses = reg_bit(d.dst) | (d.reg ? reg_bit(d.src) : 0);
                return;
            case insn_kind::load:
                return base(d, d.src);
            case insn_kind::store:
                if (d.reg && d.src != BPF_REG_10)
                    d.src = original(d.src, d.width);
                d.uses = reg_bit(d.dst) | (d.reg ? reg_bit(d.src) : 0);
                base(d, d.dst);
                if (d.reg)
                    d.uses |= reg_bit(d.src);
                return;
            default:
                return;
        }
    }

    /// All that was known through register r.
    void end(u8 r) {
        copies &= static_cast<u16>(~reg_bit(r));
        short_numbers &= static_cast<u16>(~reg_bit(r));
        for (u32 left = copies; left; left &= left - 1) {
            u32 q = static_cast<u32>(__builtin_ctz(left));
            if (copy[q].source == r)
                copies &= static_cast<u16>(~reg_bit(q));
        }
    }
    /// r += imm, in 64 bits.
    void moved(u8 r, s64 imm) {
        bool was = known(r) && copy[r].kind == copy_kind::whole;
        copy_of own = copy[r];
        short_numbers &= static_cast<u16>(~reg_bit(r));
        copies &= static_cast<u16>(~reg_bit(r));
        for (u32 left = copies; left; left &= left - 1) {
            u32 q = static_cast<u32>(__builtin_ctz(left));
            if (copy[q].source != r)
                continue;
            s64 delta = copy[q].delta - imm;
            if (copy[q].kind == copy_kind::whole && delta == static_cast<s32>(delta))
                copy[q].delta = static_cast<s32>(delta);
            else
                copies &= static_cast<u16>(~reg_bit(q));
        }
        s64 delta = own.delta + imm;
        if (was && delta == static_cast<s32>(delta)) {
            copy[r] = {copy_kind::whole, own.source, static_cast<s32>(delta)};
            copies |= reg_bit(r);
        }
    }
    void copied(const jit_op &d) {
        copy_of c{d.width == 8 ? copy_kind::whole : copy_kind::lower_half, d.src, 0};
        if (const copy_of *s = known(d.src); s && d.width == 8)
            c = *s;
        bool is_short = d.width == 4 || (short_numbers & reg_bit(d.src));
        end(d.dst);
        if (c.source != d.dst) {
            copy[d.dst] = c;
            copies |= reg_bit(d.dst);
        }
        if (is_short)
            short_numbers |= reg_bit(d.dst);
    }
    static bool is_short(const jit_op &d) {
        if (d.form == jit_form::rotate)
            return d.width == 4;
        switch (d.kind) {
            case insn_kind::alu:
                return d.width == 4 || (d.op == BPF_AND && !d.reg && d.imm >= 0) ||
                       (d.op == BPF_RSH && !d.reg && d.imm >= 32);
            case insn_kind::neg:
                return d.width == 4;
            case insn_kind::mov:
                return d.width == 4 || (!d.reg && d.imm >= 0);
            case insn_kind::load:
                return d.width <= 4 && !d.is_signed;
            case insn_kind::to_le:
            case insn_kind::to_be:
            case insn_kind::bswap:
                return d.width <= 4;
            case insn_kind::ld_imm64:
                return d.src == 0 && static_cast<u64>(d.imm) >> 32 == 0;
            default:
                return false;
        }
    }
    void note_write(const jit_op &d) {
        if (d.is(insn_kind::mov) && d.reg && !d.sx_bytes && d.src != d.dst)
            return copied(d);
        if (d.is(insn_kind::alu) && !d.reg && d.width == 8 && (d.op == BPF_ADD || d.op == BPF_SUB))
            return moved(d.dst, d.op == BPF_ADD ? d.imm : -d.imm);
        bool is_short = this->is_short(d);
        for (u32 left = d.defs; left; left &= left - 1)
            end(static_cast<u8>(__builtin_ctz(left)));
        if (is_short && d.form != jit_form::restore)
            short_numbers |= d.defs;
    }
    /// A move of a register to itself that changes nothing.
    bool is_idle(const jit_op &d) const {
        if (!d.is(insn_kind::mov) || !d.reg || d.sx_bytes || d.dst != d.src)
            return false;
        return d.width == 8 || (short_numbers & reg_bit(d.dst));
    }

    void run() {
        forget();
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = facts.ops[i];
            if (facts.targets[i])
                forget();
            if (d.dead)
                continue;
            rewrite_reads(d);
            if (is_idle(d)) {
                d.kill();
                continue;
            }
            note_write(d);
            if (d.ends_block())
                forget();
        }
    }
};

/// a op= b; b = a, where a is not read again  ->  b op= a
status turn_operands(jit_facts &facts, jit_frame &f, scratch_vec<u16> &after) {
    for (u32 i = f.first; i + 1 < f.last; i++) {
        jit_op &d = facts.ops[i];
        bool turns = d.is(insn_kind::alu) && d.reg && d.src != d.dst && d.src != BPF_REG_10 &&
                     (d.op == BPF_ADD || d.op == BPF_MUL || d.op == BPF_AND || d.op == BPF_OR || d.op == BPF_XOR);
        if (!turns)
            continue;
        u32 n = facts.next_in_block(i, f.last);
        if (n == f.last)
            continue;
        jit_op &m = facts.ops[n];
        if (!m.is(insn_kind::mov) || !m.reg || m.sx_bytes || m.dst != d.src || m.src != d.dst || (m.width != 8 && m.width != d.width))
            continue;
        if (after.empty())
            TRY(find_liveness(facts, f, after)); // stays true where it is asked: a turn changes it only between its two operations
        if (after[n - f.first] & reg_bit(d.dst))
            continue;
        swap(d.dst, d.src);
        d.defs = reg_bit(d.dst);
        m.kill();
    }
    return {};
}

} // namespace

status pass_copies(jit_facts &facts, jit_frame &f) {
    propagator p{facts, f, {}};
    p.run();
    scratch_vec<u16> after;
    TRY(turn_operands(facts, f, after));
    return kill_unread(facts, f, after);
}

} // namespace modbpf
