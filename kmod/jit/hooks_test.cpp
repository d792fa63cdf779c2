// SPDX-License-Identifier: GPL-2.0-only
// Hooks of functions, on every machine: what stands there gets arguments and rax as they were, and goes on into the function.
#include "helpers/kfuncs.h"
#include "jit/engines_test.h"
#include "jit/trampoline.h"

namespace modbpf::testing {
namespace {

std::vector<u64> seen;
u64 note(void *program, u64 *context) {
    u64 count = context[-1];
    seen.push_back(addr_of(program));
    for (u64 i = 0; i <= count; i++)
        seen.push_back(context[i]);
    return 0;
}

/// main: r0 = sub(3, 4) * 10 + sub(5, 6); sub: a * 16 + b
code two_calls() {
    program_text p;
    p.add(mov_k(1, 3)).add(mov_k(2, 4)).add(call_off(7)).add(mov_r(6, 0)).add(alu64_k(BPF_MUL, 6, 10));
    p.add(mov_k(1, 5)).add(mov_k(2, 6)).add(call_off(2)).add(alu64_r(BPF_ADD, 0, 6)).add(exit_insn());
    p.add(mov_r(0, 1)).add(alu64_k(BPF_MUL, 0, 16)).add(alu64_r(BPF_ADD, 0, 2)).add(exit_insn());
    return make_code(p, {10}, 0);
}
constexpr u64 plain = (3 * 16 + 4) * 10 + 5 * 16 + 6;

struct hooked {
    const machine &m;
    code c;
    code_hook at[2];
    jit_image image;

    hooked(const machine &on, code what) : m(on), c(move(what)) {
        jit_options o;
        o.hooks = at;
        result<jit_image> r = compile_for(m, c, o);
        EXPECT_TRUE(r.ok());
        if (r.ok())
            image = move(*r);
        check_image(image, &m.env);
    }
    u64 run(const void *ctx = nullptr) const { return image.entry()(ctx); }
    void build(trampoline_text &t, const arg_words &args, u32 sub, span<void *const> entry, span<void *const> exit) {
        u64 base = addr_of(image.text().data());
        status s = t.build({.args = &args, .func = base + image.funcs()[sub].offset, .body = base + image.funcs()[sub].body,
                            .of_program = true, .entry = entry, .modify = {}, .exit = exit,
                            .run = m.env.rel32 ? nearby_function(note) : note, .enter = nullptr, .leave = nullptr, .owner = nullptr},
                           &m.env);
        EXPECT_TRUE(s.ok());
    }
};

TEST(hooks, nothing_there) {
    for (const machine &m : machines())
        EXPECT_EQ(hooked(m, two_calls()).run(), plain) << m.name;
}

TEST(hooks, entry_and_exit) {
    arg_words args;
    ASSERT_TRUE(args.add(4) && args.add(4));
    int programs[2];
    void *first[] = {&programs[0]}, *second[] = {&programs[1]};
    u64 a = addr_of(first[0]), b = addr_of(second[0]);
    for (const machine &m : machines()) {
        hooked h(m, two_calls());
        trampoline_text entry, both;
        h.build(entry, args, 1, first, {});
        h.build(both, args, 1, first, second);
        h.at[1].text = entry.entry();
        seen.clear();
        EXPECT_EQ(h.run(), plain) << m.name;
        ASSERT_EQ(seen.size(), 8u);
        EXPECT_EQ((std::vector<u64>{seen[0], seen[1], seen[2], seen[4], seen[5], seen[6]}), (std::vector<u64>{a, 3, 4, a, 5, 6}));
        h.at[1].text = both.entry();
        seen.clear();
        EXPECT_EQ(h.run(), plain) << m.name;
        ASSERT_EQ(seen.size(), 16u);
        EXPECT_EQ((std::vector<u64>{seen[4], seen[5], seen[6], seen[7], seen[12], seen[15]}), (std::vector<u64>{b, 3, 4, 52, b, 86}));
        h.at[1].text = nullptr;
        seen.clear();
        EXPECT_EQ(h.run(), plain) << m.name;
        EXPECT_TRUE(seen.empty());
    }
}

TEST(hooks, another_program_in_its_place) {
    program_text p; // a - b
    p.add(mov_r(0, 1)).add(alu64_r(BPF_SUB, 0, 2)).add(exit_insn());
    code other = make_code(p, {}, 0);
    for (const machine &m : machines()) {
        hooked h(m, two_calls());
        result<jit_image> r = compile_for(m, other);
        ASSERT_TRUE(r.ok());
        h.at[1].text = reinterpret_cast<const void *>(r->entry());
        EXPECT_EQ(h.run(), static_cast<u64>(-1 * 10 - 1)) << m.name;
    }
}

/// As C functions may leave the registers that they need not keep.
void *spoil_registers(void *anchor) {
    void *old = exchange_anchor(anchor);
    asm volatile("mov $-1, %%rsi\n mov %%rsi, %%rdx\n mov %%rsi, %%rcx\n mov %%rsi, %%r8\n mov %%rsi, %%rdi" ::: "rsi", "rdx", "rcx", "r8", "rdi");
    return old;
}
u64 spoiling(u64 fn) { return fn == reinterpret_cast<u64>(exchange_anchor) ? reinterpret_cast<u64>(spoil_registers) : fn; }
u64 spoiling_nearby(u64 fn) { return stub_of(spoiling(fn)); }

/// One that may throw is entered with all five arguments, too.
TEST(hooks, another_program_that_throws_in_its_place) {
    program_text calls; // sub(3, 4, 5, 6, 7) + 1
    for (u8 r = 1; r <= 5; r++)
        calls.add(mov_k(r, r + 2));
    calls.add(call_off(2)).add(alu64_k(BPF_ADD, 0, 1)).add(exit_insn()).add(mov_k(0, 0)).add(exit_insn());
    program_text p; // (((a * 31 + b) * 31 + c) * 31 + d) * 31 + e; throws a where that is above the limit
    for (s32 limit : {100, 2}) {
        p = {jmp_k(BPF_JLE, 1, limit, 1), make_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, 0), mov_r(0, 1)};
        for (u8 r = 2; r <= 5; r++)
            p.add(alu64_k(BPF_MUL, 0, 31)).add(alu64_r(BPF_ADD, 0, r));
        p.add(exit_insn());
        code other = make_code(p, {}, 0);
        code_kfunc k{};
        k.fn = kfunc_throw;
        k.throws = true;
        ASSERT_TRUE(other.kfuncs.push(k).ok());
        std::vector<interp_frame> frames(max_call_frames);
        interp_env env{};
        env.frames = frames.data(), env.frame_count = max_call_frames;
        u64 want = interpret_function(other, addr_of(other.insns.data()), {3, 4, 5, 6, 7}, env);
        EXPECT_EQ(want, limit == 2 ? 3u : (((3 * 31 + 4) * 31 + 5) * 31 + 6) * 31 + 7);
        for (const machine &m : machines()) {
            hooked h(m, make_code(calls, {8}, 0));
            jit_options o = m.env.rel32 ? nearby({}) : jit_options{};
            o.near = m.env.rel32 ? spoiling_nearby : spoiling;
            o.env = &m.env;
            result<jit_image> r = jit_compile(other, o);
            ASSERT_TRUE(r.ok());
            check_image(*r, &m.env);
            h.at[1].text = reinterpret_cast<const void *>(r->entry());
            run_ctx run{};
            run_scope scope(run);
            EXPECT_EQ(h.run(), want + 1) << m.name;
            EXPECT_EQ(run.anchor, nullptr);
        }
    }
}

/// The entry's own hook: with the context, and with the result.
TEST(hooks, of_the_entry) {
    arg_words args;
    ASSERT_TRUE(args.add(8));
    int program;
    void *one[] = {&program};
    for (const machine &m : machines()) {
        hooked h(m, two_calls());
        trampoline_text t;
        h.build(t, args, 0, {}, one);
        h.at[0].text = t.entry();
        seen.clear();
        EXPECT_EQ(h.run(&program), plain) << m.name;
        EXPECT_EQ(seen, (std::vector<u64>{addr_of(&program), addr_of(&program), plain}));
    }
}

}  // namespace
}  // namespace modbpf::testing
