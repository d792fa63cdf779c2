// SPDX-License-Identifier: GPL-2.0-only
// inline: a call of a small leaf becomes the leaf's operations.
//
// A leaf calls nothing, has no stack and counts no turns of may_goto. Its arguments are where the call has them, its result is where the call leaves it, and r1-r5 are
// the callee's to destroy, so that its operations can stand where the call stood; its exits become jumps behind them. Only r6-r9, which a
// callee keeps, need care: the leaf's are renamed to those of r1-r5 that it does not use; where none is left and the caller's value is read
// later, it is saved on the native stack meanwhile (nothing is called there, so that alignment does not matter).
//
// Each round inlines the leaves of the program as it then is, so that a caller of leaves may become one. The callee's own code stays: line
// information and addresses name it.
#include "jit/liveness.h"
#include "jit/passes.h"

namespace modbpf {

namespace {

constexpr u32 max_leaf = 64; ///< operations; beyond that a call costs little beside the body
constexpr u32 max_growth = 4096; ///< operations that inlining may add to a program
constexpr u32 max_rounds = 8; ///< as deep as calls nest

struct inliner {
    jit_facts &facts;
    scratch_vec<jit_op> out;
    scratch_vec<u32> position; ///< by old operation: where it or what stands for it begins
    u32 grown = 0;

    bool is_leaf(const jit_frame &f) const {
        return !f.calls && !f.reaches_tail_call && !f.may_goto && !(f.regs & reg_bit(BPF_REG_10)) && f.last - f.first <= max_leaf;
    }
    /// The frame that `d` calls, when it can be inlined.
    const jit_frame *leaf_of(const jit_op &d) const {
        if (!d.is(insn_kind::call_sub))
            return nullptr;
        const jit_frame &f = facts.frames[facts.frame_at(d.target)];
        return is_leaf(f) ? &f : nullptr;
    }
    bool wanted(const jit_frame &f) const {
        for (u32 i = f.first; i < f.last; i++)
            if (leaf_of(facts.ops[i]))
                return true;
        return false;
    }

    struct names {
        u8 of[jit_reg_count];
        u16 apply(u16 set) const {
            u16 r = 0;
            for (u32 i = 0; set; i++, set >>= 1)
                if (set & 1)
                    r |= reg_bit(of[i]);
            return r;
        }
    };
    /// -> the caller's registers that must be saved.
    u16 choose_names(const jit_frame &leaf, u16 live, names &n) const {
        u16 free = static_cast<u16>(~leaf.regs) & 0x3e, saved = 0;
        for (u8 r = 0; r < jit_reg_count; r++)
            n.of[r] = r;
        for (u8 r = BPF_REG_6; r <= BPF_REG_9; r++) {
            if (!(leaf.regs & reg_bit(r)))
                continue;
            if (free) {
                n.of[r] = static_cast<u8>(__builtin_ctz(free));
                free &= static_cast<u16>(free - 1);
            } else if (live & reg_bit(r)) {
                saved |= reg_bit(r);
            }
        }
        return saved;
    }
    static void rename(jit_op &d, const names &n) {
        bool src_is_reg = d.reg || d.kind == insn_kind::load || d.form == jit_form::rotate || d.form == jit_form::from_memory;
        d.dst = n.of[d.dst];
        if (src_is_reg)
            d.src = n.of[d.src];
        d.uses = n.apply(d.uses), d.defs = n.apply(d.defs);
    }

    status push_stack(const jit_op &call, jit_form form, u8 reg) {
        jit_op d = make_move_imm(call, 8, reg, 0);
        d.form = form;
        d.uses = form == jit_form::save ? reg_bit(reg) : 0;
        d.defs = form == jit_form::save ? 0 : reg_bit(reg);
        return out.push(d);
    }

    status expand(const jit_op &call, const jit_frame &leaf, u16 live) {
        names n;
        u16 saved = choose_names(leaf, live, n);
        for (u8 r = BPF_REG_6; r <= BPF_REG_9; r++)
            if (saved & reg_bit(r))
                TRY(push_stack(call, jit_form::save, r));
        auto base = static_cast<u32>(out.size());
        u32 end = base + (leaf.last - leaf.first);
        for (u32 k = leaf.first; k < leaf.last; k++) {
            jit_op d = facts.ops[k];
            d.origin = call.origin, d.inlined = true;
            if (d.is(insn_kind::exit)) {
                d.kind = insn_kind::jump, d.jumps = true;
                d.uses = 0;
                d.target = end;
                d.dead = k + 1 == leaf.last;
            } else {
                rename(d, n);
                if (d.jumps)
                    d.target = base + (static_cast<u32>(d.target) - leaf.first);
            }
            TRY(out.push(d));
        }
        for (u8 r = BPF_REG_9; r >= BPF_REG_6; r--)
            if (saved & reg_bit(r))
                TRY(push_stack(call, jit_form::restore, r));
        return {};
    }

    status copy(jit_frame &f) {
        scratch_vec<u16> after;
        bool wants = wanted(f);
        if (wants)
            TRY(find_liveness(facts, f, after));
        auto first = static_cast<u32>(out.size());
        for (u32 i = f.first; i < f.last; i++) {
            position[i] = static_cast<u32>(out.size());
            const jit_op &d = facts.ops[i];
            const jit_frame *leaf = wants ? leaf_of(d) : nullptr;
            if (leaf && grown + leaf->last - leaf->first <= max_growth) {
                grown += leaf->last - leaf->first;
                TRY(expand(d, *leaf, after[i - f.first]));
                continue;
            }
            TRY(out.push(d));
        }
        // Of what was there before, jumps still name old operations; expansions name new ones already.
        for (u32 i = f.first; i < f.last; i++) {
            jit_op &d = out[position[i]];
            if (facts.ops[i].jumps)
                d.target = position[static_cast<u32>(facts.ops[i].target)];
        }
        f.first = first;
        return {};
    }

    /// -> whether anything was inlined.
    result<bool> round() {
        bool any = false;
        for (const jit_frame &f : facts.frames)
            any |= wanted(f);
        u32 before = grown;
        if (!any)
            return false;
        TRY(out.resize(0));
        TRY(out.reserve(facts.ops.size() + facts.ops.size() / 4));
        TRY(position.resize(facts.ops.size() + 1));
        // Leaves are read from the old list, at their old places.
        scratch_vec<jit_frame> fresh;
        TRY(fresh.reserve(facts.frames.size()));
        for (const jit_frame &f : facts.frames) {
            jit_frame g = f;
            TRY(copy(g));
            g.last = static_cast<u32>(out.size());
            TRY(fresh.push(g));
        }
        position[facts.ops.size()] = static_cast<u32>(out.size());
        for (u32 &at : facts.op_of)
            at = position[at];
        facts.frames = move(fresh);
        facts.ops = move(out);
        out = scratch_vec<jit_op>();
        TRY(facts.targets.resize(facts.ops.size()));
        for (jit_frame &f : facts.frames)
            summarise(facts, f);
        return grown != before;
    }
};

} // namespace

status pass_inline(jit_facts &facts) {
    inliner in{facts, {}, {}};
    for (u32 i = 0; i < max_rounds; i++)
        if (bool more = TRY(in.round()); !more)
            break;
    return {};
}

} // namespace modbpf
