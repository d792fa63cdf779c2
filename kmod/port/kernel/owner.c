// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of local storage: tasks and control groups, and the tracepoints that tell of their end.
 *
 * A task is dead (EXIT_DEAD) before its last but one reference is dropped; the tracepoint is hit a grace period after that, and only
 * then is the reference dropped that keeps its memory. A control group's reference count is killed, which takes a grace period, before
 * it can reach zero and the tracepoint is hit; its memory goes another grace period later.
 */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/percpu-refcount.h>
#include <linux/pid.h>
#include <linux/sched/task.h>

static struct {
	const char *tracepoint;
	void (*gone)(u64 owner);
	struct port_event *event;
} watches[PORT_OWNER_KINDS] = {
	[PORT_OWNER_TASK] = { .tracepoint = "sched_process_free" },
	[PORT_OWNER_CGROUP] = { .tracepoint = "cgroup_release" },
};

/* The owner is the tracepoint's first argument. */
static notrace void on_end(void *priv, u64 owner)
{
	((void (*)(u64))priv)(owner);
}

int port_owner_watch(enum port_owner_kind kind, void (*gone)(u64 owner))
{
	int ret = port_raw_tp_attach(watches[kind].tracepoint, (port_raw_tp_fn)(void *)on_end, gone, &watches[kind].event);

	return ret == -ENOENT ? -EOPNOTSUPP : ret;
}

void port_owner_unwatch(enum port_owner_kind kind)
{
	port_event_detach(watches[kind].event);
	watches[kind].event = NULL;
}

notrace bool port_owner_alive(enum port_owner_kind kind, u64 owner)
{
	if (kind == PORT_OWNER_TASK)
		return READ_ONCE(((struct task_struct *)(unsigned long)owner)->exit_state) != EXIT_DEAD;
	return !percpu_ref_is_dying(&((struct cgroup *)(unsigned long)owner)->self.refcnt);
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

int port_owner_get(enum port_owner_kind kind, int fd, u64 *owner)
{
	struct port_cgroup *group;
	int ret;

	if (kind == PORT_OWNER_TASK)
		return get_task(fd, owner);
	ret = port_cgroup_open(fd, &group);
	if (!ret)
		*owner = (unsigned long)group;
	return ret;
}

void port_owner_put(enum port_owner_kind kind, u64 owner)
{
	if (kind == PORT_OWNER_TASK)
		put_task_struct((struct task_struct *)(unsigned long)owner);
	else
		port_cgroup_close((struct port_cgroup *)(unsigned long)owner);
}
