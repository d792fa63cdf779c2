// SPDX-License-Identifier: GPL-2.0-only
// Comparison of states: facts_cover() and state_covers() for pruning, state_identical() for the detection of endless loops. See marks.h.
#include "base/bits.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

void reset_ids(env &e) { e.id_map.clear(), e.id_map_fresh = e.id_gen; }

bool match_nonzero(env &e, u32 old_id, u32 cur_id) {
    for (const id_pair &p : e.id_map) {
        if (p.old_id == old_id)
            return p.cur_id == cur_id;
        if (p.cur_id == cur_id)
            return false;
    }
    if (e.id_map.size() == id_map_size)
        return false; // more references than ids fit: explore on
    bool room = e.id_map.push({old_id, cur_id}).ok();
    if (!room)
        e.frames.fail();
    return room;
}

/// Both are 0, or the old id stands for this current id and for no other, and the other way round.
inline bool match_ids(env &e, u32 old_id, u32 cur_id) {
    return old_id && cur_id ? match_nonzero(e, old_id, cur_id) : old_id == cur_id;
}

bool match_link(env &e, u32 old_id, u32 cur_id) {
    if (!cur_id)
        cur_id = ++e.id_map_fresh;
    if (!match_ids(e, old_id, cur_id))
        return false;
    if (!(old_id & id_add_const))
        return true;
    return match_ids(e, old_id & ~id_add_const, cur_id & ~id_add_const);
}

/// A link of the old state must hold in the current one; one that only the current state has does no harm.
inline bool match_scalar_ids(env &e, u32 old_id, u32 cur_id) { return !old_id || match_link(e, old_id, cur_id); }

bool scalar_covered(env &e, const reg_state &old, const reg_state &cur) {
    if (e.guards_vary) // another range may need another mask, or be refused
        return old.off == cur.off && scalar_equal(old.var, cur.var) && match_scalar_ids(e, old.id, cur.id);
    if ((old.id & id_add_const) != (cur.id & id_add_const) && old.id)
        return false;
    if ((old.id & id_add_const) && old.off != cur.off)
        return false;
    return match_scalar_ids(e, old.id, cur.id) && scalar_subset(cur.var, old.var);
}

inline bool same_value(const reg_state &a, const reg_state &b) {
    return a.type == b.type && a.frame == b.frame && a.off == b.off && (a.range == b.range || a.base() == reg_type::btf_ptr) && a.mem_size == b.mem_size &&
           a.map_ptr == b.map_ptr && a.dynptr == b.dynptr && a.first_slot == b.first_slot && a.iter == b.iter &&
           scalar_equal(a.var, b.var);
}

inline bool reg_identical(env &e, const reg_state &old, const reg_state &cur) {
    return same_value(old, cur) && match_ids(e, old.id, cur.id) && match_ids(e, old.ref_id, cur.ref_id) &&
           (old.base() != reg_type::btf_ptr || match_ids(e, old.holder_ref, cur.holder_ref));
}

bool region_covered(env &e, const reg_state &old, const reg_state &cur) {
    return old.off == cur.off && old.mem_size == cur.mem_size && scalar_subset(cur.var, old.var) && match_ids(e, old.id, cur.id) &&
           match_ids(e, old.ref_id, cur.ref_id);
}

/// Everything that was safe with `old` is safe with `cur`; the register is live, `precise`: and compared by value.
bool reg_covered(env &e, const reg_state &old, const reg_state &cur, bool precise) {
    if (old.type == reg_type::not_init)
        return true; // reading it was refused, so no explored path read it
    if (old.type != cur.type)
        return false;
    switch (old.base()) {
    case reg_type::scalar:
        return (!precise && !e.guards_vary) || scalar_covered(e, old, cur);
    case reg_type::arena:
        return true; // whatever it is, it may be loaded from
    case reg_type::map_key:
    case reg_type::map_value:
        return old.map_ptr == cur.map_ptr && (!old.found || cur.found) && region_covered(e, old, cur);
    case reg_type::mem:
        return match_ids(e, old.dynptr_id, cur.dynptr_id) && region_covered(e, old, cur);
    case reg_type::packet:
    case reg_type::packet_meta:
        if (old.range < 0 || cur.range < 0 ? old.range != cur.range : old.range > cur.range)
            return false;
        return old.off == cur.off && match_ids(e, old.id, cur.id) && scalar_subset(cur.var, old.var);
    default:
        return reg_identical(e, old, cur);
    }
}

constexpr u64 every_byte = 0x0101010101010101ull; ///< times a slot_kind: a slot of that kind

u64 kinds_of(const stack_slot &s) {
    static_assert(sizeof(s.kind) == sizeof(u64));
    u64 k;
    memcpy(&k, s.kind, sizeof(k));
    return k;
}
constexpr u64 all(slot_kind k) { return every_byte * static_cast<u64>(k); }
static_assert(static_cast<u32>(slot_kind::invalid) == 0); // a mask tells "misc or invalid"

/// The scalar that a full load of the slot gives, or null: then the slot is compared byte by byte.
const reg_state *slot_scalar(const env &e, const stack_slot &s, u64 kinds) {
    if (s.is_full_scalar_spill())
        return &s.spilled;
    bool misc = e.req.perfmon ? !(kinds & ~all(slot_kind::misc)) : kinds == all(slot_kind::misc);
    return misc ? &e.any_number : nullptr;
}

/// How many turns an iterator made does not matter.
bool object_covered(env &e, const reg_state &old, const reg_state &cur) {
    return old.type == cur.type && old.dynptr == cur.dynptr && old.first_slot == cur.first_slot && old.iter == cur.iter && old.types == cur.types &&
           old.btf_id == cur.btf_id && match_ids(e, old.id, cur.id) && match_ids(e, old.ref_id, cur.ref_id);
}

bool slot_covered(env &e, const stack_slot &old, const stack_slot &cur, bool precise) {
    u64 old_kinds = kinds_of(old), cur_kinds = kinds_of(cur);
    const reg_state *a = slot_scalar(e, old, old_kinds), *b = slot_scalar(e, cur, cur_kinds);
    if (a && b)
        return reg_covered(e, *a, *b, precise);
    for (u32 i = 0; i < slot_bytes && old_kinds != cur_kinds; i++) {
        if (old.kind[i] == slot_kind::invalid || (old.kind[i] == slot_kind::misc && e.req.perfmon))
            continue; // not read, or loads gave any number
        if (old.kind[i] == slot_kind::misc && cur.kind[i] == slot_kind::zero)
            continue;
        if (old.kind[i] != cur.kind[i])
            return false;
    }
    if (old.is_object())
        return object_covered(e, old.spilled, cur.spilled);
    return !old.is_spill() || reg_covered(e, old.spilled, cur.spilled, precise);
}

bool holds_ids(const stack_slot &s) {
    if (!s.is_spill() && !s.is_object())
        return false;
    const reg_state &r = s.spilled;
    return r.id || r.ref_id || (r.base() == reg_type::mem && r.dynptr_id) || (r.base() == reg_type::btf_ptr && r.holder_ref);
}

/// Both states have this very page, and no ids are to be matched in it.
bool same_page(const stack_page *old, const frame_stack &cur, u32 page) {
    if (page * page_slots >= cur.size() || old != cur.page(page))
        return false;
    if (old->ids == page_ids::unknown) {
        old->ids = page_ids::none;
        for (const stack_slot &s : old->slot)
            if (holds_ids(s))
                old->ids = page_ids::some;
    }
    return old->ids == page_ids::none;
}

constexpr u64 first_slots(u32 n) { return n < max_slots ? (1ull << n) - 1 : ~0ull; }

// A *demand* is what a frame of the old state asks of one of the current state. It has
//   old                       that frame
//   regs, slots               those that are compared
//   reg(e, r, cur)            does the frame meet what is asked of register r?
//   slot(e, old, s, cur)      the same of slot s, which is `old` there
//   page(p)                   the old page

/// A frame of a concluded checkpoint: by what the marks named.
struct facts_demand {
    const frame_facts &old;
    u16 regs() const { return old.kept_regs | old.any_number; }
    u64 slots() const { return old.live_slots & first_slots(old.slots); }
    const stack_page *page(u32 p) const { return old.pages[p]; }
    bool reg(env &e, u32 r, const func_state &cur) const {
        if (old.any_number & reg_bit(r))
            return cur.regs[r].is_scalar();
        u32 n = popcount(old.kept_regs & (reg_bit(r) - 1u));
        return reg_covered(e, old.regs[n], cur.regs[r], old.precise_regs & reg_bit(r));
    }
    bool slot(env &e, const stack_slot &was, u32 s, const stack_slot &now) const {
        return slot_covered(e, was, now, old.precise_slots >> s & 1);
    }
};

/// A frame of a whole state, of whose registers those in `live` may be read.
struct state_demand {
    const func_state &old;
    u16 live;
    u16 regs() const { return live & 0x3ff; }
    u64 slots() const { return first_slots(old.stack.size()); }
    const stack_page *page(u32 p) const { return old.stack.page(p); }
    bool reg(env &e, u32 r, const func_state &cur) const { return reg_covered(e, old.regs[r], cur.regs[r], true); }
    bool slot(env &e, const stack_slot &was, u32, const stack_slot &now) const { return slot_covered(e, was, now, true); }
};

template <class D> bool slot_met(env &e, const D &want, u32 s, const func_state &cur) {
    static constexpr stack_slot untouched;
    return want.slot(e, want.page(s / page_slots)->slot[s % page_slots], s, s < cur.stack.size() ? cur.stack[s] : untouched);
}

/// What is asked at one place, with no ids matched yet.
template <class D> bool met_at(env &e, const D &want, const func_state &cur, u8 at) {
    reset_ids(e);
    if (at < bpf_reg_count)
        return !(want.regs() & reg_bit(at)) || want.reg(e, at, cur);
    u32 s = at - bpf_reg_count;
    return !(want.slots() >> s & 1) || same_page(want.page(s / page_slots), cur.stack, s / page_slots) || slot_met(e, want, s, cur);
}

/// False: `d` tells where.
template <class D> bool frame_met(env &e, const D &want, const func_state &cur, difference &d) {
    if (want.old.callback_turns > cur.callback_turns)
        return false; // fewer turns were explored
    for (u32 left = want.regs(); left; left &= left - 1) {
        u32 r = static_cast<u32>(__builtin_ctz(left));
        d.at = static_cast<u8>(r);
        if (!want.reg(e, r, cur))
            return false;
    }
    u64 live = want.slots();
    while (live) {
        u32 s = static_cast<u32>(__builtin_ctzll(live)), p = s / page_slots;
        if (same_page(want.page(p), cur.stack, p)) {
            live &= ~(((1ull << page_slots) - 1) << p * page_slots);
            continue;
        }
        d.at = static_cast<u8>(bpf_reg_count + s);
        if (!slot_met(e, want, s, cur))
            return false;
        live &= live - 1;
    }
    d.at = difference::none;
    return true;
}

bool slot_identical(env &e, const stack_slot &old, const stack_slot &cur) {
    for (u32 i = 0; i < slot_bytes; i++)
        if (old.kind[i] != cur.kind[i])
            return false;
    return !(old.is_spill() || old.is_object()) || reg_identical(e, old.spilled, cur.spilled);
}

/// A frame that has to be the same. In the top one, as in Linux, registers have the very ids: a loop that gets a new id each time around is
/// left to the instruction limit.
struct identity {
    const func_state &old;
    bool top;
    u16 regs() const { return 0x7ff; }
    u64 slots() const { return first_slots(old.stack.size()); }
    const stack_page *page(u32 p) const { return old.stack.page(p); }
    bool reg(env &e, u32 r, const func_state &cur) const {
        const reg_state &a = old.regs[r], &b = cur.regs[r];
        return reg_identical(e, a, b) && !(top && (a.id != b.id || a.ref_id != b.ref_id));
    }
    bool slot(env &e, const stack_slot &was, u32, const stack_slot &now) const { return slot_identical(e, was, now); }
};
static_assert(bpf_reg_count == 11);

bool refs_match(env &e, span<const held_ref> old, span<const held_ref> cur) {
    if (old.size() != cur.size())
        return false;
    for (u32 i = 0; i < old.size(); i++)
        if (old[i].callback_frame != cur[i].callback_frame || !match_ids(e, old[i].id, cur[i].id))
            return false;
    return true;
}

bool modes_match(env &e, const path_modes &old, const path_modes &cur) {
    // What is safe on a real path is safe on a mispredicted one, but not the other way round.
    return (!old.speculative || cur.speculative) && old.rcu_locked == cur.rcu_locked && old.in_sleepable == cur.in_sleepable &&
           old.preempt_depth == cur.preempt_depth && old.lock_ptr == cur.lock_ptr && match_ids(e, old.lock_id, cur.lock_id);
}

/// The same calls are under way.
template <class F> bool same_call(const F &old, const func_state &cur) {
    return old.callsite == cur.callsite && old.subprog == cur.subprog && old.callback == cur.callback;
}

/// want(f): what is asked of frame f of the old state, which has `count` of them.
template <class W> bool frames_met(env &e, u32 count, const verifier_state &cur, difference &d, W &&want) {
    if (count != cur.curframe + 1)
        return false;
    if (d.at != difference::none && !met_at(e, want(d.frame), *cur.frame[d.frame], d.at))
        return false;
    reset_ids(e);
    for (u32 f = 0; f < count; f++) {
        auto asked = want(f);
        d = {static_cast<u8>(f), difference::none};
        if (!same_call(asked.old, *cur.frame[f]) || !frame_met(e, asked, *cur.frame[f], d))
            return false;
    }
    return true;
}

template <class W> bool compare(env &e, const verifier_state &old, const verifier_state &cur, difference &d, W &&want) {
    return frames_met(e, old.curframe + 1, cur, d, want) && refs_match(e, old.refs.view(), cur.refs.view()) && modes_match(e, old.modes, cur.modes);
}

}  // namespace

bool facts_cover(env &e, const state_facts &old, const verifier_state &cur, difference &d) {
    span<const frame_facts> frames = old.frames();
    return frames_met(e, static_cast<u32>(frames.size()), cur, d, [&](u32 f) { return facts_demand{frames[f]}; }) &&
           refs_match(e, old.refs(), cur.refs.view()) && modes_match(e, old.modes, cur.modes);
}

bool state_covers(env &e, const verifier_state &old, const verifier_state &cur, difference &d) {
    return compare(e, old, cur, d, [&](u32 f) { return state_demand{*old.frame[f], needed_regs(e, old, f, e.insn)}; });
}

bool state_identical(env &e, const verifier_state &old, const verifier_state &cur, difference &d) {
    for (u32 f = 0; f <= min(old.curframe, cur.curframe); f++)
        if (old.frame[f]->stack.size() != cur.frame[f]->stack.size())
            return false;
    return compare(e, old, cur, d, [&](u32 f) { return identity{*old.frame[f], f == old.curframe}; });
}

}  // namespace modbpf
