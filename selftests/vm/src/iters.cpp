// SPDX-License-Identifier: GPL-2.0-only
// Iterators against what /proc says of this process: threads, open files, mappings; elements of a map; all maps, programs and links; control groups; the kernel's symbols. Then readers beside processes
// that come and go.
// usage: iters OBJECT FOLDER GROUPS   (an empty one; the unified hierarchy of control groups)
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tap.h"

struct shared {
    int ends, sleepers;
    unsigned long address;
    int copied;
    int last_level;
};
using lines = std::vector<std::string>;

static lines split(const std::string &text) {
    lines all;
    std::istringstream in(text);
    for (std::string s; std::getline(in, s);)
        all.push_back(s);
    return all;
}

/// Everything that the fd gives, read in pieces; `error`: what read() said last.
static std::string slurp(int fd, size_t piece, int *error) {
    std::string text;
    std::vector<char> buf(piece);
    ssize_t n;
    while ((n = read(fd, buf.data(), piece)) > 0)
        text.append(buf.data(), static_cast<size_t>(n));
    *error = n < 0 ? errno : 0;
    return text;
}

static std::string file(const std::string &path) {
    int fd = open(path.c_str(), O_RDONLY), error;
    std::string text = slurp(fd, 65536, &error);
    close(fd);
    return text;
}

static bpf_link *attach(bpf_object *o, const char *name, bpf_iter_link_info info, bool any = false) {
    LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
    bpf_link *l = bpf_program__attach_iter(bpf_object__find_program_by_name(o, name), any ? nullptr : &opts);
    if (!l)
        ok(false, "%s: attached: %s", name, strerror(errno));
    return l;
}

static lines run(bpf_object *o, const char *name, bpf_iter_link_info info, size_t piece = 4096) {
    bpf_link *l = attach(o, name, info);
    if (!l)
        return {};
    int fd = bpf_iter_create(bpf_link__fd(l)), error = 0;
    if (fd < 0)
        ok(false, "%s: an iterator: %s", name, strerror(errno));
    std::string text = slurp(fd, piece, &error);
    if (error)
        ok(false, "%s: read: %s", name, strerror(error));
    close(fd);
    bpf_link__destroy(l);
    return split(text);
}

static bpf_iter_link_info of(unsigned tid, unsigned pid, unsigned pid_fd = 0) {
    bpf_iter_link_info i = {};
    i.task.tid = tid, i.task.pid = pid, i.task.pid_fd = pid_fd;
    return i;
}

static void test_tasks(bpf_object *o) {
    unsigned self = static_cast<unsigned>(getpid());
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; i++)
        threads.emplace_back([&] {
            while (!done)
                usleep(10000);
        });
    lines one = run(o, "tasks", of(self, 0)), mine = run(o, "tasks", of(0, self)), all = run(o, "tasks", of(0, 0), 100);
    ok(one.size() == 1 && one[0].find(std::to_string(self) + " " + std::to_string(self) + " iters") == 2, "task: one thread");
    ok(mine.size() == 6, "task: the threads of a process: %zu", mine.size());
    int pidfd = static_cast<int>(syscall(SYS_pidfd_open, self, 0));
    ok(run(o, "tasks", of(0, 0, static_cast<unsigned>(pidfd))) == mine, "task: a process by its pidfd");
    close(pidfd);
    bool numbered = true, init = false;
    size_t own = 0;
    for (size_t i = 0; i < all.size(); i++) {
        unsigned long long n;
        int tgid, pid;
        numbered &= sscanf(all[i].c_str(), "%llu %d %d", &n, &tgid, &pid) == 3 && n == i;
        init |= pid == 1;
        own += tgid == static_cast<int>(self);
    }
    ok(numbered && init && own == 6 && all.size() > 20, "task: all %zu of them, numbered", all.size());
    ok(run(o, "tasks", of(0x3fffff, 0)).empty(), "task: none of a pid that is nobody's");
    bpf_iter_link_info two = of(self, self);
    LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &two, .link_info_len = sizeof(two));
    ok(!bpf_program__attach_iter(bpf_object__find_program_by_name(o, "tasks"), &opts) && errno == EINVAL, "task: a thread and a process: EINVAL");
    done = true;
    for (auto &t : threads)
        t.join();
}

static void test_sleeping(bpf_object *o, unsigned long *address, int *copied) {
    static unsigned long word = 0x1234567812345678;
    *address = reinterpret_cast<unsigned long>(&word);
    *copied = 0;
    lines all = run(o, "sleeping", of(0, 0));
    ok(all.size() > 20 && *copied >= 1, "sleepable: memory of %d tasks of %zu", *copied, all.size());
}

static void test_files(bpf_object *o) {
    int pipes[2];
    if (pipe(pipes))
        return;
    int high = dup2(pipes[0], 200);
    std::string self = std::to_string(getpid());
    std::set<std::string> expected;
    bpf_link *l = attach(o, "files", of(0, static_cast<unsigned>(getpid())));
    int it = bpf_iter_create(bpf_link__fd(l)), error;
    DIR *d = opendir("/proc/self/fd");
    while (dirent *e = readdir(d))
        if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
            expected.insert(self + " " + e->d_name + " 1");
    closedir(d);
    lines seen = split(slurp(it, 64, &error));
    ok(std::set<std::string>(seen.begin(), seen.end()) == expected && seen.size() == expected.size(), "task_file: %zu of %zu open files", seen.size(),
       expected.size());
    close(it);
    bpf_link__destroy(l);
    close(high), close(pipes[0]), close(pipes[1]);
    ok(run(o, "files", of(0, 0), 100).size() > 10, "task_file: those of everybody");
}

static void test_mappings(bpf_object *o) {
    for (size_t piece : {100u, 65536u}) {
        bpf_link *l = attach(o, "mappings", of(0, static_cast<unsigned>(getpid())));
        int it = bpf_iter_create(bpf_link__fd(l)), error;
        int first = bpf_iter_create(bpf_link__fd(l));
        (void)slurp(first, piece, &error); // whatever memory reading needs is there
        close(first);
        std::string maps = file("/proc/self/maps"), self = std::to_string(getpid());
        lines expected, seen = split(slurp(it, piece, &error));
        for (const std::string &m : split(maps))
            if (m.find("[vsyscall]") == std::string::npos)
                expected.push_back(self + " " + m.substr(0, m.find(' ')));
        size_t common = 0;
        std::set<std::string> have(seen.begin(), seen.end());
        for (const std::string &e : expected)
            common += have.count(e);
        // The heap may have grown between the two.
        ok(have.size() == seen.size() && common + 1 >= expected.size() && seen.size() <= expected.size() + 1 && seen.size() + 1 >= expected.size(),
           "task_vma: %zu of %zu mappings, %zu bytes at once", common, expected.size(), piece);
        close(it);
        bpf_link__destroy(l);
    }
    if (!getenv("MODBPF_BACKEND")) // Linux shows the mappings of a single thread again and again
        ok(run(o, "mappings", of(static_cast<unsigned>(getpid()), 0), 100).size() > 10, "task_vma: those of a thread, once");
    ok(run(o, "mappings", of(0, 0), 100).size() > 50, "task_vma: those of everybody");
}

static void test_elements(bpf_object *o) {
    int map = bpf_object__find_map_fd_by_name(o, "numbers");
    for (unsigned i = 0; i < 3000; i++) {
        unsigned long v = i * 2ul;
        bpf_map_update_elem(map, &i, &v, 0);
    }
    bpf_iter_link_info info = {};
    info.map.map_fd = static_cast<unsigned>(map);
    lines seen = run(o, "elements", info, 1000);
    std::set<unsigned> keys;
    bool right = true;
    for (const std::string &s : seen) {
        unsigned key;
        unsigned long v;
        right &= sscanf(s.c_str(), "%u %lu", &key, &v) == 2 && v == key * 2ul && s.find(" 5000 4 numbers ") != std::string::npos;
        keys.insert(key);
    }
    unsigned last = 2999;
    unsigned long v = 0;
    bpf_map_lookup_elem(map, &last, &v);
    ok(right && keys.size() == 3000 && seen.size() == 3000 && v == 5999, "bpf_map_elem: %zu elements, written to", seen.size());
    bpf_link *l = attach(o, "elements", info);
    bpf_link_info i = {};
    unsigned len = sizeof(i);
    char name[20] = {};
    i.iter.target_name = reinterpret_cast<unsigned long>(name), i.iter.target_name_len = sizeof(name);
    ok(!bpf_obj_get_info_by_fd(bpf_link__fd(l), &i, &len) && i.type == BPF_LINK_TYPE_ITER && !strcmp(name, "bpf_map_elem") && i.iter.map.map_id,
       "link: its info");
    int it = bpf_iter_create(bpf_link__fd(l));
    ok(lseek(it, 0, SEEK_SET) == -1 && errno == ESPIPE, "file: cannot be sought in");
    char path[64], target[64] = {};
    snprintf(path, sizeof(path), "/proc/self/fd/%d", it);
    ok(readlink(path, target, sizeof(target) - 1) > 0 && !strcmp(target, "anon_inode:bpf_iter"), "file: its name: %s", target);
    ok(syscall(SYS_read, it, 8, 100) == -1 && errno == EFAULT, "file: EFAULT");
    close(it);
    bpf_link__destroy(l);
}

/// Readers of everything beside processes that live for a moment.
static void test_churn(bpf_object *o) {
    std::atomic<bool> done{false};
    std::thread churn([&] {
        while (!done) {
            pid_t p = fork();
            if (!p) {
                std::thread([] { usleep(100); }).join();
                munmap(mmap(nullptr, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
                _exit(0);
            }
            while (waitpid(p, nullptr, 0) < 0 && errno == EINTR)
                ;
        }
    });
    size_t seen = 0;
    for (int i = 0; i < 10; i++)
        for (const char *name : {"tasks", "files", "mappings", "sleeping"})
            seen += run(o, name, of(0, 0), i % 2 ? 200 : 65536).size();
    done = true;
    churn.join();
    ok(seen > 1000, "churn: %zu objects", seen);
}

/// How many of the lines are this one.
static long among(const lines &all, const std::string &line) { return std::count(all.begin(), all.end(), line); }

/// What there is, whole and in parts: each has its line, once, by rising numbers.
static void test_registries(bpf_object *o) {
    bpf_map_info m = {};
    unsigned len = sizeof(m);
    bpf_obj_get_info_by_fd(bpf_object__find_map_fd_by_name(o, "numbers"), &m, &len);
    lines seen = run(o, "maps", {});
    ok(among(seen, std::to_string(m.id) + " 4 5000 numbers") == 1, "bpf_map: this one among %zu", seen.size());
    ok(run(o, "maps", {}, 7) == seen, "bpf_map: by pieces");
    bpf_prog_info p = {};
    len = sizeof(p);
    bpf_obj_get_info_by_fd(bpf_program__fd(bpf_object__find_program_by_name(o, "progs")), &p, &len);
    seen = run(o, "progs", {});
    ok(among(seen, std::to_string(p.id) + " " + std::to_string(BPF_TRACE_ITER) + " progs") == 1, "bpf_prog: this one among %zu", seen.size());
    ok(run(o, "progs", {}, 7) == seen, "bpf_prog: by pieces");
    bpf_link *other = attach(o, "maps", {}, true);
    bpf_link_info l = {};
    len = sizeof(l);
    bpf_obj_get_info_by_fd(bpf_link__fd(other), &l, &len);
    seen = run(o, "links", {});
    unsigned last = 0, id = 0;
    bool rising = true;
    for (const std::string &s : seen) {
        rising &= sscanf(s.c_str(), "%u", &id) == 1 && id > last;
        last = id;
    }
    ok(among(seen, std::to_string(l.id) + " maps") == 1 && rising, "bpf_link: another's among %zu", seen.size());
    bpf_link__destroy(other);
}

/// A link with a name: each who opens it gets a walk of his own.
static void test_pinned(bpf_object *o, const std::string &folder) {
    if (!ok(!mount("iters", folder.c_str(), "bpf", 0, nullptr), "pinned: mounted"))
        return;
    bpf_link *l = attach(o, "tasks", of(0, static_cast<unsigned>(getpid())));
    std::string path = folder + "/tasks";
    ok(l && !bpf_link__pin(l, path.c_str()), "pinned: a link");
    bpf_link__disconnect(l);
    bpf_link__destroy(l);
    int a = open(path.c_str(), O_RDONLY | O_CLOEXEC), b = open(path.c_str(), O_RDONLY | O_CLOEXEC), error = 0;
    std::string first = slurp(a, 7, &error), second = slurp(b, 4096, &error);
    ok(a >= 0 && b >= 0 && !error && first == second && split(first).size() == 1, "pinned: read twice: %s", first.c_str());
    ok(!unlink(path.c_str()) && lseek(b, 0, SEEK_SET) < 0, "pinned: removed while it is open");
    close(a), close(b);
    ok(!umount(folder.c_str()), "pinned: unmounted");
}

enum { SELF = 1, PRE, POST, UP };

static bpf_iter_link_info groups_from(unsigned order, int fd, unsigned long id = 0) {
    bpf_iter_link_info info = {};
    memcpy(&info, &order, sizeof(order));
    memcpy(reinterpret_cast<char *>(&info) + 4, &fd, sizeof(fd));
    memcpy(reinterpret_cast<char *>(&info) + 8, &id, sizeof(id));
    return info;
}

/// The levels of the groups that are shown, and "end".
static std::string levels(bpf_object *o, bpf_iter_link_info info) {
    std::string all;
    for (const std::string &line : run(o, "groups", info)) {
        unsigned long number, id;
        int level;
        all += sscanf(line.c_str(), "%lu %d %lu", &number, &level, &id) == 3 ? std::to_string(level) + " " : line;
    }
    return all;
}

/// The tasks of a group, and mappings of this process: iterators of a program's own.
static void test_open_coded(bpf_object *o, const std::string &root, const std::string &group) {
    if (!bpf_program__autoload(bpf_object__find_program_by_name(o, "members")))
        return;
    std::ofstream(group + "/cgroup.procs") << getpid();
    std::atomic<bool> done = false;
    std::thread other([&] {
        while (!done)
            usleep(1000);
    });
    int fd = open(group.c_str(), O_RDONLY | O_DIRECTORY);
    lines seen = run(o, "members", groups_from(SELF, fd));
    std::string me = std::to_string(getpid());
    ok(seen.size() == 3 && seen[0] == me && seen[1] != me && seen[2] == "-22 0", "groups: two threads are in it: %zu lines", seen.size());
    bpf_iter_link_info of_me = {};
    of_me.task.tid = static_cast<unsigned>(getpid());
    lines found = run(o, "open_mappings", of_me), maps = split(file("/proc/self/maps"));
    bool same = found.size() >= 8 && found.size() <= maps.size();
    for (size_t i = 0; same && i < found.size(); i++)
        same = !maps[i].compare(0, found[i].size(), found[i]);
    ok(same, "mappings: the first %zu of %zu as in /proc", found.size(), maps.size());
    done = true;
    other.join();
    close(fd);
    std::ofstream(root + "/cgroup.procs") << getpid();
}

static void test_groups(bpf_object *o, const std::string &root, int *last_level) {
    std::string a = root + "/iters", names[] = {a, a + "/b", a + "/c", a + "/b/d"};
    for (const std::string &n : names)
        mkdir(n.c_str(), 0755);
    int top = open(a.c_str(), O_RDONLY | O_DIRECTORY), b = open(names[1].c_str(), O_RDONLY | O_DIRECTORY);
    std::string pre = levels(o, groups_from(PRE, top)), post = levels(o, groups_from(POST, top)), up = levels(o, groups_from(UP, b));
    ok(pre == "1 2 3 2 end" || pre == "1 2 2 3 end", "groups: each before those below it: %s", pre.c_str());
    ok(post == "3 2 2 1 end" || post == "2 3 2 1 end", "groups: each behind those below it: %s", post.c_str());
    ok(up == "2 1 0 end", "groups: those above: %s", up.c_str());
    ok(levels(o, groups_from(SELF, b)) == "2 end", "groups: one alone");
    std::string whole = levels(o, groups_from(PRE, 0));
    ok(!whole.compare(0, 2, "0 ") && whole.size() > pre.size(), "groups: from the root where none is named");
    *last_level = 2;
    ok(levels(o, groups_from(PRE, top)) == "1 2 end", "groups: the program ends the walk: %s", levels(o, groups_from(PRE, top)).c_str());
    *last_level = 0;
    test_open_coded(o, root, names[2]);
    bpf_link *l = attach(o, "groups", groups_from(POST, top));
    int fd = bpf_iter_create(bpf_link__fd(l)), error;
    slurp(fd, 4, &error);
    ok(error == EOPNOTSUPP, "groups: no second read goes on: %d", error);
    close(fd);
    unsigned char info[sizeof(bpf_link_info)] = {};
    unsigned size = sizeof(info), order;
    unsigned long id = 0;
    struct stat st;
    fstat(top, &st);
    ok(!bpf_obj_get_info_by_fd(bpf_link__fd(l), reinterpret_cast<bpf_link_info *>(info), &size), "groups: the link tells");
    memcpy(&id, info + 32, sizeof(id)); // iter.cgroup
    memcpy(&order, info + 40, sizeof(order));
    ok(id == st.st_ino && order == POST, "groups: its group %lu of %lu, order %u", id, static_cast<unsigned long>(st.st_ino), order);
    std::string told = file("/proc/self/fdinfo/" + std::to_string(bpf_link__fd(l)));
    ok(told.find("cgroup_path:\t/iters\norder: descendants_post\n") != std::string::npos, "groups: fdinfo");
    bpf_link__destroy(l);
    std::string by_id = levels(o, groups_from(SELF, 0, st.st_ino));
    ok(by_id == "1 end", "groups: named by its number: %s", by_id.c_str());
    bpf_program *p = bpf_object__find_program_by_name(o, "groups");
    for (bpf_iter_link_info bad : {groups_from(0, top), groups_from(UP + 1, top), groups_from(PRE, top, st.st_ino)}) {
        LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &bad, .link_info_len = sizeof(bad));
        l = bpf_program__attach_iter(p, &opts);
        ok(!l && errno == EINVAL, "groups: refused: %d", l ? 0 : errno);
        bpf_link__destroy(l);
    }
    l = attach(o, "groups", groups_from(PRE, b));
    for (int i = 3; i >= 0; i--)
        rmdir(names[i].c_str());
    fd = bpf_iter_create(bpf_link__fd(l));
    std::string gone = slurp(fd, 4096, &error);
    ok(gone == "end\n" && !error, "groups: one that is gone is not shown: %s", gone.c_str());
    close(fd), close(top), close(b);
    bpf_link__destroy(l);
}

/// The first ones, read in pieces.
static void test_symbols(bpf_object *o) {
    bpf_link *l = attach(o, "symbols", {}, true);
    if (!l)
        return;
    int fd = bpf_iter_create(bpf_link__fd(l));
    std::string ours, theirs;
    char buf[1000];
    ssize_t n;
    while (ours.size() < 50000 && (n = read(fd, buf, sizeof(buf))) > 0)
        ours.append(buf, static_cast<size_t>(n));
    close(fd);
    bpf_link__destroy(l);
    fd = open("/proc/kallsyms", O_RDONLY);
    while (theirs.size() < ours.size() && (n = read(fd, buf, sizeof(buf))) > 0)
        theirs.append(buf, static_cast<size_t>(n));
    close(fd);
    ok(ours.size() >= 50000 && !theirs.compare(0, ours.size(), ours), "symbols: the first %zu bytes as in /proc/kallsyms", ours.size());
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    libbpf_set_print([](libbpf_print_level, const char *, va_list) { return 0; });
    bpf_object *o = bpf_object__open(argv[1]);
    btf *kernel = btf__load_vmlinux_btf(); // what older kernels have no types of
    const char *const optional[][2] = {{"members", "bpf_iter_css_task_new"}, {"open_mappings", "bpf_iter_task_vma_new"}};
    for (auto &[program, function] : optional)
        bpf_program__set_autoload(bpf_object__find_program_by_name(o, program), btf__find_by_name_kind(kernel, function, BTF_KIND_FUNC) > 0);
    btf__free(kernel);
    if (!ok(o && !bpf_object__load(o), "loaded"))
        return 1;
    void *variables = mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(o, ".bss"), 0);
    if (!ok(variables != MAP_FAILED, "the programs' variables"))
        return 1;
    auto *s = static_cast<shared *>(variables);
    test_tasks(o);
    ok(s->ends >= 4, "the end was told: %d times", s->ends);
    test_sleeping(o, &s->address, &s->copied);
    test_files(o);
    test_mappings(o);
    test_elements(o);
    test_churn(o);
    test_registries(o);
    test_pinned(o, argv[2]);
    test_groups(o, argv[3], &s->last_level);
    test_symbols(o);
    return tap_exit();
}
