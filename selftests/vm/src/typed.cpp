// SPDX-License-Identifier: GPL-2.0-only
// Attaches a typed tracepoint program, executes programs, and looks at what it read through kernel objects; a program signals this task.
// usage: typed OBJECT
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "variables.h"

static volatile sig_atomic_t signals;
static void on_signal(int) { signals = signals + 1; }

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    bpf_object *o = bpf_object__open(argv[1]);
    if (!ok(o && !bpf_object__load(o), "typed: the programs load"))
        return tap_exit();
    variables v(o);
    v.set<int>("watched", getpid());
    bpf_link *exec = bpf_program__attach(bpf_object__find_program_by_name(o, "on_exec"));
    bpf_link *call = bpf_program__attach(bpf_object__find_program_by_name(o, "on_call"));
    ok(exec && !libbpf_get_error(exec), "typed: a typed tracepoint program attaches");
    ok(call && !libbpf_get_error(call), "typed: a raw tracepoint program attaches");
    signal(SIGUSR1, on_signal);
    constexpr unsigned long runs = 20;
    for (unsigned long i = 0; i < runs; i++) {
        pid_t child = fork();
        if (!child) {
            execl("/proc/self/exe", "typed", static_cast<char *>(nullptr));
            _exit(127);
        }
        waitpid(child, nullptr, 0);
    }
    getpgid(12345678);
    usleep(10000);
    unsigned long execs = v.get<unsigned long>("execs"), same = v.get<unsigned long>("same_task");
    ok(execs == runs, "typed: every exec of a child was seen, its parent read through its task: %lu", execs);
    ok(same == runs, "typed: the argument, the current task and its ids are the same: %lu", same);
    ok(v.get<int>("group_id") == 1, "typed: the control group has a number");
    ok(v.get<int>("signals") == 1 && signals == 1, "typed: a program's signal arrives: %d, %d", v.get<int>("signals"), signals);
    bpf_link__destroy(exec);
    bpf_link__destroy(call);
    bpf_object__close(o);
    return tap_exit();
}
