// SPDX-License-Identifier: GPL-2.0-only
// K12: what each set of capabilities may do, on a device that was opened as root and handed down; a user namespace's capabilities count
// for nothing. K13: without CAP_PERFMON no kernel address in dumps, infos and fdinfo.
// usage: caps
#include <bpf/bpf.h>
#include <fcntl.h>
#include <initializer_list>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

static long bpf_call(unsigned cmd, bpf_attr *a, unsigned size) {
    long r = syscall(__NR_bpf, cmd, a, size);
    return r < 0 ? -errno : r;
}

static bool keep_caps(uint64_t caps) {
    __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct d[2] = {};
    for (int i = 0; i < 2; i++)
        d[i].effective = d[i].permitted = static_cast<unsigned>(caps >> 32 * i);
    return syscall(SYS_capset, &h, d) == 0;
}

static const bpf_insn ret0[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}, {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};

static long load(unsigned type) {
    bpf_attr a = {};
    a.prog_type = type;
    a.insns = uintptr_t(ret0), a.insn_cnt = 2, a.license = uintptr_t("GPL");
    return bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
}
static long make_map() {
    bpf_attr a = {};
    a.map_type = BPF_MAP_TYPE_ARRAY, a.key_size = a.value_size = 4, a.max_entries = 1;
    return bpf_call(BPF_MAP_CREATE, &a, sizeof(a));
}
static unsigned kprobe_type;
static long open_kprobe() {
    perf_event_attr p = {};
    p.type = kprobe_type;
    p.size = sizeof(p);
    p.config1 = uintptr_t("__x64_sys_getpgid");
    long r = syscall(__NR_perf_event_open, &p, -1, 0, -1, 0);
    return r < 0 ? -errno : r;
}
static long with_id(unsigned cmd) {
    bpf_attr a = {};
    if (cmd == BPF_PROG_GET_FD_BY_ID || cmd == BPF_MAP_GET_FD_BY_ID)
        a.prog_id = 0x7ffffff0;
    return bpf_call(cmd, &a, 12);
}

struct rights {
    const char *name;
    uint64_t caps;
    bool bpf, perfmon, net, sys;
};
static constexpr uint64_t cap(int n) { return 1ull << n; }
static const rights all_rights[] = {
    {"none", 0, false, false, false, false},
    {"everything but BPF, PERFMON, SYS_ADMIN, NET_ADMIN", ~(cap(CAP_BPF) | cap(CAP_PERFMON) | cap(CAP_SYS_ADMIN) | cap(CAP_NET_ADMIN)) & ((1ull << 40) - 1),
     false, false, false, false},
    {"PERFMON", cap(CAP_PERFMON), false, true, false, false},
    {"BPF", cap(CAP_BPF), true, false, false, false},
    {"BPF and PERFMON", cap(CAP_BPF) | cap(CAP_PERFMON), true, true, false, false},
    {"BPF and NET_ADMIN", cap(CAP_BPF) | cap(CAP_NET_ADMIN), true, false, true, false},
    {"BPF, PERFMON and NET_ADMIN", cap(CAP_BPF) | cap(CAP_PERFMON) | cap(CAP_NET_ADMIN), true, true, true, false},
    {"SYS_ADMIN", cap(CAP_SYS_ADMIN), true, true, true, true},
};

static int map_fd, prog_fd, link_fd, event_fd;

static void try_all(const char *who, bool may_bpf, bool may_perfmon, bool may_net, bool may_sys) {
    auto gives = [&](const char *what, long got, bool allowed, long refusal) {
        ok(allowed ? got >= 0 || got == -ENOENT : got == refusal, "caps: %s: %s gives %ld", who, what, got);
        if (got >= 0)
            close(static_cast<int>(got));
    };
    gives("map", make_map(), may_bpf, -EPERM);
    // Without CAP_PERFMON programs are loaded with guards, but none that trace.
    gives("socket filter", load(BPF_PROG_TYPE_SOCKET_FILTER), may_bpf, -EPERM);
    gives("kprobe program", load(BPF_PROG_TYPE_KPROBE), may_bpf && may_perfmon, -EPERM);
    gives("tracepoint program", load(BPF_PROG_TYPE_TRACEPOINT), may_bpf && may_perfmon, -EPERM);
    gives("xdp program", load(BPF_PROG_TYPE_XDP), may_bpf && may_net, -EPERM);
    gives("sched_cls program", load(BPF_PROG_TYPE_SCHED_CLS), may_bpf && may_net, -EPERM);
    gives("kprobe event", open_kprobe(), may_perfmon, -EACCES);
    for (unsigned cmd : {BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_LINK_GET_NEXT_ID, BPF_BTF_GET_NEXT_ID})
        gives("ids", with_id(cmd), may_sys, -EPERM);
    bpf_attr a = {};
    gives("statistics", bpf_call(BPF_ENABLE_STATS, &a, 4), may_sys, -EPERM);
    unsigned key = 0, value = 0;
    ok(bpf_map_lookup_elem(map_fd, &key, &value) == 0 && value == 5, "caps: %s: a map that was given works", who);
}

template <class F> static void in_child(F f) {
    if (pid_t child = fork()) {
        int state = 0;
        waitpid(child, &state, 0);
        if (!WIFEXITED(state) || WEXITSTATUS(state))
            tap_failed++;
        return;
    }
    tap_failed = 0;
    f();
    _exit(tap_failed ? 1 : 0);
}

/// Eight bytes anywhere that look like an address in the kernel's half, small negative numbers apart.
static bool has_address(const void *data, size_t size, const char *what) {
    auto *p = static_cast<const unsigned char *>(data);
    for (size_t i = 0; i + 8 <= size; i++) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        if (v >= 0xffff800000000000 && v < 0xffffffffffff0000) {
            printf("# %s: %#lx at %zu\n", what, v, i);
            return true;
        }
    }
    return false;
}
/// Ten or more hexadecimal digits in a row that begin with ffff.
static bool text_has_address(const char *s, const char *what) {
    for (const char *p = s; (p = strstr(p, "ffff")); p++)
        if (strspn(p, "0123456789abcdef") >= 12) {
            printf("# %s: %.40s\n", what, p);
            return true;
        }
    return false;
}

static char big[1 << 16] __attribute__((aligned(8)));

static bool info_leaks(int fd, const char *what, bool arrays) {
    union {
        bpf_prog_info prog;
        bpf_map_info map;
        bpf_link_info link;
        char bytes[512];
    } i = {};
    memset(big, 0, sizeof(big));
    if (arrays) {
        i.prog.jited_prog_insns = uintptr_t(big), i.prog.jited_prog_len = 8192;
        i.prog.xlated_prog_insns = uintptr_t(big + 8192), i.prog.xlated_prog_len = 8192;
        i.prog.jited_ksyms = uintptr_t(big + 16384), i.prog.nr_jited_ksyms = 64;
        i.prog.jited_func_lens = uintptr_t(big + 24576), i.prog.nr_jited_func_lens = 64;
        i.prog.map_ids = uintptr_t(big + 32768), i.prog.nr_map_ids = 64;
        i.prog.prog_tags = uintptr_t(big + 40960), i.prog.nr_prog_tags = 8;
    }
    unsigned len = sizeof(bpf_prog_info);
    bool answered = bpf_obj_get_info_by_fd(fd, &i, &len) == 0;
    ok(answered, "caps: %s info answers: %d", what, answered ? 0 : errno);
    // Tags are digests: any bytes.
    return has_address(&i, len, what) || has_address(big, 40960, what);
}

static bool fdinfo_leaks(int fd, const char *what) {
    char path[64], text[4096] = {};
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int f = open(path, O_RDONLY);
    bool readable = read(f, text, sizeof(text) - 1) > 0;
    close(f);
    return !readable || text_has_address(text, what);
}

static void look_for_addresses() {
    ok(!info_leaks(prog_fd, "program", true), "caps: no address in a program's info");
    ok(!info_leaks(map_fd, "map", false), "caps: no address in a map's info");
    ok(!info_leaks(link_fd, "link", false), "caps: no address in a link's info");
    for (int fd : {prog_fd, map_fd, link_fd, event_fd})
        ok(!fdinfo_leaks(fd, "fdinfo"), "caps: no address in fdinfo");
}

static bool set_paranoid(const char *level) {
    FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "w");
    bool set = f && fputs(level, f) >= 0;
    return f && fclose(f) == 0 && set;
}

/// A task without capabilities and the buffer of one CPU: kernel.perf_event_paranoid says what it gets; never a probe.
static void try_events(const char *level, bool opens, bool maps) {
    perf_event_attr p = {};
    p.type = PERF_TYPE_SOFTWARE, p.config = PERF_COUNT_SW_BPF_OUTPUT, p.size = sizeof(p), p.sample_type = PERF_SAMPLE_RAW;
    long fd = syscall(__NR_perf_event_open, &p, -1, 0, -1, 0);
    ok(opens ? fd >= 0 : fd < 0 && errno == EACCES, "caps: a buffer at perf_event_paranoid %s: %ld", level, fd);
    size_t size = 2 * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    if (fd >= 0)
        ok((mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0) != MAP_FAILED) == maps, "caps: and mapped: %d", maps);
    ok(open_kprobe() == -EACCES, "caps: no probe at perf_event_paranoid %s", level);
}

int main() {
    FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "r");
    if (!ok(f && fscanf(f, "%u", &kprobe_type) == 1, "caps: kprobe PMU"))
        return 1;
    fclose(f);
    map_fd = static_cast<int>(make_map());
    prog_fd = static_cast<int>(load(BPF_PROG_TYPE_KPROBE));
    event_fd = static_cast<int>(open_kprobe());
    link_fd = bpf_link_create(prog_fd, event_fd, BPF_PERF_EVENT, nullptr);
    unsigned key = 0, value = 5;
    if (!ok(map_fd >= 0 && prog_fd >= 0 && event_fd >= 0 && link_fd >= 0 && bpf_map_update_elem(map_fd, &key, &value, 0) == 0,
            "caps: root makes one of each"))
        return 1;
    char li[64] = {}; // struct bpf_link_info of newer headers: perf_event.kprobe.addr stands at 40
    unsigned len = sizeof(li);
    ok(bpf_obj_get_info_by_fd(link_fd, li, &len) == 0 && has_address(li + 40, 8, "as it should"), "caps: root sees the probe's address");
    for (const rights &r : all_rights)
        in_child([&] {
            ok(keep_caps(r.caps), "caps: %s", r.name);
            try_all(r.name, r.bpf, r.perfmon, r.net, r.sys);
        });
    in_child([] {
        if (unshare(CLONE_NEWUSER)) {
            ok(errno == EINVAL || errno == EPERM || errno == ENOSPC, "caps: # SKIP no user namespaces here");
            return;
        }
        try_all("root of a user namespace", false, false, false, false);
    });
    in_child([] {
        keep_caps(cap(CAP_BPF));
        look_for_addresses();
    });
    const struct {
        const char *level;
        bool opens, maps;
    } levels[] = {{"-1", true, true}, {"0", true, false}, {"1", false, false}, {"2", false, false}};
    for (auto &l : levels) {
        ok(set_paranoid(l.level), "caps: perf_event_paranoid %s", l.level);
        in_child([&] {
            keep_caps(0);
            try_events(l.level, l.opens, l.maps);
        });
    }
    return tap_exit();
}
