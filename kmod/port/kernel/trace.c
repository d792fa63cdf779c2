// SPDX-License-Identifier: GPL-2.0-only
/* trace_printk's way out: modbpf's own bpf_trace_printk event. Lines from any context; switching it on in task context. */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/string.h>
#include <linux/trace_events.h>

#define CREATE_TRACE_POINTS
#include "port/kernel/trace_event.h"

notrace void port_trace_line(const char *text)
{
	trace_bpf_trace_printk(text, strlen(text) + 1);
}

void port_trace_line_enable(void)
{
	int ret = trace_set_clr_event("modbpf", "bpf_trace_printk", 1);

	if (ret)
		pr_warn_ratelimited("trace_printk lines will not be seen: no trace event (error %d)\n", ret);
}
