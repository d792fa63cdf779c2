// SPDX-License-Identifier: GPL-2.0-only
// modbpf exec: start a command with libmodbpf.so preloaded, or with its system calls redirected by the module.
#include "loader/cli/cli.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "uapi/modbpf.h"

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf exec [--backend=device|process|kernel | --redirect] -- COMMAND [ARGUMENTS]\n\n"
    "Runs COMMAND so that its bpf() calls, and its perf_event_open() calls for probes and tracepoints, are answered by\n"
    "modbpf. Works for programs that reach bpf() through libc (bpftool, bpftrace, BCC and libbpf tools); statically\n"
    "linked and set-user-id programs need --redirect, or run unchanged, on the kernel's own BPF. What the command pins in /sys/fs/bpf is seen\n"
    "by other commands that are run like this, and stays until it is removed; the rest of the machine does not see it.\n\n"
    "  --backend=device   /dev/modbpf, the loaded module (default)\n"
    "  --backend=process  the core inside the process: verifies and test-runs, attaches nothing; needs no root\n"
    "  --backend=kernel   the kernel's own BPF, for comparison\n"
    "  --redirect         the module redirects the calls of COMMAND and of all that it starts, whatever kind of programs\n"
    "                     they are; root, and a module loaded with redirect=1\n";

/// libmodbpf.so beside the binary, or where `make install` puts it. Empty when it is nowhere.
std::string find_library() {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return "";
    std::string dir(self, static_cast<size_t>(n));
    dir.resize(dir.rfind('/'));
    for (const char *place : {"/libmodbpf.so", "/../lib/modbpf/libmodbpf.so", "/../lib/libmodbpf.so"}) {
        char whole[PATH_MAX];
        if (realpath((dir + place).c_str(), whole))
            return whole;
    }
    return "";
}

/// A mount namespace of the command's own, in which /sys/fs/bpf is where modbpf's objects are pinned: the same in all such commands.
/// Without the rights for it, or without the module, the command runs all the same, and says itself what it misses.
void mount_pins() {
    const char *backend = getenv("MODBPF_BACKEND");
    if ((backend && strcmp(backend, "device")) || access(MODBPF_DEVICE, F_OK) || unshare(CLONE_NEWNS))
        return;
    bool apart = !mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr);
    while (apart && !umount2("/sys/fs/bpf", MNT_DETACH)) // tools that walk all mounts would meet the kernel's own there
        ;
    if (!apart ||
        mount("modbpf", "/sys/fs/bpf", MODBPF_FS_TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC, "shared,mode=700"))
        complain("nothing can be pinned: " MODBPF_FS_TYPE " was not mounted at /sys/fs/bpf: %s; see dmesg", strerror(errno));
}

/// The system calls of this process, and so of the command, are redirected from now on.
bool redirect() {
    int fd = open(MODBPF_DEVICE, O_RDWR | O_CLOEXEC);
    bool done = fd >= 0 && !ioctl(fd, MODBPF_IOC_REDIRECT);
    int e = errno;
    if (fd >= 0)
        close(fd);
    if (done)
        return true;
    if (fd < 0)
        complain("cannot open " MODBPF_DEVICE ": %s; is the module loaded (insmod modbpf.ko redirect=1)?", strerror(e));
    else if (e == EPERM)
        complain("only root's (CAP_SYS_ADMIN) system calls are redirected; run this as root");
    else
        complain("the module does not redirect system calls: %s; load it with: insmod modbpf.ko redirect=1", strerror(e));
    return false;
}

/// Puts libmodbpf.so, which is not empty, before what is preloaded already.
void preload(std::string lib) {
    const char *before = getenv("LD_PRELOAD");
    if (before && *before && std::string_view(before).find(lib) == std::string_view::npos)
        lib += std::string(":") + before;
    setenv("LD_PRELOAD", lib.c_str(), 1);
}

} // namespace

int exec_main(int argc, char **argv) {
    static const option options[] = {{"backend", required_argument, nullptr, 'b'}, {"redirect", no_argument, nullptr, 'r'},
                                     {"help", no_argument, nullptr, 'h'}, {}};
    bool redirected = false;
    int c;
    while ((c = getopt_long(argc, argv, "+b:h", options, nullptr)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        }
        redirected |= c == 'r';
        if (c == 'r')
            continue;
        if (c != 'b' || !use_backend(optarg))
            return 2;
        setenv("MODBPF_BACKEND", optarg, 1);
    }
    const char *backend = getenv("MODBPF_BACKEND");
    if (redirected && backend && *backend && strcmp(backend, "device")) {
        complain("--redirect goes to the device, not to the %s; leave out --backend and MODBPF_BACKEND", backend);
        return 2;
    }
    if (optind >= argc) {
        complain("no command given; for example: modbpf exec -- bpftool prog list");
        return 2;
    }
    if (redirected) {
        if (!redirect())
            return 1;
    } else {
        std::string lib = find_library();
        if (lib.empty()) {
            complain("libmodbpf.so was not found beside this program or in ../lib/modbpf; run `make` or `make install`");
            return 2;
        }
        if (lib.find_first_of(" :") != std::string::npos) {
            complain("the path %s holds a space or a colon, which LD_PRELOAD cannot carry; move modbpf elsewhere", lib.c_str());
            return 2;
        }
        preload(lib);
    }
    mount_pins();
    execvp(argv[optind], argv + optind);
    int e = errno;
    complain("cannot run %s: %s", argv[optind], strerror(e));
    return e == ENOENT ? 127 : 126;
}

} // namespace cli
