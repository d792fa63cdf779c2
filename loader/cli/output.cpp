// SPDX-License-Identifier: GPL-2.0-only
// Lines, the status line and full screens; numbers that fit them.
#include "loader/cli/output.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/ioctl.h>
#include <unistd.h>

namespace cli {

namespace {

bool is_terminal(int fd) {
    const char *kind = getenv("TERM");
    return isatty(fd) && kind && *kind && strcmp(kind, "dumb") != 0;
}

std::string scaled(double n, const char *const *units, double step) {
    size_t i = 0;
    while (units[i + 1] && n >= step * 0.9995)
        n /= step, i++;
    char text[48];
    bool whole = i == 0 && n == std::floor(n);
    snprintf(text, sizeof(text), whole || n >= 100 ? "%.0f%s" : n >= 10 ? "%.1f%s" : "%.2f%s", n, units[i]);
    return text;
}

/// The part of a line that a terminal shows in so many columns; bytes that continue a UTF-8 character take none.
std::string cut(const std::string &line, size_t columns) {
    size_t at = 0, width = 0;
    while (at < line.size()) {
        bool continues = (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80;
        if (!continues && width++ == columns)
            break;
        at++;
    }
    return line.substr(0, at);
}

} // namespace

void terminal_size(size_t &rows, size_t &columns) {
    winsize w = {};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0;
    rows = known && w.ws_row ? w.ws_row : 24;
    columns = known && w.ws_col ? w.ws_col : 80;
}

output::output(bool json) : json_(json), live_(!json && is_terminal(STDOUT_FILENO)), status_(is_terminal(STDERR_FILENO)) {}

void output::line(const std::string &text) {
    hide_status();
    fwrite(text.data(), 1, text.size(), stdout);
    putchar('\n');
}

void output::status(const std::string &text) {
    if (!status_)
        return;
    size_t rows, columns;
    terminal_size(rows, columns);
    fflush(stdout);
    fprintf(stderr, "\r%s\033[K", cut(text, columns - 1).c_str());
    shown_ = true;
}

void output::hide_status() {
    if (!shown_)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    shown_ = false;
}

void output::screen(const std::string &text) {
    size_t rows, columns, at = 0;
    terminal_size(rows, columns);
    std::string out = "\033[H";
    for (size_t row = 0; row + 1 < rows && at < text.size(); row++) {
        size_t end = text.find('\n', at);
        out += cut(text.substr(at, end - at), columns) + "\033[K\n";
        at = end == std::string::npos ? text.size() : end + 1;
    }
    hide_status();
    fwrite(out.data(), 1, out.size(), stdout);
    fputs("\033[J", stdout);
    fflush(stdout);
}

size_t output::screen_rows() {
    size_t rows, columns;
    terminal_size(rows, columns);
    return rows > 2 ? rows - 1 : 1;
}

void output::flush() { fflush(stdout); }

std::string json_head(const char *kind, double seconds) {
    char text[80];
    snprintf(text, sizeof(text), "{\"type\": \"%s\", \"time\": %.6f, ", kind, seconds);
    return text;
}

std::string format_columns(const std::vector<std::vector<std::string>> &rows, size_t left) {
    std::vector<size_t> width;
    std::string out;
    for (const auto &r : rows)
        for (size_t i = 0; i < r.size(); i++) {
            width.resize(std::max(width.size(), i + 1));
            width[i] = std::max(width[i], r[i].size());
        }
    for (const auto &r : rows) {
        std::string line;
        for (size_t i = 0; i < r.size(); i++) {
            std::string pad(width[i] - r[i].size(), ' ');
            line += (i ? "  " : "") + (i < left ? r[i] + pad : pad + r[i]);
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

std::string short_count(double n) {
    static const char *const units[] = {"", "k", "M", "G", "T", nullptr};
    return scaled(n, units, 1000);
}

std::string short_time(double ns) {
    static const char *const units[] = {" ns", " us", " ms", " s", nullptr};
    return scaled(ns, units, 1000);
}

} // namespace cli
