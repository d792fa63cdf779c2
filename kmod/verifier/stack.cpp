// SPDX-License-Identifier: GPL-2.0-only
// Stack accesses: spills and fills of registers at fixed offsets, bytes at variable ones, areas given to helpers.
//
// Uninitialised stack may be read by programs that may leak pointers (CAP_PERFMON): it is an unknown number, like misc bytes.
#include "verifier/dynptr.h"
#include "verifier/fastcall.h"
#include "verifier/marks.h"
#include "verifier/speculation.h"

namespace modbpf {

namespace {

u32 slot_of(s32 off) { return static_cast<u32>(-off - 1) / slot_bytes; }
u32 byte_of(s32 off) { return static_cast<u32>(-off - 1) % slot_bytes; }

/// The frame that a stack pointer points into.
func_state &frame_of(env &e, const reg_state &r) { return *e.cur->frame[r.frame]; }

void scratch_slot(env &e, const func_state &f, u32 slot) {
    if (f.frameno == e.cur->curframe)
        e.scratch_slot(slot);
}

bool spillable(const reg_state &r) {
    switch (r.type) {
    case reg_type::not_init:
    case reg_type::scalar:
        return false;
    default:
        return true;
    }
}

/// Bytes that the spill takes, from the slot's lowest address.
u32 spill_size(const stack_slot &s) {
    u32 n = 0;
    while (n < slot_bytes && s.kind[slot_bytes - 1 - n] == slot_kind::spill)
        n++;
    return n;
}

void put_spill(stack_slot &s, const reg_state &r, u32 size) {
    s.spilled = r;
    for (u32 i = 0; i < slot_bytes; i++) {
        slot_kind &k = s.kind[slot_bytes - 1 - i];
        if (i < size)
            k = slot_kind::spill;
        else if (k == slot_kind::spill || k == slot_kind::dynptr || k == slot_kind::iter)
            k = slot_kind::misc;
    }
}

}  // namespace

status check_stack_bounds(env &e, u32 regno, s32 off, s32 size, bool helper, access t) {
    const reg_state &r = e.reg(regno);
    const char *what = helper ? " indirect access to" : t == access::read ? " read from" : " write to";
    s64 lo, hi;
    if (r.var.is_const()) {
        lo = static_cast<s64>(r.var.value()) + off;
        hi = lo + size;
    } else {
        if (r.var.smax >= max_var_off || r.var.smin <= -max_var_off) {
            verbose(e, "invalid unbounded variable-offset%s stack R%d\n", what, regno);
            return fail(EACCES);
        }
        lo = r.var.smin + off;
        hi = r.var.smax + off + size;
    }
    int err = 0;
    // Without CAP_PERFMON only what was written may be read.
    s64 lowest = t == access::write || e.req.perfmon ? -static_cast<s64>(max_bpf_stack)
                                                     : -static_cast<s64>(frame_of(e, r).stack.size() * slot_bytes);
    if (lo < lowest || lo > -1)
        err = EACCES;
    else if (hi > 0)
        err = EINVAL;
    else if (size < 0)
        err = EFAULT;
    if (err) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        if (r.var.is_const())
            verbose(e, "invalid%s stack R%d off=%d size=%d\n", what, regno, off, size);
        else
            verbose(e, "invalid variable-offset%s stack R%d var_off=%s off=%d size=%d\n", what, regno, text, off, size);
        return fail(err);
    }
    func_state &f = frame_of(e, r);
    TRY(f.grow(static_cast<u32>(-lo)));
    subprog_info &s = e.subs[f.subprog];
    s.stack_depth = max(s.stack_depth, static_cast<u32>(align_up(static_cast<u64>(-lo), slot_bytes)));
    note_stack_use(e, f.subprog, lo);
    return {};
}

// ---- loads ------------------------------------------------------------------------------------------------------------

namespace {

bool readable(const env &e, slot_kind k) {
    return k == slot_kind::misc || k == slot_kind::zero || (k == slot_kind::invalid && e.req.perfmon);
}

error unreadable(env &e, s32 off, s32 at, u32 size) {
    verbose(e, "invalid read from stack off %d+%d size %d\n", off, at, size);
    return fail(EACCES);
}

/// What bytes [off, off + size) that are no spill give.
void load_bytes(env &e, func_state &f, s32 off, u32 size, u32 value) {
    u32 zeros = 0;
    for (s32 i = off; i < off + static_cast<s32>(size); i++) {
        scratch_slot(e, f, slot_of(i));
        zeros += f.stack[slot_of(i)].kind[byte_of(i)] == slot_kind::zero;
    }
    if (zeros == size)
        e.reg(value).set_const(0);
    else
        e.reg(value).set_unknown();
}

/// Part of a spilled number, or a load that is not as wide as the spill.
status load_part(env &e, const func_state &f, s32 off, u32 size, u32 value) {
    const stack_slot &s = f.stack[slot_of(off)];
    u32 have = spill_size(s);
    reg_state &r = e.reg(value);
    // The spill starts at the slot's lowest byte; a load from there of no more bytes gets its low bytes.
    if (size <= have && off % static_cast<s32>(slot_bytes) == 0) {
        bool narrowing = size < 8 && s.spilled.var.umax >> (size * 8);
        r = s.spilled;
        if (narrowing)
            r.clear_id();
        return e.precision ? record_stack_access(e, f.frameno, slot_of(off)) : status();
    }
    u32 spilled = 0, zeros = 0;
    for (u32 i = 0; i < size; i++) {
        slot_kind k = s.kind[byte_of(off + static_cast<s32>(i))];
        if (k != slot_kind::spill && !readable(e, k))
            return unreadable(e, off, static_cast<s32>(i), size);
        spilled += k == slot_kind::spill;
        zeros += k == slot_kind::zero;
    }
    if (e.precision && spilled == size && s.spilled.is_null())
        TRY(record_stack_access(e, f.frameno, slot_of(off)));
    if ((spilled == size && s.spilled.is_null()) || zeros == size)
        r.set_const(0);
    else
        r.set_unknown();
    return {};
}

status load_fixed(env &e, func_state &f, s32 off, u32 size, s32 value) {
    u32 slot = slot_of(off);
    scratch_slot(e, f, slot);
    TRY(observe_read(e, f.frameno, slot, value >= 0));
    const stack_slot &s = f.stack[slot];
    if (!s.is_spill()) {
        for (s32 i = 0; i < static_cast<s32>(size); i++)
            if (!readable(e, s.kind[byte_of(off + i)]))
                return unreadable(e, off, i, size);
        if (value >= 0)
            load_bytes(e, f, off, size, static_cast<u32>(value));
        return {};
    }
    e.history++;
    if (size != slot_bytes || spill_size(s) != slot_bytes) {
        if (!s.spilled.is_scalar()) {
            print_line(e, e.insn, "; ");
            verbose(e, "invalid size of register fill\n");
            return fail(EACCES);
        }
        return value >= 0 ? load_part(e, f, off, size, static_cast<u32>(value)) : status();
    }
    if (value >= 0) {
        e.reg(static_cast<u32>(value)) = s.spilled;
    } else if (!e.req.perfmon && !s.spilled.is_scalar()) {
        verbose(e, "leaking pointer from stack off %d\n", off);
        return fail(EACCES);
    }
    return e.precision ? record_stack_access(e, f.frameno, slot) : status();
}

}  // namespace

status check_stack_load(env &e, u32 regno, s32 off, u32 size, s32 value) {
    const reg_state &r = e.reg(regno);
    func_state &f = frame_of(e, r);
    if (r.var.is_const())
        return load_fixed(e, f, off + static_cast<s32>(r.var.value()), size, value);
    if (value < 0) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e,
                "variable offset stack pointer cannot be passed into helper function; var_off=%s off=%d size=%d\n",
                text, off, size);
        return fail(EACCES);
    }
    s32 lo = static_cast<s32>(r.var.smin) + off, hi = static_cast<s32>(r.var.smax) + off + static_cast<s32>(size);
    TRY(check_stack_range(e, regno, off, static_cast<s32>(size), false, false, nullptr));
    for (s32 i = lo; i < hi; i++)
        TRY(observe_read(e, f.frameno, slot_of(i), true));
    load_bytes(e, f, lo, static_cast<u32>(hi - lo), static_cast<u32>(value));
    return {};
}

// ---- stores -----------------------------------------------------------------------------------------------------------

namespace {

/// `value` register or, below 0, the immediate of the store (ST), or anything (a helper's or an atomic's write).
bool stores_imm(const env &e) { return e.desc(e.insn).kind == insn_kind::store; }

/// A spill, from which precision is traced to what was spilled.
status note_spill(env &e, const func_state &f, u32 slot) {
    e.history++;
    return e.precision ? record_stack_access(e, f.frameno, slot) : status();
}

void spill_scalar(env &e, stack_slot &s, reg_state &r, u32 size) {
    bool whole = size == 8 || r.var.umax >> (size * 8) == 0;
    if (whole) { // the slot holds the register's value: tie them together
        if (r.id & id_add_const)
            r.clear_id();
        if (!r.id && !r.var.is_const())
            r.id = ++e.id_gen;
    }
    put_spill(s, r, size);
    if (!whole)
        s.spilled.clear_id();
}

status store_bytes(env &e, stack_slot &s, s32 off, u32 size, s32 value, bool imm_zero) {
    s.scrub();
    slot_kind k = slot_kind::misc;
    if (value >= 0 && e.reg(static_cast<u32>(value)).is_null()) {
        TRY(demand_reg(e, static_cast<u32>(value)));
        k = slot_kind::zero;
    } else if (imm_zero) {
        k = slot_kind::zero;
    }
    for (u32 i = 0; i < size; i++)
        s.kind[byte_of(off + static_cast<s32>(i))] = k;
    return {};
}

status store_fixed(env &e, func_state &f, s32 off, u32 size, s32 value) {
    u32 slot = slot_of(off);
    stack_slot &s = f.stack.edit(slot);
    scratch_slot(e, f, slot);
    if (size == slot_bytes)
        f.written_slots |= 1ull << slot;
    if (!e.req.perfmon && s.is_spill() && !s.spilled.is_scalar() && size != slot_bytes) {
        verbose(e, "attempt to corrupt spilled pointer on stack\n");
        return fail(EACCES);
    }
    guard_stack_store(e, s, byte_of(off), size, value >= 0 && spillable(e.reg(static_cast<u32>(value))));
    TRY(overwrite_dynptr(e, f, slot));
    TRY(observe_store(e, f.frameno, slot));
    bool imm = value < 0 && stores_imm(e), aligned = off % static_cast<s32>(slot_bytes) == 0;
    if (value < 0) {
        if (!imm || !aligned || !e.req.bpf)
            return store_bytes(e, s, off, size, -1, imm && e.insns[e.insn].imm == 0);
        reg_state r;
        r.set_const(static_cast<u64>(static_cast<s64>(e.insns[e.insn].imm)));
        put_spill(s, r, size);
        return note_spill(e, f, slot);
    }
    reg_state &r = e.reg(static_cast<u32>(value));
    if (r.is_scalar() && aligned && e.req.bpf) {
        spill_scalar(e, s, r, size);
        return note_spill(e, f, slot);
    }
    if (!spillable(r))
        return store_bytes(e, s, off, size, value, false);
    if (size != slot_bytes) {
        print_line(e, e.insn, "; ");
        verbose(e, "invalid size of register spill\n");
        return fail(EACCES);
    }
    if (f.frameno != e.cur->curframe && r.type == reg_type::stack) {
        verbose(e, "cannot spill pointers to stack into stack frame of the caller\n");
        return fail(EINVAL);
    }
    // What a callback is given may be gone when it has returned.
    if (f.frameno < callback_frame(*e.cur) && (r.base() == reg_type::map_key || r.base() == reg_type::dynptr)) {
        verbose(e, "cannot spill pointers to what a callback is given into stack frame of the caller\n");
        return fail(EINVAL);
    }
    put_spill(s, r, size);
    return note_spill(e, f, slot);
}

/// Somewhere in [lo, hi): each byte is what it was, or the value.
status store_variable(env &e, func_state &f, s32 lo, s32 hi, s32 value) {
    bool zero = value >= 0 ? e.reg(static_cast<u32>(value)).is_null() : stores_imm(e) && e.insns[e.insn].imm == 0;
    bool zero_used = false;
    for (s32 i = lo; i < hi; i++)
        TRY(overwrite_dynptr(e, f, slot_of(i)));
    for (s32 i = lo; i < hi; i++) {
        stack_slot &s = f.stack.edit(slot_of(i));
        scratch_slot(e, f, slot_of(i));
        TRY(observe_store(e, f.frameno, slot_of(i)));
        slot_kind &k = s.kind[byte_of(i)];
        if (!e.req.perfmon && k != slot_kind::misc && k != slot_kind::zero) { // the store may miss it, and what it holds would be forgotten
            verbose(e, "spilled ptr in range of var-offset stack write; insn %d, ptr off: %d", e.insn, i);
            return fail(EINVAL);
        }
        if (zero && k == slot_kind::spill && s.spilled.is_null()) {
            // Stays 0, if the spilled value is: that has to be sure.
            zero_used = true;
            TRY(demand_slot(e, f.frameno, slot_of(i)));
            continue;
        }
        bool stays_zero = zero && k == slot_kind::zero;
        zero_used |= stays_zero;
        s.scrub();
        k = stays_zero ? slot_kind::zero : slot_kind::misc;
    }
    if (zero_used && value >= 0)
        TRY(demand_reg(e, static_cast<u32>(value)));
    return {};
}

}  // namespace

status check_stack_store(env &e, u32 regno, s32 off, u32 size, s32 value) {
    const reg_state &r = e.reg(regno);
    func_state &f = frame_of(e, r);
    if (r.var.is_const())
        return store_fixed(e, f, off + static_cast<s32>(r.var.value()), size, value);
    return store_variable(e, f, static_cast<s32>(r.var.smin) + off,
                          static_cast<s32>(r.var.smax) + off + static_cast<s32>(size), value);
}

// ---- areas ------------------------------------------------------------------------------------------------------------

namespace {

bool area_byte_readable(const stack_slot &s, u32 byte) {
    slot_kind k = s.kind[byte];
    return k == slot_kind::misc || k == slot_kind::zero || (k == slot_kind::spill && s.spilled.is_scalar());
}

error area_unreadable(env &e, u32 regno, s32 lo, s32 at, s32 size, bool helper) {
    const reg_state &r = e.reg(regno);
    const char *what = helper ? " indirect" : "";
    char text[48];
    tnum_text(text, sizeof(text), r.var.bits);
    if (r.var.is_const())
        verbose(e, "invalid%s read from stack R%d off %d+%d size %d\n", what, regno, lo, at, size);
    else
        verbose(e, "invalid%s read from stack R%d var_off %s+%d size %d\n", what, regno, text, at, size);
    return fail(EACCES);
}

}  // namespace

status check_stack_range(env &e, u32 regno, s32 off, s32 size, bool zero_ok, bool helper, call_meta *meta) {
    const reg_state &r = e.reg(regno);
    if (size == 0 && !zero_ok) {
        verbose(e, "invalid zero-sized read\n");
        return fail(EACCES);
    }
    TRY(check_stack_bounds(e, regno, off, size, helper, helper ? access::write : access::read));
    func_state &f = frame_of(e, r);
    bool fixed = r.var.is_const();
    if (!fixed && e.req.guarded()) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e, "R%d%s variable offset stack access prohibited for !root, var_off=%s\n", regno,
                helper ? " indirect" : "", text);
        return fail(EACCES);
    }
    s32 lo = fixed ? static_cast<s32>(r.var.value()) + off : static_cast<s32>(r.var.smin) + off;
    s32 hi = (fixed ? lo : static_cast<s32>(r.var.smax) + off) + size;
    if (meta && meta->raw && fixed) {
        for (s32 i = lo; i < hi; i++)
            if (f.stack[slot_of(i)].kind[byte_of(i)] == slot_kind::dynptr) {
                verbose(e, "potential write to dynptr at off=%d disallowed\n", i);
                return fail(EACCES);
            }
        meta->raw_regno = regno;
        meta->raw_size = size;
        return {};
    }
    for (s32 i = lo; i < hi; i++) {
        const stack_slot &s = f.stack[slot_of(i)];
        if (s.is_object() || (!e.req.perfmon && !area_byte_readable(s, byte_of(i))))
            return area_unreadable(e, regno, lo, i - lo, size, helper);
        if (i == lo || slot_of(i) != slot_of(i - 1))
            TRY(observe_read(e, f.frameno, slot_of(i), false));
        if (!helper || (meta && meta->kept))
            continue;
        // The helper may write: nothing is known of these bytes afterwards.
        slot_kind k = s.kind[byte_of(i)];
        if (s.is_spill()) {
            stack_slot &w = f.stack.edit(slot_of(i));
            w.spilled.set_unknown();
            w.scrub_bytes();
        } else if (k == slot_kind::zero || k == slot_kind::invalid) {
            f.stack.edit(slot_of(i)).kind[byte_of(i)] = slot_kind::misc;
        }
    }
    return {};
}

result<bool> known_word(env &e, const reg_state &r, u32 *word) {
    if (r.type != reg_type::stack || !r.var.is_const())
        return false;
    func_state &f = frame_of(e, r);
    s32 at = r.off + static_cast<s32>(r.var.value());
    u32 slot = slot_of(at), zeros = 0, spilled = 0;
    if (slot_of(at + 3) != slot)
        return false;
    const stack_slot &s = f.stack[slot];
    for (s32 i = at; i < at + 4; i++) {
        zeros += s.kind[byte_of(i)] == slot_kind::zero;
        spilled += s.kind[byte_of(i)] == slot_kind::spill;
    }
    *word = 0;
    if (zeros == 4)
        return true; // and compared as such
    if (spilled != 4 || !s.is_scalar_spill() || !s.spilled.is_const())
        return false;
    u32 low = at % static_cast<s32>(slot_bytes) == 0;
    *word = static_cast<u32>(s.spilled.var.value() >> (low ? 0 : 32));
    TRY(demand_slot(e, f.frameno, slot));
    return true;
}

}  // namespace modbpf
