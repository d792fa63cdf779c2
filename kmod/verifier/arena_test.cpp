// SPDX-License-Identifier: GPL-2.0-only
// Arenas: pointers of their own address space, from both sides.
#include "isa/opcode.h"
#include "verifier/verdict_rows.h"

namespace modbpf::test {

namespace {

constexpr int arena_fd = 2200, other_arena_fd = 2201, unconverted_fd = 2202, nowhere_fd = 2203; ///< 4 pages each

struct arena_maps {
    map *m[4]{};
    arena_maps() {
        for (int i = 0; i < 4; i++) {
            u32 flags = BPF_F_MMAPABLE | (i == unconverted_fd - arena_fd ? u32{BPF_F_NO_USER_CONV} : 0u);
            map_params p{.type = BPF_MAP_TYPE_ARENA, .max_entries = 4, .flags = flags, .extra = i == nowhere_fd - arena_fd ? 0 : 1ull << 44};
            m[i] = find_map_ops(p.type)->create(p).value();
            m[i]->user_get();
        }
    }
    ~arena_maps() {
        for (map *a : m) {
            a->user_put();
            a->put();
        }
        map_free_barrier();
    }
    static result<ref<map>> from_fd(int fd) {
        static arena_maps a;
        return fd >= arena_fd && fd <= nowhere_fd ? ref<map>(a.m[fd - arena_fd]) : verifier_maps::from_fd(fd);
    }
};

bpf_insn cast(u8 dst, u8 src, s32 kind) { return raw(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, BPF_ADDR_SPACE_CAST, kind); }
constexpr s32 to_kernel = 1, to_user = 1 << 16;

std::vector<row> rows() {
    prog in = ld_map(r9, arena_fd) + prog{call(BPF_FUNC_get_prandom_u32), cast(r6, r0, to_kernel)};
    prog loop{mov(r7, 0), ldx(BPF_DW, r1, r6, 0), cast(r6, r1, to_kernel), add(r7, 1), jmp(BPF_JLT, r7, 100, -4)};
    return {
        {"any number is an address", in + prog{ldx(BPF_DW, r1, r6, 0), st(BPF_B, r6, 8, 1), stx(BPF_DW, r6, r10, 16)} + ret0},
        {"a number that was not cast is none", in + prog{mov_x(r1, r0), ldx(BPF_DW, r1, r1, 0)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"nor is the user's address", in + prog{cast(r1, r6, to_user), ldx(BPF_DW, r2, r1, 0)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"nor what was loaded", in + prog{ldx(BPF_DW, r1, r6, 0), ldx(BPF_DW, r2, r1, 0)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"a list", in + loop + ret0},
        {"free arithmetic", in + prog{alu(BPF_MUL, r6, 7), alu_x(BPF_XOR, r6, r0), alu32(BPF_ADD, r6, 1), ldx(BPF_W, r1, r6, 0)} + ret0},
        {"not on a byte swap", in + prog{raw(BPF_ALU | BPF_END | BPF_TO_BE, r6, 0, 0, 32), ldx(BPF_W, r1, r6, 0)} + ret0, filter, EACCES,
         "R6 invalid mem access 'scalar'"},
        {"no part of it", in + prog{mov32_x(r1, r6), ldx(BPF_W, r1, r1, 0)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"atomic", in + prog{mov(r1, 1), atomic(BPF_DW, BPF_ADD | BPF_FETCH, r6, r1, 0)} + ret0},
        {"atomic loops are not", in + prog{mov(r1, 1), atomic(BPF_DW, BPF_AND | BPF_FETCH, r6, r1, 0)} + ret0, filter, EACCES,
         "BPF_ATOMIC stores into R6 arena is not allowed"},
        {"no sign is extended", in + prog{ldsx(BPF_W, r1, r6, 0)} + ret0, filter, EOPNOTSUPP, "sign extending loads from arena are not supported yet"},
        {"no helper's memory", in + prog{mov_x(r1, r6), mov(r2, 8), call(BPF_FUNC_trace_printk)} + ret0, kprobe, EACCES, "R1 type=arena expected="},
        {"no arena, no pointers", prog{cast(r6, r1, to_kernel)} + ret0, filter, EINVAL,
         "addr_space_cast insn can only be used in a program that has an associated arena"},
        {"two address spaces", in + prog{cast(r6, r0, 2)} + ret0, filter, EINVAL, "can only convert between address space 1 and 0"},
        {"of something", in + prog{cast(r6, r5, to_kernel)} + ret0, filter, EACCES, "R5 !read_ok"},
        {"its memory by name is the user's address", ld_value(r1, arena_fd, 4096) + prog{cast(r2, r1, to_kernel), st(BPF_W, r2, 0, 1)} + ret0},
        {"which is no pointer", ld_value(r1, arena_fd, 0) + prog{st(BPF_W, r1, 0, 1)} + ret0, filter, EACCES, "R1 invalid mem access 'scalar'"},
        {"behind its end", ld_value(r1, arena_fd, 4 * 4096 + 1) + ret0, filter, ERANGE, "invalid access to map value pointer"},
        {"one arena", in + ld_map(r8, other_arena_fd) + ret0, filter, EBUSY, "Only one arena per program"},
        {"the same line as other memory", in + prog{call(BPF_FUNC_get_prandom_u32), mov_x(r2, r10), jmp(BPF_JEQ, r0, 0, 1), mov_x(r2, r6), st(BPF_DW, r2, -8, 0)} + ret0,
         filter, EINVAL, "same insn cannot be used with different pointers"},
    };
}

TEST(Arena, Rows) {
    verifier_maps::get();
    for (bool no_pruning : {false, true})
        for (u32 flags : {0u, u32{BPF_F_TEST_STATE_FREQ}})
            for (const row &r : rows()) {
                auto out = check(r.p, {.type = r.type, .flags = flags, .no_pruning = no_pruning, .verify_only = true, .map_from_fd = arena_maps::from_fd});
                EXPECT_EQ(out.err, r.err) << r.name << "\n" << out.log;
                EXPECT_NE(out.log.find(r.text), std::string::npos) << r.name << "\n" << out.log;
            }
}

/// What runs, and what is shown of it.
TEST(Arena, AccessesAreMarked) {
    prog p = ld_map(r9, arena_fd) + prog{call(BPF_FUNC_get_prandom_u32), cast(r6, r0, to_kernel), ldx(BPF_W, r1, r6, 0), st(BPF_B, r6, 8, 1),
                                         stx(BPF_DW, r6, r10, 16), atomic(BPF_DW, BPF_ADD | BPF_FETCH, r6, r1, 0), cast(r2, r6, to_user)} + ret0;
    struct { u8 run, shown; s16 off; s32 imm; } want[] = {
        {BPF_ALU | BPF_MOV | BPF_X, BPF_ALU | BPF_MOV | BPF_X, 0, 0},
        {BPF_LDX | BPF_PROBE_MEM32 | BPF_W, BPF_LDX | BPF_MEM | BPF_W, 0, 0},
        {BPF_ST | BPF_PROBE_MEM32 | BPF_B, BPF_ST | BPF_MEM | BPF_B, 8, 1},
        {BPF_STX | BPF_PROBE_MEM32 | BPF_DW, BPF_STX | BPF_MEM | BPF_DW, 16, 0},
        {BPF_STX | BPF_PROBE_ATOMIC | BPF_DW, BPF_STX | BPF_PROBE_ATOMIC | BPF_DW, 0, BPF_ADD | BPF_FETCH},
        {BPF_ALU64 | BPF_MOV | BPF_X, BPF_ALU64 | BPF_MOV | BPF_X, 1, to_user},
    };
    for (int fd : {arena_fd, unconverted_fd}) {
        p[0].imm = fd;
        auto out = check(p, {.type = BPF_PROG_TYPE_KPROBE, .map_from_fd = arena_maps::from_fd});
        ASSERT_EQ(out.err, 0) << out.log;
        const code &c = out.program->image;
        EXPECT_EQ(c.arena_user, 1ull << 44);
        EXPECT_NE(c.arena_base, 0u);
        for (u32 i = 0; i < count_of(want); i++) {
            auto w = fd == unconverted_fd && i == 5 ? want[0] : want[i];
            const bpf_insn &run = c.insns[3 + i], &shown = out.program->xlated[3 + i];
            EXPECT_EQ(run.code, w.run) << i;
            EXPECT_EQ(shown.code, w.shown) << i;
            EXPECT_EQ(run.off, w.off) << i;
            EXPECT_EQ(run.imm, w.imm) << i;
        }
    }
}

/// The modes are the fix-up's alone.
TEST(Arena, ModesThatNobodyLoads) {
    for (u8 code : {BPF_LDX | BPF_PROBE_MEM32 | BPF_W, BPF_ST | BPF_PROBE_MEM32 | BPF_W, BPF_STX | BPF_PROBE_MEM32 | BPF_W,
                    BPF_STX | BPF_PROBE_ATOMIC | BPF_W}) {
        auto out = check(ld_map(r9, arena_fd) + prog{mov(r1, 0), mov(r0, 0), raw(code, r1, bpf_class(code) == BPF_ST ? 0 : r1, 0, 0)} + ret0,
                         {.map_from_fd = arena_maps::from_fd});
        EXPECT_EQ(out.err, EINVAL);
        EXPECT_NE(out.log.find(bpf_class(code) == BPF_LDX ? "BPF_LDX uses reserved fields" : "unknown opcode"), std::string::npos) << out.log;
    }
}

TEST(Arena, MustHaveAnAddress) {
    auto out = check(ld_map(r9, nowhere_fd) + ret0, {.map_from_fd = arena_maps::from_fd});
    EXPECT_EQ(out.err, EINVAL);
    EXPECT_NE(out.log.find("arena's user address must be set via map_extra or mmap()"), std::string::npos) << out.log;
}

}  // namespace

}  // namespace modbpf::test
