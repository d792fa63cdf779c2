// SPDX-License-Identifier: GPL-2.0-only
// program: the object behind a "bpf-prog" fd, and how it is run.
//
// Life: load() verifies, translates, seals and registers; fds, links and prog arrays hold references; with the last one
// the program leaves the id registry, waits a grace period and frees image, maps and BTF in task context.
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "btf/btf.h"
#include "helpers/helper.h"
#include "jit/jit.h"
#include "maps/map.h"
#include "verifier/verifier.h"

namespace modbpf {

struct prog_stats {
    u64 runs;
    u64 ns;
    u64 misses; ///< runs skipped by the recursion guard
    u32 active; ///< raw tracepoints: this program is running on this CPU
};

struct program : runnable, refcounted<program> {
    u32 id = 0;
    const prog_type_info *type = nullptr;
    u32 expected_attach_type = 0;
    bool gpl_compatible = false;
    char name[obj_name_len]{};
    u8 tag[tag_size]{};       ///< first 8 bytes of SHA-1 over the instructions as loaded (map fds zeroed)
    u64 load_time_ns = 0;     ///< CLOCK_BOOTTIME
    u32 created_by_uid = 0;
    own<verified_program> verified;
    jit_image image;
    ref<btf> types;
    prog_stats *stats = nullptr; ///< per CPU
    port_rcu_head rcu{};
    port_work free_work{};

    static void dispose(program *p);
};

/// Runs `p` once: preemption off, inside RCU, recursion guard per program for raw tracepoints and per CPU for the
/// perf-style events (kprobe, tracepoint), as Linux: a nested run is skipped and counted as missed.
/// `ctx` is the run-time context. -> r0, or 0 when skipped.
u32 run_event(program *p, const void *ctx, run_ctx &run);

}  // namespace modbpf
