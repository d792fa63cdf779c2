// SPDX-License-Identifier: GPL-2.0-only
// Tests of port/user: what port.h promises, on POSIX.
#include "port/user/user.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr size_t page = PORT_PAGE_SIZE;

TEST(memory, zeroed_and_bounded) {
    u8 *p = static_cast<u8 *>(port_alloc(100, PORT_SLEEPING));
    ASSERT_NE(p, nullptr);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(p[i], 0);
    port_free(p);
    port_free(nullptr);
    EXPECT_EQ(port_alloc(0, PORT_SLEEPING), nullptr);
    EXPECT_EQ(port_alloc(PORT_ALLOC_MAX + 1, PORT_ATOMIC), nullptr);
}

TEST(memory, fail_nth) {
    port_fail_nth_set(2);
    void *a = port_alloc(8, PORT_SLEEPING);
    void *b = port_percpu_alloc(8, 8, PORT_SLEEPING);
    void *c = port_alloc(8, PORT_SLEEPING);
    EXPECT_NE(a, nullptr);
    EXPECT_EQ(b, nullptr);
    EXPECT_NE(c, nullptr);
    EXPECT_EQ(port_fail_nth_set(0), 3u);
    port_free(a);
    port_free(c);
}

TEST(memory, percpu) {
    for (size_t align : {size_t(1), size_t(8), size_t(64), size_t(4096)}) {
        void *p = port_percpu_alloc(24, align, PORT_SLEEPING);
        ASSERT_NE(p, nullptr);
        for (unsigned c = 0; c < port_cpu_count(); c++) {
            u8 *q = static_cast<u8 *>(port_percpu_ptr(p, c));
            EXPECT_EQ(reinterpret_cast<uptr>(q) % align, 0u);
            for (int i = 0; i < 24; i++)
                EXPECT_EQ(q[i], 0);
            memset(q, static_cast<int>(c + 1), 24);
        }
        port_preempt_disable();
        EXPECT_EQ(*static_cast<u8 *>(port_this_cpu_ptr(p)), port_cpu_id() + 1);
        port_preempt_enable();
        port_percpu_free(p);
    }
    EXPECT_EQ(port_percpu_alloc(8, 3, PORT_SLEEPING), nullptr);
}

TEST(memory, region_mirror) {
    port_region *r = port_region_create(3 * page, 2 * page);
    ASSERT_NE(r, nullptr);
    u8 *p = static_cast<u8 *>(port_region_addr(r));
    EXPECT_EQ(port_region_size(r), 3 * page);
    EXPECT_EQ(p[0], 0);
    p[page] = 7;
    EXPECT_EQ(p[3 * page], 7); // first mirrored byte
    p[5 * page - 1] = 9;
    EXPECT_EQ(p[3 * page - 1], 9);
    p[0] = 3;
    EXPECT_EQ(p[page], 7);
    port_region_destroy(r);
    EXPECT_EQ(port_region_create(page, 2 * page), nullptr);
}

TEST(memory, text_runs_once_sealed) {
    u8 *t = static_cast<u8 *>(port_text_alloc(16));
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t[0], 0xcc);
    const u8 code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov eax, 42; ret
    memcpy(t, code, sizeof(code));
    ASSERT_EQ(port_text_seal(t, 16), 0);
    EXPECT_EQ(reinterpret_cast<int (*)()>(t)(), 42);
    EXPECT_EQ(port_copy_to_user(reinterpret_cast<u64>(t), code, 1), -EFAULT); // read-only now
    port_text_free(t, 16);
}

TEST(lock, trylock_and_cpu_ownership) {
    port_spinlock l{};
    port_spin_init(&l, "test");
    unsigned long f = port_spin_lock(&l), f2;
    unsigned cpu = port_cpu_id();
    EXPECT_FALSE(port_spin_trylock(&l, &f2));
    EXPECT_EQ(port_cpu_id(), cpu);
    port_spin_unlock(&l, f);
    ASSERT_TRUE(port_spin_trylock(&l, &f2));
    port_spin_unlock(&l, f2);
}

struct counter {
    port_spinlock lock{};
    port_mutex mutex{};
    u64 by_spin = 0, by_mutex = 0;
    void *percpu = nullptr;
};

TEST(lock, exclusion) {
    counter c;
    port_spin_init(&c.lock, "c");
    port_mutex_init(&c.mutex, "m");
    c.percpu = port_percpu_alloc(8, 8, PORT_SLEEPING);
    pthread_t t[4];
    for (pthread_t &one : t)
        pthread_create(&one, nullptr, [](void *arg) -> void * {
            counter *k = static_cast<counter *>(arg);
            for (int i = 0; i < 5000; i++) {
                unsigned long f = port_spin_lock(&k->lock);
                k->by_spin++;
                port_spin_unlock(&k->lock, f);
                port_mutex_lock(&k->mutex);
                k->by_mutex++;
                port_mutex_unlock(&k->mutex);
                port_preempt_disable();
                ++*static_cast<u64 *>(port_this_cpu_ptr(k->percpu)); // not atomic: preemption off owns the CPU
                port_preempt_enable();
            }
            return nullptr;
        }, &c);
    for (pthread_t one : t)
        pthread_join(one, nullptr);
    EXPECT_EQ(c.by_spin, 20000u);
    EXPECT_EQ(c.by_mutex, 20000u);
    u64 sum = 0;
    for (unsigned i = 0; i < port_cpu_count(); i++)
        sum += *static_cast<u64 *>(port_percpu_ptr(c.percpu, i));
    EXPECT_EQ(sum, 20000u);
    port_percpu_free(c.percpu);
    port_mutex_destroy(&c.mutex);
}

struct rcu_state {
    u32 *shared;
    bool stop = false;
    u64 torn = 0;
};

TEST(rcu, readers_never_see_freed_memory) {
    rcu_state s;
    s.shared = new u32(1);
    pthread_t t[2];
    for (pthread_t &one : t)
        pthread_create(&one, nullptr, [](void *arg) -> void * {
            rcu_state *k = static_cast<rcu_state *>(arg);
            while (!__atomic_load_n(&k->stop, __ATOMIC_RELAXED)) {
                port_rcu_read_lock();
                port_rcu_read_lock();
                u32 *p = __atomic_load_n(&k->shared, __ATOMIC_ACQUIRE);
                port_rcu_read_unlock();
                if (*p != 1) // the sanitizer would see a read of freed memory too
                    __atomic_fetch_add(&k->torn, 1, __ATOMIC_RELAXED);
                port_rcu_read_unlock();
            }
            return nullptr;
        }, &s);
    for (int i = 0; i < 300; i++) {
        u32 *old = __atomic_exchange_n(&s.shared, new u32(1), __ATOMIC_ACQ_REL);
        port_rcu_synchronize();
        *old = 2;
        delete old;
    }
    __atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
    for (pthread_t one : t)
        pthread_join(one, nullptr);
    EXPECT_EQ(s.torn, 0u);
    delete s.shared;
}

int calls_seen;
TEST(rcu, barrier_waits_for_callbacks) {
    static port_rcu_head heads[50];
    calls_seen = 0;
    for (port_rcu_head &h : heads)
        port_rcu_call(&h, [](port_rcu_head *) { calls_seen++; });
    port_rcu_barrier();
    EXPECT_EQ(calls_seen, 50);
}

int work_seen;
TEST(work, runs_once_per_queueing_and_flush_waits) {
    static port_work w;
    work_seen = 0;
    port_work_init(&w, [](port_work *) {
        usleep(2000);
        work_seen++;
    });
    EXPECT_TRUE(port_work_queue(&w));
    port_work_flush(&w);
    EXPECT_EQ(work_seen, 1);
    EXPECT_TRUE(port_work_queue(&w));
    port_work_flush(&w);
    EXPECT_EQ(work_seen, 2);
    // A work may free itself.
    port_work *own = new port_work;
    port_work_init(own, [](port_work *p) {
        delete p;
        __atomic_fetch_add(&work_seen, 1, __ATOMIC_SEQ_CST);
    });
    port_work_queue(own);
    while (__atomic_load_n(&work_seen, __ATOMIC_SEQ_CST) != 3)
        usleep(100);
}

TEST(uaccess, good_and_bad) {
    char dst[16] = {};
    EXPECT_EQ(port_copy_from_user(dst, reinterpret_cast<u64>("hello"), 6), 0);
    EXPECT_STREQ(dst, "hello");
    EXPECT_EQ(port_copy_from_user(dst, 0, 0), 0);
    for (u64 bad : {0ull, 8ull, 0xffff888000000000ull, 0x800000000000ull, ~0ull}) {
        EXPECT_EQ(port_copy_from_user(dst, bad, 8), -EFAULT);
        EXPECT_EQ(port_copy_to_user(bad, dst, 8), -EFAULT);
        EXPECT_EQ(port_probe_read_user(dst, bad, 8), -EFAULT);
        EXPECT_EQ(port_strncpy_from_user(dst, bad, 8), -EFAULT);
        EXPECT_EQ(port_probe_read_kernel_str(dst, bad, 8), -EFAULT);
        EXPECT_EQ(dst[0], 0);
    }
    // Half good.
    u8 *two = static_cast<u8 *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    munmap(two + page, page);
    EXPECT_EQ(port_copy_from_user(dst, reinterpret_cast<u64>(two + page - 4), 4), 0);
    EXPECT_EQ(port_copy_from_user(dst, reinterpret_cast<u64>(two + page - 4), 5), -EFAULT);
    memset(two, 'a', page);
    two[page - 1] = 0;
    char s[64];
    EXPECT_EQ(port_strncpy_from_user(s, reinterpret_cast<u64>(two + page - 5), 64), 4); // stops before the hole
    EXPECT_STREQ(s, "aaaa");
    two[page - 1] = 'a';
    EXPECT_EQ(port_strncpy_from_user(s, reinterpret_cast<u64>(two + page - 5), 64), -EFAULT);
    EXPECT_EQ(port_strncpy_from_user(s, reinterpret_cast<u64>(two + page - 5), 6), 5);
    munmap(two, page);
}

TEST(uaccess, string_lengths) {
    char s[8];
    u64 src = reinterpret_cast<u64>("abcdef");
    EXPECT_EQ(port_strncpy_from_user(s, src, 8), 6);
    EXPECT_EQ(port_probe_read_user_str(s, src, 8), 7);
    EXPECT_EQ(port_probe_read_user_str(s, src, 4), 4);
    EXPECT_STREQ(s, "abc");
    EXPECT_EQ(port_probe_read_user_str(s, src, 1), 1);
    EXPECT_EQ(s[0], 0);
    EXPECT_EQ(port_probe_read_user_str(s, src, 0), 0);
}

TEST(machine, identity_time_caps) {
    EXPECT_EQ(port_current_pid_tgid() >> 32, static_cast<u64>(getpid()));
    EXPECT_EQ(static_cast<u32>(port_current_uid_gid()), getuid());
    char comm[16];
    port_current_comm(comm, sizeof(comm));
    EXPECT_EQ(comm[15], 0);
    EXPECT_GT(strlen(comm), 0u);
    char one[1] = {'x'};
    port_current_comm(one, 1);
    EXPECT_EQ(one[0], 0);
    u64 a = port_ktime_ns();
    EXPECT_LE(a, port_ktime_ns());
    EXPECT_NE(port_random_seed(), port_random_seed());
    EXPECT_TRUE(port_capable(PORT_CAP_SYS_ADMIN));
    port_user_set_caps(1u << PORT_CAP_BPF);
    EXPECT_TRUE(port_capable(PORT_CAP_BPF));
    EXPECT_FALSE(port_capable(PORT_CAP_PERFMON));
    port_user_set_caps(~0u);
    EXPECT_GE(port_cpu_count(), 1u);
    EXPECT_EQ(port_cpu_count(), static_cast<unsigned>(sysconf(_SC_NPROCESSORS_CONF)));
}

std::string last_log;
TEST(machine, events_are_refused_with_a_reason) {
    port_user_set_log_hook([](port_log_level, const char *text) { last_log = text; });
    port_kprobe_spec spec = {"vfs_read", 0, 0, false, 0};
    port_event *e = nullptr;
    EXPECT_EQ(port_kprobe_attach(&spec, nullptr, nullptr, &e), -EOPNOTSUPP);
    EXPECT_NE(last_log.find("kprobe"), std::string::npos);
    EXPECT_EQ(port_tracepoint_attach(1, PORT_RECORD_USED, nullptr, nullptr, nullptr, &e), -EOPNOTSUPP);
    EXPECT_EQ(port_raw_tp_attach("sys_enter", 0, nullptr, nullptr, &e), -EOPNOTSUPP);
    port_user_set_log_hook(nullptr);
}

} // namespace
