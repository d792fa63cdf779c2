// SPDX-License-Identifier: GPL-2.0-only
// One program through the back end: load, log, statistics.
#include "loader/cli/judge.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sys/wait.h>
#include <unistd.h>

namespace cli {

object_ptr open_object(const char *path) {
    return object_ptr(bpf_object__open_file(path, nullptr)); // null with errno on failure (libbpf 1.0 and later)
}

object_ptr open_checked(const char *path, std::string &why) {
    why = object_problem(path);
    if (!why.empty())
        return nullptr;
    object_ptr object = open_object(path);
    if (!object) {
        int e = errno;
        why = "is not a BPF object file that libbpf can open: " + error_text(e) + "\n" + messages::take();
        while (why.back() == '\n')
            why.pop_back();
    }
    return object;
}

const char *word(outcome o) {
    return o == outcome::accepted ? "accepted" : o == outcome::refused ? "refused" : "not loaded";
}

namespace {

/// The number behind `key`, looked for from `at` on; -1 without one.
long number_behind(const std::string &log, size_t at, const char *key) {
    long n = -1;
    at = at == std::string::npos ? at : log.find(key, at);
    if (at == std::string::npos || sscanf(log.c_str() + at + strlen(key), "%ld", &n) != 1)
        return -1;
    return n;
}

/// Reads "verification time T usec ... processed N insns ... total_states N peak_states N" from the log's end.
void read_statistics(verdict &v) {
    size_t at = v.log.rfind("processed ");
    v.insns = number_behind(v.log, at, "processed ");
    v.states = number_behind(v.log, at, "total_states ");
    v.peak_states = number_behind(v.log, at, "peak_states ");
    v.verify_usec = number_behind(v.log, v.log.rfind("verification time "), "verification time ");
}

long usec_since(const timespec &a) {
    timespec b;
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
}

struct bpf_program *choose_program(struct bpf_object *object, const verdict &v) {
    struct bpf_program *target = nullptr, *p;
    bpf_object__for_each_program(p, object) {
        bool mine = v.program == bpf_program__name(p) && v.section == bpf_program__section_name(p);
        bpf_program__set_autoload(p, mine);
        if (mine)
            target = p;
    }
    return target;
}

} // namespace

void load_once(const char *path, verdict &v, unsigned int level, loaded_hook hook, void *priv) {
    static std::vector<char> buffer(16 << 20);
    object_ptr object = open_object(path);
    struct bpf_program *target = object ? choose_program(object.get(), v) : nullptr;
    if (!target) {
        v.error = EINVAL;
        v.notes = messages::take();
        return;
    }
    buffer[0] = '\0';
    bpf_program__set_log_buf(target, buffer.data(), buffer.size());
    bpf_program__set_log_level(target, level);
    messages::take();
    timespec begun;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    int err = bpf_object__load(object.get());
    v.usec = usec_since(begun);
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
    if (!err && hook)
        hook(priv, target);
}

verdict judge(const char *path, const std::string &program, const std::string &section, unsigned int level) {
    verdict v;
    v.program = program;
    v.section = section;
    load_once(path, v, level);
    if (v.result != outcome::accepted && !(level & 3)) {
        verdict timed = v;
        load_once(path, v, 1);
        v.usec = timed.usec;
        v.verify_usec = timed.verify_usec;
    }
    return v;
}

void record(const char *path, const verdict &v, recording &r, std::vector<int> (*choose)(const recording &)) {
    verdict again = v;
    if (!r.start())
        return;
    load_once(path, again, 4);
    r.stop(again.result != outcome::accepted);
    std::vector<int> wanted = choose(r);
    if (wanted.empty() || !r.start_states(std::move(wanted)))
        return;
    load_once(path, again, 4);
    r.stop(again.result != outcome::accepted);
}

bool in_child(const std::function<std::string()> &work, std::string &answer, int *status) {
    int ends[2];
    *status = 0;
    answer.clear();
    fflush(stdout);
    if (pipe(ends)) {
        complain("cannot make a pipe: %s", strerror(errno));
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        std::string text = work();
        fflush(stdout);
        ssize_t n = 1;
        for (size_t at = 0; at < text.size() && n > 0; at += static_cast<size_t>(n))
            n = write(ends[1], text.data() + at, text.size() - at);
        _exit(n > 0 ? 0 : 1);
    }
    close(ends[1]);
    char part[4096];
    for (ssize_t n; pid > 0 && (n = read(ends[0], part, sizeof(part))) > 0;)
        answer.append(part, static_cast<size_t>(n));
    close(ends[0]);
    while (pid > 0 && waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && *status == 0;
}

} // namespace cli
