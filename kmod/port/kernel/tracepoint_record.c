// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoint events whose record is looked at, of the kernel's own tracepoints. Only the kernel knows how to fill a record: a function of
 * the event's class, which it generates for perf. That function is our probe at the tracepoint, called with a copy of the event that has no
 * perf counter, and one program: so when the record is made all that is left to do is to call that, which is us. Nothing is registered
 * with the kernel's BPF; its code runs on two objects of ours. Two of its rules come along, and both are Linux's for programs at
 * tracepoints: none runs inside a program of the kernel's own, or inside what its bpf() does to maps.
 *
 * The function works in buffers that perf has only while it has an event of a tracepoint. So one is kept, of the tracepoint that carries
 * trace_printk's lines, never switched on. `lock` guards it and its count; perf's locks are taken inside.
 */
#include "port/kernel/internal.h"

#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/trace_events.h>
#include <linux/tracepoint.h>

#if defined(CONFIG_BPF_EVENTS) && defined(CONFIG_PERF_EVENTS)

struct record_event {
	struct port_event event;
	struct trace_event_call call; /* a copy; as data of the probe its address tells it from others' */
	port_tracepoint_fn fn;
	void *priv;
	u32 size;
	struct bpf_prog_array *programs; /* `program`, and the end */
	struct bpf_prog program;
};

static DEFINE_MUTEX(lock);
static struct perf_event *buffers;
static unsigned int users;
static DEFINE_PER_CPU(struct hlist_head, no_counters);

/* A bpf_func of the kernel's: `insns` are the program's, of which ours has none. The record begins with the registers. */
static notrace unsigned int on_record(const void *record, const struct bpf_insn *insns)
{
	struct record_event *e = container_of((void *)insns, struct record_event, program.insnsi);

	e->fn(e->priv, (void *)record, e->size, *(struct pt_regs *const *)record);
	return 1;
}
NOKPROBE_SYMBOL(on_record);

static void no_overflow(struct perf_event *counter, struct perf_sample_data *data, struct pt_regs *regs)
{
}

static int open_buffers(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = modbpf_trace_line_event(),
		.disabled = 1,
	};
	struct perf_event *counter = ERR_PTR(-ENODEV);
	unsigned int cpu;

	for_each_online_cpu(cpu) { /* one may go down meanwhile; later it does no harm */
		counter = perf_event_create_kernel_counter(&attr, cpu, NULL, no_overflow, NULL);
		if (PTR_ERR_OR_ZERO(counter) != -ENODEV)
			break;
	}
	if (IS_ERR(counter))
		return PTR_ERR(counter);
	buffers = counter;
	return 0;
}

static int get_buffers(void)
{
	int ret = 0;

	mutex_lock(&lock);
	if (!users)
		ret = modbpf_fail_nth() ? -ENOMEM : open_buffers();
	if (!ret)
		users++;
	mutex_unlock(&lock);
	return ret;
}

static void put_buffers(void)
{
	mutex_lock(&lock);
	if (!--users)
		perf_event_release_kernel(buffers);
	mutex_unlock(&lock);
}

static void free_event(struct record_event *e)
{
	kfree(e->programs);
	kfree(e);
}

static void detach(struct port_event *event)
{
	struct record_event *e = container_of(event, struct record_event, event);

	tracepoint_probe_unregister(e->call.tp, e->call.class->perf_probe, &e->call);
	tracepoint_synchronize_unregister();
	put_buffers();
	free_event(e);
}

/* Where the kernel counts what it knows of `program`: the numbers are the core's. */
static struct bpf_prog_stats __percpu *stats_at(struct port_kernel_counts *counts)
{
	BUILD_BUG_ON(offsetof(struct bpf_prog_stats, cnt) != offsetof(struct port_kernel_counts, runs));
	BUILD_BUG_ON(offsetof(struct bpf_prog_stats, nsecs) != offsetof(struct port_kernel_counts, ns));
	BUILD_BUG_ON(offsetof(struct bpf_prog_stats, misses) != offsetof(struct port_kernel_counts, missed));
	BUILD_BUG_ON(sizeof(u64_stats_t) != sizeof(u64) || sizeof(struct u64_stats_sync));
	return (__force struct bpf_prog_stats __percpu *)counts;
}

static int fill(struct record_event *e, struct port_kernel_counts *counts)
{
	e->programs = modbpf_fail_nth() ? NULL : kzalloc(struct_size(e->programs, items, 2), GFP_KERNEL_ACCOUNT);
	if (!e->programs)
		return -ENOMEM;
	e->program.bpf_func = on_record;
	e->program.stats = stats_at(counts);
	e->programs->items[0].prog = &e->program;
	e->call.perf_events = &no_counters;
	RCU_INIT_POINTER(e->call.prog_array, e->programs);
	return 0;
}

int modbpf_record_attach(const struct trace_event_call *call, u32 size, port_tracepoint_fn fn, void *priv, struct port_kernel_counts *counts,
			 struct port_event **out)
{
	struct record_event *e;
	int ret;

	e = modbpf_event_alloc(sizeof(*e), detach);
	if (!e)
		return -ENOMEM;
	e->call = *call;
	e->fn = fn;
	e->priv = priv;
	e->size = size;
	ret = fill(e, counts);
	if (!ret)
		ret = get_buffers();
	if (!ret) {
		ret = tracepoint_probe_register(e->call.tp, e->call.class->perf_probe, &e->call);
		if (ret)
			put_buffers();
	}
	if (ret) {
		free_event(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}

bool modbpf_record_can(const struct trace_event_call *call)
{
	return call->class->reg == trace_event_reg && call->class->perf_probe;
}

#else /* the kernel makes records for perf only: its counters carry them */

int modbpf_record_attach(const struct trace_event_call *call, u32 size, port_tracepoint_fn fn, void *priv, struct port_kernel_counts *counts,
			 struct port_event **out)
{
	return -EOPNOTSUPP;
}

bool modbpf_record_can(const struct trace_event_call *call)
{
	return false;
}

#endif
