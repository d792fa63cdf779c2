// SPDX-License-Identifier: GPL-2.0-only
// The log of BTF_LOAD: a line for each type and member, and the reason of a refusal behind the line that it concerns.
#include "btf/parser.h"

namespace modbpf {
namespace {

constexpr const char *kind_names[] = {
    "UNKNOWN", "INT",      "PTR",  "ARRAY",      "STRUCT", "UNION",   "ENUM",  "FWD",      "TYPEDEF",  "VOLATILE",
    "CONST",   "RESTRICT", "FUNC", "FUNC_PROTO", "VAR",    "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
};

const char *encoding_name(u32 encoding) {
    switch (encoding) {
    case 0: return "(none)";
    case BTF_INT_SIGNED: return "SIGNED";
    case BTF_INT_CHAR: return "CHAR";
    case BTF_INT_BOOL: return "BOOL";
    default: return "UNKN";
    }
}

void log_proto(const btf_parser &p, const btf_type *t, const btf_param *params, verifier_log &log,
               const char *(*name)(const btf_parser &, u32)) {
    u32 n = t->vlen();
    log.printf("return=%u args=(", t->size_or_type);
    if (!n)
        log.printf("void");
    else if (n == 1 && !params[0].type)
        log.printf("vararg");
    for (u32 i = 0; i < n && !(n == 1 && !params[0].type); i++) {
        const char *sep = i ? ", " : "";
        if (i && i == n - 1 && !params[i].type)
            log.printf("%svararg", sep);
        else
            log.printf("%s%u %s", sep, params[i].type, name(p, params[i].name_off));
    }
    log.printf(")");
}

}  // namespace

/// A name for the log: always a string.
const char *btf_parser::printable(u32 off) const {
    if (!off)
        return "(anon)";
    const char *s = b.string(off);
    return s ? s : "(invalid-name-offset)";
}

void btf_parser::log_details(const btf_type *t) {
    u32 ref = t->size_or_type;
    switch (t->kind()) {
    case btf_kind::integer: {
        const auto *i = b.tail<btf_int_data>(t);
        log.printf("size=%u bits_offset=%u nr_bits=%u encoding=%s", ref, i->bit_offset(), i->bits(),
                   encoding_name(i->encoding()));
        break;
    }
    case btf_kind::array: {
        const auto *a = b.tail<btf_array>(t);
        log.printf("type_id=%u index_type_id=%u nr_elems=%u", a->type, a->index_type, a->nelems);
        break;
    }
    case btf_kind::structure:
    case btf_kind::union_:
    case btf_kind::enum_:
    case btf_kind::enum64:
    case btf_kind::datasec:
        log.printf("size=%u vlen=%u", ref, t->vlen());
        break;
    case btf_kind::forward:
        log.printf("%s", t->kind_flag() ? "union" : "struct");
        break;
    case btf_kind::func_proto:
        log_proto(*this, t, b.tail<btf_param>(t), log, [](const btf_parser &p, u32 off) { return p.printable(off); });
        break;
    case btf_kind::var:
        log.printf("type_id=%u linkage=%u", ref, b.tail<btf_var>(t)->linkage);
        break;
    case btf_kind::float_:
        log.printf("size=%u", ref);
        break;
    case btf_kind::decl_tag:
        log.printf("type=%u component_idx=%d", ref, b.tail<btf_decl_tag>(t)->component_idx);
        break;
    default:
        log.printf("type_id=%u", ref);
        break;
    }
}

void btf_parser::log_line(const btf_type *t, bool details, const char *fmt, __builtin_va_list args) {
    log.printf("[%u] %s %s%s", log_id_, kind_names[static_cast<u32>(t->kind())], printable(t->name_off), details ? " " : "");
    if (details)
        log_details(t);
    if (fmt && *fmt) {
        log.printf(" ");
        log.vprintf(fmt, args);
    }
    log.printf("\n");
}

void btf_parser::note(const btf_type *t, const char *fmt, ...) {
    if (!log.enabled())
        return;
    __builtin_va_list args;
    __builtin_va_start(args, fmt);
    log_line(t, true, fmt, args);
    __builtin_va_end(args);
}

error btf_parser::fail(const btf_type *t, const char *fmt, ...) {
    if (log.enabled()) {
        __builtin_va_list args;
        __builtin_va_start(args, fmt);
        log_line(t, true, fmt, args);
        __builtin_va_end(args);
    }
    return error(EINVAL);
}

/// For a type whose tail cannot be trusted to be there.
error btf_parser::fail_basic(const btf_type *t, const char *fmt, ...) {
    if (log.enabled()) {
        __builtin_va_list args;
        __builtin_va_start(args, fmt);
        log_line(t, false, fmt, args);
        __builtin_va_end(args);
    }
    return error(EINVAL);
}

/// The member's line without its end. After the meta pass, which wrote all of them once, the structure's line goes before it.
void btf_parser::log_member(const btf_type *s, const btf_member &m) {
    if (!meta_phase_)
        type_ok(s);
    if (s->kind_flag())
        log.printf("\t%s type_id=%u bitfield_size=%u bits_offset=%u", printable(m.name_off), m.type, m.bitfield_size(true),
                   m.bit_offset(true));
    else
        log.printf("\t%s type_id=%u bits_offset=%u", printable(m.name_off), m.type, m.offset);
}

error btf_parser::fail_member(const btf_type *s, const btf_member &m, const char *fmt, ...) {
    if (log.enabled()) {
        log_member(s, m);
        log.printf(" ");
        __builtin_va_list args;
        __builtin_va_start(args, fmt);
        log.vprintf(fmt, args);
        __builtin_va_end(args);
        log.printf("\n");
    }
    return error(EINVAL);
}

void btf_parser::log_var(const btf_type *s, const btf_var_secinfo &v) {
    if (!meta_phase_)
        type_ok(s);
    log.printf("\t type_id=%u offset=%u size=%u", v.type, v.offset, v.size);
}

error btf_parser::fail_var(const btf_type *s, const btf_var_secinfo &v, const char *text) {
    if (log.enabled()) {
        log_var(s, v);
        log.printf(" %s\n", text);
    }
    return error(EINVAL);
}

error btf_parser::fail_text(const char *text, int errno_code) {
    log.printf("%s", text);
    return error(errno_code);
}

}  // namespace modbpf
