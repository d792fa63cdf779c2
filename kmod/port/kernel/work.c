// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deferred work: any context -> irq_work (hard interrupt) -> the module's workqueue (task). From a context that may sleep
 * the first step is left out.
 *
 * A work's function often frees the object that holds the work. The workqueue allows that; irq_work writes to the item
 * once more after its handler, so the worker waits for that before it calls the function.
 */
#include "port/kernel/internal.h"

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/percpu.h>
#include <linux/wait_bit.h>

struct workqueue_struct *modbpf_wq;

static DEFINE_PER_CPU(unsigned long, deferred); /* modbpf_count_deferred's, only ever counts up */
static atomic_t in_flight = ATOMIC_INIT(0); /* port_works queued and not yet finished */

#define QUEUED 1L

struct work_impl {
	struct irq_work irq;
	struct work_struct work;
	void (*fn)(struct port_work *w);
	atomic_long_t state; /* bit 0: queued, from port_work_queue until the function is about to be called; above it: how often that was */
};

static notrace struct work_impl *impl(struct port_work *w)
{
	BUILD_BUG_ON(sizeof(struct work_impl) > sizeof(*w));
	return (struct work_impl *)w;
}

static void run_work(struct work_struct *work)
{
	struct work_impl *w = container_of(work, struct work_impl, work);

	irq_work_sync(&w->irq);
	/* Carries from QUEUED into the count. The function must see all that was done before a port_work_queue that gave false. */
	atomic_long_add_return(QUEUED, &w->state);
	w->fn((struct port_work *)w);
	if (atomic_dec_and_test(&in_flight))
		wake_up_var(&in_flight);
}

static void irq_to_work(struct irq_work *irq)
{
	struct work_impl *w = container_of(irq, struct work_impl, irq);

	queue_work(modbpf_wq, &w->work);
}

void port_work_init(struct port_work *w, void (*fn)(struct port_work *w))
{
	struct work_impl *i = impl(w);

	i->irq = IRQ_WORK_INIT_HARD(irq_to_work);
	INIT_WORK(&i->work, run_work);
	i->fn = fn;
	atomic_long_set(&i->state, 0);
}

notrace bool port_work_queue(struct port_work *w)
{
	struct work_impl *i = impl(w);

	if (atomic_long_fetch_or(QUEUED, &i->state) & QUEUED)
		return false;
	atomic_inc(&in_flight);
	modbpf_count_deferred();
	if (modbpf_may_sleep())
		queue_work(modbpf_wq, &i->work);
	else
		irq_work_queue(&i->irq);
	return true;
}

void port_work_flush(struct port_work *w)
{
	struct work_impl *i = impl(w);
	long state = atomic_long_read(&i->state);

	/* Whoever set QUEUED, on another CPU or below an interrupt on this one, may not have come to queue_work yet: nothing to wait for. */
	while ((state & QUEUED) && atomic_long_read(&i->state) == state) {
		irq_work_sync(&i->irq);
		if (!flush_work(&i->work))
			schedule_timeout_uninterruptible(1);
	}
	flush_work(&i->work);
}

struct irq_impl {
	struct irq_work irq;
	void (*fn)(struct port_irq *i);
};

static void run_irq(struct irq_work *irq)
{
	struct irq_impl *i = container_of(irq, struct irq_impl, irq);

	i->fn((struct port_irq *)i);
}

void port_irq_init(struct port_irq *irq, void (*fn)(struct port_irq *i))
{
	struct irq_impl *i = (struct irq_impl *)irq;

	BUILD_BUG_ON(sizeof(*i) > sizeof(*irq));
	i->irq = IRQ_WORK_INIT_HARD(run_irq);
	i->fn = fn;
}

notrace bool port_irq_queue(struct port_irq *irq)
{
	return irq_work_queue(&((struct irq_impl *)irq)->irq);
}

void port_irq_flush(struct port_irq *irq)
{
	irq_work_sync(&((struct irq_impl *)irq)->irq);
}

notrace void modbpf_count_deferred(void)
{
	this_cpu_inc(deferred);
}

static unsigned long deferred_total(void)
{
	unsigned long sum = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(&deferred, cpu));
	return sum;
}

void modbpf_quiesce(void)
{
	unsigned long before;

	do {
		before = deferred_total();
		rcu_barrier();
		wait_var_event(&in_flight, !atomic_read(&in_flight));
		flush_workqueue(modbpf_wq);
	} while (deferred_total() != before);
}

int modbpf_work_init(void)
{
	modbpf_wq = alloc_workqueue("modbpf", WQ_UNBOUND, 0);
	return modbpf_wq ? 0 : -ENOMEM;
}

void modbpf_work_exit(void)
{
	destroy_workqueue(modbpf_wq);
}
