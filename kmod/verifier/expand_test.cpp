// SPDX-License-Identifier: GPL-2.0-only
// What stands for calls: when, that it computes what the helper computes, and that jumps and frames have room for it.
#include "btf/btf_builder_test.h"
#include "interp/interp.h"
#include "jit/jit.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

struct functions {
    ref<btf> types;
    u32 main = 0, turn = 0;
    functions() {
        btf_builder b;
        u32 i = b.int32(), ptr = b.refer(btf_kind::pointer, 0);
        main = b.func("main_prog", b.proto(i, {{"ctx", ptr, 0}}));
        turn = b.func("turn", b.proto(i, {{"n", ptr, 0}, {"ctx", ptr, 0}}), BTF_FUNC_STATIC);
        types = load_btf(b.bytes()).types;
    }
    static const functions &get() {
        static functions f;
        return f;
    }
};

prog callback(s32 which = 0) { return {raw(BPF_LD | BPF_IMM | BPF_DW, r2, BPF_PSEUDO_FUNC, 0, which), raw(0, 0, 0, 0, 0)}; }

struct request {
    prog main;
    std::vector<prog> turns;
    bool perfmon = true;
};

/// `which` of a callback's address is its place in `turns`.
own<verified_program> verified(const request &q) {
    prog p = q.main;
    std::vector<func_info> funcs{{0, functions::get().main}};
    for (const prog &t : q.turns) {
        funcs.push_back({static_cast<u32>(p.size()), functions::get().turn});
        p.insert(p.end(), t.begin(), t.end());
    }
    for (u32 i = 0; i < p.size(); i++)
        if (p[i].src_reg == BPF_PSEUDO_FUNC && p[i].code == (BPF_LD | BPF_IMM | BPF_DW))
            p[i].imm = static_cast<s32>(funcs[static_cast<u32>(p[i].imm) + 1].insn_off) - static_cast<s32>(i) - 1;
    verifier_log log;
    verify_request req{};
    req.insns = {p.data(), p.size()};
    req.type = find_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT);
    req.gpl_compatible = true, req.perfmon = q.perfmon;
    req.types = &*functions::get().types;
    req.funcs = {funcs.data(), funcs.size()};
    req.map_from_fd = verifier_maps::from_fd;
    auto r = verify(req, log);
    EXPECT_TRUE(r.ok()) << r.code();
    return r.ok() ? move(*r) : own<verified_program>();
}

u32 calls_of(const code &c, s32 helper) {
    u32 n = 0;
    for (const bpf_insn &i : c.insns)
        n += i.code == (BPF_JMP | BPF_CALL) && !i.src_reg && i.imm == helper;
    return n;
}

/// Both engines, with the calls gone or there.
u64 run_both(const request &q, u64 arg, u32 helpers_left) {
    own<verified_program> v = verified(q);
    if (!v)
        return ~0ull;
    EXPECT_EQ(calls_of(v->image, BPF_FUNC_loop), helpers_left);
    EXPECT_EQ(v->image.insns.size(), v->xlated.size());
    std::vector<interp_frame> frames(max_call_frames);
    port_preempt_disable();
    u64 args[1] = {arg}, slow = interpret(v->image, args, {frames.data(), max_call_frames});
    auto image = jit_compile(v->image);
    EXPECT_TRUE(image.ok());
    u64 fast = image.ok() ? image->entry()(args) : ~0ull;
    port_preempt_enable();
    EXPECT_EQ(fast, slow);
    return fast;
}

/// Adds up its number in *context and stops at the number that stands behind it.
const prog adds_up = {mov_x(r6, r1), ldx(BPF_DW, r3, r2, 0), add_x(r3, r1), stx(BPF_DW, r2, r3, 0), ldx(BPF_DW, r4, r2, 8),
                      mov(r7, 7),    mov(r0, 0),             jmp_x(BPF_JNE, r4, r6, 1), mov(r0, 1), exit_()};

/// r0 = what loop returns * 2^32 + the sum + what r6-r9 lost, for as many turns as the argument says; stops at `stop`.
prog sums(s32 stop, const prog &flags = {mov(r4, 0)}, s16 slot = -16) {
    return prog{mov(r6, 60), mov(r7, 70), mov(r8, 80), mov(r9, 90), ldx(BPF_DW, r1, r1, 0), st(BPF_DW, r10, slot, 0), st(BPF_DW, r10, static_cast<s16>(slot + 8), stop)} +
           flags + callback() +
           prog{mov_x(r3, r10), add(r3, slot), call(BPF_FUNC_loop), alu(BPF_LSH, r0, 32), ldx(BPF_DW, r1, r10, slot), add_x(r0, r1), add(r0, 300),
                alu_x(BPF_SUB, r0, r6), alu_x(BPF_SUB, r0, r7), alu_x(BPF_SUB, r0, r8), alu_x(BPF_SUB, r0, r9), exit_()};
}

TEST(Expand, LoopsCountAsTheHelperDoes) {
    request q{sums(100), {adds_up}};
    for (u64 n : {0ull, 1ull, 2ull, 10ull, 100ull})
        EXPECT_EQ(run_both(q, n, 0), (n << 32) + n * (n ? n - 1 : 0) / 2) << n;
    EXPECT_EQ(run_both(q, 101, 0), (101ull << 32) + 5050); // the turn that stops counts
    EXPECT_EQ(run_both(q, 5000, 0), (101ull << 32) + 5050);
    EXPECT_EQ(run_both(q, 8 << 20, 0), (101ull << 32) + 5050);
    // Too many turns: -E2BIG in 32 bits, as Linux's loop gives it; no turn is taken.
    for (u64 n : {(8ull << 20) + 1, ~0ull, 1ull << 32, 1ull << 63})
        EXPECT_EQ(run_both(q, n, 0), static_cast<u64>(static_cast<u32>(-E2BIG)) << 32) << n;
}

TEST(Expand, LoopsAtTheEndOfTheStack) {
    EXPECT_EQ(run_both({sums(100, {mov(r4, 0)}, -512), {prog{mov(r0, 0)} + prog{exit_()}}}, 3, 0), 3ull << 32);
}

TEST(Expand, OtherLoopsStayCalls) {
    request flags{sums(3, {mov(r4, 1)}), {adds_up}};
    EXPECT_EQ(run_both(flags, 2, 1), static_cast<u64>(-EINVAL) << 32);
    // Flags that are 0 on one path only, found first and found last.
    for (u8 op : {BPF_JEQ, BPF_JNE})
        run_both({sums(3, {mov(r4, 0), jmp(op, r1, 5, 1), mov(r4, 4)}), {adds_up}}, 2, 1);
    // One of two callbacks.
    prog two = prog{ldx(BPF_DW, r1, r1, 0), jmp(BPF_JEQ, r1, 3, 3)} + callback(0) + prog{ja(2)} + callback(1) +
               prog{mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop), exit_()};
    request q{two, {{mov(r0, 0), exit_()}, {mov(r0, 1), exit_()}}};
    EXPECT_EQ(run_both(q, 4, 1), 4u);
    EXPECT_EQ(run_both(q, 3, 1), 1u);
}

/// A flag that is a number on the path that was pruned is not taken for the 0 of the one that was explored.
TEST(Expand, FlagsAreComparedByValue) {
    prog late = {mov(r4, 0), jmp(BPF_JEQ, r1, 5, 1), mov(r4, 0), mov(r5, 0), mov(r5, 0), jmp(BPF_JEQ, r1, 6, 1), mov(r4, 2), mov(r5, 0), mov(r5, 0)};
    EXPECT_EQ(run_both({sums(9, late), {adds_up}}, 6, 1), (6ull << 32) + 15);
    EXPECT_EQ(run_both({sums(9, late), {adds_up}}, 7, 1), static_cast<u64>(-EINVAL) << 32);
}

TEST(Expand, ACallbackThatIsNeverReached) {
    run_both({sums(9, {mov(r1, 0), mov(r4, 0)}), {adds_up}}, 6, 1);
}

/// Code that may not leak: the loop's stores are waited for before its loads.
TEST(Expand, LoopsOfGuardedProgramsHaveABarrier) {
    own<verified_program> v = verified({sums(100), {adds_up}, false});
    ASSERT_TRUE(v);
    u32 at = 0, stores = 0;
    for (u32 i = 0; i < v->image.insns.size(); i++)
        if (v->image.insns[i].code == (BPF_STX | BPF_MEM | BPF_DW) && v->image.insns[i].off >= -40 && v->image.insns[i].off <= -24 &&
            v->image.insns[i].dst_reg == r10)
            at = i, stores++;
    ASSERT_EQ(stores, 3u);
    bool found = false;
    for (const code_guard &g : v->image.guards)
        found |= g.insn == at && g.kind == guard_kind::barrier;
    EXPECT_TRUE(found);
    EXPECT_EQ(run_both({sums(100), {adds_up}, false}, 10, 0), (10ull << 32) + 45);
}

/// No room for what stands for the calls inside a jump's reach: they stay calls.
TEST(Expand, JumpsThatWouldNotReach) {
    auto long_way = [](u32 n) {
        prog skipped;
        for (u32 i = 0; i < 200; i++)
            skipped = skipped + callback() + prog{mov(r1, 1), mov(r3, 0), mov(r4, 0), call(BPF_FUNC_loop)};
        skipped.insert(skipped.end(), n, mov(r0, 3));
        return prog{ldx(BPF_DW, r1, r1, 0), jmp(BPF_JEQ, r1, 1, static_cast<s16>(skipped.size()))} + skipped + prog{mov(r0, 9), exit_()};
    };
    EXPECT_EQ(run_both({long_way(100), {{mov(r0, 0), exit_()}}}, 1, 0), 9u);
    EXPECT_EQ(run_both({long_way(30000), {{mov(r0, 0), exit_()}}}, 1, 200), 9u);
}

TEST(Expand, TheTickIsLoaded) {
    request q{{call(BPF_FUNC_jiffies64), exit_()}, {}};
    own<verified_program> v = verified(q);
    ASSERT_TRUE(v);
    EXPECT_EQ(calls_of(v->image, BPF_FUNC_jiffies64), 0u);
    u64 before = port_jiffies(), now = run_both(q, 0, 0);
    EXPECT_GE(now, before);
    EXPECT_LE(now, port_jiffies());
}

/// The index of a tail call in a program with guards is checked in 64 bits, and masked; in others the call takes its low 32.
TEST(Expand, IndicesOfTailCallsAreCheckedWithGuards) {
    for (bool perfmon : {false, true}) {
        request q{prog{ldx(BPF_DW, r3, r1, 0)} + ld_map(r2, prog_array_fd) + prog{call(BPF_FUNC_tail_call), mov(r0, 7), exit_()}, {}, perfmon};
        own<verified_program> v = verified(q);
        ASSERT_TRUE(v);
        std::vector<bpf_insn> shown(v->xlated.data(), v->xlated.data() + v->xlated.size());
        ASSERT_EQ(shown.size(), perfmon ? 6u : 8u);
        EXPECT_EQ(shown[shown.size() - 3].code, BPF_JMP | BPF_CALL);
        if (!perfmon) {
            EXPECT_EQ(shown[3].code, BPF_JMP | BPF_JGE | BPF_K);
            EXPECT_EQ(shown[3].off, 2);
            EXPECT_EQ(shown[3].imm, 4); // the array's size
            EXPECT_EQ(shown[4].code, BPF_ALU | BPF_AND | BPF_K);
            EXPECT_EQ(shown[4].imm, 3);
        }
        for (u64 index : {0ull, 3ull, 4ull, 1ull << 32, ~0ull})
            EXPECT_EQ(run_both(q, index, 0), 7u);
    }
}

/// Where a jump has no room for those checks, the loops go first; and then it is the program.
TEST(Expand, ChecksOfTailCallsAreNeverLeftOut) {
    auto tail_calls = [](u32 calls, u32 others) {
        prog skipped;
        for (u32 i = 0; i < calls; i++)
            skipped = skipped + prog{mov_x(r1, r6)} + ld_map(r2, prog_array_fd) + prog{mov_x(r3, r7), call(BPF_FUNC_tail_call)};
        skipped.insert(skipped.end(), others, call(BPF_FUNC_jiffies64));
        skipped.insert(skipped.end(), 32767 - skipped.size() - 2 * calls, mov(r0, 3)); // the checks fit to the byte
        return skipped;
    };
    auto around = [](const prog &skipped) {
        return prog{mov_x(r6, r1), ldx(BPF_DW, r7, r1, 0), mov(r0, 9), jmp(BPF_JEQ, r7, 8, static_cast<s16>(skipped.size()))} + skipped + prog{exit_()};
    };
    request fits{around(tail_calls(100, 0)), {}, false};
    EXPECT_EQ(run_both(fits, 8, 0), 9u);
    request without_others{around(tail_calls(100, 50)), {}, false};
    own<verified_program> v = verified(without_others);
    ASSERT_TRUE(v);
    EXPECT_EQ(calls_of(v->image, BPF_FUNC_jiffies64), 50u);
    EXPECT_EQ(v->xlated.size(), without_others.main.size() + 200);
    prog more = tail_calls(100, 0);
    more.push_back(mov(r0, 3));
    options o;
    o.type = BPF_PROG_TYPE_RAW_TRACEPOINT, o.perfmon = false;
    outcome refused = check(around(more), o);
    EXPECT_EQ(refused.err, ENOMEM);
    EXPECT_NE(refused.log.find("insn 8 cannot be patched due to 16-bit range\n"), std::string::npos) << refused.log;
    more.erase(more.end() - 2, more.end());
    EXPECT_TRUE(verified({around(more), {}, false}));
}

}  // namespace

}  // namespace modbpf::test
