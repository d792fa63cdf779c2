// SPDX-License-Identifier: GPL-2.0-only
// What the subcommands share: messages, error texts, JSON strings, the choice of the back end.
#include "loader/cli/cli.h"
#include "loader/lib/libmodbpf.h"

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace cli {

namespace {

volatile sig_atomic_t signalled;
int shown_verbosity;
std::string kept;
std::string chosen_backend;

int on_message(enum libbpf_print_level level, const char *fmt, va_list args) {
    char line[2048];
    vsnprintf(line, sizeof(line), fmt, args);
    bool show = level == LIBBPF_DEBUG ? shown_verbosity >= 2 : shown_verbosity >= 1;
    if (show)
        fputs(line, stderr);
    if (level != LIBBPF_DEBUG && kept.size() < 1 << 20)
        kept += line;
    return 0;
}

} // namespace

void complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("modbpf: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

std::string error_name(int errnum) {
    if (errnum == 524)
        return "ENOTSUPP";
    if (errnum >= __LIBBPF_ERRNO__START)
        return "libbpf " + std::to_string(errnum);
    const char *name = strerrorname_np(errnum);
    return name ? name : std::to_string(errnum);
}

std::string error_text(int errnum) {
    if (errnum == 524)
        return "Operation not supported (ENOTSUPP)";
    if (errnum >= __LIBBPF_ERRNO__START) { // libbpf's own numbers
        char text[128] = "";
        libbpf_strerror(errnum, text, sizeof(text));
        return text;
    }
    return std::string(strerror(errnum)) + " (" + error_name(errnum) + ")";
}

void stop_on_signals() {
    struct sigaction action = {};
    action.sa_handler = [](int) { signalled = 1; }; // no SA_RESTART: a wait ends
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool stopped() { return signalled; }

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

bool parse_seconds(const char *option, const char *text, double &out) {
    char *end = nullptr;
    out = strtod(text, &end);
    if (end != text && !*end && out > 0 && out <= 1e9)
        return true;
    complain("%s takes a positive number, not '%s'", option, text);
    return false;
}

bool parse_count(const char *option, const char *text, size_t &out) {
    char *end = nullptr;
    out = strtoul(text, &end, 10);
    if (out && *text >= '0' && *text <= '9' && !*end)
        return true;
    complain("%s takes a positive whole number, not '%s'", option, text);
    return false;
}

void messages::start(int verbose) {
    shown_verbosity = verbose;
    libbpf_set_print(on_message);
}

std::string messages::take() {
    std::string out;
    out.swap(kept);
    return out;
}

bool use_backend(const char *name) {
    if (modbpf_select_backend(name) == 0) {
        chosen_backend = name;
        return true;
    }
    complain("--backend=%s is unknown; use device, process or kernel", name);
    return false;
}

void default_backend(const char *name) {
    const char *set = getenv("MODBPF_BACKEND");
    if (!set || !*set)
        use_backend(name);
}

std::string backend_name() {
    if (!chosen_backend.empty())
        return chosen_backend;
    const char *set = getenv("MODBPF_BACKEND");
    return set && (!strcmp(set, "process") || !strcmp(set, "kernel")) ? set : "device";
}

bool backend_ready() {
    return backend_name() != "device" || modbpf_features(nullptr, 0) >= 0;
}

std::string feature_list() {
    std::string text;
    long n = modbpf_features(nullptr, 0);
    if (n > 0) {
        text.resize(static_cast<size_t>(n));
        if (modbpf_features(text.data(), text.size()) != n)
            text.clear();
    }
    return text;
}

bool lists(std::string_view features, std::string_view list, std::string_view name) {
    size_t from = features.find("\"" + std::string(list) + "\": [");
    if (from == std::string_view::npos)
        return false;
    std::string_view array = features.substr(from, features.find(']', from) - from);
    return array.find("\"" + std::string(name) + "\"", list.size() + 2) != std::string_view::npos;
}

std::string json_string(std::string_view s) {
    std::string out = "\"";
    for (size_t i = 0; i < s.size();) {
        unsigned char c = static_cast<unsigned char>(s[i]);
        size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 && c >= 0xc2 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 && c <= 0xf4 ? 4 : 0;
        bool whole = n && i + n <= s.size();
        for (size_t k = 1; whole && k < n; k++)
            whole = (static_cast<unsigned char>(s[i + k]) & 0xc0) == 0x80;
        if (!whole) {
            out += "\\ufffd";
            i++;
            continue;
        }
        char escape[8];
        if (c == '"' || c == '\\') {
            out += '\\';
            out += s[i];
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c < 0x20) {
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            out += escape;
        } else {
            out.append(s.substr(i, n));
        }
        i += n;
    }
    return out + "\"";
}

} // namespace cli
