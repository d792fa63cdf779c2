// SPDX-License-Identifier: GPL-2.0-only
// modbpf run: load, attach by section name, print what the programs report until the end.
#include "loader/cli/cli.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <getopt.h>
#include <memory>
#include <sys/epoll.h>
#include <unistd.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf run [OPTIONS] FILE.o...\n\n"
    "Loads all programs of BPF object files, attaches each to the event that its section names (kprobe/..., kretprobe/...,\n"
    "tp/CATEGORY/NAME, raw_tp/NAME), and prints ring buffer records, perf buffer records and bpf_trace_printk lines\n"
    "until Ctrl-C. Then prints the maps: those named *hist* as histograms, other small ones as tables. Nothing stays\n"
    "loaded or pinned.\n\n"
    "Records are printed by field when the object's BTF has a structure of their size: one named as the map (also\n"
    "without its last s, or with _event), `struct event`, or the X of a global `const struct X *unused_X`. Otherwise as bytes.\n\n"
    "  -s, --seconds=N      end after N seconds (a fraction is fine)\n"
    "  -r, --raw            always print records as bytes\n"
    "  -v, --verbose        libbpf's messages; twice: its debug messages too\n"
    "      --backend=NAME   device: the modbpf module (default); kernel: the kernel's own BPF\n";

volatile sig_atomic_t stopped;
void on_signal(int) { stopped = 1; }

struct settings {
    double seconds = 0; ///< 0: until a signal
    bool raw = false;
    int verbose = 0;
    std::vector<const char *> paths;
};

/// A map that streams records.
struct source {
    const struct btf *btf;
    std::string name;
    bool padded, raw;
    size_t typed_size = 0; ///< of the last record: its type need not be searched again
    __u32 typed_as = 0;
};

void print_record(source &s, const void *data, size_t size) {
    if (s.typed_size != size) {
        s.typed_size = size;
        s.typed_as = s.raw ? 0 : record_type(s.btf, s.name.c_str(), size, s.padded);
    }
    std::string text = s.typed_as ? format_value(s.btf, s.typed_as, data, size, true) : format_bytes(data, size);
    printf("%s: %s\n", s.name.c_str(), text.c_str());
}

int on_ring(void *ctx, void *data, size_t size) {
    print_record(*static_cast<source *>(ctx), data, size);
    return stopped ? -EINTR : 0;
}
void on_perf(void *ctx, int, void *data, __u32 size) { print_record(*static_cast<source *>(ctx), data, size); }
void on_lost(void *ctx, int cpu, __u64 n) {
    complain("%s: %llu records lost on CPU %d: the reader was too slow", static_cast<source *>(ctx)->name.c_str(),
             static_cast<unsigned long long>(n), cpu);
}

/// Everything that a run holds; freed in reverse.
struct session {
    std::vector<struct bpf_object *> objects;
    std::vector<struct bpf_link *> links;
    std::vector<std::unique_ptr<source>> sources;
    struct ring_buffer *ring = nullptr;
    std::vector<struct perf_buffer *> perfs;
    int trace = -1;
    std::string trace_text; ///< the unfinished line
    int epoll = -1;

    session() = default;
    session(const session &) = delete;
    ~session() {
        detach();
        for (struct perf_buffer *p : perfs)
            perf_buffer__free(p);
        ring_buffer__free(ring);
        if (trace >= 0)
            close(trace);
        if (epoll >= 0)
            close(epoll);
        for (struct bpf_object *o : objects)
            bpf_object__close(o);
    }
    void detach() {
        for (struct bpf_link *l : links)
            bpf_link__destroy(l);
        links.clear();
    }
};

void explain(const char *what, const char *name, int e, const char *next = "") {
    std::string notes = messages::take();
    fputs(notes.c_str(), stderr);
    if (e == EPERM)
        next = "; this needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN: run as root";
    complain("%s %s: %s%s", what, name, error_text(e).c_str(), next);
}

/// Types that the back end does not have are the likeliest reason of a refusal without a log.
bool name_absent_types(struct bpf_object *object) {
    std::string features = feature_list();
    bool absent = false;
    struct bpf_map *m;
    struct bpf_program *p;
    if (features.empty())
        return false;
    bpf_object__for_each_map(m, object) {
        const char *type = libbpf_bpf_map_type_str(bpf_map__type(m));
        if (!type || lists(features, "map_types", type))
            continue;
        complain("map %s is of type %s, which modbpf does not have; `modbpf features` lists those that it has", bpf_map__name(m), type);
        absent = true;
    }
    bpf_object__for_each_program(p, object) {
        const char *type = libbpf_bpf_prog_type_str(bpf_program__type(p));
        if (!bpf_program__autoload(p) || !type || lists(features, "program_types", type))
            continue;
        complain("program %s (%s) is of type %s, which modbpf does not have; `modbpf features` lists those that it has",
                 bpf_program__name(p), bpf_program__section_name(p), type);
        absent = true;
    }
    return absent;
}

bool load(session &s, const char *path) {
    struct bpf_object *object = bpf_object__open_file(path, nullptr);
    if (!object) {
        explain("cannot open", path, errno, "; compile with `clang -O2 -g -target bpf -c`");
        return false;
    }
    s.objects.push_back(object);
    int err = bpf_object__load(object);
    if (err) {
        const char *next = -err == ENOMEM || -err == E2BIG ? "; a map or a program is too large: see the sizes that the file asks for" : "";
        explain("cannot load", path, -err, next);
        if (-err != EPERM && !name_absent_types(object))
            complain("`modbpf verify %s` gives the verdict on each program", path);
        return false;
    }
    messages::take();
    return true;
}

const char *after_attach_error(int e, const std::string &section) {
    bool known = false;
    for (const char *prefix : {"kprobe/", "kretprobe/", "kprobe.multi/", "kretprobe.multi/", "uprobe", "uretprobe", "tp/", "tracepoint/",
                               "raw_tp/", "raw_tracepoint/"})
        known |= section.starts_with(prefix);
    if (!known)
        return "; modbpf attaches the sections kprobe/, kretprobe/, uprobe/, uretprobe/, tp/ and raw_tp/";
    if (section.starts_with("u"))
        return e == ENOENT ? "; there is no such file, or no such function in it" : "";
    bool probe = section.starts_with("k");
    if (e == ENOENT)
        return probe ? "; this kernel has no such function: /proc/kallsyms lists those that it has"
                     : "; this kernel has no such event: /sys/kernel/tracing/available_events lists those that it has";
    if (e == EINVAL && probe)
        return "; is it a function that may not be probed? /sys/kernel/debug/kprobes/blacklist lists those";
    return "";
}

/// Attaches what names an event. False, with a message, when one fails.
bool attach(session &s, struct bpf_object *object) {
    struct bpf_program *p;
    bpf_object__for_each_program(p, object) {
        if (!bpf_program__autoload(p))
            continue;
        struct bpf_link *l = bpf_program__attach(p);
        int e = errno;
        if (l) {
            s.links.push_back(l);
            continue;
        }
        std::string section = bpf_program__section_name(p);
        std::string what = std::string(bpf_program__name(p)) + " (" + section + ")";
        std::string notes = messages::take();
        if (e == EOPNOTSUPP && notes.empty()) { // libbpf did not even try
            complain("%s is loaded but not attached: its section names no event", what.c_str());
            continue;
        }
        fputs(notes.c_str(), stderr);
        explain("cannot attach", what.c_str(), e, after_attach_error(e, section));
        return false;
    }
    return true;
}

bool attach_all(session &s, const settings &set) {
    for (size_t i = 0; i < s.objects.size(); i++) {
        size_t before = s.links.size();
        if (!attach(s, s.objects[i]))
            return false;
        if (s.links.size() == before) {
            complain("%s has no program that can be attached; name events in sections, as in SEC(\"kprobe/vfs_read\")", set.paths[i]);
            return false;
        }
    }
    return true;
}

bool uses_trace(const struct bpf_program *p) {
    const struct bpf_insn *insn = bpf_program__insns(p);
    for (size_t i = 0; insn && i < bpf_program__insn_cnt(p); i++)
        if (insn[i].code == (BPF_JMP | BPF_CALL) && insn[i].src_reg == 0 &&
            (insn[i].imm == BPF_FUNC_trace_printk || insn[i].imm == BPF_FUNC_trace_vprintk))
            return true;
    return false;
}

bool watch(session &s, int fd) {
    epoll_event e = {};
    e.events = EPOLLIN;
    e.data.fd = fd;
    return epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

/// trace_pipe, before anything is attached, so that no line is missed.
void open_trace(session &s) {
    struct bpf_program *p;
    bool used = false;
    for (struct bpf_object *o : s.objects)
        bpf_object__for_each_program(p, o)
            used |= uses_trace(p);
    if (!used)
        return;
    for (const char *path : {"/sys/kernel/tracing/trace_pipe", "/sys/kernel/debug/tracing/trace_pipe"}) {
        s.trace = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (s.trace >= 0)
            break;
    }
    if (s.trace < 0 || !watch(s, s.trace))
        complain("bpf_trace_printk lines will not be shown: cannot open trace_pipe: %s; mount -t tracefs tracefs "
                 "/sys/kernel/tracing", strerror(errno));
}

bool open_streams(session &s, const settings &set, struct bpf_object *object) {
    struct bpf_map *m;
    bpf_object__for_each_map(m, object) {
        enum bpf_map_type type = bpf_map__type(m);
        if (type != BPF_MAP_TYPE_RINGBUF && type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
            continue;
        bool perf = type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
        s.sources.push_back(std::make_unique<source>(source{bpf_object__btf(object), bpf_map__name(m), perf, set.raw}));
        source *src = s.sources.back().get();
        int err = 0;
        if (perf) {
            struct perf_buffer *pb = perf_buffer__new(bpf_map__fd(m), 64, on_perf, on_lost, src, nullptr);
            err = pb ? 0 : errno;
            if (pb)
                s.perfs.push_back(pb);
            if (pb && !watch(s, perf_buffer__epoll_fd(pb)))
                err = errno;
        } else if (!s.ring) {
            s.ring = ring_buffer__new(bpf_map__fd(m), on_ring, src, nullptr);
            err = s.ring ? 0 : errno;
            if (s.ring && !watch(s, ring_buffer__epoll_fd(s.ring)))
                err = errno;
        } else {
            err = -ring_buffer__add(s.ring, bpf_map__fd(m), on_ring, src);
        }
        if (err) {
            explain("cannot read the buffer", bpf_map__name(m), err);
            return false;
        }
    }
    return true;
}

/// Whole lines of bpf_trace_printk from trace_pipe; other events' lines are not ours.
void drain_trace(session &s) {
    if (s.trace < 0)
        return;
    char chunk[8192];
    ssize_t n;
    while ((n = read(s.trace, chunk, sizeof(chunk))) > 0) {
        s.trace_text.append(chunk, static_cast<size_t>(n));
        size_t at = 0, end;
        while ((end = s.trace_text.find('\n', at)) != std::string::npos) {
            std::string line = s.trace_text.substr(at, end - at);
            if (line.find("bpf_trace_printk: ") != std::string::npos)
                puts(line.c_str());
            at = end + 1;
        }
        s.trace_text.erase(0, at);
    }
}

void drain(session &s) {
    if (s.ring)
        ring_buffer__consume(s.ring);
    for (struct perf_buffer *p : s.perfs)
        perf_buffer__consume(p);
    drain_trace(s);
    fflush(stdout);
}

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void stream(session &s, const settings &set) {
    double end = set.seconds > 0 ? now() + set.seconds : 0;
    while (!stopped) {
        double left = end > 0 ? end - now() : 3600;
        if (left <= 0)
            break;
        epoll_event e[8];
        // Without a wake-up (BPF_RB_NO_WAKEUP) records wait for this.
        int timeout = static_cast<int>(std::min(left * 1000 + 1, 200.0));
        if (epoll_wait(s.epoll, e, 8, timeout) < 0 && errno != EINTR) {
            complain("waiting for events failed: %s", strerror(errno));
            break;
        }
        drain(s);
    }
}

int parse(int argc, char **argv, settings &s) {
    static const option options[] = {{"seconds", required_argument, nullptr, 's'}, {"raw", no_argument, nullptr, 'r'},
                                     {"verbose", no_argument, nullptr, 'v'},       {"backend", required_argument, nullptr, 'b'},
                                     {"help", no_argument, nullptr, 'h'},          {}};
    int c;
    while ((c = getopt_long(argc, argv, "s:rvh", options, nullptr)) != -1) {
        char *end = nullptr;
        switch (c) {
        case 's':
            s.seconds = strtod(optarg, &end);
            if (end == optarg || *end || !(s.seconds > 0) || s.seconds > 1e9) {
                complain("--seconds takes a positive number, not '%s'", optarg);
                return 2;
            }
            break;
        case 'r': s.raw = true; break;
        case 'v': s.verbose++; break;
        case 'b':
            if (!use_backend(optarg))
                return 2;
            break;
        case 'h': fputs(help, stdout); return 0;
        default: return 2;
        }
    }
    if (argc <= optind) {
        complain("give an object file; for example: modbpf run --seconds 5 prog.o");
        return 2;
    }
    s.paths.assign(argv + optind, argv + argc);
    return -1;
}

} // namespace

int run_main(int argc, char **argv) {
    settings set;
    int done = parse(argc, argv, set);
    if (done >= 0)
        return done;
    if (backend_name() == "process") {
        complain("the process back end attaches nothing; `modbpf verify %s` gives its verdicts, or load the module", set.paths[0]);
        return 2;
    }
    for (const char *path : set.paths) {
        std::string problem = object_problem(path);
        if (problem.empty())
            continue;
        complain("%s: %s", path, problem.c_str());
        return 1;
    }
    if (!backend_ready())
        return 2;
    messages::start(set.verbose);
    struct sigaction action = {};
    action.sa_handler = on_signal; // no SA_RESTART: a wait ends
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);

    session s;
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (const char *path : set.paths)
        if (!load(s, path))
            return 1;
    open_trace(s);
    for (struct bpf_object *o : s.objects)
        if (!open_streams(s, set, o))
            return 1;
    if (!attach_all(s, set))
        return 1;
    fprintf(stderr, "%zu %s attached; %s\n", s.links.size(), s.links.size() == 1 ? "program" : "programs",
            set.seconds > 0 ? "running" : "Ctrl-C ends");
    stream(s, set);
    s.detach();
    drain(s);
    for (struct bpf_object *o : s.objects)
        print_maps(o);
    fflush(stdout);
    return 0;
}

} // namespace cli
