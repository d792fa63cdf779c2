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

/* Tasks and control groups whose reference is to be dropped: as many of a CPU as one interrupt brings. */
#define DEFERRED_DROPS 256
#define DEFERRED_TASK 1ul /* in the address: a task, else a control group */
struct deferred_drops {
	struct irq_work irq;
	unsigned int count;
	unsigned long of[DEFERRED_DROPS];
};
static void drop_deferred(struct irq_work *irq);
static DEFINE_PER_CPU(struct deferred_drops, deferred_drops);

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

/* One at a time, so that an NMI may add more. */
static void drop_deferred(struct irq_work *irq)
{
	struct deferred_drops *d = container_of(irq, struct deferred_drops, irq);
	unsigned int n;

	while ((n = READ_ONCE(d->count)) != 0) {
		unsigned long object = xchg(&d->of[n - 1], 0);

		if (cmpxchg(&d->count, n, n - 1) != n) { /* an NMI came: what it took for free is behind this one */
			xchg(&d->of[n - 1], object);
			continue;
		}
		if (object & DEFERRED_TASK)
			modbpf_ksym_task_put((struct task_struct *)(object & ~DEFERRED_TASK));
		else if (object)
			css_put(&((struct cgroup *)object)->self);
	}
}

/* Interrupts are off: only an NMI comes in between. */
static notrace void drop_later(unsigned long object)
{
	struct deferred_drops *d = this_cpu_ptr(&deferred_drops);
	unsigned int n;

	do {
		n = READ_ONCE(d->count);
		if (n == DEFERRED_DROPS) { /* kept for ever, which harms less than a lock taken twice */
			port_bug(__FILE__, __LINE__, "references dropped in one interrupt");
			return;
		}
	} while (cmpxchg(&d->count, n, n + 1) != n);
	xchg(&d->of[n], object);
	modbpf_count_deferred();
	irq_work_queue(&d->irq);
}

static notrace bool must_drop_later(void)
{
	return in_nmi() || irqs_disabled();
}

/*
 * As in the kernel's BPF it is rcu_users that is held: who holds one keeps the task from what follows its end. Where the function
 * that drops it was not found, the structure alone is held.
 */
notrace u64 port_task_get(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;

	return refcount_inc_not_zero(modbpf_ksym_has_task_put() ? &t->rcu_users : &t->usage) ? task : 0;
}

/* All but the last: what follows that is the kernel's. */
static notrace bool dec_not_one(refcount_t *refs)
{
	int n = atomic_read(&refs->refs);

	while (n != 1)
		if (atomic_try_cmpxchg_release(&refs->refs, &n, n - 1))
			return true;
	return false;
}

static notrace void put_usage(struct task_struct *t)
{
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

notrace void port_task_put(u64 task)
{
	struct task_struct *t = (struct task_struct *)task;

	if (!modbpf_ksym_has_task_put())
		put_usage(t);
	else if (dec_not_one(&t->rcu_users))
		return;
	else if (must_drop_later())
		drop_later(task | DEFERRED_TASK);
	else
		modbpf_ksym_task_put(t);
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

notrace u64 port_cgroup_get(u64 cgroup)
{
	return css_tryget(&((struct cgroup *)cgroup)->self) ? cgroup : 0;
}

notrace void port_cgroup_put(u64 cgroup)
{
	if (must_drop_later())
		drop_later(cgroup);
	else
		css_put(&((struct cgroup *)cgroup)->self);
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

/* Is that a group of the unified hierarchy? Who asks is inside RCU; programs may have it from anywhere. */
static bool is_cgroup(u64 cgroup)
{
	struct cgroup_subsys_state *css;

	css_for_each_descendant_pre(css, &cgrp_dfl_root.cgrp.self)
		if ((u64)css->cgroup == cgroup)
			return true;
	return false;
}

/* The kernel's lock for this is only ever held with interrupts off. */
void port_cgroup_updated(u64 cgroup, int cpu)
{
	if (!modbpf_ksym_has_cgroup_stats() || irqs_disabled() || cpu < 0 || cpu >= nr_cpu_ids || !cpu_possible(cpu))
		return;
	rcu_read_lock();
	if (is_cgroup(cgroup))
		modbpf_ksym_cgroup_updated((struct cgroup *)cgroup, cpu);
	rcu_read_unlock();
}

void port_cgroup_flush(u64 cgroup)
{
	bool held;

	if (!modbpf_ksym_has_cgroup_stats())
		return;
	rcu_read_lock();
	held = is_cgroup(cgroup) && port_cgroup_get(cgroup);
	rcu_read_unlock();
	if (!held)
		return;
	modbpf_ksym_cgroup_flush((struct cgroup *)cgroup);
	port_cgroup_put(cgroup);
}

notrace bool port_task_under_cgroup(u64 task, u64 cgroup)
{
	bool under;

	rcu_read_lock();
	under = task_under_cgroup_hierarchy((struct task_struct *)task, (struct cgroup *)cgroup);
	rcu_read_unlock();
	return under;
}

/*
 * A task's groups that have a controller are found under RCU alone. The others hang on a list, under a lock of the kernel's that is only
 * ever held with interrupts off: who comes with interrupts on cannot be inside it.
 */
notrace u64 port_task_cgroup1(u64 task, int hierarchy)
{
	struct cgroup *c;
	struct css_set *set;
	u64 found = 0;
	int i;

	if (!modbpf_ksym_has_cgroup1())
		return 0;
	if (!in_nmi() && !irqs_disabled()) {
		c = modbpf_ksym_cgroup1((struct task_struct *)task, hierarchy);
		return IS_ERR_OR_NULL(c) ? 0 : (u64)c;
	}
	rcu_read_lock();
	set = task_css_set((struct task_struct *)task);
	for (i = 0; i < CGROUP_SUBSYS_COUNT && !found; i++) {
		c = set->subsys[i] ? READ_ONCE(set->subsys[i]->cgroup) : NULL;
		if (c && c->root != &cgrp_dfl_root && c->root->hierarchy_id == hierarchy)
			found = port_cgroup_get((u64)c);
	}
	rcu_read_unlock();
	return found;
}

size_t port_cpumask_size(void)
{
	return sizeof(struct cpumask);
}

void __init modbpf_objects_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu_ptr(&deferred_drops, cpu)->irq = IRQ_WORK_INIT_HARD(drop_deferred);
}

void modbpf_objects_flush(void)
{
	int cpu;

	irq_work_sync(&dead_irq);
	flush_work(&free_tasks_work);
	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu(deferred_drops, cpu).irq);
}
