// SPDX-License-Identifier: GPL-2.0-only
// Run counts and times of programs; percentiles over intervals.
#include "loader/cli/cost.h"

#include "loader/cli/output.h"

#include <algorithm>
#include <bpf/bpf.h>
#include <cstdio>
#include <unistd.h>

namespace cli {

namespace {

constexpr size_t most_intervals = 100000;

double per(__u64 n, __u64 of) { return of ? static_cast<double>(n) / static_cast<double>(of) : 0; }

/// The value that `share` of them do not exceed.
double percentile(std::vector<float> values, double share) {
    if (values.empty())
        return 0;
    size_t at = std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
    std::nth_element(values.begin(), values.begin() + static_cast<long>(at), values.end());
    return static_cast<double>(values[at]);
}

} // namespace

bool read_run_stats(int prog_fd, run_stats &out) {
    struct bpf_prog_info info = {};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(prog_fd, &info, &size))
        return false;
    out = {info.run_time_ns, info.run_cnt, info.recursion_misses};
    return true;
}

stats_switch::~stats_switch() {
    if (fd_ >= 0)
        close(fd_);
}

bool stats_switch::turn_on() {
    fd_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
    return fd_ >= 0;
}

void cost_meter::add(const char *name, int prog_fd) {
    program p = {name, prog_fd, {}, {}, {}, {}, 0};
    if (read_run_stats(prog_fd, p.first))
        p.last = p.before = p.first, programs_.push_back(std::move(p));
}

void cost_meter::sample(double at) {
    before_ = last_;
    last_ = at;
    if (begun_ == 0)
        begun_ = at;
    for (program &p : programs_) {
        p.before = p.last;
        read_run_stats(p.fd, p.last);
        if (p.last.runs == p.before.runs)
            continue;
        float mean = static_cast<float>(per(p.last.ns - p.before.ns, p.last.runs - p.before.runs));
        if (p.means.size() < most_intervals)
            p.means.push_back(mean);
        else
            p.means[p.next++ % most_intervals] = mean;
    }
}

std::vector<cost_meter::row> cost_meter::rows() const {
    std::vector<row> out;
    double seconds = last_ - begun_;
    for (const program &p : programs_) {
        row r;
        r.name = p.name;
        r.total = {p.last.ns - p.first.ns, p.last.runs - p.first.runs, p.last.misses - p.first.misses};
        r.mean_ns = per(r.total.ns, r.total.runs);
        if (seconds > 0) {
            r.runs_per_second = static_cast<double>(r.total.runs) / seconds;
            r.cpu_percent = static_cast<double>(r.total.ns) / seconds / 1e7;
        }
        r.p50 = percentile(p.means, 0.5);
        r.p99 = percentile(p.means, 0.99);
        r.most = percentile(p.means, 1);
        out.push_back(r);
    }
    return out;
}

std::string cost_meter::status() const {
    std::string out;
    double seconds = last_ - before_;
    for (const program &p : programs_) {
        __u64 runs = p.last.runs - p.before.runs;
        if (runs && seconds > 0)
            out += " | " + p.name + " " + short_count(static_cast<double>(runs) / seconds) + "/s " + short_time(per(p.last.ns - p.before.ns, runs));
    }
    return out;
}

void print_run_costs(const std::vector<cost_meter::row> &rows) {
    if (rows.empty())
        return;
    puts("\ncost of the programs (percentiles: of the means of intervals)");
    std::vector<std::vector<std::string>> table = {{"  program", "runs", "runs/s", "mean", "p50", "p99", "most", "CPU", "missed"}};
    for (const cost_meter::row &r : rows) {
        char cpu[32];
        snprintf(cpu, sizeof(cpu), "%.2f%%", r.cpu_percent);
        auto time = [&](double ns) { return r.total.runs ? short_time(ns) : std::string("-"); };
        table.push_back({"  " + r.name, std::to_string(r.total.runs), short_count(r.runs_per_second), time(r.mean_ns), time(r.p50), time(r.p99),
                         time(r.most), cpu, std::to_string(r.total.misses)});
    }
    fputs(format_columns(table, 1).c_str(), stdout);
}

std::string json_run_costs(const std::vector<cost_meter::row> &rows) {
    std::string out = "[";
    char text[320];
    for (const cost_meter::row &r : rows) {
        snprintf(text, sizeof(text),
                 ", \"runs\": %llu, \"run_time_ns\": %llu, \"recursion_misses\": %llu, \"runs_per_second\": %.3f, \"mean_ns\": %.1f, "
                 "\"cpu_percent\": %.4f, \"interval_mean_ns\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}",
                 static_cast<unsigned long long>(r.total.runs), static_cast<unsigned long long>(r.total.ns),
                 static_cast<unsigned long long>(r.total.misses), r.runs_per_second, r.mean_ns, r.cpu_percent, r.p50, r.p99, r.most);
        out += (out.size() > 1 ? ", " : "") + ("{\"name\": " + json_string(r.name)) + text;
    }
    return out + "]";
}

} // namespace cli
