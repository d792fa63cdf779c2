// SPDX-License-Identifier: GPL-2.0-only
// Matching of messages against the table's shapes.
#include "loader/cli/rules.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

namespace cli {

namespace {

/// The length of the number at the text's beginning: decimal or hexadecimal, with a sign; 0 without one.
size_t number_length(std::string_view s) {
    size_t sign = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    bool hex = s.size() > sign + 2 && s[sign] == '0' && s[sign + 1] == 'x';
    size_t first = sign + (hex ? 2 : 0), n = first;
    while (n < s.size() && (hex ? isxdigit(static_cast<unsigned char>(s[n])) : isdigit(static_cast<unsigned char>(s[n]))))
        n++;
    return n > first ? n : 0;
}

void note_place(std::string_view kind, const std::string &text, finding *f) {
    if (!f)
        return;
    int n = atoi(text.c_str());
    if (kind == "reg" && f->reg < 0)
        f->reg = n;
    else if (kind == "arg0" && f->reg < 0)
        f->reg = n + 1;
    else if (kind == "insn" && f->insn < 0)
        f->insn = n;
}

/// "$1" and so on become the places' texts.
std::string fill(const char *text, const std::vector<std::string> &places) {
    std::string out;
    for (const char *p = text; *p; p++) {
        size_t n = *p == '$' && p[1] >= '1' && p[1] <= '9' ? static_cast<size_t>(p[1] - '0') : 0;
        if (!n) {
            out += *p;
            continue;
        }
        p++;
        if (n <= places.size())
            out += places[n - 1];
        static const char plural[] = " bytes";
        if (n <= places.size() && places[n - 1] == "1" && !strncmp(p + 1, plural, sizeof(plural) - 1)) {
            out += " byte";
            p += sizeof(plural) - 1;
        }
    }
    return out;
}

bool starts_with_number(const std::string &line) {
    size_t i = 0;
    while (i < line.size() && isdigit(static_cast<unsigned char>(line[i])))
        i++;
    return i > 0 && i < line.size() && line[i] == ':';
}

/// Lines that tell of progress and not of what is wrong.
bool is_progress(const std::string &line) {
    static const char *const starts[] = {"; ", "from ", "func#", "Validating ", "Func#", "last_idx ", "regs=", "mark_precise: ",
                                         "parent ", "propagating "};
    for (const char *s : starts)
        if (line.starts_with(s))
            return true;
    return starts_with_number(line);
}

bool is_statistics(const std::string &line) {
    return line.starts_with("processed ") || line.starts_with("verification time ") || line.starts_with("stack depth ");
}

} // namespace

bool matches(const char *shape, std::string_view message, std::vector<std::string> *places, finding *f) {
    while (*shape) {
        if (*shape != '{') {
            if (message.empty() || message[0] != *shape)
                return false;
            message.remove_prefix(1);
            shape++;
            continue;
        }
        const char *close = strchr(shape, '}');
        std::string_view kind(shape + 1, static_cast<size_t>(close - shape - 1));
        shape = close + 1;
        const char *stop = strchr(shape, '{');
        std::string_view next(shape, stop ? static_cast<size_t>(stop - shape) : strlen(shape));
        size_t end = kind != "s" ? number_length(message) : next.empty() ? message.size() : message.find(next);
        if (end == std::string_view::npos || (kind != "s" && end == 0))
            return false;
        std::string text(message.substr(0, end));
        note_place(kind, text, f);
        if (places)
            places->push_back(text);
        message.remove_prefix(end);
    }
    return message.empty();
}

finding find_rule(const std::vector<std::string> &messages) {
    finding found;
    for (const std::string &m : messages)
        for (unsigned int i = 0; i < rule_count; i++) {
            finding here;
            std::vector<std::string> places;
            if (!matches(rules[i].shape, m, &places, &here))
                continue;
            if (!found.row) {
                found = here;
                found.row = &rules[i];
                found.message = m;
                found.title = fill(rules[i].title, places);
                found.required = fill(rules[i].required, places);
                found.advice = fill(rules[i].advice, places);
            } else {
                found.reg = found.reg < 0 ? here.reg : found.reg;
                found.insn = found.insn < 0 ? here.insn : found.insn;
            }
            break;
        }
    if (!found.row && !messages.empty())
        found.message = messages.front();
    return found;
}

std::vector<std::string> final_messages(const std::string &log) {
    constexpr size_t most = 8;
    std::vector<std::string> lines, out;
    for (size_t at = 0; at < log.size();) {
        size_t end = log.find('\n', at);
        end = end == std::string::npos ? log.size() : end;
        if (end > at)
            lines.push_back(log.substr(at, end - at));
        at = end + 1;
    }
    while (!lines.empty() && is_statistics(lines.back()))
        lines.pop_back();
    while (!lines.empty() && !is_progress(lines.back()) && out.size() < most) {
        out.insert(out.begin(), lines.back());
        lines.pop_back();
    }
    return out;
}

} // namespace cli
