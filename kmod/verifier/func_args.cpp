// SPDX-License-Identifier: GPL-2.0-only
// See func_args.h.
#include "verifier/func_args.h"

#include "btf/core_relo.h"
#include "btf/format.h"
#include "verifier/btf_match.h"
#include "verifier/btf_target.h"
#include "verifier/dynptr.h"

namespace modbpf {

namespace {

/// The name that a program type's context has in the user's types, behind modifiers.
bool is_ctx_type(const env &e, const btf &b, u32 id) {
    u32 prog_type = e.req.type->type;
    const btf_type *t = b.type(id);
    const char *n = nullptr;
    bool probe = prog_type == BPF_PROG_TYPE_KPROBE;
    for (u32 i = 0; probe && t && t->is_modifier() && i < b.type_count(); i++, t = b.type(t->size_or_type)) {
        n = t->kind() == btf_kind::typedef_ ? b.string(t->name_off) : nullptr;
        if (n && !strcmp(n, "bpf_user_pt_regs_t"))
            return true;
    }
    t = b.type(b.skip_modifiers(id));
    n = t && t->is_composite() ? b.string(t->name_off) : nullptr;
    return n && (is_ctx_struct(prog_type, n) || (probe && !strcmp(n, "bpf_user_pt_regs_t")));
}

bool is_word(const btf_type *t) { return t && t->kind() == btf_kind::integer && t->size_or_type == 8; }

/// Types whose contexts go by other names, or by none.
bool is_other_ctx(const env &e, const btf_type *t, const char *n) {
    bool named = t->kind() == btf_kind::structure;
    u32 attach = e.req.expected_attach_type;
    constexpr const char *iter = "bpf_iter__";
    switch (e.req.type->type) {
    case BPF_PROG_TYPE_KPROBE:
    case BPF_PROG_TYPE_PERF_EVENT: return named && !strcmp(n, "pt_regs");
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
    case BPF_PROG_TYPE_LSM:
    case BPF_PROG_TYPE_STRUCT_OPS: return is_word(t);
    case BPF_PROG_TYPE_TRACING:
        if (attach == BPF_TRACE_ITER)
            return named && !strncmp(n, iter, strlen(iter));
        return is_word(t) || (attach == BPF_TRACE_RAW_TP && named && !strcmp(n, "bpf_raw_tracepoint_args"));
    case BPF_PROG_TYPE_TRACEPOINT:
    case BPF_PROG_TYPE_SYSCALL: return true;
    default: return false;
    }
}

/// The tag says that the argument is the context: its type must not say otherwise.
status check_ctx_tag(env &e, const btf &b, u32 pointee, u32 i) {
    u32 prog_type = e.req.type->type;
    bool regs = prog_type == BPF_PROG_TYPE_KPROBE || prog_type == BPF_PROG_TYPE_PERF_EVENT;
    const btf_type *t = b.type(pointee);
    while (regs && t && t->is_modifier() && t->kind() != btf_kind::typedef_)
        t = b.type(t->size_or_type);
    const char *n = regs && t && t->kind() == btf_kind::typedef_ ? b.string(t->name_off) : nullptr;
    if (n && !strcmp(n, "bpf_user_pt_regs_t"))
        return {};
    t = b.type(b.skip_modifiers(pointee));
    if (!t)
        return {}; // void *
    n = b.string(t->name_off);
    if (!n || !*n) {
        verbose(e, "arg#%d type doesn't have a name\n", i);
        return fail(EINVAL);
    }
    if (is_other_ctx(e, t, n))
        return {};
    const char *want = ctx_names_of(prog_type).user;
    if (!want) {
        verbose(e, "arg#%d should be void pointer\n", i);
        return fail(EINVAL);
    }
    if (t->kind() == btf_kind::structure && !strcmp(n, want))
        return {};
    verbose(e, "arg#%d should be `struct %s *`\n", i, want);
    return fail(EINVAL);
}

enum : u32 { tag_ctx = 1, tag_nonnull = 2, tag_trusted = 4, tag_nullable = 8, tag_arena = 16 };
constexpr struct {
    const char *name;
    u32 bit;
} tag_names[] = {{"ctx", tag_ctx}, {"nonnull", tag_nonnull}, {"trusted", tag_trusted}, {"nullable", tag_nullable}, {"arena", tag_arena}};

/// Declaration tags "arg:..." of one parameter.
result<u32> arg_tags(env &e, const btf &b, u32 func_id, u32 arg, bool global) {
    u32 tags = 0;
    u32 at = 0;
    while (const char *name = b.next_tag(&at, func_id, static_cast<s32>(arg), "arg:")) {
        if (!global) {
            verbose(e, "arg#%d type tag is not supported in static functions\n", arg);
            return fail(EOPNOTSUPP);
        }
        u32 bit = 0;
        for (const auto &known : tag_names)
            if (!strcmp(known.name, name))
                bit = known.bit;
        if (!bit) {
            verbose(e, "arg#%d has unsupported set of tags\n", arg);
            return fail(EOPNOTSUPP);
        }
        tags |= bit;
    }
    return tags;
}

status bad_tags(env &e, u32 i) {
    verbose(e, "arg#%d has invalid combination of tags\n", i);
    return fail(EINVAL);
}

constexpr int no_one_type = 3; // ESRCH, which nothing else of bpf() gives

/// The kernel's structure of that name, a flavor left out. The kernel's own: a module's is not taken.
result<u32> kernel_type_of(env &e, const btf &b, u32 i, u32 id) {
    const btf_type *t = b.type(id);
    const char *n = t ? b.string(t->name_off) : "";
    const btf *kernel = kernel_types(e);
    auto say = [&](const char *what) { verbose(e, "arg#%d reference type('%s %s') %s\n", i, kind_text(t), n ? n : "", what); };
    if (!t || !n || !*n || !kernel) {
        verbose(e, "arg#%d reference type('%s %s') candidate matching error: %d\n", i, kind_text(t), n ? n : "", -EINVAL);
        return fail(EINVAL);
    }
    size_t len = essential_length(n);
    u32 found = kernel->next_candidate(0, n, len, t->kind());
    if (found && kernel->next_candidate(found, n, len, t->kind())) {
        say("is ambiguous");
        return fail(no_one_type);
    }
    if (found)
        return found;
    auto modules = btf::modules();
    if (!modules.ok() && modules.err().code() == ENOMEM)
        return fail(ENOMEM);
    for (u32 m = 0; modules.ok() && m < modules->size(); m++)
        if ((*modules)[m]->next_candidate(0, n, len, t->kind())) {
            say("points to kernel module type (unsupported)");
            return fail(EOPNOTSUPP);
        }
    say("has no matches");
    return fail(ENOENT);
}

status prepare_memory(env &e, subprog_info &s, u32 i, u32 pointee, u32 tags) {
    const btf &b = *e.req.types;
    if (tags & tag_nullable)
        return bad_tags(e, i);
    u32 target = b.skip_modifiers(pointee), size = 0;
    if (!target || !b.size_of(target, &size)) {
        const char *n = target ? b.name(target) : nullptr;
        verbose(e, "arg#%d reference type('%s %s') size cannot be determined: %d\n", i, kind_text(b.type(target)), n ? n : "", -EINVAL);
        return fail(EINVAL);
    }
    s.args[i] = tags & tag_nonnull ? sub_arg::mem : sub_arg::mem_or_null;
    s.arg_mem_size[i] = size;
    return {};
}

bool is_dynptr(const btf &b, u32 pointee) {
    u32 target = b.skip_modifiers(pointee);
    const char *n = target ? b.name(target) : nullptr;
    return n && !strcmp(n, "bpf_dynptr");
}

/// -> true: the pointer is of one of the kinds that are more than memory.
result<bool> prepare_pointer(env &e, subprog_info &s, u32 i, u32 pointee, u32 tags) {
    const btf &b = *e.req.types;
    if ((tags & tag_ctx) || is_ctx_type(e, b, pointee)) {
        if (tags & ~tag_ctx)
            return bad_tags(e, i).err();
        if (tags)
            TRY(check_ctx_tag(e, b, pointee, i));
        s.args[i] = sub_arg::ctx;
        return true;
    }
    if (is_dynptr(b, pointee)) {
        if (tags)
            return bad_tags(e, i).err();
        s.args[i] = sub_arg::dynptr;
        return true;
    }
    u32 target = b.skip_modifiers(pointee);
    if (tags & tag_trusted) {
        if (tags & tag_nonnull)
            return bad_tags(e, i).err();
        s.arg_type[i] = TRY(kernel_type_of(e, b, i, target));
        s.args[i] = tags & tag_nullable ? sub_arg::object_or_null : sub_arg::object;
        return true;
    }
    if (!(tags & tag_arena))
        return false;
    if (tags & ~tag_arena) {
        verbose(e, "arg#%d arena cannot be combined with any other tags\n", i);
        return fail(EINVAL);
    }
    s.args[i] = sub_arg::arena;
    return true;
}

status prepare_arg(env &e, subprog_info &s, u32 func_id, u32 i, u32 type_id, bool global) {
    const btf &b = *e.req.types;
    u32 tags = TRY(arg_tags(e, b, func_id, i, global));
    const btf_type *t = b.type(b.skip_modifiers(type_id));
    if (t && t->kind() == btf_kind::pointer) {
        if (TRY(prepare_pointer(e, s, i, t->size_or_type, tags)))
            return {};
        if (global)
            return prepare_memory(e, s, i, t->size_or_type, tags);
    }
    if (tags) {
        verbose(e, "arg#%d has pointer tag, but is not a pointer type\n", i);
        return fail(EINVAL);
    }
    if (t && (t->kind() == btf_kind::integer || t->is_enum())) {
        s.args[i] = sub_arg::scalar;
        return {};
    }
    if (global)
        verbose(e, "Arg#%d type %s in %s() is not supported yet.\n", i, kind_text(t), s.name);
    return fail(EINVAL);
}

bool returns_scalar(const btf &b, const btf_type *proto) {
    const btf_type *ret = b.type(b.skip_modifiers(proto->size_or_type));
    return ret && (ret->kind() == btf_kind::integer || ret->is_enum());
}

}  // namespace

status prepare_func_args(env &e, u32 sub) {
    subprog_info &s = e.subs[sub];
    if (s.args_known)
        return {};
    const btf &b = *e.req.types;
    u32 func_id = e.req.funcs[sub].type_id;
    const btf_type *func = b.type(func_id), *proto = func ? b.type(func->size_or_type) : nullptr;
    if (!proto || proto->kind() != btf_kind::func_proto) {
        verbose(e, "Invalid type of function %s()\n", s.name);
        return fail(EFAULT);
    }
    bool global = func->vlen() == BTF_FUNC_GLOBAL;
    if (proto->vlen() > 5) {
        if (global)
            verbose(e, "Global function %s() with %d > %d args. Buggy compiler.\n", s.name, proto->vlen(), 5);
        return fail(EINVAL);
    }
    if (!returns_scalar(b, proto)) {
        if (global)
            verbose(e, "Global function %s() doesn't return scalar. Only those are supported.\n", s.name);
        return fail(EINVAL);
    }
    for (u32 i = 0; i < proto->vlen(); i++)
        TRY(prepare_arg(e, s, func_id, i, b.tail<btf_param>(proto)[i].type, global));
    s.arg_count = proto->vlen();
    s.args_known = true;
    return {};
}

bool extension_gets_dynptr(const env &e) {
    if (!e.req.attach.extension || e.req.funcs.empty() || !e.req.types)
        return false;
    const btf &b = *e.req.types;
    const btf_type *func = b.type(e.req.funcs[0].type_id), *proto = func ? b.type(func->size_or_type) : nullptr;
    for (u32 i = 0; proto && proto->kind() == btf_kind::func_proto && i < proto->vlen(); i++) {
        const btf_type *t = b.type(b.skip_modifiers(b.tail<btf_param>(proto)[i].type));
        if (t && t->kind() == btf_kind::pointer && is_dynptr(b, t->size_or_type))
            return true;
    }
    return false;
}

void check_main_prototype(env &e) {
    if (e.req.funcs.empty() || !e.req.types || e.subs[0].unreliable)
        return;
    status known = prepare_func_args(e, 0);
    const subprog_info &s = e.subs[0];
    e.subs[0].unreliable = !known.ok() || s.arg_count != 1 || s.args[0] != sub_arg::ctx;
}

void set_func_arg(env &e, const subprog_info &s, u32 i) {
    reg_state &r = e.reg(i + 1);
    constexpr type_flag trusted = type_flag::trusted;
    switch (s.args[i]) {
    case sub_arg::scalar:
    case sub_arg::arena: // any number may be cast
        r.set_unknown();
        return;
    case sub_arg::ctx:
        r.set_pointer(reg_type::ctx);
        return;
    case sub_arg::mem:
    case sub_arg::mem_or_null:
        r.set_pointer(s.args[i] == sub_arg::mem ? reg_type::mem : reg_type::mem_or_null);
        r.mem_size = s.arg_mem_size[i];
        r.id = ++e.id_gen;
        return;
    case sub_arg::object:
    case sub_arg::object_or_null:
        set_object(e, r, {kernel_types(e), s.arg_type[i]}, s.args[i] == sub_arg::object ? trusted : trusted | type_flag::maybe_null);
        if (!r.id)
            r.id = ++e.id_gen;
        return;
    case sub_arg::dynptr:
        set_const_dynptr(e, r, dynptr_kind::given);
        return;
    }
}

result<bool> takes_all(env &e, u32 own, const btf &types, u32 target, u32 arg) {
    u32 wants = TRY(arg_tags(e, *e.req.types, own, arg, true)), gets = TRY(arg_tags(e, types, target, arg, true));
    return wants == gets || (wants | tag_nonnull) == gets || wants == (gets | tag_nullable);
}

}  // namespace modbpf
