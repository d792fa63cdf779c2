// SPDX-License-Identifier: GPL-2.0-only
// For tests: the machine's own bpf() as a peer. Only loads and test runs; nothing is attached. Where it is not
// permitted, available()
// is false and tests skip. Not part of the module.
#pragma once

#include "base/bpf.h"
#include "base/span.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <string>

namespace modbpf::testing {

class kernel_peer {
public:
    struct answer {
        int fd_or_errno = -1;  ///< negative: the errno of the load
        u32 retval = 0;
        std::string log;
    };

    static bool available() {
        const bpf_insn insns[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
        static const bool yes = run({insns, 2}, 0).fd_or_errno >= 0;
        return yes;
    }
    /// Loads as a socket filter, runs it once over a 64-byte packet, unloads. log_level 0: no log.
    static answer run(span<const bpf_insn> insns, u32 log_level) {
        answer a;
        std::string log(log_level > 1 ? 1 << 20 : log_level ? 1 << 14 : 0, '\0');
        struct {
            u32 prog_type, insn_cnt;
            u64 insns, license;
            u32 log_level, log_size;
            u64 log_buf;
        } load{BPF_PROG_TYPE_SOCKET_FILTER,
               static_cast<u32>(insns.size()),
               addr_of(insns.data()),
               addr_of("GPL"),
               log_level,
               static_cast<u32>(log.size()),
               log_level ? addr_of(log.data()) : 0};
        a.fd_or_errno = static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)));
        if (a.fd_or_errno < 0)
            a.fd_or_errno = -errno;
        a.log = log.c_str();
        if (a.fd_or_errno < 0)
            return a;
        u8 packet[64] = {};
        struct {
            u32 prog_fd, retval, size_in, size_out;
            u64 in, out;
            u32 repeat, duration;
        } test{static_cast<u32>(a.fd_or_errno), 0, sizeof(packet), 0, addr_of(packet), 0, 1, 0};
        if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &test, sizeof(test)) != 0)
            a.fd_or_errno = -errno;
        else
            a.retval = test.retval;
        close(static_cast<int>(test.prog_fd));
        return a;
    }
};

}  // namespace modbpf::testing
