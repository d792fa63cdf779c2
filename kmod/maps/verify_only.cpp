// SPDX-License-Identifier: GPL-2.0-only
// The map types that modbpf cannot run: made so that programs which use them can be verified. Such a map has parameters, types and an id;
// it holds nothing. MAP_CREATE makes them only where programs are loaded for their verdict alone.
//
// A row says what Linux 6.12's map_alloc_check and map_alloc of the type refuse; reference: kernel/bpf/*.c, net/core/sock_map.c,
// net/xdp/xskmap.c.
#include "btf/btf.h"
#include "maps/array.h"
#include "maps/hash.h"

namespace modbpf {

namespace {

constexpr u32 any = 0xffffffff;
constexpr u32 percpu_max = 32 << 10;             // of one per-CPU allocation
constexpr u32 storage_max = 0xffff - 128;        // of an object's local storage: its header is behind 128 bytes
constexpr u32 buckets_max = 1u << 31;
constexpr u32 cpu_slots_max = 8192;              // Debian's NR_CPUS
constexpr u32 access_flags = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
constexpr u32 file_flags = BPF_F_RDONLY | BPF_F_WRONLY;

struct sizes {
    u32 min, max;
    u32 other = 0; ///< this one, too, where not 0
    bool take(u32 n) const { return (n >= min && n <= max) || (other && n == other); }
};
constexpr sizes none{0, 0}, some{1, any};

/// What a type takes. Out of range: EINVAL, but where something else is said.
struct shape {
    u32 type;
    u32 flags;             ///< allowed
    sizes key, value;
    u32 value_big = any;   ///< above: E2BIG
    sizes entries = some;
    u32 entries_big = any; ///< above: E2BIG
    bool typed = false;    ///< key and value must have BTF types
    bool big_first = false; ///< a value that is too big is told before flags and entries
};

/// The value is a structure that the kernel made for one of its operations: bpf_struct_ops_<name>, with the operations themselves in its
/// second member.
status check_struct_ops_value(const map_params &p) {
    result<ref<btf>> types = btf::vmlinux();
    if (!types)
        return error(ENOTSUPP);
    const btf &b = p.module_types ? *p.module_types : **types;
    const btf_type *t = b.type(p.vmlinux_value_type);
    constexpr char prefix[] = "bpf_struct_ops_";
    const char *name = t && t->kind() == btf_kind::structure ? b.string(t->name_off) : nullptr;
    if (!name || strncmp(name, prefix, sizeof(prefix) - 1) || t->vlen() != 2)
        return error(ENOTSUPP);
    struct member {
        u32 name_off, type, offset;
    };
    const btf_type *data = b.type(b.tail<member>(t)[1].type);
    const char *inside = data && data->kind() == btf_kind::structure ? b.string(data->name_off) : nullptr;
    if (!inside || strcmp(inside, name + sizeof(prefix) - 1))
        return error(ENOTSUPP);
    return p.value_size == t->size_or_type ? status() : status(error(EINVAL));
}

// clang-format off
/// Checked before the caller's rights.
constexpr shape early[] = {
    {.type = BPF_MAP_TYPE_DEVMAP, .flags = BPF_F_NUMA_NODE | file_flags, .key = {4, 4}, .value = {4, 4, 8}},
    {.type = BPF_MAP_TYPE_DEVMAP_HASH, .flags = BPF_F_NUMA_NODE | file_flags, .key = {4, 4}, .value = {4, 4, 8},
     .entries = {1, buckets_max}},
    {.type = BPF_MAP_TYPE_STRUCT_OPS, .flags = BPF_F_LINK | BPF_F_VTYPE_BTF_OBJ_FD, .key = {4, 4}, .value = {0, any},
     .entries = {1, 1}},
};

/// Checked behind the caller's rights.
constexpr shape late[] = {
    {.type = BPF_MAP_TYPE_CPUMAP, .flags = BPF_F_NUMA_NODE, .key = {4, 4}, .value = {4, 4, 8}, .entries_big = cpu_slots_max},
    {.type = BPF_MAP_TYPE_SOCKMAP, .flags = BPF_F_NUMA_NODE | file_flags, .key = {4, 4}, .value = {4, 4, 8},
     .entries = {1, 0x7fffffff}},
    {.type = BPF_MAP_TYPE_SOCKHASH, .flags = BPF_F_NUMA_NODE | file_flags, .key = some, .value = {4, 4, 8}},
    {.type = BPF_MAP_TYPE_XSKMAP, .flags = BPF_F_NUMA_NODE | file_flags, .key = {4, 4}, .value = {4, 4}},
    {.type = BPF_MAP_TYPE_CGROUP_STORAGE, .flags = BPF_F_NUMA_NODE | access_flags, .key = {8, 8, 16}, .value = some,
     .value_big = storage_max, .entries = none, .big_first = true},
    {.type = BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, .flags = BPF_F_NUMA_NODE | access_flags, .key = {8, 8, 16}, .value = some,
     .value_big = percpu_max, .entries = none, .big_first = true},
};
// clang-format on

status check_shape(const shape &s, const map_params &p) {
    if (s.big_first && s.key.take(p.key_size) && p.value_size > s.value_big)
        return error(E2BIG);
    bool both = (p.flags & BPF_F_RDONLY_PROG) && (p.flags & BPF_F_WRONLY_PROG);
    if ((p.flags & ~s.flags) || both)
        return error(EINVAL);
    if (!s.entries.take(p.max_entries) || !s.key.take(p.key_size) || !s.value.take(p.value_size) || (s.typed && !p.typed))
        return error(EINVAL);
    if (p.value_size > s.value_big || p.max_entries > s.entries_big)
        return error(E2BIG);
    return {};
}

const shape *find_shape(span<const shape> table, u32 type) {
    for (const shape &s : table)
        if (s.type == type)
            return &s;
    return nullptr;
}

status check_early(const map_params &p) {
    const shape *s = find_shape(early, p.type);
    if (s)
        TRY(check_shape(*s, p));
    if (p.type == BPF_MAP_TYPE_STRUCT_OPS && !p.vmlinux_value_type)
        return error(EINVAL);
    return {};
}

status check_late(const map_params &p) {
    const shape *s = find_shape(late, p.type);
    if (s)
        TRY(check_shape(*s, p));
    if (p.type == BPF_MAP_TYPE_SOCKHASH && p.key_size > max_bpf_stack)
        return error(E2BIG);
    return p.type == BPF_MAP_TYPE_STRUCT_OPS ? check_struct_ops_value(p) : status();
}

result<map *> create(const map_params &p) {
    TRY(check_late(p));
    map_params kept = p;
    if (p.type == BPF_MAP_TYPE_DEVMAP || p.type == BPF_MAP_TYPE_DEVMAP_HASH)
        kept.flags |= BPF_F_RDONLY_PROG; // a look-up shows the device's number itself
    map *m = make<map>(PORT_SLEEPING, find_map_ops(p.type), kept);
    return m ? result<map *>(m) : error(ENOMEM);
}

void free_map(map *m) { destroy(m); }
u64 memory(const map *) { return sizeof(map); }
long no_element(map *, const void *, void *) { return -ENOENT; }
long no_value(map *, const void *, void *, u64) { return -ENOENT; }
long no_removal(map *, const void *) { return -ENOENT; }

status check_reuseport(const map_params &p) {
    return p.value_size == 4 || p.value_size == 8 ? check_array(p) : status(error(EINVAL));
}

constexpr map_ops row(u32 type, const char *name, status (*check)(const map_params &) = check_early) {
    return {.type = type,
            .name = name,
            .verify_only = true,
            .check = check,
            .create = create,
            .free = free_map,
            .lookup_user = no_value,
            .remove_user = no_removal,
            .next_key = no_element,
            .memory = memory};
}

constexpr map_ops table[] = {
    row(BPF_MAP_TYPE_DEVMAP, "devmap"),
    row(BPF_MAP_TYPE_SOCKMAP, "sockmap"),
    row(BPF_MAP_TYPE_CPUMAP, "cpumap"),
    row(BPF_MAP_TYPE_XSKMAP, "xskmap"),
    row(BPF_MAP_TYPE_SOCKHASH, "sockhash"),
    row(BPF_MAP_TYPE_CGROUP_STORAGE, "cgroup_storage"),
    row(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, "reuseport_sockarray", check_reuseport),
    row(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, "percpu_cgroup_storage"),
    row(BPF_MAP_TYPE_DEVMAP_HASH, "devmap_hash"),
    row(BPF_MAP_TYPE_STRUCT_OPS, "struct_ops"),
};

}  // namespace

span<const map_ops> verify_only_map_ops() {
    return table;
}

}  // namespace modbpf
