// SPDX-License-Identifier: GPL-2.0-only
// bpf()'s common part: sizes, tails, unknown commands, bad addresses, privileges; and that nothing is left behind.
#include "cmd/core_test.h"

using namespace modbpf;
using namespace modbpf::test;

namespace {

class command : public core_test {};

constexpr u32 highest = BPF_TOKEN_CREATE;

TEST_F(command, size_and_tail) {
    u8 page[PORT_PAGE_SIZE + 1] = {};
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, addr_of(page), sizeof(page)), -E2BIG);
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, addr_of(page), PORT_PAGE_SIZE), -EINVAL); // zero tail: map type 0
    page[attr_size] = 1;
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, addr_of(page), attr_size), -EINVAL);
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, addr_of(page), attr_size + 1), -E2BIG);
    EXPECT_EQ(modbpf_core_bpf(12345, addr_of(page), attr_size + 1), -E2BIG); // before the command is looked at
    page[attr_size] = 0;
    page[PORT_PAGE_SIZE - 1] = 1;
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, addr_of(page), PORT_PAGE_SIZE), -E2BIG);
}

TEST_F(command, bad_address) {
    for (u32 cmd = 0; cmd <= highest; cmd++)
        for (u64 at : {0ull, 8ull, ~0ull - 200, 1ull << 63}) {
            EXPECT_EQ(modbpf_core_bpf(cmd, at, 64), -EFAULT) << cmd;
            EXPECT_EQ(modbpf_core_bpf(cmd, at, 200), -EFAULT) << cmd;
            EXPECT_EQ(modbpf_core_bpf(cmd, at, 5000), -E2BIG) << cmd;
        }
}

/// The machine's security modules are asked first, and what they say counts for commands that do not exist, too.
TEST_F(command, security_modules) {
    fd map = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
    u64 zero[attr_size / 8] = {};
    u32 key = 0;
    u64 value = 7;
    port_user_set_security(-EACCES);
    for (u32 cmd = 0; cmd <= highest + 1; cmd++)
        EXPECT_EQ(modbpf_core_bpf(cmd, addr_of(zero), attr_size), -EACCES) << cmd;
    EXPECT_EQ(elem(BPF_MAP_UPDATE_ELEM, map, &key, &value), -EACCES);
    EXPECT_EQ(modbpf_core_bpf(BPF_MAP_CREATE, 8, 64), -EFAULT);
    port_user_set_security(0);
    value = 1;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, map, &key, &value), 0);
    EXPECT_EQ(value, 0u);
}

TEST_F(command, unknown_commands) {
    u64 zero[attr_size / 8] = {};
    for (u32 cmd : {8u, 9u, 16u, 33u, 36u, 37u, 1000u, 0x10000u, ~0u})
        EXPECT_EQ(modbpf_core_bpf(cmd, addr_of(zero), attr_size), -EINVAL) << cmd;
}

/// One non-zero byte behind the last field that the command knows.
TEST_F(command, tail_of_each_command) {
    for (const modbpf::command &c : all_commands()) {
        for (u32 at = c.end; at < attr_size; at++) {
            u8 attr[attr_size] __attribute__((aligned(8))) = {};
            attr[at] = 0x80;
            EXPECT_EQ(modbpf_core_bpf(c.cmd, addr_of(attr), attr_size), -EINVAL) << c.name << " byte " << at;
        }
    }
}

/// Every command with every size and several fillings: an errno or a fresh fd, never an effect on what is there.
TEST_F(command, garbage) {
    fd keep = make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 4);
    ASSERT_TRUE(keep.ok());
    u32 seed = 1;
    for (u32 cmd = 0; cmd <= highest + 2; cmd++)
        for (u32 size = 0; size <= 256; size++)
            for (int fill = 0; fill < 4; fill++) {
                u8 attr[256] __attribute__((aligned(8)));
                for (u8 &b : attr) {
                    seed = seed * 1103515245 + 12345;
                    b = fill == 0 ? 0 : fill == 1 ? 0xff : fill == 2 ? static_cast<u8>(seed >> 16) : (seed >> 28 ? 0 : 1);
                }
                long rc = modbpf_core_bpf(cmd, addr_of(attr), size);
                if (rc >= 0) {
                    bool makes_fd = cmd == BPF_MAP_CREATE || cmd == BPF_MAP_GET_FD_BY_ID || cmd == BPF_ENABLE_STATS;
                    if (makes_fd && rc > 2)
                        fd(rc).close();
                }
                EXPECT_GE(rc, -ENOTSUPP);
            }
    u32 id = 0;
    u64 value = 1;
    EXPECT_EQ(elem(BPF_MAP_LOOKUP_ELEM, keep, &id, &value), 0);
    EXPECT_EQ(value, 0u);
}

TEST_F(command, privileges) {
    port_user_set_caps(0);
    map_create_attr m = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    EXPECT_EQ(bpf(BPF_MAP_CREATE, m), -EPERM);
    m.map_type = 77;
    EXPECT_EQ(bpf(BPF_MAP_CREATE, m), -EINVAL); // what is wrong in itself comes first
    auto insns = return_zero();
    prog_load_attr p = load_attr(BPF_PROG_TYPE_SOCKET_FILTER, insns);
    EXPECT_EQ(bpf_load(p), -EPERM);
    get_id_attr id{};
    for (u32 cmd : {BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_BTF_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID,
                    BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID, BPF_ENABLE_STATS})
        EXPECT_EQ(bpf(cmd, id), -EPERM) << cmd;
    EXPECT_EQ(bpf(BPF_PROG_QUERY, id), -EPERM);
    EXPECT_EQ(bpf(BPF_PROG_ATTACH, id), -EINVAL);
    id.id = 0x7fffffff;
    EXPECT_EQ(bpf(BPF_MAP_GET_NEXT_ID, id, 8), -EINVAL);
    btf_load_attr b{};
    EXPECT_EQ(bpf(BPF_BTF_LOAD, b), -EPERM);
    b.flags = 1;
    EXPECT_EQ(bpf(BPF_BTF_LOAD, b), -EINVAL);
    port_user_set_caps(1u << PORT_CAP_BPF);
    p.prog_type = BPF_PROG_TYPE_KPROBE;
    EXPECT_EQ(bpf_load(p), -EPERM); // CAP_PERFMON
    p.prog_type = BPF_PROG_TYPE_XDP;
    EXPECT_EQ(bpf_load(p), -EPERM); // CAP_NET_ADMIN
    port_user_set_caps(1u << PORT_CAP_NET_ADMIN);
    EXPECT_EQ(bpf(BPF_PROG_QUERY, id), -EINVAL);
}

// What a caller without capabilities may do where the machine lets it use BPF at all.
TEST_F(command, unprivileged) {
    port_user_set_unprivileged(true);
    port_user_set_caps(0);
    auto insns = return_zero();
    prog_load_attr p = load_attr(BPF_PROG_TYPE_XDP, insns);
    EXPECT_EQ(bpf_load(p), -EPERM); // of the types, only socket filters and cgroup packet programs
    std::vector<bpf_insn> long_program(4097, mov_imm(BPF_REG_0, 0));
    prog_load_attr l = load_attr(BPF_PROG_TYPE_SOCKET_FILTER, long_program);
    EXPECT_EQ(bpf_load(l), -E2BIG);
    for (u32 type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH})
        EXPECT_TRUE(make_map(type, 4, 4, 1).ok()) << type;
    btf_load_attr b{};
    EXPECT_EQ(bpf(BPF_BTF_LOAD, b), -EPERM);
    port_user_set_unprivileged(false);
    map_create_attr m = map_attr(BPF_MAP_TYPE_ARRAY, 4, 4, 1);
    EXPECT_EQ(bpf(BPF_MAP_CREATE, m), -EPERM);
}

TEST_F(command, features_text) {
    char small[16];
    memset(small, 'x', sizeof(small));
    long need = modbpf_core_features(addr_of(small), 8);
    ASSERT_GT(need, 100);
    EXPECT_EQ(small[8], 'x');
    std::string text(static_cast<size_t>(need), '?');
    EXPECT_EQ(modbpf_core_features(addr_of(text.data()), static_cast<u32>(need)), need);
    EXPECT_EQ(text.back(), '\0');
    EXPECT_NE(text.find("\"map_lookup_batch\""), std::string::npos);
    EXPECT_NE(text.find("\"percpu_hash\""), std::string::npos);
    EXPECT_NE(text.find("\"kprobe\""), std::string::npos);
    EXPECT_EQ(modbpf_core_features(8, 100), -EFAULT);
}

TEST_F(command, init_failures_unwind) {
    modbpf_core_exit();
    port_fail_nth_set(0);
    u64 n = 1;
    for (;; n++) {
        ASSERT_LT(n, 1000u);
        port_fail_nth_set(n);
        int rc = modbpf_core_init();
        port_fail_nth_set(0);
        if (rc == 0)
            break;
        EXPECT_EQ(rc, -ENOMEM) << n;
    }
    EXPECT_GT(n, 1u);
}

}  // namespace
