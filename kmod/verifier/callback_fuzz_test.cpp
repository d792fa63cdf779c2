// SPDX-License-Identifier: GPL-2.0-only
// Loops over callbacks, against the same turns written out: a random program with bpf_loop() that is accepted stands for all numbers of
// turns, so with the call replaced by 0, 1, 2 or 3 calls of the callback it must be accepted too. A widened state that forgets something,
// a prune into an unfinished state that does not cover, or a mark that does not come around the loop shows here.
// MODBPF_SEED, MODBPF_SECONDS: as embed_test.cpp.
#include "btf/btf_builder_test.h"
#include "verifier/embed_program_test.h"
#include "verifier/embed_oracle_test.h"

#include <ctime>

namespace modbpf::test {

namespace {

struct loop_types {
    ref<btf> types;
    u32 main_func = 0, turn = 0;
    loop_types() {
        btf_builder b;
        u32 i = b.int32();
        u32 proto = b.proto(i, {{"a", i, 0}, {"b", i, 0}});
        main_func = b.func("main_prog", proto);
        turn = b.func("turn", proto, BTF_FUNC_STATIC);
        types = load_btf(b.bytes()).types;
    }
    static const loop_types &get() {
        static loop_types t;
        return t;
    }
};

struct looped {
    prog before, after, turn;
    s16 context = 0; ///< of the frame: two slots that the callback gets

    /// Any number of turns.
    prog with_loop() const {
        prog p = before + prog{ldx(BPF_W, r1, r9, 40), raw(BPF_LD | BPF_IMM | BPF_DW, r2, BPF_PSEUDO_FUNC, 0, 0), raw(0, 0, 0, 0, 0), mov_x(r3, r10),
                               add(r3, context), mov(r4, 0), call(BPF_FUNC_loop)} + after;
        auto at = before.size() + 1;
        p[at].imm = static_cast<s32>(p.size() - at - 1);
        return p + turn;
    }
    prog unrolled(u32 turns) const {
        prog p = before;
        std::vector<size_t> calls;
        for (u32 i = 0; i < turns; i++) {
            p = p + prog{mov(r1, static_cast<s32>(i)), mov_x(r2, r10), add(r2, context)};
            calls.push_back(p.size());
            p = p + prog{call_pc(0), jmp(BPF_JNE, r0, 0, static_cast<s16>(5 * (turns - i - 1)))};
        }
        p = p + mov(r0, static_cast<s32>(turns)) + after;
        for (size_t c : calls)
            p[c].imm = static_cast<s32>(p.size() - c - 1);
        return turns ? p + turn : p;
    }
};

looped make(u64 seed) {
    looped l;
    embed_generator g{seed * 0x9e3779b97f4a7c15ull};
    g.no_calls = true;
    g.reserved = 1u << 6 | 1u << 9;
    g.emit(mov_x(r6, r1));
    g.emit(ld_value(r9, embed_array_fd, 0));
    g.init_slots();
    g.source(7), g.source(8);
    g.block(1 + g.next(3));
    u32 low = 1 + g.next(7);
    l.context = static_cast<s16>(-8 * static_cast<s32>(low + 1));
    for (u32 i : {low, low - 1}) {
        g.touch(i, embed_generator::num);
        g.emit(st(BPF_DW, r10, static_cast<s16>(-8 * static_cast<s32>(i + 1)), g.next(2) ? g.imm() : 0));
    }
    l.before = g.p;
    g.p.clear();
    g.scratch_caller_saved();
    g.regs[0] = embed_generator::num;
    g.block(1 + g.next(4));
    g.leave();
    l.after = g.p;
    embed_generator t{seed * 0x9e3779b97f4a7c15ull + 1};
    t.no_calls = t.in_sub = true;
    t.reserved = 1u << 8 | 1u << 9;
    t.emit(prog{mov_x(r8, r2), mov_x(r7, r1)} + ld_value(r9, embed_array_fd, 0));
    t.regs[7] = embed_generator::num;
    t.init_slots();
    t.block(1 + t.next(4));
    if (t.next(2)) // counts, or carries something from turn to turn
        t.emit(prog{ldx(BPF_DW, r1, r8, 0), add(r1, static_cast<s32>(t.next(3))), stx(BPF_DW, r8, r1, 0)});
    else if (t.next(2))
        t.emit(prog{ldx(BPF_DW, r1, r8, 0), stx(BPF_DW, r8, r1, 8), st(BPF_DW, r8, 0, t.imm())});
    u8 r = t.number();
    t.emit(t.next(2) ? prog{mov(r0, 0)} : prog{mov_x(r0, r), test::alu(BPF_AND, r0, 1)});
    t.emit(exit_());
    l.turn = t.p;
    return l;
}

int verdict(const prog &p, u32 turn_at, u32 flags, bool other_arm_first, std::string *text = nullptr) {
    const loop_types &t = loop_types::get();
    std::vector<char> buf(text ? 1 << 20 : 1);
    verifier_log log;
    (void)log.init(text ? BPF_LOG_LEVEL2 : 0u, text ? addr_of(buf.data()) : 0, text ? 1u << 20 : 0).ok();
    std::vector<func_info> funcs{{0, t.main_func}};
    if (turn_at < p.size())
        funcs.push_back({turn_at, t.turn});
    verify_request req{};
    req.insns = {p.data(), p.size()};
    req.type = find_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT);
    req.prog_flags = flags;
    req.gpl_compatible = req.perfmon = req.verify_only = true;
    req.types = &*t.types;
    req.funcs = {funcs.data(), funcs.size()};
    req.map_from_fd = embed_maps::from_fd;
    req.other_arm_first = other_arm_first;
    auto r = verify(req, log);
    u32 size = 0;
    (void)log.finalize(&size).ok();
    if (text)
        *text = buf.data();
    return r.ok() ? 0 : r.err().code();
}

struct loop_tally {
    u64 programs = 0, accepted = 0;
};

/// Narrower states may be refused where wider ones are not: what is a number in the one may be a pointer in the other.
bool only_narrower(const std::string &log) {
    for (const char *text : {"invalid size of register fill", "expected=scalar", "pointer += pointer", "on pointer prohibited", "pointer arithmetic", "infinite loop"})
        if (log.find(text) != std::string::npos)
            return true;
    return false;
}

std::string examine(const looped &l, loop_tally &t) {
    prog whole = l.with_loop();
    t.programs++;
    bool accepted = false;
    for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
        for (bool other : {false, true})
            accepted = accepted || verdict(whole, static_cast<u32>(whole.size() - l.turn.size()), flags, other) == 0;
    if (!accepted)
        return "";
    t.accepted++;
    for (u32 turns = 0; turns < 4; turns++) {
        prog p = l.unrolled(turns);
        std::string log;
        auto turn_at = static_cast<u32>(p.size() - (turns ? l.turn.size() : 0));
        if (verdict(p, turn_at, 0, false) && verdict(p, turn_at, 0, false, &log) != E2BIG && !only_narrower(log))
            return std::to_string(turns) + " turns written out are refused:\n" + log.substr(log.size() > 3000 ? log.size() - 3000 : 0);
    }
    return "";
}

u64 number(const char *name, u64 otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, nullptr, 0) : otherwise;
}

}  // namespace

TEST(Unroll, TurnsWrittenOutAreAcceptedToo) {
    u64 seconds = number("MODBPF_SECONDS", 4) / 4, until = port_ktime_ns() + seconds * 1000000000ull;
    u64 seed = number("MODBPF_SEED", getenv("MODBPF_SECONDS") ? static_cast<u64>(time(nullptr)) << 24 : 1);
    loop_tally t;
    for (u64 i = 0; i < 6 || port_ktime_ns() < until; i++) {
        std::string bad = examine(make(seed + i), t);
        if (bad.empty())
            continue;
        std::string words;
        char text[200];
        prog p = make(seed + i).with_loop();
        for (u32 at = 0; at < p.size(); at += decode({p.data(), p.size()}, at).words) {
            disasm(text, sizeof(text), {p.data(), p.size()}, at, {.helper_name = helper_name});
            words += std::to_string(at) + ": " + text;
        }
        FAIL() << "MODBPF_SEED=" << seed + i << "\n" << bad << "\n" << words;
    }
    EXPECT_GT(t.accepted, t.programs / 4);
    if (getenv("MODBPF_SECONDS"))
        printf("seed %llu: %llu programs with loops over a callback, %llu accepted\n", (unsigned long long)seed, (unsigned long long)t.programs,
               (unsigned long long)t.accepted);
}

}  // namespace modbpf::test
