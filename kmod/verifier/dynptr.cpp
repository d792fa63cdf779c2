// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/dynptr.h"

#include "verifier/func_args.h"
#include "verifier/kfunc.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

constexpr struct {
    dynptr_kind kind;
    type_flag flag;
    const char *name;
    bool counted; ///< holds a reference
} kinds[] = {
    {dynptr_kind::local, type_flag::dynptr_local, "local", false},
    {dynptr_kind::given, type_flag::dynptr_local, "local", false}, // as Linux has it; the flag means the row above
    {dynptr_kind::ringbuf, type_flag::dynptr_ringbuf, "ringbuf", true},
    {dynptr_kind::skb, type_flag::dynptr_skb, "skb", false},
    {dynptr_kind::xdp, type_flag::dynptr_xdp, "xdp", false},
};

/// What makes dynptrs of packets.
constexpr struct packet_maker {
    dynptr_kind kind;
    kfunc_effect effect;
    const char *name;
} packet_makers[] = {
    {dynptr_kind::skb, kfunc_effect::dynptr_from_skb, "bpf_dynptr_from_skb"},
    {dynptr_kind::xdp, kfunc_effect::dynptr_from_xdp, "bpf_dynptr_from_xdp"},
};

bool is_counted(dynptr_kind k) {
    for (const auto &row : kinds)
        if (row.kind == k)
            return row.counted;
    return false;
}

func_state &frame_of(env &e, const reg_state &r) { return *e.cur->frame[r.frame]; }

void scratch(env &e, const func_state &f, u32 slot) {
    if (f.frameno == e.cur->curframe)
        e.scratch_slot(slot);
}

bool is_dynptr_slot(const stack_slot &s) { return s.kind[0] == slot_kind::dynptr; }

/// The slot of an initialised dynptr, or -1.
s32 initialised_slot(env &e, const reg_state &r) {
    auto at = object_slot(e, r, "dynptr", dynptr_slots);
    if (!at.ok() || at.value() < 0)
        return -1;
    u32 slot = static_cast<u32>(at.value());
    func_state &f = frame_of(e, r);
    bool whole = is_dynptr_slot(f.stack[slot]) && is_dynptr_slot(f.stack[slot - 1]) && f.stack[slot].spilled.first_slot;
    return whole ? static_cast<s32>(slot) : -1;
}

/// What the register or the slots that it points to say. It is initialised.
const reg_state &description(env &e, const reg_state &r) {
    if (r.type == reg_type::dynptr)
        return r;
    return frame_of(e, r).stack[static_cast<u32>(-(r.off + static_cast<s32>(r.var.value())) - 1) / slot_bytes].spilled;
}

/// `ref`: the reference that it shares, or 0.
status make_dynptr(env &e, u32 regno, dynptr_kind kind, u32 ref) {
    const reg_state &r = e.reg(regno);
    for (s32 off = 0; off < static_cast<s32>(dynptr_slots * slot_bytes); off += slot_bytes)
        TRY(check_mem(e, regno, off, slot_bytes, access::write, -1, false, false));
    s32 at = TRY(object_slot(e, r, "dynptr", dynptr_slots));
    if (MODBPF_BUG_ON(at < 1 || kind == dynptr_kind::none))
        return error(EFAULT);
    func_state &f = frame_of(e, r);
    u32 id = ++e.id_gen;
    if (is_counted(kind) && !ref)
        ref = TRY(acquire_ref(e));
    for (u32 i = 0; i < dynptr_slots; i++) {
        stack_slot &s = f.stack.edit(static_cast<u32>(at) - i);
        s.spilled.set_pointer(reg_type::dynptr);
        s.spilled.dynptr = kind, s.spilled.first_slot = i == 0;
        s.spilled.id = id, s.spilled.ref_id = ref;
        f.written_slots |= 1ull << (static_cast<u32>(at) - i);
        for (auto &k : s.kind)
            k = slot_kind::dynptr;
        scratch(e, f, static_cast<u32>(at) - i);
    }
    return {};
}

}  // namespace

const char *dynptr_name(dynptr_kind k) {
    for (const auto &row : kinds)
        if (row.kind == k)
            return row.name;
    return "<invalid>";
}

type_flag dynptr_flag(dynptr_kind k) {
    for (const auto &row : kinds)
        if (row.kind == k)
            return row.flag;
    return type_flag::none;
}

dynptr_kind dynptr_kind_of(type_flag f) {
    for (const auto &row : kinds)
        if ((f & row.flag) != type_flag::none)
            return row.kind;
    return dynptr_kind::none;
}

void set_const_dynptr(env &e, reg_state &r, dynptr_kind k) {
    r.set_pointer(reg_type::dynptr);
    r.dynptr = k, r.first_slot = true;
    r.id = ++e.id_gen;
}

result<s32> object_slot(env &e, const reg_state &r, const char *what, u32 slots) {
    if (!r.var.is_const()) {
        verbose(e, "%s has to be at a constant offset\n", what);
        return fail(EINVAL);
    }
    s32 off = static_cast<s32>(r.off + static_cast<s64>(r.var.value()));
    s32 slot = (-off - 1) / static_cast<s32>(slot_bytes);
    if (off >= 0 || off % static_cast<s32>(slot_bytes) || slot + 1 < static_cast<s32>(slots)) {
        verbose(e, "cannot pass in %s at an offset=%d\n", what, off);
        return fail(EINVAL);
    }
    return static_cast<u32>(slot) < frame_of(e, r).stack.size() ? slot : -1;
}

bool has_packet_dynptrs(const env &e, dynptr_kind k) {
    for (const packet_maker &m : packet_makers) {
        if (m.kind != k)
            continue;
        for (const kfunc_desc &f : e.kfuncs)
            if (f.row && f.row->effect == m.effect)
                return true;
        return extension_gets_dynptr(e) && find_kfunc("vmlinux", m.name, e.req.type->type, e.req.expected_attach_type);
    }
    return false;
}

bool write_moves_packet(const env &e, const dynptr_facts &d) {
    return d.kind == dynptr_kind::given ? has_packet_dynptrs(e, dynptr_kind::skb) : d.kind == dynptr_kind::skb;
}

dynptr_kind owner_of(const env &e, const dynptr_facts &d) {
    if (d.kind != dynptr_kind::given)
        return d.kind;
    for (const packet_maker &m : packet_makers)
        if (has_packet_dynptrs(e, m.kind))
            return m.kind;
    return dynptr_kind::local;
}

status observe_object(env &e, const reg_state &r, u32 slot, u32 slots) {
    for (u32 i = 0; i < slots; i++)
        TRY(observe_read(e, r.frame, slot - i, false));
    return {};
}

void clear_object(env &e, func_state &f, u32 slot, u32 slots) {
    for (u32 i = 0; i < slots; i++) {
        stack_slot &s = f.stack.edit(slot - i);
        s.spilled.set_not_init();
        for (auto &k : s.kind)
            k = slot_kind::invalid;
        scratch(e, f, slot - i);
    }
}

status overwrite_dynptr(env &e, func_state &f, u32 slot) {
    if (!is_dynptr_slot(f.stack[slot]))
        return {};
    if (!f.stack[slot].spilled.first_slot)
        slot++;
    const reg_state d = f.stack[slot].spilled;
    if (is_counted(d.dynptr)) {
        verbose(e, "cannot overwrite referenced dynptr\n");
        return fail(EINVAL);
    }
    clear_object(e, f, slot, dynptr_slots);
    auto is_slice = [&](const reg_state &r) {
        return (r.type == reg_type::mem || r.type == reg_type::mem_or_null) && r.dynptr_id && r.dynptr_id == d.id;
    };
    e.cur->for_each_reg(is_slice, [&](reg_state &r) { forget_pointer(e, r); });
    return {};
}

status check_dynptr_arg(env &e, u32 regno, arg_type t, const dynptr_facts *original, dynptr_facts *facts) {
    const reg_state &r = e.reg(regno);
    if (r.type != reg_type::stack && r.type != reg_type::dynptr) {
        verbose(e, "arg#%d expected pointer to stack or const struct bpf_dynptr\n", regno - 1);
        return fail(EINVAL);
    }
    if (has(t, type_flag::uninit)) {
        if (r.type == reg_type::dynptr || !object_slot(e, r, "dynptr", dynptr_slots).ok()) {
            verbose(e, "Dynptr has to be an uninitialized dynptr\n");
            return fail(EINVAL);
        }
        return original ? make_dynptr(e, regno, original->kind, original->ref_id) : make_dynptr(e, regno, dynptr_kind_of(flags_of(t)), 0);
    }
    if (r.type == reg_type::dynptr && !has(t, type_flag::rdonly)) {
        verbose(e, "cannot pass pointer to const bpf_dynptr, the helper mutates it\n");
        return fail(EINVAL);
    }
    s32 slot = r.type == reg_type::dynptr ? 0 : initialised_slot(e, r);
    if (slot < 0) {
        verbose(e, "Expected an initialized dynptr as arg #%d\n", regno - 1);
        return fail(EINVAL);
    }
    const reg_state &d = description(e, r);
    dynptr_kind want = dynptr_kind_of(flags_of(t));
    if (want != dynptr_kind::none && dynptr_flag(d.dynptr) != dynptr_flag(want)) {
        verbose(e, "Expected a dynptr of type %s as arg #%d\n", dynptr_name(want), regno - 1);
        return fail(EINVAL);
    }
    if (facts)
        *facts = {d.dynptr, d.id, d.ref_id};
    return r.type == reg_type::dynptr ? status() : observe_object(e, r, static_cast<u32>(slot), dynptr_slots);
}

status check_helper_dynptr(env &e, u32 regno, arg_type t, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    if (r.type != reg_type::stack && r.type != reg_type::dynptr) {
        verbose(e, "R%d type=%s expected=fp, dynptr_ptr\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
    if (r.type == reg_type::dynptr)
        TRY(check_ptr_off(e, r, regno));
    if (has(t, type_flag::release)) {
        if (r.type == reg_type::dynptr) {
            verbose(e, "cannot release unowned const bpf_dynptr\n");
            return fail(EINVAL);
        }
        auto at = object_slot(e, r, "dynptr", dynptr_slots);
        if (!at.ok() || at.value() < 0 || !frame_of(e, r).stack[static_cast<u32>(at.value())].spilled.ref_id) {
            verbose(e, "arg %d is an unacquired reference\n", regno);
            return fail(EINVAL);
        }
        meta.release_regno = regno;
    }
    return check_dynptr_arg(e, regno, t, nullptr, &meta.dynptr);
}

status release_dynptr(env &e, u32 regno) {
    const reg_state &r = e.reg(regno);
    s32 slot = initialised_slot(e, r);
    if (MODBPF_BUG_ON(slot < 0))
        return error(EFAULT);
    func_state &f = frame_of(e, r);
    u32 ref = f.stack[static_cast<u32>(slot)].spilled.ref_id;
    if (!ref) {
        clear_object(e, f, static_cast<u32>(slot), dynptr_slots);
        return {};
    }
    TRY(release_ref(e, ref));
    for (u32 n = 0; n <= e.cur->curframe; n++) { // clones, wherever they are
        func_state &g = *e.cur->frame[n];
        for (u32 s = 1; s < g.stack.size(); s++)
            if (is_dynptr_slot(g.stack[s]) && g.stack[s].spilled.first_slot && g.stack[s].spilled.ref_id == ref)
                clear_object(e, g, s, dynptr_slots);
    }
    return {};
}

}  // namespace modbpf
