// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to tasks and control groups, for programs: in any context, also where the last one goes. The kernel's own way of dropping a
 * last reference takes locks; who comes with interrupts off may be inside one, and leaves it to a worker.
 */
#include "port/kernel/internal.h"

#include <linux/cgroup.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched/task.h>

/* A task without references is linked through its RCU head, which nobody else uses any more. */
static LLIST_HEAD(dead_tasks);

static void free_tasks(struct work_struct *work);
static void queue_dead(struct irq_work *irq);
static DECLARE_WORK(free_tasks_work, free_tasks);
static struct irq_work dead_irq = IRQ_WORK_INIT_HARD(queue_dead);

/* Control groups whose reference is to be dropped: as many of a CPU as one interrupt brings. */
#define DEFERRED_CGROUPS 256
struct deferred_cgroups {
	struct irq_work irq;
	unsigned int count;
	struct cgroup *of[DEFERRED_CGROUPS];
};
static void put_cgroups(struct irq_work *irq);
static DEFINE_PER_CPU(struct deferred_cgroups, deferred_cgroups);

static void free_tasks(struct work_struct *work)
{
	struct llist_node *list = llist_del_all(&dead_tasks);

	while (list) {
		struct task_struct *task = container_of((struct rcu_head *)list, struct task_struct, rcu);

		list = list->next;
		__put_task_struct(task);
	}
}

static void queue_dead(struct irq_work *irq)
{
	queue_work(modbpf_wq, &free_tasks_work);
}

notrace u64 port_task_get(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;

	return refcount_inc_not_zero(&t->usage) ? task : 0;
}

notrace void port_task_put(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;

	BUILD_BUG_ON(sizeof(struct llist_node) > sizeof(t->rcu));
	if (!refcount_dec_and_test(&t->usage))
		return;
	if (modbpf_may_sleep()) {
		__put_task_struct(t);
		return;
	}
	modbpf_count_deferred();
	llist_add((struct llist_node *)&t->rcu, &dead_tasks);
	irq_work_queue(&dead_irq);
}

notrace u64 port_task_from_pid(s32 pid)
{
	struct task_struct *t;
	u64 task = 0;

	rcu_read_lock();
	t = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	if (t)
		task = port_task_get((u64)t);
	rcu_read_unlock();
	return task;
}

/* One at a time, so that an NMI may add more. */
static void put_cgroups(struct irq_work *irq)
{
	struct deferred_cgroups *d = container_of(irq, struct deferred_cgroups, irq);
	unsigned int n;

	while ((n = READ_ONCE(d->count)) != 0) {
		struct cgroup *cgroup = xchg(&d->of[n - 1], NULL);

		if (cmpxchg(&d->count, n, n - 1) != n) { /* an NMI came: what it took for free is behind this one */
			xchg(&d->of[n - 1], cgroup);
			continue;
		}
		if (cgroup)
			css_put(&cgroup->self);
	}
}

notrace u64 port_cgroup_get(u64 cgroup)
{
	return css_tryget(&((struct cgroup *)cgroup)->self) ? cgroup : 0;
}

notrace void port_cgroup_put(u64 cgroup)
{
	struct deferred_cgroups *d;
	unsigned int n;

	if (!in_nmi() && !irqs_disabled()) {
		css_put(&((struct cgroup *)cgroup)->self);
		return;
	}
	d = this_cpu_ptr(&deferred_cgroups); /* interrupts are off: only an NMI comes in between */
	do {
		n = READ_ONCE(d->count);
		if (n == DEFERRED_CGROUPS) { /* kept for ever, which harms less than a lock taken twice */
			port_bug(__FILE__, __LINE__, "control groups dropped in one interrupt");
			return;
		}
	} while (cmpxchg(&d->count, n, n + 1) != n);
	xchg(&d->of[n], (struct cgroup *)cgroup);
	modbpf_count_deferred();
	irq_work_queue(&d->irq);
}

notrace u64 port_cgroup_ancestor(u64 cgroup, int level)
{
	struct cgroup *of = (struct cgroup *)cgroup, *ancestor;

	if (level < 0 || level > of->level)
		return 0;
	ancestor = cgroup_ancestor(of, level);
	return ancestor ? port_cgroup_get((u64)ancestor) : 0;
}

/* The kernel's own look-up takes a lock that is not safe here; a walk under RCU takes none. */
notrace u64 port_cgroup_from_id(u64 id)
{
	struct cgroup_subsys_state *css;
	u64 found = 0;

	rcu_read_lock();
	css_for_each_descendant_pre(css, &cgrp_dfl_root.cgrp.self) {
		if (cgroup_id(css->cgroup) != id)
			continue;
		found = port_cgroup_get((u64)css->cgroup);
		break;
	}
	rcu_read_unlock();
	return found;
}

notrace bool port_task_under_cgroup(u64 task, u64 cgroup)
{
	bool under;

	rcu_read_lock();
	under = task_under_cgroup_hierarchy((struct task_struct *)task, (struct cgroup *)cgroup);
	rcu_read_unlock();
	return under;
}

size_t port_cpumask_size(void)
{
	return sizeof(struct cpumask);
}

void __init modbpf_objects_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu_ptr(&deferred_cgroups, cpu)->irq = IRQ_WORK_INIT_HARD(put_cgroups);
}

void modbpf_objects_flush(void)
{
	int cpu;

	irq_work_sync(&dead_irq);
	flush_work(&free_tasks_work);
	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(deferred_cgroups, cpu).irq);
}
