// SPDX-License-Identifier: GPL-2.0-only
/*
 * Facts about the kernel's perf events that attaching needs: how much of a tracepoint's record a program may read, and the number of
 * a dynamic PMU. Read-only; task context.
 */
#include "port/kernel/internal.h"

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/string.h>
#include <linux/trace_events.h>

/* How the kernel describes one field of a record (kernel/trace/trace.h, alike on 6.1 and 6.12); only these members are read. */
struct record_field {
	struct list_head link;
	const char *name;
	const char *type;
	int filter_type;
	int offset;
	int size;
};

int port_tracepoint_size(u32 id)
{
	struct trace_event_call *call;
	struct list_head *all, *fields;
	struct record_field *field;
	struct mutex *lock;
	int ret = -ENOENT;

	all = modbpf_ksym_trace_events(&lock);
	if (!all)
		return -ENOENT;
	mutex_lock(lock);
	list_for_each_entry(call, all, list) {
		if (call->event.type != id)
			continue;
		fields = call->class->get_fields ? call->class->get_fields(call) : &call->class->fields;
		ret = 0;
		list_for_each_entry(field, fields, link)
			ret = max(ret, field->offset + field->size);
		break;
	}
	mutex_unlock(lock);
	return ret;
}

int port_perf_pmu_type(const char *name)
{
	const struct pmu *pmu = NULL;

	if (!strcmp(name, "kprobe"))
		pmu = (const struct pmu *)port_ksym_lookup("perf_kprobe");
	else if (!strcmp(name, "uprobe"))
		pmu = (const struct pmu *)port_ksym_lookup("perf_uprobe");
	return pmu ? pmu->type : -ENOENT;
}
