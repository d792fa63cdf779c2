// SPDX-License-Identifier: GPL-2.0-only
// Every pass alone, all but each, none and all: random programs do what the interpreter does, and each pass does what it is there for.
#include "jit/divide.h"
#include "jit/layout.h"
#include "jit/passes.h"
#include "jit/random_program_test.h"
#include "port/user/user.h"

#include <algorithm>

namespace modbpf::testing {
namespace {

/// Sets of passes: n = 0: all; 1: none; then each alone, then all but each.
constexpr u32 pass_sets = 2 + 2 * jit_pass_count;
u32 passes_of(u32 n) {
    if (n < 2)
        return n ? 0 : all_passes;
    u32 bit = 1u << (n - 2) % jit_pass_count;
    return n - 2 < jit_pass_count ? bit : all_passes & ~bit;
}
std::string name_of(u32 passes) {
    std::string s;
    for (u32 i = 0; i < jit_pass_count; i++)
        if (passes >> i & 1)
            s += std::string(s.empty() ? "" : ",") + jit_pass_names[i];
    return s;
}

u64 hash_arguments(u64 a, u64 b, u64 c, u64 d, u64 e) { return (((a * 31 + b) * 31 + c) * 31 + d) * 31 + e; }
const helper_proto *hash_helper(u32) {
    static const helper_proto proto = {2, ret_type::integer, {}, 0, 0, 0, hash_arguments};
    return &proto;
}

/// The image made with these passes returns `want`, on a machine that the seed picks.
void expect_passes(const code &c, u64 want, u32 passes, u64 seed, bool blind = false, const void *ctx = nullptr) {
    jit_options options;
    options.helper = hash_helper;
    options.passes = passes;
    options.blind = blind;
    options.thorough = seed % 4 != 0;
    const machine &m = machines()[seed % machines().size()];
    result<jit_image> image = compile_for(m, c, options);
    ASSERT_TRUE(image.ok()) << name_of(passes);
    check_image(*image, &m.env);
    EXPECT_EQ(image->entry()(ctx), want) << "seed " << seed << " passes " << name_of(passes) << (blind ? " blinded" : "") << " on " << m.name;
}

u64 env_number(const char *name, u64 otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, nullptr, 0) : otherwise;
}

TEST(jit_passes, random_programs) {
    u64 seed = env_number("MODBPF_FUZZ_SEED", 1), count = env_number("MODBPF_FUZZ_COUNT", 1200);
    for (u64 i = 0; i < count && !HasFailure(); i++) {
        generator g{std::mt19937_64(seed + i + 910000000), {}};
        g.atomics = i % 2;
        code c = make_code(g.make(5 + g.below(i % 16 ? 60 : 300)), {}, static_cast<u16>(stack_bytes));
        u64 want = run_interp(c);
        for (u32 n = 0; n < 4; n++)
            expect_passes(c, want, passes_of(n ? static_cast<u32>((i * 3 + n) % pass_sets) : 0), seed + i);
        expect_passes(c, want, passes_of(i % 2 ? static_cast<u32>(i * 7 % pass_sets) : 0), seed + i, true);
    }
}

TEST(jit_passes, random_programs_with_calls) {
    u64 seed = env_number("MODBPF_FUZZ_SEED", 1), count = env_number("MODBPF_FUZZ_COUNT", 800);
    for (u64 i = 0; i < count && !HasFailure(); i++) {
        generator g{std::mt19937_64(seed + i + 920000000), {}};
        g.leaf_sub = i % 4 != 0;
        u32 start = g.make_with_calls(3 + g.below(40));
        code c = make_code(g.p, {start}, static_cast<u16>(stack_bytes));
        interp_env env{};
        env.helper = hash_helper;
        u64 want = run_interp(c, nullptr, env);
        for (u32 n = 0; n < 4; n++)
            expect_passes(c, want, passes_of(n ? static_cast<u32>((i * 3 + n) % pass_sets) : 0), seed + i);
        expect_passes(c, want, passes_of(i % 2 ? static_cast<u32>(i * 7 % pass_sets) : 0), seed + i, true);
    }
}

/// Three subprograms, each calling the next, and r6-r9 full of values everywhere.
TEST(jit_passes, leaves_inside_leaves) {
    program_text p;
    std::vector<u32> starts;
    std::vector<size_t> calls;
    for (u32 sub = 0; sub < 3; sub++) {
        if (sub)
            starts.push_back(static_cast<u32>(p.size()));
        for (u8 r = 6; r < 10; r++)
            p.ld64(r, 0x1111111111111111ull * r + sub);
        if (sub == 0)
            for (u8 r = 1; r < 6; r++)
                p.add(mov_k(r, r));
        for (u8 r = 1; r < 6; r++)
            p.add(alu64_r(BPF_ADD, 6, r));
        p.add(mov_r(7, 6)).add(alu64_k(BPF_LSH, 7, 3));
        if (sub < 2) {
            for (u32 twice = 0; twice < 2; twice++) {
                for (u8 r = 1; r < 6; r++)
                    p.add(mov_r(r, static_cast<u8>(6 + (r + twice) % 4)));
                calls.push_back(p.size());
                p.add(call_off(0)).add(alu64_r(BPF_ADD, 8, 0));
            }
        } else {
            p.add(jmp_k(BPF_JGT, 6, 99, 2)).add(mov_r(0, 6)).add(exit_insn());
            for (u8 r = 1; r < 6; r++)
                p.add(alu64_r(BPF_XOR, 9, r));
        }
        p.add(mov_r(0, 6));
        for (u8 r = 7; r < 10; r++)
            p.add(alu64_k(BPF_MUL, 0, 31)).add(alu64_r(BPF_ADD, 0, r));
        p.add(exit_insn());
    }
    for (size_t at : calls)
        p[at].imm = static_cast<s32>((at < starts[0] ? starts[0] : starts[1]) - at - 1);
    code c = make_code(p, starts, 0);
    u64 want = run_interp(c);
    for (u32 n = 0; n < pass_sets; n++)
        for (u64 m = 0; m < machines().size(); m++)
            expect_passes(c, want, passes_of(n), m, n % 2);
}

std::string text_of(const program_text &p, u32 passes, std::vector<u32> starts = {}) {
    jit_options options;
    options.passes = passes;
    auto image = jit_compile(make_code(p, starts, 64), options);
    EXPECT_TRUE(image.ok());
    return image.ok() ? listing(*image) : "";
}
size_t count_of(const std::string &text, const char *what) {
    size_t n = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
        n++;
    return n;
}
/// The listing holds `what` with the pass, and not without.
void expect_pass(const program_text &p, jit_pass pass, const char *what, std::vector<u32> starts = {}) {
    EXPECT_NE(text_of(p, pass_bit(pass), starts).find(what), std::string::npos) << what << "\n" << text_of(p, pass_bit(pass), starts);
    EXPECT_EQ(text_of(p, 0, starts).find(what), std::string::npos) << what << "\n" << text_of(p, 0, starts);
}

TEST(jit_passes, do_what_they_are_there_for) {
    program_text rotation = {mov_k(1, 77), mov_r(0, 1), alu64_k(BPF_LSH, 0, 5), alu64_k(BPF_RSH, 1, 59), alu64_r(BPF_OR, 0, 1), exit_insn()};
    expect_pass(rotation, jit_pass::rotate, "rol");
    EXPECT_EQ(text_of(rotation, pass_bit(jit_pass::rotate)).find("shr"), std::string::npos);
    expect_pass({mov_k(0, 77), alu64_k(BPF_DIV, 0, 10), exit_insn()}, jit_pass::divide, "mul");
    expect_pass({ldx(BPF_DW, 0, 1, 8), mov_k(2, 3), ldx(BPF_DW, 3, 1, 0), alu64_r(BPF_ADD, 0, 3), exit_insn()}, jit_pass::memory,
                "add rax, qword ptr [rdi]");
    expect_pass({ldx(BPF_DW, 0, 1, 8), alu64_k(BPF_ADD, 0, 3), stx(BPF_DW, 1, 0, 8), mov_k(0, 0), exit_insn()}, jit_pass::memory,
                "add qword ptr [rdi + 8], 3");
    program_text slot = {stx(BPF_DW, 10, 1, -8), ldx(BPF_DW, 0, 10, -8), exit_insn()};
    EXPECT_NE(text_of(slot, 0).find("[rbp"), std::string::npos);
    EXPECT_EQ(text_of(slot, pass_bit(jit_pass::slots)).find("[rbp"), std::string::npos);
    program_text over = {mov_k(0, 1), jmp_k(BPF_JGT, 1, 5, 1), jump_to(1), mov_k(0, 2), exit_insn()};
    EXPECT_EQ(count_of(text_of(over, 0), "jmp"), 2u);  // one is the tail entry's
    EXPECT_EQ(count_of(text_of(over, pass_bit(jit_pass::branches)), "jmp"), 1u);
    // A loop whose condition stands behind it, and a way around: without the pass each is a jump.
    program_text around = {mov_k(0, 0), jump_to(2), alu64_k(BPF_ADD, 0, 1), exit_insn(), jmp_k(BPF_JGT, 1, 5, 1), mov_k(0, 7), jump_to(-5)};
    EXPECT_EQ(count_of(text_of(around, 0), "jmp"), 3u); // one is the tail entry's
    EXPECT_EQ(count_of(text_of(around, pass_bit(jit_pass::layout)), "jmp"), 1u) << text_of(around, pass_bit(jit_pass::layout));
    program_text call = {mov_k(1, 4), call_off(1), exit_insn(), mov_r(0, 1), exit_insn()};
    EXPECT_EQ(count_of(text_of(call, 0, {3}), "call"), 1u);
    EXPECT_EQ(count_of(text_of(call, pass_bit(jit_pass::inline_), {3}), "call"), 0u);
}

/// Loads stay in their order, also where one becomes an operand: another CPU's stores are seen in theirs.
TEST(jit_passes, loads_stay_in_order) {
    const struct {
        program_text between; ///< the load of r2 and its use
        bool folded;
    } rows[] = {
        {{mov_k(4, 3)}, true},
        {{mov_k(4, 3), alu64_r(BPF_ADD, 4, 3)}, true},
        {{ldx(BPF_DW, 3, 1, 8)}, false},
        {{mov_k(4, 3), ldx(BPF_B, 4, 1, 8)}, false},
        {{ldsx(BPF_W, 4, 1, 8)}, false},
    };
    for (const auto &r : rows) {
        program_text p = {mov_k(3, 5), mov_k(4, 9), ldx(BPF_DW, 2, 1, 0)};
        p.insert(p.end(), r.between.begin(), r.between.end());
        p.add(alu64_r(BPF_SUB, 3, 2)).add(mov_r(0, 3)).add(alu64_r(BPF_ADD, 0, 4)).add(exit_insn());
        for (u32 passes : {pass_bit(jit_pass::memory), all_passes}) {
            std::string text = text_of(p, passes);
            size_t first = text.find("ptr [rdi]"), second = text.find("ptr [rdi + 8]");
            EXPECT_EQ(text.find("sub rdx, qword ptr [rdi]") != std::string::npos, r.folded) << text;
            ASSERT_NE(first, std::string::npos) << text;
            EXPECT_TRUE(r.folded || first < second) << text;
        }
        u64 words[2] = {0x123456789abcdef0, 0xfedcba9876543211};
        code c = make_code(p, {}, 0);
        expect_passes(c, run_interp(c, words), all_passes, 0, false, words);
    }
}

/// A loop that is entered behind its test: the test goes behind the loop, and one jump a turn goes.
TEST(jit_passes, loops_with_their_test_at_the_start) {
    program_text loop = {mov_k(0, 0), ldx(BPF_DW, 2, 1, 0), jump_to(3),
                         alu64_k(BPF_ADD, 2, -1), mov_r(3, 2), jmp_k(BPF_JEQ, 2, 0, 4),
                         alu64_r(BPF_ADD, 0, 2), jmp_k(BPF_JGT, 0, 1000, 1), jump_to(-6), mov_k(0, 7), exit_insn()};
    std::string text = text_of(loop, pass_bit(jit_pass::layout));
    EXPECT_EQ(count_of(text_of(loop, 0), "jmp"), 3u); // one is the tail entry's
    EXPECT_EQ(count_of(text, "jmp"), 2u) << text;     // the way out of the test, once
    EXPECT_NE(text.find("jne"), std::string::npos) << text;
    for (u64 turns : {1, 2, 5, 100}) {
        code c = make_code(loop, {}, 0);
        u64 want = run_interp(c, &turns);
        for (u32 passes : {0u, pass_bit(jit_pass::layout), pass_bit(jit_pass::layout) | pass_bit(jit_pass::flags), all_passes})
            for (u64 m = 0; m < machines().size(); m++)
                expect_passes(c, want, passes, m, turns % 2, &turns);
    }
}

/// What is computed in one register and moved to its other operand is computed there, unless the first is read again.
TEST(jit_passes, results_that_are_moved_to_their_operand) {
    auto text = [](u8 op, bool wide, const bpf_insn &moved, const bpf_insn &behind) {
        program_text p = {mov_k(0, 0), ldx(BPF_DW, 2, 1, 0), ldx(BPF_DW, 3, 1, 8)};
        p.add(wide ? alu64_r(op, 2, 3) : alu32_r(op, 2, 3)).add(moved).add(behind).add(alu64_r(BPF_ADD, 0, 3)).add(exit_insn());
        return p;
    };
    const struct {
        program_text p;
        bool turned;
    } rows[] = {
        {text(BPF_ADD, true, mov_r(3, 2), mov_k(2, 1)), true},   {text(BPF_MUL, true, mov_r(3, 2), mov_k(2, 1)), true},
        {text(BPF_XOR, false, mov_r(3, 2), mov_k(2, 1)), true},  {text(BPF_OR, false, alu32_r(BPF_MOV, 3, 2), mov_k(2, 1)), true},
        {text(BPF_SUB, true, mov_r(3, 2), mov_k(2, 1)), false},  {text(BPF_LSH, true, mov_r(3, 2), mov_k(2, 1)), false},
        {text(BPF_ADD, true, alu32_r(BPF_MOV, 3, 2), mov_k(2, 1)), false}, // the upper half goes
        {text(BPF_ADD, true, mov_r(3, 2), stx(BPF_DW, 1, 2, 0)), false}, // is read again
    };
    u64 words[2];
    auto set = [&] { words[0] = 0x123456789abcdef0, words[1] = 0xfedcba9876543211; };
    for (const auto &r : rows) {
        std::string listing = text_of(r.p, pass_bit(jit_pass::copies));
        EXPECT_EQ(count_of(listing, " rdx, rsi") + count_of(listing, " edx, esi") == 1 && !count_of(listing, "si, rdx") && !count_of(listing, "si, edx"),
                  r.turned)
            << listing;
        code c = make_code(r.p, {}, 0);
        set();
        u64 want = run_interp(c, words);
        for (u32 passes : {pass_bit(jit_pass::copies), all_passes}) {
            set();
            expect_passes(c, want, passes, 0, false, words);
        }
    }
}

result<jit_image> with_ranges(const code &c) {
    jit_options o;
    o.passes = pass_bit(jit_pass::ranges);
    o.thorough = true;
    return jit_compile(c, o);
}

/// The intervals of jit_pass::ranges, by a branch that they decide or do not: the smallest number that a register cannot have.
TEST(jit_passes, intervals_decide_branches) {
    const struct {
        program_text made; ///< r2, of the words at r1
        s64 least_above;   ///< r2 is below that, and may be one less
    } rows[] = {
        {{ldx(BPF_B, 2, 1, 0)}, 0x100},
        {{ldx(BPF_H, 2, 1, 0)}, 0x10000},
        {{ldx(BPF_DW, 2, 1, 0), alu64_k(BPF_AND, 2, 0x1ff)}, 0x200},
        {{ldx(BPF_DW, 2, 1, 0), alu32_k(BPF_AND, 2, 0x1ff)}, 0x200},
        {{ldx(BPF_DW, 2, 1, 0), alu64_k(BPF_RSH, 2, 60)}, 16},
        {{ldx(BPF_DW, 2, 1, 0), alu32_k(BPF_RSH, 2, 28)}, 16},
        {{ldx(BPF_B, 2, 1, 0), alu64_k(BPF_LSH, 2, 4)}, 0xff1},
        {{ldx(BPF_B, 2, 1, 0), alu64_k(BPF_MUL, 2, 3)}, 0x2fe},
        {{ldx(BPF_B, 2, 1, 0), alu64_k(BPF_ADD, 2, 7)}, 0x107},
        {{ldx(BPF_B, 2, 1, 0), ldx(BPF_B, 3, 1, 8), alu64_r(BPF_ADD, 2, 3)}, 0x1ff},
        {{ldx(BPF_B, 2, 1, 0), ldx(BPF_DW, 3, 1, 8), alu64_r(BPF_AND, 2, 3)}, 0x100},
        {{ldx(BPF_DW, 2, 1, 0), alu64_k(BPF_AND, 2, 15), alu32_r(BPF_MOV, 2, 2)}, 16},
        {{ldx(BPF_DW, 2, 1, 0), ldx(BPF_B, 3, 1, 8), alu64_k(BPF_AND, 2, 15), jmp_k(BPF_JNE, 3, 0, 1), mov_k(2, 20)}, 21}, // where two ways meet
    };
    for (const auto &r : rows)
        for (u8 op : {BPF_JGE, BPF_JGT, BPF_JLT, BPF_JLE, BPF_JEQ})
            for (s64 off : {0, -1}) {
                auto imm = static_cast<s32>(r.least_above + off - (op == BPF_JGT || op == BPF_JLE));
                program_text p = r.made;
                p.add(jmp_k(op, 2, imm, 2)).add(mov_k(0, 1)).add(exit_insn()).add(mov_k(0, 2)).add(exit_insn());
                code c = make_code(p, {}, 0);
                auto image = with_ranges(c);
                ASSERT_TRUE(image.ok());
                EXPECT_EQ(listing(*image).find("cmp rsi, ") == std::string::npos, off == 0)
                    << "op " << static_cast<u32>(op) << " imm " << imm << "\n" << listing(*image);
                for (u64 word : {0ull, 1ull, 15ull, 0xffull, 0x1ffull, ~0ull, 0x8000000000000000ull}) {
                    u64 words[2] = {word, ~word};
                    EXPECT_EQ(image->entry()(words), run_interp(c, words)) << word;
                    words[1] = ~0ull;
                    EXPECT_EQ(image->entry()(words), run_interp(c, words)) << word;
                }
            }
}

/// A number that grows in a loop has no bound, whatever it begins with; one that is masked in each turn has.
TEST(jit_passes, intervals_around_loops) {
    for (bool masked : {false, true}) {
        program_text p = {mov_k(0, 0), mov_k(3, 300), alu64_k(BPF_ADD, 0, 1)};
        if (masked)
            p.add(alu64_k(BPF_AND, 0, 0x7f));
        p.add(jmp_k(BPF_JGE, 0, 200, 2)).add(alu64_k(BPF_ADD, 3, -1)).add(jmp_k(BPF_JNE, 3, 0, masked ? -5 : -4)).add(exit_insn());
        code c = make_code(p, {}, 0);
        auto image = with_ranges(c);
        ASSERT_TRUE(image.ok());
        EXPECT_EQ(listing(*image).find("cmp rax, ") == std::string::npos, masked) << listing(*image);
        EXPECT_EQ(image->entry()(nullptr), run_interp(c));
        EXPECT_EQ(image->entry()(nullptr), masked ? 300u % 128 : 200u);
    }
}

/// What stands between arithmetic and the branch on its result goes before both, if they have nothing to do with each other.
TEST(jit_passes, flags_over_what_stands_between) {
    auto loop = [](const bpf_insn &alu, const bpf_insn &between, u8 tested) {
        return program_text{mov_k(0, 3), mov_k(2, 4), mov_k(3, 1), alu, between, jmp_k(BPF_JNE, tested, 0, 1), mov_k(0, 77), alu64_r(BPF_ADD, 0, 2),
                            alu64_r(BPF_ADD, 0, 3), exit_insn()};
    };
    const struct {
        program_text text;
        bool fused;
    } rows[] = {
        {loop(alu64_k(BPF_SUB, 0, 3), mov_r(3, 2), 0), true},
        {loop(alu64_k(BPF_SUB, 0, 2), mov_r(3, 2), 0), true},
        {loop(alu64_r(BPF_XOR, 2, 0), ldx(BPF_DW, 3, 1, 0), 2), true},
        {loop(alu64_k(BPF_ADD, 0, 0), mov_k(3, 77), 0), true}, // 0 is shown where constants are blinded, 77 is not
        {loop(alu64_k(BPF_SUB, 0, 3), mov_r(3, 0), 0), false}, // reads the result
        {loop(alu64_k(BPF_SUB, 0, 3), mov_r(0, 2), 0), false}, // is what is tested
        {loop(alu64_r(BPF_SUB, 0, 2), mov_r(2, 3), 0), false}, // writes the operand
        {loop(alu64_k(BPF_SUB, 0, 3), mov_r(3, 2), 2), false}, // another is tested
        {loop(alu64_k(BPF_SUB, 0, 3), alu64_k(BPF_ADD, 3, 2), 0), false},
        {loop(alu64_k(BPF_SUB, 0, 3), stx(BPF_DW, 1, 3, 0), 0), false},
    };
    for (const auto &r : rows) {
        u64 word = 9;
        u32 passes = pass_bit(jit_pass::flags);
        code c = make_code(r.text, {}, 0);
        EXPECT_EQ(text_of(r.text, passes).find("test ") == std::string::npos, r.fused) << text_of(r.text, passes);
        u64 want = run_interp(c, &word);
        for (bool blind : {false, true}) {
            word = 9;
            expect_passes(c, want, passes, 0, blind, &word);
            expect_passes(c, want, all_passes, 1, blind, &word);
        }
    }
}

/// A slot stays in memory when anything else may reach it.
TEST(jit_passes, slots_that_alias_stay_in_memory) {
    auto in_memory = [](const program_text &p) { return text_of(p, pass_bit(jit_pass::slots)).find("ptr [rbp - 8]") != std::string::npos; };
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 1, -8), mov_r(2, 10), ldx(BPF_DW, 0, 10, -8), exit_insn()})) << "the frame pointer is copied";
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 1, -8), ldx(BPF_W, 0, 10, -8), exit_insn()})) << "another width";
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 1, -8), stx(BPF_B, 10, 1, -3), ldx(BPF_DW, 0, 10, -8), exit_insn()})) << "a byte inside";
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 1, -8), stx(BPF_DW, 10, 1, -12), ldx(BPF_DW, 0, 10, -8), exit_insn()})) << "an overlap";
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 1, -8), mov_k(2, 1), atomic_op(BPF_DW, BPF_ADD, 10, 2, -8), ldx(BPF_DW, 0, 10, -8), exit_insn()}))
        << "an atomic";
    EXPECT_TRUE(in_memory({stx(BPF_DW, 10, 10, -16), stx(BPF_DW, 10, 1, -8), ldx(BPF_DW, 0, 10, -8), exit_insn()})) << "it is stored";
}

TEST(jit_passes, inverses_are_exact) {
    std::mt19937_64 rng(7);
    auto divide64 = [](const inverse_of &i, u64 x) {
        u64 t = static_cast<u64>(static_cast<unsigned __int128>(i.multiplier) * x >> 64);
        return i.add ? (t + (x - t) / 2) >> (i.shift - 1) : t >> i.shift;
    };
    auto divide32 = [](const inverse_of &i, u32 x) {
        auto t = static_cast<u32>(i.multiplier * x >> 32);
        return i.add ? (t + (x - t) / 2) >> (i.shift - 1) : t >> i.shift;
    };
    for (u32 n = 0; n < 200000; n++) {
        u64 d = n < 3000 ? n + 3 : (rng() >> rng() % 62) + 3;
        if ((d & (d - 1)) == 0)
            d++;
        inverse_of i = inverse64(d);
        u64 around = rng() / d * d;
        for (u64 x : std::vector<u64>{0, 1, ~0ull, ~0ull - 1, 1ull << 63, (1ull << 63) - 1, rng(), rng() >> rng() % 63})
            ASSERT_EQ(divide64(i, x), x / d) << x << " / " << d;
        for (u64 x : std::vector<u64>{around, around - 1, ~0ull / d * d, ~0ull / d * d - 1})
            ASSERT_EQ(divide64(i, x), x / d) << x << " / " << d;
        auto d32 = static_cast<u32>(d);
        if (d32 < 3 || (d32 & (d32 - 1)) == 0)
            continue;
        inverse_of j = inverse32(d32);
        ASSERT_LE(j.multiplier, 0xffffffffu);
        for (u32 x : {0u, 1u, ~0u, ~0u - 1, 1u << 31, static_cast<u32>(rng()), ~0u / d32 * d32, ~0u / d32 * d32 - 1, d32, d32 - 1})
            ASSERT_EQ(divide32(j, x), x / d32) << x << " / " << d32;
    }
}

TEST(jit_passes, signed_division_by_constants) {
    std::mt19937_64 rng(8);
    std::vector<s64> divisors = {2, -2, 3, -3, 7, -7, 10, -10, 127, -128, 641, 1 << 20, -(1 << 20), 0x7fffffff, -0x7fffffff, -0x7fffffffll - 1};
    for (u32 n = 0; n < 12; n++)
        divisors.push_back(static_cast<s32>(rng()) >> rng() % 31 | 2);
    for (s64 v : divisors)
        for (u8 op : {BPF_DIV, BPF_MOD})
            for (bool wide : {false, true})
                for (u8 r : {0, 3, 4, 7}) {
                    auto k = static_cast<s32>(v);
                    program_text p = {ldx(BPF_DW, r, 1, 0)};
                    p.add(wide ? alu64_k(op, r, k, 1) : alu32_k(op, r, k, 1)).add(mov_r(0, r)).add(exit_insn());
                    code c = make_code(p, {}, 0);
                    auto image = jit_compile(c);
                    ASSERT_TRUE(image.ok());
                    EXPECT_EQ(listing(*image).find("idiv"), std::string::npos);
                    check_image(*image);
                    u64 around = static_cast<u64>(static_cast<s64>(rng()) / v * v), low = 0x80000000ull;
                    for (u64 x : std::vector<u64>{0, 1, ~0ull, 1ull << 63, (1ull << 63) - 1, low, low - 1, rng(), rng() >> 40, around, around - 1, around + 1,
                                  static_cast<u64>(v), static_cast<u64>(-v), static_cast<u64>(v - 1)})
                        ASSERT_EQ(image->entry()(&x), run_interp(c, &x)) << static_cast<s64>(x) << (op == BPF_DIV ? " / " : " % ") << v << " wide " << wide;
                }
}

/// Many jumps to the head of many dead operations: where one leads is found in few steps, however many others lead there.
TEST(jit_passes, many_jumps_to_what_is_dead) {
    constexpr u32 jumps = 2000, dead = 3000;
    auto make = [](bool runs) {
        program_text p = {mov_r(6, 1), mov_k(0, 0)};
        std::vector<size_t> there;
        for (u32 i = 0; i < jumps; i++) {
            p.add(jmp_k(BPF_JGT, 6, static_cast<s32>(i), runs ? 2 : 0));
            if (runs)
                p.add(alu64_k(BPF_ADD, 0, 1));
            there.push_back(p.size());
            p.add(runs ? jump_to(0) : jmp_k(BPF_JEQ, 6, static_cast<s32>(i), 0));
        }
        p.add(mov_k(0, 1)).add(exit_insn());
        for (size_t at : there)
            p[at].off = static_cast<s16>(p.size() - at - 1);
        for (u32 i = 0; i < dead; i++)
            p.add(mov_k(1, static_cast<s32>(i)));
        return p.add(alu64_k(BPF_ADD, 0, 5)).add(exit_insn());
    };
    for (bool runs : {false, true}) {
        code c = make_code(make(runs), {}, 0);
        const machine &m = machines()[0];
        jit_facts facts;
        ASSERT_TRUE(jit_analyse(c, facts).ok());
        for (u32 i = 0; i < facts.ops.size(); i++)
            if (facts.ops[i].is(insn_kind::mov) && facts.ops[i].dst == BPF_REG_1)
                facts.ops[i].kill();
        u64 resched = port_user_resched_count();
        ASSERT_TRUE(run_passes(facts, {c, m.env, pass_bit(jit_pass::branches), false}).ok());
        EXPECT_GT(port_user_resched_count(), resched);
        scratch_vec<op_run> order;
        ASSERT_TRUE(order_runs(facts, facts.frames[0], true, order).ok());
        EXPECT_LT(facts.steps, 32 * facts.ops.size()) << runs;
        for (u64 i : {0u, 1u, jumps - 1, jumps, jumps + 1})
            expect_passes(c, run_interp(c, reinterpret_cast<const void *>(i)), all_passes, 0, false, reinterpret_cast<const void *>(i));
    }
}

TEST(jit_passes, lists_of_names) {
    auto named = [](const char *list) {
        auto r = parse_passes(list);
        return r.ok() ? *r : ~0u;
    };
    EXPECT_EQ(named("all"), all_passes);
    EXPECT_EQ(named(""), 0u);
    EXPECT_EQ(named("none\n"), 0u);
    EXPECT_EQ(named("rotate,slots"), pass_bit(jit_pass::rotate) | pass_bit(jit_pass::slots));
    EXPECT_EQ(named("-inline,copies\n"), all_passes & ~(pass_bit(jit_pass::inline_) | pass_bit(jit_pass::copies)));
    EXPECT_FALSE(parse_passes("rotat").ok());
    EXPECT_FALSE(parse_passes("rotate,,slots").ok());
    EXPECT_FALSE(set_jit_passes("everything").ok());
}

}  // namespace
}  // namespace modbpf::testing
