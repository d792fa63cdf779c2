// SPDX-License-Identifier: GPL-2.0-only
// What loading small programs takes on the back end that MODBPF_BACKEND names: BPF_PROG_LOAD as a whole, so verification and translation.
// Prints "NAME NANOSECONDS", the least of many loads: of generated programs ("alu_300"), then of every program of at most 300
// instructions in the object files ("FILE/PROGRAM"); none for what this machine cannot load.
// usage: load TIMES [OBJECT]...
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t largest = 300; ///< instructions
int times;

double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// Below 0: it cannot be loaded.
double least(bpf_prog_type type, const bpf_insn *insns, size_t count, const bpf_prog_load_opts *options) {
    double best = -1;
    for (int i = 0; i < times; i++) {
        bpf_prog_load_opts o = *options;
        double from = now_ns();
        int fd = bpf_prog_load(type, nullptr, "GPL", insns, count, &o);
        double took = now_ns() - from;
        if (fd < 0)
            return -1;
        close(fd);
        best = best < 0 || took < best ? took : best;
    }
    return best;
}

// ---- generated programs ------------------------------------------------------------------------------------

constexpr bpf_insn alu(int op, int dst, int imm) { return {static_cast<__u8>(BPF_ALU64 | BPF_K | op), static_cast<__u8>(dst & 15), 0, 0, imm}; }

/// `count` instructions: r0 = 1, then as many turns of `body` as fit, exit.
std::vector<bpf_insn> generate(size_t count, const std::vector<bpf_insn> &body) {
    std::vector<bpf_insn> p{alu(BPF_MOV, 0, 1)};
    while (p.size() + body.size() + 1 <= count)
        p.insert(p.end(), body.begin(), body.end());
    while (p.size() + 1 < count)
        p.push_back(alu(BPF_ADD, 0, 1));
    p.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
    return p;
}

void measure_generated() {
    const struct {
        const char *name;
        std::vector<bpf_insn> body;
    } kinds[] = {
        {"alu", {alu(BPF_ADD, 0, 3), alu(BPF_XOR, 0, 0x55), alu(BPF_LSH, 0, 1)}},
        // the context's word decides: both ways are verified
        {"branch", {{BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0}, {BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1, 7}, alu(BPF_ADD, 0, 1)}},
        {"stack", {{BPF_STX | BPF_MEM | BPF_DW, 10, 0, -8, 0}, {BPF_LDX | BPF_MEM | BPF_DW, 0, 10, -8, 0}, alu(BPF_ADD, 0, 1)}},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, none);
    for (const auto &k : kinds)
        for (size_t count : {2, 16, 64, 128, 300}) {
            if (count == 2 && k.body[0].code != kinds[0].body[0].code)
                continue; // the same program
            std::vector<bpf_insn> p = generate(count, k.body);
            double ns = least(BPF_PROG_TYPE_SOCKET_FILTER, p.data(), p.size(), &none);
            if (ns >= 0)
                printf("%s_%zu %.0f\n", k.name, count, ns);
        }
}

// ---- programs of object files ------------------------------------------------------------------------------

void measure_program(const bpf_program *p, const char *file) {
    size_t count = bpf_program__insn_cnt(p);
    if (count > largest || bpf_program__fd(p) < 0)
        return;
    LIBBPF_OPTS(bpf_prog_load_opts, o);
    o.expected_attach_type = bpf_program__expected_attach_type(p);
    if (bpf_program__type(p) == BPF_PROG_TYPE_TRACING || bpf_program__type(p) == BPF_PROG_TYPE_LSM) {
        const char *target = strchr(bpf_program__section_name(p), '/');
        int id = target ? libbpf_find_vmlinux_btf_id(target + 1, o.expected_attach_type) : -1;
        if (id < 0)
            return;
        o.attach_btf_id = static_cast<__u32>(id);
    }
    double ns = least(bpf_program__type(p), bpf_program__insns(p), count, &o);
    if (ns >= 0)
        printf("%s/%s %.0f\n", file, bpf_program__name(p), ns);
}

void measure_object(const char *path) {
    bpf_object *o = bpf_object__open(path);
    if (!o)
        return;
    const char *slash = strrchr(path, '/');
    std::string file = slash ? slash + 1 : path;
    file.resize(file.find('.'));
    if (!bpf_object__load(o)) {
        bpf_program *p;
        bpf_object__for_each_program(p, o)
            measure_program(p, file.c_str());
    }
    bpf_object__close(o);
}

} // namespace

int main(int argc, char **argv) {
    libbpf_set_print(nullptr);
    times = argc > 1 ? atoi(argv[1]) : 100;
    measure_generated();
    for (int i = 2; i < argc; i++)
        measure_object(argv[i]);
    return 0;
}
