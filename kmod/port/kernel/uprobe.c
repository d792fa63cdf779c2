// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes in user space. The kernel puts a breakpoint wherever the file is mapped, and calls the consumers of the place in the task that
 * came there. Its own lock (or SRCU section) around them is what taking a consumer out waits for, so that nothing here counts handlers.
 *
 * Whose probe it is: the kernel asks the filter before it changes an address space, and a handler that finds itself in another one says
 * so, which takes the breakpoint out there. Both compare the task's address space as it is now: it changes when the task executes
 * another program, and is gone when the task ends.
 */
#include "port/kernel/internal.h"

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uprobes.h>

struct uprobe_event;

struct place {
	struct uprobe_consumer consumer;
	struct uprobe_event *of;
#ifdef MODBPF_HAVE_UPROBE_HANDLE
	struct uprobe *handle;
#else
	u64 offset;
#endif
};

struct uprobe_event {
	struct port_event event;
	port_uprobe_fn fn;
	void *priv;
	struct path path;
	struct task_struct *task; /* NULL: everybody */
	enum port_uprobe_scope scope;
	u32 count;
	struct place places[];
};

static bool in_space(const struct uprobe_event *e, const struct mm_struct *mm)
{
	return READ_ONCE(e->task->mm) == mm;
}

static bool in_group(const struct uprobe_event *e)
{
	return e->scope != PORT_UPROBE_GROUP || same_thread_group(current, e->task);
}

static void call(struct place *p, struct pt_regs *regs, unsigned long addr)
{
	struct uprobe_event *e = p->of;

	e->fn(e->priv, p - e->places, regs, addr);
}

/* UPROBE_HANDLER_REMOVE has an effect only where every consumer of the place gives it. */
static int leave(const struct uprobe_event *e)
{
	return e->scope == PORT_UPROBE_SPACE && !in_space(e, current->mm) ? UPROBE_HANDLER_REMOVE : 0;
}

static int on_entry(struct uprobe_consumer *c, struct pt_regs *regs)
{
	struct place *p = container_of(c, struct place, consumer);
	int ret = leave(p->of);

	if (!ret && in_group(p->of))
		call(p, regs, instruction_pointer(regs));
	return ret;
}

static int on_return(struct uprobe_consumer *c, unsigned long func, struct pt_regs *regs)
{
	struct place *p = container_of(c, struct place, consumer);

	if (!leave(p->of) && in_group(p->of))
		call(p, regs, func);
	return 0;
}

/* The entry of a function whose return is probed: only to leave address spaces that are not meant. */
static int on_way_in(struct uprobe_consumer *c, struct pt_regs *regs)
{
	return leave(container_of(c, struct place, consumer)->of);
}

#ifdef MODBPF_HAVE_UPROBE_HANDLE
static bool wanted(struct uprobe_consumer *c, struct mm_struct *mm)
{
	return in_space(container_of(c, struct place, consumer)->of, mm);
}

static int put_in(struct place *p, struct inode *inode, const struct port_uprobe_place *at)
{
	p->handle = uprobe_register(inode, at->offset, at->ref_ctr_offset, &p->consumer);
	return PTR_ERR_OR_ZERO(p->handle);
}

static void take_out(struct place *p, struct inode *inode)
{
	uprobe_unregister_nosync(p->handle, &p->consumer);
}

static void wait_for_handlers(void)
{
	uprobe_unregister_sync();
}
#else
static bool wanted(struct uprobe_consumer *c, enum uprobe_filter_ctx ctx, struct mm_struct *mm)
{
	return in_space(container_of(c, struct place, consumer)->of, mm);
}

static int put_in(struct place *p, struct inode *inode, const struct port_uprobe_place *at)
{
	p->offset = at->offset;
	return uprobe_register_refctr(inode, at->offset, at->ref_ctr_offset, &p->consumer);
}

static void take_out(struct place *p, struct inode *inode)
{
	uprobe_unregister(inode, p->offset, &p->consumer);
}

static void wait_for_handlers(void)
{
}
#endif

static void take_all_out(struct uprobe_event *e)
{
	struct inode *inode = d_real_inode(e->path.dentry);
	u32 i;

	for (i = 0; i < e->count; i++)
		take_out(&e->places[i], inode);
	if (e->count)
		wait_for_handlers();
}

static void free_event(struct uprobe_event *e)
{
	path_put(&e->path);
	if (e->task)
		put_task_struct(e->task);
	kvfree(e);
}

static void uprobe_detach(struct port_event *event)
{
	struct uprobe_event *e = container_of(event, struct uprobe_event, event);

	take_all_out(e);
	free_event(e);
}

static int find_file(const char *name, struct path *path)
{
	int ret = kern_path(name, LOOKUP_FOLLOW, path);

	if (!ret && !d_is_reg(path->dentry)) {
		path_put(path);
		ret = -EBADF;
	}
	return ret;
}

static int find_task(const struct port_uprobe_spec *spec, struct task_struct **task)
{
	enum pid_type type = spec->scope == PORT_UPROBE_GROUP ? PIDTYPE_TGID : PIDTYPE_PID;

	*task = NULL;
	if (spec->scope == PORT_UPROBE_ALL)
		return 0;
	if (spec->scope == PORT_UPROBE_SPACE && !spec->pid) {
		*task = get_task_struct(current);
		return 0;
	}
	rcu_read_lock();
	*task = get_pid_task(find_vpid(spec->pid), type);
	rcu_read_unlock();
	return *task ? 0 : -ESRCH;
}

static void set_up(struct uprobe_event *e, struct place *p, bool retprobe)
{
	p->of = e;
	if (e->task)
		p->consumer.filter = wanted;
	if (!retprobe)
		p->consumer.handler = on_entry;
	else
		p->consumer.ret_handler = on_return;
	if (retprobe && e->scope == PORT_UPROBE_SPACE)
		p->consumer.handler = on_way_in;
}

/* e->count: how many are in. */
static int put_all_in(struct uprobe_event *e, const struct port_uprobe_spec *spec)
{
	struct inode *inode = d_real_inode(e->path.dentry);
	int ret;

	while (e->count < spec->count) {
		struct place *p = &e->places[e->count];

		set_up(e, p, spec->retprobe);
		ret = put_in(p, inode, &spec->places[e->count]);
		if (ret)
			return ret;
		e->count++;
		cond_resched();
	}
	return 0;
}

static struct uprobe_event *make_event(const struct port_uprobe_spec *spec)
{
	struct uprobe_event *e;

	if (modbpf_fail_nth())
		return NULL;
	return kvzalloc(struct_size(e, places, spec->count), GFP_KERNEL_ACCOUNT);
}

int port_uprobe_attach(const struct port_uprobe_spec *spec, port_uprobe_fn fn, void *priv, struct port_event **out)
{
	struct task_struct *task;
	struct uprobe_event *e;
	struct path path;
	int ret = find_file(spec->path, &path);

	if (ret)
		return ret;
	ret = find_task(spec, &task);
	e = ret ? NULL : make_event(spec);
	if (!e) {
		path_put(&path);
		if (task)
			put_task_struct(task);
		return ret ?: -ENOMEM;
	}
	e->event.detach = uprobe_detach;
	e->fn = fn;
	e->priv = priv;
	e->path = path;
	e->task = task;
	e->scope = spec->scope;
	ret = put_all_in(e, spec);
	if (ret) {
		uprobe_detach(&e->event);
		return ret;
	}
	*out = &e->event;
	return 0;
}

int port_uprobe_path(struct port_event *event, char *buf, u32 size)
{
	return modbpf_path_text(&container_of(event, struct uprobe_event, event)->path, buf, size);
}

u32 port_uprobe_pid(struct port_event *event)
{
	struct task_struct *task = container_of(event, struct uprobe_event, event)->task;

	return task ? task_pid_nr_ns(task, task_active_pid_ns(current)) : 0;
}
