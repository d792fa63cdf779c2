// SPDX-License-Identifier: GPL-2.0-only
// A trampoline: native code that a function of the kernel calls from its entry, and that runs programs around it. A function of a program
// jumps to it from its hook: then there is no return address into the function, and rax is kept, the tail-call pointer (jit/frame.h).
//
// Its frame, from high addresses to low:
//     words of the function that it passes on the stack
//     return address into the function's caller
//     return address into the function, behind its call of the trampoline
//     saved rbp                    <- rbp
//     result                       the last word of the programs' context, behind the arguments
//     argument words, last first   <- the programs' context; word i lies 8 * i above it
//     how many argument words there are
//     the function's address
//     the running program's cookie
//     rax as it was, of a function of a program
//     padding to 16 bytes
//     copies of the words passed on the stack, when the trampoline calls the function itself   <- rsp
//
// A trampoline that only watches the entry gives the registers back and returns into the function. One that has to do with the
// result calls the rest of the function, as a caller with the same arguments would, and returns to the function's caller.
#pragma once

#include "base/span.h"
#include "helpers/traced.h"
#include "jit/jit.h"

namespace modbpf {

inline constexpr u32 trampoline_args_max = 12;    ///< MAX_BPF_FUNC_ARGS
inline constexpr u32 trampoline_words_max = trampoline_args_max * 2; ///< each may be a structure of 16 bytes

/// Where the calling convention passes each 64-bit word of a function's arguments, in order.
struct arg_words {
    static constexpr u8 on_stack = 0x80; ///< with the index of the word on the stack; else the index of the register: rdi, rsi, ...
    u8 count = 0;
    u8 stack = 0; ///< words on the stack
    u8 place[trampoline_words_max];

    /// One argument more, of `bytes` (at most 16): in registers if all of it fits. False: too many.
    bool add(u32 bytes);

private:
    u8 regs_ = 0;
};

struct trampoline_plan {
    const arg_words *args;
    u64 func;            ///< the function's address, for programs that ask
    u64 body;            ///< where it goes on behind its call of the trampoline, or its look at the hook
    bool of_program = false; ///< the function is a program's
    span<void *const> entry, modify, exit; ///< the programs, in the order that they run in
    u64 (*run)(void *program, u64 *context); ///< runs one of them, once it has set its cookie
    /// Around everything, with `owner`, where a run may sleep: in the function or in a program. Null: nothing sleeps.
    void (*enter)(void *owner);
    void (*leave)(void *owner);
    void *owner;
    /// Does the trampoline call the function itself?
    bool calls_function() const { return !modify.empty() || !exit.empty(); }
};

/// Sealed text that is entered at its start. Freed by its owner after every possible runner is gone. ENOMEM, E2BIG.
class trampoline_text {
public:
    trampoline_text() = default;
    trampoline_text(const trampoline_text &) = delete;
    ~trampoline_text();  ///< task context
    status build(const trampoline_plan &plan, const jit_machine *machine = nullptr);  ///< once; null: the real machine
    void *entry() const { return text_; }

private:
    void *text_ = nullptr;
    u32 size_ = 0;
};

}  // namespace modbpf
