// SPDX-License-Identifier: GPL-2.0-only
// What PROG_ARRAY maps need from programs: which may be put in, and references to them.
#include "prog/files.h"
#include "prog/hooks.h"
#include "prog/prog.h"

namespace modbpf {

namespace {
/// Types whose context is what the function is called with. What one was verified to be given and to give back holds for its own.
bool follows_prototype(u32 type) {
    return type == BPF_PROG_TYPE_TRACING || type == BPF_PROG_TYPE_LSM || type == BPF_PROG_TYPE_EXT || type == BPF_PROG_TYPE_STRUCT_OPS;
}
/// Of these its name tells more: what an LSM hook may return, which arguments of a tracepoint may be NULL.
bool follows_name(u32 type, u32 attach) { return type == BPF_PROG_TYPE_LSM || (type == BPF_PROG_TYPE_TRACING && attach == BPF_TRACE_RAW_TP); }
}  // namespace

/// A call goes from one program of the map's to any other, and nobody checks again what was checked when the caller was attached. So all
/// must be what the first was. Beyond Linux 6.12: none that sleeps among those that may not, and none at another hook whose
/// prototype happens to be the same, where that does not tell all.
bool prog_array_accepts(map *m, const program *p) {
    map_owner want{.set = true,
                   .jited = true,
                   .xdp_has_frags = p->xdp_has_frags,
                   .prog_type = p->ruling_type(),
                   .expected_attach_type = p->expected_attach_type,
                   .sleepable = p->sleepable};
    if (follows_prototype(want.prog_type)) {
        want.hook_types = p->hook_types;
        want.proto = p->verified->attach_proto;
        want.hook = follows_name(want.prog_type, p->expected_attach_type) ? p->attach_btf_id : 0;
    }
    mutex_guard g(m->freeze_lock);
    map_owner &o = m->owner;
    if (!o.set) {
        o = want;
        return true;
    }
    return o == want;
}

namespace {

result<runnable *> slot_get(map *m, int fd) {
    ref<program> p = TRY(prog_from_fd(fd));
    // What was checked of a key or value of an iterator's, or of a tracepoint's record, is what its link's program wants, not what this one does.
    const verified_program &v = *p->verified;
    bool wants_more = v.max_rdonly_access || v.max_rdwr_access || v.max_record_access;
    if (p->type->type == BPF_PROG_TYPE_EXT || wants_more || !prog_array_accepts(m, p.get()))
        return error(EINVAL);
    TRY(enter_prog_array(p.get()));
    return static_cast<runnable *>(p.release());
}
void slot_put(runnable *r) {
    auto *p = static_cast<program *>(r);
    leave_prog_array(p);
    p->put();
}
u32 slot_id(runnable *r) { return static_cast<program *>(r)->id; }

}  // namespace

constinit const prog_array_hooks prog_array_access = {slot_get, slot_put, slot_id};

}  // namespace modbpf
