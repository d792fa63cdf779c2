/* SPDX-License-Identifier: GPL-2.0-only */
/* The core's entry points, called by the port (device) and by the process back end. Plain C. Task context. */
#ifndef MODBPF_CMD_CORE_H
#define MODBPF_CMD_CORE_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Builds the module's state: registries, file classes, tables checked. 0 or -errno, everything unwound on failure. */
int modbpf_core_init(void);
/* No fd, link or program is left (the port's module reference count guarantees it). Waits for all deferred frees. */
void modbpf_core_exit(void);
/* bpf(cmd, attr, size): >= 0 (often a new fd) or -errno. uattr is a user address. */
long modbpf_core_bpf(u32 cmd, u64 uattr, u32 size);
/* perf_event_open(attr, pid, cpu, group_fd, flags) for the events that carry BPF programs. -EOPNOTSUPP and a log line for others. */
long modbpf_core_perf_event_open(u64 uattr, s32 pid, s32 cpu, s32 group_fd, u64 flags);
/*
 * The same for an event that the kernel has opened already, in the kernel's memory: `attr` is its struct perf_event_attr, of `size` bytes,
 * where what is behind those that modbpf knows must be 0.
 */
long modbpf_core_perf_event_adopt(const void *attr, u32 size, s32 pid, s32 cpu);
/* The classes of files that programs and perf events are. */
struct port_file_ops;
extern const struct port_file_ops *const modbpf_core_program_files;
extern const struct port_file_ops *const modbpf_core_perf_event_files;
/* Machine-readable list of what this build and this kernel support, as JSON, into user memory; bytes that it needs. */
long modbpf_core_features(u64 ubuf, u32 size);

#ifdef __cplusplus
}
#endif
#endif
