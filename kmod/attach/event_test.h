// SPDX-License-Identifier: GPL-2.0-only
// Events that tests fire themselves (attach_test.cpp stands in for the port's), and programs that store what they were told.
#pragma once

#include "cmd/core_test.h"

struct port_event {
    enum { kprobe, tracepoint, raw_tp, counter, uprobe, functions } kind;
    void *priv;
    port_kprobe_fn on_kprobe = nullptr;
    port_tracepoint_fn on_tracepoint = nullptr;
    port_raw_tp_fn on_raw = nullptr;
    port_perf_fn on_overflow = nullptr;
    port_uprobe_fn on_uprobe = nullptr;
    port_perf_spec spec{};
    u64 count[3] = {};
    bool enabled = false;
    u32 id = 0;
    bool retprobe = false;
    port_record_use use = PORT_RECORD_USED;
    port_kernel_counts *counts = nullptr;
    std::string name{};
    port_uprobe_scope scope = PORT_UPROBE_ALL;
    s32 pid = 0;
    std::vector<port_uprobe_place> places{};
    port_functions_fn on_functions = nullptr;
    std::vector<u64> addrs{};
    bool at_entry = false;
    void (*last_run)() = nullptr; ///< what runs yet when it is detached
};

namespace modbpf::test {

inline constexpr u32 kprobe_type = 8, uprobe_type = 9, tp_id = 300, tp_size = 24;
extern std::vector<port_event *> events;

struct no_preempt {
    no_preempt() { port_preempt_disable(); }
    ~no_preempt() { port_preempt_enable(); }
};

struct perf_attr {
    u32 type, size;
    u64 config, sample_period, sample_type, read_format, flags;
    u32 wakeup_events, bp_type;
    u64 config1, config2, rest[8];
};
static_assert(sizeof(perf_attr) == 136);

inline perf_attr attr_of(u32 type, u64 config) {
    perf_attr a{};
    a.type = type, a.size = sizeof(a), a.config = config;
    return a;
}
inline long open_perf(perf_attr &a, s32 pid = -1, s32 cpu = 0, s32 group = -1, u64 flags = 8) {
    return modbpf_core_perf_event_open(addr_of(&a), pid, cpu, group, flags);
}
inline long set_bpf(const fd &event, const fd &prog) { return port_user_ioctl(event.get(), 0x40042408, prog.u()); }
inline long link_to(const fd &prog, const fd &event, u64 cookie = 0) {
    link_create_attr l{};
    l.prog_fd = prog.u(), l.target_fd = event.u(), l.attach_type = BPF_PERF_EVENT, l.cookie = cookie;
    return bpf(BPF_LINK_CREATE, l, 60);
}

/// map[0] = r6, behind `before`; r0 = 0
inline std::vector<bpf_insn> store_r6(const fd &m, std::vector<bpf_insn> before) {
    constexpr u8 add = BPF_ALU64 | BPF_ADD | BPF_K, mov = BPF_ALU64 | BPF_MOV | BPF_X, call = BPF_JMP | BPF_CALL;
    const bpf_insn rest[] = {
        {BPF_STX | BPF_MEM | BPF_DW, 10, 6, -8, 0},
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -12, 0},
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, m.get()},
        {0, 0, 0, 0, 0},
        {mov, 2, 10, 0, 0},
        {add, 2, 0, 0, -12},
        {mov, 3, 10, 0, 0},
        {add, 3, 0, 0, -8},
        mov_imm(4, 0),
        {call, 0, 0, 0, BPF_FUNC_map_update_elem},
        mov_imm(0, 0),
        exit_insn(),
    };
    before.insert(before.end(), std::begin(rest), std::end(rest));
    return before;
}

/// map[0] = bpf_get_attach_cookie(ctx)
inline std::vector<bpf_insn> store_cookie(const fd &m) {
    return store_r6(m, {{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie}, {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_0, 0, 0}});
}
inline u64 stored(const fd &m) {
    u32 key = 0;
    u64 v = ~0ull;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &v), 0);
    return v;
}
inline void store(const fd &m, u64 v) {
    u32 key = 0;
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &v), 0);
}

inline fd load_for(const std::vector<bpf_insn> &insns, u32 attach_type, u32 flags = 0) {
    prog_load_attr a = load_attr(BPF_PROG_TYPE_KPROBE, insns);
    a.expected_attach_type = attach_type;
    a.prog_flags = flags;
    return fd(bpf_load(a));
}

/// Makes an fd again and again, letting the first, second, ... allocation fail: ENOMEM each time, until there are no more.
template <class F> void each_allocation_fails(F make) {
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 100u);
        port_fail_nth_set(n);
        fd made(make());
        if (port_fail_nth_set(0) < n) {
            EXPECT_TRUE(made.ok());
            return;
        }
        EXPECT_EQ(made.get(), -ENOMEM);
    }
}

}  // namespace modbpf::test
