// SPDX-License-Identifier: GPL-2.0-only
// Kernel functions of objects that the program allocates, of lists and trees of them, and of work queues: their arguments, the
// ownership that they take and give, what r0 holds.
//
// An object is owned while the path holds its reference. Pushed to a list or added to a tree it is owned by that: what still points to it
// is non-owning, and is forgotten with the lock (special.cpp), since another may then remove and drop it.
#include "verifier/callback.h"
#include "verifier/kfunc.h"
#include "verifier/marks.h"
#include "verifier/special.h"

namespace modbpf {

namespace {

constexpr u32 max_percpu_size = 512; // BPF_GLOBAL_PERCPU_MA_MAX_SIZE
constexpr reg_type owned_object = reg_type::btf_ptr | type_flag::alloc;

s64 offset_of(const reg_state &r) { return static_cast<s64>(r.var.value()) + r.off; }

status refuse_arg(env &e, u32 i, const char *what) {
    verbose(e, "arg#%d %s\n", i, what);
    return fail(EINVAL);
}

status check_owned(env &e, const reg_state &r) {
    if (r.ref_id)
        return {};
    verbose(e, "allocated object must be referenced\n");
    return fail(EINVAL);
}

status check_drop_arg(env &e, kfunc_call &c, u32 i) {
    const reg_state &r = e.reg(i + 1);
    bool percpu = c.row->effect == kfunc_effect::percpu_drop;
    if (r.type == owned_object && percpu)
        return refuse_arg(e, i, "expected for bpf_obj_drop_impl()");
    if (r.type == (owned_object | type_flag::percpu) && !percpu)
        return refuse_arg(e, i, "expected for bpf_percpu_obj_drop_impl()");
    if (without(r.type, type_flag::percpu) != owned_object)
        return refuse_arg(e, i, "expected pointer to allocated object");
    TRY(check_owned(e, r));
    c.object_types = r.types, c.object_id = r.btf_id;
    return {};
}

/// An object that may be gone, as its RCU section was left, or none at all, has neither a count nor a place in a tree.
bool may_be_gone(const reg_state &r) { return has(r.type, type_flag::untrusted) || r.may_be_null(); }

status check_refcounted_arg(env &e, kfunc_call &c, u32 i) {
    const reg_state &r = e.reg(i + 1);
    if (!is_alloc_object(r) || may_be_gone(r))
        return refuse_arg(e, i, "is neither owning or non-owning ref");
    if (!has(r.type, type_flag::non_owning) && r.ref_id)
        c.flags &= ~kf_ret_null; // it is there, so it can be counted
    const field_table *table = TRY(fields_of(e, r));
    if (!table || !table->has(field_kind::refcount))
        return refuse_arg(e, i, "doesn't point to a type with bpf_refcount field");
    if (offset_of(r)) { // Linux would count in the wrong place
        verbose(e, "R%d must point to the start of the object\n", i + 1);
        return fail(EINVAL);
    }
    c.object_types = r.types, c.object_id = r.btf_id;
    return {};
}

// ---- lists and trees ------------------------------------------------------------------------------------------------------------

/// The lock of the root is the one that is held.
status check_root_lock(env &e, const reg_state &r, const field_table &table, const special_field &root) {
    const path_modes &m = e.cur->modes;
    const void *owner = r.base() == reg_type::map_value ? static_cast<const void *>(r.map_ptr) : r.types;
    if (m.lock_ptr && m.lock_ptr == owner && m.lock_id == r.id)
        return {};
    if (m.lock_ptr)
        verbose(e, "held lock and object are not in the same allocation\n");
    const special_field *lock = table.find(field_kind::spin_lock);
    verbose(e, "bpf_spin_lock at off=%d must be held for %s\n", lock ? static_cast<int>(lock->off) : -EINVAL, field_name(root.kind));
    return fail(EINVAL);
}

status check_root_arg(env &e, kfunc_call &c, u32 i, field_kind kind) {
    const reg_state &r = e.reg(i + 1);
    if (r.type != reg_type::map_value && r.type != owned_object)
        return refuse_arg(e, i, "expected pointer to map value or allocated object");
    if (r.type == owned_object)
        TRY(check_owned(e, r));
    if (!r.var.is_const()) {
        verbose(e, "R%d doesn't have constant offset. %s has to be at the constant offset\n", i + 1, field_name(kind));
        return fail(EINVAL);
    }
    const field_table *table = TRY(fields_of(e, r));
    s64 off = offset_of(r);
    const special_field *f = table && off >= 0 ? table->at(static_cast<u32>(off), field_bit(kind)) : nullptr;
    if (!f) {
        verbose(e, "%s not found at offset=%u\n", field_name(kind), static_cast<u32>(off));
        return fail(EINVAL);
    }
    TRY(check_root_lock(e, r, *table, *f));
    c.root = f;
    return {};
}

status check_node_owner(env &e, const kfunc_call &c, u32 i) {
    const reg_state &r = e.reg(i + 1);
    if (c.row->effect == kfunc_effect::tree_remove) {
        if (!is_alloc_object(r) || !has(r.type, type_flag::non_owning) || r.ref_id || may_be_gone(r)) {
            verbose(e, "rbtree_remove node input must be non-owning ref\n");
            return fail(EINVAL);
        }
        if (in_tree_callback(*e.cur)) {
            verbose(e, "rbtree_remove not allowed in rbtree cb\n");
            return fail(EINVAL);
        }
        return {};
    }
    if (r.type != owned_object)
        return refuse_arg(e, i, "expected pointer to allocated object");
    if (c.row->effect == kfunc_effect::tree_add && in_tree_callback(*e.cur)) { // which compares for one that is being added
        verbose(e, "rbtree_add not allowed in rbtree cb\n");
        return fail(EINVAL);
    }
    return check_owned(e, r);
}

status check_node_arg(env &e, kfunc_call &c, u32 i, field_kind kind) {
    const reg_state &r = e.reg(i + 1);
    TRY(check_node_owner(e, c, i));
    if (!r.var.is_const()) {
        verbose(e, "R%d doesn't have constant offset. %s has to be at the constant offset\n", i + 1, field_name(kind));
        return fail(EINVAL);
    }
    const field_table *table = TRY(fields_of(e, r));
    s64 off = offset_of(r);
    if (!table || off < 0 || !table->at(static_cast<u32>(off), field_bit(kind))) {
        verbose(e, "%s not found at offset=%u\n", field_name(kind), static_cast<u32>(off));
        return fail(EINVAL);
    }
    if (!c.root)
        return verifier_bug(e, "node without a root");
    typed have = object_of(e, r), want{c.root->types, c.root->type_id};
    if (!struct_fits(e, have, 0, want, true, false)) {
        verbose(e, "operation on %s expects arg#1 %s at offset=%d in struct %s, but arg is at offset=%d in struct %s\n",
                field_name(c.root->kind), field_name(kind), c.root->node_off, want.name(), static_cast<int>(off), have.name());
        return fail(EINVAL);
    }
    if (off == c.root->node_off)
        return {};
    verbose(e, "arg#1 offset=%d, but expected %s at offset=%d in struct %s\n", static_cast<int>(off), field_name(kind), c.root->node_off,
            want.name());
    return fail(EINVAL);
}

status check_work_queue_arg(env &e, kfunc_call &c, u32 i) {
    const reg_state &r = e.reg(i + 1);
    if (r.type != reg_type::map_value)
        return refuse_arg(e, i, "doesn't point to a map value");
    const special_field *f = r.map_ptr->fields ? r.map_ptr->fields->find(field_kind::workqueue) : nullptr;
    s64 at = f ? f->off : -EINVAL;
    if (!r.var.is_const() || at != offset_of(r)) {
        verbose(e, "off %lld doesn't point to 'struct bpf_wq' that is at %d\n", offset_of(r), static_cast<int>(at));
        return fail(EINVAL);
    }
    c.map_ptr = r.map_ptr, c.map_uid = r.map_uid;
    return {};
}

/// The program's structure that obj_new's constant names.
status set_new_object(env &e, const kfunc_call &c, reg_state &r) {
    bool percpu = c.row->effect == kfunc_effect::percpu_new;
    if (c.const_value != static_cast<u32>(c.const_value)) {
        verbose(e, "local type ID argument must be in range [0, U32_MAX]\n");
        return fail(EINVAL);
    }
    if (!e.req.types) {
        verbose(e, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF\n");
        return fail(EINVAL);
    }
    typed object{e.req.types, static_cast<u32>(c.const_value)};
    const btf_type *t = object.id < e.req.types->type_count() ? object.type() : nullptr;
    if (!t || t->kind() != btf_kind::structure) {
        verbose(e, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct\n");
        return fail(EINVAL);
    }
    if (percpu) {
        if (t->size_or_type > max_percpu_size) {
            verbose(e, "bpf_percpu_obj_new type size (%d) is greater than %d\n", t->size_or_type, max_percpu_size);
            return fail(EINVAL);
        }
        if (!is_plain_data(e, *object.types, t)) {
            verbose(e, "bpf_percpu_obj_new type ID argument must be of a struct of scalars\n");
            return fail(EINVAL);
        }
        if (TRY(fields_of_object(e, object))) {
            verbose(e, "bpf_percpu_obj_new type ID argument must not contain special fields\n");
            return fail(EINVAL);
        }
    }
    set_object(e, r, object, percpu ? type_flag::alloc | type_flag::percpu : type_flag::alloc);
    tell_function(e, object.id);
    return {};
}

void set_node(env &e, reg_state &r, const special_field &root) {
    set_object(e, r, {root.types, root.type_id}, type_flag::alloc);
    r.off = static_cast<s32>(root.node_off);
}

/// The list or tree owns the object now.
status give_to_root(env &e, const kfunc_call &c) {
    tell_function(e, c.root->node_off);
    u32 id = e.reg(BPF_REG_2).ref_id;
    status converted;
    e.cur->for_each_reg([&](const reg_state &r) { return r.ref_id == id; }, [&](reg_state &r) {
        r.ref_id = 0;
        if (status s = set_non_owning(e, r); !s)
            converted = s;
    });
    TRY(move(converted));
    if (status s = release_ref(e, id); !s) {
        verbose(e, "kfunc %s#%d reference has not been acquired before\n", c.fn->name, c.fn->id);
        return s;
    }
    return {};
}

}  // namespace

status set_non_owning(env &e, reg_state &r) {
    const field_table *table = TRY(fields_of(e, r));
    r.type = r.type | type_flag::non_owning;
    if (table && table->has(field_kind::refcount))
        r.type = r.type | type_flag::rcu;
    return {};
}

bool in_tree_callback(const verifier_state &st) {
    for (u32 f = st.curframe; f; f--)
        if (st.frame[f]->callback && st.frame[f]->callback->args[0] == callback_arg::graph_node)
            return true;
    return false;
}

status check_special_kfunc_arg(env &e, kfunc_call &c, u32 i, const kfunc_param &p) {
    if (p.ends_with("__alloc"))
        return check_drop_arg(e, c, i);
    if (p.ends_with("__refcounted_kptr"))
        return check_refcounted_arg(e, c, i);
    const char *target = p.target ? c.types().name(p.target_id) : nullptr;
    if (!target)
        return verifier_bug(e, "special argument of a kernel function");
    if (!strcmp(target, "bpf_list_head"))
        return check_root_arg(e, c, i, field_kind::list_head);
    if (!strcmp(target, "bpf_rb_root"))
        return check_root_arg(e, c, i, field_kind::rb_root);
    if (!strcmp(target, "bpf_list_node"))
        return check_node_arg(e, c, i, field_kind::list_node);
    if (!strcmp(target, "bpf_rb_node"))
        return check_node_arg(e, c, i, field_kind::rb_node);
    return check_work_queue_arg(e, c, i);
}

status check_lock_for_kfunc(env &e, const kfunc_call &c) {
    if (!e.cur->modes.lock_ptr || (c.row && works_on_graphs(c.row->effect)))
        return {};
    verbose(e, "function calls are not allowed while holding a lock\n");
    return fail(EINVAL);
}

bool works_on_graphs(kfunc_effect x) {
    return x == kfunc_effect::list_push || x == kfunc_effect::list_pop || x == kfunc_effect::tree_add || x == kfunc_effect::tree_remove ||
           x == kfunc_effect::tree_first || x == kfunc_effect::refcount_acquire;
}

result<ref<object_type>> made_type(env &e, u32 id, bool percpu) {
    typed object{e.req.types, id};
    const field_table *fields = TRY(fields_of_object(e, object));
    return object_type::create(object.type()->size_or_type, percpu, fields, const_cast<btf *>(e.req.types));
}

status call_kfunc_callback(env &e, const kfunc_call &c) {
    const callback_proto *proto = find_callback(c.fn->name);
    if (!proto)
        return {};
    status s = call_callback(e, *proto, c.subprog, c.map_ptr);
    if (!s)
        verbose(e, "kfunc %s#%d failed callback verification\n", c.fn->name, c.fn->id);
    return s;
}

status change_owner(env &e, const kfunc_call &c) {
    return c.row->effect == kfunc_effect::list_push || c.row->effect == kfunc_effect::tree_add ? give_to_root(e, c) : status();
}

bool gives_object(kfunc_effect x) {
    return x == kfunc_effect::object_new || x == kfunc_effect::percpu_new || x == kfunc_effect::refcount_acquire ||
           x == kfunc_effect::list_pop || x == kfunc_effect::tree_remove || x == kfunc_effect::tree_first;
}

status set_object_result(env &e, const kfunc_call &c, reg_state &r) {
    switch (c.row->effect) {
    case kfunc_effect::object_new:
    case kfunc_effect::percpu_new:
        return set_new_object(e, c, r);
    case kfunc_effect::refcount_acquire:
        set_object(e, r, {c.object_types, c.object_id}, type_flag::alloc);
        return {};
    default:
        if (!c.root)
            return verifier_bug(e, "node without a root");
        set_node(e, r, *c.root);
        return {};
    }
}

}  // namespace modbpf
