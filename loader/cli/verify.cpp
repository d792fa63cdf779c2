// SPDX-License-Identifier: GPL-2.0-only
// modbpf verify: a verdict for each program of object files, by default from the core in this process.
//
// Each program is loaded alone, so that one refusal does not hide the others. Each file is handled in a child process:
// an object file can be anything, and a crash while parsing one must not take the rest along.
#include "loader/cli/cli.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <getopt.h>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf verify [OPTIONS] FILE.o...\n\n"
    "Says for each program of BPF object files whether the verifier accepts it, and shows the end of the verifier's log\n"
    "where it does not. Works inside this process: no root, no module, nothing is loaded into the kernel.\n\n"
    "  -j, --json           machine-readable; the logs are whole\n"
    "  -v, --verbose        the whole log of refused programs; twice: the log of every program, and libbpf's messages\n"
    "  -l, --log-level=N    the log level of the passing run: bits 1 (branches), 2 (every step), 4 (statistics)\n"
    "  -p, --program=NAME   only this program\n"
    "      --backend=NAME   device: the loaded module; kernel: the kernel's own verifier (both need root)\n\n"
    "Exit status: 0 all accepted, 1 one was refused, 2 a file could not be read.\n";

struct settings {
    bool json = false;
    int verbose = 0;
    unsigned int log_level = 0;
    std::string program;
};

enum class outcome { accepted, refused, not_loaded };

struct verdict {
    std::string program, section;
    outcome result = outcome::not_loaded;
    int error = 0;
    std::string log;   ///< the verifier's
    std::string notes; ///< libbpf's messages
    long insns = -1, states = -1;
    long usec = 0;
};

struct tally {
    int accepted = 0, refused = 0, unreadable = 0;
};

struct object_deleter {
    void operator()(struct bpf_object *o) const { bpf_object__close(o); }
};
using object_ptr = std::unique_ptr<struct bpf_object, object_deleter>;

object_ptr open_object(const char *path) {
    struct bpf_object *o = bpf_object__open_file(path, nullptr);
    return object_ptr(o); // null with errno on failure (libbpf 1.0 and later)
}

/// Reads "processed N insns ... total_states N" from the log's end.
void read_statistics(verdict &v) {
    size_t at = v.log.rfind("processed ");
    if (at == std::string::npos)
        return;
    const char *p = v.log.c_str() + at;
    if (sscanf(p, "processed %ld insns", &v.insns) != 1)
        v.insns = -1;
    const char *s = strstr(p, "total_states ");
    if (s && sscanf(s, "total_states %ld", &v.states) != 1)
        v.states = -1;
}

/// One load of one program of a fresh object.
void load_once(const char *path, verdict &v, unsigned int level, std::vector<char> &buffer) {
    object_ptr object = open_object(path);
    struct bpf_program *target = nullptr, *p;
    if (object)
        bpf_object__for_each_program(p, object.get()) {
            bool mine = v.program == bpf_program__name(p) && v.section == bpf_program__section_name(p);
            bpf_program__set_autoload(p, mine);
            if (mine)
                target = p;
        }
    if (!target) {
        v.error = EINVAL;
        v.notes = messages::take();
        return;
    }
    buffer[0] = '\0';
    bpf_program__set_log_buf(target, buffer.data(), buffer.size());
    bpf_program__set_log_level(target, level);
    messages::take();
    timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    int err = bpf_object__load(object.get());
    clock_gettime(CLOCK_MONOTONIC, &b);
    v.usec = (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
    v.notes = messages::take();
    buffer.back() = '\0';
    v.log = buffer.data();
    v.error = -err;
    bool load_failed = v.notes.find("BPF program load failed") != std::string::npos;
    // Slots of program arrays name programs that were left out here: that comes after the verdict.
    bool slots_only = err && !load_failed && v.notes.find("failed to initialize slot") != std::string::npos;
    v.result = !err || slots_only ? outcome::accepted : load_failed ? outcome::refused : outcome::not_loaded;
    if (v.result == outcome::accepted)
        v.error = 0;
    read_statistics(v);
}

verdict judge(const char *path, const struct bpf_program *p, const settings &s) {
    static std::vector<char> buffer(16 << 20);
    verdict v;
    v.program = bpf_program__name(p);
    v.section = bpf_program__section_name(p);
    unsigned int level = s.log_level ? s.log_level : s.verbose >= 2 ? 6 : 4;
    load_once(path, v, level, buffer);
    if (v.result != outcome::accepted && !(level & 3)) {
        long usec = v.usec;
        load_once(path, v, 1, buffer);
        v.usec = usec;
    }
    return v;
}

// ---- output ----

const char *word(outcome o) {
    return o == outcome::accepted ? "accepted" : o == outcome::refused ? "refused" : "not loaded";
}

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

void print_text(const verdict &v, const settings &s) {
    printf("%-10s %s (%s)", word(v.result), v.program.c_str(), v.section.c_str());
    if (v.error)
        printf(": %s", error_text(v.error).c_str());
    if (v.insns >= 0)
        printf("%s %ld instructions", v.error ? "; processed" : ": processed", v.insns);
    if (v.states >= 0)
        printf(", %ld states", v.states);
    putchar('\n');
    bool show_log = v.result == outcome::refused || s.verbose >= 2 || s.log_level;
    if (show_log && !v.log.empty()) {
        constexpr size_t lines = 30;
        bool whole = s.verbose >= 1 || s.log_level;
        std::string shown = whole ? v.log : tail(v.log, lines);
        if (shown.size() < v.log.size())
            printf("    ... (the last %zu lines of the log; -v shows all)\n", lines);
        print_indented(shown);
    }
    if (v.result == outcome::not_loaded || (v.result == outcome::refused && v.log.empty()))
        print_indented(v.notes);
}

void print_json(const char *path, const verdict &v, bool first) {
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
    putchar('}');
}

void print_unreadable(const char *path, const std::string &why, const settings &s, bool first) {
    if (s.json)
        printf("%s\n  {\"file\": %s, \"verdict\": \"unreadable\", \"messages\": %s}", first ? "" : ",", json_string(path).c_str(),
               json_string(why).c_str());
    else
        complain("%s: %s", path, why.c_str());
}

/// All programs of one file. In the child.
tally verify_file(const char *path, const settings &s, bool first) {
    tally t;
    std::string why = object_problem(path);
    object_ptr object;
    if (why.empty()) {
        object = open_object(path);
        if (!object) {
            int e = errno;
            why = "is not a BPF object file that libbpf can open: " + error_text(e) + "\n" + messages::take();
            while (why.back() == '\n')
                why.pop_back();
        }
    }
    if (!object) {
        print_unreadable(path, why, s, first);
        t.unreadable++;
        return t;
    }
    if (!s.json)
        printf("%s:\n", path);
    struct bpf_program *p;
    bpf_object__for_each_program(p, object.get()) {
        if (!s.program.empty() && s.program != bpf_program__name(p))
            continue;
        verdict v = judge(path, p, s);
        if (s.json)
            print_json(path, v, first);
        else
            print_text(v, s);
        first = false;
        (v.result == outcome::accepted ? t.accepted : t.refused)++;
        fflush(stdout);
    }
    if (t.accepted + t.refused == 0) {
        print_unreadable(path, s.program.empty() ? "holds no BPF program" : "holds no program of that name", s, first);
        t.unreadable++;
    }
    return t;
}

/// Runs verify_file in a child; a crash there is this file's result.
tally in_child(const char *path, const settings &s, bool first) {
    int ends[2];
    tally t;
    fflush(stdout);
    if (pipe(ends)) {
        complain("cannot make a pipe: %s", strerror(errno));
        t.unreadable++;
        return t;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        t = verify_file(path, s, first);
        fflush(stdout);
        _exit(write(ends[1], &t, sizeof(t)) == sizeof(t) ? 0 : 1);
    }
    close(ends[1]);
    int status = 0;
    ssize_t n = pid < 0 ? -1 : read(ends[0], &t, sizeof(t));
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != sizeof(t)) {
        t = {};
        t.unreadable++;
        if (!s.json)
            complain("%s: the process that read it ended with %s %d; please report the file", path,
                     WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        else
            print_unreadable(path, "the process that read it crashed", s, first);
    }
    return t;
}

int parse(int argc, char **argv, settings &s) {
    static const option options[] = {{"json", no_argument, nullptr, 'j'},          {"verbose", no_argument, nullptr, 'v'},
                                     {"log-level", required_argument, nullptr, 'l'}, {"program", required_argument, nullptr, 'p'},
                                     {"backend", required_argument, nullptr, 'b'}, {"help", no_argument, nullptr, 'h'},
                                     {}};
    int c;
    while ((c = getopt_long(argc, argv, "jvl:p:h", options, nullptr)) != -1) {
        char *end = nullptr;
        switch (c) {
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
    if (optind < argc)
        return -1;
    complain("no object file given; for example: modbpf verify prog.o");
    return 2;
}

} // namespace

int verify_main(int argc, char **argv) {
    settings s;
    default_backend("process");
    int done = parse(argc, argv, s);
    if (done >= 0)
        return done;
    if (!backend_ready())
        return 2;
    messages::start(s.verbose >= 2 ? s.verbose - 1 : 0);
    tally all;
    if (s.json)
        putchar('[');
    for (int i = optind; i < argc; i++) {
        tally t = in_child(argv[i], s, i == optind);
        all.accepted += t.accepted;
        all.refused += t.refused;
        all.unreadable += t.unreadable;
    }
    if (s.json)
        puts("\n]");
    else if (argc - optind > 1 || all.accepted + all.refused > 1)
        printf("%d accepted, %d refused\n", all.accepted, all.refused);
    return all.unreadable ? 2 : all.refused ? 1 : 0;
}

} // namespace cli
