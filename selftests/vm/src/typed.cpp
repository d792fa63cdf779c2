// SPDX-License-Identifier: GPL-2.0-only
// Attaches a typed tracepoint program, executes programs, and looks at what it read through kernel objects; a program signals this task;
// another changes what a packet's test run ends with.
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

static long run_packet(bpf_program *p) {
    char packet[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet), .repeat = 1);
    return bpf_prog_test_run_opts(bpf_program__fd(p), &opts);
}

/// Of a tracepoint whose record programs may write.
static void write_record(bpf_object *o, variables &v) {
    bpf_program *end = bpf_object__find_program_by_name(o, "on_end"), *behind = bpf_object__find_program_by_name(o, "on_end_behind"),
                *packet = bpf_object__find_program_by_name(o, "on_packet");
    ok(!run_packet(packet), "typed: a test run of a packet ends well");
    bpf_link *link = bpf_program__attach(end);
    ok(link && !libbpf_get_error(link), "typed: a program that writes attaches to the end of test runs");
    v.set<int>("end_with", 42);
    long ended = run_packet(packet);
    ok(ended == 42 && !v.get<int>("ended_with"), "typed: a test run ends as the program says: %ld, would have %d", ended, v.get<int>("ended_with"));
    bpf_link__destroy(link);
    ok(!run_packet(packet), "typed: once it is off, test runs end as before");
    ok(bpf_raw_tracepoint_open("bpf_test_finish", bpf_program__fd(behind)) == -EINVAL, "typed: more than the tracepoint gives away: EINVAL");
    ok(bpf_raw_tracepoint_open("sched_switch", bpf_program__fd(end)) == -EINVAL, "typed: a tracepoint that gives nothing away: EINVAL");
    long run = run_packet(end);
    ok(run == -524, "typed: a test run of it is ENOTSUPP: %ld", run);
}

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
    if (access("/proc/sys/kernel/unprivileged_bpf_disabled", F_OK)) // a kernel without BPF has no such tracepoint
        ok(true, "typed: # SKIP this kernel gives nobody a tracepoint's record");
    else
        write_record(o, v);
    bpf_object__close(o);
    return tap_exit();
}
