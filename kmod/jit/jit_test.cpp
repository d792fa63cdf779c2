// SPDX-License-Identifier: GPL-2.0-only
// Control: calls, helper calls, tail calls, packet loads, what the machine demands, refusals, failed allocations.
#include "jit/engines_test.h"

#include "port/port.h"

#include <fstream>

namespace modbpf::testing {
namespace {

/// Runs both ways and expects the same.
void expect_both(const code &c, u64 want, const void *ctx = nullptr, const jit_options &o = {}) {
    interp_env env{};
    env.helper = o.helper;
    env.packet = o.packet;
    EXPECT_EQ(run_interp(c, ctx, env), want);
    EXPECT_EQ(run_jit(c, ctx, o), want);
}

// ---- helpers ------------------------------------------------------------------------------------------------

u64 mix(u64 a, u64 b, u64 c, u64 d, u64 e) {
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}
/// Aligned SSE accesses of the C ABI need a 16-byte stack; this says whether the call kept it.
__attribute__((noinline)) u64 stack_alignment(u64, u64, u64, u64, u64) {
    return addr_of(__builtin_frame_address(0)) & 15;
}
u64 clobber(u64, u64, u64, u64, u64) {
    asm volatile("" ::: "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
    return 7;
}
const helper_proto protos[] = {
    {1, ret_type::integer, {}, 0, 0, 0, mix},
    {2, ret_type::integer, {}, 0, 0, 0, stack_alignment},
    {3, ret_type::integer, {}, 0, 0, 0, clobber},
};
const helper_proto *test_helper(u32 id) {
    return id >= 1 && id <= 3 ? &protos[id - 1] : nullptr;
}

jit_options with_helpers() {
    jit_options o;
    o.helper = test_helper;
    return o;
}

TEST(jit, passes_arguments_and_context) {
    u64 ctx = 99;
    program_text p;
    p.add(ldx(BPF_DW, 1, 1, 0));
    for (u8 r = 2; r <= 5; r++)
        p.add(mov_k(r, r));
    p.add(call_id(1)).add(exit_insn());
    expect_both(make_code(p, {}, 0), 99 + 20 + 300 + 4000 + 50000, &ctx, with_helpers());
}

TEST(jit, keeps_r6_to_r9_over_calls) {
    program_text p;
    for (u8 r = 6; r <= 9; r++)
        p.add(mov_k(r, r));
    p.add(call_id(3));
    for (u8 r = 6; r <= 9; r++)
        p.add(alu64_r(BPF_ADD, 0, r));
    p.add(exit_insn());
    expect_both(make_code(p, {}, 16), 7 + 30, nullptr, with_helpers());
}

TEST(jit, keeps_the_stack_aligned) {
    for (u16 stack : {0, 8, 16, 24, 512})
        for (u8 used = 0; used <= 4; used++) {
            program_text p;
            for (u8 r = 6; r < 6 + used; r++)
                p.add(mov_k(r, r));
            p.add(call_id(2)).add(exit_insn());
            code c = make_code(p, {}, stack);
            EXPECT_EQ(run_jit(c, nullptr, with_helpers()), 0u) << stack << " " << int(used);
        }
}

// ---- bpf-to-bpf calls ---------------------------------------------------------------------------------------

/// Frame 0 calls 1 calls 2 ... up to `depth` frames; each uses its own stack and r6, and adds 2 * (level + 1).
program_text call_chain(u32 depth, std::vector<u32> &starts) {
    program_text p;
    for (u32 level = 0; level < depth; level++) {
        if (level)
            starts.push_back(static_cast<u32>(p.size()));
        p.add(mov_k(6, static_cast<s32>(level + 1))).add(stx(BPF_DW, 10, 6, -8)).add(st(BPF_DW, 10, -512, 5));
        if (level + 1 < depth)
            p.add(call_off(5));
        else
            p.add(mov_k(0, 0));
        p.add(ldx(BPF_DW, 1, 10, -8))
            .add(alu64_r(BPF_ADD, 0, 1))
            .add(alu64_r(BPF_ADD, 0, 6))
            .add(jump_to(0))
            .add(exit_insn());
    }
    return p;
}

TEST(jit, nests_calls_to_the_limit) {
    for (u32 depth = 1; depth <= max_call_frames; depth++) {
        std::vector<u32> starts;
        program_text p = call_chain(depth, starts);
        expect_both(make_code(p, starts), depth * (depth + 1));
    }
}

TEST(jit, calls_backwards_and_returns_through_every_exit) {
    // sub(r1) = r1 > 5 ? r1 * 2 : 1; main = sub(3) + 100 * sub(9). Several exits, with and without saved registers.
    program_text p;
    p.add(mov_k(1, 3))
        .add(call_off(6))
        .add(mov_r(6, 0))
        .add(mov_k(1, 9))
        .add(call_off(3))
        .add(alu64_k(BPF_MUL, 0, 100));
    p.add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn());
    p.add(mov_r(6, 1)).add(mov_k(0, 1)).add(jmp_k(BPF_JGT, 6, 5, 1)).add(exit_insn());
    p.add(mov_r(0, 6)).add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn());
    expect_both(make_code(p, {8}, 0), 1801);
}

TEST(jit, gives_the_address_of_a_function) {
    program_text p;
    p.ld64(1, 4, BPF_PSEUDO_FUNC);  // target: 0 + 1 + 4
    p.add(mov_k(2, 5)).add(call_id(1)).add(exit_insn());
    p.add(mov_r(0, 1)).add(alu64_r(BPF_ADD, 0, 2)).add(exit_insn());
    static u64 (*callback)(u64, u64);
    static const helper_proto take{1, ret_type::integer, {}, 0, 0, 0, [](u64 f, u64 v, u64, u64, u64) {
                                       callback = reinterpret_cast<u64 (*)(u64, u64)>(f);
                                       return callback(v, 37);
                                   }};
    jit_options o;
    o.helper = [](u32) { return &take; };
    EXPECT_EQ(run_jit(make_code(p, {5}, 0), nullptr, o), 42u);
}

// ---- jumps --------------------------------------------------------------------------------------------------

/// Distances around the short form's limits, forward and backward, with sizes that depend on each other.
TEST(jit, jumps_of_every_distance) {
    for (u32 n : {0, 1, 8, 9, 10, 11, 12, 13, 14, 30, 31, 32, 33, 60, 200, 5000}) {
        program_text
            p;  // a loop that runs three times over n instructions, with a forward jump over them on the last round
        p.add(mov_k(0, 0)).add(mov_k(1, 3));
        p.add(jmp_k(BPF_JEQ, 1, 0, static_cast<s16>(n + 2)));
        for (u32 i = 0; i < n; i++)
            p.add(alu64_k(BPF_ADD, 0, 1000000));  // 7 bytes each, 6 with rax
        p.add(alu64_k(BPF_SUB, 1, 1));
        p.add(jump_to(static_cast<s16>(-static_cast<s32>(n) - 3)));
        p.add(exit_insn());
        expect_both(make_code(p, {}, 0), 3000000ull * n);
    }
}

/// Every jump is on the edge of needing the long form because of all the others.
TEST(jit, jumps_that_push_each_other) {
    for (u32 gap = 20; gap < 70; gap++) {
        program_text p;
        u32 count = 300;
        for (u32 i = 0; i < count; i++)
            p.add(jmp_k(BPF_JSET, 1, 1, static_cast<s16>(min(gap, count - 1 - i))));
        p.add(mov_k(0, 5)).add(exit_insn());
        p.insert(p.begin(), mov_k(1, 0));
        expect_both(make_code(p, {}, 0), 5);
    }
}

TEST(jit, long_goto) {
    program_text p;
    p.add(mov_k(0, 1)).add(jump_long(40000));
    for (u32 i = 0; i < 40000; i++)
        p.add(mov_k(0, 2));
    p.add(exit_insn());
    expect_both(make_code(p, {}, 0), 1);
}

/// Pairs that become one instruction, entered at the second of the two: then the first must not have happened.
TEST(jit, jumps_between_pairs) {
    const std::pair<bpf_insn, bpf_insn> pairs[] = {
        {mov_r(0, 3), alu64_k(BPF_ADD, 0, 5)},
        {mov_r(0, 3), alu64_r(BPF_ADD, 0, 4)},
        {alu64_k(BPF_LSH, 0, 32), alu64_k(BPF_RSH, 0, 32)},
        {alu64_k(BPF_LSH, 0, 48), alu64_k(BPF_ARSH, 0, 48)},
        {alu64_k(BPF_AND, 0, 0x100), jmp_k(BPF_JEQ, 0, 0, 1)},
        {jmp_k(BPF_JEQ, 3, 0, 1), jump_to(1)},
        {jmp_k(BPF_JNE, 3, 0, 1), jump_to(1)},
    };
    for (auto &pair : pairs)
        for (s32 enter_second : {0, 1}) {
            program_text p;
            p.ld64(0, 0x8123456789abcdefull).add(mov_k(3, 1000)).add(mov_k(4, 7)).add(mov_k(5, enter_second));
            p.add(jmp_k(BPF_JNE, 5, 0, 1)).add(pair.first).add(pair.second);
            p.add(alu64_k(BPF_XOR, 0, 0x1111)).add(alu64_k(BPF_MUL, 0, 3)).add(exit_insn());
            code c = make_code(p, {}, 0);
            EXPECT_EQ(run_jit(c), run_interp(c)) << static_cast<int>(pair.first.code) << " entered at " << enter_second;
        }
}

// ---- packet loads -------------------------------------------------------------------------------------------

bool fake_packet(const void *ctx, s32 off, u32 size, u64 *value) {
    static const u8 bytes[] = {0x81, 0x02, 0x03, 0x04, 0x05};
    if (off < 0 || off + size > sizeof(bytes))
        return false;
    *value = 0;
    for (u32 i = 0; i < size; i++)
        *value = *value << 8 | bytes[static_cast<u32>(off) + i];
    return true;
}
bpf_insn ld_abs(u8 size, s32 off) {
    return make_insn(BPF_LD | BPF_ABS | size, 0, 0, 0, off);
}
bpf_insn ld_ind(u8 size, u8 src, s32 off) {
    return make_insn(BPF_LD | BPF_IND | size, 0, src, 0, off);
}

TEST(jit, packet_loads) {
    jit_options o;
    o.packet = fake_packet;
    struct {
        bpf_insn load;
        u64 r1, want;
    } rows[] = {
        {ld_abs(BPF_W, 0), 0, 0x81020304},
        {ld_abs(BPF_H, 3), 0, 0x0405},
        {ld_abs(BPF_B, 4), 0, 5},
        {ld_abs(BPF_B, 5), 0, 0},
        {ld_abs(BPF_W, 2), 0, 0},
        {ld_ind(BPF_H, 7, 1), 2, 0x0405},
        {ld_ind(BPF_B, 7, 0), 0x100000001, 2},
        {ld_ind(BPF_B, 7, -1), 1, 0x81},
        {ld_ind(BPF_B, 7, -2), 1, 0},
    };
    for (auto &r : rows) {
        program_text p;
        p.add(mov_r(6, 1)).ld64(7, r.r1).add(mov_k(8, 1)).add(r.load).add(exit_insn());
        expect_both(make_code(p, {}, 0), r.want, nullptr, o);
        // One that fails ends the program: what follows does not run.
        program_text q;
        q.add(mov_r(6, 1)).ld64(7, r.r1).add(r.load).add(alu64_k(BPF_ADD, 0, 1)).add(exit_insn());
        expect_both(make_code(q, {}, 0), r.want ? r.want + 1 : 0, nullptr, o);
    }
}

TEST(jit, packet_load_ends_its_subprogram_only) {
    jit_options o;
    o.packet = fake_packet;
    program_text p;
    p.add(call_off(2)).add(alu64_k(BPF_ADD, 0, 70)).add(exit_insn());
    p.add(mov_r(6, 1)).add(ld_abs(BPF_B, 100)).add(mov_k(0, 9)).add(exit_insn());
    expect_both(make_code(p, {3}, 0), 70, nullptr, o);
}

// ---- tail calls ---------------------------------------------------------------------------------------------

struct linked_program : runnable {
    jit_image image;
    code text;
};
std::vector<linked_program *> slots;

runnable *test_slot(map *, u32 index) {
    return index < slots.size() ? slots[index] : nullptr;
}
const code *test_tail(void *, u32 index) {
    return index < slots.size() && slots[index] ? &slots[index]->text : nullptr;
}

void load(linked_program &p, code c) {
    jit_options o = with_helpers();
    o.slot = test_slot;
    p.text = move(c);
    result<jit_image> r = jit_compile(p.text, o);
    ASSERT_TRUE(r.ok());
    p.image = move(*r);
    check_image(p.image);
    p.entry = p.image.entry();
    p.tail_entry = p.image.tail_entry();
}
/// tail_call(ctx in r6, any map, index)
void add_tail_call(program_text &p, s32 index) {
    p.add(mov_r(1, 6)).ld64(2, 0x1234).add(mov_k(3, index)).add(call_id(BPF_FUNC_tail_call));
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

TEST(jit_tail_call, stops_at_the_limit) {
    linked_program self;
    program_text p;
    add_count(p);
    add_tail_call(p, 0);
    p.add(mov_k(0, 77)).add(exit_insn());
    load(self, make_code(p, {}, 0));
    slots = {&self};
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 77u);
}

TEST(jit_tail_call, empty_and_out_of_range_slots_fall_through) {
    linked_program self;
    for (s32 index : {0, 1, 5, -1}) {
        program_text p;
        add_count(p);
        add_tail_call(p, index);
        p.add(mov_k(0, 8)).add(exit_insn());
        load(self, make_code(p, {}, 8));
        slots = {nullptr};
        EXPECT_EQ(run_both(self, 1), 8u);
    }
    self.tail_entry = nullptr;  // not sealed yet: not entered
    slots = {&self};
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

TEST(jit_tail_call, failed_calls_do_not_count) {
    linked_program self;
    program_text p;
    add_count(p);
    for (u32 i = 0; i < 50; i++)
        add_tail_call(p, 1);  // empty
    add_tail_call(p, 0);
    p.add(mov_k(0, 3)).add(exit_insn());
    load(self, make_code(p, {}, 0));
    slots = {&self};
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 3u);
}

/// Targets with every kind of frame: none, stack, saved registers, calls.
TEST(jit_tail_call, targets_with_any_frame) {
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
            slots = {&target};
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
TEST(jit_tail_call, counts_across_subprograms) {
    linked_program self;
    program_text p;
    add_count(p);
    p.add(mov_r(1, 6)).add(call_off(4)).add(mov_r(1, 6)).add(call_off(2)).add(mov_k(0, 4)).add(exit_insn());
    u32 sub = static_cast<u32>(p.size());
    p.add(mov_r(6, 1));
    add_tail_call(p, 0);
    p.add(mov_k(0, 1)).add(exit_insn());
    load(self, make_code(p, {sub}, 16));
    slots = {&self};
    EXPECT_EQ(run_both(self, max_tail_calls + 1), 4u);
}

/// A subprogram below one that itself makes no tail call; and a program without subprograms entered in between.
TEST(jit_tail_call, counts_through_other_programs) {
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
    slots = {&first, &second};
    u64 r0 = run_both(first, max_tail_calls + 1);
    EXPECT_GT(r0, 10u);
}

// ---- what the machine demands ---------------------------------------------------------------------------------

/// Thunks as the kernel has them, here in text of our own: jmp *rax and ret.
TEST(jit, machine_demands) {
    auto *thunks = static_cast<u8 *>(port_text_alloc(64));
    ASSERT_NE(thunks, nullptr);
    memcpy(thunks, "\xff\xe0", 2);
    memcpy(thunks + 32, "\xc3", 1);
    ASSERT_EQ(port_text_seal(thunks, 64), 0);
    jit_machine m{};
    m.endbr = m.sls = true;
    m.indirect_thunk[0] = addr_of(thunks);
    m.return_thunk = addr_of(thunks + 32);
    jit_options o = with_helpers();
    o.env = &m;
    o.slot = test_slot;

    linked_program self;
    program_text p;
    add_count(p);
    p.add(call_id(3)).add(mov_r(1, 6)).add(call_off(6));
    add_tail_call(p, 0);
    p.add(exit_insn());
    u32 sub = static_cast<u32>(p.size());
    p.add(mov_k(0, 3)).add(exit_insn());
    p[6].imm = static_cast<s32>(sub) - 7;
    code c = make_code(p, {sub}, 0);
    result<jit_image> r = jit_compile(c, o);
    if (!r.ok() && r.code() == -E2BIG) {
        port_text_free(thunks, 64);
        GTEST_SKIP() << "text pages lie too far apart";
    }
    ASSERT_TRUE(r.ok());
    check_image(*r);
    self.image = move(*r);
    self.tail_entry = self.image.tail_entry();
    slots = {&self};
    u64 counter = 0;
    self.image.entry()(&counter);
    EXPECT_EQ(counter, max_tail_calls + 1);
    // X5: no bare indirect jump or call, no bare ret; endbr64 at the entry and at the tail entry.
    std::string text = listing(self.image);
    EXPECT_EQ(text.find("call r"), std::string::npos);
    EXPECT_EQ(text.find("jmp r"), std::string::npos);
    EXPECT_EQ(text.find("ret"), std::string::npos);
    EXPECT_EQ(memcmp(reinterpret_cast<const void *>(self.image.entry()), "\xf3\x0f\x1e\xfa", 4), 0);
    EXPECT_EQ(memcmp(self.image.tail_entry(), "\xf3\x0f\x1e\xfa", 4), 0);
    port_text_free(thunks, 64);
}

/// X3: the text is never writable and executable.
TEST(jit, text_is_sealed) {
    program_text p;
    p.add(mov_k(0, 1)).add(exit_insn());
    result<jit_image> r = jit_compile(make_code(p));
    ASSERT_TRUE(r.ok());
    u64 at = addr_of(r->text().data());
    std::ifstream maps("/proc/self/maps");
    bool found = false;
    for (std::string line; std::getline(maps, line);) {
        u64 from = 0, to = 0;
        char rights[5] = {};
        sscanf(line.c_str(), "%llx-%llx %4s", &from, &to, rights);
        if (at >= from && at < to) {
            found = true;
            EXPECT_EQ(std::string(rights, 3), "r-x");
        }
    }
    EXPECT_TRUE(found);
}

// ---- refusals -------------------------------------------------------------------------------------------------

TEST(jit, refuses_what_no_verifier_passes) {
    auto code_of = [](std::initializer_list<bpf_insn> l) { return make_code(std::vector<bpf_insn>(l)); };
    auto refused = [](const code &c) { return jit_compile(c, with_helpers()).code() == -EFAULT; };
    EXPECT_FALSE(refused(code_of({mov_k(0, 1), exit_insn()})));
    EXPECT_TRUE(refused(code_of({mov_k(0, 1)})));                               // falls off the end
    EXPECT_TRUE(refused(code_of({mov_k(0, 1), jump_to(1), exit_insn()})));      // out of range
    EXPECT_TRUE(refused(code_of({mov_k(0, 1), jump_to(-3), exit_insn()})));     // out of range
    EXPECT_TRUE(refused(code_of({make_insn(0x8f, 0, 0, 0, 0), exit_insn()})));  // unknown
    EXPECT_TRUE(refused(code_of({mov_k(10, 1), exit_insn()})));                 // writes the frame pointer
    EXPECT_TRUE(refused(code_of({mov_k(11, 1), exit_insn()})));                 // no such register
    EXPECT_TRUE(refused(code_of({mov_r(0, 12), exit_insn()})));
    EXPECT_TRUE(refused(code_of({ldx(BPF_W, 0, 15, 0), exit_insn()})));
    EXPECT_TRUE(refused(code_of({make_insn(BPF_JMP | BPF_JCOND, 0, 0, 1, 0), exit_insn(), exit_insn()})));
    EXPECT_TRUE(refused(code_of({call_id(9), exit_insn()})));                // not a helper
    EXPECT_TRUE(refused(code_of({call_off(1), exit_insn(), exit_insn()})));  // not a subprogram
    EXPECT_TRUE(refused(code_of({call_off(-1), exit_insn()})));              // the entry
    program_text p;
    p.add(jump_to(1)).ld64(0, 1).add(exit_insn());  // into a 64-bit load
    EXPECT_TRUE(refused(make_code(p)));
    EXPECT_TRUE(refused(code{}));
}

TEST(jit, survives_every_failed_allocation) {
    program_text p;
    p.add(mov_k(1, 1)).add(call_off(2)).add(call_id(3)).add(exit_insn());
    u32 sub = static_cast<u32>(p.size());
    for (u32 i = 0; i < 3000; i++)
        p.add(jmp_k(BPF_JEQ, 1, 7, 0)).add(alu64_k(BPF_ADD, 1, 5));
    p.add(mov_k(0, 1)).add(exit_insn());
    code c = make_code(p, {sub}, 0);
    u64 n = 1;
    for (; n < 1000; n++) {
        port_fail_nth_set(n);
        result<jit_image> r = jit_compile(c, with_helpers());
        port_fail_nth_set(0);
        if (r.ok())
            break;
        EXPECT_EQ(r.code(), -ENOMEM);
    }
    EXPECT_GT(n, 5u);
    EXPECT_LT(n, 1000u);
}

}  // namespace
}  // namespace modbpf::testing
