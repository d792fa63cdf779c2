// SPDX-License-Identifier: GPL-2.0-only
// Does a structure's member of a given type fit at its offset? Two encodings: without kind_flag the offset is plain bits and
// bit-fields are integers with an offset and width of their own; with it the member holds the bit-field's width.
#include "btf/parser.h"

namespace modbpf {
namespace {

constexpr u32 bits_to_bytes(u32 bits) { return (bits >> 3) + ((bits & 7) != 0); }

bool regular_int(const btf_int_data *i) {
    u32 bits = i->bits();
    return !i->bit_offset() && (bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128);
}

}  // namespace

/// `bits` bits at bit_off of the structure, copied as whole bytes, at most 16.
status btf_parser::check_bit_range(const btf_type *s, const btf_member &m, u32 bit_off, u32 bits) {
    u32 copied = bits + (bit_off & 7), first = bit_off >> 3;
    if (copied > 128)
        return fail_member(s, m, "nr_copy_bits exceeds 128");
    if (s->size_or_type < first || s->size_or_type - first < bits_to_bytes(copied))
        return fail_member(s, m, "Member exceeds struct_size");
    return {};
}

status btf_parser::check_int_member(const btf_type *s, const btf_member &m, const btf_type *type, bool kflag) {
    const auto *i = b.tail<btf_int_data>(type);
    if (!kflag) {
        u32 bit_off;
        if (__builtin_add_overflow(m.offset, i->bit_offset(), &bit_off))
            return fail_member(s, m, "bits_offset exceeds U32_MAX");
        return check_bit_range(s, m, bit_off, i->bits());
    }
    if (!regular_int(i))
        return fail_member(s, m, "Invalid member base type");
    u32 bits = m.bitfield_size(true), bit_off = m.bit_offset(true);
    if (!bits && (bit_off & 7))
        return fail_member(s, m, "Invalid member offset");
    if (bits > i->bits())
        return fail_member(s, m, "Invalid member bitfield_size");
    return check_bit_range(s, m, bit_off, bits ? bits : i->bits());
}

/// Whole bytes. The meta pass has checked that the offset is inside the structure.
status btf_parser::check_byte_member(const btf_type *s, const btf_member &m, u32 size) {
    if (m.offset & 7)
        return fail_member(s, m, "Member is not byte aligned");
    u32 first = m.offset >> 3;
    if (s->size_or_type < first || s->size_or_type - first < size)
        return fail_member(s, m, "Member exceeds struct_size");
    return {};
}

/// An enumeration in a structure with kind_flag: at most 32 bits, whatever its own size.
status btf_parser::check_enum_bits(const btf_type *s, const btf_member &m) {
    u32 bits = m.bitfield_size(true), bit_off = m.bit_offset(true);
    if (!bits && (bit_off & 7))
        return fail_member(s, m, "Member is not byte aligned");
    if (bits > 32)
        return fail_member(s, m, "Invalid member bitfield_size");
    if (s->size_or_type < bits_to_bytes(bit_off + (bits ? bits : 32)))
        return fail_member(s, m, "Member exceeds struct_size");
    return {};
}

status btf_parser::check_float_member(const btf_type *s, const btf_member &m, const btf_type *type) {
    u32 size = type->size_or_type;
    if (m.offset % (min<u32>(8, size) * 8))
        return fail_member(s, m, "Member is not properly aligned");
    if (static_cast<u64>(m.offset / 8) + size > s->size_or_type)
        return fail_member(s, m, "Member exceeds struct_size");
    return {};
}

status btf_parser::check_member(const btf_type *s, const btf_member &given, const btf_type *type, bool kflag) {
    btf_member m = given;
    u32 size = 0;
    if (type->is_modifier()) { // from here on, also in the log, the member has the type behind its modifiers
        type = sized(&m.type, &size);
        if (!type)
            return fail_member(s, given, "Invalid member");
    } else {
        u32 id = m.type;
        (void)sized(&id, &size);
    }
    switch (type->kind()) {
    case btf_kind::integer:
        return check_int_member(s, m, type, kflag);
    case btf_kind::enum_:
    case btf_kind::enum64:
        return kflag ? check_enum_bits(s, m) : check_byte_member(s, m, type->size_or_type);
    case btf_kind::pointer:
    case btf_kind::array:
    case btf_kind::structure:
    case btf_kind::union_:
    case btf_kind::float_:
        if (m.bitfield_size(kflag))
            return fail_member(s, m, "Invalid member bitfield_size");
        return type->kind() == btf_kind::float_ ? check_float_member(s, m, type) : check_byte_member(s, m, size);
    default:
        return fail_basic(s, kflag ? "Unsupported check_kflag_member" : "Unsupported check_member");
    }
}

}  // namespace modbpf
