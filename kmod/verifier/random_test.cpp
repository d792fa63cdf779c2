// SPDX-License-Identifier: GPL-2.0-only
// V4 on random programs: joins, spills, calls and uses of numbers as indices. Pruning, the order of the arms and forced
// checkpoints must not change whether a program is accepted. MODBPF_RANDOM=N runs N programs, MODBPF_SEED begins elsewhere.
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

struct generator {
    u64 state;
    u32 next(u32 n) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<u32>(state >> 33) % n;
    }
    u8 num() { return static_cast<u8>(6 + next(3)); } // r6-r8 are numbers, r9 is the map value
    s16 slot() { return static_cast<s16>(-8 * static_cast<s32>(1 + next(3)) - 8); }

    bpf_insn step(bool in_callee) {
        constexpr s32 small[] = {0, 1, 8, 16, 31, 40, 41, 47, 48, 64, 100, -1, -8};
        s32 k = small[next(count_of(small))];
        switch (next(in_callee ? 13 : 14)) {
        case 0: return mov(num(), k);
        case 1: return mov_x(num(), num());
        case 2: return add(num(), k);
        case 3: return add_x(num(), num());
        case 4: return alu(BPF_AND, num(), k < 0 ? 15 : k);
        case 5: return stx(BPF_DW, r10, num(), slot());
        case 6: return ldx(BPF_DW, num(), r10, slot());
        case 7: return stx(BPF_W, r10, num(), slot());
        case 8: return ldx(BPF_W, num(), r10, slot());
        case 9: return st(BPF_DW, r10, slot(), k);
        case 10: return mov32_x(num(), num());
        case 11: return alu32(BPF_ADD, num(), k);
        case 12: return atomic(BPF_DW, next(2) ? s32{BPF_ADD} | BPF_FETCH : s32{BPF_XCHG}, r10, num(), slot());
        default: return ldx(BPF_DW, num(), r9, static_cast<s16>(8 * next(6)));
        }
    }
    void branch(prog &p, u32 left) {
        constexpr u8 ops[] = {BPF_JEQ, BPF_JNE, BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE, BPF_JSGT, BPF_JSLT, BPF_JSET};
        constexpr s32 small[] = {0, 1, 8, 40, 47, 48, 64};
        u8 op = ops[next(count_of(ops))];
        s16 off = static_cast<s16>(next(min(left, 6u)));
        switch (next(3)) {
        case 0: p.push_back(jmp(op, num(), small[next(count_of(small))], off)); break;
        case 1: p.push_back(jmp_x(op, num(), num(), off)); break;
        default: p.push_back(jmp32(op, num(), small[next(count_of(small))], off)); break;
        }
    }
    void body(prog &p, u32 steps, bool in_callee) {
        for (u32 i = 0; i < steps; i++)
            if (next(3) == 0)
                branch(p, steps - i);
            else
                p.push_back(step(in_callee));
    }
    /// Numbers from the map value; a body; a use of a number as an index.
    prog make() {
        prog p = lookup() + prog{jmp(BPF_JNE, r0, 0, 2), mov(r0, 0), exit_(), mov_x(r9, r0)};
        for (u8 r = 6; r <= 8; r++)
            p.push_back(next(2) ? ldx(BPF_DW, r, r9, 8) : mov(r, static_cast<s32>(next(60))));
        for (s16 s = -16; s >= -32; s = static_cast<s16>(s - 8))
            p.push_back(st(BPF_DW, r10, s, static_cast<s32>(next(60))));
        body(p, 4 + next(12), false);
        bool calls = next(3) == 0;
        size_t call_at = 0;
        if (calls) {
            p = p + prog{mov_x(r1, num()), mov_x(r2, r10), add(r2, slot())};
            call_at = p.size();
            p = p + prog{call_pc(0), mov_x(num(), r0)};
            body(p, 1 + next(6), false);
        }
        u8 index = num();
        if (next(2))
            p.push_back(jmp(BPF_JGT, index, 47, 2));
        p = p + prog{add_x(r9, index), ldx(BPF_B, r0, r9, 0), mov(r0, 0), exit_()};
        if (calls) {
            p[call_at].imm = static_cast<s32>(p.size() - call_at - 1);
            p = p + prog{mov_x(r6, r1), mov_x(r7, r1), mov_x(r8, r1)};
            size_t at = p.size();
            body(p, 1 + next(6), true);
            if (next(2) && p.size() > at)
                p.push_back(stx(BPF_DW, r2, num(), 0));
            p = p + prog{mov_x(r0, num()), exit_()};
        }
        return p;
    }
};

u64 number(const char *name, u64 otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, nullptr, 0) : otherwise;
}

}  // namespace

TEST(Random, PruningChangesNoVerdict) {
    u64 count = number("MODBPF_RANDOM", 250), seed = number("MODBPF_SEED", 1), accepted = 0;
    for (u64 i = 0; i < count; i++) {
        generator g{(seed + i) * 0x9e3779b97f4a7c15ull};
        prog p = g.make();
        int want = check(p, {.no_pruning = true, .log_level = 0}).err;
        accepted += want == 0;
        if (want == E2BIG)
            continue;
        for (const options &o : {options{.log_level = 0}, options{.other_arm_first = true, .log_level = 0},
                                 options{.flags = BPF_F_TEST_STATE_FREQ, .log_level = 0},
                                 options{.flags = BPF_F_TEST_STATE_FREQ, .other_arm_first = true, .log_level = 0}}) {
            int err = check(p, o).err;
            // With several errors in a program the order decides which one is found.
            ASSERT_EQ(err == 0, want == 0) << "seed " << seed + i << " flags " << o.flags << " other arm " << o.other_arm_first << "\n"
                                           << check(p, {.no_pruning = true, .log_level = BPF_LOG_LEVEL2}).log;
        }
    }
    EXPECT_GT(accepted, count / 20);
    EXPECT_LT(accepted, count - count / 20);
}

}  // namespace modbpf::test
