// SPDX-License-Identifier: GPL-2.0-only
// Context accesses and helper permissions against the running kernel: each offset and size of each program type loads
// on modbpf exactly when it loads on the kernel, and modbpf allows no helper to a type that the kernel keeps it from.
#include "base/bpf.h"
#include "cmd/core.h"
#include "helpers/helper.h"
#include "port/user/user.h"
#include "verifier/context.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <string>
#include <vector>

using namespace modbpf;

namespace {

struct load_attr {
    u32 type, count;
    u64 insns, license;
    u32 log_level, log_size;
    u64 log_buf;
    u32 pad[20];
};

std::string log_text;

/// 0 or -errno; the log stands in log_text.
long load(bool on_kernel, u32 type, const std::vector<bpf_insn> &c) {
    static std::vector<char> log(1 << 16);
    log[0] = 0;
    load_attr a{type, static_cast<u32>(c.size()),   addr_of(c.data()),   addr_of("GPL"),
                1,    static_cast<u32>(log.size()), addr_of(log.data()), {}};
    long fd;
    if (on_kernel) {
        fd = syscall(__NR_bpf, BPF_PROG_LOAD, &a, sizeof(a));
        fd = fd < 0 ? -errno : fd;
    } else {
        fd = modbpf_core_bpf(BPF_PROG_LOAD, addr_of(&a), sizeof(a));
    }
    log_text = log.data();
    if (fd < 0)
        return fd;
    close(static_cast<int>(fd));
    port_user_sweep();
    return 0;
}

constexpr bpf_insn mov0{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, leave{BPF_JMP | BPF_EXIT, 0, 0, 0, 0};

class access_peer : public ::testing::Test {
protected:
    void SetUp() override {
        if (load(true, BPF_PROG_TYPE_XDP, {mov0, leave}))
            GTEST_SKIP() << "this process may not load programs";
        ASSERT_EQ(modbpf_core_init(), 0);
        started_ = true;
    }
    void TearDown() override {
        if (started_)
            modbpf_core_exit();
    }

private:
    bool started_ = false;
};

/// Where the two differ on purpose: fields that load sockets are absent; Linux lets tracepoint programs read in front
/// of their record, because it compares a negative offset with an unsigned size.
bool differs(u32 type, s32 off, u32 size) {
    if (type == BPF_PROG_TYPE_TRACEPOINT && off < 0)
        return true;
    return type == BPF_PROG_TYPE_SCHED_CLS || type == BPF_PROG_TYPE_SOCKET_FILTER ? off == 168 && size == 8 : false;
}

TEST_F(access_peer, context_accesses) {
    u32 accepted = 0;
    for (const prog_type_info &t : all_prog_types()) {
        s32 end = min<s32>(static_cast<s32>(t.size), 200) + 8;
        for (s32 off = -8; off <= end; off++)
            for (u8 size : {BPF_B, BPF_H, BPF_W, BPF_DW})
                for (u8 mode : {0, 1, 2, 3}) {  // load, sign-extending load, store of a register, store of a constant
                    if (mode == 1 && size == BPF_DW)
                        continue;
                    s16 o = static_cast<s16>(off);
                    bpf_insn access = mode == 0   ? bpf_insn{static_cast<u8>(BPF_LDX | BPF_MEM | size), 2, 1, o, 0}
                                      : mode == 1 ? bpf_insn{static_cast<u8>(BPF_LDX | BPF_MEMSX | size), 2, 1, o, 0}
                                      : mode == 2 ? bpf_insn{static_cast<u8>(BPF_STX | BPF_MEM | size), 1, 0, o, 0}
                                                  : bpf_insn{static_cast<u8>(BPF_ST | BPF_MEM | size), 1, 0, o, 5};
                    std::vector<bpf_insn> c{mov0, access, leave};
                    u32 bytes = size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8;
                    if (differs(t.type, off, bytes))
                        continue;
                    long want = load(true, t.type, c), got = load(false, t.type, c);
                    accepted += !got;
                    EXPECT_EQ(got, want) << t.name << " off " << off << " size " << bytes << " mode " << int{mode}
                                         << "\n"
                                         << log_text;
                }
    }
    EXPECT_GT(accepted, 1000u);
}

TEST_F(access_peer, helpers_of_program_types) {
    auto hidden = [] {
        return log_text.find("cannot use helper") != std::string::npos ||
               log_text.find("unknown func") != std::string::npos;
    };
    for (const prog_type_info &t : all_prog_types())
        for (u32 id = 1; id < func_id_count; id++) {
            std::vector<bpf_insn> c{{BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<s32>(id)}, mov0, leave};
            load(false, t.type, c);
            bool ours = !hidden();
            const helper_proto *p = find_helper(id);
            EXPECT_EQ(ours, p && (p->prog_types >> t.type & 1)) << t.name << " " << helper_name(id);
            load(true, t.type, c);
            EXPECT_FALSE(ours && hidden()) << t.name << " " << helper_name(id);
        }
}

}  // namespace
