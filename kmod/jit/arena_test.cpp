// SPDX-License-Identifier: GPL-2.0-only
// Accesses to arenas and casts between address spaces: interpreter and JIT, on every machine, with all passes and without.
#include "jit/engines_test.h"
#include "jit/passes.h"
#include "port/user/user.h"

#include <random>

namespace modbpf::testing {
namespace {

constexpr u64 user = 0x7f12'fff0'0000, here = 0xfff00000; ///< the arena's first page, for user space and for programs
constexpr u32 first_page = here / PORT_PAGE_SIZE;

bpf_insn arena_ldx(u8 size, u8 dst, u8 src, s16 off) { return make_insn(BPF_LDX | BPF_PROBE_MEM32 | size, dst, src, off, 0); }
bpf_insn arena_stx(u8 size, u8 dst, u8 src, s16 off) { return make_insn(BPF_STX | BPF_PROBE_MEM32 | size, dst, src, off, 0); }
bpf_insn arena_st(u8 size, u8 dst, s16 off, s32 imm) { return make_insn(BPF_ST | BPF_PROBE_MEM32 | size, dst, 0, off, imm); }
bpf_insn arena_atomic(u8 size, s32 op, u8 dst, u8 src, s16 off) { return make_insn(BPF_STX | BPF_PROBE_ATOMIC | size, dst, src, off, op); }
bpf_insn to_user(u8 dst, u8 src) { return make_insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 1, 1 << 16); }

struct arenas : ::testing::Test {
    port_arena *a = nullptr;
    void SetUp() override {
        ASSERT_EQ(port_arena_create(true, &a), 0);
        ASSERT_EQ(port_arena_add(a, first_page, 1, -1), 0);
    }
    void TearDown() override { port_arena_destroy(a); }
    code in_arena(const std::vector<bpf_insn> &p, std::vector<u32> starts = {}) {
        code c = make_code(p, starts);
        c.arena_base = port_arena_base(a);
        c.arena_user = user;
        return c;
    }
    u64 &word(u32 off = 0) { return *ptr_of<u64>(port_arena_base(a) + here + off); }
    /// Both engines give this, each from the page filled with `fill`, and leave `left` in its first word.
    void expect(const std::vector<bpf_insn> &p, u64 want, u64 left, u64 fill = 0, std::vector<u32> starts = {}) {
        code c = in_arena(p, starts);
        word() = fill;
        EXPECT_EQ(run_interp(c), want);
        EXPECT_EQ(word(), left);
        for (bool blind : {false, true})
            for (const machine &m : machines()) {
                word() = fill;
                jit_options o;
                o.passes = blind ? 0 : all_passes;
                o.blind = blind;
                result<jit_image> r = compile_for(m, c, o);
                ASSERT_TRUE(r.ok()) << m.name;
                check_image(*r, &m.env);
                EXPECT_EQ(r->entry()(nullptr), want) << m.name << "\n" << listing(*r);
                EXPECT_EQ(word(), left) << m.name;
            }
    }
};

TEST_F(arenas, loads_and_stores_of_all_sizes) {
    struct { u8 size; u64 mask; } sizes[] = {{BPF_B, 0xff}, {BPF_H, 0xffff}, {BPF_W, 0xffffffff}, {BPF_DW, ~0ull}};
    constexpr u64 fill = 0x8899aabbccddeeff, stored = 0x1122334455667788;
    for (auto s : sizes) {
        // Only the low half of the address counts.
        expect(program_text().ld64(1, 0xdead00000000 | here).add(arena_ldx(s.size, 0, 1, 0)).add(exit_insn()), fill & s.mask, fill, fill);
        expect(program_text().ld64(1, here + 16).ld64(2, stored).add(arena_stx(s.size, 1, 2, -16)).add(mov_k(0, 1)).add(exit_insn()), 1,
               (fill & ~s.mask) | (stored & s.mask), fill);
        expect(program_text().ld64(1, here).add(arena_st(s.size, 1, 0, -2)).add(mov_k(0, 1)).add(exit_insn()), 1,
               (fill & ~s.mask) | (static_cast<u64>(-2) & s.mask), fill);
    }
    expect(program_text().ld64(1, here).add(arena_ldx(BPF_DW, 1, 1, 0)).add(mov_r(0, 1)).add(exit_insn()), 77, 77, 77);
}

TEST_F(arenas, constants_are_blinded) {
    constexpr s32 constant = 0x3c9a71e5;
    code c = in_arena(program_text().add(mov_r(1, 10)).add(arena_st(BPF_W, 1, 0, constant)).add(mov_k(0, 0)).add(exit_insn()));
    for (bool blind : {false, true}) {
        jit_options o;
        o.blind = blind;
        result<jit_image> r = jit_compile(c, o);
        ASSERT_TRUE(r.ok());
        EXPECT_EQ(memmem(r->text().data(), r->text().size(), &constant, sizeof(constant)) != nullptr, !blind);
    }
}

TEST_F(arenas, nothing_is_where_no_page_is) {
    for (s32 off : {-8, 4096, 32767, -32768, 4092}) {
        expect(program_text().ld64(1, here).add(mov_k(0, 9)).add(arena_ldx(BPF_DW, 0, 1, static_cast<s16>(off))).add(exit_insn()), 0, 3, 3);
        expect(program_text().ld64(1, here).add(mov_k(0, 9)).add(arena_stx(BPF_DW, 1, 0, static_cast<s16>(off))).add(exit_insn()), 9, 3, 3);
    }
    // The guards: offsets do not wrap around at 4 GiB.
    expect(program_text().ld64(1, 0xffffffff).add(mov_k(0, 9)).add(arena_ldx(BPF_DW, 0, 1, 32767)).add(exit_insn()), 0, 3, 3);
    expect(program_text().ld64(1, 0).add(mov_k(0, 9)).add(arena_ldx(BPF_DW, 0, 1, -32768)).add(exit_insn()), 0, 3, 3);
}

TEST_F(arenas, atomics) {
    constexpr u64 fill = 0xf0f0f0f0'0000000f, v = 0x11111111'0000ff01;
    struct { s32 op; u64 (*after)(u64 a, u64 b); } ops[] = {
        {BPF_ADD, [](u64 a, u64 b) { return a + b; }}, {BPF_AND, [](u64 a, u64 b) { return a & b; }},
        {BPF_OR, [](u64 a, u64 b) { return a | b; }},  {BPF_XOR, [](u64 a, u64 b) { return a ^ b; }},
        {BPF_ADD | BPF_FETCH, [](u64 a, u64 b) { return a + b; }}, {BPF_XCHG, [](u64, u64 b) { return b; }}};
    for (auto o : ops)
        for (u8 size : {BPF_W, BPF_DW}) {
            bool fetch = o.op & BPF_FETCH, wide = size == BPF_DW;
            u64 low = 0xffffffff, left = wide ? o.after(fill, v) : (fill & ~low) | (o.after(fill & low, v & low) & low);
            u64 old = wide ? fill : fill & low;
            auto text = [&](u64 at) {
                return program_text().ld64(6, at).ld64(7, v).add(arena_atomic(size, o.op, 6, 7, 0)).add(mov_r(0, 7)).add(exit_insn());
            };
            expect(text(here), fetch ? old : v, left, fill);
            expect(text(here + 4096), fetch && !wide ? v & low : v, fill, fill);
        }
}

TEST_F(arenas, compare_and_exchange) {
    for (u8 size : {BPF_W, BPF_DW})
        for (u64 at : {here, here + 4096})
            for (u64 compared : {5ull, 6ull}) {
                u64 kept = size == BPF_W ? 0xffffffff : ~0ull, high = 0x700000000, expected = compared | (size == BPF_DW ? 0 : high);
                bool there = at == here, same = compared == 5;
                expect(program_text().ld64(1, at).ld64(0, expected).add(mov_k(2, 9)).add(arena_atomic(size, BPF_CMPXCHG, 1, 2, 0)).add(exit_insn()),
                       there ? 5 : expected & kept, there && same ? 9 : 5, 5);
            }
}

// A look at all registers: what makes the access changes none but its result's.
TEST_F(arenas, registers_are_kept) {
    program_text p;
    for (u8 r = 0; r <= 9; r++)
        p.add(mov_k(r, 1 << r));
    p.add(st(BPF_DW, 10, -8, 1 << 10)).ld64(9, here);
    p.add(arena_stx(BPF_DW, 9, 5, 8)).add(arena_ldx(BPF_DW, 9, 9, 8)).add(alu64_r(BPF_SUB, 9, 5));
    for (u8 r = 1; r <= 9; r++)
        p.add(alu64_r(BPF_ADD, 0, r));
    p.add(ldx(BPF_DW, 1, 10, -8)).add(alu64_r(BPF_ADD, 0, 1)).add(exit_insn());
    expect(p, 0x5ff, 0);
    word(8) = 0;
}

TEST_F(arenas, a_leaf_that_would_be_inlined) {
    // r0 = f(here) + r6; f(p): r6 = *p; *p = r6 + 1; return r6
    expect(program_text().add(mov_k(6, 1000)).ld64(1, here).add(call_off(2)).add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn())
               .add(arena_ldx(BPF_DW, 6, 1, 0)).add(mov_r(0, 6)).add(alu64_k(BPF_ADD, 6, 1)).add(arena_stx(BPF_DW, 1, 6, 0)).add(exit_insn()),
           1041, 42, 41, {6});
}

// A load from the arena stays before a store to it and behind one.
TEST_F(arenas, order) {
    expect(program_text().ld64(1, here).add(arena_ldx(BPF_DW, 2, 1, 0)).add(arena_st(BPF_DW, 1, 0, 5)).add(arena_ldx(BPF_DW, 0, 1, 0))
               .add(alu64_k(BPF_MUL, 0, 100)).add(alu64_r(BPF_ADD, 0, 2)).add(exit_insn()), 507, 5, 7);
}

TEST_F(arenas, casts_to_user_space) {
    struct { u64 from, want; } rows[] = {{0, 0}, {here, user}, {0xabcd00000000, 0}, {0xabcd00000000 | here, user}, {1, 0x7f1200000001}};
    for (auto r : rows) {
        expect(program_text().ld64(1, r.from).add(to_user(0, 1)).add(exit_insn()), r.want, 0);
        expect(program_text().ld64(0, r.from).add(to_user(0, 0)).add(exit_insn()), r.want, 0);
        // The source stays, and what was known of it is not known of the result.
        expect(program_text().ld64(1, r.from).add(mov_r(6, 1)).add(to_user(2, 1)).add(mov_r(0, 2)).add(alu64_r(BPF_SUB, 0, 6)).add(exit_insn()),
               r.want - r.from, 0);
    }
}

TEST_F(arenas, code_without_an_arena_is_not_compiled) {
    u64 before = port_user_bug_count();
    code c = make_code(program_text().ld64(1, here).add(arena_ldx(BPF_DW, 0, 1, 0)).add(exit_insn()));
    EXPECT_EQ(jit_compile(c).code(), -EFAULT);
    EXPECT_EQ(port_user_bug_count(), before + 1);
}

// Random accesses among moves and stack slots: the two engines agree.
TEST_F(arenas, random_programs) {
    std::mt19937 rng(7);
    auto below = [&](u32 n) { return static_cast<u32>(rng() % n); };
    auto size_of = [&](u32 n) { constexpr u8 sizes[] = {BPF_DW, BPF_W, BPF_H, BPF_B}; return sizes[below(n)]; };
    for (u32 round = 0; round < 150; round++) {
        program_text p;
        for (u8 r = 0; r <= 7; r++)
            p.add(mov_k(r, static_cast<s32>(rng())));
        p.ld64(8, here + 512).ld64(9, here + 4096 - 32).add(st(BPF_DW, 10, -8, 1)).add(st(BPF_DW, 10, -16, 2));
        for (u32 n = 0; n < 24; n++) {
            u8 base = static_cast<u8>(8 + below(2)), a = static_cast<u8>(below(8)), b = static_cast<u8>(below(8));
            s16 off = static_cast<s16>(below(64) * 8 - 256);
            constexpr s32 ops[] = {BPF_ADD, BPF_AND, BPF_OR, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG};
            switch (below(9)) {
            case 0: p.add(arena_ldx(size_of(4), a, base, off)); break;
            case 1: p.add(arena_stx(size_of(4), base, a, off)); break;
            case 2: p.add(arena_st(size_of(4), base, off, static_cast<s32>(rng()))); break;
            case 3: p.add(arena_atomic(size_of(2), ops[below(7)], base, a, off)); break;
            case 4: p.add(to_user(a, b)); break;
            case 5: p.add(mov_r(a, b)); break;
            case 6: p.add(ldx(BPF_DW, a, 10, below(2) ? -8 : -16)); break;
            case 7: p.add(stx(BPF_DW, 10, a, below(2) ? -8 : -16)); break;
            default: p.add(alu64_r(BPF_XOR, a, b)); break;
            }
        }
        for (u8 r = 1; r <= 7; r++)
            p.add(alu64_r(BPF_XOR, 0, r)).add(alu64_k(BPF_MUL, 0, 31));
        p.add(exit_insn());
        code c = in_arena(p);
        memset(&word(), 0, PORT_PAGE_SIZE);
        u64 want = run_interp(c);
        std::string page(reinterpret_cast<char *>(&word()), PORT_PAGE_SIZE);
        for (const machine &m : machines()) {
            memset(&word(), 0, PORT_PAGE_SIZE);
            result<jit_image> r = compile_for(m, c);
            ASSERT_TRUE(r.ok());
            ASSERT_EQ(r->entry()(nullptr), want) << round << " " << m.name;
            ASSERT_EQ(memcmp(&word(), page.data(), PORT_PAGE_SIZE), 0) << round << " " << m.name;
        }
    }
}

}  // namespace
}  // namespace modbpf::testing
