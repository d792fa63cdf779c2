// SPDX-License-Identifier: GPL-2.0-only
// Conditional jumps: which arms are possible, and what each arm tells about the operands: ranges, NULL, bytes of packet.
#include "verifier/btf_match.h"
#include "verifier/marks.h"
#include "verifier/special.h"
#include "verifier/speculation.h"

namespace modbpf {

/// The pointer was compared: it is not NULL. What a look-up in a map of maps or of sockets found is no value but that.
void mark_not_null(reg_state &r) {
    r.type = without(r.type, type_flag::maybe_null);
    if (r.type != reg_type::map_value)
        return;
    r.found = 0; // says nothing any more
    switch (r.map_ptr->params.type) {
    case BPF_MAP_TYPE_ARRAY_OF_MAPS:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
        r.type = reg_type::map_ptr;
        r.map_ptr = r.map_ptr->inner.get();
        r.of_many = 1;
        if (r.map_ptr->fields && r.map_ptr->fields->has_any(field_bit(field_kind::timer) | field_bit(field_kind::workqueue)))
            r.map_uid = r.id; // what is in one inner map is not started with another
        return;
    case BPF_MAP_TYPE_XSKMAP:
        r.type = reg_type::xdp_sock;
        return;
    case BPF_MAP_TYPE_SOCKMAP:
    case BPF_MAP_TYPE_SOCKHASH:
        r.type = reg_type::socket;
        return;
    default:
        return;
    }
}

namespace {

constexpr s32 max_packet_off = 0xffff;

bool is_found(const reg_state &r) { return r.base() == reg_type::map_value && r.may_be_null() && r.found; }

bool not_null(const reg_state &r) {
    if (is_found(r))
        return true;
    if (r.may_be_null() || r.var.smin <= -max_var_off || r.var.smax >= max_var_off)
        return false;
    switch (r.base()) {
    case reg_type::socket:
    case reg_type::sock_common:
    case reg_type::tcp_sock:
    case reg_type::xdp_sock:
    case reg_type::map_value:
    case reg_type::map_key:
    case reg_type::map_ptr:
    case reg_type::buf:
    case reg_type::mem: return true;
    case reg_type::btf_ptr: return r.ref_id || (is_alloc_object(r) && is_trusted(r)); // arguments of hooks and fields may be NULL for all their trust
    default: return false;
    }
}

u8 flip(u8 op) { return branch_flip(op); }

/// A packet pointer that was already found to be at or behind the end.
branch packet_branch(const reg_state &a, const reg_state &b, u8 op) {
    const reg_state *pkt = &a;
    if (a.type == reg_type::packet_end) {
        pkt = &b;
        op = flip(op);
    } else if (b.type != reg_type::packet_end) {
        return branch::unknown;
    }
    if (pkt->range >= 0)
        return branch::unknown;
    if ((op == BPF_JLE || op == BPF_JGT) && pkt->range == beyond_packet_end)
        return op == BPF_JGT ? branch::taken : branch::not_taken;
    if (op == BPF_JLT || op == BPF_JGE)
        return op == BPF_JGE ? branch::taken : branch::not_taken;
    return branch::unknown;
}

branch decide(const reg_state &a, const reg_state &b, u8 op, bool jmp32) {
    if (a.is_packet_any() && b.is_packet_any() && !jmp32)
        return packet_branch(a, b, op);
    if (!a.is_pointer() && !b.is_pointer())
        return scalar_branch(op, jmp32, a.var, b.var);
    if (jmp32)
        return branch::unknown;
    const reg_state &ptr = b.is_const() ? a : b, &num = b.is_const() ? b : a;
    if (!num.is_null() || !not_null(ptr))
        return branch::unknown;
    return op == BPF_JEQ ? branch::not_taken : op == BPF_JNE ? branch::taken : branch::unknown;
}

// ---- linked scalars ---------------------------------------------------------------------------------------------------

/// Scalars whose value is tied to a compared one, by frame and register or slot.
struct links : scalar_masks {
    u32 count = 0;
    bool callers = false; ///< some are in frames below, other than slots of the frame that called this one

    void add(verifier_state &st, u32 id) {
        id &= ~id_add_const;
        for (u32 n = st.curframe + 1; n--;) {
            func_state &f = *st.frame[n];
            bool slots_followed = n + 1 == st.curframe;
            for (u32 r = 0; r < BPF_REG_10; r++)
                if (tied(f.regs[r], id) && take(f.regs[r], regs[n] & reg_bit(r)))
                    regs[n] |= reg_bit(r), callers |= n != st.curframe;
            for (u32 s = 0; s < f.stack.size(); s++)
                if (f.stack[s].is_spill() && tied(f.stack[s].spilled, id) && take(f.stack.edit(s).spilled, slots[n] >> s & 1))
                    slots[n] |= 1ull << s, callers |= n != st.curframe && !slots_followed;
        }
    }

private:
    static bool tied(const reg_state &r, u32 id) { return r.is_scalar() && (r.id & ~id_add_const) == id; }
    /// More than Linux follows: the tie is cut, which is always allowed.
    bool take(reg_state &r, bool have) {
        if (have)
            return true;
        if (count == max_linked_scalars) {
            r.clear_id();
            return false;
        }
        count++;
        return true;
    }
};

/// r is tied to `known`, which was just narrowed: r = known, or known plus the difference of their offsets.
void follow(reg_state &r, const reg_state &known) {
    if (&r == &known || !r.is_scalar() || (r.id & ~id_add_const) != (known.id & ~id_add_const))
        return;
    if (!((r.id | known.id) & id_add_const) || (((r.id & known.id) & id_add_const) && r.off == known.off)) {
        r = known;
        return;
    }
    s32 delta = ((r.id & id_add_const) ? r.off : 0) - ((known.id & id_add_const) ? known.off : 0);
    r.var = scalar_alu(BPF_ADD, false, false, known.var, scalar::constant(static_cast<u64>(static_cast<s64>(delta))));
}

void follow_all(verifier_state &st, const links &l, u32 known_reg) {
    reg_state known = st.cur().regs[known_reg];
    if (!known.is_scalar() || !known.id)
        return;
    for (u32 n = 0; n <= st.curframe; n++) {
        func_state &f = *st.frame[n];
        for (u32 r = 0; r < BPF_REG_10; r++)
            if ((l.regs[n] >> r & 1) && (n != st.curframe || r != known_reg))
                follow(f.regs[r], known);
        for (u32 s = 0; s < f.stack.size(); s++)
            if (l.slots[n] >> s & 1)
                follow(f.stack.edit(s).spilled, known);
    }
}

/// What is narrowed together depends on all of the group: see marks.h. Members in callers' frames are not followed there, so the
/// whole group is demanded at once.
status observe(env &e, const insn_desc &d, const links &l) {
    if (l.count < 2)
        return {};
    e.history++;
    if (e.precision)
        TRY(record_links(e, l));
    u32 top = e.cur->curframe;
    TRY(observe_links(e, l.regs[top], l.slots[top], top ? l.slots[top - 1] : 0));
    if (!l.callers)
        return {};
    TRY(demand_unlogged(e, d.dst));
    if (d.reg)
        TRY(demand_unlogged(e, d.src));
    for (u32 n = 0; n <= top; n++) {
        for (u32 r = 0; r < BPF_REG_10; r++)
            if (l.regs[n] >> r & 1)
                TRY(demand_frame_reg(e, n, r));
        for (u32 s = 0; s < max_slots; s++)
            if (l.slots[n] >> s & 1)
                TRY(demand_slot(e, n, s));
    }
    return {};
}

/// The scalars that the current branch refines besides its operands.
status find_links(env &e, const insn_desc &d, links &l) {
    func_state &f = e.cur->cur();
    if (d.reg && f.regs[d.src].id)
        l.add(*e.cur, f.regs[d.src].id);
    if (f.regs[d.dst].id)
        l.add(*e.cur, f.regs[d.dst].id);
    return observe(e, d, l);
}

// ---- NULL ---------------------------------------------------------------------------------------------------------------

void drop_ref(verifier_state &st, u32 id) {
    for (u32 i = 0; i < st.refs.size(); i++)
        if (st.refs[i].id == id)
            return st.drop_ref(i);
}

/// Every copy of an or_null pointer becomes NULL, or a pointer.
void resolve_null(env &e, verifier_state &st, u32 regno, bool is_null) {
    u32 id = st.cur().regs[regno].id, ref = st.cur().regs[regno].ref_id;
    if (ref && ref == id && is_null)
        drop_ref(st, id); // nothing was acquired
    st.for_each_reg([&](const reg_state &r) { return r.may_be_null() && r.id == id; }, [&](reg_state &r) {
        if (is_null) {
            r.set_const(0);
            return;
        }
        mark_not_null(r);
        if (!tells_lock(e, r))
            r.id = 0; // ref_id stays: it is released through the pointer
    });
}

// ---- packet ranges ----------------------------------------------------------------------------------------------------

/// `ptr` <= end (right_open: <) holds in st: all with the same base have that many bytes.
void give_range(verifier_state &st, reg_state ptr, bool right_open) {
    if (ptr.off < 0 || (ptr.off == 0 && right_open))
        return;
    if (ptr.var.umax > static_cast<u64>(max_packet_off) || ptr.var.umax + static_cast<u64>(ptr.off) > static_cast<u64>(max_packet_off))
        return;
    s32 range = ptr.off + right_open;
    st.for_each_reg([&](const reg_state &r) { return r.type == ptr.type && r.id == ptr.id && r.range < range; },
                    [&](reg_state &r) { r.range = range; });
}

void mark_at_end(verifier_state &st, u32 regno, bool beyond) {
    reg_state &r = st.cur().regs[regno];
    if (r.type == reg_type::packet)
        r.range = beyond ? beyond_packet_end : at_packet_end;
}

bool is_packet_start(const reg_state &r) {
    return r.type == reg_type::packet && r.off == 0 && r.var.is_const() && r.var.value() == 0 && r.id == 0;
}

bool bounds_pair(const reg_state &p, const reg_state &end) {
    return (p.type == reg_type::packet && end.type == reg_type::packet_end) ||
           (p.type == reg_type::packet_meta && is_packet_start(end));
}

/// `a op b` with a packet pointer and the end of its area. fall: state where it is false; jump: where it holds. -> it is one.
bool learn_range(const insn_desc &d, const reg_state &dst, const reg_state &src, verifier_state &fall, verifier_state &jump) {
    if (!d.reg || d.alu32())
        return false;
    u8 op = d.op;
    const reg_state *pkt = &dst;
    u32 regno = d.dst;
    if (bounds_pair(src, dst)) {
        pkt = &src, regno = d.src;
        op = flip(op);
    } else if (!bounds_pair(dst, src)) {
        return false;
    }
    reg_state p = *pkt;
    switch (op) {
    case BPF_JGT: // fall: pkt <= end; jump: pkt > end
        give_range(fall, p, false);
        mark_at_end(jump, regno, true);
        break;
    case BPF_JLT: // fall: pkt >= end; jump: pkt < end
        give_range(jump, p, true);
        mark_at_end(fall, regno, false);
        break;
    case BPF_JGE:
        give_range(fall, p, true);
        mark_at_end(jump, regno, false);
        break;
    case BPF_JLE:
        give_range(jump, p, false);
        mark_at_end(fall, regno, true);
        break;
    default:
        return false;
    }
    return true;
}

error comparison_prohibited(env &e, u32 regno) {
    verbose(e, "R%d pointer comparison prohibited\n", regno);
    return fail(EACCES);
}

// ---- both arms ----------------------------------------------------------------------------------------------------------

status check_operands(env &e, const insn_desc &d) {
    TRY(read_reg(e, d.dst));
    insn_aux &a = e.aux[e.insn];
    if (!a.encoding_ok)
        if (refusal r = check_encoding(e.insns[e.insn])) {
            verbose(e, "%s", r.text);
            return fail(r.err);
        }
    a.encoding_ok = true;
    if (!d.reg)
        return {};
    TRY(read_reg(e, d.src));
    if (leaks(e, d.src) && !(e.reg(d.dst).is_packet_any() && e.reg(d.src).is_packet_any()))
        return comparison_prohibited(e, d.src);
    return {};
}

/// Only one arm can be taken; that depends on the values of both operands.
status take_one(env &e, const insn_desc &d, bool taken) {
    if (e.reg(d.dst).is_scalar())
        TRY(demand_reg(e, d.dst));
    if (d.reg && e.reg(d.src).is_scalar())
        TRY(demand_reg(e, d.src));
    if (is_found(e.reg(d.dst)))
        resolve_null(e, *e.cur, d.dst, false);
    if (d.reg && is_found(e.reg(d.src)))
        resolve_null(e, *e.cur, d.src, false);
    e.next_insn = taken ? static_cast<u32>(d.target) : e.insn + 1;
    TRY(guard_branch(e, d, taken ? e.insn + 1 : static_cast<u32>(d.target)));
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2))
        print_insn_state(e);
    return {};
}

struct arm {
    scalar a, b;
    bool possible = true;
};

void put_arm(verifier_state &st, const insn_desc &d, const arm &x, const links &l) {
    st.cur().regs[d.dst].var = x.a;
    if (d.reg) {
        st.cur().regs[d.src].var = x.b;
        follow_all(st, l, d.src);
    }
    follow_all(st, l, d.dst);
}

/// src == dst, and one is a valid address: so is the other. Not by a kernel object: some that are trusted are NULL.
void learn_equal_pointers(const insn_desc &d, const reg_state &dst, const reg_state &src, func_state &fall, func_state &jump) {
    if (!d.reg || d.alu32() || !dst.is_pointer() || !src.is_pointer() || (d.op != BPF_JEQ && d.op != BPF_JNE))
        return;
    if (dst.base() == reg_type::btf_ptr || src.base() == reg_type::btf_ptr)
        return;
    func_state &eq = d.op == BPF_JEQ ? jump : fall;
    if (not_null(dst) && src.may_be_null())
        mark_not_null(eq.regs[d.src]);
    if (not_null(src) && dst.may_be_null())
        mark_not_null(eq.regs[d.dst]);
}

status both_arms(env &e, const insn_desc &d, const reg_state &dst, const reg_state &src, const arm &jump_arm,
                 const arm &fall_arm, bool scalars) {
    links l;
    if (scalars)
        TRY(find_links(e, d, l));
    verifier_state *jump = TRY(push_path(e, static_cast<u32>(d.target), e.insn)), *fall = e.cur.get();
    if (scalars) {
        put_arm(*fall, d, fall_arm, l);
        put_arm(*jump, d, jump_arm, l);
    }
    learn_equal_pointers(d, dst, src, fall->cur(), jump->cur());
    if (!d.alu32() && !d.reg && d.imm == 0 && (d.op == BPF_JEQ || d.op == BPF_JNE) && dst.may_be_null()) {
        resolve_null(e, *fall, d.dst, d.op == BPF_JNE);
        resolve_null(e, *jump, d.dst, d.op == BPF_JEQ);
    } else if (!learn_range(d, dst, src, *fall, *jump) && leaks(e, d.dst)) {
        return comparison_prohibited(e, d.dst);
    }
    if (e.req.other_arm_first) {
        pending_path &p = e.pending.back();
        p.state = e.cur.release();
        p.insn = e.insn + 1;
        e.cur = own<verifier_state>(jump);
        e.next_insn = static_cast<u32>(d.target);
    }
    if (e.log.level() & (BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2))
        print_insn_state(e);
    return {};
}

}  // namespace

status check_branch(env &e, const insn_desc &d) {
    TRY(check_operands(e, d));
    reg_state dst = e.reg(d.dst), src;
    if (d.reg)
        src = e.reg(d.src);
    else
        src.set_const(static_cast<u64>(d.imm));
    if (dst.type == reg_type::stack || src.type == reg_type::stack)
        e.history++;
    if (e.precision)
        TRY(record_stack_comparison(e, dst.type == reg_type::stack, src.type == reg_type::stack));
    branch b = decide(dst, src, d.op, d.alu32());
    if (b != branch::unknown)
        return take_one(e, d, b == branch::taken);
    bool scalars = dst.is_scalar() && src.is_scalar();
    arm jump_arm{dst.var, src.var}, fall_arm{dst.var, src.var};
    if (scalars) {
        jump_arm.possible = scalar_assume(d.op, d.alu32(), jump_arm.a, jump_arm.b);
        fall_arm.possible = scalar_assume_not(d.op, d.alu32(), fall_arm.a, fall_arm.b);
        if (!jump_arm.possible && !fall_arm.possible)
            return verifier_bug(e, "neither arm of a branch is possible");
        if (!jump_arm.possible || !fall_arm.possible) {
            links l;
            TRY(find_links(e, d, l));
            put_arm(*e.cur, d, jump_arm.possible ? jump_arm : fall_arm, l);
            return take_one(e, d, jump_arm.possible);
        }
    }
    return both_arms(e, d, dst, src, jump_arm, fall_arm, scalars);
}

}  // namespace modbpf
