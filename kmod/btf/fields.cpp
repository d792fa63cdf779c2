// SPDX-License-Identifier: GPL-2.0-only
#include "btf/fields.h"
#include "btf/format.h"

namespace modbpf {

namespace {

using enum field_kind;

constexpr u32 max_fields = 11; // BTF_FIELDS_MAX
constexpr u32 max_depth = 32;  // MAX_RESOLVE_DEPTH
constexpr u32 pointer_size = 8;

struct kind_row {
    field_kind kind;
    const char *type; ///< name of the structure; null: a pointer
    const char *name;
    u8 size;
    u8 align;
    bool once;   ///< one in a value at most
    bool arrays; ///< an array of them is as many fields
};
constexpr kind_row rows[] = {
    {spin_lock, "bpf_spin_lock", "bpf_spin_lock", 4, 4, true, false},
    {timer, "bpf_timer", "bpf_timer", 16, 8, true, false},
    {workqueue, "bpf_wq", "bpf_wq", 16, 8, true, false},
    {list_head, "bpf_list_head", "bpf_list_head", 16, 8, false, true},
    {list_node, "bpf_list_node", "bpf_list_node", 24, 8, false, false},
    {rb_root, "bpf_rb_root", "bpf_rb_root", 16, 8, false, true},
    {rb_node, "bpf_rb_node", "bpf_rb_node", 32, 8, false, false},
    {refcount, "bpf_refcount", "bpf_refcount", 4, 4, true, false},
    {kptr_unref, nullptr, "kptr", pointer_size, 8, false, true},
    {kptr_ref, nullptr, "kptr", pointer_size, 8, false, true},
    {kptr_percpu, nullptr, "percpu_kptr", pointer_size, 8, false, true},
};
constexpr bool rows_in_order() {
    for (u32 i = 0; i < count_of(rows); i++)
        if (static_cast<u32>(rows[i].kind) != i)
            return false;
    return true;
}
static_assert(rows_in_order());

const kind_row &row_of(field_kind k) { return rows[static_cast<u32>(k)]; }

/// Kernel types that a counted kptr may point to: there is a function that drops the last reference when the map goes.
constexpr const char *droppable[] = {"task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "prog_test_ref_kfunc", "prog_test_member",
                                    "bpf_testmod_ctx"};

bool is_droppable(const char *name) {
    for (const char *d : droppable)
        if (!strcmp(d, name))
            return true;
    return false;
}

struct found {
    field_kind kind;
    u32 off;
    u32 type_id;      ///< as in special_field, in the value's own types
    const char *node; ///< roots: member of the element
};

/// A structure or section that is being searched.
struct level {
    u32 id;
    u32 next = 0;  ///< member
    u32 off = 0;   ///< of the structure in the value
    u32 count = 1; ///< elements of the array that it is in
    u32 first = 0; ///< field that was found first in it
};

struct search {
    const btf &types;
    u32 mask;
    found out[max_fields];
    u32 count = 0;
    u32 seen = 0;
    level path[max_depth];
    u32 depth = 0;

    status run(u32 id);
    status member(level &at);
    status variable(u32 owner, s32 index, u32 type_id, u32 off, u32 expected);
    const kind_row *kind_of(const btf_type &t);
    status leaf(const kind_row &row, u32 owner, s32 index, const btf_type &t, u32 off, u32 n);
    result<bool> pointer(const btf_type &t, found &f);
    status root(u32 owner, s32 index, found &f);
    result<const char *> tag(u32 owner, s32 index, const char *prefix);
    status repeat(u32 first, u32 n, u32 step);
    status enter(u32 id, u32 off, u32 n);
    status leave();
};

/// Fields [first, count) n - 1 times more, each time `step` bytes further.
status search::repeat(u32 first, u32 n, u32 step) {
    u32 each = count - first;
    for (u32 i = first; i < count; i++)
        if (!row_of(out[i].kind).arrays)
            return error(EINVAL);
    if (static_cast<u64>(each) * n > max_fields - first)
        return error(E2BIG);
    for (u32 k = 1; k < n; k++)
        for (u32 i = 0; i < each; i++) {
            out[count] = out[first + i];
            out[count++].off += k * step;
        }
    return {};
}

status search::enter(u32 id, u32 off, u32 n) {
    if (depth == max_depth)
        return error(E2BIG);
    level &l = path[depth++];
    l = {};
    l.id = id, l.off = off, l.count = n, l.first = count;
    return {};
}

status search::leave() {
    const level &l = path[--depth];
    if (count == l.first || l.count <= 1)
        return {};
    const btf_type *t = types.type(l.id);
    return t ? repeat(l.first, l.count, t->size_or_type) : error(EINVAL);
}

/// The kind of field that a type is, or null. EINVAL... come from leaf(); E2BIG: a second one of what may be there once.
const kind_row *search::kind_of(const btf_type &t) {
    const char *n = types.string(t.name_off);
    for (const kind_row &r : rows)
        if (r.type && (mask & field_bit(r.kind)) && n && !strcmp(n, r.type))
            return &r;
    return (mask & kptr_fields) && t.kind() != btf_kind::structure && t.kind() != btf_kind::union_ ? &row_of(kptr_ref) : nullptr;
}

/// The value of the only declaration tag of a member (or of a variable: -1) that starts with `prefix`.
result<const char *> search::tag(u32 owner, s32 index, const char *prefix) {
    u32 at = 0;
    const char *value = types.next_tag(&at, owner, index, prefix);
    if (!value || types.next_tag(&at, owner, index, prefix))
        return error(EINVAL);
    return value;
}

/// "contains:TYPE:MEMBER": what the list or tree holds, and the node in it.
status search::root(u32 owner, s32 index, found &f) {
    const char *value = TRY(tag(owner, index, "contains:")), *colon = value;
    while (*colon && *colon != ':')
        colon++;
    if (!*colon)
        return error(EINVAL);
    size_t len = static_cast<size_t>(colon - value);
    f.node = colon + 1;
    for (u32 id = 1; id < types.type_count(); id++) {
        const btf_type *t = types.type(id);
        const char *n = t && t->kind() == btf_kind::structure ? types.name(id) : nullptr;
        if (!n || strncmp(n, value, len) || n[len])
            continue;
        f.type_id = id;
        return *f.node ? status() : error(EINVAL);
    }
    return error(ENOENT);
}

/// A pointer with a type tag; false: an ordinary one, or no pointer.
result<bool> search::pointer(const btf_type &var, found &f) {
    const btf_type *t = &var;
    if (t->kind() == btf_kind::volatile_)
        t = types.type(t->size_or_type);
    if (!t || t->kind() != btf_kind::pointer)
        return false;
    const btf_type *to = types.type(t->size_or_type);
    if (!to || to->kind() != btf_kind::type_tag)
        return false;
    const btf_type *behind = types.type(to->size_or_type);
    if (behind && behind->kind() == btf_kind::type_tag)
        return error(EINVAL);
    const char *n = types.string(to->name_off);
    if (!n)
        return error(EINVAL);
    if (!strcmp(n, "kptr_untrusted"))
        f.kind = kptr_unref;
    else if (!strcmp(n, "kptr"))
        f.kind = kptr_ref;
    else if (!strcmp(n, "percpu_kptr"))
        f.kind = kptr_percpu;
    else
        return error(EINVAL);
    f.type_id = types.skip_modifiers(to->size_or_type);
    const btf_type *target = types.type(f.type_id);
    if (!target || !target->is_composite())
        return error(EINVAL);
    return true;
}

status search::leaf(const kind_row &row, u32 owner, s32 index, const btf_type &t, u32 off, u32 n) {
    found f{row.kind, off, 0, nullptr};
    if (!row.type) {
        if (!TRY(pointer(t, f)))
            return {};
    } else if (!t.is_composite() || t.size_or_type != row.size) {
        return {};
    } else if (graph_roots & field_bit(row.kind)) {
        TRY(root(owner, index, f));
    }
    if (count == max_fields)
        return error(E2BIG);
    out[count++] = f;
    return n > 1 ? repeat(count - 1, n, row.size) : status();
}

/// A member or a variable. `expected`: bytes that it must have, or 0.
status search::variable(u32 owner, s32 index, u32 type_id, u32 off, u32 expected) {
    u32 n = 1, dimensions = 0;
    const btf_type *t = types.type(type_id);
    for (; t && t->kind() == btf_kind::array; dimensions++) {
        if (dimensions == max_depth)
            return error(E2BIG);
        const btf_array &a = *types.tail<btf_array>(t);
        n *= a.nelems;
        type_id = a.type;
        t = types.type(type_id);
    }
    if (!t || !n)
        return {};
    const kind_row *row = kind_of(*t);
    if (!row) {
        if (!t->is_composite() || (expected && expected != t->size_or_type * n))
            return {};
        return enter(type_id, off, n);
    }
    if (row->once && (seen & field_bit(row->kind)))
        return error(E2BIG);
    seen |= field_bit(row->kind);
    if ((expected && expected != row->size * n) || off % row->align)
        return {};
    return leaf(*row, owner, index, *t, off, n);
}

status search::member(level &at) {
    const btf_type *t = types.type(at.id);
    u32 i = at.next++, owner = at.id, base = at.off;
    if (t->kind() == btf_kind::datasec) {
        const btf_var_secinfo &v = types.tail<btf_var_secinfo>(t)[i];
        const btf_type *var = types.type(v.type);
        return var ? variable(v.type, -1, var->size_or_type, v.offset, v.size) : error(EINVAL);
    }
    const btf_member &m = types.tail<btf_member>(t)[i];
    u32 bit = t->kind_flag() ? m.offset & 0xffffff : m.offset;
    if (bit % 8)
        return error(EINVAL);
    return variable(owner, static_cast<s32>(i), m.type, base + bit / 8, 0);
}

status search::run(u32 id) {
    const btf_type *t = types.type(id);
    if (!t || !(t->is_composite() || t->kind() == btf_kind::datasec))
        return error(EINVAL);
    TRY(enter(id, 0, 1));
    while (depth) {
        level &at = path[depth - 1];
        if (at.next < types.type(at.id)->vlen())
            TRY(member(at));
        else
            TRY(leave());
    }
    return {};
}

/// The kernel's type, its own or a module's, of that name and kind: f.type_id, 0: there is none.
status find_in_kernel(const btf *kernel, const char *name, btf_kind kind, special_field &f, field_table &table) {
    f.type_id = kernel ? kernel->find(name, kind) : 0;
    f.types = kernel;
    if (f.type_id || !kernel || strcmp(kernel->module_name, "vmlinux"))
        return {};
    auto modules = btf::modules();
    if (!modules.ok())
        return modules.err().code() == ENOMEM ? status(error(ENOMEM)) : status();
    for (const ref<btf> &m : *modules) {
        f.type_id = m->find_own(name, kind);
        if (!f.type_id)
            continue;
        f.types = m.get();
        return table.modules.push(m);
    }
    return {};
}

status resolve_kptr(const btf &types, const btf *kernel, special_field &f, field_table &table) {
    const btf_type *t = types.type(f.type_id);
    const char *n = types.name(f.type_id);
    if (!t || !n)
        return error(EINVAL);
    special_field found = f;
    TRY(find_in_kernel(kernel, n, t->kind(), found, table));
    if (!found.type_id)
        return {}; // a type of the program's own
    if (f.kind == kptr_ref && !is_droppable(n))
        return error(ENOENT);
    f = found;
    return {};
}

status resolve_root(const btf &types, const char *node, special_field &f) {
    const btf_type *t = types.type(f.type_id);
    const kind_row &want = row_of(f.kind == list_head ? list_node : rb_node);
    bool found = false;
    for (u32 i = 0; t && i < t->vlen(); i++) {
        const btf_member &m = types.tail<btf_member>(t)[i];
        const char *n = types.string(m.name_off);
        if (!n || strcmp(n, node))
            continue;
        const btf_type *mt = types.type(m.type);
        const char *type_name = mt && mt->is_composite() ? types.string(mt->name_off) : nullptr;
        u32 bit = t->kind_flag() ? m.offset & 0xffffff : m.offset;
        if (found || !type_name || strcmp(type_name, want.type) || bit % 8 || bit / 8 % want.align)
            return error(EINVAL);
        f.node_off = bit / 8;
        found = true;
    }
    return found ? status() : error(ENOENT);
}

status fill(const btf &types, const btf *kernel, const search &s, field_table &table) {
    u32 end = 0;
    for (u32 i = 0; i < s.count; i++) {
        special_field f{s.out[i].kind, s.out[i].off, row_of(s.out[i].kind).size, &types, s.out[i].type_id};
        if (f.off < end)
            return error(EEXIST);
        end = f.off + f.size;
        if (kptr_fields & field_bit(f.kind))
            TRY(resolve_kptr(types, kernel, f, table));
        if (graph_roots & field_bit(f.kind))
            TRY(resolve_root(types, s.out[i].node, f));
        table.kinds |= field_bit(f.kind);
        TRY(table.fields.push(f));
    }
    bool unlocked = table.has_any(graph_roots) && !table.has(spin_lock);
    bool in_both = table.has(list_node) && table.has(rb_node) && !table.has(refcount); // one owner at a time
    return unlocked || in_both ? error(EINVAL) : status();
}

}  // namespace

const special_field *field_table::find(field_kind k) const {
    for (const special_field &f : fields)
        if (f.kind == k)
            return &f;
    return nullptr;
}

const special_field *field_table::at(u32 off, u32 mask) const {
    for (const special_field &f : fields)
        if (f.off == off && (field_bit(f.kind) & mask))
            return &f;
    return nullptr;
}

const char *field_name(field_kind k) { return row_of(k).name; }

result<own<field_table>> find_fields(const btf &types, u32 id, u32 mask, const btf *kernel) {
    own<field_table> table(make<field_table>(PORT_SLEEPING));
    own<search> s(make<search>(PORT_SLEEPING, types, mask));
    if (!table || !s)
        return error(ENOMEM);
    TRY(s->run(id));
    TRY(fill(types, kernel, *s, *table));
    return table;
}

result<own<field_table>> parse_fields(const btf &types, u32 id, u32 mask, const btf *kernel) {
    result<own<field_table>> found = find_fields(types, id, mask, kernel);
    if (found || found.err().code() == ENOMEM)
        return found;
    own<field_table> none(make<field_table>(PORT_SLEEPING));
    return none ? result<own<field_table>>(move(none)) : error(ENOMEM);
}

bool same_fields(const field_table *a, const field_table *b) {
    size_t n = a ? a->fields.size() : 0;
    if (n != (b ? b->fields.size() : 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        const special_field &x = a->fields[i], &y = b->fields[i];
        bool typed = (kptr_fields | graph_roots) & field_bit(x.kind);
        if (x.kind != y.kind || x.off != y.off || (typed && (x.types != y.types || x.type_id != y.type_id || x.node_off != y.node_off)))
            return false;
    }
    return true;
}

result<own<field_table>> copy_fields(const field_table &from) {
    own<field_table> table(make<field_table>(PORT_SLEEPING));
    if (!table)
        return error(ENOMEM);
    for (const special_field &f : from.fields)
        TRY(table->fields.push(f));
    for (const ref<btf> &m : from.modules)
        TRY(table->modules.push(m));
    table->kinds = from.kinds;
    return table;
}

namespace {

/// An object of one type owns objects of another: through a list, a tree or a pointer.
struct ownership {
    u32 owner, owned;
};
/// Types in a chain of owners, as in Linux: what an object's end lets go nests no deeper, and nothing can come to own itself.
constexpr u8 max_ownership_depth = 8;

status find_owned(const field_table &table, u32 owner, vec<ownership> &edges) {
    for (const special_field &f : table.fields) {
        bool pointer = f.kind == field_kind::kptr_ref || f.kind == field_kind::kptr_percpu;
        if ((field_bit(f.kind) & graph_roots) || (pointer && f.types && !f.types->kernel))
            TRY(edges.push({owner, f.type_id}));
    }
    return {};
}

/// Is a structure with a member of this type one with fields?
bool tells(search &s, const btf &types, u32 id) {
    const btf_type *t = types.type(id);
    if (!t)
        return false;
    if (t->kind() == btf_kind::structure) {
        const char *name = types.name(id);
        for (const kind_row &r : rows)
            if (r.type && name && (object_fields_mask & field_bit(r.kind)) && !strcmp(name, r.type))
                return true;
        return false;
    }
    found unused{};
    result<bool> kptr = s.pointer(*t, unused);
    return kptr.ok() && *kptr;
}

/// Lengthens the chains edge by edge until nothing changes, or one is too long: a circle always becomes that.
status check_ownership(const vec<u32> &kinds, const vec<ownership> &edges) {
    vec<u8> depth; // of the longest chain from each type on; 0 stands for 1
    TRY(depth.resize(kinds.size()));
    for (bool changed = true; changed;) {
        changed = false;
        for (const ownership &e : edges) {
            if (!kinds[e.owned] || depth[e.owned] + 1 <= depth[e.owner])
                continue;
            depth[e.owner] = static_cast<u8>(depth[e.owned] + 1);
            changed = true;
            if (depth[e.owner] >= max_ownership_depth)
                return error(ELOOP);
        }
        port_cond_resched();
    }
    return {};
}

} // namespace

result<bool> tells_fields(const btf &types, u32 id) {
    own<search> s(make<search>(PORT_SLEEPING, types, object_fields_mask));
    if (!s)
        return error(ENOMEM);
    const btf_type *t = types.type(id);
    bool found = false;
    for (u32 i = 0; t && t->kind() == btf_kind::structure && i < t->vlen(); i++)
        found |= tells(*s, types, types.tail<btf_member>(t)[i].type);
    return found;
}

status check_object_structs(const btf &types, const btf *kernel) {
    own<search> s(make<search>(PORT_SLEEPING, types, object_fields_mask));
    vec<u8> telling; // types of members by which a structure is one to look at
    if (!s)
        return error(ENOMEM);
    TRY(telling.resize(types.type_count()));
    bool any = false;
    for (u32 id = 1; id < types.type_count(); id++) {
        telling[id] = tells(*s, types, id);
        any |= telling[id];
    }
    if (!any)
        return {};
    vec<u32> kinds; // of the fields of each type
    vec<ownership> edges;
    TRY(kinds.resize(types.type_count()));
    for (u32 id = 1; id < types.type_count(); id++) {
        const btf_type *t = types.type(id);
        bool look = false;
        for (u32 i = 0; t && t->kind() == btf_kind::structure && i < t->vlen(); i++)
            look |= telling[types.tail<btf_member>(t)[i].type];
        if (!look)
            continue;
        own<field_table> table = TRY(find_fields(types, id, object_fields_mask, kernel));
        if (!table->kinds)
            return error(EFAULT);
        kinds[id] = table->kinds;
        TRY(find_owned(*table, id, edges));
        port_cond_resched();
    }
    return check_ownership(kinds, edges);
}

}  // namespace modbpf
