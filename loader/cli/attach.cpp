// SPDX-License-Identifier: GPL-2.0-only
// --attach PROGRAM=EVENT, and programs whose sections name their event.
#include "loader/cli/attach.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cli {

namespace {

using links_of = std::vector<struct bpf_link *>;

bool keep(struct bpf_link *l, links_of &links) {
    if (l)
        links.push_back(l);
    return l != nullptr;
}

/// The whole text is a number, decimal or 0x.
bool parse_number(std::string_view s, unsigned long long &out) {
    int base = 10;
    if (s.starts_with("0x"))
        base = 16, s.remove_prefix(2);
    auto [end, e] = std::from_chars(s.data(), s.data() + s.size(), out, base);
    return e == std::errc() && end == s.data() + s.size();
}

/// "FUNCTION" or "FUNCTION+OFFSET".
std::string parse_place(std::string_view rest, std::string &function, unsigned long long &offset) {
    size_t plus = rest.find('+');
    function = rest.substr(0, plus);
    if (plus != std::string_view::npos && !parse_number(rest.substr(plus + 1), offset))
        return "'" + std::string(rest.substr(plus + 1)) + "' is no offset: write a number, as in " + function + "+0x10";
    return function.empty() ? "the function is missing" : "";
}

std::string parse_function(std::string_view rest, attach_spec &out) { return parse_place(rest, out.place, out.offset); }

std::string parse_plain(std::string_view rest, attach_spec &out) {
    out.place = rest;
    if (rest.find('+') != std::string_view::npos)
        return "an offset is for kprobe and uprobe only";
    return rest.empty() ? "the name is missing" : "";
}

std::string parse_tracepoint(std::string_view rest, attach_spec &out) {
    size_t colon = std::min(rest.find(':'), rest.find('/'));
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size())
        return "a tracepoint has a category and a name";
    out.place = rest.substr(0, colon);
    out.name = rest.substr(colon + 1);
    return "";
}

std::string parse_user(std::string_view rest, attach_spec &out) {
    size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size())
        return "a place in user space is a file and a function, or an offset in the file";
    out.place = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
    if (rest[0] >= '0' && rest[0] <= '9')
        return parse_number(rest, out.offset) ? "" : "'" + std::string(rest) + "' is no offset: write a number, as in 0x1234";
    return parse_place(rest, out.name, out.offset);
}

struct counter {
    const char *name;
    __u32 type;
    __u64 config;
};
const counter counters[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
};

std::string parse_counter(std::string_view rest, attach_spec &out) {
    size_t colon = rest.find(':');
    std::string_view name = rest.substr(0, colon), period = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
    const counter *found = nullptr;
    std::string names;
    for (const counter &c : counters) {
        names += (names.empty() ? "" : ", ") + std::string(c.name);
        if (name == c.name)
            found = &c;
    }
    if (!found)
        return "'" + std::string(name) + "' is no counter; there are " + names;
    out.event_type = found->type;
    out.event_config = found->config;
    if (period.ends_with("hz") || period.ends_with("Hz"))
        out.per_second = true, period.remove_suffix(2);
    if (!parse_number(period, out.period) || !out.period)
        return "say how often: perf:" + std::string(name) + ":1000 at every 1000th, perf:" + std::string(name) + ":99hz 99 times a second";
    return "";
}

std::string parse_profile(std::string_view rest, attach_spec &out) {
    out.event_type = PERF_TYPE_SOFTWARE;
    out.event_config = PERF_COUNT_SW_CPU_CLOCK;
    out.per_second = true;
    if (rest.ends_with("hz") || rest.ends_with("Hz"))
        rest.remove_suffix(2);
    return parse_number(rest, out.period) && out.period ? "" : "'" + std::string(rest) + "' is no number of samples a second";
}

bool attach_kprobe(struct bpf_program *p, const attach_spec &s, links_of &links) {
    LIBBPF_OPTS(bpf_kprobe_opts, opts, .offset = s.offset, .retprobe = !strcmp(s.kind->name, "kretprobe"));
    return keep(bpf_program__attach_kprobe_opts(p, s.place.c_str(), &opts), links);
}

bool attach_kprobes(struct bpf_program *p, const attach_spec &s, links_of &links) {
    LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .retprobe = !strcmp(s.kind->name, "kretprobe.multi"));
    return keep(bpf_program__attach_kprobe_multi_opts(p, s.place.c_str(), &opts), links);
}

bool attach_uprobe(struct bpf_program *p, const attach_spec &s, links_of &links) {
    LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = !strcmp(s.kind->name, "uretprobe"), .func_name = s.name.empty() ? nullptr : s.name.c_str());
    return keep(bpf_program__attach_uprobe_opts(p, -1, s.place.c_str(), s.offset, &opts), links);
}

bool attach_tracepoint(struct bpf_program *p, const attach_spec &s, links_of &links) {
    return keep(bpf_program__attach_tracepoint(p, s.place.c_str(), s.name.c_str()), links);
}

bool attach_raw(struct bpf_program *p, const attach_spec &s, links_of &links) {
    return keep(bpf_program__attach_raw_tracepoint(p, s.place.c_str()), links);
}

bool attach_typed(struct bpf_program *p, const attach_spec &s, links_of &links) {
    return keep(s.kind->type == BPF_PROG_TYPE_LSM ? bpf_program__attach_lsm(p) : bpf_program__attach_trace(p), links);
}

/// On every CPU that is there.
bool attach_counter(struct bpf_program *p, const attach_spec &s, links_of &links) {
    struct perf_event_attr a = {};
    a.size = sizeof(a);
    a.type = s.event_type;
    a.config = s.event_config;
    a.sample_period = s.period; // or sample_freq, the same bytes
    a.freq = s.per_second;
    int cpus = libbpf_num_possible_cpus(), e = ENODEV;
    size_t before = links.size();
    for (int cpu = 0; cpu < cpus; cpu++) {
        int fd = static_cast<int>(syscall(SYS_perf_event_open, &a, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
        if (fd < 0 && errno == ENODEV)
            continue; // offline
        struct bpf_link *l = fd < 0 ? nullptr : bpf_program__attach_perf_event(p, fd);
        if (!keep(l, links)) {
            e = errno;
            if (fd >= 0)
                close(fd);
            errno = e;
            return false;
        }
    }
    errno = e;
    return links.size() > before;
}

const char no_function[] = "this kernel has no such function: /proc/kallsyms lists those that it has";
const char no_probe[] = "is it a function that may not be probed? /sys/kernel/debug/kprobes/blacklist lists those";
const char no_typed_function[] = "this kernel's types have no such function: it may be inlined, static or named otherwise; /proc/kallsyms lists all functions, and "
                                 "kprobe: reaches those without a type";
const char no_event[] = "this kernel has no such event: /sys/kernel/tracing/available_events lists those that it has";
const char no_user[] = "there is no such file, or no such function in it";
const char no_counter[] = "this machine does not count this (a virtual machine often has no hardware counters): profile:99 and perf:cpu-clock:99hz work everywhere";
const char no_period[] = "is the frequency above /proc/sys/kernel/perf_event_max_sample_rate?";
const char no_hook[] = "this kernel has no such hook";

constexpr auto any = event_kind::no_expectation;
const event_kind kinds[] = {
    {"kprobe", nullptr, "FUNCTION[+OFFSET]", "kprobe:vfs_read", BPF_PROG_TYPE_KPROBE, any, false, parse_function, attach_kprobe, no_function, no_probe},
    {"kretprobe", nullptr, "FUNCTION", "kretprobe:vfs_read", BPF_PROG_TYPE_KPROBE, any, false, parse_plain, attach_kprobe, no_function, no_probe},
    {"kprobe.multi", nullptr, "PATTERN", "kprobe.multi:vfs_*", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, false, parse_plain, attach_kprobes,
     no_function, no_probe},
    {"kretprobe.multi", nullptr, "PATTERN", "kretprobe.multi:vfs_*", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, false, parse_plain,
     attach_kprobes, no_function, no_probe},
    {"uprobe", nullptr, "FILE:FUNCTION[+OFFSET] or FILE:OFFSET", "uprobe:/bin/bash:readline", BPF_PROG_TYPE_KPROBE, any, true, parse_user,
     attach_uprobe, no_user, nullptr},
    {"uretprobe", nullptr, "FILE:FUNCTION or FILE:OFFSET", "uretprobe:/bin/bash:readline", BPF_PROG_TYPE_KPROBE, any, true, parse_user,
     attach_uprobe, no_user, nullptr},
    {"tracepoint", "tp", "CATEGORY:NAME", "tracepoint:sched:sched_switch", BPF_PROG_TYPE_TRACEPOINT, any, false, parse_tracepoint,
     attach_tracepoint, no_event, nullptr},
    {"raw_tp", "raw_tracepoint", "NAME", "raw_tp:sched_switch", BPF_PROG_TYPE_RAW_TRACEPOINT, any, false, parse_plain, attach_raw, no_event, nullptr},
    {"raw_tp.w", "raw_tracepoint.w", "NAME", "raw_tp.w:nbd_send_request", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, any, false, parse_plain,
     attach_raw, no_event, "this tracepoint gives away fewer bytes of its first argument than the program touches, or none"},
    {"tp_btf", nullptr, "NAME", "tp_btf:sched_switch", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, false, parse_plain, attach_typed, no_event, nullptr},
    {"fentry", nullptr, "FUNCTION", "fentry:vfs_read", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, true, parse_plain, attach_typed, no_typed_function, nullptr},
    {"fexit", nullptr, "FUNCTION", "fexit:vfs_read", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, true, parse_plain, attach_typed, no_typed_function, nullptr},
    {"fmod_ret", nullptr, "FUNCTION", "fmod_ret:bpf_modify_return_test", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, true, parse_plain, attach_typed,
     no_typed_function, "only functions that the kernel marks for it (ALLOW_ERROR_INJECTION, security_*) may have their results changed"},
    {"lsm", nullptr, "HOOK", "lsm:file_open", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, true, parse_plain, attach_typed, no_hook, nullptr},
    {"profile", nullptr, "HZ", "profile:99", BPF_PROG_TYPE_PERF_EVENT, any, false, parse_profile, attach_counter, no_counter, no_period},
    {"perf", nullptr, "COUNTER:PERIOD or COUNTER:HZhz", "perf:cycles:1000000", BPF_PROG_TYPE_PERF_EVENT, any, false, parse_counter, attach_counter,
     no_counter, no_period},
};

const event_kind *find_kind(std::string_view name) {
    for (const event_kind &k : kinds)
        if (name == k.name || (k.alias && name == k.alias))
            return &k;
    return nullptr;
}

/// The kind that a section names, with or without .s, or null.
const event_kind *kind_of_section(std::string_view section) {
    section = section.substr(0, section.find('/'));
    if (section.ends_with(".s"))
        section.remove_suffix(2);
    return find_kind(section);
}

std::string kind_names() {
    std::string out;
    for (const event_kind &k : kinds)
        out += (out.empty() ? "" : ", ") + std::string(k.name);
    return out;
}

std::string after_attach_error(const event_kind *kind, int e) {
    if (!kind)
        return "; modbpf run attaches sections that begin with " + kind_names() + ", tp or raw_tracepoint";
    if (e == ENOENT || e == ESRCH || e == EOPNOTSUPP || e == ENODEV)
        return std::string("; ") + kind->absent;
    return e == EINVAL && kind->invalid ? std::string("; ") + kind->invalid : "";
}

bool named(const struct bpf_program *p, const attach_spec &s) { return s.program == bpf_program__name(p); }

/// By what its section says. True without a link where that is no event.
bool attach_by_section(struct bpf_program *p, links_of &links) {
    struct bpf_link *l = bpf_program__attach(p);
    int e = errno;
    if (keep(l, links))
        return true;
    std::string section = bpf_program__section_name(p), name = bpf_program__name(p);
    std::string notes = messages::take();
    if (e == EOPNOTSUPP && notes.empty()) { // libbpf did not even try
        complain("%s (%s) is loaded but not attached: its section names no event; --attach %s=EVENT gives it one", name.c_str(), section.c_str(),
                 name.c_str());
        return true;
    }
    fputs(notes.c_str(), stderr);
    explain_failure("cannot attach", (name + " (" + section + ")").c_str(), e, after_attach_error(kind_of_section(section), e).c_str());
    return false;
}

} // namespace

void explain_failure(const char *what, const char *name, int e, const char *next) {
    std::string notes = messages::take();
    fputs(notes.c_str(), stderr);
    if (e == EPERM)
        next = "; this needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: run as root";
    complain("%s %s: %s%s", what, name, error_text(e).c_str(), next);
}

std::string parse_attach(std::string_view text, attach_spec &out) {
    size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return "name the program first, as in prog_name=kprobe:vfs_read";
    out.program = text.substr(0, equals);
    out.event = text.substr(equals + 1);
    std::string_view event = out.event;
    size_t colon = event.find(':');
    std::string_view name = event.substr(0, colon);
    if (name.ends_with(".s"))
        name.remove_suffix(2), out.sleepable = true;
    out.kind = find_kind(name);
    if (!out.kind)
        return "'" + std::string(name) + "' is no kind of event; there are " + kind_names();
    const std::string usage = "; write " + std::string(out.kind->name) + ":" + out.kind->form + ", as in " + out.program + "=" + out.kind->example;
    if (out.sleepable && !out.kind->sleepable)
        return "programs at " + std::string(out.kind->name) + " never sleep" + usage;
    std::string problem = colon == std::string_view::npos ? "what follows the kind of event is missing" : out.kind->parse(event.substr(colon + 1), out);
    return problem.empty() ? "" : problem + usage;
}

std::string counter_name(__u32 type, __u64 config) {
    for (const counter &c : counters)
        if (c.type == type && c.config == config)
            return c.name;
    return std::to_string(type) + "/" + std::to_string(config);
}

std::string attach_help() {
    std::string out;
    char line[160];
    for (const event_kind &k : kinds) {
        snprintf(line, sizeof(line), "  %-54s %s\n", (std::string(k.name) + ":" + k.form).c_str(), k.example);
        out += line;
    }
    return out + "uprobe, uretprobe, fentry, fexit, fmod_ret and lsm with .s behind them make the program one that may sleep.\n";
}

bool programs_exist(const std::vector<struct bpf_object *> &objects, const std::vector<attach_spec> &specs) {
    for (const attach_spec &s : specs) {
        bool found = false;
        std::string names;
        struct bpf_program *p;
        for (struct bpf_object *o : objects)
            bpf_object__for_each_program(p, o) {
                found |= named(p, s);
                names += (names.empty() ? "" : ", ") + std::string(bpf_program__name(p));
            }
        if (found)
            continue;
        complain("--attach %s=%s: there is no program '%s'; there are %s", s.program.c_str(), s.event.c_str(), s.program.c_str(), names.c_str());
        return false;
    }
    return true;
}

bool prepare_attach(struct bpf_object *object, const std::vector<attach_spec> &specs) {
    struct bpf_program *p;
    bpf_object__for_each_program(p, object) {
        const attach_spec *first = nullptr;
        for (const attach_spec &s : specs) {
            if (!named(p, s))
                continue;
            bool typed = s.kind->attach == attach_typed;
            if (first && (first->kind->type != s.kind->type || first->kind->expected != s.kind->expected || typed)) {
                complain("--attach %s=%s: the program is on %s already, and %s; load the file twice", s.program.c_str(), s.event.c_str(),
                         first->event.c_str(), typed ? "is made for that one place" : "both need it to be of another type");
                return false;
            }
            first = &s;
            int err = bpf_program__set_type(p, s.kind->type);
            bool expects = s.kind->expected != any;
            if (!err)
                err = bpf_program__set_expected_attach_type(p, expects ? s.kind->expected : static_cast<enum bpf_attach_type>(0));
            if (!err && s.sleepable)
                err = bpf_program__set_flags(p, bpf_program__flags(p) | BPF_F_SLEEPABLE);
            if (!err && typed)
                err = bpf_program__set_attach_target(p, 0, s.place.c_str());
            bpf_program__set_autoload(p, true);
            if (!err)
                continue;
            explain_failure("cannot attach", (s.program + " to " + s.event).c_str(), -err, after_attach_error(s.kind, -err).c_str());
            return false;
        }
    }
    return true;
}

bool attach_programs(struct bpf_object *object, const std::vector<attach_spec> &specs, links_of &links, size_t &attached) {
    struct bpf_program *p;
    bpf_object__for_each_program(p, object) {
        if (!bpf_program__autoload(p))
            continue;
        size_t before = links.size();
        bool mentioned = false;
        for (const attach_spec &s : specs) {
            if (!named(p, s))
                continue;
            mentioned = true;
            if (s.kind->attach(p, s, links))
                continue;
            int e = errno;
            explain_failure("cannot attach", (s.program + " to " + s.event).c_str(), e, after_attach_error(s.kind, e).c_str());
            return false;
        }
        if (!mentioned && !attach_by_section(p, links))
            return false;
        attached += links.size() > before;
    }
    return true;
}

} // namespace cli
