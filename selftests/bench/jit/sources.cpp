// SPDX-License-Identifier: GPL-2.0-only
#include "sources.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace modbpf::bench {

namespace {

u64 address(const void *p) { return reinterpret_cast<u64>(p); }

bool failed(const char *what) {
    perror(what);
    return false;
}

/// The kernel's image, function by function.
bool kernel_image(int fd, native_code &out) {
    struct bpf_prog_info info{};
    u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) || !info.jited_prog_len || !info.nr_jited_ksyms)
        return failed("the kernel shows no image (root, bpf_jit_enable?)");
    std::vector<u64> addresses(info.nr_jited_ksyms);
    std::vector<u32> lengths(info.nr_jited_ksyms);
    out.text.resize(info.jited_prog_len);
    u32 text_size = info.jited_prog_len, count = info.nr_jited_ksyms;
    info = {};
    info.jited_prog_insns = address(out.text.data()), info.jited_prog_len = text_size;
    info.jited_ksyms = address(addresses.data()), info.nr_jited_ksyms = count;
    info.jited_func_lens = address(lengths.data()), info.nr_jited_func_lens = count;
    if (bpf_obj_get_info_by_fd(fd, &info, &size) || !addresses[0])
        return failed("the kernel shows no image");
    for (u32 i = 0, offset = 0; i < count; offset += lengths[i++])
        out.functions.push_back({addresses[i], offset, lengths[i]});
    return true;
}

/// Where the kernel's own structure has a packet pointer: the offset in the converted load of a program that reads it.
int kernel_offset(s16 user) {
    const bpf_insn insns[] = {
        {BPF_LDX | BPF_MEM | BPF_W, 0, 1, user, 0}, {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, nullptr, "GPL", insns, 3, nullptr);
    if (fd < 0)
        return -1;
    bpf_insn converted[16];
    struct bpf_prog_info info{};
    u32 size = sizeof(info);
    info.xlated_prog_insns = address(converted), info.xlated_prog_len = sizeof(converted);
    int err = bpf_obj_get_info_by_fd(fd, &info, &size);
    close(fd);
    return err || converted[0].code != (BPF_LDX | BPF_MEM | BPF_DW) ? -1 : converted[0].off;
}

} // namespace

bool load(const char *path, subject &out) {
    bpf_object *object = bpf_object__open_file(path, nullptr);
    if (!object || bpf_object__load(object))
        return failed(path);
    bpf_program *program = bpf_object__next_program(object, nullptr);
    const bpf_insn *insns = bpf_program__insns(program);
    out.name = bpf_program__name(program) + strlen("x_");
    out.kernel_fd = bpf_program__fd(program);
    int data = kernel_offset(76), data_end = kernel_offset(80);
    if (data < 0 || data_end < 0)
        return failed("the kernel shows no converted program");
    out.kernel.data_at = static_cast<u32>(data), out.kernel.data_end_at = static_cast<u32>(data_end);
    if (!kernel_image(out.kernel_fd, out.kernel))
        return false;
    return translate(insns, bpf_program__insn_cnt(program), returns_by_thunk(out.kernel), out.ours);
}

double in_place(int fd, const std::vector<u8> &packet, u32 repeat) {
    LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet.data(), .data_size_in = static_cast<u32>(packet.size()), .repeat = static_cast<int>(repeat));
    return bpf_prog_test_run_opts(fd, &o) ? -1 : o.duration;
}

} // namespace modbpf::bench
