// SPDX-License-Identifier: GPL-2.0-only
#include "prog/files.h"

#include "prog/state.h"

namespace modbpf {

constinit state *core = nullptr;

counted::counted() { __atomic_fetch_add(&core->live, 1, __ATOMIC_RELAXED); }
counted::~counted() { __atomic_fetch_sub(&core->live, 1, __ATOMIC_RELEASE); }

void map_get_user(map *m) {
    m->get();
    m->user_get();
}

void map_put_user(map *m) {
    m->user_put();
    m->put();
}

namespace {

void map_release(void *obj) { map_put_user(static_cast<map *>(obj)); }
void map_hold(void *obj) { map_get_user(static_cast<map *>(obj)); }

/// Writable mappings count as writers, so that a map cannot be frozen under them.
int map_mmap(void *obj, port_vma *vma) {
    map *m = static_cast<map *>(obj);
    if (!m->ops->mmap || m->fields) // user space would forge what the fields hold
        return -ENOTSUPP;
    if (!port_vma_shared(vma))
        return -EINVAL;
    bool writable = port_vma_writable(vma);
    if (writable) {
        mutex_guard g(m->freeze_lock);
        if (m->frozen)
            return -EPERM;
        // A page that was once writable could be changed after a freeze, while programs rely on constant contents.
        if (m->params.flags & BPF_F_RDONLY_PROG)
            return -EACCES;
        map_write_begin(m);
    }
    port_vma_forbid_exec(vma);
    if (!writable)
        port_vma_forbid_write(vma);
    int rc = m->ops->mmap(m, vma);
    if (rc && writable)
        map_write_end(m);
    return rc;
}

void map_vma_open(void *obj, bool writable) {
    if (writable)
        map_write_begin(static_cast<map *>(obj));
}
void map_vma_close(void *obj, bool writable) {
    if (writable)
        map_write_end(static_cast<map *>(obj));
}

port_arena *map_arena(void *obj) {
    map *m = static_cast<map *>(obj);
    return m->ops->arena ? m->ops->arena(m) : nullptr;
}
int map_place(void *obj, u64 addr, size_t size, u64 offset) {
    map *m = static_cast<map *>(obj);
    return m->ops->place ? m->ops->place(m, addr, size, offset) : 0;
}
int map_fault(void *obj, port_fault *f, u64 addr) {
    map *m = static_cast<map *>(obj);
    return m->ops->fault ? m->ops->fault(m, f, addr) : -EFAULT;
}

unsigned int map_poll(void *obj, port_poll *poll) {
    map *m = static_cast<map *>(obj);
    return m->ops->poll ? m->ops->poll(m, poll) : PORT_POLL_ERR;
}

void map_fdinfo(void *obj, port_seq *seq) {
    map *m = static_cast<map *>(obj);
    const map_params &p = m->params;
    map_owner owner;
    {
        mutex_guard g(m->freeze_lock);
        owner = m->owner;
    }
    port_seq_printf(seq, "map_type:\t%u\nkey_size:\t%u\nvalue_size:\t%u\nmax_entries:\t%u\nmap_flags:\t%#x\n", p.type, p.key_size,
                    p.value_size, p.max_entries, p.flags);
    port_seq_printf(seq, "map_extra:\t%#llx\nmemlock:\t%llu\nmap_id:\t%u\nfrozen:\t%u\n", p.extra,
                    m->ops->memory ? m->ops->memory(m) : 0ull, m->id, map_frozen(m) ? 1u : 0u);
    if (owner.set)
        port_seq_printf(seq, "owner_prog_type:\t%u\nowner_jited:\t%u\n", owner.prog_type, owner.jited ? 1u : 0u);
}

void btf_release(void *obj) { static_cast<btf *>(obj)->put(); }

void btf_fdinfo(void *obj, port_seq *seq) { port_seq_printf(seq, "btf_id:\t%u\n", static_cast<btf *>(obj)->id); }

}  // namespace

constinit const port_file_ops map_file_ops = {
    .name = "bpf-map",
    .release = map_release,
    .hold = map_hold,
    .open = map_open_text,
    .mmap = map_mmap,
    .vma_open = map_vma_open,
    .vma_close = map_vma_close,
    .poll = map_poll,
    .show_fdinfo = map_fdinfo,
    .ioctl = nullptr,
    .arena = map_arena,
    .place = map_place,
    .fault = map_fault,
};

constinit const port_file_ops btf_file_ops = {
    .name = "btf",
    .release = btf_release,
    .hold = nullptr,
    .mmap = nullptr,
    .vma_open = nullptr,
    .vma_close = nullptr,
    .poll = nullptr,
    .show_fdinfo = btf_fdinfo,
    .ioctl = nullptr,
};

result<ref<map>> map_from_fd(int fd) {
    held_file<map> f = TRY(hold_file<map>(fd, map_file_ops));
    return ref<map>(f.get());
}

result<ref<btf>> btf_from_fd(int fd) {
    held_file<btf> f = TRY(hold_file<btf>(fd, btf_file_ops));
    return ref<btf>(f.get());
}

}  // namespace modbpf
