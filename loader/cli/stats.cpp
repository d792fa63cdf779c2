// SPDX-License-Identifier: GPL-2.0-only
// modbpf verify --stats, --save and --compare.
#include "loader/cli/stats.h"

#include "loader/cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace cli {

namespace {

const char *const heading = "file\tprogram\tsection\tverdict\tinsns\tstates\tpeak_states\tusec";

std::string number_text(long n) { return n < 0 ? "-" : std::to_string(n); }

std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

/// "+12%", "" where there is nothing to compare.
std::string change(long before, long now) {
    if (before <= 0 || now < 0)
        return "";
    char text[32];
    snprintf(text, sizeof(text), "%+.1f%%", 100.0 * static_cast<double>(now - before) / static_cast<double>(before));
    return text;
}

std::string both(long before, long now) {
    return before == now ? number_text(now) : number_text(before) + " -> " + number_text(now);
}

} // namespace

cost_row cost_of(const char *path, const verdict &v) {
    return {path, v.program, v.section, v.result == outcome::refused ? error_name(v.error) : word(v.result), v.insns, v.states, v.peak_states, v.verify_usec};
}

std::string pack_row(const cost_row &r) {
    std::string out;
    for (const std::string &text : {r.file, r.program, r.section, r.verdict})
        out += text + "\t";
    return out + std::to_string(r.insns) + "\t" + std::to_string(r.states) + "\t" + std::to_string(r.peak_states) + "\t" + std::to_string(r.usec);
}

bool unpack_row(const std::string &line, cost_row &r) {
    std::vector<std::string> f(1);
    for (char c : line) {
        if (c == '\t')
            f.emplace_back();
        else
            f.back() += c;
    }
    if (f.size() != 8)
        return false;
    auto number = [&](size_t i) { return atol(f[i].c_str()); };
    r = {f[0], f[1], f[2], f[3], number(4), number(5), number(6), number(7)};
    return true;
}

void print_costs(const std::vector<cost_row> &rows) {
    std::vector<std::vector<std::string>> table = {{"file", "program", "verdict", "insns", "states", "peak states", "usec"}};
    long insns = 0, states = 0, usec = 0;
    for (const cost_row &r : rows) {
        table.push_back({base_name(r.file), r.program, r.verdict, number_text(r.insns), number_text(r.states), number_text(r.peak_states), number_text(r.usec)});
        insns += std::max(0l, r.insns);
        states += std::max(0l, r.states);
        usec += std::max(0l, r.usec);
    }
    table.push_back({"", std::to_string(rows.size()) + (rows.size() == 1 ? " program" : " programs"), "", std::to_string(insns), std::to_string(states), "", std::to_string(usec)});
    fputs(format_columns(table, 3).c_str(), stdout);
}

bool save_costs(const char *path, const std::vector<cost_row> &rows) {
    FILE *f = fopen(path, "w");
    bool ok = f && fprintf(f, "%s\n", heading) > 0;
    for (const cost_row &r : rows)
        ok = ok && fprintf(f, "%s\n", pack_row(r).c_str()) > 0;
    int e = errno;
    if (f && fclose(f)) {
        ok = false;
        e = errno;
    }
    if (!ok)
        complain("cannot write %s: %s", path, strerror(e));
    return ok;
}

bool load_costs(const char *path, std::vector<cost_row> &rows) {
    FILE *f = fopen(path, "r");
    if (!f) {
        complain("cannot read %s: %s", path, strerror(errno));
        return false;
    }
    char *line = nullptr;
    size_t size = 0;
    bool ok = true, first = true;
    for (ssize_t n; ok && (n = getline(&line, &size, f)) > 0; first = false) {
        std::string text(line, static_cast<size_t>(line[n - 1] == '\n' ? n - 1 : n));
        cost_row r;
        if (first)
            ok = text == heading;
        else if ((ok = unpack_row(text, r)))
            rows.push_back(r);
    }
    free(line);
    fclose(f);
    if (!ok || first)
        complain("%s is not what `modbpf verify --save` writes", path);
    return ok && !first;
}

int print_comparison(const std::vector<cost_row> &before, const std::vector<cost_row> &now) {
    std::map<std::string, const cost_row *> old;
    auto key = [](const cost_row &r) { return base_name(r.file) + "\t" + r.program + "\t" + r.section; };
    for (const cost_row &r : before)
        old[key(r)] = &r;
    std::vector<std::vector<std::string>> table = {{"file", "program", "verdict", "insns", "", "states", "", "usec", ""}};
    int differ = 0, compared = 0;
    double log_insns = 0, log_usec = 0;
    for (const cost_row &r : now) {
        auto it = old.find(key(r));
        if (it == old.end()) {
            table.push_back({base_name(r.file), r.program, "new: " + r.verdict, number_text(r.insns), "", number_text(r.states), "", number_text(r.usec), ""});
            continue;
        }
        const cost_row &o = *it->second;
        differ += o.verdict != r.verdict;
        if (o.insns > 0 && r.insns > 0 && o.usec >= 0 && r.usec >= 0) {
            compared++;
            log_insns += std::log(static_cast<double>(r.insns) / static_cast<double>(o.insns));
            log_usec += std::log((static_cast<double>(r.usec) + 0.5) / (static_cast<double>(o.usec) + 0.5));
        }
        if (o.verdict != r.verdict || o.insns != r.insns || o.states != r.states)
            table.push_back({base_name(r.file), r.program, o.verdict == r.verdict ? r.verdict : o.verdict + " -> " + r.verdict, both(o.insns, r.insns),
                             change(o.insns, r.insns), both(o.states, r.states), change(o.states, r.states), both(o.usec, r.usec), change(o.usec, r.usec)});
        old.erase(it);
    }
    for (auto &[name, r] : old)
        table.push_back({base_name(r->file), r->program, "gone: " + r->verdict, number_text(r->insns), "", number_text(r->states), "", number_text(r->usec), ""});
    if (table.size() > 1)
        fputs(format_columns(table, 3).c_str(), stdout);
    printf("%zu programs: %d verdict%s", now.size(), differ, differ == 1 ? " differs" : "s differ");
    if (compared)
        printf("; now/before in geometric mean: instructions %.3f, time %.2f", std::exp(log_insns / compared), std::exp(log_usec / compared));
    putchar('\n');
    return differ;
}

} // namespace cli
