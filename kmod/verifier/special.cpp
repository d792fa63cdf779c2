// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/special.h"
#include "verifier/marks.h"
#include "verifier/sections.h"

namespace modbpf {

result<const field_table *> fields_of_object(env &e, typed object) {
    if (!object || object.types->kernel)
        return nullptr;
    for (const object_fields &o : e.objects)
        if (o.types == object.types && o.id == object.id)
            return o.table && o.table->kinds ? o.table.get() : nullptr;
    const btf_type *t = object.type();
    own<field_table> table;
    if (t && t->kind() == btf_kind::structure && TRY(tells_fields(*object.types, object.id)))
        table = TRY(parse_fields(*object.types, object.id, object_fields_mask, kernel_types(e)));
    const field_table *raw = table && table->kinds ? table.get() : nullptr;
    TRY(e.objects.push({object.types, object.id, move(table)}));
    return raw;
}

result<const field_table *> fields_of(env &e, const reg_state &r) {
    if (r.base() == reg_type::map_value)
        return r.map_ptr && r.map_ptr->fields && r.map_ptr->fields->kinds ? r.map_ptr->fields : nullptr;
    return is_alloc_object(r) ? fields_of_object(e, object_of(e, r)) : nullptr;
}

bool tells_lock(env &e, const reg_state &r) {
    auto table = fields_of(e, r);
    return !table || (*table && (*table)->has(field_kind::spin_lock));
}

result<const special_field *> check_field_access(env &e, u32 regno, s32 off, s32 size, bool direct) {
    const reg_state &r = e.reg(regno);
    const field_table *table = TRY(fields_of(e, r));
    const special_field *kptr = nullptr;
    if (!table)
        return kptr;
    for (const special_field &f : table->fields) {
        if (r.var.smin + off >= static_cast<s64>(f.off) + f.size || static_cast<s64>(f.off) >= static_cast<s64>(r.var.umax) + off + size)
            continue;
        if (!(field_bit(f.kind) & kptr_fields)) {
            verbose(e, "%s cannot be accessed directly by load/store\n", field_name(f.kind));
            return fail(EACCES);
        }
        if (!direct)
            verbose(e, "kptr cannot be accessed indirectly by helper\n");
        else if (!r.var.is_const())
            verbose(e, "kptr access cannot have variable offset\n");
        else if (f.off != static_cast<u64>(static_cast<s64>(off)) + r.var.value())
            verbose(e, "kptr access misaligned expected=%u off=%llu\n", f.off, static_cast<u64>(static_cast<s64>(off)) + r.var.value());
        else if (size != 8)
            verbose(e, "kptr access size must be BPF_DW\n");
        else
            kptr = &f;
        if (!kptr)
            return fail(EACCES);
    }
    return kptr;
}

// ---- kernel pointers ----------------------------------------------------------------------------------------------------------

namespace {

/// Kernel types whose objects stay for as long as RCU readers may look at them.
constexpr const char *rcu_types[] = {"prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"};

bool rcu_safe(const special_field &f) {
    if (f.kind != field_kind::kptr_ref)
        return f.kind == field_kind::kptr_percpu;
    if (!f.types->kernel)
        return true;
    for (const char *n : rcu_types)
        if (!strcmp(n, f.types->name(f.type_id)))
            return true;
    return false;
}

/// What a load of the pointer gives.
result<type_flag> loaded_flags(env &e, const special_field &f) {
    if (!rcu_safe(f) || !in_rcu_section(e))
        return type_flag::maybe_null | type_flag::untrusted;
    type_flag flags = type_flag::maybe_null | type_flag::rcu;
    if (f.kind == field_kind::kptr_percpu)
        flags = flags | type_flag::percpu;
    else if (!f.types->kernel)
        flags = flags | type_flag::alloc;
    const field_table *inner = TRY(fields_of_object(e, {f.types, f.type_id}));
    if (inner && inner->has_any(graph_nodes))
        flags = flags | type_flag::non_owning;
    return flags;
}

bool fits_kptr(env &e, const special_field &f, const reg_state &r) {
    bool percpu = f.kind == field_kind::kptr_percpu;
    if (r.base() != reg_type::btf_ptr)
        return false;
    type_flag allowed = type_flag::maybe_null;
    if (r.types->kernel)
        allowed = allowed | type_flag::trusted | type_flag::rcu | (f.kind == field_kind::kptr_unref ? type_flag::untrusted : type_flag::none);
    else
        allowed = allowed | type_flag::alloc | (percpu ? type_flag::percpu : type_flag::none);
    return (flags_of(r.type) & ~allowed) == type_flag::none && percpu == has(r.type, type_flag::percpu);
}

}  // namespace

type_flag exchanged_flags(const special_field &f) {
    if (f.types->kernel)
        return type_flag::none;
    return f.kind == field_kind::kptr_percpu ? type_flag::alloc | type_flag::percpu : type_flag::alloc;
}

void keep_exchanged(env &e, u32 ref_id) {
    constexpr type_flag own_percpu = type_flag::alloc | type_flag::percpu;
    if (!ref_id || !in_rcu_section(e))
        return;
    auto is_exchanged = [&](const reg_state &r) {
        return r.ref_id == ref_id && r.base() == reg_type::btf_ptr && (flags_of(r.type) & own_percpu) == own_percpu;
    };
    e.cur->for_each_reg(is_exchanged, [](reg_state &r) { r.ref_id = 0, r.type = without(r.type, type_flag::alloc) | type_flag::rcu; });
}

status check_kptr_value(env &e, const special_field &f, u32 regno) {
    const reg_state &r = e.reg(regno);
    const char *name = "", *want = f.types->name(f.type_id);
    if (fits_kptr(e, f, r)) {
        name = r.types->name(r.btf_id);
        bool moved = r.off < 0;
        if (moved)
            verbose(e, "negative offset %s ptr R%d off=%d disallowed\n", reg_type_name(e, r.type), regno, r.off);
        if (!moved && (!r.var.is_const() || r.var.value())) {
            char text[48];
            tnum_text(text, sizeof(text), r.var.bits);
            verbose(e, "variable %s access var_off=%s disallowed\n", reg_type_name(e, r.type), text);
            moved = true;
        }
        if (moved)
            return fail(EACCES);
        if (struct_fits(e, {r.types, r.btf_id}, r.off, {f.types, f.type_id}, f.kind != field_kind::kptr_unref, !is_alloc_object(r)))
            return {};
    }
    verbose(e, "invalid kptr access, R%d type=%s%s ", regno, reg_type_name(e, r.type), name ? name : "");
    verbose(e, "expected=ptr_%s", want ? want : "");
    if (f.kind == field_kind::kptr_unref)
        verbose(e, " or untrusted_ptr_%s", want ? want : "");
    verbose(e, "\n");
    return fail(EINVAL);
}

status access_kptr(env &e, const special_field &f, access t, s32 value) {
    const insn_desc &d = e.desc(e.insn);
    if (d.kind != insn_kind::load && d.kind != insn_kind::store) {
        verbose(e, "kptr in map can only be accessed using BPF_MEM instruction mode\n");
        return fail(EACCES);
    }
    if (d.is_signed) {
        verbose(e, "kptr in map can only be accessed using BPF_MEM instruction mode\n");
        return fail(EACCES);
    }
    if (t == access::read) {
        type_flag flags = TRY(loaded_flags(e, f));
        if (value >= 0)
            set_object(e, e.reg(static_cast<u32>(value)), {f.types, f.type_id}, flags);
        return {};
    }
    if (f.kind != field_kind::kptr_unref) {
        verbose(e, "store to referenced kptr disallowed\n");
        return fail(EACCES);
    }
    if (value < 0) {
        if (!d.imm)
            return {};
        verbose(e, "BPF_ST imm must be 0 when storing to kptr at off=%u\n", f.off);
        return fail(EACCES);
    }
    if (e.reg(static_cast<u32>(value)).is_null())
        return demand_reg(e, static_cast<u32>(value));
    if (status s = check_kptr_value(e, f, static_cast<u32>(value)); !s)
        return fail(EACCES);
    return {};
}

// ---- arguments ----------------------------------------------------------------------------------------------------------------

namespace {

/// What is in a map's value needs the types of the map.
status check_map_types(env &e, const reg_state &r, const char *what) {
    if (r.base() != reg_type::map_value || r.map_ptr->btf_ref)
        return {};
    verbose(e, "map '%s' has to have BTF in order to use %s\n", r.map_ptr->params.name, what);
    return fail(EINVAL);
}

status check_const_off(env &e, u32 regno, const char *what) {
    if (e.reg(regno).var.is_const())
        return {};
    verbose(e, "R%d doesn't have constant offset. %s has to be at the constant offset\n", regno, what);
    return fail(EINVAL);
}

s64 offset_of(const reg_state &r) { return static_cast<s64>(r.var.value()) + r.off; }

/// R[regno] points to the field of that kind.
status check_field_arg(env &e, u32 regno, field_kind kind) {
    const reg_state &r = e.reg(regno);
    const char *name = field_name(kind);
    TRY(check_const_off(e, regno, name));
    TRY(check_map_types(e, r, name));
    const field_table *table = TRY(fields_of(e, r));
    const special_field *f = table ? table->find(kind) : nullptr;
    if (!f) {
        bool in_map = r.base() == reg_type::map_value;
        verbose(e, "%s '%s' has no valid %s\n", in_map ? "map" : "local", in_map ? r.map_ptr->params.name : "kptr", name);
        return fail(EINVAL);
    }
    if (f->off == offset_of(r))
        return {};
    verbose(e, "off %lld doesn't point to 'struct %s' that is at %d\n", offset_of(r), name, f->off);
    return fail(EINVAL);
}

status lock(env &e, const void *owner, u32 id) {
    path_modes &m = e.cur->modes;
    if (m.lock_ptr) {
        verbose(e, "Locking two bpf_spin_locks are not allowed\n");
        return fail(EINVAL);
    }
    m.lock_ptr = owner, m.lock_id = id;
    return {};
}

/// What a list or tree owns may be gone when its lock is left.
void forget_non_owning(env &e) {
    e.cur->for_each_reg([](const reg_state &r) { return has(r.type, type_flag::non_owning); },
                        [&](reg_state &r) { forget_pointer(e, r); });
}

status unlock(env &e, const void *owner, u32 id) {
    path_modes &m = e.cur->modes;
    if (!m.lock_ptr) {
        verbose(e, "bpf_spin_unlock without taking a lock\n");
        return fail(EINVAL);
    }
    if (m.lock_ptr != owner || m.lock_id != id) {
        verbose(e, "bpf_spin_unlock of different lock\n");
        return fail(EINVAL);
    }
    forget_non_owning(e);
    m.lock_ptr = nullptr, m.lock_id = 0;
    if (!in_rcu_section(e))
        distrust_protected(e);
    return {};
}

status check_lock_arg(env &e, u32 regno, const helper_proto &fn) {
    TRY(check_field_arg(e, regno, field_kind::spin_lock));
    const reg_state &r = e.reg(regno);
    const void *owner = r.base() == reg_type::map_value ? static_cast<const void *>(r.map_ptr) : r.types;
    return fn.flags & helper_unlocks ? unlock(e, owner, r.id) : lock(e, owner, r.id);
}

status check_timer_arg(env &e, u32 regno, call_meta &meta) {
    TRY(check_field_arg(e, regno, field_kind::timer));
    const reg_state &r = e.reg(regno);
    meta.map_ptr = r.map_ptr, meta.map_uid = r.map_uid;
    return {};
}

status check_kptr_arg(env &e, u32 regno, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    TRY(check_map_types(e, r, "bpf_kptr_xchg"));
    TRY(check_const_off(e, regno, "kptr"));
    const field_table *table = TRY(fields_of(e, r));
    if (!table || !table->has_any(kptr_fields)) {
        verbose(e, "R%d has no valid kptr\n", regno);
        return fail(EINVAL);
    }
    s64 off = offset_of(r);
    const special_field *f = off < 0 ? nullptr : table->at(static_cast<u32>(off), kptr_fields);
    if (!f || f->kind == field_kind::kptr_unref) {
        verbose(e, f ? "off=%d kptr isn't referenced kptr\n" : "off=%d doesn't point to kptr\n", static_cast<int>(off));
        return fail(EACCES);
    }
    meta.kptr = f;
    if (r.base() == reg_type::map_value)
        meta.map_ptr = r.map_ptr;
    return {};
}

}  // namespace

status check_special_arg(env &e, u32 regno, arg_type t, call_meta &meta) {
    switch (base_of(t)) {
    case arg_type::spin_lock:
        if (in_tree_callback(*e.cur)) {
            verbose(e, "can't spin_{lock,unlock} in rbtree cb\n");
            return fail(EACCES);
        }
        return check_lock_arg(e, regno, *meta.fn);
    case arg_type::timer: return check_timer_arg(e, regno, meta);
    case arg_type::kptr: return check_kptr_arg(e, regno, meta);
    default: return verifier_bug(e, "kind of a special argument");
    }
}

status check_lock_left(env &e) {
    if (!e.cur->modes.lock_ptr || e.cur->curframe)
        return {};
    verbose(e, "bpf_spin_unlock is missing\n");
    return fail(EINVAL);
}

}  // namespace modbpf
