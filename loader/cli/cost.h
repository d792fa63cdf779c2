// SPDX-License-Identifier: GPL-2.0-only
// What running programs cost: run counts and times, which the kernel keeps while somebody asks for them (BPF_ENABLE_STATS).
#pragma once

#include "loader/cli/cli.h"

namespace cli {

/// Counters of one program since it was loaded; ns and runs stand still while nobody asks.
struct run_stats {
    __u64 ns = 0, runs = 0, misses = 0;
};
/// False when the descriptor is no program's.
bool read_run_stats(int prog_fd, run_stats &out);

/// While it lives, the kernel counts.
class stats_switch {
public:
    stats_switch() = default;
    ~stats_switch();
    stats_switch(const stats_switch &) = delete;
    /// False with errno.
    bool turn_on();
    bool on() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// The costs of a run's programs, in intervals between samples.
class cost_meter {
public:
    struct row {
        std::string name;
        run_stats total;
        double runs_per_second = 0, mean_ns = 0, cpu_percent = 0; ///< of one CPU
        double p50 = 0, p99 = 0, most = 0; ///< of the mean run times of intervals in which the program ran; 0: in none
    };
    void add(const char *name, int prog_fd);
    /// Ends an interval.
    void sample(double at);
    std::vector<row> rows() const;
    /// Of the last interval: " | name 120/s 830 ns" for each program that ran.
    std::string status() const;

private:
    struct program {
        std::string name;
        int fd;
        run_stats first, last, before;
        std::vector<float> means; ///< by interval; the last `most_intervals`
        size_t next = 0;
    };
    std::vector<program> programs_;
    double begun_ = 0, last_ = 0, before_ = 0;
};

/// The table of the end, for people; nothing when there are no rows.
void print_run_costs(const std::vector<cost_meter::row> &rows);
/// A JSON array of objects.
std::string json_run_costs(const std::vector<cost_meter::row> &rows);

} // namespace cli
