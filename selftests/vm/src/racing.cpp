// SPDX-License-Identifier: GPL-2.0-only
// K3: user memory that changes while commands read it. Threads flip sizes, counts, pointers, instructions and BTF between right and
// wrong values in shared memory while every command runs on it. Whatever a command saw, it saw once: no write behind a buffer of the
// size that it was given, nothing left over, nothing in the kernel log (which the caller scans).
// usage: racing SECONDS
#include <bpf/bpf.h>
#include <initializer_list>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static long bpf_call(unsigned cmd, const volatile void *a, unsigned size) {
    long r = syscall(__NR_bpf, cmd, a, size);
    return r < 0 ? -errno : r;
}

/// One word that a flipper moves between its values.
struct flip {
    volatile void *at;
    unsigned size; ///< 4 or 8
    uint64_t values[4];
};
static flip flips[64];
static volatile int flip_count;
static volatile bool stop;

static void *flipper(void *arg) {
    unsigned seed = static_cast<unsigned>(reinterpret_cast<uintptr_t>(arg));
    while (!stop) {
        int n = flip_count;
        for (int i = 0; i < n; i++) {
            uint64_t v = flips[i].values[rand_r(&seed) & 3];
            if (flips[i].size == 4)
                *static_cast<volatile uint32_t *>(flips[i].at) = static_cast<uint32_t>(v);
            else
                *static_cast<volatile uint64_t *>(flips[i].at) = v;
        }
    }
    return nullptr;
}
static void add_flip(volatile void *at, unsigned size, std::initializer_list<uint64_t> values) {
    flip &f = flips[flip_count];
    f.at = at, f.size = size;
    int n = 0;
    for (uint64_t v : values)
        f.values[n++] = v;
    for (; n < 4; n++)
        f.values[n] = f.values[0];
    flip_count = flip_count + 1;
}

static bpf_attr *attr;        ///< shared, and under the flippers' hands
static unsigned char *page;   ///< 8 KiB that may be used, then memory that may not
static long calls, worked;
static unsigned long refused[256];

static void run(unsigned cmd, unsigned size, int turns) {
    for (int i = 0; i < turns; i++) {
        long r = bpf_call(cmd, attr, size);
        calls++;
        if (r < 0) {
            refused[-r & 255]++;
            continue;
        }
        worked++;
        if (r > 2)
            close(static_cast<int>(r));
    }
}
static void begin() {
    flip_count = 0;
    usleep(2000); // until the flippers have seen it
    memset(attr, 0, sizeof(*attr));
}

static const bpf_insn ret0[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}, {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

static void maps(int turns) {
    begin();
    attr->key_size = 4, attr->max_entries = 4;
    add_flip(&attr->map_type, 4, {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_PROG_ARRAY});
    add_flip(&attr->key_size, 4, {4, 0, 8, 0xffffffff});
    add_flip(&attr->value_size, 4, {4, 0, 64, 0x7fffffff});
    add_flip(&attr->max_entries, 4, {4, 4096, 0, 0xffffffff});
    add_flip(&attr->map_flags, 4, {0, BPF_F_NO_PREALLOC, BPF_F_MMAPABLE, BPF_F_RDONLY | BPF_F_WRONLY});
    add_flip(attr->map_name, 8, {0, 0x6161616161616161, 0x2f});
    run(BPF_MAP_CREATE, sizeof(*attr), turns);

    int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "racing", 8, 64, 128, nullptr);
    int array = bpf_map_create(BPF_MAP_TYPE_ARRAY, "racing", 4, 64, 16, nullptr);
    for (unsigned cmd : {BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM, BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM, BPF_MAP_DELETE_ELEM}) {
        begin();
        attr->map_fd = static_cast<unsigned>(fd);
        attr->key = uintptr_t(page), attr->value = uintptr_t(page + 4096);
        add_flip(&attr->map_fd, 4, {uint64_t(fd), uint64_t(array), 9999});
        if (cmd != BPF_MAP_GET_NEXT_KEY)
            add_flip(&attr->key, 8, {uintptr_t(page), uintptr_t(page + 8192 - 8), uintptr_t(page + 8192 - 4), 0});
        if (cmd != BPF_MAP_DELETE_ELEM)
            add_flip(&attr->value, 8, {uintptr_t(page + 4096), uintptr_t(page + 8192 - 64), uintptr_t(page + 8192 - 63)});
        add_flip(page, 8, {0, 1, 77, 0xffffffffffffffff});
        run(cmd, sizeof(*attr), turns);
    }
    for (unsigned cmd : {BPF_MAP_UPDATE_BATCH, BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH, BPF_MAP_DELETE_BATCH}) {
        begin();
        attr->batch.keys = uintptr_t(page), attr->batch.values = uintptr_t(page + 1024), attr->batch.out_batch = uintptr_t(page + 8184);
        add_flip(&attr->batch.map_fd, 4, {uint64_t(fd), uint64_t(array)});
        add_flip(&attr->batch.count, 4, {1, 16, 64, 0xffffffff});
        add_flip(&attr->batch.in_batch, 8, {0, uintptr_t(page + 8184)});
        add_flip(page + 8184, 4, {0, 1, 127, 0xffffffff});
        add_flip(page, 8, {0, 1, 2, 3});
        run(cmd, sizeof(*attr), turns / 4);
    }
    begin();
    close(fd);
    close(array);
}

/// A program and its BTF under change; both must be refused or be one that was there in full at some time.
static void programs(int turns) {
    auto *code = reinterpret_cast<bpf_insn *>(page);
    int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "racing", 4, 64, 16, nullptr);
    begin();
    bpf_insn text[] = {{.code = 0x18, .dst_reg = 1, .src_reg = 1, .off = 0, .imm = map}, {}, ret0[0], {.code = 0x07, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1}, ret0[1], ret0[1]};
    memcpy(code, text, sizeof(text));
    attr->prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    attr->insns = uintptr_t(code), attr->insn_cnt = 6, attr->license = uintptr_t(page + 4096);
    strcpy(reinterpret_cast<char *>(page + 4096), "GPL");
    attr->log_buf = uintptr_t(page + 4200), attr->log_size = 3992;
    add_flip(&attr->insn_cnt, 4, {6, 5, 1, 0x7fffffff});
    add_flip(&attr->prog_type, 4, {BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_XDP, 99});
    add_flip(&attr->log_level, 4, {0, 1, 2, 7});
    add_flip(&attr->log_size, 4, {3992, 128, 0, 0xffffffff});
    add_flip(&code[0], 8, {*reinterpret_cast<uint64_t *>(&text[0]), *reinterpret_cast<const uint64_t *>(&ret0[0]), 0});
    add_flip(&code[0].imm, 4, {uint64_t(map), 0, 9999});
    add_flip(&code[3], 8, {*reinterpret_cast<uint64_t *>(&text[3]), 0x0000000000000005, 0xfffffffd00000005 & 0xffffffff00ff, 0x95});
    add_flip(page + 4096, 4, {0x4c5047, 0x6c5047, 0xffffffff});
    run(BPF_PROG_LOAD, sizeof(*attr), turns);

    begin();
    static const unsigned char btf[] = {0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 5, 0, 0, 0,
                                        1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 32, 0, 0, 1, 0, 'i', 'n', 't', 0};
    memcpy(page, btf, sizeof(btf));
    attr->btf = uintptr_t(page);
    add_flip(&attr->btf_size, 4, {sizeof(btf), 24, 0, 8192});
    add_flip(page + 8, 4, {0, 8, 0xfffffff0});
    add_flip(page + 12, 4, {16, 17, 0xffffffff});
    add_flip(page + 16, 4, {16, 0, 0xfffffff8});
    add_flip(page + 20, 4, {5, 0, 0xffffffff});
    add_flip(page + 28, 4, {0x01000000, 0x0400ffff, 0x0e000000});
    run(BPF_BTF_LOAD, sizeof(*attr), turns);
    begin();
    close(map);
}

/// Every length is at most the room that is there: the bytes behind must stay as they are.
static bool infos(int turns) {
    int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "racing", 4, 64, 16, nullptr);
    bpf_insn text[] = {{.code = 0x18, .dst_reg = 1, .src_reg = 1, .off = 0, .imm = map}, {}, ret0[0], ret0[1]};
    bpf_attr load = {};
    load.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    load.insns = uintptr_t(text), load.insn_cnt = 4, load.license = uintptr_t("GPL");
    int prog = static_cast<int>(bpf_call(BPF_PROG_LOAD, &load, sizeof(load)));
    begin();
    memset(page, 0x5a, 8192);
    auto *i = reinterpret_cast<bpf_prog_info *>(page);
    memset(i, 0, sizeof(*i));
    constexpr unsigned room = 64;
    i->jited_prog_insns = uintptr_t(page + 1024), i->xlated_prog_insns = uintptr_t(page + 2048), i->map_ids = uintptr_t(page + 3072);
    i->jited_ksyms = uintptr_t(page + 3584), i->jited_func_lens = uintptr_t(page + 4096), i->prog_tags = uintptr_t(page + 4608);
    attr->info.bpf_fd = static_cast<unsigned>(prog), attr->info.info = uintptr_t(i), attr->info.info_len = sizeof(*i);
    add_flip(&attr->info.info_len, 4, {sizeof(*i), 80, 8, 0});
    add_flip(&attr->info.bpf_fd, 4, {uint64_t(prog), uint64_t(map), uint64_t(prog)});
    add_flip(&i->jited_prog_len, 4, {room, 8, 1, 0});
    add_flip(&i->xlated_prog_len, 4, {room, 24, 7, 0});
    add_flip(&i->nr_map_ids, 4, {1, 0, 4});
    add_flip(&i->nr_jited_ksyms, 4, {1, 0, 4});
    add_flip(&i->nr_jited_func_lens, 4, {1, 0, 4});
    add_flip(&i->nr_prog_tags, 4, {1, 0, 4});
    run(BPF_OBJ_GET_INFO_BY_FD, sizeof(*attr), turns);
    begin();
    bool intact = true;
    // The program is 4 instructions, one map, one function; its native text has at most `room` bytes here.
    for (unsigned at : {1024u + room, 2048u + room, 3072u + 16, 3584u + 32, 4096u + 16, 4608u + 32})
        for (unsigned n = 0; n < 256; n++)
            intact &= page[at + n] == 0x5a;

    // A packet in, a packet out, a context.
    memset(page, 0x5a, 8192);
    attr->test.prog_fd = static_cast<unsigned>(prog);
    attr->test.data_in = uintptr_t(page), attr->test.data_out = uintptr_t(page + 4096);
    add_flip(&attr->test.data_size_in, 4, {14, 64, 256, 0xffffffff});
    add_flip(&attr->test.data_size_out, 4, {256, 64, 16, 1});
    add_flip(&attr->test.repeat, 4, {0, 1, 3});
    add_flip(page + 12, 4, {0x0008, 0xdd86, 0x5a5a});
    run(BPF_PROG_TEST_RUN, sizeof(*attr), turns);
    begin();
    for (unsigned n = 256; n < 1024; n++)
        intact &= page[4096 + n] == 0x5a;
    close(prog);
    close(map);
    return intact;
}

static unsigned count_ids(unsigned cmd) {
    unsigned n = 0, id = 0;
    for (bpf_attr a = {}; a.start_id = id, bpf_call(cmd, &a, sizeof(a)) == 0; id = a.next_id)
        n++;
    return n;
}

int main(int argc, char **argv) {
    int seconds = argc > 1 ? atoi(argv[1]) : 10;
    attr = static_cast<bpf_attr *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    page = static_cast<unsigned char *>(mmap(nullptr, 12288, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    mprotect(page + 8192, 4096, PROT_NONE);
    pthread_t t[2];
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], nullptr, flipper, reinterpret_cast<void *>(i + 1));
    unsigned kernels = count_ids(BPF_BTF_GET_NEXT_ID); // types, which stay
    bool intact = true;
    int rounds = 0;
    for (time_t end = time(nullptr) + seconds; rounds == 0 || time(nullptr) < end; rounds++) {
        maps(100);
        programs(100);
        intact &= infos(200);
    }
    stop = true;
    for (auto x : t)
        pthread_join(x, nullptr);
    ok(worked > 100 && worked < calls, "racing: %d rounds, %ld of %ld calls worked", rounds, worked, calls);
    ok(intact, "racing: nothing is written behind a buffer");
    unsigned left = 1;
    for (int turn = 0; turn < 50 && left; turn++) {
        left = count_ids(BPF_PROG_GET_NEXT_ID) + count_ids(BPF_MAP_GET_NEXT_ID) + count_ids(BPF_BTF_GET_NEXT_ID) + count_ids(BPF_LINK_GET_NEXT_ID) - kernels;
        if (left)
            usleep(50000);
    }
    ok(left == 0, "racing: %u objects left", left);
    for (int e = 1; e < 256; e++)
        if (refused[e])
            printf("# %s: %lu\n", strerror(e), refused[e]);
    return tap_exit();
}
