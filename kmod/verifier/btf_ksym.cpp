// SPDX-License-Identifier: GPL-2.0-only
// See btf_ksym.h.
#include "verifier/btf_ksym.h"

#include "btf/format.h"

namespace modbpf {

namespace {

/// The types that the instruction counts in: the kernel's, or those behind the fd in its second word.
result<const btf *> types_of_load(env &e, int fd) {
    if (!fd) {
        if (const btf *k = kernel_types(e))
            return k;
        verbose(e, "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.\n");
        return fail(EINVAL);
    }
    auto found = e.req.btf_from_fd ? e.req.btf_from_fd(fd) : result<ref<btf>>(error(EBADF));
    if (!found.ok()) {
        verbose(e, "invalid module BTF object FD specified.\n");
        return fail(EINVAL);
    }
    const btf *types = found->get();
    TRY(e.used_btfs.push(move(*found)));
    return types;
}

bool is_percpu(const btf &types, u32 var) {
    const btf_type *t = types.type(types.find_own(".data..percpu", btf_kind::datasec));
    const auto *v = t ? types.tail<btf_var_secinfo>(t) : nullptr;
    for (u32 i = 0; t && i < t->vlen(); i++)
        if (v[i].type == var)
            return true;
    return false;
}

bool is_composite(const btf_type *t) { return t && t->is_composite(); }

}  // namespace

status resolve_ksym(env &e, u32 insn) {
    u32 id = static_cast<u32>(e.insns[insn].imm);
    const btf &types = *TRY(types_of_load(e, e.insns[insn + 1].imm));
    const btf_type *t = types.type(id);
    if (!t) {
        verbose(e, "ldimm64 insn specifies invalid btf_id %d.\n", id);
        return fail(ENOENT);
    }
    if (t->kind() != btf_kind::var && t->kind() != btf_kind::func) {
        verbose(e, "pseudo btf_id %d in ldimm64 isn't KIND_VAR or KIND_FUNC\n", id);
        return fail(EINVAL);
    }
    kernel_symbol s{reg_type::mem | type_flag::rdonly, 0, &types, types.name(id)};
    if (t->kind() == btf_kind::var) {
        u32 kind = t->size_or_type, plain = types.skip_modifiers(kind);
        if (is_percpu(types, id))
            s.kind = reg_type::btf_ptr | type_flag::percpu, s.size_or_id = kind;
        else if (is_composite(types.type(plain)))
            s.kind = reg_type::btf_ptr, s.size_or_id = kind;
        else if (!types.size_of(plain, &s.size_or_id)) {
            const char *name = types.name(plain);
            verbose(e, "ldimm64 unable to resolve the size of type '%s': %d\n", name ? name : "", -EINVAL);
            return fail(EINVAL);
        }
    }
    TRY(use_module(e, types));
    e.aux[insn].map_index = static_cast<u32>(e.ksyms.size());
    s.addr = s.name ? port_ksym_lookup(s.name) : 0;
    if (!s.addr)
        note_absent(e, "kernel symbol", s.name ? s.name : "");
    return e.ksyms.push(s);
}

void load_ksym(env &, reg_state &r, const kernel_symbol &s) {
    r.set_pointer(s.kind);
    if (r.base() == reg_type::mem)
        r.mem_size = s.size_or_id;
    else
        r.types = s.types, r.btf_id = s.size_or_id;
}

}  // namespace modbpf
