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

/*
 * Watching the verifier of the process back end, for tools that explain it. Callbacks come from inside bpf(PROG_LOAD), on its
 * thread; they make no bpf() call. Strings live until the callback returns.
 */
enum modbpf_insn_kind {
	MODBPF_INSN_OTHER,  /* arithmetic, byte swaps */
	MODBPF_INSN_MOVE,   /* dst = src, 64 bits */
	MODBPF_INSN_IMM,    /* dst = a number, a map, an address */
	MODBPF_INSN_LOAD,
	MODBPF_INSN_STORE,  /* atomics too */
	MODBPF_INSN_JUMP,
	MODBPF_INSN_BRANCH,
	MODBPF_INSN_CALL,   /* of a helper or a kernel function */
	MODBPF_INSN_SUBCALL, /* of a function of the program */
	MODBPF_INSN_EXIT,
};

#define MODBPF_NO_REG 255

struct modbpf_insn {
	const char *text;   /* as the kernel prints it: "(79) r1 = *(u64 *)(r0 +0)" */
	const char *file, *source; /* null without line information */
	unsigned int line, column; /* of the source, from 1 */
	unsigned int words; /* 2 for 64-bit immediates; 0: the second half of one */
	enum modbpf_insn_kind kind;
	unsigned short uses, defs; /* registers read and written, a bit each */
	unsigned char dst, src;    /* registers, or MODBPF_NO_REG */
	unsigned char base;        /* of a load or store: register that holds the address, or MODBPF_NO_REG */
	short off;                 /* of a load or store: what is added to it */
	unsigned int width;        /* bytes of the access or operation */
	long long target;          /* of jumps and subcalls: instruction, may be out of range */
};

enum modbpf_path_event {
	MODBPF_PATH_ENTRY,   /* exploration of a function begins at insn */
	MODBPF_PATH_FORKED,  /* another path, from insn on, waits at index `place` of a stack */
	MODBPF_PATH_RESUMED, /* the path that waits at `place` is the current one now */
	MODBPF_PATH_PRUNED,  /* the current path meets a state that was explored: it ends there */
	MODBPF_PATH_ENDED,   /* the current path is done */
};

struct modbpf_watcher {
	void *priv;
	/* A program is about to be verified. */
	void (*begun)(void *priv, const struct modbpf_insn *insns, size_t count);
	/* The current path is in front of an instruction. Not 0: its state is wanted, and `state` is called. */
	int (*step)(void *priv, unsigned int insn);
	/* The current state, in the format of the kernel's log: once for each call frame, the outermost first. */
	void (*state)(void *priv, unsigned int frame, const char *text);
	void (*path)(void *priv, enum modbpf_path_event event, unsigned int insn, unsigned int place);
	/* Of an accepted program's instruction: was it kept (dead code is not)? */
	void (*kept)(void *priv, const unsigned char *kept, size_t count);
};
/* All callbacks must be there; null: watch no longer. 0, or -1 where the back end is another (ENOTSUP). */
int modbpf_watch(const struct modbpf_watcher *watcher);

#ifdef __cplusplus
}
#endif
#endif
