// SPDX-License-Identifier: GPL-2.0-only
// uprobe and uretprobe events. Where a program may sleep, its run holds a reference: the event's can go meanwhile.
#include "attach/uprobe.h"

#include "attach/perf_event.h"
#include "helpers/uprobe.h"

namespace modbpf {

namespace {

/// A sleepable program's context, and the words before it.
struct sleeping_ctx {
    u64 words[uprobe_words];
    u8 regs[PORT_REGS_SIZE];
};

void on_hit(void *priv, u32, void *regs, u64 addr) {
    auto *e = static_cast<perf_event *>(priv);
    program *p;
    u64 cookie;
    {
        rcu_read_guard readers;
        p = __atomic_load_n(&e->prog, __ATOMIC_ACQUIRE);
        if (!p)
            return;
        cookie = e->cookie;
        if (!p->sleepable)
            return run_at_uprobe(p, regs, addr, cookie);
        if (!p->try_get())
            return;
    }
    run_at_uprobe(p, regs, addr, cookie);
    p->put();
}

}  // namespace

void run_at_uprobe(program *p, void *regs, u64 addr, u64 cookie) {
    if (p->sleepable) {
        sleeping_ctx ctx;
        ctx.words[uprobe_words + uprobe_addr] = addr;
        ctx.words[uprobe_words + uprobe_cookie] = cookie;
        memcpy(ctx.regs, regs, sizeof(ctx.regs));
        (void)run_sleepable(p, ctx.regs);
        return;
    }
    MODBPF_UNINITIALIZED event_run run(regs, addr, cookie);
    (void)run_unguarded(p, regs, run);
}

result<vec<char>> copy_path(u64 upath) {
    vec<char> path;
    TRY(path.resize(path_max + 1)); // one more than fits tells what is too long
    long n = port_strncpy_from_user(path.data(), upath, path_max + 1);
    if (n < 0)
        return error(EFAULT);
    TRY(path.resize(n < path_max ? static_cast<size_t>(n) + 1 : 0));
    return path;
}

status uprobe_open(perf_event *e, u64 upath, u64 offset, s32 pid) {
    if (!port_capable(PORT_CAP_SYS_ADMIN))
        return error(EACCES);
    if (!upath)
        return error(EINVAL);
    e->path = TRY(copy_path(upath));
    if (e->path.empty())
        return error(E2BIG);
    if (!e->path[0])
        return error(EINVAL);
    e->offset = offset;
    port_uprobe_place place{offset, e->config >> 32};
    port_uprobe_spec spec{};
    spec.path = e->path.data();
    spec.scope = pid < 0 ? PORT_UPROBE_ALL : PORT_UPROBE_SPACE;
    spec.pid = pid;
    spec.retprobe = e->what == perf_event::kind::uretprobe;
    spec.count = 1;
    spec.places = &place;
    int rc = port_uprobe_attach(&spec, on_hit, e, &e->hook);
    return rc ? status(error(rc == -EBADF ? EINVAL : -rc)) : status();
}

}  // namespace modbpf
