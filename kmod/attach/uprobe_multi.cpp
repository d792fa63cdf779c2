// SPDX-License-Identifier: GPL-2.0-only
// Links of one program to many places of a file in user space (BPF_TRACE_UPROBE_MULTI).
#include "attach/link.h"
#include "attach/uprobe.h"

namespace modbpf {

namespace {

constexpr u32 places_max = 1u << 20; // MAX_UPROBE_MULTI_CNT
constexpr u32 BPF_F_UPROBE_MULTI_RETURN = 1;

void on_hit(void *priv, u32 index, void *regs, u64 addr) {
    auto *l = static_cast<bpf_link *>(priv);
    run_at_uprobe(l->prog.get(), regs, addr, l->multi->cookie(index));
}

/// Where the probes are to be. Also keeps what the link's information shows.
result<vec<port_uprobe_place>> read_places(multi_probe &m, const uprobe_multi_request &r) {
    TRY(multi_probe::copy_numbers(m.places, r.offsets, r.count));
    TRY(multi_probe::copy_numbers(m.ref_ctrs, r.ref_ctr_offsets, r.count));
    TRY(multi_probe::copy_numbers(m.cookies, r.cookies, r.count));
    vec<port_uprobe_place> places;
    TRY(places.resize_zeroed(r.count));
    for (u32 i = 0; i < r.count; i++) {
        if (m.places[i] >> 63)
            return error(EINVAL);
        places[i] = {m.places[i], m.ref_ctrs.empty() ? 0 : m.ref_ctrs[i]};
    }
    return places;
}

status check(const program &p, const uprobe_multi_request &r) {
    if (p.expected_attach_type != BPF_TRACE_UPROBE_MULTI || (r.flags & ~BPF_F_UPROBE_MULTI_RETURN))
        return error(EINVAL);
    if (!r.path || !r.offsets || !r.count || r.pid < 0)
        return error(EINVAL);
    if (r.count > places_max)
        return error(E2BIG);
    return p.runs() ? status() : status(error(ENOTSUPP));
}

result<ref<bpf_link>> attach(ref<program> p, const uprobe_multi_request &r) {
    TRY(check(*p, r));
    vec<char> path = TRY(copy_path(r.path));
    if (path.empty())
        return error(EINVAL);
    ref<bpf_link> l = TRY(link_make(BPF_LINK_TYPE_UPROBE_MULTI, move(p)));
    l->multi = own<multi_probe>(make<multi_probe>(PORT_SLEEPING));
    if (!l->multi)
        return error(ENOMEM);
    l->multi->flags = r.flags;
    vec<port_uprobe_place> places = TRY(read_places(*l->multi, r));
    port_uprobe_spec spec{};
    spec.path = path.data();
    spec.scope = r.pid ? PORT_UPROBE_GROUP : PORT_UPROBE_ALL;
    spec.pid = r.pid;
    spec.retprobe = r.flags & BPF_F_UPROBE_MULTI_RETURN;
    spec.count = r.count;
    spec.places = places.data();
    if (int rc = port_uprobe_attach(&spec, on_hit, l.get(), &l->hook))
        return error(-rc);
    return l;
}

status put_path(bpf_link *l, u64 to, u32 *room) {
    vec<char> path;
    u32 size = *room ? min(*room, path_max) : path_max;
    TRY(path.resize(size));
    int n = port_uprobe_path(l->hook, path.data(), size);
    if (n < 0)
        return error(-n);
    *room = static_cast<u32>(n);
    return to && port_copy_to_user(to, path.data(), static_cast<size_t>(n)) ? status(error(EFAULT)) : status();
}

}  // namespace

long uprobe_multi_link_create(ref<program> p, const uprobe_multi_request &r) {
    result<ref<bpf_link>> l = attach(move(p), r);
    return l ? link_settle(move(*l)) : l.code();
}

long uprobe_multi_fill_info(bpf_link *l, bpf_link_info &info) {
    auto &u = info.uprobe_multi;
    const multi_probe &m = *l->multi;
    u32 room = u.count, count = static_cast<u32>(m.places.size());
    bool arrays = u.offsets || u.ref_ctr_offsets || u.cookies;
    if (!u.path != !u.path_size || (arrays && !room))
        return -EINVAL;
    u.count = count;
    u.flags = m.flags;
    u.pid = port_uprobe_pid(l->hook);
    status named = put_path(l, u.path, &u.path_size);
    if (!named.ok())
        return named.code();
    u32 fits = min(room, count);
    status offsets = multi_probe::put_numbers(u.offsets, m.places, fits);
    status ref_ctrs = multi_probe::put_numbers(u.ref_ctr_offsets, m.ref_ctrs, fits);
    status cookies = multi_probe::put_numbers(u.cookies, m.cookies, fits);
    if (!offsets.ok() || !ref_ctrs.ok() || !cookies.ok())
        return -EFAULT;
    return arrays && room < count ? -ENOSPC : 0;
}

}  // namespace modbpf
