// SPDX-License-Identifier: GPL-2.0-only
// How native code calls and returns on this machine: what the kernel's mitigations ask of every call, jump and return.
#pragma once

#include "jit/assembler.h"
#include "jit/jit.h"

namespace modbpf {

/// Calls C code; rax is free, because the result goes there.
inline void emit_call(assembler &out, const jit_machine &env, u64 addr) {
    if (env.rel32)
        return out.call_addr(addr);
    out.e.mov_imm(x86::reg::rax, addr);
    if (u64 thunk = env.indirect_thunk[x86::num(x86::reg::rax)])
        out.call_addr(thunk);
    else
        out.e.call_reg(x86::reg::rax);
}

/// Return to the caller. The frame is gone.
inline void emit_return(assembler &out, const jit_machine &env) {
    if (env.return_thunk)
        out.jmp_addr(env.return_thunk);
    else
        out.e.ret();
    if (env.sls)
        out.e.int3();
}

}  // namespace modbpf
