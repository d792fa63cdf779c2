// SPDX-License-Identifier: GPL-2.0-only
// modbpf: the command's entry and the helpers that all subcommands share.
#include "loader/cli/cli.h"
#include "loader/lib/libmodbpf.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace cli {

namespace {

int shown_verbosity;
std::string kept;

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

struct subcommand {
    const char *name, *summary;
    int (*main)(int, char **);
};
const subcommand subcommands[] = {
    {"run", "load the programs of an object file, attach them, print what they report", run_main},
    {"verify", "say for each program of object files whether the verifier accepts it", verify_main},
    {"exec", "run a command whose bpf() calls are answered by modbpf", exec_main},
    {"features", "list what this build of modbpf and this kernel support", features_main},
};

void usage(FILE *to) {
    fputs("Usage: modbpf COMMAND [OPTIONS] ...\n\nCommands:\n", to);
    for (const subcommand &c : subcommands)
        fprintf(to, "  %-10s %s\n", c.name, c.summary);
    fputs("\n`modbpf COMMAND --help` explains each. To list what is loaded: modbpf exec -- bpftool prog list\n", to);
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
    if (modbpf_select_backend(name) == 0)
        return true;
    complain("--backend=%s is unknown; use device, process or kernel", name);
    return false;
}

void default_backend(const char *name) {
    const char *set = getenv("MODBPF_BACKEND");
    if (!set || !*set)
        modbpf_select_backend(name);
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

int main(int argc, char **argv) {
    if (argc < 2) {
        cli::usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        cli::usage(stdout);
        return 0;
    }
    for (const cli::subcommand &c : cli::subcommands)
        if (!strcmp(argv[1], c.name))
            return c.main(argc - 1, argv + 1);
    cli::complain("there is no command '%s'; `modbpf --help` lists them", argv[1]);
    return 2;
}
