// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sampling and counting events of the kernel's performance monitoring: hardware, software and cache events, and breakpoints. Each is a
 * counter that the kernel itself owns, whose overflow calls the core. Overflows come in any context: NMI, timer interrupt, or in the midst
 * of what a software event counts.
 */
#include "port/kernel/internal.h"

#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/perf_event.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>

struct perf_hook {
	struct port_event event;
	struct perf_event *perf;
	port_perf_fn fn;
	void *priv;
};

/* What a sample here can be made from; the rest of a sample_type says what a ring would hold. */
#define SAMPLED (PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD)

static notrace void on_overflow(struct perf_event *perf, struct perf_sample_data *data, struct pt_regs *regs)
{
	struct perf_hook *h = perf->overflow_handler_context;

	h->fn(perf, h->priv, regs, data->period, data->sample_flags & PERF_SAMPLE_ADDR ? data->addr : 0);
}
NOKPROBE_SYMBOL(on_overflow);

/* An overflow of a software event may be under way on this or another CPU when the event has gone: it runs without preemption. */
static void perf_detach(struct port_event *event)
{
	struct perf_hook *h = container_of(event, struct perf_hook, event);

	perf_event_release_kernel(h->perf);
	synchronize_rcu();
	kfree(h);
}

static void fill_attr(struct perf_event_attr *attr, const struct port_perf_spec *spec)
{
	*attr = (struct perf_event_attr){
		.type = spec->type,
		.size = sizeof(*attr),
		.config = spec->config,
		.sample_period = spec->period,
		.sample_type = spec->sample_type & SAMPLED,
		.bp_type = spec->bp_type,
		.config1 = spec->config1,
		.config2 = spec->config2,
	};
	/* The bit-fields are one word of the user interface, behind read_format. */
	memcpy((u8 *)attr + offsetofend(struct perf_event_attr, read_format), &spec->flags, sizeof(spec->flags));
}

static int find_task(s32 pid, struct task_struct **task)
{
	struct pid *p;

	*task = NULL;
	if (pid < 0)
		return 0;
	if (!pid) {
		*task = get_task_struct(current);
		return 0;
	}
	p = find_get_pid(pid);
	*task = get_pid_task(p, PIDTYPE_PID);
	put_pid(p);
	return *task ? 0 : -ESRCH;
}

int port_perf_attach(const struct port_perf_spec *spec, port_perf_fn fn, void *priv, struct port_event **out)
{
	struct perf_event_attr attr;
	struct task_struct *task;
	struct perf_hook *h;
	int ret;

	BUILD_BUG_ON(sizeof(struct pt_regs) != PORT_REGS_SIZE);
	fill_attr(&attr, spec);
	if (attr.freq && attr.sample_freq > modbpf_ksym_perf_rate())
		return -EINVAL;
	ret = find_task(spec->pid, &task);
	if (ret)
		return ret;
	h = modbpf_event_alloc(sizeof(*h), perf_detach);
	if (h) {
		h->fn = fn;
		h->priv = priv;
		h->perf = perf_event_create_kernel_counter(&attr, spec->cpu, task, on_overflow, h);
		ret = PTR_ERR_OR_ZERO(h->perf);
	} else {
		ret = -ENOMEM;
	}
	if (task)
		put_task_struct(task);
	if (ret) {
		kfree(h);
		return ret;
	}
	*out = &h->event;
	return 0;
}

static struct perf_event *counter_of(struct port_event *event)
{
	return container_of(event, struct perf_hook, event)->perf;
}

void port_perf_enable(struct port_event *event, bool on)
{
	if (on)
		perf_event_enable(counter_of(event));
	else
		perf_event_disable(counter_of(event));
}

int port_perf_period(struct port_event *event, u64 period)
{
	return perf_event_period(counter_of(event), period);
}

void port_perf_reset(struct port_event *event, bool enabled)
{
	perf_event_pause(counter_of(event), true);
	if (enabled)
		perf_event_enable(counter_of(event));
}

void *port_perf_counter(struct port_event *event)
{
	return counter_of(event);
}

notrace int port_perf_read(void *counter, u64 value[3])
{
	return modbpf_ksym_perf_read(counter, &value[0], &value[1], &value[2]);
}
