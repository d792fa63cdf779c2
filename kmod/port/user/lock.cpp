// SPDX-License-Identifier: GPL-2.0-only
// Locks, preemption and CPUs on POSIX.
//
// "Preemption off" has the kernel's meaning: a thread that turns it off owns a CPU until it turns it on again, so data
// of a CPU have one user at a time. CPUs here are as many locks as the machine has possible CPUs; a thread takes
// the one that it runs on, or waits. Interrupts off and a held spin lock imply preemption off. Order: CPU, then spin
// locks; a mutex is never taken with preemption off. A section nests at no cost.
#include "port/user/user.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace {

constexpr unsigned int max_cpus = 1024;
struct alignas(64) cpu_lock {
    u32 held;
};
cpu_lock cpus[max_cpus];
unsigned int cpu_total; // 0: not read yet

PORT_USER_TLS u32 preempt_depth;
PORT_USER_TLS u32 my_cpu;
PORT_USER_TLS u64 my_offset; ///< of this CPU's copy of what port_percpu_alloc gave

/// What stands for the task in programs: each thread has one, complete as soon as a program may run.
struct task {
    u32 pid, tgid;
};
PORT_USER_TLS task my_task;
PORT_USER_TLS task *current_task;

void find_task() {
    my_task = {static_cast<u32>(syscall(SYS_gettid)), static_cast<u32>(getpid())};
    current_task = &my_task;
}

/// Highest id in a list such as "0-3,8" plus one; libbpf sizes per-CPU values from the same file.
unsigned int read_possible_cpus() {
    FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
    char line[256];
    unsigned int n = 0;
    if (f) {
        if (fgets(line, sizeof(line), f)) {
            const char *last = line;
            for (const char *p = line; *p; p++)
                if (*p == ',' || *p == '-')
                    last = p + 1;
            n = static_cast<unsigned int>(strtoul(last, nullptr, 10)) + 1;
        }
        fclose(f);
    }
    if (n == 0)
        n = 1;
    return n > max_cpus ? max_cpus : n;
}

bool try_cpu(u32 c) {
    u32 free = 0;
    return __atomic_compare_exchange_n(&cpus[c].held, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void be_on(u32 cpu) {
    my_cpu = cpu;
    my_offset = cpu * PORT_USER_PERCPU_DISTANCE;
}

void take_cpu() {
    unsigned int n = port_cpu_count();
    for (unsigned int round = 0;; round++) {
        int now = sched_getcpu();
        u32 here = now < 0 ? 0 : static_cast<u32>(now) % n;
        if (try_cpu(here)) {
            be_on(here);
            return;
        }
        // The owner was moved away or put to sleep: after a while any free CPU will do.
        for (u32 c = 0; round > 64 && c < n; c++)
            if (try_cpu(c)) {
                be_on(c);
                return;
            }
        sched_yield();
    }
}

pthread_mutex_t *native(port_mutex *m) { return reinterpret_cast<pthread_mutex_t *>(m->opaque); }
static_assert(sizeof(pthread_mutex_t) <= sizeof(port_mutex), "port_mutex is too small");

} // namespace

void port_user_lock_after_fork(void) {
    // The threads that owned other CPUs are not in the child.
    for (u32 c = 0; c < max_cpus; c++)
        cpus[c].held = preempt_depth && c == my_cpu;
    find_task();
}

unsigned int port_cpu_count(void) {
    unsigned int n = __atomic_load_n(&cpu_total, __ATOMIC_RELAXED);
    if (n == 0) {
        n = read_possible_cpus();
        __atomic_store_n(&cpu_total, n, __ATOMIC_RELAXED);
    }
    return n;
}

bool port_cpu_online(unsigned int cpu) { return cpu < port_cpu_count(); }

unsigned int port_cpu_id(void) {
    if (preempt_depth)
        return my_cpu;
    int now = sched_getcpu();
    return now < 0 ? 0 : static_cast<unsigned int>(now) % port_cpu_count();
}

int port_call_on_cpu(unsigned int cpu, void (*fn)(void *), void *arg) {
    if (MODBPF_BUG_ON(preempt_depth) || !port_cpu_online(cpu))
        return -ENXIO;
    while (!try_cpu(cpu))
        sched_yield();
    be_on(cpu);
    preempt_depth = 1;
    fn(arg);
    port_preempt_enable();
    return 0;
}

int port_numa_node(void) {
    unsigned int cpu, node;
    return getcpu(&cpu, &node) ? 0 : static_cast<int>(node);
}

u64 port_current(void) {
    if (!current_task)
        find_task();
    return reinterpret_cast<u64>(current_task);
}

u64 port_current_pid_tgid(void) {
    auto *t = reinterpret_cast<const task *>(port_current());
    return static_cast<u64>(t->tgid) << 32 | t->pid;
}

/// Thread-local variables lie at the same distance from each thread's own fs base.
void port_user_per_cpu(struct port_jit_env *out) {
    char *base = reinterpret_cast<char *>(pthread_self());
    auto at = [&](const void *p) { return static_cast<int>(static_cast<const char *>(p) - base); };
    out->per_cpu = {true, 0x64, at(&my_cpu), at(&current_task), at(&my_offset), __builtin_offsetof(task, pid), __builtin_offsetof(task, tgid)};
}

void port_preempt_disable(void) {
    if (preempt_depth == 0) {
        take_cpu();
        if (!current_task)
            find_task();
    }
    preempt_depth++;
}

void port_preempt_enable(void) {
    if (MODBPF_BUG_ON(preempt_depth == 0))
        return;
    if (--preempt_depth == 0)
        __atomic_store_n(&cpus[my_cpu].held, 0, __ATOMIC_RELEASE);
}

unsigned long port_irq_save(void) {
    port_preempt_disable();
    return preempt_depth;
}

port_irq_section port_irq_enter(void) {
    unsigned long flags = port_irq_save();
    return {flags, port_cpu_id()};
}

void port_irq_restore(unsigned long flags) {
    (void)MODBPF_BUG_ON(flags != preempt_depth); // sections must nest
    port_preempt_enable();
}

bool port_in_nmi(void) { return false; }
bool port_in_hardirq(void) { return false; }
void port_migrate_disable(void) {}
void port_migrate_enable(void) {}

void port_spin_init(port_spinlock *l, const char *) { memset(l, 0, sizeof(*l)); }

bool port_spin_trylock(port_spinlock *l, unsigned long *flags) {
    *flags = port_irq_save();
    unsigned long open = 0;
    if (__atomic_compare_exchange_n(&l->opaque[0], &open, 1ul, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    port_irq_restore(*flags);
    return false;
}

unsigned long port_spin_lock(port_spinlock *l) {
    unsigned long flags = port_irq_save();
    for (unsigned int spins = 0;; spins++) {
        unsigned long open = 0;
        if (__atomic_compare_exchange_n(&l->opaque[0], &open, 1ul, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return flags;
        if (spins > 100)
            sched_yield();
        else
            __builtin_ia32_pause();
    }
}

void port_spin_unlock(port_spinlock *l, unsigned long flags) {
    (void)MODBPF_BUG_ON(__atomic_load_n(&l->opaque[0], __ATOMIC_RELAXED) != 1);
    __atomic_store_n(&l->opaque[0], 0ul, __ATOMIC_RELEASE);
    port_irq_restore(flags);
}

void port_mutex_init(port_mutex *m, const char *) {
    memset(m, 0, sizeof(*m));
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK); // a relock or a foreign unlock is a bug, not a hang
    pthread_mutex_init(native(m), &attr);
    pthread_mutexattr_destroy(&attr);
}

void port_mutex_lock(port_mutex *m) {
    (void)MODBPF_BUG_ON(preempt_depth != 0); // would sleep with preemption off
    int e = pthread_mutex_lock(native(m));
    if (MODBPF_BUG_ON(e != 0))
        abort(); // a host process may stop where a kernel would hang
}

void port_mutex_unlock(port_mutex *m) { (void)MODBPF_BUG_ON(pthread_mutex_unlock(native(m)) != 0); }
void port_mutex_destroy(port_mutex *m) { (void)MODBPF_BUG_ON(pthread_mutex_destroy(native(m)) != 0); }
