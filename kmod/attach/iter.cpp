// SPDX-License-Identifier: GPL-2.0-only
// Sessions of iterators: files, and what read() does.
#include "attach/iter.h"

#include "attach/link.h"

namespace modbpf {

namespace {

constexpr size_t text_size = 8 * PORT_PAGE_SIZE;
constexpr u32 max_shown = 1000000; ///< objects in one read, whose programs may write nothing
constinit u64 last_session_id = 0; // atomic

/// Programs return 0, or 1 for an object that they want to see once more. `had`: so much text there is.
long run(iter_session &s, size_t had) {
    u64 ctx[1 + PORT_WALK_WORDS] = {addr_of(&s.meta)};
    for (u32 i = 0; i < PORT_WALK_WORDS; i++)
        ctx[1 + i] = s.words[i];
    program *p = s.prog.get();
    port_seq_set(s.meta.seq, s.from, had, s.index);
    u64 ret;
    if (p->sleepable) {
        ret = run_sleepable(p, ctx);
    } else {
        MODBPF_UNINITIALIZED event_run of_run(nullptr, 0, 0);
        ret = run_event(p, ctx, of_run); // its guard lets all in: nothing but iterators runs such a program
    }
    return static_cast<u32>(ret) ? -EAGAIN : 0;
}

/// 0; or why the object, whose text behind the first `had` bytes is then taken back, was not shown.
long show(iter_session &s, size_t had) {
    if (s.passed_over)
        return 0;
    long rc = run(s, had);
    if (rc && s.aim.target->program_ends) {
        s.stopped = true;
        rc = 0;
    }
    if (s.aim.target->shown)
        s.aim.target->shown(s);
    if (!rc && port_seq_overflowed(s.meta.seq))
        rc = -E2BIG;
    if (rc)
        port_seq_set(s.meta.seq, s.from, had, s.index);
    return rc;
}

bool start(iter_session &s) {
    if (!s.aim.target->start(s))
        return false;
    if (!s.index)
        s.index = 1;
    return true;
}

/// Shows objects, from the current one on, until the text is as long as asked or no more fits. True: stands at an object that was not
/// shown; *rc: nothing was shown, and why.
bool show_objects(iter_session &s, size_t wanted, long *rc) {
    const iter_target &t = *s.aim.target;
    *rc = show(s, port_seq_count(s.meta.seq));
    if (*rc)
        return true;
    for (u32 shown = 1;; shown++) {
        s.index++;
        if (!t.next(s))
            return false;
        s.meta.seq_num++;
        size_t had = port_seq_count(s.meta.seq);
        if (had >= wanted)
            return true;
        long why = shown < max_shown ? show(s, had) : -EAGAIN;
        if (why) {
            *rc = had ? 0 : why;
            return true;
        }
        port_cond_resched();
    }
}

/// The program is told of the end, once; its text counts if it fits.
long show_end(iter_session &s) {
    if (s.ended)
        return 0;
    size_t had = port_seq_count(s.meta.seq);
    (void)run(s, had);
    if (!port_seq_overflowed(s.meta.seq)) {
        s.ended = true;
        return 0;
    }
    port_seq_set(s.meta.seq, s.from, had, s.index);
    return had ? 0 : -E2BIG;
}

/// New text, for at least `wanted` bytes if there is so much.
long fill(iter_session &s, size_t wanted) {
    seq_scope writable(s.meta.seq);
    s.from = 0;
    long rc = 0;
    s.failed = 0;
    bool at_object = start(s) && show_objects(s, wanted, &rc);
    if (!at_object)
        return s.failed ? s.failed : show_end(s);
    s.aim.target->stop(s);
    return rc;
}

/// Of the text that is there.
long take(iter_session &s, u64 to, size_t size) {
    size_t had = port_seq_count(s.meta.seq), n = min(had, size);
    if (n && port_seq_to_user(s.meta.seq, s.from, to, n))
        return -EFAULT;
    s.from += n;
    port_seq_set(s.meta.seq, s.from, had - n, s.index);
    return static_cast<long>(n);
}

long read(void *obj, u64 to, size_t size) {
    iter_session &s = *static_cast<iter_session *>(obj);
    mutex_guard g(s.lock);
    if (!s.buffered && port_seq_buffer(s.meta.seq, text_size))
        return -ENOMEM;
    s.buffered = true;
    if (!port_seq_count(s.meta.seq))
        if (long rc = fill(s, size))
            return rc;
    return take(s, to, size);
}

void release(void *obj) { destroy(static_cast<iter_session *>(obj)); }

}  // namespace

iter_session::~iter_session() {
    port_walk_destroy(walk);
    port_seq_destroy(meta.seq);
    port_free(copy);
    port_free(before);
}

constinit const port_file_ops iter_file_ops = {
    .name = "bpf_iter",
    .release = release,
    .mmap = nullptr,
    .vma_open = nullptr,
    .vma_close = nullptr,
    .poll = nullptr,
    .show_fdinfo = nullptr,
    .ioctl = nullptr,
    .read = read,
};

result<own<iter_session>> iter_open(bpf_link *l) {
    if (l->type != BPF_LINK_TYPE_ITER)
        return error(EINVAL);
    own<iter_session> s(make<iter_session>(PORT_SLEEPING, l->aim));
    if (!s)
        return error(ENOMEM);
    s->prog = l->current_prog();
    s->meta.seq = port_seq_create();
    if (!s->meta.seq)
        return error(ENOMEM);
    TRY(s->aim.target->open(*s));
    s->meta.session_id = __atomic_add_fetch(&last_session_id, 1, __ATOMIC_RELAXED);
    return s;
}

long iter_new_fd(bpf_link *l) {
    result<own<iter_session>> s = iter_open(l);
    if (!s)
        return s.code();
    int fd = port_fd_create(&iter_file_ops, s->get(), PORT_FD_CLOEXEC | PORT_FD_RDONLY);
    if (fd >= 0)
        (void)s->release();
    return fd;
}

}  // namespace modbpf
