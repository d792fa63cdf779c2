// SPDX-License-Identifier: GPL-2.0-only
// Arenas: where they may be mapped, by whom; what programs and user space see of each other's stores; pages that programs add and take
// away, also while others are at them; and that all memory comes back. Programs are instructions: libbpf here knows no arenas.
// usage: arena
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tap.h"

namespace {

constexpr unsigned long page = 4096, four_gb = 1ul << 32;
constexpr unsigned type_arena = 33, segv_on_fault = 1u << 17;
using u64 = unsigned long;

int create(unsigned pages, unsigned flags = 0, u64 extra = 0) {
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags, .map_extra = extra);
    int fd = bpf_map_create(static_cast<bpf_map_type>(type_arena), "arena", 0, 0, pages, &opts);
    return fd < 0 ? -errno : fd;
}
long map_at(int fd, u64 addr, u64 size, int flags = 0, u64 off = 0) {
    void *p = mmap(reinterpret_cast<void *>(addr), size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, static_cast<off_t>(off));
    return p == MAP_FAILED ? -errno : reinterpret_cast<long>(p);
}
int unmap(u64 addr, u64 size) { return munmap(reinterpret_cast<void *>(addr), size) ? -errno : 0; }
volatile u64 &word(u64 addr) { return *reinterpret_cast<volatile u64 *>(addr); }

/// What a child gives back, or 256 + the signal that ends it.
template <class F> int in_child(F &&f) {
    pid_t child = fork();
    if (!child)
        _exit(f());
    int st = 0;
    waitpid(child, &st, 0);
    return WIFSIGNALED(st) ? 256 + WTERMSIG(st) : WEXITSTATUS(st);
}
bool faults(u64 addr) { // in this process: the kernel's copy does it
    int fds[2];
    if (pipe(fds))
        return true;
    bool bad = write(fds[1], reinterpret_cast<void *>(addr), 8) < 0 && errno == EFAULT;
    close(fds[0]), close(fds[1]);
    return bad;
}

// ---- programs ----

bpf_insn insn(unsigned char code, unsigned char dst, unsigned char src, short off, int imm) { return {code, dst, src, off, imm}; }
struct text : std::vector<bpf_insn> {
    text &add(unsigned char code, unsigned char dst, unsigned char src, short off, int imm) {
        push_back(insn(code, dst, src, off, imm));
        return *this;
    }
    text &arena(int fd) { return add(0x18, 1, BPF_PSEUDO_MAP_FD, 0, fd).add(0, 0, 0, 0, 0); }
    text &word_of_ctx(unsigned char reg, short off) { return add(0x79, reg, 6, off, 0); }
    text &to_program(unsigned char reg) { return add(0xbf, reg, reg, 1, 1); }
    text &result(unsigned char reg) { return add(0x7b, 6, reg, 16, 0); }
    text &end() { return add(0xb7, 0, 0, 0, 0).add(0x95, 0, 0, 0, 0); }
};
int load(const text &t, bpf_prog_type type = BPF_PROG_TYPE_SYSCALL) {
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0u);
    static char log[16384];
    opts.log_buf = log, opts.log_size = sizeof(log);
    int fd = bpf_prog_load(type, "arena", "GPL", t.data(), t.size(), &opts);
    if (fd < 0)
        printf("# load: %d\n# %s\n", errno, log);
    return fd;
}
/// r1-r3 of ctx; -> what the program leaves there.
struct args {
    u64 a, b, result;
};
u64 run(int prog, u64 a, u64 b = 0) {
    args ctx = {a, b, ~0ul};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));
    return bpf_prog_test_run_opts(prog, &opts) ? ~1ul : ctx.result;
}
text begin(int fd) { return text().add(0xbf, 6, 1, 0, 0).arena(fd).word_of_ctx(2, 0).word_of_ctx(3, 8); }

struct programs {
    int peek, poke, add, user, alloc = -1, free = -1;
    explicit programs(int fd) {
        peek = load(begin(fd).to_program(2).add(0x79, 4, 2, 0, 0).result(4).end());
        poke = load(begin(fd).to_program(2).add(0x7b, 2, 3, 0, 0).end());
        add = load(begin(fd).to_program(2).add(0xdb, 2, 3, 0, BPF_ADD | BPF_FETCH).result(3).end());
        user = load(begin(fd).add(0xbf, 4, 2, 1, 1 << 16).result(4).end());
        btf *types = btf__load_vmlinux_btf();
        int a = types ? btf__find_by_name_kind(types, "bpf_arena_alloc_pages", BTF_KIND_FUNC) : -1;
        int f = types ? btf__find_by_name_kind(types, "bpf_arena_free_pages", BTF_KIND_FUNC) : -1;
        btf__free(types);
        if (a <= 0 || f <= 0)
            return;
        alloc = load(begin(fd).add(0xb7, 4, 0, 0, -1).add(0xb7, 5, 0, 0, 0).add(0x85, 0, BPF_PSEUDO_KFUNC_CALL, 0, a).result(0).end());
        free = load(begin(fd).add(0x85, 0, BPF_PSEUDO_KFUNC_CALL, 0, f).end());
    }
    ~programs() {
        for (int fd : {peek, poke, add, user, alloc, free})
            close(fd);
    }
    bool loaded() const { return peek >= 0 && poke >= 0 && add >= 0 && user >= 0; }
};

// ---- tests ----

void creation() {
    ok(create((1 << 20) + 1) == -E2BIG && create(0) == -EINVAL && create(1, 0, 8) == -EINVAL && create(2, 0, four_gb - page) == -ERANGE,
       "arena: parameters that are refused");
    int fd = create(4);
    unsigned key = 0;
    bool refused = bpf_map_update_elem(fd, nullptr, &key, 0) < 0 && errno == EOPNOTSUPP;
    refused &= bpf_map_lookup_elem(fd, nullptr, &key) < 0 && errno == EINVAL;
    refused &= bpf_map_delete_elem(fd, nullptr) < 0 && errno == EOPNOTSUPP;
    refused &= bpf_map_get_next_key(fd, nullptr, &key) < 0 && errno == EOPNOTSUPP;
    ok(refused, "arena: it has no elements");
    bool where = map_at(fd, 0, 4 * page, 0, page) == -EINVAL && map_at(fd, 0, four_gb + page) == -E2BIG;
    u64 at = static_cast<u64>(map_at(fd, 0, 4 * page));
    where &= at % page == 0 && map_at(fd, 0, 4 * page) == -EINVAL && map_at(fd, at, 5 * page) == -E2BIG && map_at(fd, at, 3 * page) == -EINVAL;
    ok(where, "arena: where it may be mapped");
    bool whole = unmap(at + page, page) == -EINVAL && mprotect(reinterpret_cast<void *>(at), page, PROT_READ) < 0 && errno == EINVAL;
    whole &= mremap(reinterpret_cast<void *>(at), 4 * page, 4 * page, MREMAP_MAYMOVE | MREMAP_FIXED, at + 64 * page) == MAP_FAILED;
    ok(whole, "arena: its mapping goes as a whole and stays where it is");
    word(at) = 11;
    ok(in_child([at] { return static_cast<int>(word(at)); }) == 256 + SIGSEGV, "arena: children do not inherit it");
    int seen = in_child([fd, at] {
        if (map_at(fd, at, 4 * page, MAP_FIXED) != static_cast<long>(at) || word(at) != 11)
            return 1;
        word(at + page) = 12;
        return 0;
    });
    ok(seen == 0 && word(at + page) == 12, "arena: another process maps it there and sees the same");
    ok(unmap(at, 4 * page) == 0 && map_at(fd, at, 4 * page, MAP_FIXED) == static_cast<long>(at) && word(at) == 11,
       "arena: pages stay without a mapping");
    close(fd);
    ok(word(at) == 11 && word(at + 2 * page) == 0, "arena: a mapping stays without the fd");
    unmap(at, 4 * page);
    fd = create(1 << 20);
    at = static_cast<u64>(map_at(fd, 0, four_gb));
    word(at + four_gb - 8) = 1;
    ok(at % four_gb == 0 && word(at + four_gb - 8) == 1, "arena: one of 4 GiB");
    unmap(at, four_gb);
    close(fd);
}

void accesses() {
    int fd = create(8);
    u64 at = static_cast<u64>(map_at(fd, 0, 8 * page));
    programs p(fd);
    if (!ok(p.loaded(), "arena: programs are loaded"))
        return;
    word(at) = 5;
    ok(run(p.peek, at) == 5, "arena: a program sees what user space stored");
    run(p.poke, at + 8, 6);
    ok(word(at + 8) == 6, "arena: and the reverse");
    ok(run(p.add, at, 3) == 5 && word(at) == 8, "arena: an atomic operation");
    text named; // r1 = the address of the second word
    named.add(0xbf, 6, 1, 0, 0).add(0x18, 1, BPF_PSEUDO_MAP_VALUE, 0, fd).add(0, 0, 0, 0, 8).result(1).end();
    int prog = load(named);
    ok(run(prog, 0) == at + 8, "arena: its memory by name");
    close(prog);
    run(p.poke, at + page, 7);
    ok(run(p.peek, at + page) == 0 && run(p.add, at + page, 9) == 9 && word(at + page) == 0,
       "arena: where no page is, loads give 0 and nothing is stored");
    run(p.poke, at - 8, 7), run(p.poke, at + 8 * page, 7);
    ok(run(p.peek, at - 8) == 0 && run(p.peek, at + 8 * page) == 0, "arena: nor is there anything beyond it");
    run(p.poke, at + 2 * page - 4, ~0ul);
    ok(word(at + 2 * page - 8) == 0, "arena: a store over the end of a page is done as a whole or not at all");
    ok(run(p.user, static_cast<unsigned>(at)) == at && run(p.user, 0) == 0, "arena: casts to user addresses");
    unmap(at, 8 * page);
    ok(run(p.peek, at) == 8, "arena: programs see it without a mapping");
    close(fd);
    ok(run(p.peek, at) == 8, "arena: and without the fd");
}

void pages() {
    int fd = create(300), strict = create(4, segv_on_fault);
    u64 at = static_cast<u64>(map_at(fd, 0, 300 * page)), s = static_cast<u64>(map_at(strict, 0, 4 * page));
    programs p(fd), q(strict);
    ok(faults(s), "arena: a strict one shows no page that was not added");
    if (p.alloc < 0) {
        printf("ok - arena: # SKIP this kernel's types have no bpf_arena_alloc_pages\n");
        unmap(at, 300 * page), unmap(s, 4 * page);
        close(fd), close(strict);
        return;
    }
    bool all = true;
    for (u64 i = 0; i < 300; i++)
        all &= run(p.alloc, 0, 1) == at + i * page;
    ok(all && run(p.alloc, 0, 1) == 0, "arena: as many pages as there is room for, from the first on");
    for (u64 i = 0; i < 300; i++)
        word(at + i * page) = i + 1;
    for (u64 i = 0; i < 300; i += 2)
        run(p.free, at + i * page, 1);
    for (u64 i = 0; i < 300; i++)
        all &= run(p.peek, at + i * page) == (i % 2 ? i + 1 : 0);
    ok(all, "arena: what is taken away reads as 0, the others stay");
    ok(run(p.alloc, 0, 2) == 0 && run(p.alloc, at + 10 * page, 1) == at + 10 * page && run(p.alloc, at + 10 * page, 1) == 0 &&
           run(p.alloc, at + page / 2, 1) == 0,
       "arena: gaps and addresses");
    ok(word(at + 10 * page) == 0 && word(at + 12 * page) == 0, "arena: user space finds fresh pages");
    ok(run(p.alloc, at + 12 * page, 1) == 0, "arena: what it finds is there");
    run(p.free, at, 1000);
    ok(run(p.alloc, at, 300) == at, "arena: all at once");
    u64 one = run(q.alloc, 0, 2);
    ok(one == s && !faults(s + page) && faults(s + 2 * page), "arena: a strict one shows those that were added");
    run(q.free, s + page, 1);
    int other = in_child([&] { return map_at(strict, s, 4 * page, MAP_FIXED) == static_cast<long>(s) ? static_cast<int>(word(s + page)) : 1; });
    ok(faults(s + page) && !faults(s) && other == 256 + SIGSEGV, "arena: nobody sees a page that was taken away");
    unmap(at, 300 * page), unmap(s, 4 * page);
    close(fd), close(strict);
}

// Pages come and go under programs at an event, which must not sleep, and under two processes.
void storm(int ms) {
    int fd = create(16);
    u64 at = static_cast<u64>(map_at(fd, 0, 16 * page));
    programs p(fd);
    text t;
    t.arena(fd).add(0x18, 7, 0, 0, static_cast<int>(at)).add(0, 0, 0, 0, 0);
    t.to_program(7);
    for (short i = 0; i < 7; i++)
        t.add(0x79, 2, 7, static_cast<short>(i * page), 0).add(0x07, 2, 0, 0, 1).add(0x7b, 7, 2, static_cast<short>(i * page + 8), 0);
    int prog = load(t.end(), BPF_PROG_TYPE_RAW_TRACEPOINT), link = bpf_raw_tracepoint_open("sys_enter", prog);
    ok(link >= 0, "arena: a program at each system call");
    std::atomic<bool> stop{false};
    std::atomic<unsigned> rounds{0};
    pid_t child = fork();
    if (!child) {
        if (map_at(fd, at, 16 * page, MAP_FIXED) < 0)
            _exit(1);
        for (;;)
            for (u64 i = 0; i < 16; i++)
                word(at + i * page) = i, getppid();
    }
    std::thread user([&] {
        while (!stop)
            for (u64 i = 0; i < 16; i++)
                word(at + i * page + 16) = i, getppid();
    });
    auto work = [&] {
        while (!stop) {
            if (p.free >= 0)
                run(p.free, at, 16), run(p.alloc, 0, 3), run(p.free, at + page, 1);
            run(p.poke, at, 1), run(p.peek, at + page);
            rounds++;
        }
    };
    std::thread other(work);
    usleep(static_cast<unsigned>(ms) * 1000);
    // A process that has it mapped ends in the middle.
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    usleep(static_cast<unsigned>(ms) * 500);
    stop = true;
    user.join(), other.join();
    ok(rounds > 5, "arena: %u rounds under fire", rounds.load());
    close(link), close(prog);
    unmap(at, 16 * page);
    close(fd);
}

// ---- memory ----

/// With those that CPUs keep for themselves, which may be many behind many frees.
long free_pages() {
    FILE *f = fopen("/proc/zoneinfo", "r");
    char line[256];
    long n, sum = 0;
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, " pages free %ld", &n) == 1 || sscanf(line, " count: %ld", &n) == 1)
            sum += n;
    if (f)
        fclose(f);
    return sum;
}
int areas() {
    FILE *f = fopen("/proc/vmallocinfo", "r");
    char line[256];
    int n = 0;
    while (f && fgets(line, sizeof(line), f))
        n += strstr(line, " 4295036928 ") || strstr(line, " 4295032832 ") || strstr(line, " 4295004160 ") || strstr(line, " 4295000064 ");
    if (f)
        fclose(f);
    return n;
}

void memory() {
    constexpr u64 pages = 16384; // of which some more or less are free whatever happens here
    usleep(300000);
    long before = free_pages();
    int fd = create(pages);
    u64 at = static_cast<u64>(map_at(fd, 0, pages * page));
    for (u64 i = 0; i < pages; i++)
        word(at + i * page) = i;
    long used = before - free_pages();
    ok(areas() >= 1 && used > static_cast<long>(pages / 2), "arena: %ld pages are in use", used);
    unmap(at, pages * page);
    close(fd);
    long left = 0;
    for (int i = 0; i < 60 && (areas() || (left = before - free_pages()) > static_cast<long>(pages / 4)); i++)
        usleep(50000);
    ok(areas() == 0 && left <= static_cast<long>(pages / 4), "arena: all of them come back: %ld", left);
}

} // namespace

int main() {
    creation();
    accesses();
    pages();
    storm(700);
    memory();
    return tap_exit();
}
