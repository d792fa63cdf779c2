// SPDX-License-Identifier: GPL-2.0-only
// Runs a program of the suites so that it does not touch this machine: in a private view of the files that decide what it
// tests, and with no way to the kernel's own BPF or to its modules.
//
// usage: sandbox BTF COMMAND...     (BTF: the raw BTF of the kernel that the programs are for)
//        sandbox - COMMAND...       only the suites' test module is kept out: on the device, where the kernel cannot load it
//        KALLSYMS in the environment: a file to show as /proc/kallsyms, that of the kernel that the programs are for
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "sandbox: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void bind_over(const char *source, const char *target) {
    if (mount(source, target, NULL, MS_BIND, NULL))
        fail(target);
}

/// Readers of `target` see `text`.
static void show_instead(const char *target, const char *text) {
    char path[] = "/tmp/modbpf-sandbox.XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || fchmod(fd, 0444) || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
    bind_over(path, target);
    unlink(path);
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

/// Whoever is not root is it in a user namespace of its own.
static void become_root(void) {
    char map[32];
    snprintf(map, sizeof(map), "0 %u 1", geteuid());
    if (unshare(CLONE_NEWUSER))
        fail("a user namespace: run this as root");
    write_file("/proc/self/uid_map", map);
}

static void private_view(const char *btf) {
    if (geteuid() != 0)
        become_root();
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        fail("a private mount namespace");
    bind_over(btf, "/sys/kernel/btf/vmlinux");
    if (getenv("KALLSYMS"))
        bind_over(getenv("KALLSYMS"), "/proc/kallsyms");
    bind_over("/proc/sys", "/proc/sys");
    if (mount("none", "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
        fail("/proc/sys read-only");
    show_instead("/proc/sys/kernel/unprivileged_bpf_disabled", "0\n");
    show_instead("/proc/sys/net/core/bpf_jit_enable", "1\n");
}

struct denial {
    unsigned int nr, error;
};
// Loading the suites' test module seems to work, so that the tests that do not need it run.
static const struct denial modules[] = {{SYS_init_module, 0}, {SYS_finit_module, 0}, {SYS_delete_module, 0}};
static const struct denial machine[] = {{SYS_bpf, ENOSYS}, {SYS_reboot, EPERM}, {SYS_kexec_load, EPERM}, {SYS_kexec_file_load, EPERM}};

static void deny(const struct denial *list, unsigned int n) {
    struct sock_filter code[2 * 8 + 2];
    unsigned int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned int i = 0; i < n; i++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, list[i].nr, 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | list[i].error);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog prog = {.len = (unsigned short)at, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0))
        fail("seccomp");
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: sandbox BTF COMMAND...\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // without it a filter needs root
    deny(modules, sizeof(modules) / sizeof(modules[0]));
    if (strcmp(argv[1], "-")) {
        private_view(argv[1]);
        deny(machine, sizeof(machine) / sizeof(machine[0]));
    }
    execvp(argv[2], argv + 2);
    fail(argv[2]);
}
