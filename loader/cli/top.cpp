// SPDX-License-Identifier: GPL-2.0-only
// modbpf top: loaded programs by the time that they take.
#include "loader/cli/attached.h"
#include "loader/cli/cost.h"
#include "loader/cli/output.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <getopt.h>
#include <unistd.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf top [OPTIONS]\n\n"
    "All programs that are loaded, by the time that they took in the last interval: id, type, name, runs a second, time a run,\n"
    "part of one CPU, runs missed because a program was running already (since it was loaded), and what it is attached to.\n"
    "On a terminal the table is drawn anew until Ctrl-C; elsewhere one follows the other. Counting takes two readings of the\n"
    "clock a run while this command runs.\n\n"
    "  -d, --interval=SECONDS   between tables (default 1; a fraction is fine)\n"
    "  -n, --iterations=N       end after so many tables\n"
    "      --once               one table: --iterations=1\n"
    "  -j, --json               a JSON object on a line of its own for each interval\n"
    "      --backend=NAME       device: the modbpf module (default); kernel: the kernel's own BPF\n";

struct settings {
    double interval = 1;
    size_t iterations = 0; ///< 0: until a signal
    bool json = false;
};

struct program {
    std::string name, type;
    run_stats total, before;
    bool old = false; ///< it was there when the interval began
    __u64 runs() const { return old ? total.runs - before.runs : 0; }
    __u64 ns() const { return old ? total.ns - before.ns : 0; }
    double mean() const { return runs() ? static_cast<double>(ns()) / static_cast<double>(runs()) : 0; }
};
using programs = std::map<__u32, program>;

/// What is loaded now; false with errno.
bool look(programs &all) {
    programs seen;
    __u32 id = 0;
    while (bpf_prog_get_next_id(id, &id) == 0) {
        int fd = bpf_prog_get_fd_by_id(id);
        if (fd < 0 && errno == ENOENT)
            continue; // gone meanwhile
        if (fd < 0)
            return false;
        struct bpf_prog_info info = {};
        __u32 size = sizeof(info);
        int err = bpf_obj_get_info_by_fd(fd, &info, &size);
        close(fd);
        if (err)
            return false;
        program p;
        const char *type = libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(info.type));
        p.name = info.name;
        p.type = type ? type : std::to_string(info.type);
        p.total = {info.run_time_ns, info.run_cnt, info.recursion_misses};
        if (auto found = all.find(id); found != all.end())
            p.before = found->second.total, p.old = true;
        seen[id] = p;
    }
    all.swap(seen);
    return errno == ENOENT;
}

/// Ids by time in the interval, then by runs, then by age.
std::vector<__u32> by_time(const programs &all) {
    std::vector<__u32> ids;
    for (const auto &one : all)
        ids.push_back(one.first);
    std::stable_sort(ids.begin(), ids.end(), [&](__u32 a, __u32 b) {
        const program &p = all.at(a), &q = all.at(b);
        return p.ns() != q.ns() ? p.ns() > q.ns() : p.runs() > q.runs();
    });
    return ids;
}

std::string percent(__u64 ns, double seconds) {
    char text[32];
    snprintf(text, sizeof(text), "%.2f", static_cast<double>(ns) / seconds / 1e7);
    return text;
}

std::string table(const programs &all, const attachments &at, double seconds) {
    char clock[16];
    time_t t = time(nullptr);
    struct tm local;
    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&t, &local));
    __u64 ns = 0, runs = 0;
    std::vector<std::vector<std::string>> rows = {{"NAME", "TYPE", "ID", "RUNS/S", "TIME/RUN", "CPU%", "MISSED", "ATTACHED TO"}};
    for (__u32 id : by_time(all)) {
        const program &p = all.at(id);
        ns += p.ns();
        runs += p.runs();
        std::string to = at.of(id);
        rows.push_back({p.name.empty() ? "-" : p.name, p.type, std::to_string(id), short_count(static_cast<double>(p.runs()) / seconds),
                        p.runs() ? short_time(p.mean()) : "-", percent(p.ns(), seconds), std::to_string(p.total.misses), to.empty() ? "-" : to});
    }
    size_t widest = 0; // the last column stands to the left, the ones before it to the right
    for (auto &r : rows)
        widest = std::max(widest, r.back().size());
    for (auto &r : rows)
        r.back().resize(widest, ' ');
    return std::string("modbpf top ") + clock + ": " + std::to_string(all.size()) + (all.size() == 1 ? " program, " : " programs, ") +
           short_count(static_cast<double>(runs) / seconds) + " runs/s, " + percent(ns, seconds) + "% of a CPU\n\n" + format_columns(rows, 2);
}

std::string json(const programs &all, const attachments &at, double seconds) {
    char text[256];
    snprintf(text, sizeof(text), "{\"time\": %lld, \"interval\": %.3f, \"programs\": [", static_cast<long long>(time(nullptr)), seconds);
    std::string out = text;
    bool first = true;
    for (__u32 id : by_time(all)) {
        const program &p = all.at(id);
        out += (first ? "{\"id\": " : ", {\"id\": ") + std::to_string(id) + ", \"type\": " + json_string(p.type) + ", \"name\": " + json_string(p.name);
        snprintf(text, sizeof(text), ", \"runs_per_second\": %.3f, \"mean_ns\": %.1f, \"cpu_percent\": %.4f, \"recursion_misses\": %llu, \"attached_to\": [",
                 static_cast<double>(p.runs()) / seconds, p.mean(), static_cast<double>(p.ns()) / seconds / 1e7,
                 static_cast<unsigned long long>(p.total.misses));
        out += text;
        std::string events;
        for (const auto &[event, times] : at.all_of(id))
            events += (events.empty() ? "" : ", ") + json_string(event);
        out += events + "]}";
        first = false;
    }
    return out + "]}";
}

int parse(int argc, char **argv, settings &s) {
    enum { ONCE = 256, BACKEND };
    static const option options[] = {{"interval", required_argument, nullptr, 'd'}, {"iterations", required_argument, nullptr, 'n'},
                                     {"once", no_argument, nullptr, ONCE},          {"json", no_argument, nullptr, 'j'},
                                     {"backend", required_argument, nullptr, BACKEND}, {"help", no_argument, nullptr, 'h'}, {}};
    int c;
    while ((c = getopt_long(argc, argv, "d:n:jh", options, nullptr)) != -1) {
        switch (c) {
        case 'd':
            if (!parse_seconds("--interval", optarg, s.interval))
                return 2;
            break;
        case 'n':
            if (!parse_count("--iterations", optarg, s.iterations))
                return 2;
            break;
        case ONCE: s.iterations = 1; break;
        case 'j': s.json = true; break;
        case BACKEND:
            if (!use_backend(optarg))
                return 2;
            break;
        case 'h': fputs(help, stdout); return 0;
        default: return 2;
        }
    }
    if (optind == argc)
        return -1;
    complain("top takes no argument, but there is '%s'; `modbpf top --help` lists its options", argv[optind]);
    return 2;
}

/// Until the time has come, or a signal.
void sleep_until(double t) {
    for (double left; !stopped() && (left = t - now()) > 0;)
        usleep(static_cast<useconds_t>(std::min(left, 0.5) * 1e6) + 1);
}

} // namespace

int top_main(int argc, char **argv) {
    settings set;
    int done = parse(argc, argv, set);
    if (done >= 0)
        return done;
    if (backend_name() == "process") {
        complain("nothing is loaded in the process back end but by this process; load the module");
        return 2;
    }
    if (!backend_ready())
        return 2;
    messages::start(0);
    stop_on_signals();
    stats_switch counting;
    programs all;
    attachments at;
    if (!counting.turn_on() || !look(all)) {
        complain("cannot look at programs: %s%s", error_text(errno).c_str(), errno == EPERM ? "; run as root" : "");
        return 2;
    }
    output out(set.json);
    double last = now();
    for (size_t i = 0; !set.iterations || i < set.iterations; i++) {
        sleep_until(last + set.interval);
        double t = now();
        if (stopped() || !look(all) || !at.refresh())
            break;
        double seconds = t - last;
        last = t;
        if (set.json)
            out.line(json(all, at, seconds));
        else if (out.live() && set.iterations != 1)
            out.screen(table(all, at, seconds));
        else
            out.line(table(all, at, seconds));
        out.flush();
    }
    return 0;
}

} // namespace cli
