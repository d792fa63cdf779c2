// SPDX-License-Identifier: GPL-2.0-only
/* CPUs, clocks, random numbers, and the run of a program at an event. Any context, unless port.h says task. */
#include "port/kernel/internal.h"

#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kprobes.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>
#include <linux/topology.h>

static DEFINE_PER_CPU(struct rnd_state, random_state);
static DEFINE_PER_CPU(void *, run_slot);

notrace unsigned int port_cpu_count(void)
{
	return nr_cpu_ids; /* as many as are possible: main.c refuses gaps */
}

notrace bool port_cpu_online(unsigned int cpu)
{
	return cpu < nr_cpu_ids && cpu_online(cpu);
}

notrace unsigned int port_cpu_id(void)
{
	return raw_smp_processor_id();
}

int port_call_on_cpu(unsigned int cpu, void (*fn)(void *arg), void *arg)
{
	if (!port_cpu_online(cpu))
		return -ENXIO;
	return smp_call_function_single(cpu, fn, arg, 1);
}

notrace int port_numa_node(void)
{
	return numa_node_id();
}

notrace u64 port_ktime_ns(void)
{
	return ktime_get_mono_fast_ns();
}

notrace u64 port_ktime_boot_ns(void)
{
	return ktime_get_boot_fast_ns();
}

notrace u64 port_ktime_coarse_ns(void)
{
	return ktime_get_coarse_ns();
}

notrace u64 port_ktime_tai_ns(void)
{
	return ktime_get_tai_fast_ns();
}

notrace u64 port_realtime_ns(void)
{
	return ktime_get_real_fast_ns();
}

notrace u64 port_jiffies(void)
{
	return get_jiffies_64();
}

const u64 *port_jiffies_word(void)
{
	return (const u64 *)&jiffies; /* unsigned long, which has all 64 bits here */
}

void modbpf_random_init(void)
{
	prandom_seed_full_state(&random_state);
}

/* An event that lands in the middle of another's step may repeat a value: these numbers are for sampling, not for keys. */
notrace u64 port_random_u32(void)
{
	u32 v;

	preempt_disable_notrace();
	v = prandom_u32_state(this_cpu_ptr(&random_state));
	preempt_enable_notrace();
	return v;
}

u64 port_random_seed(void)
{
	return get_random_u64();
}

void port_cond_resched(void)
{
	cond_resched();
}

bool port_need_resched(void)
{
	return need_resched();
}

bool port_signal_pending(void)
{
	return signal_pending(current);
}

notrace void **port_run_slot(void)
{
	return this_cpu_ptr(&run_slot);
}
NOKPROBE_SYMBOL(port_run_slot);

/*
 * The counter of this CPU is touched by it alone, by single instructions: an interrupt or NMI in between finds it raised or not, and leaves
 * it as it was. Preemption off is an RCU read section; lockdep alone wants to hear of it.
 */
notrace u64 port_run(const struct port_program *p, const void *ctx, void **run)
{
	u32 __percpu *active;
	u64 ret = 0;

	preempt_disable_notrace();
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_lock();
	active = (u32 __percpu __force *)p->active;
	if (likely(__this_cpu_inc_return(*active) == 1)) {
		run[0] = __this_cpu_read(run_slot);
		__this_cpu_write(run_slot, run);
		ret = READ_ONCE(*p->entry)(ctx);
		__this_cpu_write(run_slot, run[0]);
	} else {
		this_cpu_inc(*(u64 __percpu __force *)p->misses);
	}
	__this_cpu_dec(*active);
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		rcu_read_unlock();
	preempt_enable_notrace();
	return ret;
}
NOKPROBE_SYMBOL(port_run);
