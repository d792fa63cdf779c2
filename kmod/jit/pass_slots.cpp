// SPDX-License-Identifier: GPL-2.0-only
// slots: a stack slot becomes a register that the subprogram does not use.
//
// Alias safety. The pass looks only at subprograms whose frame pointer never leaves: it is the base of plain loads and stores and nothing
// else, so that every access to the frame is one of those and its place is known. A slot is 4 or 8 bytes that are always accessed as
// exactly these bytes; what overlaps it in any other way keeps it in memory. Atomics keep their slot in memory.
//
// Slots compete by how often they are accessed, an access in a loop counting eightfold; a register that must be saved costs two accesses.
#include "jit/passes.h"

namespace modbpf {

namespace {

constexpr u32 granule = 4, granules = max_frame_bytes / granule;
constexpr u32 loop_weight = 8, max_loop_weight = 8 * 8 * 8;

/// How 4 bytes of the stack are accessed.
enum access_bits : u8 { as_word = 1, as_low = 2, as_high = 4, otherwise = 8 };

struct granule_use {
    u8 accesses = 0;
    u8 reg = 0; ///< the extra register, once chosen
    u32 weight = 0;
};

struct promoter {
    jit_facts &facts;
    jit_frame &f;
    scratch_vec<granule_use> uses; ///< from `lowest` on
    scratch_vec<u32> accesses; ///< the operations that access the frame
    scratch_vec<u32> weight; ///< by operation, less 1; none without loops
    bool loops = false;
    u32 lowest = granules; ///< granule that is accessed

    static bool accesses_frame(const jit_op &d) {
        return (d.is(insn_kind::load) && d.src == BPF_REG_10) || (d.is(insn_kind::store) && d.dst == BPF_REG_10);
    }
    /// Whether the frame pointer is used in any other way.
    static bool escapes(const jit_op &d) {
        if (!(d.uses & reg_bit(BPF_REG_10)))
            return false;
        return !accesses_frame(d) || (d.kind == insn_kind::store && d.reg && d.src == BPF_REG_10);
    }
    static s32 granule_of(const jit_op &d) { return (d.off + static_cast<s32>(max_frame_bytes)) / static_cast<s32>(granule); }
    static bool in_frame(const jit_op &d) { return d.off >= -static_cast<s32>(max_frame_bytes) && d.off + d.width <= 0; }

    status weigh() {
        if (!loops)
            return {};
        TRY(weight.resize_zeroed(f.last - f.first));
        u32 budget = 16 * (f.last - f.first); // many loops that overlap are not worth more
        for (u32 i = f.first; i < f.last; i++) {
            const jit_op &d = facts.ops[i];
            if (d.dead || !d.jumps || d.target > i || budget < i - static_cast<u32>(d.target))
                continue;
            budget -= i - static_cast<u32>(d.target);
            for (u32 k = static_cast<u32>(d.target); k <= i; k++)
                weight[k - f.first] = min((weight[k - f.first] + 1) * loop_weight, max_loop_weight) - 1;
        }
        return {};
    }
    granule_use &use(u32 g) { return uses[g - lowest]; }
    void note(const jit_op &d, u32 w) {
        auto g = static_cast<u32>(granule_of(d));
        bool aligned = d.off % static_cast<s32>(d.width) == 0;
        if (aligned && d.width == 4) {
            use(g).accesses |= as_word;
            use(g).weight += w;
        } else if (aligned && d.width == 8) {
            use(g).accesses |= as_low;
            use(g + 1).accesses |= as_high;
            use(g).weight += w;
        } else {
            for (u32 k = g; k * granule < d.off + max_frame_bytes + d.width && k < granules; k++)
                use(k).accesses |= otherwise;
        }
    }
    bool is_slot(u32 g) {
        return use(g).accesses == as_word || (use(g).accesses == as_low && g + 1 < granules && use(g + 1).accesses == as_high);
    }

    /// Gives the best slot that is left a register. False: none is worth it.
    bool choose(x86::reg native) {
        u32 best = granules;
        for (u32 g = lowest; g < granules; g++)
            if (!use(g).reg && is_slot(g) && (best == granules || use(g).weight > use(best).weight))
                best = g;
        if (best == granules || use(best).weight <= (is_callee_saved(native) ? 2u : 0u))
            return false;
        u8 r = bpf_reg_count;
        while (r < jit_reg_count && (f.extra & reg_bit(r)))
            r++;
        if (r == jit_reg_count)
            return false;
        use(best).reg = r;
        f.extra |= reg_bit(r);
        f.native[r] = native;
        return true;
    }
    static void replace(jit_op &d, u8 r) {
        if (d.kind == insn_kind::store) {
            d = d.reg ? make_move(d, d.width, r, d.src) : make_move_imm(d, d.width, r, d.imm);
            return;
        }
        u8 sign_from = d.is_signed && d.width == 4 ? 4 : 0;
        d = make_move(d, sign_from ? 8 : d.width, d.dst, r);
        d.sx_bytes = sign_from;
    }

    status run() {
        x86::reg natives[jit_reg_count];
        u32 n = spare_registers(f, natives);
        if (!n)
            return {};
        TRY(accesses.reserve(f.last - f.first));
        for (u32 i = f.first; i < f.last; i++) {
            const jit_op &d = facts.ops[i];
            if (d.dead)
                continue;
            loops |= d.jumps && d.target <= i;
            if (!((d.uses | d.defs) & reg_bit(BPF_REG_10)))
                continue;
            if (escapes(d) || !in_frame(d))
                return {};
            accesses.append(i);
            lowest = min(lowest, static_cast<u32>(granule_of(d)));
        }
        if (accesses.empty())
            return {};
        TRY(uses.resize_zeroed(granules - lowest));
        TRY(weigh());
        for (u32 i : accesses)
            note(facts.ops[i], loops ? weight[i - f.first] + 1 : 1);
        for (u32 i = 0; i < n && choose(natives[i]); i++) {
        }
        for (u32 i : accesses) {
            jit_op &d = facts.ops[i];
            if (u8 r = use(static_cast<u32>(granule_of(d))).reg)
                replace(d, r);
        }
        return {};
    }
};

} // namespace

status pass_slots(jit_facts &facts, jit_frame &f) {
    if (!(f.regs & reg_bit(BPF_REG_10)) || f.reaches_tail_call)
        return {};
    promoter p{facts, f};
    return p.run();
}

} // namespace modbpf
