// SPDX-License-Identifier: GPL-2.0-only
#include "prog/hooks.h"

namespace modbpf {

u64 program_hooks::count() const {
    u64 sum = 0;
    for (u32 cpu = 0; cpu < port_cpu_count(); cpu++)
        sum += __atomic_load_n(static_cast<u64 *>(port_percpu_ptr(inside, cpu)), __ATOMIC_ACQUIRE);
    return sum;
}

status make_hooks(program *p) {
    mutex_guard g(p->hooks_lock);
    if (p->hooks)
        return {};
    code &c = p->verified->image;
    own<program_hooks> h(make<program_hooks>(PORT_SLEEPING));
    if (!h)
        return error(ENOMEM);
    TRY(h->at.resize_zeroed(c.subprogs.size()));
    h->inside = static_cast<u64 *>(port_percpu_alloc(sizeof(u64), alignof(u64), PORT_SLEEPING));
    if (!h->inside)
        return error(ENOMEM);
    jit_options options;
    options.hooks = h->at.data();
    options.blind = p->blinded;
    h->image = TRY(jit_compile(c, options));
    // The hooks before the entries: whoever reads an entry of the second image finds them (hooked_run).
    __atomic_store_n(&c.hooks, h->at.data(), __ATOMIC_RELEASE);
    program_hooks *made = h.get();
    p->hooks = move(h);
    __atomic_store_n(&p->published_hooks, made, __ATOMIC_RELEASE);
    __atomic_store_n(&p->entry, made->image.entry(), __ATOMIC_RELEASE);
    __atomic_store_n(&p->tail_entry, made->image.tail_entry(), __ATOMIC_RELEASE);
    return {};
}

s32 subprog_of(const program &p, u32 btf_id) {
    const verified_program &v = *p.verified;
    const vec<code_subprog> &subs = v.image.subprogs;
    for (const func_info &f : v.funcs)
        for (u32 s = 0; f.type_id == btf_id && s < subs.size(); s++)
            if (subs[s].start == f.insn_off)
                return static_cast<s32>(s);
    return -1;
}

hooked_run::hooked_run(const program *p) : hooks_(__atomic_load_n(&p->published_hooks, __ATOMIC_ACQUIRE)) {
    if (!hooks_)
        return;
    here_ = static_cast<u64 *>(port_percpu_ptr(hooks_->inside, port_cpu_id()));
    // Before the hook is read, as far as whoever changes it and then counts can tell.
    __atomic_fetch_add(here_, 1, __ATOMIC_SEQ_CST);
}

hooked_run::~hooked_run() {
    if (!here_)
        return;
    // Read first: once it is counted out the program may go.
    port_work *waiting = __atomic_load_n(&hooks_->waiting, __ATOMIC_ACQUIRE);
    __atomic_fetch_sub(here_, 1, __ATOMIC_SEQ_CST);
    if (waiting)
        port_work_queue(waiting);
}

namespace {
constexpr u64 one_array = 1, one_extension = u64{1} << 32;
constexpr u64 in_arrays = one_extension - 1;

/// Adds unless one of `unless` is set.
status add_use(program *p, u64 what, u64 unless) {
    u64 now = __atomic_load_n(&p->uses, __ATOMIC_RELAXED);
    do {
        if (now & unless)
            return error(EBUSY);
    } while (!__atomic_compare_exchange_n(&p->uses, &now, now + what, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return {};
}
}  // namespace

status enter_prog_array(program *p) { return add_use(p, one_array, ~in_arrays); }
void leave_prog_array(program *p) { __atomic_fetch_sub(&p->uses, one_array, __ATOMIC_ACQ_REL); }
status begin_extension(program *p) { return add_use(p, one_extension, in_arrays); }
void end_extension(program *p) { __atomic_fetch_sub(&p->uses, one_extension, __ATOMIC_ACQ_REL); }

}  // namespace modbpf
