// SPDX-License-Identifier: GPL-2.0-only
// Types of the kernel's modules, and programs at their functions: arguments by type, what the objects tell of each other, and the module's
// going: refused while a program is there for it, possible afterwards, and then its types are gone.
// usage: modules OBJECT KO      (KO: the stock kernel's dummy.ko)
#include <stdlib.h>
#include <string>
#include <unistd.h>

#include "tap.h"
#include "variables.h"

namespace {

std::string ko;

bool shell(const std::string &command) { return system(command.c_str()) == 0; }
bool load_module() { return shell("insmod " + ko + " numdummies=1"); }
bool unload_module() { return shell("rmmod dummy 2>/tmp/rmmod.err"); }

struct types {
    int fd = -1;
    unsigned id = 0;
    bpf_btf_info info{};
    char name[64]{};
    ~types() {
        if (fd >= 0)
            close(fd);
    }
};

bool tell(int fd, bpf_btf_info *info, char *name, unsigned room) {
    unsigned size = sizeof(*info);
    *info = {};
    info->name = reinterpret_cast<unsigned long>(name);
    info->name_len = room;
    return !bpf_obj_get_info_by_fd(fd, info, &size);
}

/// The types of that name among all that have ids.
bool find(const char *name, types *t, unsigned *kernel_id = nullptr) {
    for (unsigned id = 0; !bpf_btf_get_next_id(id, &id);) {
        int fd = bpf_btf_get_fd_by_id(id);
        if (fd < 0 || !tell(fd, &t->info, t->name, sizeof(t->name)))
            continue;
        if (kernel_id && t->info.kernel_btf && !strcmp(t->name, "vmlinux"))
            *kernel_id = id;
        if (!strcmp(t->name, name)) {
            t->fd = fd, t->id = id;
            return true;
        }
        close(fd);
    }
    return false;
}

void types_of_modules() {
    types before, t;
    ok(!find("dummy", &before), "modules: no types of a module that is not there");
    ok(load_module(), "modules: it loads");
    unsigned kernel = 0;
    if (!ok(find("dummy", &t, &kernel) && kernel, "modules: types with the name of the module"))
        return;
    ok(t.info.kernel_btf == 1 && t.info.id == t.id && t.info.name_len == 5, "modules: they are the kernel's: id %u, name of %u", t.id, t.info.name_len);
    std::vector<char> ours(t.info.btf_size), theirs(t.info.btf_size + 1);
    bpf_btf_info again{};
    unsigned size = sizeof(again);
    again.btf = reinterpret_cast<unsigned long>(ours.data()), again.btf_size = ours.size();
    FILE *f = fopen("/sys/kernel/btf/dummy", "r");
    size_t n = f ? fread(theirs.data(), 1, theirs.size(), f) : 0;
    if (f)
        fclose(f);
    ok(!bpf_obj_get_info_by_fd(t.fd, &again, &size) && n && n == ours.size() && !memcmp(ours.data(), theirs.data(), n),
       "modules: the same %zu bytes as the kernel shows", n);
    btf *base = btf__load_from_kernel_by_id(kernel), *split = btf__load_from_kernel_by_id_split(t.id, base);
    int func = split ? btf__find_by_name_kind(split, "dummy_change_carrier", BTF_KIND_FUNC) : 0;
    ok(func >= static_cast<int>(btf__type_cnt(base)), "modules: a function's type %d behind the kernel's", func);
    btf__free(split);
    btf__free(base);
    ok(unload_module(), "modules: it unloads though its types are open");
    ok(!find("dummy", &before), "modules: then they have no id any more");
    bpf_btf_info left;
    ok(tell(t.fd, &left, t.name, sizeof(t.name)) && !left.id && left.btf_size == ours.size(), "modules: who has them open keeps them");
    ok(load_module() && find("dummy", &before) && before.id != t.id, "modules: loaded again they are others");
    ok(unload_module(), "modules: it unloads");
}

struct traced {
    bpf_object *o;
    bpf_link *links[2]{};
    explicit traced(const char *file) : o(bpf_object__open(file)) {
        for (const char *n : {"at_entry", "at_exit"})
            bpf_program__set_autoload(prog(n), true);
    }
    ~traced() {
        detach();
        bpf_object__close(o);
    }
    bpf_program *prog(const char *name) { return bpf_object__find_program_by_name(o, name); }
    bool attach() {
        links[0] = bpf_program__attach(prog("at_entry"));
        links[1] = bpf_program__attach(prog("at_exit"));
        return links[0] && links[1];
    }
    void detach() {
        for (bpf_link *&l : links) {
            bpf_link__destroy(l);
            l = nullptr;
        }
    }
    unsigned long get(const char *name) { return variables(o).get<unsigned long>(name); }
};

void change_carrier(int on) { (void)!shell("echo " + std::to_string(on) + " >/sys/class/net/dummy0/carrier"); }

void functions_of_modules(const char *file) {
    {
        traced t(file);
        ok(bpf_object__load(t.o) != 0, "modules: a program for a module that is not there does not load");
    }
    ok(load_module() && shell("ip link set dummy0 mtu 1400 up"), "modules: it is there");
    {
        traced t(file);
        if (!ok(!bpf_object__load(t.o), "modules: programs at its function load"))
            return;
        ok(!unload_module(), "modules: a loaded program keeps it");
        if (!ok(t.attach(), "modules: they attach"))
            return;
        ok(!unload_module(), "modules: an attached program keeps it");
        change_carrier(1);
        ok(t.get("entries") == 1 && t.get("exits") == 1, "modules: each ran once: %lu, %lu", t.get("entries"), t.get("exits"));
        struct name {
            char text[16];
        } device = variables(t.o).get<name>("device");
        ok(t.get("mtu") == 1400 && !strcmp(device.text, "dummy0"), "modules: a member of an argument: %.16s, %lu", device.text, t.get("mtu"));
        ok(t.get("carrier") == 1 && t.get("result") == 1 && t.get("told") == 2, "modules: arguments and result");
        bpf_prog_info p{};
        bpf_link_info l{};
        unsigned plen = sizeof(p), llen = sizeof(l);
        types of;
        bool told = find("dummy", &of) && !bpf_obj_get_info_by_fd(bpf_program__fd(t.prog("at_entry")), &p, &plen);
        ok(told && p.attach_btf_obj_id == of.id && p.attach_btf_id, "modules: the program tells what it is for: types %u of %u", p.attach_btf_id, p.attach_btf_obj_id);
        ok(!bpf_obj_get_info_by_fd(bpf_link__fd(t.links[0]), &l, &llen) && l.tracing.target_obj_id == of.id &&
               l.tracing.target_btf_id == p.attach_btf_id,
           "modules: the link tells where it is");
        t.detach();
        change_carrier(0);
        ok(t.get("entries") == 1 && t.get("exits") == 1, "modules: detached they do not run");
        ok(!unload_module(), "modules: a program that is loaded still keeps it");
    }
    bool out = false; // a closed program goes a moment later
    for (int i = 0; i < 50 && !(out = unload_module()); i++)
        usleep(100000);
    ok(out, "modules: it unloads when no program is left");
    ok(load_module() && unload_module(), "modules: and comes again");
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    ko = argv[2];
    types_of_modules();
    functions_of_modules(argv[1]);
    return tap_exit();
}
