// SPDX-License-Identifier: GPL-2.0-only
// Whether the image of a program shows the constants of the program, one of each class that a program commonly has.
// usage: blinded shown|hidden|answer [kernel]    answer: that it runs, whatever it shows; kernel: the kernel's own BPF does the same
#include <linux/bpf.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "bpf_calls.h"
#include "tap.h"

constexpr int loaded = 0x3c9a71e5, loaded_high = 0x1b7d42a9, stored = 0x5a5ec0de, added = 0x2badcafe, xored = 0x6d15ea5e, compared = 0x4defaced;
static const struct {
    const char *name;
    int value;
} constants[] = {{"lower half of a load", loaded}, {"upper half of a load", loaded_high}, {"store", stored}, {"addition", added},
                 {"xor", xored},                   {"comparison", compared}};
constexpr unsigned result = ((static_cast<unsigned>(stored) + added) ^ xored) + loaded;

static const bpf_insn program[] = {
    {BPF_LD | BPF_IMM | BPF_DW, 2, 0, 0, loaded},
    {0, 0, 0, 0, loaded_high},
    {BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, stored},
    {BPF_LDX | BPF_MEM | BPF_W, 0, 10, -4, 0},
    {BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, added},
    {BPF_ALU | BPF_XOR | BPF_K, 0, 0, 0, xored},
    {BPF_LDX | BPF_MEM | BPF_W, 3, 1, 0, 0},
    {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 1, compared},
    {BPF_ALU64 | BPF_ADD | BPF_X, 0, 2, 0, 0},
    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
};

static void look(const char *who, bpf_call bpf, const char *wanted) {
    bpf_attr a = {};
    a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    a.insns = uintptr_t(program), a.insn_cnt = sizeof(program) / sizeof(*program), a.license = uintptr_t("GPL");
    long fd = bpf(BPF_PROG_LOAD, &a, sizeof(a));
    if (!ok(fd >= 0, "blinded: %s: the program loads: %ld", who, fd))
        return;
    std::vector<unsigned char> text(4096);
    std::vector<bpf_insn> xlated(256);
    bpf_prog_info info = {};
    info.jited_prog_len = static_cast<unsigned>(text.size()), info.jited_prog_insns = uintptr_t(text.data());
    info.xlated_prog_len = static_cast<unsigned>(xlated.size() * 8), info.xlated_prog_insns = uintptr_t(xlated.data());
    a = {};
    a.info.bpf_fd = static_cast<unsigned>(fd), a.info.info = uintptr_t(&info), a.info.info_len = sizeof(info);
    long err = bpf(BPF_OBJ_GET_INFO_BY_FD, &a, 16);
    ok(!err && info.jited_prog_len > 16 && info.jited_prog_len <= text.size(), "blinded: %s: the image is shown: %ld", who, err);
    printf("# %s: %u bytes, %u instructions in xlated\n", who, info.jited_prog_len, info.xlated_prog_len / 8);
    for (const auto &c : constants) {
        bool shown = memmem(text.data(), info.jited_prog_len, &c.value, 4) != nullptr;
        if (wanted[0] != 'a')
            ok(shown == (wanted[0] == 's'), "blinded: %s: the constant of a %s is %s", who, c.name, wanted);
    }
    unsigned char packet[64] = {};
    a = {};
    a.test.prog_fd = static_cast<unsigned>(fd);
    a.test.data_in = uintptr_t(packet), a.test.data_size_in = sizeof(packet);
    err = bpf(BPF_PROG_TEST_RUN, &a, sizeof(a));
    ok(!err && a.test.retval == result, "blinded: %s: it returns what it should: %ld, %#x", who, err, a.test.retval);
    close(static_cast<int>(fd));
}

int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "answer";
    look("modbpf", our_bpf, wanted);
    if (argc > 2)
        look("the kernel", kernel_bpf, wanted);
    return tap_exit();
}
