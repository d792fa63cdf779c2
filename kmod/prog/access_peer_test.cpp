// SPDX-License-Identifier: GPL-2.0-only
// Context accesses and helper permissions against the running kernel: each offset and size of each program type loads
// on modbpf exactly when it loads on the kernel, and modbpf allows no helper to a type that the kernel keeps it from.
#include "base/bpf.h"
#include "cmd/core.h"
#include "helpers/helper.h"
#include "port/user/user.h"
#include "prog/prog.h"
#include "verifier/state.h"
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
    u32 kern_version, prog_flags;
    char name[16];
    u32 ifindex, attach_type;
    u32 pad[20];
};

std::string log_text;

struct variant {
    u32 type;
    u32 attach = 0;
};

/// 0 or -errno; the log stands in log_text.
long load(bool on_kernel, variant v, const std::vector<bpf_insn> &c) {
    static std::vector<char> log(1 << 16);
    log[0] = 0;
    const prog_type_info *t = find_prog_type(v.type);
    load_attr a{v.type, static_cast<u32>(c.size()),   addr_of(c.data()),   addr_of("GPL"),
                1,    static_cast<u32>(log.size()), addr_of(log.data()), 0, 0, {}, 0, v.attach, {}};
    a.prog_flags = t->sleeps == sleep_rule::must ? u32{BPF_F_SLEEPABLE} : 0;
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

constexpr bpf_insn mov1{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, leave{BPF_JMP | BPF_EXIT, 0, 0, 0, 0};

class access_peer : public ::testing::Test {
protected:
    void SetUp() override {
        if (load(true, {BPF_PROG_TYPE_XDP}, {mov1, leave}))
            GTEST_SKIP() << "this process may not load programs";
        ASSERT_EQ(modbpf_core_init(), 0);
        started_ = true;
        verify_only = true;
    }
    void TearDown() override {
        verify_only = false;
        if (started_)
            modbpf_core_exit();
    }

private:
    bool started_ = false;
};

/// Where the two differ: Linux lets tracepoint programs read in front of their record, because it compares a negative offset
/// with an unsigned size. Pointers of netfilter programs need the kernel's types.
bool differs(u32 type, s32 off, u8 size) {
    return (type == BPF_PROG_TYPE_TRACEPOINT && off < 0) || (type == BPF_PROG_TYPE_NETFILTER && size == BPF_DW);
}

/// Each program type that the kernel loads, with each expected attach type that its rules tell apart.
std::vector<variant> variants() {
    std::vector<variant> all;
    for (const prog_type_info *t : all_prog_types()) {
        attach_set told = t->attach_types;
        for (const ctx_field &f : t->fields)
            told |= f.read_attach | f.write_attach;
        for (u32 attach = 0; attach < 64; attach++) {
            variant v{t->type, attach};
            if ((attach && !(told >> attach & 1)) || load(true, v, {mov1, leave}))
                continue;
            EXPECT_EQ(load(false, v, {mov1, leave}), 0) << t->name << " " << attach << " " << log_text;
            all.push_back(v);
        }
    }
    return all;
}

/// A load, a sign-extending load, a store of a register, a store of a constant.
bpf_insn access_insn(u8 mode, u8 size, s16 off) {
    switch (mode) {
    case 0: return {static_cast<u8>(BPF_LDX | BPF_MEM | size), 2, 1, off, 0};
    case 1: return {static_cast<u8>(BPF_LDX | BPF_MEMSX | size), 2, 1, off, 0};
    case 2: return {static_cast<u8>(BPF_STX | BPF_MEM | size), 1, 3, off, 0};
    default: return {static_cast<u8>(BPF_ST | BPF_MEM | size), 1, 0, off, 5};
    }
}

s32 bytes_of(u8 size) { return size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8; }

/// Is the access allowed? The program is refused in any case, behind it: making a program takes the kernel long.
bool allows(bool on_kernel, variant v, const bpf_insn &access) {
    load(on_kernel, v, {{BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 1}, access, leave});
    return log_text.find("R0 !read_ok") != std::string::npos;
}

/// Every combination for the first variant of a type; for the others what rows tell apart by attach type. Every load asks a kernel.
bool worth_asking(const prog_type_info &t, bool first, s32 off, u8 size, u8 mode) {
    const ctx_field *row = nullptr;
    for (const ctx_field &f : t.fields)
        if (off >= f.off && off < f.off + f.size)
            row = &f;
    if (off % bytes_of(size) && off % 16 != 9 && off >= 0)
        return false; // of what is not aligned, a few
    bool by_attach = row && (row->read_attach || row->write_attach), pointer = row && row->yields != reg_type::scalar;
    if (mode == 1)
        return size != BPF_DW && (pointer || off % 8 == 4);
    return (first || by_attach) && (mode != 3 || off % 4 == 0);
}

TEST_F(access_peer, context_accesses) {
    u32 accepted = 0, last_type = 0;
    for (variant v : variants()) {
        const prog_type_info *t = find_prog_type(v.type);
        bool first = v.type != last_type;
        last_type = v.type;
        if (t->kind == ctx_kind::btf)
            continue;
        s32 end = min<s32>(static_cast<s32>(t->size), 224) + 8;
        for (s32 off = -8; off <= end; off++)
            for (u8 size : {BPF_B, BPF_H, BPF_W, BPF_DW})
                for (u8 mode : {0, 1, 2, 3}) {
                    if (!worth_asking(*t, first, off, size, mode) || differs(t->type, off, size))
                        continue;
                    bool want = allows(true, v, access_insn(mode, size, static_cast<s16>(off))),
                         got = allows(false, v, access_insn(mode, size, static_cast<s16>(off)));
                    accepted += got;
                    EXPECT_EQ(got, want) << t->name << " attach " << v.attach << " off " << off << " size code " << int{size}
                                         << " mode " << int{mode} << "\n"
                                         << log_text;
                }
    }
    EXPECT_GT(accepted, 3000u);
}

/// What a load gives, as the log of both names it.
TEST_F(access_peer, what_loads_give) {
    auto kind = [] {
        size_t at = log_text.rfind(" R2");
        at = log_text.find('=', at == std::string::npos ? log_text.size() : at);
        return at == std::string::npos ? std::string() : log_text.substr(at, log_text.find_first_of("( \n", at) - at);
    };
    u32 pointers = 0;
    for (variant v : variants()) {
        const prog_type_info *t = find_prog_type(v.type);
        for (const ctx_field &f : t->fields) {
            if (f.yields == reg_type::scalar || f.btf_type)
                continue;
            std::vector<bpf_insn> c{mov1, access_insn(0, f.size == 4 ? BPF_W : BPF_DW, static_cast<s16>(f.off)),
                                    {BPF_LDX | BPF_MEM | BPF_DW, 3, 10, 8, 0}, leave}; // refused, and the state shown
            load(true, v, c);
            std::string want = kind();
            load(false, v, c);
            EXPECT_EQ(kind(), want) << t->name << " " << f.name << "\n" << log_text;
            pointers += want.size() > 1;
        }
    }
    EXPECT_GT(pointers, 20u);
}

/// Which constants may be returned.
TEST_F(access_peer, return_values) {
    for (variant v : variants())
        for (s32 value = -1; value <= 5; value++) {
            std::vector<bpf_insn> c{{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, value}, leave};
            EXPECT_EQ(load(false, v, c), load(true, v, c)) << v.type << " attach " << v.attach << " returns " << value;
        }
}

/// Which expected attach types each program type is loaded with.
TEST_F(access_peer, attach_types) {
    for (const prog_type_info *t : all_prog_types()) {
        if (t->kind == ctx_kind::btf)
            continue;
        bool there = false;
        for (u32 attach = 0; attach < 64 && !there; attach++)
            there = !load(true, {t->type, attach}, {mov1, leave});
        if (!there)
            continue; // not in this kernel
        for (u32 attach : {0u, 1u, 2u, 3u, 8u, 10u, 12u, 13u, 14u, 19u, 21u, 22u, 24u, 30u, 33u, 34u, 35u, 36u, 37u, 39u, 40u, 43u, 45u, 49u,
                           53u, 57u, 63u, 64u, 0x80000000u})
            EXPECT_EQ(load(false, {t->type, attach}, {mov1, leave}), load(true, {t->type, attach}, {mov1, leave}))
                << t->name << " attach " << attach << "\n" << log_text;
    }
}

TEST_F(access_peer, helpers_of_program_types) {
    auto hidden = [] {
        return log_text.find("cannot use helper") != std::string::npos ||
               log_text.find("unknown func") != std::string::npos;
    };
    for (const prog_type_info *type : all_prog_types()) {
        const prog_type_info &t = *type;
        if (t.verify_only)
            continue;
        for (u32 id = 1; id < func_id_count; id++) {
            std::vector<bpf_insn> c{{BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<s32>(id)}, mov1, leave};
            load(false, {t.type}, c);
            bool ours = !hidden();
            EXPECT_EQ(ours, find_helper(id, t.type, 0) != nullptr) << t.name << " " << helper_name(id);
            if (id == BPF_FUNC_probe_write_user || id == BPF_FUNC_override_return)
                continue; // a kernel that is locked down, or lacks the option, has them not
            load(true, {t.type}, c);
            EXPECT_FALSE(ours && hidden()) << t.name << " " << helper_name(id);
        }
    }
}

}  // namespace
