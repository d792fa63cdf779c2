// SPDX-License-Identifier: GPL-2.0-only
// Files on POSIX: objects of the core behind real descriptors; see user.h for the idea.
//
// Ownership: a file holds the core's reference to its object and is itself counted: one reference for its descriptors,
// one for each port_file_get in progress, one for each mapping. The last one calls ops->release.
// Locks: table_lock (the table of files, `open`, mappings), poll_lock (wait queues, readiness). In this order; the core
// is never called with one held. port_waitq_wake takes poll_lock only.
#include "base/errno.h"
#include "port/user/user.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct port_file {
    port_file *next_hash;
    const port_file_ops *ops;
    void *obj;
    u64 inode;
    unsigned int access;
    int write_fd;
    u32 refs;  ///< atomic
    bool open; ///< under table_lock: some descriptor is left; holds one of refs

    // under poll_lock
    port_waitq *waitq;
    port_file *next_waiter;
    bool ready;   ///< a byte is in the pipe
    bool taking;  ///< ops->poll takes the readiness that it reports (perf events do): reported once, kept until a wait
    bool waited;  ///< the program has waited, with success, since it became ready
    bool no_poll; ///< ops->poll registered no wait queue: its state never changes
};

struct port_waitq {
    port_file *files;
};

struct port_poll {
    port_file *file;
    bool waited;
};

/// Programs read it as the kernel's struct seq_file: its first members stand where that has them, and it is not smaller.
struct port_seq {
    char *buf;
    size_t size;
    size_t from;
    size_t len; ///< what was written; of fdinfo, what would have been
    size_t pad_until;
    s64 index;
    u8 rest[256];
};

struct port_vma {
    u8 *addr; ///< MAP_FIXED: where
    size_t size;
    u64 offset;
    bool write, shared, fixed, may_write, exec_forbidden;
    int prot;
    port_file *file;
    u8 *mapped; ///< set by port_vma_map
};

namespace {

constexpr u32 buckets = 1024;
port_file *table[buckets];
u32 file_count; // atomic
u32 pollable;   // atomic: files whose class can be polled
pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t poll_lock = PTHREAD_MUTEX_INITIALIZER;
int closed_epoll = -1; // reports the write ends without readers
u64 pipe_device;       // st_dev of pipes

const port_file_ops *classes[PORT_FILE_CLASSES];

struct mapping {
    mapping *next;
    u8 *addr;
    size_t size;
    bool write;
    port_file *file; ///< holds a reference
};
mapping *mappings; // under table_lock
u32 mapping_count; // atomic

struct lock {
    explicit lock(pthread_mutex_t &m) : m_(m) { pthread_mutex_lock(&m_); }
    ~lock() { pthread_mutex_unlock(&m_); }
    lock(const lock &) = delete;
    pthread_mutex_t &m_;
};

/// Keeps libc's errno, which belongs to the program.
struct keep_errno {
    int saved = errno;
    ~keep_errno() { errno = saved; }
};

port_file **bucket(u64 inode) { return &table[inode % buckets]; }

/// The inode number when fd is a pipe, else 0.
u64 pipe_inode(int fd) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISFIFO(st.st_mode) || st.st_dev != __atomic_load_n(&pipe_device, __ATOMIC_RELAXED))
        return 0;
    return st.st_ino;
}

port_file *find_locked(u64 inode) {
    port_file *f = inode ? *bucket(inode) : nullptr;
    while (f && (f->inode != inode || !f->open))
        f = f->next_hash;
    return f;
}

/// The file behind fd with a reference, or null. A file whose descriptors are all gone is not found.
port_file *get_file(int fd) {
    keep_errno keep;
    if (fd < 0 || !__atomic_load_n(&file_count, __ATOMIC_RELAXED))
        return nullptr;
    u64 inode = pipe_inode(fd);
    if (!inode)
        return nullptr;
    lock l(table_lock);
    port_file *f = find_locked(inode);
    if (f)
        __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}

void leave_waitq_locked(port_file *f) {
    if (!f->waitq)
        return;
    for (port_file **at = &f->waitq->files; *at; at = &(*at)->next_waiter)
        if (*at == f) {
            *at = f->next_waiter;
            break;
        }
    f->waitq = nullptr;
}

void put_file(port_file *f) {
    if (__atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    {
        lock l(poll_lock);
        leave_waitq_locked(f);
    }
    f->ops->release(f->obj);
    free(f);
}

/// Takes f out of the table and closes its write end: no descriptor is left. Drops the descriptors' reference.
void retire(port_file *f) {
    {
        lock l(table_lock);
        if (!f->open)
            return;
        f->open = false;
        for (port_file **at = bucket(f->inode); *at; at = &(*at)->next_hash)
            if (*at == f) {
                *at = f->next_hash;
                break;
            }
        __atomic_fetch_sub(&file_count, 1, __ATOMIC_RELAXED);
        if (f->ops->poll)
            __atomic_fetch_sub(&pollable, 1, __ATOMIC_RELAXED);
    }
    {
        lock l(poll_lock);
        if (pipe_inode(f->write_fd) == f->inode) // the program may have closed it and reused its number
            close(f->write_fd);
        f->write_fd = -1;
    }
    put_file(f);
}

bool watch_locked(port_file *f) {
    if (closed_epoll < 0) {
        int fd = epoll_create1(EPOLL_CLOEXEC);
        if (fd < 0)
            return false;
        closed_epoll = port_user_high_fd(fd);
    }
    epoll_event e = {};
    e.data.u64 = f->inode; // EPOLLERR needs no asking
    return epoll_ctl(closed_epoll, EPOLL_CTL_ADD, f->write_fd, &e) == 0;
}

void set_ready_locked(port_file *f, bool ready) {
    if (f->ready == ready || f->write_fd < 0)
        return;
    char byte = 0;
    if (ready) {
        f->ready = write(f->write_fd, &byte, 1) == 1;
        f->waited = false;
        return;
    }
    // Only a reader can take the byte out, and the program may have moved its descriptors: make one for a moment.
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", f->write_fd);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        f->ready = read(fd, &byte, 1) == 1 ? false : f->ready;
        close(fd);
    }
}

void update_ready(port_file *f) {
    if (f->no_poll)
        return;
    port_poll p = {f, false};
    bool in = f->ops->poll(f->obj, &p) & PORT_POLL_IN;
    bool again = in && (f->ops->poll(f->obj, &p) & PORT_POLL_IN);
    lock l(poll_lock);
    if (!p.waited)
        f->no_poll = true;
    f->taking |= in && !again;
    if (in)
        f->waited = false;
    if (p.waited && (in || !f->taking || f->waited))
        set_ready_locked(f, in);
}

void update_all_ready() {
    for (u32 b = 0; b < buckets; b++) {
        // The bucket's i-th file, each time anew, because the lock is given back around the poll.
        for (u32 i = 0;; i++) {
            port_file *f;
            {
                lock l(table_lock);
                f = table[b];
                for (u32 skip = 0; f && skip < i; skip++)
                    f = f->next_hash;
                if (!f)
                    break;
                __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
            }
            if (f->ops->poll)
                update_ready(f);
            put_file(f);
        }
    }
}

void retire_closed() {
    for (;;) {
        epoll_event events[32];
        int n = epoll_wait(closed_epoll, events, 32, 0);
        u32 retired = 0;
        for (int i = 0; i < n; i++) {
            port_file *f;
            {
                lock l(table_lock);
                f = find_locked(events[i].data.u64);
                if (f)
                    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
            }
            if (!f)
                continue;
            retire(f);
            put_file(f);
            retired++;
        }
        if (n < 32 || !retired)
            return;
    }
}

/// Read end (the lowest free number) and write end (a high one) of a new pipe.
int make_pipe(unsigned int flags, int *write_fd) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
        return -errno;
    if (!(flags & PORT_FD_CLOEXEC))
        fcntl(ends[0], F_SETFD, 0);
    *write_fd = port_user_high_fd(ends[1]);
    return ends[0];
}

} // namespace

int port_user_high_fd(int fd) {
    rlimit limit;
    int base = 512;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        base = limit.rlim_cur > (1 << 16) ? 1 << 15 : static_cast<int>(limit.rlim_cur / 2);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, base);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

void port_user_file_before_fork(void) {
    pthread_mutex_lock(&table_lock);
    pthread_mutex_lock(&poll_lock);
}

void port_user_file_after_fork_parent(void) {
    pthread_mutex_unlock(&poll_lock);
    pthread_mutex_unlock(&table_lock);
}

void port_user_file_after_fork(void) {
    // The epoll instance is shared with the parent: make our own.
    pthread_mutex_init(&table_lock, nullptr);
    pthread_mutex_init(&poll_lock, nullptr);
    if (closed_epoll < 0)
        return;
    close(closed_epoll);
    closed_epoll = -1;
    for (port_file *head : table)
        for (port_file *f = head; f; f = f->next_hash)
            watch_locked(f);
}

void port_user_waited(void) {
    if (!__atomic_load_n(&pollable, __ATOMIC_RELAXED))
        return;
    lock l(table_lock);
    lock m(poll_lock);
    for (port_file *head : table)
        for (port_file *f = head; f; f = f->next_hash)
            f->waited |= f->ready;
}

void port_user_sweep(void) {
    keep_errno keep;
    port_jiffies();
    if (!__atomic_load_n(&file_count, __ATOMIC_RELAXED))
        return;
    retire_closed();
    if (__atomic_load_n(&pollable, __ATOMIC_RELAXED))
        update_all_ready();
}

int port_file_class_register(const port_file_ops *ops) {
    for (const port_file_ops *&c : classes)
        if (!c) {
            c = ops;
            return 0;
        }
    return -ENOSPC;
}

void port_file_class_unregister_all(void) { memset(classes, 0, sizeof(classes)); }

int port_fd_create(const port_file_ops *ops, void *obj, unsigned int flags) {
    keep_errno keep;
    port_user_watch_forks();
    port_file *f = static_cast<port_file *>(port_alloc(sizeof(*f), PORT_SLEEPING));
    if (!f)
        return -ENOMEM;
    int fd = make_pipe(flags, &f->write_fd);
    if (fd < 0) {
        free(f);
        return fd;
    }
    struct stat st;
    fstat(fd, &st);
    __atomic_store_n(&pipe_device, st.st_dev, __ATOMIC_RELAXED);
    f->ops = ops;
    f->obj = obj;
    f->inode = st.st_ino;
    f->access = flags & (PORT_FD_RDONLY | PORT_FD_WRONLY);
    f->refs = 1;
    f->open = true;
    lock l(table_lock);
    if (!watch_locked(f)) {
        close(fd);
        close(f->write_fd);
        free(f);
        return -ENOMEM;
    }
    f->next_hash = *bucket(f->inode);
    *bucket(f->inode) = f;
    __atomic_fetch_add(&file_count, 1, __ATOMIC_RELAXED);
    if (ops->poll)
        __atomic_fetch_add(&pollable, 1, __ATOMIC_RELAXED);
    return fd;
}

int port_file_get(int fd, const port_file_ops *ops, port_file **file, void **obj) {
    keep_errno keep;
    if (fd < 0 || fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    port_file *f = get_file(fd);
    if (!f)
        return -EINVAL;
    if (f->ops != ops) {
        put_file(f);
        return -EINVAL;
    }
    *file = f;
    *obj = f->obj;
    return 0;
}

/// A process knows its own files.
int port_file_get_of(s32 pid, u32 fd, const port_file_ops *ops, port_file **file, void **obj) {
    keep_errno keep;
    if (pid == getpid() || pid == gettid())
        return port_file_get(static_cast<int>(fd), ops, file, obj);
    return pid <= 0 || (kill(pid, 0) && errno == ESRCH) ? -ENOENT : -EOPNOTSUPP;
}

void port_file_put(port_file *f) { put_file(f); }
unsigned int port_file_access(port_file *f) { return f->access; }

bool port_user_owns_fd(int fd) { return port_user_class(fd) != nullptr; }

const char *port_user_class(int fd) {
    port_file *f = get_file(fd);
    if (!f)
        return nullptr;
    const char *name = f->ops->name;
    put_file(f);
    return name;
}

long port_user_ioctl(int fd, unsigned int cmd, u64 arg) {
    port_file *f = get_file(fd);
    if (!f)
        return -EBADF;
    long r = f->ops->ioctl ? f->ops->ioctl(f->obj, cmd, arg) : -ENOTTY;
    put_file(f);
    return r;
}

long port_user_fdinfo(int fd, char *buf, size_t size) {
    port_file *f = get_file(fd);
    if (!f)
        return -EBADF;
    port_seq seq = {};
    seq.buf = buf, seq.size = size;
    if (size)
        buf[0] = 0;
    if (f->ops->show_fdinfo)
        f->ops->show_fdinfo(f->obj, &seq);
    put_file(f);
    return static_cast<long>(seq.len);
}

// A process has no module to unload.
void port_module_pin() {}
void port_module_unpin() {}

void port_seq_printf(port_seq *s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    size_t at = s->len < s->size ? s->len : s->size;
    int n = vsnprintf(s->buf + at, s->size - at, fmt, args);
    va_end(args);
    s->len += n > 0 ? static_cast<size_t>(n) : 0;
}

port_seq *port_seq_create() { return static_cast<port_seq *>(port_alloc(sizeof(port_seq), PORT_SLEEPING)); }

int port_seq_buffer(port_seq *s, size_t size) {
    s->buf = static_cast<char *>(port_alloc(size, PORT_SLEEPING));
    s->size = s->buf ? size : 0;
    return s->buf ? 0 : -ENOMEM;
}

void port_seq_destroy(port_seq *s) {
    if (s)
        port_free(s->buf);
    port_free(s);
}

size_t port_seq_count(const port_seq *s) { return s->len; }
bool port_seq_overflowed(const port_seq *s) { return s->len == s->size; }

void port_seq_set(port_seq *s, size_t from, size_t count, s64 index) {
    s->from = from;
    s->len = count;
    s->index = index;
}

int port_seq_to_user(const port_seq *s, size_t from, u64 to, size_t n) {
    return port_copy_to_user(to, s->buf + from, n) ? -EFAULT : 0;
}

size_t port_seq_room(port_seq *s, char **at) {
    *at = s->buf + s->len;
    return s->size - s->len;
}

void port_seq_commit(port_seq *s, size_t n) { s->len = n < s->size - s->len ? s->len + n : s->size; }

long port_user_read(int fd, void *to, size_t size) {
    port_file *f = get_file(fd);
    if (!f)
        return -EBADF;
    long n = f->ops->read ? f->ops->read(f->obj, reinterpret_cast<u64>(to), size) : -EINVAL;
    put_file(f);
    return n;
}

// ---- walks: a process knows nothing of the kernel's objects ----

int port_walk_create(port_walk_kind, port_walk_of, u32, port_walk **) { return -EOPNOTSUPP; }
void port_walk_destroy(port_walk *) {}
bool port_walk_start(port_walk *, u64 *) { return false; }
bool port_walk_next(port_walk *, u64 *) { return false; }
void port_walk_stop(port_walk *) {}

// ---- poll ----

port_waitq *port_waitq_create(void) {
    return static_cast<port_waitq *>(port_alloc(sizeof(port_waitq), PORT_SLEEPING));
}

void port_waitq_destroy(port_waitq *q) {
    if (!q)
        return;
    {
        lock l(poll_lock);
        while (q->files)
            leave_waitq_locked(q->files);
    }
    free(q);
}

void port_waitq_wake(port_waitq *q) {
    keep_errno keep;
    lock l(poll_lock);
    for (port_file *f = q->files; f; f = f->next_waiter)
        set_ready_locked(f, true);
}

void port_poll_wait(port_poll *p, port_waitq *q) {
    p->waited = true;
    lock l(poll_lock);
    port_file *f = p->file;
    if (f->waitq == q)
        return;
    leave_waitq_locked(f);
    f->waitq = q;
    f->next_waiter = q->files;
    q->files = f;
}

// ---- mmap ----

size_t port_vma_size(port_vma *v) { return v->size; }
u64 port_vma_offset(port_vma *v) { return v->offset; }
bool port_vma_writable(port_vma *v) { return v->write; }
bool port_vma_shared(port_vma *v) { return v->shared; }
bool port_vma_may_write(port_vma *v) { return v->may_write; }
void port_vma_forbid_write(port_vma *v) { v->may_write = false; } // this mapping only: mprotect asks nobody here
void port_vma_forbid_exec(port_vma *v) { v->exec_forbidden = true; }

namespace {

/// One more mapping of [from, from + size), pages of one shared area, at `to`.
bool remap(u8 *from, size_t size, u8 *to) {
    return size == 0 || mremap(from, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

void add_mapping_locked(mapping *m, u8 *addr, size_t size, bool write, port_file *f) {
    *m = {mappings, addr, size, write, f};
    mappings = m;
    __atomic_fetch_add(&mapping_count, 1, __ATOMIC_RELAXED);
}

} // namespace

int port_vma_map(port_vma *v, port_region *r, size_t region_off) {
    u8 *base = static_cast<u8 *>(port_region_addr(r));
    size_t size = port_region_size(r);
    size_t mirror = port_user_region_mirror(r);
    if (region_off % PORT_PAGE_SIZE || region_off > size + mirror || v->size > size + mirror - region_off)
        return -EINVAL;
    void *hint = v->addr;
    void *space = mmap(hint, v->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (v->fixed ? MAP_FIXED : 0),
                       -1, 0);
    if (space == MAP_FAILED)
        return -errno;
    u8 *to = static_cast<u8 *>(space);
    // The mirror is a mapping of its own, and one call cannot span two.
    size_t first = region_off >= size ? 0 : (v->size < size - region_off ? v->size : size - region_off);
    size_t rest_off = region_off + first;
    bool ok = remap(base + region_off, first, to) && remap(base + rest_off, v->size - first, to + first) &&
              mprotect(to, v->size, v->prot) == 0;
    if (!ok) {
        munmap(space, v->size);
        return -ENOMEM;
    }
    v->mapped = to;
    return 0;
}

u64 port_vma_addr(port_vma *v) { return reinterpret_cast<u64>(v->addr); }

int port_vma_map_arena(port_vma *v, port_arena *a) {
    if (!port_user_arena_map(a, v->addr, v->size, v->prot))
        return -ENOMEM;
    v->mapped = v->addr;
    return 0;
}

int port_fault_map(port_fault *, port_arena *, u32) { return -EFAULT; } // no fault comes this way

namespace {

constexpr u64 upper_half = 1ull << 32;
bool in_one_piece(u64 addr, size_t size) { return addr / upper_half == (addr + size - 1) / upper_half; }

/// Reserves a place where all addresses have the same upper half, which then is where the mapping goes.
long reserve_piece(port_vma *v) {
    u64 addr = reinterpret_cast<u64>(v->addr);
    if (v->fixed && !in_one_piece(addr, v->size))
        return -EINVAL;
    size_t room = v->fixed ? v->size : 2 * v->size;
    void *space = mmap(v->addr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (v->fixed ? MAP_FIXED : 0), -1, 0);
    if (space == MAP_FAILED)
        return -errno;
    u8 *from = static_cast<u8 *>(space), *at = from, *end = from + room;
    if (u64 start = reinterpret_cast<u64>(from); !in_one_piece(start, v->size))
        at += upper_half - start % upper_half;
    if (at != from)
        munmap(from, static_cast<size_t>(at - from));
    if (at + v->size != end)
        munmap(at + v->size, static_cast<size_t>(end - at) - v->size);
    v->addr = at;
    v->fixed = true;
    return 0;
}

} // namespace

long port_user_mmap(void *addr, size_t size, int prot, int flags, int fd, u64 offset) {
    keep_errno keep;
    if (size == 0 || offset % PORT_PAGE_SIZE || size > (1ul << 46))
        return -EINVAL;
    size = (size + PORT_PAGE_SIZE - 1) & ~static_cast<size_t>(PORT_PAGE_SIZE - 1);
    port_file *f = get_file(fd);
    if (!f)
        return -EBADF;
    int type = flags & MAP_TYPE;
    bool shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
    bool may_write = !(f->access & PORT_FD_RDONLY);
    port_vma v = {static_cast<u8 *>(addr), size, offset, !!(prot & PROT_WRITE), shared, !!(flags & MAP_FIXED), may_write,
                  false, prot, f, nullptr};
    long rc = 0;
    if (!f->ops->mmap)
        rc = -ENODEV;
    else if (f->access & PORT_FD_WRONLY)
        rc = -EACCES;
    else if (shared && v.write && !may_write)
        rc = -EACCES;
    int place = rc || !f->ops->place ? 0 : f->ops->place(f->obj, reinterpret_cast<u64>(addr), size, offset);
    if (place < 0)
        rc = place;
    mapping *m = rc ? nullptr : static_cast<mapping *>(malloc(sizeof(mapping)));
    if (!rc && !m)
        rc = -ENOMEM;
    if (!rc && v.fixed)
        rc = port_user_unmapped(addr, size);
    bool reserved = !rc && place == 1 && !(rc = reserve_piece(&v));
    if (!rc)
        rc = f->ops->mmap(f->obj, &v);
    if (rc && reserved)
        munmap(v.addr, size);
    if (!rc && !v.mapped) {
        (void)MODBPF_BUG_ON(true); // the class said yes and mapped nothing
        rc = -ENODEV;
    }
    if (rc) {
        free(m);
        put_file(f);
        return rc;
    }
    lock l(table_lock);
    add_mapping_locked(m, v.mapped, size, v.may_write, f); // keeps the reference
    return static_cast<long>(reinterpret_cast<uptr>(v.mapped));
}

namespace {
port_arena *arena_of(const port_file *f) { return f->ops->arena ? f->ops->arena(f->obj) : nullptr; }

/// Does a mapping of an arena reach over the range's ends?
bool cuts_arena(const u8 *lo, const u8 *hi) {
    lock l(table_lock);
    for (mapping *m = mappings; m; m = m->next)
        if (m->addr < hi && m->addr + m->size > lo && (m->addr < lo || m->addr + m->size > hi) && arena_of(m->file))
            return true;
    return false;
}
} // namespace

int port_user_unmapped(void *addr, size_t size) {
    if (!__atomic_load_n(&mapping_count, __ATOMIC_RELAXED) || !size)
        return 0;
    keep_errno keep;
    u8 *lo = static_cast<u8 *>(addr);
    u8 *hi = lo + ((size + PORT_PAGE_SIZE - 1) & ~static_cast<size_t>(PORT_PAGE_SIZE - 1));
    if (cuts_arena(lo, hi))
        return -EINVAL;
    for (;;) {
        mapping gone = {}, *spare = static_cast<mapping *>(malloc(sizeof(mapping)));
        bool split = false, closed = false;
        {
            lock l(table_lock);
            mapping **at = &mappings;
            while (*at && ((*at)->addr >= hi || (*at)->addr + (*at)->size <= lo))
                at = &(*at)->next;
            mapping *m = *at;
            if (!m) {
                free(spare);
                return 0;
            }
            gone = *m;
            u8 *end = m->addr + m->size;
            if (m->addr < lo && end > hi && spare) { // a hole: two mappings are left
                __atomic_fetch_add(&m->file->refs, 1, __ATOMIC_RELAXED);
                add_mapping_locked(spare, hi, static_cast<size_t>(end - hi), m->write, m->file);
                spare = nullptr;
                m->size = static_cast<size_t>(lo - m->addr);
                split = true;
            } else if (m->addr < lo) {
                m->size = static_cast<size_t>(lo - m->addr);
            } else if (end > hi) {
                m->size = static_cast<size_t>(end - hi);
                m->addr = hi;
            } else {
                *at = m->next;
                free(m);
                __atomic_fetch_sub(&mapping_count, 1, __ATOMIC_RELAXED);
                closed = true;
            }
        }
        free(spare);
        if (split && gone.file->ops->vma_open)
            gone.file->ops->vma_open(gone.file->obj, gone.write);
        if (closed) {
            if (port_arena *a = arena_of(gone.file))
                port_user_arena_unmapped(a, gone.addr);
            if (gone.file->ops->vma_close)
                gone.file->ops->vma_close(gone.file->obj, gone.write);
            put_file(gone.file);
        }
    }
}

int port_fd_close(int fd) { return close(fd) ? -EBADF : 0; }
