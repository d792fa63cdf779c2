// SPDX-License-Identifier: GPL-2.0-only
// State embedding on random programs (LADDER V3, V4, V5, V6, X1): see embed_oracle_test.h. A fixed seed and one from the clock,
// which a failure prints. MODBPF_SEED=N begins elsewhere, MODBPF_SECONDS=N goes on for longer (`make fuzz`).
#include "verifier/embed_oracle_test.h"

#include <algorithm>
#include <ctime>
#include <sched.h>

namespace modbpf::test {

namespace {

struct tally {
    u64 programs = 0, accepted = 0, runs = 0, steps = 0, too_many = 0, embedded = 0, guarded = 0, open = 0;
    bool with_reasons = false;
    std::map<std::string, u64> refusals; ///< by the last line of the log, without numbers

    void report() const {
        auto n = [](u64 v) { return static_cast<unsigned long long>(v); };
        printf("%llu programs, %llu accepted (%llu%%), %llu with too many states, %llu runs, %llu steps, %llu embedded, %llu with guards, %llu with open loops\n", n(programs),
               n(accepted), n(programs ? accepted * 100 / programs : 0), n(too_many), n(runs), n(steps), n(embedded), n(guarded), n(open));
        std::vector<std::pair<u64, std::string>> most;
        for (auto &[text, count] : refusals)
            most.push_back({count, text});
        std::sort(most.rbegin(), most.rend());
        for (size_t i = 0; i < most.size() && i < 12; i++)
            printf("%8llu refused: %s\n", n(most[i].first), most[i].second.c_str());
    }
};

/// The line of the log that says why.
std::string reason(const std::string &log) {
    std::string line, last;
    for (char c : log) {
        if (c != '\n') {
            line += c >= '0' && c <= '9' ? (line.empty() || line.back() != '#' ? "#" : "") : std::string(1, c);
            continue;
        }
        if (!line.starts_with("processed") && !line.empty())
            last = line;
        line.clear();
    }
    return last;
}

embed_input random_input(embed_generator &g) {
    embed_input in{};
    auto value = [&]() -> u64 {
        switch (g.next(4)) {
        case 0: return g.next(64);
        case 1: return static_cast<u64>(static_cast<s64>(g.imm()));
        default: return g.imm64();
        }
    };
    for (u64 &a : in.args)
        a = value();
    for (u32 i = 0; i < sizeof(in.array); i += 8) {
        u64 v = value();
        memcpy(in.array + i, &v, 8);
    }
    for (u32 i = 0; i < sizeof(in.small); i += 8) {
        u64 v = value();
        memcpy(in.small + i, &v, 8);
    }
    for (u8 &b : in.packet)
        b = static_cast<u8>(g.next(256));
    in.packet_len = g.next(2) ? 64 : g.next(40);
    return in;
}

std::string listing(const prog &p) {
    std::string out;
    for (u32 i = 0; i < p.size();) {
        char line[disasm_line_max];
        disasm(line, sizeof(line), {p.data(), p.size()}, i, {.helper_name = helper_name});
        if (p[i].code != (BPF_JMP | BPF_JA) || p[i].off) // minimize() leaves many that do nothing
            out += std::to_string(i) + ": " + line;
        i += decode({p.data(), p.size()}, i).words;
    }
    return out;
}

struct refused {
    u32 flags = 0;
    bool no_pruning = false;
    bool other_arm_first = false;
};

/// Does a state of the log show a slot of which a constant was stored to the lower part, and the rest forgotten: "fp-8=mmmm0"?
bool forgot_the_rest_of_a_slot(const std::string &log) {
    for (size_t at = log.find("fp-"); at != std::string::npos; at = log.find("fp-", at + 3)) {
        size_t value = log.find('=', at);
        if (value == std::string::npos || value - at > 8)
            continue;
        size_t number = log.find_first_not_of('m', value + 1);
        if (number != std::string::npos && number > value + 1 && number < value + 8 && log[number] >= '0' && log[number] <= '9')
            return true;
    }
    return false;
}

/// V4 is broken, unless the refusal is one that a wider state does not have: part of a spilled pointer may be read at a
/// variable offset, not at a constant one; what is a number in the wider state may be a pointer here; and zero stored over part of a slot of
/// zeros at a variable offset leaves zeros, at a constant one it leaves the rest of the slot unknown, as on Linux.
std::string changed(embed_oracle &o, const prog &p, const refused &way, int plain, int err) {
    std::string log;
    (void)o.verdict_of(p, way.flags, way.no_pruning, way.other_arm_first, nullptr, nullptr, &log);
    for (const char *narrow : {"invalid size of register fill", "expected=scalar", "pointer += pointer", "on pointer prohibited", "pointer arithmetic"})
        if (log.find(narrow) != std::string::npos)
            return "";
    if (plain == 0 && forgot_the_rest_of_a_slot(log))
        return "";
    return "verdict changes from " + std::to_string(plain) + " to " + std::to_string(err) + "; the refusal (flags " +
           std::to_string(way.flags) + " no pruning " + std::to_string(way.no_pruning) + " other arm first " +
           std::to_string(way.other_arm_first) + "):\n" + log.substr(log.size() > 600 ? log.size() - 600 : 0);
}

/// Everything about one program. "" or what is wrong.
std::string examine(const prog &p, bool packet, u64 seed, tally &t) {
    embed_generator inputs{seed};
    embed_oracle o(p, packet);
    t.programs++;
    int plain = o.verdict();
    if (!o.collect()) {
        t.too_many++;
        return "";
    }
    if (o.open() && o.full_verdict()) // what is widened depends on what was explored before
        return "";
    if (!o.open() && (plain == 0) != (o.full_verdict() == 0))
        return changed(o, p, plain ? refused{} : refused{.no_pruning = true}, plain, o.full_verdict());
    for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
        for (bool other : {false, true})
            if (int err = o.open() ? plain : o.verdict(flags, false, other); (err == 0) != (plain == 0))
                return changed(o, p, plain ? refused{} : refused{flags, false, other}, plain, err);
    if (plain) {
        if (t.with_reasons) {
            std::string log;
            (void)o.verdict_of(p, 0, false, false, nullptr, nullptr, &log);
            t.refusals[reason(log)]++;
        }
        return "";
    }
    t.accepted++, t.open += o.open();
    own<verified_program> v;
    if (o.verdict(0, false, false, nullptr, &v))
        return "verdict changes from call to call";
    auto native = jit_compile(v->image);
    if (!native.ok())
        return "jit_compile fails";
    own<verified_program> guarded;
    if (o.guarded_verdict(&guarded) == 0)
        t.guarded++;
    for (u32 n = 0; n < 16; n++) {
        embed_input in = random_input(inputs);
        if (n == 0)
            memset(&in, 0, sizeof(in));
        std::string bad = n ? o.run_image(v->image, in, seed + n) : o.run(in, seed);
        if (!bad.empty())
            return bad;
        t.runs++, t.steps += o.steps();
        if (std::string other = o.run_native(v->image, *native); !other.empty())
            return other;
        if (guarded)
            if (std::string other = o.run_guarded(guarded->image); !other.empty())
                return other;
        if (n % 4)
            continue;
        prog e = o.embedded();
        t.embedded++;
        for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
            if (!o.verdict_of(e, flags, false, n % 8 == 0))
                return "accepted although a run reaches what is out of bounds:\n" + listing(e);
    }
    return "";
}

/// The program as a row of verdict_rows.h, where it can stay as a test; its maps get the names that they have there.
std::string as_row(const prog &p, bool packet, u64 seed) {
    std::string out = "{\"seed " + std::to_string(seed) + "\", {";
    char word[80];
    for (u32 i = 0; i < p.size(); i++) {
        const bpf_insn &w = p[i];
        if (w.code == (BPF_JMP | BPF_JA) && !w.off) {
            out += "ja(0), ";
            continue;
        }
        bool of_map = w.code == (BPF_LD | BPF_IMM | BPF_DW) && w.src_reg;
        const char *fd = !of_map ? nullptr : w.imm == embed_ring_fd ? "ringbuf_fd" : "array_fd";
        snprintf(word, sizeof(word), "raw(0x%02x, %u, %u, %d, %s), ", w.code, w.dst_reg, w.src_reg, w.off, fd ? fd : std::to_string(w.imm).c_str());
        out += word;
    }
    return out + "}, " + (packet ? "cls" : "raw_tp") + "},";
}

/// The smallest program, by leaving out instructions, that is still wrong.
prog minimize(prog p, bool packet, u64 seed) {
    tally t;
    for (bool again = true; again;) {
        again = false;
        for (u32 i = 0; i < p.size();) {
            u32 words = decode({p.data(), p.size()}, i).words;
            prog q = p;
            for (u32 w = 0; w < words; w++)
                q[i + w] = ja(0);
            if ((p[i].code != (BPF_JMP | BPF_JA) || p[i].off) && !examine(q, packet, seed, t).empty()) {
                p = q;
                again = true;
            }
            i += words;
        }
    }
    return p;
}

constexpr u64 open_loop_share = 64; ///< of so many programs one has them: some explore up to the limit, which takes a thousand others' time

/// Runs programs until the time or the number is over. False: one is wrong; it was reported.
bool campaign(u64 seed, u64 count, u64 until_ns, tally &t) {
    for (u64 i = 0; i < count && (!until_ns || port_ktime_ns() < until_ns); i++) {
        embed_generator g{(seed + i) * 0x9e3779b97f4a7c15ull};
        g.open_loops = (seed + i) % open_loop_share == 0;
        prog p = g.make();
        std::string bad = examine(p, g.packet, seed + i, t);
        if (bad.empty())
            continue;
        printf("seed %llu: %s\n", static_cast<unsigned long long>(seed + i), bad.c_str()); // what follows takes long
        fflush(stdout);
        prog small = minimize(p, g.packet, seed + i);
        tally again;
        ADD_FAILURE() << "MODBPF_SEED=" << seed + i << "\n" << bad << "\nsmallest:\n"
                      << examine(small, g.packet, seed + i, again) << "\n" << listing(small) << as_row(small, g.packet, seed + i);
        return false;
    }
    return true;
}

/// Engines are compared: bpf_get_smp_processor_id() has to stay what it is.
struct one_cpu {
    cpu_set_t before;
    one_cpu() {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(static_cast<size_t>(sched_getcpu()), &here);
        EXPECT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
        EXPECT_EQ(sched_setaffinity(0, sizeof(here), &here), 0);
    }
    ~one_cpu() { sched_setaffinity(0, sizeof(before), &before); }
};

u64 number(const char *name, u64 otherwise) {
    const char *v = getenv(name);
    return v ? strtoull(v, nullptr, 0) : otherwise;
}

}  // namespace

/// Pruning hides a refusal that is no fault: the first way to the store at r10 - 64 + r7 knows less of r7 than the second, and more of the slot.
TEST(Embed, RefusalsThatAWiderStateDoesNotHave) {
    prog p = ld_value(r9, embed_array_fd, 0) +
             prog{st(BPF_DW, r10, -64, 0), ldsx(BPF_W, r7, r9, 36), jmp(BPF_JSGT, r7, 0, 1), raw(BPF_ALU | BPF_END | BPF_TO_BE, r7, 0, 0, 64),
                  alu(BPF_RSH, r7, 59), alu(BPF_AND, r7, -4), mov_x(r0, r10), add(r0, -64), add_x(r0, r7), st(BPF_W, r0, 0, 0),
                  ldx(BPF_DW, r3, r10, -64), mov(r0, 0), jmp(BPF_JEQ, r3, 0, 1), mov_x(r0, r5), exit_()};
    embed_oracle o(p, true);
    ASSERT_EQ(o.verdict(), 0);
    ASSERT_TRUE(o.collect());
    ASSERT_NE(o.full_verdict(), 0) << "the program shows nothing";
    tally t;
    one_cpu here;
    EXPECT_EQ(examine(p, true, 1, t), "");
}

TEST(Embed, ConcreteRunsLieInExploredStates) {
    tally t;
    one_cpu here;
    u64 seconds = number("MODBPF_SECONDS", 0);
    if (seconds || getenv("MODBPF_SEED")) {
        t.with_reasons = true;
        u64 seed = number("MODBPF_SEED", static_cast<u64>(time(nullptr)) << 24);
        printf("seed %llu\n", static_cast<unsigned long long>(seed));
        campaign(seed, seconds ? ~0ull : 1, seconds ? port_ktime_ns() + seconds * 1000000000ull : 0, t);
        t.report();
        return;
    }
    ASSERT_TRUE(campaign(1, 60, 0, t));
    EXPECT_GT(t.accepted, t.programs / 4); // or the generator tests nothing
    EXPECT_GT(t.programs, t.accepted);
    tally clock;
    campaign(static_cast<u64>(time(nullptr)) << 24, ~0ull, port_ktime_ns() + 1000000000ull, clock);
}

}  // namespace modbpf::test
