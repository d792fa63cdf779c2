// SPDX-License-Identifier: GPL-2.0-only
// modbpf verify: a verdict for each program of object files, by default from the core in this process.
//
// Each program is loaded alone, so that one refusal does not hide the others. Each file is handled in a child process:
// an object file can be anything, and a crash while parsing one must not take the rest along.
#include "loader/cli/html.h"
#include "loader/cli/stats.h"

#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <sys/wait.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf verify [OPTIONS] FILE.o...\n\n"
    "Says for each program of BPF object files whether the verifier accepts it, and shows the end of the verifier's log\n"
    "where it does not. Works inside this process: no root, no module, nothing is loaded into the kernel.\n\n"
    "  -e, --explain        of a refusal: the source line, what is required and known, the path that led there, what to change\n"
    "      --html=FILE      writes a page for a browser that walks through the explored paths, with registers and stack\n"
    "  -s, --stats          a table of verdicts, instructions and states explored, and time, instead of the logs\n"
    "      --save=FILE      writes that table for a later --compare\n"
    "      --compare=FILE   shows which verdicts and numbers differ from a saved run\n"
    "  -j, --json           machine-readable; the logs are whole\n"
    "  -v, --verbose        the whole log of refused programs; twice: the log of every program, and libbpf's messages\n"
    "  -l, --log-level=N    the log level of the passing run: bits 1 (branches), 2 (every step), 4 (statistics)\n"
    "  -p, --program=NAME   only this program\n"
    "  -o, --verify-only    what is safe counts as accepted, even where modbpf cannot run it\n"
    "      --backend=NAME   device: the loaded module; kernel: the kernel's own verifier (both need root)\n\n"
    "Exit status: 0 all accepted, 1 one was refused (with --compare: a verdict differs), 2 a file could not be read.\n";

struct settings {
    bool json = false, explain = false;
    int verbose = 0;
    unsigned int log_level = 0;
    std::string program;
    const char *html = nullptr, *save = nullptr, *compare = nullptr;
    bool stats = false;
    bool table() const { return stats || compare; } ///< instead of a text for each program
    bool wants_recording() const { return explain || html; }
    unsigned int level() const { return log_level ? log_level : verbose >= 2 ? 6 : 4; }
};

struct tally {
    int accepted = 0, refused = 0, unreadable = 0;
    void add(const tally &o) { accepted += o.accepted, refused += o.refused, unreadable += o.unreadable; }
};

// ---- output ----

std::string tail(const std::string &log, size_t lines) {
    size_t at = log.size();
    while (at > 0 && log[at - 1] == '\n')
        at--;
    for (size_t n = 0; at > 0; at--)
        if (log[at - 1] == '\n' && ++n == lines)
            break;
    return log.substr(at);
}

void print_indented(const std::string &text) {
    for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        end = end == std::string::npos ? text.size() : end;
        printf("    %.*s\n", static_cast<int>(end - at), text.c_str() + at);
        at = end + 1;
    }
}

void print_text(const verdict &v, const explanation *e, const settings &s) {
    printf("%-10s %s (%s)", word(v.result), v.program.c_str(), v.section.c_str());
    if (v.error)
        printf(": %s", error_text(v.error).c_str());
    if (v.insns >= 0)
        printf("%s %ld instructions", v.error ? "; processed" : ": processed", v.insns);
    if (v.states >= 0)
        printf(", %ld states", v.states);
    putchar('\n');
    if (e)
        print_explanation(*e);
    bool show_log = (v.result == outcome::refused && (!e || s.verbose)) || s.verbose >= 2 || s.log_level;
    if (show_log && !v.log.empty()) {
        constexpr size_t lines = 30;
        bool whole = s.verbose >= 1 || s.log_level;
        std::string shown = whole ? v.log : tail(v.log, lines);
        if (shown.size() < v.log.size())
            printf("    ... (the last %zu lines of the log; -v shows all)\n", lines);
        print_indented(shown);
    }
    static bool hinted;
    if (v.result == outcome::refused && !s.explain && !hinted && backend_name() == "process") {
        puts("    (--explain says in words what is wrong, how it came about, and what to change)");
        hinted = true;
    }
    if (v.result == outcome::not_loaded || (v.result == outcome::refused && v.log.empty()))
        print_indented(v.notes);
}

void print_json(const char *path, const verdict &v, const explanation *e, bool first) {
    printf("%s\n  {\"file\": %s, \"program\": %s, \"section\": %s, \"verdict\": %s", first ? "" : ",", json_string(path).c_str(),
           json_string(v.program).c_str(), json_string(v.section).c_str(),
           v.result == outcome::not_loaded ? "\"not_loaded\"" : json_string(word(v.result)).c_str());
    if (v.error)
        printf(", \"errno\": %d, \"error\": %s", v.error, json_string(error_name(v.error)).c_str());
    if (v.insns >= 0)
        printf(", \"processed_insns\": %ld", v.insns);
    if (v.states >= 0)
        printf(", \"total_states\": %ld", v.states);
    printf(", \"load_usec\": %ld, \"log\": %s", v.usec, json_string(v.log).c_str());
    if (v.result != outcome::accepted)
        printf(", \"messages\": %s", json_string(v.notes).c_str());
    if (e)
        printf(", \"explanation\": %s", explanation_json(*e).c_str());
    putchar('}');
}

void print_unreadable(const char *path, const std::string &why, const settings &s, bool first) {
    if (s.json)
        printf("%s\n  {\"file\": %s, \"verdict\": \"unreadable\", \"messages\": %s}", first ? "" : ",", json_string(path).c_str(),
               json_string(why).c_str());
    else
        complain("%s: %s", path, why.c_str());
}

/// What the recording tells of a program that was judged, for the explanation and the page.
struct insight {
    recording r;
    explanation e;
    bool explained = false;
};

void look_inside(const char *path, const verdict &v, const settings &s, insight &in) {
    if (!s.wants_recording() || v.result == outcome::not_loaded)
        return;
    bool refused = v.result == outcome::refused;
    if (s.html || refused)
        record(path, v, in.r, s.html ? states_to_show : states_to_explain);
    if (refused) {
        in.e = explain(in.r, v);
        in.explained = true;
    }
}

/// One program: judged, printed. -> lines for the parent: its row of the table, its part of the page.
std::string verify_program(const char *path, const struct bpf_program *p, const settings &s, bool first, tally &t) {
    verdict v = judge(path, bpf_program__name(p), bpf_program__section_name(p), s.level());
    insight in;
    look_inside(path, v, s, in);
    const explanation *e = in.explained ? &in.e : nullptr;
    if (s.json)
        print_json(path, v, s.explain ? e : nullptr, first);
    else if (!s.table())
        print_text(v, s.explain ? e : nullptr, s);
    (v.result == outcome::accepted ? t.accepted : t.refused)++;
    fflush(stdout);
    return pack_row(cost_of(path, v)) + "\n" + (s.html ? page_program(path, v, in.r, e) : "") + "\n";
}

/// All programs of one file. In the child: a line with the tally, then the programs' lines.
std::string verify_file(const char *path, const settings &s, bool first) {
    tally t;
    std::string why, lines;
    object_ptr object = open_checked(path, why);
    if (object && !s.json && !s.table())
        printf("%s:\n", path);
    struct bpf_program *p;
    if (object)
        bpf_object__for_each_program(p, object.get()) {
            if (!s.program.empty() && s.program != bpf_program__name(p))
                continue;
            lines += verify_program(path, p, s, first, t);
            first = false;
        }
    if (t.accepted + t.refused == 0) {
        print_unreadable(path, !object ? why : s.program.empty() ? "holds no BPF program" : "holds no program of that name", s, first);
        t.unreadable++;
    }
    return std::to_string(t.accepted) + " " + std::to_string(t.refused) + " " + std::to_string(t.unreadable) + "\n" + lines;
}

/// Of all files.
struct results {
    tally t;
    std::vector<cost_row> rows;
    std::vector<std::string> page;
};

/// Runs verify_file in a child; a crash there is this file's result.
tally verify_apart(const char *path, const settings &s, bool first, results &all) {
    tally t;
    int status;
    std::string answer;
    if (!in_child([&] { return verify_file(path, s, first); }, answer, &status) ||
        sscanf(answer.c_str(), "%d %d %d", &t.accepted, &t.refused, &t.unreadable) != 3) {
        t = {};
        t.unreadable++;
        if (!s.json)
            complain("%s: the process that read it ended with %s %d; please report the file", path,
                     WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        else
            print_unreadable(path, "the process that read it crashed", s, first);
        return t;
    }
    for (size_t at = answer.find('\n') + 1; at < answer.size();) {
        size_t row = answer.find('\n', at), page = answer.find('\n', row + 1);
        cost_row r;
        if (unpack_row(answer.substr(at, row - at), r))
            all.rows.push_back(r);
        if (s.html)
            all.page.push_back(answer.substr(row + 1, page - row - 1));
        at = page + 1;
    }
    return t;
}

int parse(int argc, char **argv, settings &s) {
    static const option options[] = {{"explain", no_argument, nullptr, 'e'},       {"html", required_argument, nullptr, 'H'},
                                     {"stats", no_argument, nullptr, 's'},         {"save", required_argument, nullptr, 'S'},
                                     {"compare", required_argument, nullptr, 'C'}, {"verify-only", no_argument, nullptr, 'o'},
                                     {"json", no_argument, nullptr, 'j'},          {"verbose", no_argument, nullptr, 'v'},
                                     {"log-level", required_argument, nullptr, 'l'}, {"program", required_argument, nullptr, 'p'},
                                     {"backend", required_argument, nullptr, 'b'}, {"help", no_argument, nullptr, 'h'},
                                     {}};
    int c;
    while ((c = getopt_long(argc, argv, "ejsovl:p:h", options, nullptr)) != -1) {
        char *end = nullptr;
        switch (c) {
        case 'e': s.explain = true; break;
        case 'H': s.html = optarg; break;
        case 's': s.stats = true; break;
        case 'S': s.save = optarg; break;
        case 'C': s.compare = optarg; break;
        case 'o': setenv("MODBPF_VERIFY_ONLY", "1", 1); break;
        case 'j': s.json = true; break;
        case 'v': s.verbose++; break;
        case 'p': s.program = optarg; break;
        case 'l':
            s.log_level = static_cast<unsigned int>(strtoul(optarg, &end, 0));
            if (*end || s.log_level == 0 || s.log_level > 7) {
                complain("--log-level takes 1 to 7, not '%s'", optarg);
                return 2;
            }
            break;
        case 'b':
            if (!use_backend(optarg))
                return 2;
            break;
        case 'h': fputs(help, stdout); return 0;
        default: return 2;
        }
    }
    if (s.wants_recording() && backend_name() != "process") {
        complain("--explain and --html watch the verifier at work, which only the one in this process allows: leave --backend=%s away",
                 backend_name().c_str());
        return 2;
    }
    if (s.json && s.table()) {
        complain("--json has the numbers of --stats; it does not go with --stats or --compare");
        return 2;
    }
    if (optind < argc)
        return -1;
    complain("no object file given; for example: modbpf verify prog.o");
    return 2;
}

/// The tables and the last line. -> verdicts that differ from the run before.
int finish(const settings &s, int files, const results &all, const std::vector<cost_row> &before) {
    if (s.json)
        return 0;
    if (s.stats)
        print_costs(all.rows);
    if (s.compare)
        return print_comparison(before, all.rows);
    if (!s.stats && (files > 1 || all.t.accepted + all.t.refused > 1))
        printf("%d accepted, %d refused\n", all.t.accepted, all.t.refused);
    return 0;
}

} // namespace

int verify_main(int argc, char **argv) {
    settings s;
    default_backend("process");
    int done = parse(argc, argv, s);
    if (done >= 0)
        return done;
    std::vector<cost_row> before;
    if (!backend_ready() || (s.compare && !load_costs(s.compare, before)))
        return 2;
    messages::start(s.verbose >= 2 ? s.verbose - 1 : 0);
    results all;
    if (s.json)
        putchar('[');
    for (int i = optind; i < argc; i++)
        all.t.add(verify_apart(argv[i], s, i == optind, all));
    if (s.json)
        puts("\n]");
    int differ = finish(s, argc - optind, all, before);
    bool written = (!s.html || write_page(s.html, all.page)) && (!s.save || save_costs(s.save, all.rows));
    return !written || all.t.unreadable ? 2 : (s.compare ? differ : all.t.refused) ? 1 : 0;
}

} // namespace cli
