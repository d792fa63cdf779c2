// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "port/port.h"

namespace modbpf {

u64 bpf_get_prandom_u32(u64, u64, u64, u64, u64) {
    return port_random_u32();
}
u64 bpf_get_smp_processor_id(u64, u64, u64, u64, u64) {
    return port_cpu_id();
}
u64 bpf_get_numa_node_id(u64, u64, u64, u64, u64) {
    return static_cast<u64>(static_cast<s64>(port_numa_node()));
}
u64 bpf_get_current_pid_tgid(u64, u64, u64, u64, u64) {
    return port_current_pid_tgid();
}
u64 bpf_get_current_uid_gid(u64, u64, u64, u64, u64) {
    return port_current_uid_gid();
}
u64 bpf_get_current_task(u64, u64, u64, u64, u64) {
    return port_current();
}

u64 bpf_get_current_comm(u64 r1, u64 r2, u64, u64, u64) {
    port_current_comm(ptr_of<char>(r1), static_cast<u32>(r2));  // the verifier saw to it that the size is not 0
    return 0;
}

}  // namespace modbpf
