// SPDX-License-Identifier: GPL-2.0-only
// Stores and loads around calls: which count, what breaks the bargain, and that they still do their work.
#include "interp/interp.h"
#include "jit/jit.h"
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

bpf_insn spill(u8 r, s16 off) { return stx(BPF_DW, r10, r, off); }
bpf_insn fill(u8 r, s16 off) { return ldx(BPF_DW, r, r10, off); }
const bpf_insn cpu = call(BPF_FUNC_get_smp_processor_id);
const prog ret0 = {mov(r0, 0), exit_()};

/// Registers 1 to n kept over the call in slots that end at `above`, the last one lowest.
prog kept(u32 n, s16 above, bpf_insn inner = cpu) {
    prog p;
    for (u32 r = 1; r <= n; r++)
        p.push_back(mov(static_cast<u8>(r), static_cast<s32>(r)));
    for (u32 r = 1; r <= n; r++)
        p.push_back(spill(static_cast<u8>(r), static_cast<s16>(above - 8 * static_cast<s16>(r))));
    p.push_back(inner);
    for (u32 r = n; r >= 1; r--)
        p.push_back(fill(static_cast<u8>(r), static_cast<s16>(above - 8 * static_cast<s16>(r))));
    return p;
}

struct row {
    const char *name;
    prog p;
    const char *depth; ///< as the log tells it
};

const row rows[] = {
    {"five registers", kept(5, -8) + ret0, "8"},
    {"nothing above them", kept(3, 0) + ret0, "0"},
    {"a call that is none of these", kept(1, 0, call(BPF_FUNC_ktime_get_ns)) + ret0, "8"},
    {"both kinds in one function", kept(2, 0) + kept(2, 0, call(BPF_FUNC_ktime_get_ns)) + ret0, "16"},
    {"two calls, the same slots", kept(2, -16) + kept(2, -16) + ret0, "16"},
    {"two calls, the second with fewer", kept(2, -8) + kept(1, -16) + ret0, "16"},
    {"two calls, the second not at the end of the frame", kept(2, -8) + kept(1, -8) + ret0, "24"},
    {"a register that the call changes", {mov(r0, 1), spill(r0, -8), cpu, fill(r0, -8), mov(r0, 0), exit_()}, "8"},
    {"a register that calls keep", {mov(r6, 1), spill(r6, -8), cpu, fill(r6, -8), mov(r0, 0), exit_()}, "8"},
    {"two registers", {mov(r1, 1), mov(r2, 1), spill(r1, -8), cpu, fill(r2, -8), mov(r0, 0), exit_()}, "8"},
    {"the same register twice", {mov(r1, 1), spill(r1, -8), spill(r1, -16), cpu, fill(r1, -16), fill(r1, -8), mov(r0, 0), exit_()}, "8"},
    {"two slots", {mov(r1, 1), spill(r1, -8), spill(r1, -16), cpu, fill(r1, -8), mov(r0, 0), exit_()}, "16"},
    {"half a register", {mov(r1, 1), stx(BPF_W, r10, r1, -8), cpu, ldx(BPF_W, r1, r10, -8), mov(r0, 0), exit_()}, "8"},
    {"not through r10", {mov(r1, 1), mov_x(r2, r10), stx(BPF_DW, r2, r1, -8), cpu, fill(r1, -8), mov(r0, 0), exit_()}, "8"},
    {"read again", kept(2, -8) + prog{fill(r1, -16)} + ret0, "24"},
    {"written before", prog{st(BPF_DW, r10, -24, 7)} + kept(2, -8) + ret0, "24"},
    {"one byte read above them", prog{st(BPF_DW, r10, -8, 7)} + kept(2, -8) + prog{ldx(BPF_B, r1, r10, -8)} + ret0, "8"},
    {"read by a helper", kept(1, 0) + prog{mov_x(r1, r10), add(r1, -8), mov(r2, 8), call(BPF_FUNC_trace_printk)} + ret0, "8"},
    {"read at an offset that varies",
     prog{st(BPF_DW, r10, -8, 0), cpu, alu(BPF_AND, r0, 15), mov_x(r7, r10), add_x(r7, r0)} + kept(1, -8) + prog{ldx(BPF_B, r1, r7, -16)} + ret0, "16"},
    {"a jump to the first", prog{mov(r1, 1), jmp(BPF_JEQ, r1, 2, 0), spill(r1, -8), cpu, fill(r1, -8)} + ret0, "0"},
    {"a jump to the call", prog{call(BPF_FUNC_ktime_get_ns), mov(r1, 1), st(BPF_DW, r10, -8, 0), jmp(BPF_JEQ, r0, 2, 1), spill(r1, -8), cpu, fill(r1, -8)} + ret0, "8"},
    {"a jump to the load",
     prog{call(BPF_FUNC_ktime_get_ns), mov(r1, 1), st(BPF_DW, r10, -8, 0), jmp(BPF_JEQ, r0, 2, 2), spill(r1, -8), cpu, fill(r1, -8)} + ret0, "8"},
    {"at the first and the last instruction", prog{spill(r1, -8), cpu, fill(r1, -8)} + ret0, "0"},
};

std::string depth_of(const outcome &o) {
    size_t at = o.log.find("stack depth ");
    return at == std::string::npos ? "" : o.log.substr(at + 12, o.log.find('\n', at) - at - 12);
}

outcome verified(const prog &p) { return check(p, {.type = BPF_PROG_TYPE_RAW_TRACEPOINT, .log_level = BPF_LOG_STATS}); }

u64 run_both(const verified_program &v) {
    std::vector<interp_frame> frames(max_call_frames);
    u64 args[1] = {};
    port_preempt_disable();
    u64 slow = interpret(v.image, args, {frames.data(), max_call_frames});
    auto image = jit_compile(v.image);
    u64 fast = image.ok() ? image->entry()(args) : ~0ull;
    port_preempt_enable();
    EXPECT_EQ(fast, slow);
    return fast;
}

/// The sum of r1 to r5, kept over the call.
const prog keeps_five = kept(5, -472) + prog{mov_x(r0, r1), add_x(r0, r2), add_x(r0, r3), add_x(r0, r4), add_x(r0, r5)};

}  // namespace

TEST(Fastcall, Patterns) {
    for (const row &r : rows) {
        outcome out = verified(r.p);
        EXPECT_EQ(out.err, 0) << r.name << '\n' << out.log;
        EXPECT_EQ(depth_of(out), r.depth) << r.name << '\n' << out.log;
    }
}

// What a chain of calls may use is counted without them; the frames have room for them.
TEST(Fastcall, FramesOfAChain) {
    auto chain = [](const prog &last) {
        return prog{st(BPF_DW, r10, -32, 1), call_pc(1), exit_(), st(BPF_DW, r10, -472, 2)} + last + prog{exit_()};
    };
    outcome out = verified(chain(keeps_five));
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_EQ(depth_of(out), "32+472");
    EXPECT_EQ(run_both(*out.program), 15u);
    out = verified(chain(keeps_five + prog{fill(r1, -512)}));
    EXPECT_EQ(out.err, EACCES);
    EXPECT_NE(out.log.find("combined stack size of 2 calls is 544. Too large"), std::string::npos) << out.log;
}

}  // namespace modbpf::test
