// SPDX-License-Identifier: GPL-2.0-only
// What maps take, on the back end that MODBPF_BACKEND names: for each kind of map a line "NAME CHARGED REAL", bytes an entry of a full map:
// as its fdinfo says (memlock), and by how much free memory fell ("-": by too little to tell from noise). As "insmod" it loads a module
// instead and prints "insmod NANOSECONDS BYTES": the time, and by how much free memory fell.
// usage: memory [ENTRIES] | insmod FILE
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

/// The sum of the numbers behind NAME in a file of "NAME NUMBER" lines; 0: not there.
long field(const char *path, const char *name) {
    FILE *f = fopen(path, "r");
    char line[256];
    long n = 0;
    while (f && fgets(line, sizeof(line), f)) {
        const char *at = line + strspn(line, " ");
        if (!strncmp(at, name, strlen(name)))
            n += atol(at + strlen(name));
    }
    if (f)
        fclose(f);
    return n;
}

void tell_kernel(const char *path, const char *what) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, what, strlen(what)) < 0)
        perror(path);
    close(fd);
}

/// Bytes of memory that nothing has, once what RCU and caches give back was, counted exactly. A CPU's own lists of free pages, tens of
/// MiB, are not in MemFree.
long free_memory() {
    for (int i = 0; i < 2; i++) {
        usleep(300000);
        tell_kernel("/proc/sys/vm/drop_caches", "3");
    }
    tell_kernel("/proc/sys/vm/stat_refresh", "1");
    return field("/proc/meminfo", "MemFree:") * 1024 + field("/proc/zoneinfo", "count:") * 4096;
}

int load_module(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long before = free_memory();
    timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
        return perror(path), 1;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("insmod %.0f %ld\n", static_cast<double>(to.tv_sec - from.tv_sec) * 1e9 + static_cast<double>(to.tv_nsec - from.tv_nsec),
           before - free_memory());
    return 0;
}

struct kind {
    const char *name;
    bpf_map_type type;
    unsigned key_size, value_size, flags;
};
const kind kinds[] = {
    {"hash_4_8", BPF_MAP_TYPE_HASH, 4, 8, 0},
    {"hash_8_8", BPF_MAP_TYPE_HASH, 8, 8, 0},
    {"hash_16_8", BPF_MAP_TYPE_HASH, 16, 8, 0},
    {"hash_64_64", BPF_MAP_TYPE_HASH, 64, 64, 0},
    {"hash_8_8_lazy", BPF_MAP_TYPE_HASH, 8, 8, BPF_F_NO_PREALLOC},
    {"percpu_hash_8_8", BPF_MAP_TYPE_PERCPU_HASH, 8, 8, 0},
    {"lru_8_8", BPF_MAP_TYPE_LRU_HASH, 8, 8, 0},
    {"lru_percpu_8_8", BPF_MAP_TYPE_LRU_PERCPU_HASH, 8, 8, 0},
    {"lpm_8_8", BPF_MAP_TYPE_LPM_TRIE, 8, 8, BPF_F_NO_PREALLOC},
    {"array_8", BPF_MAP_TYPE_ARRAY, 4, 8, 0},
    {"percpu_array_8", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 0},
    {"queue_8", BPF_MAP_TYPE_QUEUE, 0, 8, 0},
    {"stack_8", BPF_MAP_TYPE_STACK, 0, 8, 0},
    {"bloom_8", BPF_MAP_TYPE_BLOOM_FILTER, 0, 8, 0},
};

void measure(const kind &k, unsigned entries) {
    LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = k.flags);
    long before = free_memory();
    int fd = bpf_map_create(k.type, k.name, k.key_size, k.value_size, entries, &o);
    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", k.name, strerror(errno));
        return;
    }
    std::vector<unsigned> value(4096), key(16);
    for (unsigned i = 0; i < entries; i++) {
        key[0] = key[1] = i;
        if (k.type == BPF_MAP_TYPE_LPM_TRIE)
            key[0] = 32, key[1] = i * 0x9e3779b1u;
        if (bpf_map_update_elem(fd, k.key_size ? key.data() : nullptr, value.data(), 0)) {
            fprintf(stderr, "%s: entry %u: %s\n", k.name, i, strerror(errno));
            break;
        }
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    double charged = static_cast<double>(field(path, "memlock:"));
    long real = before - free_memory();
    printf("%s %.1f ", k.name, charged / entries);
    if (real > static_cast<long>(entries))
        printf("%.1f\n", static_cast<double>(real) / entries);
    else
        puts("-");
    close(fd);
}

} // namespace

int main(int argc, char **argv) {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    const char *slash = strrchr(argv[0], '/');
    if (!strcmp(slash ? slash + 1 : argv[0], "insmod"))
        return argc == 2 ? load_module(argv[1]) : 2;
    unsigned entries = argc > 1 ? static_cast<unsigned>(atoi(argv[1])) : 20000;
    for (const kind &k : kinds)
        measure(k, entries);
    return 0;
}
