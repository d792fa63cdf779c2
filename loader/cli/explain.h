// SPDX-License-Identifier: GPL-2.0-only
// The explanation of a refusal: where in the source, what is required, what is known, the path that led there, what to change.
//
// The safety condition comes from the message (rules.h), what is known and the path from the recording (record.h), the place in
// the source from the program's line information.
#pragma once

#include "loader/cli/judge.h"
#include "loader/cli/rules.h"

namespace cli {

/// An instruction and its source line; `begin` and `length` are the bytes of the line, or of the instruction's text, that matter.
struct place {
    int insn = -1;
    std::string text; ///< the instruction
    std::string file, source;
    unsigned int line = 0, column = 0;
    size_t begin = 0, length = 0;           ///< in source
    size_t text_begin = 0, text_length = 0; ///< in text
};

struct fact {
    std::string name, value; ///< "R1", as the log shows it
    std::string meaning;     ///< in words
};

/// A step of the path that matters: a decision, a call, or where a value came from.
struct waypoint {
    place at;
    std::string what;
    unsigned int times = 1; ///< visits of the instruction on this path
};

struct explanation {
    std::string message; ///< the verifier's
    std::string title, required, advice;
    place at; ///< insn is -1 where no instruction is to blame
    std::vector<fact> known;
    std::vector<waypoint> path;
    size_t left_out = 0; ///< earlier waypoints
    size_t steps = 0;    ///< instructions on the path
};

/// The visits whose states explain() needs.
std::vector<int> states_to_explain(const recording &r);
/// Of a program that was refused.
explanation explain(const recording &r, const verdict &v);

/// "a number from 0 to 255", "a pointer to a value of map counts (8 bytes), or NULL": a cell's value in words.
std::string describe_value(const std::string &name, const std::string &value);
/// The bytes of a source line, from 0, that an access at a column, from 1, means. `argument`: of a call, which one (from 0), -1: none.
void underline(place &p, const std::string &callee, int argument);

void print_explanation(const explanation &e);
std::string explanation_json(const explanation &e);

} // namespace cli
