// SPDX-License-Identifier: GPL-2.0-only
/*
 * What programs do to the current task and learn of it beside its identity: signals, writes to its memory, other
 * tasks' memory, pid namespaces. Contexts are at each function in port.h.
 */
#include "port/kernel/internal.h"

#include <asm/tlbflush.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/percpu.h>
#include <linux/pid_namespace.h>
#include <linux/proc_ns.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/security.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>

/* One signal a CPU that waits for interrupts to be on. Owned by whoever set `taken` (an NMI may come in between), until it is sent. */
struct pending_signal {
	struct irq_work work;
	int taken;
	struct task_struct *task;
	u32 sig;
	bool thread;
};

static int deliver(struct task_struct *task, u32 sig, bool thread)
{
	if (!sig) /* may it be sent? Nothing is: send_sig() would */
		return 0;
	return thread ? send_sig(sig, task, 1) : kill_pid(task_tgid(task), sig, 1);
}

static void deliver_pending(struct irq_work *work)
{
	struct pending_signal *p = container_of(work, struct pending_signal, work);

	deliver(p->task, p->sig, p->thread);
	put_task_struct(p->task);
	smp_store_release(&p->taken, 0);
}

static DEFINE_PER_CPU(struct pending_signal, pending);

notrace int port_send_signal(u32 sig, bool thread)
{
	struct pending_signal *p;

	if (current->flags & (PF_KTHREAD | PF_EXITING) || is_global_init(current))
		return -EPERM;
	if (!valid_signal(sig))
		return -EINVAL;
	if (!irqs_disabled())
		return deliver(current, sig, thread);
	p = this_cpu_ptr(&pending);
	if (xchg(&p->taken, 1))
		return -EBUSY;
	p->task = get_task_struct(current);
	p->sig = sig;
	p->thread = thread;
	irq_work_queue(&p->work);
	return 0;
}

void __init modbpf_signals_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu_ptr(&pending, cpu)->work = IRQ_WORK_INIT(deliver_pending);
}

/* At module exit: no program runs any more, so no new signal comes. */
void modbpf_signals_flush(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu_ptr(&pending, cpu)->work);
}

/* Is the memory that user addresses mean now the current task's? Not in the middle of a switch between tasks. */
static bool own_memory_is_loaded(void)
{
	return current->mm && current->mm->pgd == __va(read_cr3_pa());
}

notrace int port_probe_write_user(u64 dst, const void *src, size_t n)
{
	if (in_interrupt() || current->flags & (PF_KTHREAD | PF_EXITING) || !own_memory_is_loaded())
		return -EPERM;
	if (security_locked_down(LOCKDOWN_BPF_WRITE_USER))
		return -EPERM;
	return copy_to_user_nofault((void __user *)(unsigned long)dst, src, n);
}

long port_read_task_memory(u64 task, void *dst, u64 src, size_t n)
{
	int got = access_process_vm((struct task_struct *)(unsigned long)task, src, dst, n, 0);

	return got ? got : -EFAULT;
}

notrace u64 port_task_regs(u64 task)
{
	return (unsigned long)task_pt_regs((struct task_struct *)(unsigned long)task);
}

notrace int port_ns_pid_tgid(u64 dev, u64 ino, u32 *pid, u32 *tgid)
{
	struct pid_namespace *ns = task_active_pid_ns(current);

	if (!ns || !modbpf_ksym_ns_match(&ns->ns, dev, ino))
		return -EINVAL;
	*pid = task_pid_nr_ns(current, ns);
	*tgid = task_tgid_nr_ns(current, ns);
	return 0;
}
