// SPDX-License-Identifier: GPL-2.0-only
// verify(): the stages in order, and what is reported whatever their outcome.
#include "verifier/btf_lists.h"
#include "verifier/btf_target.h"
#include "verifier/fastcall.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

status check_sleepable(env &e) {
    const prog_type_info &t = *e.req.type;
    bool sleeps = e.req.prog_flags & BPF_F_SLEEPABLE;
    if (t.sleeps == sleep_rule::must && !e.req.attach.extension) {
        if (sleeps)
            return {};
        verbose(e, "Syscall programs can only be sleepable\n");
        return fail(EINVAL);
    }
    if (!sleeps || (!e.req.attach.extension && t.sleeps == sleep_rule::may && in_attach_set(t.sleep_attach, e.req.expected_attach_type)))
        return {};
    verbose(e, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable\n");
    return fail(EINVAL);
}

/// The map types of the program that are there for verification only. What lies in a slot of a map is another object, which a program
/// that may sleep does not keep alive.
void note_absent_maps(env &e) {
    bool sleeps = (e.req.prog_flags & BPF_F_SLEEPABLE) || e.out->image.sleepable;
    for (const ref<map> &m : e.maps) {
        if (m->ops->verify_only)
            note_absent(e, "map type", m->ops->name);
        if (sleeps && (is_map_in_map(m->params.type) || m->params.type == BPF_MAP_TYPE_PROG_ARRAY))
            note_absent(e, "use by a sleepable program of map type", m->ops->name);
    }
}

bool stands_at_iterator(const env &e) {
    return e.req.type->type == BPF_PROG_TYPE_TRACING && e.req.expected_attach_type == BPF_TRACE_ITER && !e.req.attach.extension;
}

status run_stages(env &e) {
    TRY(e.insns.resize_zeroed(e.req.insns.size()));
    TRY(e.aux.resize_zeroed(e.req.insns.size()));
    memcpy(e.insns.data(), e.req.insns.data(), e.req.insns.size() * sizeof(bpf_insn));
    TRY(e.descs.reserve(e.req.insns.size()));
    for (u32 i = 0; i < e.count(); i++)
        decode_into(e.descs.append_new(), e.code(), i);
    TRY(find_subprogs(e));
    TRY(check_subprogs(e));
    TRY(bind_func_info(e));
    TRY(resolve_loads(e));
    TRY(check_cfg(e));
    find_fastcalls(e);
    TRY(check_sleepable(e));
    TRY(resolve_target(e));
    TRY(build_marks(e));
    TRY(explore(e));
    TRY(check_stack_depth(e));
    TRY(note_tail_calls(e));
    note_absent_maps(e);
    if (e.req.type->verify_only && !(e.req.type->runs_attach && in_attach_set(e.req.type->runs_attach, e.req.expected_attach_type)))
        note_absent(e, "program type", e.req.type->name);
    if (stands_at_iterator(e) && !iterator_runs(e.target.name))
        note_absent(e, "iterator", e.target.name);
    // Verified as code that does not sleep, it would run where nothing keeps what it uses.
    if (e.req.attach.extension && e.req.attach.prog->may_sleep)
        note_absent(e, "extension of", "a program that may sleep");
    TRY(fix_up(e));
    if (e.req.attach.extension && reaches_farther(*e.out, *e.req.attach.prog->made, e.req.type->type))
        note_absent(e, "extension that reaches farther than", "its program");
    return {};
}

void finish_result(env &e) {
    verified_program &p = *e.out;
    p.maps = move(e.maps);
    p.modules = move(e.used_modules);
    p.stack_depth = e.subs[0].stack_depth;
    p.stats = e.stats;
    p.stats.insns_processed = e.processed;
}

}  // namespace

bool reaches_farther(const verified_program &own, const verified_program &target, u32 type) {
    constexpr u64 by_size = bit(BPF_PROG_TYPE_TRACEPOINT) | bit(BPF_PROG_TYPE_RAW_TRACEPOINT) | bit(BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE);
    return ((by_size & bit(type)) && own.max_ctx_offset > target.max_ctx_offset) || own.max_record_access > target.max_record_access ||
           own.max_rdonly_access > target.max_rdonly_access || own.max_rdwr_access > target.max_rdwr_access;
}

void note_absent(env &e, const char *what, const char *name) {
    if (!e.out->absent[0])
        port_snprintf(e.out->absent, sizeof(e.out->absent), "%s %s", what, name);
}

status use_module(env &e, const btf &types) {
    port_module *m = types.module();
    for (const module_hold &h : e.used_modules)
        if (h.get() == m)
            return {};
    module_hold h;
    if (m && !h.take(m))
        return error(ENXIO);
    return m ? e.used_modules.push(move(h)) : status();
}

void tell_function(env &e, u32 value) {
    u32 &told = e.aux[e.insn].told;
    if (told && told != value + 1)
        note_absent(e, "call of a kernel function for", "several types");
    told = value + 1;
}

result<own<verified_program>> verify(const verify_request &req, verifier_log &log) {
    u64 begun = port_ktime_ns();
    if (MODBPF_BUG_ON(!req.type || !req.map_from_fd))
        return error(EFAULT);
    if (req.insns.empty() || req.insns.size() > max_insns_privileged)
        return error(E2BIG);
    own<verified_program> out(make<verified_program>(PORT_SLEEPING));
    own<verifier_env> e(make_scratch<verifier_env>(req, log));
    if (!out || !e)
        return error(ENOMEM);
    e->out = out.get();
    e->strict_alignment = (req.prog_flags & BPF_F_STRICT_ALIGNMENT) && !(req.prog_flags & BPF_F_ANY_ALIGNMENT);
    if (req.observer && req.observer->begun)
        req.observer->begun(req.observer->priv, req);
    status st = run_stages(*e);
    e->stats.time_ns = port_ktime_ns() - begun;
    print_stats(*e);
    if (!st)
        return st.err();
    if (out->absent[0] && !req.verify_only && !req.type->held) {
        verbose(*e, "%s is not supported by modbpf: the program is safe, but cannot run\n", out->absent);
        return error(ENOTSUPP);
    }
    out->attach_proto = e->target.proto;
    finish_result(*e);
    return out;
}

}  // namespace modbpf
