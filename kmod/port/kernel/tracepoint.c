// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoint events. Where nobody looks at the record none is made: the event is a probe at the tracepoint itself. Where somebody does,
 * those of the kernel itself are made by its own function (tracepoint_record.c), and those of system calls by ours (syscall_tp.c). The
 * others, of modules and of tracefs's dynamic events, are one kernel perf counter a CPU, period 1, whose overflow handler gets the record:
 * so the kernel fills it, filters recursion and enables the tracepoint, and all of that is exported interface.
 *
 * Locks: `events_lock` guards the list of attached events and their counters. Perf's locks are taken inside it, and under
 * those the kernel waits for CPU hotplug; so the hotplug callback may not take it. A CPU that comes up is only marked
 * stale, and a worker gives it new counters: the events of its first milliseconds are not seen.
 */
#include "port/kernel/internal.h"

#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/trace_events.h>
#include <linux/tracepoint.h>

struct tracepoint_event {
	struct port_event event;
	struct list_head node; /* in events */
	port_tracepoint_fn fn;
	void *priv;
	u32 id;
	struct perf_event *counters[]; /* by CPU; NULL while that CPU is down */
};

static DEFINE_MUTEX(events_lock);
static LIST_HEAD(events);
static struct cpumask stale_cpus; /* came up since the worker ran; bits set and cleared atomically */
static enum cpuhp_state hotplug_state;

static notrace void on_overflow(struct perf_event *counter, struct perf_sample_data *data, struct pt_regs *regs)
{
	struct tracepoint_event *e = counter->overflow_handler_context;
	struct perf_raw_record *raw = data->raw;

	if (raw)
		e->fn(e->priv, raw->frag.data, raw->frag.size, regs);
}
NOKPROBE_SYMBOL(on_overflow);

static int add_counter(struct tracepoint_event *e, unsigned int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = e->id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
	};
	struct perf_event *counter;

	if (modbpf_fail_nth())
		return -ENOMEM;
	counter = perf_event_create_kernel_counter(&attr, cpu, NULL, on_overflow, e);
	if (IS_ERR(counter))
		return PTR_ERR(counter);
	e->counters[cpu] = counter;
	return 0;
}

static void drop_counter(struct tracepoint_event *e, unsigned int cpu)
{
	if (e->counters[cpu])
		perf_event_release_kernel(e->counters[cpu]);
	e->counters[cpu] = NULL;
}

/* Handlers run in the tracepoint, with preemption off, and may be running yet on a CPU whose counter is gone. */
static void drop_all(struct tracepoint_event *e)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		drop_counter(e, cpu);
	tracepoint_synchronize_unregister();
	kfree(e);
}

static void detach(struct port_event *event)
{
	struct tracepoint_event *e = container_of(event, struct tracepoint_event, event);

	mutex_lock(&events_lock);
	list_del(&e->node);
	mutex_unlock(&events_lock);
	drop_all(e);
}

static int attach_counters(u32 id, port_tracepoint_fn fn, void *priv, struct port_event **out)
{
	struct tracepoint_event *e;
	unsigned int cpu;
	int ret = 0;

	e = modbpf_event_alloc(struct_size(e, counters, nr_cpu_ids), detach);
	if (!e)
		return -ENOMEM;
	e->fn = fn;
	e->priv = priv;
	e->id = id;

	mutex_lock(&events_lock);
	for_each_online_cpu(cpu) {
		ret = add_counter(e, cpu);
		if (ret == -ENODEV) /* it just went down */
			ret = 0;
		if (ret)
			break;
	}
	if (!ret)
		list_add_tail(&e->node, &events);
	mutex_unlock(&events_lock);
	if (ret) {
		drop_all(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}

/* Counters on a CPU that went down are dead for good, though still ours to release. */
static void renew_counters(struct work_struct *work)
{
	struct tracepoint_event *e;
	unsigned int cpu;
	int ret;

	mutex_lock(&events_lock);
	for_each_possible_cpu(cpu) {
		if (!cpumask_test_and_clear_cpu(cpu, &stale_cpus))
			continue;
		list_for_each_entry(e, &events, node) {
			drop_counter(e, cpu);
			ret = add_counter(e, cpu);
			if (ret && ret != -ENODEV)
				port_log(PORT_LOG_WARN, "tracepoint %u is not seen on CPU %u: error %d", e->id, cpu, ret);
		}
	}
	mutex_unlock(&events_lock);
}

static DECLARE_WORK(renew_work, renew_counters);

static int cpu_came_up(unsigned int cpu)
{
	cpumask_set_cpu(cpu, &stale_cpus);
	queue_work(modbpf_wq, &renew_work);
	return 0;
}

int modbpf_tracepoint_init(void)
{
	int ret = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "modbpf:online", cpu_came_up, NULL);

	if (ret < 0)
		return ret;
	hotplug_state = ret;
	return 0;
}

void modbpf_tracepoint_exit(void)
{
	cpuhp_remove_state_nocalls(hotplug_state);
	flush_work(&renew_work);
}

/* Calls fn(call, arg) for the event with that id, its list locked. -ENOENT: there is none. */
static int with_event(u32 id, int (*fn)(struct trace_event_call *call, void *arg), void *arg)
{
	struct trace_event_call *call;
	struct list_head *all;
	struct mutex *lock;
	int ret = -ENOENT;

	all = modbpf_ksym_trace_events(&lock);
	if (!all)
		return -ENOENT;
	mutex_lock(lock);
	list_for_each_entry(call, all, list) {
		if (call->event.type == id) {
			ret = fn(call, arg);
			break;
		}
	}
	mutex_unlock(lock);
	return ret;
}

struct name_buf {
	char *buf;
	size_t size;
};

static int write_name(struct trace_event_call *call, void *arg)
{
	struct name_buf *out = arg;

	snprintf(out->buf, out->size, "%s:%s", call->class->system, trace_event_name(call));
	return 0;
}

struct place {
	struct syscall_place syscall;
	const struct trace_event_call *own; /* of the kernel's own tracepoints */
	u32 record_size; /* of `own` */
	bool is_syscall;
};

/* How the kernel describes one field of a record (kernel/trace/trace.h, alike on 6.1 and 6.12); only these are read. */
struct record_field {
	struct list_head link;
	const char *name;
	const char *type;
	int filter_type;
	int offset;
	int size;
};

static int record_size(struct trace_event_call *call, void *arg)
{
	struct list_head *fields = call->class->get_fields ? call->class->get_fields(call) : &call->class->fields;
	struct record_field *field;
	int size = 0;

	list_for_each_entry(field, fields, link)
		size = max(size, field->offset + field->size);
	return size;
}

/* Nothing keeps a module's tracepoint here, as perf keeps those of its events; the kernel's own stay. */
static int find_place(struct trace_event_call *call, void *arg)
{
	struct place *place = arg;

	place->is_syscall = modbpf_syscall_tp(call, &place->syscall);
	if (!place->is_syscall && (call->flags & TRACE_EVENT_FL_TRACEPOINT) && !(call->flags & TRACE_EVENT_FL_DYNAMIC) && !call->module) {
		place->own = call;
		place->record_size = record_size(call, NULL);
	}
	return 0;
}

u8 modbpf_no_record[PERF_MAX_TRACE_SIZE] __aligned(sizeof(u64));

struct bare_event {
	struct port_event event;
	struct tracepoint *tp;
	port_tracepoint_fn fn;
	void *priv;
};

/* Kernels from 6.13 on let some tracepoints be preempted. */
static notrace void on_bare(void *data)
{
	struct bare_event *e = data;

	preempt_disable_notrace();
	e->fn(e->priv, modbpf_no_record, 0, NULL);
	preempt_enable_notrace();
}
NOKPROBE_SYMBOL(on_bare);

static void detach_bare(struct port_event *event)
{
	struct bare_event *e = container_of(event, struct bare_event, event);

	tracepoint_probe_unregister(e->tp, (void *)on_bare, e);
	tracepoint_synchronize_unregister();
	kfree(e);
}

static int attach_bare(struct tracepoint *tp, port_tracepoint_fn fn, void *priv, struct port_event **out)
{
	struct bare_event *e;
	int ret;

	e = modbpf_event_alloc(sizeof(*e), detach_bare);
	if (!e)
		return -ENOMEM;
	e->tp = tp;
	e->fn = fn;
	e->priv = priv;
	ret = tracepoint_probe_register(tp, (void *)on_bare, e);
	if (ret) {
		kfree(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}

int port_tracepoint_attach(u32 id, enum port_record_use use, port_tracepoint_fn fn, void *priv, struct port_kernel_counts *counts,
			   struct port_event **out)
{
	struct place place = {};
	int ret = with_event(id, find_place, &place);

	if (ret)
		return ret;
	if (place.is_syscall)
		return modbpf_syscall_tp_attach(&place.syscall, use, fn, priv, out);
	if (use == PORT_RECORD_UNUSED && place.own)
		return attach_bare(place.own->tp, fn, priv, out);
	if (place.own && modbpf_record_can(place.own))
		return modbpf_record_attach(place.own, place.record_size, fn, priv, counts, out);
	return attach_counters(id, fn, priv, out);
}

int port_tracepoint_name(u32 id, char *buf, size_t size)
{
	struct name_buf out = { buf, size };

	return with_event(id, write_name, &out);
}

int port_tracepoint_size(u32 id)
{
	return with_event(id, record_size, NULL);
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
