// SPDX-License-Identifier: GPL-2.0-only
// ranges: an index check whose index is known to be small enough goes, and arithmetic whose result is one number is that number.
//
// For each register and each place where blocks begin: the least interval of unsigned 64-bit numbers that has all values with which an edge
// comes there. Intervals follow from what operations compute (a mask, a shift, a narrow load, a constant), never from what a branch compared:
// so they hold on a mispredicted path too, which takes the same edges. Blocks are walked in their order until nothing changes; an interval
// that still grows in the third round is all numbers.
//
// Runs on programs with an index check (jit_facts::checks_index): in others it costs more than it finds, the verifier has dropped the branches
// that are decided. A number that it puts in is made of others that stood there, so that r11, which blinding takes, is no slot's by now.
#include "jit/passes.h"

namespace modbpf {

namespace {

constexpr u32 widen_from = 2, max_rounds = 24;
constexpr u32 max_blocks = 2048; ///< half a megabyte of intervals; larger subprograms stay as they are
constexpr u64 low_half = 0xffffffff;

/// Numbers from lo to hi, both among them.
struct interval {
    u64 lo = 0, hi = ~0ull;
    bool is_one() const { return lo == hi; }
    bool operator==(const interval &o) const { return lo == o.lo && hi == o.hi; }
};
constexpr interval all_numbers{0, ~0ull};
constexpr interval exactly(u64 v) { return {v, v}; }

/// The low 32 bits of what `a` has.
interval low_bits(interval a) {
    return a.hi <= low_half ? a : interval{0, low_half};
}
interval sum(interval a, interval b) {
    u64 lo, hi;
    if (__builtin_add_overflow(a.hi, b.hi, &hi) || __builtin_add_overflow(a.lo, b.lo, &lo))
        return a.is_one() && b.is_one() ? exactly(a.lo + b.lo) : all_numbers;
    return {lo, hi};
}
interval shifted(interval a, u32 n) {
    return a.hi >> (63 - n) >> 1 ? all_numbers : interval{a.lo << n, a.hi << n};
}

struct registers {
    interval r[jit_reg_count];

    interval operand(const jit_op &d) const {
        if (d.reg)
            return r[d.src];
        return exactly(d.width == 4 ? static_cast<u32>(d.imm) : static_cast<u64>(d.imm));
    }

    interval alu(const jit_op &d) const {
        bool narrow = d.width == 4;
        interval a = r[d.dst], b = operand(d), out = all_numbers;
        if (narrow)
            a = low_bits(a), b = low_bits(b);
        u32 count = static_cast<u32>(b.lo) & (narrow ? 31 : 63);
        switch (d.op) {
            case BPF_AND:
                out = a.is_one() && b.is_one() ? exactly(a.lo & b.lo) : interval{0, min(a.hi, b.hi)};
                break;
            case BPF_ADD:
                out = sum(a, b);
                break;
            case BPF_LSH:
                if (b.is_one())
                    out = shifted(a, count);
                break;
            case BPF_RSH:
                if (b.is_one())
                    out = {a.lo >> count, a.hi >> count};
                break;
            case BPF_MUL:
                if (u64 hi; !__builtin_mul_overflow(a.hi, b.hi, &hi))
                    out = {a.lo * b.lo, hi};
                break;
            default:
                break;
        }
        return narrow ? low_bits(out) : out;
    }

    /// What `d` leaves in its destination; it has only one.
    interval result(const jit_op &d) const {
        if (d.form == jit_form::scaled)
            return sum(r[d.dst], shifted(r[d.src], static_cast<u32>(d.imm)));
        if (d.form != jit_form::plain)
            return all_numbers;
        switch (d.kind) {
            case insn_kind::mov: {
                if (d.sx_bytes || d.off)
                    return all_numbers;
                interval v = operand(d);
                return d.width == 4 ? low_bits(v) : v;
            }
            case insn_kind::alu:
                return d.sx_bytes || d.off ? all_numbers : alu(d);
            case insn_kind::load:
                return d.width == 8 || d.is_signed ? all_numbers : interval{0, (1ull << d.width * 8) - 1};
            case insn_kind::ld_imm64:
                return d.src ? all_numbers : exactly(static_cast<u64>(d.imm));
            default:
                return all_numbers;
        }
    }
    void pass(const jit_op &d) {
        if (d.dead || !d.defs)
            return;
        bool one = !(d.defs & (d.defs - 1));
        interval v = one && d.defs == reg_bit(d.dst) ? result(d) : all_numbers;
        for (u32 left = d.defs; left; left &= left - 1)
            r[__builtin_ctz(left)] = v;
    }
};

/// 1: the branch is always taken, 0: never, -1: it depends.
int decided(const registers &k, const jit_op &d) {
    if (!d.is(insn_kind::branch) || d.reg || d.negated)
        return -1;
    interval a = k.r[d.dst];
    u64 v = d.width == 4 ? static_cast<u32>(d.imm) : static_cast<u64>(d.imm);
    if (d.width == 4)
        a = low_bits(a);
    bool apart = v < a.lo || v > a.hi;
    switch (d.op) {
        case BPF_JGE:
            return a.lo >= v ? 1 : a.hi < v ? 0 : -1;
        case BPF_JGT:
            return a.lo > v ? 1 : a.hi <= v ? 0 : -1;
        case BPF_JLT:
            return a.hi < v ? 1 : a.lo >= v ? 0 : -1;
        case BPF_JLE:
            return a.hi <= v ? 1 : a.lo > v ? 0 : -1;
        case BPF_JEQ:
            return apart ? 0 : a.is_one() ? 1 : -1;
        case BPF_JNE:
            return apart ? 1 : a.is_one() ? 0 : -1;
        default:
            return -1;
    }
}

struct block {
    u32 first;
    bool reached = false;
    registers in;
};

struct solver {
    jit_facts &facts;
    jit_frame &f;
    scratch_vec<block> blocks;
    u32 round = 0;
    bool changed = false;

    status find_blocks() {
        for (u32 i = f.first; i < f.last && blocks.size() <= max_blocks; i++)
            if (i == f.first || facts.targets[i])
                TRY(blocks.push({i, false, {}}));
        blocks[0].reached = true;
        return {};
    }
    u32 end_of(size_t b) const { return b + 1 < blocks.size() ? blocks[b + 1].first : f.last; }
    size_t block_at(u32 op) const {
        size_t low = 0, high = blocks.size();
        while (high - low > 1) {
            size_t mid = (low + high) / 2;
            (blocks[mid].first <= op ? low : high) = mid;
        }
        return low;
    }

    void arrive(size_t at, const registers &with) {
        block &b = blocks[at];
        if (!b.reached) {
            b.reached = changed = true;
            b.in = with;
            return;
        }
        for (u32 r = 0; r < jit_reg_count; r++) {
            interval &old = b.in.r[r];
            interval both{min(old.lo, with.r[r].lo), max(old.hi, with.r[r].hi)};
            if (both == old)
                continue;
            old = round >= widen_from ? all_numbers : both;
            changed = true;
        }
    }
    void walk(size_t b) {
        registers k = blocks[b].in;
        for (u32 i = blocks[b].first; i < end_of(b); i++) {
            const jit_op &d = facts.ops[i];
            if (d.dead)
                continue;
            k.pass(d);
            if (d.jumps)
                arrive(block_at(static_cast<u32>(d.target)), k);
            if (!d.falls_through)
                return;
        }
        if (b + 1 < blocks.size())
            arrive(b + 1, k);
    }
    bool solve() {
        for (changed = true; changed && round < max_rounds; round++) {
            changed = false;
            for (size_t b = 0; b < blocks.size(); b++)
                if (blocks[b].reached)
                    walk(b);
        }
        return !changed;
    }

    void settle(const registers &k, jit_op &d) {
        if (int taken = decided(k, d); taken >= 0) {
            if (!taken)
                return d.kill();
            u32 target = static_cast<u32>(d.target);
            d = make_jump(d);
            d.target = target;
            return;
        }
        if (!d.is_pure() || d.defs != reg_bit(d.dst) || d.is(insn_kind::mov) || d.is(insn_kind::ld_imm64))
            return;
        interval v = k.result(d);
        if (!v.is_one())
            return;
        bool is_short = v.lo <= low_half;
        d = is_short || v.lo == static_cast<u64>(static_cast<s64>(static_cast<s32>(v.lo)))
                ? make_move_imm(d, is_short ? 4 : 8, d.dst, static_cast<s32>(v.lo))
                : make_imm64(d, d.dst, v.lo);
    }
    void rewrite() {
        for (size_t b = 0; b < blocks.size(); b++) {
            if (!blocks[b].reached)
                continue;
            registers k = blocks[b].in;
            for (u32 i = blocks[b].first; i < end_of(b); i++) {
                jit_op &d = facts.ops[i];
                if (d.dead)
                    continue;
                settle(k, d);
                k.pass(d);
                if (!d.dead && !d.falls_through)
                    break;
            }
        }
    }
    status run() {
        TRY(find_blocks());
        if (blocks.size() <= max_blocks && solve())
            rewrite();
        return {};
    }
};

} // namespace

status pass_ranges(jit_facts &facts, jit_frame &f) {
    solver s{facts, f, {}};
    return s.run();
}

} // namespace modbpf
