// SPDX-License-Identifier: GPL-2.0-only
// Hooks of a program: where other programs trace or replace its functions.
//
// A program is translated without them, with its calls inlined. Before the first program stands at one of its functions it is translated
// once more, so that each function looks at a hook of its own first, and runs from then on enter that image. The first image stays for
// the runs that are in it, and for the addresses of functions that timers and works were given before: those run without hooks.
//
// A run outside RCU sections (of a program that sleeps, of a work) is counted while it may be in the second image.
#pragma once

#include "prog/prog.h"

namespace modbpf {

struct program_hooks {
    ~program_hooks() { port_percpu_free(inside); }

    vec<code_hook> at;           ///< one a subprogram
    jit_image image;
    u64 *inside = nullptr;       ///< per CPU: runs outside RCU sections that go on there
    port_work *waiting = nullptr; ///< queued where such a run ends. Atomic

    /// How many go on. Each that began before the call and goes on behind it is in the count.
    u64 count() const;
};

/// Makes sure that `p` has hooks and that what runs from now on looks at them. ENOMEM, E2BIG. Task context.
status make_hooks(program *p);
/// Index of the function with that type in the program's own BTF among its subprograms; -1: none.
s32 subprog_of(const program &p, u32 btf_id);

/// Around a run outside RCU sections, with migration off. `entered`: made once the address that is called has been read.
class hooked_run {
public:
    explicit hooked_run(const program *p);
    ~hooked_run();
    hooked_run(const hooked_run &) = delete;

private:
    program_hooks *hooks_;
    u64 *here_ = nullptr;
};

// A program that others extend is in no PROG_ARRAY, or it could be called without end: from its function's replacement.
/// EBUSY: it is extended. Task context.
status enter_prog_array(program *p);
void leave_prog_array(program *p); ///< any context
/// EBUSY: it is in a PROG_ARRAY. Task context.
status begin_extension(program *p);
void end_extension(program *p);

}  // namespace modbpf
