// SPDX-License-Identifier: GPL-2.0-only
// Tail calls: the interpreter and the images of every machine enter the same programs as often, at most 33 after the first,
// whatever the nesting (X6).
#include "jit/engines_test.h"
#include "jit/passes.h"
#include "maps/map_test.h"

#include <optional>
#include <random>

namespace modbpf::testing {
namespace {

u64 clobber(u64, u64, u64, u64, u64) {
    asm volatile("" ::: "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
    return 7;
}
const helper_proto clobbering{3, ret_type::integer, {}, 0, 0, 0, clobber};
const helper_proto *test_helper(u32 id) {
    return id == 3 ? &clobbering : nullptr;
}

struct linked_program : runnable {
    jit_image image;
    code text;
};
std::vector<linked_program *> slots;
map *array; ///< what add_tail_call() names: null, or one whose slots are those above

runnable *test_slot(map *, u32 index) {
    return index < slots.size() ? slots[index] : nullptr;
}
const code *test_tail(void *, u32 index) {
    return index < slots.size() && slots[index] ? &slots[index]->text : nullptr;
}

/// Makes them the slots, of the array too.
void fill(std::vector<linked_program *> programs) {
    slots = programs;
    for (u32 i = 0; array && i < array->params.max_entries; i++) {
        array->ops->remove_user(array, &i);
        if (i < slots.size() && slots[i]) {
            EXPECT_EQ(array->ops->update_user(array, &i, &i, BPF_ANY), 0);
        }
    }
}

/// Tells the image which array its tail calls name.
void name_array(code &c) {
    for (u32 i = 0; array && i < c.insns.size(); i++)
        if (c.insns[i].code == (BPF_JMP | BPF_CALL) && c.insns[i].src_reg == 0 && c.insns[i].imm == BPF_FUNC_tail_call) {
            ASSERT_TRUE(c.maps.push({i, array}).ok());
        }
}

const machine *target_machine;

void load(linked_program &p, code c) {
    jit_options o;
    o.helper = test_helper;
    o.slot = test_slot;
    p.text = move(c);
    name_array(p.text);
    result<jit_image> r = compile_for(*target_machine, p.text, o);
    ASSERT_TRUE(r.ok());
    p.image = move(*r);
    check_image(p.image, &target_machine->env);
    p.entry = p.image.entry();
    p.tail_entry = p.image.tail_entry();
}
/// By machine; with an array that the program names, and with one that only the helper knows.
class jit_tail_call : public ::testing::TestWithParam<std::tuple<size_t, bool>> {
protected:
    void SetUp() override {
        target_machine = &machines()[std::get<0>(GetParam())];
        slots.clear();
        prog_hooks = {
            .get = [](map *, int fd) { return result<runnable *>(slots[static_cast<size_t>(fd)]); },
            .put = [](runnable *) {},
            .id = [](runnable *) { return 0u; },
        };
        if (!std::get<1>(GetParam()))
            return;
        programs_.emplace(params_of(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 3)); // the last index of random programs is outside
        ASSERT_EQ(programs_->error, 0);
        array = programs_->m;
    }
    void TearDown() override {
        array = nullptr;
        programs_.reset();
        prog_hooks = {};
    }

private:
    std::optional<test_map> programs_;
};
INSTANTIATE_TEST_SUITE_P(machines, jit_tail_call, ::testing::Combine(::testing::Range<size_t>(0, 3), ::testing::Bool()));

/// tail_call(ctx in r6, any map, index); `computed`: the JIT does not see which index.
void add_tail_call(program_text &p, s32 index, bool computed = false) {
    p.add(mov_r(1, 6)).ld64(2, 0x1234).add(mov_k(3, computed ? index - 1 : index));
    if (computed)
        p.add(alu64_k(BPF_ADD, 3, 1));
    p.add(call_id(BPF_FUNC_tail_call));
}
/// (*counter)++ through r1 = &counter
void add_count(program_text &p) {
    p.add(mov_r(6, 1)).add(ldx(BPF_DW, 1, 6, 0)).add(alu64_k(BPF_ADD, 1, 1)).add(stx(BPF_DW, 6, 1, 0));
}
u64 run_both(linked_program &p, u64 want_count) {
    u64 counter = 0;
    interp_env env{};
    env.tail = test_tail;
    env.helper = test_helper;
    u64 left = run_interp(p.text, &counter, env);
    EXPECT_EQ(counter, want_count) << "interpreter";
    counter = 0;
    u64 right = p.entry(&counter);
    EXPECT_EQ(counter, want_count) << "JIT";
    EXPECT_EQ(left, right);
    return right;
}

TEST_P(jit_tail_call, stops_at_the_limit) {
    linked_program self;
    program_text p;
    add_count(p);
    add_tail_call(p, 0);
    p.add(mov_k(0, 77)).add(exit_insn());
    load(self, make_code(p, {}, 0));
    fill({&self});
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 77u);
}

TEST_P(jit_tail_call, empty_and_out_of_range_slots_fall_through) {
    linked_program self;
    for (s32 index : {0, 1, 5, -1}) {
        program_text p;
        add_count(p);
        add_tail_call(p, index);
        p.add(mov_k(0, 8)).add(exit_insn());
        load(self, make_code(p, {}, 8));
        fill({nullptr});
        EXPECT_EQ(run_both(self, 1), 8u);
    }
    self.tail_entry = nullptr;  // not sealed yet: not entered
    fill({&self});
    program_text p;
    linked_program other;
    add_count(p);
    add_tail_call(p, 0);
    p.add(mov_k(0, 8)).add(exit_insn());
    load(other, make_code(p, {}, 8));
    u64 counter = 0;
    EXPECT_EQ(other.entry(&counter), 8u);
    EXPECT_EQ(counter, 1u);
}

TEST_P(jit_tail_call, failed_calls_do_not_count) {
    linked_program self;
    program_text p;
    add_count(p);
    for (u32 i = 0; i < 50; i++)
        add_tail_call(p, 1);  // empty
    add_tail_call(p, 0);
    p.add(mov_k(0, 3)).add(exit_insn());
    load(self, make_code(p, {}, 0));
    fill({&self});
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 3u);
}

/// Targets with every kind of frame: none, stack, saved registers, calls.
TEST_P(jit_tail_call, targets_with_any_frame) {
    for (u32 kind = 0; kind < 5; kind++)
        for (u32 from_sub = 0; from_sub < 2; from_sub++) {
            linked_program target, self;
            program_text t;
            u16 stack = 0;
            if (kind == 0) {
                t.add(mov_k(0, 5));
            } else if (kind == 1) {
                stack = 512;
                t.add(st(BPF_DW, 10, -512, 5)).add(st(BPF_DW, 10, -8, 1)).add(ldx(BPF_DW, 0, 10, -512));
            } else if (kind == 2) {
                t.add(mov_k(6, 1)).add(mov_k(7, 1)).add(mov_k(8, 1)).add(mov_k(9, 5)).add(mov_r(0, 9));
            } else if (kind == 3) {
                stack = 24;
                t.add(st(BPF_DW, 10, -24, 5)).add(mov_k(9, 1)).add(call_id(3)).add(ldx(BPF_DW, 0, 10, -24));
            } else {
                t.add(mov_r(6, 1))
                    .add(mov_r(1, 6))
                    .ld64(2, 0)
                    .add(mov_k(3, 9))
                    .add(call_id(BPF_FUNC_tail_call))
                    .add(mov_k(0, 5));
            }
            t.add(exit_insn());
            load(target, make_code(t, {}, stack));
            fill({&target});
            program_text p;
            add_count(p);
            p.add(mov_k(7, 700)).add(mov_k(8, 8000));
            if (!from_sub) {
                add_tail_call(p, 0);
                p.add(mov_k(0, 1)).add(exit_insn());
                load(self, make_code(p, {}, 16));
                EXPECT_EQ(run_both(self, 1), 5u) << kind;
                continue;
            }
            p.add(mov_r(1, 6))
                .add(call_off(3))
                .add(alu64_r(BPF_ADD, 0, 7))
                .add(alu64_r(BPF_ADD, 0, 8))
                .add(exit_insn());
            u32 sub = static_cast<u32>(p.size());
            p.add(mov_r(6, 1)).add(mov_k(7, 1)).add(mov_k(8, 2)).add(st(BPF_DW, 10, -8, 0));
            add_tail_call(p, 0);
            p.add(mov_k(0, 1)).add(exit_insn());
            load(self, make_code(p, {sub}, 16));
            EXPECT_EQ(run_both(self, 1), 8705u) << kind;  // the caller's r7 and r8 are its own again
        }
}

/// CVE-2024-47794: one counter for the whole run. main calls sub twice; sub tail-calls main. Without a shared counter
/// this would
/// start 2^33 programs.
TEST_P(jit_tail_call, counts_across_subprograms) {
    linked_program self;
    program_text p;
    add_count(p);
    p.add(mov_r(1, 6)).add(call_off(4)).add(mov_r(1, 6)).add(call_off(2)).add(mov_k(0, 4)).add(exit_insn());
    u32 sub = static_cast<u32>(p.size());
    p.add(mov_r(6, 1));
    add_tail_call(p, 0);
    p.add(mov_k(0, 1)).add(exit_insn());
    load(self, make_code(p, {sub}, 16));
    fill({&self});
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 4u);
}

/// Through an array that is known the function that was entered makes its tail calls itself; another one calls the helper.
TEST_P(jit_tail_call, in_place_out_of_the_entry) {
    auto calls = [&](const program_text &p, std::vector<u32> starts, u32 passes) {
        code c = make_code(p, starts, 0);
        name_array(c);
        jit_options o;
        o.passes = passes;
        o.slot = test_slot;
        auto image = compile_for(*target_machine, c, o);
        EXPECT_TRUE(image.ok());
        return listing(*image).find("call") != std::string::npos;
    };
    for (bool computed : {false, true}) {
        program_text entry;
        entry.add(mov_r(6, 1));
        add_tail_call(entry, 0, computed);
        entry.add(mov_k(0, 1)).add(exit_insn());
        EXPECT_EQ(calls(entry, {}, all_passes), !array);
        EXPECT_TRUE(calls(entry, {}, all_passes & ~pass_bit(jit_pass::tails)));
    }
    program_text below;
    below.add(mov_r(6, 1)).add(call_off(2)).add(mov_k(0, 1)).add(exit_insn());
    add_tail_call(below, 0);
    below.add(mov_k(0, 1)).add(exit_insn());
    jit_options o;
    code c = make_code(below, {4}, 0);
    name_array(c);
    auto image = compile_for(machines()[0], c, o);
    ASSERT_TRUE(image.ok());
    std::string text = listing(*image);
    size_t first = text.find("call");
    ASSERT_NE(first, std::string::npos);
    EXPECT_NE(text.find("call", first + 1), std::string::npos) << text;
}

/// A subprogram below one that itself makes no tail call; and a program without subprograms entered in between.
TEST_P(jit_tail_call, counts_through_other_programs) {
    linked_program first, second;
    program_text a;
    add_count(a);
    a.add(mov_r(1, 6)).add(call_off(2)).add(alu64_k(BPF_ADD, 0, 1)).add(exit_insn());
    u32 middle = static_cast<u32>(a.size());
    a.add(call_off(1)).add(exit_insn());
    u32 last = static_cast<u32>(a.size());
    a.add(mov_r(6, 1));
    add_tail_call(a, 1);
    a.add(mov_k(0, 1)).add(exit_insn());
    load(first, make_code(a, {middle, last}, 32));
    program_text b;
    add_count(b);
    add_tail_call(b, 0);
    b.add(mov_k(0, 1)).add(exit_insn());
    load(second, make_code(b, {}, 8));
    fill({&first, &second});
    u64 r0 = run_both(first, max_tail_calls + 1);
    EXPECT_GT(r0, 10u);
}

/// CVE-2022-2905: the index is a 32-bit unsigned number; its upper half is not looked at, and -1 is no slot.
TEST_P(jit_tail_call, index_is_32_bits_unsigned) {
    linked_program target, self;
    program_text t;
    t.add(mov_k(0, 5)).add(exit_insn());
    load(target, make_code(t, {}, 0));
    fill({nullptr, &target});
    const std::pair<u64, u64> rows[] = {{1, 5},           {1ull << 32 | 1, 5}, {0xffffffff00000001, 5}, {1ull << 32, 9},
                                        {0xffffffff, 9},  {~0ull, 9},          {1ull << 63 | 2, 9},     {0x80000001, 9}};
    for (auto [index, want] : rows) {
        program_text p;
        add_count(p);
        p.add(mov_r(1, 6)).ld64(2, 0x1234).ld64(3, index).add(call_id(BPF_FUNC_tail_call));
        p.add(mov_k(0, 9)).add(exit_insn());
        load(self, make_code(p, {}, 0));
        EXPECT_EQ(run_both(self, 1), want) << index;
    }
}

/// One program: a chain of subprograms, each of which calls the next once or twice, makes a tail call before, between or
/// after, and mixes what it gets into its result; registers and stack live across each call.
program_text nested_program(std::mt19937_64 &rng, u32 programs, std::vector<u32> &starts) {
    auto below = [&](u64 n) { return static_cast<u32>(rng() % n); };
    u32 depth = 1 + below(max_call_frames);
    program_text p;
    std::vector<std::pair<size_t, u32>> calls;
    std::vector<u32> entries;
    for (u32 level = 0; level < depth; level++) {
        entries.push_back(static_cast<u32>(p.size()));
        if (level == 0)
            add_count(p);
        else
            p.add(mov_r(6, 1));
        p.ld64(7, rng());
        if (below(2))
            p.ld64(8, rng()).add(alu64_r(BPF_XOR, 7, 8));
        bool stack = below(2);
        if (stack)
            p.add(stx(BPF_DW, 10, 7, -8));
        for (u32 step = 1 + below(3); step; step--) {
            if (below(3) == 0) {
                add_tail_call(p, static_cast<s32>(below(programs + 1)), below(2));  // the last index is empty
            } else if (level + 1 < depth) {
                p.add(mov_r(1, 6));
                calls.push_back({p.size(), level + 1});
                p.add(call_off(0)).add(alu64_k(BPF_MUL, 7, 31)).add(alu64_r(BPF_ADD, 7, 0));
            } else {
                p.add(call_id(3)).add(alu64_r(BPF_ADD, 7, 0));
            }
        }
        if (stack)
            p.add(ldx(BPF_DW, 0, 10, -8)).add(alu64_r(BPF_XOR, 7, 0));
        p.add(mov_r(0, 7)).add(exit_insn());
    }
    for (auto [at, level] : calls)
        p[at].imm = static_cast<s32>(entries[level] - at - 1);
    starts.assign(entries.begin() + 1, entries.end());
    return p;
}

/// X6 over random nestings. An entry counts before anything else, so that the count is 1 + the tail calls made.
TEST_P(jit_tail_call, every_nesting_stops_at_the_limit) {
    u32 at_limit = 0;
    for (u64 seed = 0; seed < 250 && !HasFailure(); seed++) {
        std::mt19937_64 rng(seed);
        constexpr u32 programs = 3;
        linked_program all[programs];
        std::vector<linked_program *> entered;
        for (linked_program &p : all) {
            std::vector<u32> starts;
            program_text text = nested_program(rng, programs, starts);
            load(p, make_code(text, starts, 16));
            entered.push_back(&p);
        }
        fill(entered);
        u64 want_count = 0, got_count = 0;
        interp_env env{};
        env.tail = test_tail;
        env.helper = test_helper;
        u64 want = run_interp(all[0].text, &want_count, env);
        u64 got = all[0].entry(&got_count);
        EXPECT_EQ(got, want) << "seed " << seed;
        EXPECT_EQ(got_count, want_count) << "seed " << seed;
        EXPECT_LE(got_count, max_tail_calls + 1) << "seed " << seed;
        at_limit += got_count == max_tail_calls + 1;
    }
    EXPECT_GT(at_limit, 20u);  // else the programs test nothing
}

}  // namespace
}  // namespace modbpf::testing
