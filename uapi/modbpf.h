/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * modbpf.h: the ioctl interface of /dev/modbpf.
 *
 * The device mirrors two system calls. Arguments, results and errno are those of bpf(2) and
 * perf_event_open(2) on Linux 6.12; a result is what ioctl(2) returns.
 */
#ifndef _UAPI_MODBPF_H
#define _UAPI_MODBPF_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MODBPF_DEVICE "/dev/modbpf"
#define MODBPF_ABI_VERSION 1
/* The file system that objects are pinned in. Each mount is one of its own, but all with the option "shared" are the same. */
#define MODBPF_FS_TYPE "bpf-modbpf"

/* bpf(cmd, attr, size) */
struct modbpf_bpf {
	__u32 cmd;  /* enum bpf_cmd */
	__u32 size; /* bytes at attr */
	__u64 attr; /* user address of a union bpf_attr */
};

/* perf_event_open(attr, pid, cpu, group_fd, flags) */
struct modbpf_perf_event_open {
	__u64 attr; /* user address of a struct perf_event_attr */
	__s32 pid;
	__s32 cpu;
	__s32 group_fd;
	__u32 pad; /* must be 0 */
	__u64 flags;
};

/* What this build and this kernel support, as JSON. Returns the bytes that the whole text needs. */
struct modbpf_features {
	__u64 buf;
	__u32 size;
	__u32 pad; /* must be 0 */
};

#define MODBPF_IOC_MAGIC 0xBF
#define MODBPF_IOC_VERSION _IO(MODBPF_IOC_MAGIC, 0) /* returns MODBPF_ABI_VERSION */
#define MODBPF_IOC_BPF _IOW(MODBPF_IOC_MAGIC, 1, struct modbpf_bpf)
#define MODBPF_IOC_PERF_EVENT_OPEN _IOW(MODBPF_IOC_MAGIC, 2, struct modbpf_perf_event_open)
#define MODBPF_IOC_FEATURES _IOW(MODBPF_IOC_MAGIC, 3, struct modbpf_features)
/*
 * From now on modbpf answers bpf() and perf_event_open() of the calling process and of those that it forks, until each ends. The module
 * must have been loaded with redirect=1 (else EOPNOTSUPP); CAP_SYS_ADMIN (else EPERM).
 */
#define MODBPF_IOC_REDIRECT _IO(MODBPF_IOC_MAGIC, 4)

#endif
