// SPDX-License-Identifier: GPL-2.0-only
#include "maps/async.h"

#include "maps/cache.h"
#include "maps/cpu_lock.h"
#include "maps/grave.h"

namespace modbpf {

constinit async_hooks async_progs{};

struct async_task {
    grave_item grave;
    async_kind kind;
    cpu_lock lock;   ///< fn and program
    u64 fn;          ///< the callback, or 0
    void *program;   ///< that it is a function of, with a reference; or null
    map *m;
    void *value;
    u32 refs;        ///< atomic
    bool gone;       ///< the field was let go: nothing is called any more. Atomic
    u32 cancelling;  ///< callbacks that wait for this one's end. Atomic
    union {
        port_timer timer;
        port_work work;
    };
};

namespace {

constinit object_cache *cache = nullptr;

void put_task(async_task *t) {
    if (__atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) == 1)
        cache->give(t);
}

/// Takes callback and program away; *program: what the caller must put, or null. False: what this CPU interrupted holds the lock.
bool disarm(async_task *t, void **program) {
    constexpr u32 tries = 64; // each of them waits for a holder on another CPU
    for (u32 i = 0; i < tries; i++)
        if (lock_section s(t->lock); s) {
            *program = t->program;
            t->program = nullptr;
            __atomic_store_n(&t->fn, u64{0}, __ATOMIC_RELAXED);
            return true;
        }
    return false;
}

/// Task context: no holder of the lock was interrupted here.
void empty_task(grave_item *i) {
    auto *t = reinterpret_cast<async_task *>(i);
    void *program;
    while (!disarm(t, &program))
        port_cond_resched();
    if (program)
        async_progs.put(program);
}
void free_task(grave_item *i) {
    auto *t = reinterpret_cast<async_task *>(i);
    if (t->kind == async_kind::timer)
        port_timer_stop(&t->timer);
    put_task(t);
}
constexpr grave_kind task_kind{empty_task, free_task};

struct call {
    void *program = nullptr;
    u64 fn = 0;
};

/// The callback, with references to its program and to the map; none when it was cancelled. A map whose fields were let go stays for
/// a grace period.
call callback_of(async_task *t) {
    rcu_read_guard readers;
    for (;;)
        if (lock_section s(t->lock); s) {
            if (__atomic_load_n(&t->gone, __ATOMIC_ACQUIRE) || !t->fn || !t->m->try_get())
                return {};
            if (async_progs.hold(t->program))
                return {t->program, t->fn};
            t->m->put();
            return {};
        }
}

void run_callback(async_task *t) {
    call c = callback_of(t);
    if (!c.program)
        return;
    map *m = t->m;
    u32 index;
    const u64 args[3] = {addr_of(m), addr_of(m->ops->key_of(m, t->value, &index)), addr_of(t->value)};
    async_progs.run(c.program, c.fn, args, t, t->kind == async_kind::work);
    async_progs.put(c.program);
    m->put();
}

template <class M> async_task *task_of(M *m) {
    return reinterpret_cast<async_task *>(reinterpret_cast<u8 *>(m) - __builtin_offsetof(async_task, timer));
}

void timer_fired(port_timer *p) { run_callback(task_of(p)); }

void work_runs(port_work *w) {
    async_task *t = task_of(w);
    run_callback(t);
    put_task(t);
}

async_task *task_in(const async_field &f) { return __atomic_load_n(&f.task, __ATOMIC_ACQUIRE); }
bool has_users(const map *m) { return __atomic_load_n(&m->user_refs, __ATOMIC_SEQ_CST); }

bool callback_set(async_task *t) { return __atomic_load_n(&t->fn, __ATOMIC_RELAXED); }

} // namespace

status async_prepare() {
    object_cache *c = TRY(object_cache::of_size(sizeof(async_task)));
    __atomic_store_n(&cache, c, __ATOMIC_RELEASE);
    return {};
}

long async_init(async_field &f, map *m, void *value, async_kind kind, u32 clock) {
    if (port_in_nmi())
        return -EOPNOTSUPP;
    if (task_in(f))
        return -EBUSY;
    auto *t = cache ? static_cast<async_task *>(cache->take()) : nullptr;
    if (!t)
        return -ENOMEM;
    t->kind = kind;
    t->m = m;
    t->value = value;
    t->refs = 1;
    if (kind == async_kind::timer)
        port_timer_init(&t->timer, static_cast<int>(clock), timer_fired);
    else
        port_work_init(&t->work, work_runs);
    async_task *none = nullptr;
    if (!__atomic_compare_exchange_n(&f.task, &none, t, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        cache->give(t); // nobody has seen it
        return -EBUSY;
    }
    if (has_users(m))
        return 0;
    async_release(f); // the walk of the last user may have been here before
    return -EPERM;
}

long async_set_callback(async_field &f, u64 fn, void *program) {
    if (port_in_nmi())
        return -EOPNOTSUPP;
    async_task *t = task_in(f);
    if (!t)
        return -EINVAL;
    void *old = program;
    if (lock_section s(t->lock); !s) {
        return -EBUSY;
    } else {
        if (!has_users(t->m))
            return -EPERM;
        if (t->program != program) {
            if (!async_progs.hold(program))
                return -ENOENT;
            old = t->program;
            t->program = program;
        }
        __atomic_store_n(&t->fn, fn, __ATOMIC_RELAXED);
    }
    if (old && old != program)
        async_progs.put(old);
    // Whoever let the field go meanwhile may have disarmed the task before the callback was set.
    if (void *mine; (task_in(f) != t || !has_users(t->m)) && disarm(t, &mine) && mine)
        async_progs.put(mine);
    return 0;
}

long timer_start(async_field &f, u64 ns, bool absolute, bool pinned) {
    if (port_in_nmi())
        return -EOPNOTSUPP;
    async_task *t = task_in(f);
    if (!t || !callback_set(t))
        return -EINVAL;
    port_timer_start(&t->timer, ns, absolute, pinned);
    return 0;
}

long timer_cancel(async_field &f) {
    if (port_in_nmi())
        return -EOPNOTSUPP;
    async_task *t = task_in(f);
    if (!t)
        return -EINVAL;
    // Of two callbacks that wait for each other one must not. A callback says that it waits before it looks whether it is waited for.
    auto *mine = static_cast<async_task *>(async_progs.running());
    if (mine == t)
        return -EDEADLK; // it would wait for itself
    if (mine) {
        __atomic_fetch_add(&t->cancelling, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&mine->cancelling, __ATOMIC_SEQ_CST)) {
            __atomic_fetch_sub(&t->cancelling, 1, __ATOMIC_SEQ_CST);
            return -EDEADLK;
        }
    }
    void *program = nullptr;
    long r = disarm(t, &program) ? port_timer_cancel(&t->timer) : -EBUSY;
    if (program)
        async_progs.put(program);
    if (mine)
        __atomic_fetch_sub(&t->cancelling, 1, __ATOMIC_SEQ_CST);
    return r;
}

long work_start(async_field &f) {
    if (port_in_nmi())
        return -EOPNOTSUPP;
    async_task *t = task_in(f);
    if (!t || !callback_set(t))
        return -EINVAL;
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
    if (!port_work_queue(&t->work))
        put_task(t); // the one that is queued has its own
    return 0;
}

void async_release(async_field &f) {
    if (!task_in(f))
        return;
    async_task *t = __atomic_exchange_n(&f.task, nullptr, __ATOMIC_SEQ_CST);
    if (!t)
        return;
    __atomic_store_n(&t->gone, true, __ATOMIC_RELEASE);
    bury(&t->grave, task_kind);
}

} // namespace modbpf
