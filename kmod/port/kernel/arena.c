// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas: an area of the kernel's addresses in which pages stand one by one, and the accesses of programs to it.
 *
 * User mappings belong to an inode of the arena's own (file.c makes it the one of each file of the map), so that the kernel itself finds
 * all that show a page: unmap_mapping_range() excludes those that come and go, whatever locks the caller holds. A page is freed when
 * no mapping shows it and no CPU remembers where it was. An access where none is faults, and goes on behind it by the module's table of
 * exceptions.
 */
#include "port/kernel/internal.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/asm.h>
#include <asm/ibt.h>
#include <asm/linkage.h>

#define ARENA_BYTES ((unsigned long)PORT_ARENA_PAGES << PAGE_SHIFT)
#ifndef VM_SPARSE /* who reads the kernel's areas finds out page by page */
#define VM_SPARSE VM_MAP
#endif

struct port_arena {
	struct vm_struct *area;
	struct inode *inode;
	u64 *present; /* a bit for each page */
	u32 first;    /* page at offset 0 of user mappings */
};

static int arena_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x6d6f6462) ? 0 : -ENOMEM;
}

static struct file_system_type arena_fs = {
	.name = "modbpf-arena",
	.owner = THIS_MODULE,
	.init_fs_context = arena_fs_context,
	.kill_sb = kill_anon_super,
};
static struct vfsmount *arena_mount;
static int arena_mounted;

static int arena_inode(struct port_arena *a)
{
	struct inode *inode;
	int ret = simple_pin_fs(&arena_fs, &arena_mount, &arena_mounted);

	if (ret)
		return ret;
	inode = alloc_anon_inode(arena_mount->mnt_sb);
	if (IS_ERR(inode)) {
		simple_release_fs(&arena_mount, &arena_mounted);
		return PTR_ERR(inode);
	}
	a->inode = inode;
	return 0;
}

static void arena_inode_put(struct port_arena *a)
{
	iput(a->inode);
	simple_release_fs(&arena_mount, &arena_mounted);
}

/* What user space finds of a strict one is the core's to decide here, in port_file_ops::fault. */
int port_arena_create(bool strict, struct port_arena **out)
{
	struct port_arena *a;
	int ret = -ENOMEM;

	if (!modbpf_ksym_kernel_mm())
		return -EOPNOTSUPP;
	a = port_alloc(sizeof(*a), PORT_SLEEPING);
	if (!a)
		return -ENOMEM;
	a->present = port_alloc(PORT_ARENA_PAGES / 8, PORT_SLEEPING);
	if (!a->present)
		goto no_bits;
	a->area = modbpf_fail_nth() ? NULL : modbpf_ksym_get_vm_area(ARENA_BYTES + 2 * PORT_ARENA_GUARD, VM_SPARSE);
	if (!a->area)
		goto no_area;
	ret = arena_inode(a);
	if (ret)
		goto no_inode;
	*out = a;
	return 0;

no_inode:
	free_vm_area(a->area);
no_area:
	port_free(a->present);
no_bits:
	port_free(a);
	return ret;
}

void port_arena_destroy(struct port_arena *a)
{
	if (!a)
		return;
	port_arena_remove(a, 0, PORT_ARENA_PAGES);
	free_vm_area(a->area);
	arena_inode_put(a);
	port_free(a->present);
	port_free(a);
}

u64 port_arena_base(const struct port_arena *a)
{
	return (unsigned long)a->area->addr + PORT_ARENA_GUARD;
}

const u64 *port_arena_pages(struct port_arena *a)
{
	return a->present;
}

static unsigned long address_of(struct port_arena *a, u32 page)
{
	return port_arena_base(a) + ((unsigned long)page << PAGE_SHIFT);
}

static bool has_page(struct port_arena *a, u32 page)
{
	return a->present[page / 64] >> page % 64 & 1;
}

static void mark(struct port_arena *a, u32 page, bool there)
{
	if (there)
		a->present[page / 64] |= BIT_ULL(page % 64);
	else
		a->present[page / 64] &= ~BIT_ULL(page % 64);
}

static void free_pages_of(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_page(page);
		cond_resched();
	}
}

static int show_page(pte_t *pte, unsigned long addr, void *pages)
{
	struct page *page = list_first_entry((struct list_head *)pages, struct page, lru);

	list_del(&page->lru);
	set_pte_at(modbpf_ksym_kernel_mm(), addr, pte, mk_pte(page, PAGE_KERNEL));
	return 0;
}

static int hide_page(pte_t *pte, unsigned long addr, void *pages)
{
	struct page *page = pte_page(ptep_get_and_clear(modbpf_ksym_kernel_mm(), addr, pte));

	list_add(&page->lru, pages);
	return 0;
}

/* Each at a time: the tables are there, so this allocates nothing and does not fail. */
static void hide_pages(struct port_arena *a, u32 page, u32 count, struct list_head *pages)
{
	u32 i;

	for (i = page; i < page + count; i++) {
		if (!has_page(a, i))
			continue;
		if (apply_to_page_range(modbpf_ksym_kernel_mm(), address_of(a, i), PAGE_SIZE, hide_page, pages))
			port_bug(__FILE__, __LINE__, "a page of an arena cannot be found");
		mark(a, i, false);
		cond_resched();
	}
}

void port_arena_remove(struct port_arena *a, u32 page, u32 count)
{
	LIST_HEAD(pages);

	hide_pages(a, page, count, &pages);
	if (list_empty(&pages))
		return;
	if (page >= a->first) /* nobody has mapped it, when all of the arena goes */
		unmap_mapping_range(a->inode->i_mapping, (loff_t)(page - a->first) << PAGE_SHIFT, (loff_t)count << PAGE_SHIFT, 1);
	modbpf_ksym_flush_tlb(address_of(a, page), address_of(a, page) + ((unsigned long)count << PAGE_SHIFT));
	free_pages_of(&pages);
}

int port_arena_add(struct port_arena *a, u32 page, u32 count, int node)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	u32 i, shown = 0;
	LIST_HEAD(pages);
	int ret;

	if (node != NUMA_NO_NODE && ((unsigned int)node >= nr_node_ids || !node_online(node)))
		return -EINVAL;
	if (count > totalram_pages() || modbpf_fail_nth())
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		struct page *p = alloc_pages_node(node, gfp, 0);

		if (!p) {
			free_pages_of(&pages);
			return -ENOMEM;
		}
		list_add_tail(&p->lru, &pages);
		cond_resched();
	}
	for (; shown < count; shown++) {
		ret = apply_to_page_range(modbpf_ksym_kernel_mm(), address_of(a, page + shown), PAGE_SIZE, show_page, &pages);
		if (ret) {
			port_arena_remove(a, page, shown);
			free_pages_of(&pages);
			return ret;
		}
		mark(a, page + shown, true);
		cond_resched();
	}
	return 0;
}

struct address_space *modbpf_arena_mapping(struct port_arena *a)
{
	return a->inode->i_mapping;
}

void modbpf_arena_mapped_at(struct port_arena *a, unsigned long start)
{
	a->first = (u32)start >> PAGE_SHIFT;
}

struct page *modbpf_arena_page(struct port_arena *a, u32 page)
{
	return has_page(a, page) ? vmalloc_to_page((void *)address_of(a, page)) : NULL;
}

/* ---- accesses ------------------------------------------------------------------------------------------- */

/* Where direct calls are counted, they enter functions in the padding before them. */
#ifdef CONFIG_FUNCTION_PADDING_BYTES
#define PADDING ".skip " __stringify(CONFIG_FUNCTION_PADDING_BYTES) ", 0x90\n"
#else
#define PADDING
#endif

/* insn at 1; 2: goes on behind it; 3: behind a fault instead. */
#define CODE(name, insn, after, faulted) \
	asm(".pushsection .text, \"ax\"\n.balign 16\n" PADDING \
	    ".globl modbpf_arena_" #name "\n.type modbpf_arena_" #name ", @function\nmodbpf_arena_" #name ":\n" \
	    ASM_ENDBR "1: " insn "\n2: " after "\n" ASM_RET "\n3: " faulted "\njmp 2b\n" _ASM_EXTABLE(1b, 3b) \
	    ".size modbpf_arena_" #name ", . - modbpf_arena_" #name "\n.popsection"); \
	extern const char modbpf_arena_##name[];

/* Each with its index in the table. */
#define CODES(X) \
	X(load1, PORT_ARENA_LOAD, 0, "movzbl (%r9), %r10d", "", "xorl %r10d, %r10d") \
	X(load2, PORT_ARENA_LOAD, 1, "movzwl (%r9), %r10d", "", "xorl %r10d, %r10d") \
	X(load4, PORT_ARENA_LOAD, 2, "movl (%r9), %r10d", "", "xorl %r10d, %r10d") \
	X(load8, PORT_ARENA_LOAD, 3, "movq (%r9), %r10", "", "xorl %r10d, %r10d") \
	X(store1, PORT_ARENA_STORE, 0, "movb %r10b, (%r9)", "", "") \
	X(store2, PORT_ARENA_STORE, 1, "movw %r10w, (%r9)", "", "") \
	X(store4, PORT_ARENA_STORE, 2, "movl %r10d, (%r9)", "", "") \
	X(store8, PORT_ARENA_STORE, 3, "movq %r10, (%r9)", "", "") \
	X(add4, PORT_ARENA_ADD, 2, "lock addl %r10d, (%r9)", "", "") \
	X(add8, PORT_ARENA_ADD, 3, "lock addq %r10, (%r9)", "", "") \
	X(and4, PORT_ARENA_AND, 2, "lock andl %r10d, (%r9)", "", "") \
	X(and8, PORT_ARENA_AND, 3, "lock andq %r10, (%r9)", "", "") \
	X(or4, PORT_ARENA_OR, 2, "lock orl %r10d, (%r9)", "", "") \
	X(or8, PORT_ARENA_OR, 3, "lock orq %r10, (%r9)", "", "") \
	X(xor4, PORT_ARENA_XOR, 2, "lock xorl %r10d, (%r9)", "", "") \
	X(xor8, PORT_ARENA_XOR, 3, "lock xorq %r10, (%r9)", "", "") \
	X(xadd4, PORT_ARENA_XADD, 2, "lock xaddl %r10d, (%r9)", "movl %r10d, %r10d", "") \
	X(xadd8, PORT_ARENA_XADD, 3, "lock xaddq %r10, (%r9)", "", "") \
	X(xchg4, PORT_ARENA_XCHG, 2, "xchgl %r10d, (%r9)", "movl %r10d, %r10d", "") \
	X(xchg8, PORT_ARENA_XCHG, 3, "xchgq %r10, (%r9)", "", "") \
	X(cmpxchg4, PORT_ARENA_CMPXCHG, 2, "lock cmpxchgl %r10d, (%r9)", "movl %eax, %eax", "") \
	X(cmpxchg8, PORT_ARENA_CMPXCHG, 3, "lock cmpxchgq %r10, (%r9)", "", "")

#define DEFINE(name, op, width, insn, after, faulted) CODE(name, insn, after, faulted)
CODES(DEFINE)

#define ENTRY(name, op, width, insn, after, faulted) [op][width] = modbpf_arena_##name,
static const char *const codes[PORT_ARENA_OPS][4] = { CODES(ENTRY) };

u64 port_arena_code(enum port_arena_op op, u32 width)
{
	if (op >= PORT_ARENA_OPS || !is_power_of_2(width) || width > 8)
		return 0;
	return (unsigned long)codes[op][ilog2(width)];
}

#define CALL(name, op, width, insn, after, faulted) \
	case (op) * 4 + (width): \
		asm volatile("call modbpf_arena_" #name : "+r"(r10), "+a"(rax), ASM_CALL_CONSTRAINT : "r"(r9) : "memory", "cc"); \
		break;

notrace u64 port_arena_access(enum port_arena_op op, u32 width, u64 addr, u64 value, u64 *old)
{
	unsigned int which = op * 4 + ilog2(width);
	u64 rax = old ? *old : 0;
	register u64 r10 asm("r10") = value;
	register u64 r9 asm("r9") = addr;

	switch (which) {
	CODES(CALL)
	default:
		port_bug(__FILE__, __LINE__, "no such access to arenas");
		return 0;
	}
	if (old)
		*old = rax;
	return r10;
}
