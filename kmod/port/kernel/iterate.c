// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps over tasks and over groups of control, for iterators that lie on a program's stack. Inside RCU, in any context: what a step
 * begins at was given by the last one, or is held.
 */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

notrace u64 port_process_first(void)
{
	return (u64)&init_task;
}

notrace u64 port_process_next(u64 task)
{
	struct task_struct *next = next_task((struct task_struct *)task);

	return next == &init_task ? 0 : (u64)next;
}

notrace u64 port_thread_next(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;

	return (u64)list_next_or_null_rcu(&t->signal->thread_head, &t->thread_node, struct task_struct, thread_node);
}

/* Children are listed by rising serial numbers. One that was taken out leads nowhere: the first behind it is looked for. */
static notrace struct cgroup_subsys_state *next_child(struct cgroup_subsys_state *parent, struct cgroup_subsys_state *child)
{
	struct cgroup_subsys_state *next;

	if (!child)
		return list_first_or_null_rcu(&parent->children, struct cgroup_subsys_state, sibling);
	if (!(READ_ONCE(child->flags) & CSS_RELEASED))
		return list_next_or_null_rcu(&parent->children, &child->sibling, struct cgroup_subsys_state, sibling);
	list_for_each_entry_rcu(next, &parent->children, sibling)
		if (next->serial_nr > child->serial_nr)
			return next;
	return NULL;
}

static notrace struct cgroup_subsys_state *deepest_first(struct cgroup_subsys_state *css)
{
	struct cgroup_subsys_state *child;

	while ((child = next_child(css, NULL)) != NULL)
		css = child;
	return css;
}

static notrace struct cgroup_subsys_state *next_post(struct cgroup_subsys_state *pos, struct cgroup_subsys_state *start)
{
	struct cgroup_subsys_state *sibling;

	if (!pos)
		return deepest_first(start);
	if (pos == start)
		return NULL;
	sibling = next_child(pos->parent, pos);
	return sibling ? deepest_first(sibling) : pos->parent;
}

notrace u64 port_css_next(u64 from, u64 at, enum port_css_order order)
{
	struct cgroup_subsys_state *start = (struct cgroup_subsys_state *)from, *pos = (struct cgroup_subsys_state *)at;

	switch (order) {
	case PORT_CSS_PRE:
		return (u64)css_next_descendant_pre(pos, start);
	case PORT_CSS_POST:
		return (u64)next_post(pos, start);
	case PORT_CSS_UP:
		return (u64)(pos ? pos->parent : start);
	}
	return 0;
}

/*
 * The kernel's own walk takes a lock for each step. Older kernels switch interrupts on behind it, whatever they were before: where they
 * are off nothing begins, on any kernel.
 */
notrace size_t port_css_tasks_size(void)
{
	return modbpf_ksym_has_css_tasks() ? sizeof(struct css_task_iter) : 0;
}

notrace int port_css_tasks_start(void *walk, u64 css, u32 flags)
{
	if (irqs_disabled() || in_nmi())
		return -EBUSY;
	modbpf_ksym_css_tasks_start((struct cgroup_subsys_state *)css, flags, walk);
	return 0;
}

notrace u64 port_css_tasks_next(void *walk)
{
	return (u64)modbpf_ksym_css_tasks_next(walk);
}

notrace void port_css_tasks_end(void *walk)
{
	modbpf_ksym_css_tasks_end(walk);
}
