// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log, self-check reports and text formatting. Any context.
 *
 * port_bug may be called from inside a program, on any lock of the scheduler or the console: it only claims a slot in a
 * fixed table, and an irq_work prints it later. One slot is one call site, so a site is reported once.
 */
#include "port/kernel/internal.h"

#include <linux/irq_work.h>

#define BUG_SITES 64

struct bug_site {
	unsigned long key; /* 0: free. Claimed by cmpxchg, never given back */
	const char *file;
	const char *what;
	int line;
	bool ready; /* file, what and line may be read; release/acquire */
	bool printed; /* only the irq_work touches it */
};

static struct bug_site bug_sites[BUG_SITES];

static void print_bugs(struct irq_work *work)
{
	unsigned int i;

	for (i = 0; i < BUG_SITES; i++) {
		struct bug_site *s = &bug_sites[i];

		if (!smp_load_acquire(&s->ready) || xchg(&s->printed, true))
			continue;
		pr_err("bug: %s:%d: %s\n", s->file, s->line, s->what);
	}
}

static struct irq_work bug_work = IRQ_WORK_INIT_HARD(print_bugs);

notrace void port_bug(const char *file, int line, const char *what)
{
	unsigned long key = (unsigned long)file + (unsigned long)line * 0x9e3779b9UL;
	unsigned int i;

	if (!key)
		key = 1;
	for (i = 0; i < BUG_SITES; i++) {
		struct bug_site *s = &bug_sites[i];
		unsigned long old = cmpxchg(&s->key, 0, key);

		if (old == key)
			return;
		if (old)
			continue;
		s->file = file;
		s->line = line;
		s->what = what;
		smp_store_release(&s->ready, true);
		irq_work_queue(&bug_work);
		return;
	}
}

/* The texts live in the module: nothing may be printed after it is gone. */
void modbpf_log_exit(void)
{
	irq_work_sync(&bug_work);
}

void port_log(enum port_log_level level, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	switch (level) {
	case PORT_LOG_ERR:
		pr_err("%pV\n", &vaf);
		break;
	case PORT_LOG_WARN:
		pr_warn("%pV\n", &vaf);
		break;
	case PORT_LOG_INFO:
		pr_info("%pV\n", &vaf);
		break;
	case PORT_LOG_DEBUG:
		pr_debug("%pV\n", &vaf);
		break;
	}
	va_end(args);
}

notrace int port_vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	return vsnprintf(buf, size, fmt, args);
}

notrace int port_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

notrace int port_format_symbol(char *buf, size_t size, char kind, u64 addr)
{
	void *p = (void *)(unsigned long)addr;

	switch (kind) {
	case 's':
		return snprintf(buf, size, "%ps", p);
	case 'B':
		return snprintf(buf, size, "%pB", p);
	case 'p':
		return snprintf(buf, size, "%p", p);
	case 'K':
		return snprintf(buf, size, "%pK", p);
	default:
		return snprintf(buf, size, "%pS", p);
	}
}
