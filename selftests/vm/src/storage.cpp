// SPDX-License-Identifier: GPL-2.0-only
// Values of tasks, control groups, inodes and sockets while these come and go; then a loader program that loads the same object from inside the kernel.
// usage: storage OBJECT CGROUP-FOLDER
#include <errno.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <bpf/skel_internal.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "tap.h"

struct tag {
    unsigned long who, hits;
};
struct shared {
    unsigned long hits, wrong, none, group_hits, group_wrong, group_none, deleted, fresh, same_cpu, other_cpu, no_cpu;
    long own_chain, kernel_chain;
    unsigned long inode_hits, inode_wrong, inode_none, inode_deleted, sock_made, sock_stale, sock_none, sock_released, sock_deleted, sock_bad_delete;
    unsigned long chain[16];
    unsigned long begun, begun_stale;
};

static bpf_object *open_object(const char *path) { return bpf_object__open(path); }

/// Many tasks that live for a few system calls.
static void short_lives(int n) {
    std::vector<std::thread> forkers;
    for (int t = 0; t < 2; t++)
        forkers.emplace_back([n] {
            for (int i = 0; i < n; i++) {
                pid_t p = fork();
                if (!p) {
                    getppid();
                    syscall(__NR_getpgid, 0);
                    _exit(0);
                }
                std::thread([] { getppid(); }).join();
                while (waitpid(p, nullptr, 0) < 0 && errno == EINTR)
                    ;
            }
        });
    for (auto &t : forkers)
        t.join();
}

static void move_to(const std::string &group) {
    FILE *f = fopen((group + "/cgroup.procs").c_str(), "w");
    if (f) {
        fprintf(f, "%d", getpid());
        fclose(f);
    }
}

static void task_commands(int map) {
    pid_t p = fork();
    if (!p) {
        pause();
        _exit(0);
    }
    int fd = static_cast<int>(syscall(__NR_pidfd_open, p, 0)), bad = open("/", O_RDONLY);
    usleep(50000);
    tag t{};
    bool found = !bpf_map_lookup_elem(map, &fd, &t);
    ok(found && t.hits > 0, "storage: a child's value by its pidfd: %lu hits", t.hits);
    tag given = {t.who, 1000000};
    ok(!bpf_map_update_elem(map, &fd, &given, BPF_EXIST), "storage: and it is set");
    ok(bpf_map_update_elem(map, &fd, &given, BPF_NOEXIST) < 0 && errno == EEXIST, "storage: it is there already");
    ok(!bpf_map_lookup_elem(map, &fd, &t) && t.hits >= 1000000, "storage: and read back");
    ok(bpf_map_lookup_elem(map, &bad, &t) < 0 && errno == EBADF, "storage: an fd of something else");
    kill(p, SIGKILL);
    waitpid(p, nullptr, 0);
    ok(bpf_map_lookup_elem(map, &fd, &t) < 0 && (errno == ENOENT || errno == ESRCH), "storage: of a task that is gone: errno %d", errno);
    ok(bpf_map_update_elem(map, &fd, &given, BPF_ANY) < 0 && (errno == ENOENT || errno == ESRCH), "storage: nothing is kept for it: errno %d", errno);
    close(fd), close(bad);
}

/// Forks that fail when their task has a value: nobody is told of the end of such a task, and the next one has its memory.
static void failing_forks(volatile shared *out) {
    unsigned long begun = out->begun;
    int failed = 0;
    for (int i = 0; i < 300; i++)
        failed += syscall(__NR_clone, CLONE_PIDFD | SIGCHLD, 0, 8 /* no place for the pidfd */, 0, 0) < 0 && errno == EFAULT;
    ok(failed == 300 && out->begun >= begun + 300 && !out->begun_stale, "storage: %lu tasks begin, %lu with another's value", out->begun,
       out->begun_stale);
}

static void group_commands(int map, const std::string &folder) {
    std::string group = folder + "/storage-test";
    mkdir(group.c_str(), 0755);
    int fd = open(group.c_str(), O_RDONLY | O_DIRECTORY);
    tag t{};
    ok(bpf_map_lookup_elem(map, &fd, &t) < 0 && errno == ENOENT, "storage: a new control group has no value");
    move_to(group);
    getppid();
    bool found = !bpf_map_lookup_elem(map, &fd, &t);
    ok(found && t.hits > 0, "storage: it has one when a task of it was seen: %lu", t.hits);
    struct stat st;
    stat(group.c_str(), &st);
    ok(t.who == st.st_ino, "storage: that of the group: %lu, %lu", t.who, static_cast<unsigned long>(st.st_ino));
    move_to(folder);
    rmdir(group.c_str());
    ok(bpf_map_update_elem(map, &fd, &t, BPF_ANY) < 0, "storage: nothing is kept for a group that is gone: errno %d", errno);
    close(fd);
    for (int i = 0; i < 200; i++) {
        std::string g = folder + "/storage-" + std::to_string(i % 3);
        mkdir(g.c_str(), 0755);
        move_to(g);
        getppid();
        move_to(folder);
        rmdir(g.c_str());
    }
}

/// Files of a file system whose inodes go with it, and with each file: the same memory serves the next ones.
static void inode_commands(int map, volatile shared *out) {
    std::string folder = "/tmp/storage-files." + std::to_string(getpid());
    mkdir(folder.c_str(), 0755);
    if (!ok(!mount("none", folder.c_str(), "tmpfs", 0, nullptr), "storage: a file system to itself"))
        return;
    std::string path = folder + "/file", other = folder + "/other";
    int fd = open(path.c_str(), O_CREAT | O_RDWR, 0600), again = open(path.c_str(), O_PATH), bad = 1000;
    struct stat st;
    fstat(fd, &st);
    tag t{}, given{7, 8};
    bool found = !bpf_map_lookup_elem(map, &again, &t);
    ok(found && t.who == st.st_ino && t.hits == 1, "storage: an inode's value by another fd: %lu of %lu", t.hits,
       t.who);
    ok(bpf_map_lookup_elem(map, &bad, &t) < 0 && errno == EBADF, "storage: no such file");
    ok(bpf_map_update_elem(map, &fd, &given, BPF_NOEXIST) < 0 && errno == EEXIST, "storage: the inode has a value already");
    ioctl(fd, 0x1234, 0);
    ok(out->inode_deleted > 0 && bpf_map_lookup_elem(map, &fd, &t) < 0 && errno == ENOENT, "storage: a program took it out");
    given.who = st.st_ino;
    ok(!bpf_map_update_elem(map, &fd, &given, BPF_NOEXIST) && !bpf_map_lookup_elem(map, &again, &t) && t.hits == 8, "storage: and it is set");
    ok(!bpf_map_delete_elem(map, &again) && bpf_map_delete_elem(map, &fd) < 0 && errno == ENOENT, "storage: and deleted once");
    close(fd), close(again);
    for (int i = 0; i < 300; i++) {
        int f = open(other.c_str(), O_CREAT | O_RDWR | O_EXCL, 0600);
        unlink(other.c_str());
        close(f);
    }
    umount(folder.c_str());
    rmdir(folder.c_str());
    ok(out->inode_wrong == 0 && out->inode_hits > 300, "storage: %lu hits of inodes, %lu saw another's value, %lu had none", out->inode_hits,
       out->inode_wrong, out->inode_none);
}

/// A connection's two ends, or {-1, -1}.
static std::pair<int, int> connection(int listener) {
    sockaddr_in at{};
    socklen_t len = sizeof(at);
    getsockname(listener, reinterpret_cast<sockaddr *>(&at), &len);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, reinterpret_cast<sockaddr *>(&at), sizeof(at)))
        return {-1, -1};
    return {client, accept(listener, nullptr, nullptr)};
}

static void socket_commands(int map, int alone, volatile shared *out) {
    unsigned long made = out->sock_made;
    int listener = socket(AF_INET, SOCK_STREAM, 0), file = open("/", O_RDONLY), bad = 1000;
    tag t{}, given{5, 6};
    ok(out->sock_made == made + 1 && !bpf_map_lookup_elem(map, &listener, &t) && t.who == 1, "storage: a socket's value by its fd");
    ok(bpf_map_lookup_elem(map, &bad, &t) < 0 && errno == EBADF, "storage: no such socket");
    ok(bpf_map_lookup_elem(map, &file, &t) < 0 && errno == ENOTSOCK, "storage: a file is no socket");
    ok(!bpf_map_update_elem(map, &listener, &given, BPF_EXIST), "storage: it is set");
    sockaddr_in any{};
    any.sin_family = AF_INET, any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!ok(!bind(listener, reinterpret_cast<sockaddr *>(&any), sizeof(any)) && !listen(listener, 8), "storage: it listens"))
        return;
    auto [client, server] = connection(listener);
    t = {};
    bool found = server >= 0 && !bpf_map_lookup_elem(map, &server, &t);
    ok(found && t.who == 5 && t.hits == 6, "storage: what it accepts has a copy: %lu, %lu", t.who,
       t.hits);
    ok(bpf_map_lookup_elem(alone, &server, &t) < 0 && errno == ENOENT, "storage: of the map that asks for copies alone");
    given.hits = 9;
    ok(!bpf_map_update_elem(map, &server, &given, BPF_EXIST) && !bpf_map_lookup_elem(map, &listener, &t) && t.hits == 6,
       "storage: which is its own");
    ok(!bpf_map_delete_elem(map, &client) && bpf_map_delete_elem(map, &client) < 0 && errno == ENOENT, "storage: deleted once");
    close(client), close(server);
    unsigned long released = out->sock_released;
    for (int i = 0; i < 100; i++) {
        auto [c, s] = connection(listener);
        close(c), close(s);
    }
    ok(out->sock_released >= released + 600, "storage: found when they are released: %lu", out->sock_released - released);
    close(listener), close(file);
    for (int i = 0; i < 300; i++)
        close(socket(i & 1 ? AF_INET : AF_UNIX, SOCK_DGRAM, 0));
    ok(out->sock_stale == 0 && out->sock_made > 400, "storage: %lu sockets, %lu saw another's value, %lu had none", out->sock_made,
       out->sock_stale, out->sock_none);
    ok(out->sock_deleted > 250 && !out->sock_bad_delete, "storage: programs took out %lu values", out->sock_deleted);
}

/// The object's own loader, as light skeletons have it: a SYSCALL program makes all maps and programs.
static void light_skeleton(const char *path) {
    bpf_object *obj = open_object(path);
    LIBBPF_OPTS(gen_loader_opts, gen);
    bool made = !bpf_object__gen_loader(obj, &gen) && !bpf_object__load(obj);
    if (!ok(made, "loader: is generated"))
        return;
    int maps = 0, progs = 0;
    bpf_map *m;
    bpf_program *p;
    bpf_object__for_each_map(m, obj) maps++;
    bpf_object__for_each_program(p, obj) progs++;
    size_t size = sizeof(bpf_loader_ctx) + static_cast<size_t>(maps) * sizeof(bpf_map_desc) + static_cast<size_t>(progs) * sizeof(bpf_prog_desc);
    std::vector<char> text(1 << 18), ctx(size);
    auto *c = reinterpret_cast<bpf_loader_ctx *>(ctx.data());
    c->sz = static_cast<unsigned>(size);
    c->log_level = 1, c->log_size = static_cast<unsigned>(text.size()), c->log_buf = reinterpret_cast<unsigned long>(text.data());
    bpf_load_and_run_opts opts = {};
    opts.ctx = c;
    opts.data = gen.data, opts.data_sz = gen.data_sz;
    opts.insns = const_cast<char *>(gen.insns), opts.insns_sz = gen.insns_sz;
    int rc = bpf_load_and_run(&opts);
    ok(rc == 0, "loader: runs: %d, %s %s", rc, opts.errstr ? opts.errstr : "", text.data());
    auto *map = reinterpret_cast<bpf_map_desc *>(c + 1);
    auto *prog = reinterpret_cast<bpf_prog_desc *>(map + maps);
    int good = 0;
    for (int i = 0; i < maps; i++)
        good += fcntl(map[i].map_fd, F_GETFD) >= 0 && map[i].map_fd > 2;
    for (int i = 0; i < progs; i++) {
        bpf_prog_info info = {};
        unsigned len = sizeof(info);
        good += prog[i].prog_fd > 2 && !bpf_obj_get_info_by_fd(prog[i].prog_fd, &info, &len) && info.xlated_prog_len > 0;
    }
    ok(good == maps + progs, "loader: %d maps and programs of %d", good, maps + progs);
    for (int i = 0; i < maps; i++)
        close(map[i].map_fd);
    for (int i = 0; i < progs; i++)
        close(prog[i].prog_fd);
    bpf_object__close(obj);
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/t/bin/storage.bpf.o";
    std::string folder = argc > 2 ? argv[2] : "/sys/fs/cgroup";
    light_skeleton(path);
    bpf_object *obj = open_object(path);
    if (!ok(obj && bpf_object__load(obj) == 0, "storage: programs load"))
        return tap_exit();
    bpf_map *m;
    volatile shared *out = nullptr;
    volatile int *watched = nullptr;
    bpf_object__for_each_map(m, obj) if (strstr(bpf_map__name(m), ".bss")) {
        auto *bss = static_cast<char *>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0));
        const btf *b = bpf_object__btf(obj);
        const btf_type *sec = btf__type_by_id(b, static_cast<unsigned>(btf__find_by_name_kind(b, ".bss", BTF_KIND_DATASEC)));
        for (unsigned i = 0; i < btf_vlen(sec); i++) {
            const char *name = btf__name_by_offset(b, btf__type_by_id(b, btf_var_secinfos(sec)[i].type)->name_off);
            if (!strcmp(name, "out"))
                out = reinterpret_cast<volatile shared *>(bss + btf_var_secinfos(sec)[i].offset);
            else
                watched = reinterpret_cast<volatile int *>(bss + btf_var_secinfos(sec)[i].offset);
        }
    }
    *watched = getpid();
    std::vector<bpf_link *> links;
    bpf_program *p;
    bpf_object__for_each_program(p, obj) if (bpf_link *l = bpf_program__attach(p)) links.push_back(l);
    ok(links.size() == 10, "storage: %zu programs attach", links.size());
    syscall(__NR_getpgid, 0);
    ok(out->same_cpu == 1 && out->other_cpu == 1 && out->no_cpu == 1, "ksym: the run queues of this CPU and of the other: %lu %lu %lu",
       out->same_cpu, out->other_cpu, out->no_cpu);
    ok(out->kernel_chain > 0 && out->own_chain > 0, "chains: of the current task: %ld, %ld", out->kernel_chain, out->own_chain);
    short_lives(turns(300));
    task_commands(bpf_object__find_map_fd_by_name(obj, "tasks"));
    failing_forks(out);
    group_commands(bpf_object__find_map_fd_by_name(obj, "groups"), folder);
    inode_commands(bpf_object__find_map_fd_by_name(obj, "inodes"), out);
    socket_commands(bpf_object__find_map_fd_by_name(obj, "sockets"), bpf_object__find_map_fd_by_name(obj, "sockets_alone"), out);
    short_lives(turns(100));
    ok(out->wrong == 0 && out->fresh > static_cast<unsigned long>(turns(500)), "storage: %lu hits of %lu tasks, %lu saw another's value", out->hits, out->fresh, out->wrong);
    ok(out->none < out->hits / 10, "storage: %lu had no value", out->none);
    ok(out->group_wrong == 0 && out->group_hits > static_cast<unsigned long>(turns(500)), "storage: %lu hits of groups, %lu saw another's value, %lu had none", out->group_hits,
       out->group_wrong, out->group_none);
    for (bpf_link *l : links)
        bpf_link__destroy(l);
    bpf_object__close(obj);
    return tap_exit();
}
