// SPDX-License-Identifier: GPL-2.0-only
// The program object: fd class, references, end of life.
#include "prog/prog.h"

#include "prog/files.h"
#include "prog/hooks.h"
#include "prog/state.h"

namespace modbpf {

namespace {

void free_program(reap_item *item) { destroy(owner_of(item, &program::reap)); }

void after_grace_period(port_rcu_head *head) {
    program *p = owner_of(head, &program::rcu);
    core->dead.push(&p->reap, free_program);
}

void release(void *obj) {
    static_cast<program *>(obj)->put();
    core->dead.pace();
}

void show_fdinfo(void *obj, port_seq *seq) {
    auto *p = static_cast<program *>(obj);
    prog_stats st = total_stats(p);
    const u8 *t = p->tag.bytes;
    // Linux counts the pages of its program structure: a header and the instructions.
    u64 memlock = align_up(64 + p->verified->xlated.size() * sizeof(bpf_insn), PORT_PAGE_SIZE);
    port_seq_printf(seq, "prog_type:\t%u\nprog_jited:\t%u\nprog_tag:\t%02x%02x%02x%02x%02x%02x%02x%02x\n", p->type->type, 1u, t[0],
                    t[1], t[2], t[3], t[4], t[5], t[6], t[7]);
    port_seq_printf(seq, "memlock:\t%llu\nprog_id:\t%u\nrun_time_ns:\t%llu\nrun_cnt:\t%llu\nrecursion_misses:\t%llu\n", memlock,
                    p->id, st.ns, st.runs, st.misses);
    port_seq_printf(seq, "verified_insns:\t%u\n", static_cast<u32>(p->verified->stats.insns_processed));
}

}  // namespace

program::program() = default;
program::~program() { port_percpu_free(stats); }

void program::dispose(program *p) {
    core->progs.remove(p->id);
    port_rcu_call(&p->rcu, after_grace_period);
}

constinit const port_file_ops prog_file_ops = {
    .name = "bpf-prog",
    .release = release,
    .hold = [](void *obj) { static_cast<program *>(obj)->get(); },
    .mmap = nullptr,
    .vma_open = nullptr,
    .vma_close = nullptr,
    .poll = nullptr,
    .show_fdinfo = show_fdinfo,
    .ioctl = nullptr,
};

result<ref<program>> prog_from_fd(int fd) {
    held_file<program> f = TRY(hold_file<program>(fd, prog_file_ops));
    return ref<program>(f.get());
}

long prog_new_fd(ref<program> p) {
    int fd = port_fd_create(&prog_file_ops, p.get(), PORT_FD_CLOEXEC);
    if (fd >= 0)
        (void)p.release();
    return fd;
}

bool may_see_addresses() { return port_capable(PORT_CAP_PERFMON); }

status check_user_tail(u64 uaddr, u32 known, u32 actual) {
    if (actual > PORT_PAGE_SIZE)
        return error(E2BIG);
    u8 chunk[64];
    for (u32 at = known; at < actual; at += sizeof(chunk)) {
        u32 n = min<u32>(actual - at, sizeof(chunk));
        if (port_copy_from_user(chunk, uaddr + at, n))
            return error(EFAULT);
        for (u32 i = 0; i < n; i++)
            if (chunk[i])
                return error(E2BIG);
    }
    return {};
}

status copy_name(char (&dst)[obj_name_len], const char (&src)[obj_name_len]) {
    memset(dst, 0, sizeof(dst));
    for (u32 i = 0; i < obj_name_len; i++) {
        char c = src[i];
        if (!c)
            return {};
        char lower = static_cast<char>(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.')
            return error(EINVAL);
        dst[i] = c;
    }
    return error(EINVAL); // no NUL
}

}  // namespace modbpf
