// SPDX-License-Identifier: GPL-2.0-only
// Links of programs to iterators.
#include "attach/iter.h"
#include "attach/link.h"

namespace modbpf {

namespace {

/// What user space asks for; both or neither of address and length (EINVAL).
status copy_asked(u64 uinfo, u32 len, iter_link_info *asked) {
    if (!uinfo != !len)
        return error(EINVAL);
    if (!uinfo)
        return {};
    TRY(check_user_tail(uinfo, sizeof(*asked), len));
    u32 n = min<u32>(len, sizeof(*asked));
    return port_copy_from_user(asked, uinfo, n) ? status(error(EFAULT)) : status();
}

}  // namespace

long iter_link_create(ref<program> p, u64 uinfo, u32 info_len) {
    iter_link_info asked{.words = {}};
    if (status copied = copy_asked(uinfo, info_len, &asked); !copied)
        return copied.code();
    const char *function = p->attach_types ? p->attach_types->name(p->attach_btf_id) : nullptr;
    const iter_target *target = function ? find_iter_target(function) : nullptr;
    if (!target)
        return -ENOENT;
    if (p->sleepable && !target->programs_may_sleep)
        return -EINVAL;
    result<ref<bpf_link>> made = link_make(BPF_LINK_TYPE_ITER, p);
    if (!made)
        return made.code();
    ref<bpf_link> l = move(*made);
    l->aim.target = target;
    if (long rc = target->attach(*p, asked, &l->aim))
        return rc;
    return link_settle(move(l));
}

long iter_link_update(bpf_link *l, ref<program> fresh, const program *old) {
    mutex_guard g(l->prog_lock);
    const program &had = *l->prog;
    if (old && old != &had)
        return -EPERM;
    if (had.type != fresh->type || had.expected_attach_type != fresh->expected_attach_type ||
        had.attach_types.get() != fresh->attach_types.get() || had.attach_btf_id != fresh->attach_btf_id)
        return -EINVAL;
    l->prog = move(fresh);
    return 0;
}

}  // namespace modbpf
