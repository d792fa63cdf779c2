// SPDX-License-Identifier: GPL-2.0-only
// Special fields of map values, against the running kernel: which maps may have them, and what programs may do with them by loads,
// stores and helpers' memory arguments.
#include "btf/btf_builder_test.h"
#include "cmd/core_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace modbpf::test {

namespace {

long on_kernel(u32 cmd, const void *attr, u32 size) {
    long r = syscall(__NR_bpf, cmd, attr, size);
    return r < 0 ? -errno : r;
}

struct value_types : btf_builder {
    u32 number = int32(), wide = integer("u64", 8, 64);
    u32 pair = array(wide, number, 2);
    u32 lock = composite(btf_kind::structure, "bpf_spin_lock", 4, {{"val", number, 0}});
    u32 timer = composite(btf_kind::structure, "bpf_timer", 16, {{"opaque", pair, 0}});
    u32 task = composite(btf_kind::structure, "task_struct", 4, {{"x", number, 0}});
    u32 file = composite(btf_kind::structure, "file", 4, {{"x", number, 0}});
    u32 kptr(const char *tag, u32 to) { return refer(btf_kind::pointer, refer(btf_kind::type_tag, to, tag)); }
    u32 value(const std::vector<member> &m) { return composite(btf_kind::structure, "value", 32, m); }

    u32 locked = value({{"l", lock, 32}, {"x", wide, 64}});
    u32 timed = value({{"x", wide, 0}, {"t", timer, 64}});
    u32 pointing = value({{"x", wide, 0}, {"p", kptr("kptr_untrusted", task), 64}, {"q", kptr("kptr", task), 128}});
    u32 unaligned = value({{"n", number, 0}, {"x", wide, 64}}); // nothing special
    u32 plain = value({{"x", wide, 0}});
};

struct side {
    bool kernel;
    int btf_fd = -1;
    long call(u32 cmd, const void *a, u32 size) const {
        return kernel ? on_kernel(cmd, a, size) : modbpf_core_bpf(cmd, addr_of(a), size);
    }
    long make_map(u32 type, u32 value_type, u32 flags) const {
        map_create_attr a = map_attr(type, 4, 32, 1, flags);
        a.btf_fd = static_cast<u32>(btf_fd), a.btf_key_type_id = 1, a.btf_value_type_id = value_type;
        if (type == BPF_MAP_TYPE_SK_STORAGE || type == BPF_MAP_TYPE_TASK_STORAGE)
            a.max_entries = 0, a.map_flags |= BPF_F_NO_PREALLOC;
        return call(BPF_MAP_CREATE, &a, sizeof(a));
    }
};

class special_fields_peer : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        verify_only = true;
        std::vector<u8> blob = types_.bytes();
        for (side &s : sides_) {
            btf_load_attr b{};
            b.btf = addr_of(blob.data()), b.btf_size = static_cast<u32>(blob.size());
            s.btf_fd = static_cast<int>(s.call(BPF_BTF_LOAD, &b, sizeof(b)));
            if (s.btf_fd < 0 && s.kernel)
                GTEST_SKIP() << "this process may not load types";
            ASSERT_GE(s.btf_fd, 0);
        }
    }
    void TearDown() override {
        verify_only = false;
        for (side &s : sides_)
            if (s.btf_fd >= 0)
                close(s.btf_fd);
        core_test::TearDown();
    }
    value_types types_;
    side sides_[2] = {{false}, {true}};
};

// Structures that no program could allocate are refused with their types.
TEST_F(special_fields_peer, types_that_are_loaded) {
    for (int n = 0; n < 7; n++) {
        value_types t;
        switch (n) {
        case 0: break;
        case 1: t.value({{"q", t.kptr("kptr", t.file), 64}}); break; // no map could give back its reference
        case 2: t.value({{"q", t.kptr("kptr_untrusted", t.file), 64}}); break;
        case 3: t.value({{"a", t.lock, 0}, {"b", t.lock, 32}}); break;
        case 4: t.value({{"l", t.lock, 16}}); break; // not aligned: not found
        case 5: t.value({{"q", t.kptr("other", t.task), 0}}); break;
        default: t.value({{"t", t.timer, 0}, {"u", t.timer, 128}}); break; // timers are for maps alone
        }
        std::vector<u8> blob = t.bytes();
        long r[2];
        for (const side &s : sides_) {
            btf_load_attr b{};
            b.btf = addr_of(blob.data()), b.btf_size = static_cast<u32>(blob.size());
            r[s.kernel] = s.call(BPF_BTF_LOAD, &b, sizeof(b));
            if (r[s.kernel] >= 0) {
                close(static_cast<int>(r[s.kernel]));
                r[s.kernel] = 0;
            }
        }
        EXPECT_EQ(r[0], r[1]) << n;
    }
}

TEST_F(special_fields_peer, maps_that_may_have_them) {
    u32 made = 0;
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_LRU_HASH,
                     BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_TASK_STORAGE, BPF_MAP_TYPE_DEVMAP_HASH})
        for (u32 value : {types_.locked, types_.timed, types_.pointing, types_.unaligned, types_.plain})
            for (u32 flags : {0u, u32{BPF_F_RDONLY_PROG}}) {
                long r[2];
                for (const side &s : sides_) {
                    r[s.kernel] = s.make_map(type, value, flags);
                    if (r[s.kernel] >= 0) {
                        close(static_cast<int>(r[s.kernel]));
                        r[s.kernel] = 0;
                    }
                }
                made += !r[0];
                EXPECT_EQ(r[0], r[1]) << "map " << type << " value " << value << " flags " << flags;
            }
    EXPECT_GT(made, 20u);
}

/// Looks the element up, then does something with r0 and leaves.
std::vector<bpf_insn> with_value(int map_fd, const std::vector<bpf_insn> &body) {
    std::vector<bpf_insn> p = {
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0},
        {BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0},
        {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, map_fd},
        {0, 0, 0, 0, 0},
        {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, static_cast<s16>(body.size()), 0},
    };
    p.insert(p.end(), body.begin(), body.end());
    p.push_back({BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0});
    p.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
    return p;
}

TEST_F(special_fields_peer, what_programs_may_do_with_them) {
    u32 accepted = 0, refused = 0;
    for (u32 value : {types_.locked, types_.timed, types_.pointing, types_.unaligned}) {
        std::vector<std::vector<bpf_insn>> bodies;
        for (s16 off = 0; off < 32; off += 4)
            for (u8 size : {BPF_B, BPF_W, BPF_DW}) {
                if (size == BPF_DW && off % 8 && off != 4)
                    continue;
                bodies.push_back({{static_cast<u8>(BPF_LDX | BPF_MEM | size), 3, 0, off, 0}});
                bodies.push_back({{static_cast<u8>(BPF_ST | BPF_MEM | size), 0, 0, off, 0}});
                bodies.push_back({{static_cast<u8>(BPF_ST | BPF_MEM | size), 0, 0, off, 1}});
                bodies.push_back({{static_cast<u8>(BPF_STX | BPF_MEM | size), 0, 10, off, 0}});
                bodies.push_back({{static_cast<u8>(BPF_LDX | BPF_MEM | size), 3, 0, off, 0},
                                  {static_cast<u8>(BPF_STX | BPF_MEM | size), 0, 3, 8, 0}});
            }
        bodies.push_back({{BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 1}, {BPF_STX | BPF_ATOMIC | BPF_DW, 0, 3, 8, BPF_ADD}});
        // A load at an offset that is not known, and a helper that reads all of it.
        bodies.push_back({{BPF_LDX | BPF_MEM | BPF_W, 3, 0, 0, 0}, {BPF_ALU64 | BPF_AND | BPF_K, 3, 0, 0, 8},
                          {BPF_ALU64 | BPF_ADD | BPF_X, 0, 3, 0, 0}, {BPF_LDX | BPF_MEM | BPF_DW, 4, 0, 0, 0}});
        for (size_t n = 0; n < bodies.size(); n++)
            for (u32 type : {BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_SOCKET_FILTER}) {
                if (type != BPF_PROG_TYPE_SCHED_CLS && n)
                    continue;
                long r[2];
                std::string log[2];
                for (const side &s : sides_) {
                    int fd = static_cast<int>(s.make_map(BPF_MAP_TYPE_ARRAY, value, 0));
                    ASSERT_GE(fd, 0);
                    std::vector<bpf_insn> p = with_value(fd, bodies[n]);
                    std::vector<char> text(1 << 16);
                    prog_load_attr a = load_attr(type, p);
                    a.log_level = 1, a.log_buf = addr_of(text.data()), a.log_size = static_cast<u32>(text.size());
                    r[s.kernel] = s.call(BPF_PROG_LOAD, &a, 148);
                    if (r[s.kernel] >= 0) {
                        close(static_cast<int>(r[s.kernel]));
                        r[s.kernel] = 0;
                    }
                    close(fd);
                    log[s.kernel] = text.data();
                }
                port_user_sweep();
                (r[0] ? refused : accepted)++;
                EXPECT_EQ(r[0], r[1]) << "value " << value << " type " << type << "\n" << log[0] << "\nkernel:\n" << log[1];
                for (const char *said : {"cannot be accessed directly by load/store", "kptr access misaligned", "store to referenced kptr",
                                         "kptr access size must be", "BPF_ST imm must be 0", "invalid kptr access", "variable offset",
                                         "BPF_MEM instruction mode", "cannot use bpf_"})
                    EXPECT_EQ(log[0].find(said) == std::string::npos, log[1].find(said) == std::string::npos) << said << "\n" << log[0];
            }
    }
    EXPECT_GT(accepted, 100u);
    EXPECT_GT(refused, 100u);
}

/// A program that loads the addresses of these maps and does nothing with them: 0 or -errno, and the log.
long load_with_maps(const side &s, u32 type, u32 flags, const std::vector<map_create_attr> &maps, std::string &log) {
    std::vector<int> fds;
    std::vector<bpf_insn> p;
    for (map_create_attr a : maps) {
        if (is_map_in_map(a.map_type)) {
            map_create_attr in = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
            fds.push_back(static_cast<int>(s.call(BPF_MAP_CREATE, &in, sizeof(in))));
            a.inner_map_fd = static_cast<u32>(fds.back());
        }
        if (a.btf_value_type_id)
            a.btf_fd = static_cast<u32>(s.btf_fd);
        fds.push_back(static_cast<int>(s.call(BPF_MAP_CREATE, &a, sizeof(a))));
        EXPECT_GE(fds.back(), 0) << a.map_type << (s.kernel ? " kernel" : "");
        p.push_back({BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, fds.back()});
        p.push_back({0, 0, 0, 0, 0});
    }
    p.push_back({BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0});
    p.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
    std::vector<char> text(1 << 16);
    prog_load_attr a = load_attr(type, p);
    a.prog_flags = flags;
    a.log_level = 1, a.log_buf = addr_of(text.data()), a.log_size = static_cast<u32>(text.size());
    long r = s.call(BPF_PROG_LOAD, &a, 148);
    if (r >= 0)
        close(static_cast<int>(r));
    for (int fd : fds)
        close(fd);
    log = text.data();
    return r < 0 ? r : 0;
}

/// Which maps a program may use at all.
TEST_F(special_fields_peer, maps_that_programs_may_use) {
    auto typed = [](map_create_attr a, u32 value) {
        a.btf_key_type_id = 1, a.btf_value_type_id = value;
        return a;
    };
    auto at = [](map_create_attr a, u64 extra) {
        a.map_extra = extra;
        return a;
    };
    map_create_attr cg = map_attr(BPF_MAP_TYPE_CGROUP_STORAGE, 8, 4, 0), pcg = map_attr(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, 8, 4, 0),
                    arena = map_attr(BPF_MAP_TYPE_ARENA, 0, 0, 4, BPF_F_MMAPABLE);
    const std::vector<std::vector<map_create_attr>> uses = {
        {map_attr(BPF_MAP_TYPE_HASH, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_STACK_TRACE, 4, 8, 1)},
        {map_attr(BPF_MAP_TYPE_LRU_HASH, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_LPM_TRIE, 8, 4, 1, BPF_F_NO_PREALLOC)},
        {map_attr(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_HASH_OF_MAPS, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_DEVMAP, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_SOCKMAP, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_XSKMAP, 4, 4, 1)},
        {map_attr(BPF_MAP_TYPE_QUEUE, 0, 4, 1)},
        {map_attr(BPF_MAP_TYPE_BLOOM_FILTER, 0, 4, 1)},
        {map_attr(BPF_MAP_TYPE_RINGBUF, 0, 0, 4096)},
        {map_attr(BPF_MAP_TYPE_USER_RINGBUF, 0, 0, 4096)},
        {cg},
        {cg, pcg},
        {cg, cg},
        {pcg, pcg},
        {arena},
        {at(arena, 0x7f0000000000)},
        {at(arena, 0x7f0000000000), at(arena, 0x7e0000000000)},
        {typed(map_attr(BPF_MAP_TYPE_ARRAY, 4, 32, 1), types_.locked)},
        {typed(map_attr(BPF_MAP_TYPE_ARRAY, 4, 32, 1), types_.timed)},
        {typed(map_attr(BPF_MAP_TYPE_ARRAY, 4, 32, 1), types_.pointing)},
    };
    struct {
        u32 type, flags;
    } programs[] = {{BPF_PROG_TYPE_SCHED_CLS, 0},    {BPF_PROG_TYPE_SOCKET_FILTER, 0}, {BPF_PROG_TYPE_KPROBE, 0},
                    {BPF_PROG_TYPE_PERF_EVENT, 0},   {BPF_PROG_TYPE_SYSCALL, BPF_F_SLEEPABLE},
                    {BPF_PROG_TYPE_KPROBE, BPF_F_SLEEPABLE}};
    // The machine's kernel may let sleeping programs use what 6.12 does not; tracing programs likewise.
    constexpr const char *newer[] = {"Sleepable programs can only use", "tracing progs cannot use", "socket filter progs cannot use"};
    u32 refused = 0;
    for (const auto &maps : uses)
        for (const auto &p : programs) {
            std::string log[2];
            long ours = load_with_maps(sides_[0], p.type, p.flags, maps, log[0]), theirs = load_with_maps(sides_[1], p.type, p.flags, maps, log[1]);
            port_user_sweep();
            refused += ours != 0;
            bool stricter = false;
            for (const char *text : newer)
                stricter |= log[0].find(text) != std::string::npos && log[1].find(text) == std::string::npos;
            if (stricter)
                continue;
            EXPECT_EQ(ours, theirs) << "map " << maps[0].map_type << " program " << p.type << " flags " << p.flags << "\n"
                                    << log[0] << "\nkernel:\n" << log[1];
        }
    EXPECT_GT(refused, 20u);
}

/// What they hold would be forged by who writes to the memory.
TEST_F(special_fields_peer, are_neither_mapped_nor_frozen) {
    for (const side &s : sides_)
        for (u32 type : {types_.timed, types_.pointing, types_.plain}) {
            long fd = s.make_map(BPF_MAP_TYPE_ARRAY, type, BPF_F_MMAPABLE);
            ASSERT_GE(fd, 0);
            bool plain = type == types_.plain;
            if (!s.kernel) {
                long at = port_user_mmap(nullptr, PORT_PAGE_SIZE, PROT_READ, MAP_SHARED, static_cast<int>(fd), 0);
                EXPECT_EQ(at > 0 ? 0 : at, plain ? 0 : -ENOTSUPP);
                if (at > 0) {
                    munmap(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
                    port_user_unmapped(ptr_of(static_cast<u64>(at)), PORT_PAGE_SIZE);
                }
            }
            map_fd_attr f{static_cast<u32>(fd)};
            EXPECT_EQ(s.call(BPF_MAP_FREEZE, &f, sizeof(f)), plain ? 0 : -ENOTSUPP) << "kernel " << s.kernel;
            close(static_cast<int>(fd));
        }
}

}  // namespace

}  // namespace modbpf::test
