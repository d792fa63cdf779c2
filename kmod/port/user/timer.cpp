// SPDX-License-Identifier: GPL-2.0-only
// Timers on POSIX: one thread that sleeps until the earliest is due. It starts on first use, and again after fork(). A timer's function
// runs on the thread with preemption off; the thread gets its CPU first, so that who waits for a running function waits for one that runs.
//
// Lock: timers.lock protects the list and all of an item but its function; any thread, also with preemption off.
#include "port/user/user.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

namespace {

struct timer_item {
    timer_item *next; ///< by due time
    u64 due;          ///< CLOCK_MONOTONIC
    void (*fn)(port_timer *);
    clockid_t clock;
    bool armed;
};
static_assert(sizeof(timer_item) <= sizeof(port_timer), "port_timer is too small");

struct {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed; ///< the list, or `running`
    bool ready;
    bool started;
    timer_item *first;
    timer_item *running;
    pthread_t thread;
} timers;

timer_item *item_of(port_timer *t) { return reinterpret_cast<timer_item *>(t->opaque); }

u64 now_of(clockid_t c) {
    timespec t;
    clock_gettime(c, &t);
    return static_cast<u64>(t.tv_sec) * 1000000000ull + static_cast<u64>(t.tv_nsec);
}

void wait_until(u64 due) {
    timespec t{static_cast<time_t>(due / 1000000000), static_cast<long>(due % 1000000000)};
    if (due == ~0ull)
        pthread_cond_wait(&timers.changed, &timers.lock);
    else
        pthread_cond_timedwait(&timers.changed, &timers.lock, &t);
}

bool is_due() { return timers.first && timers.first->due <= now_of(CLOCK_MONOTONIC); }

void run_first() {
    timer_item *i = timers.first;
    timers.first = i->next;
    i->armed = false;
    timers.running = i;
    pthread_mutex_unlock(&timers.lock);
    i->fn(reinterpret_cast<port_timer *>(i));
    pthread_mutex_lock(&timers.lock);
    timers.running = nullptr;
    pthread_cond_broadcast(&timers.changed);
}

void *timer_main(void *) {
    for (;;) {
        pthread_mutex_lock(&timers.lock);
        while (!is_due())
            wait_until(timers.first ? timers.first->due : ~0ull);
        pthread_mutex_unlock(&timers.lock);
        port_preempt_disable();
        pthread_mutex_lock(&timers.lock);
        if (is_due())
            run_first();
        pthread_mutex_unlock(&timers.lock);
        port_preempt_enable();
    }
    return nullptr;
}

void start_locked() {
    if (!timers.ready) {
        pthread_condattr_t a;
        pthread_condattr_init(&a);
        pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        pthread_cond_init(&timers.changed, &a);
        pthread_condattr_destroy(&a);
        timers.ready = true;
    }
    if (timers.started)
        return;
    sigset_t every, old;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &old); // signals are for the program's own threads
    timers.started = pthread_create(&timers.thread, nullptr, timer_main, nullptr) == 0;
    if (timers.started)
        pthread_detach(timers.thread);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    if (!timers.started)
        port_log(PORT_LOG_ERR, "cannot start a thread for timers; raise the limit on processes (ulimit -u)");
}

bool unlink_locked(timer_item *i) {
    if (!i->armed)
        return false;
    timer_item **at = &timers.first;
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    i->armed = false;
    return true;
}

} // namespace

void port_user_timer_before_fork(void) { pthread_mutex_lock(&timers.lock); }
void port_user_timer_after_fork_parent(void) { pthread_mutex_unlock(&timers.lock); }
void port_user_timer_after_fork(void) {
    pthread_mutex_init(&timers.lock, nullptr);
    timers.ready = timers.started = false;
    timers.running = nullptr;
    if (timers.first) {
        pthread_mutex_lock(&timers.lock);
        start_locked();
        pthread_mutex_unlock(&timers.lock);
    }
}

void port_timer_init(port_timer *t, int clock, void (*fn)(port_timer *t)) {
    memset(t, 0, sizeof(*t));
    item_of(t)->fn = fn;
    item_of(t)->clock = clock;
}

void port_timer_start(port_timer *t, u64 ns, bool absolute, bool) {
    timer_item *i = item_of(t);
    u64 now = now_of(CLOCK_MONOTONIC), then = absolute ? now_of(i->clock) : 0, left = ns > then ? ns - then : 0;
    port_user_watch_forks();
    pthread_mutex_lock(&timers.lock);
    unlink_locked(i);
    i->due = left > ~0ull - 1 - now ? ~0ull - 1 : now + left;
    timer_item **at = &timers.first;
    while (*at && (*at)->due <= i->due)
        at = &(*at)->next;
    i->next = *at;
    *at = i;
    i->armed = true;
    start_locked();
    pthread_cond_broadcast(&timers.changed);
    pthread_mutex_unlock(&timers.lock);
}

int port_timer_cancel(port_timer *t) {
    pthread_mutex_lock(&timers.lock);
    bool was_armed = unlink_locked(item_of(t));
    while (timers.running == item_of(t) && !pthread_equal(timers.thread, pthread_self()))
        wait_until(~0ull);
    pthread_mutex_unlock(&timers.lock);
    return was_armed;
}

void port_timer_stop(port_timer *t) { port_timer_cancel(t); }
