// SPDX-License-Identifier: GPL-2.0-only
// What a running command shows: lines on standard output, and below them, on a terminal, one status line that is rewritten.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cli {

class output {
public:
    explicit output(bool json);
    ~output() { hide_status(); }
    output(const output &) = delete;

    bool json() const { return json_; }
    /// Standard output is a terminal, and what is shown there is for a person.
    bool live() const { return live_; }
    /// Standard error is a terminal: status() shows something.
    bool has_status() const { return status_; }

    /// A whole line, without its end.
    void line(const std::string &text);
    /// Replaces the status line; cut to the terminal's width.
    void status(const std::string &text);
    void hide_status();
    /// Replaces the whole screen of a live terminal by these lines; what does not fit is left out.
    void screen(const std::string &text);
    /// Lines that fit the screen, all but its last.
    static size_t screen_rows();
    void flush();

private:
    bool json_, live_, status_, shown_ = false;
};

/// Of the terminal that standard output or error is; 24 by 80 where it does not say.
void terminal_size(size_t &rows, size_t &columns);

/// The beginning of a line of JSON: {"type": KIND, "time": SECONDS, and then its other members follow.
std::string json_head(const char *kind, double seconds);

/// Rows of cells in columns as wide as their widest cell; the first `left` columns stand to the left.
std::string format_columns(const std::vector<std::vector<std::string>> &rows, size_t left);

/// "950", "12.3k", "4.56M"
std::string short_count(double n);
/// "830 ns", "1.25 us"
std::string short_time(double ns);

} // namespace cli
