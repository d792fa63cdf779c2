// SPDX-License-Identifier: GPL-2.0-only
// What maps inside of maps must have in common. The template stands for any of them in the verifier: it has their parameters and types
// and no elements, and is never frozen, so that nothing is concluded from the contents of the map that it was made of.
#include "btf/fields.h"
#include "maps/map.h"

namespace modbpf {

namespace {

constexpr u64 type_bit(u32 type) { return 1ull << type; }

/// The types without a rule for what is equal.
constexpr u64 never_inner = type_bit(BPF_MAP_TYPE_PROG_ARRAY) | type_bit(BPF_MAP_TYPE_ARRAY_OF_MAPS) |
                            type_bit(BPF_MAP_TYPE_HASH_OF_MAPS) | type_bit(BPF_MAP_TYPE_CGROUP_STORAGE) |
                            type_bit(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE) | type_bit(BPF_MAP_TYPE_STRUCT_OPS);

extern constinit const map_ops template_ops;
constinit const map_ops template_ops = {
    .type = BPF_MAP_TYPE_UNSPEC,
    .name = "inner_map",
    .verify_only = true,
    .check = [](const map_params &) { return status(error(EINVAL)); },
    .create = [](const map_params &) -> result<map *> { return error(EINVAL); },
    .free = [](map *m) { destroy(m); },
};

}  // namespace

result<map *> make_inner_template(map *m) {
    if (m->inner)
        return error(EINVAL);
    if (m->params.type >= 64 || (never_inner & type_bit(m->params.type)))
        return error(ENOTSUPP);
    map_params p = m->params;
    memset(p.name, 0, sizeof(p.name)); // the maps in there have names of their own: the verifier's log gives none
    map *t = make<map>(PORT_SLEEPING, &template_ops, p);
    if (!t)
        return error(ENOMEM);
    t->btf_key_type_id = m->btf_key_type_id;
    t->btf_value_type_id = m->btf_value_type_id;
    return t;
}

bool map_meta_equal(const map *meta, const map *m) {
    const map_params &a = meta->params, &b = m->params;
    if (a.type != b.type || a.key_size != b.key_size || a.value_size != b.value_size || a.flags != b.flags ||
        !same_fields(meta->fields, m->fields))
        return false;
    bool sized = a.type == BPF_MAP_TYPE_XSKMAP || (a.type == BPF_MAP_TYPE_ARRAY && !(a.flags & BPF_F_INNER_MAP));
    return !sized || a.max_entries == b.max_entries;
}

}  // namespace modbpf
