// SPDX-License-Identifier: GPL-2.0-only
// Programs whose loader lacks capabilities: what they may not do, beside a neighbour that they may; and the guards in the image.
#include "verifier/verdict_rows.h"

namespace modbpf::test {

namespace {

enum class caps : u8 { none, bpf };

struct guarded_row {
    const char *name;
    prog p;
    int err = 0;
    const char *text = "";
    caps have = caps::none;
    u32 type = filter;
};

/// r0 = value of the array's element 0, 48 bytes; the program ends with 0 when there is none.
prog element() {
    return prog{st(BPF_W, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, array_fd) +
           prog{call(BPF_FUNC_map_lookup_elem), jmp(BPF_JNE, r0, 0, 2), mov(r0, 0), exit_()};
}
constexpr const char *not_for_you = "pointer arithmetic with it prohibited for !root";

std::vector<guarded_row> leak_rows() {
    return {
        {"return a pointer", prog{mov_x(r0, r10), exit_()}, EACCES, "R0 leaks addr as return value"},
        {"return a number", ret0},
        {"pointer into a map", element() + prog{stx(BPF_DW, r0, r10, 0)} + ret0, EACCES, "R10 leaks addr into map"},
        {"number into a map", element() + prog{mov(r1, 5), stx(BPF_DW, r0, r1, 0)} + ret0},
        {"pointer into the context", prog{stx(BPF_W, r1, r10, 48)} + ret0, EACCES, "R10 leaks addr into ctx"},
        {"pointer into an atomic", prog{mov(r0, 0), stx(BPF_DW, r10, r0, -8), atomic(BPF_DW, BPF_ADD, r10, r10, -8)} + ret0, EACCES,
         "R10 leaks addr into mem"},
        {"number into an atomic", prog{mov(r0, 0), stx(BPF_DW, r10, r0, -8), atomic(BPF_DW, BPF_ADD, r10, r0, -8)} + ret0},
        {"pointer to a helper as a number", element() + prog{mov_x(r1, r0), mov_x(r2, r10), add(r2, -4), mov_x(r3, r0), mov_x(r4, r10)} +
             ld_map(r1, array_fd) + call(BPF_FUNC_map_update_elem) + ret0, EACCES, "R4 leaks addr into helper function"},
        {"number to a helper", element() + prog{mov_x(r3, r0), mov_x(r2, r10), add(r2, -4), mov(r4, 0)} + ld_map(r1, array_fd) +
             call(BPF_FUNC_map_update_elem) + ret0},
        {"half a pointer", prog{mov32_x(r0, r10)} + ret0, EACCES, "R10 partial copy of pointer"},
        {"sign of a pointer", prog{movsx(r0, r10, 32)} + ret0, EACCES, "R10 sign-extension part of pointer"},
        {"negative pointer", prog{raw(BPF_ALU64 | BPF_NEG, r1, 0, 0, 0)} + ret0, EACCES, "R1 pointer arithmetic prohibited"},
        {"difference of pointers", prog{mov_x(r0, r10), alu_x(BPF_SUB, r0, r10)} + ret0, EACCES, "R0 pointer -= pointer prohibited"},
        {"compare a pointer with a number", prog{jmp(BPF_JEQ, r1, 5, 0)} + ret0, EACCES, "R1 pointer comparison prohibited"},
        {"compare a number with a pointer", prog{mov(r0, 5), jmp_x(BPF_JEQ, r0, r1, 0)} + ret0, EACCES, "R1 pointer comparison prohibited"},
        {"compare with NULL", element() + ret0},
        {"part of a spilled pointer overwritten", prog{stx(BPF_DW, r10, r1, -8), mov(r0, 0), stx(BPF_W, r10, r0, -8)} + ret0, EACCES,
         "attempt to corrupt spilled pointer on stack"},
        {"spilled pointer overwritten", prog{stx(BPF_DW, r10, r1, -8), mov(r0, 0), stx(BPF_DW, r10, r0, -8)} + ret0},
        {"atomic on a spilled pointer", prog{stx(BPF_DW, r10, r1, -8), mov(r0, 1), atomic(BPF_DW, BPF_ADD, r10, r0, -8)} + ret0, EACCES,
         "leaking pointer from stack off -8"},
        {"stack not written", prog{ldx(BPF_DW, r0, r10, -8)} + ret0, EACCES, "invalid read from stack R10 off=-8 size=8"},
        {"stack half written", prog{st(BPF_W, r10, -8, 0), ldx(BPF_DW, r0, r10, -8)} + ret0, EACCES,
         "invalid read from stack off -8+4 size 8"},
        {"stack written", prog{st(BPF_DW, r10, -8, 0), ldx(BPF_DW, r0, r10, -8)} + ret0},
        {"key half written", prog{st(BPF_H, r10, -4, 0), mov_x(r2, r10), add(r2, -4)} + ld_map(r1, array_fd) +
             call(BPF_FUNC_map_lookup_elem) + ret0, EACCES, "invalid indirect read from stack R2 off -4+2 size 4"},
        {"stack not written, CAP_BPF", prog{ldx(BPF_DW, r0, r10, -8)} + ret0, EACCES, "invalid read from stack", caps::bpf},
        {"a pruned path may not read what only the explored one wrote",
         prog{ldx(BPF_W, r6, r1, 0), jmp(BPF_JEQ, r6, 1, 1), st(BPF_DW, r10, -8, 0), mov(r0, 0), ldx(BPF_DW, r0, r10, -8), exit_()}, EACCES,
         "invalid read from stack"},
    };
}

std::vector<guarded_row> rights_rows() {
    return {
        {"a loop", prog{mov(r0, 0), add(r0, 1), jmp(BPF_JLT, r0, 10, -2), exit_()}, EINVAL, "back-edge from insn 2 to 1"},
        {"a loop, CAP_BPF", prog{mov(r0, 0), add(r0, 1), jmp(BPF_JLT, r0, 10, -2), exit_()}, 0, "", caps::bpf},
        {"a subprogram", prog{call_pc(1), exit_()} + ret0, EPERM, "loading/calling other bpf or kernel functions are allowed for CAP_BPF"},
        {"a subprogram, CAP_BPF", prog{call_pc(1), exit_()} + ret0, 0, "", caps::bpf},
        {"a helper for CAP_PERFMON", prog{call(BPF_FUNC_get_current_task)} + ret0, EINVAL, "cannot use helper bpf_get_current_task", caps::bpf},
    };
}

/// r1 = a number in [0, 63] that is not known, from the element at r0.
prog unknown_index() { return prog{ldx(BPF_B, r1, r0, 0), alu(BPF_AND, r1, 15)}; }

std::vector<guarded_row> move_rows() {
    return {
        {"value + bounded number", element() + unknown_index() + prog{add_x(r0, r1), ldx(BPF_B, r0, r0, 0)} + ret0},
        {"bounded number + value", element() + unknown_index() + prog{add_x(r1, r0), ldx(BPF_B, r0, r1, 0)} + ret0},
        {"value + number of either sign", element() + prog{ldx(BPF_DW, r1, r0, 0), jmp(BPF_JSLT, r1, -1, 2), jmp(BPF_JSGT, r1, 15, 1),
             add_x(r0, r1)} + ret0, EACCES, "R1 has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root"},
        {"value beyond its end", element() + prog{mov(r1, 48), add_x(r0, r1)} + ret0, EACCES, "prohibited for !root"},
        {"value just inside", element() + prog{mov(r1, 47), add_x(r0, r1), ldx(BPF_B, r0, r0, 0)} + ret0},
        {"context + number", prog{mov(r2, 4), add_x(r1, r2)} + ret0, EACCES, "R1 has pointer with unsupported alu operation"},
        {"stack + unknown number", element() + unknown_index() + prog{mov_x(r2, r10), add(r2, -32), add_x(r2, r1)} + ret0, EACCES,
         "R2 variable stack access prohibited for !root"},
        {"stack out of range", prog{mov_x(r2, r10), add(r2, -516)} + ret0, EACCES,
         "R2 stack pointer arithmetic goes out of range, prohibited for !root; off=-516"},
        {"stack in range", prog{mov_x(r2, r10), add(r2, -512), st(BPF_DW, r2, 0, 0)} + ret0},
        // Two paths meet at the addition: one moves a pointer, the other a number.
        {"pointer on one path, number on the other",
         element() + prog{ldx(BPF_B, r3, r0, 0), mov(r1, 4), jmp(BPF_JEQ, r3, 7, 2), mov_x(r2, r0), ja(1), mov(r2, 0), add_x(r2, r1)} + ret0, EACCES,
         not_for_you},
        {"different limits on two paths",
         element() + prog{ldx(BPF_B, r3, r0, 0), mov_x(r2, r0), mov(r1, 4), jmp(BPF_JEQ, r3, 7, 1), mov(r1, 8), add_x(r2, r1)} + ret0, EACCES,
         "R2 tried to add from different maps, paths or scalars, pointer arithmetic with it prohibited for !root"},
        {"the same limit on two paths",
         element() + prog{ldx(BPF_B, r3, r0, 0), mov_x(r2, r0), mov(r1, 4), jmp(BPF_JEQ, r3, 7, 1), mov(r1, 4), add_x(r2, r1)} + ret0},
        // The offset may be forced to 0, so that what follows starts at the value again.
        {"out of bounds where the masked offset is 0", element() + unknown_index() + prog{add(r1, 8), add_x(r0, r1), ldx(BPF_DW, r0, r0, -8)} + ret0,
         EACCES, "R0 min value is outside of the allowed memory range"},
        // CVE-2021-33624: the arm that is never taken is checked as a CPU may run it.
        {"out of bounds in an arm that is never taken", element() + prog{mov(r1, 0), jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_B, r0, r0, 64)} + ret0, EACCES,
         "invalid access to map value"},
        {"in bounds in an arm that is never taken", element() + prog{mov(r1, 0), jmp(BPF_JEQ, r1, 0, 1), ldx(BPF_B, r0, r0, 8)} + ret0},
    };
}

options options_of(const guarded_row &r) {
    return {.type = r.type, .log_level = BPF_LOG_LEVEL2, .perfmon = false, .bpf = r.have == caps::bpf};
}

void run(const std::vector<guarded_row> &rows) {
    for (const auto &r : rows) {
        auto out = check(r.p, options_of(r));
        EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
        EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << ": no '" << r.text << "' in\n" << out.log;
        options o = options_of(r); // V4
        o.no_pruning = true;
        EXPECT_EQ(check(r.p, o).err, r.err) << r.name << ", pruning off";
    }
}

const code_guard *guard_at(const outcome &o, u32 insn) {
    for (const auto &g : o.program->image.guards)
        if (g.insn == insn)
            return &g;
    return nullptr;
}

}  // namespace

TEST(Guarded, Leaks) { run(leak_rows()); }
TEST(Guarded, Rights) { run(rights_rows()); }
TEST(Guarded, Moves) { run(move_rows()); }

TEST(Guarded, MaskOfAMove) {
    prog p = element() + unknown_index() + prog{add_x(r0, r1), ldx(BPF_B, r0, r0, 0)} + ret0;
    auto out = check(p, {.perfmon = false, .bpf = false});
    ASSERT_EQ(out.err, 0) << out.log;
    u32 at = static_cast<u32>(element().size() + unknown_index().size());
    const code_guard *g = guard_at(out, at);
    ASSERT_NE(g, nullptr);
    EXPECT_TRUE(is_mask(g->kind));
    EXPECT_TRUE(mask_has(g->kind, guard_kind::mask_in_src));
    EXPECT_FALSE(mask_has(g->kind, guard_kind::mask_negative));
    EXPECT_EQ(g->limit, 15u);
    EXPECT_TRUE(check(p).program->image.guards.empty()) << "a program with CAP_PERFMON needs none";
}

// CVE-2021-34556: a younger load must not see what was in the slot before.
TEST(Guarded, BarrierBehindASpill) {
    auto out = check(prog{stx(BPF_DW, r10, r1, -8), st(BPF_DW, r10, -16, 0), st(BPF_DW, r10, -16, 1)} + ret0, {.perfmon = false, .bpf = false});
    ASSERT_EQ(out.err, 0) << out.log;
    ASSERT_NE(guard_at(out, 0), nullptr) << "a pointer is stored";
    EXPECT_EQ(guard_at(out, 0)->kind, guard_kind::barrier);
    EXPECT_NE(guard_at(out, 1), nullptr) << "the slot may hold anything";
    EXPECT_EQ(guard_at(out, 2), nullptr) << "a number over a number";
}

TEST(Guarded, MispredictedPathsAreDeadCode) {
    auto out = check(prog{mov(r0, 0), jmp(BPF_JEQ, r0, 0, 1), mov(r0, 7), exit_()}, {.log_level = BPF_LOG_LEVEL2, .perfmon = false, .bpf = false});
    ASSERT_EQ(out.err, 0) << out.log;
    EXPECT_NE(out.log.find("from 1 to 2 (speculative execution):"), std::string::npos) << out.log;
    EXPECT_EQ(out.program->image.insns.size(), 2u) << "r0 = 0; exit";
}

}  // namespace modbpf::test
