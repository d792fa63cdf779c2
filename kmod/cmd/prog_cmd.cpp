// SPDX-License-Identifier: GPL-2.0-only
// Commands on programs: load, test run, bind a map; run-time statistics.
#include "cmd/attr.h"
#include "prog/files.h"
#include "prog/test_run.h"

namespace modbpf {

long cmd_prog_load(const attr_view &v) {
    if (v.as<prog_load_attr>().attach_btf_id) // whose id the program's information shows
        if (status named = name_kernel_types(); !named)
            return named.code();
    result<ref<program>> p = prog_load(v.as<prog_load_attr>(), v.user, v.size);
    return p.ok() ? prog_new_fd(move(*p)) : p.code();
}

long cmd_prog_test_run(const attr_view &v) {
    const auto &a = v.as<test_run_attr>();
    if (!a.ctx_size_in != !a.ctx_in || !a.ctx_size_out != !a.ctx_out)
        return -EINVAL;
    result<ref<program>> p = prog_from_fd(static_cast<int>(a.prog_fd));
    if (!p)
        return p.code();
    if (!(*p)->type->test_run || !(*p)->runs())
        return -ENOTSUPP;
    test_run_request req{.data_in = a.data_in,
                         .data_out = a.data_out,
                         .ctx_in = a.ctx_in,
                         .ctx_out = a.ctx_out,
                         .data_size_in = a.data_size_in,
                         .data_size_out = a.data_size_out,
                         .ctx_size_in = a.ctx_size_in,
                         .ctx_size_out = a.ctx_size_out,
                         .duration = a.duration,
                         .repeat = a.repeat,
                         .flags = a.flags,
                         .cpu = a.cpu,
                         .batch_size = a.batch_size};
    test_run_result res{};
    status ran = prog_test_run(p->get(), req, res);
    long rc = 0;
    if (res.has_data_size)
        rc = v.put(__builtin_offsetof(test_run_attr, data_size_out), res.data_size_out);
    if (!rc && res.has_retval)
        rc = v.put(__builtin_offsetof(test_run_attr, retval), res.retval);
    if (!rc && res.has_duration)
        rc = v.put(__builtin_offsetof(test_run_attr, duration), res.duration);
    if (!rc && res.has_ctx_size)
        rc = v.put(__builtin_offsetof(test_run_attr, ctx_size_out), res.ctx_size_out);
    return rc ? rc : ran.code();
}

long cmd_prog_bind_map(const attr_view &v) {
    const auto &a = v.as<prog_bind_map_attr>();
    if (a.flags)
        return -EINVAL;
    result<ref<program>> p = prog_from_fd(static_cast<int>(a.prog_fd));
    if (!p)
        return p.code();
    result<ref<map>> m = map_from_fd(static_cast<int>(a.map_fd));
    if (!m)
        return m.code();
    mutex_guard g((*p)->maps_lock);
    vec<ref<map>> &maps = (*p)->verified->maps;
    for (const ref<map> &used : maps)
        if (used.get() == m->get())
            return 0;
    return maps.push(move(*m)).code();
}

namespace {

u32 *stats_users() { return &core->stats_users; }

void stats_release(void *obj) { __atomic_fetch_sub(static_cast<u32 *>(obj), 1, __ATOMIC_RELAXED); }
void stats_fdinfo(void *, port_seq *) {} // Linux has no keys for it

}  // namespace

constinit const port_file_ops stats_file_ops = {
    .name = "bpf-stats",
    .release = stats_release,
    .hold = nullptr,
    .mmap = nullptr,
    .vma_open = nullptr,
    .vma_close = nullptr,
    .poll = nullptr,
    .show_fdinfo = stats_fdinfo,
    .ioctl = nullptr,
};

/// While the fd is open, runs are counted and timed.
long cmd_enable_stats(const attr_view &v) {
    if (v.as<enable_stats_attr>().type != 0) // BPF_STATS_RUN_TIME
        return -EINVAL;
    __atomic_fetch_add(stats_users(), 1, __ATOMIC_RELAXED);
    int fd = port_fd_create(&stats_file_ops, stats_users(), PORT_FD_CLOEXEC | PORT_FD_RDONLY);
    if (fd < 0)
        __atomic_fetch_sub(stats_users(), 1, __ATOMIC_RELAXED);
    return fd;
}

}  // namespace modbpf
