// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions, functions that C code calls back, may_goto: interpreter and JIT, on every machine.
#include "jit/engines_test.h"

#include "port/port.h"

namespace modbpf::testing {
namespace {

u64 mix(u64 a, u64 b, u64 c, u64 d, u64 e) { return a + 10 * b + 100 * c + 1000 * d + 10000 * e; }
u64 add(u64 a, u64 b, u64, u64, u64) { return a + b; }
/// Calls r2(i, r3) for i below r1; -> the sum of what it returns.
u64 sum_of_calls(u64 n, u64 fn, u64 ctx, u64, u64) {
    u64 sum = 0;
    for (u64 i = 0; i < n; i++)
        sum += call_back(fn, i, ctx);
    return sum;
}
/// r1(1, 2, 3, 4, 5)
u64 call_with_five(u64 fn, u64, u64, u64, u64) { return call_back(fn, 1, 2, 3, 4, 5); }

bpf_insn call_kfunc(s32 i) { return make_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, i); }
bpf_insn may_goto(s16 off) { return make_insn(BPF_JMP | BPF_JCOND, 0, 0, off, 0); }
code with_kfuncs(code c, std::initializer_list<code_kfunc> kfuncs) {
    for (const code_kfunc &k : kfuncs)
        EXPECT_TRUE(c.kfuncs.push(k).ok());
    return c;
}
void expect_both(const code &c, u64 want, const void *ctx = nullptr) {
    EXPECT_EQ(run_interp(c, ctx), want);
    EXPECT_EQ(run_jit(c, ctx), want);
}

struct calls : ::testing::Test {
    void SetUp() override { port_preempt_disable(); }
    void TearDown() override { port_preempt_enable(); }
};

TEST_F(calls, kernel_functions_get_their_arguments_and_the_hidden_one) {
    program_text p;
    for (u8 r = 1; r <= 5; r++)
        p.add(mov_k(r, r));
    p.add(call_kfunc(1)).add(mov_r(6, 0));
    for (u8 r = 1; r <= 5; r++)
        p.add(mov_k(r, r));
    p.add(call_kfunc(0)).add(alu64_r(BPF_SUB, 0, 6)).add(exit_insn());
    // r2 is 9 and then 2
    expect_both(with_kfuncs(make_code(p, {}, 16), {{mix}, {mix, BPF_REG_2, 9}}), 0ull - 70);
    expect_both(with_kfuncs(make_code(p, {}, 16), {{mix, BPF_REG_5, 0x123456789}, {add}}), 4321ull + 10000 * 0x123456789 - 3);
}

TEST_F(calls, functions_are_called_back) {
    // r0 = sum over i < 5 of callback(i, &word): 2 * i; word counts; then 1000 * word is added
    program_text p;
    p.add(st(BPF_DW, 10, -8, 0)).add(mov_k(7, 1000)).add(mov_k(1, 5));
    p.ld64(2, 0, BPF_PSEUDO_FUNC);
    p.add(mov_r(3, 10)).add(alu64_k(BPF_ADD, 3, -8)).add(call_kfunc(0));
    p.add(ldx(BPF_DW, 1, 10, -8)).add(alu64_r(BPF_MUL, 1, 7)).add(alu64_r(BPF_ADD, 0, 1)).add(exit_insn());
    u32 callback = static_cast<u32>(p.size());
    p[3].imm = static_cast<s32>(callback) - 3 - 1;
    p.add(mov_k(7, 1)).add(atomic_op(BPF_DW, BPF_ADD, 2, 7, 0)); // clobbers r7, which is the caller's
    p.add(mov_r(0, 1)).add(alu64_r(BPF_ADD, 0, 1)).add(exit_insn());
    expect_both(with_kfuncs(make_code(p, {callback}, 16), {{sum_of_calls}}), 20 + 5000);
}

TEST_F(calls, a_leaf_without_a_frame_is_called_back) {
    program_text p;
    p.ld64(1, 0, BPF_PSEUDO_FUNC).add(call_kfunc(0)).add(exit_insn());
    u32 callback = static_cast<u32>(p.size());
    p[0].imm = static_cast<s32>(callback) - 1;
    p.add(mov_r(0, 1));
    for (u8 r = 2; r <= 5; r++)
        p.add(alu64_k(BPF_MUL, 0, 10)).add(alu64_r(BPF_ADD, 0, r));
    p.add(exit_insn());
    expect_both(with_kfuncs(make_code(p, {callback}, 0), {{call_with_five}}), 12345);
}

TEST_F(calls, callbacks_nest) {
    // main: sum over i < 3 of outer(i, 4); outer: sum over k < r2 of inner(k, i); inner: k + 100 * i
    program_text p;
    p.add(mov_k(1, 3)).ld64(2, 0, BPF_PSEUDO_FUNC).add(mov_k(3, 4)).add(call_kfunc(0)).add(exit_insn());
    u32 outer = static_cast<u32>(p.size());
    p[1].imm = static_cast<s32>(outer) - 1 - 1;
    p.add(mov_r(3, 1)).add(mov_r(1, 2)).ld64(2, 0, BPF_PSEUDO_FUNC).add(call_kfunc(0)).add(exit_insn());
    u32 inner = static_cast<u32>(p.size());
    p[outer + 2].imm = static_cast<s32>(inner) - static_cast<s32>(outer + 2) - 1;
    p.add(mov_r(0, 2)).add(alu64_k(BPF_MUL, 0, 100)).add(alu64_r(BPF_ADD, 0, 1)).add(exit_insn());
    expect_both(with_kfuncs(make_code(p, {outer, inner}, 8), {{sum_of_calls}}), 3 * 6 + 100 * 4 * 3);
}

TEST_F(calls, may_goto_ends_a_loop) {
    program_text p;
    p.add(mov_k(0, 0)).add(may_goto(2)).add(alu64_k(BPF_ADD, 0, 1)).add(jump_to(-3)).add(exit_insn());
    for (u16 stack : {0, 8, 512})
        EXPECT_EQ(run_jit(make_code(p, {}, stack)), max_may_goto_turns);
    EXPECT_EQ(run_interp(make_code(p)), max_may_goto_turns);
}

TEST_F(calls, may_goto_counts_all_loops_of_a_call_together_and_stays_ended) {
    // Two loops, one behind the other: the second one gets no turn; a function called twice gets all turns twice.
    program_text p;
    p.add(call_off(3)).add(mov_r(6, 0)).add(call_off(1)).add(jump_to(7));
    u32 fn = static_cast<u32>(p.size());
    p.add(mov_k(0, 0)).add(may_goto(2)).add(alu64_k(BPF_ADD, 0, 1)).add(jump_to(-3));
    p.add(may_goto(2)).add(alu64_k(BPF_ADD, 0, 1)).add(jump_to(-3)).add(exit_insn());
    program_text q(p.begin(), p.begin() + 3);
    q.add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn());
    q.insert(q.end(), p.begin() + fn, p.end());
    q[0].imm = 4, q[2].imm = 2;
    EXPECT_EQ(run_jit(make_code(q, {5}, 8)), 2ull * max_may_goto_turns);
}

TEST_F(calls, may_goto_stands_beside_tail_calls_and_packet_loads) {
    program_text p;
    p.add(mov_r(6, 1)).add(st(BPF_DW, 10, -8, 77));
    p.add(mov_k(2, 0)).add(mov_k(3, 0)).add(call_id(BPF_FUNC_tail_call));
    p.add(mov_k(0, 0)).add(mov_k(7, 0)).add(may_goto(2)).add(alu64_k(BPF_ADD, 7, 1)).add(jmp_k(BPF_JLT, 7, 100, -3));
    p.add(mov_r(1, 6)).add(mov_k(2, 0)).add(mov_k(3, 0)).add(call_id(BPF_FUNC_tail_call));
    p.add(ldx(BPF_DW, 0, 10, -8)).add(alu64_r(BPF_ADD, 0, 7)).add(exit_insn());
    jit_options o;
    o.slot = [](map *, u32) -> runnable * { return nullptr; };
    code c = make_code(p, {}, 8);
    EXPECT_EQ(run_jit(c, nullptr, o), 177u);
    EXPECT_EQ(run_interp(c), 177u);
}

// A load through a pointer to a kernel object: zero where nothing can be read; no other register changes.
TEST_F(calls, loads_that_may_fault) {
    struct {
        u64 value;
    } object{0x8182838485868788};
    auto probe = [](u8 size, u8 mode, u8 dst, u8 src, s16 off) { return make_insn(BPF_LDX | mode | size, dst, src, off, 0); };
    for (u8 dst = 0; dst <= 9; dst++) {
        program_text p;
        for (u8 r = 2; r <= 9; r++)
            p.add(mov_k(r, r));
        p.add(mov_k(0, 100)).add(probe(BPF_H, BPF_PROBE_MEM, dst, 1, 2));
        if (dst == 1)
            p.add(mov_r(0, 1));
        else if (dst)
            p.add(alu64_r(BPF_ADD, 0, dst));
        for (u8 r = 2; r <= 9; r++)
            if (r != dst)
                p.add(alu64_r(BPF_ADD, 0, r));
        p.add(exit_insn());
        u64 rest = 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 - (dst >= 2 ? dst : 0);
        expect_both(make_code(p, {}, 0), 0x8586 + rest + (dst >= 2 ? 100 : 0), &object);
    }
    struct {
        u8 size, mode;
        u64 want;
    } forms[] = {{BPF_B, BPF_PROBE_MEM, 0x88}, {BPF_W, BPF_PROBE_MEM, 0x85868788}, {BPF_DW, BPF_PROBE_MEM, 0x8182838485868788},
                 {BPF_B, BPF_PROBE_MEMSX, ~0ull << 8 | 0x88}, {BPF_H, BPF_PROBE_MEMSX, ~0ull << 16 | 0x8788},
                 {BPF_W, BPF_PROBE_MEMSX, ~0ull << 32 | 0x85868788}};
    for (auto f : forms) {
        expect_both(make_code({probe(f.size, f.mode, 0, 1, 0), exit_insn()}, {}, 0), f.want, &object);
        expect_both(make_code({mov_k(1, 8), probe(f.size, f.mode, 0, 1, 0), exit_insn()}, {}, 0), 0, &object);
    }
}

TEST_F(calls, what_does_not_sleep_is_called_in_a_section) {
    static constexpr helper_proto protos[] = {{1, ret_type::integer, {}, 0, 0, 0, mix}, {2, ret_type::integer, {}, helper_may_sleep, 0, 0, mix}};
    jit_options o;
    o.helper = [](u32 id) -> const helper_proto * { return &protos[id - 1]; };
    interp_env env{};
    env.helper = o.helper;
    for (s32 id : {1, 2})
        for (bool sleepable : {false, true}) {
            program_text p;
            for (u8 r = 1; r <= 5; r++)
                p.add(mov_k(r, r));
            p.add(call_id(static_cast<u32>(id))).add(mov_r(6, 0));
            for (u8 r = 1; r <= 5; r++)
                p.add(mov_k(r, r));
            p.add(call_kfunc(0)).add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn());
            code c = with_kfuncs(make_code(p, {}, 16), {{.fn = mix, .in_section = sleepable}});
            c.sleepable = sleepable;
            EXPECT_EQ(run_jit(c, nullptr, o), 2 * 54321u);
            EXPECT_EQ(run_interp(c, nullptr, env), 2 * 54321u);
        }
}

TEST_F(calls, refuses_a_call_of_no_kernel_function) {
    port_log(PORT_LOG_INFO, "the next reports are expected\n");
    code c = make_code({call_kfunc(0), exit_insn()}, {}, 0);
    EXPECT_FALSE(jit_compile(c).ok());
    EXPECT_EQ(run_interp(c), 0u);
}

}  // namespace
}  // namespace modbpf::testing
