// SPDX-License-Identifier: GPL-2.0-only
// Random sequences of commands over many objects at once: maps of all types, programs that use them, links, BTF, mappings, descriptors
// of the wrong kind, closed ones, failing allocations, missing privileges. Nothing may crash, leak or count as a bug of
// modbpf's own, and when the last descriptor is closed no object is left.
//
// MODBPF_SEQUENCES=N runs more of them, MODBPF_SEED=N others. A failure names its seed.
#include "cmd/core_test.h"

#include <random>
#include <stdlib.h>

using namespace modbpf;
using namespace modbpf::test;

namespace {

class sequence : public core_test {};

constexpr u32 arena_bytes = 1 << 20;
alignas(8) u8 arena[arena_bytes];

/// One sequence: its objects, and the random choices.
struct machine {
    std::mt19937_64 rng;
    std::vector<int> fds;
    std::vector<std::pair<void *, size_t>> mappings;
    u64 succeeded = 0;

    explicit machine(u64 seed) : rng(seed) {}
    ~machine() {
        for (auto &m : mappings) {
            port_user_unmapped(m.first, m.second);
            ::munmap(m.first, m.second);
        }
        for (int fd : fds)
            ::close(fd);
        port_user_sweep();
    }

    u32 below(u32 n) { return static_cast<u32>(rng() % n); }
    bool rarely() { return below(16) == 0; }
    template <class T, size_t N> T one_of(const T (&a)[N]) { return a[below(N)]; }

    /// A descriptor: mostly one of ours, of any kind; else standard input, or none.
    u32 any_fd() {
        if (fds.empty() || rarely())
            return one_of<u32>({0u, 999u, ~0u, 0x80000000u});
        return static_cast<u32>(fds[below(static_cast<u32>(fds.size()))]);
    }
    /// Room for whatever a command writes: half of the arena lies behind it.
    u64 memory() {
        if (rarely())
            return one_of<u64>({0ull, 8ull, ~0ull - 7, 1ull << 63});
        return addr_of(arena + below(arena_bytes / 2) / 8 * 8);
    }
    /// Keys that exist now and then.
    u64 key() {
        u64 at = memory();
        if (at >= addr_of(arena) && at < addr_of(arena) + arena_bytes / 2)
            *reinterpret_cast<u32 *>(at) = below(6);
        return at;
    }
    u64 flags() { return rarely() ? rng() >> below(64) : below(4); }
    u32 size() { return rarely() ? one_of<u32>({0u, 1u, 4096u, 65535u, ~0u}) : one_of<u32>({4u, 8u, 12u, 64u}); }

    long call(u32 cmd, const void *attr, u32 size) {
        u8 copy[attr_size] __attribute__((aligned(8))) = {};
        memcpy(copy, attr, min<u32>(size, attr_size));
        u32 at = below(attr_size);
        if (rarely() && *reinterpret_cast<u64 *>(copy + at / 8 * 8) >> 32 == 0)  // an address that is off would hit ourselves
            copy[at] ^= static_cast<u8>(1u << below(8));
        bool starved = rarely(), powerless = below(64) == 0;
        if (starved)
            port_fail_nth_set(1 + below(12));
        if (powerless)
            port_user_set_caps(below(8));
        long rc = modbpf_core_bpf(cmd, addr_of(copy), rarely() ? below(attr_size + 1) : size);
        port_fail_nth_set(0);
        port_user_set_caps(~0u);
        EXPECT_GE(rc, -ENOTSUPP) << "command " << cmd;
        succeeded += rc >= 0;
        return rc;
    }
    template <class A> long call(u32 cmd, const A &a) { return call(cmd, &a, sizeof(a)); }
    void keep(long rc) {
        if (rc > 2 && port_user_owns_fd(static_cast<int>(rc)))
            fds.push_back(static_cast<int>(rc));
    }

    void create_map() {
        map_create_attr a = map_attr(one_of<u32>({BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
                                                  BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_RINGBUF}),
                                     rarely() ? size() : 4, one_of<u32>({4, 8, 64}), 1 + below(8), 0);
        if (a.map_type == BPF_MAP_TYPE_RINGBUF)
            a.key_size = a.value_size = 0, a.max_entries = PORT_PAGE_SIZE << below(3);
        if (a.map_type == BPF_MAP_TYPE_ARRAY && below(2))
            a.map_flags = BPF_F_MMAPABLE;
        if (a.map_type == BPF_MAP_TYPE_HASH && below(2))
            a.map_flags = BPF_F_NO_PREALLOC;
        keep(call(BPF_MAP_CREATE, a));
    }
    void elements() {
        map_elem_attr a{.map_fd = any_fd(), .pad = 0, .key = key(), .value = memory(), .flags = flags()};
        u32 cmd = one_of<u32>({BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
                               BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM});
        if (cmd == BPF_MAP_UPDATE_ELEM && below(2) && a.value > addr_of(arena) && a.value < addr_of(arena) + arena_bytes / 2)
            *reinterpret_cast<u32 *>(a.value) = any_fd();  // for arrays of programs and events
        call(cmd, &a, cmd == BPF_MAP_DELETE_ELEM ? 16 : cmd == BPF_MAP_GET_NEXT_KEY ? 24 : 32);
    }
    void batch() {
        batch_attr a{.in_batch = below(2) ? memory() : 0, .out_batch = memory(), .keys = memory(), .values = memory(), .count = below(12),
                     .map_fd = any_fd(), .elem_flags = flags(), .flags = rarely() ? flags() : 0};
        call(one_of<u32>({BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_UPDATE_BATCH, BPF_MAP_DELETE_BATCH}), a);
    }
    void load_program() {
        s32 map = static_cast<s32>(any_fd());
        std::vector<bpf_insn> p;
        auto add = [&](u8 code, u8 dst, u8 src, s16 off, s32 imm) { p.push_back({code, dst, src, off, imm}); };
        add(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0);
        add(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -8, static_cast<s32>(below(6)));
        add(BPF_ST | BPF_MEM | BPF_DW, 10, 0, -16, 7);
        u32 kind = below(4);
        if (kind == 3)
            add(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0);
        add(BPF_LD | BPF_IMM | BPF_DW, kind == 3 ? 2 : 1, BPF_PSEUDO_MAP_FD, 0, map);
        add(0, 0, 0, 0, 0);
        if (kind < 2) {
            add(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
            add(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -8);
        }
        if (kind == 0) {  // count in an element
            add(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
            add(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0);
            add(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, 1);
            add(BPF_STX | BPF_ATOMIC | BPF_W, 0, 1, 0, BPF_ADD);
        } else if (kind == 1) {  // make or change one (of 8 bytes)
            add(BPF_ALU64 | BPF_MOV | BPF_X, 3, 10, 0, 0);
            add(BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -16);
            add(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0);
            add(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_update_elem);
        } else if (kind == 2) {  // a record
            add(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0);
            add(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -16);
            add(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 16);
            add(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, 0);
            add(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output);
        } else {
            add(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, static_cast<s32>(below(4)));
            add(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call);
        }
        add(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
        add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
        if (below(8) == 0)
            p[below(static_cast<u32>(p.size()))].imm ^= static_cast<s32>(1u << below(32));
        prog_load_attr a = load_attr(one_of<u32>({BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_RAW_TRACEPOINT,
                                                  BPF_PROG_TYPE_KPROBE}), p);
        if (below(4) == 0)
            a.log_level = 1 + below(2), a.log_buf = memory(), a.log_size = one_of<u32>({1u, 128u, 4096u});
        keep(call(BPF_PROG_LOAD, &a, 148));
    }
    void test_run() {
        test_run_attr a{};
        a.prog_fd = any_fd(), a.data_in = memory(), a.data_size_in = rarely() ? size() : 14 + below(1500);
        a.data_out = memory(), a.data_size_out = below(3) ? 4096 : below(64);
        a.repeat = below(4);
        if (below(4) == 0)
            a.ctx_in = memory(), a.ctx_size_in = below(256), a.ctx_out = memory(), a.ctx_size_out = below(256);
        call(BPF_PROG_TEST_RUN, a);
    }
    void ids() {
        get_id_attr a{below(40), 0, 0};
        u32 cmd = one_of<u32>({BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_BTF_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID,
                               BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID});
        keep(call(cmd, &a, cmd == BPF_MAP_GET_FD_BY_ID ? 12 : 8));
    }
    void information() {
        info_attr a{.bpf_fd = any_fd(), .info_len = below(300), .info = memory()};
        // What a program's info asks for: counts with addresses behind them.
        if (a.info > addr_of(arena) && a.info < addr_of(arena) + arena_bytes / 2) {
            auto *p = reinterpret_cast<u8 *>(a.info);
            memset(p, 0, 300);
            bpf_prog_info i{};
            if (below(2)) {
                i.xlated_prog_len = below(2000), i.xlated_prog_insns = memory();
                i.jited_prog_len = below(2000), i.jited_prog_insns = memory();
                i.nr_map_ids = below(4), i.map_ids = memory();
                i.nr_jited_ksyms = below(4), i.jited_ksyms = memory();
            }
            memcpy(p, &i, min<u64>(sizeof(i), 300));
        }
        call(BPF_OBJ_GET_INFO_BY_FD, a);
        char text[512];
        port_user_fdinfo(static_cast<int>(any_fd()), text, sizeof(text));
    }
    void links() {
        static const char *const names[] = {"sys_enter", "sched_switch", "no_such_tracepoint"};
        raw_tracepoint_attr r{below(8) ? addr_of(names[below(3)]) : memory(), any_fd(), 0, rng()};
        link_create_attr c{};
        c.prog_fd = any_fd(), c.target_fd = any_fd(), c.attach_type = one_of<u32>({BPF_PERF_EVENT, 0, 99});
        link_update_attr u{any_fd(), any_fd(), below(4) ? 0 : below(8), any_fd()};
        link_fd_attr d{any_fd()};
        switch (below(4)) {
            case 0: keep(call(BPF_RAW_TRACEPOINT_OPEN, r)); break;
            case 1: keep(call(BPF_LINK_CREATE, &c, 24)); break;
            case 2: call(BPF_LINK_UPDATE, u); break;
            default: call(BPF_LINK_DETACH, d); break;
        }
    }
    void others() {
        map_fd_attr f{any_fd()};
        prog_bind_map_attr b{any_fd(), any_fd(), 0};
        enable_stats_attr s{below(2)};
        u8 header[24] = {0x9f, 0xeb, 1, 0, 24};  // BTF of nothing: one empty string
        header[16] = 0, header[20] = 1;
        memcpy(arena, header, sizeof(header));
        arena[24] = 0;
        btf_load_attr t{};
        t.btf = addr_of(arena), t.btf_size = 25;
        switch (below(4)) {
            case 0: call(BPF_MAP_FREEZE, f); break;
            case 1: call(BPF_PROG_BIND_MAP, b); break;
            case 2: keep(call(BPF_ENABLE_STATS, s)); break;
            default: keep(call(BPF_BTF_LOAD, t)); break;
        }
    }
    void map_memory() {
        if (!mappings.empty() && below(2)) {
            auto m = mappings.back();
            mappings.pop_back();
            port_user_unmapped(m.first, m.second);
            ::munmap(m.first, m.second);
            return;
        }
        int fd = static_cast<int>(any_fd());
        if (!port_user_owns_fd(fd))
            return;
        size_t size = PORT_PAGE_SIZE << below(3);
        long at = port_user_mmap(nullptr, size, below(2) ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, below(2) * PORT_PAGE_SIZE);
        if (at < 0 && at >= -4095)
            return;
        mappings.push_back({reinterpret_cast<void *>(at), size});
    }
    void close_or_dup() {
        if (fds.empty())
            return;
        u32 i = below(static_cast<u32>(fds.size()));
        if (below(4) == 0) {
            int copy = ::dup(fds[i]);
            port_user_sweep();
            if (copy >= 0)
                fds.push_back(copy);
            return;
        }
        ::close(fds[i]);
        fds[i] = fds.back();
        fds.pop_back();
        port_user_sweep();
    }
    void step() {
        switch (below(16)) {
            case 0: case 1: create_map(); break;
            case 2: case 3: case 4: elements(); break;
            case 5: batch(); break;
            case 6: case 7: case 8: load_program(); break;
            case 9: case 10: test_run(); break;
            case 11: ids(); break;
            case 12: information(); break;
            case 13: links(); break;
            case 14: below(2) ? others() : map_memory(); break;
            default: fds.size() > 24 || below(3) == 0 ? close_or_dup() : elements(); break;
        }
    }
};

/// The id of any object that is there, or 0.
u32 anything_left() {
    port_user_sweep();
    for (u32 cmd : {BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_BTF_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID}) {
        get_id_attr a{};
        result<ref<btf>> kernel = btf::vmlinux();
        if (cmd == BPF_BTF_GET_NEXT_ID && kernel)
            a.id = (*kernel)->id; // which stays
        if (modbpf_core_bpf(cmd, addr_of(&a), 12) == 0)
            return a.next_id;
    }
    return 0;
}

u64 number_from(const char *name, u64 otherwise) {
    const char *s = getenv(name);
    return s ? strtoull(s, nullptr, 0) : otherwise;
}

TEST_F(sequence, random_commands_leave_nothing) {
    u64 first = number_from("MODBPF_SEED", 1), count = number_from("MODBPF_SEQUENCES", 40), bugs = port_user_bug_count();
    u64 succeeded = 0;
    for (u64 seed = first; seed < first + count; seed++) {
        SCOPED_TRACE("MODBPF_SEED=" + std::to_string(seed));
        {
            machine m(seed);
            for (int i = 0; i < 300; i++)
                m.step();
            succeeded += m.succeeded;
        }
        // A program holds its maps until a grace period after it, and is freed by a worker: soon, not at once.
        for (int round = 0; round < 500 && anything_left(); round++) {
            port_rcu_barrier();
            usleep(1000);
        }
        EXPECT_EQ(anything_left(), 0u) << "id of an object that nothing holds";
        ASSERT_EQ(port_user_bug_count(), bugs);
        ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(succeeded, count * 60) << "of " << count * 300 << ": most commands fail: the sequences reach little";
}

}  // namespace
