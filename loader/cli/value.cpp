// SPDX-License-Identifier: GPL-2.0-only
// Values as text or JSON, by their BTF type.
//
// The BTF comes from an object file that nobody vouches for: every read is checked against the bytes that are there,
// and nesting is bounded.
#include "loader/cli/cli.h"

#include <bpf/btf.h>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace cli {

namespace {

constexpr int max_depth = 12;
constexpr size_t max_elements = 32;

/// "01 ff 7e"
std::string hex_bytes(const unsigned char *p, size_t n) {
    std::string out;
    char two[4];
    for (size_t i = 0; i < n; i++) {
        snprintf(two, sizeof(two), i ? " %02x" : "%02x", p[i]);
        out += two;
    }
    return out;
}

/// How a value is written, and by whose types.
struct form {
    const struct btf *btf;
    bool json;
    /// What cannot be read.
    const char *unknown() const { return json ? "null" : "?"; }
    /// Text that is no number: in JSON a string.
    std::string word(std::string s) const { return json ? json_string(s) : s; }
};

std::string quoted(const form &f, const char *p, size_t n) {
    n = strnlen(p, n);
    if (f.json)
        return json_string({p, n});
    std::string out = "\"";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = static_cast<unsigned char>(p[i]);
        char escape[8];
        if (c == '"' || c == '\\') {
            out += '\\';
            out += p[i];
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escape, sizeof(escape), "\\x%02x", c);
            out += escape;
        } else {
            out += p[i];
        }
    }
    return out + "\"";
}

__u64 load(const void *data, size_t size) {
    __u64 v = 0;
    memcpy(&v, data, size < 8 ? size : 8);
    return v;
}

std::string number(__u64 v, size_t bits, bool is_signed) {
    if (is_signed && bits < 64 && (v >> (bits - 1) & 1))
        v |= ~0ull << bits;
    return is_signed ? std::to_string(static_cast<long long>(v)) : std::to_string(v);
}

std::string hex(const unsigned char *p, size_t n) {
    std::string out = "0x";
    char two[4];
    for (size_t i = n; i > 0; i--) {
        snprintf(two, sizeof(two), "%02x", p[i - 1]);
        out += two;
    }
    return out;
}

std::string enum_name(const form &f, const struct btf_type *t, __u64 v) {
    const struct btf *btf = f.btf;
    __u64 mask = t->size >= 8 ? ~0ull : (1ull << (t->size * 8)) - 1;
    for (__u32 i = 0; i < btf_vlen(t); i++) {
        __u64 one = btf_is_enum64(t) ? btf_enum64_value(&btf_enum64(t)[i]) : static_cast<__u64>(btf_enum(t)[i].val);
        __u32 name = btf_is_enum64(t) ? btf_enum64(t)[i].name_off : btf_enum(t)[i].name_off;
        const char *text = btf__name_by_offset(btf, name);
        if ((one & mask) == (v & mask) && text)
            return f.word(text);
    }
    return number(v, t->size * 8, btf_kflag(t));
}

std::string format(const form &f, __u32 id, const unsigned char *data, size_t size, bool top, int depth);

std::string format_int(const form &f, const struct btf_type *t, const char *name, const unsigned char *data) {
    __u8 enc = btf_int_encoding(t);
    if (t->size > 8)
        return f.word(hex(data, t->size));
    __u64 v = load(data, t->size);
    if (enc & BTF_INT_BOOL)
        return v ? "true" : "false";
    if (t->size == 1 && name && !strcmp(name, "char") && v >= 0x20 && v < 0x7f)
        return f.json ? json_string(std::string(1, static_cast<char>(v))) : std::string("'") + static_cast<char>(v) + "'";
    return number(v, t->size * 8, enc & BTF_INT_SIGNED);
}

std::string format_array(const form &f, const struct btf_type *t, const unsigned char *data, size_t size, int depth) {
    const struct btf *btf = f.btf;
    const struct btf_array *a = btf_array(t);
    const struct btf_type *elem = btf__type_by_id(btf, skip_modifiers(btf, a->type));
    long long unit = btf__resolve_size(btf, a->type);
    if (!elem || unit <= 0)
        return "[]";
    size_t n = std::min<size_t>(a->nelems, size / static_cast<size_t>(unit));
    if (btf_is_int(elem) && elem->size == 1) {
        const char *name = btf__name_by_offset(btf, elem->name_off);
        if (name && !strcmp(name, "char"))
            return quoted(f, reinterpret_cast<const char *>(data), n);
    }
    std::string out = "[";
    size_t most = f.json ? n : max_elements;
    for (size_t i = 0; i < n && i < most; i++)
        out += (i ? ", " : "") + format(f, a->type, data + i * static_cast<size_t>(unit), static_cast<size_t>(unit), false, depth + 1);
    return out + (n > most ? ", ...]" : "]");
}

/// A bit field: its bits end inside the structure's `size` bytes, or unknown.
std::string format_bits(const form &f, __u32 type, const unsigned char *data, size_t size, __u32 off, __u32 bits) {
    const struct btf_type *t = btf__type_by_id(f.btf, skip_modifiers(f.btf, type));
    if (!t || bits == 0 || bits > 64 || (static_cast<size_t>(off) + bits + 7) / 8 > size)
        return f.unknown();
    __u64 v = 0;
    for (__u32 i = 0; i < bits; i++)
        v |= static_cast<__u64>(data[(off + i) / 8] >> ((off + i) % 8) & 1) << i;
    if (btf_is_any_enum(t))
        return enum_name(f, t, v);
    return number(v, bits, btf_is_int(t) && (btf_int_encoding(t) & BTF_INT_SIGNED));
}

/// In JSON the members of an unnamed structure stand among those around it.
std::string format_struct(const form &f, const struct btf_type *t, const unsigned char *data, size_t size, bool top, int depth) {
    std::string out;
    const struct btf_member *m = btf_members(t);
    for (__u32 i = 0; i < btf_vlen(t); i++) {
        const char *name = btf__name_by_offset(f.btf, m[i].name_off);
        __u32 off = btf_member_bit_offset(t, i), bits = btf_member_bitfield_size(t, i);
        bool named = name && *name;
        std::string value = f.unknown();
        if (bits || off % 8)
            value = format_bits(f, m[i].type, data, size, off, bits);
        else if (off / 8 < size)
            value = format(f, m[i].type, data + off / 8, size - off / 8, f.json && !named, depth + 1);
        if (f.json && !named && (value.empty() || value[0] != '"')) // padding
            continue;
        out += out.empty() ? "" : f.json ? ", " : " ";
        if (named)
            out += f.json ? json_string(name) + ": " : std::string(name) + "=";
        out += value;
    }
    return top ? out : "{" + out + "}";
}

std::string format(const form &f, __u32 id, const unsigned char *data, size_t size, bool top, int depth) {
    const struct btf *btf = f.btf;
    id = skip_modifiers(btf, id);
    const struct btf_type *t = btf__type_by_id(btf, id);
    if (!t || !id || depth > max_depth)
        return f.unknown();
    long long want = btf__resolve_size(btf, id);
    if (want < 0 || static_cast<size_t>(want) > size)
        return f.unknown();
    size_t n = static_cast<size_t>(want);
    switch (btf_kind(t)) {
    case BTF_KIND_INT:
        return format_int(f, t, btf__name_by_offset(btf, t->name_off), data);
    case BTF_KIND_PTR:
        return f.word(hex(data, std::min<size_t>(n, 8)));
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
        return enum_name(f, t, load(data, n));
    case BTF_KIND_ARRAY:
        return format_array(f, t, data, n, depth);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
        return format_struct(f, t, data, n, top, depth);
    case BTF_KIND_FLOAT: {
        double d = 0;
        float single = 0;
        if (n == sizeof(single)) {
            memcpy(&single, data, n);
            d = static_cast<double>(single);
        } else if (n == sizeof(d)) {
            memcpy(&d, data, n);
        }
        return f.json && !std::isfinite(d) ? f.unknown() : std::to_string(d);
    }
    default:
        return f.json ? json_string(hex_bytes(data, n)) : format_bytes(data, n);
    }
}

bool is_struct_of(const struct btf *btf, __u32 id, size_t size, bool padded) {
    const struct btf_type *t = id ? btf__type_by_id(btf, id) : nullptr;
    if (!t || !btf_is_composite(t) || t->size == 0)
        return false;
    return padded ? t->size <= size && size - t->size < 8 : t->size == size;
}

} // namespace

__u32 skip_modifiers(const struct btf *btf, __u32 id) {
    for (int i = 0; i < 32; i++) {
        const struct btf_type *t = btf__type_by_id(btf, id);
        if (!t)
            return 0;
        if (!btf_is_mod(t) && !btf_is_typedef(t) && btf_kind(t) != BTF_KIND_TYPE_TAG)
            return id;
        id = t->type;
    }
    return 0;
}

std::string format_value(const struct btf *btf, __u32 type_id, const void *data, size_t size, bool top) {
    return format({btf, false}, type_id, static_cast<const unsigned char *>(data), size, top, 0);
}

std::string json_value(const struct btf *btf, __u32 type_id, const void *data, size_t size) {
    const unsigned char *p = static_cast<const unsigned char *>(data);
    if (type_id)
        return format({btf, true}, type_id, p, size, false, 0);
    if (size == 4 || size == 8)
        return std::to_string(load(p, size));
    return json_string(hex_bytes(p, size));
}

std::string format_bytes(const void *data, size_t size) {
    const unsigned char *p = static_cast<const unsigned char *>(data);
    std::string text;
    for (size_t i = 0; i < size; i++)
        text += p[i] >= 0x20 && p[i] < 0x7f ? static_cast<char>(p[i]) : '.';
    return hex_bytes(p, size) + "  |" + text + "|";
}

__u32 record_type(const struct btf *btf, const char *map_name, size_t size, bool padded) {
    if (!btf)
        return 0;
    std::string name = map_name;
    std::vector<std::string> names = {name, name + "_event"};
    if (name.ends_with('s'))
        names.push_back(name.substr(0, name.size() - 1));
    names.push_back("event");
    for (const std::string &one : names) {
        int id = btf__find_by_name_kind(btf, one.c_str(), BTF_KIND_STRUCT);
        if (id > 0 && is_struct_of(btf, static_cast<__u32>(id), size, padded))
            return static_cast<__u32>(id);
    }
    // `const struct X *unused_X`: the way to put a type into BTF that no map and no function names. Exactly one must fit.
    __u32 found = 0;
    for (__u32 id = 1; id < btf__type_cnt(btf); id++) {
        const struct btf_type *v = btf__type_by_id(btf, id);
        const char *text = btf_is_var(v) ? btf__name_by_offset(btf, v->name_off) : nullptr;
        if (!text || strncmp(text, "unused", 6))
            continue;
        __u32 pointer = skip_modifiers(btf, v->type);
        const struct btf_type *p = pointer ? btf__type_by_id(btf, pointer) : nullptr;
        if (!p || !btf_is_ptr(p))
            continue;
        __u32 target = skip_modifiers(btf, p->type);
        if (!is_struct_of(btf, target, size, padded) || target == found)
            continue;
        if (found)
            return 0;
        found = target;
    }
    return found;
}

} // namespace cli
