// SPDX-License-Identifier: GPL-2.0-only
// Links of one program to many functions of the kernel (BPF_TRACE_KPROBE_MULTI, and BPF_TRACE_KPROBE_SESSION: at the entry and, unless
// it says no there, at the return of the same call).
#include "attach/link.h"
#include "base/sort.h"

namespace modbpf {

namespace {

constexpr u32 functions_max = 1u << 20; // MAX_KPROBE_MULTI_CNT
constexpr u32 BPF_F_KPROBE_MULTI_RETURN = 1;
constexpr u32 name_max = perf_event::symbol_len; // with the NUL

bool is_session(const program &p) { return p.expected_attach_type == BPF_TRACE_KPROBE_SESSION; }

/// Any context, preemption off.
int on_hit(void *priv, void *regs, u64 func, bool at_return, u64 *data) {
    auto *l = static_cast<bpf_link *>(priv);
    MODBPF_UNINITIALIZED event_run run(regs, func, l->multi->cookie_at(func));
    run.call_data = data;
    run.at_return = at_return;
    u64 ret = run_event(l->prog.get(), regs, run);
    return is_session(*l->prog) && ret;
}

status check(const program &p, const kprobe_multi_request &r) {
    if (p.expected_attach_type != BPF_TRACE_KPROBE_MULTI && !is_session(p))
        return error(EINVAL);
    if (p.sleepable || (r.flags & ~BPF_F_KPROBE_MULTI_RETURN) || !r.syms == !r.addrs || !r.count)
        return error(EINVAL);
    if (r.count > functions_max)
        return error(E2BIG);
    return p.runs() ? status() : status(error(ENOTSUPP));
}

/// Names of the user's, one behind the other.
struct name_list {
    vec<char> text;
    vec<u32> at;

    const char *name(u32 i) const { return text.data() + at[i]; }
    status add(u64 uname);
};

status name_list::add(u64 uname) {
    size_t used = text.size();
    TRY(text.resize(used + name_max + 1)); // one more than fits tells what is too long
    long n = port_strncpy_from_user(text.data() + used, uname, name_max + 1);
    if (n < 0)
        return error(EFAULT);
    if (n >= name_max)
        return error(E2BIG);
    TRY(text.resize(used + static_cast<size_t>(n) + 1));
    return at.push(static_cast<u32>(used));
}

void exchange_cookies(multi_probe &m, u32 i, u32 j) {
    if (!m.cookies.empty())
        swap(m.cookies[i], m.cookies[j]);
}

/// The addresses of the functions with these names, which are sorted meanwhile, as their order is seen. ESRCH: one is not there, or named
/// twice.
status find_functions(multi_probe &m, u64 usyms, u32 count) {
    vec<u64> pointers;
    name_list names;
    TRY(multi_probe::copy_numbers(pointers, usyms, count));
    for (u64 p : pointers)
        TRY(names.add(p));
    heap_sort(
        count, [&](u32 i, u32 j) { return strcmp(names.name(i), names.name(j)) < 0; },
        [&](u32 i, u32 j) {
            swap(names.at[i], names.at[j]);
            exchange_cookies(m, i, j);
        });
    TRY(m.places.resize_zeroed(count));
    for (u32 i = 0; i < count; i++) {
        bool twice = i && !strcmp(names.name(i - 1), names.name(i));
        if (twice || port_function_find(names.name(i), &m.places[i]))
            return error(ESRCH);
        if (i % 256 == 0)
            port_cond_resched();
    }
    return {};
}

status read_places(multi_probe &m, const kprobe_multi_request &r) {
    TRY(multi_probe::copy_numbers(m.cookies, r.cookies, r.count));
    if (r.addrs)
        TRY(multi_probe::copy_numbers(m.places, r.addrs, r.count));
    else
        TRY(find_functions(m, r.syms, r.count));
    if (!m.cookies.empty()) // are found by address
        heap_sort(
            r.count, [&](u32 i, u32 j) { return m.places[i] < m.places[j]; },
            [&](u32 i, u32 j) {
                swap(m.places[i], m.places[j]);
                exchange_cookies(m, i, j);
            });
    return {};
}

result<ref<bpf_link>> attach(ref<program> p, const kprobe_multi_request &r) {
    TRY(check(*p, r));
    own<multi_probe> m(make<multi_probe>(PORT_SLEEPING));
    if (!m)
        return error(ENOMEM);
    m->flags = r.flags;
    TRY(read_places(*m, r));
    port_functions_spec spec{};
    spec.addrs = m->places.data();
    spec.count = r.count;
    spec.at_entry = !(r.flags & BPF_F_KPROBE_MULTI_RETURN);
    spec.at_return = !spec.at_entry || is_session(*p);
    ref<bpf_link> l = TRY(link_make(BPF_LINK_TYPE_KPROBE_MULTI, move(p)));
    l->multi = move(m);
    if (int rc = port_functions_attach(&spec, on_hit, l.get(), &l->hook))
        return error(-rc);
    return l;
}

}  // namespace

u64 multi_probe::cookie_at(u64 place) const {
    size_t low = 0, high = cookies.size();
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (places[mid] == place)
            return cookies[mid];
        if (places[mid] < place)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

long kprobe_multi_link_create(ref<program> p, const kprobe_multi_request &r) {
    result<ref<bpf_link>> l = attach(move(p), r);
    return l ? link_settle(move(*l)) : l.code();
}

long kprobe_multi_fill_info(bpf_link *l, bpf_link_info &info) {
    auto &k = info.kprobe_multi;
    const multi_probe &m = *l->multi;
    u32 room = k.count, count = static_cast<u32>(m.places.size());
    if (!k.addrs != !room || (k.cookies && !room))
        return -EINVAL;
    k.count = count;
    k.flags = m.flags;
    k.missed = port_event_missed(l->hook);
    if (!k.addrs)
        return 0;
    u32 fits = min(room, count);
    status cookies = multi_probe::put_numbers(k.cookies, m.cookies, fits);
    status addrs = may_see_addresses() ? multi_probe::put_numbers(k.addrs, m.places, fits) : multi_probe::put_numbers(k.addrs, {}, fits);
    if (!cookies.ok() || !addrs.ok())
        return -EFAULT;
    return room < count ? -ENOSPC : 0;
}

}  // namespace modbpf
