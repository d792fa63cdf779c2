// SPDX-License-Identifier: GPL-2.0-only
/*
 * User copies in task context, and reads that never fault in, from any context.
 *
 * The string forms use the kernel's own functions where they were found, else a bytewise loop over the exported block
 * reads: slower, same results.
 */
#include "port/kernel/internal.h"

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

static void __user *uptr(u64 addr)
{
	return (void __user *)(unsigned long)addr;
}

/* Tasks in a section of port_kernel_pointers_begin(), under `sections_lock`. Counted apart, so that nobody else looks. */
struct pointer_section {
	struct list_head node;
	struct task_struct *task;
	u64 attr; /* what may be written */
	u64 size;
};
static DEFINE_SPINLOCK(sections_lock);
static LIST_HEAD(sections);
static int section_count;

void port_kernel_pointers_begin(struct port_kernel_pointers *p, u64 attr, size_t size)
{
	struct pointer_section *s = (struct pointer_section *)p;

	BUILD_BUG_ON(sizeof(*s) > sizeof(*p));
	s->task = current;
	s->attr = attr;
	s->size = size;
	spin_lock(&sections_lock);
	list_add(&s->node, &sections);
	WRITE_ONCE(section_count, section_count + 1);
	spin_unlock(&sections_lock);
}

void port_kernel_pointers_end(struct port_kernel_pointers *p)
{
	struct pointer_section *s = (struct pointer_section *)p;

	spin_lock(&sections_lock);
	list_del(&s->node);
	WRITE_ONCE(section_count, section_count - 1);
	spin_unlock(&sections_lock);
}

/* The current task's section, where the address is one of the kernel's; no other. Addresses of user space are taken as ever. */
static struct pointer_section *section_for(u64 addr)
{
	struct pointer_section *s, *found = NULL;

	if (likely(!READ_ONCE(section_count)) || addr < TASK_SIZE_MAX)
		return NULL;
	spin_lock(&sections_lock);
	list_for_each_entry(s, &sections, node)
		if (s->task == current) {
			found = s; /* the innermost; only this task ends it */
			break;
		}
	spin_unlock(&sections_lock);
	return found;
}

/* Sizes beyond what any object has are refused here: the kernel would warn about them. */
int port_copy_from_user(void *dst, u64 src, size_t n)
{
	if (n > INT_MAX)
		return -EFAULT;
	if (section_for(src))
		return copy_from_kernel_nofault(dst, (const void *)(unsigned long)src, n) ? -EFAULT : 0;
	return copy_from_user(dst, uptr(src), n) ? -EFAULT : 0;
}

int port_copy_to_user(u64 dst, const void *src, size_t n)
{
	struct pointer_section *s;

	if (n > INT_MAX)
		return -EFAULT;
	s = section_for(dst);
	if (s && (dst < s->attr || dst - s->attr > s->size || n > s->size - (dst - s->attr)))
		return -EFAULT; /* a log, say: in Linux its buffer is always user space's */
	if (s)
		return modbpf_ksym_copy_to_kernel((void *)(unsigned long)dst, src, n) ? -EFAULT : 0;
	return copy_to_user(uptr(dst), src, n) ? -EFAULT : 0;
}

long port_strncpy_from_user(char *dst, u64 src, size_t size)
{
	long n;

	if (!size)
		return -EINVAL;
	if (section_for(src)) { /* counts the NUL, also of a text that it cut */
		n = port_probe_read_kernel_str(dst, src, size);
		return n < 0 ? -EFAULT : n - 1;
	}
	n = strncpy_from_user(dst, uptr(src), size - 1);
	dst[n > 0 ? n : 0] = '\0';
	return n;
}

notrace long port_probe_read_kernel(void *dst, u64 src, size_t n)
{
	return copy_from_kernel_nofault(dst, (const void *)(unsigned long)src, n);
}

notrace long port_probe_read_user(void *dst, u64 src, size_t n)
{
	return copy_from_user_nofault(dst, (const void __user *)(unsigned long)src, n);
}

/* Both loops end with the text terminated: at its own NUL, or cut at size. */
static notrace long kernel_str_bytewise(char *dst, u64 src, size_t size)
{
	size_t i;
	long ret;

	for (i = 0; i < size; i++) {
		ret = port_probe_read_kernel(dst + i, src + i, 1);
		if (ret) {
			dst[0] = '\0';
			return ret;
		}
		if (!dst[i])
			return i + 1;
	}
	dst[size - 1] = '\0';
	return size;
}

static notrace long user_str_bytewise(char *dst, u64 src, size_t size)
{
	size_t i;
	long ret;

	for (i = 0; i < size; i++) {
		ret = port_probe_read_user(dst + i, src + i, 1);
		if (ret) {
			dst[0] = '\0';
			return ret;
		}
		if (!dst[i])
			return i + 1;
	}
	dst[size - 1] = '\0';
	return size;
}

notrace long port_probe_read_kernel_str(char *dst, u64 src, size_t size)
{
	long ret;

	if (!size)
		return 0;
	ret = modbpf_ksym_strncpy_from_kernel(dst, (const void *)(unsigned long)src, size);
	if (ret == -ENOSYS)
		return kernel_str_bytewise(dst, src, size);
	if (ret < 0)
		dst[0] = '\0';
	return ret;
}

notrace long port_probe_read_user_str(char *dst, u64 src, size_t size)
{
	long ret;

	if (!size)
		return 0;
	ret = modbpf_ksym_strncpy_from_user(dst, (const void __user *)(unsigned long)src, size);
	if (ret == -ENOSYS)
		return user_str_bytewise(dst, src, size);
	if (ret < 0)
		dst[0] = '\0';
	return ret;
}
