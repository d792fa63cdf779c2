// SPDX-License-Identifier: GPL-2.0-only
// From a map with stacks to folded stacks with names.
#include "loader/cli/stacks.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace cli {

namespace {

constexpr size_t most_stacks = 1 << 18;

/// "kern_stack_id", "kstack", "user_stack", "ustack_id", "stack_id"...
bool names_stack(const std::string &name, bool &user) {
    user = name.find("user") != std::string::npos || name.starts_with("u");
    return name.find("stack") != std::string::npos;
}

void find_members(const map_view &v, __u32 type, size_t size, bool in_value, stack_layout &out) {
    const struct btf_type *t = btf__type_by_id(v.btf, skip_modifiers(v.btf, type));
    for (__u32 i = 0; t && btf_is_struct(t) && i < btf_vlen(t); i++) {
        const struct btf_member *m = btf_members(t) + i;
        const char *text = btf__name_by_offset(v.btf, m->name_off);
        const struct btf_type *mt = btf__type_by_id(v.btf, skip_modifiers(v.btf, m->type));
        long long bytes = btf__resolve_size(v.btf, m->type);
        size_t at = btf_member_bit_offset(t, i) / 8;
        if (!text || !mt || bytes <= 0 || at + static_cast<size_t>(bytes) > size || btf_member_bitfield_size(t, i))
            continue;
        stack_field f = {at, static_cast<size_t>(bytes), 0, false, in_value, text};
        bool chain = btf_is_array(mt) && btf__resolve_size(v.btf, btf_array(mt)->type) == 8;
        bool number = btf_is_int(mt) && (bytes == 4 || bytes == 8);
        if (names_stack(f.name, f.user) && (number || chain)) {
            f.count = chain ? f.size / 8 : 0;
            out.stacks.push_back(f);
        } else if (!in_value && number && (f.name == "tgid" || (f.name == "pid" && !out.pid.count))) {
            out.pid = {at, f.size, 1};
        } else if (!in_value && btf_is_array(mt) && f.name == "comm") {
            out.comm = {at, 1, f.size};
        }
    }
}

/// The STACK_TRACE map called as the member is, with or without _id, or else the first one.
struct bpf_map *stack_map(struct bpf_object *object, const std::string &field) {
    struct bpf_map *m, *first = nullptr;
    std::string plain = field.ends_with("_id") ? field.substr(0, field.size() - 3) : field;
    bpf_object__for_each_map(m, object) {
        if (bpf_map__type(m) != BPF_MAP_TYPE_STACK_TRACE)
            continue;
        std::string name = bpf_map__name(m);
        if (name == field || name == plain || name == plain + "s")
            return m;
        if (!first)
            first = m;
    }
    return first;
}

} // namespace

stack_layout find_stacks(const map_view &v) {
    stack_layout out;
    if (!is_hash(v) || !v.rank.count)
        return out;
    bool user;
    if (v.btf && v.key_type)
        find_members(v, v.key_type, v.key_size, false, out);
    if (v.btf && v.value_type && !v.percpu)
        find_members(v, v.value_type, v.value_size, true, out);
    if (out.stacks.empty() && v.key_size == 4 && is_number(v, v.key_type, 4) && names_stack(v.name, user))
        out.stacks.push_back({0, 4, 0, user, false, v.name});
    return out;
}

bool stack_reader::choose(const std::vector<struct bpf_object *> &objects, const std::string &name) {
    struct bpf_object *owner = nullptr;
    std::string names;
    for (struct bpf_object *o : objects) {
        struct bpf_map *m;
        bpf_object__for_each_map(m, o) {
            map_view v = view_of(o, m);
            stack_layout l = find_stacks(v);
            if (bpf_map__is_internal(m) || l.stacks.empty() || (!name.empty() && v.name != name))
                continue;
            names += (names.empty() ? "" : ", ") + v.name;
            if (owner) {
                complain("several maps count stacks (%s): name one with --stacks=MAP", names.c_str());
                return false;
            }
            owner = o, view_ = v, layout_ = l;
        }
    }
    if (!owner) {
        complain("%s%s counts stacks: --flame and --folded need a hash whose values are counts and whose key has a member like kern_stack_id or user_stack "
                 "(the id of bpf_get_stackid, or an array of addresses), for user stacks also tgid or pid",
                 name.empty() ? "no map" : "no map called ", name.c_str());
        return false;
    }
    for (const stack_field &f : layout_.stacks) {
        struct bpf_map *ids = f.count ? nullptr : stack_map(owner, f.name);
        if (!f.count && (!ids || bpf_map__map_flags(ids) & BPF_F_STACK_BUILD_ID)) {
            complain("%s.%s is the id of a stack, but %s", view_.name.c_str(), f.name.c_str(),
                     ids ? "its map keeps build ids, to which no names are given here: leave out BPF_F_STACK_BUILD_ID" : "there is no STACK_TRACE map in the file");
            return false;
        }
        if (ids)
            ids_[f.name] = {bpf_map__fd(ids), bpf_map__value_size(ids) / 8};
    }
    kernel_ = kernel_symbols();
    if (kernel_.empty())
        complain("/proc/kallsyms shows no addresses: kernel frames will have no names; see /proc/sys/kernel/kptr_restrict");
    return true;
}

__u32 stack_reader::pid_of(const map_entry &e) const {
    return layout_.pid.count ? static_cast<__u32>(load_number(e.key.data() + layout_.pid.offset, layout_.pid.unit)) : 0;
}

void stack_reader::look() {
    for (const map_entry &e : read_all(view_, most_stacks))
        if (__u32 pid = pid_of(e); pid && !processes_.knows(pid))
            processes_.look(pid);
}

/// Innermost first. An id that names no stack is a problem of its own, or none: a kernel thread has no user stack.
std::vector<__u64> stack_reader::addresses(const map_entry &e, const stack_field &f, std::string &problem) {
    const unsigned char *at = (f.in_value ? e.value : e.key).data() + f.offset;
    std::vector<__u64> out(f.count);
    if (f.count) {
        memcpy(out.data(), at, f.size);
    } else {
        __u32 id = static_cast<__u32>(load_number(at, f.size));
        auto [fd, most] = ids_.at(f.name);
        out.resize(most);
        if (static_cast<__s32>(id) < 0) {
            out.clear();
            problem = -static_cast<__s32>(id) == EEXIST ? "[lost: two stacks of one hash]" : static_cast<__s32>(id) == -EFAULT ? "" : "[no stack]";
        } else if (bpf_map_lookup_elem(fd, &id, out.data())) {
            out.clear();
            problem = "[lost: another stack took its place]";
        }
    }
    out.erase(std::find(out.begin(), out.end(), 0), out.end());
    return out;
}

/// Outermost first. What a call returns to may lie behind the calling function: its callers are looked up one byte before.
void stack_reader::add_frames(const map_entry &e, const stack_field &f, std::vector<std::string> &out) {
    std::string problem;
    std::vector<__u64> ips = addresses(e, f, problem);
    if (!problem.empty())
        out.push_back(problem + (f.user ? "" : "_[k]"));
    for (size_t i = ips.size(); i-- > 0;) {
        __u64 ip = ips[i] - (i ? 1 : 0);
        const std::string *kernel = f.user ? nullptr : kernel_.find(ip);
        out.push_back(f.user ? processes_.name(pid_of(e), ip) : (kernel ? *kernel : "[kernel]") + "_[k]");
    }
}

folded_stacks stack_reader::fold() {
    folded_stacks out;
    std::vector<map_entry> entries = read_all(view_, most_stacks);
    std::vector<__u32> looked;
    for (const map_entry &e : entries) { // once more: libraries may have come since
        __u32 pid = pid_of(e);
        if (pid && std::find(looked.begin(), looked.end(), pid) == looked.end())
            processes_.look(pid), looked.push_back(pid);
    }
    for (const map_entry &e : entries) {
        std::vector<std::string> frames;
        const char *comm = reinterpret_cast<const char *>(e.key.data()) + layout_.comm.offset;
        if (layout_.comm.count)
            frames.push_back(std::string(comm, strnlen(comm, layout_.comm.count)));
        else if (layout_.pid.count)
            frames.push_back("process " + std::to_string(pid_of(e)));
        for (bool user : {true, false})
            for (const stack_field &f : layout_.stacks)
                if (f.user == user)
                    add_frames(e, f, frames);
        if (frames.empty())
            frames.push_back("[no stack]");
        if (__u64 n = rank_of(view_, e))
            out[frames] += n;
    }
    return out;
}

bool write_folded(const char *path, const folded_stacks &stacks) {
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    for (const auto &[frames, count] : stacks) {
        std::string line;
        for (std::string frame : frames) {
            std::replace(frame.begin(), frame.end(), ';', ':');
            line += (line.empty() ? "" : ";") + frame;
        }
        fprintf(f, "%s %llu\n", line.c_str(), static_cast<unsigned long long>(count));
    }
    bool failed = ferror(f);
    return fclose(f) == 0 && !failed;
}

} // namespace cli
