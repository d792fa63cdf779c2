// SPDX-License-Identifier: GPL-2.0-only
#include "maps/release.h"

#include "maps/async.h"
#include "maps/graph.h"
#include "maps/object.h"
#include "maps/value.h"

namespace modbpf {

namespace {

/// Kernel types whose references kptrs hold. The others of btf/fields.cpp are of modules that give no program one here.
struct holder {
    const char *type;
    void (*put)(void *object);
};
constexpr holder holders[] = {
    {"task_struct", [](void *p) { port_task_put(addr_of(p)); }},
    {"cgroup", [](void *p) { port_cgroup_put(addr_of(p)); }},
    {"bpf_cpumask", object_drop},
};

/// The lock beside a root while in scope.
class root_section {
public:
    root_section(const field_table &t, u8 *value) : flags_(port_irq_save()) {
        const special_field *f = t.find(field_kind::spin_lock);
        lock_ = f ? reinterpret_cast<u32 *>(value + f->off) : nullptr;
        taken_ = lock_ && value_lock_take(lock_);
    }
    ~root_section() {
        if (taken_)
            value_lock_release(lock_);
        port_irq_restore(flags_);
    }
    root_section(const root_section &) = delete;
    explicit operator bool() const { return taken_; }

private:
    unsigned long flags_;
    u32 *lock_;
    bool taken_;
};

/// One node at a time, each under the lock: interrupts come in between.
void release_list(const field_table &t, const special_field &f, u8 *value) {
    auto *root = reinterpret_cast<list_root *>(value + f.off);
    if (!__atomic_load_n(&root->next, __ATOMIC_RELAXED))
        return;
    for (;;) {
        list_item *i = nullptr;
        if (root_section s(t, value); s)
            i = list_take(*root, false);
        if (!i)
            return;
        object_drop(reinterpret_cast<u8 *>(i) - f.node_off);
    }
}

void release_tree(const field_table &t, const special_field &f, u8 *value) {
    auto *root = reinterpret_cast<tree_root *>(value + f.off);
    for (;;) {
        tree_item *i = nullptr;
        if (root_section s(t, value); s)
            if (i = tree_first(*root); i && !tree_remove(*root, *i))
                i = nullptr;
        if (!i)
            return;
        object_drop(reinterpret_cast<u8 *>(i) - f.node_off);
    }
}

} // namespace

void release_kptr(const special_field &f, void *object) {
    if (!f.types || !f.types->kernel)
        return object_drop(object);
    const char *name = f.types->name(f.type_id);
    for (const holder &h : holders)
        if (name && !strcmp(h.type, name))
            return h.put(object);
    (void)MODBPF_BUG_ON(true);
}

void release_kernel_objects(const field_table &t, void *value) {
    for (const special_field &f : t.fields) {
        if (f.kind != field_kind::kptr_ref || !f.types || !f.types->kernel)
            continue;
        void **word = reinterpret_cast<void **>(static_cast<u8 *>(value) + f.off);
        if (void *old = __atomic_exchange_n(word, nullptr, __ATOMIC_ACQ_REL))
            release_kptr(f, old);
    }
}

void release_fields(const field_table &t, void *value) {
    auto *v = static_cast<u8 *>(value);
    for (const special_field &f : t.fields) {
        void **word = reinterpret_cast<void **>(v + f.off);
        switch (f.kind) {
        case field_kind::timer:
        case field_kind::workqueue:
            async_release(*reinterpret_cast<async_field *>(word));
            break;
        case field_kind::kptr_unref:
            __atomic_store_n(word, nullptr, __ATOMIC_RELAXED);
            break;
        case field_kind::kptr_ref:
        case field_kind::kptr_percpu:
            if (__atomic_load_n(word, __ATOMIC_RELAXED))
                if (void *old = __atomic_exchange_n(word, nullptr, __ATOMIC_ACQ_REL))
                    release_kptr(f, old);
            break;
        case field_kind::list_head:
            release_list(t, f, v);
            break;
        case field_kind::rb_root:
            release_tree(t, f, v);
            break;
        default:
            break;
        }
    }
}

} // namespace modbpf
