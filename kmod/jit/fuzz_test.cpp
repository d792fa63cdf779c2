// SPDX-License-Identifier: GPL-2.0-only
// Random programs of arithmetic, forward jumps, stack memory, atomics and calls: interpreter and JIT agree in r0 and
// in the stack (X1), and
// the image is well-formed (X2). Seeds are fixed; MODBPF_FUZZ_SEED and MODBPF_FUZZ_COUNT widen the search.
#include "jit/random_program_test.h"

#include "port/port.h"

#include <cstdlib>

namespace modbpf::testing {
namespace {

u64 env_number(const char *name, u64 otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, nullptr, 0) : otherwise;
}

/// Both engines copy their stack out before they end: a helper does it.
u8 *capture;
u64 capture_stack(u64 fp, u64, u64, u64, u64) {
    memcpy(capture, ptr_of<>(fp - stack_bytes), stack_bytes);
    return 0;
}
u64 hash_arguments(u64 a, u64 b, u64 c, u64 d, u64 e) {
    return (((a * 31 + b) * 31 + c) * 31 + d) * 31 + e;
}
const helper_proto protos[] = {
    {1, ret_type::integer, {}, 0, 0, 0, capture_stack},
    {2, ret_type::integer, {}, 0, 0, 0, hash_arguments},
};
const helper_proto *capture_helper(u32 id) {
    return &protos[id - 1];
}

/// Inserts "save r0, capture the stack, restore r0" in front of the exit.
void add_capture(program_text &p) {
    p.pop_back();
    p.push_back(mov_r(6, 0));
    p.push_back(mov_r(1, 10));
    p.push_back(call_id(1));
    p.push_back(mov_r(0, 6));
    p.push_back(exit_insn());
}

TEST(jit_fuzz, agrees_with_the_interpreter) {
    u64 seed = env_number("MODBPF_FUZZ_SEED", 1), count = env_number("MODBPF_FUZZ_COUNT", 1500);
    for (u64 i = 0; i < count && !HasFailure(); i++) {
        generator g{std::mt19937_64(seed + i), {}};
        program_text p = g.make(5 + g.below(i % 16 ? 60 : 400));
        bool with_stack = g.below(2);
        if (with_stack)
            add_capture(p);
        code c = make_code(p, {}, static_cast<u16>(stack_bytes));
        u8 left[stack_bytes] = {}, right[stack_bytes] = {};
        interp_env env{};
        env.helper = capture_helper;
        capture = left;
        u64 want = run_interp(c, nullptr, env);
        jit_options options;
        options.helper = capture_helper;
        capture = right;
        u64 got = run_jit(c, nullptr, options);
        EXPECT_EQ(got, want) << "seed " << seed + i;
        EXPECT_EQ(memcmp(left, right, stack_bytes), 0) << "seed " << seed + i;
    }
}

TEST(jit_fuzz, agrees_over_calls) {
    u64 seed = env_number("MODBPF_FUZZ_SEED", 1), count = env_number("MODBPF_FUZZ_COUNT", 800);
    for (u64 i = 0; i < count && !HasFailure(); i++) {
        generator g{std::mt19937_64(seed + i + 500000000), {}};
        u32 start = g.make_with_calls(5 + g.below(60));
        code c = make_code(g.p, {start}, static_cast<u16>(stack_bytes));
        interp_env env{};
        env.helper = capture_helper;
        jit_options options;
        options.helper = capture_helper;
        EXPECT_EQ(run_jit(c, nullptr, options), run_interp(c, nullptr, env)) << "seed " << seed + i;
    }
}

}  // namespace
}  // namespace modbpf::testing
