// SPDX-License-Identifier: GPL-2.0-only
// PROG_TEST_RUN through the command interface: by itself, and, where this process may load programs, against the
// running kernel's bpf() with the same bytes.
#include "base/bpf.h"
#include "cmd/attr.h"
#include "cmd/core.h"
#include "port/user/user.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <functional>
#include <string>
#include <vector>

using namespace modbpf;
using std::string;

namespace {

using code = std::vector<bpf_insn>;

bpf_insn insn(u32 op, u8 dst, u8 src, s16 off, s32 imm) {
    return {static_cast<u8>(op), dst, src, off, imm};
}
bpf_insn mov(u8 dst, s32 v) {
    return insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, v);
}
bpf_insn load(u32 size, u8 dst, u8 src, s16 off) {
    return insn(BPF_LDX | BPF_MEM | size, dst, src, off, 0);
}
bpf_insn store(u32 size, u8 dst, s16 off, u8 src) {
    return insn(BPF_STX | BPF_MEM | size, dst, src, off, 0);
}
bpf_insn leave() {
    return insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

code returns(s32 v) {
    return {mov(0, v), leave()};
}
/// Returns a context field.
code field(s16 off, u32 size = BPF_W) {
    return {load(size, 0, 1, off), leave()};
}

/// One bpf(): modbpf's or the kernel's.
struct engine {
    const char *name;
    std::function<long(u32, void *, u32)> bpf;
    std::function<void(int)> close_fd;
};

long kernel_bpf(u32 cmd, void *attr, u32 size) {
    long r = syscall(__NR_bpf, cmd, attr, size);
    return r < 0 ? -errno : r;
}
engine ours{"modbpf", [](u32 c, void *a, u32 n) { return modbpf_core_bpf(c, addr_of(a), n); },
            [](int fd) {
                close(fd);
                port_user_sweep();
            }};
engine kernel{"kernel", kernel_bpf, [](int fd) { close(fd); }};

int load_program(engine &e, u32 type, const code &c) {
    struct {
        u32 type, count;
        u64 insns, license;
        u32 pad[16];
    } a{type, static_cast<u32>(c.size()), addr_of(c.data()), addr_of("GPL"), {}};
    return static_cast<int>(e.bpf(BPF_PROG_LOAD, &a, sizeof(a)));
}

struct outcome {
    long err;
    u32 retval, data_size_out, ctx_size_out;
    string data, ctx;
    bool operator==(const outcome &) const = default;
};
void PrintTo(const outcome &o, std::ostream *s) {
    *s << "{err " << o.err << " retval " << o.retval << " size " << o.data_size_out << " ctx size " << o.ctx_size_out
       << " data " << ::testing::PrintToString(o.data) << " ctx " << ::testing::PrintToString(o.ctx) << "}";
}

struct request {
    string data;
    u32 data_room = 256;  ///< capacity; the attr says 0 when no_limit
    bool no_limit = false, no_data_out = false, bad_data = false, bad_out = false;
    string ctx;
    u32 ctx_room = 0;
    u32 repeat = 1, flags = 0, cpu = 0, batch = 0, duration = 0;
};

outcome test_run(engine &e, int prog, const request &q) {
    outcome o{};
    std::vector<char> data_out(8192, '\x7e'), ctx_out(256, '\x7e');
    test_run_attr a{};
    a.prog_fd = static_cast<u32>(prog);
    a.data_size_in = static_cast<u32>(q.data.size());
    a.data_in = q.bad_data ? 8 : q.data.empty() ? 0 : addr_of(q.data.data());
    a.data_size_out = q.no_limit ? 0 : q.data_room;
    a.data_out = q.no_data_out ? 0 : q.bad_out ? 8 : addr_of(data_out.data());
    a.ctx_size_in = static_cast<u32>(q.ctx.size());
    a.ctx_in = q.ctx.empty() ? 0 : addr_of(q.ctx.data());
    a.ctx_size_out = q.ctx_room;
    a.ctx_out = q.ctx_room ? addr_of(ctx_out.data()) : 0;
    a.repeat = q.repeat, a.flags = q.flags, a.cpu = q.cpu, a.batch_size = q.batch, a.duration = q.duration;
    o.err = e.bpf(BPF_PROG_TEST_RUN, &a, 76);
    o.retval = a.retval, o.data_size_out = a.data_size_out, o.ctx_size_out = a.ctx_size_out;
    o.data.assign(data_out.data(), 512);
    o.ctx.assign(ctx_out.data(), 200);
    return o;
}

class test_run_cmd : public ::testing::Test {
protected:
    void SetUp() override { ASSERT_EQ(modbpf_core_init(), 0); }
    void TearDown() override {
        port_user_sweep();
        modbpf_core_exit();
    }

    /// Runs on modbpf and compares with the kernel where that is possible. -> modbpf's outcome
    outcome run(u32 type, const code &c, const request &q) {
        int fd = load_program(ours, type, c);
        EXPECT_GE(fd, 0);
        outcome o = test_run(ours, fd, q);
        ours.close_fd(fd);
        int peer = load_program(kernel, type, c);
        if (peer >= 0) {
            EXPECT_EQ(o, test_run(kernel, peer, q)) << "the second one is the kernel's";
            kernel.close_fd(peer);
        }
        return o;
    }
    outcome cls(const code &c, const request &q) { return run(BPF_PROG_TYPE_SCHED_CLS, c, q); }
    outcome filter(const code &c, const request &q) { return run(BPF_PROG_TYPE_SOCKET_FILTER, c, q); }
    outcome xdp(const code &c, const request &q) { return run(BPF_PROG_TYPE_XDP, c, q); }
};

string bytes(size_t n, char first = 1) {
    string s(n, 0);
    for (size_t i = 0; i < n; i++)
        s[i] = static_cast<char>(first + static_cast<char>(i));
    return s;
}
string frame(u16 proto, size_t n) {
    string s = bytes(n);
    s[12] = static_cast<char>(proto >> 8), s[13] = static_cast<char>(proto);
    return s;
}
string words32(size_t size, std::initializer_list<std::pair<u32, u32>> values) {
    string s(size, 0);
    for (auto [off, v] : values)
        memcpy(&s[off], &v, 4);
    return s;
}

TEST_F(test_run_cmd, packet_comes_back) {
    outcome o = cls(returns(7), {.data = frame(0x88b5, 64)});
    EXPECT_EQ(o.err, 0);
    EXPECT_EQ(o.retval, 7u);
    EXPECT_EQ(o.data_size_out, 64u);
    EXPECT_EQ(o.data.substr(0, 64), frame(0x88b5, 64));
    o = filter(returns(-1), {.data = frame(0x88b5, 64)});
    EXPECT_EQ(o.data.substr(0, 64), string(14, 0) + frame(0x88b5, 64).substr(14));  // a filter sees no Ethernet header
    EXPECT_EQ(xdp(returns(2), {.data = frame(0x88b5, 64)}).data.substr(0, 64), frame(0x88b5, 64));
}

/// Whatever a run takes: between any two of them the CPU is given up when something waits for it.
TEST_F(test_run_cmd, gives_way_between_runs) {
    int fd = load_program(ours, BPF_PROG_TYPE_SCHED_CLS, returns(1));
    request q;
    q.data = frame(0x1234, 64);
    q.repeat = 1000;
    u64 before = port_user_resched_count();
    port_user_set_need_resched(true);
    EXPECT_EQ(test_run(ours, fd, q).retval, 1u);
    EXPECT_EQ(port_user_resched_count() - before, 999u);
    port_user_set_need_resched(false);
    EXPECT_EQ(test_run(ours, fd, q).err, 0);
    EXPECT_EQ(port_user_resched_count() - before, 999u);
    ours.close_fd(fd);
}

TEST_F(test_run_cmd, sizes_of_packets) {
    EXPECT_EQ(cls(returns(0), {.data = ""}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = bytes(13)}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = string(4096 - 64 - 320 + 1, 1)}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = string(4096 - 64 - 320, 1), .data_room = 4096}).err, 0);
    EXPECT_EQ(xdp(returns(2), {.data = bytes(13)}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = bytes(14)}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = frame(0x0800, 14 + 19)}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = frame(0x0800, 14 + 20)}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = frame(0x86dd, 14 + 39)}).err, -EINVAL);
    EXPECT_EQ(filter(returns(0), {.data = frame(0x86dd, 14 + 40)}).err, 0);
}

TEST_F(test_run_cmd, output_capacity) {
    string p = frame(0x88b5, 64);
    outcome o = cls(returns(7), {.data = p, .data_room = 20});
    EXPECT_EQ(o.err, -ENOSPC);
    EXPECT_EQ(o.retval, 7u);  // written nevertheless
    EXPECT_EQ(o.data_size_out, 64u);
    EXPECT_EQ(o.data.substr(0, 21), p.substr(0, 20) + "\x7e");
    EXPECT_EQ(cls(returns(7), {.data = p, .no_limit = true}).err, 0);
    EXPECT_EQ(cls(returns(7), {.data = p, .no_data_out = true}).data_size_out, 64u);
    EXPECT_EQ(xdp(returns(7), {.data = p, .data_room = 63}).err, -ENOSPC);
}

TEST_F(test_run_cmd, flags_and_faults) {
    string p = frame(0x88b5, 64);
    EXPECT_EQ(cls(returns(0), {.data = p, .bad_data = true}).err, -EFAULT);
    EXPECT_EQ(xdp(returns(0), {.data = p, .bad_data = true}).err, -EFAULT);
    EXPECT_EQ(cls(returns(0), {.data = p, .bad_out = true}).err, -EFAULT);
    EXPECT_EQ(cls(returns(0), {.data = p, .data_room = 20, .bad_out = true}).err, -ENOSPC);
    EXPECT_EQ(xdp(returns(0), {.data = p, .data_room = 20, .bad_out = true}).err, -ENOSPC);
    EXPECT_EQ(xdp(returns(0), {.data = string(5000, 1), .data_room = 4999, .bad_out = true}).err, -ENOSPC);
    EXPECT_EQ(xdp(returns(0), {.data = string(5000, 1), .data_room = 8000, .bad_out = true}).err, -EFAULT);
    EXPECT_EQ(cls(returns(0), {.data = p, .flags = 1}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = p, .cpu = 1}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = p, .batch = 1}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(0), {.data = p, .batch = 1}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(0), {.data = p, .flags = 1}).err, -EINVAL);
}

TEST_F(test_run_cmd, skb_fields_of_a_fresh_packet) {
    string to_host = frame(0x0800, 80), multicast = frame(0x88b5, 80), raw = frame(0x88b5, 80), llc = frame(0x0100, 80);
    memset(&to_host[0], 0, 6);
    raw[12] = 0, raw[13] = 40, raw[14] = raw[15] = '\xff';
    for (s16 off : {0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64, 68, 84, 164, 176})
        for (const string &p : {to_host, multicast, raw, llc}) {
            cls(field(off), {.data = p});
            filter(field(off), {.data = p});
        }
    for (s16 off : {72, 160})
        cls(field(off), {.data = multicast});
    cls(field(152, BPF_DW), {.data = multicast});
    cls(field(184, BPF_DW), {.data = multicast});
    EXPECT_EQ(cls(field(0), {.data = multicast}).retval, 80u);
    EXPECT_EQ(filter(field(0), {.data = multicast}).retval, 66u);
    EXPECT_EQ(cls(field(4), {.data = to_host}).retval, 0u);
    EXPECT_EQ(cls(field(4), {.data = multicast}).retval, 2u);  // its first byte is odd
    EXPECT_EQ(cls(field(16), {.data = to_host}).retval, 0x0008u);
    EXPECT_EQ(cls(field(16), {.data = raw}).retval, 0x0100u);
    EXPECT_EQ(cls(field(16), {.data = llc}).retval, 0x0400u);
    EXPECT_EQ(cls(field(40), {.data = llc}).retval, 1u);
    EXPECT_EQ(cls(field(1, BPF_B), {.data = multicast}).retval, 0u);  // narrow loads
    EXPECT_EQ(cls(field(16, BPF_H), {.data = to_host}).retval, 8u);
}

constexpr u32 skb_size = 192;

TEST_F(test_run_cmd, skb_context_goes_in_and_out) {
    string p = frame(0x88b5, 64);
    // mark += 1; cb[1] = mark; priority = 9
    code c{load(BPF_W, 2, 1, 8),
           insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, 1),
           store(BPF_W, 1, 8, 2),
           store(BPF_W, 1, 52, 2),
           mov(3, 9),
           store(BPF_W, 1, 32, 3),
           load(BPF_W, 0, 1, 36),
           leave()};
    string ctx =
        words32(skb_size, {{8, 41}, {32, 1}, {36, 11}, {40, 1}, {48, 5}, {152, 77}, {164, 3}, {176, 1000}, {184, 66}});
    outcome o = cls(c, {.data = p, .ctx = ctx, .ctx_room = skb_size});
    EXPECT_EQ(o.err, 0);
    EXPECT_EQ(o.retval, 11u);
    EXPECT_EQ(o.ctx_size_out, skb_size);
    EXPECT_EQ(o.ctx.substr(0, skb_size), words32(skb_size, {{8, 42},
                                                            {32, 9},
                                                            {36, 11},
                                                            {40, 1},
                                                            {48, 5},
                                                            {52, 42},
                                                            {152, 77},
                                                            {160, 64},
                                                            {164, 3},
                                                            {176, 1000},
                                                            {184, 66}}));
    EXPECT_EQ(cls(c, {.data = p, .ctx_room = skb_size}).ctx.substr(8, 4), string("\1\0\0\0", 4));  // output alone
    o = cls(c, {.data = p, .ctx = ctx, .ctx_room = 12});
    EXPECT_EQ(o.err, -ENOSPC);
    EXPECT_EQ(o.ctx_size_out, skb_size);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = ctx.substr(0, 12), .ctx_room = skb_size}).err, 0);  // short input
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = ctx + string(20, 0)}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = ctx + "x"}).err, -E2BIG);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = string(4097, 0)}).err, -E2BIG);
}

TEST_F(test_run_cmd, skb_context_fields_that_must_be_zero) {
    string p = frame(0x88b5, 64);
    for (u32 off = 0; off < skb_size; off += 4) {
        bool allowed = off == 8 || off == 32 || off == 36 || off == 40 || (off >= 48 && off < 68) ||
                       (off >= 152 && off < 168) || off == 176 || off >= 184;
        u32 v = off == 40 ? 1 : off == 160 ? 64 : 1;  // ifindex: lo; wire_len: at least the packet
        EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{off, v}})}).err, allowed ? 0 : -EINVAL) << off;
    }
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{160, 63}})}).err, -EINVAL);
    EXPECT_EQ(filter(returns(0), {.data = p, .ctx = words32(skb_size, {{160, 50}})}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{160, 65536}})}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{160, 65537}})}).err, -EINVAL);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{164, 65535}})}).err, 0);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{164, 65536}})}).err, -EINVAL);
    EXPECT_EQ(cls(field(176), {.data = p, .ctx = words32(skb_size, {{176, 0x12345}})}).retval, 0x2345u);
    EXPECT_EQ(cls(returns(0), {.data = p, .ctx = words32(skb_size, {{40, 12345}})}).err, -ENODEV);
}

// Linux keeps 16 bits of these fields.
TEST_F(test_run_cmd, truncated_stores) {
    string p = frame(0x88b5, 64);
    auto stored = [](s16 off, s32 v) {
        return code{mov(2, v), store(BPF_W, 1, off, 2), load(BPF_W, 0, 1, off), leave()};
    };
    for (s16 off : {44, 72})
        EXPECT_EQ(cls(stored(off, 0x12345), {.data = p}).retval, 0x2345u) << off;
    EXPECT_EQ(cls(stored(12, 0x1234), {.data = p}).retval, 0x1234u);
}

TEST_F(test_run_cmd, writes_to_the_packet) {
    string p = frame(0x88b5, 64);
    code c{load(BPF_W, 2, 1, 76),
           load(BPF_W, 3, 1, 80),
           insn(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
           insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 20),
           mov(0, 1),
           insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 2, 0),
           mov(5, 0x55),
           store(BPF_B, 2, 19, 5),
           leave()};
    outcome o = cls(c, {.data = p});
    EXPECT_EQ(o.data[19], 0x55);
    EXPECT_EQ(cls(c, {.data = p, .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE}).err, -EBADMSG);
    EXPECT_EQ(cls(returns(0), {.data = p, .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE}).err, 0);
}

TEST_F(test_run_cmd, xdp_metadata_and_fields) {
    string p = bytes(64);
    code meta_len{load(BPF_W, 2, 1, 0), load(BPF_W, 0, 1, 8), insn(BPF_ALU64 | BPF_SUB | BPF_X, 2, 0, 0, 0),
                  insn(BPF_ALU64 | BPF_MOV | BPF_X, 0, 2, 0, 0), leave()};
    outcome o = xdp(meta_len, {.data = p, .ctx = words32(24, {{0, 8}, {4, 64}}), .ctx_room = 24});
    EXPECT_EQ(o.err, 0);
    EXPECT_EQ(o.retval, 8u);
    EXPECT_EQ(o.data_size_out, 64u);
    EXPECT_EQ(o.ctx.substr(0, 24), words32(24, {{0, 8}, {4, 64}}));
    EXPECT_EQ(xdp(meta_len, {.data = p}).retval, 0u);
    for (u32 bad : {1u, 6u, 220u, 256u})
        EXPECT_EQ(xdp(returns(2), {.data = string(300, 1), .ctx = words32(24, {{0, bad}, {4, 300}})}).err, -EINVAL)
            << bad;
    EXPECT_EQ(xdp(returns(2), {.data = string(300, 1), .data_room = 512, .ctx = words32(24, {{0, 216}, {4, 300}})}).err,
              0);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{0, 52}, {4, 64}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 65}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{0, 8}, {4, 4}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {8, 4}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {12, 1}})}).err, 0);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {12, 1}, {16, 1}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {16, 1}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {20, 1}})}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(2), {.data = p, .ctx = words32(24, {{4, 64}, {12, 54321}})}).err, -ENODEV);
    EXPECT_EQ(xdp(field(12), {.data = p}).retval, 1u);
    EXPECT_EQ(xdp(field(16), {.data = p}).retval, 0u);
}

TEST_F(test_run_cmd, xdp_fragments) {
    string p = bytes(200);
    code linear{load(BPF_W, 2, 1, 0), load(BPF_W, 0, 1, 4), insn(BPF_ALU64 | BPF_SUB | BPF_X, 0, 2, 0, 0), leave()};
    // data_end of the context cuts the linear part; the rest are fragments.
    outcome o = xdp(linear, {.data = p, .ctx = words32(24, {{4, 100}}), .ctx_room = 24});
    EXPECT_EQ(o.retval, 100u);
    EXPECT_EQ(o.data_size_out, 200u);
    EXPECT_EQ(o.data.substr(0, 200), p);
    string large(9000, 'L');
    o = xdp(linear, {.data = large, .data_room = 9000, .no_data_out = true});
    EXPECT_EQ(o.retval, 4096u - 256 - 320);
    EXPECT_EQ(o.data_size_out, 9000u);
    EXPECT_EQ(xdp(linear, {.data = p, .data_room = 50, .ctx = words32(24, {{4, 100}})}).err, -ENOSPC);
    EXPECT_EQ(xdp(linear, {.data = p, .data_room = 150, .ctx = words32(24, {{4, 100}})}).err, -ENOSPC);
}

TEST_F(test_run_cmd, repeats) {
    // cb[0] += 1 in each run
    code c{load(BPF_W, 0, 1, 48), insn(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 1), store(BPF_W, 1, 48, 0), leave()};
    for (u32 n : {0u, 1u, 2u, 1000u, 100003u})
        EXPECT_EQ(cls(c, {.data = frame(0x88b5, 64), .repeat = n}).retval, n ? n : 1);
}

TEST_F(test_run_cmd, raw_tracepoints) {
    u32 type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    string args(96, 0);
    u64 v = 0x1122334455667788;
    memcpy(&args[8], &v, 8);
    request q{.data_room = 0, .no_data_out = true, .ctx = args, .repeat = 0};
    EXPECT_EQ(run(type, field(8, BPF_DW), q).retval, 0x55667788u);
    EXPECT_EQ(run(type, field(12, BPF_H), q).retval, 0x3344u);
    q.ctx = args.substr(0, 8);
    EXPECT_EQ(run(type, field(8, BPF_DW), q).err, -EINVAL);  // shorter than what the program reads
    EXPECT_EQ(run(type, field(0, BPF_DW), q).err, 0);
    q.ctx = args + string(8, 0);
    EXPECT_EQ(run(type, returns(1), q).err, -EINVAL);
    q.ctx = "";
    EXPECT_EQ(run(type, returns(1), q).retval, 1u);
    q.cpu = 1;
    EXPECT_EQ(run(type, returns(1), q).err, -EINVAL);
    q.flags = BPF_F_TEST_RUN_ON_CPU;
    q.cpu = port_cpu_count() - 1;
    EXPECT_EQ(run(type, {insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_smp_processor_id), leave()}, q).retval, q.cpu);
    q.cpu = 100000;
    EXPECT_EQ(run(type, returns(1), q).err, -ENXIO);
    EXPECT_EQ(run(type, returns(1), {.data_room = 0, .no_data_out = true, .repeat = 1}).err, -EINVAL);
    EXPECT_EQ(run(type, returns(1), {.data_room = 0, .no_data_out = true, .repeat = 0, .batch = 1}).err, -EINVAL);
    EXPECT_EQ(run(type, returns(1), {.data_room = 0, .no_data_out = true, .repeat = 0, .duration = 1}).err, -EINVAL);
    EXPECT_EQ(run(type, returns(1), {.data = "x", .data_room = 0, .no_data_out = true, .repeat = 0}).err, -EINVAL);
}

TEST_F(test_run_cmd, types_without_a_test_run) {
    request q{.data = frame(0x88b5, 64)};
    EXPECT_EQ(run(BPF_PROG_TYPE_KPROBE, returns(0), q).err, -ENOTSUPP);
    EXPECT_EQ(run(BPF_PROG_TYPE_TRACEPOINT, returns(0), q).err, -ENOTSUPP);
}

TEST_F(test_run_cmd, every_type_that_sees_a_packet) {
    constexpr u32 types[] = {BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_CGROUP_SKB,
                             BPF_PROG_TYPE_LWT_IN, BPF_PROG_TYPE_LWT_OUT, BPF_PROG_TYPE_LWT_XMIT};
    for (u32 type : types) {
        SCOPED_TRACE(type);
        EXPECT_EQ(run(type, returns(1), {.data = frame(0x88b5, 64)}).retval, 1u);
        EXPECT_EQ(run(type, returns(1), {.data = frame(0x88b5, 64), .flags = BPF_F_TEST_SKB_CHECKSUM_COMPLETE}).err, 0);
        run(type, returns(1), {.data = frame(0x88b5, 13)});
        if (type != BPF_PROG_TYPE_CGROUP_SKB) // it returns 0 or 1
            run(type, field(0), {.data = frame(0x88b5, 64)});
    }
}

// A type that nothing attaches is loaded with whatever is safe; what cannot run is told when it is to run.
TEST_F(test_run_cmd, what_cannot_run_is_held) {
    code asks{insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_route_realm), leave()};
    ASSERT_FALSE(find_helper(BPF_FUNC_get_route_realm));
    int fd = load_program(ours, BPF_PROG_TYPE_SCHED_CLS, asks);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(test_run(ours, fd, {.data = frame(0x88b5, 64)}).err, -ENOTSUPP);
    ours.close_fd(fd);
    fd = load_program(ours, BPF_PROG_TYPE_SK_MSG, returns(0));
    ASSERT_GE(fd, 0);
    EXPECT_EQ(test_run(ours, fd, {.data = frame(0x88b5, 64)}).err, -ENOTSUPP);
    ours.close_fd(fd);
    EXPECT_EQ(load_program(ours, BPF_PROG_TYPE_LIRC_MODE2, returns(0)), -ENOTSUPP);
    code signal{mov(2, 0), insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_override_return), mov(0, 0), leave()};
    ASSERT_FALSE(find_helper(BPF_FUNC_override_return));
    EXPECT_EQ(load_program(ours, BPF_PROG_TYPE_KPROBE, signal), -ENOTSUPP);
}

/// What Linux refuses in a request for live frames comes before our own refusal.
TEST_F(test_run_cmd, live_frames_have_their_own_limits) {
    constexpr u32 live = BPF_F_TEST_XDP_LIVE_FRAMES;
    EXPECT_EQ(xdp(returns(1), {.data = bytes(64), .no_data_out = true, .flags = live, .batch = 257}).err, -E2BIG);
    EXPECT_EQ(xdp(returns(1), {.data = bytes(64), .ctx = words32(24, {{4, 64}}), .flags = live}).err, -EINVAL);
    EXPECT_EQ(xdp(returns(1), {.data = bytes(13), .no_data_out = true, .flags = live}).err, -EINVAL);
    u32 most = 4096 - 256 - 112 - 320;
    EXPECT_EQ(xdp(returns(1), {.data = string(most + 1, 1), .no_data_out = true, .flags = live}).err, -EINVAL);
    int fd = load_program(ours, BPF_PROG_TYPE_XDP, returns(1));
    EXPECT_EQ(test_run(ours, fd, {.data = string(most, 1), .no_data_out = true, .flags = live, .batch = 256}).err, -EOPNOTSUPP);
    ours.close_fd(fd);
}

TEST_F(test_run_cmd, live_frames_are_absent) {
    int fd = load_program(ours, BPF_PROG_TYPE_XDP, returns(2));
    EXPECT_EQ(test_run(ours, fd, {.data = bytes(64), .no_data_out = true, .flags = BPF_F_TEST_XDP_LIVE_FRAMES}).err,
              -EOPNOTSUPP);
    ours.close_fd(fd);
}

// Every allocation of a test run may fail: ENOMEM, and nothing is lost.
TEST_F(test_run_cmd, survives_allocation_failures) {
    int fd = load_program(ours, BPF_PROG_TYPE_XDP, returns(2));
    request q{.data = bytes(200), .ctx = words32(24, {{4, 100}})};
    for (u32 n = 1;; n++) {
        port_fail_nth_set(n);
        long err = test_run(ours, fd, q).err;
        port_fail_nth_set(0);
        if (!err) {
            EXPECT_GE(n, 3u);
            break;
        }
        ASSERT_EQ(err, -ENOMEM);
    }
    ours.close_fd(fd);
}

}  // namespace
