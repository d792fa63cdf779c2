// SPDX-License-Identifier: GPL-2.0-only
// The page's data: instructions, visits with what each changed in the state, path ends; and the page around it (explorer.html).
#include "loader/cli/html.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

extern "C" const char explorer_page[], explorer_page_end[];

namespace cli {

namespace {

constexpr size_t most_visits = 20000;
constexpr size_t most_of_refused = 4000;

size_t index(int i) { return static_cast<size_t>(i); }

/// Values are many and differ little: each with its meaning stands once.
class value_table {
public:
    size_t id(const std::string &name, const std::string &value) {
        std::string entry = "[" + json_string(value) + "," + json_string(describe_value(name, value)) + "]";
        auto [it, fresh] = ids_.try_emplace(entry, ids_.size());
        if (fresh)
            text_ += (text_.empty() ? "" : ",") + entry;
        return it->second;
    }
    const std::string &text() const { return text_; }

private:
    std::map<std::string, size_t> ids_;
    std::string text_;
};

/// What a state has that the one before had not: [frames, [frame, name, value or -1], ...].
std::string delta(const machine_state *before, const machine_state &now, value_table &values) {
    std::string out = "[" + std::to_string(now.size());
    auto add = [&](size_t frame, const std::string &name, const std::string &value) {
        out += ",[" + std::to_string(frame) + "," + json_string(name) + "," + value + "]";
    };
    for (size_t f = 0; f < now.size(); f++) {
        bool known = before && f < before->size();
        for (const cell &c : now[f])
            if (!known || cell_value(*before, f, c.name) != c.value)
                add(f, c.name, std::to_string(values.id(c.name, c.value)));
        if (known)
            for (const cell &c : (*before)[f])
                if (cell_value(now, f, c.name).empty())
                    add(f, c.name, "-1");
    }
    return out + "]";
}

std::string page_insn(const instruction &i) {
    std::string out = "{\"text\":" + json_string(i.text) + ",\"words\":" + std::to_string(i.words);
    if (!i.source.empty())
        out += ",\"file\":" + json_string(i.file) + ",\"line\":" + std::to_string(i.line) + ",\"source\":" + json_string(i.source);
    if (i.dead)
        out += ",\"dead\":1";
    return out + "}";
}

/// Visits are numbered anew, without those that are not shown. A visit whose predecessor is not shown begins with its whole state.
std::string page_visits(const recording &r, const std::vector<int> &shown, std::map<int, int> &number, value_table &values) {
    std::string out;
    for (int v : shown) {
        const visit &at = r.visits[index(v)];
        auto from = number.find(at.from);
        const machine_state *now = r.state_at(v), *before = from == number.end() ? nullptr : r.state_at(at.from);
        out += (out.empty() ? "[" : ",[") + std::to_string(at.insn) + "," + std::to_string(from == number.end() ? -1 : from->second) + "," +
               (at.forked ? "1" : "0") + "," + (now ? delta(before, *now, values) : "null") + "]";
        number.emplace(v, static_cast<int>(number.size()));
    }
    return out;
}

} // namespace

std::vector<int> states_to_show(const recording &r) {
    std::vector<int> out;
    size_t n = r.visits.size() <= most_visits ? r.visits.size() : most_visits - most_of_refused;
    for (size_t i = 0; i < n; i++)
        out.push_back(static_cast<int>(i));
    if (n < r.visits.size() && r.refused_at() >= 0) {
        std::vector<int> path = r.path_to(r.refused_at());
        for (size_t i = path.size() > most_of_refused ? path.size() - most_of_refused : 0; i < path.size(); i++)
            if (index(path[i]) >= n)
                out.push_back(path[i]);
    }
    return out;
}

std::string page_program(const char *path, const verdict &v, const recording &r, const explanation *e) {
    value_table values;
    std::map<int, int> number;
    std::vector<int> shown = states_to_show(r);
    std::string insns, ends, visits = page_visits(r, shown, number, values);
    for (const instruction &i : r.insns)
        insns += (insns.empty() ? "" : ",") + page_insn(i);
    for (const path_end &end : r.ends)
        if (number.contains(end.visit))
            ends += std::string(ends.empty() ? "" : ",") + "[" + std::to_string(number[end.visit]) + "," + std::to_string(static_cast<int>(end.fate)) + "]";
    for (size_t i = 0; i < shown.size(); i++) // where the beginning of a long exploration breaks off
        if (index(shown[i]) == i && i + 1 < r.visits.size() && (i + 1 == shown.size() || index(shown[i + 1]) != i + 1))
            ends += std::string(ends.empty() ? "" : ",") + "[" + std::to_string(i) + ",3]";
    return "{\"file\":" + json_string(path) + ",\"program\":" + json_string(v.program) + ",\"section\":" + json_string(v.section) +
           ",\"verdict\":" + json_string(word(v.result)) + ",\"error\":" + json_string(v.error ? error_text(v.error) : "") +
           ",\"log\":" + json_string(v.log.empty() ? v.notes : v.log) + ",\"visited\":" + std::to_string(r.visits.size()) +
           (e ? ",\"explanation\":" + explanation_json(*e) : "") + ",\"insns\":[" + insns + "],\"visits\":[" + visits + "],\"ends\":[" + ends +
           "],\"strings\":[" + values.text() + "]}";
}

bool write_page(const char *path, const std::vector<std::string> &programs) {
    std::string page(explorer_page, explorer_page_end), data = "{\"programs\":[";
    for (size_t i = 0; i < programs.size(); i++)
        data += (i ? ",\n" : "\n") + programs[i];
    data += "]}";
    for (size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3) // would end the element that it stands in
        data.replace(at, 2, "<\\/");
    for (size_t at = 0; (at = data.find("<!--", at)) != std::string::npos;)
        data.replace(at, 4, "\\u003c!--");
    size_t hole = page.find("@DATA@");
    page.replace(hole, 6, data);
    FILE *f = fopen(path, "w");
    bool ok = f && fwrite(page.data(), 1, page.size(), f) == page.size();
    int e = errno;
    if (f && fclose(f)) {
        ok = false;
        e = errno;
    }
    if (!ok)
        complain("cannot write %s: %s", path, strerror(e));
    return ok;
}

} // namespace cli
