// SPDX-License-Identifier: GPL-2.0-only
// ARENA in a process: what is created and refused, room for pages, what programs find there and what user space does.
#include "maps/arena.h"

#include "maps/map_test.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace modbpf {
namespace {

constexpr u64 page = PORT_PAGE_SIZE, upper_half = 1ull << 32;
constexpr u64 far = 0x560000000000 + upper_half - 2 * page; ///< two pages below a multiple of 4 GiB, where no sanitizer has its own memory

map_params arena_of(u32 pages, u32 flags = 0, u64 extra = 0) {
    map_params p = params_of(BPF_MAP_TYPE_ARENA, 0, 0, pages, BPF_F_MMAPABLE | flags);
    p.extra = extra;
    return p;
}
int create_code(const map_params &p) { return test_map(p).error; }

u64 load(map *m, u64 user, u32 width = 8) {
    return port_arena_access(PORT_ARENA_LOAD, width, arena_kernel_base(m) + static_cast<u32>(user), 0, nullptr);
}
void store(map *m, u64 user, u64 v, u32 width = 8) {
    port_arena_access(PORT_ARENA_STORE, width, arena_kernel_base(m) + static_cast<u32>(user), v, nullptr);
}

TEST(arena, parameters) {
    EXPECT_EQ(create_code(arena_of(10)), 0);
    EXPECT_EQ(create_code(arena_of(1 << 20)), 0);
    EXPECT_EQ(create_code(arena_of((1 << 20) + 1)), -E2BIG);
    EXPECT_EQ(create_code(arena_of(0)), -EINVAL);
    EXPECT_EQ(create_code(params_of(BPF_MAP_TYPE_ARENA, 0, 0, 1)), -EINVAL) << "not to be mapped";
    EXPECT_EQ(create_code(params_of(BPF_MAP_TYPE_ARENA, 4, 0, 1, BPF_F_MMAPABLE)), -EINVAL);
    EXPECT_EQ(create_code(params_of(BPF_MAP_TYPE_ARENA, 0, 4, 1, BPF_F_MMAPABLE)), -EINVAL);
    EXPECT_EQ(create_code(arena_of(1, BPF_F_RDONLY_PROG)), -EINVAL);
    EXPECT_EQ(create_code(arena_of(1, BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV)), 0);
    EXPECT_EQ(create_code(arena_of(1, 0, 123)), -EINVAL);
    EXPECT_EQ(create_code(arena_of(2, 0, far)), 0);
    EXPECT_EQ(create_code(arena_of(3, 0, far)), -ERANGE);
}

TEST(arena, has_no_elements) {
    test_map m(arena_of(1));
    EXPECT_EQ(m->ops->lookup_user(m.m, nullptr, nullptr, 0), -EINVAL);
    EXPECT_EQ(m->ops->update_user(m.m, nullptr, nullptr, 0), -EOPNOTSUPP);
    EXPECT_EQ(m->ops->remove_user(m.m, nullptr), -EOPNOTSUPP);
    EXPECT_EQ(m->ops->next_key(m.m, nullptr, nullptr), -EOPNOTSUPP);
    EXPECT_EQ(m->ops->memory(m.m), 0u);
}

TEST(arena, room_for_pages) {
    test_map m(arena_of(200, 0, far - 500 * page));
    u64 at = far - 500 * page;
    EXPECT_EQ(arena_user_start(m.m), at);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 201, -1), 0u);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 0, -1), 0u);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 1, 12345), 0u) << "no such node";
    for (u32 i = 0; i < 200; i++)
        ASSERT_EQ(arena_alloc_pages(m.m, 0, 1, -1), at + i * page);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 1, -1), 0u);
    for (u32 i = 0; i < 200; i += 2)
        arena_free_pages(m.m, at + i * page, 1);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 2, -1), 0u) << "gaps of one page";
    arena_free_pages(m.m, at + 71 * page, 1);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 3, -1), at + 70 * page);
    EXPECT_EQ(arena_alloc_pages(m.m, at + 71 * page, 1, -1), 0u) << "taken";
    EXPECT_EQ(arena_alloc_pages(m.m, at + 75 * page, 1, -1), 0u) << "taken";
    EXPECT_EQ(arena_alloc_pages(m.m, at + 74 * page + 8, 1, -1), 0u) << "no page's address";
    EXPECT_EQ(arena_alloc_pages(m.m, at + 74 * page, 1, -1), at + 74 * page);
    EXPECT_EQ(arena_alloc_pages(m.m, at + 200 * page, 1, -1), 0u) << "beyond";
    arena_free_pages(m.m, at, 1000);
    EXPECT_EQ(arena_alloc_pages(m.m, at + page, 200, -1), 0u);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 200, -1), at);
}

TEST(arena, programs_see_what_is_there) {
    test_map m(arena_of(2, 0, far));
    EXPECT_EQ(load(m.m, far), 0u);
    store(m.m, far, 5);
    EXPECT_EQ(load(m.m, far), 0u) << "nothing was there to be stored to";
    ASSERT_EQ(arena_alloc_pages(m.m, 0, 1, -1), far);
    store(m.m, far, 0x1122334455667788);
    EXPECT_EQ(load(m.m, far, 1), 0x88u);
    EXPECT_EQ(load(m.m, far, 2), 0x7788u);
    EXPECT_EQ(load(m.m, far, 4), 0x55667788u);
    EXPECT_EQ(load(m.m, far), 0x1122334455667788u);
    store(m.m, far + page - 4, ~0ull);
    EXPECT_EQ(load(m.m, far + page - 4, 4), 0u) << "the second half has no page, so nothing is stored";
    EXPECT_EQ(load(m.m, far - 1), 0u);
    EXPECT_EQ(port_arena_access(PORT_ARENA_LOAD, 8, arena_kernel_base(m.m) - 32768, 0, nullptr), 0u) << "the guards";
    EXPECT_EQ(port_arena_access(PORT_ARENA_LOAD, 8, arena_kernel_base(m.m) + upper_half + 32767, 0, nullptr), 0u);
    arena_free_pages(m.m, far, 1);
    EXPECT_EQ(load(m.m, far), 0u);
    ASSERT_EQ(arena_alloc_pages(m.m, 0, 1, -1), far);
    EXPECT_EQ(load(m.m, far), 0u) << "zeroed";
}

// ---- mappings ----

/// An arena behind a descriptor.
struct file_of_arena {
    port_file_ops ops{};
    test_map m;
    int fd;
    static map *of(void *obj) { return static_cast<file_of_arena *>(obj)->m.m; }

    explicit file_of_arena(const map_params &p) : m(p) {
        ops.name = "arena";
        ops.release = [](void *) {};
        ops.mmap = [](void *o, port_vma *v) { return of(o)->ops->mmap(of(o), v); };
        ops.arena = [](void *o) { return of(o)->ops->arena(of(o)); };
        ops.place = [](void *o, u64 addr, size_t size, u64 off) { return of(o)->ops->place(of(o), addr, size, off); };
        fd = port_fd_create(&ops, this, 0);
        EXPECT_GE(fd, 0);
    }
    ~file_of_arena() {
        close(fd);
        port_user_sweep();
    }
    long map_at(u64 addr, u64 size, int flags = 0, u64 off = 0, int prot = PROT_READ | PROT_WRITE) {
        return port_user_mmap(reinterpret_cast<void *>(addr), size, prot, MAP_SHARED | flags, fd, off);
    }
    static int unmap(u64 addr, u64 size) {
        void *at = reinterpret_cast<void *>(addr);
        int rc = port_user_unmapped(at, size);
        return rc ? rc : munmap(at, size);
    }
};
volatile u64 &word(u64 addr) { return *reinterpret_cast<volatile u64 *>(addr); }

TEST(arena, where_it_may_be_mapped) {
    file_of_arena f(arena_of(16));
    EXPECT_EQ(f.map_at(0, 16 * page, 0, page), -EINVAL);
    EXPECT_EQ(f.map_at(0, upper_half + page), -E2BIG);
    EXPECT_EQ(f.map_at(far, 16 * page, MAP_FIXED), -EINVAL) << "over a multiple of 4 GiB";
    EXPECT_EQ(arena_user_start(f.m.m), 0u);
    EXPECT_FALSE(f.m->ops->value_address(f.m.m, 1).ok());
    u64 at = static_cast<u64>(f.map_at(0, 16 * page));
    ASSERT_EQ(at % page, 0u);
    EXPECT_EQ(arena_user_start(f.m.m), at);
    auto last = f.m->ops->value_address(f.m.m, 16 * page);
    ASSERT_TRUE(last.ok());
    EXPECT_EQ(*last, at + 16 * page);
    EXPECT_EQ(f.m->ops->value_address(f.m.m, 16 * page + 1).code(), -ERANGE);
    EXPECT_EQ(f.map_at(0, 16 * page), -EINVAL) << "the same address for all";
    EXPECT_EQ(f.map_at(at, 17 * page), -E2BIG);
    EXPECT_EQ(f.map_at(at, 15 * page), -EINVAL);
    EXPECT_EQ(f.unmap(at + page, page), -EINVAL) << "no part goes alone";
    EXPECT_EQ(f.unmap(at, 16 * page), 0);
    EXPECT_EQ(f.map_at(at, 16 * page, MAP_FIXED), static_cast<long>(at));
    EXPECT_EQ(f.unmap(at, 16 * page), 0);
}

TEST(arena, all_of_4_gigabytes) {
    file_of_arena f(arena_of(1 << 20));
    u64 at = static_cast<u64>(f.map_at(0, upper_half));
    ASSERT_EQ(at % upper_half, 0u);
    word(at + upper_half - 8) = 9;
    EXPECT_EQ(load(f.m.m, at + upper_half - 8), 9u);
    EXPECT_EQ(arena_alloc_pages(f.m.m, at + upper_half - page, 1, -1), 0u) << "user space has it";
    EXPECT_EQ(f.unmap(at, upper_half), 0);
}

TEST(arena, both_see_the_same) {
    file_of_arena f(arena_of(2, 0, far));
    ASSERT_EQ(f.map_at(far, 2 * page, MAP_FIXED), static_cast<long>(far));
    EXPECT_EQ(load(f.m.m, far + page), 0u);
    word(far + page + 16) = 77; // makes the page
    EXPECT_EQ(load(f.m.m, far + page + 16), 77u);
    store(f.m.m, far + page + 16, 78);
    EXPECT_EQ(word(far + page + 16), 78u);
    EXPECT_EQ(arena_alloc_pages(f.m.m, 0, 1, -1), far);
    EXPECT_EQ(arena_alloc_pages(f.m.m, 0, 1, -1), 0u) << "user space has the other one";
    store(f.m.m, far, 5);
    EXPECT_EQ(word(far), 5u);
    arena_free_pages(f.m.m, far, 2);
    EXPECT_EQ(load(f.m.m, far + page + 16), 0u);
    EXPECT_EQ(word(far + page + 16), 0u) << "a fresh page";
    EXPECT_EQ(f.unmap(far, 2 * page), 0);
    EXPECT_EQ(arena_alloc_pages(f.m.m, far + page, 1, -1), 0u) << "it stays without the mapping";
}

/// The signal that ends a child which does that.
template <class F> int ends_with(F &&f) {
    pid_t child = fork();
    if (!child) {
        signal(SIGSEGV, SIG_DFL);
        f();
        _exit(0);
    }
    int st = 0;
    waitpid(child, &st, 0);
    return WIFSIGNALED(st) ? WTERMSIG(st) : 0;
}

TEST(arena, strict_ones_show_what_was_added) {
    file_of_arena f(arena_of(2, BPF_F_SEGV_ON_FAULT, far));
    ASSERT_EQ(arena_alloc_pages(f.m.m, far + page, 1, -1), far + page);
    ASSERT_EQ(f.map_at(far, 2 * page, MAP_FIXED), static_cast<long>(far));
    store(f.m.m, far + page, 6);
    EXPECT_EQ(word(far + page), 6u);
    auto opened = [](u64 at) { return madvise(reinterpret_cast<void *>(at), page, MADV_POPULATE_READ) == 0; };
    EXPECT_FALSE(opened(far));
    ASSERT_EQ(arena_alloc_pages(f.m.m, 0, 1, -1), far);
    EXPECT_TRUE(opened(far));
    word(far) = 8;
    EXPECT_EQ(load(f.m.m, far), 8u);
    arena_free_pages(f.m.m, far, 2);
    EXPECT_FALSE(opened(far));
    EXPECT_FALSE(opened(far + page));
    EXPECT_EQ(f.unmap(far, 2 * page), 0);
}

TEST(arena, children_do_not_inherit_the_mapping) {
    file_of_arena f(arena_of(2, 0, far));
    ASSERT_EQ(f.map_at(far, 2 * page, MAP_FIXED), static_cast<long>(far));
    word(far) = 1;
    EXPECT_EQ(ends_with([] { word(far) = 2; }), SIGSEGV);
    EXPECT_EQ(word(far), 1u);
    EXPECT_EQ(f.unmap(far, 2 * page), 0);
}

TEST(arena, allocation_failures) {
    for (u64 n = 1;; n++) {
        port_fail_nth_set(n);
        int rc = create_code(arena_of(2, 0, far));
        if (port_fail_nth_set(0) < n) {
            EXPECT_EQ(rc, 0);
            break;
        }
        EXPECT_EQ(rc, -ENOMEM);
    }
    test_map m(arena_of(2, 0, far));
    port_fail_nth_set(1);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 1, -1), 0u);
    port_fail_nth_set(0);
    EXPECT_EQ(arena_alloc_pages(m.m, 0, 2, -1), far) << "what failed took nothing";
}

}  // namespace
}  // namespace modbpf
