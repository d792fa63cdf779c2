// SPDX-License-Identifier: GPL-2.0-only
// Guards of programs whose loader may not leak pointers. See speculation.cpp.
#pragma once

#include "verifier/env.h"

namespace modbpf {

/// One addition or subtraction of a register and a pointer: before() is asked when dst holds the pointer, not moved yet (or the pointer
/// that a number in dst is going to be added to), after() when it has moved. EACCES with Linux's text.
class move_guard {
public:
    move_guard(env &e, const insn_desc &d) : e_(e), d_(d) {}
    status before(const reg_state &ptr, const reg_state &off, bool dst_is_ptr);
    status after(const reg_state &moved);

private:
    env &e_;
    const insn_desc &d_;
    guard_kind kind_ = guard_kind::none;
    u32 limit_before_ = 0;
    bool to_left_ = false;
    bool off_in_dst_ = false;
};

/// An addition or subtraction of numbers: on no path may the same instruction move a pointer.
status guard_scalar_alu(env &e, const insn_desc &d);
/// A pointer that was moved must stay inside its object, so that it can be masked.
status check_moved_pointer(env &e, u32 regno);
/// The branch goes one way only: a CPU may go the other way, to `dead_arm`.
status guard_branch(env &e, const insn_desc &d, u32 dead_arm);
/// A store of `size` bytes of slot `s`, downwards from byte `first_byte`: does it need a barrier? `pointer`: it stores one.
void guard_stack_store(env &e, const stack_slot &s, u32 first_byte, u32 size, bool pointer);

/// The register holds a pointer that the program must not see as a number.
inline bool leaks(env &e, u32 regno) { return !e.req.perfmon && e.reg(regno).type != reg_type::scalar; }

}  // namespace modbpf
