// SPDX-License-Identifier: GPL-2.0-only
#include "helpers/families.h"
#include "port/port.h"

namespace modbpf {

u64 bpf_ktime_get_ns(u64, u64, u64, u64, u64) {
    return port_ktime_ns();
}
u64 bpf_ktime_get_boot_ns(u64, u64, u64, u64, u64) {
    return port_ktime_boot_ns();
}
u64 bpf_ktime_get_coarse_ns(u64, u64, u64, u64, u64) {
    return port_ktime_coarse_ns();
}
u64 bpf_ktime_get_tai_ns(u64, u64, u64, u64, u64) {
    return port_ktime_tai_ns();
}
u64 bpf_jiffies64(u64, u64, u64, u64, u64) {
    return port_jiffies();
}

}  // namespace modbpf
