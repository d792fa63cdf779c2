// SPDX-License-Identifier: GPL-2.0-only
// For tests: random programs of arithmetic, forward jumps, stack memory and atomics that any verifier passes. Not part
// of the module.
#pragma once

#include "jit/engines_test.h"

#include <random>

namespace modbpf::testing {

inline constexpr u32 stack_bytes = 64;

struct generator {
    std::mt19937_64 rng;
    program_text p;
    bool plain_jumps = true;  ///< goto, which may leave code that nothing reaches
    bool stack = true;        ///< memory is accessed
    bool atomics = true;

    u32 below(u32 n) { return static_cast<u32>(rng() % n); }
    /// A program uses all registers or a few: what is unused decides about frames and the mapping of registers.
    u16 allowed = 0x3ff;
    u8 any_reg() {
        for (;;) {
            u32 r = below(10);
            if (allowed >> r & 1)
                return static_cast<u8>(r);
        }
    }
    /// Values where things go wrong: around 0, powers of two, sign changes.
    u64 interesting() {
        switch (below(6)) {
            case 0:
                return below(4) - 2ull;
            case 1:
                return (1ull << below(64)) - below(3) + 1;
            case 2:
                return 0 - (1ull << below(64));
            case 3:
                return rng() & 0xffffffff;
            case 4:
                return below(300);
            default:
                return rng();
        }
    }
    s32 imm() { return static_cast<s32>(interesting()); }
    s16 slot(u32 bytes) {
        return static_cast<s16>(-static_cast<s32>(stack_bytes) + static_cast<s32>(below(stack_bytes / bytes) * bytes));
    }
    u8 size_code(u32 i) {
        constexpr u8 codes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
        return codes[i];
    }

    void alu() {
        constexpr u8 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,  BPF_AND,
                              BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH};
        u8 op = ops[below(sizeof(ops))], dst = any_reg();
        bool wide = below(2), reg = below(2);
        s16 off = 0;
        if ((op == BPF_DIV || op == BPF_MOD) && below(2))
            off = 1;
        if (op == BPF_MOV && reg && below(2))
            off = static_cast<s16>(8 << below(wide ? 3 : 2));
        s32 k = imm();
        if (!reg && (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH))
            k = static_cast<s32>(below(wide ? 64 : 32));
        if (!reg && (op == BPF_DIV || op == BPF_MOD) && k == 0)
            k = -1;
        u8 src = any_reg();
        p.push_back(reg ? (wide ? alu64_r(op, dst, src, off) : alu32_r(op, dst, src, off))
                        : (wide ? alu64_k(op, dst, k, off) : alu32_k(op, dst, k, off)));
    }
    void unary() {
        u8 r = any_reg();
        s32 bits = 16 << below(3);
        switch (below(4)) {
            case 0:
                return p.push_back(make_insn((below(2) ? BPF_ALU64 : BPF_ALU) | BPF_NEG, r, 0, 0, 0));
            case 1:
                return p.push_back(endian(BPF_TO_LE, r, bits));
            case 2:
                return p.push_back(endian(BPF_TO_BE, r, bits));
            default:
                return p.push_back(swap_bytes(r, bits));
        }
    }
    void memory() {
        u32 s = below(4), bytes = 1u << s;
        switch (below(4)) {
            case 0:
                return p.push_back(ldx(size_code(s), any_reg(), 10, slot(bytes)));
            case 1:
                s = below(3);
                return p.push_back(ldsx(size_code(s), any_reg(), 10, slot(1u << s)));
            case 2:
                return p.push_back(st(size_code(s), 10, slot(bytes), imm()));
            default:
                return p.push_back(stx(size_code(s), 10, any_reg(), slot(bytes)));
        }
    }
    void atomic() {
        constexpr s32 ops[] = {BPF_ADD,
                               BPF_OR,
                               BPF_AND,
                               BPF_XOR,
                               BPF_ADD | BPF_FETCH,
                               BPF_OR | BPF_FETCH,
                               BPF_AND | BPF_FETCH,
                               BPF_XOR | BPF_FETCH,
                               BPF_XCHG,
                               BPF_CMPXCHG};
        bool wide = below(2);
        s32 op = ops[below(10)];
        u8 base = 10, src = any_reg();
        s16 off = slot(wide ? 8 : 4);
        if (below(2)) {  // through a pointer register, which is made a number again afterwards
            base = any_reg();
            p.push_back(mov_r(base, 10));
            p.push_back(alu64_k(BPF_ADD, base, -8));
            off = static_cast<s16>(off + 8);
            if (src == base || (op == BPF_CMPXCHG && base == 0))  // an address would get into the results
                return p.resize(p.size() - 2), p.push_back(mov_k(base, imm()));
        }
        p.push_back(atomic_op(wide ? BPF_DW : BPF_W, op, base, src, off));
        if (base != 10)
            p.push_back(mov_k(base, imm()));
    }
    void extension_pair() {
        constexpr s32 counts[] = {32, 48, 56, 31};
        u8 r = any_reg();
        s32 n = counts[below(4)];
        p.push_back(alu64_k(BPF_LSH, r, n));
        p.push_back(alu64_k(below(2) ? BPF_RSH : BPF_ARSH, r, n));
    }
    void test_pair(std::vector<std::pair<size_t, u32>> &open) {
        constexpr u8 ops[] = {BPF_ADD, BPF_SUB, BPF_AND, BPF_OR, BPF_XOR, BPF_MUL};
        constexpr s32 masks[] = {0xff, 0xffff, 0x10, -1, 0x7fffffff, 0};
        u8 op = ops[below(6)], r = any_reg(), branch = below(2) ? BPF_JEQ : BPF_JNE;
        bool wide = below(8) != 0 && below(2), other = below(8) == 0;
        s32 k = below(2) ? masks[below(6)] : imm();
        p.push_back(below(2) ? (wide ? alu64_k(op, r, k) : alu32_k(op, r, k))
                             : (wide ? alu64_r(op, r, any_reg()) : alu32_r(op, r, any_reg())));
        open.push_back({p.size(), below(12)});
        p.push_back(wide != other ? jmp_k(branch, r, 0, 0) : jmp32_k(branch, r, 0, 0));
    }
    void address_pair() {
        u8 r = any_reg();
        p.push_back(mov_r(r, any_reg()));
        p.push_back(below(2) ? alu64_k(below(2) ? BPF_ADD : BPF_SUB, r, imm()) : alu64_r(BPF_ADD, r, any_reg()));
    }
    /// Two shifts of one value, joined: mostly a rotation, sometimes almost one; with what may come between.
    void rotation() {
        constexpr u8 joins[] = {BPF_OR, BPF_ADD, BPF_XOR, BPF_SUB};
        u8 a = any_reg(), b = any_reg();
        bool wide = below(2), left = below(2), near_miss = below(8) == 0;
        u32 bits = wide ? 64 : 32, n = 1 + below(bits - 1);
        auto shift = [&](u8 op, u8 r, u32 by) {
            p.push_back(wide ? alu64_k(op, r, static_cast<s32>(by)) : alu32_k(op, r, static_cast<s32>(by)));
            if (below(6) == 0)
                alu();
        };
        p.push_back(below(2) ? mov_r(b, a) : wide ? alu64_r(BPF_MOV, b, a) : alu32_r(BPF_MOV, b, a));
        shift(left ? BPF_LSH : BPF_RSH, b, n);
        shift(left ? BPF_RSH : BPF_LSH, a, near_miss ? 1 + below(bits - 1) : bits - n);
        u8 join = joins[below(12) ? below(3) : 3];
        p.push_back(wide || below(4) == 0 ? alu64_r(join, a, b) : alu32_r(join, a, b));
        if (below(2))
            p.push_back(mov_k(b, imm()));
    }
    /// A load and what uses it: another register's arithmetic, or a store back to the same place.
    void update() {
        constexpr u8 ops[] = {BPF_ADD, BPF_SUB, BPF_AND, BPF_OR, BPF_XOR, BPF_MUL};
        u32 s = below(4);
        u8 value = any_reg(), other = any_reg(), op = ops[below(6)];
        s16 off = slot(1u << s);
        bool wide = below(2);
        p.push_back(ldx(size_code(s), value, 10, off));
        if (below(6) == 0)
            alu();
        if (below(2)) {
            p.push_back(wide ? alu64_r(op, other, value) : alu32_r(op, other, value));
        } else {
            p.push_back(below(2) ? (wide ? alu64_k(op, value, imm()) : alu32_k(op, value, imm()))
                                 : (wide ? alu64_r(op, value, other) : alu32_r(op, value, other)));
            p.push_back(stx(size_code(below(8) ? s : 0), 10, value, off));
        }
        if (below(2))
            p.push_back(mov_k(value, imm()));
    }
    /// x = a; if ... goto over; x = b
    void choice(std::vector<std::pair<size_t, u32>> &open) {
        u8 x = any_reg();
        p.push_back(below(2) ? mov_k(x, imm()) : alu32_k(BPF_MOV, x, imm()));
        size_t at = open.size();
        jump(open);
        p.push_back(below(2) ? mov_k(x, imm()) : alu32_k(BPF_MOV, x, imm()));
        open[at].second = below(3);
        if (plain_jumps && below(2))
            open.push_back({p.size(), open[at].second}), p.push_back(jump_to(0));
        if (open[at].second == 0)
            open[at].second = 1;
    }
    /// A few rounds of a few steps; what counts them is left alone inside. Some have their test at the start, and are entered behind it or there.
    bool in_loop = false;
    void loop() {
        u8 counter = any_reg();
        if (in_loop || counter == 0 || allowed == reg_bit(counter))  // a compare-and-exchange writes r0
            return alu();
        in_loop = true;
        p.push_back(mov_k(counter, static_cast<s32>(1 + below(4))));
        bool tests_first = below(2);
        if (tests_first)
            p.push_back(jump_to(below(2) ? 2 : 0));
        size_t top = p.size();
        if (tests_first)
            p.push_back(alu64_k(BPF_ADD, counter, -1)), p.push_back(jmp_k(below(2) ? BPF_JSLE : BPF_JEQ, counter, 0, 0));
        allowed ^= reg_bit(counter);
        std::vector<std::pair<size_t, u32>> inside;
        for (u32 k = 1 + below(8); k; k--)
            step(inside);
        for (auto &j : inside)
            land(j.first);
        allowed ^= reg_bit(counter);
        in_loop = false;
        if (tests_first) {
            p.push_back(jump_to(static_cast<s16>(static_cast<s32>(top) - static_cast<s32>(p.size()) - 1)));
            return land(top + 1);
        }
        p.push_back(alu64_k(BPF_ADD, counter, -1));
        p.push_back(jmp_k(BPF_JNE, counter, 0, static_cast<s16>(static_cast<s32>(top) - static_cast<s32>(p.size()) - 1)));
    }
    /// A conditional or plain jump over up to 12 (rarely very many) instructions to come.
    void jump(std::vector<std::pair<size_t, u32>> &open) {
        constexpr u8 ops[] = {BPF_JEQ,  BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT,
                              BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE};
        u8 op = ops[below(sizeof(ops))];
        open.push_back({p.size(), below(20) ? below(12) : below(60)});
        switch (below(plain_jumps ? 6 : 4)) {
            case 0:
                return p.push_back(jmp_k(op, any_reg(), imm(), 0));
            case 1:
                return p.push_back(jmp_r(op, any_reg(), any_reg(), 0));
            case 2:
                return p.push_back(jmp32_k(op, any_reg(), imm(), 0));
            case 3:
                return p.push_back(jmp32_r(op, any_reg(), any_reg(), 0));
            case 4:
                return p.push_back(jump_to(0));
            default:
                return p.push_back(jump_long(0));
        }
    }

    /// All registers and the stack get values, `length` random steps, r0 mixes everything.
    program_text make(u32 length) {
        p.clear();
        allowed = below(2) ? 0x3ff : static_cast<u16>(1 | (rng() & 0x3ff) | 1u << (1 + below(9)));
        for (u8 r = 0; r < 10; r++)
            if (allowed >> r & 1)
                p.ld64(r, interesting());
        for (u32 i = 1; stack && i <= stack_bytes / 8; i++)
            p.push_back(stx(BPF_DW, 10, any_reg(), static_cast<s16>(-8 * static_cast<s32>(i))));
        std::vector<std::pair<size_t, u32>> open;  // jumps whose targets are to come
        for (u32 i = 0; i < length; i++) {
            step(open);
            for (auto &j : open)
                if (j.second && --j.second == 0)
                    land(j.first);
        }
        for (auto &j : open)
            if (j.second)
                land(j.first);
        for (u8 r = 1; r < 10; r++) {
            if (!(allowed >> r & 1))
                continue;
            p.push_back(alu64_k(BPF_MUL, 0, 31));
            p.push_back(alu64_r(BPF_ADD, 0, r));
        }
        p.push_back(exit_insn());
        return p;
    }
    void step(std::vector<std::pair<size_t, u32>> &open) {
        switch (below(22)) {
            case 12:
            case 13:
                return rotation();
            case 14:
                return stack ? update() : alu();
            case 15:
                return loop();
            case 16:
                return choice(open);
            case 0:
                return unary();
            case 11:
                return test_pair(open);
            case 1:
            case 2:
            case 3:
                return stack ? memory() : alu();
            case 4:
            case 5:
                return stack && atomics ? atomic() : alu();
            case 6:
            case 7:
                return jump(open);
            case 8:
                return extension_pair();
            case 9:
                return address_pair();
            case 10:
                p.ld64(any_reg(), interesting());
                return;
            default:
                return alu();
        }
    }
    /// Arguments, a call to a helper or (calls_to_sub: fixed up later) to the subprogram, fresh values for what the
    /// call destroys.
    std::vector<size_t> calls_to_sub;
    bool leaf_sub = false;  ///< the subprogram uses no stack
    void call() {
        for (u8 r = 1; r <= 5; r++)
            p.ld64(r, interesting());
        if (below(2)) {
            p.push_back(mov_r(static_cast<u8>(1 + below(5)), static_cast<u8>(6 + below(4))));
            calls_to_sub.push_back(p.size());
            p.push_back(call_off(0));
        } else {
            p.push_back(call_id(2));
        }
        for (u8 r = 1; r <= 5; r++)
            p.ld64(r, interesting());
    }
    /// Two subprograms; the first calls the second and a helper (id 2), between random steps of all kinds. -> start of
    /// the second.
    u32 make_with_calls(u32 length) {
        stack = !leaf_sub;
        program_text sub = make(length);
        stack = true;
        calls_to_sub.clear();
        make(length);
        allowed = 0x3ff;
        p.pop_back();
        for (u8 r = 0; r < 10; r++)
            p.ld64(r, interesting());
        for (u32 i = 0; i < 6; i++) {
            std::vector<std::pair<size_t, u32>> open;
            call();
            for (u32 k = below(6); k; k--)
                step(open);
            for (auto &j : open)
                land(j.first);
        }
        for (u8 r = 1; r < 10; r++)
            p.add(alu64_k(BPF_MUL, 0, 31)).add(alu64_r(BPF_ADD, 0, r));
        p.push_back(exit_insn());
        auto start = static_cast<u32>(p.size());
        for (size_t at : calls_to_sub)
            p[at].imm = static_cast<s32>(start - at - 1);
        p.insert(p.end(), sub.begin(), sub.end());
        return start;
    }

    void land(size_t jump) {
        auto off = static_cast<s32>(p.size() - jump - 1);
        if (p[jump].code == (BPF_JMP32 | BPF_JA))
            p[jump].imm = off;
        else
            p[jump].off = static_cast<s16>(off);
    }
};

}  // namespace modbpf::testing
