// SPDX-License-Identifier: GPL-2.0-only
// test_run: PROG_TEST_RUN: runs a program on data and context that the caller brings.
//
// What works: SOCKET_FILTER, SCHED_CLS, SCHED_ACT, CGROUP_SKB, LWT_IN, LWT_OUT, LWT_XMIT, XDP (a packet, repeated and timed),
// RAW_TRACEPOINT (argument words, once), SYSCALL (a context, once, where it may sleep).
// Linux 6.12 has no test run for KPROBE and TRACEPOINT: ENOTSUPP. Live XDP frames are absent: EOPNOTSUPP. Network
// devices other than the loopback device (interface 1) are not looked up: ENODEV.
//
// Addresses in the request are user addresses. Task context. Reference: net/bpf/test_run.c's behaviour,
// include/uapi/linux/bpf.h.
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace modbpf {

struct program;

/// The `test` member of union bpf_attr, as it came in. The command layer has checked the unused tail, and that ctx
/// sizes and pointers are both given or both absent (EINVAL).
struct test_run_request {
    u64 data_in;
    u64 data_out;
    u64 ctx_in;
    u64 ctx_out;
    u32 data_size_in;
    u32 data_size_out;  ///< capacity of data_out; 0: no limit (old callers)
    u32 ctx_size_in;
    u32 ctx_size_out;
    u32 duration;  ///< RAW_TRACEPOINT refuses a non-zero one
    u32 repeat;
    u32 flags;  ///< BPF_F_TEST_*
    u32 cpu;
    u32 batch_size;
};

/// What is to be written back into the user's attr: whatever has its flag set, also when the run gives ENOSPC.
struct test_run_result {
    bool has_retval;
    bool has_duration;
    bool has_data_size;
    bool has_ctx_size;
    u32 retval;
    u32 duration;       ///< mean of one run in ns
    u32 data_size_out;  ///< bytes of the packet after the run, whether or not they fit
    u32 ctx_size_out;
};

/// Runs p. EINVAL, E2BIG, EFAULT, ENOMEM, ENODEV, ENXIO, ENOSPC (outputs cut), EBADMSG (checksum), EINTR (signal
/// between repeats), ENOTSUPP, EOPNOTSUPP.
status prog_test_run(program *p, const test_run_request &req, test_run_result &res);

}  // namespace modbpf
