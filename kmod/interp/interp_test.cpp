// SPDX-License-Identifier: GPL-2.0-only
// What is the interpreter's own: values, frames, traces, refusals. Its semantics are tested together with the JIT's in
// kmod/jit.
#include "interp/interp.h"

#include "interp/alu.h"
#include "isa/opcode.h"

#include <gtest/gtest.h>

#include <vector>

namespace modbpf {
namespace {

// The values are known at compile time: divisions that a processor traps on, and the shifts that C++ leaves undefined.
static_assert(alu_value(BPF_DIV, 8, true, 1ull << 63, ~0ull) == 1ull << 63);
static_assert(alu_value(BPF_MOD, 8, true, 1ull << 63, ~0ull) == 0);
static_assert(alu_value(BPF_DIV, 4, true, 1ull << 31, ~0ull) == 1ull << 31);
static_assert(alu_value(BPF_DIV, 8, false, 5, 0) == 0);
static_assert(alu_value(BPF_MOD, 8, false, ~0ull, 0) == ~0ull);
static_assert(alu_value(BPF_MOD, 4, false, ~0ull, 0) == 0xffffffff);
static_assert(alu_value(BPF_LSH, 8, false, 1, 64) == 1);
static_assert(alu_value(BPF_ARSH, 4, false, 1ull << 31, 31) == 0xffffffff);
static_assert(sign_extend(0x80, 1) == 0xffffffffffffff80 && sign_extend(0x7f, 1) == 0x7f);
static_assert(byte_swap(0x1234, 2) == 0x3412 && byte_swap(0x0102030405060708, 8) == 0x0807060504030201);
static_assert(branch_taken(BPF_JSLT, 4, 0x80000000, 0) && !branch_taken(BPF_JSLT, 8, 0x80000000, 0));

code make(std::vector<bpf_insn> insns, std::vector<u32> starts = {0}) {
    code c;
    for (bpf_insn i : insns)
        EXPECT_TRUE(c.insns.push(i).ok());
    for (size_t i = 0; i < starts.size(); i++) {
        u32 end = i + 1 < starts.size() ? starts[i + 1] : static_cast<u32>(insns.size());
        EXPECT_TRUE(c.subprogs.push({starts[i], end, 512, false, false}).ok());
    }
    return c;
}
const bpf_insn leave = make_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
bpf_insn set(u8 reg, s32 imm) {
    return make_insn(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, imm);
}

u64 run(const code &c, u32 frames = max_call_frames, const interp_trace *trace = nullptr, const void *ctx = nullptr) {
    std::vector<interp_frame> memory(frames);
    interp_env env{};
    env.frames = memory.data();
    env.frame_count = frames;
    env.trace = trace;
    return interpret(c, ctx, env);
}

TEST(interp, passes_the_context) {
    u32 ctx = 42;
    EXPECT_EQ(run(make({make_insn(BPF_LDX | BPF_MEM | BPF_W, 0, 1, 0, 0), leave}), 1, nullptr, &ctx), 42u);
}

TEST(interp, traces_every_instruction) {
    struct step {
        u32 insn, frame;
        u64 r1;
    };
    std::vector<step> steps;
    interp_trace trace{[](void *priv, u32 insn, const u64 regs[bpf_reg_count], u32 frame, const u8 *stack) {
                           EXPECT_EQ(regs[10], addr_of(stack + max_bpf_stack));
                           static_cast<std::vector<step> *>(priv)->push_back({insn, frame, regs[1]});
                       },
                       &steps};
    code c = make({set(1, 5), make_insn(BPF_JMP | BPF_CALL, 0, 1, 0, 1), leave, set(0, 3), leave}, {0, 3});
    EXPECT_EQ(run(c, 2, &trace), 3u);
    ASSERT_EQ(steps.size(), 5u);
    const u32 insns[] = {0, 1, 3, 4, 2}, frames[] = {0, 0, 1, 1, 0};
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(steps[i].insn, insns[i]);
        EXPECT_EQ(steps[i].frame, frames[i]);
    }
    EXPECT_EQ(steps[1].r1, 5u);
}

/// Code that no verifier passes ends the run; it does not leave the machine.
TEST(interp, ends_on_what_no_verifier_passes) {
    EXPECT_EQ(run(make({set(0, 7)})), 0u);                                                  // falls off the end
    EXPECT_EQ(run(make({set(0, 7), make_insn(BPF_JMP | BPF_JA, 0, 0, 9, 0), leave})), 0u);  // leaves the code
    EXPECT_EQ(run(make({set(0, 7), make_insn(BPF_JMP | BPF_JA, 0, 0, -9, 0), leave})), 0u);
    EXPECT_EQ(run(make({set(0, 7), make_insn(0xff, 0, 0, 0, 0), leave})), 0u);  // unknown
    EXPECT_EQ(run(make({set(0, 7), make_insn(BPF_JMP | BPF_CALL, 0, 2, 0, 1), leave})), 0u);       // kernel function
    EXPECT_EQ(run(make({set(0, 7), make_insn(BPF_JMP | BPF_CALL, 0, 0, 0, 100000), leave})), 0u);  // no such helper
    EXPECT_EQ(run(make({set(0, 7), make_insn(BPF_JMP | BPF_CALL, 0, 1, 0, -2), leave})), 0u);      // endless recursion
    EXPECT_EQ(run(make({set(0, 7), leave})), 7u);
}

TEST(interp, tail_call_without_targets_falls_through) {
    EXPECT_EQ(run(make({set(3, 0), make_insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call), set(0, 9), leave})), 9u);
}

}  // namespace
}  // namespace modbpf
