// SPDX-License-Identifier: GPL-2.0-only
// See btf_match.h.
#include "verifier/btf_match.h"
#include "helpers/callback.h"
#include "verifier/btf_walk.h"

namespace modbpf {

const btf_type *typed::type() const { return types ? types->type(id) : nullptr; }

const char *typed::name() const {
    const char *n = types ? types->name(id) : nullptr;
    return n ? n : "";
}

const btf *kernel_types(env &e) {
    if (e.req.kernel)
        return e.req.kernel;
    if (!e.kernel_btf && !e.kernel_btf_asked) {
        auto found = btf::vmlinux();
        if (found)
            e.kernel_btf = move(*found);
        e.kernel_btf_asked = true;
    }
    return e.kernel_btf.get();
}

typed kernel_struct(env &e, const char *name) {
    const btf *k = kernel_types(e);
    return k ? typed{k, k->find(name, btf_kind::structure)} : typed{};
}

typed find_kernel_type(env &e, const btf &from, u32 id) {
    const btf_type *t = from.type(id);
    const char *name = from.name(id);
    const btf *k = kernel_types(e);
    if (!t || !name || !k)
        return {};
    return {k, k->find(name, t->kind())};
}

bool same_type_id(typed a, typed b) {
    return a.id == b.id && a.id && (a.types == b.types || (a.type() && a.type() == b.type()));
}

bool struct_fits(env &e, typed have, s32 off, typed want, bool strict, bool flexible) {
    if (off == 0 && same_type_id(have, want))
        return true;
    if (strict || !have)
        return false;
    constexpr u32 max_depth = 64;
    struct_walk w{*have.types, e.log, flexible};
    for (u32 i = 0; i < max_depth; i++) {
        auto hit = w.step(have.id, off, 1);
        if (!hit || *hit != walk_hit::structure)
            return false;
        have.id = w.id, off = 0;
        if (same_type_id(have, want))
            return true;
    }
    return false;
}

bool differ_by_init(typed a, typed b) {
    constexpr const char *suffix = "___init";
    if (!a.type() || !b.type())
        return false;
    const char *shorter = a.name(), *longer = b.name();
    if (strlen(shorter) > strlen(longer))
        swap(shorter, longer);
    size_t n = strlen(shorter);
    return !strncmp(shorter, longer, n) && !strcmp(longer + n, suffix);
}

bool is_trusted(const reg_state &r) {
    constexpr type_flag trusting = type_flag::alloc | type_flag::trusted | type_flag::non_owning;
    if (r.ref_id)
        return true;
    bool plain = (flags_of(r.type) & ~trusting) == type_flag::none;
    switch (r.base()) {
    case reg_type::socket:
    case reg_type::sock_common:
    case reg_type::tcp_sock:
    case reg_type::map_ptr:
        return plain;
    default:
        return plain && has(r.type, trusting);
    }
}

bool may_sleep_here(const env &e) {
    if (!e.cur)
        return e.req.prog_flags & BPF_F_SLEEPABLE;
    bool may = e.cur->modes.in_sleepable;
    for (u32 f = 1; may && f <= e.cur->curframe; f++)
        may = !e.cur->frame[f]->callback || !e.cur->frame[f]->callback->atomic;
    return may;
}

bool in_rcu_section(const env &e) {
    const path_modes &m = e.cur->modes;
    return m.rcu_locked || m.lock_ptr || !may_sleep_here(e);
}

typed object_of(env &e, const reg_state &r) {
    switch (r.base()) {
    case reg_type::btf_ptr: return {r.types, r.btf_id};
    case reg_type::socket: return kernel_struct(e, "sock");
    case reg_type::sock_common: return kernel_struct(e, "sock_common");
    case reg_type::tcp_sock: return kernel_struct(e, "tcp_sock");
    case reg_type::map_ptr: return kernel_struct(e, "bpf_map");
    default: return {};
    }
}

status check_object_arg(env &e, u32 regno, const object_arg &arg) {
    const reg_state &r = e.reg(regno);
    if (r.may_be_null() && (!arg.null_ok || arg.release)) {
        verbose(e, "Possibly NULL pointer passed to helper arg%d\n", regno);
        return fail(EACCES);
    }
    typed have{r.types, r.btf_id};
    if (struct_fits(e, have, r.off, arg.want, arg.strict, !is_alloc_object(r)))
        return {};
    verbose(e, "R%d is of type %s but %s is expected\n", regno, have.name(), arg.want.name());
    return fail(EACCES);
}

void set_object(env &e, reg_state &r, typed object, type_flag flags) {
    r.set_pointer(reg_type::btf_ptr | flags);
    r.types = object.types, r.btf_id = object.id;
    if (r.may_be_null())
        r.id = ++e.id_gen;
}

}  // namespace modbpf
