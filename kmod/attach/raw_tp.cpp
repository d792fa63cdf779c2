// SPDX-License-Identifier: GPL-2.0-only
// Raw tracepoints, for RAW_TRACEPOINT programs and for TRACING programs with typed arguments: the program's context is the tracepoint's
// argument words. How many there are and how wide each is comes from the kernel's BTF; on a kernel without it only the words that every
// probe finds in registers can be read, and as they are. RAW_TRACEPOINT_WRITABLE programs write, too, to what the first argument points at:
// the tracepoint says how many bytes of it are theirs.
#include "attach/link.h"

namespace modbpf {

namespace {

constexpr u32 register_args = 5; ///< argument registers behind a probe's private pointer

/// Any context, preemption off. No canary: nobody writes to what is on its stack but this function, and the run's own machinery.
/// `all`: the context has all the words that any program may read, since the program goes on to others, of which nobody checks here what they
/// read.
template <bool all, class... words> __attribute__((no_stack_protector)) void on_hit(void *priv, words... given) {
    u64 args[all ? PORT_RAW_TP_MAX_ARGS : sizeof...(words) + 1] = {given...};
    auto *l = static_cast<bpf_link *>(priv);
    if (l->narrow) // the caller leaves the upper part of a narrow argument undefined
        for (u32 i = 0; i < l->nargs; i++)
            if (l->arg_sizes[i] < 8)
                args[i] &= (1ull << l->arg_sizes[i] * 8) - 1;
    MODBPF_UNINITIALIZED event_run run(nullptr, 0, l->cookie);
    (void)run_event(l->prog.get(), args, run);
}

/// The handler for a tracepoint of n more arguments than words...
template <bool all, class... words> port_raw_tp_fn handler_of(u32 n) {
    if (n == 0)
        return reinterpret_cast<port_raw_tp_fn>(reinterpret_cast<void *>(on_hit<all, words...>));
    if constexpr (sizeof...(words) < PORT_RAW_TP_MAX_ARGS)
        return handler_of<all, words..., u64>(n - 1);
    return nullptr;
}

status describe_without_btf(bpf_link &l, const program &p) {
    l.nargs = register_args;
    memset(l.arg_sizes, sizeof(u64), sizeof(l.arg_sizes));
    if (p.verified->max_ctx_offset <= register_args * sizeof(u64))
        return {};
    port_log(PORT_LOG_INFO, "raw tracepoint %s: this kernel has no BTF: only the first %u arguments can be read", l.tp_name,
             register_args);
    return error(EOPNOTSUPP);
}

/// The kernel's, or where it has none of that name, a module's. ENOENT: nobody has one; EINVAL: its types are not as they should be.
result<u32> find_args(const char *name, const btf &kernel, u8 (&sizes)[PORT_RAW_TP_MAX_ARGS]) {
    result<u32> own = kernel.raw_tp_args(name, sizes);
    if (own.ok() || own.err().code() != ENOENT)
        return own;
    vec<ref<btf>> modules = TRY(btf::modules());
    for (const ref<btf> &m : modules) {
        result<u32> args = m->raw_tp_args(name, sizes);
        if (args.ok() || args.err().code() != ENOENT)
            return args;
    }
    return error(ENOENT);
}

status describe(bpf_link &l, const program &p) {
    result<ref<btf>> kernel = btf::vmlinux();
    if (!kernel && kernel.err().code() == ENOENT)
        return describe_without_btf(l, p);
    if (!kernel)
        return kernel.err();
    u8 sizes[PORT_RAW_TP_MAX_ARGS] = {};
    l.nargs = TRY(find_args(l.tp_name, **kernel, sizes));
    if (MODBPF_BUG_ON(l.nargs > PORT_RAW_TP_MAX_ARGS))
        return error(EFAULT);
    memcpy(l.arg_sizes, sizes, sizeof(sizes));
    for (u32 i = 0; i < l.nargs; i++)
        l.narrow |= sizes[i] < 8;
    return p.verified->max_ctx_offset > l.nargs * sizeof(u64) ? status(error(EINVAL)) : status();
}

constexpr char typedef_prefix[] = "btf_trace_"; // of the types that describe tracepoints
constexpr u32 prefix_len = sizeof(typedef_prefix) - 1;

/// The tracepoint that a typed program was loaded for; a name must not be given. EINVAL: it is none.
status name_of_target(const program &p, u64 uname, char (&name)[bpf_link::tp_name_len]) {
    if (uname || p.expected_attach_type != BPF_TRACE_RAW_TP)
        return error(EINVAL);
    const char *type = p.attach_types ? p.attach_types->name(p.attach_btf_id) : nullptr;
    if (MODBPF_BUG_ON(!type || strncmp(type, typedef_prefix, prefix_len)))
        return error(EFAULT);
    size_t n = strlen(type + prefix_len);
    if (n >= sizeof(name))
        return error(EINVAL);
    memcpy(name, type + prefix_len, n + 1);
    return {};
}

}  // namespace

long raw_tp_link_create(ref<program> p, u64 uname, u64 cookie) {
    char name[bpf_link::tp_name_len];
    if (p->type->type == BPF_PROG_TYPE_TRACING) {
        status known = name_of_target(*p, uname, name);
        if (!known.ok())
            return known.code();
    } else if (p->type->type != BPF_PROG_TYPE_RAW_TRACEPOINT && p->type->type != BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE) {
        return -EINVAL;
    } else if (port_strncpy_from_user(name, uname, sizeof(name)) < 0) {
        return -EFAULT;
    }
    if (!port_raw_tp_exists(name))
        return -ENOENT;
    result<ref<bpf_link>> made = link_make(BPF_LINK_TYPE_RAW_TRACEPOINT, p);
    if (!made)
        return made.code();
    ref<bpf_link> l = move(*made);
    memcpy(l->tp_name, name, sizeof(name));
    l->cookie = cookie;
    status known = describe(*l, *p);
    if (!known.ok())
        return known.code();
    port_raw_tp_fn handler = p->verified->image.makes_tail_calls() ? handler_of<true>(l->nargs) : handler_of<false>(l->nargs);
    if (MODBPF_BUG_ON(!handler))
        return -EFAULT;
    int rc = port_raw_tp_attach(name, p->verified->max_record_access, handler, l.get(), &l->hook);
    return rc ? rc : link_settle(move(l));
}

}  // namespace modbpf
