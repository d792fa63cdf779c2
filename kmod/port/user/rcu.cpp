// SPDX-License-Identifier: GPL-2.0-only
// RCU and deferred work on POSIX.
//
// Readers: each thread has a record with the grace-period number at which its outermost section began, 0 outside. A grace
// period raises the number and waits until every record is 0 or at least the new number. Why that is enough: reader:
// store record, full fence, load pointer; writer: store pointer, full fence, load record. If the writer reads 0, the
// reader's fence comes later and it sees the new pointer; if the reader began at the new number, it has read it from the
// writer after the pointer's store.
//
// Callbacks run in order on one thread, works on another; both start on first use and again after fork(). Callbacks wait a little for
// others, as a kernel's grace period lets them: a process that loads programs in a row is not interrupted at each by what it dropped.
// Locks: records_lock (one grace period at a time, removal of records; new records are pushed without it); queue locks.
#include "port/user/user.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

namespace {

struct reader {
    u64 since; ///< atomic
    u32 depth; ///< owner thread only
    reader *next;
};

u64 grace = 1; // atomic
reader *readers;
pthread_mutex_t records_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_once_t once = PTHREAD_ONCE_INIT;
pthread_key_t reader_key;
PORT_USER_TLS reader *self;

void drop_reader(void *p) {
    reader *r = static_cast<reader *>(p);
    pthread_mutex_lock(&records_lock);
    reader *head = r;
    if (!__atomic_compare_exchange_n(&readers, &head, r->next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        for (reader *at = head; at; at = at->next) // not the head: only drop_reader changes links behind it
            if (at->next == r) {
                at->next = r->next;
                break;
            }
    pthread_mutex_unlock(&records_lock);
    free(r);
    self = nullptr;
}

constexpr long gather_ns = 2000000; ///< from the first callback of a batch to its grace period; a barrier cuts it short

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t ready; ///< something was queued where nothing was, or must not wait
    pthread_cond_t idle;  ///< something has run
    void *head, **tail;
    void *running;
    bool started;
    bool hurry; ///< callbacks: somebody waits for them
    void *(*main)(void *);
};

void *rcu_main(void *);
void *work_main(void *);
queue callbacks = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, nullptr, &callbacks.head, nullptr, false, false, rcu_main};
queue works = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, nullptr, &works.head, nullptr, false, false, work_main};

void before_fork() {
    port_user_file_before_fork();
    port_user_timer_before_fork();
    pthread_mutex_lock(&records_lock);
    pthread_mutex_lock(&works.lock);
    pthread_mutex_lock(&callbacks.lock);
}

void after_fork_parent() {
    pthread_mutex_unlock(&callbacks.lock);
    pthread_mutex_unlock(&works.lock);
    pthread_mutex_unlock(&records_lock);
    port_user_timer_after_fork_parent();
    port_user_file_after_fork_parent();
}

void after_fork_child() {
    port_user_lock_after_fork();
    port_user_rcu_after_fork();
    port_user_timer_after_fork();
    port_user_file_after_fork();
}

void set_up() {
    pthread_key_create(&reader_key, drop_reader);
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

reader *this_reader() {
    if (self)
        return self;
    port_user_watch_forks();
    reader *r = static_cast<reader *>(calloc(1, sizeof(reader)));
    if (!r)
        abort(); // 24 bytes for a new thread; no errno could reach anybody
    // Without the lock: a grace period may be waiting under it for a reader that waits for this thread.
    r->next = __atomic_load_n(&readers, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&readers, &r->next, r, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
    pthread_setspecific(reader_key, r);
    self = r;
    return r;
}

/// Starts the queue's thread; its lock is held.
void start_locked(queue &q) {
    if (q.started)
        return;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); // signals are for the program's own threads
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_t t;
    q.started = pthread_create(&t, &attr, q.main, &q) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    if (!q.started)
        port_log(PORT_LOG_ERR, "cannot start a thread for deferred work; raise the limit on processes (ulimit -u)");
}

/// Queues and works start with a link; it is the first word of both port_rcu_head and port_work.
void *&link_of(void *item) { return *static_cast<void **>(item); }

void push_locked(queue &q, void *item) {
    bool was_empty = !q.head;
    link_of(item) = nullptr;
    *q.tail = item;
    q.tail = &link_of(item);
    start_locked(q);
    if (was_empty || q.hurry)
        pthread_cond_signal(&q.ready);
}

/// Waits for an item; the queue's lock is held.
void await_locked(queue &q) {
    while (!q.head)
        pthread_cond_wait(&q.ready, &q.lock);
}

/// Waits for an item and takes it out; the queue's lock is held.
void *pop_locked(queue &q) {
    await_locked(q);
    void *item = q.head;
    q.head = link_of(item);
    if (!q.head)
        q.tail = &q.head;
    return item;
}

/// Waits until there are callbacks, and then for more of them; the queue's lock is held.
void gather_locked(queue &q) {
    await_locked(q);
    timespec end;
    clock_gettime(CLOCK_REALTIME, &end); // what pthread_cond_timedwait compares with
    end.tv_nsec += gather_ns;
    if (end.tv_nsec >= 1000000000)
        end.tv_sec++, end.tv_nsec -= 1000000000;
    while (!q.hurry && pthread_cond_timedwait(&q.ready, &q.lock, &end) == 0)
        ;
    q.hurry = false;
}

void *rcu_main(void *) {
    queue &q = callbacks;
    for (;;) {
        pthread_mutex_lock(&q.lock);
        gather_locked(q);
        void *batch = q.head;
        q.head = nullptr;
        q.tail = &q.head;
        pthread_mutex_unlock(&q.lock);
        port_rcu_synchronize();
        while (batch) {
            port_rcu_head *h = static_cast<port_rcu_head *>(batch);
            batch = link_of(h);
            auto fn = reinterpret_cast<void (*)(port_rcu_head *)>(h->opaque[1]);
            port_preempt_disable(); // callbacks may not sleep; port_mutex_lock notices
            fn(h);
            port_preempt_enable();
        }
    }
    return nullptr;
}

struct work_item {
    void *next;
    void (*fn)(port_work *);
    bool queued; ///< under works.lock
};
static_assert(sizeof(work_item) <= sizeof(port_work), "port_work is too small");
work_item *item_of(port_work *w) { return reinterpret_cast<work_item *>(w->opaque); }

void *work_main(void *) {
    queue &q = works;
    for (;;) {
        pthread_mutex_lock(&q.lock);
        work_item *w = static_cast<work_item *>(pop_locked(q));
        w->queued = false;
        q.running = w;
        pthread_mutex_unlock(&q.lock);
        w->fn(reinterpret_cast<port_work *>(w)); // may free w
        pthread_mutex_lock(&q.lock);
        q.running = nullptr;
        pthread_cond_broadcast(&q.idle);
        pthread_mutex_unlock(&q.lock);
    }
    return nullptr;
}

struct barrier {
    port_rcu_head head;
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done;
};

} // namespace

void port_user_watch_forks(void) { pthread_once(&once, set_up); }

void port_user_rcu_after_fork(void) {
    // Only this thread is in the child: other readers are gone, the queues' threads too.
    for (reader *r = readers, *next; r; r = next) {
        next = r->next;
        if (r != self)
            free(r);
    }
    readers = self;
    if (self)
        self->next = nullptr;
    queue *both[] = {&callbacks, &works};
    for (queue *q : both) {
        q->started = false;
        q->running = nullptr;
        pthread_mutex_init(&q->lock, nullptr);
        pthread_cond_init(&q->ready, nullptr);
        pthread_cond_init(&q->idle, nullptr);
        if (q->head) {
            pthread_mutex_lock(&q->lock);
            start_locked(*q);
            pthread_mutex_unlock(&q->lock);
        }
    }
    pthread_mutex_init(&records_lock, nullptr);
}

void port_rcu_read_lock(void) {
    reader *r = this_reader();
    if (r->depth++ == 0)
        __atomic_store_n(&r->since, __atomic_load_n(&grace, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

void port_rcu_read_unlock(void) {
    reader *r = this_reader();
    if (MODBPF_BUG_ON(r->depth == 0))
        return;
    if (--r->depth == 0)
        __atomic_store_n(&r->since, 0, __ATOMIC_RELEASE);
}

void port_rcu_synchronize(void) {
    if (MODBPF_BUG_ON(this_reader()->depth != 0)) // would wait for itself
        return;
    pthread_mutex_lock(&records_lock);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    u64 target = __atomic_add_fetch(&grace, 1, __ATOMIC_SEQ_CST);
    for (reader *r = __atomic_load_n(&readers, __ATOMIC_SEQ_CST); r; r = r->next)
        for (unsigned int round = 0;; round++) {
            u64 since = __atomic_load_n(&r->since, __ATOMIC_SEQ_CST);
            if (since == 0 || since >= target)
                break;
            if (round < 100) {
                sched_yield();
            } else {
                timespec nap = {0, 100000};
                nanosleep(&nap, nullptr);
            }
        }
    pthread_mutex_unlock(&records_lock);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void call_after_grace(port_rcu_head *head, void (*fn)(port_rcu_head *head), bool hurry) {
    this_reader();
    head->opaque[1] = reinterpret_cast<void *>(fn);
    pthread_mutex_lock(&callbacks.lock);
    callbacks.hurry |= hurry;
    push_locked(callbacks, head);
    pthread_mutex_unlock(&callbacks.lock);
}

void port_rcu_call(port_rcu_head *head, void (*fn)(port_rcu_head *head)) { call_after_grace(head, fn, false); }

void port_rcu_barrier(void) {
    barrier b = {{}, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    (void)MODBPF_BUG_ON(this_reader()->depth != 0);
    auto told = [](port_rcu_head *h) {
        barrier *mine = reinterpret_cast<barrier *>(h);
        pthread_mutex_lock(&mine->lock);
        mine->done = true;
        pthread_cond_signal(&mine->done_cond);
        pthread_mutex_unlock(&mine->lock);
    };
    call_after_grace(&b.head, told, true);
    pthread_mutex_lock(&b.lock);
    while (!b.done)
        pthread_cond_wait(&b.done_cond, &b.lock);
    pthread_mutex_unlock(&b.lock);
}

void port_work_init(port_work *w, void (*fn)(port_work *w)) {
    memset(w, 0, sizeof(*w));
    item_of(w)->fn = fn;
}

bool port_work_queue(port_work *w) {
    this_reader(); // sets up fork handling
    pthread_mutex_lock(&works.lock);
    bool fresh = !item_of(w)->queued;
    if (fresh) {
        item_of(w)->queued = true;
        push_locked(works, w);
    }
    pthread_mutex_unlock(&works.lock);
    return fresh;
}

namespace {

struct irq_item {
    void (*fn)(port_irq *);
};

} // namespace

void port_irq_init(port_irq *i, void (*fn)(port_irq *i)) { reinterpret_cast<irq_item *>(i->opaque)->fn = fn; }

bool port_irq_queue(port_irq *i) {
    if (port_in_nmi())
        return false;
    port_preempt_disable(); // it may not sleep; port_mutex_lock notices
    reinterpret_cast<irq_item *>(i->opaque)->fn(i);
    port_preempt_enable();
    return true;
}

void port_irq_flush(port_irq *) {}

void port_work_flush(port_work *w) {
    pthread_mutex_lock(&works.lock);
    while (item_of(w)->queued || works.running == w)
        pthread_cond_wait(&works.idle, &works.lock);
    pthread_mutex_unlock(&works.lock);
}
