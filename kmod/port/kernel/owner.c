// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of local storage, and what tells of their end: of tasks and control groups tracepoints, of inodes and sockets the functions
 * where Linux frees what it keeps with them. Where an owner may end untold, the function that is called at an owner's beginning, before
 * anybody knows of it, tells of the end of what was there before.
 *
 * A task is dead (EXIT_DEAD) before its last but one reference is dropped; the tracepoint is hit a grace period after that, and only
 * then is the reference dropped that keeps its memory. The exceptions are tasks of forks that failed: copy_creds() is the first function
 * of a fork that gets the new task. A control group's reference count is killed, which takes a grace period, before
 * it can reach zero and the tracepoint is hit; its memory goes another grace period later.
 *
 * An inode is marked (I_FREEING) before security_inode_free() is called, and a socket's reference count is zero before
 * bpf_sk_storage_free() is; the exceptions are those that were never in use. All of these functions are called from other files than their
 * own, so no call of them is inlined away. A hit is passed over only inside a handler of the function tracer's own in the same context,
 * and none of those forks, or frees inodes or sockets.
 */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/percpu-refcount.h>
#include <linux/pid.h>
#include <linux/kprobes.h>
#include <linux/net.h>
#include <linux/sched/task.h>
#include <net/sock.h>
#include <asm/ptrace.h>

enum { COPY = 2, FUNCTIONS = 3 }; /* of a watch: two that mean gone(), one that means copied() */

static struct watch {
	const char *tracepoint; /* or NULL */
	const char *functions[FUNCTIONS];
	u64 copy;                         /* the third one's address */
	const struct port_owner_events *events;
	struct port_event *end, *calls; /* of the tracepoint and the functions, or NULL */
} watches[PORT_OWNER_KINDS] = {
	[PORT_OWNER_TASK] = { .tracepoint = "sched_process_free", .functions = { "copy_creds" } },
	[PORT_OWNER_CGROUP] = { .tracepoint = "cgroup_release" },
	[PORT_OWNER_INODE] = { .functions = { "security_inode_free", "security_inode_alloc" } },
	[PORT_OWNER_SOCKET] = { .functions = { "bpf_sk_storage_free", "security_sk_alloc", "bpf_sk_storage_clone" } },
};

/* The owner is the tracepoint's first argument. */
static notrace void on_end(void *priv, u64 owner)
{
	((struct watch *)priv)->events->gone(owner);
}

/* The owner is the function's first argument; where it is copied, the new one is the second. */
static notrace int on_call(void *priv, void *regs, u64 func, bool at_return, u64 *data)
{
	const struct pt_regs *r = regs;
	struct watch *w = priv;

	if (func == w->copy)
		w->events->copied(r->di, r->si);
	else
		w->events->gone(r->di);
	return 0;
}
NOKPROBE_SYMBOL(on_call);

static int watch_functions(struct watch *w)
{
	u64 addrs[FUNCTIONS];
	struct port_functions_spec spec = { .addrs = addrs, .at_entry = true };

	while (spec.count < FUNCTIONS && w->functions[spec.count]) {
		if (port_function_find(w->functions[spec.count], &addrs[spec.count]))
			return -EOPNOTSUPP;
		spec.count++;
	}
	w->copy = spec.count > COPY ? addrs[COPY] : 0;
	return spec.count ? port_functions_attach(&spec, on_call, w, &w->calls) : 0;
}

static int watch_end(struct watch *w)
{
	int ret = w->tracepoint ? port_raw_tp_attach(w->tracepoint, 0, (port_raw_tp_fn)(void *)on_end, w, &w->end) : 0;

	return ret == -ENOENT ? -EOPNOTSUPP : ret;
}

int port_owner_watch(enum port_owner_kind kind, const struct port_owner_events *events)
{
	struct watch *w = &watches[kind];
	int ret;

	w->events = events;
	ret = watch_end(w);
	if (!ret)
		ret = watch_functions(w);
	if (ret)
		port_owner_unwatch(kind);
	return ret;
}

void port_owner_unwatch(enum port_owner_kind kind)
{
	struct watch *w = &watches[kind];

	port_event_detach(w->calls);
	port_event_detach(w->end);
	w->calls = w->end = NULL;
}

notrace bool port_owner_alive(enum port_owner_kind kind, u64 owner)
{
	const void *at = (const void *)(unsigned long)owner;

	switch (kind) {
	case PORT_OWNER_TASK:
		return READ_ONCE(((const struct task_struct *)at)->exit_state) != EXIT_DEAD;
	case PORT_OWNER_CGROUP:
		return !percpu_ref_is_dying((struct percpu_ref *)&((const struct cgroup *)at)->self.refcnt);
	case PORT_OWNER_INODE:
		return !(READ_ONCE(((const struct inode *)at)->i_state) & I_FREEING);
	default:
		return refcount_read(&((const struct sock *)at)->sk_refcnt) != 0;
	}
}

notrace bool port_socket_full(u64 sock)
{
	return sk_fullsock((struct sock *)(unsigned long)sock);
}

static int get_task(int fd, u64 *owner)
{
	struct file *file = fget(fd);
	struct task_struct *task;
	struct pid *pid;

	if (!file)
		return -EBADF;
	pid = modbpf_ksym_pidfd_pid(file);
	task = IS_ERR(pid) ? NULL : get_pid_task(pid, PIDTYPE_PID);
	fput(file);
	if (IS_ERR(pid))
		return PTR_ERR(pid);
	*owner = (unsigned long)task;
	return task ? 0 : -ENOENT;
}

static int get_cgroup(int fd, u64 *owner)
{
	struct cgroup *group = modbpf_ksym_cgroup_from_fd(fd); /* of either version, unlike a cgroup array's */

	if (IS_ERR(group))
		return PTR_ERR(group);
	*owner = (unsigned long)group;
	return 0;
}

static int get_inode(int fd, u64 *owner)
{
	struct file *file = fget_raw(fd);

	if (!file)
		return -EBADF;
	ihold(file_inode(file));
	*owner = (unsigned long)file_inode(file);
	fput(file);
	return 0;
}

static int get_socket(int fd, u64 *owner)
{
	int ret = 0;
	struct socket *socket = sockfd_lookup(fd, &ret);
	struct sock *sk;

	if (!socket)
		return ret;
	sk = READ_ONCE(socket->sk);
	if (sk)
		sock_hold(sk);
	*owner = (unsigned long)sk;
	sockfd_put(socket);
	return sk ? 0 : -ENOENT;
}

int port_owner_get(enum port_owner_kind kind, int fd, u64 *owner)
{
	switch (kind) {
	case PORT_OWNER_TASK:
		return get_task(fd, owner);
	case PORT_OWNER_CGROUP:
		return get_cgroup(fd, owner);
	case PORT_OWNER_INODE:
		return get_inode(fd, owner);
	default:
		return get_socket(fd, owner);
	}
}

void port_owner_put(enum port_owner_kind kind, u64 owner)
{
	void *at = (void *)(unsigned long)owner;

	switch (kind) {
	case PORT_OWNER_TASK:
		put_task_struct(at);
		break;
	case PORT_OWNER_CGROUP:
		port_cgroup_close(at);
		break;
	case PORT_OWNER_INODE:
		iput(at);
		break;
	default:
		sock_put(at);
	}
}
