// SPDX-License-Identifier: GPL-2.0-only
// See btf_access.h.
#include "verifier/btf_access.h"

#include "btf/format.h"
#include "verifier/btf_lists.h"
#include "verifier/btf_match.h"
#include "verifier/btf_walk.h"
#include "verifier/special.h"

namespace modbpf {

namespace {

constexpr type_flag trusting = type_flag::alloc | type_flag::trusted | type_flag::non_owning | type_flag::rcu;

/// What any access to an object must meet, whatever lies there.
status check_object_base(env &e, u32 regno, s32 off, access t) {
    const reg_state &r = e.reg(regno);
    const char *name = typed{r.types, r.btf_id}.name();
    if (!e.req.perfmon) {
        verbose(e, "'struct %s' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n", name);
        return fail(EPERM);
    }
    if (!e.req.gpl_compatible && r.types->kernel) {
        verbose(e, "Cannot access kernel 'struct %s' from non-GPL compatible program\n", name);
        return fail(EINVAL);
    }
    if (off < 0) {
        verbose(e, "R%d is ptr_%s invalid negative access: off=%d\n", regno, name, off);
        return fail(EACCES);
    }
    if (!r.var.is_const() || r.var.value()) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e, "R%d is ptr_%s invalid variable offset: off=%d, var_off=%s\n", regno, name, off, text);
        return fail(EACCES);
    }
    if (has(r.type, type_flag::user | type_flag::percpu)) {
        verbose(e, "R%d is ptr_%s access %s memory: off=%d\n", regno, name, has(r.type, type_flag::user) ? "user" : "percpu", off);
        return fail(EACCES);
    }
    if (t == access::write && has(r.type, type_flag::untrusted)) {
        verbose(e, "only read is supported\n");
        return fail(EACCES);
    }
    return {};
}

/// Bytes [start, end) of a field of `holder` by its dotted path.
bool find_field(const btf &types, u32 holder, const char *path, u32 *start, u32 *end) {
    *start = 0;
    for (u32 id = holder; id;) {
        const btf_type *t = types.type(types.skip_modifiers(id));
        if (!t || !t->is_composite())
            return false;
        size_t len = 0;
        while (path[len] && path[len] != '.')
            len++;
        const btf_member *found = types.member(t, path, len);
        u32 size;
        if (!found || !types.size_of(found->type, &size))
            return false;
        *start += found->bit_offset(t->kind_flag()) / 8;
        *end = *start + size;
        if (!path[len])
            return true;
        path += len + 1;
        id = found->type;
    }
    return false;
}

/// The program's type has rules of its own for writes to kernel objects.
status check_write_rules(env &e, const reg_state &r, s32 off, u32 size, bool *has_rules) {
    const char *name = typed{r.types, r.btf_id}.name();
    const writable_field *of_object = nullptr;
    *has_rules = false;
    for (const writable_field &f : writable_fields()) {
        if (f.prog_type != e.req.type->type || (f.ops && (!e.target.ops || strcmp(f.ops, e.target.ops))))
            continue;
        *has_rules = true;
        if (!r.types->kernel || strcmp(f.object, name))
            continue;
        of_object = &f;
        u32 start = 0, end = 0, holder = r.types->find(f.holder, btf_kind::structure), at = static_cast<u32>(off);
        bool there = f.field ? find_field(*r.types, holder, f.field, &start, &end) : r.types->size_of(holder, &end);
        if (!there || (f.inside ? at < start || at >= end : at != start))
            continue;
        if (at + size <= end)
            return {};
        verbose(e, "write access at off %d with size %d beyond the member of %s ended at %u\n", off, size, f.object, end);
        return fail(EACCES);
    }
    if (!*has_rules)
        return {};
    if (of_object)
        verbose(e, "no write support to %s at off %d\n", name, off);
    else
        verbose(e, "only read is supported\n");
    return fail(EACCES);
}

/// How far a pointer is trusted that was read from field `w.field` of `r`.
type_flag trust_of_load(env &e, const reg_state &r, const struct_walk &w) {
    if (has(r.type, type_flag::untrusted))
        return type_flag::untrusted;
    if (!is_trusted(r) && !is_rcu(r))
        return w.flags & ~trusting;
    const typed from{r.types, r.btf_id}, to{r.types, w.id};
    field_trust trust = trust_of_field(from.name(), w.field ? w.field : "", to.name());
    if (trust == field_trust::trusted)
        return w.flags | type_flag::trusted;
    if (trust == field_trust::trusted_or_null)
        return w.flags | type_flag::trusted | type_flag::maybe_null;
    if (trust == field_trust::plain)
        return w.flags;
    if (!in_rcu_section(e))
        return type_flag::untrusted;
    if (trust == field_trust::rcu)
        return w.flags | type_flag::rcu;
    if (trust == field_trust::rcu_or_null)
        return (w.flags | type_flag::rcu | type_flag::maybe_null) & ~type_flag::untrusted;
    if ((w.flags & type_flag::rcu) != type_flag::none)
        return w.flags | type_flag::maybe_null;
    if ((w.flags & (type_flag::percpu | type_flag::user)) != type_flag::none)
        return w.flags;
    return w.flags & ~trusting;
}

/// An object of bpf_obj_new: the program's own memory but for its special fields. What it stores there is not trusted to be a pointer.
status access_own_object(env &e, const reg_state &r, s32 off, u32 size, access t, s32 value) {
    bool gone = has(r.type, type_flag::untrusted); // its RCU section was left: a load finds it, or 0
    if (gone && t == access::write) {
        verbose(e, "only read is supported\n");
        return fail(EACCES);
    }
    e.aux[e.insn].probes |= gone;
    if (!gone && !r.ref_id && !has(r.type, type_flag::non_owning | type_flag::rcu))
        return verifier_bug(e, "object of bpf_obj_new without a reference");
    if (const field_table *table = TRY(fields_of(e, r)))
        for (const special_field &f : table->fields)
            if (static_cast<u32>(off) < f.off + f.size && f.off < static_cast<u32>(off) + size) {
                verbose(e, "direct access to %s is disallowed\n", field_name(f.kind));
                return fail(EACCES);
            }
    struct_walk w{*r.types, e.log, false};
    TRY(w.access(r.btf_id, off, size));
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

void set_loaded(env &e, s32 value, walk_hit hit, typed to, type_flag flags) {
    if (value < 0)
        return;
    reg_state &r = e.reg(static_cast<u32>(value));
    if (hit == walk_hit::scalar)
        r.set_unknown();
    else
        set_object(e, r, to, flags);
}

}  // namespace

status access_object(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    TRY(check_object_base(e, regno, off, t));
    const reg_state r = e.reg(regno);
    if (is_alloc_object(r))
        return access_own_object(e, r, off, size, t, value);
    if (t == access::write) {
        bool has_rules;
        TRY(check_write_rules(e, r, off, size, &has_rules));
        if (has_rules) {
            note_absent(e, "write to", "kernel objects");
            return {};
        }
        verbose(e, "only read is supported\n");
        return fail(EACCES);
    }
    struct_walk w{*r.types, e.log, value >= 0}; // a load behind a flexible array finds it or 0; a helper just reads
    walk_hit hit = TRY(w.access(r.btf_id, off, size));
    e.aux[e.insn].probes = true;
    if (t != access::read)
        return {};
    type_flag trust = trust_of_load(e, r, w);
    set_loaded(e, value, hit, {r.types, w.id}, trust);
    if (value >= 0 && hit != walk_hit::scalar && (trust & (type_flag::untrusted | type_flag::rcu)) == type_flag::none)
        e.reg(static_cast<u32>(value)).holder_ref = r.ref_id ? r.ref_id : r.holder_ref;
    return {};
}

status check_buffer(env &e, u32 regno, s32 off, u32 size, access t) {
    const reg_state &r = e.reg(regno);
    bool readonly = has(r.type, type_flag::rdonly), record = r.base() == reg_type::tp_buffer;
    if (t == access::write && readonly) {
        verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
    if (off < 0) {
        verbose(e, "R%d invalid %s buffer access: off=%d, size=%d\n", regno, record ? "tracepoint" : readonly ? "rdonly" : "rdwr", off, size);
        return fail(EACCES);
    }
    if (!r.var.is_const() || r.var.value()) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e, "R%d invalid variable buffer offset: off=%d, var_off=%s\n", regno, off, text);
        return fail(EACCES);
    }
    u32 &end = record ? e.out->max_record_access : readonly ? e.out->max_rdonly_access : e.out->max_rdwr_access;
    end = max(end, static_cast<u32>(off) + size);
    return {};
}

status access_buffer(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    TRY(check_buffer(e, regno, off, size, t));
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

status access_map_struct(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    const map *m = e.reg(regno).map_ptr;
    if (!kernel_types(e)) {
        verbose(e, "map_ptr access not supported without CONFIG_DEBUG_INFO_BTF\n");
        return fail(ENOTSUPP);
    }
    const char *name = map_struct_name(m->params.type);
    typed kind = name ? kernel_struct(e, name) : typed{};
    if (!kind) {
        verbose(e, "map_ptr access not supported for map type %d\n", m->params.type);
        return fail(ENOTSUPP);
    }
    if (!e.req.perfmon) {
        verbose(e, "'struct %s' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n", name);
        return fail(EPERM);
    }
    if (off < 0) {
        verbose(e, "R%d is %s invalid negative access: off=%d\n", regno, name, off);
        return fail(EACCES);
    }
    if (t == access::write) {
        verbose(e, "only read from %s is supported\n", name);
        return fail(EACCES);
    }
    struct_walk w{*kind.types, e.log, true};
    walk_hit hit = TRY(w.access(kind.id, off, size));
    note_absent(e, "direct access to", "a map's own fields"); // they are modbpf's, not those of the kernel's structure
    set_loaded(e, value, hit, {kind.types, w.id}, w.flags);
    return {};
}

}  // namespace modbpf
