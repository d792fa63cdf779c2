// SPDX-License-Identifier: GPL-2.0-only
// state: what the module holds from modbpf_core_init() to modbpf_core_exit(): registries, the reaper, run guards.
#pragma once

#include "btf/btf.h"
#include "maps/map.h"
#include "prog/id_table.h"
#include "prog/reaper.h"

namespace modbpf {

struct program;
struct bpf_link;

struct state {
    id_table<map> maps{"map_ids"};
    id_table<program> progs{"prog_ids"};
    id_table<bpf_link> links{"link_ids"};
    id_table<btf> btfs{"btf_ids"};
    reaper dead;
    reaper dead_uprobes; ///< apart: taking one out waits for programs that may sleep for as long as a user's memory lets them
    mutex kernel_btf_lock{"kernel_btf"}; ///< giving ids to the kernel's types and its modules'; task context
    void *active = nullptr;         ///< per-CPU u32: a kprobe or tracepoint program is running on this CPU
    mutex event_lock{"perf_events"}; ///< programs of perf events: set, cleared, listed
    u32 live = 0;                   ///< programs, links and perf events, until their memory is freed. Atomic
    u32 stats_users = 0;            ///< ENABLE_STATS fds; run times are measured while > 0. Atomic

    ~state() { port_percpu_free(active); }
};

/// Member of the objects that shutdown waits for.
struct counted {
    counted();
    ~counted();
    counted(const counted &) = delete;
};

/// Set from init to exit; never null while a command or a program can run.
extern constinit state *core;

}  // namespace modbpf
