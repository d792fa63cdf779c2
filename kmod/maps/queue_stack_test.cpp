// SPDX-License-Identifier: GPL-2.0-only
#include "maps/copy.h"
#include "maps/map_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <atomic>
#include <deque>
#include <random>
#include <thread>
#include <vector>

using namespace modbpf;

namespace {

constexpr u32 types[] = {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK};

TEST(queue, refuses_what_linux_refuses) {
    for (u32 type : types) {
        EXPECT_EQ(check_code(params_of(type, 0, 8, 1)), 0);
        EXPECT_EQ(check_code(params_of(type, 4, 8, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 0, 0, 1)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 0, 8, 0)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 0, 8, 1, BPF_F_NO_PREALLOC)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 0, 8, 1, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)), -EINVAL);
        EXPECT_EQ(check_code(params_of(type, 0, (4 << 20) + 1, 1)), -E2BIG);
        EXPECT_EQ(check_code(params_of(type, 0, 1 << 16, 0xffff)), -E2BIG);
        EXPECT_EQ(check_code(params_of(type, 0, 1 << 16, 0xfffe)), 0);
    }
}

TEST(queue, agrees_with_a_model) {
    std::mt19937 rng(2);
    for (u32 type : types)
        for (u32 size : {1u, 3u, 4u, 8u, 40u})
            for (u32 entries : {1u, 2u, 7u}) {
                test_map m(params_of(type, 0, size, entries));
                std::deque<std::vector<u8>> model;
                for (u32 step = 0; step < 2000; step++) {
                    std::vector<u8> v(size), out(size, 0xcc);
                    for (u8 &b : v)
                        b = static_cast<u8>(rng());
                    program_section p;
                    u32 what = rng() % 4;
                    if (what < 2) {
                        u64 flags = rng() % 3 == 0 ? BPF_EXIST : BPF_ANY;
                        bool full = model.size() == entries;
                        ASSERT_EQ(m.ops->push(m.m, v.data(), flags), full && !flags ? -E2BIG : 0);
                        if (full && flags)
                            model.pop_front();
                        if (!full || flags)
                            model.push_back(v);
                        continue;
                    }
                    bool stack = type == BPF_MAP_TYPE_STACK;
                    long r = what == 2 ? m.ops->peek(m.m, out.data()) : m.ops->pop(m.m, out.data());
                    ASSERT_EQ(r, model.empty() ? -ENOENT : 0);
                    // A failed call leaves zeros: the memory was uninitialised.
                    ASSERT_EQ(out, model.empty() ? std::vector<u8>(size) : stack ? model.back() : model.front());
                    if (what == 3 && !model.empty())
                        stack ? model.pop_back() : model.pop_front();
                }
            }
}

TEST(queue, answers) {
    for (u32 type : types) {
        test_map m(params_of(type, 0, 4, 2));
        u32 v = 5, out = 0;
        for (u64 flags : {1ull, 3ull, 4ull, 8ull, 1ull << 32, ~0ull})
            EXPECT_EQ(m.ops->update_user(m.m, nullptr, &v, flags), -EINVAL);
        EXPECT_EQ(m.ops->lookup_user(m.m, nullptr, &out, 0), -ENOENT);
        EXPECT_EQ(m.ops->update_user(m.m, nullptr, &v, 0), 0);
        EXPECT_EQ(m.ops->lookup_user(m.m, nullptr, &out, 0), 0);
        EXPECT_EQ(out, 5u);
        EXPECT_EQ(m.ops->lookup_and_delete_user(m.m, nullptr, &out, BPF_F_LOCK), -EINVAL);
        EXPECT_EQ(m.ops->lookup_and_delete_user(m.m, nullptr, &out, 0), 0);
        EXPECT_EQ(m.ops->lookup_and_delete_user(m.m, nullptr, &out, 0), -ENOENT);
        EXPECT_EQ(m.ops->remove_user(m.m, nullptr), -EINVAL);
        EXPECT_EQ(m.ops->next_key(m.m, nullptr, &out), -EINVAL);
    }
}

struct interrupted_push {
    map *m;
    void *page;
    long results[3];
    u64 outputs[2];
} interrupted;

/// The page that push copies from was not readable: this runs inside the copy, under the map's lock.
void on_fault(int) {
    u64 v = 9;
    interrupted.results[0] = interrupted.m->ops->pop(interrupted.m, &interrupted.outputs[0]);
    interrupted.results[1] = interrupted.m->ops->peek(interrupted.m, &interrupted.outputs[1]);
    interrupted.results[2] = interrupted.m->ops->push(interrupted.m, &v, 0);
    mprotect(interrupted.page, 4096, PROT_READ | PROT_WRITE);
}

/// CVE-2026-92520: a program that interrupts the holder of the lock gets -EBUSY, and zeros in its memory, which was uninitialised.
TEST(queue, output_where_the_lock_is_taken) {
    for (u32 type : types) {
        test_map m(params_of(type, 0, 8, 4));
        void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(page, MAP_FAILED);
        *static_cast<u64 *>(page) = 7;
        mprotect(page, 4096, PROT_NONE);
        interrupted = {m.m, page, {}, {~0ull, ~0ull}};
        struct sigaction ours = {}, before = {};
        ours.sa_handler = on_fault;
        sigaction(SIGSEGV, &ours, &before);
        long pushed;
        {
            program_section p;
            pushed = m.ops->push(m.m, page, 0);
        }
        sigaction(SIGSEGV, &before, nullptr);
        EXPECT_EQ(pushed, 0);
        for (long r : interrupted.results)
            EXPECT_EQ(r, -EBUSY);
        for (u64 v : interrupted.outputs)
            EXPECT_EQ(v, 0u);
        u64 out = 0;
        program_section p;
        EXPECT_EQ(m.ops->pop(m.m, &out), 0);
        EXPECT_EQ(out, 7u);
        munmap(page, 4096);
    }
}

/// Every value that was pushed is popped once.
TEST(queue, races) {
    for (u32 type : types) {
        constexpr u32 threads = 4, each = 20000;
        test_map m(params_of(type, 0, 8, 64));
        std::atomic<u64> in{0}, out{0}, bad{0};
        std::vector<std::thread> all;
        for (u32 t = 0; t < threads; t++)
            all.emplace_back([&, t] {
                for (u64 i = 0; i < each; i++) {
                    program_section p;
                    u64 v = t * each + i + 1, got;
                    long r = m.ops->push(m.m, &v, 0);
                    if (!r)
                        in += v;
                    else if (r != -E2BIG && r != -EBUSY)
                        bad++;
                    if (i % 3 && !m.ops->pop(m.m, &got))
                        out += got;
                }
            });
        for (std::thread &t : all)
            t.join();
        for (u64 got; !m.ops->lookup_and_delete_user(m.m, nullptr, &got, 0);)
            out += got;
        EXPECT_EQ(in, out);
        EXPECT_EQ(bad, 0u);
    }
}

TEST(queue, allocation_failures) {
    for (u64 nth = 1; nth <= 2; nth++) {
        port_fail_nth_set(nth);
        test_map m(params_of(BPF_MAP_TYPE_QUEUE, 0, 8, 100));
        port_fail_nth_set(0);
        EXPECT_EQ(m.error, -ENOMEM);
    }
}

}  // namespace
