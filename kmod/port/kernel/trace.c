// SPDX-License-Identifier: GPL-2.0-only
/* trace_printk's way out: modbpf's own bpf_trace_printk event. Lines from any context; switching it on in task context. */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/string.h>
#include <linux/trace_events.h>

#define CREATE_TRACE_POINTS
#include "port/kernel/trace_event.h"

int modbpf_trace_line_event(void)
{
	return event_bpf_trace_printk.event.type;
}

notrace void port_trace_line(const char *text)
{
	trace_bpf_trace_printk(text, strlen(text) + 1);
}

/*
 * The kernel switches an event on by name, which walks all that it has. So its file in the main buffer is looked up once: it lives as
 * long as the event, which is the module's. It is asked each time, because a user may have switched it off since.
 */
void port_trace_line_enable(void)
{
	static struct trace_event_file *event;
	struct trace_event_file *file = READ_ONCE(event);
	int ret;

	if (file && (READ_ONCE(file->flags) & (EVENT_FILE_FL_ENABLED | EVENT_FILE_FL_SOFT_DISABLED)) == EVENT_FILE_FL_ENABLED)
		return;
	ret = trace_set_clr_event("modbpf", "bpf_trace_printk", 1);
	if (ret) {
		pr_warn_ratelimited("trace_printk lines will not be seen: no trace event (error %d)\n", ret);
		return;
	}
	file = trace_get_event_file(NULL, "modbpf", "bpf_trace_printk");
	if (IS_ERR(file))
		return;
	WRITE_ONCE(event, file);
	trace_put_event_file(file); /* it holds the module, which could not go any more */
}
