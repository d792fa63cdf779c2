// SPDX-License-Identifier: GPL-2.0-only
// Map operations that interrupt map operations on the same CPU at any instruction, as an NMI or a probe does: a timer
// signal whose handler works on the maps that the interrupted code is working on.
#include "maps/copy.h"
#include "maps/map_test.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vector>

using namespace modbpf;

namespace {

constexpr u64 keys = 40, stamp = 0x0101010101010101;

struct {
    map *hash, *percpu, *lru, *ring;
    u64 runs, busy, bad;
} state;

/// One operation of each kind. Only these results are right, whatever was interrupted.
void work(u64 n, bool interrupt) {
    u64 key = n % keys, value = key * stamp;
    for (map *m : {state.hash, state.percpu, state.lru}) {
        long r = n % 5 ? m->ops->update(m, &key, &value, n % 3) : m->ops->remove(m, &key);
        state.busy += interrupt && r == -EBUSY;
        if (r && r != -EBUSY && r != -ENOENT && r != -EEXIST && r != -E2BIG && r != -ENOMEM)
            state.bad++;
        void *v = m->ops->lookup(m, &key);
        if (!interrupt && v && load8(v) % stamp)
            state.bad++;
    }
    if (u64 *s = static_cast<u64 *>(ringbuf_reserve(state.ring, 8 + n % 64))) {
        *s = n;
        ringbuf_commit(s, BPF_RB_NO_WAKEUP, n % 2);
    }
}

void on_signal(int) {
    work(++state.runs * 7, true);
}

/// A timer for this thread alone: the port's own threads are not interrupted.
timer_t start_timer() {
    struct sigaction sa = {};
    sa.sa_handler = on_signal;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &sa, nullptr);
    sigevent ev = {};
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = SIGUSR2;
    ev._sigev_un._tid = static_cast<int>(syscall(SYS_gettid));
    timer_t t{};
    EXPECT_EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    itimerspec every = {{0, 15000}, {0, 15000}};
    timer_settime(t, 0, &every, nullptr);
    return t;
}

const port_file_ops ring_file = {
    .name = "interrupt-test",
    .release = [](void *) {},
    .mmap = [](void *o, port_vma *v) { return static_cast<map *>(o)->ops->mmap(static_cast<map *>(o), v); },
};

void interrupted(u32 flags) {
    // Fewer elements than keys, so that the pool's end is interrupted too.
    test_map hash(params_of(BPF_MAP_TYPE_HASH, 8, 8, keys / 2, flags));
    test_map percpu(params_of(BPF_MAP_TYPE_PERCPU_HASH, 8, 8, keys / 2, flags));
    test_map ring(params_of(BPF_MAP_TYPE_RINGBUF, 0, 0, 65536));
    test_map lru(params_of(BPF_MAP_TYPE_LRU_HASH, 8, 8, keys / 2));
    state = {hash.m, percpu.m, lru.m, ring.m, 0, 0, 0};
    int fd = port_fd_create(&ring_file, ring.m, 0);
    u64 *consumer = ptr_of<u64>(port_user_mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    {
        program_section p;
        timer_t t = start_timer();
        timespec now, end;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += 1;
        u64 n = 0;
        do {
            for (u32 i = 0; i < 100; i++)
                work(n++, false);
            __atomic_store_n(consumer, ringbuf_query(ring.m, BPF_RB_PROD_POS), __ATOMIC_RELEASE);
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while (state.runs < 20000 && (now.tv_sec < end.tv_sec || now.tv_nsec < end.tv_nsec));
        timer_delete(t);
        signal(SIGUSR2, SIG_IGN);
    }
    port_user_unmapped(consumer, 4096);
    munmap(consumer, 4096);
    close(fd);
    port_user_sweep();
    EXPECT_GT(state.runs, 100u);
    EXPECT_EQ(state.bad, 0u);
    for (map *m : {hash.m, percpu.m}) {
        u64 key;
        std::vector<u8> all(m->user_value_size());
        while (!m->ops->next_key(m, nullptr, &key))
            ASSERT_EQ(m->ops->remove_user(m, &key), 0);
        for (key = 0; key < keys / 2; key++)  // no element was lost
            ASSERT_EQ(m->ops->update_user(m, &key, all.data(), BPF_NOEXIST), 0);
        ASSERT_EQ(m->ops->update_user(m, &key, all.data(), BPF_NOEXIST), -E2BIG);
    }
    for (u64 key = 0; key < keys; key++) {
        u64 value = key * stamp;
        ASSERT_EQ(lru.ops->update_user(lru.m, &key, &value, BPF_ANY), 0);
    }
    u64 next, *at = nullptr, count = 0;
    for (u64 key; !lru.ops->next_key(lru.m, at, &next); key = next, at = &key)
        count++;
    EXPECT_EQ(count, keys / 2);
    EXPECT_EQ(bug_watch::count(), 0u);
}

TEST(interrupt, preallocated) {
    interrupted(0);
}
TEST(interrupt, no_prealloc) {
    interrupted(BPF_F_NO_PREALLOC);
}

}  // namespace
