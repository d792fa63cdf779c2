// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timers: hrtimers whose functions run in softirq. Arming and disarming takes the lock of a CPU's timer base, which is only ever held
 * with interrupts off; who comes with interrupts off may be inside it, and leaves the step to an irq_work.
 */
#include "port/kernel/internal.h"

#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>

enum step { NOTHING, ARM, DISARM };

struct timer_impl {
	struct hrtimer timer;
	struct irq_work irq;
	void (*fn)(struct port_timer *t);
	/* What the irq_work is to do. One that finds itself overtaken does the newer step twice: that is harmless. */
	u64 ns;
	enum hrtimer_mode mode;
	enum step step;
};

static notrace struct timer_impl *impl(struct port_timer *t)
{
	BUILD_BUG_ON(sizeof(struct timer_impl) > sizeof(*t));
	return (struct timer_impl *)t;
}

static enum hrtimer_restart fired(struct hrtimer *h)
{
	struct timer_impl *i = container_of(h, struct timer_impl, timer);

	preempt_disable();
	i->fn((struct port_timer *)i);
	preempt_enable();
	return HRTIMER_NORESTART;
}

static void later(struct irq_work *irq)
{
	struct timer_impl *i = container_of(irq, struct timer_impl, irq);

	switch (smp_load_acquire(&i->step)) {
	case ARM:
		hrtimer_start(&i->timer, ns_to_ktime(READ_ONCE(i->ns)), READ_ONCE(i->mode));
		break;
	case DISARM:
		hrtimer_try_to_cancel(&i->timer);
		break;
	case NOTHING:
		break;
	}
}

void port_timer_init(struct port_timer *t, int clock, void (*fn)(struct port_timer *t))
{
	struct timer_impl *i = impl(t);

	hrtimer_init(&i->timer, clock, HRTIMER_MODE_REL_SOFT);
	i->timer.function = fired;
	i->irq = IRQ_WORK_INIT_HARD(later);
	i->fn = fn;
	i->step = NOTHING;
}

void port_timer_start(struct port_timer *t, u64 ns, bool absolute, bool pinned)
{
	struct timer_impl *i = impl(t);
	enum hrtimer_mode mode = absolute ? HRTIMER_MODE_ABS_SOFT : HRTIMER_MODE_REL_SOFT;

	if (pinned)
		mode |= HRTIMER_MODE_PINNED;
	if (!irqs_disabled()) {
		WRITE_ONCE(i->step, NOTHING);
		hrtimer_start(&i->timer, ns_to_ktime(ns), mode);
		return;
	}
	WRITE_ONCE(i->ns, ns);
	WRITE_ONCE(i->mode, mode);
	smp_store_release(&i->step, ARM);
	irq_work_queue(&i->irq);
}

int port_timer_cancel(struct port_timer *t)
{
	struct timer_impl *i = impl(t);
	int active;

	if (!irqs_disabled() && !in_hardirq()) {
		WRITE_ONCE(i->step, NOTHING);
		return hrtimer_cancel(&i->timer);
	}
	active = hrtimer_is_queued(&i->timer);
	smp_store_release(&i->step, DISARM);
	irq_work_queue(&i->irq);
	return active;
}

void port_timer_stop(struct port_timer *t)
{
	struct timer_impl *i = impl(t);

	irq_work_sync(&i->irq);
	hrtimer_cancel(&i->timer);
}
