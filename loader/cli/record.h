// SPDX-License-Identifier: GPL-2.0-only
// A recording of what the verifier of the process back end did with one program: its instructions, each visit of one, how the
// visits hang together as paths, and the states in front of chosen visits.
//
// Exploration of the same program takes the same steps each time. So it is recorded twice: first the steps, then, with the
// steps known, the states of those that matter; a program of a million steps costs eight megabytes and not a gigabyte.
#pragma once

#include "loader/lib/libmodbpf.h"

#include <map>
#include <string>
#include <vector>

namespace cli {

struct instruction {
    std::string text, file, source;
    unsigned int line = 0, column = 0, words = 1;
    modbpf_insn_kind kind = MODBPF_INSN_OTHER;
    unsigned int uses = 0, defs = 0;
    unsigned int dst = MODBPF_NO_REG, src = MODBPF_NO_REG, base = MODBPF_NO_REG;
    int off = 0;
    unsigned int width = 0;
    long long target = 0;
    bool dead = false; ///< of an accepted program: taken out
};

/// A register or stack slot by its name in the log ("R1", "fp-8", "refs") and its value as the log shows it.
struct cell {
    std::string name, value;
    bool operator==(const cell &) const = default;
};
using frame_state = std::vector<cell>;
/// One for each call frame, the outermost first.
using machine_state = std::vector<frame_state>;

/// The state of one frame from print_verifier_state()'s text.
frame_state parse_state(const std::string &text);
/// The cell's value, or empty.
std::string cell_value(const machine_state &s, size_t frame, const std::string &name);

enum class path_fate { returned, covered, refused };

struct visit {
    unsigned int insn;
    int from : 31;        ///< the visit before it on its path, -1: a function begins
    unsigned forked : 1;  ///< another path began behind this visit too
};
struct path_end {
    int visit;
    path_fate fate;
};

class recording {
public:
    recording() = default;
    recording(const recording &) = delete;
    ~recording() { modbpf_watch(nullptr); }
    /// Records the steps of what is loaded next.
    bool start();
    /// Records the same again, with the states in front of these visits (indices, ascending).
    bool start_states(std::vector<int> wanted);
    /// After the load. `refused`: the load failed, so that the path at hand has ended at its last visit.
    void stop(bool refused);

    /// Visits from a function's beginning to `last`.
    std::vector<int> path_to(int last) const;
    /// The visit at which the program was refused, or -1: not during exploration.
    int refused_at() const;
    const machine_state *state_at(int visit) const;

    std::vector<instruction> insns;
    std::vector<visit> visits;
    std::vector<path_end> ends;
    std::map<int, machine_state> states;

private:
    bool begin_watch();
    void on_begun(const modbpf_insn *list, size_t n);
    int on_step(unsigned int insn);
    void on_path(modbpf_path_event event, unsigned int place);

    bool with_states_ = false;
    std::vector<int> wanted_;
    size_t next_wanted_ = 0;
    std::vector<int> forks_; ///< of the paths that wait: the visit that they branch from
    int last_ = -1;          ///< visit before the next one on the current path
    int count_ = 0;          ///< visits seen in this run
    bool alive_ = false, covered_ = false;
};

} // namespace cli
