// SPDX-License-Identifier: GPL-2.0-only
// Tables of verdicts and verification cost, and the comparison of two runs.
#pragma once

#include "loader/cli/judge.h"

namespace cli {

struct cost_row {
    std::string file, program, section, verdict; ///< "accepted", "EACCES"...
    long insns = -1, states = -1, peak_states = -1, usec = -1;
};

cost_row cost_of(const char *path, const verdict &v);
/// One line without its end: fields between tabs, in the order of cost_row. The first line of a saved run names them.
std::string pack_row(const cost_row &r);
bool unpack_row(const std::string &line, cost_row &r);

void print_costs(const std::vector<cost_row> &rows);
/// False, with a message, where the file cannot be written.
bool save_costs(const char *path, const std::vector<cost_row> &rows);
/// False, with a message, where the file cannot be read or is no saved run.
bool load_costs(const char *path, std::vector<cost_row> &rows);
/// Both runs' programs side by side: those whose verdict, instructions or states differ. -> verdicts that differ.
int print_comparison(const std::vector<cost_row> &before, const std::vector<cost_row> &now);

} // namespace cli
