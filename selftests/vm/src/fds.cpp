// SPDX-License-Identifier: GPL-2.0-only
// K2: file descriptors of the wrong kind. Each command that takes an fd gets every kind of fd, our own and the kernel's own, in each
// place: ours refuse the kernel's and the kernel refuses ours, with the errno that the kernel gives in the same case. Then fds
// over a socket, fds that change under the command, and objects that hold each other in a ring.
// usage: fds [cycle|uncycle]    cycle: leaves an attached program behind that nothing but itself holds; uncycle: lets it go
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static long kernel_call(long nr, long a, long b, long c, long d = 0, long e = 0) {
    long r;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    asm volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return r;
}
using bpf_fn = long (*)(unsigned cmd, bpf_attr *attr, unsigned size);
static long kernel_bpf(unsigned cmd, bpf_attr *attr, unsigned size) {
    return kernel_call(__NR_bpf, cmd, reinterpret_cast<long>(attr), size);
}
static long our_bpf(unsigned cmd, bpf_attr *attr, unsigned size) {
    long r = syscall(__NR_bpf, cmd, attr, size);
    return r < 0 ? -errno : r;
}

enum kind { MAP, RING, PROG, KPROBE_PROG, RAW_PROG, BTF, LINK, PERF, STATS, EVENTFD, SOCKET, PATH, CLOSED, NEGATIVE, KINDS };
static const char *const kind_names[] = {"map", "ringbuf", "socket filter", "kprobe program", "raw_tp program", "btf", "link", "perf event",
                                         "stats", "eventfd", "socket", "O_PATH", "closed", "negative"};

static const bpf_insn ret0[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}, {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

static long load(bpf_fn f, unsigned type) {
    bpf_attr a = {};
    a.prog_type = type;
    a.insns = reinterpret_cast<uintptr_t>(ret0);
    a.insn_cnt = 2;
    a.license = reinterpret_cast<uintptr_t>("GPL");
    return f(BPF_PROG_LOAD, &a, sizeof(a));
}
static long make_map(bpf_fn f, unsigned type, unsigned key, unsigned value, unsigned entries, unsigned flags = 0) {
    bpf_attr a = {};
    a.map_type = type;
    a.key_size = key;
    a.value_size = value;
    a.max_entries = entries;
    a.map_flags = flags;
    return f(BPF_MAP_CREATE, &a, sizeof(a));
}
static long load_btf(bpf_fn f) {
    // A header, the type `int`, and the strings "" and "int".
    static const unsigned char btf[] = {0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 5, 0, 0, 0,
                                        1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 32, 0, 0, 1, 0, 'i', 'n', 't', 0};
    bpf_attr a = {};
    a.btf = reinterpret_cast<uintptr_t>(btf);
    a.btf_size = sizeof(btf);
    return f(BPF_BTF_LOAD, &a, sizeof(a));
}
static long perf_event(bool ours) {
    perf_event_attr p = {};
    p.type = PERF_TYPE_SOFTWARE;
    p.size = sizeof(p);
    p.config = PERF_COUNT_SW_BPF_OUTPUT;
    p.sample_type = PERF_SAMPLE_RAW;
    return ours ? syscall(__NR_perf_event_open, &p, -1, 0, -1, 0) : kernel_call(__NR_perf_event_open, reinterpret_cast<long>(&p), -1, 0, -1, 0);
}

static int closed_fd() {
    int fd = dup(0);
    close(fd);
    return fd + 200;
}

static void make_objects(bpf_fn f, long (&fd)[KINDS]) {
    fd[MAP] = make_map(f, BPF_MAP_TYPE_HASH, 4, 4, 4);
    fd[RING] = make_map(f, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
    fd[PROG] = load(f, BPF_PROG_TYPE_SOCKET_FILTER);
    fd[KPROBE_PROG] = load(f, BPF_PROG_TYPE_KPROBE);
    fd[RAW_PROG] = load(f, BPF_PROG_TYPE_RAW_TRACEPOINT);
    fd[BTF] = load_btf(f);
    bpf_attr a = {};
    a.raw_tracepoint.name = reinterpret_cast<uintptr_t>("sys_enter");
    a.raw_tracepoint.prog_fd = static_cast<unsigned>(fd[RAW_PROG]);
    fd[LINK] = f(BPF_RAW_TRACEPOINT_OPEN, &a, sizeof(a.raw_tracepoint));
    fd[PERF] = perf_event(f == our_bpf);
    a = {};
    fd[STATS] = f(BPF_ENABLE_STATS, &a, sizeof(a.enable_stats));
    fd[EVENTFD] = eventfd(0, 0);
    fd[SOCKET] = socket(AF_UNIX, SOCK_STREAM, 0);
    fd[PATH] = open("/dev/null", O_PATH);
    fd[CLOSED] = closed_fd();
    fd[NEGATIVE] = -1;
}

static char scratch[4096] __attribute__((aligned(8)));

/// One request: the fd under test goes to the places that `fill` names; all else is right.
struct request {
    const char *name;
    unsigned cmd;
    void (*fill)(bpf_attr &a, long fd, const long *good);
};
static const request requests[] = {
    {"MAP_LOOKUP_ELEM", BPF_MAP_LOOKUP_ELEM, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd, a.key = a.value = uintptr_t(scratch); }},
    {"MAP_UPDATE_ELEM", BPF_MAP_UPDATE_ELEM, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd, a.key = a.value = uintptr_t(scratch); }},
    {"MAP_DELETE_ELEM", BPF_MAP_DELETE_ELEM, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd, a.key = uintptr_t(scratch); }},
    {"MAP_GET_NEXT_KEY", BPF_MAP_GET_NEXT_KEY, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd, a.next_key = uintptr_t(scratch); }},
    {"MAP_LOOKUP_AND_DELETE", BPF_MAP_LOOKUP_AND_DELETE_ELEM, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd, a.key = a.value = uintptr_t(scratch); }},
    {"MAP_LOOKUP_BATCH", BPF_MAP_LOOKUP_BATCH, [](bpf_attr &a, long fd, const long *) {
         a.batch.map_fd = fd, a.batch.keys = a.batch.values = a.batch.out_batch = uintptr_t(scratch), a.batch.count = 1; }},
    {"MAP_FREEZE", BPF_MAP_FREEZE, [](bpf_attr &a, long fd, const long *) { a.map_fd = fd; }},
    {"PROG_TEST_RUN", BPF_PROG_TEST_RUN, [](bpf_attr &a, long fd, const long *) {
         a.test.prog_fd = fd, a.test.data_in = uintptr_t(scratch), a.test.data_size_in = 64; }},
    {"OBJ_GET_INFO_BY_FD", BPF_OBJ_GET_INFO_BY_FD, [](bpf_attr &a, long fd, const long *) {
         a.info.bpf_fd = fd, a.info.info = uintptr_t(scratch), a.info.info_len = 16; }},
    {"LINK_DETACH", BPF_LINK_DETACH, [](bpf_attr &a, long fd, const long *) { a.link_detach.link_fd = fd; }},
    {"LINK_UPDATE link", BPF_LINK_UPDATE, [](bpf_attr &a, long fd, const long *g) { a.link_update.link_fd = fd, a.link_update.new_prog_fd = g[RAW_PROG]; }},
    {"LINK_UPDATE program", BPF_LINK_UPDATE, [](bpf_attr &a, long fd, const long *g) { a.link_update.link_fd = g[LINK], a.link_update.new_prog_fd = fd; }},
    {"LINK_CREATE program", BPF_LINK_CREATE, [](bpf_attr &a, long fd, const long *g) {
         a.link_create.prog_fd = fd, a.link_create.target_fd = g[PERF], a.link_create.attach_type = BPF_PERF_EVENT; }},
    {"LINK_CREATE target", BPF_LINK_CREATE, [](bpf_attr &a, long fd, const long *g) {
         a.link_create.prog_fd = g[KPROBE_PROG], a.link_create.target_fd = fd, a.link_create.attach_type = BPF_PERF_EVENT; }},
    {"RAW_TRACEPOINT_OPEN", BPF_RAW_TRACEPOINT_OPEN, [](bpf_attr &a, long fd, const long *) {
         a.raw_tracepoint.prog_fd = fd, a.raw_tracepoint.name = uintptr_t("no such tracepoint"); }},
    {"PROG_BIND_MAP program", BPF_PROG_BIND_MAP, [](bpf_attr &a, long fd, const long *g) { a.prog_bind_map.prog_fd = fd, a.prog_bind_map.map_fd = g[MAP]; }},
    {"PROG_BIND_MAP map", BPF_PROG_BIND_MAP, [](bpf_attr &a, long fd, const long *g) { a.prog_bind_map.prog_fd = g[PROG], a.prog_bind_map.map_fd = fd; }},
    {"MAP_CREATE btf", BPF_MAP_CREATE, [](bpf_attr &a, long fd, const long *) {
         a.map_type = BPF_MAP_TYPE_ARRAY, a.key_size = a.value_size = 4, a.max_entries = 1, a.btf_fd = fd, a.btf_key_type_id = a.btf_value_type_id = 1; }},
    {"PROG_LOAD attach target", BPF_PROG_LOAD, [](bpf_attr &a, long fd, const long *) {
         a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, a.insns = uintptr_t(ret0), a.insn_cnt = 2, a.license = uintptr_t("GPL"), a.attach_prog_fd = fd; }},
};

static long ask(bpf_fn f, const request &r, long fd, const long *good) {
    bpf_attr a = {};
    r.fill(a, fd, good);
    long ret = f(r.cmd, &a, sizeof(a));
    if (ret > 0)
        close(static_cast<int>(ret));
    return ret > 0 ? 0 : ret;
}

static bool foreign_to_both(int k) { return k >= EVENTFD; }

static void confuse(const long *ours, const long *kernels) {
    for (const request &r : requests) {
        int bad = 0;
        for (int k = 0; k < KINDS; k++) {
            long mine = ask(our_bpf, r, ours[k], ours), theirs = ask(kernel_bpf, r, kernels[k], kernels);
            if (mine != theirs)
                bad++, printf("# %s of a %s: %ld, the kernel %ld\n", r.name, kind_names[k], mine, theirs);
            if (foreign_to_both(k))
                continue;
            // The other side's object is what any file of another kind is.
            long crossed = ask(our_bpf, r, kernels[k], ours), reverse = ask(kernel_bpf, r, ours[k], kernels);
            long stranger = ask(our_bpf, r, ours[EVENTFD], ours), kernel_stranger = ask(kernel_bpf, r, kernels[EVENTFD], kernels);
            if (crossed != stranger)
                bad++, printf("# %s of the kernel's %s: %ld, of an eventfd %ld\n", r.name, kind_names[k], crossed, stranger);
            if (reverse != kernel_stranger)
                bad++, printf("# kernel's %s of our %s: %ld, of an eventfd %ld\n", r.name, kind_names[k], reverse, kernel_stranger);
        }
        ok(bad == 0, "fds: %s takes the right fds only", r.name);
    }
}

/// Slots of fd arrays, programs that name maps, and the perf event's own ioctl.
static void embedded(const long *ours, const long *kernels) {
    struct {
        const char *name;
        unsigned type;
    } arrays[] = {{"prog_array", BPF_MAP_TYPE_PROG_ARRAY}, {"perf_event_array", BPF_MAP_TYPE_PERF_EVENT_ARRAY}};
    for (auto &arr : arrays) {
        long m[2] = {make_map(our_bpf, arr.type, 4, 4, 2), make_map(kernel_bpf, arr.type, 4, 4, 2)};
        int bad = 0;
        for (int k = 0; k < KINDS; k++) {
            unsigned zero = 0;
            long r[4];
            for (int i = 0; i < 4; i++) { // ours into ours, the kernel's into the kernel's, and crossed
                int value = static_cast<int>((i == 0 || i == 3 ? ours : kernels)[k]);
                bpf_attr a = {};
                a.map_fd = m[i & 1];
                a.key = uintptr_t(&zero), a.value = uintptr_t(&value);
                r[i] = (i & 1 ? kernel_bpf : our_bpf)(BPF_MAP_UPDATE_ELEM, &a, sizeof(a));
            }
            if (r[0] != r[1])
                bad++, printf("# %s slot, %s: %ld, the kernel %ld\n", arr.name, kind_names[k], r[0], r[1]);
            if (!foreign_to_both(k) && (r[2] == 0 || r[3] == 0))
                bad++, printf("# %s slot, foreign %s: %ld and %ld\n", arr.name, kind_names[k], r[2], r[3]);
        }
        ok(bad == 0, "fds: slots of a %s take the right fds only", arr.name);
        close(m[0]);
        close(m[1]);
    }
    int bad = 0;
    for (int k = 0; k < KINDS; k++)
        for (int cross = 0; cross < 2; cross++) {
            long r[2];
            for (int i = 0; i < 2; i++) {
                long fd = (i ^ cross ? kernels : ours)[k];
                bpf_insn code[] = {{.code = 0x18, .dst_reg = 1, .src_reg = 1, .off = 0, .imm = static_cast<int>(fd)}, {}, ret0[0], ret0[1]};
                bpf_attr a = {};
                a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
                a.insns = uintptr_t(code), a.insn_cnt = 4, a.license = uintptr_t("GPL");
                r[i] = (i ? kernel_bpf : our_bpf)(BPF_PROG_LOAD, &a, sizeof(a));
                if (r[i] > 0)
                    close(static_cast<int>(r[i])), r[i] = 0;
            }
            if (!cross && r[0] != r[1])
                bad++, printf("# program with a %s as its map: %ld, the kernel %ld\n", kind_names[k], r[0], r[1]);
            if (cross && !foreign_to_both(k) && (r[0] == 0 || r[1] == 0))
                bad++, printf("# program with a foreign %s as its map: %ld, the kernel %ld\n", kind_names[k], r[0], r[1]);
        }
    ok(bad == 0, "fds: programs take the right fds as maps only");
    bool refused = ioctl(ours[PERF], PERF_EVENT_IOC_SET_BPF, kernels[KPROBE_PROG]) < 0 && ioctl(kernels[PERF], PERF_EVENT_IOC_SET_BPF, ours[KPROBE_PROG]) < 0;
    ok(refused, "fds: perf events refuse the other side's programs");
}

/// Parent to child over a socket; the sender's fd is closed before the receiver has it.
static void over_socket() {
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    int map = static_cast<int>(make_map(our_bpf, BPF_MAP_TYPE_HASH, 4, 4, 4));
    unsigned key = 1, value = 77;
    bpf_map_update_elem(map, &key, &value, BPF_ANY);
    char data = 'x', control[CMSG_SPACE(sizeof(int))] = {};
    iovec iov = {&data, 1};
    msghdr msg = {};
    msg.msg_iov = &iov, msg.msg_iovlen = 1, msg.msg_control = control, msg.msg_controllen = sizeof(control);
    cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &map, sizeof(map));
    sendmsg(pair[0], &msg, 0);
    close(map);
    if (pid_t child = fork()) {
        int state = 1;
        waitpid(child, &state, 0);
        ok(state == 0, "fds: a map works behind a socket");
    } else {
        recvmsg(pair[1], &msg, 0);
        int got = -1;
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
        unsigned out = 0;
        _exit(bpf_map_lookup_elem(got, &key, &out) || out != 77);
    }
    // In flight when both ends go: the kernel's collector must give the map back.
    sendmsg(pair[0], &msg, 0);
    close(pair[0]);
    close(pair[1]);
}

static unsigned count_ids(unsigned cmd) {
    unsigned n = 0, id = 0;
    for (bpf_attr a = {}; a.start_id = id, our_bpf(cmd, &a, sizeof(a)) == 0; id = a.next_id)
        n++;
    return n;
}
static unsigned kernel_types; // have ids, too, and stay
static unsigned all_ids() {
    return count_ids(BPF_PROG_GET_NEXT_ID) + count_ids(BPF_MAP_GET_NEXT_ID) + count_ids(BPF_LINK_GET_NEXT_ID) + count_ids(BPF_BTF_GET_NEXT_ID) - kernel_types;
}

struct race {
    const long *good;
    int slot;
    volatile bool stop;
};
static void *swap_fds(void *arg) {
    auto *r = static_cast<race *>(arg);
    for (unsigned i = 0; !r->stop; i++) {
        if (i % 5 == 4)
            close(r->slot);
        else
            dup2(r->good[i % (PERF + 1)], r->slot);
    }
    return nullptr;
}
/// One fd number that is a map, a program, a link, closed ... while commands use it.
static void dup_race(const long *ours) {
    race r = {ours, 100, false};
    pthread_t t[2];
    for (auto &x : t)
        pthread_create(&x, nullptr, swap_fds, &r);
    long calls = 0, worked = 0;
    for (int round = 0; round < 400; round++)
        for (const request &q : requests) {
            if (q.cmd == BPF_MAP_FREEZE)
                continue;
            calls++;
            worked += ask(our_bpf, q, r.slot, ours) == 0;
        }
    r.stop = true;
    for (auto &x : t)
        pthread_join(x, nullptr);
    close(r.slot);
    ok(worked > 0 && worked < calls, "fds: %ld of %ld calls on a changing fd worked", worked, calls);
}

/// A kprobe event whose program holds, through a map, the event itself.
static int make_cycle() {
    perf_event_attr p = {};
    FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "r");
    if (!f || fscanf(f, "%u", &p.type) != 1)
        return 1;
    fclose(f);
    p.size = sizeof(p);
    p.config1 = uintptr_t("__x64_sys_getpgid");
    int event = static_cast<int>(syscall(__NR_perf_event_open, &p, -1, 0, -1, 0));
    long array = make_map(our_bpf, BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2, BPF_F_PRESERVE_ELEMS);
    bpf_insn code[] = {{.code = 0x18, .dst_reg = 1, .src_reg = 1, .off = 0, .imm = static_cast<int>(array)}, {}, ret0[0], ret0[1]};
    bpf_attr a = {};
    a.prog_type = BPF_PROG_TYPE_KPROBE;
    a.insns = uintptr_t(code), a.insn_cnt = 4, a.license = uintptr_t("GPL");
    long prog = our_bpf(BPF_PROG_LOAD, &a, sizeof(a));
    unsigned zero = 0;
    if (!ok(event >= 0 && array >= 0 && prog >= 0, "cycle: event, array and program: %d, %ld, %ld", event, array, prog))
        return 1;
    ok(bpf_map_update_elem(static_cast<int>(array), &zero, &event, BPF_ANY) == 0, "cycle: the event is in the array");
    ok(ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) == 0, "cycle: the program is on the event");
    return tap_exit();
}

/// Finds the array of make_cycle by id and empties it.
static int break_cycle() {
    bpf_attr a = {};
    if (!ok(our_bpf(BPF_MAP_GET_NEXT_ID, &a, sizeof(a)) == 0, "cycle: the array is still there"))
        return 1;
    int array = bpf_map_get_fd_by_id(a.next_id);
    unsigned zero = 0;
    ok(array >= 0 && bpf_map_delete_elem(array, &zero) == 0, "cycle: the event leaves the array");
    close(array);
    for (int turn = 0; turn < 100 && all_ids(); turn++)
        usleep(50000);
    ok(all_ids() == 0, "cycle: array, event and program are gone");
    return tap_exit();
}

int main(int argc, char **argv) {
    kernel_types = count_ids(BPF_BTF_GET_NEXT_ID);
    if (argc > 1 && !strcmp(argv[1], "cycle"))
        return make_cycle();
    if (argc > 1 && !strcmp(argv[1], "uncycle"))
        return break_cycle();
    unsigned before = all_ids();
    long ours[KINDS], kernels[KINDS];
    make_objects(our_bpf, ours);
    make_objects(kernel_bpf, kernels);
    bool made = true;
    for (int k = 0; k < EVENTFD; k++) {
        made &= ours[k] >= 0 && kernels[k] >= 0;
        if (ours[k] < 0 || kernels[k] < 0)
            printf("# %s: %ld, the kernel's %ld\n", kind_names[k], ours[k], kernels[k]);
    }
    ok(made, "fds: one of each kind, twice");
    confuse(ours, kernels);
    embedded(ours, kernels);
    over_socket();
    dup_race(ours);
    for (int k = 0; k < CLOSED; k++) {
        close(ours[k]);
        close(kernels[k]);
    }
    unsigned after = all_ids();
    for (int turn = 0; after != before && turn < 50; turn++, after = all_ids())
        usleep(100000);
    ok(after == before, "fds: %u objects before, %u after", before, after);
    return tap_exit();
}
