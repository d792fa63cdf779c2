// SPDX-License-Identifier: GPL-2.0-only
/* An address space's way to find a free area is behind a function. */
#include <linux/sched/mm.h>

unsigned long probe(struct mm_struct *mm, struct file *file);
unsigned long probe(struct mm_struct *mm, struct file *file)
{
	return mm_get_unmapped_area(mm, file, 0, 0, 0, 0);
}
