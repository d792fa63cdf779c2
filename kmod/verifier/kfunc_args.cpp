// SPDX-License-Identifier: GPL-2.0-only
// Arguments of kernel functions: the prototype, the suffixes of its parameters' names and the register tell what an argument has to be.
#include "btf/format.h"
#include "verifier/btf_target.h"
#include "verifier/ctx_types.h"
#include "verifier/dynptr.h"
#include "verifier/kfunc.h"
#include "verifier/marks.h"

namespace modbpf {

namespace {

enum class kfunc_arg : u8 { null, ctx, object, map, dynptr, iter, const_str, memory, memory_and_size, callback, special };

const char *type_name(const btf &b, u32 id) {
    const char *n = id ? b.name(id) : nullptr;
    return n ? n : "";
}

bool is_ctx_param(const env &e, const kfunc_call &c, const kfunc_param &p) {
    const ctx_type_row *row = find_ctx_type(e.req.type->type);
    if (!row || !p.type || p.type->kind() != btf_kind::pointer)
        return false;
    const btf &b = c.types();
    for (u32 id = p.type->size_or_type, i = 0; id && i < 32; i++) { // a typedef counts by its name, a structure by its tag
        const btf_type *t = b.type(id);
        if (!t)
            return false;
        bool named = t->kind() == btf_kind::typedef_ || t->kind() == btf_kind::structure;
        const char *n = type_name(b, id);
        if (named && (!strcmp(n, row->user) || is_projection(row->user, n)))
            return true;
        if (t->kind() == btf_kind::structure)
            return e.req.type->type == BPF_PROG_TYPE_KPROBE && !strcmp(n, "pt_regs");
        if (!t->is_modifier())
            return false;
        id = t->size_or_type;
    }
    return false;
}

bool points_to(const kfunc_call &c, const kfunc_param &p, const char *name) {
    return p.target && p.target->kind() == btf_kind::structure && !strcmp(type_name(c.types(), p.target_id), name);
}

/// Fields of graphs and work queues, allocated objects.
bool is_special(const kfunc_call &c, const kfunc_param &p) {
    constexpr const char *fields[] = {"bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_wq"};
    for (const char *name : fields)
        if (points_to(c, p, name))
            return true;
    return p.ends_with("__alloc") || p.ends_with("__refcounted_kptr");
}

}  // namespace

bool is_plain_data(env &e, const btf &b, const btf_type *t) {
    constexpr u32 max_depth = 4;
    struct level {
        const btf_type *type;
        u32 next;
    } stack[max_depth];
    if (is_number(t))
        return true;
    if (!t || !t->is_composite())
        return false;
    u32 depth = 0;
    stack[0] = {t, 0};
    for (;;) {
        level &l = stack[depth];
        if (l.next == l.type->vlen()) {
            if (!depth)
                return true;
            depth--;
            continue;
        }
        const btf_type *m = b.type(b.skip_modifiers(b.tail<btf_member>(l.type)[l.next++].type));
        if (m && m->kind() == btf_kind::array) {
            const btf_array &a = *b.tail<btf_array>(m);
            if (!a.nelems || !is_number(b.type(b.skip_modifiers(a.type))))
                return false;
            continue;
        }
        if (is_number(m))
            continue;
        if (!m || !m->is_composite())
            return false;
        if (depth + 1 == max_depth) {
            verbose(e, "max struct nesting depth exceeded\n");
            return false;
        }
        stack[++depth] = {m, 0};
    }
}

namespace {

bool is_size_of(const env &e, const kfunc_call &c, u32 i) {
    if (i >= c.arg_count())
        return false;
    kfunc_param p = param_of(c, i);
    return is_number(p.type) && e.cur->cur().regs[i + 1].is_scalar() && (p.ends_with("__sz") || p.ends_with("__szk"));
}

result<kfunc_arg> classify(env &e, const kfunc_call &c, u32 i, const kfunc_param &p) {
    const reg_state &r = e.reg(i + 1);
    if (c.row->effect == kfunc_effect::kernel_ctx || is_ctx_param(e, c, p))
        return kfunc_arg::ctx;
    if (p.ends_with("__nullable") && r.is_null())
        return kfunc_arg::null;
    if (points_to(c, p, "bpf_dynptr"))
        return kfunc_arg::dynptr;
    if (c.is(kf_iter) ? i == 0 : p.ends_with("__iter"))
        return kfunc_arg::iter;
    if (is_special(c, p))
        return kfunc_arg::special;
    if (p.ends_with("__str"))
        return kfunc_arg::const_str;
    if (p.ends_with("__map"))
        return kfunc_arg::map;
    const char *target = type_name(c.types(), p.target_id);
    if (object_of(e, r)) {
        if (p.target && p.target->is_composite())
            return kfunc_arg::object;
        verbose(e, "kernel function %s args#%d pointer type %s %s is not supported\n", c.fn->name, i, kind_text(p.target), target);
        return fail(EINVAL);
    }
    if (p.target && p.target->kind() == btf_kind::func_proto)
        return kfunc_arg::callback;
    bool sized = is_size_of(e, c, i + 1);
    if (!is_plain_data(e, c.types(), p.target) && !(sized && !p.target)) {
        verbose(e, "arg#%d pointer type %s %s must point to %sscalar, or struct with scalar\n", i, kind_text(p.target), target,
                sized ? "void, " : "");
        return fail(EINVAL);
    }
    return sized ? kfunc_arg::memory_and_size : kfunc_arg::memory;
}

status take_constant(env &e, kfunc_call &c, u32 regno) {
    const reg_state &r = e.reg(regno);
    if (!r.var.is_const()) {
        verbose(e, "R%d must be a known constant\n", regno);
        return fail(EINVAL);
    }
    if (c.const_found)
        return verifier_bug(e, "kernel function with two constant arguments");
    c.const_found = true;
    c.const_value = r.var.value();
    return demand_reg(e, regno);
}

status check_number(env &e, kfunc_call &c, u32 regno, const kfunc_param &p) {
    const reg_state &r = e.reg(regno);
    if (!r.is_scalar()) {
        verbose(e, "R%d is not a scalar\n", regno);
        return fail(EINVAL);
    }
    if (p.ends_with("__k"))
        return take_constant(e, c, regno);
    bool rdonly = !strcmp(p.name, "rdonly_buf_size");
    if (!rdonly && strcmp(p.name, "rdwr_buf_size"))
        return {};
    if (c.buf_size) {
        verbose(e, "2 or more rdonly/rdwr_buf_size parameters for kfunc");
        return fail(EINVAL);
    }
    if (!r.var.is_const()) {
        verbose(e, "R%d is not a const\n", regno);
        return fail(EINVAL);
    }
    c.buf_rdonly = rdonly;
    c.buf_size = r.var.value();
    if (c.buf_size > 0xffffffffull) {
        verbose(e, "R%d rdonly/rdwr_buf_size exceeds u32 max\n", regno);
        return fail(EINVAL);
    }
    return demand_reg(e, regno);
}

/// Which pointers may have been moved from where they came from.
status check_offset(env &e, u32 regno, bool release) {
    const reg_state &r = e.reg(regno);
    if (release && r.off) {
        verbose(e, "R%d must have zero offset when passed to release func or trusted arg to kfunc\n", regno);
        return fail(EINVAL);
    }
    if (!release) {
        switch (r.base()) {
        case reg_type::stack:
        case reg_type::packet:
        case reg_type::packet_meta:
        case reg_type::map_key:
        case reg_type::map_value:
        case reg_type::arena:
        case reg_type::scalar:
            if (flags_of(r.type) == type_flag::none)
                return {};
            break;
        case reg_type::mem:
        case reg_type::buf:
            if ((flags_of(r.type) & ~(type_flag::rdonly | type_flag::ringbuf)) == type_flag::none)
                return {};
            break;
        case reg_type::btf_ptr: { // a field of the object may be passed
            reg_state moved = r;
            if (moved.off > 0 && !moved.may_be_null() && !has(moved.type, type_flag::untrusted | type_flag::user | type_flag::percpu))
                moved.off = 0;
            return check_ptr_off(e, moved, regno);
        }
        default: break;
        }
    }
    return check_ptr_off(e, r, regno);
}

status check_trust(env &e, const kfunc_call &c, u32 regno) {
    const reg_state &r = e.reg(regno);
    if (!c.is(kf_trusted | kf_release | kf_rcu) || is_trusted(r))
        return {};
    if (!c.is(kf_rcu)) {
        verbose(e, "R%d must be referenced or trusted\n", regno);
        return fail(EINVAL);
    }
    if (is_rcu(r))
        return {};
    verbose(e, "R%d must be a rcu pointer\n", regno);
    return fail(EINVAL);
}

status check_object(env &e, const kfunc_call &c, u32 i, typed want) {
    u32 regno = i + 1;
    const reg_state &r = e.reg(regno);
    constexpr type_flag safe = type_flag::alloc | type_flag::trusted | type_flag::non_owning;
    bool unsafe = (flags_of(r.type) & ~safe) != type_flag::none;
    typed have = object_of(e, r);
    if (!have || (r.base() == reg_type::btf_ptr && unsafe && !is_rcu(r))) {
        verbose(e, "arg#%d is %s ", i, reg_type_name(e, r.type));
        verbose(e, "expected %s or socket\n", reg_type_name(e, r.base() | (flags_of(r.type) & safe)));
        return fail(EINVAL);
    }
    if (u32 plain = have.types->skip_modifiers(have.id))
        have.id = plain;
    bool strict = (c.is(kf_release) && r.ref_id) || differ_by_init(have, want);
    bool fits = struct_fits(e, have, r.off, want, strict, !has(r.type, type_flag::alloc));
    if (fits || is_projection(want.name(), have.name()))
        return {};
    verbose(e, "kernel function %s args#%d expected pointer to %s %s but R%d has a pointer to %s %s\n", c.fn->name, i,
            kind_text(want.type()), want.name(), regno, kind_text(have.type()), have.name());
    return fail(EINVAL);
}

/// A map of the program, or one of the kernel's own, which nothing here runs on. A work queue's must be the one that it lies in.
status check_map(env &e, const kfunc_call &c, u32 i) {
    const reg_state &r = e.reg(i + 1);
    if (r.base() != reg_type::map_ptr)
        note_absent(e, "use of", "the kernel's maps");
    else if (c.map_ptr && (c.map_ptr != r.map_ptr || c.map_uid != r.map_uid)) {
        verbose(e, "workqueue pointer in R1 map_uid=%d doesn't match map pointer in R2 map_uid=%d\n", c.map_uid, r.map_uid);
        return fail(EINVAL);
    }
    return check_object(e, c, i, kernel_struct(e, "bpf_map"));
}

/// `size` bytes that the function may read and write. `check` runs with NULL ruled out.
template <class F> status without_null(env &e, u32 regno, F &&check) {
    reg_state &r = e.reg(regno);
    if (!r.may_be_null())
        return check();
    reg_state saved = r;
    mark_not_null(r);
    status s = check();
    e.reg(regno) = saved;
    return s;
}

status check_memory(env &e, u32 regno, s32 size, bool zero_ok) {
    TRY(check_mem_arg(e, regno, size, access::read, zero_ok, nullptr));
    return check_mem_arg(e, regno, size, access::write, zero_ok, nullptr);
}

status check_fixed_memory(env &e, const kfunc_call &c, u32 i, const kfunc_param &p) {
    u32 size;
    if (!p.target_id || !c.types().size_of(p.target_id, &size)) {
        verbose(e, "arg#%d reference type('%s %s') size cannot be determined: %d\n", i, kind_text(p.target),
                type_name(c.types(), p.target_id), -EINVAL);
        return fail(EINVAL);
    }
    if (e.reg(i + 1).is_null())
        return demand_unlogged(e, i + 1);
    return without_null(e, i + 1, [&]() -> status { return check_memory(e, i + 1, static_cast<s32>(size), true); });
}

status check_sized_memory(env &e, u32 regno) {
    u32 size_reg = regno + 1;
    const scalar &size = e.reg(size_reg).var;
    if (size.smin < 0) {
        verbose(e, "R%d min value is negative, either use unsigned or 'var &= const'\n", size_reg);
        return fail(EACCES);
    }
    if (size.umax >= static_cast<u64>(max_var_off)) {
        verbose(e, "R%d unbounded memory access, use 'var &= const' or 'if (var < const)'\n", size_reg);
        return fail(EACCES);
    }
    TRY(check_memory(e, regno, static_cast<s32>(size.umax), true));
    return demand_reg(e, size_reg);
}

status check_memory_and_size(env &e, kfunc_call &c, u32 i, const kfunc_param &p) {
    u32 regno = i + 1;
    bool null_ok = p.ends_with("__opt") || p.ends_with("__nullable");
    if (e.reg(regno).is_null() && p.ends_with("__opt")) {
        TRY(demand_unlogged(e, regno));
    } else if (e.reg(regno).may_be_null() && !null_ok) {
        verbose(e, "arg#%d is memory that may be NULL, which the kernel function would use\n", i);
        return fail(EACCES);
    } else if (status s = without_null(e, regno, [&]() -> status { return check_sized_memory(e, regno); }); !s) {
        verbose(e, "arg#%d arg#%d memory, len pair leads to invalid memory access\n", i, i + 1);
        return s;
    }
    return param_of(c, i + 1).ends_with("__szk") ? take_constant(e, c, regno + 1) : status();
}

status check_dynptr(env &e, kfunc_call &c, u32 regno, const kfunc_param &p) {
    arg_type t = arg_type::dynptr;
    bool uninit = p.ends_with("__uninit");
    if (e.reg(regno).type == reg_type::dynptr)
        t = t | type_flag::rdonly;
    if (uninit)
        t = t | type_flag::uninit;
    switch (c.row->effect) {
    case kfunc_effect::dynptr_from_skb: t = t | type_flag::dynptr_skb; break;
    case kfunc_effect::dynptr_from_xdp: t = t | type_flag::dynptr_xdp; break;
    default: break;
    }
    const dynptr_facts *original = c.row->effect == kfunc_effect::dynptr_clone ? &c.dynptr : nullptr;
    return check_dynptr_arg(e, regno, t, original, uninit ? nullptr : &c.dynptr);
}

status check_by_kind(env &e, kfunc_call &c, u32 i, const kfunc_param &p, kfunc_arg kind) {
    u32 regno = i + 1, room;
    const reg_state &r = e.reg(regno);
    switch (kind) {
    case kfunc_arg::ctx:
        if (r.type == reg_type::ctx)
            return {};
        verbose(e, "arg#%d expected pointer to ctx, but got %s\n", i, reg_type_name(e, r.type));
        return fail(EINVAL);
    case kfunc_arg::dynptr:
        return check_dynptr(e, c, regno, p);
    case kfunc_arg::iter:
        return check_iter_arg(e, regno, c);
    case kfunc_arg::map:
        return check_map(e, c, i);
    case kfunc_arg::object:
        return check_object(e, c, i, {&c.types(), p.target_id});
    case kfunc_arg::memory:
        return check_fixed_memory(e, c, i, p);
    case kfunc_arg::memory_and_size:
        return check_memory_and_size(e, c, i, p);
    case kfunc_arg::const_str:
        if (r.type != reg_type::map_value) {
            verbose(e, "arg#%d doesn't point to a const string\n", i);
            return fail(EINVAL);
        }
        TRY(const_string(e, regno, &room));
        return {};
    case kfunc_arg::callback:
        if (r.type != reg_type::func) {
            verbose(e, "arg%d expected pointer to func\n", i);
            return fail(EINVAL);
        }
        c.subprog = r.subprog;
        return {};
    default:
        return check_special_kfunc_arg(e, c, i, p);
    }
}

status check_pointer(env &e, kfunc_call &c, u32 i, const kfunc_param &p, bool *takes_size) {
    u32 regno = i + 1;
    const reg_state &r = e.reg(regno);
    if (!p.type || p.type->kind() != btf_kind::pointer) {
        verbose(e, "Unrecognized arg#%d type %s\n", i, kind_text(p.type));
        return fail(EINVAL);
    }
    if (c.is(kf_trusted | kf_release | kf_rcu) && (r.is_null() || r.may_be_null()) && !p.ends_with("__nullable")) {
        verbose(e, "Possibly NULL pointer passed to trusted arg%d\n", i);
        return fail(EACCES);
    }
    if (r.ref_id) {
        if (c.is(kf_release) && c.ref_id)
            return verifier_bug(e, "kernel function that releases two references");
        c.ref_id = r.ref_id;
        if (c.is(kf_release))
            c.release_regno = regno;
    }
    kfunc_arg kind = TRY(classify(e, c, i, p));
    if (kind == kfunc_arg::null)
        return demand_unlogged(e, regno);
    if (kind == kfunc_arg::map && r.base() != reg_type::map_ptr && r.base() != reg_type::btf_ptr) {
        verbose(e, "pointer in R%d isn't map pointer\n", regno);
        return fail(EINVAL);
    }
    if (kind == kfunc_arg::map || kind == kfunc_arg::object || (kind == kfunc_arg::special && p.ends_with("__alloc")))
        TRY(check_trust(e, c, regno));
    TRY(check_offset(e, regno, c.is(kf_release) && r.ref_id));
    *takes_size = kind == kfunc_arg::memory_and_size;
    return check_by_kind(e, c, i, p, kind);
}

}  // namespace

status check_kfunc_args(env &e, kfunc_call &c) {
    u32 n = c.arg_count();
    if (n > 5) {
        verbose(e, "Function %s has %d > %d args\n", c.fn->name, n, 5);
        return fail(EINVAL);
    }
    for (u32 i = 0; i < n; i++) {
        kfunc_param p = param_of(c, i);
        if (p.ends_with("__ign") || p.ends_with("__prog")) // the second in later kernels
            continue;
        if (is_number(p.type)) {
            TRY(check_number(e, c, i + 1, p));
            continue;
        }
        bool takes_size = false;
        TRY(check_pointer(e, c, i, p, &takes_size));
        i += takes_size;
    }
    if (c.is(kf_release) && !c.release_regno) {
        verbose(e, "release kernel function %s expects refcounted PTR_TO_BTF_ID\n", c.fn->name);
        return fail(EINVAL);
    }
    return {};
}

}  // namespace modbpf
