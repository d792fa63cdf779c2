// SPDX-License-Identifier: GPL-2.0-only
// Rules of program types, each from both sides: context accesses, packet access, return values, sleepable programs. The expectations
// are written down from Linux 6.12's structures and rules for user space, not taken from the tables.
#include "verifier/asm_test.h"

namespace modbpf::test {

namespace {

constexpr u32 filter = BPF_PROG_TYPE_SOCKET_FILTER, cls = BPF_PROG_TYPE_SCHED_CLS, cgskb = BPF_PROG_TYPE_CGROUP_SKB,
              lwt_in = BPF_PROG_TYPE_LWT_IN, lwt_xmit = BPF_PROG_TYPE_LWT_XMIT, sk_skb = BPF_PROG_TYPE_SK_SKB,
              dissector = BPF_PROG_TYPE_FLOW_DISSECTOR, xdp = BPF_PROG_TYPE_XDP, cgsock = BPF_PROG_TYPE_CGROUP_SOCK,
              addr = BPF_PROG_TYPE_CGROUP_SOCK_ADDR, ops = BPF_PROG_TYPE_SOCK_OPS, msg = BPF_PROG_TYPE_SK_MSG,
              reuse = BPF_PROG_TYPE_SK_REUSEPORT, lookup = BPF_PROG_TYPE_SK_LOOKUP, device = BPF_PROG_TYPE_CGROUP_DEVICE,
              sysctl = BPF_PROG_TYPE_CGROUP_SYSCTL, sockopt = BPF_PROG_TYPE_CGROUP_SOCKOPT, perf = BPF_PROG_TYPE_PERF_EVENT,
              raw_tp = BPF_PROG_TYPE_RAW_TRACEPOINT, raw_tp_w = BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
              syscall_ = BPF_PROG_TYPE_SYSCALL, lirc = BPF_PROG_TYPE_LIRC_MODE2, act = BPF_PROG_TYPE_SCHED_ACT,
              netfilter = BPF_PROG_TYPE_NETFILTER, kprobe = BPF_PROG_TYPE_KPROBE;

u8 size_code(u32 size) { return size == 1 ? BPF_B : size == 2 ? BPF_H : size == 4 ? BPF_W : BPF_DW; }

struct access_row {
    u32 type, attach;
    u32 off, size;
    bool store;
    bool ok;
    const char *yields = nullptr; ///< how the log names what a load gave
};
constexpr bool load = false, store = true, yes = true, no = false;

// clang-format off
const access_row accesses[] = {
    // __sk_buff: parts of words, whole words where something else is behind them, and who may write.
    {filter, 0, 1, 1, load, yes}, {filter, 0, 2, 4, load, no}, {filter, 0, 0, 8, load, no},
    {filter, 0, 76, 4, load, no}, {filter, 0, 88, 4, load, no}, {filter, 0, 160, 4, load, no},
    {filter, 0, 168, 8, load, yes, "sock_common_or_null"}, {filter, 0, 168, 4, load, no}, {filter, 0, 168, 8, store, no},
    {filter, 0, 48, 8, store, yes}, {filter, 0, 64, 8, store, no}, {filter, 0, 8, 4, store, no},
    {cls, 0, 8, 4, store, yes}, {cls, 0, 8, 2, store, no}, {cls, 0, 168, 8, load, yes, "sock_common_or_null"},
    {act, 0, 76, 4, load, yes, "pkt("}, {act, 0, 140, 4, load, yes, "pkt_meta("}, {act, 0, 72, 4, store, yes},
    {act, 0, 144, 8, load, no}, {act, 0, 180, 1, load, yes}, {act, 0, 181, 1, load, no},
    {cgskb, 0, 76, 4, load, yes, "pkt("}, {cgskb, 0, 140, 4, load, no}, {cgskb, 0, 72, 4, load, no}, {cgskb, 0, 160, 4, load, no},
    {cgskb, 0, 152, 8, store, yes}, {cgskb, 0, 152, 4, load, no}, {cgskb, 0, 8, 4, store, yes}, {cgskb, 0, 44, 4, store, no},
    {cgskb, 0, 88, 2, load, yes}, {cgskb, 0, 92, 2, load, no}, {cgskb, 0, 92, 4, load, yes}, {cgskb, 0, 112, 4, load, yes},
    {cgskb, 0, 184, 8, load, yes}, {cgskb, 0, 184, 8, store, no},
    {lwt_in, 0, 76, 4, load, yes, "pkt("}, {lwt_in, 0, 152, 8, load, no}, {lwt_in, 0, 88, 4, load, no}, {lwt_in, 0, 32, 4, store, yes},
    {lwt_in, 0, 12, 4, store, no}, {lwt_in, 0, 164, 2, load, yes}, {lwt_xmit, 0, 80, 4, load, yes, "pkt_end"},
    {sk_skb, 0, 8, 4, load, no}, {sk_skb, 0, 44, 4, store, yes}, {sk_skb, 0, 48, 4, store, no}, {sk_skb, 0, 48, 8, load, yes},
    {sk_skb, 0, 88, 4, load, yes}, {sk_skb, 0, 76, 4, load, yes, "pkt("},
    {dissector, 0, 76, 4, load, yes, "pkt("}, {dissector, 0, 144, 8, load, yes, "flow_keys"}, {dissector, 0, 144, 4, load, no},
    {dissector, 0, 0, 4, load, no}, {dissector, 0, 144, 8, store, no},
    // xdp_md
    {xdp, 0, 20, 4, load, no}, {xdp, BPF_XDP_DEVMAP, 20, 4, load, yes}, {xdp, BPF_XDP_DEVMAP, 20, 2, load, no},
    {xdp, 0, 16, 4, store, no},
    // bpf_sock
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 0, 4, store, yes}, {cgsock, BPF_CGROUP_INET4_POST_BIND, 0, 4, load, no},
    {cgsock, BPF_CGROUP_INET_SOCK_RELEASE, 16, 4, load, yes}, {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 16, 2, load, no},
    {cgsock, BPF_CGROUP_INET4_POST_BIND, 26, 2, load, yes}, {cgsock, BPF_CGROUP_INET6_POST_BIND, 24, 4, load, no},
    {cgsock, BPF_CGROUP_INET6_POST_BIND, 40, 1, load, yes}, {cgsock, BPF_CGROUP_INET4_POST_BIND, 40, 1, load, no},
    {cgsock, BPF_CGROUP_INET6_POST_BIND, 44, 2, load, yes}, {cgsock, BPF_CGROUP_INET6_POST_BIND, 46, 2, load, no},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 44, 4, load, no}, {cgsock, BPF_CGROUP_INET4_POST_BIND, 24, 4, store, no},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 48, 4, load, yes}, {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 49, 1, load, yes},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 50, 2, load, no}, {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 60, 1, load, yes},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 4, 1, load, yes}, {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 5, 1, load, no},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 4, 4, store, no}, {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 76, 4, load, yes},
    {cgsock, BPF_CGROUP_INET_SOCK_CREATE, 80, 4, load, no},
    // bpf_sock_addr
    {addr, BPF_CGROUP_INET4_BIND, 4, 4, store, yes}, {addr, BPF_CGROUP_INET6_BIND, 4, 4, load, no},
    {addr, BPF_CGROUP_INET4_BIND, 4, 1, store, no}, {addr, BPF_CGROUP_INET4_BIND, 5, 1, load, yes},
    {addr, BPF_CGROUP_INET6_CONNECT, 8, 8, store, yes}, {addr, BPF_CGROUP_INET6_CONNECT, 16, 8, load, yes},
    {addr, BPF_CGROUP_INET6_CONNECT, 12, 2, load, yes}, {addr, BPF_CGROUP_INET6_CONNECT, 12, 2, store, no},
    {addr, BPF_CGROUP_UNIX_CONNECT, 8, 4, load, no}, {addr, BPF_CGROUP_UNIX_CONNECT, 24, 4, load, yes},
    {addr, BPF_CGROUP_UDP4_SENDMSG, 40, 4, store, yes}, {addr, BPF_CGROUP_UDP4_RECVMSG, 40, 4, load, no},
    {addr, BPF_CGROUP_UDP6_SENDMSG, 48, 8, load, yes}, {addr, BPF_CGROUP_UDP6_SENDMSG, 56, 8, load, no},
    {addr, BPF_CGROUP_UDP6_SENDMSG, 56, 4, store, yes}, {addr, BPF_CGROUP_INET4_BIND, 0, 4, store, no},
    {addr, BPF_CGROUP_INET4_BIND, 0, 2, load, no}, {addr, BPF_CGROUP_INET4_BIND, 36, 4, load, yes},
    {addr, BPF_CGROUP_INET4_BIND, 64, 8, load, yes, "sock("}, {addr, BPF_CGROUP_INET4_BIND, 60, 4, load, no},
    // bpf_sock_ops
    {ops, 0, 4, 4, store, yes}, {ops, 0, 8, 4, store, no}, {ops, 0, 8, 4, load, yes}, {ops, 0, 8, 8, load, no},
    {ops, 0, 164, 4, store, yes}, {ops, 0, 168, 8, load, yes}, {ops, 0, 168, 4, load, no},
    {ops, 0, 184, 8, load, yes, "sock_or_null"}, {ops, 0, 192, 8, load, yes, "pkt("}, {ops, 0, 200, 8, load, yes, "pkt_end"},
    {ops, 0, 212, 1, load, yes}, {ops, 0, 213, 1, load, no}, {ops, 0, 208, 1, load, no}, {ops, 0, 216, 8, load, yes},
    {ops, 0, 224, 8, load, no},
    // sk_msg_md, sk_reuseport_md, bpf_sk_lookup
    {msg, 0, 0, 8, load, yes, "pkt("}, {msg, 0, 0, 4, load, no}, {msg, 0, 72, 8, load, yes, "sock("}, {msg, 0, 68, 4, load, yes},
    {msg, 0, 68, 2, load, no}, {msg, 0, 68, 4, store, no},
    {reuse, BPF_SK_REUSEPORT_SELECT, 0, 8, load, yes, "pkt("}, {reuse, BPF_SK_REUSEPORT_SELECT, 20, 2, load, yes},
    {reuse, BPF_SK_REUSEPORT_SELECT, 20, 1, load, no}, {reuse, BPF_SK_REUSEPORT_SELECT, 24, 1, load, yes},
    {reuse, BPF_SK_REUSEPORT_SELECT, 32, 2, load, no}, {reuse, BPF_SK_REUSEPORT_SELECT, 36, 4, load, no},
    {reuse, BPF_SK_REUSEPORT_SELECT, 40, 8, load, yes, "sock("},
    {reuse, BPF_SK_REUSEPORT_SELECT, 48, 8, load, yes, "sock_common_or_null"}, {reuse, BPF_SK_REUSEPORT_SELECT, 16, 4, store, no},
    {lookup, BPF_SK_LOOKUP, 0, 8, load, yes, "sock_or_null"}, {lookup, BPF_SK_LOOKUP, 0, 4, load, no},
    {lookup, BPF_SK_LOOKUP, 36, 4, load, yes}, {lookup, BPF_SK_LOOKUP, 38, 2, load, yes}, {lookup, BPF_SK_LOOKUP, 39, 1, load, yes},
    {lookup, BPF_SK_LOOKUP, 64, 1, load, yes}, {lookup, BPF_SK_LOOKUP, 68, 4, load, no}, {lookup, BPF_SK_LOOKUP, 8, 4, store, no},
    // The small ones of cgroups
    {device, 0, 0, 2, load, yes}, {device, 0, 4, 2, load, no}, {device, 0, 8, 4, load, yes}, {device, 0, 0, 4, store, no},
    {device, 0, 12, 4, load, no},
    {sysctl, 0, 0, 1, load, yes}, {sysctl, 0, 0, 4, store, no}, {sysctl, 0, 4, 4, store, yes}, {sysctl, 0, 4, 2, store, no},
    {sysctl, 0, 0, 8, load, no},
    {sockopt, BPF_CGROUP_GETSOCKOPT, 0, 8, load, yes, "sock("}, {sockopt, BPF_CGROUP_GETSOCKOPT, 8, 8, load, yes, "pkt("},
    {sockopt, BPF_CGROUP_GETSOCKOPT, 16, 8, load, yes, "pkt_end"}, {sockopt, BPF_CGROUP_GETSOCKOPT, 36, 4, store, yes},
    {sockopt, BPF_CGROUP_SETSOCKOPT, 36, 4, load, no}, {sockopt, BPF_CGROUP_SETSOCKOPT, 24, 4, store, yes},
    {sockopt, BPF_CGROUP_GETSOCKOPT, 28, 4, store, no}, {sockopt, BPF_CGROUP_GETSOCKOPT, 28, 4, load, yes},
    {sockopt, BPF_CGROUP_GETSOCKOPT, 32, 4, store, yes}, {sockopt, BPF_CGROUP_GETSOCKOPT, 32, 2, load, no},
    // Tracing
    {perf, 0, 160, 8, load, yes}, {perf, 0, 160, 4, load, no}, {perf, 0, 168, 1, load, yes}, {perf, 0, 180, 4, load, yes},
    {perf, 0, 184, 8, load, no}, {perf, 0, 176, 8, store, no},
    {raw_tp_w, 0, 0, 8, load, yes, "tp_buffer"}, {raw_tp_w, 0, 0, 4, load, no}, {raw_tp_w, 0, 0, 8, store, no},
    {raw_tp_w, 0, 4, 4, load, yes}, {raw_tp_w, 0, 4, 4, store, no}, {raw_tp_w, 0, 8, 4, load, yes}, {raw_tp_w, 0, 96, 8, load, no}, {raw_tp, 0, 0, 4, load, yes},
    {syscall_, 0, 0, 8, store, yes}, {syscall_, 0, 32760, 8, load, yes}, {syscall_, 0, 2, 4, load, no},
    {lirc, 0, 0, 4, load, yes}, {lirc, 0, 0, 2, load, no}, {lirc, 0, 0, 4, store, no},
    {netfilter, BPF_NETFILTER, 0, 4, load, no}, {netfilter, BPF_NETFILTER, 0, 8, store, no},
};
// clang-format on

/// The verdict alone: a program that is safe but cannot run counts as accepted.
bool accepted(const outcome &o) { return !o.err || o.err == ENOTSUPP; }

u32 sleep_flag(u32 type) { return type == BPF_PROG_TYPE_SYSCALL ? u32{BPF_F_SLEEPABLE} : 0; }

TEST(ctx_access, rows) {
    for (const access_row &r : accesses) {
        s16 off = static_cast<s16>(r.off);
        prog p = {mov(r0, 1), r.store ? st(size_code(r.size), r1, off, 0) : ldx(size_code(r.size), r2, r1, off), exit_()};
        outcome o = check(p, {.type = r.type, .flags = sleep_flag(r.type), .log_level = 2, .attach = r.attach});
        std::string what = std::string(find_prog_type(r.type)->name) + " attach " + std::to_string(r.attach) + " off " +
                           std::to_string(r.off) + " size " + std::to_string(r.size) + (r.store ? " store" : " load");
        EXPECT_EQ(accepted(o), r.ok) << what << "\n" << o.log;
        std::string said = r.yields ? std::string("R2_w=") + r.yields : "";
        if (!r.ok)
            said = "invalid bpf_context access off=" + std::to_string(r.off) + " size=" + std::to_string(r.size);
        EXPECT_NE(o.log.find(said), std::string::npos) << what << "\n" << o.log;
    }
}

// What a program without CAP_BPF does not see of its packet.
TEST(ctx_access, without_cap_bpf) {
    struct {
        u32 off, size;
        bool store, ok;
    } rows[] = {{76, 4, load, no}, {80, 4, load, no}, {152, 8, store, no}, {152, 8, load, yes}, {0, 4, load, yes}, {8, 4, store, yes}};
    for (const auto &r : rows) {
        s16 off = static_cast<s16>(r.off);
        prog p = {mov(r0, 1), r.store ? st(size_code(r.size), r1, off, 0) : ldx(size_code(r.size), r2, r1, off), exit_()};
        EXPECT_EQ(accepted(check(p, {.type = cgskb, .bpf = false})), r.ok) << r.off;
        EXPECT_TRUE(accepted(check(p, {.type = cgskb}))) << r.off;
    }
}

struct verdict_row {
    const char *name;
    prog p;
    u32 type;
    u32 attach = 0;
    u32 flags = 0;
    const char *refused = nullptr; ///< text of the log; null: accepted
};

/// A packet whose first byte is there is read (or written), by types that have 32-bit or 64-bit pointers.
prog touch_packet(bool wide, s16 data, s16 end, bool write) {
    u8 size = wide ? BPF_DW : BPF_W;
    return {ldx(size, r2, r1, data),
            ldx(size, r3, r1, end),
            mov(r0, 1),
            mov_x(r4, r2),
            add(r4, 1),
            jmp_x(BPF_JGT, r4, r3, 1),
            write ? st(BPF_B, r2, 0, 7) : ldx(BPF_B, r5, r2, 0),
            exit_()};
}

std::vector<verdict_row> rows() {
    const char *no_write = "cannot write into packet", *no_ld = "instructions not allowed for this program type";
    prog abs = {mov_x(r6, r1), ld_abs(BPF_B, 0), mov(r0, 1), exit_()};
    prog ret_1 = {mov(r0, 1), exit_()};
    auto ret = [](s32 v) { return prog{mov(r0, v), exit_()}; };
    return {
        {"read a packet", touch_packet(false, 76, 80, false), cgskb},
        {"write a packet", touch_packet(false, 76, 80, true), cgskb, 0, 0, no_write},
        {"read on the way in", touch_packet(false, 76, 80, false), lwt_in},
        {"write on the way in", touch_packet(false, 76, 80, true), lwt_in, 0, 0, no_write},
        {"write when sent", touch_packet(false, 76, 80, true), lwt_xmit},
        {"write an action's packet", touch_packet(false, 76, 80, true), act},
        {"write a stream", touch_packet(false, 76, 80, true), sk_skb},
        {"write a message", touch_packet(true, 0, 8, true), msg},
        {"read what is dissected", touch_packet(false, 76, 80, false), dissector},
        {"write what is dissected", touch_packet(false, 76, 80, true), dissector, 0, 0, no_write},
        {"read what is distributed", touch_packet(true, 0, 8, false), reuse, BPF_SK_REUSEPORT_SELECT},
        {"write what is distributed", touch_packet(true, 0, 8, true), reuse, BPF_SK_REUSEPORT_SELECT, 0, no_write},
        {"read a TCP header", touch_packet(true, 192, 200, false), ops},
        {"write a TCP header", touch_packet(true, 192, 200, true), ops, 0, 0, no_write},
        {"write an option", touch_packet(true, 8, 16, true), sockopt, BPF_CGROUP_SETSOCKOPT},

        {"legacy load of an action", abs, act},
        {"legacy load in a cgroup", abs, cgskb, 0, 0, no_ld},
        {"legacy load on the way in", abs, lwt_in, 0, 0, no_ld},
        {"legacy load of a stream", abs, sk_skb, 0, 0, no_ld},

        {"egress returns 3", ret(3), cgskb, BPF_CGROUP_INET_EGRESS},
        {"egress returns 4", ret(4), cgskb, BPF_CGROUP_INET_EGRESS, 0, "R0 has smin=4 smax=4 should have been in [0, 3]"},
        {"ingress returns 2", ret(2), cgskb, BPF_CGROUP_INET_INGRESS, 0, "should have been in [0, 1]"},
        {"ingress returns 1", ret(1), cgskb, BPF_CGROUP_INET_INGRESS},
        {"bind returns 3", ret(3), addr, BPF_CGROUP_INET4_BIND},
        {"bind returns 4", ret(4), addr, BPF_CGROUP_INET6_BIND, 0, "should have been in [0, 3]"},
        {"connect returns 2", ret(2), addr, BPF_CGROUP_INET4_CONNECT, 0, "should have been in [0, 1]"},
        {"recvmsg returns 0", ret(0), addr, BPF_CGROUP_UDP4_RECVMSG, 0, "should have been in [1, 1]"},
        {"recvmsg returns 1", ret(1), addr, BPF_CGROUP_UDP6_RECVMSG},
        {"getpeername returns 0", ret(0), addr, BPF_CGROUP_UNIX_GETPEERNAME, 0, "should have been in [1, 1]"},
        {"a socket's program returns -1", ret(-1), cgsock, BPF_CGROUP_INET_SOCK_CREATE, 0, "R0 has smin=-1 smax=-1 should have been in"},
        {"a device's program returns any number", {ldx(BPF_W, r0, r1, 0), exit_()}, device, 0, 0,
         "R0 has smin=0 smax=4294967295 should have been in [0, 1]"},
        {"a device's program returns a pointer", {mov_x(r0, r1), exit_()}, device, 0, 0, "R0 is not a known value (ctx)"},
        {"a look-up returns 1", ret(1), lookup, BPF_SK_LOOKUP},
        {"a look-up returns 2", ret(2), lookup, BPF_SK_LOOKUP, 0, "should have been in [0, 1]"},
        {"a filter returns 2", ret(2), netfilter, BPF_NETFILTER, 0, "should have been in [0, 1]"},
        {"an option's program returns 2", ret(2), sockopt, BPF_CGROUP_GETSOCKOPT, 0, "should have been in [0, 1]"},
        {"a kprobe returns 2", ret(2), kprobe},
        {"a session returns 2", ret(2), kprobe, BPF_TRACE_KPROBE_SESSION, 0, "should have been in [0, 1]"},
        {"a session returns 1", ret(1), kprobe, BPF_TRACE_KPROBE_SESSION},
        {"an action returns anything", ret(77), act},

        {"a system call's program that sleeps", ret_1, syscall_, 0, BPF_F_SLEEPABLE},
        {"a system call's program that does not", ret_1, syscall_, 0, 0, "Syscall programs can only be sleepable"},
        {"a device's program that sleeps", ret_1, device, 0, BPF_F_SLEEPABLE, "programs can be sleepable"},
        {"a probe that sleeps", ret_1, kprobe, 0, BPF_F_SLEEPABLE},
    };
}

TEST(ctx_access, verdicts_of_types) {
    for (const verdict_row &r : rows()) {
        outcome o = check(r.p, {.type = r.type, .flags = r.flags, .attach = r.attach});
        EXPECT_EQ(accepted(o), !r.refused) << r.name << "\n" << o.log;
        EXPECT_NE(o.log.find(r.refused ? r.refused : ""), std::string::npos) << r.name << "\n" << o.log;
    }
}

// What is safe but cannot run is refused by name, unless nothing attaches its type: then it is held.
TEST(ctx_access, what_cannot_run_is_named) {
    prog ret_1 = {mov(r0, 1), exit_()}, loads_sk = {mov(r0, 1), ldx(BPF_DW, r2, r1, 168), exit_()};
    outcome o = check(ret_1, {.type = BPF_PROG_TYPE_LIRC_MODE2});
    EXPECT_EQ(o.err, ENOTSUPP);
    EXPECT_NE(o.log.find("program type lirc_mode2 is not supported by modbpf"), std::string::npos) << o.log;
    EXPECT_EQ(check(ret_1, {.type = device}).err, 0);
    EXPECT_EQ(check(loads_sk, {.type = cls}).err, 0);
    EXPECT_EQ(check({mov(r0, 1), ldx(BPF_W, r2, r1, 164), exit_()}, {.type = cls}).err, 0);
}

}  // namespace

}  // namespace modbpf::test
