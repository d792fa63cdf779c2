// SPDX-License-Identifier: GPL-2.0-only
// BTF_LOAD's validation: header, sections, and the drive through the passes of parser.h.
#include "btf/parser.h"

#include "port/port.h"

namespace modbpf {
namespace {

struct section {
    u32 off, len;
    bool before(const section &o) const {
        s32 d = static_cast<s32>(off - o.off);
        return d ? d < 0 : static_cast<s32>(len - o.len) < 0;
    }
};

}  // namespace

void btf_parser::log_header(u32 size) {
    log.printf("magic: 0x%x\n", hdr.magic);
    log.printf("version: %u\n", hdr.version);
    log.printf("flags: 0x%x\n", hdr.flags);
    log.printf("hdr_len: %u\n", hdr.hdr_len);
    log.printf("type_off: %u\n", hdr.type_off);
    log.printf("type_len: %u\n", hdr.type_len);
    log.printf("str_off: %u\n", hdr.str_off);
    log.printf("str_len: %u\n", hdr.str_len);
    log.printf("btf_total_size: %u\n", size);
}

/// A header shorter than modbpf's counts as zero-filled; a longer one must be zero behind what modbpf knows.
status btf_parser::parse_header() {
    u32 size = static_cast<u32>(b.data_.size());
    if (size < __builtin_offsetof(btf_header, hdr_len) + sizeof(u32))
        return fail_text("hdr_len not found");
    u32 len;
    memcpy(&len, b.data_.data() + __builtin_offsetof(btf_header, hdr_len), sizeof(len));
    if (size < len)
        return fail_text("btf_header not found");
    for (u32 i = sizeof(hdr); i < len; i++)
        if (b.data_[i])
            return fail_text("Unsupported btf_header", E2BIG);
    memcpy(&hdr, b.data_.data(), min<u32>(len, sizeof(hdr)));
    if (log.enabled())
        log_header(size);
    if (hdr.magic != btf_magic)
        return fail_text("Invalid magic");
    if (hdr.version != 1)
        return fail_text("Unsupported version", ENOTSUPP);
    if (hdr.flags)
        return fail_text("Unsupported flags", ENOTSUPP);
    if (size == hdr.hdr_len)
        return fail_text("No data");
    return check_sections(size);
}

/// Types and strings lie behind the header in either order, without gap, overlap or anything else.
status btf_parser::check_sections(u32 size) {
    if (hdr.hdr_len > size) // a header of 0..7 bytes: hdr_len itself was not copied
        return fail_text("Invalid section offset");
    section secs[2] = {{hdr.type_off, hdr.type_len}, {hdr.str_off, hdr.str_len}};
    if (secs[1].before(secs[0]))
        swap(secs[0], secs[1]);
    u32 expected = size - hdr.hdr_len, total = 0;
    for (const section &s : secs) {
        if (expected < s.off)
            return fail_text("Invalid section offset");
        if (total < s.off)
            return fail_text("Unsupported section found");
        if (total > s.off)
            return fail_text("Section overlap found");
        if (expected - total < s.len)
            return fail_text("Total section length too long");
        total += s.len;
    }
    if (expected != total)
        return fail_text("Unsupported section found");
    return {};
}

status btf_parser::parse_strings() {
    const u8 *body = b.data_.data() + hdr.hdr_len;
    const u8 *start = body + hdr.str_off, *end = start + hdr.str_len;
    if (end != b.data_.data() + b.data_.size())
        return fail_text("String section is not at the end");
    if (!hdr.str_len || hdr.str_len - 1 > btf_max_name_offset || end[-1] || start[0])
        return fail_text("Invalid string section");
    b.strings_ = reinterpret_cast<const char *>(start), b.strings_len_ = hdr.str_len;
    return {};
}

status btf_parser::check_all_metas() {
    TRY(b.offsets_.push(0));
    log_id_ = 1;
    for (u32 at = 0; at < b.types_len_;) {
        const auto *t = reinterpret_cast<const btf_type *>(b.types_ + at);
        u32 bytes = TRY(check_meta(t, b.types_len_ - at));
        if (log_id_ > btf_max_type - 1)
            return fail_text("Exceeded max num of types", E2BIG);
        TRY(b.note_type(at));
        at += bytes;
        log_id_++;
        if (!(log_id_ & 0xfff))
            port_cond_resched();
    }
    return {};
}

status btf_parser::check_all_types() {
    u32 n = b.type_count();
    TRY(visit_.resize(n));
    TRY(resolved_ids_.resize(n));
    TRY(resolved_sizes_.resize(n));
    meta_phase_ = false;
    for (u32 id = 1; id < n; id++) {
        const btf_type *t = b.type(id);
        log_id_ = id;
        if (needs_resolve(t) && !done(id))
            TRY(resolve(t, id));
        if (t->kind() == btf_kind::func_proto)
            TRY(check_proto_types(t));
        if (!(id & 0xfff))
            port_cond_resched();
    }
    return {};
}

/// Type tags come first in a chain of modifiers, and no chain is longer than 32.
status btf_parser::check_type_tags() {
    for (u32 id = 1; id < b.type_count(); id++) {
        const btf_type *t = b.type(id);
        if (!t->is_modifier())
            continue;
        bool in_tags = t->kind() == btf_kind::type_tag;
        int left = 32;
        for (u32 at = id; t->is_modifier();) {
            if (!left--)
                return fail_text("Max chain length or cycle detected", ELOOP);
            if (t->kind() != btf_kind::type_tag)
                in_tags = false;
            else if (!in_tags)
                return fail_text("Type tags don't precede modifiers");
            if (at < id) // what starts there was found good
                break;
            at = t->size_or_type;
            t = get(at);
            if (!t)
                return error(EINVAL);
        }
    }
    return {};
}

status btf_parser::parse_types() {
    if (hdr.type_off & 3)
        return fail_text("Unaligned type_off");
    if (!hdr.type_len)
        return fail_text("No type found");
    b.types_ = b.data_.data() + hdr.hdr_len + hdr.type_off, b.types_len_ = hdr.type_len;
    TRY(check_all_metas());
    TRY(check_all_types());
    return check_type_tags();
}

status btf_parser::run() {
    TRY(parse_header());
    TRY(parse_strings());
    return parse_types();
}

result<ref<btf>> btf::parse(vec<u8> data, verifier_log &log) {
    if (data.size() > btf_max_size)
        return error(E2BIG);
    own<btf> b(make<btf>(PORT_SLEEPING));
    if (!b)
        return error(ENOMEM);
    b->owned_ = move(data);
    b->data_ = span<const u8>(b->owned_.data(), b->owned_.size());
    own<btf_parser> parser(make<btf_parser>(PORT_SLEEPING, *b, log));
    if (!parser)
        return error(ENOMEM);
    TRY(parser->run());
    return ref<btf>(adopt, b.release());
}

}  // namespace modbpf
