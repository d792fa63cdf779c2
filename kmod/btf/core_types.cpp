// SPDX-License-Identifier: GPL-2.0-only
// When a local type stands for a target type. See core_relo.h.
#include "btf/core_relo.h"
#include "btf/format.h"

namespace modbpf {

namespace {

constexpr u32 max_steps = 32; // through pointers and arrays
constexpr u32 max_level = 2;  // nested functions and structures that are compared

/// A type of one side, behind modifiers; void has no type.
struct side {
    const btf &types;
    u32 id;
    const btf_type *t = nullptr;

    void settle() {
        id = types.skip_modifiers(id);
        t = types.type(id);
    }
    btf_kind kind() const { return t ? t->kind() : btf_kind::unknown; }
    bool is_enum() const { return t && t->is_enum(); }
    const char *name() const {
        const char *n = t ? types.string(t->name_off) : nullptr;
        return n ? n : "";
    }
    template <class T> const T *tail() const { return types.tail<T>(t); }
};

bool same_kind(const side &a, const side &b) { return a.kind() == b.kind() || (a.is_enum() && b.is_enum()); }
bool plain_int(const side &s) { return s.tail<btf_int_data>()->bit_offset() == 0; }

bool same_essence(const char *a, const char *b) {
    size_t n = essential_length(a), m = essential_length(b);
    return n == m && !strncmp(a, b, n);
}

template <u32 level> result<bool> compatible(side a, side b);

template <u32 level> result<bool> protos_compatible(const side &a, const side &b) {
    if constexpr (level == 0) {
        return a.t->vlen() != b.t->vlen() ? result<bool>(false) : a.t->vlen() ? result<bool>(error(EINVAL)) : result<bool>(true);
    } else {
        if (a.t->vlen() != b.t->vlen())
            return false;
        const auto *p = a.tail<btf_param>(), *q = b.tail<btf_param>();
        for (u32 i = 0; i < a.t->vlen(); i++)
            if (!TRY(compatible<level - 1>({a.types, p[i].type}, {b.types, q[i].type})))
                return false;
        return true;
    }
}

template <u32 level> result<bool> compatible(side a, side b) {
    for (u32 i = 0; i < max_steps; i++) {
        a.settle(), b.settle();
        if (!same_kind(a, b))
            return false;
        switch (a.kind()) {
        case btf_kind::unknown:
        case btf_kind::structure:
        case btf_kind::union_:
        case btf_kind::enum_:
        case btf_kind::enum64:
        case btf_kind::forward: return true;
        case btf_kind::integer: return plain_int(a) && plain_int(b);
        case btf_kind::func_proto:
            if (!TRY(protos_compatible<level>(a, b)))
                return false;
            [[fallthrough]];
        case btf_kind::pointer:
            a.id = a.t->size_or_type, b.id = b.t->size_or_type;
            break;
        case btf_kind::array:
            a.id = a.tail<btf_array>()->type, b.id = b.tail<btf_array>()->type;
            break;
        default: return false;
        }
    }
    return error(EINVAL);
}

u32 enumerator_name(const side &s, u32 i) {
    return s.kind() == btf_kind::enum_ ? s.tail<btf_enum>()[i].name_off : s.tail<btf_enum64>()[i].name_off;
}
const char *text_at(const side &s, u32 off) {
    const char *n = s.types.string(off);
    return n ? n : "";
}

/// Each enumerator has one of the same name.
bool enums_match(const side &a, const side &b) {
    if (!b.is_enum() || a.t->size_or_type != b.t->size_or_type || a.t->vlen() > b.t->vlen())
        return false;
    for (u32 i = 0; i < a.t->vlen(); i++) {
        bool found = false;
        for (u32 j = 0; j < b.t->vlen() && !found; j++)
            found = same_essence(text_at(a, enumerator_name(a, i)), text_at(b, enumerator_name(b, j)));
        if (!found)
            return false;
    }
    return true;
}

/// A forward declaration tells structures (0) from unions (1) by its flag.
bool forwards_match(const side &a, const side &b, bool behind_pointer) {
    bool is_union = a.t->kind_flag();
    if (a.kind() == b.kind())
        return is_union == b.t->kind_flag();
    return behind_pointer && ((b.kind() == btf_kind::structure && !is_union) || (b.kind() == btf_kind::union_ && is_union));
}

template <u32 level> result<bool> match(side a, side b, bool behind_pointer);

template <u32 level> result<bool> members_match(const side &a, const side &b, bool behind_pointer) {
    if (a.t->vlen() > b.t->vlen())
        return false;
    const auto *m = a.tail<btf_member>(), *n = b.tail<btf_member>();
    for (u32 i = 0; i < a.t->vlen(); i++) {
        bool found = false;
        for (u32 j = 0; j < b.t->vlen() && !found; j++)
            if (same_essence(text_at(a, m[i].name_off), text_at(b, n[j].name_off)))
                found = TRY(match<level - 1>({a.types, m[i].type}, {b.types, n[j].type}, behind_pointer));
        if (!found)
            return false;
    }
    return true;
}

template <u32 level> result<bool> composites_match(const side &a, const side &b, bool behind_pointer) {
    if (!behind_pointer)
        return a.kind() == b.kind() ? members_match<level>(a, b, behind_pointer) : result<bool>(false);
    if (a.kind() == b.kind())
        return true;
    return b.kind() == btf_kind::forward && (a.kind() == btf_kind::union_) == b.t->kind_flag();
}

template <u32 level> result<bool> params_match(const side &a, const side &b, bool behind_pointer) {
    if (a.t->vlen() != b.t->vlen())
        return false;
    const auto *p = a.tail<btf_param>(), *q = b.tail<btf_param>();
    for (u32 i = 0; i < a.t->vlen(); i++)
        if (!TRY(match<level - 1>({a.types, p[i].type}, {b.types, q[i].type}, behind_pointer)))
            return false;
    return true;
}

bool ints_match(const side &a, const side &b) {
    u32 x = a.tail<btf_int_data>()->encoding(), y = b.tail<btf_int_data>()->encoding();
    return a.t->size_or_type == b.t->size_or_type && (x & BTF_INT_SIGNED) == (y & BTF_INT_SIGNED);
}

template <u32 level> result<bool> match(side a, side b, bool behind_pointer) {
    if constexpr (level == 0) {
        return error(EINVAL);
    } else {
        for (u32 i = 0; i < max_steps; i++) {
            a.settle(), b.settle();
            if (!same_essence(a.name(), b.name()))
                return false;
            switch (a.kind()) {
            case btf_kind::unknown: return a.kind() == b.kind();
            case btf_kind::forward: return forwards_match(a, b, behind_pointer);
            case btf_kind::enum_:
            case btf_kind::enum64: return enums_match(a, b);
            case btf_kind::structure:
            case btf_kind::union_: return composites_match<level>(a, b, behind_pointer);
            default: break;
            }
            if (a.kind() != b.kind())
                return false;
            switch (a.kind()) {
            case btf_kind::integer: return ints_match(a, b);
            case btf_kind::func_proto:
                if (!TRY(params_match<level>(a, b, behind_pointer)))
                    return false;
                a.id = a.t->size_or_type, b.id = b.t->size_or_type;
                break;
            case btf_kind::pointer:
                behind_pointer = true;
                a.id = a.t->size_or_type, b.id = b.t->size_or_type;
                break;
            case btf_kind::array:
                if (a.tail<btf_array>()->nelems != b.tail<btf_array>()->nelems)
                    return false;
                a.id = a.tail<btf_array>()->type, b.id = b.tail<btf_array>()->type;
                break;
            default: return false;
            }
        }
        return error(EINVAL);
    }
}

}  // namespace

size_t essential_length(const char *name) {
    size_t n = strlen(name);
    for (size_t i = n; i-- > 4;) { // the last "X___Y" where neither is an underscore
        const char *s = name + i - 4;
        if (s[0] != '_' && s[1] == '_' && s[2] == '_' && s[3] == '_' && s[4] != '_')
            return i - 3;
    }
    return n;
}

result<bool> core_types_compatible(const btf &local, u32 local_id, const btf &target, u32 target_id) {
    const btf_type *a = local.type(local_id), *b = target.type(target_id);
    if (!a || !b || (a->kind() != b->kind() && !(a->is_enum() && b->is_enum())))
        return false;
    return compatible<max_level>({local, local_id}, {target, target_id});
}

result<bool> core_types_match(const btf &local, u32 local_id, const btf &target, u32 target_id) {
    return match<max_level>({local, local_id}, {target, target_id}, false);
}

bool core_fields_compatible(const btf &local, u32 local_id, const btf &target, u32 target_id) {
    side a{local, local_id}, b{target, target_id};
    for (u32 i = 0; i < max_steps; i++) {
        a.settle(), b.settle();
        if (!a.t || !b.t)
            return false;
        if (a.t->is_composite() && b.t->is_composite())
            return true;
        if (!same_kind(a, b))
            return false;
        switch (a.kind()) {
        case btf_kind::pointer:
        case btf_kind::float_: return true;
        case btf_kind::forward:
        case btf_kind::enum_:
        case btf_kind::enum64: return !*a.name() || !*b.name() || same_essence(a.name(), b.name());
        case btf_kind::integer: return plain_int(a) && plain_int(b);
        case btf_kind::array:
            a.id = a.tail<btf_array>()->type, b.id = b.tail<btf_array>()->type;
            break;
        default: return false;
        }
    }
    return false;
}

}  // namespace modbpf
