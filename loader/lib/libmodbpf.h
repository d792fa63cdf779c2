/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libmodbpf.so: the transport between programs that use bpf(2) and modbpf; linked by the modbpf command, preloaded into
 * others by `modbpf exec`.
 *
 * It defines syscall(), through which libbpf, BCC and bpftool reach the kernel. bpf() and, for the events that carry BPF
 * programs, perf_event_open() go to the back end; every other number goes to the kernel untouched.
 *
 * Back ends (MODBPF_BACKEND, read at the first call): "device" (default): /dev/modbpf; "process": the core linked
 * into this library; "kernel": the kernel's own bpf(), for comparison. With MODBPF_ENGINE=interpreter the process back
 * end runs programs by the interpreter, the JIT's oracle.
 */
#ifndef MODBPF_LIBMODBPF_H
#define MODBPF_LIBMODBPF_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Overrides the environment. Before the first bpf() call. 0, or -1 for an unknown name. */
int modbpf_select_backend(const char *name);
/* The back end's feature list as JSON, cut to size. Returns the bytes that the whole text needs, or -1 with errno. */
long modbpf_features(char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
