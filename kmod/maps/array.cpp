// SPDX-License-Identifier: GPL-2.0-only
// ARRAY and PERCPU_ARRAY.
//
// ARRAY: elements one behind another, each rounded up to 8 bytes; with BPF_F_MMAPABLE (and where an allocation would be
// too large) in a port_region, which user space may map. PERCPU_ARRAY: one such run of elements for each CPU, in one
// per-CPU allocation where it is not too large for that: programs then find theirs by one addition. Nothing is locked:
// an update is a plain copy into the element, in any context, as on Linux.
#include "maps/array.h"
#include "maps/block.h"
#include "maps/nospec.h"
#include "maps/release.h"
#include "maps/value.h"

namespace modbpf {

namespace {

constexpr u32 percpu_value_max = 32 << 10;  ///< Linux's limit of one per-CPU allocation
constexpr u32 value_size_max = 0x7fffffff;
constexpr u64 cache_line = 64;

struct array_map : map {
    array_map(const map_ops *o, const map_params &p)
        : map(o, p), elem_size(align_up(p.value_size, 8)) {}

    u64 elem_size;
    u8 *values = nullptr;  ///< the block's address
    map_block block;
};

struct percpu_array_map : map {
    percpu_array_map(const map_ops *o, const map_params &p)
        : map(o, p),
          elem_size(align_up(p.value_size, 8)),
          stride(align_up(elem_size * p.max_entries, cache_line)),
          cpu_count(port_cpu_count()) {}
    ~percpu_array_map() {
        for (u32 cpu = 0; values && !together && cpu < cpu_count; cpu++)
            port_free(values[cpu]);
        port_free(values);
        port_percpu_free(together);
    }
    u8 *at(u32 index, u32 cpu) const { return values[cpu] + elem_size * index; }

    u64 elem_size;
    u64 stride;  ///< bytes of one CPU's elements
    u32 cpu_count;
    u8 **values = nullptr;  ///< by CPU
    void *together = nullptr; ///< port_percpu_alloc's, whose copies these are; null where that would be too large
};

array_map *as_array(map *m) {
    return static_cast<array_map *>(m);
}
percpu_array_map *as_percpu(map *m) {
    return static_cast<percpu_array_map *>(m);
}

result<map *> create_array(const map_params &p);
result<map *> create_percpu(const map_params &p);

void free_array(map *m) {
    destroy(as_array(m));
}

void free_percpu(map *m) {
    destroy(as_percpu(m));
}

void *lookup_array(map *m, const void *key) {
    u32 i = array_index(key);
    if (i >= m->params.max_entries)
        return nullptr;
    return as_array(m)->values + as_array(m)->elem_size * clamp_index(i, m->params.max_entries);
}

void *lookup_percpu(map *m, const void *key) {
    u32 i = array_index(key);
    if (i >= m->params.max_entries)
        return nullptr;
    return as_percpu(m)->at(clamp_index(i, m->params.max_entries), port_cpu_id());
}

void *lookup_on_cpu(map *m, const void *key, u32 cpu) {
    u32 i = array_index(key);
    if (i >= m->params.max_entries)
        return nullptr;
    return as_percpu(m)->at(clamp_index(i, m->params.max_entries), clamp_index(cpu, as_percpu(m)->cpu_count));
}

map_lookup describe_array(const map *m) {
    auto *a = static_cast<const array_map *>(m);
    return {.kind = lookup_kind::array, .max_entries = m->params.max_entries, .elem_size = a->elem_size, .base = addr_of(a->values)};
}

map_lookup describe_percpu(const map *m) {
    auto *a = static_cast<const percpu_array_map *>(m);
    return {.kind = lookup_kind::percpu_array, .max_entries = m->params.max_entries, .elem_size = a->elem_size, .base = addr_of(a->values), .this_cpu = addr_of(a->together)};
}

template <class AT> long each_element(map *m, element_fn fn, void *priv, AT at) {
    u32 count = m->params.max_entries;
    for (u32 i = 0; i < count; i++) {
        u32 key = i;
        if (fn(priv, m, &key, at(i)))
            return i + 1;
    }
    return count;
}

long array_for_each(map *m, element_fn fn, void *priv) {
    u8 *next = as_array(m)->values;
    u64 size = as_array(m)->elem_size;
    return each_element(m, fn, priv, [=](u32) mutable {
        u8 *at = next;
        next += size;
        return at;
    });
}

long percpu_for_each(map *m, element_fn fn, void *priv) {
    percpu_array_map *a = as_percpu(m);
    u32 cpu = port_cpu_id();
    return each_element(m, fn, priv, [a, cpu](u32 i) { return a->at(i, cpu); });
}

/// The checks of an update, in Linux's order.
long check_update(map *m, const void *key, u64 flags) {
    if ((flags & ~BPF_F_LOCK) > BPF_EXIST)
        return -EINVAL;
    if (array_index(key) >= m->params.max_entries)
        return -E2BIG;
    if (flags & BPF_NOEXIST)
        return -EEXIST;
    return lock_flag_bad(m, flags) ? -EINVAL : 0;
}

long update_array(map *m, const void *key, const void *value, u64 flags) {
    if (long r = check_update(m, key, flags))
        return r;
    void *v = lookup_array(m, key);
    store_value(m, v, value, m->params.value_size, flags);
    release_value(m, v);
    return 0;
}

long update_percpu(map *m, const void *key, const void *value, u64 flags) {
    if (long r = check_update(m, key, flags))
        return r;
    void *v = lookup_percpu(m, key);
    store_value(m, v, value, m->params.value_size);
    release_value(m, v);
    return 0;
}

long remove_refused(map *, const void *) {
    return -EINVAL;
}

long lookup_array_user(map *m, const void *key, void *value, u64 flags) {
    if ((flags & ~BPF_F_LOCK) || lock_flag_bad(m, flags))
        return -EINVAL;
    void *v = lookup_array(m, key);
    if (!v)
        return -ENOENT;
    load_value(m, value, v, m->params.value_size, flags);
    return 0;
}

long lookup_percpu_user(map *map, const void *key, void *value, u64 flags) {
    if (flags)
        return -EINVAL;
    percpu_array_map *m = as_percpu(map);
    u32 i = array_index(key);
    if (i >= m->params.max_entries)
        return -ENOENT;
    u8 *out = static_cast<u8 *>(value);
    for (u32 cpu = 0; cpu < m->cpu_count; cpu++, out += m->elem_size)
        load_value(m, out, m->at(i, cpu), static_cast<u32>(m->elem_size));
    return 0;
}

long update_percpu_user(map *map, const void *key, const void *value, u64 flags) {
    percpu_array_map *m = as_percpu(map);
    if (flags > BPF_EXIST)
        return -EINVAL;
    u32 i = array_index(key);
    if (i >= m->params.max_entries)
        return -E2BIG;
    if (flags == BPF_NOEXIST)
        return -EEXIST;
    const u8 *in = static_cast<const u8 *>(value);
    for (u32 cpu = 0; cpu < m->cpu_count; cpu++, in += m->elem_size) {
        store_value(m, m->at(i, cpu), in, static_cast<u32>(m->elem_size));
        release_value(m, m->at(i, cpu));
    }
    return 0;
}

const void *key_of_value(map *m, void *value, u32 *index) {
    *index = static_cast<u32>(static_cast<u64>(static_cast<u8 *>(value) - as_array(m)->values) / as_array(m)->elem_size);
    return index;
}

void each_array_value(map *m, void (*fn)(map *m, void *value)) {
    for (u32 i = 0; i < m->params.max_entries; i++)
        fn(m, as_array(m)->values + as_array(m)->elem_size * i);
}

void each_percpu_value(map *m, void (*fn)(map *m, void *value)) {
    for (u32 cpu = 0; cpu < as_percpu(m)->cpu_count; cpu++)
        for (u32 i = 0; i < m->params.max_entries; i++)
            fn(m, as_percpu(m)->at(i, cpu));
}

bool at_index(map *m, map_cursor *c, bool next, map_element *out) {
    c->bucket += next;
    if (c->bucket >= m->params.max_entries)
        return false;
    out->number = c->bucket;
    out->key = &out->number;
    return true;
}

bool walk_array(map *m, map_cursor *c, bool next, map_element *out) {
    if (!at_index(m, c, next, out))
        return false;
    out->value = lookup_array(m, out->key);
    return true;
}

void copy_array_element(map *m, const map_element *e, void *value) {
    load_value(m, value, e->value, m->params.value_size);
}

void copy_percpu_element(map *m, const map_element *e, void *value) {
    (void)lookup_percpu_user(m, &e->number, value, 0);
}

int mmap_array(map *map, port_vma *vma) {
    array_map *m = as_array(map);
    if (!(m->params.flags & BPF_F_MMAPABLE))
        return -EINVAL;
    u64 end;
    if (__builtin_add_overflow(port_vma_offset(vma), static_cast<u64>(port_vma_size(vma)), &end) ||
        end > m->block.bytes())
        return -EINVAL;
    if (!port_vma_writable(vma))
        port_vma_forbid_write(vma);
    port_vma_forbid_exec(vma);
    return port_vma_map(vma, m->block.region(), port_vma_offset(vma));
}

result<u64> value_address(map *m, u32 off) {
    if (m->params.max_entries != 1)
        return error(ENOTSUPP);
    if (off >= m->params.value_size)
        return error(EINVAL);
    return addr_of(as_array(m)->values) + off;
}

u64 memory_array(const map *m) {
    auto *a = static_cast<const array_map *>(m);
    return sizeof(array_map) + a->block.bytes();
}

u64 memory_percpu(const map *m) {
    auto *a = static_cast<const percpu_array_map *>(m);
    return sizeof(percpu_array_map) + (a->stride + sizeof(u8 *)) * a->cpu_count;
}

}  // namespace

status check_array(const map_params &p) {
    constexpr u32 access = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
    bool percpu = p.type == BPF_MAP_TYPE_PERCPU_ARRAY;
    if (!p.max_entries || p.key_size != 4 || !p.value_size)
        return error(EINVAL);
    if (p.flags & ~(BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP | access))
        return error(EINVAL);
    if ((p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG))
        return error(EINVAL);
    if (percpu && (p.flags & BPF_F_NUMA_NODE))
        return error(EINVAL);
    if (p.type != BPF_MAP_TYPE_ARRAY && (p.flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)))
        return error(EINVAL);
    if (p.type != BPF_MAP_TYPE_PERF_EVENT_ARRAY && (p.flags & BPF_F_PRESERVE_ELEMS))
        return error(EINVAL);
    if (p.value_size > value_size_max)
        return error(E2BIG);
    if (percpu && align_up(p.value_size, 8) > percpu_value_max)
        return error(E2BIG);
    return {};
}

status check_fd_array(const map_params &p) {
    if (p.value_size != 4)
        return error(EINVAL);
    if (p.flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG))
        return error(EINVAL);
    return check_array(p);
}

long array_next_key(map *m, const void *key, void *next) {
    u32 last = m->params.max_entries - 1, i = 0;
    if (key && array_index(key) <= last) {
        if (array_index(key) == last)
            return -ENOENT;
        i = array_index(key) + 1;
    }
    __builtin_memcpy(next, &i, 4);
    return 0;
}

extern constinit const map_ops array_ops;
extern constinit const map_ops percpu_array_ops;

constinit const map_ops array_ops = {
    .type = BPF_MAP_TYPE_ARRAY,
    .name = "array",
    .check = check_array,
    .create = create_array,
    .free = free_array,
    .lookup = lookup_array,
    .describe = describe_array,
    .update = update_array,
    .remove = remove_refused,
    .for_each = array_for_each,
    .lookup_user = lookup_array_user,
    .update_user = update_array,
    .remove_user = remove_refused,
    .next_key = array_next_key,
    .batch = true,
    .key_of = key_of_value,
    .each_value = each_array_value,
    .walk = walk_array,
    .copy_element = copy_array_element,
    .mmap = mmap_array,
    .value_address = value_address,
    .memory = memory_array,
};

constinit const map_ops percpu_array_ops = {
    .type = BPF_MAP_TYPE_PERCPU_ARRAY,
    .name = "percpu_array",
    .check = check_array,
    .create = create_percpu,
    .free = free_percpu,
    .lookup = lookup_percpu,
    .describe = describe_percpu,
    .lookup_percpu = lookup_on_cpu,
    .update = update_percpu,
    .remove = remove_refused,
    .for_each = percpu_for_each,
    .lookup_user = lookup_percpu_user,
    .update_user = update_percpu_user,
    .remove_user = remove_refused,
    .next_key = array_next_key,
    .batch = true,
    .each_value = each_percpu_value,
    .walk = at_index,
    .copy_element = copy_percpu_element,
    .memory = memory_percpu,
};

namespace {

result<map *> create_array(const map_params &p) {
    own<array_map> m(make<array_map>(PORT_SLEEPING, &array_ops, p));
    if (!m)
        return error(ENOMEM);
    TRY(m->block.alloc(m->elem_size * p.max_entries, p.flags & BPF_F_MMAPABLE));
    m->values = m->block.at();
    return static_cast<map *>(m.release());
}

result<map *> create_percpu(const map_params &p) {
    own<percpu_array_map> m(make<percpu_array_map>(PORT_SLEEPING, &percpu_array_ops, p));
    if (!m)
        return error(ENOMEM);
    m->values = static_cast<u8 **>(port_alloc(m->cpu_count * sizeof(u8 *), PORT_SLEEPING));
    if (!m->values)
        return error(ENOMEM);
    if (m->stride > port_memory_bytes() / m->cpu_count)
        return error(ENOMEM);
    if (m->stride <= PORT_PERCPU_MAX)
        m->together = port_percpu_alloc(m->stride, cache_line, PORT_SLEEPING);
    for (u32 cpu = 0; cpu < m->cpu_count; cpu++) {
        m->values[cpu] = static_cast<u8 *>(m->together ? port_percpu_ptr(m->together, cpu) : port_alloc(m->stride, PORT_SLEEPING));
        if (!m->values[cpu])
            return error(ENOMEM);
    }
    return static_cast<map *>(m.release());
}

}  // namespace

}  // namespace modbpf
