// SPDX-License-Identifier: GPL-2.0-only
// Open-coded iterators: a bpf_iter_<type> in the stack that _new makes, _next moves and _destroy ends. Its first slot holds a reference.
// _next gives elements and at last NULL, for ever: a path is forked for each. How loops over them converge is in loops.h.
#include "btf/format.h"
#include "verifier/dynptr.h"
#include "verifier/kfunc.h"
#include "verifier/loops.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

constexpr char iter_prefix[] = "bpf_iter_";
constexpr u32 prefix_len = sizeof(iter_prefix) - 1;

/// The iterator's type: what the parameter points to. 0: it is none.
u32 iter_type(const kfunc_call &c, u32 i, u32 *slots) {
    kfunc_param p = param_of(c, i);
    const char *name = p.target_id ? c.types().name(p.target_id) : nullptr;
    if (!p.target || p.target->kind() != btf_kind::structure || !name || strncmp(name, iter_prefix, prefix_len) || !name[prefix_len])
        return 0;
    *slots = p.target->size_or_type / slot_bytes;
    return *slots && p.target->size_or_type % slot_bytes == 0 && *slots <= max_slots ? p.target_id : 0;
}

const char *short_name(const kfunc_call &c, u32 type) { return c.types().name(type) + prefix_len; }

bool holds_iter(const stack_slot &s) { return s.kind[0] == slot_kind::iter; }

status make_iter(env &e, u32 regno, const kfunc_call &c, u32 type, u32 slots) {
    const reg_state &r = e.reg(regno);
    auto at = object_slot(e, r, "iter", slots);
    bool free = at.ok();
    func_state &f = *e.cur->frame[r.frame];
    for (u32 i = 0; free && at.value() >= 0 && i < slots; i++)
        free = !holds_iter(f.stack[static_cast<u32>(at.value()) - i]);
    if (!free) {
        verbose(e, "expected uninitialized iter_%s as arg #%d\n", short_name(c, type), regno - 1);
        return fail(EINVAL);
    }
    for (u32 i = 0; i < slots; i++)
        TRY(check_mem(e, regno, static_cast<s32>(i * slot_bytes), slot_bytes, access::write, -1, false, false));
    s32 slot = TRY(object_slot(e, r, "iter", slots));
    if (MODBPF_BUG_ON(slot < 0))
        return error(EFAULT);
    u32 ref = TRY(acquire_ref(e));
    reg_type base = reg_type::stack;
    if (c.is(kf_rcu_protected))
        base = base | (in_rcu_section(e) ? type_flag::rcu : type_flag::untrusted);
    for (u32 i = 0; i < slots; i++) {
        stack_slot &s = f.stack.edit(static_cast<u32>(slot) - i);
        s.spilled.set_pointer(base);
        s.spilled.ref_id = i ? 0 : ref;
        s.spilled.types = &c.types(), s.spilled.btf_id = type;
        s.spilled.iter = iter_state::active, s.spilled.iter_depth = 0;
        f.written_slots |= 1ull << (static_cast<u32>(slot) - i);
        for (auto &k : s.kind)
            k = slot_kind::iter;
        if (f.frameno == e.cur->curframe)
            e.scratch_slot(static_cast<u32>(slot) - i);
    }
    return {};
}

/// -> EINVAL: not initialised; EPROTO: its RCU section was left.
result<u32> initialised_slot(env &e, const reg_state &r, const kfunc_call &c, u32 type, u32 slots) {
    auto at = object_slot(e, r, "iter", slots);
    if (!at.ok() || at.value() < 0)
        return error(EINVAL);
    u32 slot = static_cast<u32>(at.value());
    func_state &f = *e.cur->frame[r.frame];
    for (u32 i = 0; i < slots; i++) {
        const stack_slot &s = f.stack[slot - i];
        if (has(s.spilled.type, type_flag::untrusted) && holds_iter(s))
            return error(EPROTO);
        if (!holds_iter(s) || (i == 0) != (s.spilled.ref_id != 0) || s.spilled.types != &c.types() || s.spilled.btf_id != type)
            return error(EINVAL);
    }
    return slot;
}

}  // namespace

status check_iter_arg(env &e, u32 regno, kfunc_call &c) {
    const reg_state &r = e.reg(regno);
    if (r.type != reg_type::stack) {
        verbose(e, "arg#%d expected pointer to an iterator on stack\n", regno - 1);
        return fail(EINVAL);
    }
    u32 slots = 0, type = iter_type(c, regno - 1, &slots);
    if (!type) {
        verbose(e, "expected valid iter pointer as arg #%d\n", regno - 1);
        return fail(EINVAL);
    }
    if (c.is(kf_iter_new))
        return make_iter(e, regno, c, type, slots);
    auto found = initialised_slot(e, r, c, type, slots);
    if (!found.ok()) {
        if (found.err().code() == EPROTO)
            verbose(e, "expected an RCU CS when using %s\n", c.fn->name);
        else
            verbose(e, "expected an initialized iter_%s as arg #%d\n", short_name(c, type), regno - 1);
        return found.err();
    }
    TRY(observe_object(e, r, found.value(), slots));
    func_state &f = *e.cur->frame[r.frame];
    for (u32 i = 0; i < slots && f.frameno == e.cur->curframe; i++)
        e.scratch_slot(found.value() - i);
    c.iter_frame = r.frame, c.iter_slot = found.value();
    c.ref_id = f.stack[c.iter_slot].spilled.ref_id;
    // The element before is the iterator's own reference: this step gives it back.
    distrust_held(e, c.ref_id);
    if (!c.is(kf_iter_destroy))
        return {};
    clear_object(e, f, c.iter_slot, slots);
    return release_ref(e, c.ref_id);
}

status fork_iter_next(env &e, const kfunc_call &c) {
    frame_stack &stack = e.cur->frame[c.iter_frame]->stack;
    if (stack[c.iter_slot].spilled.iter == iter_state::active) {
        if (MODBPF_BUG_ON(!e.cur->parent || e.cur->parent->insn != e.insn))
            return error(EFAULT); // each visit of the call makes a checkpoint
        const verifier_state *previous = previous_turn(e, e.insn);
        verifier_state *element = TRY(push_path(e, e.insn + 1, e.insn));
        element->frame[c.iter_frame]->stack.edit(c.iter_slot).spilled.iter_depth++;
        TRY(settle_marks(e));
        if (previous && same_iterator(*previous, *e.cur, c.iter_frame, c.iter_slot))
            widen(e, *previous, *element);
        mark_not_null(element->cur().regs[BPF_REG_0]);
    }
    stack.edit(c.iter_slot).spilled.iter = iter_state::drained;
    e.reg(BPF_REG_0).set_const(0);
    e.scratch_reg(BPF_REG_0);
    return {};
}

}  // namespace modbpf
