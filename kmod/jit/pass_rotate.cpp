// SPDX-License-Identifier: GPL-2.0-only
// rotate: x << n | x >> (w - n) is a rotation, of which the processor has an instruction.
//
// Inside a block each register has a name for the value in it and one for its lower half; copies share names. When an or (add, xor: the
// halves have no bit in common) meets two registers that hold complementary shifts of the same value, and one of them was not read since its
// shift, that shift goes: the register still holds the value, and the or becomes its rotation. The other shift is not read any more unless
// something else does; then it stays.
#include "jit/liveness.h"
#include "jit/passes.h"

namespace modbpf {

namespace {

struct value_of {
    u32 full = 0, low = 0; ///< names
    // The last write was a shift of the register by a constant:
    u32 shift_at = 0; ///< the operation; valid with width != 0
    u32 of = 0; ///< name of what was shifted: of the lower half when width is 4
    u8 width = 0;
    bool left = false;
    u8 count = 0;
};

struct rotator {
    jit_facts &facts;
    jit_frame &f;
    value_of value[jit_reg_count];
    u32 last_read[jit_reg_count];
    u32 names = 0;
    bool found = false;

    void forget() {
        for (u32 r = 0; r < jit_reg_count; r++) {
            value[r] = {};
            value[r].full = ++names;
            value[r].low = ++names;
        }
    }
    void fresh(u32 r) {
        value[r] = {};
        value[r].full = ++names;
        value[r].low = ++names;
    }

    void note_shift(u32 i, const jit_op &d) {
        u32 of = d.width == 8 ? value[d.dst].full : value[d.dst].low;
        fresh(d.dst);
        value_of &v = value[d.dst];
        v.shift_at = i, v.of = of, v.width = d.width;
        v.left = d.op == BPF_LSH;
        v.count = static_cast<u8>(d.imm) & (d.width == 8 ? 63 : 31);
    }
    void note_move(const jit_op &d) {
        value_of from = value[d.src];
        fresh(d.dst);
        if (d.width == 8)
            value[d.dst].full = from.full;
        value[d.dst].low = from.low;
    }
    void note_write(u32 i, const jit_op &d) {
        bool shift = d.is(insn_kind::alu) && (d.op == BPF_LSH || d.op == BPF_RSH) && !d.reg;
        if (shift && d.imm)
            return note_shift(i, d);
        if (d.is(insn_kind::mov) && d.reg && !d.sx_bytes)
            return note_move(d);
        for (u32 left = d.defs; left; left &= left - 1)
            fresh(static_cast<u32>(__builtin_ctz(left)));
    }

    /// d.dst and d.src hold the two shifts of one value.
    bool match(const jit_op &d) const {
        const value_of &a = value[d.dst], &b = value[d.src];
        return a.width && a.width == b.width && a.of == b.of && a.left != b.left && a.count + b.count == a.width * 8 &&
               (d.width == 8 || a.width == 4);
    }
    void combine(u32 i, jit_op &d) {
        const value_of &a = value[d.dst], &b = value[d.src];
        u8 keeper = d.dst;
        if (last_read[d.dst] != a.shift_at) {
            if (last_read[d.src] != b.shift_at || (after[i - f.first] & reg_bit(d.src)))
                return;
            keeper = d.src;
        }
        facts.ops[value[keeper].shift_at].kill();
        found = true;
        u8 count = a.left ? a.count : b.count;
        d.form = jit_form::rotate;
        d.width = a.width;
        d.src = keeper;
        d.imm = count;
        d.uses = reg_bit(keeper);
    }

    /// Whether two shifts by constants could be halves of a rotation at all: most programs have none, and then nothing is to be solved.
    bool any_pair() const {
        u64 left[2] = {}, right[2] = {}; // by width: the counts, one bit each
        for (u32 i = f.first; i < f.last; i++) {
            const jit_op &d = facts.ops[i];
            if (!d.is(insn_kind::alu) || d.reg || (d.op != BPF_LSH && d.op != BPF_RSH))
                continue;
            bool wide = d.width == 8;
            u32 bits = wide ? 64 : 32, count = static_cast<u32>(d.imm) & (bits - 1);
            u64 &same = d.op == BPF_LSH ? left[wide] : right[wide], &other = d.op == BPF_LSH ? right[wide] : left[wide];
            if (!count)
                continue;
            same |= 1ull << count;
            if (other >> (bits - count) & 1)
                return true;
        }
        return false;
    }

    scratch_vec<u16> after;
    status run() {
        if (!any_pair())
            return {};
        TRY(find_liveness(facts, f, after));
        forget();
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = facts.ops[i];
            if (facts.targets[i])
                forget();
            if (d.dead)
                continue;
            if (d.is(insn_kind::alu) && d.reg && d.dst != d.src && (d.op == BPF_OR || d.op == BPF_ADD || d.op == BPF_XOR) && match(d))
                combine(i, d);
            for (u32 left = d.uses; left; left &= left - 1)
                last_read[__builtin_ctz(left)] = i;
            note_write(i, d);
            if (d.ends_block())
                forget();
        }
        return {};
    }
};

} // namespace

status pass_rotate(jit_facts &facts, jit_frame &f) {
    rotator r{facts, f, {}, {}};
    TRY(r.run());
    // What was read before is read no later now: the kept shift's register holds what is rotated from further up, where the shift read it.
    return r.found ? kill_unread(facts, f, r.after) : status();
}

} // namespace modbpf
