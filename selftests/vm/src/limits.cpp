// SPDX-License-Identifier: GPL-2.0-only
// K11: sizes that do not fit: every map type with sizes from large to absurd gives ENOMEM, E2BIG or EINVAL at once, nothing warns and
// nothing is lost. Rings and programs likewise.
// usage: limits
#include <bpf/bpf.h>
#include <initializer_list>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <vector>

#include "tap.h"

static long bpf_call(unsigned cmd, bpf_attr *a, unsigned size) {
    long r = syscall(__NR_bpf, cmd, a, size);
    return r < 0 ? -errno : r;
}
static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static long free_kib() {
    long kib = -1;
    if (FILE *f = fopen("/proc/meminfo", "r")) {
        char line[128];
        while (fgets(line, sizeof(line), f))
            if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
                break;
        fclose(f);
    }
    return kib;
}

static long too_large, made;
static void try_map(unsigned type, unsigned key, unsigned value, unsigned entries, unsigned flags) {
    bpf_attr a = {};
    a.map_type = type, a.key_size = key, a.value_size = value, a.max_entries = entries, a.map_flags = flags;
    double began = now();
    long fd = bpf_call(BPF_MAP_CREATE, &a, sizeof(a));
    double took = now() - began;
    bool fine = (fd >= 0 || fd == -ENOMEM || fd == -E2BIG || fd == -EINVAL) && took < (debug_kernel() ? 90 : 15);
    if (!fine)
        ok(false, "limits: type %u key %u value %u entries %u flags %#x: %ld in %.1f s", type, key, value, entries, flags, fd, took);
    if (fd < 0) {
        too_large++;
        return;
    }
    made++;
    close(static_cast<int>(fd));
}

static void all_types(const unsigned *numbers, int n) {
    for (unsigned type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH})
        for (int v = 0; v < n; v++)
            for (int e = 0; e < n; e++) {
                // What would fit and fill the guest comes one by one below.
                double bytes = static_cast<double>(numbers[v]) * numbers[e];
                if (bytes > 2e6 && bytes < 4e9)
                    continue;
                bool array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
                if (!array && numbers[e] > 1 << 20 && numbers[e] < 0x7ffffff8)
                    continue;
                for (unsigned f : {0u, array ? unsigned(BPF_F_MMAPABLE) : unsigned(BPF_F_NO_PREALLOC)})
                    try_map(type, 4, numbers[v], numbers[e], f);
            }
    for (int k = 0; k < n; k++) {
        try_map(BPF_MAP_TYPE_HASH, numbers[k], 8, 4, 0);
        try_map(BPF_MAP_TYPE_HASH, numbers[k], numbers[k], 0x7fffffff, 0);
        try_map(BPF_MAP_TYPE_PERCPU_HASH, numbers[k], numbers[k], 16, 0);
        try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, numbers[k], 0);
        try_map(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, numbers[k], 0);
        try_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, numbers[k], 0);
    }
}

int main() {
    static const unsigned numbers[] = {0, 1, 8, 4096, 32768, 32776, 1 << 20, (1 << 22) - 64, 1 << 22, 1 << 29, 0x7fffffff, 0x80000000, 0xffffffff};
    all_types(numbers, 8); // whatever the kernel keeps for itself it has from here on
    too_large = made = 0;
    long before = free_kib();
    all_types(numbers, sizeof(numbers) / sizeof(numbers[0]));
    ok(too_large > 500 && made > 50, "limits: %ld maps refused, %ld made", too_large, made);
    // Near the guest's memory, one at a time.
    for (unsigned type : {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_ARRAY})
        try_map(type, 4, 4096, 900u << 8, 0);
    try_map(BPF_MAP_TYPE_RINGBUF, 0, 0, 1u << 30, 0);
    try_map(BPF_MAP_TYPE_ARRAY, 4, 4096, 1200u << 8, BPF_F_MMAPABLE);
    ok(true, "limits: maps of the size of memory come back");

    perf_event_attr p = {};
    p.type = PERF_TYPE_SOFTWARE, p.size = sizeof(p), p.config = PERF_COUNT_SW_BPF_OUTPUT, p.sample_type = PERF_SAMPLE_RAW;
    int event = static_cast<int>(syscall(__NR_perf_event_open, &p, -1, 0, -1, 0));
    bool refused = event >= 0;
    for (size_t pages : {size_t(1) << 18, size_t(1) << 20, size_t(1) << 24, size_t(1) << 32}) {
        void *m = mmap(nullptr, (pages + 1) * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
        refused &= m == MAP_FAILED;
    }
    ok(refused, "limits: perf rings larger than memory are refused");
    close(event);

    std::vector<bpf_insn> code(1000001, bpf_insn{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    code.back().code = 0x95;
    bpf_attr a = {};
    a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, a.insns = uintptr_t(code.data()), a.insn_cnt = static_cast<unsigned>(code.size()), a.license = uintptr_t("GPL");
    ok(bpf_call(BPF_PROG_LOAD, &a, sizeof(a)) == -E2BIG, "limits: a program of 1000001 instructions is refused");
    a = {};
    a.btf = uintptr_t(code.data()), a.btf_size = (16 << 20) + 1;
    ok(bpf_call(BPF_BTF_LOAD, &a, sizeof(a)) == -E2BIG, "limits: BTF of more than 16 MiB is refused");
    long after = free_kib();
    for (int turn = 0; turn < 50 && after < before - 16384; turn++, after = free_kib())
        usleep(100000);
    ok(after >= before - 16384, "limits: %ld KiB available before, %ld after", before, after);
    return tap_exit();
}
