// SPDX-License-Identifier: GPL-2.0-only
#include "maps/map.h"
#include "helpers/families.h"
#include "helpers/helper.h"

namespace modbpf {

// The verifier lets a map in only where its type has the operation (helper_proto::map_types), so a missing one is our
// mistake.

u64 bpf_map_lookup_elem(u64 r1, u64 r2, u64, u64, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->lookup))
        return 0;
    return addr_of(m->ops->lookup(m, ptr_of<const void>(r2)));
}

u64 bpf_map_lookup_percpu_elem(u64 r1, u64 r2, u64 r3, u64, u64) {
    map *m = ptr_of<map>(r1);
    u32 cpu = static_cast<u32>(r3);
    if (MODBPF_BUG_ON(!m->ops->lookup_percpu))
        return 0;
    return cpu < port_cpu_count() ? addr_of(m->ops->lookup_percpu(m, ptr_of<const void>(r2), cpu)) : 0;
}

u64 bpf_map_update_elem(u64 r1, u64 r2, u64 r3, u64 r4, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->update))
        return helper_errno(-EOPNOTSUPP);
    return helper_errno(m->ops->update(m, ptr_of<const void>(r2), ptr_of<const void>(r3), r4));
}

u64 bpf_map_delete_elem(u64 r1, u64 r2, u64, u64, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->remove))
        return helper_errno(-EOPNOTSUPP);
    return helper_errno(m->ops->remove(m, ptr_of<const void>(r2)));
}

u64 bpf_map_push_elem(u64 r1, u64 r2, u64 r3, u64, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->push))
        return helper_errno(-EOPNOTSUPP);
    return helper_errno(m->ops->push(m, ptr_of<const void>(r2), r3));
}

// The value argument of pop and peek is uninitialised memory that the program may read afterwards, whatever happened:
// an operation that fails must have zeroed it, and so must this function when there is no operation.
u64 bpf_map_pop_elem(u64 r1, u64 r2, u64, u64, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->pop)) {
        memset(ptr_of(r2), 0, m->params.value_size);
        return helper_errno(-EOPNOTSUPP);
    }
    return helper_errno(m->ops->pop(m, ptr_of(r2)));
}

u64 bpf_map_peek_elem(u64 r1, u64 r2, u64, u64, u64) {
    map *m = ptr_of<map>(r1);
    if (MODBPF_BUG_ON(!m->ops->peek)) {
        memset(ptr_of(r2), 0, m->params.value_size);
        return helper_errno(-EOPNOTSUPP);
    }
    return helper_errno(m->ops->peek(m, ptr_of(r2)));
}

}  // namespace modbpf
