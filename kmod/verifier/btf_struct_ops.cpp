// SPDX-License-Identifier: GPL-2.0-only
// Targets of struct_ops programs: a member of a structure of operations; and of extensions: a function with the same prototype.
#include "btf/format.h"
#include "verifier/func_args.h"
#include "verifier/btf_lists.h"
#include "verifier/btf_match.h"
#include "verifier/btf_target.h"

namespace modbpf {

namespace {

/// The prototype that a member points to, or null.
const btf_type *function_of(const btf &types, u32 member_type) {
    const btf_type *t = types.type(types.skip_modifiers(member_type));
    if (!t || t->kind() != btf_kind::pointer)
        return nullptr;
    t = types.type(types.skip_modifiers(t->size_or_type));
    return t && t->kind() == btf_kind::func_proto ? t : nullptr;
}

bool may_be_program(const ops_info &ops, const char *member) {
    for (const char *m : ops.members) {
        size_t len = strlen(m);
        bool any_end = m[len - 1] == '*';
        if (any_end ? !strncmp(m, member, len - 1) : !strcmp(m, member))
            return true;
    }
    return false;
}

/// The kernel keeps a function <ops>__<member>, whose parameter names say what may be NULL.
const btf_type *stub_of(const btf &types, const char *ops, const char *member) {
    char name[128];
    port_snprintf(name, sizeof(name), "%s__%s", ops, member);
    const btf_type *t = types.type(types.find(name, btf_kind::func));
    t = t ? types.type(t->size_or_type) : nullptr;
    return t && t->kind() == btf_kind::func_proto ? t : nullptr;
}

}  // namespace

status resolve_struct_ops(env &e) {
    attach_info &a = e.target;
    const attach_request &r = e.req.attach;
    if (!e.req.gpl_compatible) {
        verbose(e, "struct ops programs must have a GPL compatible license\n");
        return fail(EINVAL);
    }
    if (!r.btf_id || !r.types)
        return fail(ENOTSUPP);
    a.types = r.types, a.id = r.btf_id;
    const btf_type *t = a.types->type(a.id);
    const char *name = a.types->name(a.id);
    const ops_info *ops = t && t->kind() == btf_kind::structure && name ? find_ops(name) : nullptr;
    if (!ops) {
        verbose(e, "attach_btf_id %u is not a supported struct\n", a.id);
        return fail(ENOTSUPP);
    }
    u32 index = e.req.expected_attach_type;
    if (index >= t->vlen()) {
        verbose(e, "attach to invalid member idx %u of struct %s\n", index, ops->name);
        return fail(EINVAL);
    }
    const btf_member &m = a.types->tail<btf_member>(t)[index];
    const char *member = a.types->string(m.name_off);
    if (!member)
        return fail(EINVAL);
    a.proto = function_of(*a.types, m.type);
    if (!a.proto) {
        verbose(e, "attach to invalid member %s(@idx %u) of struct %s\n", member, index, ops->name);
        return fail(EINVAL);
    }
    bool sleeps = e.req.prog_flags & BPF_F_SLEEPABLE;
    bool listed = may_be_program(*ops, member), may_sleep = !ops->sleepable || !strcmp(ops->sleepable, member);
    if (!listed || (sleeps && !may_sleep)) {
        verbose(e, "attach to unsupported member %s of struct %s\n", member, ops->name);
        return fail(listed ? EINVAL : ENOTSUPP);
    }
    a.name = member, a.ops = ops->name;
    a.stub = stub_of(*a.types, ops->name, member);
    return {};
}

namespace {

/// One function of two that have to be alike.
struct side {
    const btf &types;
    const char *name;
    u32 id; ///< the function's
    const btf_type *proto;
    const btf_type *real(u32 id) const { return types.type(types.skip_modifiers(id)); }
    const btf_type *arg(u32 i) const { return real(types.tail<btf_param>(proto)[i].type); }
};

bool same_info(const btf_type *a, const btf_type *b) { return (a ? a->info : 0) == (b ? b->info : 0); }

/// Is it named by the typedef by which BPF means a context?
bool is_regs(const side &s, u32 i) {
    const btf_type *t = s.arg(i);
    for (t = s.types.type(t->size_or_type); t && t->is_modifier() && t->kind() != btf_kind::typedef_;)
        t = s.types.type(t->size_or_type);
    const char *name = t && t->kind() == btf_kind::typedef_ ? s.types.string(t->name_off) : nullptr;
    return name && !strcmp(name, "bpf_user_pt_regs_t");
}

/// Structures of one name (Linux looks no further): what `a` takes for its argument is within what `b` is given, who may be called by
/// either, and no more is claimed of it.
status check_same_memory(env &e, const side &a, const side &b, u32 i) {
    const btf_type *s = a.real(a.arg(i)->size_or_type), *t = b.real(b.arg(i)->size_or_type);
    if (s->size_or_type > t->size_or_type) {
        verbose(e, "arg%d in %s() has size %d while %s() has %d\n", i, a.name, s->size_or_type, b.name, t->size_or_type);
        return fail(EINVAL);
    }
    if (is_regs(a, i) == is_regs(b, i) && TRY(takes_all(e, a.id, b.types, b.id, i)))
        return {};
    verbose(e, "arg%d in %s() is tagged for more than in %s()\n", i, a.name, b.name);
    return fail(EINVAL);
}

status check_same_arg(env &e, const side &a, const side &b, u32 i) {
    const btf_type *s = a.arg(i), *t = b.arg(i);
    if (!same_info(s, t)) {
        verbose(e, "arg%d in %s() is %s while %s() has %s\n", i, a.name, kind_text(s), b.name, kind_text(t));
        return fail(EINVAL);
    }
    if (s && s->has_size() && s->size_or_type != t->size_or_type) {
        verbose(e, "arg%d in %s() has size %d while %s() has %d\n", i, a.name, s->size_or_type, b.name, t->size_or_type);
        return fail(EINVAL);
    }
    if (s && (s->kind() == btf_kind::integer || s->is_enum()))
        return {};
    if (!s || s->kind() != btf_kind::pointer) {
        verbose(e, "arg%d in %s() has unrecognized type\n", i, a.name);
        return fail(EINVAL);
    }
    s = a.real(s->size_or_type), t = b.real(t->size_or_type);
    if (!s || !s->is_composite() || !t || !t->is_composite()) {
        verbose(e, "arg%d in %s() is not a pointer to context\n", i, s && s->is_composite() ? b.name : a.name);
        return fail(EINVAL);
    }
    const char *x = a.types.string(s->name_off), *y = b.types.string(t->name_off);
    if (x && y && !strcmp(x, y))
        return check_same_memory(e, a, b, i);
    verbose(e, "arg%d %s(struct %s *) doesn't match %s(struct %s *)\n", i, a.name, x ? x : "", b.name, y ? y : "");
    return fail(EINVAL);
}

status check_same_prototype(env &e, const side &a, const side &b) {
    if (a.proto->vlen() != b.proto->vlen()) {
        verbose(e, "%s() has %d args while %s() has %d args\n", a.name, a.proto->vlen(), b.name, b.proto->vlen());
        return fail(EINVAL);
    }
    const btf_type *s = a.real(a.proto->size_or_type), *t = b.real(b.proto->size_or_type);
    if (!same_info(s, t)) {
        verbose(e, "Return type %s of %s() doesn't match type %s of %s()\n", kind_text(s), a.name, kind_text(t), b.name);
        return fail(EINVAL);
    }
    for (u32 i = 0; i < a.proto->vlen(); i++)
        TRY(check_same_arg(e, a, b, i));
    return {};
}

}  // namespace

status check_replaced_prototype(env &e, const btf_type *replaced) {
    if (e.req.funcs.empty() || !e.req.types) {
        verbose(e, "Program extension requires BTF\n");
        return fail(EINVAL);
    }
    const btf_type *mine = e.req.types->type(e.req.funcs[0].type_id);
    if (!mine || mine->kind() != btf_kind::func)
        return fail(EINVAL);
    const char *own_name = e.req.types->string(mine->name_off);
    side a{*e.req.types, own_name ? own_name : "", e.req.funcs[0].type_id, e.req.types->type(mine->size_or_type)};
    side b{*e.target.types, e.target.name, e.req.attach.btf_id, e.target.types->type(replaced->size_or_type)};
    if (mine->vlen() != BTF_FUNC_GLOBAL || replaced->vlen() != BTF_FUNC_GLOBAL) {
        verbose(e, "%s() is not a global function\n", mine->vlen() != BTF_FUNC_GLOBAL ? a.name : b.name);
        return fail(EINVAL);
    }
    if (!a.proto || a.proto->kind() != btf_kind::func_proto || !b.proto || b.proto->kind() != btf_kind::func_proto)
        return fail(EINVAL);
    return check_same_prototype(e, a, b);
}

}  // namespace modbpf
