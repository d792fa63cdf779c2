// SPDX-License-Identifier: GPL-2.0-only
// Iterators in process: links, and what read() gives, over elements of maps.
#include "btf/btf_builder_test.h"
#include "btf/format.h"
#include "cmd/core_test.h"

#include "verifier/btf_lists.h"

#include <algorithm>

using namespace modbpf;
using namespace modbpf::test;

namespace {

constexpr s32 end_mark = -1;

bpf_insn load_word(u8 dst, u8 src, s16 off, u8 size = BPF_DW) { return {static_cast<u8>(BPF_LDX | BPF_MEM | size), dst, src, off, 0}; }
bpf_insn move_reg(u8 dst, u8 src) { return {BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0}; }
bpf_insn call(s32 id) { return {BPF_JMP | BPF_CALL, 0, 0, 0, id}; }

/// Writes `bytes` of the key or of the value, and a mark at the end; then runs `tail`.
std::vector<bpf_insn> writer(bool value, s32 bytes, std::vector<bpf_insn> tail = return_zero()) {
    std::vector<bpf_insn> p = {
        load_word(6, 1, 0), load_word(6, 6, 0),        // r6 = ctx->meta->seq
        load_word(2, 1, value ? 24 : 16), mov_imm(3, bytes), move_reg(7, 2),
        {BPF_JMP | BPF_JNE | BPF_K, 2, 0, 4, 0},
        {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, end_mark}, // nothing: the end
        move_reg(2, 10), {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4}, mov_imm(3, 4),
        move_reg(1, 6), call(127),                     // seq_write
    };
    p.insert(p.end(), tail.begin(), tail.end());
    return p;
}

class iterators : public core_test {
protected:
    void SetUp() override {
        core_test::SetUp();
        result<ref<btf>> kernel = btf::vmlinux();
        if (!kernel)
            GTEST_SKIP() << "this kernel has no BTF";
        func_ = (*kernel)->find("bpf_iter_bpf_map_elem", btf_kind::func);
        if (!func_)
            GTEST_SKIP() << "this kernel has no iterators";
    }

    fd load_iter(const std::vector<bpf_insn> &insns, u32 flags = 0) {
        prog_load_attr a = load_attr(BPF_PROG_TYPE_TRACING, insns);
        a.expected_attach_type = BPF_TRACE_ITER, a.attach_btf_id = func_, a.prog_flags = flags;
        return fd(bpf_load(a));
    }
    static long link_raw(const fd &p, const fd &m, u32 len = 16) {
        iter_link_info info{.words = {}};
        info.map.map_fd = m.u();
        link_create_attr l{};
        l.prog_fd = p.u(), l.attach_type = BPF_TRACE_ITER, l.cookie = addr_of(&info), l.more[0] = len;
        return bpf(BPF_LINK_CREATE, l, 60);
    }
    static fd open(const fd &link) {
        iter_create_attr a{.link_fd = link.u(), .flags = 0};
        return fd(bpf(BPF_ITER_CREATE, a));
    }
    static long read(const fd &f, void *to, size_t n) { return port_user_read(f.get(), to, n); }
    static std::vector<s32> read_all(const fd &f, size_t at_once = 4096) {
        std::vector<s32> all;
        std::vector<char> text, buf(at_once);
        for (long n; (n = read(f, buf.data(), buf.size())) > 0;)
            text.insert(text.end(), buf.begin(), buf.begin() + n);
        all.resize(text.size() / 4);
        memcpy(all.data(), text.data(), all.size() * 4);
        return all;
    }
    static fd filled_array(u32 entries, u32 flags = 0) {
        fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, entries, flags);
        for (u32 i = 0; i < entries; i++) {
            u64 v = 100 + i;
            EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &i, &v), 0);
        }
        return m;
    }
    static u64 value_of(const fd &m, u32 key) {
        u64 v = 0;
        EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &v), 0);
        return v;
    }

    u32 func_ = 0;
};

}  // namespace

TEST_F(iterators, shows_each_element_and_the_end_once) {
    fd p = load_iter(writer(false, 4)), m = filled_array(3), l(link_raw(p, m));
    ASSERT_TRUE(p.ok() && l.ok()) << l.get();
    for (size_t at_once : {4096u, 4u, 3u, 1u})
        EXPECT_EQ(read_all(open(l), at_once), (std::vector<s32>{0, 1, 2, end_mark})) << at_once;
    fd it = open(l);
    m.close(), l.close(), p.close(); // the session has all that it needs
    EXPECT_EQ(read_all(it).size(), 4u);
    char c;
    EXPECT_EQ(read(it, &c, 1), 0);
}

TEST_F(iterators, walks_hash_maps_and_cpus) {
    for (u32 type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH}) {
        fd m = make_map(type, 4, 8, 500);
        std::vector<u64> v(port_cpu_count(), 7);
        for (s32 i = 0; i < 300; i++)
            ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &i, v.data()), 0);
        fd p = load_iter(writer(false, 4)), l(link_raw(p, m)), it = open(l);
        std::vector<s32> seen = read_all(it, 64);
        ASSERT_EQ(seen.size(), 301u) << type;
        EXPECT_EQ(seen.back(), end_mark);
        std::sort(seen.begin(), seen.end());
        for (s32 i = -1; i < 300; i++)
            EXPECT_EQ(seen[static_cast<size_t>(i + 1)], i);
    }
    fd cpus = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4, 2);
    u32 one = 1;
    std::vector<u64> v(port_cpu_count());
    for (u32 i = 0; i < v.size(); i++)
        v[i] = 50 + i;
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, cpus, &one, v.data()), 0);
    s32 bytes = static_cast<s32>(8 * port_cpu_count());
    std::vector<s32> seen = read_all(open(fd(link_raw(load_iter(writer(true, bytes)), cpus))));
    ASSERT_EQ(seen.size(), static_cast<size_t>(bytes / 4 * 2 + 1));
    EXPECT_EQ(seen[0], 0);
    for (u32 i = 0; i < v.size(); i++)
        EXPECT_EQ(seen[static_cast<size_t>(bytes / 4) + i * 2], static_cast<s32>(50 + i));
}

/// Attaching checks that the program stays inside key and value, which the verifier cannot know.
TEST_F(iterators, refuses_accesses_behind_keys_and_values) {
    fd m = filled_array(2), queue = make_map(BPF_MAP_TYPE_QUEUE, 0, 4, 4);
    EXPECT_EQ(link_raw(load_iter(writer(false, 5)), m), -EACCES);
    EXPECT_EQ(link_raw(load_iter(writer(true, 9)), m), -EACCES);
    fd p = load_iter(writer(true, 8));
    EXPECT_TRUE(fd(link_raw(p, m)).ok());
    EXPECT_EQ(link_raw(p, queue), -EINVAL);
    EXPECT_EQ(link_raw(p, p), -EINVAL);
    EXPECT_EQ(link_raw(p, fd(-1)), -EBADF);
    EXPECT_EQ(link_raw(p, m, 0), -EINVAL); // an address without a length
    link_create_attr bare{};
    bare.prog_fd = p.u(), bare.attach_type = BPF_TRACE_ITER;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, bare, 60), -EBADF); // no map
    bare.flags = 1;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, bare, 60), -EINVAL);
    EXPECT_EQ(link_raw(load_iter(writer(false, 4), BPF_F_SLEEPABLE), m), -EINVAL);
    EXPECT_FALSE(load_iter(writer(true, 8, {{BPF_ST | BPF_MEM | BPF_B, 7, 0, 0, 1}, mov_imm(0, 0), exit_insn()})).ok()); // may be NULL
}

/// r7 is the value, where there is one.
TEST_F(iterators, programs_write_values_but_not_those_of_read_only_maps) {
    std::vector<bpf_insn> store = {{BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1, 0}, {BPF_ST | BPF_MEM | BPF_DW, 7, 0, 0, 5},
                                   mov_imm(0, 0), exit_insn()};
    for (u32 flags : {0u, static_cast<u32>(BPF_F_RDONLY_PROG)}) {
        fd m = filled_array(2, flags), p = load_iter(writer(true, 8, store)), l(link_raw(p, m));
        ASSERT_TRUE(l.ok());
        EXPECT_EQ(read_all(open(l)).size(), 5u);
        EXPECT_EQ(value_of(m, 1), flags ? 101u : 5u);
    }
}

/// Values with a lock are shown as copies: what the program writes goes back, and only that, so what others write meanwhile stays.
TEST_F(iterators, what_a_program_left_alone_is_not_written) {
    btf_builder types;
    u32 number = types.int32(), wide = types.integer("u64", 8, 64);
    u32 lock = types.composite(btf_kind::structure, "bpf_spin_lock", 4, {{"val", number, 0}});
    u32 id = types.composite(btf_kind::structure, "value", 27,
                             {{"a", wide, 0}, {"lock", lock, 64}, {"c", number, 96}, {"b", number, 128}, {"d", number, 160}});
    fd loaded = load_types(types.bytes());
    ASSERT_TRUE(loaded.ok());
    map_create_attr a = map_attr(BPF_MAP_TYPE_ARRAY, 4, 27, 1, 0);
    a.btf_fd = loaded.u(), a.btf_key_type_id = number, a.btf_value_type_id = id;
    fd m(bpf(BPF_MAP_CREATE, a));
    ASSERT_TRUE(m.ok()) << m.get();
    struct {
        u64 a;
        u32 lock, c, b, d;
        u8 tail[3];
    } before{1, 0, 2, 3, 4, {5, 6, 7}}, after{};
    u32 key = 0;
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, m, &key, &before), 0);
    auto put = [](u8 size, u8 to, s16 off, s32 v) { return bpf_insn{static_cast<u8>(BPF_ST | BPF_MEM | size), to, 0, off, v}; };
    std::vector<bpf_insn> way = {{BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 19, 0},
                                 put(BPF_W, 7, 8, 9), put(BPF_W, 7, 16, 33), put(BPF_B, 7, 25, 66), // the lock, b, the middle of the tail
                                 put(BPF_W, 10, -4, 0), put(BPF_DW, 10, -32, 11), put(BPF_DW, 10, -24, 0), put(BPF_W, 10, -20, 22),
                                 put(BPF_W, 10, -16, 3), put(BPF_W, 10, -12, 44), put(BPF_B, 10, -8, 55), put(BPF_B, 10, -7, 6), put(BPF_B, 10, -6, 77),
                                 {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0, m.get()}, {}, move_reg(2, 10),
                                 {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4}, move_reg(3, 10), {BPF_ALU64 | BPF_ADD | BPF_K, 3, 0, 0, -32},
                                 mov_imm(4, 0), call(BPF_FUNC_map_update_elem), mov_imm(0, 0), exit_insn()};
    way[0].off = static_cast<s16>(way.size() - 3);
    fd p = load_iter(writer(true, 27, way)), l(link_raw(p, m));
    ASSERT_TRUE(l.ok()) << p.get() << " " << l.get();
    read_all(open(l));
    ASSERT_EQ(elem(BPF_MAP_LOOKUP_ELEM, m, &key, &after, BPF_F_LOCK), 0); // would hang at a lock that the program had written
    EXPECT_EQ(after.a, 11u);
    EXPECT_EQ(after.c, 22u);
    EXPECT_EQ(after.b, 33u);
    EXPECT_EQ(after.d, 44u);
    EXPECT_EQ(after.tail[0], 55);
    EXPECT_EQ(after.tail[1], 66);
    EXPECT_EQ(after.tail[2], 77);
}

TEST_F(iterators, elements_that_are_too_large_or_not_yet_wanted) {
    fd large = make_map(BPF_MAP_TYPE_ARRAY, 4, 40000, 2), it = open(fd(link_raw(load_iter(writer(true, 40000)), large)));
    std::vector<char> buf(100000);
    EXPECT_EQ(read(it, buf.data(), buf.size()), -E2BIG);
    fd half = make_map(BPF_MAP_TYPE_ARRAY, 4, 20000, 3), it2 = open(fd(link_raw(load_iter(writer(true, 20000)), half)));
    for (u32 i = 0; i < 2; i++) // one by one: two do not fit
        EXPECT_EQ(read(it2, buf.data(), buf.size()), 20000);
    EXPECT_EQ(read(it2, buf.data(), buf.size()), 20004);
    EXPECT_EQ(read(it2, buf.data(), buf.size()), 0);
    fd again = open(fd(link_raw(load_iter(writer(false, 4, {mov_imm(0, 1), exit_insn()})), half)));
    EXPECT_EQ(read(again, buf.data(), 4), -EAGAIN);
    EXPECT_EQ(read(open(fd(link_raw(load_iter(writer(false, 4)), half))), nullptr, 4), -EFAULT);
}

TEST_F(iterators, numbers_of_objects_and_sessions) {
    // Writes meta's session_id and seq_num.
    std::vector<bpf_insn> numbers = {load_word(6, 1, 0), load_word(2, 6, 8), {BPF_STX | BPF_MEM | BPF_DW, 10, 2, -16, 0}, load_word(2, 6, 16),
                                     {BPF_STX | BPF_MEM | BPF_DW, 10, 2, -8, 0}, load_word(1, 6, 0), move_reg(2, 10),
                                     {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -16}, mov_imm(3, 16), call(127), mov_imm(0, 0), exit_insn()};
    fd l(link_raw(load_iter(numbers), filled_array(2)));
    u64 first[6] = {}, second[6] = {};
    EXPECT_EQ(read(open(l), first, sizeof(first)), 48);
    EXPECT_EQ(read(open(l), second, sizeof(second)), 48);
    EXPECT_EQ(second[0], first[0] + 1);
    EXPECT_EQ(first[1], 0u);
    EXPECT_EQ(first[3], 1u);
}

TEST_F(iterators, links_tell_their_target_and_change_programs) {
    fd m = filled_array(3), keys = load_iter(writer(false, 4)), values = load_iter(writer(true, 8)), l(link_raw(keys, m));
    char name[16] = {};
    bpf_link_info i{};
    i.iter.target_name = addr_of(name), i.iter.target_name_len = sizeof(name);
    ASSERT_EQ(get_info(l, i), 0);
    EXPECT_STREQ(name, "bpf_map_elem");
    EXPECT_EQ(i.type, BPF_LINK_TYPE_ITER);
    EXPECT_EQ(i.iter.target_name_len, 13u);
    EXPECT_NE(fdinfo(l.get()).find("link_type:\titer\n"), std::string::npos);
    EXPECT_NE(fdinfo(l.get()).find("target_name:\tbpf_map_elem\nmap_id:\t" + std::to_string(i.iter.map_id) + "\n"), std::string::npos);

    fd before = open(l);
    link_update_attr u{.link_fd = l.u(), .new_prog_fd = values.u(), .flags = 4, .old_prog_fd = values.u()};
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EPERM); // it has another one
    u.old_prog_fd = keys.u();
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), 0);
    u.flags = 0;
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EINVAL); // an old program without the flag
    fd other = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
    u.new_prog_fd = other.u(), u.old_prog_fd = 0;
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EINVAL);
    EXPECT_EQ(read_all(before).size(), 4u); // keeps its program
    EXPECT_EQ(read_all(open(l)).size(), 7u);
    iter_create_attr c{.link_fd = l.u(), .flags = 1};
    EXPECT_EQ(bpf(BPF_ITER_CREATE, c), -EINVAL);
    c = {.link_fd = m.u(), .flags = 0};
    EXPECT_EQ(bpf(BPF_ITER_CREATE, c), -EINVAL);
}

/// A program that finds another struct seq_file must not write to it.
TEST_F(iterators, writes_to_its_own_text_only) {
    EXPECT_EQ(open_seq(0), nullptr);
    port_seq *seq = port_seq_create();
    ASSERT_EQ(port_seq_buffer(seq, 64), 0);
    EXPECT_EQ(open_seq(addr_of(seq)), nullptr);
    {
        seq_scope scope(seq);
        EXPECT_EQ(open_seq(addr_of(seq)), seq);
        EXPECT_EQ(open_seq(addr_of(seq) + 8), nullptr);
    }
    EXPECT_EQ(open_seq(addr_of(seq)), nullptr);
    port_seq_destroy(seq);
}

/// Where a process has neither control groups nor the kernel's symbols: what user space may ask for, and the end.
TEST_F(iterators, groups_and_symbols) {
    ref<btf> kernel = btf::vmlinux().value();
    auto of = [&](const char *function) { return kernel->find(function, btf_kind::func); };
    if (!of("bpf_iter_cgroup") || !of("bpf_iter_ksym"))
        GTEST_SKIP() << "this kernel has not these iterators";
    func_ = of("bpf_iter_cgroup");
    fd groups = load_iter(return_zero()), sleeping = load_iter(return_zero(), BPF_F_SLEEPABLE);
    ASSERT_TRUE(groups.ok() && sleeping.ok());
    auto link = [&](const fd &p, u32 order, u32 group, u64 id) {
        iter_link_info info{.words = {}};
        info.cgroup.order = order, info.cgroup.fd = group, info.cgroup.id = id;
        link_create_attr l{};
        l.prog_fd = p.u(), l.attach_type = BPF_TRACE_ITER, l.cookie = addr_of(&info), l.more[0] = sizeof(info);
        return bpf(BPF_LINK_CREATE, l, 60);
    };
    EXPECT_EQ(link(groups, 0, 0, 0), -EINVAL);
    EXPECT_EQ(link(groups, 5, 0, 0), -EINVAL);
    EXPECT_EQ(link(groups, 1, 3, 4), -EINVAL);
    EXPECT_EQ(link(groups, 1, 0, 4), -EOPNOTSUPP);
    EXPECT_EQ(link(sleeping, 4, 0, 0), -EOPNOTSUPP);
    func_ = of("bpf_iter_ksym");
    std::vector<bpf_insn> tells = {load_word(6, 1, 0), load_word(1, 6, 0), {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, end_mark},
                                   move_reg(2, 10), {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4}, mov_imm(3, 4), call(127)};
    for (const bpf_insn &in : return_zero())
        tells.push_back(in);
    fd symbols = load_iter(tells);
    link_create_attr l{};
    l.prog_fd = symbols.u(), l.attach_type = BPF_TRACE_ITER;
    fd at(bpf(BPF_LINK_CREATE, l, 60));
    ASSERT_TRUE(at.ok()) << at.get();
    EXPECT_EQ(read_all(open(at)), std::vector<s32>{end_mark});
}

TEST_F(iterators, what_the_verifier_lets_run_has_a_target) {
    for (const iter_target &t : all_iter_targets()) {
        std::string function = std::string("bpf_iter_") + t.name;
        EXPECT_TRUE(iterator_runs(function.c_str())) << t.name;
        EXPECT_TRUE(is_iterator_target(function.c_str())) << t.name;
    }
    EXPECT_FALSE(iterator_runs("bpf_iter_tcp"));
    EXPECT_EQ(find_iter_target("bpf_iter_tcp"), nullptr);
}

namespace {

ref<btf> kernel_types() {
    result<ref<btf>> types = btf::vmlinux();
    return move(*types);
}

u32 offset_of(const char *structure, const char *member) {
    ref<btf> types = kernel_types();
    const btf_type *t = types->type(types->find(structure, btf_kind::structure));
    const btf_member *m = t ? types->member(t, member, strlen(member)) : nullptr;
    EXPECT_TRUE(m) << structure << "." << member;
    return m ? m->bit_offset(t->kind_flag()) / 8 : 0;
}

/// Writes the number at the end of the way from the object, and a mark at the end of the walk.
std::vector<bpf_insn> number_writer(std::vector<u32> way) {
    std::vector<bpf_insn> p = {
        load_word(6, 1, 0), load_word(6, 6, 0), // r6 = ctx->meta->seq
        load_word(2, 1, 8), mov_imm(3, end_mark),
        {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, static_cast<s16>(way.size()), 0},
    };
    for (size_t i = 0; i + 1 < way.size(); i++)
        p.push_back(load_word(2, 2, static_cast<s16>(way[i])));
    p.push_back(load_word(3, 2, static_cast<s16>(way.back()), BPF_W));
    std::vector<bpf_insn> tail = {
        {BPF_STX | BPF_MEM | BPF_W, 10, 3, -4, 0}, move_reg(2, 10), {BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4},
        mov_imm(3, 4), move_reg(1, 6), call(127), // seq_write
        mov_imm(0, 0), exit_insn(),
    };
    p.insert(p.end(), tail.begin(), tail.end());
    return p;
}

class registries : public iterators {
protected:
    void TearDown() override {
        link_.close(), prog_.close();
        core_test::TearDown();
    }
    /// What an iterator over `target` writes, by reads of 8 bytes.
    std::vector<s32> numbers(const char *target, std::vector<u32> way) {
        func_ = kernel_types()->find(target, btf_kind::func);
        prog_ = load_iter(number_writer(way));
        EXPECT_TRUE(prog_.ok()) << target;
        link_create_attr l{};
        l.prog_fd = prog_.u(), l.attach_type = BPF_TRACE_ITER;
        link_ = fd(bpf(BPF_LINK_CREATE, l, 60));
        EXPECT_TRUE(link_.ok()) << target << link_.get();
        return read_all(open(link_), 8);
    }
    template <class I> static s32 id_of(const fd &f) {
        I info{};
        EXPECT_EQ(get_info(f, info), 0);
        return static_cast<s32>(info.id);
    }
    fd prog_, link_;
};

TEST_F(registries, shows_all_maps) {
    std::vector<s32> want;
    std::vector<fd> maps;
    for (u32 i = 0; i < 20; i++) {
        maps.push_back(make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1 + i));
        if (i % 3) {
            want.push_back(static_cast<s32>(1 + i));
            continue;
        }
        maps.pop_back();
        port_user_sweep();
        port_rcu_barrier();
    }
    want.push_back(end_mark);
    EXPECT_EQ(numbers("bpf_iter_bpf_map", {offset_of("bpf_map", "max_entries")}), want);
}

TEST_F(registries, shows_all_programs) {
    fd a = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero()), b = load(BPF_PROG_TYPE_XDP, return_zero());
    std::vector<s32> seen = numbers("bpf_iter_bpf_prog", {offset_of("bpf_prog", "aux"), offset_of("bpf_prog_aux", "id")});
    EXPECT_EQ(seen, (std::vector<s32>{id_of<bpf_prog_info>(a), id_of<bpf_prog_info>(b), id_of<bpf_prog_info>(prog_), end_mark}));
}

TEST_F(registries, shows_all_links) {
    std::vector<s32> seen = numbers("bpf_iter_bpf_link", {offset_of("bpf_link", "id")});
    EXPECT_EQ(seen, (std::vector<s32>{id_of<bpf_link_info>(link_), end_mark}));
    u32 aux = offset_of("bpf_prog", "aux"), id = offset_of("bpf_prog_aux", "id");
    seen = numbers("bpf_iter_bpf_link", {offset_of("bpf_link", "prog"), aux, id});
    EXPECT_EQ(seen, (std::vector<s32>{id_of<bpf_prog_info>(prog_), end_mark}));
}

TEST_F(registries, new_objects_behind_the_end_are_not_waited_for) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 5);
    EXPECT_EQ(numbers("bpf_iter_bpf_map", {offset_of("bpf_map", "max_entries")}), (std::vector<s32>{5, end_mark}));
    fd it = open(link_);
    EXPECT_EQ(read_all(it).size(), 2u);
    fd later = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 6);
    char c;
    EXPECT_EQ(read(it, &c, 1), 0);
}

}  // namespace
