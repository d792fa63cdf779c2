// SPDX-License-Identifier: GPL-2.0-only
// The meta pass: each type by itself. Lengths first, so that later checks and the log may read the tail.
#include "btf/parser.h"

namespace modbpf {
namespace {

constexpr u32 max_name = 512; ///< KSYM_NAME_LEN

// The kernel's character classes are those of Latin-1.
bool is_alpha(u8 c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c != 0xd7 && c != 0xf7); }
bool is_digit(u8 c) { return c >= '0' && c <= '9'; }
bool is_print(u8 c) { return (c >= 0x20 && c < 0x7f) || c >= 0xa0; }
bool is_identifier(u8 c, bool first) { return is_alpha(c) || (!first && is_digit(c)) || c == '_' || c == '.'; }

constexpr u32 bits_to_bytes(u32 bits) { return (bits >> 3) + ((bits & 7) != 0); }

}  // namespace

bool btf_parser::identifier(u32 off) const {
    const char *s = b.string(off);
    if (!is_identifier(static_cast<u8>(s[0]), true))
        return false;
    u32 i = 1;
    for (; i < max_name && s[i]; i++)
        if (!is_identifier(static_cast<u8>(s[i]), false))
            return false;
    return !s[i];
}

bool btf_parser::section_name(u32 off) const {
    const char *s = b.string(off);
    if (!s[0])
        return false;
    u32 i = 0;
    for (; i < max_name && s[i]; i++)
        if (!is_print(static_cast<u8>(s[i])))
            return false;
    return !s[i];
}

bool btf_parser::no_vlen(const btf_type *t) {
    if (t->vlen())
        (void)fail(t, "vlen != 0");
    return !t->vlen();
}

bool btf_parser::no_kind_flag(const btf_type *t) {
    if (t->kind_flag())
        (void)fail(t, "Invalid btf_info kind_flag");
    return !t->kind_flag();
}

status btf_parser::check_int(const btf_type *t) {
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    const auto *i = b.tail<btf_int_data>(t);
    if (i->word & ~btf_int_mask)
        return fail_basic(t, "Invalid int_data:%x", i->word);
    u32 bits = i->bits() + i->bit_offset();
    if (bits > 128)
        return fail(t, "nr_bits exceeds 128");
    if (bits_to_bytes(bits) > t->size_or_type)
        return fail(t, "nr_bits exceeds type_size");
    u32 e = i->encoding();
    if (e && e != BTF_INT_SIGNED && e != BTF_INT_CHAR && e != BTF_INT_BOOL) {
        (void)fail(t, "Unsupported encoding");
        return error(ENOTSUPP);
    }
    type_ok(t);
    return {};
}

/// pointer, typedef, volatile, const, restrict, type_tag.
status btf_parser::check_reference(const btf_type *t) {
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    if (t->size_or_type > btf_max_type)
        return fail(t, "Invalid type_id");
    bool named_well = !t->name_off;
    if (t->kind() == btf_kind::typedef_)
        named_well = t->name_off && identifier(t->name_off);
    else if (t->kind() == btf_kind::type_tag)
        named_well = *b.string(t->name_off);
    if (!named_well)
        return fail(t, "Invalid name");
    type_ok(t);
    return {};
}

status btf_parser::check_forward(const btf_type *t) {
    if (!no_vlen(t))
        return error(EINVAL);
    if (t->size_or_type)
        return fail(t, "type != 0");
    if (!t->name_off || !identifier(t->name_off))
        return fail(t, "Invalid name");
    type_ok(t);
    return {};
}

status btf_parser::check_array(const btf_type *t) {
    if (t->name_off)
        return fail(t, "Invalid name");
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    if (t->size_or_type)
        return fail(t, "size != 0");
    const auto *a = b.tail<btf_array>(t);
    if (!a->type || a->type > btf_max_type)
        return fail(t, "Invalid elem");
    if (!a->index_type || a->index_type > btf_max_type)
        return fail(t, "Invalid index");
    type_ok(t);
    return {};
}

status btf_parser::check_composite(const btf_type *t) {
    if (t->name_off && !identifier(t->name_off))
        return fail(t, "Invalid name");
    type_ok(t);
    const auto *members = b.tail<btf_member>(t);
    u32 last = 0;
    for (u32 i = 0; i < t->vlen(); i++) {
        const btf_member &m = members[i];
        if (!name_offset_valid(m.name_off))
            return fail_member(t, m, "Invalid member name_offset:%u", m.name_off);
        if (m.name_off && !identifier(m.name_off))
            return fail_member(t, m, "Invalid name");
        if (!m.type || m.type > btf_max_type)
            return fail_member(t, m, "Invalid type_id");
        u32 off = m.bit_offset(t->kind_flag());
        if ((t->kind() == btf_kind::union_ && off) || last > off)
            return fail_member(t, m, "Invalid member bits_offset");
        if (bits_to_bytes(off) > t->size_or_type)
            return fail_member(t, m, "Member bits_offset exceeds its struct size");
        if (log.enabled()) {
            log_member(t, m);
            log.printf("\n");
        }
        last = off;
    }
    return {};
}

bool btf_parser::enum_name(const btf_type *t, u32 off) {
    if (!name_offset_valid(off)) {
        log.printf("\tInvalid name_offset:%u", off);
        return false;
    }
    if (!off || !identifier(off)) {
        (void)fail(t, "Invalid name");
        return false;
    }
    return true;
}

status btf_parser::check_enum(const btf_type *t) {
    if (t->size_or_type > 8 || !is_pow2(t->size_or_type))
        return fail(t, "Unexpected size");
    if (t->name_off && !identifier(t->name_off))
        return fail(t, "Invalid name");
    type_ok(t);
    const auto *small = b.tail<btf_enum>(t);
    const auto *large = b.tail<btf_enum64>(t);
    bool is_large = t->kind() == btf_kind::enum64, sign = t->kind_flag();
    for (u32 i = 0; i < t->vlen(); i++) {
        u32 name = is_large ? large[i].name_off : small[i].name_off;
        if (!enum_name(t, name))
            return error(EINVAL);
        if (!is_large) {
            log.printf(sign ? "\t%s val=%d\n" : "\t%s val=%u\n", printable(name), small[i].val);
        } else {
            u64 val = static_cast<u64>(large[i].val_hi32) << 32 | large[i].val_lo32;
            log.printf(sign ? "\t%s val=%lld\n" : "\t%s val=%llu\n", printable(name), val);
        }
    }
    return {};
}

status btf_parser::check_func_proto(const btf_type *t) {
    if (t->name_off)
        return fail(t, "Invalid name");
    if (!no_kind_flag(t))
        return error(EINVAL);
    type_ok(t);
    return {};
}

status btf_parser::check_func(const btf_type *t) {
    if (!t->name_off || !identifier(t->name_off))
        return fail(t, "Invalid name");
    if (t->vlen() > BTF_FUNC_GLOBAL)
        return fail(t, "Invalid func linkage");
    if (!no_kind_flag(t))
        return error(EINVAL);
    type_ok(t);
    return {};
}

status btf_parser::check_var(const btf_type *t) {
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    if (!t->name_off || !identifier(t->name_off))
        return fail(t, "Invalid name");
    if (!t->size_or_type || t->size_or_type > btf_max_type)
        return fail(t, "Invalid type_id");
    u32 linkage = b.tail<btf_var>(t)->linkage;
    if (linkage != BTF_VAR_STATIC && linkage != BTF_VAR_GLOBAL_ALLOCATED)
        return fail(t, "Linkage not supported");
    type_ok(t);
    return {};
}

status btf_parser::check_datasec(const btf_type *t) {
    u32 size = t->size_or_type;
    if (!size)
        return fail(t, "size == 0");
    if (!no_kind_flag(t))
        return error(EINVAL);
    if (!t->name_off || !section_name(t->name_off))
        return fail(t, "Invalid name");
    type_ok(t);
    const auto *vars = b.tail<btf_var_secinfo>(t);
    u64 end = 0, sum = 0;
    for (u32 i = 0; i < t->vlen(); i++) {
        const btf_var_secinfo &v = vars[i];
        if (!v.type || v.type > btf_max_type)
            return fail_var(t, v, "Invalid type_id");
        if (v.offset < end || v.offset >= size)
            return fail_var(t, v, "Invalid offset");
        if (!v.size || v.size > size)
            return fail_var(t, v, "Invalid size");
        end = static_cast<u64>(v.offset) + v.size;
        if (end > size)
            return fail_var(t, v, "Invalid offset+size");
        if (log.enabled()) {
            log_var(t, v);
            log.printf("\n");
        }
        sum += v.size;
    }
    if (size < sum)
        return fail(t, "Invalid btf_info size");
    return {};
}

status btf_parser::check_float(const btf_type *t) {
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    u32 n = t->size_or_type;
    if (n != 2 && n != 4 && n != 8 && n != 12 && n != 16)
        return fail(t, "Invalid type_size");
    type_ok(t);
    return {};
}

status btf_parser::check_decl_tag(const btf_type *t) {
    if (!*b.string(t->name_off))
        return fail(t, "Invalid value");
    if (!no_vlen(t) || !no_kind_flag(t))
        return error(EINVAL);
    if (b.tail<btf_decl_tag>(t)->component_idx < -1)
        return fail(t, "Invalid component_idx");
    type_ok(t);
    return {};
}

status btf_parser::check_kind(const btf_type *t) {
    switch (t->kind()) {
    case btf_kind::integer:
        return check_int(t);
    case btf_kind::array:
        return check_array(t);
    case btf_kind::structure:
    case btf_kind::union_:
        return check_composite(t);
    case btf_kind::enum_:
    case btf_kind::enum64:
        return check_enum(t);
    case btf_kind::forward:
        return check_forward(t);
    case btf_kind::func:
        return check_func(t);
    case btf_kind::func_proto:
        return check_func_proto(t);
    case btf_kind::var:
        return check_var(t);
    case btf_kind::datasec:
        return check_datasec(t);
    case btf_kind::float_:
        return check_float(t);
    case btf_kind::decl_tag:
        return check_decl_tag(t);
    default:
        return check_reference(t);
    }
}

result<u32> btf_parser::check_meta(const btf_type *t, u32 left) {
    if (left < sizeof(*t)) {
        log.printf("[%u] meta_left:%u meta_needed:%zu", log_id_, left, sizeof(*t));
        return error(EINVAL);
    }
    left -= sizeof(*t);
    if (t->info & ~btf_info_mask) {
        log.printf("[%u] Invalid btf_info:%x", log_id_, t->info);
        return error(EINVAL);
    }
    u32 needed;
    if (!btf_tail_size(t->kind(), t->vlen(), &needed)) {
        log.printf("[%u] Invalid kind:%u", log_id_, static_cast<u32>(t->kind()));
        return error(EINVAL);
    }
    if (!name_offset_valid(t->name_off)) {
        log.printf("[%u] Invalid name_offset:%u", log_id_, t->name_off);
        return error(EINVAL);
    }
    if (left < needed)
        return fail_basic(t, "meta_left:%u meta_needed:%u", left, needed);
    TRY(check_kind(t));
    return static_cast<u32>(sizeof(*t)) + needed;
}

}  // namespace modbpf
