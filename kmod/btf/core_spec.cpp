// SPDX-License-Identifier: GPL-2.0-only
// Paths through types: parsed from a relocation, found again in a target type. See core_relo.h.
#include "btf/core_relo.h"
#include "btf/format.h"

namespace modbpf {

namespace {

bool on_types(core_kind k) {
    return k == core_kind::type_id_local || k == core_kind::type_id_target || k == core_kind::type_exists || k == core_kind::type_size ||
           k == core_kind::type_matches;
}
bool on_enumerators(core_kind k) { return k == core_kind::enumval_exists || k == core_kind::enumval_value; }
bool on_fields(core_kind k) { return k <= core_kind::field_rshift; }

bool is_empty(const char *s) { return !s || !*s; }

u32 enumerator_name(const btf &types, const btf_type *t, u32 i) {
    return t->kind() == btf_kind::enum_ ? types.tail<btf_enum>(t)[i].name_off : types.tail<btf_enum64>(t)[i].name_off;
}

/// "0:1:3" -> {0, 1, 3}.
status parse_indices(const char *s, u32 (&raw)[core_spec_max], u32 *len) {
    constexpr u32 max_index = 0x7fffffff;
    while (*s) {
        if (*s == ':')
            s++;
        if (*s < '0' || *s > '9')
            return error(EINVAL);
        u64 n = 0;
        for (; *s >= '0' && *s <= '9'; s++) {
            n = n * 10 + static_cast<u32>(*s - '0');
            if (n > max_index)
                return error(EINVAL);
        }
        if (*len == core_spec_max)
            return error(E2BIG);
        raw[(*len)++] = static_cast<u32>(n);
    }
    return *len ? status() : status(error(EINVAL));
}

/// An array without bounds that ends its structure may be indexed at will.
bool is_flexible(const btf &types, const core_access &holder, const btf_array *a) {
    if (!holder.name || a->nelems)
        return false;
    const btf_type *t = types.type(holder.type_id);
    return t && holder.index == t->vlen() - 1;
}

status add_elements(core_spec &s, u32 id, u32 index) {
    u32 size;
    if (!s.types->size_of(id, &size))
        return error(EINVAL);
    s.bit_offset += index * size * 8;
    return {};
}

status step_member(core_spec &s, u32 *id, const btf_type *t, u32 index) {
    if (index >= t->vlen())
        return error(EINVAL);
    const btf_member &m = s.types->tail<btf_member>(t)[index];
    s.bit_offset += m.bit_offset(t->kind_flag());
    if (m.name_off) {
        const char *name = s.types->string(m.name_off);
        if (is_empty(name))
            return error(EINVAL);
        s.at[s.len++] = {*id, index, name};
    }
    *id = m.type;
    return {};
}

status step_element(core_spec &s, u32 *id, const btf_type *t, u32 index) {
    const auto *a = s.types->tail<btf_array>(t);
    bool flexible = is_flexible(*s.types, s.at[s.len - 1], a);
    *id = s.types->skip_modifiers(a->type);
    if (!*id || (!flexible && index >= a->nelems))
        return error(EINVAL);
    s.at[s.len++] = {*id, index, nullptr};
    return add_elements(s, *id, index);
}

status parse_fields(core_spec &s, u32 id, const u32 (&raw)[core_spec_max]) {
    TRY(add_elements(s, id, raw[0]));
    for (u32 i = 1; i < s.raw_len; i++) {
        id = s.types->skip_modifiers(id);
        const btf_type *t = s.types->type(id);
        if (t && t->is_composite())
            TRY(step_member(s, &id, t, raw[i]));
        else if (t && t->kind() == btf_kind::array)
            TRY(step_element(s, &id, t, raw[i]));
        else
            return error(EINVAL);
    }
    return {};
}

/// Where the search for a member stands in a structure: its members without name are searched, too.
struct search_frame {
    u32 id;
    u32 next;
    u32 bits; ///< of the member that led here
};

/// Finds the member named as `want` in structure `id` of the target. -> found and of a compatible type; `id` becomes its type.
result<bool> match_member(const core_spec &local, const core_access &want, core_spec &s, u32 *id) {
    const btf_type *lt = local.types->type(want.type_id);
    const btf_member &lm = local.types->tail<btf_member>(lt)[want.index];
    search_frame stack[16];
    u32 depth = 0;
    stack[depth++] = {*id, 0, 0};
    while (depth) {
        search_frame &f = stack[depth - 1];
        f.id = s.types->skip_modifiers(f.id);
        const btf_type *t = s.types->type(f.id);
        if (!t)
            return error(EINVAL);
        if (!t->is_composite() || f.next >= t->vlen()) { // nothing here: back to the structure around it
            s.bit_offset -= f.bits;
            if (--depth)
                s.raw_len--;
            continue;
        }
        if (s.raw_len == core_spec_max)
            return error(E2BIG);
        u32 index = f.next++;
        const btf_member &m = s.types->tail<btf_member>(t)[index];
        u32 bits = m.bit_offset(t->kind_flag());
        const char *name = s.types->string(m.name_off);
        if (is_empty(name)) {
            if (depth == count_of(stack))
                return error(E2BIG);
            s.bit_offset += bits, s.raw_len++;
            stack[depth++] = {m.type, 0, bits};
        } else if (!strcmp(name, want.name)) {
            if (s.len == core_spec_max)
                return error(E2BIG);
            s.bit_offset += bits, s.raw_len++;
            s.at[s.len++] = {f.id, index, name};
            *id = m.type;
            return core_fields_compatible(*local.types, lm.type, *s.types, m.type);
        }
    }
    return false;
}

result<bool> match_enumerator(const core_spec &local, core_spec &s, u32 id) {
    id = s.types->skip_modifiers(id);
    const btf_type *t = s.types->type(id);
    if (!t || !t->is_enum())
        return false;
    size_t len = essential_length(local.at[0].name);
    for (u32 i = 0; i < t->vlen(); i++) {
        const char *name = s.types->string(enumerator_name(*s.types, t, i));
        if (!name || essential_length(name) != len || strncmp(name, local.at[0].name, len))
            continue;
        s.at[s.len++] = {id, i, name};
        s.raw_len++;
        return true;
    }
    return false;
}

/// The same element in the target; the first index counts whole objects.
result<bool> match_element(const core_access &want, core_spec &s, bool first, u32 *id) {
    if (!first) {
        const btf_type *t = s.types->type(s.types->skip_modifiers(*id));
        if (!t || t->kind() != btf_kind::array)
            return false;
        const auto *a = s.types->tail<btf_array>(t);
        if (!is_flexible(*s.types, s.at[s.len - 1], a) && want.index >= a->nelems)
            return false;
        *id = s.types->skip_modifiers(a->type);
        if (!*id)
            return error(EINVAL);
    } else {
        *id = s.types->skip_modifiers(*id);
    }
    if (s.raw_len == core_spec_max || s.len == core_spec_max)
        return error(E2BIG);
    s.at[s.len++] = {*id, want.index, nullptr};
    s.raw_len++;
    TRY(add_elements(s, *id, want.index));
    return true;
}

}  // namespace

status core_parse(const btf &types, const core_relo &r, core_spec *out) {
    core_spec &s = *out;
    core_kind kind{r.kind};
    u32 raw[core_spec_max];
    s.types = &types, s.root = r.type_id;
    s.len = s.raw_len = s.bit_offset = 0;
    const char *text = types.string(r.access_str_off);
    if (is_empty(text) || *text == ':')
        return error(EINVAL);
    if (on_types(kind))
        return strcmp(text, "0") ? status(error(EINVAL)) : status();
    TRY(parse_indices(text, raw, &s.raw_len));
    u32 id = types.skip_modifiers(r.type_id);
    const btf_type *t = types.type(id);
    if (!t)
        return error(EINVAL);
    s.at[s.len++] = {id, raw[0], nullptr};
    if (on_enumerators(kind)) {
        if (!t->is_enum() || s.raw_len > 1 || raw[0] >= t->vlen())
            return error(EINVAL);
        s.at[0].name = types.string(enumerator_name(types, t, raw[0]));
        return s.at[0].name ? status() : status(error(EINVAL));
    }
    return on_fields(kind) ? parse_fields(s, id, raw) : status(error(EINVAL));
}

result<bool> core_match(const core_spec &local, core_kind kind, const btf &target, u32 id, core_spec *out) {
    core_spec &s = *out;
    s.types = &target, s.root = id;
    s.len = s.raw_len = s.bit_offset = 0;
    if (kind == core_kind::type_matches)
        return core_types_match(*local.types, local.root, target, id);
    if (on_types(kind))
        return core_types_compatible(*local.types, local.root, target, id);
    if (on_enumerators(kind))
        return match_enumerator(local, s, id);
    for (u32 i = 0; i < local.len; i++) {
        const core_access &want = local.at[i];
        bool found = want.name ? TRY(match_member(local, want, s, &id)) : TRY(match_element(want, s, i == 0, &id));
        if (!found)
            return false;
    }
    return true;
}

}  // namespace modbpf
