// SPDX-License-Identifier: GPL-2.0-only
// See btf_walk.h.
#include "verifier/btf_walk.h"

#include "btf/format.h"

namespace modbpf {

namespace {

constexpr u32 max_nesting = 64; // structures within structures; the kernel's own have some ten

const char *text_of(const btf &types, u32 name_off) {
    const char *s = name_off ? types.string(name_off) : "(anon)";
    return s ? s : "(invalid-name-offset)";
}

/// Where the walk stands: an access relative to a structure.
struct place_in {
    const btf_type *type;
    const char *name;
    s32 off;
    u32 size;
};

error beyond(verifier_log &log, const place_in &p) {
    log.printf("access beyond struct %s at off %u size %u\n", p.name, static_cast<u32>(p.off), p.size);
    return error(EACCES);
}

bool is_composite(const btf_type *t) { return t && t->is_composite(); }

/// What one look at a place says: an answer, or a structure to go on in.
struct look {
    bool done;
    walk_hit hit;
    u32 inner; ///< structure, with the place's offset made relative to it
};

/// The access ends behind the structure: it may lie in an element of an array without bounds.
result<look> look_in_tail(const struct_walk &w, place_in &p) {
    if (!w.flexible || !p.type->vlen())
        return beyond(w.log, p);
    const btf_member &last = w.types.tail<btf_member>(p.type)[p.type->vlen() - 1];
    const btf_type *array = w.types.type(w.types.skip_modifiers(last.type));
    if (!array || array->kind() != btf_kind::array || w.types.tail<btf_array>(array)->nelems)
        return beyond(w.log, p);
    s32 start = static_cast<s32>(last.bit_offset(p.type->kind_flag()) / 8);
    if (p.off < start)
        return beyond(w.log, p);
    u32 elem_id = w.types.skip_modifiers(w.types.tail<btf_array>(array)->type);
    const btf_type *elem = w.types.type(elem_id);
    if (elem && elem->kind() == btf_kind::integer)
        return look{true, walk_hit::scalar, 0};
    if (!is_composite(elem) || !elem->size_or_type)
        return beyond(w.log, p);
    p.off = static_cast<s32>(static_cast<u32>(p.off - start) % elem->size_or_type);
    return look{false, walk_hit::structure, elem_id};
}

type_flag flag_of_tag(const btf &types, u32 target) {
    const btf_type *t = types.type(target);
    if (!t || t->kind() != btf_kind::type_tag)
        return type_flag::none;
    const char *tag = text_of(types, t->name_off);
    return !strcmp(tag, "user")     ? type_flag::user
           : !strcmp(tag, "percpu") ? type_flag::percpu
           : !strcmp(tag, "rcu")    ? type_flag::rcu
                                    : type_flag::none;
}

/// The member that covers the start of the access.
result<look> look_at_member(struct_walk &w, place_in &p, const btf_member &m, u32 start) {
    member_shape s;
    if (!shape_of(w.types, m.type, &s)) {
        w.log.printf("field %s doesn't have size\n", text_of(w.types, m.name_off));
        return error(EFAULT);
    }
    u32 end = start + s.size, off = static_cast<u32>(p.off);
    if (off >= end)
        return look{false, walk_hit::scalar, 0};
    u32 elem_size = s.size;
    if (s.array) {
        elem_size = s.size / s.count;
        start += (off - start) / elem_size * elem_size;
    }
    if (is_composite(s.type)) {
        p.off -= static_cast<s32>(start);
        if (p.off)
            return look{false, walk_hit::structure, s.id};
        w.id = s.id;
        return look{true, walk_hit::structure, 0};
    }
    if (s.type->kind() == btf_kind::pointer) {
        if (elem_size != p.size || off != start) {
            w.log.printf("cannot access ptr member %s with moff %u in struct %s with off %u size %u\n", text_of(w.types, m.name_off),
                         start, p.name, off, p.size);
            return error(EACCES);
        }
        u32 target = w.types.skip_modifiers(s.type->size_or_type);
        if (is_composite(w.types.type(target))) {
            w.id = target;
            w.flags = w.flags | flag_of_tag(w.types, s.type->size_or_type);
            w.field = text_of(w.types, m.name_off);
            return look{true, walk_hit::pointer, 0};
        }
    }
    if (off + p.size > end && (w.flags & type_flag::untrusted) == type_flag::none) {
        w.log.printf("access beyond the end of member %s (mend:%u) in struct %s with off %u size %u\n", text_of(w.types, m.name_off), end,
                     p.name, off, p.size);
        return error(EACCES);
    }
    return look{true, walk_hit::scalar, 0};
}

/// The first member that may cover offset `off` of a structure. A compiler lays members out without overlap, in order, so that one
/// whose successor starts at or below `off` ends there too; a bit-field has to start at `off` or behind it. Of the program's own types, which
/// only have to be in order, none is left out. (Zero-sized members cover nothing.)
u32 first_candidate(const btf &types, const btf_type *t, u32 off) {
    if (!types.kernel || t->kind() != btf_kind::structure)
        return 0;
    const btf_member *members = types.tail<btf_member>(t);
    u32 lo = 0, hi = t->vlen(); // all below lo start below off, all from hi on do not
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        if (members[mid].bit_offset(t->kind_flag()) / 8 < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? lo - 1 : 0;
}

result<look> look_at(struct_walk &w, place_in &p) {
    const btf_type *t = p.type;
    if (t->kind() == btf_kind::union_ && t->vlen() != 1)
        w.flags = w.flags | type_flag::untrusted; // nothing says which member is there
    if (p.off < 0)
        return beyond(w.log, p);
    u64 end = static_cast<u64>(p.off) + p.size;
    if (end > t->size_or_type)
        return look_in_tail(w, p);
    bool flag = t->kind_flag();
    const btf_member *members = w.types.tail<btf_member>(t);
    for (u32 i = first_candidate(w.types, t, static_cast<u32>(p.off)); i < t->vlen(); i++) {
        const btf_member &m = members[i];
        u32 bits = m.bit_offset(flag), start = bits / 8, off = static_cast<u32>(p.off);
        if (end <= start)
            break;
        if (u32 width = m.bitfield_size(flag)) {
            // A bit-field is read in whole; compilers leave out those without name before it.
            if (off <= start && (bits + width + 7) / 8 <= end)
                return look{true, walk_hit::scalar, 0};
            continue;
        }
        if (off < start)
            break;
        look l = TRY(look_at_member(w, p, m, start));
        if (l.done || l.inner)
            return l;
    }
    w.log.printf("struct %s doesn't have field at offset %d\n", p.name, p.off);
    return error(EINVAL);
}

}  // namespace

bool shape_of(const btf &types, u32 id, member_shape *out) {
    member_shape s;
    s.id = id;
    for (u32 i = 0; i < max_nesting; i++) {
        const btf_type *t = types.type(id);
        if (!t)
            return false;
        if (t->kind() == btf_kind::array) {
            const auto *a = types.tail<btf_array>(t);
            if (__builtin_mul_overflow(s.count, a->nelems, &s.count))
                return false;
            s.array = true, s.id = id = a->type;
        } else if (t->is_modifier()) {
            id = t->size_or_type;
            if (!s.array)
                s.id = id;
        } else if ((t->has_size() && t->kind() != btf_kind::datasec) || t->kind() == btf_kind::pointer) {
            s.type = t;
            if (__builtin_mul_overflow(s.count, t->has_size() ? t->size_or_type : 8u, &s.size))
                return false;
            *out = s;
            return true;
        } else {
            return false;
        }
    }
    return false;
}

result<walk_hit> struct_walk::step(u32 from, s32 off, u32 size) {
    for (u32 i = 0; i < max_nesting; i++) {
        const btf_type *t = types.type(types.skip_modifiers(from));
        if (!t || !t->is_composite()) {
            log.printf("Type '%s' is not a struct\n", text_of(types, t ? t->name_off : 0));
            return error(EINVAL);
        }
        place_in p{t, text_of(types, t->name_off), off, size};
        look l = TRY(look_at(*this, p));
        if (l.done)
            return l.hit;
        from = l.inner, off = p.off;
    }
    return error(EINVAL);
}

result<walk_hit> struct_walk::access(u32 from, s32 off, u32 size) {
    for (u32 i = 0; i < max_nesting; i++) {
        walk_hit hit = TRY(step(from, off, size));
        if (hit != walk_hit::structure)
            return hit;
        from = id, off = 0; // the structure starts where the access does
    }
    return error(EINVAL);
}

}  // namespace modbpf
