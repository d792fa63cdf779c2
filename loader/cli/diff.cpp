// SPDX-License-Identifier: GPL-2.0-only
// modbpf diff: each program of object files through the machine's own bpf() and through modbpf in this process, side by side.
//
// A process has one back end, so each file is loaded in a child for each of the two; they answer with a record for each program.
#include "loader/cli/judge.h"
#include "loader/cli/rules.h"

#include <bpf/bpf.h>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <sys/wait.h>

namespace cli {

namespace {

const char *const help =
    "Usage: modbpf diff [OPTIONS] FILE.o...\n\n"
    "Loads each program of BPF object files through this machine's own bpf() and through modbpf in this process, and shows both\n"
    "side by side: verdict, last message, instructions and states explored, verification time, sizes of the translated and the\n"
    "native code, and what a test run on the same input returns, where the type has test runs. The kernel's side needs root, or\n"
    "CAP_BPF and CAP_PERFMON. Nothing is attached and nothing stays loaded.\n\n"
    "  -j, --json           machine-readable\n"
    "  -p, --program=NAME   only this program\n"
    "  -t, --times=N        load each program N times (1); the least verification time counts\n"
    "  -n, --no-run         no test runs\n"
    "  -o, --verify-only    of modbpf only the verifier: what it finds safe is accepted, even where modbpf cannot run it\n\n"
    "Exit status: 0 the verdicts agree, 1 one differs, 2 a file could not be read or a back end is not there.\n";

struct settings {
    bool json = false, run = true, verify_only = false;
    unsigned int times = 1;
    std::string program;
};

/// What one back end says of one program.
struct side {
    std::string program, section;
    outcome result = outcome::not_loaded;
    int error = 0;
    std::string message; ///< of a refusal: the verifier's last words, or libbpf's
    long insns = -1, states = -1, peak_states = -1, verify_usec = -1;
    long xlated = -1, jited = -1;
    bool ran = false;
    int run_error = 0;
    unsigned int retval = 0;
    std::string data; ///< the packet behind the run, in hexadecimal
};

// ---- one back end, in a child ----

/// A UDP packet over IPv4 in an Ethernet frame, so that programs find something to parse.
constexpr unsigned char packet[64] = {
    0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,                                      // Ethernet
    0x45, 0, 0, 50, 0, 1, 0, 0, 64, 17, 0x66, 0xaa, 10, 0, 0, 1, 10, 0, 0, 2,                  // IPv4
    0x04, 0xd2, 0, 53, 0, 30, 0, 0,                                                            // UDP
    'm', 'o', 'd', 'b', 'p', 'f', ' ', 'd', 'i', 'f', 'f',
};
constexpr __u64 raw_tp_args[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

enum class run_kind { none, on_packet, on_words };

run_kind run_kind_of(enum bpf_prog_type type) {
    switch (type) {
    case BPF_PROG_TYPE_SOCKET_FILTER:
    case BPF_PROG_TYPE_SCHED_CLS:
    case BPF_PROG_TYPE_SCHED_ACT:
    case BPF_PROG_TYPE_XDP:
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_LWT_IN:
    case BPF_PROG_TYPE_LWT_OUT:
    case BPF_PROG_TYPE_LWT_XMIT:
    case BPF_PROG_TYPE_FLOW_DISSECTOR: return run_kind::on_packet;
    case BPF_PROG_TYPE_RAW_TRACEPOINT: return run_kind::on_words;
    default: return run_kind::none;
    }
}

void test_run(side &s, int fd, run_kind kind) {
    unsigned char out[sizeof(packet) + 256] = {};
    LIBBPF_OPTS(bpf_test_run_opts, opts);
    if (kind == run_kind::on_packet) {
        opts.data_in = packet;
        opts.data_size_in = sizeof(packet);
        opts.data_out = out;
        opts.data_size_out = sizeof(out);
        opts.repeat = 1;
    } else {
        opts.ctx_in = raw_tp_args;
        opts.ctx_size_in = sizeof(raw_tp_args);
    }
    s.ran = true;
    s.run_error = -bpf_prog_test_run_opts(fd, &opts);
    s.retval = opts.retval;
    char hex[3];
    for (unsigned int i = 0; !s.run_error && i < opts.data_size_out && i < sizeof(out); i++) {
        snprintf(hex, sizeof(hex), "%02x", out[i]);
        s.data += hex;
    }
}

struct job {
    side &s;
    bool run;
};

/// Of a program that is loaded: sizes, and a test run.
void measure(void *priv, struct bpf_program *p) {
    job &j = *static_cast<job *>(priv);
    bpf_prog_info info = {};
    __u32 size = sizeof(info);
    if (bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size) == 0) {
        j.s.xlated = info.xlated_prog_len;
        j.s.jited = info.jited_prog_len;
    }
    run_kind kind = run_kind_of(bpf_program__type(p));
    if (j.run && kind != run_kind::none)
        test_run(j.s, bpf_program__fd(p), kind);
}

std::string last_line(const std::string &text) {
    size_t end = text.find_last_not_of('\n');
    if (end == std::string::npos)
        return "";
    size_t begin = text.rfind('\n', end);
    begin = begin == std::string::npos ? 0 : begin + 1;
    return text.substr(begin, end + 1 - begin);
}

/// The last line that is a message and not a state that goes with one.
std::string last_message(const verdict &v) {
    std::vector<std::string> said = final_messages(v.log);
    for (size_t i = said.size(); i-- > 0;)
        if (find_rule({said[i]}).row)
            return said[i];
    return !said.empty() ? said.back() : last_line(v.notes);
}

side ask(const char *path, const struct bpf_program *p, const settings &set) {
    side s;
    s.program = bpf_program__name(p);
    s.section = bpf_program__section_name(p);
    verdict v;
    v.program = s.program;
    v.section = s.section;
    job j{s, set.run};
    for (unsigned int i = 0; i < set.times; i++) {
        load_once(path, v, 4, i ? nullptr : measure, &j);
        if (s.verify_usec < 0 || (v.verify_usec >= 0 && v.verify_usec < s.verify_usec))
            s.verify_usec = v.verify_usec;
    }
    s.result = v.result;
    s.error = v.error;
    s.insns = v.insns;
    s.states = v.states;
    s.peak_states = v.peak_states;
    if (s.result == outcome::refused)
        load_once(path, v, 1); // with its log
    if (s.result != outcome::accepted)
        s.message = last_message(v);
    return s;
}

// ---- records from the child: fields between 0x1f, records between 0x1e ----

constexpr char field_end = '\x1f', record_end = '\x1e';

std::string pack(const side &s) {
    std::string out;
    for (const std::string &text : {s.program, s.section, s.message, s.data})
        out += text + field_end;
    for (long n : {static_cast<long>(s.result), static_cast<long>(s.error), s.insns, s.states, s.peak_states, s.verify_usec, s.xlated, s.jited,
                   static_cast<long>(s.ran), static_cast<long>(s.run_error), static_cast<long>(s.retval)})
        out += std::to_string(n) + field_end;
    return out + record_end;
}

side unpack(const std::string &record) {
    std::vector<std::string> f;
    for (size_t at = 0, end; (end = record.find(field_end, at)) != std::string::npos; at = end + 1)
        f.push_back(record.substr(at, end - at));
    side s;
    if (f.size() != 15)
        return s;
    auto number = [&](size_t i) { return atol(f[i].c_str()); };
    s.program = f[0], s.section = f[1], s.message = f[2], s.data = f[3];
    s.result = static_cast<outcome>(number(4));
    s.error = static_cast<int>(number(5));
    s.insns = number(6), s.states = number(7), s.peak_states = number(8), s.verify_usec = number(9);
    s.xlated = number(10), s.jited = number(11);
    s.ran = number(12);
    s.run_error = static_cast<int>(number(13));
    s.retval = static_cast<unsigned int>(number(14));
    return s;
}

std::string ask_all(const char *path, const settings &set) {
    std::string why, out;
    object_ptr object = open_checked(path, why);
    struct bpf_program *p;
    if (object)
        bpf_object__for_each_program(p, object.get()) {
            if (set.program.empty() || set.program == bpf_program__name(p))
                out += pack(ask(path, p, set));
        }
    return out;
}

/// All programs of a file by one back end; false: the child crashed.
bool ask_backend(const char *backend, const char *path, const settings &set, std::vector<side> &out) {
    std::string answer;
    int status;
    bool ok = in_child(
        [&] {
            use_backend(backend);
            if (set.verify_only)
                setenv("MODBPF_VERIFY_ONLY", "1", 1);
            return ask_all(path, set);
        },
        answer, &status);
    for (size_t at = 0, end; (end = answer.find(record_end, at)) != std::string::npos; at = end + 1)
        out.push_back(unpack(answer.substr(at, end - at)));
    if (!ok)
        complain("%s: the process that loaded it by %s ended with %s %d", path, strcmp(backend, "kernel") ? "modbpf" : "the kernel",
                 WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return ok;
}

/// Can this process load a program into the machine's kernel? Otherwise why not, and what to do.
std::string kernel_problem() {
    std::string answer;
    int status;
    in_child(
        [] {
            use_backend("kernel");
            bpf_insn insns[2] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                                 {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
            int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, nullptr, "GPL", insns, 2, nullptr);
            return std::to_string(fd < 0 ? errno : 0);
        },
        answer, &status);
    int e = atoi(answer.c_str());
    if (answer == "0")
        return "";
    const char *next = e == EPERM || e == EACCES ? ": run as root, or with CAP_BPF and CAP_PERFMON"
                       : e == ENOSYS             ? ": this kernel is built without it, or a sandbox hides it; `modbpf verify` needs none"
                                                 : "";
    return "this machine's bpf() cannot be used for comparison: " + error_text(e) + next;
}

// ---- output ----

struct pair_of {
    side kernel, modbpf;
    bool differs() const { return (kernel.result == outcome::accepted) != (modbpf.result == outcome::accepted); }
    bool runs_differ() const {
        return kernel.ran && modbpf.ran && (kernel.run_error != modbpf.run_error || kernel.retval != modbpf.retval || kernel.data != modbpf.data);
    }
};

std::string number_text(long n) { return n < 0 ? "-" : std::to_string(n); }

std::string run_text(const side &s) {
    if (!s.ran)
        return "-";
    return s.run_error ? error_name(s.run_error) : std::to_string(static_cast<int>(s.retval));
}

using row = std::vector<std::string>;

row table_row(const pair_of &p) {
    const side &k = p.kernel, &m = p.modbpf;
    std::string run = run_text(m);
    if (p.runs_differ() && run == run_text(k))
        run += " (other data)";
    return {p.differs() ? "!" : "", k.program, word(k.result), word(m.result), number_text(k.insns), number_text(m.insns), number_text(k.states),
            number_text(m.states), number_text(k.verify_usec), number_text(m.verify_usec), number_text(k.xlated), number_text(m.xlated),
            number_text(k.jited), number_text(m.jited), run_text(k), run};
}

void print_message(const char *who, const side &s) {
    if (s.result != outcome::accepted)
        printf("      %s: %s: %s\n", who, error_text(s.error).c_str(), s.message.c_str());
}

void print_table(const std::vector<pair_of> &pairs) {
    std::vector<row> rows = {{"", "", "verdict", "", "insns", "", "states", "", "usec", "", "xlated", "", "native", "", "test run", ""},
                             {"", "program", "kernel", "modbpf", "kernel", "modbpf", "kernel", "modbpf", "kernel", "modbpf", "kernel", "modbpf",
                              "kernel", "modbpf", "kernel", "modbpf"}};
    for (const pair_of &p : pairs)
        rows.push_back(table_row(p));
    std::vector<size_t> width(rows[0].size());
    for (const row &r : rows)
        for (size_t i = 0; i < r.size(); i++)
            width[i] = std::max(width[i], r[i].size());
    for (size_t n = 0; n < rows.size(); n++) {
        std::string line;
        for (size_t i = 0; i < rows[n].size(); i++) {
            bool left = i < 4 || n == 0;
            std::string pad(width[i] - rows[n][i].size(), ' ');
            line += (i ? i % 2 == 0 && i > 2 ? "   " : "  " : "") + (left ? rows[n][i] + pad : pad + rows[n][i]);
        }
        printf("  %s\n", line.substr(0, line.find_last_not_of(' ') + 1).c_str());
        if (n < 2)
            continue;
        const pair_of &p = pairs[n - 2];
        bool same = p.kernel.result == p.modbpf.result && p.kernel.error == p.modbpf.error && p.kernel.message == p.modbpf.message;
        print_message(same ? "both" : "kernel", p.kernel);
        if (!same)
            print_message("modbpf", p.modbpf);
    }
}

std::string json_side(const side &s) {
    std::string out = "{\"verdict\": " + json_string(s.result == outcome::not_loaded ? "not_loaded" : word(s.result));
    auto add = [&](const char *key, long n) {
        if (n >= 0)
            out += std::string(", \"") + key + "\": " + std::to_string(n);
    };
    if (s.result != outcome::accepted)
        out += ", \"errno\": " + std::to_string(s.error) + ", \"error\": " + json_string(error_name(s.error)) + ", \"message\": " + json_string(s.message);
    add("processed_insns", s.insns);
    add("total_states", s.states);
    add("peak_states", s.peak_states);
    add("verify_usec", s.verify_usec);
    add("xlated_len", s.xlated);
    add("jited_len", s.jited);
    if (s.ran && s.run_error)
        out += ", \"run\": {\"errno\": " + std::to_string(s.run_error) + ", \"error\": " + json_string(error_name(s.run_error)) + "}";
    else if (s.ran)
        out += ", \"run\": {\"retval\": " + std::to_string(s.retval) + ", \"data\": " + json_string(s.data) + "}";
    return out + "}";
}

void print_json(const char *path, const std::vector<pair_of> &pairs, bool &first) {
    for (const pair_of &p : pairs) {
        printf("%s\n  {\"file\": %s, \"program\": %s, \"section\": %s, \"verdict_differs\": %s, \"run_differs\": %s,\n   \"kernel\": %s,\n   \"modbpf\": %s}",
               first ? "" : ",", json_string(path).c_str(), json_string(p.kernel.program).c_str(), json_string(p.kernel.section).c_str(),
               p.differs() ? "true" : "false", p.runs_differ() ? "true" : "false", json_side(p.kernel).c_str(), json_side(p.modbpf).c_str());
        first = false;
    }
}

struct totals {
    int programs = 0, differ = 0, runs_differ = 0, unreadable = 0;
    int both = 0;
    double log_insns = 0, log_time = 0;
    void add(const pair_of &p) {
        programs++;
        differ += p.differs();
        runs_differ += p.runs_differ();
        const side &k = p.kernel, &m = p.modbpf;
        if (k.result != outcome::accepted || m.result != outcome::accepted || k.insns <= 0 || m.insns <= 0)
            return;
        both++;
        log_insns += std::log(static_cast<double>(m.insns) / static_cast<double>(k.insns));
        log_time += std::log((static_cast<double>(m.verify_usec) + 0.5) / (static_cast<double>(k.verify_usec) + 0.5));
    }
};

void print_totals(const totals &t) {
    int agree = t.programs - t.differ;
    printf("%d program%s: %d verdict%s, %d differ%s", t.programs, t.programs == 1 ? "" : "s", agree, agree == 1 ? " agrees" : "s agree", t.differ,
           t.differ == 1 ? "s" : "");
    if (t.runs_differ)
        printf("; test runs that differ: %d", t.runs_differ);
    if (t.both)
        printf("; of %d accepted by both, modbpf/kernel in geometric mean: instructions %.2f, verification time %.2f", t.both,
               std::exp(t.log_insns / t.both), std::exp(t.log_time / t.both));
    putchar('\n');
}

void compare_file(const char *path, const settings &set, totals &t, bool &first) {
    std::string why;
    int status;
    std::vector<side> kernel, modbpf;
    // In a child, like all that reads the file.
    bool read = in_child([&] { std::string w; open_checked(path, w); return w; }, why, &status);
    if (!read || !why.empty()) {
        complain("%s: %s", path, read ? why.c_str() : "the process that read it crashed");
        t.unreadable++;
        return;
    }
    if (!ask_backend("kernel", path, set, kernel) || !ask_backend("process", path, set, modbpf) || kernel.size() != modbpf.size()) {
        t.unreadable++;
        return;
    }
    if (kernel.empty()) {
        complain("%s: holds no program of that name", path);
        t.unreadable++;
        return;
    }
    std::vector<pair_of> pairs;
    for (size_t i = 0; i < kernel.size(); i++) {
        pairs.push_back({kernel[i], modbpf[i]});
        t.add(pairs.back());
    }
    if (set.json)
        return print_json(path, pairs, first);
    printf("%s:\n", path);
    print_table(pairs);
}

int parse(int argc, char **argv, settings &s) {
    static const option options[] = {{"json", no_argument, nullptr, 'j'},   {"program", required_argument, nullptr, 'p'},
                                     {"times", required_argument, nullptr, 't'}, {"no-run", no_argument, nullptr, 'n'},
                                     {"verify-only", no_argument, nullptr, 'o'}, {"help", no_argument, nullptr, 'h'}, {}};
    int c;
    while ((c = getopt_long(argc, argv, "jp:t:noh", options, nullptr)) != -1) {
        char *end = nullptr;
        switch (c) {
        case 'j': s.json = true; break;
        case 'p': s.program = optarg; break;
        case 't':
            s.times = static_cast<unsigned int>(strtoul(optarg, &end, 10));
            if (*end || s.times == 0 || s.times > 1000) {
                complain("--times takes 1 to 1000, not '%s'", optarg);
                return 2;
            }
            break;
        case 'n': s.run = false; break;
        case 'o': s.verify_only = true; break;
        case 'h': fputs(help, stdout); return 0;
        default: return 2;
        }
    }
    if (optind < argc)
        return -1;
    complain("no object file given; for example: modbpf diff prog.o");
    return 2;
}

} // namespace

int diff_main(int argc, char **argv) {
    settings s;
    int done = parse(argc, argv, s);
    if (done >= 0)
        return done;
    std::string problem = kernel_problem();
    if (!problem.empty()) {
        complain("%s", problem.c_str());
        return 2;
    }
    messages::start(0);
    totals t;
    bool first = true;
    if (s.json)
        putchar('[');
    for (int i = optind; i < argc; i++)
        compare_file(argv[i], s, t, first);
    if (s.json)
        puts("\n]");
    else if (t.programs)
        print_totals(t);
    return t.unreadable ? 2 : t.differ ? 1 : 0;
}

} // namespace cli
