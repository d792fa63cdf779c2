/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * user.h: what port/user offers beside port.h, to its own files, to the process back end (loader/) and to tests.
 *
 * Terms: a "file" is an object of the core behind real descriptors of this process. The descriptor is the read end of a
 * pipe whose write end port/user keeps: dup, fork, epoll and SCM_RIGHTS work by themselves, the inode number tells
 * which file it is, readiness is a byte in the pipe, and the write end polls POLLERR once the last descriptor is closed.
 * The core does not call anything here. Every function: task context, any thread, no lock held.
 */
#ifndef MODBPF_PORT_USER_H
#define MODBPF_PORT_USER_H

#include "port/port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Releases the objects whose last descriptor is gone and brings readiness up to date. Called by the back end before and
 * after each bpf() call, and before a poll. */
void port_user_sweep(void);

/* After a poll that found something: what was ready has been seen. */
void port_user_waited(void);

/* True when fd is an object of ours. */
bool port_user_owns_fd(int fd);
/* mmap of an object's fd: the address, or a negative errno as a pointer value (MAP_FAILED is not used). */
long port_user_mmap(void *addr, size_t size, int prot, int flags, int fd, u64 offset);
/* To be told before the pages in this range go away (munmap, or mmap with MAP_FIXED over them). -EINVAL, and all stays: a part of what can
 * only go as a whole is among them. */
int port_user_unmapped(void *addr, size_t size);
/* ioctl on an object's fd: the result or -errno. */
long port_user_ioctl(int fd, unsigned int cmd, u64 arg);
/* read of an object's fd: bytes or -errno. */
long port_user_read(int fd, void *to, size_t size);
/* The class's fdinfo text into buf (cut to size, terminated). -> full length, -EBADF. */
long port_user_fdinfo(int fd, char *buf, size_t size);
/* Name of the class, or NULL. */
const char *port_user_class(int fd);

/* Takes back what is pinned there, as unlink() would: false when nothing is. */
bool port_user_unpin(int dirfd, const char *path);

/* Capabilities: by default all. A bit per enum port_cap. */
void port_user_set_caps(u32 mask);
/* What port_security_bpf() says: by default 0. */
void port_user_set_security(int rc);
/* What port_perf_paranoid() says; by default the strictest. */
void port_user_set_paranoid(int level);
/* What port_unprivileged_bpf() says; by default what the machine allows for the kernel's own BPF. */
void port_user_set_unprivileged(bool allowed);
/* What port_need_resched() says; how often port_cond_resched() was called. */
void port_user_set_need_resched(bool need);
u64 port_user_resched_count(void);
/* What port_stack_left() says; by default a megabyte. */
void port_user_set_stack_left(size_t left);
/* What port_stack_save() finds: borrowed; by default nothing. */
void port_user_set_stack(bool user, const u64 *ips, u32 count);
/* An owner of local storage ends (port_owner_watch). dead: called when that was told, and its memory is not used again yet. */
void port_user_end_owner(enum port_owner_kind kind, u64 owner, void (*dead)(void *) = nullptr, void *ctx = nullptr);
/* A socket is made from another one; the address of one that is not full (port_socket_full). */
void port_user_copy_socket(u64 from, u64 to);
enum : u64 { port_user_small_socket = 0x51f0 };
/* Addresses of user space from `start` on are in a file with this build id of 20 bytes: borrowed; NULL: in none. */
void port_user_set_build_id(const u8 *id, u64 start);
/* Bytes that were allocated while a payer was set (port_payer_set). */
u64 port_user_paid(void);
/* How often port_bug() was reached. */
u64 port_user_bug_count(void);
/* Receives trace lines (NULL: standard error when MODBPF_TRACE is set). */
void port_user_set_trace_hook(void (*hook)(const char *text));
/* Receives log lines (NULL: standard error). */
void port_user_set_log_hook(void (*hook)(enum port_log_level level, const char *text));

/* The whole of a file, from malloc; NULL: it cannot be read, or is empty. */
struct port_user_bytes {
	void *data;
	size_t size;
};
struct port_user_bytes port_user_read_whole(const char *path);

/* Loads a module with these types, which are copied; true: none of that name is there. Unloads it; false: it is held, or not there. */
bool port_user_load_module(const char *name, const void *types, size_t size);
bool port_user_unload_module(const char *name);

/* Moves fd to a high number with CLOEXEC, so that programs see the low numbers they expect. -> new fd (fd itself when
 * there is no room). */
int port_user_high_fd(int fd);

/* Bytes of the region's mirrored tail. */
size_t port_user_region_mirror(struct port_region *r);

/* The program's mapping of an arena, over what is reserved there: false when it fails; it goes. */
bool port_user_arena_map(struct port_arena *a, u8 *addr, size_t size, int prot);
void port_user_arena_unmapped(struct port_arena *a, const u8 *addr);

/* For the files of port/user: fork handling, installed once; locks are held over the fork, and the child, with its one
 * thread, starts anew. */
void port_user_watch_forks(void);
void port_user_file_before_fork(void);
void port_user_file_after_fork_parent(void);
void port_user_lock_after_fork(void);
/* Fills in `per_cpu`. */
void port_user_per_cpu(struct port_jit_env *out);
void port_user_rcu_after_fork(void);
void port_user_timer_before_fork(void);
void port_user_timer_after_fork_parent(void);
void port_user_timer_after_fork(void);
void port_user_file_after_fork(void);

#ifdef __cplusplus
}
#endif

/* Bytes from one CPU's copy of a per-CPU allocation to the next one's: more than the largest. */
#define PORT_USER_PERCPU_DISTANCE 65536ul

/* Per-thread state without a call to __tls_get_addr: a preloaded library gets static TLS. */
#define PORT_USER_TLS __thread __attribute__((tls_model("initial-exec")))

#endif
