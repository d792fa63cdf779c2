// SPDX-License-Identifier: GPL-2.0-only
// Contexts whose words have kernel types: arguments of traced functions, hooks, iterators and operations.
//
// Behaviour and texts: Linux 6.12 kernel/bpf/btf.c (btf_ctx_access). Stricter: LSM programs neither write their context nor read in front of it.
#include "btf/format.h"
#include "verifier/btf_lists.h"
#include "verifier/btf_match.h"
#include "verifier/btf_target.h"

namespace modbpf {

namespace {

constexpr u32 ctx_words = 12;         // MAX_BPF_FUNC_ARGS
constexpr u32 untyped_args = 5;       // of a function whose prototype is not reliable

/// What a word holds.
struct word {
    reg_type kind = reg_type::scalar;
    typed object{};
    bool result = false; ///< the traced function's
};

const char *text(const char *s) { return s ? s : ""; }

/// Bytes that an argument takes in the context.
u32 room_of(const btf &types, u32 id) {
    const btf_type *t = types.type(types.skip_modifiers(id));
    if (!t)
        return 0;
    return t->kind() == btf_kind::pointer ? 8 : static_cast<u32>(align_up(t->size_or_type, 8));
}

/// The argument at `off`; the number of arguments for the result; one more for what is behind.
u32 arg_at(const attach_info &a, u32 off) {
    if (!a.proto)
        return off / 8;
    const auto *args = a.types->tail<btf_param>(a.proto);
    u32 end = 0, n = a.proto->vlen();
    for (u32 i = 0; i < n; i++) {
        end += room_of(*a.types, args[i].type);
        if (off < end)
            return i;
    }
    end += room_of(*a.types, a.proto->size_or_type);
    return off < end ? n : n + 1;
}

bool is_small_int(const btf_type *t) { return t && t->kind() == btf_kind::integer && is_pow2(t->size_or_type) && t->size_or_type <= 8; }

bool no_such_arg(env &e, u32 arg) {
    verbose(e, "func '%s' doesn't have %d-th argument\n", e.target.name, arg + 1);
    return false;
}

/// -> type of the result if the program may read it; 0 with `*any`: it is any number.
bool result_type(env &e, u32 arg, u32 *id, word *w, bool *any) {
    const attach_info &a = e.target;
    switch (e.req.expected_attach_type) {
    case BPF_LSM_MAC: w->result = true; [[fallthrough]];
    case BPF_LSM_CGROUP:
    case BPF_TRACE_FEXIT:
        *any = !a.proto;
        *id = a.proto ? a.proto->size_or_type : 0;
        return true;
    case BPF_MODIFY_RETURN: {
        if (!a.proto)
            return false;
        const btf_type *t = a.types->type(a.types->skip_modifiers(a.proto->size_or_type));
        if (!is_small_int(t)) {
            verbose(e, "ret type %s not allowed for fmod_ret\n", kind_text(t));
            return false;
        }
        *id = a.proto->size_or_type;
        return true;
    }
    default: return no_such_arg(e, arg);
    }
}

bool ends_with(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && !strcmp(s + n - m, suffix);
}

bool named_nullable(const btf &types, const btf_type *proto, u32 arg) {
    return proto && arg < proto->vlen() && ends_with(text(types.string(types.tail<btf_param>(proto)[arg].name_off)), "__nullable");
}

/// Arguments of tracepoints that may be NULL or an errno.
bool tracepoint_flags(env &e, u32 arg, reg_type *kind) {
    const attach_info &a = e.target;
    const raw_tp_args_info *info = find_raw_tp_args(a.name);
    bool module_types = strcmp(a.types->module_name, "vmlinux") != 0 && a.types->module_name[0];
    if (info ? info->maybe_null >> arg & 1 : module_types)
        *kind = *kind | type_flag::maybe_null;
    return info && (info->maybe_error >> arg & 1);
}

type_flag memory_of_tag(const btf &types, u32 id) {
    const btf_type *t = types.type(id);
    const char *tag = t && t->kind() == btf_kind::type_tag ? text(types.string(t->name_off)) : "";
    return !strcmp(tag, "user") ? type_flag::user : !strcmp(tag, "percpu") ? type_flag::percpu : type_flag::none;
}

/// A pointer to the context of the program that this one traces: of the kernel's type behind it.
bool context_of_target(env &e, u32 pointee, word *w) {
    const btf &types = *e.target.types;
    u32 type = e.req.attach.prog->ruling_type;
    const btf_type *t = types.type(types.skip_modifiers(pointee));
    ctx_names names = ctx_names_of(type);
    if (!t || !t->is_composite() || !names.user || !is_ctx_struct(type, text(types.string(t->name_off))))
        return false;
    w->object = kernel_struct(e, names.kernel);
    return static_cast<bool>(w->object);
}

/// Iterators and struct_ops say more of some arguments. -> it is one of these.
bool special_arg(env &e, u32 off, u32 arg, word *w) {
    const attach_info &a = e.target;
    if (e.req.expected_attach_type == BPF_TRACE_ITER && e.req.type->type == BPF_PROG_TYPE_TRACING) {
        const iter_arg *i = find_iter_arg(a.name, off);
        if (!i)
            return false;
        w->kind = (i->buffer ? reg_type::buf : reg_type::btf_ptr) | type_flag::maybe_null;
        if (i->readonly)
            w->kind = w->kind | type_flag::rdonly;
        if (i->trusted)
            w->kind = w->kind | type_flag::trusted;
        if (!i->buffer)
            w->object = kernel_struct(e, i->structure);
        return true;
    }
    if (!a.ops || !named_nullable(*a.types, a.stub, arg))
        return false;
    const btf_type *t = a.types->type(a.types->skip_modifiers(a.types->tail<btf_param>(a.stub)[arg].type));
    w->kind = reg_type::btf_ptr | (type_flag::trusted | type_flag::maybe_null);
    w->object = {a.types, t && t->kind() == btf_kind::pointer ? a.types->skip_modifiers(t->size_or_type) : 0};
    return true;
}

/// A tcp congestion control gets its socket as a struct sock, but it is a tcp_sock.
void promote_sock(env &e, word *w) {
    const ops_info *ops = e.target.ops ? find_ops(e.target.ops) : nullptr;
    if (ops && ops->socks_are_tcp && w->kind == (reg_type::btf_ptr | type_flag::trusted) && !strcmp(w->object.name(), "sock"))
        w->object.id = w->object.types->find("tcp_sock", btf_kind::structure);
}

/// A pointer to a structure of the traced function's own types.
bool object_arg_of(env &e, u32 arg, u32 pointee, word *w) {
    const btf &types = *e.target.types;
    w->kind = w->kind | memory_of_tag(types, pointee);
    w->object = {&types, types.skip_modifiers(pointee)};
    const btf_type *t = w->object.type();
    if (!t || !t->is_composite()) {
        verbose(e, "func '%s' arg%d type %s is not a struct\n", e.target.name, arg, kind_text(t));
        return false;
    }
    verbose(e, "func '%s' arg%d has btf_id %d type %s '%s'\n", e.target.name, arg, w->object.id, kind_text(t),
            t->name_off ? w->object.name() : "(anon)");
    return true;
}

bool pointer_word(env &e, u32 off, u32 size, u32 arg, const btf_type *ptr, word *w) {
    const btf &types = *e.target.types;
    if (size != 8) {
        verbose(e, "func '%s' size %d must be 8\n", e.target.name, size);
        return false;
    }
    if (special_arg(e, off, arg, w))
        return w->kind != reg_type::btf_ptr || w->object;
    u32 pointee = types.skip_modifiers(ptr->size_or_type);
    const btf_type *t = types.type(pointee);
    if (!ptr->size_or_type || (t && t->kind() == btf_kind::integer))
        return true;
    w->kind = reg_type::btf_ptr;
    if (arg_trusted(e, arg))
        w->kind = w->kind | type_flag::trusted;
    if (!w->result && named_nullable(types, e.target.proto, arg + e.target.skip_first))
        w->kind = w->kind | type_flag::maybe_null;
    bool may_be_errno = e.req.expected_attach_type == BPF_TRACE_RAW_TP && e.req.type->type == BPF_PROG_TYPE_TRACING &&
                        tracepoint_flags(e, arg, &w->kind);
    if (e.req.attach.prog)
        return context_of_target(e, ptr->size_or_type, w);
    if (!object_arg_of(e, arg, ptr->size_or_type, w))
        return false;
    if (may_be_errno) {
        verbose(e, "marking pointer arg%d as scalar as it may encode error", arg);
        w->kind = reg_type::scalar;
    }
    promote_sock(e, w);
    return true;
}

/// What the word at `off` holds; false: it may not be read in this way.
bool word_at(env &e, u32 off, u32 size, word *w) {
    const attach_info &a = e.target;
    if (off % 8) {
        verbose(e, "func '%s' offset %d is not multiple of 8\n", a.name, off);
        return false;
    }
    u32 arg = arg_at(a, off), count = a.proto ? a.proto->vlen() - a.skip_first : untyped_args, id = 0;
    if (arg > count)
        return no_such_arg(e, arg);
    if (arg == count) {
        bool any = false;
        if (!result_type(e, arg, &id, w, &any))
            return false;
        if (any)
            return true;
    } else {
        if (!a.proto)
            return true;
        id = a.types->tail<btf_param>(a.proto)[arg + a.skip_first].type;
    }
    const btf_type *t = a.types->type(a.types->skip_modifiers(id));
    if (is_small_int(t) || (t && (t->is_enum() || t->is_composite())))
        return true;
    if (t && t->kind() == btf_kind::pointer)
        return pointer_word(e, off, size, arg, t, w);
    verbose(e, "func '%s' arg%d '%s' has type %s. Only pointer access is allowed\n", a.name, arg,
            t && t->name_off ? text(a.types->string(t->name_off)) : "(anon)", kind_text(t));
    return false;
}

void load_word(env &e, reg_state &r, const word &w) {
    if (w.kind == reg_type::scalar) {
        r.set_unknown();
        typed_return range = return_range(e);
        if (w.result && range.limited) {
            r.var.smin = r.var.s32_min = range.lo, r.var.smax = r.var.s32_max = range.hi;
            scalar_sync(r.var);
        }
    } else if (w.kind == reg_type::btf_ptr || base_of(w.kind) == reg_type::btf_ptr) {
        set_object(e, r, w.object, flags_of(w.kind));
    } else {
        r.set_pointer(w.kind);
        if (r.may_be_null())
            r.id = ++e.id_gen;
    }
}

}  // namespace

status access_btf_ctx(env &e, u32, s32 off, u32 size, access t, s32 value, bool) {
    word w;
    bool inside = off >= 0 && static_cast<u32>(off) < ctx_words * 8 && static_cast<u32>(off) % size == 0;
    if (t == access::write || !inside || !word_at(e, static_cast<u32>(off), size, &w))
        return refuse_ctx_access(e, off, size);
    e.aux[e.insn].ctx_access = true;
    e.out->max_ctx_offset = max(e.out->max_ctx_offset, static_cast<u32>(off) + size);
    if (value >= 0)
        load_word(e, e.reg(static_cast<u32>(value)), w);
    return {};
}

status set_kernel_pointer(env &e, reg_state &r, reg_type t, const char *type_name) {
    typed object = kernel_struct(e, type_name);
    if (!object) {
        verbose(e, "the kernel has no type struct %s\n", type_name);
        return fail(ENOTSUPP);
    }
    set_object(e, r, object, flags_of(t));
    return {};
}

}  // namespace modbpf
