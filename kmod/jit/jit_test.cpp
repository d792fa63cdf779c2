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

// ---- what the machine demands ---------------------------------------------------------------------------------

TEST(jit, starts_anywhere_in_its_page) {
    program_text p;
    p.add(mov_k(0, 7)).add(exit_insn());
    code c = make_code(p);
    u64 places = 0;
    for (u32 i = 0; i < 200; i++) {
        result<jit_image> r = jit_compile(c);
        ASSERT_TRUE(r.ok());
        u64 start = addr_of(r->text().data()) % PORT_PAGE_SIZE;
        EXPECT_EQ(start % 64, 0u);
        places |= 1ull << (start / 64);
        const u8 *page = r->text().data() - start, *end = r->text().data() + r->text().size();
        for (const u8 *at = page; at < page + r->allocated(); at++)
            ASSERT_TRUE(*at == 0xcc || (at >= r->text().data() && at < end)) << at - page;
        EXPECT_EQ(r->entry()(nullptr), 7u);
    }
    EXPECT_GE(__builtin_popcountll(places), 32); // of 64: 200 draws miss more than half once in 10^50
}

TEST(jit, leaves_room_for_a_choice_where_code_fills_its_pages) {
    program_text p;
    p.add(mov_k(0, 7));
    for (u32 i = 0; i < 2000; i++)
        p.add(ld_abs(BPF_B, i));
    result<jit_image> r = jit_compile(make_code(p.add(exit_insn())));
    ASSERT_TRUE(r.ok());
    EXPECT_GE(r->text().size(), 2 * PORT_PAGE_SIZE);
    EXPECT_GE(r->allocated(), r->text().size() + 128);
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
    EXPECT_TRUE(refused(code_of({call_id(9), exit_insn()})));                // not a helper
    EXPECT_TRUE(refused(code_of({call_off(1), exit_insn(), exit_insn()})));  // not a subprogram
    EXPECT_TRUE(refused(code_of({call_off(-1), exit_insn()})));              // the entry
    program_text p;
    p.add(jump_to(1)).ld64(0, 1).add(exit_insn());  // into a 64-bit load
    EXPECT_TRUE(refused(make_code(p)));
    EXPECT_TRUE(refused(code{}));
}

/// A machine that says rel32 and has its functions elsewhere: refused, not called somewhere else.
TEST(jit, refuses_functions_out_of_reach) {
    program_text p;
    p.add(call_id(1)).add(exit_insn());
    static const helper_proto beyond{1, ret_type::integer, {}, 0, 0, 0, reinterpret_cast<helper_fn>(0x7fff)};
    jit_options o;
    o.helper = [](u32) { return &beyond; };
    jit_machine m{};
    m.rel32 = true;
    o.env = &m;
    EXPECT_EQ(jit_compile(make_code(p), o).code(), -E2BIG);
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
