// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: zeroed pages, mapped into the kernel by vmap (the last mirror_size bytes twice) and inserted into user
 * mappings one by one at mmap time, so that no page fault handler is needed. A user mapping holds its own page
 * references; it also holds the file, and through it the region.
 */
#include "port/kernel/internal.h"

#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

struct port_region {
	void *addr;
	struct page **pages; /* count of them, then the mirrored ones again */
	size_t count;
	size_t mirrored;
	struct llist_node dying;
};

static void region_free(struct port_region *r)
{
	size_t i;

	if (r->addr)
		vunmap(r->addr);
	for (i = 0; i < r->count; i++) {
		__free_page(r->pages[i]);
		cond_resched();
	}
	kvfree(r->pages);
	kfree(r);
}

static int region_fill(struct port_region *r, size_t pages, size_t mirror)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	size_t i;

	for (i = 0; i < pages; i++) {
		struct page *page = alloc_page(gfp);

		if (!page)
			return -ENOMEM;
		r->pages[r->count++] = page;
		cond_resched();
	}
	for (i = 0; i < mirror; i++)
		r->pages[pages + i] = r->pages[pages - mirror + i];
	r->mirrored = mirror;
	r->addr = vmap(r->pages, pages + mirror, VM_MAP, PAGE_KERNEL);
	return r->addr ? 0 : -ENOMEM;
}

struct port_region *port_region_create(size_t size, size_t mirror_size)
{
	size_t pages = size >> PAGE_SHIFT;
	size_t mirror = mirror_size >> PAGE_SHIFT;
	struct port_region *r;

	BUILD_BUG_ON(PAGE_SIZE != PORT_PAGE_SIZE);
	if (!size || !PAGE_ALIGNED(size) || !PAGE_ALIGNED(mirror_size) || mirror > pages)
		return NULL;
	if (pages > totalram_pages() || pages + mirror > INT_MAX || modbpf_fail_nth())
		return NULL;
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return NULL;
	r->pages = kvmalloc_array(pages + mirror, sizeof(*r->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!r->pages || region_fill(r, pages, mirror)) {
		region_free(r);
		return NULL;
	}
	return r;
}

static LLIST_HEAD(dying);

static void free_dying(struct work_struct *work)
{
	struct port_region *r, *next;

	llist_for_each_entry_safe(r, next, llist_del_all(&dying), dying)
		region_free(r);
}

static DECLARE_WORK(dying_work, free_dying);

void port_region_destroy(struct port_region *r)
{
	if (!r)
		return;
	if (modbpf_may_sleep()) {
		region_free(r);
		return;
	}
	modbpf_count_deferred();
	if (llist_add(&r->dying, &dying))
		queue_work(modbpf_wq, &dying_work);
}

notrace void *port_region_addr(struct port_region *r)
{
	return r->addr;
}

notrace size_t port_region_size(struct port_region *r)
{
	return r->count << PAGE_SHIFT;
}

/* With the mirrored ones: user space maps these, too. */
struct page **modbpf_region_pages(struct port_region *r, size_t *count)
{
	*count = r->count + r->mirrored;
	return r->pages;
}
