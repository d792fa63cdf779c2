// SPDX-License-Identifier: GPL-2.0-only
// Random programs against the machine's own kernel: what they return, and how its verifier log prints them.
#include "jit/kernel_peer_test.h"
#include "jit/random_program_test.h"

#include "isa/disasm.h"

namespace modbpf::testing {
namespace {

/// r0 = a 32-bit number made of all of r0, in front of the exit.
void fold_result(program_text &p) {
    p.pop_back();
    p.add(mov_r(1, 0)).add(alu64_k(BPF_RSH, 1, 32)).add(alu64_r(BPF_XOR, 0, 1)).add(exit_insn());
}

TEST(kernel_peer, random_programs_return_the_same) {
    if (!kernel_peer::available())
        GTEST_SKIP() << "bpf() is not permitted here";
    for (u64 seed = 0; seed < 150 && !HasFailure(); seed++) {
        generator g{std::mt19937_64(seed + 77000), {}, false};
        program_text p = g.make(80);
        fold_result(p);
        kernel_peer::answer a = kernel_peer::run({p.data(), p.size()}, 0);
        ASSERT_GE(a.fd_or_errno, 0) << "seed " << seed << kernel_peer::run({p.data(), p.size()}, 1).log;
        code c = make_code(p, {}, stack_bytes);
        EXPECT_EQ(static_cast<u32>(run_interp(c)), a.retval) << "interpreter, seed " << seed;
        EXPECT_EQ(static_cast<u32>(run_jit(c)), a.retval) << "JIT, seed " << seed;
    }
}

/// Each line "N: (xx) text" or "N: (xx) text ; state" of the kernel's log says what ours says for instruction N.
TEST(kernel_peer, log_lines_are_the_same) {
    if (!kernel_peer::available())
        GTEST_SKIP() << "bpf() is not permitted here";
    size_t compared = 0;
    for (u64 seed = 0; seed < 20 && !HasFailure(); seed++) {
        generator g{std::mt19937_64(seed + 88000), {}, false};
        program_text p = g.make(120);
        fold_result(p);
        std::string log = kernel_peer::run({p.data(), p.size()}, 2).log;
        for (size_t from = 0; from < log.size();) {
            size_t end = log.find('\n', from);
            std::string line = log.substr(from, end == std::string::npos ? end : end - from);
            from = end == std::string::npos ? log.size() : end + 1;
            size_t digits = line.find_first_not_of("0123456789");
            if (digits == 0 || digits == std::string::npos || line.compare(digits, 3, ": (") != 0)
                continue;
            u32 at = static_cast<u32>(std::stoul(line));
            ASSERT_LT(at, p.size());
            std::string theirs = line.substr(digits + 2, line.find(" ;") - digits - 2);
            while (!theirs.empty() && theirs.back() == ' ')
                theirs.pop_back();
            char ours[disasm_line_max];
            disasm(ours, sizeof(ours), {p.data(), p.size()}, at, {});
            ours[strlen(ours) - 1] = '\0';
            EXPECT_EQ(theirs, ours);
            compared++;
        }
    }
    EXPECT_GT(compared, 500u);
}

/// Every opcode byte with zero fields, and some with fields set: a text of stage 2 or 4a that we give is the one that
/// it logs.
TEST(kernel_peer, encodings_are_refused_alike) {
    if (!kernel_peer::available())
        GTEST_SKIP() << "bpf() is not permitted here";
    std::mt19937_64 rng(5);
    u32 refused = 0;
    for (u32 i = 0; i < 256 * 12; i++) {
        auto code = static_cast<u8>(i);
        insn_kind kind = opcode(code).kind;
        // Jumps and calls fail in other stages first; opcodes and forms newer than 6.12 are not ours.
        if (kind == insn_kind::ld_imm64 || kind == insn_kind::ld_packet || kind == insn_kind::jump ||
            kind == insn_kind::may_goto || kind == insn_kind::call_helper || kind == insn_kind::atomic ||
            kind == insn_kind::exit || code == 0x0d || code == 0xcb || code == 0xd3)
            continue;
        bpf_insn odd = make_insn(code, 0, 0, 0, 0);
        if (rng() & 1)
            odd.src_reg = rng() & 1;
        if (rng() & 1)
            odd.off = static_cast<s16>(rng() % 5 * 8);
        if (rng() & 1)
            odd.imm = static_cast<s32>(rng() % 3 * 16);
        if (bpf_class(code) == BPF_JMP || bpf_class(code) == BPF_JMP32)
            odd.off = 0;
        program_text p;
        p.add(mov_k(0, 1)).add(mov_k(1, 1)).add(odd).add(mov_k(0, 0)).add(exit_insn());
        refusal r = check_load({p.data(), p.size()}, 2);
        if (!r)
            r = check_encoding(odd);
        if (!r)
            r = check_operand(odd);
        kernel_peer::answer a = kernel_peer::run({p.data(), p.size()}, 1);
        if (r) {
            refused++;
            EXPECT_EQ(a.fd_or_errno, -r.err) << r.text;
            EXPECT_NE(a.log.find(r.text), std::string::npos) << "code " << u32(code) << ": " << r.text << a.log;
        } else {
            EXPECT_EQ(a.log.find("reserved"), std::string::npos) << "code " << u32(code) << ": " << a.log;
            EXPECT_EQ(a.log.find("unknown opcode"), std::string::npos) << "code " << u32(code) << ": " << a.log;
        }
    }
    EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace modbpf::testing
