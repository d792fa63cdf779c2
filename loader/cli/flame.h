// SPDX-License-Identifier: GPL-2.0-only
// Folded stacks as a flame graph: one SVG file, without network, that any browser shows.
#pragma once

#include "loader/cli/stacks.h"

namespace cli {

/// Each frame is as wide as its share of the counts; its callers stand below it. False with errno.
bool write_flame(const char *path, const folded_stacks &stacks, const std::string &title);

} // namespace cli
