// SPDX-License-Identifier: GPL-2.0-only
// Guards against mispredicting CPUs: masks leave an offset within the limit alone and force every other one to 0; a barrier follows
// its store. (That an offset beyond the limit comes at all is what only a mispredicting CPU does; here it is simply given.)
#include "jit/engines_test.h"

namespace modbpf::testing {
namespace {

constexpr u64 base = 0x10000;
constexpr u32 limit = 15;

/// r0 = base; r1 = offset; guarded: pointer op= offset, with the offset in the source or in the destination.
u64 moved(u8 op, u64 offset, bool negative, bool constant, bool in_src) {
    std::vector<bpf_insn> p = {make_insn(BPF_LD | BPF_IMM | BPF_DW, 1, 0, 0, static_cast<s32>(offset)),
                               make_insn(0, 0, 0, 0, static_cast<s32>(offset >> 32)), mov_k(2, static_cast<s32>(base))};
    p.push_back(in_src ? alu64_r(op, 2, 1) : alu64_r(op, 1, 2));
    p.push_back(mov_r(0, in_src ? 2 : 1));
    p.push_back(exit_insn());
    code c = make_code(p);
    EXPECT_TRUE(c.guards.push({3, limit, make_mask(negative, constant, in_src)}).ok());
    return run_jit(c);
}

TEST(guards, masks_of_positive_offsets) {
    for (bool in_src : {true, false})
        for (u64 off : {0ull, 1ull, 14ull, 15ull})
            EXPECT_EQ(moved(BPF_ADD, off, false, false, in_src), base + off) << in_src;
    for (bool in_src : {true, false})
        for (u64 off : {16ull, 1ull << 31, 1ull << 32, ~0ull, 1ull << 63, (1ull << 63) - 1})
            EXPECT_EQ(moved(BPF_ADD, off, false, false, in_src), base) << in_src << " " << off;
    EXPECT_EQ(moved(BPF_SUB, 15, false, false, true), base - 15);
    EXPECT_EQ(moved(BPF_SUB, 16, false, false, true), base);
}

TEST(guards, masks_of_negative_offsets) {
    EXPECT_EQ(moved(BPF_ADD, static_cast<u64>(-15), true, false, true), base - 15);
    EXPECT_EQ(moved(BPF_ADD, static_cast<u64>(-16), true, false, true), base);
    EXPECT_EQ(moved(BPF_ADD, 5, true, false, true), base) << "the other direction";
    EXPECT_EQ(moved(BPF_SUB, static_cast<u64>(-15), true, false, true), base + 15);
    EXPECT_EQ(moved(BPF_ADD, static_cast<u64>(-7), true, false, false), base - 7);
}

// A constant offset is not taken from the register at all.
TEST(guards, constant_offsets) {
    EXPECT_EQ(moved(BPF_ADD, 999, false, true, true), base + limit);
    EXPECT_EQ(moved(BPF_ADD, static_cast<u64>(-999), true, true, true), base - limit);
    EXPECT_EQ(moved(BPF_SUB, 999, false, true, true), base - limit);
}

// A mask's scratch registers hold nothing else, however many registers the program uses.
TEST(guards, masks_beside_values_in_all_registers) {
    std::vector<bpf_insn> p;
    for (u8 r = 1; r <= 9; r++)
        p.push_back(mov_k(r, r == 1 ? 5 : 1000 * r));
    p.push_back(alu64_r(BPF_ADD, 2, 1));
    p.push_back(mov_k(0, 0));
    for (u8 r = 1; r <= 9; r++)
        p.push_back(alu64_r(BPF_ADD, 0, r));
    p.push_back(exit_insn());
    code c = make_code(p, {}, 0);
    ASSERT_TRUE(c.guards.push({9, limit, make_mask(false, false, true)}).ok());
    EXPECT_EQ(run_jit(c), 44010u);
}

// The frame pointer has no register of its own.
TEST(guards, mask_of_a_frame_pointer_in_the_source) {
    code c = make_code({mov_k(1, -8), alu64_r(BPF_ADD, 1, 10), st(BPF_DW, 1, 0, 42), ldx(BPF_DW, 0, 10, -8), exit_insn()});
    ASSERT_TRUE(c.guards.push({1, 8, make_mask(true, false, false)}).ok());
    EXPECT_EQ(run_jit(c), 42u);
}

TEST(guards, barrier_behind_its_store) {
    std::vector<bpf_insn> p = {st(BPF_DW, 10, -8, 5), ldx(BPF_DW, 0, 10, -8), exit_insn()};
    code plain = make_code(p), guarded = make_code(p);
    ASSERT_TRUE(guarded.guards.push({0, 0, guard_kind::barrier}).ok());
    auto listing_of = [](const code &c) {
        auto image = jit_compile(c);
        EXPECT_TRUE(image.ok());
        return image.ok() ? listing(*image) : std::string();
    };
    EXPECT_EQ(listing_of(plain).find("lfence"), std::string::npos);
    std::string text = listing_of(guarded);
    size_t fence = text.find("lfence");
    ASSERT_NE(fence, std::string::npos) << text;
    EXPECT_LT(text.find("mov"), fence) << text;
    EXPECT_EQ(run_jit(guarded), 5u);
}

}  // namespace
}  // namespace modbpf::testing
