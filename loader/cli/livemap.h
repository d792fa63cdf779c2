// SPDX-License-Identifier: GPL-2.0-only
// --top MAP: a map shown again and again while its programs run.
#pragma once

#include "loader/cli/maps.h"

#include <map>

namespace cli {

/// "MAP", "MAP:table", "MAP:log2", "MAP:linear", "MAP:linear=STEP" -> the problem, or empty.
std::string parse_top(std::string_view text, named_shape &out);

class live_map {
public:
    /// False, with a message, when no object has such a map, or it is of a type without entries.
    bool choose(const std::vector<struct bpf_object *> &objects, const named_shape &which);
    bool chosen() const { return view_.map != nullptr; }
    /// Reads the map; `at`: in seconds of now().
    void refresh(double at);
    /// What refresh() read: up to `rows` of the greatest entries with their change a second, or histograms.
    std::string text(size_t rows) const;
    /// Members of a JSON object: "map": NAME, "entries": [...], greatest first, or "histograms": [...].
    std::string json(size_t rows) const;

private:
    std::string title() const;
    double rate(const map_entry &e) const;

    map_view view_ = {};
    map_shape as_;
    std::vector<map_entry> entries_;
    std::vector<histogram> histograms_;
    bool is_histogram_ = false;
    std::map<std::vector<unsigned char>, __u64> before_; ///< ranks of the refresh before
    double read_ = 0, seconds_ = 0;                      ///< time of the last refresh, and between the last two
};

} // namespace cli
