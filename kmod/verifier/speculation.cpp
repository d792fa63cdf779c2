// SPDX-License-Identifier: GPL-2.0-only
// Programs that may not leak pointers: no pointer may become a number that they can see, and what a CPU does on a mispredicted path
// must be harmless too (Spectre v1: bounds checks bypassed; v4: a load that overtakes an older store).
//
// Terms
//  - A *guarded* program is one whose loader lacks CAP_PERFMON (verify_request::guarded()).
//  - A *speculative* path is one that only a mispredicting CPU takes (path_modes::speculative). It is explored like every path, and
//    refused like every path; it never marks an instruction as reachable, and never prunes a path that is not speculative.
//  - The *window* of a pointer move is how far the pointer may go in the direction of the move without leaving its object. The engine
//    forces a greater offset to zero, by arithmetic and without a branch (code_guard::mask). Because the offset may so become zero, the path
//    where the pointer did not move is explored as well.
//  - A *barrier* behind a store to the stack keeps younger loads from seeing what was in the slot before.
//
// Behaviour and texts are those of Linux 6.12 (sanitize_ptr_alu and its neighbours). The classes of attack: CVE-2019-7308,
// CVE-2020-27170, CVE-2020-27171, CVE-2021-29155, CVE-2021-33200, CVE-2021-33624, CVE-2021-34556, CVE-2021-35477.
#include "verifier/speculation.h"

#include "verifier/marks.h"

namespace modbpf {

namespace {

enum class reason : u8 { none, bounds, type, paths, limit };

error refuse_move(env &e, const insn_desc &d, reason why, bool off_in_dst) {
    constexpr const char *end = "pointer arithmetic with it prohibited for !root";
    const char *verb = d.op == BPF_ADD ? "add" : "sub";
    switch (why) {
    case reason::bounds:
        verbose(e, "R%d has unknown scalar with mixed signed bounds, %s\n", off_in_dst ? d.dst : d.src, end);
        break;
    case reason::type:
        verbose(e, "R%d has pointer with unsupported alu operation, %s\n", off_in_dst ? d.src : d.dst, end);
        break;
    case reason::paths:
        verbose(e, "R%d tried to %s from different maps, paths or scalars, %s\n", d.dst, verb, end);
        break;
    default:
        verbose(e, "R%d tried to %s beyond pointer bounds, %s\n", d.dst, verb, end);
        break;
    }
    return fail(EACCES);
}

/// Bytes between the pointer and the end of its object in the direction of the move.
reason window_of(const reg_state &ptr, bool to_left, u32 *limit) {
    u32 size, left;
    switch (ptr.type) {
    case reg_type::stack: // one past the end is where the frame pointer stands
        size = max_bpf_stack + to_left;
        left = static_cast<u32>(-(static_cast<s64>(ptr.var.value()) + ptr.off));
        break;
    case reg_type::map_value:
        size = ptr.map_ptr->params.value_size;
        left = static_cast<u32>((to_left ? static_cast<u64>(ptr.var.smin) : ptr.var.umax) + static_cast<u64>(static_cast<s64>(ptr.off)));
        break;
    default:
        return reason::type;
    }
    if (left >= size)
        return reason::limit;
    *limit = left;
    return reason::none;
}

/// The engine masks an instruction one way: every path through it must ask for the same.
bool agree(insn_aux &a, guard_kind kind, u32 limit) {
    if (a.guard != guard_kind::none && (a.guard != kind || a.guard_limit != limit))
        return false;
    a.guard = kind;
    a.guard_limit = limit;
    return true;
}

bool needs_guard(const env &e, const insn_desc &d) {
    return e.req.guarded() && d.reg && (d.op == BPF_ADD || d.op == BPF_SUB);
}

/// The state as it is, at `insn`, for a CPU that mispredicts.
result<verifier_state *> push_speculative(env &e, u32 insn) {
    verifier_state *st = TRY(push_path(e, insn, e.insn));
    st->modes.speculative = true;
    return st;
}

}  // namespace

status move_guard::before(const reg_state &ptr, const reg_state &off, bool dst_is_ptr) {
    off_in_dst_ = !dst_is_ptr;
    if (!needs_guard(e_, d_))
        return {};
    bool constant = off.var.is_const(), negative = off.var.smin < 0;
    if (!e_.cur->modes.speculative) {
        if (!constant && negative != (off.var.smax < 0))
            return refuse_move(e_, d_, reason::bounds, off_in_dst_);
        to_left_ = (d_.op == BPF_ADD) == negative;
        if (reason r = window_of(ptr, to_left_, &limit_before_); r != reason::none)
            return refuse_move(e_, d_, r, off_in_dst_);
        kind_ = make_mask(negative, constant, dst_is_ptr);
        if (!constant)
            e_.guards_vary = true;
    }
    if (!constant)
        TRY(push_speculative(e_, e_.insn + 1)); // dst is the pointer by now: it did not move
    return {};
}

status move_guard::after(const reg_state &moved) {
    if (!needs_guard(e_, d_) || e_.cur->modes.speculative)
        return {};
    u32 limit;
    if (reason r = window_of(moved, to_left_, &limit); r != reason::none)
        return refuse_move(e_, d_, r, off_in_dst_);
    u32 window = limit_before_ > limit ? limit_before_ - limit : limit - limit_before_;
    return agree(e_.aux[e_.insn], kind_, window) ? status() : status(refuse_move(e_, d_, reason::paths, off_in_dst_));
}

status guard_scalar_alu(env &e, const insn_desc &d) {
    if (!needs_guard(e, d) || agree(e.aux[e.insn], guard_kind::number, 0))
        return {};
    return refuse_move(e, d, reason::paths, true);
}

status check_moved_pointer(env &e, u32 regno) {
    const reg_state &r = e.reg(regno);
    if (!e.req.guarded())
        return {};
    if (r.type == reg_type::stack) {
        s64 off = static_cast<s64>(r.off) + static_cast<s64>(r.var.bits.value);
        if (!r.var.is_const()) {
            char text[48];
            tnum_text(text, sizeof(text), r.var.bits);
            verbose(e, "R%d variable stack access prohibited for !root, var_off=%s off=%d\n", regno, text, static_cast<int>(off));
            return fail(EACCES);
        }
        if (off >= 0 || off < -static_cast<s64>(max_bpf_stack)) {
            verbose(e, "R%d stack pointer arithmetic goes out of range, prohibited for !root; off=%d\n", regno, static_cast<int>(off));
            return fail(EACCES);
        }
    } else if (r.type == reg_type::map_value) {
        if (status s = check_region(e, regno, r.off, 1, r.map_ptr->params.value_size, false); !s) {
            verbose(e, "R%d pointer arithmetic of map value goes out of range, prohibited for !root\n", regno);
            return s.err();
        }
    }
    return {};
}

status guard_branch(env &e, const insn_desc &d, u32 dead_arm) {
    if (!e.req.guarded())
        return {};
    verifier_state *st = TRY(push_speculative(e, dead_arm));
    st->cur().regs[d.dst].set_unknown(); // compared with what the CPU had guessed
    if (d.reg)
        st->cur().regs[d.src].set_unknown();
    return {};
}

void guard_stack_store(env &e, const stack_slot &s, u32 first_byte, u32 size, bool pointer) {
    if (!e.req.guarded())
        return;
    bool stale = pointer;
    for (u32 i = 0; i < size; i++) {
        slot_kind k = s.kind[(first_byte - i) % slot_bytes];
        stale |= k != slot_kind::misc && k != slot_kind::zero;
    }
    e.aux[e.insn].barrier |= stale;
}

}  // namespace modbpf
