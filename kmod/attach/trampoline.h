// SPDX-License-Identifier: GPL-2.0-only
// Programs around functions of the kernel (fentry, fexit, fmod_ret, LSM) and of other programs (fentry, fexit), and in place of those
// (extensions): one trampoline a function runs all that are there. A function of a program has a hook that leads to it (prog/hooks.h).
//
// A trampoline's text is never changed: attaching and detaching make another one, put it in place and retire the old one, which lives
// on until nothing can be in it. Where a function may sleep under a trampoline, runs are counted in and out.
#pragma once

#include "attach/packet_shadow.h"
#include "prog/prog.h"

namespace modbpf {

struct trampoline;

/// A program at a function. Trampolines refer to it until the last one that names it is gone; its program goes with the detaching.
struct tracer : refcounted<tracer> {
    ref<program> prog;
    u64 cookie = 0;
    trampoline *at = nullptr; ///< while attached
    packet_layout packet{};   ///< of one at a program's function: how it sees the program's packet
    code_around replaces{};   ///< of an extension: what the interpreter runs
    bool sleeps = false; ///< the program may
    u32 gone = 0;  ///< detached: not run any more. Atomic

    static void dispose(tracer *t) { destroy(t); }
};

/// What a trampoline may have to pass on at most: BPF_MAX_TRAMP_LINKS.
inline constexpr u32 tracers_max = 38;

/// Attaches `p` (TRACING of fentry, fexit or fmod_ret, or LSM_MAC) to the function that it was loaded for. ENOENT: the kernel has no such
/// function; EBUSY: the program is there, or the function cannot be traced; E2BIG: tracers_max are there; ENOMEM. Task context.
result<ref<tracer>> trampoline_attach(ref<program> p, u64 cookie);
/// Attaches `p` (TRACING of fentry or fexit, or EXT) to the function of `target` that has the type `btf_id`; that it fits was checked.
/// EBUSY: an extension is there, or it is one and any program is; or `target` is in a PROG_ARRAY. ENOTSUPP: the extension cannot run; tracing of a PERF_EVENT program.
/// Where `target` does not run here, neither does what stands at it. E2BIG, EBUSY, ENOMEM as above.
result<ref<tracer>> trampoline_attach_to(ref<program> p, ref<program> target, u32 btf_id, u64 cookie);
/// Returns when the program does not run and will not any more; one that may sleep can end its last run later. Task context.
void trampoline_detach(tracer *t);

status trampolines_init();
/// Nothing is attached; waits until the last text is freed.
void trampolines_exit();

}  // namespace modbpf
