// SPDX-License-Identifier: GPL-2.0-only
// Links of programs at functions: of the kernel, and of other programs. The order of checks is Linux 6.12's (bpf_tracing_prog_attach).
#include "attach/link.h"
#include "prog/attach_target.h"

namespace modbpf {

namespace {

/// Where an attachment goes.
struct place {
    ref<program> target; ///< null: the function of the kernel that the program was loaded for
    u32 btf_id = 0;
};

/// An extension at another function than it was verified for.
status check_fit(const program &p, const program &target, u32 btf_id) {
    if (p.target_type != target.type->type || p.target_attach_type != target.expected_attach_type)
        return error(EINVAL);
    target_program seen = seen_by_verifier(target);
    if ((seen.may_sleep && target.runs()) || reaches_farther(*p.verified, *target.verified, target.type->type))
        return error(ENOTSUPP);
    verify_request req{};
    req.type = target.type;
    req.expected_attach_type = target.expected_attach_type;
    req.types = p.types.get();
    req.funcs = p.verified->funcs.view();
    req.attach = {.btf_id = btf_id, .prog = &seen, .extension = true};
    return check_new_target(req, p.verified->func_flags.view());
}

/// Under the program's target_lock.
result<place> find_place(program &p, const tracing_request &r) {
    if (!r.target_fd != !r.target_btf_id)
        return error(EINVAL);
    place at{p.attach_prog, p.attach_btf_id};
    if (!r.target_fd) {
        if (!at.target && !p.attach_types) // it stood at a program before, which it does not know any more
            return error(EINVAL);
        return at;
    }
    if (p.type->type != BPF_PROG_TYPE_EXT)
        return error(EINVAL);
    at = {TRY(prog_from_fd(static_cast<int>(r.target_fd))), r.target_btf_id};
    if (at.target.get() != p.attach_prog.get() || at.btf_id != p.attach_btf_id)
        TRY(check_fit(p, *at.target, at.btf_id));
    return at;
}

status attach(bpf_link &l, const tracing_request &r) {
    program &p = *l.prog;
    mutex_guard g(p.target_lock);
    place at = TRY(find_place(p, r));
    l.cookie = r.cookie;
    l.target = at.target;
    l.target_btf_id = at.btf_id;
    l.target_types = at.target ? at.target->id : p.attach_types->id;
    l.traces = at.target ? TRY(trampoline_attach_to(l.prog, at.target, at.btf_id, r.cookie)) : TRY(trampoline_attach(l.prog, r.cookie));
    p.attach_prog = {}; // the link keeps it; without one it may go
    return {};
}

}  // namespace

long tracing_link_create(ref<program> p, const tracing_request &r) {
    result<ref<bpf_link>> made = link_make(BPF_LINK_TYPE_TRACING, move(p));
    if (!made)
        return made.code();
    ref<bpf_link> l = move(*made);
    status attached = attach(*l, r);
    return attached.ok() ? link_settle(move(l)) : attached.code();
}

}  // namespace modbpf
