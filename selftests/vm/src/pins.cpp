// SPDX-License-Identifier: GPL-2.0-only
// Pinning in a file system of its own: what keeps objects, rights, names, folders, links; and threads that pin and remove at once.
// usage: pins OBJECT FOLDER   (an empty folder, where the file system is mounted)
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "tap.h"
#include "variables.h"

namespace {

std::string top;
std::string at(const char *name) { return top + "/" + name; }

/// -> 0 or -errno.
long pin(int fd, const std::string &path) { return bpf_obj_pin(fd, path.c_str()) ? -errno : 0; }
/// -> an fd or -errno.
int get(const std::string &path, unsigned flags = 0) {
    LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = flags);
    int fd = bpf_obj_get_opts(path.c_str(), &opts);
    return fd < 0 ? -errno : fd;
}
/// A path from a folder's fd, as Linux 6.12 has it; libbpf here is older.
long at_folder(int cmd, const char *path, int fd, int folder) {
    struct {
        const char *path;
        unsigned fd, flags;
        int folder;
    } a = {path, static_cast<unsigned>(fd), 1u << 14, folder};
    return syscall(__NR_bpf, cmd, &a, 20);
}
int new_map(int type = BPF_MAP_TYPE_ARRAY) { return bpf_map_create(static_cast<bpf_map_type>(type), "pinned", 4, 8, 1, nullptr); }
unsigned id_of(int map) {
    bpf_map_info info = {};
    unsigned len = sizeof(info);
    return bpf_obj_get_info_by_fd(map, &info, &len) ? 0 : info.id;
}
/// Objects go a grace period after their last reference.
bool gone(unsigned id) {
    for (int i = 0; i < 100; i++, usleep(50000)) {
        int fd = bpf_map_get_fd_by_id(id);
        if (fd < 0)
            return true;
        close(fd);
    }
    return false;
}
int file_error(const std::string &path, int flags) {
    int fd = open(path.c_str(), flags, 0600);
    int e = fd < 0 ? errno : 0;
    close(fd);
    return e;
}
unsigned mode_of(const std::string &path) {
    struct stat st;
    return stat(path.c_str(), &st) ? 0 : st.st_mode;
}

void maps() {
    int fd = new_map();
    unsigned key = 0, id = id_of(fd);
    unsigned long value = 42, out = 0;
    umask(022);
    bpf_map_update_elem(fd, &key, &value, 0);
    ok(pin(fd, at("map")) == 0, "pins: a map");
    ok(pin(fd, at("map")) == -EEXIST, "pins: a name that is taken");
    ok(mode_of(at("map")) == (S_IFREG | 0600), "pins: its mode: %o", mode_of(at("map")));
    close(fd);
    fd = get(at("map"));
    ok(fd >= 0 && !bpf_map_lookup_elem(fd, &key, &out) && out == 42 && id_of(fd) == id, "pins: the same map: %d, %lu", fd, out);
    close(fd);
    fd = get(at("map"), BPF_F_RDONLY);
    ok(fd >= 0 && bpf_map_update_elem(fd, &key, &value, 0) < 0 && errno == EPERM, "pins: an fd for reading");
    close(fd);
    ok(get(at("map"), BPF_F_RDONLY | BPF_F_WRONLY) == -EINVAL, "pins: neither reading nor writing");
    ok(get(at("none")) == -ENOENT, "pins: no such name");
    ok(get("/t/lib.sh") == -EACCES, "pins: a file of another file system");
    ok(get(top) == -EACCES, "pins: a folder");
    fd = new_map();
    ok(pin(fd, "/tmp/pin-here") == -EPERM, "pins: into another file system");
    ok(pin(fd, at("a.b")) == -EPERM, "pins: names with dots are kept");
    ok(pin(fd, at("no/where")) == -ENOENT, "pins: no such folder");
    ok(pin(0, at("stdin")) == -EINVAL && pin(9999, at("none")) == -EINVAL, "pins: what is no object");
    close(fd);
    ok(file_error(at("map"), O_RDONLY) == EIO, "pins: its file is not read, without types: %d", file_error(at("map"), O_RDONLY));
    ok(file_error(at("new"), O_RDWR | O_CREAT) == EACCES, "pins: no other files: %d", file_error(at("new"), O_RDWR | O_CREAT));
    ok(!unlink(at("map").c_str()) && gone(id), "pins: the map goes with its name");
}

/// As nobody: the fd of the device is there already.
void rights() {
    int fd = new_map();
    pin(fd, at("mine"));
    pin(fd, at("all"));
    chmod(at("all").c_str(), 0444);
    chmod(top.c_str(), 01755);
    close(fd);
    int child = fork();
    if (!child) {
        if (setgid(65534) || setuid(65534))
            _exit(100);
        bool held = get(at("mine")) == -EACCES && get(at("mine"), BPF_F_RDONLY) == -EACCES && get(at("all")) == -EACCES;
        bool read = get(at("all"), BPF_F_RDONLY) >= 0;
        bool kept = unlink(at("all").c_str()) < 0 && mkdir(at("theirs").c_str(), 0755) < 0;
        _exit(!held + 2 * !read + 4 * !kept);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ok(status == 0, "pins: another user gets what its mode allows: %d", WEXITSTATUS(status));
    unlink(at("mine").c_str());
    unlink(at("all").c_str());
}

void folders() {
    int fd = new_map();
    unsigned id = id_of(fd);
    ok(!mkdir(at("sub").c_str(), 0700) && mode_of(at("sub")) == (S_IFDIR | 0700), "pins: a folder: %o", mode_of(at("sub")));
    ok(pin(fd, at("sub/map")) == 0, "pins: in a folder");
    ok(rmdir(at("sub").c_str()) < 0 && errno == ENOTEMPTY, "pins: a folder that holds something stays");
    ok(!symlink("sub/map", at("soft").c_str()), "pins: a symbolic link");
    int through = get(at("soft"));
    ok(through >= 0 && id_of(through) == id, "pins: through it");
    close(through);
    ok(!link(at("sub/map").c_str(), at("hard").c_str()), "pins: a second name");
    ok(!rename(at("hard").c_str(), at("moved").c_str()), "pins: renamed");
    int other = new_map();
    unsigned other_id = id_of(other);
    pin(other, at("target"));
    close(other);
    ok(!rename(at("moved").c_str(), at("target").c_str()) && gone(other_id), "pins: over another, which goes");
    int dir = open(at("sub").c_str(), O_PATH | O_DIRECTORY);
    through = static_cast<int>(at_folder(BPF_OBJ_GET, "map", 0, dir));
    ok(through >= 0 && id_of(through) == id, "pins: from a folder's fd");
    close(through), close(dir), close(fd);
    std::string names;
    DIR *d = opendir(top.c_str());
    while (dirent *e = readdir(d))
        names += std::string(" ") + e->d_name;
    closedir(d);
    ok(names.find(" sub") != std::string::npos && names.find(" soft") != std::string::npos && names.find(" target") != std::string::npos &&
           names.find(" moved") == std::string::npos, "pins: listed:%s", names.c_str());
    unlink(at("sub/map").c_str());
    fd = get(at("target"));
    ok(fd >= 0 && get(at("soft")) == -ENOENT, "pins: the other name keeps it");
    close(fd);
    unlink(at("target").c_str()), unlink(at("soft").c_str());
    ok(!rmdir(at("sub").c_str()) && gone(id), "pins: all gone");
}

unsigned long calls(int map) {
    unsigned key = 0;
    unsigned long n = 0;
    syscall(__NR_getpgid, 0);
    bpf_map_lookup_elem(map, &key, &n);
    return n;
}

std::string read_all(const std::string &path) {
    std::string all;
    char buf[100];
    int fd = open(path.c_str(), O_RDONLY);
    if (fd < 0)
        return strerror(errno);
    for (long n; (n = read(fd, buf, sizeof(buf))) > 0;)
        all.append(buf, static_cast<size_t>(n));
    close(fd);
    return all;
}

bpf_object *load_for_this_process(const char *file) {
    bpf_object *o = bpf_object__open(file);
    unsigned pid = static_cast<unsigned>(getpid());
    bpf_map *m;
    size_t size;
    bpf_object__for_each_map(m, o) if (strstr(bpf_map__name(m), ".rodata"))
        memcpy(const_cast<void *>(bpf_map__initial_value(m, &size)), &pid, sizeof(pid));
    ok(!bpf_object__load(o), "pins: an object loads");
    return o;
}

/// What stands behind the warning, on one line.
std::string last_lines(std::string text) {
    text.erase(0, std::min(text.size(), text.rfind("change\n")));
    for (char &c : text)
        if (c == '\n')
            c = ' ';
    return text;
}

/// Maps whose keys and values have types are read as text; so are the kernel's objects, by programs.
void texts(const char *file) {
    bpf_object *o = load_for_this_process(file);
    const std::string head = "# WARNING!! The output is for debug purpose only\n# WARNING!! The output format will change\n";
    auto text_of = [&](const char *map) {
        pin(bpf_object__find_map_fd_by_name(o, map), at("text"));
        std::string text = read_all(at("text"));
        unlink(at("text").c_str());
        return text;
    };
    struct {
        int n;
        char name[4];
    } pair = {-3, "xy"};
    unsigned key = 9, first = 0;
    unsigned long count = 11;
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(o, "pairs"), &key, &pair, 0);
    bpf_map_update_elem(bpf_object__find_map_fd_by_name(o, "calls"), &first, &count, 0);
    std::string read = text_of("calls");
    ok(read == head + "0: 11\n", "pins: an array's text: %s", last_lines(read).c_str());
    read = text_of("pairs");
    ok(read == head + "9: {-3,['x','y',],}\n", "pins: a hash map's: %s", last_lines(read).c_str());
    read = text_of("per_cpu");
    std::string each = head + "0: {\n";
    for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
        each += "\tcpu" + std::to_string(cpu) + ": 0\n";
    ok(read == each + "}\n", "pins: a per-CPU array's: %s", last_lines(read).c_str());

    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(o, "describe"));
    syscall(__NR_getpgid, 0);
    bpf_link__destroy(l);
    struct text {
        char chars[96];
    };
    variables said(o);
    const std::string expected = "(struct refcount_struct){.refs = (atomic_t){.counter = (int)5,},}";
    text shown = said.get<text>("text");
    long length = said.get<long>("length");
    ok(shown.chars == expected && length == static_cast<long>(expected.size()), "pins: an object of the kernel as text: %s, %ld", shown.chars, length);
    ok(said.get<long>("wrong_type") == -ENOENT && said.get<long>("wrong_flag") == -EINVAL, "pins: no such type, no such flag: %ld, %ld",
       said.get<long>("wrong_type"), said.get<long>("wrong_flag"));
    bpf_object__close(o);
}

/// A pinned link goes on without the process that made it.
void links(const char *file) {
    bpf_object *o = load_for_this_process(file);
    bpf_program *p = bpf_object__find_program_by_name(o, "on_call");
    bpf_link *l = bpf_program__attach(p);
    int map = dup(bpf_object__find_map_fd_by_name(o, "calls"));
    ok(l && pin(bpf_link__fd(l), at("link")) == 0, "pins: a link");
    ok(pin(bpf_program__fd(p), at("prog")) == 0, "pins: a program");
    bpf_link__destroy(l);
    bpf_object__close(o);
    unsigned long before = calls(map);
    ok(calls(map) == before + 1, "pins: the program runs without a holder: %lu calls", before + 1);
    int fd = get(at("link"));
    bpf_link_info info = {};
    unsigned len = sizeof(info);
    ok(fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == BPF_LINK_TYPE_RAW_TRACEPOINT, "pins: the link: %d", fd);
    close(fd);
    ok(get(at("link"), BPF_F_RDONLY) == -EINVAL, "pins: links have no fds for reading");
    unlink(at("link").c_str());
    before = calls(map);
    ok(calls(map) == before, "pins: without its name it is detached");
    fd = get(at("prog"));
    int again = fd < 0 ? -1 : bpf_raw_tracepoint_open("sys_enter", fd);
    before = calls(map);
    ok(again >= 0 && calls(map) == before + 1, "pins: the program can be attached again: %d", again);
    close(again), close(fd), close(map);
    unlink(at("prog").c_str());
}

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/// Threads on the same few names: what is got is whole, and nothing is left.
void at_once() {
    unsigned long wrong = 0, pinned = 0, got = 0;
    double end = now() + 2;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            for (unsigned i = 0; now() < end; i++) {
                std::string path = at("race") + std::to_string(i % 3);
                if (t % 2) {
                    int fd = get(path);
                    if (fd >= 0 ? !id_of(fd) : fd != -ENOENT)
                        __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
                    __atomic_fetch_add(&got, fd >= 0, __ATOMIC_RELAXED);
                    close(fd);
                } else {
                    int fd = new_map();
                    long rc = pin(fd, path);
                    close(fd);
                    if (rc && rc != -EEXIST)
                        __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
                    __atomic_fetch_add(&pinned, !rc, __ATOMIC_RELAXED);
                    unlink(path.c_str());
                }
            }
        });
    for (std::thread &t : threads)
        t.join();
    ok(!wrong && pinned > 10, "pins: threads at once: %lu pinned, %lu got, %lu wrong", pinned, got, wrong);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    top = argv[2];
    int before = new_map(); // the library opens the device at the first call
    if (!ok(!mount("pins", top.c_str(), "bpf", 0, "mode=1777"), "pins: mounted: %d", errno))
        return 1;
    struct statfs fs = {};
    ok(!statfs(top.c_str(), &fs) && fs.f_type == 0xcafe4a11, "pins: the magic number");
    long context = syscall(SYS_fsopen, "bpf", 0);
    ok(context >= 0 && !syscall(SYS_fsconfig, context, 6, nullptr, nullptr, 0), "pins: a file system by fsopen(): %d", errno); // FSCONFIG_CMD_CREATE
    long mounted = syscall(SYS_fsmount, context, 0, 0);
    ok(mounted >= 0 && !fstatfs(static_cast<int>(mounted), &fs) && fs.f_type == 0xcafe4a11, "pins: it has the magic number, too");
    ok(at_folder(BPF_OBJ_PIN, "inside", before, static_cast<int>(mounted)) == 0, "pins: into it, though it is mounted nowhere");
    close(static_cast<int>(mounted)), close(static_cast<int>(context));
    ok(mode_of(top) == (S_IFDIR | 01777), "pins: the mode of its root: %o", mode_of(top));
    maps();
    rights();
    texts(argv[1]);
    folders();
    links(argv[1]);
    at_once();
    // What is in it goes with the last mount.
    unsigned id = id_of(before);
    ok(pin(before, at("left")) == 0 && !mkdir(at("folder").c_str(), 0700), "pins: left behind");
    close(before);
    ok(umount(top.c_str()) < 0 ? false : gone(id), "pins: gone with the mount");
    return tap_exit();
}
