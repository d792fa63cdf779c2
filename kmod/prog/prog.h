// SPDX-License-Identifier: GPL-2.0-only
// program: the object behind a "bpf-prog" fd, and how it is run.
//
// Life: prog_load() verifies, translates, seals and registers; fds, links, perf events and prog arrays hold references; with the
// last one the program leaves the id registry, waits a grace period and frees image, maps and BTF in task context.
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "btf/btf.h"
#include "helpers/helper.h"
#include "jit/jit.h"
#include "maps/async.h"
#include "maps/map.h"
#include "prog/state.h"
#include "verifier/verifier.h"

namespace modbpf {

struct prog_stats {
    u64 runs;
    u64 ns;
    u64 misses; ///< runs skipped by the recursion guard
    u32 active; ///< where the guard is the program's own: it is running on this CPU
    port_kernel_counts kernel; ///< of its events (port_tracepoint_attach)
};

struct prog_tag {
    u8 bytes[tag_size];
};

struct program_hooks;

struct program : runnable, refcounted<program> {
    counted alive;
    program();
    ~program();

    u32 id = 0;
    const prog_type_info *type = nullptr;
    u32 expected_attach_type = 0;
    bool gpl_compatible = false;
    bool sleepable = false;
    bool xdp_has_frags = false;
    char name[obj_name_len]{};
    prog_tag tag{};           ///< first 8 bytes of SHA-1 over the instructions as loaded (map fds zeroed)
    u64 load_time_ns = 0;     ///< CLOCK_BOOTTIME
    u32 created_by_uid = 0;
    own<verified_program> verified;
    mutex maps_lock{"used_maps"}; ///< verified->maps grows by PROG_BIND_MAP
    jit_image image;
    bool blinded = false;     ///< its images show no constants: decided once, when it is loaded
    vec<prog_tag> func_tags;  ///< one a subprogram; empty when there is only one
    ref<btf> types;
    ref<btf> attach_types;    ///< of the kernel or a module: what attach_btf_id counts in
    u32 attach_btf_id = 0;
    mutex target_lock{"prog_target"}; ///< attach_prog; task context, taken before that of trampolines
    ref<program> attach_prog; ///< the program that it is for, until it was attached once. Under target_lock once it is registered
    u32 target_type = 0, target_attach_type = 0; ///< of that program, for good
    u64 hook_types = 0;       ///< serial of the types that describe the function it is for; 0: it is for none
    bool traces_tracer = false; ///< that is of TRACING itself
    mutex hooks_lock{"prog_hooks"}; ///< making hooks; task context
    own<program_hooks> hooks;    ///< once other programs trace or replace its functions (prog/hooks.h)
    program_hooks *published_hooks = nullptr; ///< the same, for runs. Atomic
    u64 uses = 0;             ///< PROG_ARRAYs that it is in; extensions of its functions in the upper half. Atomic
    prog_stats *stats = nullptr; ///< per CPU
    port_program at_event{};     ///< what run_event needs
    port_rcu_head rcu{};
    reap_item reap{};

    /// False: loaded for its verdict only; it is never attached, run, or entered by a tail call.
    bool runs() const { return entry; }
    /// The type whose rules it follows: an extension's is that of the program that it extends.
    u32 ruling_type() const { return type->type == BPF_PROG_TYPE_EXT ? target_type : type->type; }
    ref<program> current_target() {
        mutex_guard g(target_lock);
        return attach_prog;
    }
    static void dispose(program *p);
};

/// Runs `p` once: preemption off, inside RCU, recursion guard per program for raw tracepoints and trampolines and per CPU
/// for the perf-style events (kprobe, tracepoint), as Linux: a nested run is skipped and counted as missed.
/// `ctx` is the run-time context. -> r0, or 0 when skipped.
#ifdef MODBPF_KERNEL
u64 run_event_measured(program *p, const void *ctx, run_ctx &run);
/// Are no statistics on, so that port_run does all that a run needs?
inline bool runs_unmeasured() { return __builtin_expect(__atomic_load_n(&core->stats_users, __ATOMIC_RELAXED) == 0, 1); }
inline u64 run_event(program *p, const void *ctx, run_ctx &run) {
    return runs_unmeasured() ? port_run(&p->at_event, ctx, reinterpret_cast<void **>(&run)) : run_event_measured(p, ctx, run);
}
#else
u64 run_event(program *p, const void *ctx, run_ctx &run);
#endif
/// The same for an event that cannot come within another run: no run is left out, and none within it is.
u64 run_unguarded(program *p, const void *ctx, run_ctx &run);
/// The same without the guard: test runs. Preemption off, inside RCU. Counts and times the run while statistics are on.
u64 run_counted(program *p, const void *ctx, run_ctx &run);
/// A sleepable program: task context, outside preemption and RCU sections, on one CPU. -> r0
u64 run_sleepable(program *p, const void *ctx);
/// The same with run_event's guard for a program of its own: it may be called from within itself.
u64 run_sleepable_event(program *p, const void *ctx);
#ifndef MODBPF_KERNEL
extern bool run_by_interpreter; ///< in a process: not the images run but the interpreter, to compare the two
extern bool verify_only; ///< in a process: load what is safe even if it cannot run here; its runs are refused
extern const verify_observer *load_observer; ///< in a process: watches the verifier of each PROG_LOAD
#else
inline constexpr bool verify_only = false;
#endif
/// Once it has its image: p.at_event.
void set_up_events(program &p);
/// A run that was skipped before it came to run_event.
void count_missed(program *p);
prog_stats total_stats(const program *p);

extern const port_file_ops prog_file_ops; ///< "bpf-prog"
/// A new reference. EBADF, EINVAL.
result<ref<program>> prog_from_fd(int fd);
/// A new fd; the reference goes to the fd. -errno otherwise, with the reference dropped.
long prog_new_fd(ref<program> p);

/// PROG_LOAD's part of union bpf_attr, as Linux 6.12 lays it out.
struct prog_load_attr {
    u32 prog_type, insn_cnt;
    u64 insns, license;
    u32 log_level, log_size;
    u64 log_buf;
    u32 kern_version, prog_flags;
    char prog_name[obj_name_len];
    u32 prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size;
    u64 func_info;
    u32 func_info_cnt, line_info_rec_size;
    u64 line_info;
    u32 line_info_cnt, attach_btf_id, attach_prog_fd, core_relo_cnt;
    u64 fd_array, core_relos;
    u32 core_relo_rec_size, log_true_size;
    s32 prog_token_fd;
};
/// Loads; `uattr` and `size` say where the log's true size is written back. Errors as Linux 6.12's PROG_LOAD.
result<ref<program>> prog_load(const prog_load_attr &a, u64 uattr, u32 size);
/// May p be in or call through PROG_ARRAY m? The first one that asks becomes the owner's kind. Task context.
bool prog_array_accepts(map *m, const program *p);
extern const prog_array_hooks prog_array_access;
extern const async_hooks async_access; ///< async.cpp

/// OBJ_GET_INFO_BY_FD on a program: fills the user's bpf_prog_info (uinfo, *len bytes; *len is updated).
long prog_info_to_user(program *p, u64 uinfo, u32 *len);
/// True when the caller may see kernel addresses.
bool may_see_addresses();
/// Bytes behind the first `known` of a user structure must be zero: E2BIG; size above a page: E2BIG; EFAULT.
status check_user_tail(u64 uaddr, u32 known, u32 actual);
/// Name of an object: letters, digits, '_' and '.', NUL inside. EINVAL.
status copy_name(char (&dst)[obj_name_len], const char (&src)[obj_name_len]);
prog_tag tag_of(span<const bpf_insn> insns);

}  // namespace modbpf
