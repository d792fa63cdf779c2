// SPDX-License-Identifier: GPL-2.0-only
// The walks that the log shows at level 2, line by line, as Linux 6.12 makes them (precision_log.h).
#include "verifier/asm_test.h"
#include "verifier/precision_log.h"

namespace modbpf::test {

namespace {

const prog ret0 = {mov(r0, 0), exit_()};

/// The lines of the log at level 2 that tell of precision, without their common start.
std::string walks(const prog &p, u32 flags = 0) {
    outcome out = check(p, {.flags = flags, .log_level = BPF_LOG_LEVEL2});
    EXPECT_EQ(out.err, 0) << out.log;
    std::string all;
    for (size_t at = 0, end; at < out.log.size(); at = end + 1) {
        end = std::min(out.log.find('\n', at), out.log.size());
        std::string line = out.log.substr(at, end - at);
        if (line.starts_with("mark_precise: "))
            all += line.substr(14) + "\n";
        else if (line.starts_with("force_precise: ") || line.find("propagating ") != std::string::npos)
            all += line + "\n";
    }
    return all;
}

const prog any_r6 = {call(BPF_FUNC_get_prandom_u32), mov_x(r6, r0), alu(BPF_AND, r6, 7)};
const prog use_r6 = {mov_x(r1, r10), add_x(r1, r6)};

}  // namespace

TEST(PrecisionLog, EndsAtAConstant) {
    EXPECT_EQ(walks(prog{mov(r2, 3), mov_x(r6, r2)} + use_r6 + ret0), 1 + R"(
frame0: last_idx 3 first_idx 0 subseq_idx -1 
frame0: regs=r6 stack= before 2: (bf) r1 = r10
frame0: regs=r6 stack= before 1: (bf) r6 = r2
frame0: regs=r2 stack= before 0: (b7) r2 = 3
)");
}

TEST(PrecisionLog, SilentAtOtherLevels) {
    prog p = any_r6 + use_r6 + prog{ldx(BPF_B, r0, r1, -8)} + ret0;
    for (u32 level : {BPF_LOG_LEVEL1, BPF_LOG_STATS})
        EXPECT_EQ(check(p, {.log_level = level}).log.find("mark_precise"), std::string::npos);
}

TEST(PrecisionLog, FollowsSpillsThroughCheckpoints) {
    prog p = any_r6 + prog{stx(BPF_DW, r10, r6, -8), mov(r6, 0), ja(0), ldx(BPF_DW, r6, r10, -8)} + use_r6 + ret0;
    EXPECT_EQ(walks(p, BPF_F_TEST_STATE_FREQ), 1 + R"(
frame0: last_idx 8 first_idx 6 subseq_idx -1 
frame0: regs=r6 stack= before 7: (bf) r1 = r10
frame0: regs=r6 stack= before 6: (79) r6 = *(u64 *)(r10 -8)
frame0: parent state regs= stack=-8:  R0=scalar(id=1) R6_w=0 R10=fp0 fp-8_rw=Pscalar(id=2,smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7))
frame0: last_idx 5 first_idx 1 subseq_idx 6 
frame0: regs= stack=-8 before 5: (05) goto pc+0
frame0: regs= stack=-8 before 4: (b7) r6 = 0
frame0: regs= stack=-8 before 3: (7b) *(u64 *)(r10 -8) = r6
frame0: regs=r6 stack= before 2: (57) r6 &= 7
frame0: regs=r6 stack= before 1: (bf) r6 = r0
frame0: parent state regs=r0 stack=:  R0_rw=Pscalar() R10=fp0
frame0: last_idx 0 first_idx 0 subseq_idx 1 
frame0: regs=r0 stack= before 0: (85) call bpf_get_prandom_u32#7
)");
}

TEST(PrecisionLog, FollowsWhatABranchTied) {
    prog p = any_r6 + prog{mov_x(r7, r6), jmp(BPF_JGT, r7, 4, 3)} + use_r6 + ja(0) + ret0;
    EXPECT_EQ(walks(p), 1 + R"(
frame0: last_idx 6 first_idx 0 subseq_idx -1 
frame0: regs=r6 stack= before 5: (bf) r1 = r10
frame0: regs=r6 stack= before 4: (25) if r7 > 0x4 goto pc+3
frame0: regs=r6,r7 stack= before 3: (bf) r7 = r6
frame0: regs=r6 stack= before 2: (57) r6 &= 7
frame0: regs=r6 stack= before 1: (bf) r6 = r0
frame0: regs=r0 stack= before 0: (85) call bpf_get_prandom_u32#7
)");
}

TEST(PrecisionLog, FollowsArgumentsAndResults) {
    prog p = any_r6 + prog{mov_x(r1, r6), call_pc(5), mov_x(r6, r0)} + use_r6 + ret0 + prog{mov_x(r0, r1), add(r0, 1), exit_()};
    EXPECT_EQ(walks(p), 1 + R"(
frame0: last_idx 7 first_idx 5 subseq_idx -1 
frame0: regs=r6 stack= before 6: (bf) r1 = r10
frame0: regs=r6 stack= before 5: (bf) r6 = r0
frame0: parent state regs=r0 stack=:  R0_rw=Pscalar(id=2+1,smin=umin=smin32=umin32=1,smax=umax=smax32=umax32=8,var_off=(0x0; 0xf)) R6_w=scalar(id=2,smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R10=fp0
frame0: last_idx 12 first_idx 0 subseq_idx 5 
frame0: regs=r0 stack= before 12: (95) exit
frame1: regs=r0 stack= before 11: (07) r0 += 1
frame1: regs=r0 stack= before 10: (bf) r0 = r1
frame1: regs=r1 stack= before 4: (85) call pc+5
frame0: regs=r1 stack= before 3: (bf) r1 = r6
frame0: regs=r6 stack= before 2: (57) r6 &= 7
frame0: regs=r6 stack= before 1: (bf) r6 = r0
frame0: regs=r0 stack= before 0: (85) call bpf_get_prandom_u32#7
)");
}

TEST(PrecisionLog, MarksAllWhereItCannotFollow) {
    // The difference of two pointers, of which one was stored through.
    prog p = any_r6 + prog{jmp(BPF_JEQ, r6, 1, 0), mov_x(r7, r10), stx(BPF_DW, r7, r6, -8), mov_x(r8, r10),
                           alu_x(BPF_SUB, r7, r8), alu(BPF_AND, r7, 7), mov_x(r1, r10), add_x(r1, r7)} + ret0;
    EXPECT_EQ(walks(p, BPF_F_TEST_STATE_FREQ), 1 + R"(
frame0: last_idx 10 first_idx 4 subseq_idx -1 
frame0: regs=r7 stack= before 9: (bf) r1 = r10
frame0: regs=r7 stack= before 8: (57) r7 &= 7
frame0: regs=r7 stack= before 7: (1f) r7 -= r8
frame0: regs=r7,r8 stack= before 6: (bf) r8 = r10
frame0: regs=r7 stack= before 5: (7b) *(u64 *)(r7 -8) = r6
frame0: falling back to forcing all scalars precise
force_precise: frame0: forcing r0 to be precise
force_precise: frame0: forcing r6 to be precise
force_precise: frame0: forcing r0 to be precise
force_precise: frame0: forcing r6 to be precise
force_precise: frame0: forcing r0 to be precise
frame 0: propagating r6
frame0: last_idx 4 first_idx 3 subseq_idx -1 
frame0: regs=r6 stack= before 3: (15) if r6 == 0x1 goto pc+0
frame0: parent state regs= stack=:  R0=Pscalar(id=1) R6_rw=Pscalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R10=fp0
)");
}

TEST(PrecisionLog, TellsWhatAPruneDemands) {
    prog p = any_r6 + prog{mov_x(r8, r0), jmp(BPF_JEQ, r8, 9, 1), mov(r8, 1), ja(0)} + use_r6 + ret0;
    EXPECT_EQ(walks(p, BPF_F_TEST_STATE_FREQ), 1 + R"(
frame0: last_idx 8 first_idx 7 subseq_idx -1 
frame0: regs=r6 stack= before 7: (bf) r1 = r10
frame0: parent state regs=r6 stack=:  R0=scalar(id=1) R6_r=Pscalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R8=1 R10=fp0
frame0: last_idx 6 first_idx 6 subseq_idx 7 
frame0: regs=r6 stack= before 6: (05) goto pc+0
frame0: parent state regs=r6 stack=:  R0=scalar(id=1) R6_r=Pscalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R8_w=1 R10=fp0
frame0: last_idx 5 first_idx 4 subseq_idx 6 
frame0: regs=r6 stack= before 5: (b7) r8 = 1
frame0: regs=r6 stack= before 4: (15) if r8 == 0x9 goto pc+1
frame0: parent state regs=r6 stack=:  R0=scalar(id=1) R6_rw=Pscalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R8_rw=scalar(id=1) R10=fp0
frame0: last_idx 3 first_idx 1 subseq_idx 4 
frame0: regs=r6 stack= before 3: (bf) r8 = r0
frame0: regs=r6 stack= before 2: (57) r6 &= 7
frame0: regs=r6 stack= before 1: (bf) r6 = r0
frame0: parent state regs=r0 stack=:  R0_rw=Pscalar() R10=fp0
frame0: last_idx 0 first_idx 0 subseq_idx 1 
frame0: regs=r0 stack= before 0: (85) call bpf_get_prandom_u32#7
frame 0: propagating r6
frame0: last_idx 6 first_idx 4 subseq_idx -1 
frame0: regs=r6 stack= before 4: (15) if r8 == 0x9 goto pc+1
frame0: parent state regs= stack=:  R0=scalar(id=1) R6_rw=Pscalar(smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)) R8_rw=scalar(id=1) R10=fp0
)");
}

TEST(PrecisionLog, EndsAtItsLimit) {
    prog p = any_r6 + use_r6 + prog(max_explained_insns, mov(r0, 1)) + use_r6 + ret0;
    outcome out = check(p, {.log_level = BPF_LOG_LEVEL2, .log_size = 16 << 20});
    EXPECT_EQ(out.err, 0);
    size_t told = out.log.find("mark_precise: the log is too long, no more is traced\n");
    ASSERT_NE(told, std::string::npos);
    EXPECT_LT(out.log.find("mark_precise: frame0: regs=r6"), told);
    EXPECT_EQ(out.log.find("mark_precise", told + 1), std::string::npos);
}

// Every allocation fails once, and the answer is ENOMEM.
TEST(PrecisionLog, FailedAllocations) {
    prog p = any_r6 + prog{stx(BPF_DW, r10, r6, -8), jmp(BPF_JEQ, r6, 3, 1), mov(r6, 1), ldx(BPF_DW, r6, r10, -8)} + use_r6 + ret0;
    for (u64 n = 1; n < 10000; n++) {
        port_fail_nth_set(n);
        outcome out = check(p, {.flags = BPF_F_TEST_STATE_FREQ, .log_level = BPF_LOG_LEVEL2});
        if (port_fail_nth_set(0) < n) {
            EXPECT_EQ(out.err, 0);
            return;
        }
        EXPECT_EQ(out.err, ENOMEM) << n;
    }
}

}  // namespace modbpf::test
