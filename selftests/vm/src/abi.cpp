// SPDX-License-Identifier: GPL-2.0-only
// K1: every command with every attribute size from 0 to 256 and attributes of zeros, ones, garbage and bad addresses. Nothing may crash,
// leak an fd or hang; with "compare", the errno must be the one that this kernel's own bpf() gives.
// usage: abi [compare]
#include <dirent.h>
#include <initializer_list>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf_calls.h"
#include "tap.h"

#include "loader/lib/libmodbpf.h"

static int open_fds() {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/// Commands of the spine; others are EINVAL here and may exist in the kernel's own.
static const unsigned commands[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 34, 35};

static bool gives_fd(unsigned cmd) {
    return cmd == 0 || cmd == 5 || cmd == 7 || cmd == 13 || cmd == 14 || cmd == 18 || cmd == 19 || cmd == 30 || cmd == 32;
}
/// Walks of the BTF ids differ by what is loaded: the kernel lists its own and its modules' types.
static bool by_btf_id(unsigned cmd) { return cmd == 19 || cmd == 23; }

int main(int argc, char **argv) {
    bool compare = argc > 1 && !strcmp(argv[1], "compare");
    // Attributes end where readable memory ends: a read past `size` faults.
    char *area = static_cast<char *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(area + 4096, 4096, PROT_NONE);
    static const char *const fills[] = {"zeros", "ones", "garbage", "small numbers"};
    our_bpf(0, area, 0); // the library opens the device at the first call
    int before = open_fds();
    srand(1);
    for (unsigned fill = 0; fill < 4; fill++) {
        long calls = 0, differ = 0, succeeded = 0;
        for (unsigned cmd = 0; cmd < 48; cmd++) {
            bool known = false;
            for (unsigned c : commands)
                known |= c == cmd;
            for (unsigned size = 0; size <= 256; size++) {
                char *attr = area + 4096 - size;
                for (unsigned i = 0; i < size; i++)
                    attr[i] = fill == 0 ? 0 : fill == 1 ? 0xff : fill == 2 ? rand() : i % 4 == 0 ? rand() % 4 : 0;
                char copy[256];
                memcpy(copy, attr, size);
                long ours = our_bpf(cmd, attr, size);
                calls++;
                if (ours >= 0 && gives_fd(cmd))
                    close(ours);
                succeeded += ours >= 0;
                if (!compare || !known || by_btf_id(cmd))
                    continue;
                memcpy(attr, copy, size);
                long theirs = kernel_bpf(cmd, attr, size);
                if (theirs >= 0 && gives_fd(cmd))
                    close(theirs);
                if ((ours < 0 || theirs < 0) && ours != theirs) {
                    if (differ++ < 5)
                        printf("# command %u size %u %s: %ld here, %ld in the kernel\n", cmd, size, fills[fill], ours, theirs);
                }
            }
        }
        ok(differ == 0, "abi: attributes of %s: %ld calls, %ld succeeded, %ld differ from the kernel's errno", fills[fill], calls,
           succeeded, differ);
    }
    long bad = 0;
    for (unsigned cmd = 0; cmd < 48; cmd++)
        for (unsigned long address : {0ul, 1ul, 4095ul, ~0ul, 0xffff888000000000ul, 0x7ffffffff000ul})
            for (unsigned size : {1u, 16u, 128u, 4096u, 4097u, ~0u}) {
                long r = our_bpf(cmd, reinterpret_cast<void *>(address), size);
                bad += r >= 0 || (r != -EFAULT && r != -E2BIG && r != -EINVAL);
            }
    ok(bad == 0, "abi: bad attribute addresses give EFAULT, E2BIG or EINVAL (%ld do not)", bad);
    ok(open_fds() == before, "abi: no file descriptor is left over");
    return tap_exit();
}
