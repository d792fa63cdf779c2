// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks. A port_spinlock holds a raw spinlock: it is taken with interrupts off, also where the kernel's spinlocks sleep.
 * trylock never waits, so it is the form for programs: in NMI, or in a probe that hit while this CPU holds the lock.
 */
#include "port/kernel/internal.h"

#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>

static __always_inline raw_spinlock_t *raw(struct port_spinlock *l)
{
	BUILD_BUG_ON(sizeof(raw_spinlock_t) > sizeof(*l));
	return (raw_spinlock_t *)l;
}

static struct mutex *mutex_of(struct port_mutex *m)
{
	BUILD_BUG_ON(sizeof(struct mutex) > sizeof(*m));
	return (struct mutex *)m;
}

enum kind { SPINLOCK, MUTEX, KINDS };

/*
 * Locks of one kind and name are one class for lockdep, as they would be by their places in a kernel's source. `name` is a literal of the module.
 * All keys lie in it, so that lockdep forgets them when it goes.
 */
static struct lock_class_key *class_of(enum kind kind, const char *name)
{
#ifdef CONFIG_DEBUG_LOCK_ALLOC
	static struct {
		const char *name;
		struct lock_class_key key;
	} classes[KINDS][64];
	const char *taken;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(classes[kind]); i++) {
		taken = cmpxchg(&classes[kind][i].name, NULL, name);
		if (!taken || !strcmp(taken, name))
			return &classes[kind][i].key;
	}
	WARN_ONCE(1, "modbpf: %s: no more classes of locks", name);
	return &classes[kind][0].key;
#else
	return NULL;
#endif
}

void port_spin_init(struct port_spinlock *l, const char *name)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(raw(l), name, class_of(SPINLOCK, name), LD_WAIT_SPIN);
#else
	raw_spin_lock_init(raw(l));
#endif
}

notrace unsigned long port_spin_lock(struct port_spinlock *l)
	__acquires(l)
{
	unsigned long flags;

	raw_spin_lock_irqsave(raw(l), flags);
	return flags;
}
NOKPROBE_SYMBOL(port_spin_lock);

notrace void port_spin_unlock(struct port_spinlock *l, unsigned long flags)
	__releases(l)
{
	raw_spin_unlock_irqrestore(raw(l), flags);
}
NOKPROBE_SYMBOL(port_spin_unlock);

notrace bool port_spin_trylock(struct port_spinlock *l, unsigned long *flags)
{
	return raw_spin_trylock_irqsave(raw(l), *flags);
}
NOKPROBE_SYMBOL(port_spin_trylock);

void port_mutex_init(struct port_mutex *m, const char *name)
{
	__mutex_init(mutex_of(m), name, class_of(MUTEX, name));
}

void port_mutex_lock(struct port_mutex *m)
{
	mutex_lock(mutex_of(m));
}

void port_mutex_unlock(struct port_mutex *m)
{
	mutex_unlock(mutex_of(m));
}

void port_mutex_destroy(struct port_mutex *m)
{
	mutex_destroy(mutex_of(m));
}

notrace unsigned long port_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}
NOKPROBE_SYMBOL(port_irq_save);

notrace struct port_irq_section port_irq_enter(void)
{
	struct port_irq_section s;

	local_irq_save(s.flags);
	s.cpu = raw_smp_processor_id();
	return s;
}
NOKPROBE_SYMBOL(port_irq_enter);

notrace void port_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}
NOKPROBE_SYMBOL(port_irq_restore);

notrace void port_preempt_disable(void)
{
	preempt_disable_notrace();
}
NOKPROBE_SYMBOL(port_preempt_disable);

notrace void port_preempt_enable(void)
{
	preempt_enable_notrace();
}
NOKPROBE_SYMBOL(port_preempt_enable);

notrace bool port_in_nmi(void)
{
	return in_nmi();
}
NOKPROBE_SYMBOL(port_in_nmi);

notrace bool port_in_hardirq(void)
{
	return in_hardirq() || in_nmi();
}
NOKPROBE_SYMBOL(port_in_hardirq);

void port_migrate_disable(void)
{
	migrate_disable();
}

void port_migrate_enable(void)
{
	migrate_enable();
}
