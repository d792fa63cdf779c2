// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of user space, in any context: the lock of an address space is only tried, and where interrupts are off its release, which may
 * wake others, waits until they are on again. One such release a CPU can be pending.
 */
#include "port/kernel/internal.h"

#include <linux/buildid.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/string.h>

/* Owned by whoever set `taken` (an NMI may come in between), until the lock is released. */
struct pending_unlock {
	struct irq_work work;
	int taken;
	struct mm_struct *mm;
};

static void unlock_pending(struct irq_work *work)
{
	struct pending_unlock *p = container_of(work, struct pending_unlock, work);

	up_read_non_owner(&p->mm->mmap_lock);
	smp_store_release(&p->taken, 0);
}

static DEFINE_PER_CPU(struct pending_unlock, pending);

/* 0, or -EBUSY. *later: who will release it, NULL: the caller itself. */
static notrace int try_lock_mm(struct mm_struct *mm, struct pending_unlock **later)
{
	*later = NULL;
	if (irqs_disabled()) {
		*later = this_cpu_ptr(&pending);
		if (xchg(&(*later)->taken, 1))
			return -EBUSY;
	}
	if (down_read_trylock(&mm->mmap_lock))
		return 0;
	if (*later)
		smp_store_release(&(*later)->taken, 0);
	return -EBUSY;
}

static notrace void release_mm(struct mm_struct *mm, struct pending_unlock *later)
{
	if (later) {
		later->mm = mm;
#ifdef CONFIG_DEBUG_LOCK_ALLOC
		rwsem_release(&mm->mmap_lock.dep_map, _RET_IP_);
#endif
		irq_work_queue(&later->work);
	} else {
		up_read(&mm->mmap_lock);
	}
}

/* The same with preemption off until the release. */
static notrace int lock_mm(struct mm_struct *mm, struct pending_unlock **later)
{
	int ret;

	preempt_disable_notrace();
	ret = try_lock_mm(mm, later);
	if (ret)
		preempt_enable_notrace();
	return ret;
}

static notrace void unlock_mm(struct mm_struct *mm, struct pending_unlock *later)
{
	release_mm(mm, later);
	preempt_enable_notrace();
}

void __init modbpf_vma_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu_ptr(&pending, cpu)->work = IRQ_WORK_INIT(unlock_pending);
}

/* At module exit: no program runs any more, so nothing new is pending. */
void modbpf_vma_flush(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu_ptr(&pending, cpu)->work);
}

/* The address space of another task, held; *mm NULL: it has none. */
static notrace int hold_mm(struct task_struct *task, struct mm_struct **mm)
{
	*mm = NULL;
	if (!modbpf_ksym_has_mmput())
		return -EOPNOTSUPP;
	if (irqs_disabled() || !spin_trylock(&task->alloc_lock))
		return -EBUSY;
	if (task->mm && !(task->flags & PF_KTHREAD)) {
		*mm = task->mm;
		mmget(*mm);
	}
	spin_unlock(&task->alloc_lock);
	return 0;
}

static notrace int find_in(struct mm_struct *mm, u64 addr, port_vma_fn fn, void *priv)
{
	struct pending_unlock *later;
	struct vm_area_struct *vma;
	int ret = lock_mm(mm, &later);

	if (ret)
		return ret;
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr && addr < vma->vm_end)
		fn(priv, (unsigned long)vma);
	else
		ret = -ENOENT;
	unlock_mm(mm, later);
	return ret;
}

notrace int port_find_vma(u64 task, u64 addr, port_vma_fn fn, void *priv)
{
	struct task_struct *t = (struct task_struct *)(unsigned long)task;
	struct mm_struct *mm = current->mm;
	int ret = 0;

	if (t != current)
		ret = hold_mm(t, &mm);
	if (ret)
		return ret;
	if (!mm)
		return -ENOENT;
	ret = find_in(mm, addr, fn, priv);
	if (t != current)
		modbpf_ksym_mmput(mm);
	return ret;
}

struct task_vmas {
	struct mm_struct *mm;
	bool held; /* the address space: another task's */
	struct pending_unlock *later;
	unsigned long at;
};

notrace size_t port_task_vmas_size(void)
{
	return sizeof(struct task_vmas);
}

notrace int port_task_vmas_start(void *walk, u64 task, u64 addr)
{
	struct task_struct *t = (struct task_struct *)(unsigned long)task;
	struct task_vmas *w = walk;
	int ret = 0;

	w->mm = current->mm;
	w->held = t != current;
	w->at = addr;
	if (w->held)
		ret = hold_mm(t, &w->mm);
	if (ret)
		return ret;
	if (!w->mm)
		return -ENOENT;
	ret = try_lock_mm(w->mm, &w->later);
	if (ret && w->held)
		modbpf_ksym_mmput(w->mm);
	return ret;
}

notrace u64 port_task_vmas_next(void *walk)
{
	struct task_vmas *w = walk;
	struct vm_area_struct *vma = find_vma(w->mm, w->at);

	if (vma)
		w->at = vma->vm_end;
	return (unsigned long)vma;
}

notrace void port_task_vmas_end(void *walk)
{
	struct task_vmas *w = walk;

	release_mm(w->mm, w->later);
	if (w->held)
		modbpf_ksym_mmput(w->mm);
}

static notrace void keep_address(struct port_build_id *id)
{
	id->status = PORT_BUILD_ID_IP;
	memset(id->id, 0, sizeof(id->id));
}

static notrace bool mapped_by(const struct vm_area_struct *vma, u64 ip)
{
	return vma && vma->vm_start <= ip && ip < vma->vm_end;
}

notrace void port_build_ids(struct port_build_id *ids, u32 n, bool user)
{
	struct vm_area_struct *vma = NULL;
	struct pending_unlock *later;
	u32 i, known = 0; /* the entry whose build id is `vma`'s */

	if (!user || !current->mm || lock_mm(current->mm, &later)) {
		for (i = 0; i < n; i++)
			keep_address(&ids[i]);
		return;
	}
	for (i = 0; i < n; i++) {
		u64 ip = ids[i].ip;

		if (mapped_by(vma, ip)) {
			memcpy(ids[i].id, ids[known].id, sizeof(ids[i].id));
		} else {
			vma = find_vma(current->mm, ip);
			if (!mapped_by(vma, ip) || modbpf_ksym_build_id(vma, ids[i].id)) {
				vma = NULL;
				keep_address(&ids[i]);
				continue;
			}
			known = i;
		}
		ids[i].ip = ((u64)vma->vm_pgoff << PAGE_SHIFT) + ip - vma->vm_start;
		ids[i].status = PORT_BUILD_ID_VALID;
	}
	unlock_mm(current->mm, later);
}
