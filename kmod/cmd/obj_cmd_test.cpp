// SPDX-License-Identifier: GPL-2.0-only
// Programs and objects: load checks, ids, info, fdinfo, fds of the wrong kind.
#include "cmd/core_test.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

class obj_cmd : public core_test {};

/// A minimal BTF: int (1), func_proto (2), func (3) "f".
std::vector<u8> small_btf() {
    std::vector<u32> types = {1, 1u << 24, 4, 32 | 1u << 24, 0, 13u << 24, 1, 5, 12u << 24, 2};
    std::string strings("\0int\0f\0", 7);
    std::vector<u32> header = {0x0001eb9f, 24, 0, static_cast<u32>(types.size() * 4), static_cast<u32>(types.size() * 4),
                               static_cast<u32>(strings.size())};
    std::vector<u8> out;
    auto add = [&](const void *p, size_t n) { out.insert(out.end(), static_cast<const u8 *>(p), static_cast<const u8 *>(p) + n); };
    add(header.data(), header.size() * 4);
    add(types.data(), types.size() * 4);
    add(strings.data(), strings.size());
    return out;
}
fd load_btf(const std::vector<u8> &b) {
    btf_load_attr a{};
    a.btf = addr_of(b.data()), a.btf_size = static_cast<u32>(b.size());
    return fd(bpf(BPF_BTF_LOAD, a));
}

TEST_F(obj_cmd, load_checks) {
    auto insns = return_zero();
    auto refused = [&](auto change, int want) {
        prog_load_attr a = load_attr(BPF_PROG_TYPE_SOCKET_FILTER, insns);
        change(a);
        EXPECT_EQ(bpf_load(a), want);
    };
    EXPECT_TRUE(load(BPF_PROG_TYPE_SOCKET_FILTER, insns).ok());
    refused([](auto &a) { a.prog_flags = 1u << 30; }, -EINVAL);
    refused([](auto &a) { a.insn_cnt = 0; }, -E2BIG);
    refused([](auto &a) { a.insn_cnt = 1000001; }, -E2BIG);
    refused([](auto &a) { a.insns = 8; }, -EFAULT);
    refused([](auto &a) { a.license = 8; }, -EFAULT);
    refused([](auto &a) { a.prog_type = BPF_PROG_TYPE_SYSCALL; }, -EINVAL);
    refused([](auto &a) { a.prog_type = 4000; }, -EINVAL);
    refused([](auto &a) { a.prog_name[0] = '-'; }, -EINVAL);
    refused([](auto &a) { a.attach_btf_id = 5; }, -EINVAL);
    refused([](auto &a) { a.attach_prog_fd = 9999; }, -EINVAL);
    refused([](auto &a) { a.prog_ifindex = 1; }, -EINVAL);
    refused([](auto &a) { a.prog_flags = BPF_F_TOKEN_FD, a.prog_token_fd = 9999; }, -EBADF);
    refused([](auto &a) { a.log_size = 100; }, -EINVAL); // a size without a buffer
    refused([](auto &a) { a.func_info_cnt = 1, a.prog_btf_fd = 9999; }, -EBADF);
}

TEST_F(obj_cmd, log_and_true_size) {
    auto insns = return_zero();
    char log[4096];
    memset(log, 'x', sizeof(log));
    prog_load_attr a = load_attr(BPF_PROG_TYPE_SOCKET_FILTER, insns);
    a.log_level = 1, a.log_buf = addr_of(log), a.log_size = sizeof(log);
    EXPECT_TRUE(fd(bpf_load(a)).ok());
    EXPECT_EQ(a.log_true_size, strlen(log) + 1);
    a.log_true_size = 77;
    EXPECT_TRUE(fd(bpf(BPF_PROG_LOAD, a, 140)).ok()); // an attr that ends before the field
    EXPECT_EQ(a.log_true_size, 77u);
}

TEST_F(obj_cmd, program_info_and_fdinfo) {
    auto insns = return_zero();
    prog_load_attr a = load_attr(BPF_PROG_TYPE_KPROBE, insns);
    memcpy(a.prog_name, "my_prog.1", 10);
    fd p(bpf_load(a));
    ASSERT_TRUE(p.ok());
    EXPECT_STREQ(port_user_class(p.get()), "bpf-prog");
    bpf_prog_info i{};
    ASSERT_EQ(get_info(p, i), 0);
    EXPECT_EQ(i.type, BPF_PROG_TYPE_KPROBE);
    EXPECT_STREQ(i.name, "my_prog.1");
    EXPECT_EQ(i.gpl_compatible, 1u);
    EXPECT_EQ(i.xlated_prog_len, 16u);
    EXPECT_GT(i.jited_prog_len, 0u);
    EXPECT_EQ(i.nr_jited_ksyms, 1u);
    EXPECT_EQ(i.nr_prog_tags, 1u);
    EXPECT_EQ(i.created_by_uid, getuid());
    // The tag is SHA-1 over the 16 bytes of the two instructions: known from another implementation.
    static const u8 tag[8] = {0xa0, 0x4f, 0x5e, 0xef, 0x06, 0xa7, 0xf5, 0x55};
    EXPECT_EQ(memcmp(i.tag, tag, 8), 0);
    std::vector<bpf_insn> xlated(2);
    std::vector<u8> jited(i.jited_prog_len);
    u64 sym = 0;
    u32 len = 0;
    bpf_prog_info j{};
    j.xlated_prog_len = 16, j.xlated_prog_insns = addr_of(xlated.data());
    j.jited_prog_len = static_cast<u32>(jited.size()), j.jited_prog_insns = addr_of(jited.data());
    j.nr_jited_ksyms = j.nr_jited_func_lens = 1, j.jited_ksyms = addr_of(&sym), j.jited_func_lens = addr_of(&len);
    ASSERT_EQ(get_info(p, j), 0);
    EXPECT_EQ(memcmp(xlated.data(), insns.data(), 16), 0);
    EXPECT_EQ(len, jited.size());
    EXPECT_EQ(memcmp(ptr_of(sym), jited.data(), len), 0);
    std::string text = fdinfo(p.get());
    EXPECT_EQ(text.find("prog_type:\t2\nprog_jited:\t1\nprog_tag:\ta04f5eef06a7f555\nmemlock:\t4096\nprog_id:\t"), 0u) << text;
    EXPECT_NE(text.find("\nrun_time_ns:\t0\nrun_cnt:\t0\nrecursion_misses:\t0\nverified_insns:\t2\n"), std::string::npos) << text;
    // Without CAP_BPF code stays hidden, without CAP_PERFMON addresses do.
    port_user_set_caps(0);
    bpf_prog_info k{};
    ASSERT_EQ(get_info(p, k), 0);
    EXPECT_EQ(k.xlated_prog_len, 0u);
    EXPECT_EQ(k.jited_prog_len, 0u);
    port_user_set_caps(1u << PORT_CAP_BPF);
    k = {};
    k.nr_jited_ksyms = 1, k.jited_ksyms = addr_of(&sym), k.jited_prog_len = 1, k.jited_prog_insns = addr_of(jited.data());
    sym = 1;
    ASSERT_EQ(get_info(p, k), 0);
    EXPECT_EQ(sym, 1u);
    EXPECT_EQ(k.jited_ksyms, 0u);
    EXPECT_EQ(k.jited_prog_insns, 0u);
}

/// The image as info shows it; empty: it shows none.
std::vector<u8> jited_code(const fd &p) {
    std::vector<u8> text(4096);
    bpf_prog_info i{};
    i.jited_prog_len = static_cast<u32>(text.size()), i.jited_prog_insns = addr_of(text.data());
    EXPECT_EQ(get_info(p, i), 0);
    text.resize(i.jited_prog_insns ? i.jited_prog_len : 0);
    return text;
}
bool has_constant(const std::vector<u8> &text, u32 v) { return memmem(text.data(), text.size(), &v, sizeof(v)) != nullptr; }

/// As net.core.bpf_jit_harden has it: 1 is for those without CAP_BPF. It counts when a program is loaded.
TEST_F(obj_cmd, blinded_programs) {
    constexpr u32 number = 0x3c9a71e5;
    std::vector<bpf_insn> insns = {mov_imm(BPF_REG_0, number), exit_insn()};
    struct {
        const char *harden;
        bool privileged, shown;
    } rows[] = {{"0", true, true}, {"1", true, true}, {"2", true, false}, {"0", false, true}, {"1", false, false}, {"2", false, false}};
    port_user_set_unprivileged(true);
    for (const auto &r : rows) {
        setenv("MODBPF_JIT_HARDEN", r.harden, 1);
        port_user_set_caps(r.privileged ? ~0u : 0);
        fd p = load(BPF_PROG_TYPE_SOCKET_FILTER, insns);
        unsetenv("MODBPF_JIT_HARDEN");
        port_user_set_caps(~0u);
        ASSERT_TRUE(p.ok());
        std::vector<u8> text = jited_code(p);
        EXPECT_GT(text.size(), 5u);
        EXPECT_EQ(has_constant(text, number), r.shown) << r.harden << r.privileged;
        bpf_prog_info i{}; // the instructions stay what they were
        bpf_insn shown[2] = {};
        i.xlated_prog_len = sizeof(shown), i.xlated_prog_insns = addr_of(shown);
        ASSERT_EQ(get_info(p, i), 0);
        EXPECT_EQ(i.xlated_prog_len, 16u);
        EXPECT_EQ(memcmp(shown, insns.data(), sizeof(shown)), 0);
        // Who may not see addresses gets no code of a blinded program, and nothing of what Linux fills in behind it.
        port_user_set_caps(1u << PORT_CAP_BPF);
        i = {};
        i.xlated_prog_len = sizeof(shown), i.xlated_prog_insns = addr_of(shown), i.nr_jited_ksyms = 7;
        ASSERT_EQ(get_info(p, i), 0);
        EXPECT_EQ(i.xlated_prog_len, 16u);
        EXPECT_EQ(i.xlated_prog_insns != 0, r.shown);
        EXPECT_EQ(i.nr_jited_ksyms, r.shown ? 1u : 7u);
        port_user_set_caps(~0u);
    }
}

TEST_F(obj_cmd, info_sizes) {
    fd p = load(BPF_PROG_TYPE_XDP, return_zero());
    bpf_prog_info small{};
    u32 len = 8;
    EXPECT_EQ(get_info(p, small, &len), 0);
    EXPECT_EQ(len, 8u);
    EXPECT_EQ(small.type, BPF_PROG_TYPE_XDP);
    EXPECT_EQ(small.load_time, 0u);
    struct {
        bpf_prog_info i;
        u8 more[64];
    } big{};
    len = sizeof(big);
    EXPECT_EQ(get_info(p, big, &len), 0);
    EXPECT_EQ(len, sizeof(bpf_prog_info));
    big = {};
    big.more[63] = 1;
    len = sizeof(big);
    EXPECT_EQ(get_info(p, big, &len), -E2BIG);
    len = 5000;
    EXPECT_EQ(get_info(p, big, &len), -E2BIG);
    bpf_prog_info i{};
    i.nr_func_info = 1, i.func_info_rec_size = 12;
    EXPECT_EQ(get_info(p, i), -EINVAL);
    i = {};
    i.nr_map_ids = 1, i.map_ids = 8;
    EXPECT_EQ(get_info(p, i), 0); // no map: nothing is written
    info_attr a{.bpf_fd = p.u(), .info_len = sizeof(i), .info = 8};
    EXPECT_EQ(bpf(BPF_OBJ_GET_INFO_BY_FD, a), -EFAULT);
    a.bpf_fd = 9999;
    EXPECT_EQ(bpf(BPF_OBJ_GET_INFO_BY_FD, a), -EBADFD);
    a.bpf_fd = static_cast<u32>(open("/dev/null", O_RDONLY));
    EXPECT_EQ(bpf(BPF_OBJ_GET_INFO_BY_FD, a), -EINVAL);
    close(static_cast<int>(a.bpf_fd));
}

TEST_F(obj_cmd, calls_in_dumps) {
    // Behind a branch that is never taken: the distances are those of the code that is left.
    bpf_insn call{BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 4}, nested{BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 1};
    bpf_insn never{BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1, 1};
    fd p = load(BPF_PROG_TYPE_XDP, {mov_imm(0, 0), call, never, exit_insn(), mov_imm(0, 7), exit_insn(),  // main
                                    nested, exit_insn(),                                                  // 1
                                    mov_imm(0, 0), exit_insn()});                                         // 2
    ASSERT_TRUE(p.ok());
    bpf_insn dump[10] = {};
    bpf_prog_info info{};
    info.xlated_prog_len = sizeof(dump), info.xlated_prog_insns = addr_of(dump);
    ASSERT_EQ(get_info(p, info), 0);
    u32 n = info.xlated_prog_len / static_cast<u32>(sizeof(bpf_insn)), calls = 0, ksyms = info.nr_jited_ksyms;
    EXPECT_EQ(ksyms, 3u);
    for (u32 i = 0; i < n; i++)
        if (dump[i].code == (BPF_JMP | BPF_CALL)) {
            calls++;
            EXPECT_EQ(dump[i].src_reg, BPF_PSEUDO_CALL);
            EXPECT_EQ(dump[i].imm, static_cast<s32>(calls)) << "the callee's place among the functions";
            u32 target = i + 1 + static_cast<u32>(dump[i].off);
            ASSERT_LT(target, n);
            EXPECT_EQ(dump[target - 1].code, BPF_JMP | BPF_EXIT) << "off leads to a function's start";
            EXPECT_EQ(dump[target].code, calls == 1 ? BPF_JMP | BPF_CALL : BPF_ALU64 | BPF_MOV | BPF_K);
        }
    EXPECT_EQ(calls, 2u);
}

TEST_F(obj_cmd, ids) {
    std::vector<fd> maps;
    std::vector<u32> ids;
    for (int i = 0; i < 150; i++) {
        maps.push_back(make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1));
        bpf_map_info info{};
        ASSERT_EQ(get_info(maps.back(), info), 0);
        ids.push_back(info.id);
        EXPECT_EQ(info.id, static_cast<u32>(i + 1));
    }
    get_id_attr a{};
    for (u32 id : ids) {
        ASSERT_EQ(bpf(BPF_MAP_GET_NEXT_ID, a, 8), 0);
        EXPECT_EQ(a.next_id, id);
        a.id = a.next_id;
    }
    EXPECT_EQ(bpf(BPF_MAP_GET_NEXT_ID, a, 8), -ENOENT);
    get_id_attr g{};
    g.id = ids[70];
    fd again(bpf(BPF_MAP_GET_FD_BY_ID, g));
    ASSERT_TRUE(again.ok());
    maps[70].close();
    u32 key = 0, value = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, again, &key, &value), 0);
    again.close();
    EXPECT_EQ(bpf(BPF_MAP_GET_FD_BY_ID, g), -ENOENT);
    a.id = ids[69];
    ASSERT_EQ(bpf(BPF_MAP_GET_NEXT_ID, a, 8), 0);
    EXPECT_EQ(a.next_id, ids[71]);
    fd fresh = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1); // the free id is not used again soon
    bpf_map_info info{};
    ASSERT_EQ(get_info(fresh, info), 0);
    EXPECT_EQ(info.id, 151u);
    g.open_flags = BPF_F_RDONLY | BPF_F_WRONLY;
    EXPECT_EQ(bpf(BPF_MAP_GET_FD_BY_ID, g), -EINVAL);
    g.id = ids[0], g.open_flags = BPF_F_RDONLY;
    fd ro(bpf(BPF_MAP_GET_FD_BY_ID, g));
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, ro, &key, &value), -EPERM);
    g.open_flags = 1;
    EXPECT_EQ(bpf(BPF_MAP_GET_FD_BY_ID, g), -EINVAL);
    get_id_attr p{};
    EXPECT_EQ(bpf(BPF_PROG_GET_FD_BY_ID, p, 4), -ENOENT);
    fd prog = load(BPF_PROG_TYPE_XDP, return_zero());
    EXPECT_EQ(bpf(BPF_PROG_GET_NEXT_ID, p, 8), 0);
    get_id_attr q{};
    q.id = p.next_id;
    fd same(bpf(BPF_PROG_GET_FD_BY_ID, q, 4));
    EXPECT_TRUE(same.ok());
    prog.close();
    same.close();
    EXPECT_EQ(bpf(BPF_PROG_GET_FD_BY_ID, q, 4), -ENOENT); // at once, not after the grace period
}

TEST_F(obj_cmd, wrong_kinds) {
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    fd p = load(BPF_PROG_TYPE_XDP, return_zero());
    fd b = load_btf(small_btf());
    ASSERT_TRUE(b.ok());
    u32 key = 0, value = 0;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, p, &key, &value), -EINVAL);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, b, &key, &value), -EINVAL);
    prog_bind_map_attr bind{m.u(), p.u(), 0};
    EXPECT_EQ(bpf(BPF_PROG_BIND_MAP, bind), -EINVAL);
    raw_tracepoint_attr raw{addr_of("x"), m.u(), 0, 0};
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, raw), -EINVAL);
    raw.prog_fd = 9999;
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, raw), -EBADF);
    raw.prog_fd = p.u();
    EXPECT_EQ(bpf(BPF_RAW_TRACEPOINT_OPEN, raw), -EINVAL); // XDP
    link_create_attr l{};
    l.prog_fd = p.u(), l.attach_type = BPF_PERF_EVENT;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EINVAL);
    l.attach_type = BPF_XDP;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EOPNOTSUPP);
    l.attach_type = BPF_STRUCT_OPS;
    EXPECT_EQ(bpf(BPF_LINK_CREATE, l, 60), -EINVAL);
    link_update_attr u{.link_fd = m.u(), .new_prog_fd = p.u(), .flags = 0, .old_prog_fd = 0};
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EINVAL);
    u.link_fd = 9999;
    EXPECT_EQ(bpf(BPF_LINK_UPDATE, u), -EBADF);
    link_fd_attr d{m.u()};
    EXPECT_EQ(bpf(BPF_LINK_DETACH, d), -EINVAL);
    map_create_attr c = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    c.btf_fd = m.u(), c.btf_key_type_id = c.btf_value_type_id = 1;
    EXPECT_EQ(bpf(BPF_MAP_CREATE, c), -EINVAL);
    // Perf events say EBADF for any other file.
    fd perf_array = make_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
    u32 as_value = m.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, perf_array, &key, &as_value), -EBADF);
}

TEST_F(obj_cmd, btf_and_maps) {
    fd b = load_btf(small_btf());
    ASSERT_TRUE(b.ok());
    EXPECT_STREQ(port_user_class(b.get()), "btf");
    bpf_btf_info i{};
    std::vector<u8> copy(small_btf().size());
    char name[4] = "xxx";
    i.btf = addr_of(copy.data()), i.btf_size = static_cast<u32>(copy.size()), i.name = addr_of(name), i.name_len = 4;
    ASSERT_EQ(get_info(b, i), 0);
    EXPECT_EQ(copy, small_btf());
    EXPECT_EQ(i.name_len, 0u);
    EXPECT_EQ(name[0], 0);
    EXPECT_EQ(i.kernel_btf, 0u);
    EXPECT_EQ(fdinfo(b.get()), "btf_id:\t" + std::to_string(i.id) + "\n");
    bpf_btf_info bad{};
    bad.name_len = 3;
    EXPECT_EQ(get_info(b, bad), -EINVAL);
    map_create_attr c = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    c.btf_fd = b.u(), c.btf_key_type_id = c.btf_value_type_id = 1;
    fd m(bpf(BPF_MAP_CREATE, c));
    ASSERT_TRUE(m.ok());
    bpf_map_info info{};
    ASSERT_EQ(get_info(m, info), 0);
    EXPECT_EQ(info.btf_id, i.id);
    EXPECT_EQ(info.btf_key_type_id, 1u);
    c.value_size = 8;
    EXPECT_EQ(bpf(BPF_MAP_CREATE, c), -EINVAL);
    c.value_size = 4, c.map_type = BPF_MAP_TYPE_PERF_EVENT_ARRAY;
    EXPECT_EQ(bpf(BPF_MAP_CREATE, c), -ENOTSUPP);
    get_id_attr by_id{};
    by_id.id = i.id;
    b.close(); // the map holds it
    fd again(bpf(BPF_BTF_GET_FD_BY_ID, by_id, 4));
    EXPECT_TRUE(again.ok());
    again.close();
    m.close();
    map_free_barrier();
    EXPECT_EQ(bpf(BPF_BTF_GET_FD_BY_ID, by_id, 4), -ENOENT);
    if (result<ref<btf>> kernel = btf::vmlinux()) { // the kernel's own types come first, and stay
        get_id_attr next{};
        ASSERT_EQ(bpf(BPF_BTF_GET_NEXT_ID, next, 12), 0);
        EXPECT_EQ(next.next_id, (*kernel)->id);
        by_id.id = next.next_id;
        fd types(bpf(BPF_BTF_GET_FD_BY_ID, by_id, 4));
        char name[16] = {};
        bpf_btf_info k{};
        k.name = addr_of(name), k.name_len = sizeof(name);
        ASSERT_EQ(get_info(types, k), 0);
        EXPECT_EQ(k.kernel_btf, 1u);
        EXPECT_STREQ(name, "vmlinux");
        map_create_attr typed = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
        typed.btf_fd = types.u(), typed.btf_key_type_id = typed.btf_value_type_id = 1;
        EXPECT_EQ(bpf(BPF_MAP_CREATE, typed), -EACCES);
    }
    btf_load_attr l{};
    l.btf_size = 17 << 20;
    EXPECT_EQ(bpf(BPF_BTF_LOAD, l), -E2BIG);
    l.btf_size = 24, l.btf = 8;
    EXPECT_EQ(bpf(BPF_BTF_LOAD, l), -EFAULT);
}

TEST_F(obj_cmd, func_info) {
    fd b = load_btf(small_btf());
    auto insns = return_zero();
    func_info f{0, 3};
    prog_load_attr a = load_attr(BPF_PROG_TYPE_XDP, insns);
    a.prog_btf_fd = b.u(), a.func_info = addr_of(&f), a.func_info_cnt = 1, a.func_info_rec_size = sizeof(f);
    fd p(bpf_load(a));
    ASSERT_TRUE(p.ok());
    bpf_prog_info i{};
    func_info back{};
    i.nr_func_info = 1, i.func_info = addr_of(&back), i.func_info_rec_size = sizeof(back);
    ASSERT_EQ(get_info(p, i), 0);
    EXPECT_EQ(i.nr_func_info, 1u);
    EXPECT_EQ(back.type_id, 3u);
    EXPECT_GT(i.btf_id, 0u);
    f.type_id = 1;
    EXPECT_EQ(bpf_load(a), -EINVAL);
    struct {
        func_info f;
        u32 more;
    } wide{{0, 3}, 1};
    a.func_info = addr_of(&wide), a.func_info_rec_size = sizeof(wide);
    EXPECT_EQ(bpf_load(a), -E2BIG);
    EXPECT_EQ(a.func_info_rec_size, sizeof(func_info)); // what is known here
    a.func_info_rec_size = 6;
    EXPECT_EQ(bpf_load(a), -EINVAL);
    a.func_info_rec_size = 8, a.func_info = 16;
    EXPECT_EQ(bpf_load(a), -EFAULT);
}

TEST_F(obj_cmd, bind_map_and_prog_array) {
    fd p = load(BPF_PROG_TYPE_XDP, return_zero());
    fd m = make_map(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    prog_bind_map_attr bind{p.u(), m.u(), 1};
    EXPECT_EQ(bpf(BPF_PROG_BIND_MAP, bind), -EINVAL);
    bind.flags = 0;
    EXPECT_EQ(bpf(BPF_PROG_BIND_MAP, bind), 0);
    EXPECT_EQ(bpf(BPF_PROG_BIND_MAP, bind), 0); // once
    bpf_prog_info i{};
    u32 id = 0;
    i.nr_map_ids = 1, i.map_ids = addr_of(&id);
    ASSERT_EQ(get_info(p, i), 0);
    EXPECT_EQ(i.nr_map_ids, 1u);
    EXPECT_GT(id, 0u);
    fd array = make_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2);
    u32 key = 0, value = p.u();
    EXPECT_EQ(fdinfo(array.get()).find("owner_prog_type"), std::string::npos);
    ASSERT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), 0);
    EXPECT_NE(fdinfo(array.get()).find("owner_prog_type:\t6\nowner_jited:\t1\n"), std::string::npos);
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, array, &key, &value), 0);
    EXPECT_EQ(value, i.id);
    fd other = load(BPF_PROG_TYPE_SOCKET_FILTER, return_zero());
    value = other.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EINVAL);
    prog_load_attr a = load_attr(BPF_PROG_TYPE_XDP, return_zero());
    auto insns = return_zero();
    a = load_attr(BPF_PROG_TYPE_XDP, insns);
    a.expected_attach_type = BPF_XDP;
    fd differs(bpf_load(a));
    value = differs.u();
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EINVAL);
    value = 9999;
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, array, &key, &value), -EBADF);
    // The element holds the program when its fd is closed; the map's last fd lets it go.
    get_id_attr q{};
    q.id = i.id;
    p.close();
    fd again(bpf(BPF_PROG_GET_FD_BY_ID, q, 4));
    EXPECT_TRUE(again.ok());
    again.close();
    array.close();
    EXPECT_EQ(bpf(BPF_PROG_GET_FD_BY_ID, q, 4), -ENOENT);
}

TEST_F(obj_cmd, stats) {
    enable_stats_attr e{1};
    EXPECT_EQ(bpf(BPF_ENABLE_STATS, e), -EINVAL);
    e.type = 0;
    fd p = load(BPF_PROG_TYPE_RAW_TRACEPOINT, return_zero());
    ref<program> prog = prog_from_fd(p.get()).value();
    u64 args[12] = {};
    run_ctx run{};
    (void)run_event(prog.get(), args, run);
    EXPECT_EQ(total_stats(prog.get()).runs, 0u);
    fd on(bpf(BPF_ENABLE_STATS, e));
    ASSERT_TRUE(on.ok());
    (void)run_event(prog.get(), args, run);
    EXPECT_EQ(total_stats(prog.get()).runs, 1u);
    on.close();
    (void)run_event(prog.get(), args, run);
    EXPECT_EQ(total_stats(prog.get()).runs, 1u);
}

/// A run inside a run: of the same raw tracepoint program, or of any kprobe program, is skipped and counted.
TEST_F(obj_cmd, recursion_guard) {
    fd p = load(BPF_PROG_TYPE_KPROBE, return_zero());
    ref<program> prog = prog_from_fd(p.get()).value();
    u64 regs[32] = {};
    run_ctx run{};
    port_preempt_disable();
    u32 *active = static_cast<u32 *>(port_this_cpu_ptr(core->active));
    (*active)++;
    (void)run_event(prog.get(), regs, run);
    EXPECT_EQ(total_stats(prog.get()).misses, 1u);
    (*active)--;
    (void)run_event(prog.get(), regs, run);
    port_preempt_enable();
    EXPECT_EQ(total_stats(prog.get()).misses, 1u);
    EXPECT_EQ(*active, 0u);
}

TEST_F(obj_cmd, allocation_failures) {
    std::vector<u8> types = small_btf();
    fd b = load_btf(types);
    auto insns = return_zero();
    func_info f{0, 3};
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 2000u);
        prog_load_attr a = load_attr(BPF_PROG_TYPE_XDP, insns);
        a.prog_btf_fd = b.u(), a.func_info = addr_of(&f), a.func_info_cnt = 1, a.func_info_rec_size = sizeof(f);
        port_fail_nth_set(n);
        long rc = bpf_load(a);
        bool reached = port_fail_nth_set(0) >= n;
        if (rc >= 0)
            fd(rc).close();
        else
            EXPECT_EQ(rc, -ENOMEM) << n;
        if (!reached)
            break;
    }
    for (u64 n = 1;; n++) {
        ASSERT_LT(n, 2000u);
        port_fail_nth_set(n);
        fd t = load_btf(types);
        if (port_fail_nth_set(0) < n)
            break;
    }
    get_id_attr a{};
    EXPECT_EQ(bpf(BPF_PROG_GET_NEXT_ID, a, 8), -ENOENT); // nothing is left
}

}  // namespace
