// SPDX-License-Identifier: GPL-2.0-only
// One map, live: the greatest entries and how fast they grow, or histograms.
#include "loader/cli/livemap.h"

#include "loader/cli/output.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace cli {

std::string parse_top(std::string_view text, named_shape &out) {
    size_t colon = text.find(':');
    out.map = text.substr(0, colon);
    std::string how(colon == std::string_view::npos ? "" : text.substr(colon + 1));
    if (out.map.empty())
        return "name a map, as in --top counts";
    if (colon == std::string_view::npos)
        return "";
    if (how == "table" || how == "log2") {
        out.as = {how == "table" ? shape::table : shape::log2};
        return "";
    }
    char *end = nullptr;
    out.as = {shape::linear};
    if (how.starts_with("linear=") && how.size() > 7 && how[7] >= '0' && how[7] <= '9') {
        out.as.step = strtoull(how.c_str() + 7, &end, 10);
        how = *end || !out.as.step ? how : "linear";
    }
    return how == "linear" ? "" : "'" + how + "' is no way to show a map; there are table, log2, linear and linear=STEP, as in --top " + out.map + ":linear=10";
}

bool live_map::choose(const std::vector<struct bpf_object *> &objects, const named_shape &which) {
    std::string names;
    for (struct bpf_object *o : objects) {
        struct bpf_map *m;
        bpf_object__for_each_map(m, o) {
            map_view v = view_of(o, m);
            if (!is_hash(v) && !is_array(v) && which.map == v.name) {
                complain("--top %s: the map is neither a hash nor an array: nothing in it can be sorted", which.map.c_str());
                return false;
            }
            if (bpf_map__is_internal(m) || (!is_hash(v) && !is_array(v)))
                continue;
            names += (names.empty() ? "" : ", ") + v.name;
            if (which.map == v.name && !view_.map)
                view_ = v, as_ = which.as.kind == shape::by_name ? shape_by_name(v.name) : which.as;
        }
    }
    if (view_.map)
        return true;
    complain("--top %s: there is no such map; %s%s", which.map.c_str(), names.empty() ? "the files have no hash and no array" : "there are ", names.c_str());
    return false;
}

void live_map::refresh(double at) {
    before_.clear();
    for (const map_entry &e : entries_)
        before_[e.key] = rank_of(view_, e);
    entries_ = read_all(view_);
    histograms_.clear();
    is_histogram_ = find_histograms(view_, as_, entries_, histograms_);
    if (is_array(view_))
        std::erase_if(entries_, is_zero);
    sort_by_rank(view_, entries_);
    seconds_ = read_ > 0 ? at - read_ : 0;
    read_ = at;
}

/// Growth since the refresh before; what was deleted and made again counts from nothing.
double live_map::rate(const map_entry &e) const {
    auto found = before_.find(e.key);
    __u64 now = rank_of(view_, e), then = found == before_.end() ? 0 : found->second;
    return seconds_ > 0 && now >= then ? static_cast<double>(now - then) / seconds_ : 0;
}

std::string live_map::title() const {
    return view_.name + " (" + std::to_string(entries_.size()) + (entries_.size() == 1 ? " entry)" : " entries)");
}

std::string live_map::text(size_t rows) const {
    if (is_histogram_)
        return histogram_text(view_, as_, histograms_);
    std::vector<std::vector<std::string>> table = {{"  KEY", "VALUE", "CHANGE/S"}};
    for (size_t i = 0; i < std::min(rows, entries_.size()); i++)
        table.push_back({"  " + key_text(view_, entries_[i]), value_text(view_, entries_[i]), view_.rank.count ? short_count(rate(entries_[i])) : "-"});
    return "\n" + title() + "\n" + format_columns(table, 1);
}

std::string live_map::json(size_t rows) const {
    std::string out = "\"map\": " + json_string(view_.name) + ", ";
    if (is_histogram_)
        return out + "\"histograms\": " + histogram_json(as_, histograms_);
    std::string all;
    for (size_t i = 0; i < std::min(rows, entries_.size()); i++) {
        char text[48];
        snprintf(text, sizeof(text), ", \"change_per_second\": %.3f}", rate(entries_[i]));
        all += (all.empty() ? "{" : ", {") + entry_json(view_, entries_[i]) + text;
    }
    return out + "\"entries\": [" + all + "]";
}

} // namespace cli
