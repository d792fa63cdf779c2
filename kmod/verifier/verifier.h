// SPDX-License-Identifier: GPL-2.0-only
// The verifier's outside: one call that takes what PROG_LOAD brought and yields code that is safe to run, or a refusal.
//
// Behaviour, errno and log text are those of Linux 6.12. Task context, killable, bounded: at most 1M instructions are
// explored, memory is bounded by the states that are kept. No recursion on the kernel stack.
#pragma once

#include "base/bpf.h"
#include "base/memory.h"
#include "base/vec.h"
#include "btf/prog_info.h"
#include "helpers/helper.h"
#include "isa/code.h"
#include "maps/map.h"
#include "maps/object.h"
#include "verifier/context.h"
#include "base/log.h"

namespace modbpf {

class btf;
struct verifier_state;
struct verify_request;

/// Where paths begin and end. The paths that wait are a stack, and `place` is an index into it.
enum class path_event : u8 {
    entry,   ///< exploration of a function begins at `insn`
    forked,  ///< another path, from `insn` on, waits at `place`
    resumed, ///< the path at `place` is taken from the stack and goes on at `insn`
    pruned,  ///< the current path meets a state that was explored: it ends there
    ended,   ///< the current path is done
};

/// For tests (LADDER V3, V6) and for `modbpf verify --explain`: what exploration saw, and where the instructions went.
struct verify_observer {
    void *priv;
    /// Each state at each instruction, before the instruction and before pruning. False: stop exploring (EAGAIN).
    bool (*state)(void *priv, u32 insn, const verifier_state &st);
    /// Of each loaded instruction: its index in the image, and whether it is there.
    void (*moved)(void *priv, span<const u32> position, span<const u8> kept);
    /// Verification begins; `req` lives until it ends. May be null.
    void (*begun)(void *priv, const verify_request &req) = nullptr;
    /// May be null.
    void (*path)(void *priv, path_event event, u32 insn, u32 place) = nullptr;
};

/// What is known of each function of a verified program, beside its func_info.
enum : u8 { func_unreliable = 1, func_changes_packet = 2, func_exception_cb = 4, func_uncompared = 8 };
inline constexpr u8 func_untyped = func_unreliable | func_uncompared; ///< either: who traces it may not rely on its types

struct verified_program;

/// Another program that a program is to be attached to.
struct target_program {
    u32 type;
    u32 ruling_type;              ///< of an extension: that of the program that it extends
    u32 attach_type;
    const btf *types;             ///< or null
    span<const func_info> funcs;
    span<const u8> func_flags;    ///< of each of them
    bool traces_tracer;           ///< is for a program of TRACING, and one itself
    bool may_sleep;               ///< it, or a callback of its (code::sleepable)
    const verified_program *made; ///< what it was verified to do
};
/// PROG_LOAD's attach_btf_id, attach_btf_obj_fd and attach_prog_fd.
struct attach_request {
    u32 btf_id = 0;
    const btf *types = nullptr;            ///< the kernel's or a module's; null with `prog`
    const target_program *prog = nullptr;
    bool extension = false; ///< replaces a function of `prog`: verify_request::type and attach type are then the target's
};

struct verify_request {
    span<const bpf_insn> insns;
    const prog_type_info *type;
    u32 expected_attach_type;
    u32 prog_flags;       ///< BPF_F_* of PROG_LOAD
    bool gpl_compatible;
    bool perfmon;         ///< CAP_PERFMON: pointers may leak, uninitialised stack be read; helpers that need it; no guards
    bool bpf = true;      ///< CAP_BPF: loops, subprograms, helpers that need it
    bool may_reboot;      ///< CAP_SYS_BOOT: destructive kernel functions
    const void *program = nullptr; ///< the object that the code becomes: calls that hold it are told its address
    const btf *types;     ///< or null
    span<const func_info> funcs;   ///< from func_info_parse, or empty; verify() calls func_info_check (or _absent_check)
    span<const line_info> lines;   ///< from line_info_parse, or empty; verify() calls line_info_check
    attach_request attach{};
    u64 fd_array;         ///< user address for BPF_PSEUDO_MAP_IDX*, or 0
    /// The map behind an fd, with a reference; EBADF, EINVAL as the fd look-up gives them.
    result<ref<map>> (*map_from_fd)(int fd);
    /// The types behind an fd, with a reference; null: there are no fds of types.
    result<ref<btf>> (*btf_from_fd)(int fd) = nullptr;
    /// Stop behind the verdict: a program may use what modbpf cannot run (verified_program::absent says what).
    bool verify_only = false;

    /// Must mispredicted paths be harmless (Spectre v1, v4)? Linux asks the same, unless mitigations are off.
    bool guarded() const { return !perfmon; }

    // For tests (LADDER V4): the verdict must not depend on these.
    bool no_pruning = false;
    bool other_arm_first = false;
    const verify_observer *observer = nullptr;
    const btf *kernel = nullptr; ///< types that stand for the running kernel's
};

struct verify_stats {
    u64 insns_processed;
    u64 peak_states;
    u64 total_states;
    u64 max_states_per_insn;
    u64 longest_mark_read;
    u64 time_ns;
};

struct verified_program {
    code image;                    ///< what runs
    vec<bpf_insn> xlated;          ///< what OBJ_GET_INFO shows: the same instructions with map ids instead of addresses
    vec<ref<map>> maps;            ///< maps that the program uses; the program holds them
    vec<module_hold> modules;      ///< whose functions and symbols it refers to
    vec<ref<object_type>> object_types; ///< of the objects that it makes
    vec<func_info> funcs;          ///< adjusted to the instructions that are left
    vec<u8> func_flags;            ///< of each of funcs
    vec<line_info> lines;
    const char *warns_of = nullptr; ///< a helper that may do harm, or null
    const btf_type *attach_proto = nullptr; ///< of the function that it is for, in the types of that; only for comparison
    u32 max_ctx_offset = 0;        ///< one past the highest context byte accessed
    u32 max_record_access = 0;     ///< the same of a writable tracepoint's record
    u32 max_rdonly_access = 0;     ///< of an iterator's key
    u32 max_rdwr_access = 0;       ///< and of its value
    char absent[64]{};             ///< what the program needs and modbpf cannot run, e.g. "helper bpf_sk_fullsock"; "": it can run
    bool uses_get_func_ip = false;
    bool uses_attach_cookie = false;
    bool uses_trace_printk = false;
    bool uses_kernel_types = false; ///< while it runs
    bool uses_tail_call = false;
    u32 stack_depth = 0;
    verify_stats stats{};
};

/// Attaching a program of type `type` checks how far it reaches into what it is given there. What extends it comes later: whether `own`, an
/// extension of `target`, reaches farther. (Tail calls, whose targets may, are made only in place of functions that make some.)
bool reaches_farther(const verified_program &own, const verified_program &target, u32 type);

/// Verifies. The log gets Linux's text; stats lines are written at BPF_LOG_STATS, also on refusal. A safe program that needs what
/// modbpf cannot run is refused behind the verdict, with ENOTSUPP and a line that names it, unless only the verdict is wanted.
/// EINVAL, EACCES, EPERM, E2BIG, ENOMEM, EFAULT (a bug of ours, reported), EAGAIN (signal), ENOTSUPP.
result<own<verified_program>> verify(const verify_request &req, verifier_log &log);

/// May an extension that was verified for another function stand at that of `attach`, too? `type` and `expected_attach_type` are the new
/// target's; the types and functions are the extension's, as they are left, with their flags. EINVAL, ENOMEM.
status check_new_target(const verify_request &req, span<const u8> func_flags);


}  // namespace modbpf
