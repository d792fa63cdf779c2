// SPDX-License-Identifier: GPL-2.0-only
// The process back end: the core linked into this library, on port/user.
#include "loader/lib/transport.h"

#include "cmd/core.h"
#include "port/user/user.h"
#include "prog/prog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

namespace transport {

namespace {

PORT_USER_TLS unsigned int core_depth;
pthread_once_t once = PTHREAD_ONCE_INIT;
int init_result;

void init() {
    const char *engine = getenv("MODBPF_ENGINE");
    modbpf::run_by_interpreter = engine && !strcmp(engine, "interpreter");
    const char *only = getenv("MODBPF_VERIFY_ONLY");
    modbpf::verify_only = only && *only && strcmp(only, "0");
    init_result = modbpf_core_init();
}

} // namespace

bool in_core() { return core_depth != 0; }
core_section::core_section() { core_depth++; }
core_section::~core_section() { core_depth--; }

namespace {

/// The core is up: 0 or -errno.
int ready() {
    pthread_once(&once, init);
    if (init_result)
        port_log(PORT_LOG_ERR, "the process back end could not start: error %d", -init_result);
    return init_result;
}

} // namespace

long process_bpf(unsigned int cmd, uint64_t attr, unsigned int size) {
    core_section section;
    int e = ready();
    if (e)
        return e;
    port_user_sweep();
    long r = modbpf_core_bpf(cmd, attr, size);
    port_user_sweep();
    return r;
}

long process_perf_event_open(uint64_t attr, int pid, int cpu, int group, uint64_t flags) {
    core_section section;
    int e = ready();
    return e ? e : modbpf_core_perf_event_open(attr, pid, cpu, group, flags);
}

long process_features(char *buf, uint32_t size) {
    core_section section;
    int e = ready();
    return e ? e : modbpf_core_features(reinterpret_cast<uint64_t>(buf), size);
}

} // namespace transport
