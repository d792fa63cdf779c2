// SPDX-License-Identifier: GPL-2.0-only
// See btf_target.h.
#include "verifier/btf_target.h"

#include "btf/format.h"
#include "verifier/btf_lists.h"
#include "verifier/btf_match.h"

namespace modbpf {

namespace {

constexpr u32 max_func_args = 12; // MAX_BPF_FUNC_ARGS

bool is_kind(const btf_type *t, btf_kind k) { return t && t->kind() == k; }
u32 prog_type_of(const env &e) { return e.req.attach.extension ? u32{BPF_PROG_TYPE_EXT} : e.req.type->type; }

/// Index of the target's function with that type id, or -1.
s32 find_target_func(const target_program &p, u32 id) {
    for (u32 i = 0; i < p.funcs.size(); i++)
        if (p.funcs[i].type_id == id)
            return static_cast<s32>(i);
    return -1;
}

status check_extension(env &e, const target_program &p, u32 func) {
    if (p.func_flags[func] & func_unreliable) {
        verbose(e, "Cannot replace static functions\n");
        return fail(EINVAL);
    }
    bool changes = false;
    for (const subprog_info &s : e.subs)
        changes |= s.changes_pkt_data;
    if (changes && !(p.func_flags[func] & func_changes_packet)) {
        verbose(e, "Extension program changes packet data, while original does not\n");
        return fail(EINVAL);
    }
    return {};
}

/// The rules of standing at another program. -> that its function's types hold.
result<bool> check_target_program(env &e, const target_program &p, const char *func_name) {
    s32 found = find_target_func(p, e.req.attach.btf_id);
    bool extension = e.req.attach.extension;
    if (found < 0) {
        verbose(e, "Subprog %s doesn't exist\n", func_name);
        return fail(EINVAL);
    }
    u32 func = static_cast<u32>(found);
    if (p.func_flags[func] & func_exception_cb) {
        verbose(e, "%s programs cannot attach to exception callback\n", extension ? "Extension" : "FENTRY/FEXIT");
        return fail(EINVAL);
    }
    if (extension)
        TRY(check_extension(e, p, func));
    if (prog_type_of(e) == BPF_PROG_TYPE_TRACING) {
        if (p.traces_tracer) {
            verbose(e, "Cannot nest tracing program attach more than once\n");
            return fail(EINVAL);
        }
    } else if (p.type == prog_type_of(e)) {
        verbose(e, "Cannot recursively attach\n");
        return fail(EINVAL);
    }
    if (p.type == BPF_PROG_TYPE_TRACING && extension &&
        (p.attach_type == BPF_TRACE_FENTRY || p.attach_type == BPF_TRACE_FEXIT)) {
        verbose(e, "Cannot extend fentry/fexit\n");
        return fail(EINVAL);
    }
    return !(p.func_flags[func] & func_untyped);
}

/// Can a trampoline pass the prototype on? -> size of the result.
result<u32> check_prototype(env &e, const btf &types, const btf_type *proto, const char *name) {
    const auto *args = types.tail<btf_param>(proto);
    const btf_type *t;
    u32 size, ret_size;
    if (proto->vlen() > max_func_args) {
        verbose(e, "The function %s has %d arguments. Too many.\n", name, proto->vlen());
        return fail(EINVAL);
    }
    if (!passed_size(types, proto->size_or_type, &ret_size, &t) || (t && t->is_composite())) {
        verbose(e, "The function %s return type %s is unsupported.\n", name, kind_text(t));
        return fail(EINVAL);
    }
    for (u32 i = 0; i < proto->vlen(); i++) {
        if (i == proto->vlen() - 1 && !args[i].type) {
            verbose(e, "The function %s with variable args is unsupported.\n", name);
            return fail(EINVAL);
        }
        if (!passed_size(types, args[i].type, &size, &t) || size > 16) {
            verbose(e, "The function %s arg%d type %s is unsupported.\n", name, i, kind_text(t));
            return fail(EINVAL);
        }
        if (!size) {
            verbose(e, "The function %s has malformed void argument.\n", name);
            return fail(EINVAL);
        }
    }
    return ret_size;
}

/// A raw tracepoint: typedef btf_trace_<name> of a pointer to its prototype.
status resolve_tracepoint(env &e, const btf_type *t) {
    constexpr const char *prefix = "btf_trace_";
    attach_info &a = e.target;
    if (e.req.attach.prog) {
        verbose(e, "Only FENTRY/FEXIT progs are attachable to another BPF prog\n");
        return fail(EINVAL);
    }
    if (!is_kind(t, btf_kind::typedef_)) {
        verbose(e, "attach_btf_id %u is not a typedef\n", a.id);
        return fail(EINVAL);
    }
    if (strncmp(a.name, prefix, strlen(prefix))) {
        verbose(e, "attach_btf_id %u points to wrong type name %s\n", a.id, a.name);
        return fail(EINVAL);
    }
    a.name += strlen(prefix);
    t = a.types->type(t->size_or_type);
    if (!is_kind(t, btf_kind::pointer))
        return fail(EINVAL);
    t = a.types->type(t->size_or_type);
    if (!is_kind(t, btf_kind::func_proto) || !t->vlen())
        return fail(EINVAL);
    a.proto = t, a.skip_first = true;
    return {};
}

/// What may stand at iterators: "bpf_iter_<target>" of a target that Linux registers.
status resolve_iterator(env &e, const btf_type *t) {
    attach_info &a = e.target;
    if (!is_kind(t, btf_kind::func)) {
        verbose(e, "attach_btf_id %u is not a function\n", a.id);
        return fail(EINVAL);
    }
    t = a.types->type(t->size_or_type);
    if (!is_kind(t, btf_kind::func_proto))
        return fail(EINVAL);
    TRY(check_prototype(e, *a.types, t, a.name));
    a.proto = t;
    return is_iterator_target(a.name) ? status() : status(fail(EINVAL));
}

bool is_kernels_own(const btf &types) { return types.kernel && !types.is_module(); }

/// From here on the program holds the module that the function is in.
status hold_function(env &e) {
    const btf &types = *e.target.types;
    status held = use_module(e, types);
    if (!held.ok() && held.err().code() != ENXIO)
        return held;
    if (held.ok() && (!types.module() || port_module_has(types.module(), e.target.name)))
        return {};
    verbose(e, "The address of function %s cannot be found\n", e.target.name);
    return fail(ENOENT);
}

status check_func_sleepable(env &e) {
    bool ok = e.req.type->type == BPF_PROG_TYPE_LSM ? is_sleepable_lsm_hook(e.target.name)
                                                    : is_kernels_own(*e.target.types) && is_sleepable_test_function(e.target.name);
    if (ok)
        return {};
    verbose(e, "%s is not sleepable\n", e.target.name);
    return fail(EINVAL);
}

status check_modify_return(env &e) {
    if (e.req.attach.prog) {
        verbose(e, "can't modify return codes of BPF programs\n");
        return fail(EINVAL);
    }
    constexpr const char *hooks = "security_";
    if (!strncmp(e.target.name, hooks, strlen(hooks)) || is_modifiable_function(e.target.name))
        return {};
    verbose(e, "%s() is not modifiable\n", e.target.name);
    return fail(EINVAL);
}

status check_lsm_hook(env &e) {
    const attach_info &a = e.target;
    constexpr const char *prefix = "bpf_lsm_";
    if (!e.req.gpl_compatible) {
        verbose(e, "LSM programs must have a GPL compatible license\n");
        return fail(EINVAL);
    }
    if (is_disabled_lsm_hook(a.name)) {
        verbose(e, "attach_btf_id %u points to disabled hook %s\n", a.id, a.name);
        return fail(EINVAL);
    }
    if (!is_kernels_own(*a.types) || strncmp(a.name, prefix, strlen(prefix))) {
        verbose(e, "attach_btf_id %u points to wrong type name %s\n", a.id, a.name);
        return fail(EINVAL);
    }
    return {};
}

/// Where the kernel's own functions are closed to programs of this type.
status check_function_rules(env &e) {
    u32 type = prog_type_of(e), attach = e.req.expected_attach_type;
    if (type == BPF_PROG_TYPE_LSM)
        return check_lsm_hook(e);
    if (e.req.attach.prog)
        return {};
    if (type == BPF_PROG_TYPE_TRACING && is_denied_function(e.target.name))
        return fail(EINVAL);
    if ((attach == BPF_TRACE_FEXIT || attach == BPF_MODIFY_RETURN) && is_noreturn_function(e.target.name)) {
        verbose(e, "Attaching fexit/fmod_ret to __noreturn functions is rejected.\n");
        return fail(EINVAL);
    }
    return {};
}

status resolve_function(env &e, const btf_type *t, bool reliable) {
    attach_info &a = e.target;
    u32 attach = e.req.expected_attach_type;
    if (!is_kind(t, btf_kind::func)) {
        verbose(e, "attach_btf_id %u is not a function\n", a.id);
        return fail(EINVAL);
    }
    if (e.req.attach.extension)
        TRY(check_replaced_prototype(e, t));
    t = a.types->type(t->size_or_type);
    if (!is_kind(t, btf_kind::func_proto))
        return fail(EINVAL);
    a.proto = reliable ? t : nullptr;
    u32 ret_size = a.proto ? TRY(check_prototype(e, *a.types, t, a.name)) : 8;
    if (ret_size > 8 && (attach == BPF_MODIFY_RETURN || attach == BPF_TRACE_FEXIT)) {
        verbose(e, "Attach to function %s with a >8 byte return value is not supported for this attach type\n", a.name);
        return fail(EOPNOTSUPP);
    }
    TRY(hold_function(e));
    if (e.req.prog_flags & BPF_F_SLEEPABLE)
        TRY(check_func_sleepable(e));
    else if (attach == BPF_MODIFY_RETURN)
        TRY(check_modify_return(e));
    return check_function_rules(e);
}

/// The type that the program names, with its name.
result<const btf_type *> named_target(env &e) {
    attach_info &a = e.target;
    const attach_request &r = e.req.attach;
    a.id = r.btf_id;
    if (!a.id) {
        verbose(e, "Tracing programs must provide btf_id\n");
        return fail(EINVAL);
    }
    a.types = r.prog ? r.prog->types : r.types;
    if (!a.types) {
        verbose(e, "FENTRY/FEXIT program can only be attached to another program annotated with BTF\n");
        return fail(EINVAL);
    }
    const btf_type *t = a.types->type(a.id);
    if (!t) {
        verbose(e, "attach_btf_id %u is invalid\n", a.id);
        return fail(EINVAL);
    }
    a.name = a.types->name(a.id);
    if (!a.name) {
        a.name = "";
        verbose(e, "attach_btf_id %u doesn't have a name\n", a.id);
        return fail(EINVAL);
    }
    return t;
}

}  // namespace

bool passed_size(const btf &types, u32 id, u32 *size, const btf_type **type) {
    const btf_type *t = types.type(types.skip_modifiers(id));
    *type = t;
    *size = 0;
    if (!t) // void
        return true;
    if (t->kind() == btf_kind::pointer)
        *size = 8;
    else if (t->kind() == btf_kind::integer || t->is_enum() || t->is_composite())
        *size = t->size_or_type;
    else
        return false;
    return true;
}

const char *kind_text(const btf_type *t) {
    static constexpr const char *const names[] = {
        "UNKNOWN", "INT",      "PTR",  "ARRAY",      "STRUCT", "UNION",   "ENUM",  "FWD",      "TYPEDEF",  "VOLATILE",
        "CONST",   "RESTRICT", "FUNC", "FUNC_PROTO", "VAR",    "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
    };
    u32 k = t ? static_cast<u32>(t->kind()) : 0;
    return k < count_of(names) ? names[k] : names[0];
}

status resolve_target(env &e) {
    u32 type = prog_type_of(e);
    if (type == BPF_PROG_TYPE_STRUCT_OPS)
        return resolve_struct_ops(e);
    if (type != BPF_PROG_TYPE_TRACING && type != BPF_PROG_TYPE_LSM && type != BPF_PROG_TYPE_EXT)
        return {};
    const btf_type *t = TRY(named_target(e));
    bool reliable = true;
    if (e.req.attach.prog) {
        reliable = TRY(check_target_program(e, *e.req.attach.prog, e.target.name));
    } else if (type == BPF_PROG_TYPE_EXT) {
        verbose(e, "Cannot replace kernel functions\n");
        return fail(EINVAL);
    }
    if (type == BPF_PROG_TYPE_EXT) // its attach type is that of the program that it becomes a part of
        return resolve_function(e, t, reliable);
    switch (e.req.expected_attach_type) {
    case BPF_TRACE_RAW_TP: return resolve_tracepoint(e, t);
    case BPF_TRACE_ITER: return resolve_iterator(e, t);
    case BPF_MODIFY_RETURN:
    case BPF_LSM_MAC:
    case BPF_LSM_CGROUP:
    case BPF_TRACE_FENTRY:
    case BPF_TRACE_FEXIT: return resolve_function(e, t, reliable);
    default: return fail(EINVAL);
    }
}

status check_new_target(const verify_request &req, span<const u8> func_flags) {
    verifier_log silent;
    TRY(silent.init(0, 0, 0));
    own<verifier_env> e(make_scratch<verifier_env>(req, silent));
    if (!e)
        return error(ENOMEM);
    TRY(e->subs.resize(func_flags.size()));
    for (size_t i = 0; i < func_flags.size(); i++)
        e->subs[i].changes_pkt_data = func_flags[i] & func_changes_packet;
    return resolve_target(*e);
}

namespace {

constexpr struct {
    u32 prog_type;
    ctx_names names;
} contexts[] = {
    {BPF_PROG_TYPE_SOCKET_FILTER, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_SCHED_CLS, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_SCHED_ACT, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_XDP, {"xdp_md", "xdp_buff"}},
    {BPF_PROG_TYPE_CGROUP_SKB, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_CGROUP_SOCK, {"bpf_sock", "sock"}},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, {"bpf_sock_addr", "bpf_sock_addr_kern"}},
    {BPF_PROG_TYPE_LWT_IN, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_LWT_OUT, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_LWT_XMIT, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_LWT_SEG6LOCAL, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_SOCK_OPS, {"bpf_sock_ops", "bpf_sock_ops_kern"}},
    {BPF_PROG_TYPE_SK_SKB, {"__sk_buff", "sk_buff"}},
    {BPF_PROG_TYPE_SK_MSG, {"sk_msg_md", "sk_msg"}},
    {BPF_PROG_TYPE_FLOW_DISSECTOR, {"__sk_buff", "bpf_flow_dissector"}},
    {BPF_PROG_TYPE_KPROBE, {"pt_regs", "pt_regs"}},
    {BPF_PROG_TYPE_PERF_EVENT, {"bpf_perf_event_data", "bpf_perf_event_data_kern"}},
    {BPF_PROG_TYPE_RAW_TRACEPOINT, {"bpf_raw_tracepoint_args", nullptr}},
    {BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, {"bpf_raw_tracepoint_args", nullptr}},
    {BPF_PROG_TYPE_CGROUP_DEVICE, {"bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"}},
    {BPF_PROG_TYPE_CGROUP_SYSCTL, {"bpf_sysctl", "bpf_sysctl_kern"}},
    {BPF_PROG_TYPE_CGROUP_SOCKOPT, {"bpf_sockopt", "bpf_sockopt_kern"}},
    {BPF_PROG_TYPE_SK_REUSEPORT, {"sk_reuseport_md", "sk_reuseport_kern"}},
    {BPF_PROG_TYPE_SK_LOOKUP, {"bpf_sk_lookup", "bpf_sk_lookup_kern"}},
    {BPF_PROG_TYPE_NETFILTER, {"bpf_nf_ctx", "bpf_nf_ctx"}},
};

}  // namespace

ctx_names ctx_names_of(u32 prog_type) {
    for (const auto &c : contexts)
        if (c.prog_type == prog_type)
            return c.names;
    return {};
}

bool is_ctx_struct(u32 prog_type, const char *name) {
    const char *user = ctx_names_of(prog_type).user;
    if (!user)
        return false;
    // The kernel's own structure of the same fields may be named, too.
    bool twin = (!strcmp(user, "__sk_buff") && !strcmp(name, "sk_buff")) || (!strcmp(user, "xdp_md") && !strcmp(name, "xdp_buff"));
    return twin || !strcmp(user, name);
}

bool arg_trusted(const env &e, u32 arg) {
    switch (e.req.type->type) {
    case BPF_PROG_TYPE_TRACING:
        return e.req.expected_attach_type == BPF_TRACE_RAW_TP || e.req.expected_attach_type == BPF_TRACE_ITER;
    case BPF_PROG_TYPE_LSM: return !is_untrusted_lsm_hook(e.target.name) && !(doubtful_lsm_args(e.target.name) >> arg & 1);
    case BPF_PROG_TYPE_STRUCT_OPS: return true;
    default: return false;
    }
}

bool returns_nothing(const env &e) {
    u32 type = e.req.type->type;
    bool typed = type == BPF_PROG_TYPE_STRUCT_OPS || (type == BPF_PROG_TYPE_LSM && e.req.expected_attach_type != BPF_LSM_CGROUP);
    return typed && e.target.proto && !e.target.proto->size_or_type;
}

typed_return return_range(const env &e) {
    constexpr s32 max_errno = 4095;
    if (e.req.type->type != BPF_PROG_TYPE_LSM || !e.target.proto)
        return {};
    bool is_void = !e.target.proto->size_or_type;
    if (e.req.expected_attach_type == BPF_LSM_CGROUP)
        return {true, is_void ? 1 : 0, 1, false};
    if (is_void)
        return {};
    bool yes_no = is_bool_lsm_hook(e.target.name);
    return {true, yes_no ? 0 : -max_errno, yes_no ? 1 : 0, true};
}

void explain_return(env &e) {
    if (e.req.type->type == BPF_PROG_TYPE_LSM && e.req.expected_attach_type == BPF_LSM_CGROUP && e.target.proto &&
        !e.target.proto->size_or_type)
        verbose(e, "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
}

}  // namespace modbpf
