// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoint events of system calls. One probe of ours on sys_enter, and one on sys_exit, is there while any such event is attached; both
 * find the events by the call's number, and make the record, as events/syscalls/.../format describes it, when there is one.
 *
 * The record lies on the stack, where programs see no more of it than they were checked to read. Who goes on to other programs, which may
 * read as much as any record has, gets it in memory of that size, which all those share: nothing comes upon one of these tracepoints.
 *
 * `lock` guards the lists, the probes and that memory. Probes read the lists under RCU, which preemption off is: they are unlinked, and
 * freed behind a grace period. A list goes from new to old.
 */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/trace_events.h>
#include <asm/ftrace.h>
#include <asm/syscall.h>
#include <trace/syscall.h>

struct syscall_event {
	struct port_event event;
	struct syscall_event *next;
	port_tracepoint_fn fn;
	void *priv;
	struct record __percpu *longest; /* where it gets its record; NULL: where that is made */
	u32 size; /* of its record */
	int nr;
	bool exit;
};

struct record {
	u64 common; /* no program may load it */
	u64 nr; /* an int, and padding */
	union {
		unsigned long args[6];
		long ret;
	};
};

struct side {
	const char *tracepoint;
	port_raw_tp_fn probe;
	struct port_event *hook;
	u32 count;
	struct syscall_event *by_nr[NR_syscalls];
};

static DEFINE_MUTEX(lock);
static struct side sides[2]; /* entries, exits */
static struct record __percpu *longest;
static u32 longest_users;

/* -1: a 32-bit call, which has other numbers. */
static __always_inline int number_of(struct pt_regs *regs)
{
#ifdef ARCH_TRACE_IGNORE_COMPAT_SYSCALLS
	if (arch_trace_is_compat_syscall(regs))
		return -1;
#endif
	return syscall_get_nr(current, regs);
}

static __always_inline struct syscall_event *first(struct side *s, int nr)
{
	return nr >= 0 && nr < NR_syscalls ? READ_ONCE(s->by_nr[nr]) : NULL;
}

/* Kernels from 6.13 on let these tracepoints be preempted. */
static __always_inline void call(bool exit, struct pt_regs *regs)
{
	struct record record, *seen;
	struct syscall_event *e;

	preempt_disable_notrace();
	e = first(&sides[exit], number_of(regs));
	if (e) {
		record.common = 0;
		record.nr = e->nr;
		if (exit)
			record.ret = syscall_get_return_value(current, regs);
		else
			syscall_get_arguments(current, regs, record.args);
		for (; e; e = READ_ONCE(e->next)) {
			seen = &record;
			if (e->longest) {
				seen = this_cpu_ptr(e->longest);
				memcpy(seen, &record, e->size);
			}
			e->fn(e->priv, seen, e->size, &modbpf_at_system_call[exit]);
		}
	}
	preempt_enable_notrace();
}

static notrace void on_enter(void *unused, struct pt_regs *regs, long id)
{
	call(false, regs);
}
NOKPROBE_SYMBOL(on_enter);

static notrace void on_exit(void *unused, struct pt_regs *regs, long ret)
{
	call(true, regs);
}
NOKPROBE_SYMBOL(on_exit);

unsigned long modbpf_syscall_probe(bool exit)
{
	return (unsigned long)(exit ? (void *)on_exit : (void *)on_enter);
}

static struct side sides[2] = {
	{ .tracepoint = "sys_enter", .probe = (port_raw_tp_fn)(void *)on_enter },
	{ .tracepoint = "sys_exit", .probe = (port_raw_tp_fn)(void *)on_exit },
};

static int get_longest_locked(struct syscall_event *e)
{
	if (!longest_users)
		longest = modbpf_fail_nth() ? NULL : __alloc_percpu_gfp(PERF_MAX_TRACE_SIZE, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!longest)
		return -ENOMEM;
	longest_users++;
	e->longest = longest;
	return 0;
}

/* The memory that its users have no more, once none of their runs is under way; or NULL. */
static struct record __percpu *put_longest_locked(struct syscall_event *e)
{
	return e->longest && !--longest_users ? e->longest : NULL;
}

static int link_in_locked(struct syscall_event *e, enum port_record_use use)
{
	struct side *s = &sides[e->exit];
	int ret = use == PORT_RECORD_ANY ? get_longest_locked(e) : 0;

	if (ret || s->count)
		return ret;
	ret = port_raw_tp_attach(s->tracepoint, 0, s->probe, s, &s->hook);
	if (ret)
		free_percpu(put_longest_locked(e));
	return ret;
}

static int link_in(struct syscall_event *e, enum port_record_use use)
{
	struct side *s = &sides[e->exit];
	int ret;

	mutex_lock(&lock);
	ret = link_in_locked(e, use);
	if (!ret) {
		s->count++;
		e->next = s->by_nr[e->nr];
		smp_store_release(&s->by_nr[e->nr], e);
	}
	mutex_unlock(&lock);
	return ret;
}

static void detach(struct port_event *event)
{
	struct syscall_event *e = container_of(event, struct syscall_event, event), **at;
	struct side *s = &sides[e->exit];
	struct record __percpu *unused;

	mutex_lock(&lock);
	for (at = &s->by_nr[e->nr]; *at != e; at = &(*at)->next)
		;
	WRITE_ONCE(*at, e->next);
	if (!--s->count)
		port_event_detach(s->hook);
	unused = put_longest_locked(e);
	mutex_unlock(&lock);
	synchronize_rcu();
	free_percpu(unused);
	kfree(e);
}

bool modbpf_syscall_tp(const struct trace_event_call *call, struct syscall_place *place)
{
	const struct syscall_metadata *meta = call->data;

	if (strcmp(call->class->system, "syscalls") || !meta || (meta->enter_event != call && meta->exit_event != call))
		return false;
	place->nr = meta->syscall_nr;
	place->args = meta->nb_args;
	place->exit = meta->exit_event == call;
	return place->nr >= 0 && place->nr < NR_syscalls;
}

int modbpf_syscall_tp_attach(const struct syscall_place *place, enum port_record_use use, port_tracepoint_fn fn, void *priv,
			     struct port_event **out)
{
	struct syscall_event *e;
	int ret;

	e = modbpf_event_alloc(sizeof(*e), detach);
	if (!e)
		return -ENOMEM;
	e->fn = fn;
	e->priv = priv;
	e->nr = place->nr;
	e->exit = place->exit;
	e->size = place->exit ? offsetofend(struct record, ret) : offsetof(struct record, args[place->args]);
	ret = link_in(e, use);
	if (ret) {
		kfree(e);
		return ret;
	}
	*out = &e->event;
	return 0;
}
