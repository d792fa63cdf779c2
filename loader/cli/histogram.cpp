// SPDX-License-Identifier: GPL-2.0-only
// Histograms: maps whose keys are buckets, and values that are arrays of them.
#include "loader/cli/maps.h"

#include <algorithm>
#include <cstdio>

namespace cli {

namespace {

constexpr size_t most_buckets = 4096;

std::string lower(std::string s) {
    for (char &c : s)
        c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return s;
}

std::string unit_of(const std::string &name) {
    std::string n = lower(name);
    return n.find("usec") != std::string::npos || n.find("_us") != std::string::npos   ? "usecs"
           : n.find("nsec") != std::string::npos || n.find("_ns") != std::string::npos ? "nsecs"
           : n.find("msec") != std::string::npos || n.find("_ms") != std::string::npos ? "msecs"
           : n.find("bytes") != std::string::npos                                        ? "bytes"
                                                                                         : "value";
}

/// First and last value that slot i counts.
void bounds(__u64 step, size_t i, unsigned long long &low, unsigned long long &high) {
    if (step) {
        low = i * step;
        high = low + step - 1;
    } else {
        low = i ? 1ull << (i > 63 ? 63 : i) : 0;
        high = i >= 63 ? ~0ull : (2ull << i) - 1;
    }
}

__u64 step_of(map_shape as) { return as.kind == shape::linear ? as.step : 0; }

/// The slots of one value, summed over the CPUs.
std::vector<__u64> slots_of(const map_view &v, const map_entry &e) {
    std::vector<__u64> slots(v.slots.count);
    for (size_t c = 0; c < v.cpus; c++)
        for (size_t i = 0; i < v.slots.count; i++)
            slots[i] += load_number(e.value.data() + c * v.stride + v.slots.offset + i * v.slots.unit, v.slots.unit);
    return slots;
}

} // namespace

map_shape shape_by_name(const std::string &name) {
    std::string n = lower(name);
    if (n.find("hist") == std::string::npos)
        return {shape::table};
    if (n.find("lhist") == std::string::npos)
        return {shape::log2};
    size_t digits = n.find_last_not_of("0123456789") + 1;
    __u64 step = digits < n.size() && n.size() - digits < 19 ? std::stoull(n.substr(digits)) : 1;
    return {shape::linear, step ? step : 1};
}

bool find_histograms(const map_view &v, map_shape as, const std::vector<map_entry> &entries, std::vector<histogram> &out) {
    if (as.kind == shape::table)
        return false;
    if (v.slots.count) {
        for (const map_entry &e : entries)
            out.push_back({key_text(v, e), slots_of(v, e)});
        return true;
    }
    if (v.key_size != 4 && v.key_size != 8)
        return false;
    if (!is_number(v, v.key_type, v.key_size) || !is_number(v, v.value_type, v.value_size))
        return false;
    std::vector<__u64> slots;
    for (const map_entry &e : entries) {
        __u64 slot = load_number(e.key.data(), v.key_size);
        if (slot >= (as.kind == shape::log2 ? 64 : most_buckets))
            return false; // no bucket
        if (slots.size() <= slot)
            slots.resize(slot + 1);
        slots[slot] += rank_of(v, e);
    }
    out.push_back({"", slots});
    return true;
}

std::string histogram_text(const map_view &v, map_shape as, const std::vector<histogram> &all) {
    std::string out;
    for (const histogram &h : all) {
        std::string text = format_histogram(h.slots, unit_of(v.name), step_of(as));
        if (!text.empty() || h.key.empty())
            out += "\n" + v.name + (h.key.empty() ? "" : "[" + h.key + "]") + "\n" + (text.empty() ? "  (empty)\n" : text);
    }
    return out;
}

std::string histogram_json(map_shape as, const std::vector<histogram> &all) {
    std::string out = "[";
    for (const histogram &h : all) {
        out += (out.size() > 1 ? ", " : "") + std::string("{\"key\": ") + (h.key.empty() ? "null" : json_string(h.key)) + ", \"buckets\": [";
        bool first = true;
        for (size_t i = 0; i < h.slots.size(); i++) {
            unsigned long long low, high;
            bounds(step_of(as), i, low, high);
            if (!h.slots[i])
                continue;
            char text[128];
            snprintf(text, sizeof(text), "%s{\"low\": %llu, \"high\": %llu, \"count\": %llu}", first ? "" : ", ", low, high,
                     static_cast<unsigned long long>(h.slots[i]));
            out += text;
            first = false;
        }
        out += "]}";
    }
    return out + "]";
}

std::string format_histogram(const std::vector<__u64> &slots, std::string_view unit, __u64 step) {
    size_t first = slots.size(), last = 0, width = 40;
    __u64 most = 0;
    for (size_t i = 0; i < slots.size(); i++)
        if (slots[i]) {
            first = std::min(first, i);
            last = i + 1;
            most = std::max(most, slots[i]);
        }
    if (!most)
        return "";
    char line[160];
    snprintf(line, sizeof(line), "%26.*s : count      distribution\n", static_cast<int>(unit.size()), unit.data());
    std::string out = line;
    for (size_t i = first; i < last; i++) {
        unsigned long long low, high;
        bounds(step, i, low, high);
        size_t stars = static_cast<size_t>(static_cast<double>(slots[i]) / static_cast<double>(most) * static_cast<double>(width));
        if (slots[i] && !stars)
            stars = 1; // seen is not nothing
        snprintf(line, sizeof(line), "%11llu -> %-11llu : %-10llu |%-40s|\n", low, high, static_cast<unsigned long long>(slots[i]),
                 std::string(std::min(stars, width), '*').c_str());
        out += line;
    }
    return out;
}

} // namespace cli
