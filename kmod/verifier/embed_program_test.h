// SPDX-License-Identifier: GPL-2.0-only
// For tests: random programs that the verifier mostly accepts and that do what its abstractions are about: numbers linked by
// copies and spills, partial stores, variable stack offsets, indices into map values and packets, loops, calls with
// stack pointers, atomics, null checks, ring buffer records, loops that no counter bounds. Registers are typed while generating; jumps are
// structured (if, loop).
#pragma once

#include "btf/btf_builder_test.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

inline constexpr u32 embed_value_size = 48;
enum : int { embed_array_fd = 2000, embed_small_fd = 2001, embed_ring_fd = 2002 };

/// Types that stand for the kernel's: those of the iterator over numbers.
struct embed_types {
    ref<btf> types;
    u32 iter_new, iter_next, iter_destroy;
    embed_types() {
        btf_builder b;
        using K = btf_kind;
        u32 i = b.int32(), w = b.integer("u64", 8, 64);
        u32 it = b.refer(K::pointer, b.composite(K::structure, "bpf_iter_num", 8, {{"opaque", w, 0}}));
        iter_new = b.func("bpf_iter_num_new", b.proto(i, {{"it", it}, {"start", i}, {"end", i}}), BTF_FUNC_STATIC);
        iter_next = b.func("bpf_iter_num_next", b.proto(b.refer(K::pointer, i), {{"it", it}}), BTF_FUNC_STATIC);
        iter_destroy = b.func("bpf_iter_num_destroy", b.proto(0, {{"it", it}}), BTF_FUNC_STATIC);
        types = load_btf(b.bytes()).types;
    }
    static const embed_types &get() {
        static embed_types t;
        return t;
    }
};

struct embed_generator {
    enum kind : u8 { none, num, ptr, fixed };
    u64 state;
    bool packet = false; ///< SCHED_CLS, whose packet is reached; else RAW_TRACEPOINT
    prog p;
    kind regs[10]{};
    kind slots[8]{};
    u16 reserved = 0; ///< registers that hold a pointer for good, or a loop's counter
    bool in_sub = false;
    bool no_calls = false; ///< of subprograms
    bool open_loops = false; ///< may_goto, iterators
    bool has_open_loop = false;
    u32 iters = 0; ///< that are alive
    u32 depth = 0;
    std::vector<std::pair<size_t, u32>> calls;
    u32 subs = 0;

    u32 next(u32 n) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<u32>(state >> 33) % n;
    }
    u64 wide() { return (static_cast<u64>(next(0x7fffffff)) << 40) ^ (static_cast<u64>(next(0x7fffffff)) << 20) ^ next(0x7fffffff); }
    void emit(bpf_insn i) { p.push_back(i); }
    void emit(const prog &q) { p.insert(p.end(), q.begin(), q.end()); }

    s32 imm() {
        constexpr s32 some[] = {0, 1, 2, 7, 8, 16, 31, 32, 40, 44, 47, 48, 63, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff,
                                0x7fffffff, -1, -2, -8, -48, -128, -256, -0x7fffffff - 1};
        return next(6) ? some[next(count_of(some))] : static_cast<s32>(wide());
    }
    u64 imm64() {
        switch (next(4)) {
        case 0: return 1ull << next(64);
        case 1: return (1ull << next(64)) - 1;
        case 2: return 0 - (1ull << next(64));
        default: return wide();
        }
    }
    /// A register that may be overwritten.
    u8 target() {
        for (;;) {
            u8 r = static_cast<u8>(next(10));
            if (!(reserved >> r & 1))
                return r;
        }
    }
    u8 number(bool writable = false) {
        for (u32 tries = 0; tries < 12; tries++) {
            u8 r = static_cast<u8>(next(10));
            if (regs[r] == num && !(writable && (reserved >> r & 1)))
                return r;
        }
        u8 r = target();
        source(r);
        return r;
    }
    u8 other_target(u8 a) {
        for (;;) {
            u8 r = target();
            if (r != a)
                return r;
        }
    }
    /// A number from outside.
    void source(u8 r) {
        regs[r] = num;
        switch (next(8)) {
        case 0: return emit(mov(r, imm()));
        case 1: return emit(ld64(r, imm64()));
        case 2:
        case 3:
            if (!in_sub) {
                if (packet)
                    return emit(ldx(BPF_W, r, r6, static_cast<s16>(48 + 4 * next(5))));
                return emit(ldx(BPF_DW, r, r6, static_cast<s16>(8 * next(12))));
            }
            [[fallthrough]];
        default: {
            u32 s = next(4);
            constexpr u8 codes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
            s16 off = static_cast<s16>((embed_value_size >> s ? next(embed_value_size >> s) : 0) << s);
            return emit(s < 3 && next(3) == 0 ? ldsx(codes[s], r, r9, off) : ldx(codes[s], r, r9, off));
        }
        }
    }
    void alu() {
        constexpr u8 ops[] = {BPF_ADD, BPF_ADD, BPF_SUB, BPF_MUL, BPF_OR, BPF_AND, BPF_AND, BPF_LSH,
                              BPF_RSH, BPF_XOR, BPF_ARSH, BPF_DIV, BPF_MOD};
        u8 op = ops[next(count_of(ops))], dst = number(true);
        bool wide_op = next(3) != 0, reg = next(2);
        u8 cls = wide_op ? BPF_ALU64 : BPF_ALU;
        s16 off = (op == BPF_DIV || op == BPF_MOD) && next(2) ? 1 : 0;
        s32 k = imm();
        if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
            k = static_cast<s32>(next(wide_op ? 64 : 32));
        if ((op == BPF_DIV || op == BPF_MOD) && !k)
            k = 3;
        emit(reg ? raw(cls | op | BPF_X, dst, number(), off, 0) : raw(cls | op | BPF_K, dst, 0, off, k));
    }
    void unary() {
        u8 dst = number(true);
        switch (next(4)) {
        case 0: return emit(raw((next(2) ? BPF_ALU64 : BPF_ALU) | BPF_NEG, dst, 0, 0, 0));
        case 1: return emit(raw(BPF_ALU | BPF_END | (next(2) ? BPF_X : BPF_K), dst, 0, 0, 16 << next(3)));
        default: return emit(raw(BPF_ALU64 | BPF_END, dst, 0, 0, 16 << next(3)));
        }
    }
    void copy() {
        u8 src = number(), dst = target();
        regs[dst] = num;
        switch (next(6)) {
        case 0: return emit(mov32_x(dst, src));
        case 1: return emit(movsx(dst, src, static_cast<s16>(8 << next(3))));
        case 2: return emit(raw(BPF_ALU | BPF_MOV | BPF_X, dst, src, static_cast<s16>(8 << next(2)), 0));
        default:
            emit(mov_x(dst, src));
            if (next(3) == 0)
                emit(add(dst, static_cast<s32>(next(64))));
        }
    }
    static u8 size_code(u32 s) {
        constexpr u8 codes[] = {BPF_B, BPF_H, BPF_W, BPF_DW};
        return codes[s];
    }
    void touch(u32 slot, kind k) { slots[slot] = k; }
    /// A store or load at a constant offset of the own frame.
    void stack_fixed() {
        u32 s = next(2) ? 3 : next(4), slot = next(8);
        s16 off = static_cast<s16>(-8 * static_cast<s32>(slot + 1) + static_cast<s32>(s == 3 ? 0 : next(8u >> s) << s));
        if (next(2)) {
            touch(slot, num);
            emit(next(3) ? stx(size_code(s), r10, number(), off) : st(size_code(s), r10, off, next(3) ? imm() : 0));
        } else if (slots[slot] == num) {
            u8 dst = target();
            regs[dst] = num;
            emit(s < 3 && next(3) == 0 ? ldsx(size_code(s), dst, r10, off) : ldx(size_code(s), dst, r10, off));
        }
    }
    /// Spill and fill next to each other, of chosen widths: where links are made.
    void spill_fill() {
        u8 src = number(), dst = target();
        u32 slot = next(8), a = next(4), b = next(a + 1);
        s16 off = static_cast<s16>(-8 * static_cast<s32>(slot + 1));
        touch(slot, num);
        emit(stx(size_code(a), r10, src, off));
        if (next(2) && depth < 3)
            condition_over([&] { emit(stx(size_code(next(4)), r10, number(), off)); });
        regs[dst] = num;
        emit(b < 3 && next(2) ? ldsx(size_code(b), dst, r10, off) : ldx(size_code(b), dst, r10, off));
    }
    void spill_pointer() {
        u32 slot = next(8);
        s16 off = static_cast<s16>(-8 * static_cast<s32>(slot + 1));
        if (slots[slot] == ptr && next(2)) {
            u8 dst = target();
            regs[dst] = none;
            emit(ldx(BPF_DW, dst, r10, off));
            emit(ldx(BPF_W, dst, dst, 0));
            regs[dst] = num;
            return;
        }
        touch(slot, ptr);
        emit(stx(BPF_DW, r10, r9, off));
    }
    /// So many low bits hold only numbers up to `top`; at least one, at most six.
    static u32 whole_bits(u32 top) {
        u32 n = 1;
        while (n < 6 && (2u << n) - 1 <= top)
            n++;
        return n;
    }
    /// A number that is small on the way on; `top`: about its largest useful value.
    void bound(u8 r, u32 top, std::vector<size_t> &skips) {
        switch (next(7)) {
        case 0:
            return emit(alu_and(r, static_cast<s32>(next(12) ? top : next(64))));
        case 1:
            return emit(prog{test::alu(BPF_RSH, r, 64 - static_cast<s32>(1 + next(next(8) ? whole_bits(top) : 6)))});
        case 2: { // through a copy
            u8 c = other_target(r);
            regs[c] = num;
            emit(mov_x(c, r));
            if (next(10) == 0) // may wrap around
                emit(add(c, static_cast<s32>(next(16))));
            skips.push_back(p.size());
            return emit(jmp(BPF_JGT, c, static_cast<s32>(top), 0));
        }
        case 3: { // against a register
            u8 c = other_target(r);
            regs[c] = num;
            emit(mov(c, static_cast<s32>(next(top + (next(8) ? 1 : 2)))));
            skips.push_back(p.size());
            return emit(next(2) ? jmp_x(BPF_JGT, r, c, 0) : jmp_x(BPF_JLT, c, r, 0));
        }
        case 4: // signed, from both sides
            skips.push_back(p.size());
            emit(next(10) ? jmp(BPF_JSGT, r, static_cast<s32>(top), 0) : jmp32(BPF_JSGT, r, static_cast<s32>(top), 0));
            skips.push_back(p.size());
            return emit(next(10) ? jmp(BPF_JSLT, r, 0, 0) : jmp32(BPF_JSLT, r, 0, 0));
        case 5:
            emit(mov32_x(r, r));
            skips.push_back(p.size());
            return emit(jmp32(BPF_JGT, r, static_cast<s32>(top), 0));
        default:
            skips.push_back(p.size());
            return emit(next(3) ? jmp(BPF_JGT, r, static_cast<s32>(top - (top ? next(2) : 0)), 0)
                                : jmp(BPF_JSET, r, ~((1 << (next(8) ? whole_bits(top) : 6)) - 1), 0));
        }
    }
    static bpf_insn alu_and(u8 r, s32 k) { return test::alu(BPF_AND, r, k); }
    void land(const std::vector<size_t> &jumps) {
        for (size_t j : jumps)
            p[j].off = static_cast<s16>(p.size() - j - 1);
    }
    void access(u8 base, s16 off, u32 s) {
        if (next(2)) {
            u8 dst = target();
            emit(ldx(size_code(s), dst, base, off));
            regs[dst] = num;
        } else if (next(2)) {
            emit(st(size_code(s), base, off, imm()));
        } else {
            u8 v = number();
            emit(stx(size_code(s), base, v == base ? r10 : v, off));
        }
    }
    /// base + bounded number: base is the map value, the own frame, or a caller's stack.
    void indexed() {
        auto before = snapshot();
        std::vector<size_t> skips;
        u8 index = number(true);
        u32 s = next(4), where = next(in_sub ? 3 : 2);
        for (kind k : slots) // part of a spilled pointer may be read at a variable offset, but not at a constant one
            if (where == 1 && k != num)
                where = 0;
        bool on_stack = where != 0;
        u32 room = where == 0 ? embed_value_size : where == 1 ? 64 : 16;
        bound(index, room - (1u << s), skips);
        if (on_stack && s)
            emit(alu_and(index, ~((1 << s) - 1)));
        u8 base = other_target(index);
        emit(mov_x(base, where == 0 ? r9 : where == 1 ? r10 : r8));
        regs[base] = none;
        if (where == 1)
            emit(add(base, -64));
        emit(add_x(base, index));
        if (where == 1)
            for (u32 i = 0; i < 8; i++)
                touch(i, num);
        s32 dst = -1;
        if (next(2)) {
            dst = next(2) ? base : other_target(index);
            emit(ldx(size_code(s), static_cast<u8>(dst), base, 0));
            regs[dst] = num;
        } else {
            emit(next(2) ? st(size_code(s), base, 0, next(2) ? imm() : 0) : stx(size_code(s), base, index, 0));
        }
        if (next(2) && where == 0)
            emit(stx(BPF_B, r9, index, static_cast<s16>(next(48))));
        land(skips);
        if (!skips.empty())
            merge(before);
    }
    void packet_access() {
        auto before = snapshot();
        std::vector<size_t> skips;
        u8 base = target(), end = other_target(base), c;
        regs[base] = none, regs[end] = none;
        emit(ldx(BPF_W, base, r6, 76));
        emit(ldx(BPF_W, end, r6, 80));
        if (next(2)) {
            do
                c = number(true);
            while (c == base || c == end);
            emit(alu_and(c, static_cast<s32>(next(64))));
            emit(add_x(base, c));
        }
        s32 k = static_cast<s32>(next(20));
        u8 probe = other_target(base);
        if (probe == end) {
            emit(add(base, k));
            skips.push_back(p.size());
            emit(jmp_x(next(2) ? BPF_JGT : BPF_JGE, base, end, 0));
            access(base, static_cast<s16>(-k + static_cast<s32>(next(4))), next(3));
        } else {
            regs[probe] = none;
            emit(mov_x(probe, base));
            emit(add(probe, k));
            skips.push_back(p.size());
            emit(next(2) ? jmp_x(next(2) ? BPF_JGT : BPF_JGE, probe, end, 0) : jmp_x(BPF_JLT, end, probe, 0));
            access(base, static_cast<s16>(next(static_cast<u32>(k) + 1)), next(3));
        }
        land(skips);
        merge(before);
    }
    void atomic_op() {
        constexpr s32 ops[] = {BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_OR | BPF_FETCH, BPF_AND | BPF_FETCH,
                               BPF_XOR | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG};
        s32 op = ops[next(10)];
        bool wide_op = next(2), stack = next(2);
        u8 src = number(true);
        if (op == BPF_CMPXCHG && regs[0] != num) {
            if (reserved & 1)
                return;
            source(0);
        }
        u32 slot = next(8);
        s16 off = stack ? static_cast<s16>(-8 * static_cast<s32>(slot + 1)) : static_cast<s16>(8 * next(6));
        if (!wide_op && next(2))
            off = static_cast<s16>(off + 4);
        if (op == BPF_CMPXCHG && (reserved & 1))
            return;
        if (stack && slots[slot] != num)
            return;
        emit(atomic(wide_op ? BPF_DW : BPF_W, op, stack ? r10 : r9, src, off));
    }
    void scratch_caller_saved() {
        for (u32 r = 0; r <= 5; r++)
            regs[r] = none;
    }
    bool loop_in_low() const { return reserved & 0x3f; }
    /// A look-up whose result is checked through a copy or a spill.
    void lookup_checked() {
        if (loop_in_low())
            return;
        auto before = snapshot();
        u8 key = number();
        touch(0, num);
        emit(stx(BPF_W, r10, key, -8));
        if (next(2))
            emit(prog{ldx(BPF_W, r1, r10, -8), alu_and(r1, 1), stx(BPF_W, r10, r1, -8)});
        bool small = next(2);
        u32 words = small && next(16) ? 2 : 6; // seldom beyond the value
        emit(prog{mov_x(r2, r10), add(r2, -8)} + ld_map(r1, small ? embed_small_fd : embed_array_fd) + call(BPF_FUNC_map_lookup_elem));
        scratch_caller_saved();
        std::vector<size_t> skips;
        u8 c = static_cast<u8>(1 + next(5)), tested = next(2) ? c : r0, used = next(2) ? c : r0;
        emit(mov_x(c, r0));
        skips.push_back(p.size());
        emit(jmp(BPF_JEQ, tested, 0, 0));
        access(used, static_cast<s16>(8 * next(words)), next(4));
        regs[c] = regs[c] == num ? num : none;
        for (u8 r = 0; r <= 5; r++) // pointers are not kept
            if (regs[r] != num)
                regs[r] = none;
        land(skips);
        merge(before);
    }
    /// A record that is reserved, written and read through r0, a copy or a spill, and given back through another of them.
    void ring_record() {
        if (loop_in_low())
            return;
        auto before = snapshot();
        u32 slot = next(8), size = 8 * (1 + next(4));
        s16 off = static_cast<s16>(-8 * static_cast<s32>(slot + 1));
        emit(prog{mov(r2, static_cast<s32>(size)), mov(r3, 0)} + ld_map(r1, embed_ring_fd) + call(BPF_FUNC_ringbuf_reserve));
        scratch_caller_saved();
        u8 c = static_cast<u8>(1 + next(5)), tested = next(2) ? c : r0;
        touch(slot, ptr);
        emit(prog{mov_x(c, r0), stx(BPF_DW, r10, r0, off)});
        size_t null_check = p.size();
        emit(jmp(BPF_JEQ, tested, 0, 0));
        for (u32 n = 1 + next(3); n--;) {
            u32 s = next(4);
            u8 base = static_cast<u8>(1 + next(5));
            emit(ldx(BPF_DW, base, r10, off));
            regs[base] = none;
            if (next(3) == 0) { // at a variable offset
                u8 index = static_cast<u8>(base % 5 + 1);
                emit(prog{ldx(BPF_B, index, r9, static_cast<s16>(next(48))), alu_and(index, 7), add_x(base, index)});
                regs[index] = num;
                access(base, static_cast<s16>(next(size - 7 - (size == 8 ? 0 : (1u << s) - 1))), size == 8 ? 0 : s);
            } else {
                access(base, static_cast<s16>(next(size >> s) << s), s);
            }
        }
        if (next(2) && depth < 2)
            condition_over([&] { emit(prog{ldx(BPF_DW, r1, r10, off), st(BPF_W, r1, 4, imm())}); });
        emit(prog{ldx(BPF_DW, r1, r10, off), mov(r2, 0), call(next(2) ? BPF_FUNC_ringbuf_submit : BPF_FUNC_ringbuf_discard)});
        scratch_caller_saved();
        p[null_check].off = static_cast<s16>(p.size() - null_check - 1);
        for (u8 r = 0; r <= 5; r++)
            regs[r] = none;
        emit(st(BPF_DW, r10, off, imm()));
        touch(slot, num);
        merge(before);
    }
    void helper() {
        if (loop_in_low())
            return;
        if (next(3) == 0) {
            emit(call(BPF_FUNC_get_smp_processor_id));
            scratch_caller_saved();
            regs[0] = num;
            return;
        }
        // A helper that writes 8..24 bytes of stack, the size known or not.
        std::vector<size_t> skips;
        auto before = snapshot();
        s16 low = static_cast<s16>(-8 * static_cast<s32>(3 + next(6)));
        for (u32 i = 0; i < 8; i++)
            if (-8 * static_cast<s32>(i + 1) >= low && -8 * static_cast<s32>(i + 1) < low + 24)
                touch(i, num);
        u8 size = number(true);
        if (next(2))
            emit(mov(size, static_cast<s32>(1 + next(24))));
        else
            bound(size, 24, skips);
        emit(mov_x(r2, size));
        emit(mov_x(r1, r10));
        emit(add(r1, low));
        emit(mov_x(r3, r9));
        emit(call(BPF_FUNC_probe_read_kernel));
        scratch_caller_saved();
        regs[0] = num;
        land(skips);
        if (!skips.empty())
            merge(before);
    }
    void call_sub() {
        if (loop_in_low() || in_sub || no_calls)
            return;
        u8 a = number();
        emit(mov_x(r1, a));
        u32 low = 1 + next(7); // passes slots low and low - 1: 16 bytes
        for (u32 i : {low, low - 1})
            if (slots[i] != num) {
                touch(i, num);
                emit(st(BPF_DW, r10, static_cast<s16>(-8 * static_cast<s32>(i + 1)), imm()));
            }
        emit(mov_x(r2, r10));
        emit(add(r2, -8 * static_cast<s32>(low + 1)));
        emit(mov_x(r3, r9));
        calls.push_back({p.size(), next(2)});
        emit(call_pc(0));
        scratch_caller_saved();
        regs[0] = num;
        if (next(2) && !(reserved & 1)) {
            u8 keep = static_cast<u8>(7 + next(2));
            if (!(reserved >> keep & 1)) {
                emit(mov_x(keep, r0));
                regs[keep] = num;
            }
        }
    }

    struct kinds {
        kind regs[10], slots[8];
    };
    kinds snapshot() const {
        kinds k;
        memcpy(k.regs, regs, sizeof(regs));
        memcpy(k.slots, slots, sizeof(slots));
        return k;
    }
    /// Behind a join with the path that has `o`.
    void merge(const kinds &o) {
        for (u32 i = 0; i < 10; i++)
            if (regs[i] != o.regs[i])
                regs[i] = none;
        for (u32 i = 0; i < 8; i++)
            if (slots[i] != o.slots[i])
                slots[i] = none;
    }
    bpf_insn condition() {
        constexpr u8 ops[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE};
        u8 op = ops[next(count_of(ops))], a = number();
        u8 cls = next(3) ? BPF_JMP : BPF_JMP32;
        return next(2) ? raw(cls | op | BPF_K, a, 0, 0, imm()) : raw(cls | op | BPF_X, a, number(), 0, 0);
    }
    template <class F> void condition_over(F &&body) {
        bpf_insn c = condition();
        auto before = snapshot();
        size_t at = p.size();
        emit(c);
        body();
        p[at].off = static_cast<s16>(p.size() - at - 1);
        merge(before);
    }
    void if_block() {
        bpf_insn c = condition();
        auto before = snapshot();
        size_t at = p.size();
        emit(c);
        block(1 + next(3));
        if (next(2)) {
            size_t over = p.size();
            emit(ja(0));
            p[at].off = static_cast<s16>(p.size() - at - 1);
            auto first = snapshot();
            memcpy(regs, before.regs, sizeof(regs));
            memcpy(slots, before.slots, sizeof(slots));
            block(1 + next(3));
            if (next(2)) {
                p[over].off = static_cast<s16>(p.size() - over - 1);
            } else {
                p[over] = raw(BPF_JMP32 | BPF_JA, 0, 0, 0, static_cast<s32>(p.size() - over - 1));
            }
            merge(first);
        } else {
            p[at].off = static_cast<s16>(p.size() - at - 1);
            merge(before);
        }
    }
    /// What was a number is one again.
    void restore(const kinds &head) {
        for (u8 r = 0; r < 10; r++)
            if (head.regs[r] == num && regs[r] != num) {
                emit(mov(r, imm()));
                regs[r] = num;
            }
        for (u32 i = 0; i < 8; i++)
            if (head.slots[i] == num && slots[i] != num)
                emit(st(BPF_DW, r10, static_cast<s16>(-8 * static_cast<s32>(i + 1)), 5)), slots[i] = num;
    }
    /// At the head of a loop that may come back with numbers where pointers are.
    void forget_pointers() {
        for (auto &r : regs)
            r = r == ptr ? none : r;
        for (auto &k : slots)
            k = k == ptr ? none : k;
    }
    void jump_back(size_t top) { emit(ja(static_cast<s16>(static_cast<s32>(top) - static_cast<s32>(p.size()) - 1))); }
    void iter_call(u32 func, s16 at) {
        emit(prog{mov_x(r1, r10), add(r1, at)});
        if (func == embed_types::get().iter_new) {
            s32 from = static_cast<s32>(next(5));
            emit(prog{mov(r2, from), mov(r3, from + static_cast<s32>(next(6)))});
        }
        emit(raw(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, static_cast<s32>(func)));
        scratch_caller_saved();
    }
    /// while (next()) over numbers; the iterator lies below what other statements touch.
    void iterator_loop() {
        if (loop_in_low() || iters == 2)
            return;
        const embed_types &t = embed_types::get();
        s16 at = static_cast<s16>(-72 - 8 * static_cast<s32>(iters++));
        has_open_loop = true;
        iter_call(t.iter_new, at);
        forget_pointers();
        auto head = snapshot();
        size_t top = p.size();
        iter_call(t.iter_next, at);
        std::vector<size_t> leave{p.size()};
        emit(jmp(BPF_JEQ, r0, 0, 0));
        if (next(2)) {
            u8 r = target();
            emit(ldx(BPF_W, r, r0, 0));
            regs[r] = num;
        }
        block(1 + next(3));
        restore(head);
        if (next(4) == 0) {
            bpf_insn early = jmp(BPF_JEQ, number(), imm(), 0);
            leave.push_back(p.size());
            emit(early);
        }
        jump_back(top);
        land(leave);
        merge(head);
        iter_call(t.iter_destroy, at);
        iters--;
    }
    /// A loop that ends when a counter in a map says so, of which nothing is known, or by may_goto.
    void may_goto_loop() {
        has_open_loop = true;
        forget_pointers();
        auto head = snapshot();
        size_t top = p.size();
        std::vector<size_t> leave{p.size()};
        emit(raw(BPF_JMP | BPF_JCOND, 0, 0, 0, 0));
        block(1 + next(3));
        u8 r = target();
        emit(prog{mov(r, 1), atomic(BPF_DW, BPF_ADD | BPF_FETCH, r9, r, static_cast<s16>(8 * next(6))), alu_and(r, 3)});
        regs[r] = num;
        restore(head);
        leave.push_back(p.size());
        emit(jmp(BPF_JEQ, r, static_cast<s32>(next(4)), 0));
        jump_back(top);
        land(leave);
        merge(head);
    }
    void loop() {
        u8 counter = static_cast<u8>(7 + next(2));
        if (reserved >> counter & 1)
            return;
        emit(mov(counter, static_cast<s32>(next(3))));
        regs[counter] = num;
        reserved |= static_cast<u16>(1u << counter);
        for (u32 r = 0; r < 10; r++)
            if (regs[r] == ptr)
                regs[r] = none;
        auto head = snapshot();
        size_t top = p.size();
        block(1 + next(3));
        restore(head);
        if (next(4) == 0) { // leaves early
            emit(jmp(BPF_JEQ, number(), imm(), 2));
        }
        emit(add(counter, static_cast<s32>(1 + next(3))));
        s16 back = static_cast<s16>(static_cast<s32>(top) - static_cast<s32>(p.size()) - 1);
        s32 turns = static_cast<s32>(3 + next(8));
        switch (next(3)) {
        case 0: emit(jmp(BPF_JLT, counter, turns, back)); break;
        case 1: emit(jmp32(BPF_JSLT, counter, turns, back)); break;
        default: emit(jmp(BPF_JLE, counter, turns, back));
        }
        reserved &= static_cast<u16>(~(1u << counter));
    }
    void statement() {
        if (open_loops && depth < 3 && next(14) == 0)
            return next(2) ? iterator_loop() : may_goto_loop();
        switch (next(depth < 3 ? 29 : 25)) {
        case 0:
        case 1:
        case 2: return alu();
        case 3: return unary();
        case 4:
        case 5:
        case 6: return copy();
        case 7:
        case 8:
        case 9: return stack_fixed();
        case 10:
        case 11: return spill_fill();
        case 12: return spill_pointer();
        case 13:
        case 14:
        case 15: return indexed();
        case 16: return packet ? packet_access() : indexed();
        case 17:
        case 18: return atomic_op();
        case 19: return lookup_checked();
        case 20: return helper();
        case 21:
        case 22: return call_sub();
        case 23: {
            u8 r = target();
            return source(r);
        }
        case 24: return ring_record();
        case 25: return loop();
        default: return if_block();
        }
    }
    void block(u32 n) {
        depth++;
        while (n--)
            if (p.size() < 160)
                statement();
        depth--;
    }
    void init_slots() {
        for (u32 i = 0; i < 8; i++) {
            slots[i] = num;
            emit(st(BPF_DW, r10, static_cast<s16>(-8 * static_cast<s32>(i + 1)), next(3) ? imm() : 0));
        }
    }
    void leave() {
        u8 r = number();
        if (r)
            emit(mov_x(r0, r));
        emit(exit_());
    }
    void sub() {
        in_sub = true;
        for (auto &r : regs)
            r = none;
        reserved = 1u << 8 | 1u << 9;
        emit(prog{mov_x(r9, r3), mov_x(r8, r2), mov_x(r7, r1)});
        regs[7] = num;
        init_slots();
        block(2 + next(5));
        if (next(2)) // writes what its caller lent
            emit(stx(size_code(next(4)), r8, number(), static_cast<s16>(8 * next(2))));
        leave();
    }
    prog make() {
        packet = next(4) == 0;
        reserved = 1u << 6 | 1u << 9;
        emit(mov_x(r6, r1));
        emit(ld_value(r9, embed_array_fd, 0));
        if (next(8))
            init_slots();
        source(7);
        source(8);
        block(3 + next(10));
        leave();
        size_t start[2];
        for (u32 i = 0; i < 2; i++) {
            start[i] = p.size();
            bool used = false;
            for (auto &c : calls)
                used |= c.second == i;
            if (used)
                sub();
        }
        for (auto &c : calls)
            p[c.first].imm = static_cast<s32>(start[c.second] - c.first - 1);
        return p;
    }
};

}  // namespace modbpf::test
