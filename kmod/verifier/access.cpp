// SPDX-License-Identifier: GPL-2.0-only
// Memory accesses: loads, stores, atomics, and the rule of each kind of memory (stack slots are in stack.cpp).
#include "verifier/arena.h"
#include "verifier/btf_access.h"
#include "verifier/context.h"
#include "verifier/marks.h"
#include "verifier/special.h"
#include "verifier/speculation.h"

namespace modbpf {

status check_read_reg(env &e, u32 regno) {
    if (regno >= bpf_reg_count) {
        verbose(e, "R%d is invalid\n", regno);
        return fail(EINVAL);
    }
    e.scratch_reg(regno);
    if (e.reg(regno).type == reg_type::not_init) {
        verbose(e, "R%d !read_ok\n", regno);
        return fail(EACCES);
    }
    if (e.precision)
        trace_read(e, e.cur->curframe, regno, false);
    return {};
}

status check_write_reg(env &e, u32 regno) {
    if (regno >= bpf_reg_count) {
        verbose(e, "R%d is invalid\n", regno);
        return fail(EINVAL);
    }
    e.scratch_reg(regno);
    if (regno == BPF_REG_10) {
        verbose(e, "frame pointer is read only\n");
        return fail(EACCES);
    }
    e.mark_written(regno);
    return {};
}

bool map_is_rdonly(const map *m) {
    return (m->params.flags & BPF_F_RDONLY_PROG) && __atomic_load_n(&m->frozen, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&m->writers, __ATOMIC_ACQUIRE);
}

namespace {

/// As in Linux, the map's own type of access is kept for the instruction: the fix-ups of context accesses depend on it.
bool base_matters(reg_type t) {
    switch (base_of(t)) {
    case reg_type::ctx:
    case reg_type::socket:
    case reg_type::sock_common:
    case reg_type::tcp_sock:
    case reg_type::xdp_sock:
    case reg_type::btf_ptr:
    case reg_type::arena: return true;
    default: return false;
    }
}

status out_of_region(env &e, u32 regno, s64 off, s32 size, u32 mem_size) {
    const reg_state &r = e.reg(regno);
    if (r.type == reg_type::map_key)
        verbose(e, "invalid access to map key, key_size=%d off=%d size=%d\n", mem_size, static_cast<int>(off), size);
    else if (r.type == reg_type::map_value)
        verbose(e, "invalid access to map value, value_size=%d off=%d size=%d\n", mem_size, static_cast<int>(off), size);
    else if (r.is_packet_any())
        verbose(e, "invalid access to packet, off=%d size=%d, R%d(id=%d,off=%d,r=%d)\n", static_cast<int>(off), size, regno,
                r.id, static_cast<int>(off), static_cast<int>(mem_size));
    else
        verbose(e, "invalid access to memory, mem_size=%u off=%d size=%d\n", mem_size, static_cast<int>(off), size);
    return fail(EACCES);
}

/// off..off+size lies in [0, mem_size). `off` is exact: 64 bits.
status check_span(env &e, u32 regno, s64 off, s32 size, u32 mem_size, bool zero_ok) {
    bool size_ok = size > 0 || (size == 0 && zero_ok);
    if (off >= 0 && size_ok && static_cast<u64>(off) + static_cast<u64>(size) <= mem_size)
        return {};
    return out_of_region(e, regno, off, size, mem_size);
}

}  // namespace

status check_region(env &e, u32 regno, s32 off, s32 size, u32 mem_size, bool zero_ok) {
    const scalar &v = e.reg(regno).var;
    constexpr s64 lowest = -9223372036854775807ll - 1;
    if (v.smin < 0 && (v.smin == lowest || off + v.smin != static_cast<s32>(off + v.smin) || v.smin + off < 0)) {
        verbose(e,
                "R%d min value is negative, either use unsigned index or do a if (index >=0) check.\n",
                regno);
        return fail(EACCES);
    }
    if (status s = check_span(e, regno, v.smin + off, size, mem_size, zero_ok); !s) {
        verbose(e, "R%d min value is outside of the allowed memory range\n", regno);
        return s.err();
    }
    if (v.umax >= static_cast<u64>(max_var_off)) {
        verbose(e, "R%d unbounded memory access, make sure to bounds check any such access\n", regno);
        return fail(EACCES);
    }
    if (status s = check_span(e, regno, static_cast<s64>(v.umax) + off, size, mem_size, zero_ok); !s) {
        verbose(e, "R%d max value is outside of the allowed memory range\n", regno);
        return s.err();
    }
    return {};
}

status check_packet(env &e, u32 regno, s32 off, s32 size, bool zero_ok) {
    const reg_state &r = e.reg(regno);
    if (r.var.smin < 0) {
        verbose(e,
                "R%d min value is negative, either use unsigned index or do a if (index >=0) check.\n",
                regno);
        return fail(EACCES);
    }
    status s = r.range < 0 ? status(fail(EINVAL))
                           : check_span(e, regno, off, size, static_cast<u32>(r.range), zero_ok);
    if (!s)
        verbose(e, "R%d offset is outside of the packet\n", regno);
    return s;
}

bool packet_access_allowed(const env &e, const helper_proto *fn, access t) {
    const prog_type_info *p = e.req.type;
    if (t == access::write ? !p->packet_write : !p->packet_read)
        return false;
    return !fn || p->packet_helpers || (fn->flags & helper_pkt_access);
}

status check_map_access_type(env &e, const reg_state &r, s32 off, s32 size, access t) {
    if (t == access::write ? r.map_ptr->prog_may_write() : r.map_ptr->prog_may_read())
        return {};
    verbose(e, "%s map forbidden, value_size=%d off=%d size=%d\n", t == access::write ? "write into" : "read from",
            r.map_ptr->params.value_size, off, size);
    return fail(EACCES);
}

status refuse_ctx_access(env &e, s32 off, u32 size) {
    verbose(e, "invalid bpf_context access off=%d size=%d\n", off, size);
    print_line(e, e.insn, "; ");
    return fail(EACCES);
}

status check_ptr_off(env &e, const reg_state &r, u32 regno, bool fixed_ok) {
    if (r.off < 0) {
        verbose(e, "negative offset %s ptr R%d off=%d disallowed\n", reg_type_name(e, r.type), regno, r.off);
        return fail(EACCES);
    }
    if (r.off && !fixed_ok) {
        verbose(e, "dereference of modified %s ptr R%d off=%d disallowed\n", reg_type_name(e, r.type), regno, r.off);
        return fail(EACCES);
    }
    if (!r.var.is_const() || r.var.value()) {
        char text[48];
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e, "variable %s access var_off=%s disallowed\n", reg_type_name(e, r.type), text);
        return fail(EACCES);
    }
    return {};
}

status record_ptr_type(env &e, reg_type t, bool trust_may_differ) {
    insn_aux &a = e.aux[e.insn];
    if (!a.has_ptr_type) {
        a.has_ptr_type = true;
        a.ptr_type = t;
        return {};
    }
    bool objects = base_of(t) == reg_type::btf_ptr && base_of(a.ptr_type) == reg_type::btf_ptr;
    if (trust_may_differ && objects && a.ptr_type != t) {
        a.ptr_type = reg_type::btf_ptr | type_flag::untrusted; // on some path the pointer may be stale
        return {};
    }
    if (a.ptr_type != t && (base_matters(a.ptr_type) || base_matters(t))) {
        verbose(e, "same insn cannot be used with different pointers\n");
        return fail(EINVAL);
    }
    return {};
}

namespace {

const char *alignment_name(reg_type t) {
    switch (t) {
    case reg_type::map_value: return "value ";
    case reg_type::ctx: return "context ";
    case reg_type::stack: return "stack ";
    default: return "";
    }
}

status check_alignment(env &e, const reg_state &r, s32 off, u32 size, bool once) {
    // A misaligned stack access would straddle slots.
    if ((!e.strict_alignment && !once && r.type != reg_type::stack) || size == 1 || r.type == reg_type::arena)
        return {};
    char text[48];
    if (r.is_packet()) {
        constexpr s32 ip_align = 2; // packets may start 2 bytes off alignment
        s64 fixed = static_cast<s64>(ip_align) + r.off + off;
        if (tnum_is_aligned(tnum_add(r.var.bits, tnum::constant(static_cast<u64>(fixed))), size))
            return {};
        tnum_text(text, sizeof(text), r.var.bits);
        verbose(e, "misaligned packet access off %d+%s+%d+%d size %d\n", ip_align, text, r.off, off, size);
        return fail(EACCES);
    }
    s64 fixed = static_cast<s64>(r.off) + off;
    if (tnum_is_aligned(tnum_add(r.var.bits, tnum::constant(static_cast<u64>(fixed))), size))
        return {};
    tnum_text(text, sizeof(text), r.var.bits);
    verbose(e, "misaligned %saccess off %s+%d+%d size %d\n", alignment_name(r.type), text, r.off, off, size);
    return fail(EACCES);
}

/// A constant of a frozen read-only map: known now, and for ever.
status read_frozen(env &e, const reg_state &r, s32 off, u32 size, bool sign, s32 value) {
    s64 at = static_cast<s64>(r.var.value()) + off;
    u64 addr = TRY(r.map_ptr->ops->value_address(r.map_ptr, static_cast<u32>(at)));
    u64 v = 0;
    memcpy(&v, ptr_of<const void>(addr), size);
    if (sign && size < 8)
        v = static_cast<u64>(static_cast<s64>(v << (64 - size * 8)) >> (64 - size * 8));
    e.reg(static_cast<u32>(value)).set_const(v);
    return {};
}

/// A program that may not leak pointers stores none where it could be read as a number.
status check_stored_value(env &e, access t, s32 value, const char *where) {
    if (t != access::write || value < 0 || !leaks(e, static_cast<u32>(value)))
        return {};
    verbose(e, "R%d leaks addr into %s\n", value, where);
    return fail(EACCES);
}

status access_map_value(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool sign) {
    reg_state r = e.reg(regno);
    TRY(check_stored_value(e, t, value, "map"));
    TRY(check_map_access_type(e, r, off, static_cast<s32>(size), t));
    TRY(check_region(e, regno, off, static_cast<s32>(size), r.map_ptr->params.value_size, false));
    if (const special_field *kptr = TRY(check_field_access(e, regno, off, static_cast<s32>(size), true)))
        return access_kptr(e, *kptr, t, value);
    if (t == access::write || value < 0)
        return {};
    if (r.var.is_const() && map_is_rdonly(r.map_ptr) && r.map_ptr->ops->value_address)
        return read_frozen(e, r, off, size, sign, value);
    e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

}  // namespace

const ctx_field *find_ctx_field(const verify_request &req, s32 off, u32 size, access t) {
    if (off < 0 || static_cast<u32>(off) % size)
        return nullptr;
    u32 at = static_cast<u32>(off);
    for (const ctx_field &f : req.type->fields) {
        u8 sizes = t == access::write ? f.writes : f.reads;
        bool inside = at >= f.off && at + size <= static_cast<u32>(f.off) + f.size;
        if (!inside || !(sizes & size) || (f.at_start && at != f.off))
            continue;
        bool privileged = t == access::write ? f.write_needs_bpf : f.read_needs_bpf;
        if ((!privileged || req.bpf) && in_attach_set(t == access::write ? f.write_attach : f.read_attach, req.expected_attach_type))
            return &f;
    }
    return nullptr;
}

namespace {

bool covered_by_row(const prog_type_info &p, s32 off) {
    for (const ctx_field &f : p.fields)
        if (f.at_start ? off == f.off : off >= f.off && off < f.off + f.size)
            return true;
    return false;
}

/// May the access be made? `row`: of a context with fields, the one that it lies in.
bool ctx_access_ok(const verify_request &req, s32 off, u32 size, access t, bool sign, const ctx_field **row) {
    const prog_type_info &p = *req.type;
    if (p.kind == ctx_kind::fields || covered_by_row(p, off)) {
        *row = find_ctx_field(req, off, size, t);
        return *row && !(sign && (*row)->yields != reg_type::scalar);
    }
    if (t == access::write && !p.writable)
        return false;
    return off >= 0 && static_cast<u32>(off) >= p.first && static_cast<u32>(off) < p.size && static_cast<u32>(off) % size == 0;
}

/// What a load of a context field gives.
status load_ctx_field(env &e, reg_state &r, const ctx_field *row) {
    if (!row || row->yields == reg_type::scalar) {
        r.set_unknown();
        return {};
    }
    if (row->btf_type)
        return set_kernel_pointer(e, r, row->yields, row->btf_type);
    r.set_pointer(row->yields);
    if (r.may_be_null())
        r.id = ++e.id_gen;
    return {};
}

status access_ctx(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool sign) {
    TRY(check_stored_value(e, t, value, "ctx"));
    TRY(check_ptr_off(e, e.reg(regno), regno));
    if (e.req.type->kind == ctx_kind::btf)
        return access_btf_ctx(e, regno, off, size, t, value, sign);
    const ctx_field *row = nullptr;
    if (!ctx_access_ok(e.req, off, size, t, sign, &row))
        return refuse_ctx_access(e, off, size);
    e.aux[e.insn].ctx_access = true;
    e.out->max_ctx_offset = max(e.out->max_ctx_offset, static_cast<u32>(off) + size);
    if (row && !row->runs)
        note_absent(e, "context field", row->name);
    if (t == access::write || value < 0)
        return {};
    return load_ctx_field(e, e.reg(static_cast<u32>(value)), row);
}

status access_packet(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    if (t == access::write && !packet_access_allowed(e, nullptr, t)) {
        verbose(e, "cannot write into packet\n");
        return fail(EACCES);
    }
    TRY(check_stored_value(e, t, value, "packet"));
    TRY(check_packet(e, regno, off, static_cast<s32>(size), false));
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

status access_memory(env &e, u32 regno, s32 off, u32 size, access t, s32 value) {
    const reg_state &r = e.reg(regno);
    if (t == access::write && has(r.type, type_flag::rdonly)) {
        verbose(e, "R%d cannot write into %s\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
    TRY(check_stored_value(e, t, value, "mem"));
    TRY(check_region(e, regno, off, static_cast<s32>(size), r.mem_size, false));
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

constexpr u32 flow_keys_size = 56; // struct bpf_flow_keys

status access_flow_keys(env &e, s32 off, u32 size, access t, s32 value) {
    TRY(check_stored_value(e, t, value, "flow keys"));
    if (off < 0 || static_cast<u32>(off) + size > flow_keys_size) {
        verbose(e, "invalid access to flow keys off=%d size=%d\n", off, static_cast<int>(size));
        return fail(EACCES);
    }
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

status access_kind(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool sign) {
    const reg_state &r = e.reg(regno);
    if (r.base() == reg_type::mem && !r.may_be_null())
        return access_memory(e, regno, off, size, t, value);
    switch (r.type) {
    case reg_type::map_value:
        return access_map_value(e, regno, off, size, t, value, sign);
    case reg_type::map_key:
        if (t == access::write) {
            verbose(e, "write to change key R%d not allowed\n", regno);
            return fail(EACCES);
        }
        TRY(check_region(e, regno, off, static_cast<s32>(size), r.map_ptr->params.key_size, false));
        if (value >= 0)
            e.reg(static_cast<u32>(value)).set_unknown();
        return {};
    case reg_type::ctx:
        return access_ctx(e, regno, off, size, t, value, sign);
    case reg_type::socket:
    case reg_type::sock_common:
    case reg_type::tcp_sock:
    case reg_type::xdp_sock:
        return access_sock(e, regno, off, size, t, value);
    case reg_type::packet:
    case reg_type::packet_meta:
        return access_packet(e, regno, off, size, t, value);
    case reg_type::flow_keys:
        return access_flow_keys(e, off, size, t, value);
    case reg_type::stack:
        TRY(check_stack_bounds(e, regno, off, static_cast<s32>(size), false, t));
        return t == access::read ? check_stack_load(e, regno, off, size, value)
                                 : check_stack_store(e, regno, off, size, value);
    case reg_type::arena:
        return access_arena(e, t, value);
    case reg_type::map_ptr:
        return access_map_struct(e, regno, off, size, t, value);
    default:
        if (r.base() == reg_type::btf_ptr && !r.may_be_null())
            return access_object(e, regno, off, size, t, value);
        if ((r.base() == reg_type::buf || r.type == reg_type::tp_buffer) && !r.may_be_null())
            return access_buffer(e, regno, off, size, t, value);
        verbose(e, "R%d invalid mem access '%s'\n", regno, reg_type_name(e, r.type));
        return fail(EACCES);
    }
}

}  // namespace

status check_mem(env &e, u32 regno, s32 off, u32 size, access t, s32 value, bool strict, bool sign) {
    TRY(check_alignment(e, e.reg(regno), off, size, strict));
    // The fixed part of the pointer belongs to the offset from here on. |off| < 2^29 + 2^15.
    TRY(access_kind(e, regno, off + e.reg(regno).off, size, t, value, sign));
    if (t == access::read && value >= 0 && size < 8) {
        reg_state &r = e.reg(static_cast<u32>(value));
        if (!r.is_scalar())
            return {};
        // A fill may be tied to what was spilled; it is another number once its sign is extended. Linux keeps the tie.
        if (sign && r.var.umax >> (size * 8 - 1))
            r.clear_id();
        r.var = sign ? scalar_sext(r.var, size) : r.var.is_unknown() ? scalar_of_bytes(size) : scalar_zext(r.var, size);
    }
    return {};
}

status check_load(env &e, const insn_desc &d) {
    TRY(read_reg(e, d.src));
    TRY(write_reg(e, d.dst));
    reg_type base = e.reg(d.src).type;
    TRY(check_mem(e, d.src, d.off, d.width, access::read, d.dst, false, d.is_signed));
    TRY(record_ptr_type(e, base, true));
    return check_scalar_state(e, e.reg(d.dst), "ldx");
}

status check_store(env &e, const insn_desc &d) {
    if (d.reg)
        TRY(read_reg(e, d.src));
    TRY(read_reg(e, d.dst));
    reg_type base = e.reg(d.dst).type;
    TRY(check_mem(e, d.dst, d.off, d.width, access::write, d.reg ? d.src : -1, false, false));
    return record_ptr_type(e, base);
}

status check_atomic(env &e, const insn_desc &d) {
    TRY(read_reg(e, d.src));
    TRY(read_reg(e, d.dst));
    if (d.imm == BPF_CMPXCHG) {
        TRY(read_reg(e, BPF_REG_0));
        TRY(check_stored_value(e, access::write, BPF_REG_0, "mem"));
    }
    TRY(check_stored_value(e, access::write, d.src, "mem"));
    const reg_state &base = e.reg(d.dst);
    if (base.type == reg_type::ctx || base.is_packet() || base.type == reg_type::flow_keys || is_sock(base.type) ||
        (base.type == reg_type::arena && !arena_atomic_allowed(d))) {
        verbose(e, "BPF_ATOMIC stores into R%d %s is not allowed\n", d.dst, reg_type_name(e, base.type));
        return fail(EACCES);
    }
    s32 result = -1;
    if (d.imm & BPF_FETCH) {
        result = d.imm == BPF_CMPXCHG ? static_cast<s32>(BPF_REG_0) : d.src;
        TRY(write_reg(e, static_cast<u32>(result)));
        e.reg(static_cast<u32>(result)).set_unknown();
    }
    TRY(check_mem(e, d.dst, d.off, d.width, access::read, -1, true, false));
    reg_type type = e.reg(d.dst).type;
    if (result >= 0)
        TRY(check_mem(e, d.dst, d.off, d.width, access::read, result, true, false));
    TRY(record_ptr_type(e, type));
    return check_mem(e, d.dst, d.off, d.width, access::write, -1, true, false);
}

}  // namespace modbpf
