// SPDX-License-Identifier: GPL-2.0-only
// Objects of the kernel's in programs: references to tasks, counted as the kernel counts them and held beyond the task's end; iterators over
// tasks and groups of control; strings of user space.
// usage: objects OBJECT CGROUP-FOLDER
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tap.h"

namespace {

bpf_object *o;
bpf_map *find(const char *name) {
    bpf_map *m;
    bpf_object__for_each_map(m, o) if (strstr(bpf_map__name(m), name))
        return m;
    return nullptr;
}
template <class T> T read_out(const char *name) {
    T s = {};
    unsigned key = 0;
    bpf_map_lookup_elem(bpf_map__fd(find(name)), &key, &s);
    return s;
}
bpf_link *attach(const char *name) {
    bpf_link *l = bpf_program__attach(bpf_object__find_program_by_name(o, name));
    ok(l != nullptr, "objects: %s is attached", name);
    return l;
}

void references() {
    bpf_link *l = attach("on_new");
    constexpr int tasks = 200;
    for (int i = 0; i < tasks; i++) {
        if (!fork())
            _exit(0);
        wait(nullptr);
    }
    struct seen {
        int calls, wrong, found, kept, dropped;
    };
    seen s = read_out<seen>(".data.out");
    ok(s.calls == tasks && !s.wrong, "objects: %d new tasks, %d with wrong counts", s.calls, s.wrong);
    ok(s.found == tasks && s.kept == tasks && s.dropped == tasks - 1, "objects: %d found by number, %d kept, %d dropped after their end", s.found,
       s.kept, s.dropped);
    bpf_link__destroy(l);
}

int processes() {
    int n = 0;
    DIR *d = opendir("/proc");
    while (dirent *e = readdir(d))
        n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
    closedir(d);
    return n;
}

void iterators() {
    std::vector<std::thread> threads;
    std::atomic<bool> stop = false;
    for (int i = 0; i < 3; i++)
        threads.emplace_back([&] { while (!stop) usleep(10000); });
    bpf_link *l = attach("on_call");
    int least = processes();
    syscall(__NR_getpgid, 0);
    struct seen {
        int tasks[3], mine[3], task_error, groups[5], root_at[5], css_error;
    };
    seen s = read_out<seen>(".data.walks");
    stop = true;
    for (std::thread &t : threads)
        t.join();
    ok(s.tasks[0] >= least && s.mine[0] == 1, "objects: %d of %d processes, this one %d times", s.tasks[0], least, s.mine[0]);
    ok(s.tasks[1] >= s.tasks[0] + 3 && s.mine[1] == 4, "objects: %d threads, %d of this process", s.tasks[1], s.mine[1]);
    ok(s.tasks[2] == 4 && s.mine[2] == 4 && s.task_error == -EINVAL, "objects: %d threads of this process: %d, error %d", s.tasks[2], s.mine[2],
       s.task_error);
    ok(s.groups[2] == 6 && s.root_at[2] == 1, "objects: %d groups downwards, the first is number %d", s.groups[2], s.root_at[2]);
    ok(s.groups[3] == 6 && s.root_at[3] == 6, "objects: %d groups upwards, it is number %d", s.groups[3], s.root_at[3]);
    ok(s.groups[4] == 2 && s.root_at[4] == 2 && s.css_error == -EINVAL, "objects: %d groups to the root, which is number %d, error %d", s.groups[4],
       s.root_at[4], s.css_error);
    bpf_link__destroy(l);
}

void strings() {
    struct seen {
        unsigned long from;
        int whole, cut, padded, bad, flags;
        char text[16], zeros[16];
    } in = {};
    static const char text[] = "seven.";
    in.from = reinterpret_cast<unsigned long>(text);
    unsigned key = 0;
    bpf_map_update_elem(bpf_map__fd(find(".data.strings")), &key, &in, 0);
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    ok(!bpf_prog_test_run_opts(bpf_program__fd(bpf_object__find_program_by_name(o, "on_string")), &run), "objects: on_string runs");
    seen s = read_out<seen>(".data.strings");
    ok(s.whole == 7 && !strcmp(s.text, text) && s.cut == 4, "objects: a string: %d, %s; cut: %d", s.whole, s.text, s.cut);
    ok(s.padded == 7 && !memcmp(s.zeros, "seven.\0\0\0\0\0\0\0\0\0", 16), "objects: with zeros behind it: %d", s.padded);
    ok(s.bad == -EFAULT && s.flags == -EINVAL, "objects: no string: %d, %d", s.bad, s.flags);
}

/// A hierarchy of version 1 with one group below its root, which this process is in.
struct hierarchy {
    std::string at, group;
    int number = 0;
    unsigned long id = 0;

    hierarchy(const char *folder, const char *options, const char *field) : at(folder), group(at + "/objects") {
        mkdir(folder, 0755);
        bool mounted = !mount("none", folder, "cgroup", 0, options);
        for (size_t i = 0; i < strlen(field); i++) // so that the groups' ids differ from hierarchy to hierarchy
            mkdir((at + "/filler").c_str(), 0755), rmdir((at + "/filler").c_str());
        bool made = mounted && !mkdir(group.c_str(), 0755) && enter(group);
        FILE *f = fopen("/proc/self/cgroup", "r");
        char line[256];
        while (f && fgets(line, sizeof(line), f))
            if (const char *what = strchr(line, ':'); what && !strncmp(what, field, strlen(field)))
                number = atoi(line);
        if (f)
            fclose(f);
        struct stat st = {};
        stat(group.c_str(), &st);
        id = st.st_ino;
        ok(made && number && id, "objects: a hierarchy of version 1: %s", options);
    }
    bool enter(const std::string &of) const {
        FILE *f = fopen((of + "/cgroup.procs").c_str(), "w");
        bool written = f && fprintf(f, "%d", getpid()) > 0;
        return f && !fclose(f) && written;
    }
    ~hierarchy() {
        enter(at);
        rmdir(group.c_str());
        umount(at.c_str());
    }
};

void first_version() {
    hierarchy controller("/tmp/freezer", "freezer", ":freezer:"), named("/tmp/named", "none,name=objects", ":name=objects:");
    struct seen {
        int hierarchies[4];
        unsigned long called[3], switched[3];
        int calls, switches;
    } s = {{controller.number, named.number, 77, 0}, {}, {}, 0, 0};
    unsigned key = 0;
    bpf_map_update_elem(bpf_map__fd(find(".data.first")), &key, &s, 0);
    int folder = open(controller.group.c_str(), O_RDONLY | O_DIRECTORY), storage = bpf_map__fd(find("storage"));
    unsigned long kept = 0;
    ok(!bpf_map_update_elem(storage, &folder, &kept, BPF_NOEXIST), "objects: storage of a group of version 1 (%d)", errno);
    bpf_link *l = attach("on_first"), *switches = attach("on_switch");
    for (int i = 0; i < 20; i++)
        usleep(1000);
    s = read_out<seen>(".data.first");
    bpf_link__destroy(switches);
    bpf_link__destroy(l);
    bool found = !bpf_map_lookup_elem(storage, &folder, &kept) && !bpf_map_delete_elem(storage, &folder);
    ok(found && kept >= static_cast<unsigned long>(s.calls + s.switches) * controller.id && kept % controller.id == 0,
       "objects: programs find it there: %lu", kept);
    close(folder);
    ok(s.calls > 0 && s.called[0] == controller.id && s.called[1] == named.id && !s.called[2], "objects: groups of version 1 in a call: %lu %lu %lu",
       s.called[0], s.called[1], s.called[2]);
    // The kernel's own BPF takes a lock here for the group without a controller; modbpf has no answer then.
    ok(s.switches > 0 && s.switched[0] == controller.id && (s.switched[1] == named.id || !s.switched[1]) && !s.switched[2],
       "objects: with interrupts off: %lu %lu %lu", s.switched[0], s.switched[1], s.switched[2]);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    o = bpf_object__open(argv[1]);
    std::string top = std::string(argv[2]) + "/objects";
    struct {
        unsigned pid;
        unsigned long group;
    } target = {static_cast<unsigned>(getpid()), 0};
    for (const char *below : {"", "/a", "/b", "/a/c", "/a/d", "/b/e"})
        mkdir((top + below).c_str(), 0755);
    struct stat st;
    stat(top.c_str(), &st);
    target.group = st.st_ino;
    size_t size;
    memcpy(const_cast<void *>(bpf_map__initial_value(find(".rodata"), &size)), &target, sizeof(target));
    if (!ok(!bpf_object__load(o), "objects: the programs load"))
        return 1;
    references();
    iterators();
    first_version();
    strings();
    bpf_object__close(o); // the last task goes with the map
    for (const char *below : {"/b/e", "/a/d", "/a/c", "/b", "/a", ""})
        rmdir((top + below).c_str());
    return tap_exit();
}
