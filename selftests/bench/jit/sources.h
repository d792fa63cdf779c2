// SPDX-License-Identifier: GPL-2.0-only
// Where the native code comes from: one object file, translated by the machine's own kernel and by modbpf in this process.
#pragma once

#include "image.h"

namespace modbpf::bench {

struct subject {
    std::string name;
    native_code kernel, ours;
    int kernel_fd = -1; ///< the program in the kernel, for test runs
};

/// Loads the one program of an object file through bpf(), verifies and translates the same instructions here. False, with a message: it
/// cannot be had from one of the two.
bool load(const char *path, subject &out);

/// Verifies and translates here, for a machine that wants a return thunk or not. `insns` are struct bpf_insn.
bool translate(const void *insns, size_t count, bool return_thunk, native_code &out);

/// Nanoseconds that a run takes in the kernel itself, by BPF_PROG_TEST_RUN: the mean of `repeat` runs in one call. Below 0: failed.
double in_place(int fd, const std::vector<u8> &packet, u32 repeat);

} // namespace modbpf::bench
