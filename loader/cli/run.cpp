// SPDX-License-Identifier: GPL-2.0-only
// modbpf run: load, attach, show what the programs report until the end.
#include "loader/cli/attach.h"
#include "loader/cli/cost.h"
#include "loader/cli/flame.h"
#include "loader/cli/livemap.h"
#include "loader/cli/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <getopt.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf run [OPTIONS] FILE.o...\n\n"
    "Loads all programs of BPF object files, attaches each to the event that its section names (kprobe/..., tp/CATEGORY/NAME,\n"
    "raw_tp/NAME, fentry/..., ...) or that --attach gives it, and prints ring buffer records, perf buffer records and\n"
    "bpf_trace_printk lines until Ctrl-C. Then prints the maps: those named *hist* as histograms, other small ones as tables.\n"
    "Nothing stays loaded or pinned.\n\n"
    "Records are printed by field when the object's BTF has a structure of their size: one named as the map (also\n"
    "without its last s, or with _event), `struct event`, or the X of a global `const struct X *unused_X`. Otherwise as bytes.\n\n"
    "  -a, --attach=PROGRAM=EVENT   put a program on this event instead of its section's; may be repeated\n"
    "  -d, --duration=SECONDS       end after that (a fraction is fine); --seconds and -s are the same\n"
    "  -o, --output=FORMAT          text (default), or json: a line for each record, and one of type \"end\" with the maps\n"
    "  -t, --top=MAP                show this hash or array again and again, the greatest values first; on a terminal instead of\n"
    "                               the records. MAP:log2, MAP:linear=STEP: as histograms, whatever it is called; MAP:table\n"
    "  -i, --interval=SECONDS       between two such tables (default 1)\n"
    "      --rows=N                 of the table; default: what the terminal holds, 20 elsewhere, all in JSON\n"
    "      --flame=OUT.svg          at the end, the stacks that a map counts as a flame graph for a browser\n"
    "      --folded=FILE            the same as lines of text: frames between semicolons, and a count\n"
    "      --stacks=MAP             which map, where several count stacks\n"
    "      --stats                  at the end, what each program cost; on a terminal and in JSON it is there anyway\n"
    "      --no-status              no status line, and no counting of costs for it\n"
    "  -r, --raw                    always print records as bytes\n"
    "  -v, --verbose                libbpf's messages; twice: its debug messages too\n"
    "      --backend=NAME           device: the modbpf module (default); kernel: the kernel's own BPF\n\n"
    "On a terminal a status line shows time, records, records lost, and for each program runs a second and time a run.\n\n"
    "EVENT is one of:\n";

constexpr double sampling = 0.2; ///< seconds between samples of costs

struct settings {
    double seconds = 0; ///< 0: until a signal
    bool raw = false, json = false, stats = false, status = true;
    int verbose = 0;
    named_shape top;
    const char *flame = nullptr, *folded = nullptr, *stacks = "";
    double interval = 1; ///< between tables, and status lines
    size_t rows = 0;     ///< 0: what fits
    std::vector<attach_spec> attach;
    std::vector<const char *> paths;
};

/// Everything that a run holds; freed in reverse.
struct session {
    std::vector<struct bpf_object *> objects;
    std::vector<struct bpf_link *> links;
    size_t attached = 0; ///< programs

    session() = default;
    session(const session &) = delete;
    ~session() {
        detach();
        for (struct bpf_object *o : objects)
            bpf_object__close(o);
    }
    void detach() {
        for (struct bpf_link *l : links)
            bpf_link__destroy(l);
        links.clear();
    }
};

/// Types that the back end does not have, or that are none, are the likeliest reason of a refusal without a log.
bool name_absent_types(struct bpf_object *object) {
    std::string features = feature_list();
    bool absent = false;
    struct bpf_map *m;
    struct bpf_program *p;
    bpf_object__for_each_program(p, object) {
        if (!bpf_program__autoload(p) || bpf_program__type(p) != BPF_PROG_TYPE_UNSPEC)
            continue;
        complain("the section of %s (%s) says neither type nor event; --attach %s=EVENT does", bpf_program__name(p), bpf_program__section_name(p),
                 bpf_program__name(p));
        absent = true;
    }
    if (features.empty() || absent)
        return absent;
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

bool open_object(session &s, const char *path) {
    struct bpf_object *object = bpf_object__open_file(path, nullptr);
    if (object)
        s.objects.push_back(object);
    else
        explain_failure("cannot open", path, errno, "; compile with `clang -O2 -g -target bpf -c`");
    return object != nullptr;
}

bool load_object(struct bpf_object *object, const char *path) {
    int err = bpf_object__load(object);
    if (err) {
        const char *next = -err == ENOMEM || -err == E2BIG ? "; a map or a program is too large: see the sizes that the file asks for" : "";
        explain_failure("cannot load", path, -err, next);
        if (-err != EPERM && !name_absent_types(object))
            complain("`modbpf verify %s` gives the verdict on each program", path);
        return false;
    }
    messages::take();
    return true;
}

bool attach_all(session &s, const settings &set) {
    for (size_t i = 0; i < s.objects.size(); i++) {
        size_t before = s.attached;
        if (!attach_programs(s.objects[i], set.attach, s.links, s.attached))
            return false;
        if (s.attached == before) {
            complain("%s has no program that can be attached; name events in sections, as in SEC(\"kprobe/vfs_read\"), or with --attach", set.paths[i]);
            return false;
        }
    }
    return true;
}

/// Counts programs' costs where somebody will see them.
void count_costs(session &s, stats_switch &counting, cost_meter &costs) {
    if (!counting.turn_on()) {
        complain("costs of programs are not counted: %s", error_text(errno).c_str());
        return;
    }
    for (struct bpf_object *o : s.objects) {
        struct bpf_program *p;
        bpf_object__for_each_program(p, o)
            if (bpf_program__fd(p) >= 0)
                costs.add(bpf_program__name(p), bpf_program__fd(p));
    }
}

/// One run from its first event to its last.
struct progress {
    double begun, end, sampled, shown; ///< end 0: until a signal
    __u64 events_shown = 0;
};

std::string status_text(const progress &at, double t, const record_stream &records, const cost_meter &costs) {
    char text[160];
    double since = t - at.shown;
    double rate = since > 0 ? static_cast<double>(records.events() - at.events_shown) / since : 0;
    snprintf(text, sizeof(text), "%.0f s | %llu records, %s/s, %llu lost", t - at.begun, static_cast<unsigned long long>(records.events()),
             short_count(rate).c_str(), static_cast<unsigned long long>(records.lost()));
    return text + costs.status();
}

/// What a run shows of itself while it goes on.
void show(const settings &set, output &out, const progress &at, double t, live_map &top, const std::string &status) {
    if (top.chosen()) {
        top.refresh(t);
        size_t rows = set.rows ? set.rows : out.live() ? output::screen_rows() - 4 : set.json ? SIZE_MAX : 20;
        if (set.json)
            out.line(json_head("top", t - at.begun) + top.json(rows) + "}");
        else if (out.live())
            return out.screen(status + "\n" + top.text(rows));
        else
            out.line(top.text(rows));
    }
    if (set.status && out.has_status())
        out.status(status);
}

/// What a run does besides taking records.
struct watchers {
    cost_meter costs;
    live_map top;
    stack_reader stacks;
};

void follow(const settings &set, output &out, record_stream &records, watchers &w, progress &at) {
    while (!stopped()) {
        double t = now();
        if (at.end > 0 && t >= at.end)
            break;
        // Without a wake-up (BPF_RB_NO_WAKEUP) records wait for this.
        double left = std::min({sampling, at.shown + set.interval - t, at.end > 0 ? at.end - t : sampling});
        if (!records.wait(left))
            break;
        t = now();
        if (t - at.sampled >= sampling) {
            w.costs.sample(t);
            if (set.flame || set.folded)
                w.stacks.look();
            at.sampled = t;
        }
        if (t - at.shown < set.interval)
            continue;
        show(set, out, at, t, w.top, status_text(at, t, records, w.costs));
        at.shown = t;
        at.events_shown = records.events();
    }
    if (w.top.chosen() && out.live())
        out.screen("");
}

/// What stands at the end.
void report(session &s, const settings &set, const record_stream &records, const cost_meter &costs, double seconds) {
    if (!set.json) {
        for (struct bpf_object *o : s.objects)
            print_maps(o, set.top);
        print_run_costs(costs.rows());
        return;
    }
    std::string maps;
    for (struct bpf_object *o : s.objects) {
        std::string one = json_maps(o, set.top);
        maps += (maps.empty() || one.empty() ? "" : ", ") + one;
    }
    printf("{\"type\": \"end\", \"seconds\": %.3f, \"records\": %llu, \"lost\": %llu, \"programs\": %s, \"maps\": {%s}}\n", seconds,
           static_cast<unsigned long long>(records.events()), static_cast<unsigned long long>(records.lost()), json_run_costs(costs.rows()).c_str(),
           maps.c_str());
}

/// The files of --flame and --folded. False, with a message.
bool write_stacks(const settings &set, stack_reader &reader) {
    if (!set.flame && !set.folded)
        return true;
    folded_stacks stacks = reader.fold();
    const char *failed = set.flame && !write_flame(set.flame, stacks, reader.map_name()) ? set.flame : nullptr;
    if (!failed && set.folded && !write_folded(set.folded, stacks))
        failed = set.folded;
    if (failed)
        complain("cannot write %s: %s", failed, strerror(errno));
    else if (stacks.empty())
        complain("%s counted no stack: did its program run?", reader.map_name().c_str());
    return !failed;
}

int parse(int argc, char **argv, settings &s) {
    enum { NO_STATUS = 256, STATS, BACKEND, ROWS, FLAME, FOLDED, STACKS };
    static const option options[] = {{"seconds", required_argument, nullptr, 's'},  {"duration", required_argument, nullptr, 'd'},
                                     {"attach", required_argument, nullptr, 'a'},   {"output", required_argument, nullptr, 'o'},
                                     {"top", required_argument, nullptr, 't'},      {"interval", required_argument, nullptr, 'i'},
                                     {"rows", required_argument, nullptr, ROWS},    {"flame", required_argument, nullptr, FLAME},
                                     {"folded", required_argument, nullptr, FOLDED}, {"stacks", required_argument, nullptr, STACKS},
                                     {"raw", no_argument, nullptr, 'r'},            {"verbose", no_argument, nullptr, 'v'},
                                     {"no-status", no_argument, nullptr, NO_STATUS}, {"stats", no_argument, nullptr, STATS},
                                     {"backend", required_argument, nullptr, BACKEND}, {"help", no_argument, nullptr, 'h'}, {}};
    int c;
    while ((c = getopt_long(argc, argv, "a:d:i:o:s:t:rvh", options, nullptr)) != -1) {
        switch (c) {
        case 's':
        case 'd':
            if (!parse_seconds(c == 's' ? "--seconds" : "--duration", optarg, s.seconds))
                return 2;
            break;
        case 'a': {
            std::string problem = parse_attach(optarg, s.attach.emplace_back());
            if (problem.empty())
                break;
            complain("--attach %s: %s", optarg, problem.c_str());
            return 2;
        }
        case 't': {
            std::string problem = parse_top(optarg, s.top);
            if (problem.empty())
                break;
            complain("--top %s: %s", optarg, problem.c_str());
            return 2;
        }
        case 'i':
            if (!parse_seconds("--interval", optarg, s.interval))
                return 2;
            break;
        case ROWS:
            if (!parse_count("--rows", optarg, s.rows))
                return 2;
            break;
        case 'o':
            s.json = !strcmp(optarg, "json");
            if (s.json || !strcmp(optarg, "text"))
                break;
            complain("--output takes text or json, not '%s'", optarg);
            return 2;
        case 'r': s.raw = true; break;
        case 'v': s.verbose++; break;
        case FLAME: s.flame = optarg; break;
        case FOLDED: s.folded = optarg; break;
        case STACKS: s.stacks = optarg; break;
        case NO_STATUS: s.status = false; break;
        case STATS: s.stats = true; break;
        case BACKEND:
            if (!use_backend(optarg))
                return 2;
            break;
        case 'h': printf("%s%s", help, attach_help().c_str()); return 0;
        default: return 2;
        }
    }
    if (argc <= optind) {
        complain("give an object file; for example: modbpf run --duration 5 prog.o");
        return 2;
    }
    s.paths.assign(argv + optind, argv + argc);
    return -1;
}

/// The files are fit for libbpf, and the back end is there: -1, or the exit status.
int check_ground(const settings &set) {
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
    return backend_ready() ? -1 : 2;
}

/// All is loaded, nothing attached yet.
bool load_all(session &s, const settings &set) {
    for (const char *path : set.paths)
        if (!open_object(s, path))
            return false;
    if (!programs_exist(s.objects, set.attach))
        return false;
    for (size_t i = 0; i < s.objects.size(); i++)
        if (!prepare_attach(s.objects[i], set.attach) || !load_object(s.objects[i], set.paths[i]))
            return false;
    return true;
}

} // namespace

int run_main(int argc, char **argv) {
    settings set;
    int done = parse(argc, argv, set);
    if (done < 0)
        done = check_ground(set);
    if (done >= 0)
        return done;
    messages::start(set.verbose);
    stop_on_signals();

    session s;
    output out(set.json);
    record_stream records(out, set.raw, !set.top.map.empty() && out.live());
    watchers w;
    stats_switch counting;
    if (!load_all(s, set))
        return 1;
    if (!set.top.map.empty() && !w.top.choose(s.objects, set.top))
        return 1;
    if ((set.flame || set.folded) && !w.stacks.choose(s.objects, set.stacks))
        return 1;
    records.open_trace(s.objects);
    for (struct bpf_object *o : s.objects)
        if (!records.open(o))
            return 1;
    if (set.json || set.stats || (set.status && out.has_status()))
        count_costs(s, counting, w.costs);
    if (!attach_all(s, set))
        return 1;
    double begun = now();
    w.costs.sample(begun);
    fprintf(stderr, "%zu %s attached; %s\n", s.attached, s.attached == 1 ? "program" : "programs",
            set.seconds > 0 ? "running" : "Ctrl-C ends");
    progress at = {begun, set.seconds > 0 ? begun + set.seconds : 0, begun, begun};
    follow(set, out, records, w, at);
    w.costs.sample(now());
    double seconds = now() - begun;
    s.detach();
    records.drain();
    out.hide_status();
    report(s, set, records, w.costs, seconds);
    fflush(stdout);
    return write_stacks(set, w.stacks) ? 0 : 1;
}

} // namespace cli
