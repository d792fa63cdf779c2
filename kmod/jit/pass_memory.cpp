// SPDX-License-Identifier: GPL-2.0-only
// memory: arithmetic with an operand in memory is one operation, and an address with an index is part of the access.
//
// r = *m; a op= r             ->  a op= *m     where r is not read any more
// r = *m; r op= b; *m = r     ->  *m op= b     likewise
// r += i << n; *(r + c)       ->  *(r + (i << n) + c), of the four kinds of access above and of stores, likewise
//
// The load moves down to its use: nothing between them reads or writes memory, calls, or writes the base register, and nothing enters
// there. Behind another load it would see what other CPUs stored later than what that one saw.
#include "jit/liveness.h"
#include "jit/passes.h"

namespace modbpf {

namespace {

constexpr u32 window = 4; ///< operations that are looked at behind a load

bool is_foldable(u8 op) {
    return op == BPF_ADD || op == BPF_SUB || op == BPF_AND || op == BPF_OR || op == BPF_XOR;
}

bool reads_memory(const jit_op &d) { return d.is(insn_kind::load) || d.form == jit_form::from_memory; }

struct folder {
    jit_facts &facts;
    jit_frame &f;
    scratch_vec<u16> after; ///< solved when it is asked for first: nothing was folded then
    status solved;

    bool read_behind(u32 i, u8 r) {
        if (after.empty() && solved.ok())
            solved = find_liveness(facts, f, after);
        return !solved.ok() || (after[i - f.first] & reg_bit(r));
    }
    /// The next operation behind `i` in its block; f.last when there is none.
    u32 next(u32 i) const { return facts.next_in_block(i, f.last); }

    bool into_operand(u32 at, jit_op &load) {
        u32 i = at;
        for (u32 n = 0; n < window; n++) {
            i = next(i);
            if (i == f.last)
                return false;
            jit_op &d = facts.ops[i];
            if (d.is(insn_kind::alu) && d.reg && d.src == load.dst && d.dst != load.dst && d.width == load.width &&
                (is_foldable(d.op) || d.op == BPF_MUL) && !read_behind(i, load.dst)) {
                d.form = jit_form::from_memory;
                d.src = load.src, d.off = load.off;
                d.uses = reg_bit(d.dst) | reg_bit(d.src);
                load.kill();
                return true;
            }
            u16 touched = d.uses | d.defs;
            if (d.ends_block() || !d.is_pure() || reads_memory(d) || (touched & reg_bit(load.dst)) || (d.defs & reg_bit(load.src)))
                return false;
        }
        return false;
    }

    bool into_update(u32 at, jit_op &load) {
        u32 i = next(at), k = i == f.last ? i : next(i);
        if (k == f.last)
            return false;
        jit_op &d = facts.ops[i], &store = facts.ops[k];
        if (!d.is(insn_kind::alu) || d.dst != load.dst || !is_foldable(d.op) || d.width < load.width || (d.reg && d.src == load.dst))
            return false;
        if (d.reg && d.src == BPF_REG_10)
            return false;
        if (!store.is(insn_kind::store) || !store.reg || store.src != load.dst || store.dst != load.src || store.off != load.off ||
            store.width != load.width || load.src == load.dst || read_behind(k, load.dst))
            return false;
        d.form = jit_form::to_memory;
        d.dst = load.src, d.off = load.off, d.width = load.width;
        d.uses = reg_bit(d.dst) | (d.reg ? reg_bit(d.src) : 0);
        d.defs = 0;
        load.kill();
        store.kill();
        return true;
    }

    static u8 base_of(const jit_op &d) { return d.form == jit_form::to_memory || d.kind == insn_kind::store ? d.dst : d.src; }
    /// The address in the access that is all that is left of its readers.
    bool into_address(u32 at, jit_op &sum) {
        u32 i = next(at);
        if (i == f.last)
            return false;
        jit_op &d = facts.ops[i];
        bool accesses = d.form == jit_form::from_memory || d.form == jit_form::to_memory || d.is(insn_kind::load) || d.is(insn_kind::store);
        if (!accesses || d.indexed || base_of(d) != sum.dst || sum.src == sum.dst || sum.src == BPF_REG_10)
            return false;
        bool loads = d.is(insn_kind::load);
        if (!loads && d.reg && (d.form == jit_form::from_memory ? d.dst : d.src) == sum.dst)
            return false;
        if (!(loads && d.dst == sum.dst) && read_behind(i, sum.dst))
            return false;
        d.indexed = true;
        d.index = sum.src, d.shift = static_cast<u8>(sum.imm);
        d.uses |= reg_bit(sum.src);
        sum.kill();
        return true;
    }

    void run() {
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = facts.ops[i];
            if (!d.is(insn_kind::load) || d.is_signed || d.width < 4 || d.src == d.dst)
                continue;
            if (!into_update(i, d))
                into_operand(i, d);
        }
        after.clear(); // what was folded is read later now
        for (u32 i = f.first; i < f.last; i++)
            if (jit_op &d = facts.ops[i]; !d.dead && d.form == jit_form::scaled)
                into_address(i, d);
    }
};

} // namespace

status pass_memory(jit_facts &facts, jit_frame &f) {
    folder p{facts, f, {}, {}};
    p.run();
    return p.solved;
}

} // namespace modbpf
