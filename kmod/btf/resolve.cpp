// SPDX-License-Identifier: GPL-2.0-only
// The type pass: follows references depth first with a stack of its own, without recursion.
//
// A walk that starts at a pointer may stop at structures and arrays (their size is known or not needed), one that starts at a
// structure or array may stop at pointers; modifiers are always followed. A type met again while it is still open is a cycle
// that C does not have. What a type resolves to, and an array's size, are kept for the checks that follow.
#include "btf/parser.h"

namespace modbpf {
namespace {

constexpr btf_type void_type{};

bool is(const btf_type *t, btf_kind k) { return t->kind() == k; }

bool regular_int(const btf_int_data *i) {
    u32 bits = i->bits();
    return !i->bit_offset() && (bits == 8 || bits == 16 || bits == 32 || bits == 64 || bits == 128);
}

}  // namespace

const btf_type *btf_parser::get(u32 id) const { return id ? b.type(id) : &void_type; }

bool btf_parser::needs_resolve(const btf_type *t) {
    return t->is_modifier() || is(t, btf_kind::pointer) || t->is_composite() || is(t, btf_kind::array) || is(t, btf_kind::func) ||
           source_only(t);
}

/// Nothing may refer to these by an ordinary reference.
bool btf_parser::source_only(const btf_type *t) {
    return is(t, btf_kind::var) || is(t, btf_kind::decl_tag) || is(t, btf_kind::datasec);
}

bool btf_parser::no_size(const btf_type *t) {
    return !t || is(t, btf_kind::unknown) || is(t, btf_kind::forward) || is(t, btf_kind::func) || is(t, btf_kind::func_proto) ||
           is(t, btf_kind::decl_tag);
}

/// Needs the walk not go into `t`: it ends a walk of this mode, or is resolved already?
bool btf_parser::may_stop_at(const btf_type *t, u32 id) const {
    bool sink;
    switch (mode_) {
    case mode::pointer:
        sink = !t->is_modifier() && !is(t, btf_kind::pointer);
        break;
    case mode::aggregate:
        sink = !t->is_modifier() && !is(t, btf_kind::array) && !t->is_composite();
        break;
    default:
        sink = !needs_resolve(t);
        break;
    }
    return sink || done(id);
}

/// The type with a size that *id leads to; null when there is none (yet).
const btf_type *btf_parser::sized(u32 *id, u32 *size) const {
    u32 at = *id;
    for (int hop = 0; hop < 2; hop++) {
        const btf_type *t = get(at);
        if (no_size(t))
            return nullptr;
        if (t->has_size() || is(t, btf_kind::array) || is(t, btf_kind::pointer)) {
            *id = at;
            if (size)
                *size = t->has_size() ? t->size_or_type : is(t, btf_kind::pointer) ? 8 : resolved_sizes_[at];
            return t;
        }
        at = resolved_ids_[at]; // modifier, variable: resolved in one hop, or not yet
    }
    return nullptr;
}

const btf_type *btf_parser::follow(u32 *id) const {
    *id = resolved_ids_[*id];
    return get(*id);
}

status btf_parser::push(const btf_type *t, u32 id) {
    if (depth_ == max_depth)
        return error(E2BIG);
    if (visit_[id] != static_cast<u8>(visit::no))
        return error(EEXIST);
    visit_[id] = static_cast<u8>(visit::open);
    stack_[depth_++] = {t, id, 0};
    if (mode_ == mode::undecided) {
        if (is(t, btf_kind::pointer))
            mode_ = mode::pointer;
        else if (t->is_composite() || is(t, btf_kind::array))
            mode_ = mode::aggregate;
    }
    return {};
}

/// The top of the stack is resolved: to type `id`, with `size` for arrays.
status btf_parser::pop(u32 id, u32 size) {
    u32 top = stack_[--depth_].id;
    resolved_ids_[top] = id, resolved_sizes_[top] = size;
    visit_[top] = static_cast<u8>(visit::done);
    return {};
}

/// A modifier or pointer whose target is known: it must have a size, or be one of void, forward, func_proto.
status btf_parser::settle(vertex &v, u32 next_id, const btf_type *next) {
    if (!sized(&next_id, nullptr)) {
        if (done(next_id))
            next = follow(&next_id);
        if (!is(next, btf_kind::unknown) && !is(next, btf_kind::forward) && !is(next, btf_kind::func_proto))
            return fail(v.t, "Invalid type_id");
    }
    return pop(next_id, 0);
}

status btf_parser::step_modifier(vertex &v) {
    u32 next_id = v.t->size_or_type;
    const btf_type *next = get(next_id);
    if (!next || source_only(next))
        return fail(v.t, "Invalid type_id");
    if (!may_stop_at(next, next_id))
        return push(next, next_id);
    return settle(v, next_id, next);
}

status btf_parser::step_pointer(vertex &v) {
    u32 next_id = v.t->size_or_type;
    const btf_type *next = get(next_id);
    if (!next || source_only(next))
        return fail(v.t, "Invalid type_id");
    if (!may_stop_at(next, next_id))
        return push(next, next_id);
    // A modifier that was resolved from a structure stopped at a pointer; go on from there, it may lead back here.
    if (next->is_modifier()) {
        u32 id = next_id;
        const btf_type *t = follow(&id);
        if (is(t, btf_kind::pointer) && !may_stop_at(t, id))
            return push(t, id);
    }
    return settle(v, next_id, next);
}

status btf_parser::step_var(vertex &v) {
    u32 next_id = v.t->size_or_type;
    const btf_type *next = get(next_id);
    if (!next || source_only(next))
        return fail(v.t, "Invalid type_id");
    if (!may_stop_at(next, next_id))
        return push(next, next_id);
    if (next->is_modifier()) {
        u32 id = next_id;
        const btf_type *t = follow(&id);
        if (is(t, btf_kind::pointer) && !may_stop_at(t, id))
            return push(t, id);
    }
    if (!sized(&next_id, nullptr))
        return fail(v.t, "Invalid type_id");
    return pop(next_id, 0);
}

status btf_parser::step_array(vertex &v) {
    const auto *a = b.tail<btf_array>(v.t);
    u32 index_id = a->index_type;
    const btf_type *index = get(index_id);
    if (no_size(index) || source_only(index))
        return fail(v.t, "Invalid index");
    if (!may_stop_at(index, index_id))
        return push(index, index_id);
    index = sized(&index_id, nullptr);
    if (!index || !is(index, btf_kind::integer) || !regular_int(b.tail<btf_int_data>(index)))
        return fail(v.t, "Invalid index");

    u32 elem_id = a->type, elem_size = 0;
    const btf_type *elem = get(elem_id);
    if (no_size(elem) || source_only(elem))
        return fail(v.t, "Invalid elem");
    if (!may_stop_at(elem, elem_id))
        return push(elem, elem_id);
    elem = sized(&elem_id, &elem_size);
    if (!elem)
        return fail(v.t, "Invalid elem");
    if (is(elem, btf_kind::integer) && !regular_int(b.tail<btf_int_data>(elem)))
        return fail(v.t, "Invalid array of int");
    if (a->nelems && elem_size > ~0u / a->nelems)
        return fail(v.t, "Array size overflows U32_MAX");
    return pop(elem_id, elem_size * a->nelems);
}

status btf_parser::step_composite(vertex &v) {
    const auto *members = b.tail<btf_member>(v.t);
    for (; v.next_member < v.t->vlen(); v.next_member++) {
        const btf_member &m = members[v.next_member];
        const btf_type *t = get(m.type);
        if (no_size(t) || source_only(t))
            return fail_member(v.t, m, "Invalid member");
        if (!may_stop_at(t, m.type)) // comes back to this member when it is resolved
            return push(t, m.type);
        TRY(check_member(v.t, m, t, v.t->kind_flag()));
    }
    return pop(0, 0);
}

status btf_parser::step_func(vertex &v) {
    u32 proto_id = v.t->size_or_type;
    const btf_type *proto = get(proto_id);
    if (!proto || !is(proto, btf_kind::func_proto))
        return fail(v.t, "Invalid type_id");
    const auto *params = b.tail<btf_param>(proto);
    for (u32 i = 0; i < proto->vlen(); i++)
        if (!params[i].name_off && params[i].type)
            return fail(v.t, "Invalid arg#%u", i + 1);
    return pop(proto_id, 0);
}

status btf_parser::step_datasec(vertex &v) {
    const auto *vars = b.tail<btf_var_secinfo>(v.t);
    mode_ = mode::undecided;
    for (; v.next_member < v.t->vlen(); v.next_member++) {
        const btf_var_secinfo &s = vars[v.next_member];
        const btf_type *var = get(s.type);
        if (!var || !is(var, btf_kind::var))
            return fail_var(v.t, s, "Not a VAR kind member");
        if (!may_stop_at(var, s.type)) {
            v.next_member++; // as in Linux, a variable that was still unresolved has its size not compared
            return push(var, s.type);
        }
        u32 id = var->size_or_type, size = 0;
        if (!sized(&id, &size))
            return fail_var(v.t, s, "Invalid type");
        if (s.size < size)
            return fail_var(v.t, s, "Invalid size");
    }
    return pop(0, 0);
}

status btf_parser::step_decl_tag(vertex &v) {
    u32 next_id = v.t->size_or_type;
    const btf_type *next = get(next_id);
    if (!next || !(is(next, btf_kind::func) || next->is_composite() || is(next, btf_kind::var) || is(next, btf_kind::typedef_)))
        return fail(v.t, "Invalid type_id");
    if (!may_stop_at(next, next_id))
        return push(next, next_id);
    s32 component = b.tail<btf_decl_tag>(v.t)->component_idx;
    if (component != -1) {
        const btf_type *owner = is(next, btf_kind::func) ? get(next->size_or_type) : next;
        bool has_parts = owner && (next->is_composite() || is(owner, btf_kind::func_proto));
        if (!has_parts || static_cast<u32>(component) >= owner->vlen())
            return fail(v.t, "Invalid component_idx");
    }
    return pop(next_id, 0);
}

status btf_parser::step(vertex &v) {
    switch (v.t->kind()) {
    case btf_kind::pointer:
        return step_pointer(v);
    case btf_kind::array:
        return step_array(v);
    case btf_kind::structure:
    case btf_kind::union_:
        return step_composite(v);
    case btf_kind::func:
        return step_func(v);
    case btf_kind::var:
        return step_var(v);
    case btf_kind::datasec:
        return step_datasec(v);
    case btf_kind::decl_tag:
        return step_decl_tag(v);
    default:
        if (v.t->is_modifier())
            return step_modifier(v);
        return fail_basic(v.t, "Unsupported resolve");
    }
}

bool btf_parser::resolve_state_valid(const btf_type *t, u32 id) const {
    if (!done(id))
        return false;
    u32 to = resolved_ids_[id], size = resolved_sizes_[id];
    if (t->is_composite() || is(t, btf_kind::datasec))
        return !to && !size;
    if (is(t, btf_kind::decl_tag) || is(t, btf_kind::func))
        return to && !size;
    if (is(t, btf_kind::array)) {
        const auto *a = b.tail<btf_array>(t);
        u32 elem_id = a->type, elem_size = 0;
        const btf_type *elem = sized(&elem_id, &elem_size);
        return elem && !elem->is_modifier() && a->nelems * elem_size == size;
    }
    const btf_type *target = get(to);
    return target && !target->is_modifier() && !is(target, btf_kind::var) && !is(target, btf_kind::datasec);
}

status btf_parser::resolve(const btf_type *t, u32 id) {
    u32 saved = log_id_;
    mode_ = mode::undecided;
    status s = push(t, id);
    int err = -s.code();
    while (!err && depth_) {
        vertex &v = stack_[depth_ - 1];
        log_id_ = v.id;
        err = -step(v).code();
    }
    log_id_ = id;
    if (err == E2BIG)
        (void)fail(t, "Exceeded max resolving depth:%u", max_depth);
    else if (err == EEXIST)
        (void)fail(t, "Loop detected");
    else if (!err && !resolve_state_valid(t, id)) {
        (void)fail(t, "Invalid resolve state");
        err = EINVAL;
    }
    log_id_ = saved;
    if (err)
        return error(err);
    return {};
}

/// Is `id` fit for a parameter or return type? *why: an error that was logged already.
bool btf_parser::proto_type_ok(u32 id, status *why) {
    const btf_type *t = get(id);
    if (!t || source_only(t))
        return false;
    if (needs_resolve(t) && !done(id)) {
        status s = resolve(t, id);
        if (!s.ok()) {
            *why = s;
            return true;
        }
    }
    return sized(&id, nullptr) != nullptr;
}

status btf_parser::check_proto_types(const btf_type *t) {
    status why;
    if (t->size_or_type && !proto_type_ok(t->size_or_type, &why))
        return fail(t, "Invalid return type");
    if (!why.ok())
        return why;
    const auto *params = b.tail<btf_param>(t);
    u32 n = t->vlen();
    if (n && !params[n - 1].type) { // variable arguments
        if (params[n - 1].name_off)
            return fail(t, "Invalid arg#%u", n);
        n--;
    }
    for (u32 i = 0; i < n; i++) {
        const btf_param &p = params[i];
        const btf_type *type = get(p.type);
        bool named = !p.name_off || (name_offset_valid(p.name_off) && identifier(p.name_off));
        if (!type || source_only(type) || !named || !proto_type_ok(p.type, &why))
            return fail(t, "Invalid arg#%u", i + 1);
        if (!why.ok())
            return why;
    }
    return {};
}

}  // namespace modbpf
