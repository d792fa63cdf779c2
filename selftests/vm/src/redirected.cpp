// SPDX-License-Identifier: GPL-2.0-only
// A static program, which no library can be put under: its own system calls, as modbpf's device or the kernel's BPF answers them.
// usage: redirected inside|outside|child   (inside: started by `modbpf exec --redirect`)
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "modbpf.h"
#include "tap.h"

namespace {

int device = -1;

long direct(int cmd, bpf_attr &a) {
    modbpf_bpf request = {static_cast<__u32>(cmd), sizeof(a), reinterpret_cast<__u64>(&a)};
    return ioctl(device, MODBPF_IOC_BPF, &request);
}
long call(int cmd, bpf_attr &a) { return syscall(SYS_bpf, cmd, &a, sizeof(a)); }

/// The 32-bit entry of system calls, which 64-bit programs can use, too: all pointers are below 4 GiB.
long call_compat(int cmd, const bpf_attr &a) {
    constexpr long i386_bpf = 357;
    static void *low = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    memcpy(low, &a, sizeof(a));
    long r = i386_bpf;
    asm volatile("int $0x80" : "+a"(r) : "b"(static_cast<long>(cmd)), "c"(low), "d"(static_cast<long>(sizeof(a))) : "memory");
    return r;
}

bpf_attr map_attr(const char *name, bpf_map_type type = BPF_MAP_TYPE_ARRAY, unsigned value_size = 8) {
    bpf_attr a = {};
    a.map_type = type, a.key_size = 4, a.value_size = value_size, a.max_entries = 1;
    strncpy(a.map_name, name, sizeof(a.map_name) - 1);
    return a;
}
int new_map(const char *name, bpf_map_type type = BPF_MAP_TYPE_ARRAY, unsigned value_size = 8) {
    bpf_attr a = map_attr(name, type, value_size);
    return static_cast<int>(call(BPF_MAP_CREATE, a));
}

/// Is a map of this name among the device's?
bool is_on_device(const char *name) {
    unsigned id = 0;
    bool found = false;
    for (;;) {
        bpf_attr a = {};
        a.start_id = id;
        if (direct(BPF_MAP_GET_NEXT_ID, a) < 0)
            return found;
        id = a.next_id;
        a = {};
        a.map_id = id;
        int fd = static_cast<int>(direct(BPF_MAP_GET_FD_BY_ID, a));
        if (fd < 0)
            continue;
        bpf_map_info info = {};
        a = {};
        a.info.bpf_fd = static_cast<__u32>(fd), a.info.info_len = sizeof(info), a.info.info = reinterpret_cast<__u64>(&info);
        found |= !direct(BPF_OBJ_GET_INFO_BY_FD, a) && !strcmp(info.name, name);
        close(fd);
    }
}

/// Adds 1 to the map's first value at each run.
int counting_program(bpf_prog_type type, int map) {
    bpf_insn code[] = {
        {BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, 0, map}, {}, {BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 1},
        {BPF_STX | BPF_DW | 0xc0 /* atomic */, 1, 2, 0, BPF_ADD}, {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    bpf_attr a = {};
    a.prog_type = type, a.insns = reinterpret_cast<__u64>(code), a.insn_cnt = sizeof(code) / sizeof(*code);
    a.license = reinterpret_cast<__u64>("GPL");
    return static_cast<int>(call(BPF_PROG_LOAD, a));
}
long hits(int map) {
    __u64 value = 0;
    __u32 key = 0;
    bpf_attr a = {};
    a.map_fd = static_cast<__u32>(map), a.key = reinterpret_cast<__u64>(&key), a.value = reinterpret_cast<__u64>(&value);
    return call(BPF_MAP_LOOKUP_ELEM, a) ? -errno : static_cast<long>(value);
}

int open_event(perf_event_attr &a, int pid, int cpu) {
    a.size = sizeof(a);
    return static_cast<int>(syscall(SYS_perf_event_open, &a, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC));
}

void kprobe() {
    int type = -1, map = new_map("probed"), prog = counting_program(BPF_PROG_TYPE_KPROBE, map);
    if (FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "r")) {
        if (fscanf(f, "%d", &type) != 1)
            type = -1;
        fclose(f);
    }
    perf_event_attr a = {};
    a.type = static_cast<__u32>(type), a.kprobe_func = reinterpret_cast<__u64>("__x64_sys_getppid");
    int event = open_event(a, -1, 0);
    ok(prog >= 0, "redirect: a program loads");
    ok(event >= 0 && !ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) && !ioctl(event, PERF_EVENT_IOC_ENABLE, 0),
       "redirect: a kprobe gets it");
    for (int i = 0; i < 100; i++)
        syscall(SYS_getppid);
    close(event);
    syscall(SYS_getppid);
    ok(hits(map) >= 100 && hits(map) < 200, "redirect: it ran at each call: %ld", hits(map));
    close(prog), close(map);
}

perf_event_attr clock_ticks() {
    perf_event_attr a = {};
    a.type = PERF_TYPE_SOFTWARE, a.config = PERF_COUNT_SW_CPU_CLOCK, a.sample_period = 1000000;
    return a;
}
bool burn_until_hit(int map) {
    for (int i = 0; i < 400; i++) {
        for (int turn = 0; turn < 2000000; turn++)
            asm volatile("");
        if (hits(map) > 0)
            return true;
    }
    return false;
}

void sampling() {
    int map = new_map("sampled"), prog = counting_program(BPF_PROG_TYPE_PERF_EVENT, map);
    perf_event_attr a = clock_ticks();
    a.disabled = 1;
    int event = open_event(a, 0, -1);
    __u64 count = 0;
    ok(read(event, &count, sizeof(count)) == sizeof(count), "redirect: a counter is the kernel's at first");
    ok(!ioctl(event, PERF_EVENT_IOC_SET_BPF, prog), "redirect: then a program is put on it");
    ok(fcntl(event, F_GETFD) == FD_CLOEXEC, "redirect: the descriptor keeps its flag");
    ok(!ioctl(event, PERF_EVENT_IOC_ENABLE, 0) && burn_until_hit(map), "redirect: and it samples");
    close(event), close(map);
    map = new_map("linked");
    int linked = counting_program(BPF_PROG_TYPE_PERF_EVENT, map);
    a = clock_ticks();
    event = open_event(a, 0, -1);
    bpf_attr l = {};
    l.link_create.prog_fd = static_cast<__u32>(linked), l.link_create.target_fd = static_cast<__u32>(event);
    l.link_create.attach_type = BPF_PERF_EVENT;
    int link = static_cast<int>(call(BPF_LINK_CREATE, l));
    ok(link >= 0 && burn_until_hit(map), "redirect: a link to a counter that runs samples");
    close(link), close(event), close(linked), close(map);
    int gone = fork();
    if (!gone) {
        pause();
        _exit(0);
    }
    a = clock_ticks();
    event = open_event(a, gone, -1);
    kill(gone, SIGKILL);
    waitpid(gone, nullptr, 0);
    ok(event >= 0 && ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) < 0 && errno == ESRCH,
       "redirect: a counter of a task that is gone does not become the caller's: errno %d", errno);
    close(event), close(prog);
    map = new_map("counters", BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4);
    a = clock_ticks();
    a.sample_period = 0;
    event = open_event(a, -1, 0);
    __u32 key = 0;
    bpf_attr u = {};
    u.map_fd = static_cast<__u32>(map), u.key = reinterpret_cast<__u64>(&key), u.value = reinterpret_cast<__u64>(&event);
    ok(!call(BPF_MAP_UPDATE_ELEM, u), "redirect: a counter becomes an element");
    close(event), close(map);
}

void inside(char *self) {
    int map = new_map("inside");
    ok(map >= 0 && is_on_device("inside"), "redirect: bpf() of a static program goes to the device");
    close(map);
    std::thread([] {
        int fd = new_map("of_a_thread");
        ok(is_on_device("of_a_thread"), "redirect: a thread's, too");
        close(fd);
    }).join();
    long compat = call_compat(BPF_MAP_CREATE, map_attr("compat"));
    ok(compat == -ENOSYS || (compat >= 0 && is_on_device("compat")), "redirect: by the 32-bit entry, too: %ld", compat);
    kprobe();
    sampling();
    bpf_attr bad = {};
    ok(syscall(SYS_bpf, BPF_MAP_CREATE, 16, sizeof(bad)) == -1 && errno == EFAULT, "redirect: a bad pointer gets its errno");
    ok(syscall(SYS_perf_event_open, 16, 0, -1, -1, 0) == -1 && errno == EFAULT, "redirect: an event's, too");
    int child = fork();
    if (!child) {
        execl(self, self, "child", nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ok(!status, "redirect: all of it in what it forks and executes");
}

} // namespace

int main(int argc, char **argv) {
    device = open(MODBPF_DEVICE, O_RDWR | O_CLOEXEC);
    if (argc < 2 || device < 0) {
        printf("Bail out! usage: redirected inside|outside|child, with the module loaded\n");
        return 2;
    }
    if (!strcmp(argv[1], "inside")) {
        inside(argv[0]);
        return tap_exit();
    }
    int map = new_map(argv[1]);
    bool there = is_on_device(argv[1]);
    close(map);
    if (!strcmp(argv[1], "child"))
        return map >= 0 && there ? 0 : 1;
    ok(!there, "redirect: a process outside has the kernel's own");
    ok(setuid(65534) == 0 && ioctl(device, MODBPF_IOC_REDIRECT) == -1 && errno == EPERM, "redirect: only root asks for it");
    return tap_exit();
}
