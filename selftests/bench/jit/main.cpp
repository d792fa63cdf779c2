// SPDX-License-Identifier: GPL-2.0-only
// The JIT beside the machine's own kernel's: each body of bodies/ is loaded into both, and both images are run in this process, in turn,
// with the same return thunk, at the same start offsets within a cache line. The least time of many batches counts, at each image's
// best offset. What the kernel itself takes for a run (test runs, the mean of many in one call) stands beside it.
#include "packet.h"
#include "sources.h"

#include <algorithm>
#include <bpf/libbpf.h>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <malloc.h>
#include <memory>

namespace modbpf::bench {
namespace {

constexpr const char *usage = "usage: bench-jit [--json FILE] [--dump NAME] [--quick] OBJECT...   (as root)\n";
constexpr double batch_ns = 20000;

struct settings {
    const char *json = nullptr, *dump = nullptr;
    u32 batches = 20, step = 4;
    std::vector<const char *> objects;
};
struct row {
    std::string name;
    double kernel = 1e18, ours = 1e18, in_place = 0;
    u32 kernel_size = 0, our_size = 0, insns = 0;
    double translation = 0;
    double ratio() const { return ours / kernel; }
};

double now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// One image with its run-time context. Both images of a body have the same packet: where it lies, beside the stack, decides over
/// a tenth of a copy's time.
struct runner {
    std::vector<u8> &packet;
    image code{};
    u64 context[128] = {};
    bool load(const native_code &c) {
        u64 data = addr_of(packet.data()), end = data + packet.size();
        if (c.data_end_at + 8 > sizeof(context) || c.data_at + 8 > sizeof(context))
            return false;
        memcpy(reinterpret_cast<u8 *>(context) + c.data_at, &data, 8);
        memcpy(reinterpret_cast<u8 *>(context) + c.data_end_at, &end, 8);
        return code.load(c);
    }
    double batch(u32 runs) const {
        double from = now_ns();
        for (u32 i = 0; i < runs; i++)
            code.run(context);
        return (now_ns() - from) / runs;
    }
};

bool measure(const settings &s, const subject &p, row &r) {
    std::vector<u8> packet = make_packet();
    runner kernel{packet}, ours{packet};
    if (!kernel.load(p.kernel) || !ours.load(p.ours))
        return false;
    u32 want = kernel.code.run(kernel.context);
    const std::vector<u8> fresh = make_packet();
    std::copy(fresh.begin(), fresh.end(), packet.begin()); // a body may write to it
    u32 got = ours.code.run(ours.context);
    if (want != got)
        return fprintf(stderr, "%s: the kernel's image returns %#x, modbpf's %#x\n", p.name.c_str(), want, got), false;
    double once = std::max(kernel.batch(10), 1.0);
    u32 runs = std::max(1u, static_cast<u32>(batch_ns / once));
    for (u32 offset = 0; offset < image::starts; offset += s.step) {
        kernel.code.place(offset), ours.code.place(offset);
        for (u32 i = 0; i < s.batches; i++) {
            r.kernel = std::min(r.kernel, kernel.batch(runs));
            r.ours = std::min(r.ours, ours.batch(runs));
        }
    }
    r.in_place = 1e18;
    for (u32 i = 0; i < 5; i++)
        r.in_place = std::min(r.in_place, in_place(p.kernel_fd, packet, std::max(1u, static_cast<u32>(1e6 / once))));
    return true;
}

u32 code_size(const native_code &c) {
    u32 size = 0;
    for (const auto &f : c.functions)
        size += f.size;
    return size;
}

bool parse(int argc, char **argv, settings &s) {
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json") && i + 1 < argc)
            s.json = argv[++i];
        else if (!strcmp(argv[i], "--dump") && i + 1 < argc)
            s.dump = argv[++i];
        else if (!strcmp(argv[i], "--quick"))
            s.batches = 10, s.step = 16;
        else if (argv[i][0] == '-')
            return false;
        else
            s.objects.push_back(argv[i]);
    }
    return !s.objects.empty();
}

void print(const std::vector<row> &rows) {
    printf("%-12s %11s %11s %11s %7s %7s %7s %7s %9s\n", "body", "kernel, ns", "modbpf, ns", "in place", "ratio", "size", "modbpf", "ratio", "ns/insn");
    for (const row &r : rows)
        printf("%-12s %11.1f %11.1f %11.0f %7.3f %7u %7u %7.2f %9.0f\n", r.name.c_str(), r.kernel, r.ours, r.in_place, r.ratio(), r.kernel_size,
               r.our_size, static_cast<double>(r.our_size) / r.kernel_size, r.translation / r.insns);
}

bool write_json(const char *path, const std::vector<row> &rows) {
    FILE *f = fopen(path, "w");
    if (!f)
        return perror(path), false;
    fprintf(f, "[");
    for (const row &r : rows)
        fprintf(f, "%s\n  {\"name\": \"%s\", \"kernel_ns\": %.2f, \"modbpf_ns\": %.2f, \"in_place_ns\": %.0f, \"ratio\": %.4f, \"kernel_size\": %u, "
                   "\"modbpf_size\": %u, \"insns\": %u, \"translation_ns\": %.0f}",
                &r == rows.data() ? "" : ",", r.name.c_str(), r.kernel, r.ours, r.in_place, r.ratio(), r.kernel_size, r.our_size, r.insns, r.translation);
    fprintf(f, "]\n");
    return fclose(f) == 0;
}

int run(const settings &s) {
    libbpf_set_print(nullptr);
    // A kernel's allocator hands out mapped pages: large blocks come from the heap, and it keeps them.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    std::vector<row> rows;
    for (const char *path : s.objects) {
        auto p = std::make_unique<subject>();
        row r;
        if (!load(path, *p))
            return 2;
        if (s.dump && p->name == s.dump)
            printf("kernel:\n%s\nmodbpf:\n%s", listing(p->kernel).c_str(), listing(p->ours).c_str());
        if (!measure(s, *p, r))
            return 2;
        r.name = p->name, r.insns = p->ours.insns, r.translation = p->ours.translation_ns;
        r.kernel_size = code_size(p->kernel), r.our_size = code_size(p->ours);
        rows.push_back(r);
    }
    print(rows);
    return s.json && !write_json(s.json, rows) ? 2 : 0;
}

} // namespace
} // namespace modbpf::bench

int main(int argc, char **argv) {
    modbpf::bench::settings s;
    if (!modbpf::bench::parse(argc, argv, s))
        return fputs(modbpf::bench::usage, stderr), 2;
    return modbpf::bench::run(s);
}
