// SPDX-License-Identifier: GPL-2.0-only
// Links as text.
#include "loader/cli/attached.h"

#include "loader/cli/attach.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace cli {

namespace {

// Numbers and layout of struct bpf_link_info as of Linux 6.12; the headers of Debian 12 end before.
enum { LINK_RAW_TP = 1, LINK_TRACING = 2, LINK_ITER = 4, LINK_PERF = 7, LINK_KPROBES = 8, LINK_UPROBES = 12 };
enum { PERF_UPROBE = 1, PERF_URETPROBE, PERF_KPROBE, PERF_KRETPROBE, PERF_TRACEPOINT, PERF_COUNTER };
struct link_info {
    __u32 type, id, prog_id, pad;
    union {
        struct {
            __u64 name;
            __u32 name_len;
        } named; ///< raw tracepoints, iterators
        struct {
            __u32 attach_type, target_obj_id, target_btf_id;
        } tracing;
        struct {
            __u64 addrs;
            __u32 count, flags;
        } kprobes;
        struct {
            __u64 path, offsets, ref_ctr_offsets, cookies;
            __u32 path_size, count, flags, pid;
        } uprobes;
        struct {
            __u32 type, pad;
            union {
                struct {
                    __u64 name;
                    __u32 name_len, offset;
                } place; ///< of probes and tracepoints
                struct {
                    __u64 config;
                    __u32 type;
                } counter;
            };
        } perf;
        __u64 room[8];
    };
};

bool read_info(int fd, link_info &info) {
    __u32 size = sizeof(info);
    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0;
}

/// Which type and, for perf links, which kind; then once more with a buffer where that has a name.
bool read_named(int fd, link_info &info, char *name, __u32 size) {
    info = {};
    if (!read_info(fd, info))
        return false;
    link_info again = {};
    __u64 at = reinterpret_cast<__u64>(name);
    if (info.type == LINK_RAW_TP || info.type == LINK_ITER)
        again.named = {at, size};
    else if (info.type == LINK_PERF && info.perf.type && info.perf.type != PERF_COUNTER)
        again.perf.place = {at, size, 0};
    else if (info.type == LINK_UPROBES)
        again.uprobes.path = at, again.uprobes.path_size = size;
    else
        return true;
    if (!read_info(fd, again))
        return false;
    info = again;
    return true;
}

std::string with_offset(const char *name, __u32 offset) {
    char text[16] = "";
    if (offset)
        snprintf(text, sizeof(text), "+0x%x", offset);
    return std::string(name) + text;
}

std::string perf_text(const link_info &info, const char *name) {
    char text[32];
    snprintf(text, sizeof(text), ":0x%x", info.perf.place.offset);
    switch (info.perf.type) {
    case PERF_UPROBE: return std::string("uprobe:") + name + text;
    case PERF_URETPROBE: return std::string("uretprobe:") + name + text;
    case PERF_KPROBE: return "kprobe:" + with_offset(name, info.perf.place.offset);
    case PERF_KRETPROBE: return "kretprobe:" + with_offset(name, info.perf.place.offset);
    case PERF_TRACEPOINT: return std::string("tracepoint:") + name;
    case PERF_COUNTER: return "perf:" + counter_name(info.perf.counter.type, info.perf.counter.config);
    default: return "perf event"; // kernels before 6.6 say no more
    }
}

const char *tracing_kind(__u32 attach_type) {
    switch (attach_type) {
    case BPF_TRACE_RAW_TP: return "tp_btf";
    case BPF_TRACE_FENTRY: return "fentry";
    case BPF_TRACE_FEXIT: return "fexit";
    case BPF_MODIFY_RETURN: return "fmod_ret";
    case BPF_LSM_MAC: return "lsm";
    default: {
        const char *name = libbpf_bpf_attach_type_str(static_cast<enum bpf_attach_type>(attach_type));
        return name ? name : "tracing";
    }
    }
}

} // namespace

attachments::~attachments() { btf__free(kernel_types_); }

/// The name of the kernel's type, without what tracepoints and hooks have in front of theirs.
std::string attachments::function(__u32 types_id, __u32 type_id) {
    int fd = bpf_btf_get_fd_by_id(types_id);
    struct bpf_btf_info info = {};
    char name[64] = "";
    info.name = reinterpret_cast<__u64>(name);
    info.name_len = sizeof(name);
    __u32 size = sizeof(info);
    bool known = fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0;
    if (fd >= 0)
        close(fd);
    if (!known || !info.kernel_btf || strcmp(name, "vmlinux") != 0)
        return "type " + std::to_string(type_id) + (*name ? std::string(" of ") + name : "");
    if (!types_tried_)
        kernel_types_ = btf__load_vmlinux_btf();
    types_tried_ = true;
    const struct btf_type *t = kernel_types_ ? btf__type_by_id(kernel_types_, type_id) : nullptr;
    std::string text = t ? btf__name_by_offset(kernel_types_, t->name_off) : "";
    for (const char *prefix : {"btf_trace_", "bpf_lsm_"})
        if (text.starts_with(prefix))
            text.erase(0, strlen(prefix));
    return text.empty() ? "type " + std::to_string(type_id) : text;
}

std::string attachments::describe(int link_fd, __u32 &prog_id) {
    link_info info;
    char name[512] = "";
    if (!read_named(link_fd, info, name, sizeof(name)))
        return "";
    prog_id = info.prog_id;
    switch (info.type) {
    case LINK_RAW_TP: return std::string("raw_tp:") + name;
    case LINK_ITER: return std::string("iter:") + name;
    case LINK_TRACING: return std::string(tracing_kind(info.tracing.attach_type)) + ":" + function(info.tracing.target_obj_id, info.tracing.target_btf_id);
    case LINK_PERF: return perf_text(info, name);
    case LINK_KPROBES: return "kprobe.multi:" + std::to_string(info.kprobes.count) + " functions";
    case LINK_UPROBES: return std::string("uprobe.multi:") + name + ": " + std::to_string(info.uprobes.count) + " places";
    default: {
        const char *type = libbpf_bpf_link_type_str(static_cast<enum bpf_link_type>(info.type));
        return type ? type : "link type " + std::to_string(info.type);
    }
    }
}

bool attachments::refresh() {
    by_program_.clear();
    __u32 id = 0;
    while (bpf_link_get_next_id(id, &id) == 0) {
        int fd = bpf_link_get_fd_by_id(id);
        if (fd < 0)
            continue; // gone, or not settled
        __u32 prog_id = 0;
        std::string text = describe(fd, prog_id);
        close(fd);
        if (!text.empty())
            by_program_[prog_id][text]++;
    }
    return errno == ENOENT;
}

const std::map<std::string, unsigned> &attachments::all_of(__u32 prog_id) const {
    static const std::map<std::string, unsigned> none;
    auto found = by_program_.find(prog_id);
    return found == by_program_.end() ? none : found->second;
}

std::string attachments::of(__u32 prog_id) const {
    std::string out;
    for (const auto &[text, times] : all_of(prog_id))
        out += (out.empty() ? "" : ", ") + text + (times > 1 ? " x" + std::to_string(times) : "");
    return out;
}

} // namespace cli
