// SPDX-License-Identifier: GPL-2.0-only
// For tests: the core in this process, and bpf() calls on it with attr structures.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "attach/link.h"
#include "cmd/attr.h"
#include "cmd/core.h"
#include "port/user/user.h"
#include "prog/files.h"
#include "prog/info.h"

namespace modbpf::test {

/// A real descriptor that closes with its scope, and lets the core see that.
class fd {
public:
    fd() = default;
    explicit fd(long n) : n_(static_cast<int>(n)) {}
    fd(fd &&o) noexcept : n_(o.n_) { o.n_ = -1; }
    fd &operator=(fd &&o) noexcept {
        swap(n_, o.n_);
        return *this;
    }
    ~fd() { close(); }
    void close() {
        if (n_ >= 0)
            ::close(n_);
        n_ = -1;
        port_user_sweep();
    }
    int get() const { return n_; }
    u32 u() const { return static_cast<u32>(n_); }
    bool ok() const { return n_ >= 0; }

private:
    int n_ = -1;
};

template <class A> long bpf(u32 cmd, A &a, u32 size = sizeof(A)) { return modbpf_core_bpf(cmd, addr_of(&a), size); }

/// prog_load_attr has padding at its end that is no field.
inline long bpf_load(prog_load_attr &a) { return bpf(BPF_PROG_LOAD, a, 148); }

inline std::string fdinfo(int fd) {
    char buf[4096] = {};
    port_user_fdinfo(fd, buf, sizeof(buf));
    return buf;
}

inline map_create_attr map_attr(u32 type, u32 key, u32 value, u32 entries, u32 flags = 0) {
    map_create_attr a{};
    a.map_type = type, a.key_size = key, a.value_size = value, a.max_entries = entries, a.map_flags = flags;
    return a;
}
inline fd make_map(u32 type, u32 key, u32 value, u32 entries, u32 flags = 0) {
    map_create_attr a = map_attr(type, key, value, entries, flags);
    return fd(bpf(BPF_MAP_CREATE, a));
}
inline long elem(u32 cmd, const fd &m, const void *key, void *value, u64 flags = 0) {
    map_elem_attr a{.map_fd = m.u(), .pad = 0, .key = addr_of(key), .value = addr_of(value), .flags = flags};
    return bpf(cmd, a, cmd == BPF_MAP_DELETE_ELEM ? 16 : cmd == BPF_MAP_GET_NEXT_KEY ? 24 : 32);
}

/// BTF_LOAD
inline fd load_types(const std::vector<u8> &blob) {
    btf_load_attr b{};
    b.btf = addr_of(blob.data()), b.btf_size = static_cast<u32>(blob.size());
    return fd(bpf(BPF_BTF_LOAD, b));
}

inline bpf_insn mov_imm(u8 dst, s32 imm) { return {BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm}; }
inline bpf_insn exit_insn() { return {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}; }
inline std::vector<bpf_insn> return_zero() { return {mov_imm(BPF_REG_0, 0), exit_insn()}; }

inline prog_load_attr load_attr(u32 type, const std::vector<bpf_insn> &insns, const char *license = "GPL") {
    prog_load_attr a{};
    a.prog_type = type;
    a.insn_cnt = static_cast<u32>(insns.size());
    a.insns = addr_of(insns.data());
    a.license = addr_of(license);
    return a;
}
inline fd load(u32 type, const std::vector<bpf_insn> &insns) {
    prog_load_attr a = load_attr(type, insns);
    return fd(bpf_load(a));
}

template <class I> long get_info(const fd &f, I &info, u32 *len = nullptr) {
    info_attr a{.bpf_fd = f.u(), .info_len = len ? *len : static_cast<u32>(sizeof(I)), .info = addr_of(&info)};
    long rc = bpf(BPF_OBJ_GET_INFO_BY_FD, a);
    if (len)
        *len = a.info_len;
    return rc;
}

class core_test : public ::testing::Test {
protected:
    void SetUp() override {
        port_user_set_log_hook([](port_log_level, const char *) {});
        port_user_set_caps(~0u);
        port_user_set_unprivileged(false);
        bugs_ = port_user_bug_count();
        ASSERT_EQ(modbpf_core_init(), 0);
    }
    void TearDown() override {
        port_fail_nth_set(0);
        port_user_set_caps(~0u);
        port_user_sweep();
        modbpf_core_exit();
        EXPECT_EQ(port_user_bug_count(), bugs_);
        port_user_set_log_hook(nullptr);
    }

private:
    u64 bugs_ = 0;
};

}  // namespace modbpf::test
