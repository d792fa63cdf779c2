// SPDX-License-Identifier: GPL-2.0-only
// The page of `modbpf verify --html`: explored paths with register and stack state at each instruction, in one file.
#pragma once

#include "loader/cli/explain.h"

namespace cli {

/// The visits whose states the page shows: all, or of a long exploration its beginning and the refused path's end.
std::vector<int> states_to_show(const recording &r);
/// One program's part of the page's data. `e`: of a refused program, else null.
std::string page_program(const char *path, const verdict &v, const recording &r, const explanation *e);
/// Writes the page from the programs' parts. False, with a message, when the file cannot be written.
bool write_page(const char *path, const std::vector<std::string> &programs);

} // namespace cli
