// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/peer_snprintf_test.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr unsigned args_at = 1024, value_size = args_at + 12 * 8;

long sys_bpf(int cmd, union bpf_attr &attr) {
    return syscall(__NR_bpf, cmd, &attr, sizeof(attr));
}

int make_map(unsigned size, unsigned flags) {
    union bpf_attr a;
    memset(&a, 0, sizeof(a));
    a.map_type = BPF_MAP_TYPE_ARRAY;
    a.key_size = 4;
    a.value_size = size;
    a.max_entries = 1;
    a.map_flags = flags;
    return static_cast<int>(sys_bpf(BPF_MAP_CREATE, a));
}

long element(int cmd, int fd, void *value) {
    unsigned key = 0;
    union bpf_attr a;
    memset(&a, 0, sizeof(a));
    a.map_fd = static_cast<unsigned>(fd);
    a.key = reinterpret_cast<unsigned long>(&key);
    a.value = reinterpret_cast<unsigned long>(value);
    return sys_bpf(cmd, a);
}

void load_value(std::vector<bpf_insn> &p, unsigned char reg, int fd, int off) {
    p.push_back({BPF_LD | BPF_DW | BPF_IMM, reg, BPF_PSEUDO_MAP_VALUE, 0, fd});
    p.push_back({0, 0, 0, 0, off});
}
void load_const(std::vector<bpf_insn> &p, unsigned char reg, int v) {
    p.push_back({BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, v});
}

int load(const std::vector<bpf_insn> &p) {
    union bpf_attr a;
    memset(&a, 0, sizeof(a));
    a.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    a.insns = reinterpret_cast<unsigned long>(p.data());
    a.insn_cnt = static_cast<unsigned>(p.size());
    a.license = reinterpret_cast<unsigned long>("GPL");
    return static_cast<int>(sys_bpf(BPF_PROG_LOAD, a));
}

}  // namespace

bool peer_available() {
    int fd = load({{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}});
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

peer_text peer_snprintf(const std::string &fmt, const std::vector<unsigned long long> &args, unsigned size) {
    peer_text r{};
    std::vector<char> fmt_value(256, 0), value(value_size, 0x7e);
    memcpy(fmt_value.data(), fmt.c_str(), fmt.size());
    memcpy(value.data() + args_at, args.data(), args.size() * 8);
    int fmt_map = make_map(256, BPF_F_RDONLY_PROG), out = make_map(value_size, 0);
    element(BPF_MAP_UPDATE_ELEM, fmt_map, fmt_value.data());
    element(BPF_MAP_UPDATE_ELEM, out, value.data());
    union bpf_attr a;
    memset(&a, 0, sizeof(a));
    a.map_fd = static_cast<unsigned>(fmt_map);
    sys_bpf(BPF_MAP_FREEZE, a);

    std::vector<bpf_insn> p;
    load_value(p, 1, out, 0);
    load_const(p, 2, static_cast<int>(size));
    load_value(p, 3, fmt_map, 0);
    load_value(p, 4, out, args_at);
    load_const(p, 5, static_cast<int>(args.size() * 8));
    p.push_back({BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_snprintf});
    p.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
    int prog = load(p);
    if (prog >= 0) {
        memset(&a, 0, sizeof(a));
        a.test.prog_fd = static_cast<unsigned>(prog);
        r.loaded = sys_bpf(BPF_PROG_TEST_RUN, a) == 0;
        r.result = static_cast<int>(a.test.retval);
        element(BPF_MAP_LOOKUP_ELEM, out, value.data());
        r.text.assign(value.data(), size);
        close(prog);
    }
    close(fmt_map);
    close(out);
    return r;
}
