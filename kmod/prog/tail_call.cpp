// SPDX-License-Identifier: GPL-2.0-only
// What PROG_ARRAY maps need from programs: which may be put in, and references to them.
#include "prog/files.h"
#include "prog/hooks.h"
#include "prog/prog.h"

namespace modbpf {

bool prog_array_accepts(map *m, const program *p) {
    map_owner want{.set = true,
                   .jited = true,
                   .xdp_has_frags = p->xdp_has_frags,
                   .prog_type = p->ruling_type(),
                   .expected_attach_type = p->expected_attach_type};
    mutex_guard g(m->freeze_lock);
    map_owner &o = m->owner;
    if (!o.set) {
        o = want;
        return true;
    }
    return o.prog_type == want.prog_type && o.jited == want.jited && o.xdp_has_frags == want.xdp_has_frags &&
           o.expected_attach_type == want.expected_attach_type;
}

namespace {

result<runnable *> slot_get(map *m, int fd) {
    ref<program> p = TRY(prog_from_fd(fd));
    if (p->type->type == BPF_PROG_TYPE_EXT || !prog_array_accepts(m, p.get()))
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
