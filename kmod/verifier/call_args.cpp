// SPDX-License-Identifier: GPL-2.0-only
// Arguments of helper calls: which registers each kind takes, and what is checked of their memory, size, object or reference.
#include "verifier/btf_access.h"
#include "verifier/btf_match.h"
#include "verifier/call.h"
#include "verifier/context.h"
#include "verifier/dynptr.h"
#include "verifier/marks.h"
#include "verifier/speculation.h"
#include "verifier/special.h"

namespace modbpf {

namespace {

constexpr u64 max_var_size = 1ull << 29; // BPF_MAX_VAR_SIZ

// ---- which registers fit ------------------------------------------------------------------------------------------------

/// The kinds of registers that an argument takes, in the order in which a refusal names them.
struct reg_kinds {
    reg_type kinds[10];
    u32 count;
    template <class... T> constexpr reg_kinds(T... k) : kinds{k...}, count(sizeof...(k)) {}
    bool has(reg_type t) const {
        for (u32 i = 0; i < count; i++)
            if (kinds[i] == t)
                return true;
        return false;
    }
};

constexpr reg_type trusted_object = reg_type::btf_ptr | type_flag::trusted, rcu_object = reg_type::btf_ptr | type_flag::rcu,
                   percpu_object = reg_type::btf_ptr | type_flag::percpu;

constexpr reg_kinds scalar_kinds{reg_type::scalar}, map_kinds{reg_type::map_ptr}, ctx_kinds{reg_type::ctx},
    socket_kinds{reg_type::socket}, record_kinds{reg_type::ringbuf_mem}, value_kinds{reg_type::map_value},
    func_kinds{reg_type::func}, stack_kinds{reg_type::stack},
    sock_kinds{reg_type::sock_common, reg_type::socket, reg_type::tcp_sock, reg_type::xdp_sock},
    any_sock_kinds{reg_type::sock_common, reg_type::socket, reg_type::tcp_sock, reg_type::xdp_sock, reg_type::btf_ptr, trusted_object},
    object_kinds{reg_type::btf_ptr, trusted_object, rcu_object},
    percpu_kinds{percpu_object, percpu_object | type_flag::rcu, percpu_object | type_flag::trusted},
    holder_kinds{reg_type::map_value, reg_type::btf_ptr | type_flag::alloc},
    mem_kinds{reg_type::stack, reg_type::packet, reg_type::packet_meta, reg_type::map_key, reg_type::map_value, reg_type::mem,
              reg_type::ringbuf_mem, reg_type::buf, trusted_object};

const reg_kinds *kinds_of(arg_type t) {
    switch (base_of(t)) {
    case arg_type::map_key:
    case arg_type::map_value:
    case arg_type::mem: return &mem_kinds;
    case arg_type::const_size:
    case arg_type::const_size_or_zero:
    case arg_type::const_alloc_size_or_zero:
    case arg_type::number: return &scalar_kinds;
    case arg_type::const_map_ptr: return &map_kinds;
    case arg_type::ctx: return &ctx_kinds;
    case arg_type::sock_common: return &sock_kinds;
    case arg_type::btf_id_sock_common: return &any_sock_kinds;
    case arg_type::socket: return &socket_kinds;
    case arg_type::btf_id: return &object_kinds;
    case arg_type::percpu_btf_id: return &percpu_kinds;
    case arg_type::ringbuf_mem: return &record_kinds;
    case arg_type::const_str:
    case arg_type::timer: return &value_kinds;
    case arg_type::spin_lock:
    case arg_type::kptr: return &holder_kinds;
    case arg_type::func: return &func_kinds;
    case arg_type::stack: return &stack_kinds;
    default: return nullptr;
    }
}

/// The register's kind as the argument sees it: what it takes besides is folded away. A pointer that may be NULL is never memory
/// with a size, even where the constant NULL is: it would reach the helper together with the size.
reg_type folded(reg_type r, arg_type t) {
    if (has(t, type_flag::rdonly))
        r = without(r, type_flag::rdonly);
    if (has(t, type_flag::maybe_null) && base_of(t) != arg_type::mem)
        r = without(r, type_flag::maybe_null);
    if (base_of(t) == arg_type::mem)
        r = without(r, dynptr_kinds);
    return r;
}

status refuse_type(env &e, u32 regno, const reg_kinds &k) {
    verbose(e, "R%d type=%s expected=", regno, reg_type_name(e, e.reg(regno).type));
    for (u32 i = 0; i < k.count; i++)
        verbose(e, "%s%s", i ? ", " : "", reg_type_name(e, k.kinds[i]));
    verbose(e, "\n");
    return fail(EACCES);
}

/// The object that is put into a kernel pointer.
status check_kptr_object(env &e, u32 regno, const special_field &f) {
    if (e.reg(regno).may_be_null()) {
        verbose(e, "Possibly NULL pointer passed to helper arg%d\n", regno);
        return fail(EACCES);
    }
    return check_kptr_value(e, f, regno).ok() ? status() : status(fail(EACCES));
}

/// The register is a kernel object: of the right structure?
status check_object(env &e, u32 regno, arg_type t, const call_meta &meta, const reg_kinds &k) {
    const reg_state &r = e.reg(regno);
    if (&k == &mem_kinds) {
        if (has(t, type_flag::rdonly))
            return {};
        verbose(e, "%s() may write into memory pointed by R%d type=%s\n", func_text(meta.fn->id).text, regno,
                reg_type_name(e, r.type));
        return fail(EACCES);
    }
    if (&k != &object_kinds && &k != &any_sock_kinds)
        return {}; // what the argument's own check looks at
    bool sock = base_of(t) == arg_type::btf_id_sock_common, release = has(t, type_flag::release);
    if (meta.kptr)
        return check_kptr_object(e, regno, *meta.kptr);
    const char *name = sock ? "sock_common" : meta.fn->btf_types[regno - 1];
    if (!name)
        return verifier_bug(e, "helper argument without a type");
    typed want = kernel_struct(e, name);
    if (!want) {
        verbose(e, "R%d: the kernel's BTF has no struct %s\n", regno, name);
        return fail(EINVAL);
    }
    // All sockets start with a sock_common, by which they are released.
    return check_object_arg(e, regno, {want, has(t, type_flag::maybe_null), release, release && !sock});
}

status check_arg_kind(env &e, u32 regno, arg_type t, const call_meta &meta) {
    const reg_state &r = e.reg(regno);
    const reg_kinds *k = kinds_of(t);
    if (!k)
        return verifier_bug(e, "kind of a helper argument");
    reg_type seen = folded(r.type, t);
    if (meta.kptr && base_of(t) == arg_type::btf_id) // the program's own objects too
        seen = without(seen, type_flag::alloc | type_flag::percpu);
    if (!k->has(seen))
        return refuse_type(e, regno, *k);
    return r.base() == reg_type::btf_ptr ? check_object(e, regno, t, meta, *k) : status();
}

status check_arg_offset(env &e, u32 regno, arg_type t) {
    const reg_state &r = e.reg(regno);
    if (has(t, type_flag::release)) {
        if (r.off) {
            verbose(e, "R%d must have zero offset when passed to release func or trusted arg to kfunc\n", regno);
            return fail(EINVAL);
        }
        return check_ptr_off(e, r, regno);
    }
    switch (r.base()) {
    case reg_type::scalar:
    case reg_type::stack:
    case reg_type::packet:
    case reg_type::packet_meta:
    case reg_type::map_key:
    case reg_type::map_value:
    case reg_type::mem:
    case reg_type::buf:
    case reg_type::arena:
        return {};
    case reg_type::btf_ptr: {
        // What is found by another way than by adding to the address has none.
        constexpr type_flag fixed = type_flag::percpu | type_flag::user | type_flag::untrusted | type_flag::maybe_null;
        return check_ptr_off(e, r, regno, (flags_of(r.type) & fixed) == type_flag::none);
    }
    default:
        return check_ptr_off(e, r, regno);
    }
}

// ---- memory ---------------------------------------------------------------------------------------------------------------

access access_of(arg_type t) { return has(t, type_flag::write) ? access::write : access::read; }

status check_size_arg(env &e, u32 regno, bool zero_ok, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    arg_type mem = meta.fn->args[regno - 2];
    meta.size_max = r.var.umax;
    if (r.var.smin < 0) {
        verbose(e, "R%d min value is negative, either use unsigned or 'var &= const'\n", regno);
        return fail(EACCES);
    }
    if (r.var.umin == 0 && !zero_ok) {
        verbose(e, "R%d invalid zero-sized read: u64=[%lld,%lld]\n", regno, r.var.umin, r.var.umax);
        return fail(EACCES);
    }
    if (r.var.umax >= max_var_size) {
        verbose(e, "R%d unbounded memory access, use 'var &= const' or 'if (var < const)'\n", regno);
        return fail(EACCES);
    }
    // A size that may be less leaves bytes unwritten: then the area must be readable before.
    meta.raw = has(mem, type_flag::uninit) && r.var.is_const();
    TRY(check_mem_arg(e, regno - 1, static_cast<s32>(r.var.umax), access_of(mem), zero_ok, &meta));
    return demand_reg(e, regno);
}

status check_aligned(env &e, const reg_state &r, u32 size) {
    if (tnum_is_aligned(tnum_add(r.var.bits, tnum::constant(static_cast<u64>(static_cast<s64>(r.off)))), size))
        return {};
    char text[48];
    tnum_text(text, sizeof(text), r.var.bits);
    verbose(e, "misaligned %saccess off %s+%d+%d size %d\n", r.type == reg_type::stack ? "stack " : "", text, r.off, 0, size);
    return fail(EACCES);
}

/// Memory whose size the prototype says.
status check_fixed_mem(env &e, u32 regno, arg_type t, call_meta &meta) {
    u32 size = meta.fn->sizes[regno - 1];
    if (!size)
        size = sizeof(u64);
    meta.raw = has(t, type_flag::uninit);
    TRY(check_mem_arg(e, regno, static_cast<s32>(size), access_of(t), false, &meta));
    return has(t, type_flag::aligned) ? check_aligned(e, e.reg(regno), size) : status();
}

/// An array has an element for each number below its size, and so has every array that may stand in its place.
bool has_all_elements(const call_meta &meta) {
    const map_params &p = meta.map_ptr->params;
    if (p.type == BPF_MAP_TYPE_ARRAY)
        return !(p.flags & BPF_F_INNER_MAP) || !meta.of_many;
    return p.type == BPF_MAP_TYPE_PERCPU_ARRAY && !meta.of_many;
}

bool is_array(u32 type) { return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY; }

/// Does the look-up with the known key on the stack find something? The type still says that it may not, as in Linux 6.12: what does not
/// compare the result is refused.
status find_element(env &e, const reg_state &key, call_meta &meta) {
    if (e.req.guarded() || !has_all_elements(meta))
        return {};
    u32 number;
    meta.found = TRY(known_word(e, key, &number)) && number < meta.map_ptr->params.max_entries;
    return {};
}

/// A key or a value of the map argument; the constant NULL and pointers that may be NULL only where the helper looks.
status check_element(env &e, u32 regno, arg_type t, call_meta &meta) {
    if (MODBPF_BUG_ON(!meta.map_ptr))
        return error(EFAULT);
    reg_state &r = e.reg(regno);
    if (r.is_null() && has(t, type_flag::maybe_null))
        return {};
    const map_params &p = meta.map_ptr->params;
    bool key = base_of(t) == arg_type::map_key;
    s32 size = static_cast<s32>(key ? p.key_size : p.value_size);
    meta.raw = has(t, type_flag::uninit);
    meta.kept = key && meta.fn->id == BPF_FUNC_map_lookup_elem && is_array(p.type);
    reg_state saved = r; // the helper looks at it when it is not NULL
    if (r.may_be_null())
        mark_not_null(r);
    status s = check_mem_arg(e, regno, size, access_of(t), false, &meta);
    e.reg(regno) = saved;
    return s && meta.kept ? find_element(e, saved, meta) : move(s);
}

/// What a value argument is when the map's values are no plain memory.
result<arg_type> resolve_value(env &e, arg_type t, const call_meta &meta) {
    if (MODBPF_BUG_ON(!meta.map_ptr))
        return error(EFAULT);
    switch (meta.map_ptr->params.type) {
    case BPF_MAP_TYPE_SOCKMAP:
    case BPF_MAP_TYPE_SOCKHASH:
        if (t == arg_type::map_value)
            return arg_type::btf_id_sock_common;
        verbose(e, "invalid arg_type for sockmap/sockhash\n");
        return fail(EINVAL);
    case BPF_MAP_TYPE_BLOOM_FILTER: // a look-up asks for a value, it gets none
        return without(t, type_flag::uninit | type_flag::write);
    default:
        return t;
    }
}

// ---- what each kind asks besides -------------------------------------------------------------------------------------------

status check_map_arg(env &e, u32 regno, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    if (meta.map_ptr && (meta.map_ptr != r.map_ptr || meta.map_uid != r.map_uid)) {
        verbose(e, "timer pointer in R1 map_uid=%d doesn't match map pointer in R2 map_uid=%d\n", meta.map_uid, r.map_uid);
        return fail(EINVAL);
    }
    meta.map_ptr = r.map_ptr, meta.map_uid = r.map_uid, meta.of_many = r.of_many;
    return {};
}

status check_alloc_size(env &e, u32 regno, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    if (!r.var.is_const()) {
        verbose(e, "R%d is not a known constant'\n", regno);
        return fail(EACCES);
    }
    meta.alloc_size = r.var.value();
    return demand_reg(e, regno);
}

status check_kind(env &e, u32 regno, arg_type t, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    switch (base_of(t)) {
    case arg_type::ctx:
    case arg_type::ringbuf_mem:
    case arg_type::sock_common:
    case arg_type::socket:
    case arg_type::btf_id:
    case arg_type::btf_id_sock_common:
    case arg_type::stack:
    case arg_type::number:
        return {};
    case arg_type::const_map_ptr:
        return check_map_arg(e, regno, meta);
    case arg_type::map_key:
    case arg_type::map_value:
        return check_element(e, regno, t, meta);
    case arg_type::mem: // or with its size, behind it
        return has(t, type_flag::fixed_size) ? check_fixed_mem(e, regno, t, meta) : status();
    case arg_type::const_size:
    case arg_type::const_size_or_zero:
        return check_size_arg(e, regno, base_of(t) == arg_type::const_size_or_zero, meta);
    case arg_type::const_alloc_size_or_zero:
        return check_alloc_size(e, regno, meta);
    case arg_type::const_str: {
        u32 room;
        TRY(const_string(e, regno, &room));
        return {};
    }
    case arg_type::percpu_btf_id:
        if (!r.btf_id) {
            verbose(e, "Helper has invalid btf_id in R%d\n", regno);
            return fail(EACCES);
        }
        meta.object_types = r.types, meta.object_id = r.btf_id;
        meta.own_object = has(r.type, type_flag::rcu) && !r.types->kernel;
        return {};
    case arg_type::func:
        meta.subprog = r.subprog;
        return {};
    case arg_type::spin_lock:
    case arg_type::timer:
    case arg_type::kptr:
        return check_special_arg(e, regno, t, meta);
    default:
        verbose(e, "R%d: this kind of helper argument is not supported\n", regno);
        return fail(EOPNOTSUPP);
    }
}

/// The references that arguments hold: the released one, and the one that the result may share.
status note_reference(env &e, u32 regno, arg_type t, call_meta &meta) {
    const reg_state &r = e.reg(regno);
    if (has(t, type_flag::release)) {
        if (!r.ref_id && !r.is_null()) {
            verbose(e, "R%d must be referenced when passed to release function\n", regno);
            return fail(EINVAL);
        }
        meta.release_regno = regno;
    }
    if (!r.ref_id || base_of(t) == arg_type::kptr)
        return {};
    if (meta.ref_id) {
        verbose(e, "verifier internal error: more than one arg with ref_obj_id R%d %u %u\n", regno, r.ref_id, meta.ref_id);
        return fail(EFAULT);
    }
    meta.ref_id = r.ref_id;
    return {};
}

}  // namespace

status check_kernel_object(env &e, u32 regno, const typed &want, bool null_ok) {
    reg_type seen = e.reg(regno).type;
    if (!object_kinds.has(null_ok ? without(seen, type_flag::maybe_null) : seen))
        return refuse_type(e, regno, object_kinds);
    return check_object_arg(e, regno, {want, null_ok});
}

result<const char *> const_string(env &e, u32 regno, u32 *room) {
    const reg_state &r = e.reg(regno);
    map *m = r.map_ptr;
    if (!map_is_rdonly(m)) {
        verbose(e, "R%d does not point to a readonly map'\n", regno);
        return fail(EACCES);
    }
    if (!r.var.is_const()) {
        verbose(e, "R%d is not a constant address'\n", regno);
        return fail(EACCES);
    }
    if (!m->ops->value_address) {
        verbose(e, "no direct value access support for this map type\n");
        return fail(EACCES);
    }
    TRY(check_region(e, regno, r.off, static_cast<s32>(m->params.value_size) - r.off, m->params.value_size, false));
    u32 off = static_cast<u32>(r.off + static_cast<s32>(r.var.value()));
    auto addr = m->ops->value_address(m, off);
    if (!addr.ok()) {
        verbose(e, "direct value access on string failed\n");
        return addr.err();
    }
    const char *s = ptr_of<const char>(addr.value());
    *room = m->params.value_size - off;
    for (u32 i = 0; i < *room; i++)
        if (!s[i])
            return s;
    verbose(e, "string is not zero-terminated\n");
    return fail(EINVAL);
}

status check_mem_arg(env &e, u32 regno, s32 size, access t, bool zero_ok, call_meta *meta) {
    const reg_state &r = e.reg(regno);
    switch (r.may_be_null() ? reg_type::not_init : r.base()) {
    case reg_type::packet:
    case reg_type::packet_meta:
        if (t == access::write && !packet_access_allowed(e, nullptr, access::write)) {
            verbose(e, "cannot write into packet\n");
            return fail(EACCES);
        }
        return check_packet(e, regno, r.off, size, zero_ok);
    case reg_type::map_value:
        TRY(check_map_access_type(e, r, r.off, size, t));
        TRY(check_region(e, regno, r.off, size, r.map_ptr->params.value_size, zero_ok));
        TRY(check_field_access(e, regno, r.off, size, false));
        return {};
    case reg_type::map_key:
    case reg_type::mem:
        if (t == access::write && (r.type == reg_type::map_key || has(r.type, type_flag::rdonly))) {
            verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
            return fail(EACCES);
        }
        if (r.type == reg_type::map_key)
            return check_region(e, regno, r.off, size, r.map_ptr->params.key_size, false);
        return check_region(e, regno, r.off, size, r.mem_size, zero_ok);
    case reg_type::btf_ptr:
        if (t == access::read && size > 0)
            return access_object(e, regno, r.off, static_cast<u32>(size), t, -1);
        verbose(e, "R%d type=%s expected=fp\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    case reg_type::buf:
        if (t == access::write && has(r.type, type_flag::rdonly)) {
            verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
            return fail(EACCES);
        }
        return check_buffer(e, regno, r.off, static_cast<u32>(size), t);
    case reg_type::stack:
        return check_stack_range(e, regno, r.off, size, zero_ok, true, meta);
    case reg_type::ctx:
        // A context that is not rewritten can be read as the memory that it is, if its last byte can.
        if (e.req.type->raw_ctx) {
            if (size)
                return check_mem(e, regno, size - 1, 1, t, -1, false, false);
            return zero_ok ? status() : status(fail(EACCES));
        }
        [[fallthrough]];
    default:
        if (zero_ok && size == 0 && r.is_null())
            return demand_unlogged(e, regno);
        verbose(e, "R%d type=%s expected=fp\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
}

status check_helper_arg(env &e, u32 i, call_meta &meta) {
    u32 regno = i + 1;
    arg_type t = meta.fn->args[i];
    if (t == arg_type::none)
        return {};
    TRY(read_reg(e, regno));
    if (t == arg_type::anything) {
        if (!leaks(e, regno))
            return {};
        verbose(e, "R%d leaks addr into helper function\n", regno);
        return fail(EACCES);
    }
    if (base_of(t) == arg_type::dynptr)
        return check_helper_dynptr(e, regno, t, meta);
    if (e.reg(regno).is_packet() && !packet_access_allowed(e, meta.fn, access_of(t))) {
        verbose(e, "helper access to the packet is not allowed\n");
        return fail(EACCES);
    }
    if (base_of(t) == arg_type::map_value)
        t = TRY(resolve_value(e, t, meta));
    if (has(t, type_flag::maybe_null) && e.reg(regno).is_null()) {
        TRY(demand_reg(e, regno));
    } else {
        TRY(check_arg_kind(e, regno, t, meta));
        TRY(check_arg_offset(e, regno, t));
    }
    TRY(note_reference(e, regno, t, meta));
    return check_kind(e, regno, t, meta);
}

}  // namespace modbpf
