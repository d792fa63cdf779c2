// SPDX-License-Identifier: GPL-2.0-only
#include "verifier/arena.h"

namespace modbpf {

map *find_arena(env &e) {
    for (const ref<map> &m : e.maps)
        if (m->params.type == BPF_MAP_TYPE_ARENA)
            return m.get();
    return nullptr;
}

status cast_arena(env &e, const insn_desc &d) {
    if (!find_arena(e)) {
        verbose(e, "addr_space_cast insn can only be used in a program that has an associated arena\n");
        return fail(EINVAL);
    }
    TRY(read_reg(e, d.src));
    TRY(write_reg(e, d.dst));
    reg_state &dst = e.reg(d.dst);
    dst.set_unknown();
    if (d.imm == 1) // from the arena's address space
        dst.type = reg_type::arena;
    return {};
}

status access_arena(env &e, access t, s32 value) {
    if (t == access::read && value >= 0)
        e.reg(static_cast<u32>(value)).set_unknown();
    return {};
}

bool arena_atomic_allowed(const insn_desc &d) {
    switch (d.imm) { // on x86 these are loops, whose loads could fault in the middle
    case BPF_AND | BPF_FETCH:
    case BPF_OR | BPF_FETCH:
    case BPF_XOR | BPF_FETCH: return false;
    default: return true;
    }
}

status check_arena_loads(env &e) {
    for (u32 i = 0; i < e.count(); i++)
        if (e.aux[i].has_ptr_type && base_of(e.aux[i].ptr_type) == reg_type::arena && e.desc(i).kind == insn_kind::load && e.desc(i).is_signed) {
            verbose(e, "sign extending loads from arena are not supported yet\n");
            return fail(EOPNOTSUPP);
        }
    return {};
}

}  // namespace modbpf
