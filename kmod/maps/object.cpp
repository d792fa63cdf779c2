// SPDX-License-Identifier: GPL-2.0-only
#include "maps/object.h"

#include "maps/release.h"

namespace modbpf {

namespace {

struct head {
    grave_item grave;
    object_type *type;
};

head *head_of(const void *object) {
    return reinterpret_cast<head *>(const_cast<u8 *>(static_cast<const u8 *>(object))) - 1;
}
head *head_of(grave_item *i) { return reinterpret_cast<head *>(i); }

u32 *refcount_of(void *object) {
    s32 off = head_of(object)->type->refcount_off;
    return off < 0 ? nullptr : reinterpret_cast<u32 *>(static_cast<u8 *>(object) + off);
}

void empty_object(grave_item *i) {
    head *h = head_of(i);
    if (h->type->fields)
        release_fields(*h->type->fields, h + 1);
}

void free_object(grave_item *i) {
    object_type *t = head_of(i)->type;
    t->cache->give(i);
    t->put();
}

constexpr grave_kind object_kind{empty_object, free_object};

} // namespace

result<ref<object_type>> object_type::create(u32 size, bool percpu, const field_table *fields, btf *types) {
    ref<object_type> t(adopt, make<object_type>(PORT_SLEEPING));
    if (!t)
        return error(ENOMEM);
    t->size = size;
    t->percpu = percpu;
    if (fields) {
        t->fields = TRY(copy_fields(*fields));
        if (const special_field *f = fields->find(field_kind::refcount))
            t->refcount_off = static_cast<s32>(f->off);
        t->types = ref<btf>(types);
    }
    u64 bytes = percpu ? static_cast<u64>(t->stride()) * port_cpu_count() : size;
    if (bytes > 1u << 30)
        return error(E2BIG);
    t->cache = TRY(object_cache::of_size(static_cast<u32>(bytes + sizeof(head))));
    return t;
}

void object_type::dispose(object_type *t) { destroy(t); }

void *object_new(object_type *t) {
    auto *h = static_cast<head *>(t->cache->take());
    if (!h)
        return nullptr;
    t->get();
    h->type = t;
    if (u32 *count = refcount_of(h + 1))
        *count = 1;
    return h + 1;
}

bool object_hold(void *object) {
    u32 *count = refcount_of(object);
    u32 n = count ? __atomic_load_n(count, __ATOMIC_RELAXED) : 0;
    // As Linux's counters, one that is near its end stays where it is: the object is then never freed.
    while (n && !(n >> 31))
        if (__atomic_compare_exchange_n(count, &n, n + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    return n;
}

void object_drop(void *object) {
    if (u32 *count = refcount_of(object)) {
        u32 n = __atomic_load_n(count, __ATOMIC_RELAXED);
        do {
            if (n >> 31)
                return;
        } while (!__atomic_compare_exchange_n(count, &n, n - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        if (n > 1)
            return;
    }
    // A program may look at once whether the kernel's object is free of it; objects of programs can be chains of any length, and wait.
    if (const field_table *fields = head_of(object)->type->fields.get(); fields && fields->has(field_kind::kptr_ref))
        release_kernel_objects(*fields, object);
    bury(&head_of(object)->grave, object_kind);
}

void *object_on_cpu(void *object, u32 cpu) {
    return static_cast<u8 *>(object) + static_cast<u64>(head_of(object)->type->stride()) * cpu;
}

const object_type *object_type_of(const void *object) { return head_of(object)->type; }

} // namespace modbpf
