// SPDX-License-Identifier: GPL-2.0-only
// See attach_target.h. The order of checks is Linux 6.12's (bpf_prog_load, bpf_prog_load_check_attach).
#include "prog/attach_target.h"

#include "btf/format.h"
#include "prog/files.h"

namespace modbpf {

namespace {

constexpr u64 typed_programs =
    bit(BPF_PROG_TYPE_TRACING) | bit(BPF_PROG_TYPE_LSM) | bit(BPF_PROG_TYPE_STRUCT_OPS) | bit(BPF_PROG_TYPE_EXT);
constexpr u64 programs_on_programs = bit(BPF_PROG_TYPE_TRACING) | bit(BPF_PROG_TYPE_EXT);

bool in_mask(u64 mask, u32 type) { return type < 64 && (mask & bit(type)); }

/// attach_prog_fd and attach_btf_obj_fd are one field: the fd tells which it is.
status find_objects(load_target &t, const prog_load_attr &a) {
    if (a.attach_prog_fd) {
        result<ref<program>> other = prog_from_fd(static_cast<int>(a.attach_prog_fd));
        if (other) {
            t.prog = move(*other);
            return {};
        }
        result<ref<btf>> types = btf_from_fd(static_cast<int>(a.attach_prog_fd));
        if (!types)
            return error(EINVAL);
        if (!(*types)->kernel)
            return error(ENOTSUPP);
        t.types = move(*types);
    } else if (a.attach_btf_id) {
        result<ref<btf>> types = btf::vmlinux();
        if (!types)
            return error(types.err().code() == ENOENT ? EINVAL : types.err().code());
        t.types = move(*types);
    }
    return {};
}

status check_combination(const load_target &t, const prog_load_attr &a) {
    if (a.attach_btf_id && (a.attach_btf_id > btf_max_type || (!t.types && !t.prog) || !in_mask(typed_programs, a.prog_type)))
        return error(EINVAL);
    if (t.types && (!a.attach_btf_id || t.prog))
        return error(EINVAL);
    if (t.prog && !in_mask(programs_on_programs, a.prog_type))
        return error(EINVAL);
    return {};
}

}  // namespace

target_program seen_by_verifier(const program &p) {
    const verified_program &v = *p.verified;
    return {p.type->type, p.ruling_type(), p.expected_attach_type, p.types.get(), v.funcs.view(), v.func_flags.view(), p.traces_tracer, v.image.sleepable, &v};
}

status load_target::find(const prog_load_attr &a) {
    TRY(find_objects(*this, a));
    TRY(check_combination(*this, a));
    request.btf_id = a.attach_btf_id;
    request.types = types.get();
    if (prog) {
        seen = seen_by_verifier(*prog);
        request.prog = &seen;
        request.extension = a.prog_type == BPF_PROG_TYPE_EXT;
    }
    return {};
}

}  // namespace modbpf
