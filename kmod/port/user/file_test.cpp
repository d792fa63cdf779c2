// SPDX-License-Identifier: GPL-2.0-only
// Tests of objects behind descriptors: identity over dup, fork and close, readiness, mappings.
#include "port/user/user.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr size_t page = PORT_PAGE_SIZE;

struct object {
    int released = 0;
    bool has_data = false;
    port_waitq *q = nullptr;
    port_region *region = nullptr;
    int maps = 0;
    bool forbid = false;
};

const port_file_ops plain_ops = {.name = "plain",
                                 .release = [](void *o) { static_cast<object *>(o)->released++; },
                                 .mmap = nullptr,
                                 .vma_open = nullptr,
                                 .vma_close = nullptr,
                                 .poll = nullptr,
                                 .show_fdinfo = [](void *, port_seq *s) { port_seq_printf(s, "answer:\t%d\n", 42); },
                                 .ioctl = nullptr};

const port_file_ops full_ops = {
    .name = "full",
    .release = [](void *o) { static_cast<object *>(o)->released++; },
    .mmap =
        [](void *o, port_vma *v) {
            object *x = static_cast<object *>(o);
            if (!port_vma_shared(v))
                return -EINVAL;
            if (x->forbid && port_vma_writable(v))
                return -EPERM;
            int rc = port_vma_map(v, x->region, port_vma_offset(v));
            x->maps += rc == 0;
            return rc;
        },
    .vma_open = [](void *o, bool) { static_cast<object *>(o)->maps++; },
    .vma_close = [](void *o, bool) { static_cast<object *>(o)->maps--; },
    .poll =
        [](void *o, port_poll *p) -> unsigned int {
        object *x = static_cast<object *>(o);
        port_poll_wait(p, x->q);
        return x->has_data ? PORT_POLL_IN : 0;
    },
    .show_fdinfo = nullptr,
    .ioctl = [](void *, unsigned int cmd, u64 arg) { return static_cast<long>(cmd + arg); }};

void *get(int fd, const port_file_ops *ops, int *rc) {
    port_file *f;
    void *o = nullptr;
    *rc = port_file_get(fd, ops, &f, &o);
    if (*rc == 0)
        port_file_put(f);
    return o;
}

TEST(file, identity_and_release) {
    object o;
    int rc, fd = port_fd_create(&plain_ops, &o, PORT_FD_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(get(fd, &plain_ops, &rc), &o);
    EXPECT_EQ(get(fd, &full_ops, &rc), nullptr);
    EXPECT_EQ(rc, -EINVAL);
    EXPECT_STREQ(port_user_class(fd), "plain");
    int copy = dup(fd);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 0);
    EXPECT_EQ(get(copy, &plain_ops, &rc), &o);
    EXPECT_EQ(get(fd, &plain_ops, &rc), nullptr);
    EXPECT_EQ(rc, -EBADF);
    close(copy);
    port_user_sweep();
    EXPECT_EQ(o.released, 1);
}

TEST(file, not_ours) {
    int rc, ends[2];
    ASSERT_EQ(pipe(ends), 0);
    get(ends[0], &plain_ops, &rc);
    EXPECT_EQ(rc, -EINVAL);
    get(-1, &plain_ops, &rc);
    EXPECT_EQ(rc, -EBADF);
    get(987654, &plain_ops, &rc);
    EXPECT_EQ(rc, -EBADF);
    EXPECT_FALSE(port_user_owns_fd(ends[0]));
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ, MAP_SHARED, ends[0], 0), -EBADF);
    close(ends[0]);
    close(ends[1]);
}

TEST(file, held_while_in_use) {
    object o;
    int fd = port_fd_create(&plain_ops, &o, PORT_FD_RDONLY);
    port_file *f;
    void *p;
    ASSERT_EQ(port_file_get(fd, &plain_ops, &f, &p), 0);
    EXPECT_EQ(port_file_access(f), PORT_FD_RDONLY);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 0);
    port_file_put(f);
    EXPECT_EQ(o.released, 1);
}

TEST(file, survives_in_flight) {
    object o;
    int rc, fd = port_fd_create(&plain_ops, &o, 0), sv[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    char byte = 0, space[CMSG_SPACE(sizeof(int))] = {};
    iovec io = {&byte, 1};
    msghdr m = {};
    m.msg_iov = &io, m.msg_iovlen = 1, m.msg_control = space, m.msg_controllen = sizeof(space);
    cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    ASSERT_EQ(sendmsg(sv[0], &m, 0), 1);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 0);
    ASSERT_EQ(recvmsg(sv[1], &m, 0), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    EXPECT_EQ(get(fd, &plain_ops, &rc), &o);
    close(fd);
    close(sv[0]);
    close(sv[1]);
    port_user_sweep();
    EXPECT_EQ(o.released, 1);
}

TEST(file, many) {
    constexpr int n = 300;
    static object o[n];
    int fds[n];
    for (int i = 0; i < n; i++)
        ASSERT_GE(fds[i] = port_fd_create(&plain_ops, &o[i], 0), 0);
    int rc;
    for (int i = 0; i < n; i++)
        EXPECT_EQ(get(fds[i], &plain_ops, &rc), &o[i]);
    for (int i = 0; i < n; i += 2)
        close(fds[i]);
    port_user_sweep();
    for (int i = 0; i < n; i++)
        EXPECT_EQ(o[i].released, i % 2 == 0);
    for (int i = 1; i < n; i += 2)
        close(fds[i]);
    port_user_sweep();
    for (int i = 0; i < n; i++)
        EXPECT_EQ(o[i].released, 1);
}

TEST(file, fork_child_is_apart) {
    object o;
    int rc, fd = port_fd_create(&plain_ops, &o, 0);
    pid_t pid = fork();
    if (pid == 0) {
        object mine;
        int ok = get(fd, &plain_ops, &rc) == &o;
        int fd2 = port_fd_create(&plain_ops, &mine, 0);
        close(fd2);
        port_user_sweep();
        ok &= mine.released == 1 && o.released == 0;
        _exit(ok ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    port_user_sweep();
    EXPECT_EQ(o.released, 0);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 1);
}

TEST(file, readiness_follows_wake_and_sweep) {
    object o;
    o.q = port_waitq_create();
    int fd = port_fd_create(&full_ops, &o, 0);
    int ep = epoll_create1(0);
    epoll_event e = {};
    e.events = EPOLLIN;
    ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
    port_user_sweep();
    EXPECT_EQ(epoll_wait(ep, &e, 1, 0), 0);
    o.has_data = true;
    port_waitq_wake(o.q);
    EXPECT_EQ(epoll_wait(ep, &e, 1, 0), 1);
    EXPECT_EQ(e.events, static_cast<u32>(EPOLLIN));
    port_user_sweep();
    EXPECT_EQ(epoll_wait(ep, &e, 1, 0), 1);
    o.has_data = false;
    port_user_sweep();
    EXPECT_EQ(epoll_wait(ep, &e, 1, 0), 0);
    o.has_data = true; // noticed without a wake-up
    port_user_sweep();
    EXPECT_EQ(epoll_wait(ep, &e, 1, 0), 1);
    close(ep);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 1);
    port_waitq_destroy(o.q);
}

struct taking_object : object {
    bool fresh = false;
};
const port_file_ops taking_ops = {.name = "taking",
                                  .release = [](void *o) { static_cast<taking_object *>(o)->released++; },
                                  .mmap = nullptr,
                                  .vma_open = nullptr,
                                  .vma_close = nullptr,
                                  .poll = [](void *o, port_poll *p) -> unsigned int {
                                      taking_object *x = static_cast<taking_object *>(o);
                                      port_poll_wait(p, x->q);
                                      bool was = x->fresh;
                                      x->fresh = false;
                                      return was ? PORT_POLL_IN : 0;
                                  },
                                  .show_fdinfo = nullptr,
                                  .ioctl = nullptr};

TEST(file, readiness_that_poll_takes_stays_until_a_wait) {
    taking_object o;
    o.q = port_waitq_create();
    int fd = port_fd_create(&taking_ops, &o, 0);
    auto ready = [&] {
        pollfd p = {fd, POLLIN, 0};
        return poll(&p, 1, 0) == 1;
    };
    port_user_sweep();
    EXPECT_FALSE(ready());
    for (int round = 0; round < 2; round++) {
        o.fresh = true;
        if (round)
            port_waitq_wake(o.q);
        port_user_sweep();
        port_user_sweep();
        EXPECT_TRUE(ready());
        port_user_waited();
        port_user_sweep();
        EXPECT_FALSE(ready());
    }
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 1);
    port_waitq_destroy(o.q);
}

TEST(file, fdinfo_and_ioctl) {
    object a, b;
    b.q = port_waitq_create();
    int fa = port_fd_create(&plain_ops, &a, 0), fb = port_fd_create(&full_ops, &b, 0);
    char text[8];
    EXPECT_EQ(port_user_fdinfo(fa, text, sizeof(text)), 11);
    EXPECT_STREQ(text, "answer:");
    EXPECT_EQ(port_user_ioctl(fa, 1, 2), -ENOTTY);
    EXPECT_EQ(port_user_ioctl(fb, 1, 2), 3);
    EXPECT_EQ(port_user_ioctl(-1, 1, 2), -EBADF);
    close(fa);
    close(fb);
    port_user_sweep();
    port_waitq_destroy(b.q);
}

struct map_test : testing::Test {
    object o;
    int fd = -1;
    void SetUp() override {
        o.q = port_waitq_create();
        o.region = port_region_create(3 * page, 2 * page);
        fd = port_fd_create(&full_ops, &o, 0);
        u8 *p = static_cast<u8 *>(port_region_addr(o.region));
        for (int i = 0; i < 3; i++)
            p[i * page] = static_cast<u8>(i + 1);
    }
    void TearDown() override {
        close(fd);
        port_user_sweep();
        EXPECT_EQ(o.released, 1);
        port_region_destroy(o.region);
        port_waitq_destroy(o.q);
    }
    u8 *map(size_t size, int prot, u64 off, int flags = MAP_SHARED, void *at = nullptr) {
        long r = port_user_mmap(at, size, prot, flags, fd, off);
        EXPECT_FALSE(r < 0 && r > -4096) << r;
        return reinterpret_cast<u8 *>(r);
    }
};

TEST_F(map_test, shares_pages_and_mirror) {
    u8 *p = map(5 * page, PROT_READ | PROT_WRITE, 0);
    u8 *r = static_cast<u8 *>(port_region_addr(o.region));
    EXPECT_EQ(p[0], 1);
    EXPECT_EQ(p[page], 2);
    EXPECT_EQ(p[3 * page], 2);
    EXPECT_EQ(p[4 * page], 3);
    p[page + 1] = 77;
    EXPECT_EQ(r[page + 1], 77);
    EXPECT_EQ(o.maps, 1);
    port_user_unmapped(p, 5 * page);
    munmap(p, 5 * page);
    EXPECT_EQ(o.maps, 0);
}

TEST_F(map_test, read_only_offset_and_fixed) {
    u8 *p = map(page, PROT_READ, page);
    EXPECT_EQ(p[0], 2);
    EXPECT_EQ(port_copy_to_user(reinterpret_cast<u64>(p), "x", 1), -EFAULT);
    u8 *q = map(page, PROT_READ, 2 * page, MAP_SHARED | MAP_FIXED, p);
    EXPECT_EQ(q, p);
    EXPECT_EQ(q[0], 3);
    port_user_unmapped(p, page);
    munmap(p, page);
}

TEST_F(map_test, refusals) {
    EXPECT_EQ(port_user_mmap(nullptr, 0, PROT_READ, MAP_SHARED, fd, 0), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ, MAP_SHARED, fd, 1), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ, MAP_PRIVATE, fd, 0), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, 6 * page, PROT_READ, MAP_SHARED, fd, 0), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ, MAP_SHARED, fd, 5 * page), -EINVAL);
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ, MAP_SHARED, fd, ~0ull << 12), -EINVAL);
    o.forbid = true;
    EXPECT_EQ(port_user_mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), -EPERM);
    EXPECT_EQ(o.maps, 0);
}

TEST_F(map_test, partial_unmap_counts_mappings) {
    u8 *p = map(3 * page, PROT_READ, 0);
    port_user_unmapped(p + page, page); // a hole
    munmap(p + page, page);
    EXPECT_EQ(o.maps, 2);
    port_user_unmapped(p, 3 * page);
    munmap(p, 3 * page);
    EXPECT_EQ(o.maps, 0);
}

TEST_F(map_test, mapping_outlives_descriptor) {
    u8 *p = map(page, PROT_READ, 0);
    close(fd);
    port_user_sweep();
    EXPECT_EQ(o.released, 0);
    EXPECT_EQ(p[0], 1);
    port_user_unmapped(p, page);
    munmap(p, page);
    EXPECT_EQ(o.released, 1);
    fd = open("/dev/null", O_RDONLY);
}

} // namespace
