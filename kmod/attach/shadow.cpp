// SPDX-License-Identifier: GPL-2.0-only
#include "attach/shadow.h"

#include "btf/btf.h"
#include "btf/format.h"

namespace modbpf {

namespace {

struct shadow_member {
    const char *name;
    const void *value;
    u32 size;
};

/// Whole bytes at the member's offset, as many as it has and fit the structure.
void fill_member(const btf &types, const btf_type *t, const shadow_member &from, u8 *to) {
    const auto *members = types.tail<btf_member>(t);
    for (u32 i = 0; i < t->vlen(); i++) {
        const char *name = types.string(members[i].name_off);
        u32 bits = members[i].bit_offset(t->kind_flag()), size = 0;
        if (!name || strcmp(name, from.name) || bits % 8 || !types.size_of(members[i].type, &size))
            continue;
        if (bits / 8 + size <= t->size_or_type)
            memcpy(to + bits / 8, from.value, min(size, from.size));
        return;
    }
}

result<void *> shadow(const char *structure, span<const shadow_member> members) {
    ref<btf> types = TRY(btf::vmlinux());
    const btf_type *t = types->type(types->find(structure, btf_kind::structure));
    if (!t || !t->size_or_type)
        return error(ENOENT);
    auto *made = static_cast<u8 *>(port_alloc(t->size_or_type, PORT_SLEEPING));
    if (!made)
        return error(ENOMEM);
    for (const shadow_member &m : members)
        fill_member(*types, t, m, made);
    return static_cast<void *>(made);
}

template <class T> shadow_member member(const char *name, const T &value) { return {name, &value, sizeof(T)}; }

}  // namespace

result<void *> shadow_of(const map &m) {
    const map_params &p = m.params;
    const shadow_member members[] = {
        member("id", m.id),
        member("name", p.name),
        member("map_type", p.type),
        member("key_size", p.key_size),
        member("value_size", p.value_size),
        member("max_entries", p.max_entries),
        member("map_flags", p.flags),
        member("map_extra", p.extra),
        member("numa_node", p.numa_node),
    };
    return shadow("bpf_map", members);
}

}  // namespace modbpf
