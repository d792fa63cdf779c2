// SPDX-License-Identifier: GPL-2.0-only
// modbpf features: the back end's feature list, as JSON or as indented text.
#include "loader/cli/cli.h"
#include "loader/lib/libmodbpf.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <getopt.h>
#include <unistd.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf features [--json] [--backend=device|process]\n\n"
    "Lists the commands, program types, map types, helpers and attach types that modbpf supports, and what this\n"
    "kernel lacks for them. Without --backend: the loaded module, or the core in this process when there is none.\n";

/// JSON, as the core writes it, to lines: members of objects one a line and indented, arrays of plain values wrapped.
class outline {
public:
    explicit outline(std::string_view json) : s_(json) {}
    std::string text() {
        value(0);
        return out_;
    }

private:
    void space() {
        while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\n' || s_[at_] == '\t' || s_[at_] == '\r'))
            at_++;
    }
    bool take(char c) {
        space();
        if (at_ >= s_.size() || s_[at_] != c)
            return false;
        at_++;
        return true;
    }
    std::string scalar() {
        space();
        size_t from = at_;
        if (take('"')) {
            while (at_ < s_.size() && s_[at_] != '"')
                at_ += s_[at_] == '\\' ? 2 : 1;
            std::string r(s_.substr(from + 1, std::min(at_, s_.size()) - from - 1));
            at_++;
            return r;
        }
        while (at_ < s_.size() && std::string_view(",]}: \n\t\r").find(s_[at_]) == std::string_view::npos)
            at_++;
        return std::string(s_.substr(from, at_ - from));
    }
    void object(int depth) {
        while (at_ < s_.size() && !take('}')) {
            size_t before = at_;
            out_ += "\n" + std::string(static_cast<size_t>(depth) * 2, ' ') + scalar() + ":";
            if (take(':'))
                value(depth + 1);
            take(',');
            if (at_ == before)
                return;
        }
    }
    void array(int depth) {
        size_t width = 0;
        while (at_ < s_.size() && !take(']')) {
            size_t before = at_;
            space();
            if (at_ < s_.size() && (s_[at_] == '{' || s_[at_] == '[')) {
                out_ += "\n" + std::string(static_cast<size_t>(depth) * 2, ' ') + "-";
                value(depth + 1);
            } else {
                std::string item = scalar();
                if (width == 0 || width + item.size() > 90) {
                    out_ += "\n" + std::string(static_cast<size_t>(depth) * 2, ' ');
                    width = static_cast<size_t>(depth) * 2;
                } else {
                    out_ += ' ';
                }
                out_ += item;
                width += item.size() + 1;
            }
            take(',');
            if (at_ == before)
                return;
        }
    }
    void value(int depth) {
        if (depth > 20)
            return;
        if (take('{'))
            object(depth);
        else if (take('['))
            array(depth);
        else
            out_ += " " + scalar();
    }

    std::string_view s_;
    size_t at_ = 0;
    std::string out_;
};

} // namespace

int features_main(int argc, char **argv) {
    static const option options[] = {{"json", no_argument, nullptr, 'j'},
                                     {"backend", required_argument, nullptr, 'b'},
                                     {"help", no_argument, nullptr, 'h'},
                                     {}};
    bool json = false, chosen = false;
    int c;
    while ((c = getopt_long(argc, argv, "jb:h", options, nullptr)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        } else if (c == 'j') {
            json = true;
        } else if (c != 'b' || !use_backend(optarg)) {
            return 2;
        } else {
            chosen = true;
        }
    }
    if (!chosen && access("/dev/modbpf", R_OK | W_OK)) {
        default_backend("process");
        if (!json)
            puts("(the module is not loaded here, or not open to this user: features of the core in this process)");
    }
    std::string text(1 << 16, '\0');
    long need = modbpf_features(text.data(), text.size());
    if (need > static_cast<long>(text.size())) {
        text.resize(static_cast<size_t>(need));
        need = modbpf_features(text.data(), text.size());
    }
    if (need < 0) {
        complain("cannot read the feature list: %s; use --backend=process for the core without the module",
                 error_text(errno).c_str());
        return 1;
    }
    text.resize(std::min(static_cast<size_t>(need), text.size()));
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n'))
        text.pop_back();
    std::string shown = json ? text : outline(text).text();
    puts(shown.c_str() + (shown.starts_with('\n') ? 1 : 0));
    return 0;
}

} // namespace cli
