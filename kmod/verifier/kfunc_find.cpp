// SPDX-License-Identifier: GPL-2.0-only
// Which kernel function a call instruction means.
#include "btf/format.h"
#include "verifier/kfunc.h"

namespace modbpf {

namespace {

constexpr u32 max_kfuncs = 256;

status load_allowed(env &e) {
    if (!kernel_types(e)) {
        verbose(e, "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF\n");
        return fail(ENOTSUPP);
    }
    if (!e.req.gpl_compatible) {
        verbose(e, "cannot call kernel function from non-GPL compatible program\n");
        return fail(EINVAL);
    }
    return {};
}

/// The types that the instruction's offset chooses: the kernel's, or those of a module by their place in fd_array.
result<const btf *> types_of(env &e, s16 off) {
    if (!off)
        return kernel_types(e);
    if (off < 0) {
        verbose(e, "negative offset disallowed for kernel module function call\n");
        return fail(EINVAL);
    }
    if (!e.req.fd_array) {
        verbose(e, "kfunc offset > 0 without fd_array is invalid\n");
        return fail(EPROTO);
    }
    int fd;
    if (port_copy_from_user(&fd, e.req.fd_array + static_cast<u64>(off) * sizeof(fd), sizeof(fd)))
        return fail(EFAULT);
    auto found = e.req.btf_from_fd ? e.req.btf_from_fd(fd) : result<ref<btf>>(error(EBADF));
    if (!found.ok()) {
        verbose(e, "invalid module BTF fd specified\n");
        return found.err();
    }
    if (!(*found)->is_module()) {
        verbose(e, "BTF fd for kfunc is not a module BTF\n");
        return fail(EINVAL);
    }
    const btf *types = found->get();
    for (const ref<btf> &known : e.used_btfs)
        if (known.get() == types)
            return types;
    TRY(use_module(e, *types));
    TRY(e.used_btfs.push(move(*found)));
    return types;
}

const kfunc_desc *find_desc(const env &e, u32 id, s16 off) {
    for (const kfunc_desc &k : e.kfuncs)
        if (k.id == id && k.off == off)
            return &k;
    return nullptr;
}

}  // namespace

bool is_number(const btf_type *t) { return t && (t->kind() == btf_kind::integer || t->is_enum()); }

kfunc_param param_of(const kfunc_call &c, u32 i) {
    const btf &b = c.types();
    const btf_param &raw = b.tail<btf_param>(c.fn->proto)[i];
    kfunc_param p;
    if (const char *n = b.string(raw.name_off))
        p.name = n, p.name_length = strlen(n);
    p.type_id = raw.type;
    p.type = b.type(b.skip_modifiers(raw.type));
    if (p.type && p.type->kind() == btf_kind::pointer) {
        p.target_id = b.skip_modifiers(p.type->size_or_type);
        p.target = b.type(p.target_id);
    }
    return p;
}

status add_kfunc(env &e, u32 insn) {
    u32 id = static_cast<u32>(e.insns[insn].imm);
    s16 off = e.insns[insn].off;
    if (e.kfuncs.empty())
        TRY(load_allowed(e));
    if (!id && !off)
        return {}; // refused if it is reached, when nothing else is wrong
    auto types = types_of(e, off);
    if (!types.ok()) {
        verbose(e, "failed to find BTF for kernel function\n");
        return types.err();
    }
    if (find_desc(e, id, off))
        return {};
    if (e.kfuncs.size() >= max_kfuncs) {
        verbose(e, "too many different kernel function calls\n");
        return fail(E2BIG);
    }
    const btf &b = *types.value();
    const btf_type *func = b.type(id);
    if (!func || func->kind() != btf_kind::func) {
        verbose(e, "kernel btf_id %u is not a function\n", id);
        return fail(EINVAL);
    }
    const btf_type *proto = b.type(func->size_or_type);
    const char *name = b.name(id);
    if (!proto || proto->kind() != btf_kind::func_proto || !name) {
        verbose(e, "kernel function btf_id %u does not have a valid func_proto\n", id);
        return fail(EINVAL);
    }
    const kfunc_row *row = find_kfunc(b.module_name, name, e.req.type->type, e.req.expected_attach_type);
    if (row && (row->flags & kf_dev_bound)) {
        verbose(e, "metadata kfuncs require device-bound program\n");
        return fail(EINVAL);
    }
    return e.kfuncs.push({id, off, &b, proto, name, row});
}

kfunc_call find_kfunc_call(const env &e, u32 insn) {
    kfunc_call c;
    c.fn = find_desc(e, static_cast<u32>(e.insns[insn].imm), e.insns[insn].off);
    if (c.fn && (c.row = c.fn->row))
        c.flags = c.row->flags;
    return c;
}

u32 kfunc_arg_count(const env &e, u32 insn) {
    const kfunc_desc *k = find_desc(e, static_cast<u32>(e.insns[insn].imm), e.insns[insn].off);
    return k ? min<u32>(k->proto->vlen(), 5) : 0;
}

}  // namespace modbpf
