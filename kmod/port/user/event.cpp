// SPDX-License-Identifier: GPL-2.0-only
// Events on POSIX: a process has none. Each attach says so and gives EOPNOTSUPP; nothing is ever attached.
#include "base/errno.h"
#include "port/user/user.h"

#include <stdio.h>

namespace {

int refuse(const char *what) {
    port_log(PORT_LOG_WARN, "%s cannot be attached by the process back end, which only verifies and test-runs; load the "
                            "modbpf module and unset MODBPF_BACKEND to attach", what);
    return -EOPNOTSUPP;
}

} // namespace

int port_kprobe_attach(const port_kprobe_spec *, port_kprobe_fn, void *, port_event **) { return refuse("a kprobe"); }
u64 port_kprobe_addr(port_event *) { return 0; }
int port_uprobe_attach(const port_uprobe_spec *, port_uprobe_fn, void *, port_event **) { return refuse("a uprobe"); }
int port_functions_attach(const port_functions_spec *, port_functions_fn, void *, port_event **) {
    return refuse("a probe at many functions");
}
int port_function_find(const char *, u64 *) { return -ESRCH; }
int port_uprobe_path(port_event *, char *, u32) { return -EOPNOTSUPP; }
u32 port_uprobe_pid(port_event *) { return 0; }
int port_tracepoint_attach(u32, port_record_use, port_tracepoint_fn, void *, port_kernel_counts *, port_event **) { return refuse("a tracepoint"); }
int port_raw_tp_attach(const char *, u32, port_raw_tp_fn, void *, port_event **) {
    return refuse("a raw tracepoint");
}
int port_perf_attach(const port_perf_spec *, port_perf_fn, void *, port_event **) { return refuse("a sampling event"); }
void port_perf_enable(port_event *, bool) {}
int port_perf_period(port_event *, u64) { return -EINVAL; }
void port_perf_reset(port_event *, bool) {}
void *port_perf_counter(port_event *) { return nullptr; }
int port_perf_read(void *, u64 *) { return -EOPNOTSUPP; }
int port_tracepoint_name(u32, char *, size_t) { return -ENOENT; }
int port_tracepoint_size(u32) { return -ENOENT; }

int port_perf_pmu_type(const char *name) {
    char path[96];
    snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s/type", name);
    FILE *f = fopen(path, "re");
    int type = -1;
    if (f) {
        if (fscanf(f, "%d", &type) != 1)
            type = -1;
        fclose(f);
    }
    return type < 0 ? -ENOENT : type;
}

bool port_raw_tp_exists(const char *) { return false; }
void port_test_run_ended(int *) {}
void port_event_detach(port_event *e) { (void)MODBPF_BUG_ON(e != nullptr); }
u64 port_event_missed(port_event *) { return 0; }
