// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory: kvzalloc'ed objects and per-CPU storage, charged to the caller's memory cgroup, or to one that is set for it.
 *
 * Scratch memory comes in powers of two of bytes, and some of each size is kept: the kernel's way to a block, which clears it, costs more than
 * many of them are used for. What is kept stays charged to who had it made.
 *
 * vfree may sleep, and port_free may not: what was vmalloc'ed and is freed in atomic context goes on a lock-free list
 * and a worker frees it. The list's node lies in the dying memory itself.
 */
#include "port/kernel/internal.h"

#include <linux/kprobes.h>
#include <linux/llist.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#ifdef MODBPF_DEBUG
static DEFINE_RAW_SPINLOCK(fail_lock); /* guards the two below; task and atomic context */
static u64 fail_countdown;
static u64 fail_counted;

bool modbpf_fail_nth(void)
{
	unsigned long flags;
	bool fail;

	raw_spin_lock_irqsave(&fail_lock, flags);
	fail_counted++;
	fail = fail_countdown && --fail_countdown == 0;
	raw_spin_unlock_irqrestore(&fail_lock, flags);
	return fail;
}

u64 port_fail_nth_set(u64 n)
{
	unsigned long flags;
	u64 counted;

	raw_spin_lock_irqsave(&fail_lock, flags);
	counted = fail_counted;
	fail_counted = 0;
	fail_countdown = n;
	raw_spin_unlock_irqrestore(&fail_lock, flags);
	return counted;
}
#else
bool modbpf_fail_nth(void)
{
	return false;
}

u64 port_fail_nth_set(u64 n)
{
	return 0;
}
#endif

/*
 * Pieces in one run of physical memory are a power of two of pages: fine for speed, as long as little of that is left over. Mapped page by page,
 * nothing is. Below what the kernel finds costly it is not worth the mapping.
 */
static bool wastes_pages(size_t size)
{
	size_t whole = PAGE_SIZE << get_order(size);

	return size > (PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER) && whole - size > size / 8;
}

void *port_alloc(size_t size, enum port_alloc_ctx ctx)
{
	if (!size || size > PORT_ALLOC_MAX || modbpf_fail_nth())
		return NULL;
	if (ctx == PORT_SLEEPING && wastes_pages(size))
		return __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | __GFP_ZERO);
	if (ctx == PORT_SLEEPING)
		return kvzalloc(size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (size > KMALLOC_MAX_SIZE)
		return NULL;
	return kzalloc(size, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT);
}

enum {
	SCRATCH_MIN_SHIFT = 6, /* up to half of that the slab allocator is as fast */
	SCRATCH_MAX_SHIFT = 16, /* larger ones are rare, and most of their cost is what is done with them */
	SCRATCH_KEPT = 32 << 10, /* bytes of one size; at least one block. All together: less than 400 KiB */
};

struct scratch_size {
	raw_spinlock_t lock; /* guards the two below; task context */
	unsigned int count;
	void **first; /* a kept block begins with the next one's address */
};

static struct scratch_size scratch_sizes[SCRATCH_MAX_SHIFT + 1] = {
	[0 ... SCRATCH_MAX_SHIFT] = { .lock = __RAW_SPIN_LOCK_UNLOCKED(scratch_sizes.lock) },
};

/* NULL: blocks of that size are not kept. KASAN is to see what is used behind its end. */
static struct scratch_size *scratch_size_of(size_t size)
{
	if (size <= 1u << (SCRATCH_MIN_SHIFT - 1) || size > 1u << SCRATCH_MAX_SHIFT || IS_ENABLED(CONFIG_KASAN))
		return NULL;
	return &scratch_sizes[fls_long(size - 1)];
}

void *port_scratch_alloc(size_t size)
{
	struct scratch_size *s = scratch_size_of(size);
	void **p;

	if (!s)
		return port_alloc(size, PORT_SLEEPING);
	if (modbpf_fail_nth())
		return NULL;
	raw_spin_lock(&s->lock);
	p = s->first;
	if (p) {
		s->first = *p;
		s->count--;
	}
	raw_spin_unlock(&s->lock);
	return p ?: kvmalloc(1ul << (s - scratch_sizes), GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
}

void port_scratch_free(void *block, size_t size)
{
	struct scratch_size *s = scratch_size_of(size);
	void **p = block;

	if (p && s) {
		raw_spin_lock(&s->lock);
		if (s->count << (s - scratch_sizes) < SCRATCH_KEPT) {
			*p = s->first;
			s->first = p;
			s->count++;
			p = NULL;
		}
		raw_spin_unlock(&s->lock);
	}
	if (p)
		port_free(p);
}

void modbpf_memory_exit(void)
{
	struct scratch_size *s;
	void **p;

	for (s = scratch_sizes; s <= scratch_sizes + SCRATCH_MAX_SHIFT; s++) {
		while ((p = s->first)) {
			s->first = *p;
			kvfree(p);
		}
	}
}

static LLIST_HEAD(dying);

static void free_dying(struct work_struct *work)
{
	struct llist_node *n = llist_del_all(&dying);

	while (n) {
		struct llist_node *next = n->next;

		vfree(n);
		cond_resched();
		n = next;
	}
}

static DECLARE_WORK(dying_work, free_dying);

void port_free(void *p)
{
	if (!is_vmalloc_addr(p)) {
		kfree(p);
		return;
	}
	if (modbpf_may_sleep()) {
		vfree(p);
		return;
	}
	modbpf_count_deferred();
	if (llist_add(p, &dying))
		queue_work(modbpf_wq, &dying_work);
}

struct port_payer *port_payer_get(void)
{
	return (struct port_payer *)get_mem_cgroup_from_mm(current->mm);
}

void port_payer_put(struct port_payer *p)
{
	mem_cgroup_put((struct mem_cgroup *)p);
}

struct port_payer *port_payer_set(struct port_payer *p)
{
	return (struct port_payer *)set_active_memcg((struct mem_cgroup *)p);
}

u64 port_memory_bytes(void)
{
	long pages = si_mem_available();

	return pages > 0 ? (u64)pages << PAGE_SHIFT : 0;
}

void *port_percpu_alloc(size_t size, size_t align, enum port_alloc_ctx ctx)
{
	gfp_t gfp = ctx == PORT_SLEEPING ? GFP_KERNEL_ACCOUNT : GFP_ATOMIC | __GFP_ACCOUNT;

	if (!size || size > PORT_PERCPU_MAX || align > PAGE_SIZE || modbpf_fail_nth())
		return NULL;
	return (__force void *)__alloc_percpu_gfp(size, align, gfp | __GFP_NOWARN);
}

void port_percpu_free(void *p)
{
	free_percpu((__force void __percpu *)p);
}

notrace void *port_percpu_ptr(void *p, unsigned int cpu)
{
	return per_cpu_ptr((__force void __percpu *)p, cpu);
}

notrace void *port_this_cpu_ptr(void *p)
{
	return this_cpu_ptr((__force void __percpu *)p);
}

notrace void port_percpu_add(u64 *p, u64 n)
{
	this_cpu_add(*(u64 __percpu __force *)p, n);
}
NOKPROBE_SYMBOL(port_percpu_add);
