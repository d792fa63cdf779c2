// SPDX-License-Identifier: GPL-2.0-only
// The verdicts of verdict_test.cpp by the machine's own bpf(), for development: set MODBPF_PEER=1, as root. What differs is
// printed; newer kernels take some programs that Linux 6.12 refuses, so nothing here fails.
#include "verifier/asm_test.h"

#include "verifier/attack_rows.h"

#include <cerrno>
#include <cstdio>
#include <sys/syscall.h>
#include <unistd.h>

namespace modbpf::test {

namespace {

struct load_attr {
    u32 prog_type, insn_cnt;
    u64 insns, license;
    u32 log_level, log_size;
    u64 log_buf;
    u32 kern_version, prog_flags;
    char rest[96];
};
struct map_attr {
    u32 type, key, value, count, flags;
    char rest[96];
};
struct elem_attr {
    u32 fd, pad;
    u64 key, value, flags;
};

template <class T> int sys_bpf(int cmd, T &a) { return static_cast<int>(syscall(SYS_bpf, cmd, &a, sizeof(a))); }

int make_peer_map(int fd) {
    const map *m = verifier_maps::get().at(fd);
    map_attr a{};
    a.type = m->params.type, a.key = m->params.key_size, a.value = m->params.value_size, a.count = m->params.max_entries,
    a.flags = m->params.flags;
    int peer = sys_bpf(BPF_MAP_CREATE, a);
    if (fd != rodata_fd || peer < 0)
        return peer;
    u32 zero = 0;
    u8 text[32] = {5, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 'h', 'i', ' ', '%', 'd', 0};
    memset(text + 16, 'x', 16);
    elem_attr u{static_cast<u32>(peer), 0, addr_of(&zero), addr_of(text), 0};
    sys_bpf(BPF_MAP_UPDATE_ELEM, u);
    elem_attr f{static_cast<u32>(peer), 0, 0, 0, 0};
    sys_bpf(BPF_MAP_FREEZE, f);
    return peer;
}

}  // namespace

TEST(Peer, SameVerdicts) {
    if (!getenv("MODBPF_PEER"))
        GTEST_SKIP();
    int fds[last_fd - hash_fd];
    for (int fd = hash_fd; fd < last_fd; fd++)
        fds[fd - hash_fd] = make_peer_map(fd);
    std::vector<char> log(1 << 22);
    std::vector<row> rows = all_rows();
    for (auto &r : attack_rows())
        rows.push_back(r);
    for (auto &r : rows) {
        prog p = r.p;
        for (auto &i : p)
            if (i.code == (BPF_LD | BPF_IMM | BPF_DW) && (i.src_reg == BPF_PSEUDO_MAP_FD || i.src_reg == BPF_PSEUDO_MAP_VALUE) &&
                i.imm >= hash_fd && i.imm < last_fd)
                i.imm = fds[i.imm - hash_fd];
        load_attr a{};
        a.prog_type = r.type, a.insn_cnt = static_cast<u32>(p.size()), a.insns = addr_of(p.data()), a.license = addr_of("GPL");
        a.log_level = getenv("MODBPF_PEER_LEVEL") ? 2 : 1, a.log_size = 1 << 22, a.log_buf = addr_of(log.data()), a.prog_flags = r.flags;
        log[0] = 0;
        int fd = sys_bpf(BPF_PROG_LOAD, a), err = fd < 0 ? errno : 0;
        if (fd >= 0)
            close(fd);
        outcome ours = check(r.p, {.type = r.type, .flags = r.flags});
        if (err != ours.err)
            printf("%s: peer %d, ours %d\n--- peer\n%s--- ours\n%s\n", r.name, err, ours.err, log.data(), ours.log.c_str());
        else if (err && strstr(log.data(), r.text) == nullptr)
            printf("%s: peer's text differs:\n--- peer\n%s--- ours\n%s\n", r.name, log.data(), ours.log.c_str());
    }
    for (int fd : fds)
        close(fd);
}

}  // namespace modbpf::test
